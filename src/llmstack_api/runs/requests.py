"""Requests to run an app: JSON or a form, with their files read."""

from functools import partial
from typing import Final, cast

from fastapi import Request

from llmstack_api.engine.definition import MAX_INPUT_FIELDS
from llmstack_api.engine.files import is_data_uri
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.sent import FormText, SentFile, read_files
from llmstack_api.errors import InvalidInputError, MalformedRequestError
from llmstack_api.web.json import MAX_VALUES, parse_json
from llmstack_api.web.multipart import FormRoute, Part, invalid, parse_json_at, read_parts, shown_name
from llmstack_api.web.routing import BodyReader

RESERVED: Final = frozenset({"input", "stream", "session_id"})
"""Parts of a form that are no input field."""

_TRUTHS: Final = {"": False, "true": True, "false": False}
_SCALAR: Final = 64
"""Longest text that is looked at as a number, a truth or a string of JSON."""


class RunRoute(FormRoute):
    """A route that reads what to run an app with; long files are read where the body is, in a thread."""

    def reader(self, request: Request) -> BodyReader:
        """See `ApiRoute.reader`."""
        return partial(_with_files, super().reader(request))

    def read_form(self, content_type: str, body: bytes, /) -> Json:
        """See `FormRoute.read_form`."""
        return read_run_form(content_type, body)


def _with_files(read: BodyReader, body: bytes) -> Json:
    value = read(body)
    if not isinstance(value, dict) or "input" not in value:
        return cast("Json", value)
    given = cast("JsonObject", value)
    return {**given, "input": read_files(given["input"])}


def read_run_form(content_type: str, body: bytes) -> JsonObject:
    """Read a form into the shape of the JSON body: one part a field, and `input`, `stream`, `session_id`.

    Files become `SentFile`s and texts `FormText`s, which the app's fields tell the meaning of.

    Raises:
        MalformedRequestError: it is no form.
        InvalidInputError: a part is double, no text, or not what it should be.
    """
    wanted: JsonObject = {}
    values: JsonObject = {}
    left = MAX_VALUES
    parts = read_parts(content_type, body, most=MAX_INPUT_FIELDS + len(RESERVED))
    for part in parts:
        match part.name:
            case "input":
                given = parse_json_at("input", part.file.data)
                if not isinstance(given, dict):
                    raise invalid("input", "must be a JSON object")
                values |= cast("JsonObject", read_files(given))
            case "stream":
                wanted["stream"] = _truth(part)
            case "session_id":
                wanted["session_id"] = part.text()
            case _:
                pass
    for part in parts:
        if part.name in RESERVED or part.is_unchosen:
            continue
        if part.name in values:
            raise invalid(_loc(part), "is there twice: as a part, and in the part input")
        if _is_file(part):
            values[part.name] = SentFile.of(part.file)
            continue
        weight = _weight(part.file.data)
        values[part.name] = _meaning(part, is_too_much=weight > left)
        left -= min(weight, left)
    return {**wanted, "input": values}


def _is_file(part: Part) -> bool:
    """Tell files from texts: by a file name, or a media type that is no text's."""
    kind = (part.file.media_type or "text/plain").lower()
    is_text = kind.startswith(("text/", "application/json"))
    return part.has_file_name or not is_text


def _weight(data: bytes) -> int:
    """Return how many values a text may hold at most, should it be JSON."""
    if data.lstrip()[:1] not in {b"[", b"{"}:
        return 0
    return sum(map(data.count, (b",", b"[", b"{")))


def _meaning(part: Part, *, is_too_much: bool) -> SentFile | FormText:
    text = part.text(_loc(part))
    if is_data_uri(text):
        return SentFile.read(text)
    if is_too_much:
        return FormText(text, fault="holds too much JSON for a form; send the body as JSON")
    if len(text) > _SCALAR and text.lstrip()[:1] not in {"[", "{"}:
        return FormText(text)
    try:
        return FormText(text, read_files(parse_json(part.file.data)))
    except MalformedRequestError:
        return FormText(text)
    except InvalidInputError as error:
        return FormText(text, fault=error.faults[0].msg)


def _loc(part: Part) -> str:
    return f"input.{shown_name(part.name)}"


def _truth(part: Part) -> bool:
    text = part.text().strip().lower()
    if text not in _TRUTHS:
        raise invalid("stream", "must be true or false")
    return _TRUTHS[text]
