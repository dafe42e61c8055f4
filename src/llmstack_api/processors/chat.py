"""What chat processors share: messages as apps write them, and an answer joined from its deltas."""

from typing import Annotated, Literal

import orjson
from pydantic import BeforeValidator

from llmstack_api.engine.ports import ChatDelta, Json, JsonObject
from llmstack_api.engine.processor import Emit, FieldPath, ProcessorModel
from llmstack_api.errors import ProviderFailedError


def _as_text(value: Json) -> Json:
    """Take what a template of one bare variable may give where text is due."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def _as_object(value: Json) -> Json:
    """Take an object that is written as JSON text; blank is none."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"must be an object or its JSON: {error}") from None


Text = Annotated[str, BeforeValidator(_as_text)]
Object = Annotated[JsonObject | None, BeforeValidator(_as_object)]


class FunctionCall(ProcessorModel):
    """A call that the model asked for."""

    name: Text = ""
    arguments: Text = ""
    """JSON, as text."""


class Message(ProcessorModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "function"] = "user"
    content: Text = ""
    name: Text = ""
    """Of the function, in a message of the role `function`; else of the author."""
    function_call: FunctionCall | None = None
    """In a message of the assistant that asked for a call; an empty object is none."""

    @property
    def says_something(self) -> bool:
        """It has a text, or a call, or is a function's result, which may be empty."""
        called = self.function_call is not None and bool(self.function_call.name)
        return bool(self.content.strip()) or called or self.role == "function"

    def wire(self) -> JsonObject:
        """Give it in the provider's form."""
        wire: JsonObject = {"role": self.role, "content": self.content}
        if self.name:
            wire["name"] = self.name
        if self.function_call and self.function_call.name:
            wire["function_call"] = self.function_call.model_dump()
        return wire


class Function(ProcessorModel):
    """A function that the model may ask to have called."""

    name: Text = ""
    description: Text = ""
    parameters: Object = None
    """JSON Schema of its arguments."""

    def wire(self) -> JsonObject:
        """Give it in the provider's form."""
        wire: JsonObject = {
            "name": self.name,
            "parameters": self.parameters or {"type": "object", "properties": {}},
        }
        return wire | {"description": self.description} if self.description else wire


class Choice(ProcessorModel):
    """One answer."""

    role: str = "assistant"
    content: str = ""
    function_call: FunctionCall | None = None


MAX_CALL = 256 * 1024
"""Most characters of one tool or function call."""


class AnswerJoiner:
    """Emits deltas as they come and joins what comes in fragments."""

    def __init__(self, emit: Emit, choices: int) -> None:
        self._emit = emit
        self._paths: list[FieldPath] = [("choices", index, "content") for index in range(choices)]
        self._roles = ["assistant"] * choices
        self._calls: list[JsonObject] = [{} for _ in range(choices)]
        self._tools: dict[int, JsonObject] = {}
        self._finish_reason: str | None = None
        self._said: set[int] = set()
        self._texts: list[str] = []

    async def receive(self, deltas: list[ChatDelta]) -> None:
        """Take the deltas of one network read."""
        for delta in deltas:
            if delta.index >= len(self._paths):
                raise ProviderFailedError(
                    f"The model gave more than the {len(self._paths)} answers asked for."
                )
            if delta.text:
                self._said.add(delta.index)
                await self._emit.chunk(self._paths[delta.index], delta.text)
            if delta.role:
                self._roles[delta.index] = delta.role
            if delta.function_call:
                _join(self._calls[delta.index], delta.function_call)
            if delta.index == 0:
                await self._receive_first(delta)

    async def _receive_first(self, delta: ChatDelta) -> None:
        if delta.text:
            self._texts.append(delta.text)
        if delta.reasoning:
            await self._emit.chunk("reasoning", delta.reasoning)
        for fragment in delta.tool_calls or ():
            call = self._tools.setdefault(fragment["index"], {"id": "", "type": "function", "function": {}})
            call["id"] = fragment.get("id") or call["id"]
            _join(call["function"], fragment.get("function") or {})
        self._finish_reason = delta.finish_reason or self._finish_reason

    async def finish(self) -> None:
        """Emit what is whole only now."""
        for index, path in enumerate(self._paths):
            if index not in self._said:
                await self._emit.chunk(path, "")
            await self._emit.value(("choices", index, "role"), self._roles[index])
            if call := self._calls[index]:
                await self._emit.value(("choices", index, "function_call"), call)
        await self._emit.value("tool_calls", [call for _, call in sorted(self._tools.items())])
        await self._emit.value("finish_reason", self._finish_reason)

    def parsed(self) -> Json:
        """Read the answer as JSON."""
        try:
            return orjson.loads("".join(self._texts))
        except orjson.JSONDecodeError:
            raise ProviderFailedError(
                "The answer is not the JSON that response_schema asks for "
                f"(finish reason: {self._finish_reason})."
            ) from None

    def message(self) -> list[JsonObject]:
        """Give the answer as a message to remember; nothing where the model said nothing."""
        message: JsonObject = {"role": "assistant", "content": "".join(self._texts)}
        if self._calls[0]:
            message["function_call"] = self._calls[0]
        return [message] if message["content"] or self._calls[0] else []


def _join(whole: JsonObject, fragment: JsonObject) -> None:
    for name in ("name", "arguments"):
        whole[name] = whole.get(name, "") + (fragment.get(name) or "")
    if len(whole["name"]) + len(whole["arguments"]) > MAX_CALL:
        raise ProviderFailedError(f"The model wrote a call of more than {MAX_CALL} characters.")
