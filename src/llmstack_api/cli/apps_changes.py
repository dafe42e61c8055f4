"""How two definitions differ: place by place, and line by line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any, Final, cast

from llmstack_api.apps.yaml import dump_yaml
from llmstack_api.cli.apps_client import printable
from llmstack_api.engine.definition import place
from llmstack_api.engine.ports import Json
from llmstack_api.engine.strict import is_absent

LISTED: Final = 10
"""Changes that are named; the rest is counted."""

_WIDTH: Final = 60
_NOTHING: Final = object()

_Loc = tuple[str | int, ...]


def settled(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition without the keys at its top that mean nothing: null and the empty string."""
    return {key: value for key, value in definition.items() if key == "name" or not is_absent(value)}


def is_same(before: Json, after: Json) -> bool:
    """Tell whether two JSON values are equal; to JSON, true is not 1, and the order of keys is nothing."""
    return _canonical(before) == _canonical(after)


def replacement(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the change that makes one definition the other: all of it, and null for what it has not."""
    return {**after, **dict.fromkeys(before.keys() - after.keys())}


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name the places where two definitions differ, a line each, but not without end."""
    lines = list(_changes(before, after, ()))
    more = len(lines) - LISTED
    return [printable(line) for line in lines[:LISTED]] + ([f"... and {more} more"] if more > 0 else [])


def unified(before: Mapping[str, Any], after: Mapping[str, Any], *, names: tuple[str, str]) -> list[str]:
    """Return the unified diff of two definitions as YAML, in the key order of the second; empty if equal."""
    if is_same(before, after):
        return []
    old = dump_yaml(_ordered_like(before, after)).splitlines() if before else []
    return list(unified_diff(old, dump_yaml(after).splitlines(), *names, lineterm=""))


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _changes(before: Json, after: Json, loc: _Loc) -> Iterator[str]:
    if before is _NOTHING:
        yield f"+ {place(loc)}: {_short(after)}"
    elif after is _NOTHING:
        yield f"- {place(loc)}: {_short(before)}"
    elif isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in dict.fromkeys((*new, *old)):
            yield from _changes(old.get(key, _NOTHING), new.get(key, _NOTHING), (*loc, key))
    elif isinstance(before, list) and isinstance(after, list):
        left, right = cast("list[Any]", before), cast("list[Any]", after)
        for index in range(max(len(left), len(right))):
            yield from _changes(_at(left, index), _at(right, index), (*loc, index))
    elif not is_same(before, after):
        yield f"~ {place(loc)}: {_short(before)} -> {_short(after)}"


def _at(values: Sequence[Any], index: int) -> Json:
    return values[index] if index < len(values) else _NOTHING


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _ordered_like(value: Json, model: Json) -> Json:
    """Return a value with its keys in the order that another one has them, as far as they share them."""
    if isinstance(value, dict) and isinstance(model, dict):
        given, wanted = cast("dict[str, Any]", value), cast("dict[str, Any]", model)
        keys = [key for key in wanted if key in given] + [key for key in given if key not in wanted]
        return {key: _ordered_like(given[key], wanted.get(key)) for key in keys}
    if isinstance(value, list) and isinstance(model, list):
        items, models = cast("list[Any]", value), cast("list[Any]", model)
        return [
            _ordered_like(item, models[index] if index < len(models) else None)
            for index, item in enumerate(items)
        ]
    return cast("Json", value)
