"""What processors ask of the outside world, as protocols; adapters live in other packages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

Json = Any
JsonObject = dict[str, Any]

MAX_TOKENS: Final = 2**31 - 1
"""Tokens that a count goes up to: what the databases' integers hold."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model server counted them; None where it said nothing."""

    input_tokens: int | None = None
    output_tokens: int | None = None

    def as_json(self) -> JsonObject:
        """Return it as answers and records show it."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}

    def __add__(self, other: "Usage") -> "Usage":
        """Add up two counts; an unknown one leaves the other."""
        return Usage(
            _add(self.input_tokens, other.input_tokens), _add(self.output_tokens, other.output_tokens)
        )


def _add(left: int | None, right: int | None) -> int | None:
    return left if right is None else right if left is None else min(left + right, MAX_TOKENS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One call of a chat model."""

    provider: str
    """Slug of the provider whose address, key and defaults are used."""
    model: str
    messages: Sequence[JsonObject] = ()
    """In the OpenAI wire form, oldest first, whatever the provider speaks."""
    prompt: str | None = None
    """In place of messages: a text to be completed."""
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Further fields of the wire body (temperature, max_tokens, tools, ...), sent as they stand."""
    base_url: str | None = None
    """An address from an app definition: goes through the guard and gets no key."""
    stream: bool = True


@dataclass(slots=True, kw_only=True)
class ChatDelta:
    """One increment of one choice of an answer."""

    index: int = 0
    """Which of the `n` choices it belongs to."""
    text: str = ""
    reasoning: str = ""
    role: str | None = None
    tool_calls: list[JsonObject] | None = None
    """Wire fragments: `{"index", "id", "function": {"name", "arguments"}}`, to be joined by index."""
    function_call: JsonObject | None = None
    """Wire fragment of the older form: `{"name", "arguments"}`."""
    finish_reason: str | None = None


DeltaReceiver = Callable[[list[ChatDelta]], Awaitable[None]]
"""Takes the deltas of one network read; not returning holds the provider's socket back."""


Capability = Literal["chat", "completion", "image", "speech", "transcription"]
"""What a model is asked to do."""


class ChatModel(Protocol):
    """A chat model behind any provider."""

    def default_model(self, provider: str, capability: Capability = "chat") -> str | None:
        """Return the model that a provider is asked where an app names none; None where none is known."""
        ...

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        """Call the model and hand over its deltas as they arrive; return the usage it reported.

        What arrived before a failure has been handed over. Cancelling closes the connection at once.

        Raises:
            RunError: one of the provider errors of `llmstack_api.errors`.
        """
        ...


# --- models that answer in one piece ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """A file."""

    data: bytes = field(repr=False)
    name: str | None = None
    media_type: str | None = None
    """`type/subtype`, with parameters such as the charset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of a model that is not followed while it answers: images, speech, transcription."""

    provider: str
    path: str
    """Below the provider's address, such as `/images/generations`."""
    fields: JsonObject
    """The JSON body, or with `files` the fields of the form."""
    files: Mapping[str, File] = field(default_factory=dict[str, File])
    """Sent as `multipart/form-data`, by the name of the form's field."""
    base_url: str | None = None
    """An address from an app definition: goes through the guard and gets no key."""


class ModelApi(Protocol):
    """The operations of a provider that answer in one piece."""

    async def call(self, call: ModelCall) -> File:
        """Call and return the answer's body; `media_type` is its content type.

        Raises:
            RunError: one of the provider errors of `llmstack_api.errors`.
        """
        ...


# --- retrieval -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage that a search found."""

    content: str
    source: str
    """Where it is from: URL, file name or entry name."""
    score: float
    """On the search's own scale."""
    metadata: JsonObject
    """Keyed as stored."""
    datasource: str
    entry: str
    """Ids of where it is."""


class Retriever(Protocol):
    """Search over the account's datasources."""

    async def search(
        self,
        query: str,
        *,
        datasources: Sequence[str],
        limit: int,
        filters: str | JsonObject | None = None,
        vector_weight: float | None = None,
    ) -> list[Passage]:
        """Return the passages that answer best, best first.

        `datasources` are ids, of any number of embedding models. `filters` is the string grammar or a JSON tree.
        `vector_weight` (0 to 1) is the weight of the search by meaning; None: the search's own.

        Raises:
            ProcessorInputError: a filter that cannot be understood, or a datasource that the account has not.
            RetrievalAwayError: the index or the embedding model does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """What a file says."""

    text: str
    pages: tuple[str, ...] = ()
    """Its pages, slides or sheets, where it has such."""


class TextExtractor(Protocol):
    """Turns files and addresses into text."""

    async def read(self, file: File) -> ExtractedText:
        """Read a file of any kind that is known.

        Raises:
            FileUnreadableError: it says why.
        """
        ...

    async def fetch(self, url: str) -> ExtractedText:
        """Fetch what stands at an address, through the guard, and read it.

        Raises:
            AddressRefusedError: the address may not be reached.
            FileUnreadableError: it cannot be fetched or read.
        """
        ...

    async def split(self, text: str, *, size: int, overlap: int = 0) -> list[str]:
        """Cut a text where it has seams into pieces of at most `size` characters.

        A piece may begin with up to `overlap` characters, less than half of `size`, of the one before.

        Raises:
            FileUnreadableError: there would be too many.
        """
        ...

    async def select(self, pieces: Sequence[str], *, query: str, limit: int) -> list[str]:
        """Return the pieces that fit a query best, in the order in which they stand."""
        ...


# --- HTTP ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One HTTP request to an address that a user wrote."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    content: bytes | None = None
    follow_redirects: bool = True
    timeout: float = 5.0
    """Seconds for the whole call."""
    connect_timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What an address answered, whatever its status."""

    status: int
    url: str
    """Where it came from in the end."""
    headers: tuple[tuple[str, str], ...]
    content: bytes = field(repr=False)
    """Inflated."""
    charset: str | None
    elapsed: float
    """Seconds."""


class HttpCaller(Protocol):
    """HTTP to addresses that users wrote, through the guard."""

    async def call(self, call: HttpCall) -> HttpAnswer:
        """Send a request and return the answer.

        Raises:
            ProcessorInputError: a method or a header that cannot be sent.
            AddressRefusedError: the address, or one it redirects to, may not be reached.
            HttpCallError: no answer came, or one that is too large.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebResult:
    """One hit of a search of the web."""

    title: str
    text: str
    url: str


class WebSearch(Protocol):
    """The search engine that the operator set."""

    async def search(self, query: str, *, limit: int) -> list[WebResult]:
        """Search the web.

        Raises:
            ProviderNotConfiguredError: the operator set none.
            RunError: one of the provider errors.
        """
        ...


# --- other apps and tools --------------------------------------------------------------------------------


ChunkReceiver = Callable[[JsonObject], Awaitable[None]]
"""Takes chunks by output key: more of a string, more elements of an array, or one whole value."""


class AppCaller(Protocol):
    """Runs other apps of the account as a part of this run."""

    async def call(
        self,
        app: str,
        inputs: JsonObject,
        receive: ChunkReceiver | None = None,
        *,
        used: Callable[[Usage], None],
        announce: Callable[[Sequence[str]], None] | None = None,
    ) -> JsonObject:
        """Run an app, by its id, to its end, and return one value per output key; it has no session.

        `used` is told what the run used, however it ends; `announce` the output keys, in the order of the
        definition, before anything is received.

        Raises:
            ProcessorInputError: no such app, input that it does not take, or apps nested too deep.
            RunError: what ended the run.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    """1-64 letters, digits, `_` and `-`."""
    description: str
    parameters: JsonObject
    """JSON Schema of its arguments, an object."""


class Toolbox(Protocol):
    """Tools that can be called, any number at once."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools."""
        ...

    async def call(self, name: str, arguments: JsonObject) -> str:
        """Call a tool and return what the model is told.

        Raises:
            RunError: it failed; the model is told so.
        """
        ...


class ToolServers(Protocol):
    """Servers of tools that speak the Model Context Protocol."""

    def connect(self, url: str) -> AbstractAsyncContextManager[Toolbox]:
        """Connect to a server at an address of a user and learn its tools.

        Raises:
            AddressRefusedError: the address may not be reached.
            ToolServerError: it does not answer, or what answers makes no sense.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All adapters that a run may use; they speak for the account that the run belongs to."""

    chat: ChatModel
    models: ModelApi
    retriever: Retriever
    texts: TextExtractor
    http: HttpCaller
    web: WebSearch
    apps: AppCaller
    tools: ToolServers
