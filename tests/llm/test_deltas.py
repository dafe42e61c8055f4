"""What is read out of the events of an answer."""

from typing import Any

import httpx
import orjson
import pytest

from llmstack_api.engine.ports import ChatDelta, Usage
from llmstack_api.errors import ProviderFailedError
from llmstack_api.llm.deltas import Answer
from llmstack_api.llm.endpoint import Endpoint


@pytest.fixture
def answer() -> Answer:
    return Answer(Endpoint(name="The server", base_url=httpx.URL("http://server/v1")))


def event(delta: Any, **choice: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "delta": delta} | choice]})


def test_what_one_read_says_of_a_choice_is_one_delta(answer: Answer) -> None:
    events = [
        event({"role": "assistant", "content": ""}),
        event({"content": "Hel"}),
        event({"content": "lo"}, index=1),
        event({"content": "lo", "reasoning_content": "hm"}),
        event({}, finish_reason="stop"),
    ]
    assert answer.take(events) == [
        ChatDelta(index=0, text="Hello", reasoning="hm", role="assistant", finish_reason="stop"),
        ChatDelta(index=1, text="lo"),
    ]
    assert not answer.whole, "the second choice has not ended"
    answer.take([event({}, index=1, finish_reason="length")])
    assert answer.whole


def test_what_comes_before_a_bad_event_is_kept_and_nothing_after_it(answer: Answer) -> None:
    deltas = answer.take([event({"content": "good"}), b"{", event({"content": "late"})])
    assert [delta.text for delta in deltas] == ["good"]
    assert isinstance(answer.failure, ProviderFailedError)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b'{"choices": 1}',
        b'{"choices": {"0": {}}}',
        b'{"choices": [1]}',
        b'{"choices": [{"index": "0"}]}',
        b'{"choices": [{"index": -1}]}',
        b'{"choices": [{"index": 100000}]}',
        b'{"choices": [{"index": [1]}]}',
        b'{"choices": [{"index": 1.0}]}',
        b'{"choices": [{"delta": "text"}]}',
        b'{"choices": [{"delta": {"content": 1}}]}',
        b'{"choices": [{"delta": {"content": [1]}}]}',
        b'{"choices": [{"delta": {"role": 1}}]}',
        b'{"choices": [{"delta": {"tool_calls": {"index": 0}}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 1000}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": [1]}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": 1}}]}}]}',
        b'{"choices": [{"delta": {"function_call": "f"}}]}',
        b'{"choices": [{"finish_reason": 1}]}',
        b'{"usage": 1}',
        b"[" * 2000,
        b'{"choices": NaN}',
    ],
)
def test_nonsense_is_a_failure_of_the_provider(answer: Answer, data: bytes) -> None:
    assert answer.take([data]) in ([], [ChatDelta()])
    assert isinstance(answer.failure, ProviderFailedError)
    assert answer.failure.status == 502


def test_events_that_say_nothing_are_passed_over(answer: Answer) -> None:
    for data in (b"{}", b'{"choices": []}', b'{"choices": null, "usage": null}', b'{"object": "ping"}'):
        assert answer.take([data]) == []
    assert answer.take([b'{"choices": [{"index": null, "delta": null}]}']) == [ChatDelta()]
    assert answer.failure is None


def test_usage_is_the_last_that_was_said_and_only_what_can_be_counted(answer: Answer) -> None:
    answer.take([b'{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'])
    answer.take(
        [b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}']
    )
    assert answer.usage == Usage(3, 5)
    answer.take([b'{"usage": {"prompt_tokens": -1, "completion_tokens": 1e99}}'])
    assert answer.usage == Usage(None, None)


def test_an_error_event_tells_the_providers_words(answer: Answer) -> None:
    answer.take([b'{"error": {"message": "out of memory", "code": 500}}'])
    assert "out of memory" in str(answer.failure)


def test_an_error_in_the_form_of_older_servers_is_one(answer: Answer) -> None:
    answer.take([b'{"object": "error", "message": "context too long", "code": 400}'])
    assert "context too long" in str(answer.failure)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"a\ud83db", "a\ufffdb"),
        (rb"\udc00", "\ufffd"),
        (rb"\uD83D\uDE00", "\U0001f600"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (rb"a\u0000b", "a\0b"),
    ],
)
def test_text_can_always_be_encoded_again(answer: Answer, escaped: bytes, text: str) -> None:
    [delta] = answer.take([b'{"choices": [{"delta": {"content": "%b"}}]}' % escaped])
    assert delta.text == text
    assert orjson.dumps(delta.text)


def test_tool_calls_keep_their_index_and_get_one_where_the_server_gives_none(answer: Answer) -> None:
    def call(**fields: Any) -> bytes:
        return event({"tool_calls": [fields]})

    [delta] = answer.take(
        [
            call(id="a", type="function", function={"name": "f", "arguments": ""}),
            call(function={"arguments": "{}"}),
            call(id="b", function={"name": "g", "arguments": {"x": 1}}),
        ]
    )
    assert delta.tool_calls == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"name": "", "arguments": "{}"}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"x":1}'}},
    ]
    [delta] = answer.take([call(index=5, function={"arguments": "1"})])
    assert delta.tool_calls == [{"index": 5, "function": {"name": "", "arguments": "1"}}]


@pytest.mark.parametrize(
    ("fragments", "places"),
    [
        pytest.param([(0, "a", "f"), (0, "", ""), (0, "b", "g"), (0, "", "")], [0, 0, 1, 1], id="all are 0"),
        pytest.param([(0, "a", "f"), (0, "b", "g"), (1, "c", "h"), (1, "", "")], [0, 1, 2, 2], id="and 1"),
        pytest.param([(0, "a", "f"), (0, "b", ""), (0, "c", "")], [0, 0, 0], id="an id a fragment"),
        pytest.param([(0, "a", "f"), (0, "a", "f")], [0, 0], id="all of it in each fragment"),
        pytest.param([(1, "b", "g"), (0, "a", "f"), (1, "", "")], [1, 0, 1], id="not in order"),
        pytest.param(
            [(None, "", "f"), (None, "", "g"), (None, "", "")], [0, 1, 1], id="neither number nor id"
        ),
    ],
)
def test_calls_are_kept_apart_however_a_server_numbers_them(
    answer: Answer, fragments: list[tuple[int | None, str, str]], places: list[int]
) -> None:
    sent = [
        event({"tool_calls": [{"index": index, "id": key, "function": {"name": name, "arguments": ""}}]})
        for index, key, name in fragments
    ]
    [delta] = answer.take(sent)
    assert delta.tool_calls
    assert [call["index"] for call in delta.tool_calls] == places


def test_fragments_of_a_function_call_are_joined(answer: Answer) -> None:
    [delta] = answer.take(
        [
            event({"function_call": {"name": "f", "arguments": "{"}}),
            event({"function_call": {"arguments": "}"}}),
        ]
    )
    assert delta.function_call == {"name": "f", "arguments": "{}"}


def test_content_in_parts_is_joined(answer: Answer) -> None:
    [delta] = answer.take([event({"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}]})])
    assert delta.text == "ab"


def test_an_answer_in_one_piece_has_the_same_deltas(answer: Answer) -> None:
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    body = orjson.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert answer.take_whole(body) == [ChatDelta(text="Hello", role="assistant", finish_reason="stop")]
    assert answer.whole


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"detail": "x"}'])
def test_an_answer_without_choices_is_none(answer: Answer, body: bytes) -> None:
    assert answer.take_whole(body) == []
    assert isinstance(answer.failure, ProviderFailedError)
