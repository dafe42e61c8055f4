import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack_api.errors import Fault, InvalidInputError, MalformedRequestError
from llmstack_api.web.json import MAX_DEPTH, MAX_VALUES, parse_json


def faults_of(body: bytes) -> tuple[Fault, ...]:
    with pytest.raises(InvalidInputError) as caught:
        parse_json(body)
    assert str(caught.value)
    return caught.value.faults


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@settings(max_examples=50, deadline=None)
@given(JSON_VALUES)
def test_a_storable_value_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    body = json.dumps(value).encode()
    assert repr(parse_json(body)) == repr(json.loads(body))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 2.5, null, true, "\\u00e9"]} ', {"a": [1, 2.5, None, True, "é"]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"1e300", 1e300),
        (b"[1e20, 18446744073709551616.0]", [1e20, 2.0**64]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH, None),
    ],
)
def test_a_good_body_is_read(body: bytes, value: Any) -> None:
    parsed = parse_json(body)
    assert parsed == value or value is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; a JSON value is expected"),
        (b" \n\t", "the body is empty; a JSON value is expected"),
        (b'{"a": \n tru}', "the body is no JSON: invalid literal, expected 'true' (line 2, column 2)"),
        (b"[1] x", "the body is no JSON: unexpected content after document (line 1, column 5)"),
        (b"[NaN]", "the body is no JSON: unexpected character, expected a JSON value (line 1, column 2)"),
        (b"[1e999]", "the body is no JSON: number is infinity when parsed as double (line 1, column 2)"),
        (b'{"a": 1,}', "the body is no JSON: trailing comma is not allowed (line 1, column 8)"),
    ],
)
def test_what_is_no_json_is_malformed_and_the_message_says_where(body: bytes, message: str) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        parse_json(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b'"\xff"',
        b'"a\x00b"',
        b'"\xed\xa0',
        b'"\\ud800',
        b'["\\ud800", ' + b"[" * 2_000 + b"]" * 2_000,
        b"\x00",
        b"\xff\xfe[\x00]\x00",
    ],
)
def test_any_other_body_is_malformed_too(body: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="line 1, column"):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "loc", "msg"),
    [
        (b'{"input": {"question": "a\\u0000"}}', "input.question", "holds a NUL character"),
        (b'{"input": {"a\\u0000": 1}}', "input", "has a key that holds a NUL character"),
        (b'[[{"a b": "\\u0000"}]]', '[0][0]["a b"]', "holds a NUL character"),
        (b'"\\u0000"', "body", "holds a NUL character"),
        (b'{"input": {"question": "\\ud800"}}', "input.question", "holds a lone surrogate"),
        (b'{"list": [1, "\\udc00x"]}', "list[1]", "holds a lone surrogate"),
        (b'{"\\ud83d": 1}', "body", "has a key that holds a lone surrogate"),
        (b'{"a": "\xed\xa0\x80"}', "a", "holds a lone surrogate"),
        (b'{"n": 18446744073709551616}', "n", "is an integer beyond 64 bits"),
        (b'{"x": 1e20, "n": [-9223372036854775809]}', "n[0]", "is an integer beyond 64 bits"),
        (b"[" + b"9" * 300 + b"]", "[0]", "is an integer beyond 64 bits"),
        (b"[" * 65 + b"]" * 65, "[0]" * 64, "is nested deeper than 64 levels"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, ".".join("a" * 64), "is nested deeper than 64 levels"),
        (
            json.dumps({"a": {str(key): 1 for key in range(10_001)}}).encode(),
            "a",
            "has more than 10,000 keys",
        ),
    ],
)
def test_what_no_store_could_hold_is_refused_by_its_place(body: bytes, loc: str, msg: str) -> None:
    assert faults_of(body) == (Fault(loc, msg),)


def test_all_faults_of_a_body_are_named_up_to_a_number() -> None:
    body = json.dumps({"a": "\0", "b": ["\0", 1], "c": {"d": "\0"}}).encode()
    assert [fault.loc for fault in faults_of(body)] == ["a", "b[0]", "c.d"]
    assert len(faults_of(json.dumps(["\0"] * 1_000).encode())) == 20


def test_a_body_of_many_small_values_is_refused_before_they_are_made() -> None:
    for unit in (b"1,", b"[],", b'"",', b'{"":""},'):
        assert faults_of(b"[" + unit * (MAX_VALUES + 1) + b"1]") == (
            Fault("body", "has more than 250,000 values"),
        )


def test_marks_inside_a_long_text_do_not_count_as_values() -> None:
    text = 'a,"b\\",[{\n' * 600_000
    assert parse_json(json.dumps({"text": text}).encode()) == {"text": text}


def test_a_large_file_in_base64_is_read() -> None:
    file = "QUJD" * 5_000_000
    assert parse_json(b'{"input": {"file": "' + file.encode() + b'"}}') == {"input": {"file": file}}
