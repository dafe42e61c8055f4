"""Files as they arrive: base64, data URIs, and multipart forms."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.errors import Fault, InvalidInputError, MalformedRequestError
from llmstack_api.ingest.headers import file_name_of
from llmstack_api.models import NAME_LENGTH
from llmstack_api.web.json import parse_json

MULTIPART: Final = "multipart/form-data"
MAX_PARTS: Final = 32
MAX_MEDIA_TYPE: Final = 200
MAX_HEAD: Final = 4096
"""Characters of a data URI before its data."""

_MEDIA_TYPE: Final = re.compile(r"([\w.+-]+/[\w.+-]+)[ \t]*(;[ -~]*)?", re.ASCII)
_PARAMETER: Final = re.compile(
    r""";\s*(?P<key>[^\s=;"]+)\s*(?:=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;]*)))?"""
)
_ESCAPED: Final = re.compile(r"\\(.)")
_OF_BROWSERS: Final = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))
"""What browsers escape in names, and nothing else, not even the percent sign."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file."""

    data: bytes
    name: str | None
    media_type: str | None


def read_file(value: str | Upload) -> Upload:
    """Decode a file that was sent as text.

    Raises:
        InvalidInputError: it is neither base64 nor such a data URI, or holds nothing.
    """
    upload = value if isinstance(value, Upload) else _decoded(value)
    if not upload.data:
        raise invalid("entry_data.file", "the file is empty")
    return upload


def _decoded(value: str) -> Upload:
    name: str | None = None
    media_type: str | None = None
    encoded = value.strip()
    if encoded[:5].lower() == "data:":
        # A name may hold a comma, base64 does not.
        head, comma, encoded = encoded[5:].rpartition(",")
        parameters = _parameters(head) if comma and len(head) <= MAX_HEAD else {}
        if "base64" not in parameters:
            raise invalid("entry_data.file", "write a data URI as data:<mime>;name=<file name>;base64,<data>")
        charset = parameters.get("charset")
        type_ = head.partition(";")[0].strip()
        media_type = clean_media_type(f"{type_};charset={charset}" if charset else type_)
        name = base_name(unquote(parameters.get("name", "")))
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("entry_data.file", "is no base64") from None
    return Upload(data, name, media_type)


def _parameters(head: str) -> dict[str, str]:
    """Read what stands between the semicolons of a data URI; the first of several with one name counts."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(head):
        quoted, plain = match["quoted"], match["plain"]
        text = (plain or "").strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        found.setdefault(match["key"].lower(), text)
    return found


def clean_media_type(value: str) -> str | None:
    """Return a media type, with its parameters where they are not too long; None where it is none."""
    match = _MEDIA_TYPE.fullmatch(value.strip())
    if match is None or len(match[1]) > MAX_MEDIA_TYPE:
        return None
    return match[0] if len(match[0]) <= MAX_MEDIA_TYPE else match[1]


def base_name(name: str) -> str | None:
    """Return the last part of a path, without what no name may hold; None where nothing is left."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable()).strip()
    return kept[:NAME_LENGTH] or None


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


# --- multipart -------------------------------------------------------------------------------------------


def parse_form(body: bytes, content_type: str) -> JsonObject:
    """Read a form into the shape of the JSON body: parts `file`, `name`, `content`, `url`, `entry_metadata`.

    Raises:
        MalformedRequestError: it is no form.
        InvalidInputError: a part is unknown, double, or no text.
    """
    parts = _parts(body, content_type)
    entry_data: JsonObject = {}
    wanted: JsonObject = {"entry_data": entry_data}
    for name, part in parts:
        if name == "entry_metadata":
            wanted[name] = parse_json_at(name, part.data) if part.data.strip() else {}
        elif name == "entry_data":
            given = parse_json_at(name, part.data)
            if not isinstance(given, dict):
                raise invalid("entry_data", "must be a JSON object")
            entry_data.update(given)  # pyright: ignore[reportUnknownArgumentType] # JSON
        elif name in {"name", "content", "url"}:
            entry_data[name] = _text(name, part.data)
        elif name == "file":
            if part.data or part.name:  # else the file field of a form in which none was chosen
                entry_data[name] = part
        else:
            raise invalid(
                name[:64], "unknown part; known are file, name, content, url, entry_data, entry_metadata"
            )
    return wanted


def form_identity(value: Json) -> bytes:
    """Return what equal forms have in common, whatever stood between their parts."""
    return orjson.dumps(
        value, default=_upload_identity, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    )


def _upload_identity(value: object) -> list[str | None]:
    if not isinstance(value, Upload):
        raise TypeError
    return [hashlib.sha256(value.data).hexdigest(), value.name, value.media_type]


@dataclass(slots=True)
class _Form:
    """A form as it is read."""

    parts: dict[str, Upload] = field(default_factory=dict[str, Upload])
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
        if len(self.parts) == MAX_PARTS:
            raise invalid("body", f"has more than {MAX_PARTS} parts")
        if name in self.parts:
            raise invalid(name[:64], "is there twice")
        file_name = options.get(b"filename")
        self.parts[name] = Upload(
            _decode(b"".join(self._data), self._headers.get(b"content-transfer-encoding", "")),
            # The extended form is not for forms, but some clients write it and nothing else.
            file_name_of(disposition) if file_name is None else base_name(_shown(file_name)),
            clean_media_type(self._headers.get(b"content-type", "")),
        )
        self._data = []

    def on_end(self) -> None:
        self.ended = True


def _parts(body: bytes, content_type: str) -> list[tuple[str, Upload]]:
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise MalformedRequestError("The body is no form: its Content-Type has no boundary.")
    form = _Form()
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
    return list(form.parts.items())


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


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise invalid(f"entry_data.{name}", "is no UTF-8") from None
    if "\x00" in text:
        raise invalid(f"entry_data.{name}", "holds a NUL character")
    return text
