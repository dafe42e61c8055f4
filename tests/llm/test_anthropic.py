"""Anthropic's `/messages`: what is sent and what is read, before a server that refuses what the real one refuses."""

from typing import Any

import orjson
import pytest

from llmstack_api.engine.ports import ChatDelta, ChatModel, ChatRequest, JsonObject, Usage
from llmstack_api.errors import (
    ProviderBusyError,
    ProviderFailedError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RunError,
)
from tests.fake_model import FakeModel
from tests.llm.conversation import KEY

HELLO: JsonObject = {"role": "user", "content": "Hello there"}
LOOK_UP: JsonObject = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks up.", "parameters": {"properties": {"q": {}}}},
}
CALL: JsonObject = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"q": 1}'},
}
SCHEMA: JsonObject = {"type": "object", "properties": {"answer": {"type": "string"}}}
JSON_SCHEMA: JsonObject = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}


class Talk:
    """One conversation, and all that came of it."""

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat
        self.deltas: list[ChatDelta] = []

    async def ask(self, model: str, *messages: JsonObject, stream: bool = True, **parameters: Any) -> Usage:
        request = ChatRequest(
            provider="anthropic",
            model=model,
            messages=messages or [HELLO],
            parameters=parameters,
            stream=stream,
        )
        return await self._chat.chat(request, self._receive)

    async def _receive(self, deltas: list[ChatDelta]) -> None:
        self.deltas += deltas

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        return "".join(delta.reasoning for delta in self.deltas)

    @property
    def finish_reason(self) -> str | None:
        return self.deltas[-1].finish_reason

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """Id, name and arguments of each call."""
        joined: dict[int, list[str]] = {}
        for fragment in [part for delta in self.deltas for part in delta.tool_calls or ()]:
            call = joined.setdefault(fragment["index"], ["", "", ""])
            call[0] += fragment.get("id", "")
            call[1] += fragment["function"]["name"]
            call[2] += fragment["function"]["arguments"]
        return [(call[0], call[1], call[2]) for _, call in sorted(joined.items())]


@pytest.fixture
def talk(chat: ChatModel) -> Talk:
    return Talk(chat)


# --- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_question_is_answered(talk: Talk, model: FakeModel, *, stream: bool) -> None:
    usage = await talk.ask(
        "echo", {"role": "system", "content": "Be kind."}, HELLO, stream=stream, temperature=0.2
    )
    assert talk.text == "Hello there"
    assert talk.deltas[0].role == "assistant"
    assert talk.finish_reason == "stop"
    assert usage.output_tokens == 2
    assert usage.input_tokens
    assert model.last.path == "/v1/messages"
    assert model.last.headers["x-api-key"] == KEY
    assert model.last.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in model.last.headers
    assert model.last.body == {
        "model": "echo",
        "max_tokens": 1024,
        "system": "Be kind.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello there"}]}],
        "temperature": 0.2,
        "stream": stream,
    }


@pytest.mark.parametrize("name", ["pings", "plain-json", "no-stop", "delay:0.1", "echo:usage=no"])
async def test_every_sort_of_server_is_understood(talk: Talk, name: str) -> None:
    await talk.ask(name)
    assert talk.text == "Hello there"
    assert talk.finish_reason == "stop"


async def test_a_server_that_tells_no_usage_is_not_guessed_for(talk: Talk) -> None:
    assert await talk.ask("echo:usage=no") == Usage(None, None)


async def test_what_one_read_brings_comes_in_one_delta(talk: Talk) -> None:
    usage = await talk.ask("count:500")
    assert len(talk.text.split()) == 500
    assert usage.output_tokens == 500
    assert len(talk.deltas) < 500


@pytest.mark.parametrize("stream", [True, False])
async def test_thoughts_come_apart_from_text(talk: Talk, *, stream: bool) -> None:
    await talk.ask("thinking", stream=stream)
    assert (talk.reasoning, talk.text) == ("Let me think.", "Hello there")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("name", "reason"), [("limit", "length"), ("refusal", "content_filter"), ("empty", "stop")]
)
async def test_reasons_to_stop_have_openais_names(
    talk: Talk, name: str, reason: str, *, stream: bool
) -> None:
    await talk.ask(name, stream=stream)
    assert talk.finish_reason == reason


@pytest.mark.parametrize("stream", [True, False])
async def test_tools_are_called_side_by_side_and_their_results_go_back(
    talk: Talk, model: FakeModel, *, stream: bool
) -> None:
    name = 'tools:look_up{"q":1};other{}:say=Looking'
    await talk.ask(name, stream=stream, tools=[LOOK_UP])
    assert talk.text == "Looking"
    assert talk.calls == [("toolu_1_1", "look_up", '{"q":1}'), ("toolu_1_2", "other", "{}")]
    assert talk.finish_reason == "tool_calls"
    assert model.last.body["tools"] == [
        {
            "name": "look_up",
            "description": "Looks up.",
            "input_schema": {"type": "object", "properties": {"q": {}}},
        }
    ]
    calls = [
        {"id": key, "type": "function", "function": {"name": tool, "arguments": arguments}}
        for key, tool, arguments in talk.calls
    ]
    results = [{"role": "tool", "tool_call_id": key, "content": f"{tool}'s"} for key, tool, _ in talk.calls]
    talk.deltas.clear()
    await talk.ask(
        name, HELLO, {"role": "assistant", "content": None, "tool_calls": calls}, *results, tools=[LOOK_UP]
    )
    assert talk.text == "look_up's other's"
    assert talk.finish_reason == "stop"


async def test_the_last_step_of_an_agent_may_offer_no_tools(talk: Talk, model: FakeModel) -> None:
    called = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    await talk.ask(
        "tools-forever:look_up{}",
        HELLO,
        called,
        {"role": "tool", "tool_call_id": "call_1", "content": "found"},
    )
    assert talk.text == "found"
    assert model.last.body["tool_choice"] == {"type": "none"}
    assert [tool["name"] for tool in model.last.body["tools"]] == ["look_up"]


@pytest.mark.parametrize("stream", [True, False])
async def test_functions_of_the_older_form_are_called_in_it(talk: Talk, *, stream: bool) -> None:
    functions = [LOOK_UP["function"]]
    await talk.ask('tools:look_up{"q":1}', stream=stream, functions=functions)
    calls = [delta.function_call for delta in talk.deltas if delta.function_call]
    assert "".join(call["name"] for call in calls) == "look_up"
    assert "".join(call["arguments"] for call in calls) == '{"q":1}'
    assert talk.finish_reason == "function_call"
    talk.deltas.clear()
    called = {"role": "assistant", "content": "", "function_call": CALL["function"]}
    result = {"role": "function", "name": "look_up", "content": "found"}
    await talk.ask('tools:look_up{"q":1}', HELLO, called, result, functions=functions)
    assert talk.text == "found"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_by_a_schema_comes_as_text_that_streams(
    talk: Talk, model: FakeModel, *, stream: bool
) -> None:
    await talk.ask("json", stream=stream, response_format=JSON_SCHEMA)
    assert orjson.loads(talk.text) == {"answer": "Hello there"}
    assert talk.calls == []
    assert talk.finish_reason == "stop"
    assert model.last.body["tool_choice"] == {"type": "tool", "name": "reply"}
    assert model.last.body["tools"][0]["input_schema"] == SCHEMA


async def test_an_answer_by_a_schema_that_comes_as_text_all_the_same_is_taken(talk: Talk) -> None:
    await talk.ask("echo", {"role": "user", "content": '{"answer": 1}'}, response_format=JSON_SCHEMA)
    assert talk.text == '{"answer": 1}'


async def test_with_tools_beside_it_the_answer_is_one_of_them(talk: Talk, model: FakeModel) -> None:
    name = 'tools:look_up{}|reply{"answer":"x"}:say=Hm'
    await talk.ask(name, tools=[LOOK_UP], response_format=JSON_SCHEMA)
    assert talk.calls == [("toolu_1_1", "look_up", "{}")]
    assert talk.text == ""
    assert talk.finish_reason == "tool_calls"
    assert model.last.body["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in model.last.body["tools"]] == ["look_up", "reply"]
    talk.deltas.clear()
    called = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": ""}
    await talk.ask(name, HELLO, called, result, tools=[LOOK_UP], response_format=JSON_SCHEMA)
    assert (talk.text, talk.finish_reason) == ('{"answer":"x"}', "stop")


# --- faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("drop", ProviderFailedError, "broke the connection off"),
        ("cut", ProviderFailedError, "broke off its answer"),
        ("malformed", ProviderFailedError, "makes no sense"),
        ("error-event", ProviderFailedError, "Internal server error"),
        ("error-event:overloaded_error", ProviderBusyError, "Overloaded"),
        ("hang-mid", ProviderTimeoutError, "sent nothing"),
    ],
)
async def test_a_fault_is_told_after_what_came_before_it(
    talk: Talk, model: FakeModel, name: str, kind: type[RunError], says: str
) -> None:
    with pytest.raises(kind, match=says) as failed:
        await talk.ask(name)
    assert talk.text == "word0 word1 "
    assert (failed.value.retry_after is not None) == (kind is ProviderBusyError)
    assert len(model.requests) == 1
    await model.until(lambda: model.open_calls == 0)


@pytest.mark.parametrize(
    ("name", "kind", "calls"),
    [
        ("status:401", ProviderRefusedError, 1),
        ("status:404", ProviderRefusedError, 1),
        ("status:429:retry-after=0", ProviderBusyError, 3),
        ("status:529", ProviderBusyError, 3),
        ("status:500", ProviderFailedError, 3),
        ("drop-before", ProviderFailedError, 3),
        ("not-an-answer", ProviderFailedError, 1),
        ("html", ProviderFailedError, 1),
        ("nothing", ProviderFailedError, 1),
        ("hang", ProviderTimeoutError, 1),
    ],
)
async def test_an_answer_that_never_began_is_told_without_the_key(
    talk: Talk, model: FakeModel, name: str, kind: type[RunError], calls: int
) -> None:
    with pytest.raises(kind) as failed:
        await talk.ask(name)
    assert KEY not in str(failed.value)
    assert len(model.requests) == calls
    assert talk.deltas == []


async def test_a_busy_model_is_asked_again(talk: Talk, model: FakeModel) -> None:
    await talk.ask("status:529:times=2")
    assert talk.text == "Hello there"
    assert len(model.requests) == 3


async def test_an_answer_that_stopped_is_whole_although_its_end_hangs(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmstack_api.llm.call.TRAILING", 0.1)
    await talk.ask("hang-end")
    assert talk.text == "Hello there"
