"""What processors ask of the outside world, as protocols; adapters live in other packages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Any
JsonObject = dict[str, Any]


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
    return left if right is None else right if left is None else left + right


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One call of a chat model."""

    provider: str
    """Slug of the provider whose address, key and defaults are used."""
    model: str
    messages: Sequence[JsonObject]
    """In the OpenAI wire form, oldest first."""
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


class ChatModel(Protocol):
    """A chat model behind any provider."""

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        """Call the model and hand over its deltas as they arrive; return the usage it reported.

        What arrived before a failure has been handed over. Cancelling closes the connection at once.

        Raises:
            RunError: one of the provider errors of `llmstack_api.errors`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All adapters a run may use; opened once a process."""

    chat: ChatModel
