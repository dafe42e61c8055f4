"""Forms (`multipart/form-data`): read into parts, and routes that take them in place of JSON."""

import binascii
import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from llmstack_api.engine.files import base_name, clean_media_type
from llmstack_api.engine.ports import File, Json
from llmstack_api.engine.sent import FormText, SentFile
from llmstack_api.errors import Fault, InvalidInputError, MalformedRequestError
from llmstack_api.ingest.headers import file_name_of
from llmstack_api.web.json import parse_json
from llmstack_api.web.routing import JSON, ApiRoute, BodyReader

MULTIPART: Final = "multipart/form-data"
MAX_PARTS: Final = 32
"""Parts of a form, where its reader says no other number."""

_SHOWN_NAME: Final = 64
_OF_BROWSERS: Final = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))
"""What browsers escape in names, and nothing else, not even the percent sign."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form."""

    name: str
    file: File
    has_file_name: bool
    """Whether it was sent with a file name, if only an empty one."""

    @property
    def is_unchosen(self) -> bool:
        """Whether it is the file field of a form in which none was chosen."""
        return self.has_file_name and not self.file.data and not self.file.name

    def text(self, loc: str | None = None) -> str:
        """Return its data as text; `loc` is what an error calls it.

        Raises:
            InvalidInputError: it is none.
        """
        where = loc or shown_name(self.name)
        try:
            text = self.file.data.decode()
        except UnicodeDecodeError:
            raise invalid(where, "is no UTF-8") from None
        if "\x00" in text:
            raise invalid(where, "holds a NUL character")
        return text


class FormRoute(ApiRoute):
    """A route that reads JSON or a form."""

    media_types = (JSON, MULTIPART)

    def reader(self, request: Request) -> BodyReader:
        """See `ApiRoute.reader`."""
        content_type = request.headers.get("content-type", JSON)
        if content_type.partition(";")[0].strip().lower() == MULTIPART:
            return partial(self.read_form, content_type)
        return super().reader(request)

    def read_form(self, content_type: str, body: bytes, /) -> Json:
        """Read a form into the shape of the JSON body; raise a 4xx error."""
        raise NotImplementedError

    def identity(self, raw: bytes, value: Json) -> bytes:
        """See `ApiRoute.identity`: a form has another boundary each time it is sent."""
        return form_identity(value) if raw.lstrip()[:2] == b"--" else raw


def form_identity(value: Json) -> bytes:
    """Return what equal forms have in common, whatever stood between their parts."""
    return orjson.dumps(
        value, default=_identity, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    )


def _identity(value: object) -> Json:
    match value:
        case File():
            return [hashlib.sha256(value.data).hexdigest(), value.name, value.media_type]
        case SentFile():
            return value.text if value.facts is None else value.facts.as_json()
        case FormText():
            return value.text
        case _:
            raise TypeError


def shown_name(name: str) -> str:
    """Return a part's name as an error shows it."""
    return name[:_SHOWN_NAME]


def invalid(loc: str, msg: str) -> InvalidInputError:
    """Make the error that names one place."""
    return InvalidInputError(f"{loc}: {msg}", faults=(Fault(loc, msg),))


def parse_json_at(loc: str, data: bytes) -> Json:
    """Parse JSON that is a part of something.

    Raises:
        InvalidInputError: it is no JSON, or holds what no request may; every place begins with `loc`.
    """
    try:
        return parse_json(data)
    except MalformedRequestError as error:
        raise invalid(loc, str(error).replace("the body", "it", 1)) from None
    except InvalidInputError as error:
        faults = tuple(Fault(f"{loc}.{fault.loc}", fault.msg) for fault in error.faults)
        raise InvalidInputError(f"{faults[0].loc}: {faults[0].msg}", faults=faults) from None


# --- parsing ---------------------------------------------------------------------------------------------


def read_parts(content_type: str, body: bytes, *, most: int = MAX_PARTS) -> list[Part]:
    """Read the parts of a form, in their order; no two have one name.

    Raises:
        MalformedRequestError: it is no form.
        InvalidInputError: a part is double, or there are too many.
    """
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise MalformedRequestError("The body is no form: its Content-Type has no boundary.")
    form = _Form(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        )
        parser.write(body)
    except (FormParserError, ValueError) as error:
        raise MalformedRequestError(f"The body is no form: {error}") from None
    if not form.ended:
        raise MalformedRequestError("The form is not whole: its closing boundary is missing.")
    return list(form.parts.values())


@dataclass(slots=True)
class _Form:
    """A form as it is read."""

    most: int
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    ended: bool = False
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _headers: dict[bytes, str] = field(default_factory=dict[bytes, str])
    _data: list[bytes] = field(default_factory=list[bytes])

    def on_part_begin(self) -> None:
        self._headers, self._data = {}, []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = self._value.decode("latin-1").strip(" \t")
        self._name.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def on_part_end(self) -> None:
        disposition = self._headers.get(b"content-disposition", "")
        _, options = parse_options_header(disposition)
        written = options.get(b"name")
        if written is None:
            raise FormParserError("a part has no name in its Content-Disposition")
        name = _shown(written)
        if len(self.parts) == self.most:
            raise invalid("body", f"has more than {self.most} parts")
        if name in self.parts:
            raise invalid(shown_name(name), "is there twice")
        file_name = options.get(b"filename")
        # The extended form is not for forms, but some clients write it and nothing else.
        extended = file_name_of(disposition) if file_name is None else None
        file = File(
            _decode(b"".join(self._data), self._headers.get(b"content-transfer-encoding", "")),
            extended if file_name is None else base_name(_shown(file_name)),
            clean_media_type(self._headers.get(b"content-type", "")),
        )
        self.parts[name] = Part(name, file, has_file_name=file_name is not None or extended is not None)
        self._data = []

    def on_end(self) -> None:
        self.ended = True


def _decode(data: bytes, encoding: str) -> bytes:
    match encoding.lower():
        case "base64":
            return binascii.a2b_base64(data)
        case "quoted-printable":
            return binascii.a2b_qp(data)
        case _:
            return data


def _shown(written: bytes) -> str:
    """Decode a name of a form."""
    text = written.decode(errors="replace").replace("\x00", "")
    for escape, letter in _OF_BROWSERS:
        text = text.replace(escape, letter)
    return text
