"""What filters mean, and that the index agrees."""

import hashlib
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmstack_api.vectors.filters import (
    Compare,
    Filter,
    Group,
    JsonObject,
    Junction,
    Operator,
    condition_of,
    flags_of,
    matches,
)
from tests.vectors.filter_samples import KEYS, LARGE, NUMBERS, TEXTS, comparisons, filters, payloads
from tests.vectors.filter_shard import Shard, open_shard

thorough = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def every_value() -> list[JsonObject]:
    """Return a payload for each value, alone and in a list, and such that have none."""
    scalars = [*NUMBERS, *TEXTS, True, False]
    values: list[Any] = [*scalars, *([value] for value in scalars), [1, 9], ["x", 1, True], [], None]
    return [{"md_a": value} for value in values] + [{}, {"md_b": 1}]


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    with open_shard(tmp_path_factory.mktemp("filters") / "shard") as opened:
        yield opened


@pytest.fixture(scope="module")
def full_shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    with open_shard(tmp_path_factory.mktemp("filters") / "full") as opened:
        opened.store(every_value())
        yield opened


def expected(wanted: Filter, stored: list[JsonObject]) -> set[int]:
    return {number for number, payload in enumerate(stored) if matches(wanted, payload)}


@thorough
@given(stored=st.lists(payloads, min_size=1, max_size=12), wanted=filters)
def test_the_index_finds_what_matches(shard: Shard, stored: list[JsonObject], wanted: Filter) -> None:
    shard.store(stored)

    assert shard.found(wanted, of=len(stored)) == expected(wanted, stored)


@thorough
@given(wanted=comparisons)
def test_every_kind_of_value_is_compared_alike(full_shard: Shard, wanted: Filter) -> None:
    stored = every_value()

    assert full_shard.found(wanted, of=len(stored)) == expected(wanted, stored)


def test_every_value_is_compared_with_every_other_alike(full_shard: Shard) -> None:
    stored = every_value()
    orders = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
    pairs = [
        *product((Operator.EQ, Operator.NE), (*NUMBERS, *TEXTS, True, False)),
        *product(orders, NUMBERS),
        *((Operator.LIKE, text) for text in TEXTS[1:]),
    ]

    for operator, value in pairs:
        wanted = Compare(operator, "md_a", value)
        assert full_shard.found(wanted, of=len(stored)) == expected(wanted, stored), wanted


@settings(deadline=None)
@given(wanted=filters)
def test_qdrants_own_model_takes_every_condition(wanted: Filter) -> None:
    from qdrant_client.http.models import Filter as QdrantFilter  # noqa: PLC0415 # slow to import

    condition = condition_of(wanted)

    assert QdrantFilter.model_validate(condition).model_dump(exclude_none=True) == condition


# --- the meaning -----------------------------------------------------------------------------------------


def compare(operator: str, value: Any, stored: Any) -> bool:
    return matches(Compare(Operator(operator), "md_a", value), {"md_a": stored})


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1, 1.0),
        (0.0, -0.0),
        ("x", "x"),
        ("", ""),
        (True, True),
        (1, ["x", 1]),
        (LARGE + 1, LARGE + 1),
        (1e18, 10**18),
    ],
)
def test_equal_are_the_same_value_of_the_same_kind(value: Any, stored: Any) -> None:
    assert compare("eq", value, stored)
    assert compare("in", ("other", value), stored)
    assert not compare("ne", value, stored)
    assert not compare("nin", ("other", value), stored)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1, "1"), (1, True), (True, 1), (True, "true"), ("1", 1), ("x", "X"), ("é", "e\u0301"), ("x", "xy"),
        (0, ""), (0, False), (0, None), (False, None), ("", None), ("", []), (5, [1, 9]), (LARGE, LARGE + 1),
        (2**64 - 1, 2.0**64), ("x", {"x": 1}), ("x", [["x"]]),
    ],
    ids=repr,
)  # fmt: skip
def test_unequal_are_values_of_other_kinds_and_neighbours(value: Any, stored: Any) -> None:
    assert not compare("eq", value, stored)
    assert not compare("in", (value, "other"), stored)
    assert compare("ne", value, stored)
    assert compare("nin", (value, "other"), stored)


def test_a_missing_key_matches_negations_only() -> None:
    found = {operator for operator in Operator if matches(Compare(operator, "md_a", _value(operator)), {})}

    assert found == {Operator.NE, Operator.NIN}


def _value(operator: Operator) -> Any:
    return {Operator.IN: (1,), Operator.NIN: (1,), Operator.LIKE: "x"}.get(operator, 1)


@pytest.mark.parametrize(
    ("operator", "found"),
    [("gt", [2.5]), ("gte", [2, 2.0, 2.5]), ("lt", [-3, 1]), ("lte", [-3, 1, 2, 2.0])],
)
def test_an_order_is_one_of_numbers(operator: str, found: list[Any]) -> None:
    stored: list[Any] = [-3, 1, 2, 2.0, 2.5, "3", "0", True, False, None, []]

    assert [value for value in stored if compare(operator, 2, value)] == found


def test_an_order_looks_at_any_element() -> None:
    assert compare("gt", 5, [1, 9])
    assert compare("lt", 5, [1, 9])


def test_like_finds_a_part_of_a_text_in_the_same_case() -> None:
    stored = ["Handbook", "handbook", "and", ["no", "sand"], "%and%", "AND", 1, None]

    found = [value for value in stored if compare("like", "and", value)]

    assert found == ["Handbook", "handbook", "and", ["no", "sand"], "%and%"]
    assert not compare("like", "%and%", "Handbook")


def test_groups_join_by_all_or_by_any() -> None:
    one, two = Compare(Operator.EQ, "md_a", 1), Compare(Operator.EQ, "md_b", 2)
    both, either = Group(Junction.AND, (one, two)), Group(Junction.OR, (one, two))
    stored: list[JsonObject] = [{"md_a": 1, "md_b": 2}, {"md_a": 1}, {"md_b": 2}, {}]

    assert [matches(both, payload) for payload in stored] == [True, False, False, False]
    assert [matches(either, payload) for payload in stored] == [True, True, True, False]


# --- Qdrant's words --------------------------------------------------------------------------------------


def test_flags_repeat_every_value() -> None:
    metadata = {
        "md_draft": True,
        "md_seen": [False, "x", False],
        "md_id": LARGE + 1,
        "md_float": -1e18,
        "md_year": 2024,
        "md_text": "true",
        "md_ratio": 0.5,
        "md_one": [1, 1.0],
        "md_long": "x" * 4096,
    }

    assert flags_of(metadata) == [
        "md_draft:true",
        "md_seen:false",
        "md_seen=x",
        "md_id:9007199254740993",
        "md_float:-1000000000000000000",
        "md_year:2024",
        "md_text=true",
        "md_ratio:0.5",
        "md_one:1",
        f"md_long#{hashlib.sha256(b'x' * 4096).hexdigest()}",
    ]


def test_a_condition_is_what_qdrant_calls_a_filter() -> None:
    wanted = Group(
        Junction.AND,
        (
            Compare(Operator.IN, "md_lang", ("en", "de")),
            Compare(Operator.GTE, "md_year", 2020),
            Compare(Operator.NIN, "md_a", (1, 1.0, "x", True, LARGE)),
            Compare(Operator.LIKE, "md_ключ", "part"),
        ),
    )

    assert condition_of(wanted) == {
        "must": [
            {"key": "flags", "match": {"any": ["md_lang=en", "md_lang=de"]}},
            {"key": "md_year", "range": {"gte": 2020.0}},
            {
                "must_not": [
                    {
                        "key": "flags",
                        "match": {"any": ["md_a:1", "md_a=x", "md_a:true", "md_a:9007199254740992"]},
                    }
                ]
            },
            {"key": '"md_ключ"', "match": {"substring": "part"}},
        ]
    }


@pytest.mark.parametrize("key", KEYS)
def test_a_single_comparison_is_a_filter_too(key: str, full_shard: Shard) -> None:
    wanted = Compare(Operator.EQ, key, "nowhere")

    assert condition_of(wanted).keys() == {"must"}
    assert full_shard.found(wanted, of=len(every_value())) == set()
