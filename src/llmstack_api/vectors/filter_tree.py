"""Reads a filter from a JSON tree, and describes that tree as JSON Schema.

`{"type": "and", "filters": [{"type": "eq", "key": "lang", "value": "en"}, ...]}`. What is malformed is refused,
never left out: a filter that lost a part would find what it was to keep out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from llmstack_api.errors import Fault, InvalidFilterError
from llmstack_api.vectors.filter_rules import (
    MAX_DEPTH,
    MAX_KEY,
    MAX_NODES,
    MAX_TEXT,
    MAX_VALUES,
    key_fault,
    shown,
    stored_key,
    value_faults,
)
from llmstack_api.vectors.filters import Compare, Filter, Group, JsonObject, Junction, Operator, Scalar

Json = Any

MAX_FAULTS = 20
"""Most faults that one answer names."""

_PLAIN = re.compile(r"[\w-]{1,64}")
_OPERATORS = {operator.value: operator for operator in Operator}
_JUNCTIONS = {junction.value: junction for junction in Junction}
_KNOWN = f"known are {', '.join((*_OPERATORS, *_JUNCTIONS))}"
_SHAPE = (
    'a filter is an object, {"type": "eq", "key": "lang", "value": "en"} or {"type": "and", "filters": [...]}'
)


def parse_filters(value: Json, *, loc: str = "filters") -> Filter:
    """Read a filter; `loc` is its place in the request.

    Raises:
        InvalidFilterError: it is malformed; `faults` names every place.
    """
    reader = _Reader()
    parsed = _read(value, loc=loc, depth=1, reader=reader)
    if parsed is None or reader.faults:
        first = reader.faults[0]
        raise InvalidFilterError(f"{first.loc}: {first.msg}", faults=tuple(reader.faults))
    return parsed


@dataclass(slots=True)
class _Reader:
    """What was found so far."""

    faults: list[Fault] = field(default_factory=list[Fault])
    nodes: int = 1
    """Comparisons and groups, those that are still to be read included."""
    values: int = 0
    """Elements of lists to compare with."""

    def fault(self, loc: str, msg: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(loc, msg))


def _read(value: Json, *, loc: str, depth: int, reader: _Reader) -> Filter | None:
    """Read one filter; None where it has faults of its own."""
    if not isinstance(value, dict):
        reader.fault(loc, _SHAPE)
        return None
    node = cast("JsonObject", value)
    kind = node.get("type")
    if "type" not in node:
        reader.fault(f"{loc}.type", f"required; {_KNOWN}")
    elif not isinstance(kind, str):
        reader.fault(f"{loc}.type", f"must be a text; {_KNOWN}")
    elif junction := _JUNCTIONS.get(kind):
        return _read_group(junction, node, loc=loc, depth=depth, reader=reader)
    elif operator := _OPERATORS.get(kind):
        return _read_comparison(operator, node, loc=loc, reader=reader)
    else:
        reader.fault(f"{loc}.type", f"{shown(kind)} is no type of filter; {_KNOWN}")
    return None


def _read_group(kind: Junction, node: JsonObject, *, loc: str, depth: int, reader: _Reader) -> Group | None:
    _refuse_unknown(node, ("type", "filters"), loc=loc, reader=reader)
    place = f"{loc}.filters"
    given = node.get("filters")
    if not isinstance(given, list):
        reader.fault(place, f"{'' if 'filters' in node else 'required; '}{kind} joins a list of filters")
        return None
    parts = cast("list[Json]", given)
    if not parts:
        reader.fault(place, f"{kind} needs at least one filter")
    elif depth == MAX_DEPTH:
        reader.fault(place, f"filters are nested deeper than {MAX_DEPTH} levels")
    elif reader.nodes + len(parts) > MAX_NODES:
        reader.fault(place, f"a filter has at most {MAX_NODES} comparisons and groups")
    else:
        reader.nodes += len(parts)
        filters = [
            _read(part, loc=f"{place}[{index}]", depth=depth + 1, reader=reader)
            for index, part in enumerate(parts)
        ]
        return Group(kind, tuple(part for part in filters if part is not None))
    return None


def _read_comparison(operator: Operator, node: JsonObject, *, loc: str, reader: _Reader) -> Compare | None:
    _refuse_unknown(node, ("type", "key", "value"), loc=loc, reader=reader)
    faults = list(_comparison_faults(operator, node, reader))
    for place, msg in faults:
        reader.fault(loc + place, msg)
    if faults:
        return None
    value: object = node["value"]
    checked = tuple(cast("list[Scalar]", value)) if isinstance(value, list) else cast("Scalar", value)
    return Compare(operator, stored_key(node["key"]), checked)


def _comparison_faults(operator: Operator, node: JsonObject, reader: _Reader) -> Iterator[tuple[str, str]]:
    if "key" not in node:
        yield ".key", f"required; {operator} compares what is stored under a key"
    elif fault := key_fault(node["key"]):
        yield ".key", fault
    value: object = node.get("value")
    reader.values += _length(value)
    if "value" not in node:
        yield ".value", f"required; {operator} compares with a value"
    elif reader.values > MAX_VALUES:
        yield ".value", f"the lists of a filter have at most {MAX_VALUES:,} values"
    else:
        for place, msg in value_faults(operator, value):
            yield f".value{place}", msg


def _length(value: object) -> int:
    return len(cast("list[object]", value)) if isinstance(value, list) else 0


def _refuse_unknown(node: JsonObject, known: tuple[str, ...], *, loc: str, reader: _Reader) -> None:
    for key in node:
        if len(reader.faults) == MAX_FAULTS:
            return
        if key not in known:
            place = f"{loc}.{key}" if _PLAIN.fullmatch(key) else f"{loc}[{shown(key)}]"
            reader.fault(place, f"unknown key; {node['type']} takes {', '.join(known)}")


# --- the description -------------------------------------------------------------------------------------


def filter_schema(reference: str = "#") -> JsonObject:
    """Describe the tree as JSON Schema; `reference` is where the schema itself will stand."""
    scalar = {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT}
    scalars = {"type": "array", "items": scalar, "minItems": 1, "maxItems": MAX_VALUES}
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    nested = {"type": "array", "items": {"$ref": reference}, "minItems": 1, "maxItems": MAX_NODES - 1}
    return {
        "title": "Filter",
        "description": (
            "Selects by metadata. Keys are stored ones (`md_lang`, `source`); a bare key that the server does not"
            ' fill in means `md_<key>`. Comparison is typed: true, 1 and "1" differ. On a list, any element'
            " counts; `ne` and `nin` also match where the key is missing. `gt`, `gte`, `lt`, `lte` compare"
            " numbers; `like` finds texts that contain the value, in the same case."
        ),
        "oneOf": [
            _comparison("Equality", ("eq", "ne"), value=scalar),
            _comparison("Order", ("gt", "gte", "lt", "lte"), value={"type": "number"}),
            _comparison("Membership", ("in", "nin"), value=scalars),
            _comparison("Substring", ("like",), value=text),
            _object("Group", ("and", "or"), properties={"filters": nested}),
        ],
        "examples": [
            {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "md_lang", "value": "en"},
                    {"type": "gte", "key": "md_year", "value": 2020},
                ],
            }
        ],
    }


def _comparison(title: str, types: tuple[str, ...], *, value: JsonObject) -> JsonObject:
    key = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY,
        "description": "A stored key or a bare key of metadata: letters, digits, `_` and `-`.",
    }
    return _object(title, types, properties={"key": key, "value": value})


def _object(title: str, types: tuple[str, ...], *, properties: JsonObject) -> JsonObject:
    return {
        "title": title,
        "type": "object",
        "properties": {"type": {"enum": list(types)}, **properties},
        "required": ["type", *properties],
        "additionalProperties": False,
    }
