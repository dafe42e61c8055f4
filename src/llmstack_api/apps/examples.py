"""Examples of app definitions for the API's documentation."""

from typing import Any

from llmstack_api.engine.ports import Json, JsonObject

ECHO: JsonObject = {
    "name": "Echo",
    "description": "Gives back what it is given; needs no model.",
    "input_fields": [{"name": "question", "title": "Question", "type": "string", "required": True}],
    "processors": [
        {
            "provider_slug": "promptly",
            "processor_slug": "echo",
            "input": {"input_str": "{{_inputs0.question}}"},
        }
    ],
    "output": {"answer": "{{_inputs1.output_str}}", "shout": "{{_inputs1.output_str | upcase}}"},
}

CHAT: JsonObject = {
    "name": "Chat",
    "type_slug": "text-chat",
    "description": "Answers with a model and remembers the session.",
    "input_fields": [{"name": "question", "title": "Question", "type": "text", "required": True}],
    "processors": [
        {
            "id": "answer",
            "provider_slug": "openai",
            "processor_slug": "chatgpt",
            "input": {
                "system_message": "You answer in one paragraph.",
                "messages": [{"role": "user", "content": "{{_inputs0.question}}"}],
            },
            "config": {"model": "gpt-4o-mini", "temperature": 0.2, "retain_history": True},
            "timeout": 60,
        }
    ],
    "output": {"answer": "{{answer.text}}"},
}

ECHO_YAML = """\
name: Echo
description: Gives back what it is given; needs no model.
input_fields:
  - {name: question, title: Question, type: string, required: true}
processors:
  - provider_slug: promptly
    processor_slug: echo
    input: {input_str: "{{_inputs0.question}}"}
output:
  answer: "{{_inputs1.output_str}}"
  shout: "{{_inputs1.output_str | upcase}}"
"""

DEFINITIONS: dict[str, Any] = {
    "echo": {"summary": "Echo: needs no model", "value": ECHO},
    "chat": {"summary": "Chat: a model that remembers the session", "value": CHAT},
}

_TIME = "2026-01-05T09:30:00.000000Z"

APP: JsonObject = {
    "uuid": "0192f0bf-1c52-7b0a-8a55-1f2e3d4c5b6a",
    "version": 1,
    "created_at": _TIME,
    "updated_at": _TIME,
    **ECHO,
    "type_slug": "web",
    "config": {},
    "processors": [{**ECHO["processors"][0], "id": "_inputs1", "config": {}, "on_error": "fail"}],
}
SAVED_APP: JsonObject = {**APP, "warnings": []}
CHANGED_APP: JsonObject = {
    **APP,
    "version": 2,
    "icon": "robot",
    "warnings": [{"loc": "icon", "msg": "kept, but it has no effect here"}],
}
CHANGES: dict[str, Any] = {
    "rename": {"summary": "Another name", "value": {"name": "Parrot"}},
    "output": {
        "summary": "Another output, and no description",
        "value": {"output_template": {"markdown": "> {{_inputs1.output_str}}"}, "description": None},
    },
}
CHANGES_YAML = """\
name: Parrot
description: null
"""
VERSIONS: Json = [{"version": 2, "created_at": _TIME}, {"version": 1, "created_at": _TIME}]

APP_SCHEMA: JsonObject = {
    "input": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"question": {"type": "string", "title": "Question"}},
        "additionalProperties": False,
        "required": ["question"],
    },
    "output": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"answer": {"type": "string"}, "shout": {"type": "string"}},
        "additionalProperties": False,
        "required": ["answer", "shout"],
    },
}
PROCESSORS: Json = [
    {
        "provider_slug": "promptly",
        "slug": "echo",
        "name": "promptly/echo",
        "description": "Return the input text, word by word.",
        "input": {"type": "object", "properties": {"input_str": {"type": "string", "default": ""}}},
        "config": {"type": "object", "properties": {}},
        "output": {"type": "object", "properties": {"output_str": {"type": "string", "default": ""}}},
    }
]

TEMPLATE: JsonObject = {
    "slug": "echo",
    "name": ECHO["name"],
    "description": ECHO["description"],
    "type_slug": "web",
    "needs": {"model": False, "datasource": False, "web_search": False},
    "input_fields": ECHO["input_fields"],
    "definition": ECHO,
}
TEMPLATES: Json = [TEMPLATE]
