"""Files inside JSON: data URIs, read, described and written."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, unquote_to_bytes

from llmstack_api.engine.ports import File, JsonObject

MAX_MEDIA_TYPE: Final = 200
MAX_HEAD: Final = 4096
"""Characters of a data URI before its data."""

MAX_NAME: Final = 200
"""Characters of a file's name."""

MAX_PERCENT_ENCODED: Final = 65_536
"""Characters of data that are not base64; decoding them takes thirty times their memory."""

HOW_TO_WRITE: Final = "data:<mime>;name=<file name>;base64,<data>"
UNKNOWN_TYPE: Final = "application/octet-stream"

_STEP: Final = 262_144
"""Characters that are decoded at once: other threads come to their turn in between."""

_MEDIA_TYPE: Final = re.compile(r"([\w.+-]+/[\w.+-]+)[ \t]*(;[ -~]*)?", re.ASCII)
_PARAMETER: Final = re.compile(
    r""";\s*(?P<key>[^\s=;"]+)\s*(?:=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;]*)))?"""
)
_ESCAPED: Final = re.compile(r"\\(.)")
_BASE64: Final = re.compile(r";\s*base64\s*,", re.IGNORECASE)
_PLAIN_HEAD: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+")*+,')


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What can be said of a file without keeping it."""

    name: str | None
    media_type: str | None
    size: int
    """Bytes."""
    sha256: str

    def as_json(self) -> JsonObject:
        """Return it as records show it."""
        return {
            "name": self.name,
            "media_type": self.media_type,
            "size": self.size,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class DataUriHead:
    """What stands before the data of a data URI."""

    name: str | None
    media_type: str | None
    is_base64: bool
    """Else the data is percent-encoded."""
    start: int
    """Where in the text the data begins."""


def is_data_uri(text: str) -> bool:
    """Tell whether a text is meant as a data URI."""
    return text[:5].lower() == "data:" or (text[:1].isspace() and text.lstrip()[:5].lower() == "data:")


def read_head(text: str) -> DataUriHead:
    """Read a data URI up to its data.

    Raises:
        ValueError: it is none; the message says why.
    """
    if not is_data_uri(text):
        raise ValueError(f"is no data URI: write {HOW_TO_WRITE}")
    begin = text.index(":") + 1
    window = text[begin : begin + MAX_HEAD + 1]
    end = _length_of_head(window)
    if end is None:
        raise ValueError(f"is no data URI: write {HOW_TO_WRITE}")
    head = window[:end]
    parameters = _parameters(head)
    charset = parameters.get("charset")
    kind = head.partition(";")[0].strip()
    return DataUriHead(
        name=base_name(unquote(parameters.get("name", ""))),
        media_type=clean_media_type(f"{kind};charset={charset}" if charset else kind),
        is_base64="base64" in parameters,
        start=begin + end + 1,
    )


def _length_of_head(window: str) -> int | None:
    """Find the comma before the data: a name may hold others, base64 does not, percent-encoded data may."""
    media_type = window.partition(";")[0]
    if "," in media_type:
        return media_type.index(",")
    encoded = [match.end() for match in _BASE64.finditer(window)]
    if encoded:
        return encoded[-1] - 1
    plain = _PLAIN_HEAD.match(window)
    return plain.end() - 1 if plain else None


def read_data_uri(text: str) -> File:
    """Decode a data URI, of base64 or of percent-encoded text; it may have a `name`.

    Raises:
        ValueError: it is none; the message says why.
    """
    head = read_head(text)
    return File(b"".join(_data(text, head)), head.name, head.media_type)


def describe_data_uri(text: str) -> FileFacts:
    """Say what a data URI holds without ever holding all of it; of 30 MB that takes 0.1 s.

    Raises:
        ValueError: it is none; the message says why.
    """
    head = read_head(text)
    digest = hashlib.sha256()
    size = 0
    for part in _data(text, head):
        digest.update(part)
        size += len(part)
    return FileFacts(head.name, head.media_type, size, digest.hexdigest())


def describe_file(file: File) -> FileFacts:
    """Say what a file is."""
    return FileFacts(file.name, file.media_type, len(file.data), hashlib.sha256(file.data).hexdigest())


def read_base64(text: str) -> bytes:
    """Decode base64, whatever white space is in it.

    Raises:
        ValueError: it is none.
    """
    return b"".join(_base64_parts(text, 0))


def _data(text: str, head: DataUriHead) -> Iterator[bytes]:
    if head.is_base64:
        return _base64_parts(text, head.start)
    if len(text) - head.start > MAX_PERCENT_ENCODED:
        raise ValueError(f"is too long for a data URI that is not base64: write {HOW_TO_WRITE}")
    return iter((unquote_to_bytes(text[head.start :].rstrip()),))


def _base64_parts(text: str, start: int) -> Iterator[bytes]:
    rest = ""
    try:
        for begin in range(start, len(text), _STEP):
            letters = rest + "".join(text[begin : begin + _STEP].split())
            # The last four wait for what follows: padding may stand at the end and nowhere else.
            ready = max(len(letters) // 4 * 4 - 4, 0)
            rest = letters[ready:]
            if 0 <= letters.find("=") < ready:
                raise binascii.Error("padding before the end")
            yield binascii.a2b_base64(letters[:ready], strict_mode=True)
        if len(rest) % 4:
            raise binascii.Error("cut off")
        yield binascii.a2b_base64(rest, strict_mode=True)
    except ValueError:
        raise ValueError("is no base64") from None


def write_data_uri(file: File) -> str:
    """Encode a file as a data URI."""
    name = f";name={quote(file.name, safe='', errors='replace')}" if file.name else ""
    kind = (file.media_type or UNKNOWN_TYPE).replace(" ", "")
    step = _STEP // 4 * 3
    parts = (base64.b64encode(file.data[at : at + step]).decode() for at in range(0, len(file.data), step))
    return f"data:{kind}{name};base64,{''.join(parts)}"


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
    return kept[:MAX_NAME].strip() or None


def _parameters(head: str) -> dict[str, str]:
    """Read what stands between the semicolons of a data URI; the first of several with one name counts."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(head):
        quoted, plain = match["quoted"], match["plain"]
        text = (plain or "").strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        found.setdefault(match["key"].lower(), text)
    return found
