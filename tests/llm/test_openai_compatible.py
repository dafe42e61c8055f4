"""The client against a real server: answers, faults and what they become."""

import asyncio
import socket

import orjson
import pytest
from structlog.testing import capture_logs

from llmstack_api.engine.ports import ChatDelta, ChatRequest, JsonObject, Usage
from llmstack_api.errors import (
    ProcessorInputError,
    ProviderBusyError,
    ProviderFailedError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RunError,
)
from llmstack_api.llm import answering, call, sse
from llmstack_api.llm.catalog import NO_PROVIDERS, AccountModels, open_models
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.llm.conftest import Talk
from tests.llm.conversation import KEY, QUESTION


async def test_a_stream_is_handed_over_with_its_usage(model: FakeModel, talk: Talk) -> None:
    conversation = talk("echo")
    usage = await conversation.ask(temperature=0.1)
    assert conversation.text() == QUESTION
    assert conversation.finish_reasons == ["stop"]
    assert conversation.deltas[0].role == "assistant"
    assert usage == Usage(3, 3)
    assert model.last.body == {
        "model": "echo",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0.1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert model.last.path == "/v1/chat/completions"
    assert model.last.headers["authorization"] == f"Bearer {KEY}"
    assert model.last.headers["content-type"] == "application/json"
    assert model.last.headers["accept-encoding"] == "identity"


async def test_an_answer_in_one_piece_has_the_same_content(model: FakeModel, talk: Talk) -> None:
    conversation = talk("echo")
    assert await conversation.ask(stream=False) == Usage(3, 3)
    assert conversation.text() == QUESTION
    assert len(conversation.received) == 1
    assert model.last.body["stream"] is False
    assert "stream_options" not in model.last.body


async def test_what_one_read_brings_comes_in_one_call(talk: Talk) -> None:
    conversation = talk("count:500:batch=500")
    usage = await conversation.ask()
    assert usage.output_tokens == 500
    assert len(conversation.text().split()) == 500
    assert len(conversation.received) < 25
    assert all(len(deltas) == 1 for deltas in conversation.received)


async def test_tokens_are_handed_over_while_the_model_still_speaks(talk: Talk) -> None:
    conversation = talk("hang-mid")
    with pytest.raises(ProviderTimeoutError):
        await conversation.ask()
    assert conversation.text() == "word0 word1 "


@pytest.mark.parametrize(
    "name",
    ["plain-json", "no-usage", "crlf", "trickle", "reasoning", "comments:0", "delay:0.1", "slow:100"],
)
async def test_every_sort_of_server_is_understood(talk: Talk, name: str) -> None:
    conversation = talk(name)
    await conversation.ask()
    assert conversation.text() == ("late" if name.startswith("comments") else QUESTION)
    assert conversation.finish_reasons == ["stop"]


async def test_a_server_that_tells_no_usage_is_not_guessed_for(talk: Talk) -> None:
    assert await talk("no-usage").ask() == Usage(None, None)


@pytest.mark.parametrize("name", ["no-done", "no-finish"])
async def test_a_finish_reason_or_a_done_is_end_enough(talk: Talk, name: str) -> None:
    conversation = talk(name)
    await conversation.ask()
    assert conversation.text() == "whole"


async def test_reasoning_comes_apart_from_text(talk: Talk) -> None:
    for stream in (True, False):
        conversation = talk("reasoning")
        await conversation.ask(stream=stream)
        assert "".join(delta.reasoning for delta in conversation.deltas) == "Let me think."
        assert conversation.text() == QUESTION


async def test_choices_are_kept_apart(talk: Talk) -> None:
    for stream in (True, False):
        conversation = talk("echo")
        await conversation.ask(n=3, stream=stream)
        assert [conversation.text(index) for index in range(3)] == [QUESTION] * 3


async def test_calls_of_tools_come_in_fragments(talk: Talk) -> None:
    tools: list[JsonObject] = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    for stream in (True, False):
        conversation = talk("tools")
        await conversation.ask(tools=tools, stream=stream)
        fragments = [call for delta in conversation.deltas for call in delta.tool_calls or []]
        assert {call["index"] for call in fragments} == {0}
        assert fragments[0]["id"] == "call_1"
        arguments = "".join(call["function"]["arguments"] for call in fragments)
        assert orjson.loads(arguments) == {"input": QUESTION}
        assert conversation.finish_reasons == ["tool_calls"]


async def test_a_refusal_is_the_text(talk: Talk) -> None:
    for stream in (True, False):
        conversation = talk("refusal")
        await conversation.ask(stream=stream)
        assert conversation.text() == "I cannot help with that."


async def test_an_empty_answer_is_an_answer(talk: Talk) -> None:
    conversation = talk("empty")
    await conversation.ask()
    assert conversation.text() == ""
    assert conversation.finish_reasons == ["stop"]


async def test_lone_surrogates_are_made_harmless(talk: Talk) -> None:
    for stream in (True, False):
        conversation = talk("surrogate")
        await conversation.ask(stream=stream)
        assert conversation.text() == "a\ufffdb\ufffdc\U0001f600\\ud800\0"


async def test_connections_are_used_again(model: FakeModel, talk: Talk) -> None:
    for name in ("echo", "count:300", "no-done", "plain-json", "status:404", "echo"):
        try:
            await talk(name).ask()
        except ProviderRefusedError:
            assert name == "status:404"
    assert model.accepted == 1


async def test_a_server_that_does_not_end_its_answer_only_loses_the_connection(
    model: FakeModel, talk: Talk
) -> None:
    conversation = talk("linger")
    async with asyncio.timeout(2):
        await conversation.ask()
    assert conversation.text() == "word0 word1 "
    await model.until(lambda: model.connections == 0)


@pytest.mark.parametrize("name", ["hang-end", "hang-end:drop"])
async def test_an_answer_that_is_whole_stays_so_whatever_becomes_of_the_connection(
    model: FakeModel, talk: Talk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "TRAILING", 0.2)
    conversation = talk(name)
    await conversation.ask()
    assert conversation.text() == "word0 word1 "
    assert conversation.finish_reasons == ["stop"]
    await model.until(lambda: model.connections == 0)


# --- faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("cut", "half an ", "broke off"),
        ("drop", "word0 word1 word2 ", "broke the connection off"),
        ("malformed", "good too ", "makes no sense"),
        ("error-event", "word0 word1 ", "ran out of memory"),
        ("html", "", "did not answer with a chat completion"),
        ("nothing", "", "answered with nothing"),
        ("plain-json:none", "", "without any choice"),
        ("redirect", "", "redirect"),
        ("gzip", "", "encoding 'gzip'"),
        ("not-http", "", "does not answer in HTTP"),
    ],
)
async def test_a_fault_is_told_after_what_came_before_it(
    model: FakeModel, talk: Talk, name: str, text: str, says: str
) -> None:
    conversation = talk(name)
    with pytest.raises(ProviderFailedError, match=says):
        await conversation.ask()
    assert conversation.text() == text
    assert len(model.requests) == 1


@pytest.mark.parametrize("name", ["flood", "flood:lines"])
async def test_an_event_without_end_is_cut(talk: Talk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 500_000)
    conversation = talk(name)
    with pytest.raises(ProviderFailedError, match="too large"):
        await conversation.ask()
    assert conversation.text() == "word0 "


async def test_an_answer_in_one_piece_is_bounded(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_ANSWER", 500_000)
    await talk("big-json:400000").ask(stream=False)
    with pytest.raises(ProviderFailedError, match="too large"):
        await talk("big-json:600000").ask(stream=False)


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, ProviderRefusedError, 424),
        (401, ProviderRefusedError, 424),
        (403, ProviderRefusedError, 424),
        (404, ProviderRefusedError, 424),
        (422, ProviderRefusedError, 424),
        (504, ProviderFailedError, 502),
    ],
)
async def test_a_refusal_is_told_at_once_and_without_the_key(
    model: FakeModel, talk: Talk, status: int, kind: type[RunError], ours: int
) -> None:
    with pytest.raises(kind) as refused:
        await talk(f"status:{status}").ask()
    assert refused.value.status == ours
    assert "It said: " in str(refused.value)
    assert len(model.requests) == 1
    _assert_no_key(refused.value)


async def test_a_refusal_whose_body_breaks_off_is_still_one(talk: Talk) -> None:
    with pytest.raises(ProviderRefusedError, match="404"):
        await talk("cut-error").ask()


def _assert_no_key(error: BaseException | None) -> None:
    while error is not None:
        assert KEY not in f"{error} {error!r} {error.args!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_what_may_pass_is_tried_again_twice(model: FakeModel, talk: Talk, status: int) -> None:
    conversation = talk(f"status:{status}:times=2")
    await conversation.ask()
    assert conversation.text() == QUESTION
    assert len(model.requests) == 3


@pytest.mark.parametrize(("status", "kind"), [(429, ProviderBusyError), (500, ProviderFailedError)])
async def test_after_two_retries_a_failure_is_told(
    model: FakeModel, talk: Talk, status: int, kind: type[RunError]
) -> None:
    with pytest.raises(kind) as failed:
        await talk(f"status:{status}").ask()
    assert len(model.requests) == 3
    assert failed.value.retry_after == (5.0 if status == 429 else None)


async def test_retry_after_is_waited_for(model: FakeModel, talk: Talk) -> None:
    await talk("status:429:retry-after=1:times=1").ask()
    first, second = model.requests
    assert 0.95 < second.at - first.at < 2


async def test_a_provider_that_asks_for_too_long_is_given_up_at_once(model: FakeModel, talk: Talk) -> None:
    with pytest.raises(ProviderBusyError) as busy:
        await talk("status:429:retry-after=60").ask()
    assert busy.value.retry_after == 60
    assert len(model.requests) == 1


async def test_a_reset_before_the_answer_is_tried_again(model: FakeModel, talk: Talk) -> None:
    conversation = talk("drop-before:times=2")
    await conversation.ask()
    assert conversation.text() == QUESTION
    with pytest.raises(ProviderFailedError, match="broke the connection off"):
        await talk("drop-before").ask()
    assert len(model.requests) == 6


async def test_a_server_that_is_not_there_is_unreachable(settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        nowhere = settings.model_copy(update={"openai_base_url": address})
        async with open_models(nowhere, Egress()) as models:
            request = ChatRequest(provider="openai", model="m", messages=[])
            with (
                capture_logs() as logs,
                pytest.raises(ProviderFailedError, match="cannot be reached") as failed,
            ):
                await models.of(NO_PROVIDERS).chat(request, _ignore)
    _assert_no_key(failed.value)
    [line] = logs
    assert line["event"] == "model_connection_failed"
    assert "127.0.0.1" in line["reason"]
    assert KEY not in repr(logs)


async def test_a_request_that_is_no_json_is_the_apps_fault(chat: AccountModels) -> None:
    request = ChatRequest(provider="openai", model="m", messages=[{"role": "user", "content": "\ud800"}])
    with pytest.raises(ProcessorInputError):
        await chat.chat(request, _ignore)


async def _ignore(deltas: list[ChatDelta]) -> None:
    del deltas
