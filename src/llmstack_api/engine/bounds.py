"""Bounds what a definition may cost to compile, before anything is compiled."""

import re
from typing import cast

from llmstack_api.engine.definition import Findings
from llmstack_api.engine.ports import Json, JsonObject

MAX_VALUES = 20_000
"""Values and keys in one definition, at whatever depth."""

MAX_LIQUID = 65_536
"""Characters inside `{{ }}` and `{% %}` in one definition, with `_TAG` more for each of them."""

_TAG = 16
_OPEN = re.compile(r"\{[{%]")


def is_within_bounds(definition: JsonObject, findings: Findings) -> bool:
    """Tell whether a definition can be compiled in a fraction of a second; report it where not."""
    values = liquid = 0
    pending: list[Json] = [definition]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(cast("JsonObject", value).values())
        elif isinstance(value, list):
            pending.extend(cast("list[Json]", value))
        elif isinstance(value, str):
            liquid += _liquid_in(value)
        values += 1
        if values + len(pending) > MAX_VALUES:
            findings.fault("", f"more than {MAX_VALUES:,} values in one definition")
            return False
        if liquid > MAX_LIQUID:
            findings.fault("", f"more than {MAX_LIQUID:,} characters of Liquid in one definition")
            return False
    return True


def _liquid_in(source: str) -> int:
    weight = position = 0
    while (opened := _OPEN.search(source, position)) is not None:
        end = source.find("}}" if opened.group() == "{{" else "%}", opened.end())
        position = len(source) if end < 0 else end + 2
        weight += position - opened.start() + _TAG
    return weight
