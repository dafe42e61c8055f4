"""Examples of the run endpoints for the API's documentation."""

from typing import Any

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.web.streaming import EVENT_STREAM, NDJSON

_SESSION_ID = "visitor-42"
_RUN_ID = "0192f0c1-7a30-7c44-9d3e-5f6a7b8c9d0e"
_APP_ID = "0192f0bf-1c52-7b0a-8a55-1f2e3d4c5b6a"
_TIME = "2026-01-05T09:30:00.000000Z"
_USAGE: JsonObject = {"input_tokens": 12, "output_tokens": 2}
_INPUT: JsonObject = {"question": "Say hello."}
_FILE = "data:text/plain;name=note.txt;base64,QWxsIGlzIHdlbGwu"
_OUTPUT: JsonObject = {"answer": "Hello!", "sources": [{"name": "faq.md"}]}

_ANSWER: JsonObject = {
    "session": {"id": _SESSION_ID},
    "output": _OUTPUT,
    "run": {"id": _RUN_ID, "status": "succeeded"},
    "usage": _USAGE,
}

_NDJSON = (
    f'{{"session":{{"id":"{_SESSION_ID}"}},"run":{{"id":"{_RUN_ID}"}}}}\n'
    '{"answer":"Hel"}\n'
    '{"answer":"lo!","sources":[{"name":"faq.md"}]}\n'
    '{"done":{"status":"succeeded","usage":{"input_tokens":12,"output_tokens":2}}}\n'
)
_EVENTS = (
    f'id: 1\nevent: session\ndata: {{"session":{{"id":"{_SESSION_ID}"}},"run":{{"id":"{_RUN_ID}"}}}}\n\n'
    'id: 2\nevent: chunk\ndata: {"answer":"Hel"}\n\n'
    'id: 3\nevent: chunk\ndata: {"answer":"lo!","sources":[{"name":"faq.md"}]}\n\n'
    'id: 4\nevent: done\ndata: {"done":{"status":"succeeded","usage":{"input_tokens":12,"output_tokens":2}}}\n\n'
)

RUN_ANSWERS: dict[str, Any] = {
    "description": "The whole answer; or, with `stream` true, chunks as they are made.",
    "content": {
        "application/json": {"example": _ANSWER},
        NDJSON: {"itemSchema": {"$ref": "#/components/schemas/StreamLine"}, "example": _NDJSON},
        EVENT_STREAM: {"itemSchema": {"$ref": "#/components/schemas/StreamLine"}, "example": _EVENTS},
    },
}

_CURL = """curl -N http://localhost:3000/api/apps/$APP/run \\
  -H "Authorization: Token $TOKEN" -H "Content-Type: application/json" \\
  -d '{"input": {"question": "Say hello."}, "stream": true}'
"""

_PYTHON = """import json

import requests

response = requests.post(
    f"http://localhost:3000/api/apps/{app}/run",
    headers={"Authorization": f"Token {token}"},
    json={"input": {"question": "Say hello."}, "stream": True},
    stream=True,
)
response.raise_for_status()
output = {}
for line in response.iter_lines():
    if not line:
        continue
    chunks = json.loads(line)
    if "errors" in chunks or "done" in chunks:
        print(chunks)
    elif "session" not in chunks:
        for key, chunk in chunks.items():
            output[key] = output[key] + chunk if isinstance(chunk, str | list) and key in output else chunk
print(output)
"""

_CURL_FORM = """curl -N http://localhost:3000/api/apps/$APP/run \\
  -H "Authorization: Token $TOKEN" \\
  -F file=@report.pdf -F question='What does it say?' -F stream=true
"""

_PYTHON_FORM = """import requests

with open("report.pdf", "rb") as file:
    response = requests.post(
        f"http://localhost:3000/api/apps/{app}/run",
        headers={"Authorization": f"Token {token}"},
        data={"question": "What does it say?"},
        files={"file": ("report.pdf", file, "application/pdf")},
    )
response.raise_for_status()
print(response.json()["output"])
"""

_RUN_FORM: JsonObject = {
    "title": "RunForm",
    "description": "What to run an app with: a part for each input field.",
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "description": "A JSON object of input fields; for those named like a part that means something else.",
        },
        "stream": {"type": "boolean", "description": "Whether the output is streamed as it is made."},
        "session_id": {"type": "string", "description": "The session to go on with; here or in the path."},
        "file": {
            "type": "string",
            "format": "binary",
            "description": (
                "A file, for an input field of that name: `file`, `voice` and `multi` fields take parts with a "
                "file name, or data URIs."
            ),
        },
    },
    "additionalProperties": {
        "description": "Any other input field: text; numbers, truths, arrays and objects as JSON."
    },
}

RUN_REQUEST: JsonObject = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": _RUN_FORM,
                "example": {"question": "What does it say?", "file": "...", "stream": True},
            },
            "application/json": {
                "examples": {
                    "streamed": {
                        "summary": "Streamed: chunks as they are made",
                        "value": {"input": _INPUT, "stream": True},
                    },
                    "blocking": {"summary": "Blocking: the whole answer", "value": {"input": _INPUT}},
                    "file": {
                        "summary": "With a file",
                        "value": {"input": {"question": "What does it say?", "file": _FILE}},
                    },
                }
            },
        }
    },
    "x-codeSamples": [
        {"lang": "Shell", "label": "curl", "source": _CURL},
        {"lang": "Python", "label": "Python", "source": _PYTHON},
        {"lang": "Shell", "label": "curl with a file", "source": _CURL_FORM},
        {"lang": "Python", "label": "requests with a file", "source": _PYTHON_FORM},
    ],
}

RUN_SUMMARY: JsonObject = {
    "id": _RUN_ID,
    "status": "succeeded",
    "app": _APP_ID,
    "version": 1,
    "session": {"id": _SESSION_ID},
    "stream": True,
    "usage": _USAGE,
    "errors": [],
    "created_at": _TIME,
    "finished_at": _TIME,
}
RUN: JsonObject = {
    **RUN_SUMMARY,
    "input": _INPUT,
    "output": _OUTPUT,
    "steps": [
        {
            "id": "_inputs1",
            "processor": "openai/chatgpt",
            "status": "succeeded",
            "started_ms": 0.2,
            "first_output_ms": 312.5,
            "finished_ms": 640.1,
            "usage": _USAGE,
            "error": None,
        }
    ],
}
SESSION_SUMMARY: JsonObject = {"id": _SESSION_ID, "created_at": _TIME, "updated_at": _TIME}
SESSION: JsonObject = {
    **SESSION_SUMMARY,
    "messages": {
        "_inputs1": [
            {"role": "user", "content": "Say hello."},
            {"role": "assistant", "content": "Hello!"},
        ]
    },
}


def answer(example: Json) -> dict[str, Any]:
    """Document a 200 with its example."""
    return {"description": "Done.", "content": {"application/json": {"example": example}}}
