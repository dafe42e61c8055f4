"""Every failure the product speaks of: one class, one HTTP status, one slug."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: where it is and what is wrong with it."""

    loc: str
    """Dotted place, such as `processors[1].input.question`."""
    msg: str


class LLMStackError(Exception):
    """Base of all errors that reach a user; `str(error)` is the detail they read."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, faults: tuple[Fault, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.faults = faults
        self.retry_after = retry_after


# --- the request -----------------------------------------------------------------------------------------


class MalformedRequestError(LLMStackError):
    """The body is not what its content type says it is."""

    status, slug, title = 400, "malformed-request", "Malformed request"


class UnauthorizedError(LLMStackError):
    """No token, or one that is malformed, unknown, expired or revoked."""

    status, slug, title = 401, "unauthorized", "Unauthorized"


class ForbiddenError(LLMStackError):
    """The token is good but lacks the scope."""

    status, slug, title = 403, "forbidden", "Scope missing"


class NotFoundError(LLMStackError):
    """No such thing, or it belongs to another account."""

    status, slug, title = 404, "not-found", "Not found"


class MethodNotAllowedError(LLMStackError):
    """The path exists, the method on it does not."""

    status, slug, title = 405, "method-not-allowed", "Method not allowed"


class RequestTimeoutError(LLMStackError):
    """The request's body did not arrive in time."""

    status, slug, title = 408, "request-timeout", "Request timed out"


class ConflictError(LLMStackError):
    """The state of the thing does not admit this now."""

    status, slug, title = 409, "conflict", "Conflict"


class IdempotencyInProgressError(ConflictError):
    """The first request with this Idempotency-Key is still going."""

    slug, title = "idempotency-in-progress", "First request still in progress"


class BodyTooLargeError(LLMStackError):
    """The body is over `LLMSTACK_MAX_BODY_BYTES`."""

    status, slug, title = 413, "body-too-large", "Body too large"


class UnsupportedMediaTypeError(LLMStackError):
    """The content type is none that this endpoint reads."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"


class InvalidInputError(LLMStackError):
    """The request was understood and something in it is wrong; `faults` names each."""

    status, slug, title = 422, "invalid-input", "Invalid input"


class InvalidDefinitionError(InvalidInputError):
    """An app definition that cannot run; `faults` has every place."""

    slug, title = "invalid-definition", "Invalid app definition"


class InvalidFilterError(InvalidInputError):
    """A filter that cannot be understood; nothing was searched."""

    slug, title = "invalid-filter", "Invalid filter"


class IdempotencyMismatchError(InvalidInputError):
    """The Idempotency-Key was used with another body."""

    slug, title = "idempotency-mismatch", "Idempotency-Key used for another request"


class UnavailableError(LLMStackError):
    """Something the answer needs is away; asking again later may help."""

    status, slug, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(
        self, detail: str = "", *, faults: tuple[Fault, ...] = (), retry_after: float | None = 5.0
    ) -> None:
        super().__init__(detail, faults=faults, retry_after=retry_after)


class VectorStoreAwayError(UnavailableError):
    """The vector store does not answer, or is busy."""

    slug, title = "vector-store-away", "Vector store away"


class EmbeddingAwayError(UnavailableError):
    """The embedding model does not answer, or is busy."""

    slug, title = "embedding-away", "Embedding model away"


class DrainingError(UnavailableError):
    """The server is shutting down and takes no new work."""

    slug, title = "draining", "Shutting down"


class SecretsNotConfiguredError(LLMStackError):
    """The server has no `LLMSTACK_SECRET_KEY`, so it keeps no secrets."""

    status, slug, title = 503, "secrets-not-configured", "Secrets not configured"


class StorageFullError(LLMStackError):
    """The disk is full; reads go on."""

    status, slug, title = 507, "storage-full", "Storage full"


class AppNotFoundError(NotFoundError):
    """No such app in this account."""

    slug, title = "app-not-found", "App not found"


class VersionNotFoundError(NotFoundError):
    """No such version of this app."""

    slug, title = "version-not-found", "Version not found"


class DatasourceNotFoundError(NotFoundError):
    """No such datasource in this account."""

    slug, title = "datasource-not-found", "Datasource not found"


class EntryNotFoundError(NotFoundError):
    """No such entry in this datasource."""

    slug, title = "entry-not-found", "Entry not found"


class TemplateNotFoundError(NotFoundError):
    """No such app template."""

    slug, title = "template-not-found", "App template not found"


class ProviderNotFoundError(NotFoundError):
    """No such model provider."""

    slug, title = "provider-not-found", "Provider not found"


class SessionNotFoundError(NotFoundError):
    """No such session of this app."""

    slug, title = "session-not-found", "Session not found"


class RunNotFoundError(NotFoundError):
    """No such run in this account."""

    slug, title = "run-not-found", "Run not found"


class TokenNotFoundError(NotFoundError):
    """No such token in this account."""

    slug, title = "token-not-found", "Token not found"


# --- a run -----------------------------------------------------------------------------------------------


class RunError(LLMStackError):
    """A run that failed; `processor` is the step that did, where one did."""

    status, slug, title = 500, "run-failed", "Run failed"

    def __init__(
        self,
        detail: str = "",
        *,
        processor: str | None = None,
        faults: tuple[Fault, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, faults=faults, retry_after=retry_after)
        self.processor = processor


class ProcessorInputError(RunError):
    """A rendered input value that the processor cannot use."""

    status, slug, title = 422, "invalid-processor-input", "Input a processor cannot use"


class TemplateError(RunError):
    """A template that failed, or went over its budget, while it was rendered."""

    status, slug, title = 422, "template-error", "Template failed"


class AddressRefusedError(RunError):
    """The outbound guard refuses the address."""

    status, slug, title = 422, "address-refused", "Address refused"


class ProviderNotConfiguredError(RunError):
    """The app names a provider that has no settings."""

    status, slug, title = 424, "provider-not-configured", "Provider not configured"


class ProviderRefusedError(RunError):
    """The provider answered 400, 401, 403, 404 or another refusal."""

    status, slug, title = 424, "provider-refused", "Provider refused the request"


class ProviderFailedError(RunError):
    """The provider failed, was unreachable, broke off or made no sense."""

    status, slug, title = 502, "provider-failed", "Provider failed"


class ProviderBusyError(RunError):
    """The provider was still busy (429) after the retries."""

    status, slug, title = 503, "provider-busy", "Provider busy"


class ProviderTimeoutError(RunError):
    """No byte from the provider within the idle time."""

    status, slug, title = 504, "provider-timeout", "Provider timed out"


class AnswerMismatchError(RunError):
    """The model's answer does not fit the JSON Schema that was asked for."""

    status, slug, title = 502, "answer-mismatch", "Answer does not fit its schema"


class RetrievalAwayError(RunError):
    """The vector store or the embedding model does not answer."""

    status, slug, title = 503, "retrieval-away", "Retrieval away"


class FileUnreadableError(RunError):
    """A file, or what stands at an address, whose text cannot be read."""

    status, slug, title = 422, "file-unreadable", "File cannot be read"


class HttpCallError(RunError):
    """An HTTP call of a processor got no answer, or one that is too large."""

    status, slug, title = 502, "http-call-failed", "HTTP call failed"


class ToolServerError(RunError):
    """A server of tools does not answer, or makes no sense."""

    status, slug, title = 502, "tool-server-failed", "Tool server failed"


class StepTimeoutError(RunError):
    """A step ran over its own `timeout`."""

    status, slug, title = 504, "step-timeout", "Step timed out"


class RunTimeoutError(RunError):
    """The run as a whole went over `LLMSTACK_RUN_TIMEOUT`."""

    status, slug, title = 504, "run-timeout", "Run timed out"


class OutputTooLargeError(RunError):
    """A run produced more than `LLMSTACK_MAX_OUTPUT_CHARS`."""

    status, slug, title = 502, "output-too-large", "Output too large"


class ProcessorCrashedError(RunError):
    """A processor raised what it should not have; the log has the traceback."""

    status, slug, title = 500, "processor-crashed", "Processor crashed"


class RunInterruptedError(RunError):
    """The server stopped while the run was going."""

    status, slug, title = 503, "run-interrupted", "Run interrupted"


# --- an entry --------------------------------------------------------------------------------------------


class EmbeddingRefusedError(LLMStackError):
    """The embedding model is not configured, or refused the request."""

    status, slug, title = 424, "embedding-refused", "Embedding model refused the request"


class IngestError(Exception):
    """An entry that cannot be fetched or read. It ends FAILED, with `code` and the message; no request does."""

    def __init__(self, detail: str, *, code: str) -> None:
        super().__init__(detail)
        self.code = code


class FetchError(IngestError):
    """A URL that cannot be fetched."""


class ExtractError(IngestError):
    """A file whose text cannot be read."""


# --- the start -------------------------------------------------------------------------------------------


class StartError(LLMStackError):
    """The process cannot start; the message is one line that names the setting."""

    slug, title = "start-refused", "Cannot start"
