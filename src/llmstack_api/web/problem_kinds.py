"""Every problem there is, with an example: what the OpenAPI document and the page of problems are made of."""

from dataclasses import dataclass
from functools import cache

from llmstack_api import errors
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import LLMStackError, RunError, StartError
from llmstack_api.web.problems import TYPE_PREFIX

_REQUEST_ID = "0192f0c1-7a2f-7d1e-b3a4-c5d6e7f80912"
_RUN_ID = "0192f0c1-7a30-7c44-9d3e-5f6a7b8c9d0e"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What there is to know about one slug."""

    error: type[LLMStackError]
    slug: str
    status: int
    title: str
    meaning: str
    example: JsonObject


@cache
def problem_kinds() -> tuple[ProblemKind, ...]:
    """Return every problem that an answer or a stream can carry, by status."""
    found = (error for error in vars(errors).values() if isinstance(error, type))
    kinds = (
        _kind(error)
        for error in found
        if issubclass(error, LLMStackError) and not issubclass(error, StartError)
    )
    return tuple(sorted(kinds, key=lambda kind: kind.status))


def _kind(error: type[LLMStackError]) -> ProblemKind:
    return ProblemKind(
        error,
        error.slug,
        error.status,
        error.title,
        " ".join((error.__doc__ or "").split()),
        _example(error),
    )


def _example(error: type[LLMStackError]) -> JsonObject:
    detail, faults = _SAID.get(error.slug, (error.title, {}))
    example: JsonObject = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": detail,
        "request_id": _REQUEST_ID,
    }
    if faults:
        example["errors"] = [{"loc": loc, "msg": msg} for loc, msg in faults.items()]
    if issubclass(error, RunError):
        if error.slug not in _OF_THE_WHOLE_RUN:
            example["processor"] = "_inputs1"
        example["run_id"] = _RUN_ID
    return example


_OF_THE_WHOLE_RUN = frozenset({"run-failed", "run-timeout", "run-interrupted", "output-too-large"})
"""Run errors that no single step is to blame for."""

_SAID: dict[str, tuple[str, dict[str, str]]] = {
    "malformed-request": ("The body is empty; send a JSON object.", {}),
    "unauthorized": (
        "Send a valid token in the header 'Authorization: Token <token>'. The documentation is at /docs.",
        {},
    ),
    "forbidden": ("The token needs the scope write.", {}),
    "not-found": ("There is nothing at this address.", {}),
    "template-not-found": ("There is no such app template; GET /api/apps/templates lists them.", {}),
    "answer-mismatch": (
        "The answer does not fit config.response_schema: at `urgency`, 'soon' is not one of the values.",
        {},
    ),
    "retrieval-away": ("The vector store does not answer.", {}),
    "file-unreadable": ("The file cannot be read: it is encrypted.", {}),
    "http-call-failed": ("No answer came from https://api.example.com within 5 s.", {}),
    "tool-server-failed": ("The tool server https://mcp.example.com/mcp does not answer.", {}),
    "method-not-allowed": ("PUT is not possible here.", {}),
    "request-timeout": ("The body was not whole after 60 s.", {}),
    "conflict": ("The app is being changed by others at the same time; try again.", {}),
    "idempotency-in-progress": ("The first request with this Idempotency-Key is still going.", {}),
    "body-too-large": ("The body is larger than 33554432 bytes.", {}),
    "unsupported-media-type": ("Send the body with 'Content-Type: application/json', not 'text/plain'.", {}),
    "invalid-input": (
        "input.question: missing",
        {"input.question": "missing", "input.colour": "unknown key; known are question"},
    ),
    "invalid-definition": (
        "processors[0].input.input_str: there is no step '_inputs2' before this one",
        {
            "processors[0].input.input_str": "there is no step '_inputs2' before this one",
            "output.answer": "unknown filter 'upcased'; did you mean 'upcase'?",
        },
    ),
    "invalid-filter": (
        "filters.filters[0].type: unknown operator 'equals'; known are eq, ne, gt, gte, lt, lte, in, nin, like",
        {
            "filters.filters[0].type": "unknown operator 'equals'; known are eq, ne, gt, gte, lt, lte, in, nin, like"
        },
    ),
    "idempotency-mismatch": ("The Idempotency-Key 'order-17' was used for another request.", {}),
    "unavailable": ("The database cannot be reached.", {}),
    "vector-store-away": ("The vector store does not answer.", {}),
    "embedding-away": ("The embedding model is too busy (HTTP 429).", {}),
    "secrets-not-configured": (
        "This server cannot keep secrets: its operator has to set LLMSTACK_SECRET_KEY.",
        {},
    ),
    "draining": ("The server is shutting down; try again shortly.", {}),
    "storage-full": ("The disk of the database is full.", {}),
    "app-not-found": ("This account has no such app.", {}),
    "version-not-found": ("This app has no such version.", {}),
    "datasource-not-found": ("This account has no such datasource.", {}),
    "entry-not-found": ("This datasource has no such entry.", {}),
    "provider-not-found": (
        "There is no such provider; known are anthropic, azure, cohere, google, localai, meta, mistral, openai.",
        {},
    ),
    "session-not-found": ("This app has no such session.", {}),
    "run-not-found": ("This account has no such run.", {}),
    "token-not-found": ("This account has no such token.", {}),
    "embedding-refused": ("The embedding model refused the request (HTTP 401).", {}),
    "internal-error": ("The server failed; its log says more.", {}),
    "run-failed": ("The run failed inside the server; its log says more.", {}),
    "invalid-processor-input": ("input.messages: there is no message to answer.", {}),
    "template-error": ("output.answer: filter 'divided_by': divided by 0", {}),
    "address-refused": ("The address 10.0.0.7 is refused: it is private.", {}),
    "provider-not-configured": (
        "The provider 'openai' is not configured: set LLMSTACK_OPENAI_API_KEY, or LLMSTACK_OPENAI_BASE_URL.",
        {},
    ),
    "provider-refused": (
        "The provider 'openai' refused the request (HTTP 404). It said: \"The model 'gpt-0' does not exist\"",
        {},
    ),
    "provider-failed": ("The provider 'openai' broke the connection off.", {}),
    "provider-busy": ("The provider 'openai' is too busy (HTTP 429).", {}),
    "provider-timeout": ("The provider 'openai' sent nothing for 60 seconds.", {}),
    "step-timeout": ("The step took longer than 120 s.", {}),
    "run-timeout": ("The run took longer than 900 s.", {}),
    "output-too-large": ("The run produced more than 16777216 characters.", {}),
    "processor-crashed": ("The processor failed; the server's log says more.", {}),
    "run-interrupted": ("The server is shutting down.", {}),
}
"""Detail, and faults by place, of each example."""
