"""Filters as a line of text: what is read, and what is refused at which character."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.errors import InvalidFilterError
from llmstack_api.vectors.filter_text import MAX_LENGTH, parse_filter_text
from llmstack_api.vectors.filters import Compare, Filter, Group, Junction, Operator

A, B, C = (Compare(Operator.EQ, f"md_{key}", number) for number, key in enumerate("abc", start=1))


def refusal(text: str) -> str:
    with pytest.raises(InvalidFilterError) as caught:
        parse_filter_text(text)
    (fault,) = caught.value.faults
    assert fault.loc == "search_filters"
    assert str(caught.value) == f"search_filters: {fault.msg}"
    return fault.msg


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a == 1", A),
        ("a == 1 && b == 2", Group(Junction.AND, (A, B))),
        ("a == 1 || b == 2", Group(Junction.OR, (A, B))),
        ("a == 1 || b == 2 && c == 3", Group(Junction.AND, (Group(Junction.OR, (A, B)), C))),
        ("a == 1 && b == 2 || c == 3", Group(Junction.AND, (A, Group(Junction.OR, (B, C))))),
        ("a==1||b==2&&c==3", Group(Junction.AND, (Group(Junction.OR, (A, B)), C))),
        ("\n\ta == 1\n  && b == 2 ", Group(Junction.AND, (A, B))),
    ],
)
def test_or_binds_tighter_than_and(text: str, wanted: Filter) -> None:
    assert parse_filter_text(text) == wanted


@pytest.mark.parametrize(
    ("sign", "operator"),
    [
        ("==", "eq"), ("!=", "ne"), (">", "gt"), (">=", "gte"), ("<", "lt"), ("<=", "lte"),
    ],
)  # fmt: skip
def test_every_sign_is_an_operator(sign: str, operator: str) -> None:
    wanted = Compare(Operator(operator), "md_year", 2020)

    assert parse_filter_text(f"year {sign} 2020") == wanted
    assert parse_filter_text(f"md_year{sign}2020") == wanted


@pytest.mark.parametrize("like", ["LIKE", "like", "Like"])
def test_like_is_written_in_any_case(like: str) -> None:
    assert parse_filter_text(f"source {like} 'docs/'") == Compare(Operator.LIKE, "source", "docs/")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", 0), ("-12", -12), ("1.0", 1.0), ("-0.25", -0.25), ("1e3", 1000.0), ("2.5E-3", 0.0025),
        ("18446744073709551615", 2**64 - 1), ("true", True), ("FALSE", False),
        ('"en"', "en"), ("'en'", "en"), ('""', ""), ('"1"', "1"), ('"a && b || c == 1"', "a && b || c == 1"),
        ('"it\'s"', "it's"), ("'say \"x\"'", 'say "x"'), (r'"say \"x\""', 'say "x"'), (r"'it\'s'", "it's"),
        (r'"a\\"', "a\\"), (r'"\n\t\/"', "\n\t/"), (r'"\u00e9"', "é"), (r'"\ud83d\ude00"', "😀"),
        ('"(x)"', "(x)"), ('"文字"', "文字"), ('"two\nlines"', "two\nlines"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_keeps_its_type(written: str, value: Any) -> None:
    wanted = parse_filter_text(f"a == {written} && b == 2")

    assert wanted == Group(Junction.AND, (Compare(Operator.EQ, "md_a", value), B))
    assert type(_first(wanted).value) is type(value)


def _first(wanted: Filter) -> Compare:
    return wanted if isinstance(wanted, Compare) else _first(wanted.filters[0])


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    is_ascii=st.booleans(),
)
def test_a_text_written_as_json_is_itself(text: str, *, is_ascii: bool) -> None:
    written = json.dumps(text, ensure_ascii=is_ascii)

    assert parse_filter_text(f"a == {written}") == Compare(Operator.EQ, "md_a", text)


@given(
    text=st.text(max_size=20)
    | st.lists(st.sampled_from(["a", "==", "1", "&&", "||", '"', "'x'", "(", "\\", " "])).map("".join)
)
def test_any_line_is_read_or_refused(text: str) -> None:
    try:
        parse_filter_text(text)
    except InvalidFilterError as error:
        str(error).encode()  # fails where a lone surrogate is shown as it is


@pytest.mark.parametrize(
    ("text", "msg"),
    [
        ("", 'is empty; a comparison such as lang == "en" is expected'),
        (" \n", 'is empty; a comparison such as lang == "en" is expected'),
        ("a", "at character 2: after the key, one of == != > >= < <= LIKE is expected, found the end"),
        ("a ==", "at character 5: a value is expected after ==, found the end"),
        ("== 1", 'at character 1: a key is expected, found "=="'),
        ('"a" == 1', r'at character 1: a key is expected, found "\"a\""'),
        ("a == 1 &&", "at character 10: a key is expected, found the end"),
        ("a == 1 && && b == 2", 'at character 11: a key is expected, found "&&"'),
        ("a == 1 ||", "at character 10: a key is expected, found the end"),
        ("a == 1 b == 2", 'at character 8: &&, || or the end is expected, found "b"'),
        ("a == 1 and b == 2", 'at character 8: &&, || or the end is expected, found "and" (write && for and)'),
        ("a == 1 & b == 2", 'at character 8: &&, || or the end is expected, found "&" (write && for and)'),
        ("a == 1 | b == 2", "(write || for or)"),
        ("a = 1", '"=" (write == for equal)'),
        ("a === 1", 'at character 5: a value is expected after ==, found "=" (write == for equal)'),
        ("a <> 1", 'at character 4: a value is expected after <, found ">"'),
        ("a ! 1", "(write != for not equal)"),
        ("(a == 1)", 'at character 1: a key is expected, found "(" (there are no parentheses: || binds tighter'),
        ("a == (1)", "there are no parentheses"),
        ("a == 1)", "there are no parentheses"),
        ("a IN (1, 2)", "(there are no lists: join == by ||"),
        ("a == en", 'at character 6: "en" is neither a number nor true or false; a text stands in quotes'),
        ("a == 2024-01-31", '"2024-01-31" is neither a number'),
        ("a == 007", '"007" is neither a number'),
        ("a == 1,5", '"1,5" is neither a number'),
        ("a == \u0661", "is neither a number"),
        ("a == null", '"null" is neither a number nor true or false'),
        ('a == "x', r'at character 6: a value is expected after ==, found "\"" (this quote is not closed)'),
        (r'a == "x\"', "(this quote is not closed)"),
        (r'a == "C:\dir"', r'at character 9: "\\d" is no escape; a backslash itself is written twice'),
        (r'a == "\u12"', r'at character 7: "\\u" is no escape'),
        (r'a == "\u0000"', "at character 6: holds a NUL character"),
        (r'a == "\ud800"', "at character 6: holds a lone surrogate"),
        ("a == 18446744073709551616", "at character 6: is an integer beyond 64 bits"),
        ("a == 1e999", "at character 6: is no finite number"),
        ("a > 'x'", "at character 5: gt compares numbers only; store a date as a number"),
        ("a >= true", "at character 6: gte compares numbers only"),
        ("a LIKE 5", "at character 8: like takes a text, not a number"),
        ("a LIKE ''", "at character 8: like needs a text to look for"),
        ("a.b == 1", 'at character 1: "a.b" is no key: 1 to 64 letters, digits, _ and -'),
        ("x == 1 && " + "a" * 65 + " == 1", "at character 11: "),
        ("a == {{ x }}", '"{{" is neither a number'),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_does_not_parse_is_refused_where_it_stands(text: str, msg: str) -> None:
    assert msg in refusal(text)


def test_a_line_is_bounded() -> None:
    fitting = f"a == '{'x' * (MAX_LENGTH - 7)}'"

    assert parse_filter_text(fitting)
    assert refusal(fitting + " ") == "has 4,097 characters; 4,096 is the most"
    assert parse_filter_text("&&".join(["a<1"] * 256))
    assert "a filter has at most 256 comparisons" in refusal("&&".join(["a<1"] * 257))
