"""Metadata filters: what they are, what they mean, and the same said in Qdrant's words.

A filter is a tree: comparisons of one stored key with a value, joined by `and` and `or`. `matches` is the meaning;
`condition_of` makes the JSON condition that finds the same points in Qdrant, in process or as a server.

- Comparison is typed: true, 1 and "1" are three values. 1 and 1.0 are one number, 0.0 and -0.0 too. Texts are
  compared code point by code point: case counts, nothing is normalised.
- A stored list matches where one of its elements does. `ne` and `nin` are the negations of `eq` and `in`: no
  element is equal, so they also match where the key is missing, null or an empty list. Every other operator needs
  a stored value.
- `eq`, `ne`, `in` and `nin` are exact for every number. `gt`, `gte`, `lt` and `lte` compare as double-precision
  numbers, so integers beyond 2^53 that lie close together may count as the same. They never match a text or a
  boolean.
- `like` finds texts that contain the value, and is case-sensitive; nothing in the value is a wildcard.

Each value is stored twice: as it is, and as a keyword in the point's `flags` (`md_lang=en`, `md_year:2024`). One
keyword index over all of them makes every equality a lookup, whatever keys people invent, and mends what Qdrant
alone would get wrong: a boolean misses in process, and there are integers beyond 2^53 that it takes for each other.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any, Final, cast

JsonObject = dict[str, Any]

Scalar = str | int | float | bool

FLAGS: Final = "flags"
"""Payload field that repeats the metadata as keywords, see `flags_of`."""

_LONG = 128
"""Characters from which on a text stands in a keyword by its digest."""


class Operator(StrEnum):
    """How a comparison compares."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    LIKE = "like"


class Junction(StrEnum):
    """How a group joins its filters."""

    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison; `key` is a stored one, such as `md_year` or `source`."""

    operator: Operator
    key: str
    value: Scalar | tuple[Scalar, ...]
    """For `in` and `nin` a tuple, else one value; a number for an order, a text for `like`."""

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The value, or each of them."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True, slots=True)
class Group:
    """Filters of which all, or any, have to match; there is at least one."""

    kind: Junction
    filters: tuple["Filter", ...]


Filter = Compare | Group

ORDERS: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.GT: gt,
    Operator.GTE: ge,
    Operator.LT: lt,
    Operator.LTE: le,
}
"""The operators that compare numbers by size."""

NEGATIONS: Final = frozenset({Operator.NE, Operator.NIN})


# --- the meaning -----------------------------------------------------------------------------------------


def matches(wanted: Filter, payload: Mapping[str, object]) -> bool:
    """Tell whether a payload, keyed as stored, fulfils a filter."""
    if isinstance(wanted, Group):
        answers = (matches(each, payload) for each in wanted.filters)
        return all(answers) if wanted.kind is Junction.AND else any(answers)
    elements = _elements(payload.get(wanted.key))
    if wanted.operator is Operator.LIKE:
        part = str(wanted.value)
        return any(part in element for element in elements if isinstance(element, str))
    if order := ORDERS.get(wanted.operator):
        bound = _bound(wanted)
        return any(order(float(element), bound) for element in elements if _is_number(element))
    identities = {_identity(value) for value in wanted.values}
    found = any(_identity(element) in identities for element in elements)
    return found is not (wanted.operator in NEGATIONS)


def _elements(stored: object) -> list[Scalar]:
    """Return what a comparison looks at."""
    elements = cast("list[object]", stored) if isinstance(stored, list) else [stored]
    return [element for element in elements if isinstance(element, str | int | float)]


def _identity(value: Scalar) -> tuple[bool, Scalar]:
    """Return what is equal for equal values only; Python alone takes True for 1."""
    return isinstance(value, bool), value


def _is_number(value: Scalar) -> bool:
    return not isinstance(value, str | bool)


def _bound(wanted: Compare) -> float:
    return float(cast("float", wanted.value))


# --- the same for Qdrant ---------------------------------------------------------------------------------


def flags_of(metadata: Mapping[str, object]) -> list[str]:
    """Return the keywords to store as `flags` with metadata that is keyed as stored.

    There is one for each value, elements of lists included: `md_lang=en`, `md_draft:true`, `md_year:2024`. Equal
    values have the same keyword.
    """
    return list(
        dict.fromkeys(
            _flag(key, element) for key, stored in metadata.items() for element in _elements(stored)
        )
    )


def _flag(key: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return f"{key}:{'true' if value else 'false'}"
    if isinstance(value, str):
        if len(value) < _LONG:
            return f"{key}={value}"
        return f"{key}#{hashlib.sha256(value.encode()).hexdigest()}"
    return f"{key}:{int(value) if value == int(value) else value}"  # 1 and 1.0 are one number


def condition_of(wanted: Filter) -> JsonObject:
    """Return the condition, a filter object of Qdrant, that finds the points whose payload fulfils a filter.

    `like` needs a server of 1.20 or later; an earlier one refuses the condition.
    """
    if isinstance(wanted, Group):
        clauses = [_clause(each) for each in wanted.filters]
        return {"must" if wanted.kind is Junction.AND else "should": clauses}
    clause = _comparison(wanted)
    return {"must_not" if wanted.operator in NEGATIONS else "must": [clause]}


def _clause(wanted: Filter) -> JsonObject:
    """Return what stands in a list of conditions: a bare comparison where one says it."""
    condition = condition_of(wanted)
    match condition:
        case {"must": [only]} if isinstance(wanted, Compare):
            return only
        case _:
            return condition


def _comparison(wanted: Compare) -> JsonObject:
    """Return the condition of a comparison, or of what it negates."""
    if wanted.operator is Operator.LIKE:
        return {"key": _path(wanted.key), "match": {"substring": wanted.value}}
    if wanted.operator in ORDERS:
        return {"key": _path(wanted.key), "range": {wanted.operator.value: _bound(wanted)}}
    flags = list(dict.fromkeys(_flag(wanted.key, value) for value in wanted.values))
    return {"key": FLAGS, "match": {"value": flags[0]} if len(flags) == 1 else {"any": flags}}


def _path(key: str) -> str:
    """Return a key as Qdrant's paths write it; outside quotes they take some letters only."""
    return key if key.isascii() else f'"{key}"'
