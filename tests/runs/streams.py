"""What tests do with apps and streams: make, run, read, stitch."""

import json
from typing import Any

import httpx

ECHO: dict[str, Any] = {
    "name": "Echo",
    "input_fields": [{"name": "question", "type": "text"}],
    "processors": [
        {
            "provider_slug": "promptly",
            "processor_slug": "echo",
            "input": {"input_str": "{{_inputs0.question}}"},
        }
    ],
    "output": {"answer": "{{_inputs1.output_str}}", "shout": "{{_inputs1.output_str | upcase}}"},
}


def chat(model: str, **config: Any) -> dict[str, Any]:
    """A definition with one model call."""
    return {
        "name": "Chat",
        "input_fields": [{"name": "question"}],
        "processors": [
            {
                "provider_slug": "openai",
                "processor_slug": "chatgpt",
                "input": {"messages": [{"role": "user", "content": "{{_inputs0.question}}"}]},
                "config": {"model": model, **config},
            }
        ],
        "output": {"answer": "{{_inputs1.choices[0].content}}"},
    }


async def make_app(client: httpx.AsyncClient, definition: dict[str, Any]) -> str:
    """Create an app and return its path."""
    answer = await client.post("/api/apps", json=definition)
    assert answer.status_code == 201, answer.text
    return f"/api/apps/{answer.json()['uuid']}"


async def run(
    client: httpx.AsyncClient, app: str, question: str = "hi", *, session: str = ""
) -> dict[str, Any]:
    """Run blocking; the run has to succeed."""
    path = f"{app}/run/{session}" if session else f"{app}/run"
    answer = await client.post(path, json={"input": {"question": question}})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stream(
    client: httpx.AsyncClient, app: str, question: str = "hi", *, session: str = "", **headers: str
) -> list[dict[str, Any]]:
    """Run streamed and return all lines."""
    path = f"{app}/run/{session}" if session else f"{app}/run"
    async with client.stream(
        "POST", path, json={"input": {"question": question}, "stream": True}, headers=headers
    ) as answer:
        body = await answer.aread()
        assert answer.status_code == 200, body
        assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in body.split(b"\n") if line]


def stitch(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the chunks between head and `done` together, as a client does."""
    output: dict[str, Any] = {}
    for line in lines:
        if not line.keys() & {"session", "errors", "done"}:
            for key, chunk in line.items():
                joins = isinstance(chunk, str | list) and key in output
                output[key] = output[key] + chunk if joins else chunk
    return output


async def last_run(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the newest run, whole."""
    newest = (await client.get("/api/runs", params={"limit": 1})).json()[0]
    return (await client.get(f"/api/runs/{newest['id']}")).json()
