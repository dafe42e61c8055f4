"""Filters as JSON trees: what is read, and what is refused where."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmstack_api.errors import InvalidFilterError
from llmstack_api.vectors.filter_tree import MAX_FAULTS, filter_schema, parse_filters
from llmstack_api.vectors.filters import Compare, Filter, Group, Junction, Operator
from tests.vectors.filter_samples import filters

SCHEMA: Any = Draft202012Validator(filter_schema())
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["eq", "and"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "key", "value", "filters", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def eq(key: Any = "lang", value: Any = "en", **keys: Any) -> Any:
    return {"type": "eq", "key": key, "value": value, **keys}


def joined(*parts: Any, kind: str = "and") -> Any:
    return {"type": kind, "filters": list(parts)}


def as_tree(wanted: Filter) -> Any:
    if isinstance(wanted, Group):
        return joined(*map(as_tree, wanted.filters), kind=wanted.kind.value)
    value = list(wanted.value) if isinstance(wanted.value, tuple) else wanted.value
    return {"type": wanted.operator.value, "key": wanted.key, "value": value}


def refusal(value: Any) -> dict[str, str]:
    """Return the faults by place."""
    with pytest.raises(InvalidFilterError) as caught:
        parse_filters(value)
    first = caught.value.faults[0]
    assert str(caught.value) == f"{first.loc}: {first.msg}"
    return {fault.loc: fault.msg for fault in caught.value.faults}


@given(wanted=filters)
def test_a_tree_is_read_as_it_was_written_and_is_in_the_schema(wanted: Filter) -> None:
    tree = as_tree(wanted)

    assert parse_filters(tree) == wanted
    SCHEMA.validate(tree)


@given(value=ANY_JSON)
def test_what_is_read_is_in_the_schema_and_all_else_is_refused(value: Any) -> None:
    try:
        parse_filters(value)
    except InvalidFilterError:
        return
    SCHEMA.validate(value)


def test_the_schema_shows_an_example_that_is_read() -> None:
    schema = filter_schema("#/components/schemas/Filter")

    Draft202012Validator.check_schema(schema)
    assert schema["oneOf"][-1]["properties"]["filters"]["items"] == {"$ref": "#/components/schemas/Filter"}
    for example in schema["examples"]:
        assert isinstance(parse_filters(example), Group)


def test_groups_hold_groups() -> None:
    tree = joined(eq(), joined({"type": "in", "key": "year", "value": [2020, 2021]}, kind="or"))

    assert parse_filters(tree) == Group(
        Junction.AND,
        (
            Compare(Operator.EQ, "md_lang", "en"),
            Group(Junction.OR, (Compare(Operator.IN, "md_year", (2020, 2021)),)),
        ),
    )


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("lang", "md_lang"), ("md_lang", "md_lang"), ("md_md_lang", "md_md_lang"), ("md_", "md_md_"),
        ("source", "source"), ("page", "page"), ("heading", "heading"), ("name", "name"),
        ("mime_type", "mime_type"), ("md_source", "md_source"), ("Source", "md_Source"),
        ("datasource_id", "md_datasource_id"), ("flags", "md_flags"), ("язык-1", "md_язык-1"),
        ("a" * 64, "md_" + "a" * 64), ("md_" + "a" * 64, "md_" + "a" * 64),
    ],
    ids=repr,
)  # fmt: skip
def test_a_bare_key_is_one_of_metadata_unless_the_server_fills_it_in(key: str, stored: str) -> None:
    assert parse_filters(eq(key)) == Compare(Operator.EQ, stored, "en")


@pytest.mark.parametrize(
    ("value", "loc", "msg"),
    [
        (None, "filters", "a filter is an object"),
        ([], "filters", "a filter is an object"),
        ("lang == 1", "filters", "a filter is an object"),
        ({}, "filters.type", "required; known are eq, ne, gt, gte, lt, lte, in, nin, like, and, or"),
        ({"type": None}, "filters.type", "must be a text; known are eq, ne,"),
        ({"type": "EQ"}, "filters.type", '"EQ" is no type of filter; known are eq, ne,'),
        (eq(opts=1), "filters.opts", "unknown key; eq takes type, key, value"),
        (eq(**{"a.b\n": 1}), r'filters["a.b\n"]', "unknown key"),
        ({**joined(eq()), "key": "x"}, "filters.key", "and takes type, filters"),
        ({"type": "eq", "value": 1}, "filters.key", "required; eq compares what is stored under a key"),
        ({"type": "eq", "key": "a"}, "filters.value", "required; eq compares with a value"),
        (eq(key=1), "filters.key", "must be a text, not a number"),
        (eq(key=""), "filters.key", '"" is no key: 1 to 64 letters, digits, _ and -'),
        (eq(key="a.b"), "filters.key", '"a.b" is no key'),
        (eq(key="a[]"), "filters.key", '"a[]" is no key'),
        (eq(key="a\n"), "filters.key", r'"a\n" is no key'),
        (eq(key="a" * 65), "filters.key", "is no key"),
        (eq(key="md_" + "a" * 65), "filters.key", "is no key"),
        (eq(value=None), "filters.value", "must be a text, a number or a boolean, not null"),
        (eq(value={}), "filters.value", "not an object"),
        (eq(value=["x"]), "filters.value", "eq takes one value, not a list; in takes a list"),
        (eq(value="\0"), "filters.value", "holds a NUL character"),
        (eq(value="\ud800"), "filters.value", "holds a lone surrogate"),
        (eq(value="x" * 4097), "filters.value", "has 4,097 characters; 4,096 is the most"),
        (eq(value=2**64), "filters.value", "is an integer beyond 64 bits"),
        (eq(value=-(2**63) - 1), "filters.value", "is an integer beyond 64 bits"),
        (eq(value=float("nan")), "filters.value", "is no finite number"),
        (eq(type="gt", value="2024-01-31"), "filters.value", "store a date as a number, such as 20240131"),
        (eq(type="lte", value=True), "filters.value", "lte compares numbers only"),
        (eq(type="gte", value=float("inf")), "filters.value", "is no finite number"),
        (eq(type="like", value=5), "filters.value", "like takes a text, not a number"),
        (eq(type="like", value=""), "filters.value", "this one is empty"),
        (eq(type="like", value=["x"]), "filters.value", "like takes a text, not a list"),
        (eq(type="in", value="x"), "filters.value", "in takes a list, not a text; eq takes one value"),
        (eq(type="nin", value=1), "filters.value", "nin takes a list, not a number; ne takes one value"),
        (eq(type="in", value=[]), "filters.value", "in needs at least one value"),
        (eq(type="in", value=["x", None]), "filters.value[1]", "not null"),
        (eq(type="in", value=[["x"]]), "filters.value[0]", "not a list"),
        ({"type": "or"}, "filters.filters", "required; or joins a list of filters"),
        ({"type": "or", "filters": {}}, "filters.filters", "or joins a list of filters"),
        (joined(), "filters.filters", "and needs at least one filter"),
        (joined(eq(), 1), "filters.filters[1]", "a filter is an object"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "backslashreplace").decode(),
)  # fmt: skip
def test_what_is_malformed_is_refused_at_its_place(value: Any, loc: str, msg: str) -> None:
    faults = refusal(value)

    assert list(faults) == [loc]
    assert msg in faults[loc]


def test_all_faults_are_told_at_once() -> None:
    tree = joined(eq(key="a b", value=None, x=1), joined(eq(type="almost"), joined()), eq(type="gt"))

    assert list(refusal(tree)) == [
        "filters.filters[0].x",
        "filters.filters[0].key",
        "filters.filters[0].value",
        "filters.filters[1].filters[0].type",
        "filters.filters[1].filters[1].filters",
        "filters.filters[2].value",
    ]


def test_faults_are_told_under_the_name_that_the_request_uses() -> None:
    with pytest.raises(InvalidFilterError) as caught:
        parse_filters(eq(key=""), loc="config.search_filters")

    assert caught.value.faults[0].loc == "config.search_filters.key"
    assert caught.value.status == 422


def nested(depth: int) -> Any:
    tree = eq()
    for _ in range(depth - 1):
        tree = joined(tree)
    return tree


def test_a_filter_is_bounded_in_depth() -> None:
    assert parse_filters(nested(16))
    assert "nested deeper than 16 levels" in next(iter(refusal(nested(17)).values()))
    assert "nested deeper than 16 levels" in next(iter(refusal(nested(500)).values()))


def test_a_filter_is_bounded_in_size() -> None:
    assert parse_filters(joined(*[eq()] * 255))
    assert parse_filters(joined(*[joined(eq())] * 127))
    for tree in (joined(*[eq()] * 256), joined(*[joined(eq(), eq())] * 100), joined(*[{}] * 100_000)):
        assert "a filter has at most 256 comparisons and groups" in next(iter(refusal(tree).values()))


def test_the_lists_of_a_filter_are_bounded_together() -> None:
    half = eq(type="in", value=list(range(512)))

    assert parse_filters(joined(half, half))
    assert refusal(joined(half, half, eq(type="nin", value=[1]))) == {
        "filters.filters[2].value": "the lists of a filter have at most 1,024 values"
    }


def test_faults_are_bounded() -> None:
    assert len(refusal(joined(*[eq(key="")] * 200))) == MAX_FAULTS
    assert (
        len(refusal({"type": "and", "filters": [eq()], **{f"x{number}": 1 for number in range(99)}}))
        == MAX_FAULTS
    )
