"""JSON that is read while it arrives, cut anywhere."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack_api.engine import jsonstream
from llmstack_api.engine.jsonstream import Event, Item, JsonStream, Piece, Value
from llmstack_api.engine.output import StepOutput

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def read(*texts: str) -> tuple[list[Event], JsonStream]:
    stream = JsonStream()
    events = [event for text in texts for event in stream.feed(text)]
    return events + stream.finish(), stream


def failure(*texts: str) -> str:
    _, stream = read(*texts)
    assert stream.failure is not None
    return stream.failure


def stitched(events: list[Event]) -> Any:
    """Put together below `parsed` what a reader of each path gets."""
    output = StepOutput()
    for event in events:
        path = ("parsed", *event.path)
        match event:
            case Piece(text=text):
                output.append_text(path, text)
            case Item(element=element):
                output.append_item(path, element)
            case Value(value=value):
                output.set(path, value)
    return output.document()["parsed"]


@settings(deadline=None)
@given(VALUES, st.data())
def test_whatever_is_written_is_read_wherever_it_is_cut(value: Any, data: st.DataObject) -> None:
    indent = data.draw(st.sampled_from([None, 1]))
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=indent)
    places = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    events, stream = read(*(text[start:end] for start, end in itertools.pairwise(places)))

    assert stream.failure is None
    assert stream.value == value
    assert stitched(events) == value


@settings(deadline=None)
@given(VALUES)
def test_it_is_read_character_by_character(value: Any) -> None:
    events, stream = read(*json.dumps(value))
    assert (stream.value, stream.failure) == (value, None)
    assert stitched(events) == value


@settings(deadline=None)
@given(st.text(st.sampled_from('{}[],:"\\u0d8ea1-.`tn \n'), max_size=30))
def test_what_is_no_json_is_refused_as_by_the_standard_library(text: str) -> None:
    _, stream = read(*text)
    pairs: list[Any] = []

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(len(members) == len(dict(members)))
        return dict(members)

    try:
        json.loads(text, object_pairs_hook=unique)
    except ValueError:
        assert stream.failure is not None or "`" in text
    else:
        assert (stream.failure is None) == all(pairs)


def test_members_are_told_one_by_one_and_elements_whole() -> None:
    text = (
        '{"title":"A b","tags":["x",{"y":[1,2]}],"n":1,"at":{"city":"Ulm","zip":null},"no":[],"of":{},"s":""}'
    )
    events, _ = read(text)
    assert events == [
        Piece(("title",), "A b"),
        Item(("tags",), "x"),
        Item(("tags",), {"y": [1, 2]}),
        Value(("n",), 1),
        Piece(("at", "city"), "Ulm"),
        Value(("at", "zip"), None),
        Value(("no",), []),
        Value(("of",), {}),
        Piece(("s",), ""),
    ]


def test_a_string_is_told_as_it_comes() -> None:
    stream = JsonStream()
    assert stream.feed('{"a":"One') == [Piece(("a",), "One")]
    assert stream.feed(" two\\") == [Piece(("a",), " two")]
    assert stream.feed("n\\ud83d") == [Piece(("a",), "\n")]
    assert stream.feed("\\ude0") == []
    assert stream.feed('0"') == [Piece(("a",), "\U0001f600")]
    assert stream.feed(',"b":12') == []
    assert stream.feed("3}") == [Value(("b",), 123)]
    assert stream.ended


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ('"ab"', [Piece((), "ab")]),
        ("12", [Value((), 12)]),
        ("null", [Value((), None)]),
        ('[1, "a"]', [Item((), 1), Item((), "a")]),
        ("[]", [Value((), [])]),
        ("{}", [Value((), {})]),
    ],
)
def test_the_top_may_be_of_any_type(text: str, events: list[Event]) -> None:
    assert read(text)[0] == events


@pytest.mark.parametrize(
    "text", ["\ufeff {0}\n", "```json\n{0}\n```", "```\n{0}```\n\n", "\n ```JSON {0} ```", "{0} \ufeff"]
)
@pytest.mark.parametrize("value", ['{"a":"b"}', "12", "[1]"])
def test_blanks_marks_and_a_fence_around_it_are_passed_over(text: str, value: str) -> None:
    for texts in ([text.replace("{0}", value)], text.replace("{0}", value)):
        _, stream = read(*texts)
        assert (stream.failure, stream.value) == (None, json.loads(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is none"),
        (" \n", "there is none"),
        ("``", "ends before"),
        ("```json", "ends before"),
        ("I cannot do that.", "a value was due where it says 'I'"),
        ('{"a":1', "ends before"),
        ('{"a":"b', "ends before"),
        ('{"a" 1}', "a colon was due where it says '1}'"),
        ('{"a":1 2}', "a comma or the end"),
        ("[1}", "a comma or the end"),
        ('{"a":1,}', "a member's name"),
        ("[1,]", "a value was due"),
        ('{"a":}', "a value was due"),
        ("{a:1}", "a member's name"),
        ("[01]", "a value was due where it says '01'"),
        ("[1e999]", "a value"),
        ("NaN", "a value"),
        ("1" * 500, "a value"),
        ('"a\nb"', "control character"),
        (r'"\x"', "an escape that is none"),
        (r'"\u12g4"', "an escape that is none"),
        ('{"a":1,"a":2}', "has the member 'a' twice"),
        ('[{"a":1,"a":2}]', "has the member 'a' twice"),
        ('{"a":1} and more', "more after the JSON: 'and more'"),
        ("1 2", "more after"),
        ("[" * 65, "more than 64 deep"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    assert said in failure(text)
    assert failure(*text)


def test_what_came_before_a_failure_is_told_and_nothing_after_it() -> None:
    stream = JsonStream()
    assert stream.feed('{"a":"b","c":1,"d":x}') == [Piece(("a",), "b"), Value(("c",), 1)]
    assert stream.failure
    assert stream.feed("more") == []
    assert stream.finish() == []


def test_a_number_that_may_go_on_is_not_told() -> None:
    events, stream = read('{"a":12')
    assert events == []
    assert stream.failure == "it ends before the JSON is whole"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud800"', "\ufffd"),
        (r'"\ud800x"', "\ufffdx"),
        (r'"\udc00\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\ud800\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\ud800\n"', "\ufffd\n"),
        (r'"\uD83D\uDE00\u00e9\/"', "\U0001f600é/"),
    ],
)
def test_half_a_surrogate_pair_becomes_a_replacement_character(text: str, value: str) -> None:
    assert read(text)[1].value == value
    assert read(*text)[1].value == value


def test_a_fence_need_not_be_whole_after_the_value() -> None:
    assert read("```[1]``")[1].failure is None


def test_the_deepest_nesting_is_read() -> None:
    text = "[" * jsonstream.MAX_DEPTH + "]" * jsonstream.MAX_DEPTH
    assert read(text)[1].value == json.loads(text)


def test_length_and_number_of_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "MAX_CHARACTERS", 20)
    assert failure('"', *"x" * 30, '"') == "it has more than 20 characters"
    monkeypatch.setattr(jsonstream, "MAX_VALUES", 3)
    assert failure("[1,2,[3]]") == "it has more than 3 values"
