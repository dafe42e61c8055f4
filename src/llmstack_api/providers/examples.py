"""Examples of the provider endpoints for the API's documentation."""

from typing import Any

from llmstack_api.engine.ports import Json, JsonObject

_TIME = "2026-01-05T09:30:00.000000Z"

OWN: JsonObject = {
    "slug": "openai",
    "name": "OpenAI",
    "configured": "account",
    "base_url": None,
    "default_model": "gpt-4o-mini",
    "has_key": True,
    "key_hint": "Zk3p",
    "headers": ["OpenAI-Organization"],
    "updated_at": _TIME,
    "error": None,
}

_OPERATORS: JsonObject = {
    "slug": "mistral",
    "name": "Mistral",
    "configured": "operator",
    "base_url": None,
    "default_model": "mistral-small-latest",
    "has_key": False,
    "key_hint": None,
    "headers": [],
    "updated_at": None,
    "error": None,
}

LIST: list[Json] = [
    OWN,
    _OPERATORS,
    _OPERATORS | {"slug": "google", "name": "Google Gemini", "configured": None},
]

SAVED: dict[str, Any] = {
    "stored": {"summary": "Stored", "value": {**OWN, "warnings": []}},
    "dropped": {
        "summary": "Another address, no key",
        "value": {
            **OWN,
            "base_url": "https://models.example.com/v1",
            "has_key": False,
            "key_hint": None,
            "headers": [],
            "warnings": [
                {
                    "loc": "api_key",
                    "msg": "the stored key was dropped: it belongs to the address that it was stored for; "
                    "send it again",
                }
            ],
        },
    },
}

BODIES: Any = {
    "key": {"summary": "A key for the provider's own address", "value": {"api_key": "sk-..."}},
    "server": {
        "summary": "A server of one's own",
        "value": {
            "base_url": "https://models.example.com/v1",
            "api_key": "secret",
            "default_model": "llama-3.3-70b",
            "headers": {"X-Team": "support"},
        },
    },
    "model": {
        "summary": "Another model, the stored key kept",
        "value": {"default_model": "gpt-4o", "headers": {"OpenAI-Organization": "org-1"}},
    },
    "remove": {"summary": "The key removed", "value": {"api_key": None, "default_model": "gpt-4o"}},
}

CHECKS: dict[str, Any] = {
    "answers": {
        "summary": "It answers",
        "value": {
            "ok": True,
            "detail": "The provider 'openai' answers and names 2 models.",
            "models": ["gpt-4o", "gpt-4o-mini"],
        },
    },
    "refused": {
        "summary": "The key is wrong",
        "value": {
            "ok": False,
            "detail": "The provider 'openai' refused the request (HTTP 401). It said: \"Incorrect API key "
            'provided: ***"',
            "models": [],
        },
    },
}


def answer(example: Json) -> dict[str, Any]:
    """Document an answer by an example."""
    return {"content": {"application/json": {"example": example}}}


def answers(examples: dict[str, Any]) -> dict[str, Any]:
    """Document an answer by several examples."""
    return {"content": {"application/json": {"examples": examples}}}
