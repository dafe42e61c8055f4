"""Reads the events of an OpenAI-compatible answer, chat or completion, into the deltas of its choices."""

from typing import Any

import orjson

from llmstack_api.engine.ports import ChatDelta, JsonObject, Usage
from llmstack_api.errors import ProviderFailedError, RunError
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import failed_midway
from llmstack_api.llm.values import as_count, as_index, as_list, as_object, as_text, loads


class _Calls:
    """Places of the tool calls of one choice; not every server numbers them well."""

    __slots__ = ("_ids", "_places")

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        """What is known of each, by its place."""
        self._places: dict[int | None, int] = {}
        """Where the newest call of a number stands; None is that of all calls without one."""

    def place(self, number: int | None, *, key: str, named: bool) -> int:
        """Say which call a fragment with this id belongs to; `named`: it has a function's name."""
        place = self._places.get(number)
        if place is None or self._is_another(place, number, key=key, named=named):
            free = None if number in self._ids else number
            place = as_index(max(self._ids, default=-1) + 1) if free is None else free
        self._places[number] = place
        self._ids[place] = self._ids.get(place) or key
        return place

    def _is_another(self, place: int, number: int | None, *, key: str, named: bool) -> bool:
        known = self._ids[place]
        differs = bool(key and known and key != known)
        # Some servers give all calls the number 0; some give each fragment of a call an id of its own.
        return named or differs if number is None else named and differs


class Answer:
    """What one call has said so far."""

    __slots__ = ("_calls", "_endpoint", "_finished", "_seen", "done", "failure", "kind", "usage")

    def __init__(self, endpoint: Endpoint, *, kind: str = "a chat completion") -> None:
        self.kind = kind
        self.usage = Usage()
        self.done = False
        """`[DONE]` came, or the answer was in one piece."""
        self.failure: RunError | None = None
        """What went wrong, to be raised once the deltas before it are handed over."""
        self._endpoint = endpoint
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, _Calls] = {}

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
                self._take_event(loads(data), deltas)
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
        fields = as_object(event)
        if fields.get("error") or fields.get("object") == "error":
            raise failed_midway(self._endpoint, fields)
        if choices := fields.get("choices"):
            for choice in as_list(choices):
                self._take_choice(as_object(choice), deltas)
        if usage := fields.get("usage"):
            counts = as_object(usage)
            self.usage = Usage(
                as_count(counts.get("prompt_tokens")), as_count(counts.get("completion_tokens"))
            )

    def _take_choice(self, choice: JsonObject, deltas: dict[int, ChatDelta]) -> None:
        index = choice.get("index")
        if index is None:
            index = 0
        delta = deltas.get(index) if type(index) is int else None
        if delta is None:
            delta = deltas[index] = ChatDelta(index=as_index(index))
        if said := choice.get("delta") or choice.get("message"):
            content = as_object(said).get("content")
            if type(content) is str:
                delta.text += content
            elif content is not None:
                delta.text += _joined(content)
            if len(said) > 1 or content is None:
                self._take_rest(said, delta)
        elif text := choice.get("text"):
            delta.text += as_text(text)
        if reason := choice.get("finish_reason"):
            delta.finish_reason = as_text(reason)
            self._finished.add(index)

    def _take_rest(self, said: JsonObject, delta: ChatDelta) -> None:
        if role := said.get("role"):
            delta.role = as_text(role)
        if reasoning := said.get("reasoning_content") or said.get("reasoning"):
            delta.reasoning += as_text(reasoning)
        if refusal := said.get("refusal"):
            delta.text += as_text(refusal)
        if calls := said.get("tool_calls"):
            fragments = [self._fragment(as_object(call), delta.index) for call in as_list(calls)]
            delta.tool_calls = (delta.tool_calls or []) + fragments
        if call := said.get("function_call"):
            fragment = _function(as_object(call))
            if delta.function_call:
                fragment["name"] = delta.function_call["name"] + fragment["name"]
                fragment["arguments"] = delta.function_call["arguments"] + fragment["arguments"]
            delta.function_call = fragment

    def _fragment(self, call: JsonObject, choice: int) -> JsonObject:
        fragment: JsonObject = {"index": 0}
        for name in ("id", "type"):
            if value := call.get(name):
                fragment[name] = as_text(value)
        if function := call.get("function"):
            fragment["function"] = _function(as_object(function))
        number = call.get("index")
        fragment["index"] = self._calls.setdefault(choice, _Calls()).place(
            None if number is None else as_index(number),
            key=fragment.get("id", ""),
            named=bool(fragment.get("function", {}).get("name")),
        )
        return fragment


def _function(call: JsonObject) -> JsonObject:
    arguments = call.get("arguments") or ""
    if type(arguments) is dict:
        arguments = orjson.dumps(arguments).decode()
    return {"name": as_text(call.get("name") or ""), "arguments": as_text(arguments)}


def _joined(parts: Any) -> str:  # noqa: ANN401 # JSON
    """Join the text of content that comes in parts."""
    return "".join(as_text(part.get("text") or "") for part in map(as_object, as_list(parts)))
