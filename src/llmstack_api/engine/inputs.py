"""Checks a run's input against the app's input fields."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from llmstack_api.engine.definition import MAX_FINDINGS, InputField, listed
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.strict import is_absent
from llmstack_api.errors import Fault, InvalidInputError

_LOC_LENGTH = 200


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "string": (_is_text, "a string"),
    "text": (_is_text, "a string"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "file": (_is_text, "a string (a data URI)"),
    "voice": (_is_text, "a string (a data URI)"),
    "multi": (lambda value: isinstance(value, str | list | dict), "a string, an array or an object"),
}


def check_inputs(fields: Iterable[InputField], given: JsonObject) -> JsonObject:
    """Return the input with defaults filled in; raise `InvalidInputError` that names every fault.

    Null and the empty string in an optional field mean that it is absent.
    """
    declared = {field.name: field for field in fields}
    values: JsonObject = {}
    faults: list[Fault] = []
    for name, field in declared.items():
        value = given.get(name)
        if value is None or (value == "" and not field.required):
            if not is_absent(field.default):
                values[name] = field.default
            elif field.required:
                faults.append(Fault(f"input.{name}", "required"))
        elif (fault := value_fault(field, value)) is not None:
            faults.append(Fault(f"input.{name}", fault))
        else:
            values[name] = value
    unknown = (name for name in given if name not in declared)
    faults.extend(
        Fault(f"input.{name}"[:_LOC_LENGTH], f"no such input; the app has {listed(list(declared))}")
        for name in islice(unknown, MAX_FINDINGS)
    )
    if faults:
        raise InvalidInputError(f"{faults[0].loc}: {faults[0].msg}", faults=tuple(faults))
    return values


def value_fault(field: InputField, value: Json) -> str | None:
    """Say why a field cannot take a value; None if it can."""
    if field.type == "select":
        choices = [option.value for option in field.options or ()]
        if any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices):
            return None
        return f"must be one of {listed([repr(choice)[:_LOC_LENGTH] for choice in choices])}"
    fits, wanted = _CHECKS[field.type]
    return None if fits(value) else f"must be {wanted}"
