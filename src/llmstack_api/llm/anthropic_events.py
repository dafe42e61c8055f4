"""Reads the events of an answer of Anthropic's `/messages` into deltas of OpenAI's form."""

from typing import Final

import orjson

from llmstack_api.engine.ports import MAX_TOKENS, ChatDelta, JsonObject, Usage
from llmstack_api.errors import ProviderFailedError, RunError
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import failed_midway
from llmstack_api.llm.values import NonsenseError, as_count, as_index, as_list, as_object, as_text, loads

_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_BUSY: Final = frozenset({"overloaded_error", "rate_limit_error"})
_INPUT: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MAX_ASIDE: Final = 1_000_000
"""Characters beside an answer that is due by a tool."""


class _Call:
    """A call of a tool while its arguments come."""

    __slots__ = ("index", "said")

    def __init__(self, index: int | None) -> None:
        self.index = index
        """Its place among the calls; None for the answer's tool, whose arguments are the text."""
        self.said = False


class MessageAnswer:
    """What one call has said so far (an `Answer` of `answering`)."""

    def __init__(self, endpoint: Endpoint, *, answer_tool: str | None, function_calls: bool) -> None:
        self.kind = "a message"
        self.usage = Usage()
        self.done = False
        self.failure: RunError | None = None
        self.begun = False
        self.whole = False
        self._endpoint = endpoint
        self._answer_tool = answer_tool
        self._function_calls = function_calls
        self._calls: dict[int, _Call] = {}
        self._count = 0
        self._answered = False
        self._aside: list[str] = []
        self._aside_size = 0

    def take(self, events: list[bytes]) -> list[ChatDelta]:
        """Give what the events of one network read say, as one delta, up to the first bad event."""
        delta = ChatDelta()
        try:
            for data in events:
                self._take_event(as_object(loads(data)), delta)
                if self.done:
                    break
        except ValueError:
            self.failure = ProviderFailedError(f"{self._endpoint.name} sent something that makes no sense.")
        except RunError as error:
            self.failure = error
        return [delta] if delta != ChatDelta() else []

    def take_whole(self, body: bytes) -> list[ChatDelta]:
        """Give what an answer in one piece says."""
        delta = ChatDelta()
        try:
            message = as_object(loads(body))
            if message.get("type") == "error":
                self._take_event(message, delta)
            if message.get("type") == "message":
                self._begin(message, delta)
                for index, block in enumerate(as_list(message.get("content"))):
                    self._open(index, as_object(block), delta)
                    self._close(index, delta)
                self._stop(message.get("stop_reason") or "end_turn", delta)
                self.done = True
        except ValueError:
            self.failure = ProviderFailedError(f"{self._endpoint.name} sent something that makes no sense.")
        except RunError as error:
            self.failure = error
        return [delta] if self.begun else []

    def _take_event(self, event: JsonObject, delta: ChatDelta) -> None:
        match event.get("type"):
            case "content_block_delta":
                self._grow(as_index(event.get("index")), as_object(event.get("delta")), delta)
            case "content_block_start":
                self._open(as_index(event.get("index")), as_object(event.get("content_block")), delta)
            case "content_block_stop":
                self._close(as_index(event.get("index")), delta)
            case "message_start":
                self._begin(as_object(event.get("message")), delta)
            case "message_delta":
                self._count_tokens(event.get("usage"))
                if reason := as_object(event.get("delta")).get("stop_reason"):
                    self._stop(as_text(reason), delta)
            case "message_stop":
                self.whole = self.done = True
            case "error":
                kind = as_object(event.get("error") or {}).get("type")
                raise failed_midway(self._endpoint, event, busy=kind in _BUSY)
            case _:
                pass  # pings, and what is added to the wire form later

    def _begin(self, message: JsonObject, delta: ChatDelta) -> None:
        self.begun = True
        delta.role = "assistant"
        self._count_tokens(message.get("usage"))

    def _open(self, index: int, block: JsonObject, delta: ChatDelta) -> None:
        """Begin a block; in an answer of one piece it is whole already."""
        match block.get("type"):
            case "text":
                self._say(as_text(block.get("text") or ""), delta)
            case "thinking":
                delta.reasoning += as_text(block.get("thinking") or "")
            case "tool_use":
                self._open_call(index, block, delta)
            case _:
                pass

    def _open_call(self, index: int, block: JsonObject, delta: ChatDelta) -> None:
        name = as_text(block.get("name"))
        if name == self._answer_tool:
            call = _Call(None)
            if self._answered:
                return  # a second answer would make the first no JSON
            self._answered = True
        else:
            call = _Call(as_index(self._count))
            self._count += 1
            self._call(call, delta, name=name, identity=as_text(block.get("id")))
        self._calls[index] = call
        if given := block.get("input"):
            self._argue(call, orjson.dumps(as_object(given)).decode(), delta)

    def _grow(self, index: int, said: JsonObject, delta: ChatDelta) -> None:
        match said.get("type"):
            case "text_delta":
                self._say(as_text(said.get("text")), delta)
            case "input_json_delta":
                if call := self._calls.get(index):
                    self._argue(call, as_text(said.get("partial_json")), delta)
            case "thinking_delta":
                delta.reasoning += as_text(said.get("thinking"))
            case _:
                pass  # signatures, citations

    def _close(self, index: int, delta: ChatDelta) -> None:
        if (call := self._calls.get(index)) and not call.said:
            self._argue(call, "{}", delta)

    def _say(self, text: str, delta: ChatDelta) -> None:
        if self._answer_tool is None:
            delta.text += text
            return
        # The answer is due by its tool; this counts only where none comes.
        self._aside.append(text)
        self._aside_size += len(text)
        if self._aside_size > _MAX_ASIDE:
            raise NonsenseError

    def _argue(self, call: _Call, arguments: str, delta: ChatDelta) -> None:
        if not arguments:
            return
        call.said = True
        if call.index is None:
            delta.text += arguments
        else:
            self._call(call, delta, arguments=arguments)

    def _call(
        self, call: _Call, delta: ChatDelta, *, name: str = "", identity: str = "", arguments: str = ""
    ) -> None:
        """Put more of a call into the delta."""
        function = {"name": name, "arguments": arguments}
        if not self._function_calls:
            fragment: JsonObject = {"index": call.index, "function": function}
            if identity:
                fragment |= {"id": identity, "type": "function"}
            delta.tool_calls = [*(delta.tool_calls or []), fragment]
        elif call.index == 0:  # the older form knows one call only
            before = delta.function_call or {"name": "", "arguments": ""}
            delta.function_call = {
                "name": before["name"] + name,
                "arguments": before["arguments"] + arguments,
            }

    def _stop(self, reason: str, delta: ChatDelta) -> None:
        if self._aside and not self._answered and not self._count:
            delta.text += "".join(self._aside)
            self._aside.clear()
        if reason == "tool_use":
            called = "function_call" if self._function_calls else "tool_calls"
            delta.finish_reason = called if self._count else "stop"
        else:
            delta.finish_reason = _REASONS.get(reason, reason)
        self.whole = True

    def _count_tokens(self, usage: object) -> None:
        if usage is None:
            return
        counts = as_object(usage)
        given = [count for name in _INPUT if (count := as_count(counts.get(name))) is not None]
        output = as_count(counts.get("output_tokens"))
        self.usage = Usage(
            min(sum(given), MAX_TOKENS) if given else self.usage.input_tokens,
            self.usage.output_tokens if output is None else output,
        )
