"""Payloads and filters that meet where comparisons are easily wrong."""

from typing import Any

from hypothesis import strategies as st

from llmstack_api.vectors.filters import Compare, Filter, Group, Junction, Operator

LARGE = 2**53
KEYS = ("md_a", "md_b", "md_ключ", "md_-", "source")
NUMBERS = (
    0, -0.0, 1, 1.0, 1.5, -1, 5, 0.1, LARGE - 1, LARGE, LARGE + 1, LARGE + 2, float(LARGE), -LARGE - 1,
    10**18, 10**18 + 1, 1e18, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 1e300, -1e-300,
)  # fmt: skip
TEXTS = ("", "1", "true", "x", "X", "xy", "yx%", "é", "e\u0301", "true:1", "md_a:true", "文字", "😀 b", "1.0")

scalars: st.SearchStrategy[Any] = st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS)
stored: st.SearchStrategy[Any] = scalars | st.lists(scalars, max_size=3) | st.none()
payloads = st.dictionaries(st.sampled_from(KEYS), stored, max_size=4)


def _comparison(operator: Operator) -> st.SearchStrategy[Filter]:
    values: st.SearchStrategy[Any]
    match operator:
        case Operator.IN | Operator.NIN:
            values = st.lists(scalars, min_size=1, max_size=4).map(tuple)
        case Operator.LIKE:
            values = st.sampled_from(TEXTS[1:])
        case Operator.EQ | Operator.NE:
            values = scalars
        case _:
            values = st.sampled_from(NUMBERS)
    return st.builds(Compare, st.just(operator), st.sampled_from(KEYS), values)


def _groups(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.builds(Group, st.sampled_from(Junction), st.lists(parts, min_size=1, max_size=3).map(tuple))


comparisons = st.sampled_from(Operator).flatmap(_comparison)
filters: st.SearchStrategy[Filter] = st.recursive(comparisons, _groups, max_leaves=6)
