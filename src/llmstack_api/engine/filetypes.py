"""Which kinds of file an input field takes: media types, wildcards and endings of names."""

import re
from collections.abc import Sequence
from functools import cache
from mimetypes import MimeTypes
from typing import Final, cast

from llmstack_api.engine.files import UNKNOWN_TYPE
from llmstack_api.engine.ports import Json

VOICE: Final = ("audio/*", "video/webm")
"""What a `voice` field takes where it says nothing; browsers record into either."""

_KIND: Final = re.compile(r"\*(/\*)?|[\w.+-]+/(\*|[\w.+-]+)|\.[\w.+-]+", re.ASCII)
_WANTED: Final = 'must be a list such as ["application/pdf", "image/*", ".csv"]'
_SAME: Final = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "text/xml": "application/xml"}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."
_BY_ENDING: Final = {
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".odt": f"{_ODF}text",
    ".ods": f"{_ODF}spreadsheet",
    ".odp": f"{_ODF}presentation",
    ".epub": "application/epub+zip",
    ".rtf": "application/rtf",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".webp": "image/webp",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mpga": "audio/mpeg",
    ".weba": "audio/webm",
}
"""What Python's own table leaves out."""


@cache
def _table() -> MimeTypes:
    return MimeTypes(filenames=())  # the machine's own lists differ from one to the next


def read_kinds(value: Json) -> Json:
    """Read what a field accepts: a list, or a text with commas as HTML and upstream write it.

    Raises:
        ValueError: one of them is no kind of file.
    """
    if value is None:
        return None
    if not isinstance(value, str | list):
        raise ValueError(_WANTED)  # noqa: TRY004 # Pydantic's way of saying so
    given = value.split(",") if isinstance(value, str) else cast("list[Json]", value)
    kinds = [kind.strip().lower() if isinstance(kind, str) else kind for kind in given]
    if isinstance(value, str):
        kinds = [kind for kind in kinds if kind] or ["*"]
    for kind in kinds:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise ValueError(f"{repr(kind)[:60]} is no kind of file; {_WANTED}")
    return None if {"*", "*/*"} & set(kinds) else kinds


def is_accepted(accept: Sequence[str], *, name: str | None, media_type: str | None) -> bool:
    """Tell whether a file is of one of the kinds; a name tells the type of what is of unknown type."""
    ending = _ending(name)
    type_ = _essence(media_type or UNKNOWN_TYPE)
    if type_ == UNKNOWN_TYPE:
        type_ = _type_of(ending) or type_
    return any(_fits(kind, ending, type_) for kind in accept)


def _fits(kind: str, ending: str, type_: str) -> bool:
    if kind.startswith("."):
        return kind == ending or (not ending and _type_of(kind) == type_)
    return type_.startswith(kind[:-1]) if kind.endswith("/*") else type_ == _essence(kind)


def _essence(media_type: str) -> str:
    """Return a media type without its parameters, in its usual name."""
    plain = media_type.partition(";")[0].strip().lower().replace("/x-", "/")
    return _SAME.get(plain, plain)


def _ending(name: str | None) -> str:
    _, dot, ending = (name or "").rpartition(".")
    return f".{ending.strip().lower()}" if dot else ""


def _type_of(ending: str) -> str | None:
    known = _BY_ENDING.get(ending) or _table().types_map[True].get(ending)
    return _essence(known) if known else None
