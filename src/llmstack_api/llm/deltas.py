"""Reads the events of an OpenAI-compatible answer into the deltas of its choices."""

import re
from typing import Any, Final, cast

import orjson

from llmstack_api.engine.ports import ChatDelta, JsonObject, Usage
from llmstack_api.errors import ProviderFailedError, RunError
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import failed_midway

MAX_CHOICES: Final = 128
"""Most choices of one answer, and most tool calls of a choice; OpenAI's own limits."""

_SMALL: Final = 65_536
_MAX_OBJECTS: Final = 50_000
"""Most objects and arrays of one event, or of an answer in one piece."""

_MAX_TOKENS: Final = 2**53
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class _NonsenseError(ValueError):
    """An event that is not what an answer is made of."""


class Answer:
    """What one call has said so far."""

    __slots__ = ("_calls", "_endpoint", "_finished", "_seen", "done", "failure", "usage")

    def __init__(self, endpoint: Endpoint) -> None:
        self.usage = Usage()
        self.done = False
        """`[DONE]` came, or the answer was in one piece."""
        self.failure: RunError | None = None
        """What went wrong, to be raised once the deltas before it are handed over."""
        self._endpoint = endpoint
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}

    @property
    def begun(self) -> bool:
        """Some choice has been named."""
        return bool(self._seen)

    @property
    def whole(self) -> bool:
        """Nothing more has to come: `[DONE]`, or a finish reason for every choice."""
        return self.done or (bool(self._finished) and self._finished >= self._seen)

    def take(self, events: list[bytes]) -> list[ChatDelta]:
        """Give what the events of one network read say: one delta a choice, up to the first bad event."""
        deltas: dict[int, ChatDelta] = {}
        try:
            for data in events:
                if data[:1] == b"[" and data.strip() == b"[DONE]":
                    self.done = True
                    break
                self._take_event(_loads(data), deltas)
        except ValueError:
            self.failure = ProviderFailedError(f"{self._endpoint.name} sent something that makes no sense.")
        except RunError as error:
            self.failure = error
        self._seen.update(deltas)
        return list(deltas.values())

    def take_whole(self, body: bytes) -> list[ChatDelta]:
        """Give what an answer in one piece says."""
        deltas = self.take([body])
        if not self.failure and not deltas:
            self.failure = ProviderFailedError(f"{self._endpoint.name} answered without any choice.")
        self.done = True
        return deltas

    def _take_event(self, event: Any, deltas: dict[int, ChatDelta]) -> None:  # noqa: ANN401 # JSON
        fields = _object(event)
        if fields.get("error") or fields.get("object") == "error":
            raise failed_midway(self._endpoint, fields)
        if choices := fields.get("choices"):
            for choice in _list(choices):
                self._take_choice(_object(choice), deltas)
        if usage := fields.get("usage"):
            counts = _object(usage)
            self.usage = Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")))

    def _take_choice(self, choice: JsonObject, deltas: dict[int, ChatDelta]) -> None:
        index = choice.get("index")
        if index is None:
            index = 0
        delta = deltas.get(index) if type(index) is int else None
        if delta is None:
            delta = deltas[index] = ChatDelta(index=_number(index))
        if said := choice.get("delta") or choice.get("message"):
            content = _object(said).get("content")
            if type(content) is str:
                delta.text += content
            elif content is not None:
                delta.text += _joined(content)
            if len(said) > 1 or content is None:
                self._take_rest(said, delta)
        if reason := choice.get("finish_reason"):
            delta.finish_reason = _text(reason)
            self._finished.add(index)

    def _take_rest(self, said: JsonObject, delta: ChatDelta) -> None:
        if role := said.get("role"):
            delta.role = _text(role)
        if reasoning := said.get("reasoning_content") or said.get("reasoning"):
            delta.reasoning += _text(reasoning)
        if refusal := said.get("refusal"):
            delta.text += _text(refusal)
        if calls := said.get("tool_calls"):
            fragments = [self._fragment(_object(call), delta.index) for call in _list(calls)]
            delta.tool_calls = (delta.tool_calls or []) + fragments
        if call := said.get("function_call"):
            fragment = _function(_object(call))
            if delta.function_call:
                fragment["name"] = delta.function_call["name"] + fragment["name"]
                fragment["arguments"] = delta.function_call["arguments"] + fragment["arguments"]
            delta.function_call = fragment

    def _fragment(self, call: JsonObject, choice: int) -> JsonObject:
        newest = self._calls.get(choice, -1)
        index = call.get("index")
        if index is None:
            # Servers that leave it out send a call's id with its first fragment.
            index = newest + 1 if call.get("id") or newest < 0 else newest
        self._calls[choice] = max(newest, _number(index))
        fragment: JsonObject = {"index": index}
        for name in ("id", "type"):
            if value := call.get(name):
                fragment[name] = _text(value)
        if function := call.get("function"):
            fragment["function"] = _function(_object(function))
        return fragment


def _function(call: JsonObject) -> JsonObject:
    arguments = call.get("arguments") or ""
    if type(arguments) is dict:
        arguments = orjson.dumps(arguments).decode()
    return {"name": _text(call.get("name") or ""), "arguments": _text(arguments)}


def _joined(parts: Any) -> str:  # noqa: ANN401 # JSON
    """Join the text of content that comes in parts."""
    return "".join(_text(part.get("text") or "") for part in map(_object, _list(parts)))


def _object(value: Any) -> JsonObject:  # noqa: ANN401 # JSON
    if type(value) is not dict:
        raise _NonsenseError
    return cast("JsonObject", value)


def _list(value: Any) -> list[Any]:  # noqa: ANN401 # JSON
    if type(value) is not list or len(cast("list[Any]", value)) > MAX_CHOICES:
        raise _NonsenseError
    return cast("list[Any]", value)


def _text(value: Any) -> str:  # noqa: ANN401 # JSON
    if type(value) is not str:
        raise _NonsenseError
    return value


def _number(value: Any) -> int:  # noqa: ANN401 # JSON
    if type(value) is not int or not 0 <= value < MAX_CHOICES:
        raise _NonsenseError
    return value


def _count(value: Any) -> int | None:  # noqa: ANN401 # JSON
    return value if type(value) is int and 0 <= value <= _MAX_TOKENS else None


def _loads(data: bytes) -> Any:  # noqa: ANN401 # JSON
    if len(data) > _SMALL and data.count(b"{") + data.count(b"[") > _MAX_OBJECTS:
        raise _NonsenseError  # before it is parsed: objects take many times the bytes that they are written in
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return orjson.loads(_harmless(data))


def _harmless(data: bytes) -> str:
    """Put U+FFFD where bytes or escapes stand for no character, which would break every later encoding."""
    return _ESCAPE.sub(
        lambda escape: r"\ufffd" if escape[1] else escape[0], data.decode("utf-8", errors="replace")
    )
