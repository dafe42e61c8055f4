"""Examples of the datasource endpoints for the API's documentation."""

from typing import Any

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.web.streaming import EVENT_STREAM

_DATASOURCE_ID = "0192f0d0-3a10-7c02-9f0a-2b3c4d5e6f70"
_ENTRY_ID = "0192f0d0-5b22-7d14-8e1b-3c4d5e6f7081"
_TIME = "2026-01-05T09:30:00.000000Z"
_LATER = "2026-01-05T09:30:00.250000Z"

DATASOURCE: JsonObject = {
    "uuid": _DATASOURCE_ID,
    "name": "Handbook",
    "type": "mixed",
    "config": {"chunk_size": 1200, "chunk_overlap": 150, "refresh_interval": None},
    "embedding": {"model": "builtin/wordllama-256", "dimension": 256, "next_model": None},
    "entries_count": 1,
    "size": 57,
    "created_at": _TIME,
    "updated_at": _TIME,
}

ENTRY: JsonObject = {
    "uuid": _ENTRY_ID,
    "name": "sessions.md",
    "status": "PROCESSING",
    "stage": "queued",
    "error": None,
    "external_id": None,
    "parent": None,
    "entry_metadata": {"lang": "en", "year": 2024},
    "source": "sessions.md",
    "mime_type": None,
    "encoding": None,
    "size": 57,
    "chunks_count": 0,
    "created_at": _TIME,
    "updated_at": _TIME,
}

READY_ENTRY: JsonObject = ENTRY | {
    "status": "READY",
    "stage": None,
    "mime_type": "text/markdown",
    "encoding": {"name": "utf-8", "guessed": False},
    "chunks_count": 1,
    "updated_at": _LATER,
}

_METADATA: JsonObject = {
    "source": "sessions.md",
    "name": "sessions.md",
    "mime_type": "text/markdown",
    "heading": "Sessions",
    "md_lang": "en",
    "md_year": 2024,
}

TEXT_CONTENT: JsonObject = {
    "content": "# Sessions\n\nA session is kept until it is deleted, by you.\n",
    "metadata": {key: value for key, value in _METADATA.items() if key != "heading"},
}

RESYNC: JsonObject = {"entries": 42}

SEARCH: JsonObject = {
    "results": [
        {
            "content": "A session is kept until it is deleted, by you.",
            "score": 0.83,
            "metadata": _METADATA,
            "entry_uuid": _ENTRY_ID,
            "entry_name": "sessions.md",
            "chunk": {"number": 0, "start": 12, "end": 58},
        }
    ]
}

FOLDED_SEARCH: JsonObject = {
    "results": [
        SEARCH["results"][0]
        | {
            "copies": [
                {
                    "entry_uuid": "0192f0d0-6c33-7e25-8f2c-4d5e6f708192",
                    "entry_name": "sessions-old.md",
                    "source": "sessions-old.md",
                    "score": 0.83,
                    "chunk": {"number": 4, "start": 4100, "end": 4146},
                }
            ],
            "copies_count": 1,
        }
    ]
}

SEARCHED: dict[str, Any] = {
    "description": "Passages, best first.",
    "content": {
        "application/json": {
            "examples": {
                "search": {"summary": "A search", "value": SEARCH},
                "folded": {"summary": "With `fold_copies`", "value": FOLDED_SEARCH},
            }
        }
    },
}

TYPES: list[Json] = [
    {
        "slug": "text",
        "name": "Text",
        "description": "Texts sent as they are.",
        "entry_data_schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 200},
                "content": {"type": "string", "minLength": 1},
            },
            "additionalProperties": False,
            "oneOf": [{"required": ["content"]}],
        },
    }
]

ENTRIES: Any = {
    "text": {
        "summary": "A text",
        "value": {
            "entry_data": {"name": "sessions", "content": "A session is kept until it is deleted, by you."},
            "entry_metadata": {"lang": "en", "year": 2024},
        },
    },
    "url": {"summary": "A web page", "value": {"entry_data": {"url": "https://example.com/handbook"}}},
    "file": {
        "summary": "A file",
        "value": {
            "entry_data": {
                "file": "data:text/markdown;name=sessions.md;base64,IyBTZXNzaW9ucwoKQSBzZXNzaW9uIGlzIGtlcHQu"
            },
            "entry_metadata": {"lang": "en"},
        },
    },
}

SEARCHES: Any = {
    "question": {"summary": "A question", "value": {"query": "How long is a session kept?"}},
    "filtered": {
        "summary": "Among what the metadata selects",
        "value": {
            "query": "How long is a session kept?",
            "limit": 5,
            "filters": {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "md_lang", "value": "en"},
                    {"type": "gte", "key": "md_year", "value": 2020},
                ],
            },
        },
    },
    "grouped": {
        "summary": "One passage of each entry, equal ones once",
        "value": {"query": "How long is a session kept?", "group_by": "entry", "fold_copies": True},
    },
}

_ENTRY_FORM: JsonObject = {
    "title": "EntryForm",
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "name": {"type": "string", "maxLength": 200},
        "content": {"type": "string"},
        "url": {"type": "string"},
        "encoding": {"type": "string", "maxLength": 40},
        "entry_metadata": {"type": "string", "description": "A JSON object."},
    },
    "additionalProperties": False,
}

FORM_REQUEST: JsonObject = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": _ENTRY_FORM,
                "example": {"file": "...", "entry_metadata": '{"lang": "en", "year": 2024}'},
            }
        }
    }
}

EVENTS: dict[str, Any] = {
    "description": "Events `entry` while it is PROCESSING, then `done`.",
    "content": {
        EVENT_STREAM: {
            "schema": {"type": "string"},
            "example": (
                f'id: 1\nevent: entry\ndata: {{"uuid":"{_ENTRY_ID}","status":"PROCESSING","stage":"embed"}}\n\n'
                f'id: 2\nevent: done\ndata: {{"uuid":"{_ENTRY_ID}","status":"READY","stage":null}}\n\n'
            ),
        }
    },
}


def answer(example: Json, description: str = "OK") -> dict[str, Any]:
    """Document an answer by an example."""
    return {"description": description, "content": {"application/json": {"example": example}}}
