"""The parts of the OpenAPI document that belong to no single operation."""

from typing import Any

from llmstack_api.auth import Scope
from llmstack_api.engine.ports import JsonObject
from llmstack_api.vectors.filter_tree import filter_schema
from llmstack_api.web.idempotency import REPLAYED
from llmstack_api.web.problems import PROBLEM_SCHEMA

DESCRIPTION = """\
Define LLM apps as text, run them over HTTP, and stream their output key by key.

**Authentication.** Send a token as `Authorization: Token <token>`. `Authorization: Bearer <token>` and a
header `Token: <token>` are the same. Each operation says which scope its token needs. In this page:
**Authorize**, and paste the token.

**First steps.** Create an app (*Apps*, `POST /api/apps`; the example needs no model), then run it (*Runs*,
`POST /api/apps/{app_uuid}/run`).

**Streaming.** A run with `"stream": true` answers `application/x-ndjson`: one JSON object a line. The first
has `session` and `run`; the next ones map output keys to chunks; `errors` says what failed; the last has
`done`. Strings of one key are concatenated, arrays appended, any other value arrives whole. Blank lines
keep the connection open. A stream without `done` was cut off. With `Accept: text/event-stream` the same
comes as server-sent events.

**Errors.** `application/problem+json` (RFC 9457). `type` ends in a slug, which [the list of
problems](/docs/problems) explains; `errors` names every fault of a 422; `request_id` is that of the
`X-Request-Id` header, which every answer has: the one you sent, or a new one.

**Lists.** A bare array, newest first, at most `limit` rows. The next page is in the header `Link: <...>;
rel="next"`.

**Repeating requests.** With an `Idempotency-Key`, a repeated request is done once and answered as the first
was.
"""

TAGS: list[JsonObject] = [
    {"name": "Apps", "description": "What can be run: inputs, a chain of processors, and output templates."},
    {"name": "Runs", "description": "Running an app, and the history of runs."},
    {"name": "Sessions", "description": "Conversations: what an app's processors remember from run to run."},
    {"name": "Datasources", "description": "Collections of texts, URLs and files that are searched as one."},
    {"name": "Entries", "description": "The texts, URLs and files of a datasource, and how far each is."},
    {"name": "Processors", "description": "What apps are made of."},
    {"name": "Providers", "description": "Whose models are called, and with which address and key."},
    {"name": "Tokens", "description": "Who may use the API, and for what."},
    {"name": "Health", "description": "For load balancers and supervisors; open without a token."},
]

SECURITY_SCHEMES: JsonObject = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Paste the token alone. Programs may as well send `Authorization: Token <token>`.",
    },
    "authorization": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word `Token`, a blank, and the token.",
    },
    "token": {"type": "apiKey", "in": "header", "name": "Token", "description": "The token alone."},
}


def security(scopes: tuple[Scope, ...]) -> list[JsonObject]:
    """Any scheme will do, with any one of the scopes: role names, which OpenAPI admits for every scheme."""
    return [{scheme: [scope.value]} for scheme in SECURITY_SCHEMES for scope in scopes]


PARAMETERS = {
    "app_uuid": "The app's `uuid`.",
    "datasource_uuid": "The datasource's `uuid`.",
    "entry_uuid": "The entry's `uuid`.",
    "number": "Number of the version, 1 at first.",
    "run_id": "The run's `id`.",
    "slug": "The `slug`, as the list has it.",
    "token_uuid": "The token's `uuid`.",
}
"""What is said of path parameters that several operations share."""

_REPLAYED = next(iter(REPLAYED))

HEADERS: JsonObject = {
    "X-Request-Id": {
        "description": "Id of this request in the server's log: the one that was sent, or a new one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Token`.", "schema": {"type": "string"}},
    _REPLAYED: {
        "description": "`true` where this is the kept answer to an earlier request with the same key.",
        "schema": {"type": "string"},
    },
}


def header_refs(*names: str) -> JsonObject:
    """Refer to headers that are described once."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


IDEMPOTENT_HEADERS = header_refs(_REPLAYED)

_REF = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
_TOKENS = {"type": ["integer", "null"]}

SCHEMAS: dict[str, Any] = {
    "Problem": PROBLEM_SCHEMA,
    "Filter": filter_schema("#/components/schemas/Filter"),
    "StreamLine": {
        "title": "StreamLine",
        "description": (
            "One line of a streamed run: `session` and `run` (the first), chunks by output key, `errors`, "
            "or `done` (the last)."
        ),
        "type": "object",
        "properties": {
            "session": _REF,
            "run": _REF,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": {
                            "type": "string",
                            "description": "The slug that a problem's `type` would end in.",
                        },
                        "message": {"type": "string"},
                        "processor": {"type": ["string", "null"], "description": "The step that failed."},
                    },
                },
            },
            "done": {
                "type": "object",
                "required": ["status", "usage"],
                "properties": {
                    "status": {"enum": ["succeeded", "failed", "cancelled", "interrupted"]},
                    "usage": {
                        "type": "object",
                        "properties": {"input_tokens": _TOKENS, "output_tokens": _TOKENS},
                    },
                },
            },
        },
        "additionalProperties": {
            "description": "Output key: text to append, elements to append, or any other value, whole."
        },
    },
}
