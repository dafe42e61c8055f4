"""Judges at save what a definition gives to a processor: everything but what templates make at run."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from llmstack_api.engine.definition import Findings, known_keys, message, place
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import ProcessorModel
from llmstack_api.engine.reading import is_secret_key
from llmstack_api.engine.template import is_templated

_Loc = tuple[str | int, ...]
_WRITTEN_BY_VALIDATORS = frozenset({"value_error", "assertion_error"})
"""Faults of a whole value, which may be about something inside that a template makes."""


def check_values(
    values: JsonObject, model: type[ProcessorModel], loc: str, findings: Findings, *, partial: bool = False
) -> JsonObject:
    """Report what the model refuses for certain; return the values without the fields that have no effect.

    With `partial` more fields come at run, so that what is missing, or wrong with all of them together, is no fault.
    """
    for key in values:
        if key in model.without_effect:
            findings.warn(f"{loc}.{key}", "kept, but it has no effect here")
    known = {key: value for key, value in values.items() if key not in model.without_effect}
    try:
        model.model_validate(known)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            if not findings.full and not (partial and _may_still_come(item)):
                _report(item, known, model, loc, findings)
    return known


def _may_still_come(item: Mapping[str, Any]) -> bool:
    return not item["loc"] or (item["type"] == "missing" and len(item["loc"]) == 1)


def _report(
    item: Mapping[str, Any], values: JsonObject, model: type[ProcessorModel], loc: str, findings: Findings
) -> None:
    where: _Loc = item["loc"]
    if where and is_secret_key(where[-1]):
        return  # told by the reading of the definition
    if item["type"] != "extra_forbidden" and _is_judged_at_run(item, values):
        return
    real = _real_place(item, values)
    findings.fault(f"{loc}.{place(real)}" if real else loc, message(item, known_keys(model, where)))


def _is_judged_at_run(item: Mapping[str, Any], value: Json) -> bool:
    """Tell whether the fault lies in a template, whose value is not known yet."""
    for position, part in enumerate(item["loc"], start=1):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            # Either what is missing, or the tag of a union's member, which is no place in the value.
            is_missing = item["type"] == "missing" and position == len(item["loc"])
            return not is_missing and _holds_template(value)
    return _holds_template(value) if item["type"] in _WRITTEN_BY_VALIDATORS else is_templated(value)


def _holds_template(value: Json) -> bool:
    if isinstance(value, dict):
        return any(_holds_template(member) for member in cast("JsonObject", value).values())
    if isinstance(value, list):
        return any(_holds_template(element) for element in cast("list[Json]", value))
    return is_templated(value)


def _real_place(item: Mapping[str, Any], value: Json) -> _Loc:
    """Return the place of a fault without the tags of union members."""
    real: list[str | int] = []
    for position, part in enumerate(item["loc"], start=1):
        if item["type"] == "missing" and position == len(item["loc"]):
            real.append(part)
            break
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        real.append(part)
    return tuple(real)
