"""Files as they arrive: base64, data URIs, and multipart forms."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.errors import Fault, InvalidInputError, MalformedRequestError
from llmstack_api.models import NAME_LENGTH
from llmstack_api.web.json import parse_json

MULTIPART: Final = "multipart/form-data"
MAX_PARTS: Final = 32


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
        head, comma, encoded = encoded[5:].partition(",")
        media_type, *parameters = [part.strip() for part in head.split(";")]
        if not comma or "base64" not in (parameter.lower() for parameter in parameters):
            raise invalid("entry_data.file", "write a data URI as data:<mime>;name=<file name>;base64,<data>")
        names = [
            value for key, _, value in (part.partition("=") for part in parameters) if key.lower() == "name"
        ]
        name = base_name(unquote(names[0])) if names else None
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("entry_data.file", "is no base64") from None
    return Upload(data, name, media_type or None)


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
    for name, value in parts:
        if name == "entry_metadata":
            wanted[name] = parse_json_at(name, _bytes(value)) if _bytes(value).strip() else {}
        elif name == "entry_data":
            given = parse_json_at(name, _bytes(value))
            if not isinstance(given, dict):
                raise invalid("entry_data", "must be a JSON object")
            entry_data.update(given)  # pyright: ignore[reportUnknownArgumentType] # JSON
        elif name in {"name", "content", "url"}:
            entry_data[name] = _text(name, value)
        elif name == "file":
            upload = value if isinstance(value, Upload) else Upload(value, None, None)
            if upload.data or upload.name:  # else the file field of a form in which none was chosen
                entry_data[name] = upload
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


def _parts(body: bytes, content_type: str) -> list[tuple[str, bytes | Upload]]:
    parts: list[tuple[str, bytes | Upload]] = []

    def add(name: bytes | None, value: bytes | Upload) -> None:
        if len(parts) == MAX_PARTS:
            raise invalid("body", f"has more than {MAX_PARTS} parts")
        decoded = _name(name)
        if any(known == decoded for known, _ in parts):
            raise invalid(decoded[:64], "is there twice")
        parts.append((decoded, value))

    def on_field(field: Field) -> None:
        add(field.field_name, field.value or b"")

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        data = file.file_object.read()
        file.close()
        add(file.field_name, Upload(data, base_name(_name(file.file_name)), file.content_type or None))

    ended: list[bool] = []
    _, parameters = parse_options_header(content_type)
    try:
        parser = FormParser(
            MULTIPART,
            on_field,
            on_file,
            on_end=lambda: ended.append(True),
            boundary=parameters.get(b"boundary"),
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise MalformedRequestError(f"The body is no form: {error}") from None
    if not ended:
        raise MalformedRequestError("The form is not whole: its closing boundary is missing.")
    return parts


def _name(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace").replace("\x00", "")


def _bytes(value: bytes | Upload) -> bytes:
    return value.data if isinstance(value, Upload) else value


def _text(name: str, value: bytes | Upload) -> str:
    try:
        text = _bytes(value).decode()
    except UnicodeDecodeError:
        raise invalid(f"entry_data.{name}", "is no UTF-8") from None
    if "\x00" in text:
        raise invalid(f"entry_data.{name}", "holds a NUL character")
    return text
