"""One turn with a chat model: asked, its answer emitted as it comes, remembered where it is to be."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from llmstack_api.engine.ports import ChatDelta, ChatRequest, JsonObject
from llmstack_api.engine.processor import Emit, FieldPath, ProcessorModel, StepContext
from llmstack_api.errors import ProcessorInputError, ProviderFailedError, StepTimeoutError
from llmstack_api.known_providers import is_reasoning
from llmstack_api.processors.chat import Message
from llmstack_api.processors.structured import ParsedAnswer
from llmstack_api.processors.tool_calls import MAX_CALLS, ToolCalls

MAX_HISTORY: Final = 1000
"""Most messages of the history that are ever sent."""

_UPSTREAMS_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "anthropic": {
        "claude-3-opus": "claude-3-opus-latest",
        "claude-3-sonnet": "claude-3-sonnet-20240229",
        "claude-3-haiku": "claude-3-haiku-20240307",
        "claude-3-5-haiku": "claude-3-5-haiku-latest",
        "claude-3-5-sonnet": "claude-3-5-sonnet-latest",
    }
}
"""Names that definitions of LLMStack have, by provider, and what the provider calls these models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked."""

    provider: str
    model: str
    turn: Sequence[JsonObject]
    """Messages of this turn, in OpenAI's wire form."""
    base_url: str | None = None
    system: str = ""
    """Instructions; none are sent where they are blank."""
    earlier: Sequence[JsonObject] = ()
    """A history of the app's own, sent after what the session remembers."""
    history_limit: int = MAX_HISTORY
    """How many messages of the history are sent."""
    parameters: JsonObject = field(default_factory=dict[str, Any])
    stream: bool = True
    timeout: float | None = None
    """Seconds that the call may take."""
    retain: bool = False
    """Whether the session remembers this turn and the answer."""


class AnswerJoiner:
    """Emits an answer as it comes, one text a choice, and joins what comes in fragments."""

    def __init__(self, emit: Emit, texts: Sequence[FieldPath], *, schema: JsonObject | None = None) -> None:
        """Make one that emits the text of each choice at one of the paths; with a schema, the first as JSON too."""
        self.roles = ["assistant"] * len(texts)
        self.calls: list[JsonObject] = [{} for _ in texts]
        """The call in the older form of each choice; empty where it has none."""
        self.finish_reason: str | None = None
        self.emit = emit
        self._paths = texts
        self._parsed = ParsedAnswer(emit, schema) if schema else None
        self._tools = ToolCalls()
        self._said: set[int] = set()
        self._texts: list[str] = []

    @property
    def tool_calls(self) -> list[JsonObject]:
        """The calls of the first choice, joined."""
        return self._tools.joined()

    async def receive(self, deltas: list[ChatDelta]) -> None:
        """Take the deltas of one network read."""
        for delta in deltas:
            if delta.index >= len(self._paths):
                raise ProviderFailedError(
                    f"The model gave more than the {len(self._paths)} answers asked for."
                )
            if delta.text:
                self._said.add(delta.index)
                await self.emit.chunk(self._paths[delta.index], delta.text)
            if delta.role:
                self.roles[delta.index] = delta.role
            if delta.function_call:
                _join(self.calls[delta.index], delta.function_call)
            if delta.index == 0:
                await self._receive_first(delta)

    async def _receive_first(self, delta: ChatDelta) -> None:
        if delta.text:
            self._texts.append(delta.text)
            if self._parsed:
                await self._parsed.take(delta.text)
        if delta.reasoning:
            await self.emit.chunk("reasoning", delta.reasoning)
        for fragment in delta.tool_calls or ():
            self._tools.add(fragment)
        self.finish_reason = delta.finish_reason or self.finish_reason

    async def finish(self) -> None:
        """Emit what is whole only now.

        Raises:
            AnswerMismatchError: the answer does not follow the schema; one that calls something need not.
        """
        for index, path in enumerate(self._paths):
            if index not in self._said:
                await self.emit.chunk(path, "")
        await self.emit_rest()
        await self.emit.value("finish_reason", self.finish_reason)
        if self._parsed and (self._texts or not (self._tools or self.calls[0])):
            await self._parsed.finish(self.finish_reason)

    async def emit_rest(self) -> None:
        """Emit what a kind of answer has besides."""

    def message(self) -> list[JsonObject]:
        """Give the answer as a message to remember; nothing where the model said nothing."""
        message: JsonObject = {"role": "assistant", "content": "".join(self._texts)}
        if self.calls[0]:
            message["function_call"] = self.calls[0]
        return [message] if message["content"] or self.calls[0] else []


def _join(whole: JsonObject, fragment: JsonObject) -> None:
    for name in ("name", "arguments"):
        whole[name] = whole.get(name, "") + (fragment.get(name) or "")
    if len(whole["name"]) + len(whole["arguments"]) > MAX_CALLS:
        raise ProviderFailedError(f"The model wrote a call of more than {MAX_CALLS:,} characters.")


async def ask(question: Question, context: StepContext, *, emit: Emit, answer: AnswerJoiner) -> None:
    """Ask a model; the answer goes through `answer`, the usage to `emit`.

    Raises:
        RunError: what the model's port raises, or a timeout, or an answer that does not follow its schema.
    """
    request = ChatRequest(
        provider=question.provider,
        base_url=(question.base_url or "").strip() or None,
        model=question.model,
        messages=[*_before(question, context), *question.turn],
        parameters=question.parameters,
        stream=question.stream,
    )
    deadline = asyncio.timeout(question.timeout)
    try:
        async with deadline:
            emit.usage(await context.ports.chat.chat(request, answer.receive))
    except TimeoutError:
        if not deadline.expired():
            raise
        raise StepTimeoutError(
            f"The model took longer than config.timeout, {question.timeout:g} s."
        ) from None
    await answer.finish()
    if question.retain:
        kept = [_memorable(message) for message in question.turn if not _is_instruction(message)]
        context.memory.remember(*kept, *answer.message())


def _before(question: Question, context: StepContext) -> list[JsonObject]:
    """Give the system message and the newest of the history."""
    history = [*context.memory.history, *question.earlier]
    history = history[max(0, len(history) - question.history_limit) :]
    while history and history[0]["role"] == "function":
        # A result without the call that it answers is refused by providers.
        del history[0]
    if not question.system.strip():
        return history
    return [{"role": "system", "content": question.system}, *history]


def _is_instruction(message: JsonObject) -> bool:
    return message["role"] in {"system", "developer"}


def _memorable(message: JsonObject) -> JsonObject:
    """Leave out what would fill a session's memory: the data of images."""
    parts = message["content"]
    if isinstance(parts, str):
        return message
    kept = [
        {"type": "text", "text": "[image]"}
        if part["type"] == "image_url" and part["image_url"]["url"].startswith("data:")
        else part
        for part in parts
    ]
    return {**message, "content": kept}


# --- what of an app's input and config is asked --------------------------------------------------------------


def model_of(context: StepContext, *, provider: str, named: str | None, place: str = "config.model") -> str:
    """Return the model that an app names, or the provider's default."""
    name = (named or "").strip()
    model = _UPSTREAMS_NAMES.get(provider, {}).get(name, name) or context.ports.chat.default_model(provider)
    if model is None:
        raise ProcessorInputError(f"{place}: the provider {provider!r} has no default model; name one.")
    return model


def turn_of(messages: Iterable[Message], *, text: str = "content") -> list[JsonObject]:
    """Give the messages of a turn, without those that say nothing.

    Raises:
        ProcessorInputError: one of the user is empty; `text` is what the app calls its text.
    """
    turn: list[JsonObject] = []
    for position, message in enumerate(messages):
        if message.role == "user" and not message.content.strip():
            raise ProcessorInputError(f"input.messages[{position}].{text}: the user's message is empty.")
        if message.says_something:
            turn.append(message.wire())
    return turn


def there_is(turn: list[JsonObject], *, place: str = "input.messages") -> list[JsonObject]:
    """Return a turn that has messages.

    Raises:
        ProcessorInputError: it has none.
    """
    if not turn:
        raise ProcessorInputError(f"{place}: there is no message to answer.")
    return turn


def sampling(
    model: str, *, max_tokens: int | None, temperature: float | None, given: AbstractSet[str]
) -> JsonObject:
    """Give the parameters that every model takes; a reasoning model gets only those that an app has `given`."""
    reasoning = is_reasoning(model)
    parameters: JsonObject = {}
    if max_tokens and (not reasoning or "max_tokens" in given):
        parameters["max_completion_tokens" if reasoning else "max_tokens"] = max_tokens
    if temperature is not None and (not reasoning or "temperature" in given):
        parameters["temperature"] = temperature
    return parameters


def chosen(config: ProcessorModel, wire_names: Mapping[str, str]) -> JsonObject:
    """Give the parameters that a config has, by the names that they have on the wire; not those left empty."""
    values = {wire: getattr(config, name) for name, wire in wire_names.items()}
    return {wire: value for wire, value in values.items() if value not in (None, "", [], {})}
