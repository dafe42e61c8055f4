"""The splitter of server-sent events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.llm import sse
from llmstack_api.llm.sse import EventSplitter

TEXTS = st.text(alphabet=st.sampled_from("ab :{}\u2028\u0085\x0b\x0c\u00e9\U0001f600"), max_size=12)


def split(*reads: bytes) -> list[bytes]:
    splitter = EventSplitter()
    return [data for read in reads for data in splitter.feed(read)] + splitter.finish()


def test_one_read_gives_all_the_events_that_end_in_it() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\n\ndata:2\n\ndata:  3\n\ndata: 4") == [b"1", b"2", b" 3"]
    assert splitter.feed(b"5\n") == []
    assert splitter.feed(b"\n") == [b"45"]
    assert splitter.finish() == []


def test_comments_other_fields_and_empty_events_say_nothing() -> None:
    assert split(b": hi\n\nid: 7\nevent: x\nretry: 1\n\n\n\ndatum: 1\n\ndata: 1\n: more\n\n") == [b"1"]


def test_data_lines_of_one_event_are_joined() -> None:
    assert split(b"data: a\ndata\ndata:\ndata: b\n\n") == [b"a\n\n\nb"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard_is_one_wherever_a_read_cuts_it(end: bytes) -> None:
    stream = end.join([b"data: a", b"data: b", b"", b": c", b"data: d", b"", b""])
    for cut in range(len(stream) + 1):
        assert split(stream[:cut], stream[cut:]) == [b"a\nb", b"d"]
    assert split(*(bytes((byte,)) for byte in stream)) == [b"a\nb", b"d"]


def test_no_other_character_ends_a_line() -> None:
    text = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1c"
    assert split(f"data: {text}\n\n".encode()) == [text.encode()]


def test_a_byte_order_mark_at_the_beginning_is_no_text() -> None:
    assert split(b"\xef\xbb", b"\xbfdata: a\n\ndata: \xef\xbb\xbf\n\n") == [b"a", b"\xef\xbb\xbf"]


def test_an_event_without_its_blank_line_counts_at_the_end() -> None:
    assert split(b"data: a\n\ndata: [DONE]") == [b"a", b"[DONE]"]


@given(
    st.lists(TEXTS),
    st.lists(st.integers(min_value=1, max_value=20), min_size=1),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_events_survive_any_way_of_cutting_the_stream(texts: list[str], cuts: list[int], end: str) -> None:
    stream = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    reads: list[bytes] = []
    for number in range(len(stream)):
        size = cuts[number % len(cuts)]
        reads.append(stream[:size])
        stream = stream[size:]
    assert split(*reads) == [text.encode() for text in texts]


@pytest.mark.parametrize("flood", [b"x" * 1000, b"data: xxxxxxxxx\n" * 60, b"data\n" * 200, b": x"])
def test_an_event_over_the_limit_is_noticed_and_what_came_before_is_kept(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 10_000)
    splitter = EventSplitter()
    assert splitter.feed(b"data: good\n\n" + flood) == [b"good"]
    for _ in range(10_000):
        splitter.feed(flood)
        if splitter.too_large:
            break
    assert splitter.too_large
    assert splitter.feed(b"\n\ndata: late\n\n") == []
    assert splitter.finish() == []


def test_many_events_over_time_are_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = EventSplitter()
    for _ in range(100):
        assert splitter.feed(b"data: " + b"x" * 50 + b"\n\n: keep-alive\n\n") == [b"x" * 50]
