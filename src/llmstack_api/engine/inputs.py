"""Checks a run's input against the app's input fields, and says what is recorded of it."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, cast

from llmstack_api.engine.definition import MAX_FINDINGS, InputField, listed
from llmstack_api.engine.files import HOW_TO_WRITE, is_data_uri, read_head
from llmstack_api.engine.filetypes import VOICE, is_accepted
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.sent import LONG, FormText, SentFile, plain, replaced
from llmstack_api.engine.strict import is_absent
from llmstack_api.errors import Fault, InvalidInputError

MAX_FILES: Final = 100
"""Files in one `multi` field."""

_LOC_LENGTH = 200
_ADDRESS: Final = re.compile(r"\s*https?://", re.IGNORECASE)
_FILE: Final = frozenset({"file", "voice"})
_TRUTHS: Final = {"true": True, "false": False}


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "string": (_is_text, "a string"),
    "text": (_is_text, "a string"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "multi": (lambda value: isinstance(value, str | list | dict), "a string, an array or an object"),
}


def check_inputs(fields: Iterable[InputField], given: JsonObject) -> JsonObject:
    """Return the input as JSON with defaults filled in; raise `InvalidInputError` that names every fault.

    Null and the empty string in an optional field mean that it is absent. Of what `read_files` has read nothing
    is read again; any other data URI in a field of files is.
    """
    declared = {field.name: field for field in fields}
    values: JsonObject = {}
    faults: list[Fault] = []
    for name, field in declared.items():
        sent = given.get(name)
        value = _meant(field, sent)
        if isinstance(sent, FormText) and sent.fault and field.type in ("number", "select", "multi"):
            faults.append(Fault(f"input.{name}", sent.fault))
        elif value is None or (value == "" and not field.required):
            if not is_absent(field.default):
                values[name] = field.default
            elif field.required:
                faults.append(Fault(f"input.{name}", "required"))
        elif (fault := value_fault(field, value)) is not None:
            faults.append(Fault(f"input.{name}", fault))
        else:
            values[name] = plain(value)
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
    if field.type in _FILE:
        return _file_fault(field, value)
    if isinstance(value, SentFile) and value.is_part:
        return "takes no file; send it as a part without a file name"
    value = value.text if isinstance(value, SentFile) else value
    if field.type == "select":
        choices = [option.value for option in field.options or ()]
        if any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices):
            return None
        return f"must be one of {listed([repr(choice)[:_LOC_LENGTH] for choice in choices])}"
    fits, wanted = _CHECKS[field.type]
    if not fits(value):
        return f"must be {wanted}"
    return _files_fault(field, value) if field.type == "multi" else None


def recorded_input(fields: Iterable[InputField], given: JsonObject) -> JsonObject:
    """Return what is kept of an input that was checked: of each file its name, type, size and digest.

    Where files belong that is every data URI, elsewhere those that are long.
    """
    declared = {field.name: field for field in fields}
    return {name: _record_of(declared[name], value) for name, value in given.items()}


def _record_of(field: InputField, value: Json) -> Json:
    meant = _meant(field, value)
    if field.type == "multi" and isinstance(meant, dict):
        members = cast("JsonObject", meant)
        return {key: _recorded(member, in_files=key == "files") for key, member in members.items()}
    return _recorded(meant, in_files=field.type in _FILE)


def _recorded(value: Json, *, in_files: bool) -> Json:
    if isinstance(value, str) and is_data_uri(value) and (in_files or len(value) > LONG):
        value = SentFile.read(value)
    if isinstance(value, SentFile):
        if value.facts is not None and (in_files or read_head(value.text).is_base64):
            return value.facts.as_json()
        return value.text
    return replaced(value, lambda inner: _recorded(inner, in_files=in_files))


# --- what was meant --------------------------------------------------------------------------------------


def _meant(field: InputField, value: Json) -> Json:
    """Read what came in a form by the field's type, and the text of a file field; None where there is none."""
    if isinstance(value, FormText):
        value = _of_form(field, value)
    if field.type == "multi" and isinstance(value, SentFile) and value.is_part:
        return {"text": "", "files": [_as_element(value)]}
    if field.type not in _FILE:
        return value
    if isinstance(value, str):
        value = SentFile.read(value) if value.strip() else None
    return None if isinstance(value, SentFile) and _is_nothing(value) else value


def _of_form(field: InputField, sent: FormText) -> Json:
    match field.type:
        case "boolean":
            return _TRUTHS.get(sent.text.strip().lower(), sent.text)
        case "number":
            return sent.text if sent.value is None else sent.value
        case "multi":
            return cast("Json", sent.value) if isinstance(sent.value, list | dict) else sent.text
        case "select":
            is_choice = any(option.value == sent.text for option in field.options or ())
            return sent.text if is_choice or sent.value is None else sent.value
        case _:
            return sent.text


def _is_nothing(file: SentFile) -> bool:
    """Tell what clients write where no file was chosen."""
    return file.facts is not None and file.facts.size == 0 and file.facts.name is None


def _as_element(file: SentFile) -> dict[str, Any]:
    """Return a file as upstream's clients put it into a `multi` field."""
    facts = file.facts
    found = {"name": facts.name, "size": facts.size, "type": facts.media_type} if facts else {}
    return {"data": file, **found}


# --- files -----------------------------------------------------------------------------------------------


def _file_fault(field: InputField, value: Json) -> str | None:
    file = SentFile.read(value) if isinstance(value, str) else value
    if not isinstance(file, SentFile):
        return f"must be a string, a data URI: {HOW_TO_WRITE}"
    if _ADDRESS.match(file.text):
        return f"takes the file itself, not its address: write a data URI, {HOW_TO_WRITE}, or send a form"
    if not is_data_uri(file.text):
        return f"must be a data URI: {HOW_TO_WRITE}"
    return _fault_of(field, file)


def _files_fault(field: InputField, value: Json) -> str | None:
    """Check the files of `{"text": ..., "files": [{"data": <data URI>, "name": ..., "type": ...}]}`."""
    files = cast("JsonObject", value).get("files") if isinstance(value, dict) else None
    if not isinstance(files, list):
        return None
    elements = cast("list[Json]", files)
    if len(elements) > MAX_FILES:
        return f"has more than {MAX_FILES} files"
    for index, element in enumerate(elements):
        about = cast("JsonObject", element) if isinstance(element, dict) else {"data": element}
        data = about.get("data")
        file = SentFile.read(data) if isinstance(data, str) and is_data_uri(data) else data
        if isinstance(file, SentFile) and (fault := _fault_of(field, file, about)) is not None:
            return f"files[{index}]: {fault}"
    return None


def _fault_of(field: InputField, file: SentFile, about: Mapping[str, Json] | None = None) -> str | None:
    facts = file.facts
    if facts is None:
        return file.fault
    if not facts.size:
        return "the file is empty"
    said = about or {}
    name = facts.name or _said(said.get("name"))
    media_type = facts.media_type or _said(said.get("type"))
    accept = field.accept or (VOICE if field.type == "voice" else None)
    if accept is not None and not is_accepted(accept, name=name, media_type=media_type):
        kind = media_type or "of a type that it does not say"
        named = f", {name[:60]!r}" if name else ""
        return f"must be a file of {' or '.join(listed(accept).split(', '))}; it is {kind}{named}"
    if field.max_bytes is not None and facts.size > field.max_bytes:
        return f"must be a file of at most {field.max_bytes:,} bytes; it has {facts.size:,}"
    return None


def _said(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
