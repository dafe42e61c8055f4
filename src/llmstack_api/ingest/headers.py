"""What an answer's headers say of its body: type, charset, file name, validators."""

import codecs
import math
import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from llmstack_api.ingest.reading.charsets.labels import find_label

MAX_FILE_NAME: Final = 200
"""Characters of a file name that are kept, its extension among them."""

MAX_VALIDATOR: Final = 512
"""Characters of an ETag or Last-Modified; a longer one is not worth its keep."""

_LONGEST_EXTENSION: Final = 20
_LONGEST_CHARSET: Final = 40
_TYPE: Final = re.compile(r"\s*([!#$&^_.+\w-]{1,80}/[!#$&^_.+\w-]{1,80})\s*(?:;|$)", re.ASCII)
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.ASCII | re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NO_TEXT: Final = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf_7"}
)
"""Codecs of no encoding that pages have: of names, of source code, and one by which what is no character comes."""


def media_type_of(content_type: str | None) -> str | None:
    """Give `type/subtype` in lower case, without parameters; None where there is none."""
    match = _TYPE.match(content_type or "")
    return match[1].lower() if match else None


def charset_of(content_type: str | None) -> str | None:
    """Give the charset that a Content-Type names, if Python can decode text of it."""
    name = _parameters(content_type or "").get("charset", "").strip()
    if not name or len(name) > _LONGEST_CHARSET:
        return None
    try:
        if codecs.lookup(name).name.replace("-", "_") in _NO_TEXT:  # one codec has many spellings
            return None
        "a".encode(name)
    except (LookupError, ValueError):
        label = find_label(name)  # pages have spellings that Python has not
        return label.codec if label else None
    return name.lower()


def file_name_of(content_disposition: str | None) -> str | None:
    """Give the file name of a Content-Disposition (RFC 6266), fit to be shown and stored."""
    parameters = _parameters(content_disposition or "")
    name = _extended(parameters.get("filename*", "")) or parameters.get("filename", "")
    return clean_file_name(name)


def clean_file_name(name: str) -> str | None:
    """Strip folders, what cannot be seen, and what is over `MAX_FILE_NAME`; None where nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(c for c in unicodedata.normalize("NFC", last) if c.isprintable())
    text = " ".join(visible.split())
    if not text.strip(". "):
        return None
    if len(text) > MAX_FILE_NAME:
        stem, dot, extension = text.rpartition(".")
        if dot and len(extension) <= _LONGEST_EXTENSION:
            return stem[: MAX_FILE_NAME - len(extension) - 1] + dot + extension
        return text[:MAX_FILE_NAME]
    return text


def validator(value: str | None) -> str | None:
    """Give an ETag or Last-Modified that can be sent back as it is; None where it cannot."""
    text = (value or "").strip()
    return text if 0 < len(text) <= MAX_VALIDATOR and text.isascii() and text.isprintable() else None


def retry_after_of(value: str | None) -> float | None:
    """Read a Retry-After, seconds or a date, as seconds from now; None where it makes no sense."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _parameters(header: str) -> dict[str, str]:
    """Read the parameters of a header; the first of several with one name counts."""
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(header):
        quoted = len(value) > 1 and value[0] == value[-1] == '"'
        found.setdefault(name.lower(), _ESCAPE.sub(r"\1", value[1:-1]) if quoted else value.strip(' \t"'))
    return found


def _extended(value: str) -> str:
    """Decode `charset'language'percent-encoded` (RFC 8187); empty where it is not like that."""
    charset, quote, rest = value.partition("'")
    _, second, encoded = rest.partition("'")
    if not (quote and second) or charset.lower() not in {"utf-8", "iso-8859-1"}:
        return ""
    return unquote_to_bytes(encoded).decode(charset, errors="replace")
