"""Bytes become characters: by what the user says, by their mark, as UTF-8, by what they declare, else by a guess."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from dataclasses import dataclass

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Encoding
from llmstack_api.ingest.reading.charsets.guessing import guess
from llmstack_api.ingest.reading.charsets.labels import Label, find_label
from llmstack_api.ingest.reading.charsets.wide import wide_encoding
from llmstack_api.ingest.reading.kind import unsupported
from llmstack_api.ingest.reading.source import Source

SAMPLE = 262_144
_UTF8 = Encoding("utf-8", guessed=False)
_BOMS = (
    (BOM_UTF8, "utf-8"),
    (BOM_UTF32_LE, "utf-32le"),
    (BOM_UTF32_BE, "utf-32be"),
    (BOM_UTF16_LE, "utf-16le"),
    (BOM_UTF16_BE, "utf-16be"),
)
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:+-]{2,40})""", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:+-]{2,40})""")
_SHIFTS = re.compile(rb"\x1b(?:\$[@BA]|\$\([A-Z]|\([BJI]|\$\)C)")
"""What only the encodings ISO-2022 have: escapes from one set of characters to another."""
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x0c\x1b") + b"\x7f"
_HIGH = bytes(range(128, 256))
_HEAD = 4096
_ALLOWED_CONTROLS = 0.01
_ALLOWED_FAULTS = 0.002
_VALID_TO_FAULTY = 8
_BY_CHANCE = 2
"""Bytes that follow others in UTF-8; text in another encoding may hold so few by chance."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the encoding that it was read in."""

    text: str
    encoding: Encoding


def decode(source: Source) -> Decoded:
    """Decode text of any encoding; the module says by what.

    Raises:
        ExtractError: the bytes are no text (`unsupported-type`), or none in the encoding that the user has named
            (`wrong-encoding`).
    """
    data = source.data
    if source.encoding is not None:
        return _as_told(data, source.encoding)
    marked = _by_mark(data)
    if marked is not None:
        return marked
    sample = data[:SAMPLE]
    wide = _declared_wide(data, source.charset)
    if wide is not None:
        return wide
    if len(sample.translate(None, _CONTROLS)) < len(sample):
        name = wide_encoding(sample)
        if name:
            return _guessed(data, Label(name, name))
    if len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) * _ALLOWED_CONTROLS:
        raise unsupported("not text, nor of a kind that is known")
    declared = _as_declared(data, source.charset)
    return _as_utf8(data, declared) or declared or _guessed(data, Label(*guess(data)))


def decode_plainly(source: Source) -> Decoded | None:
    """Decode text that has a byte order mark or is UTF-8, if nothing speaks against; None needs a closer look."""
    data = source.data
    if source.encoding is not None:
        return None
    marked = _by_mark(data)
    if marked is not None:
        return marked
    if len(data[:SAMPLE].translate(None, _CONTROLS)) < len(data[:SAMPLE]) or _SHIFTS.search(data):
        return None
    if not data.isascii() and _declared(source.charset, data[:_HEAD]):
        return None
    try:
        return Decoded(data.decode("utf-8"), _UTF8)
    except UnicodeDecodeError:
        return None


def _by_mark(data: bytes) -> Decoded | None:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return Decoded(data[len(mark) :].decode(name, "replace"), Encoding(name, guessed=False))
    return None


def _as_told(data: bytes, name: str) -> Decoded:
    """Decode as the user wants it; a mark says no more than in which order the bytes of UTF-16 and UTF-32 come."""
    label = find_label(name)
    if label is None:
        raise ExtractError(f"The encoding {name!r} is unknown.", code="wrong-encoding")
    for mark, marked in _BOMS:
        if data.startswith(mark) and marked[:6] == label.name[:6]:
            label, data = Label(marked, marked), data[len(mark) :]
            break
    text = data.decode(label.codec, "replace")
    if _is_faulty(text):
        raise ExtractError(
            f"The file is not in the encoding {label.name}, which entry_data.encoding names.",
            code="wrong-encoding",
        )
    return Decoded(text, Encoding(label.name, guessed=False))


def _as_utf8(data: bytes, declared: Decoded | None) -> Decoded | None:
    """Decode UTF-8, even with few faults (cut off in a character, pasted bytes), whatever is declared.

    Other encodings hardly ever form it by chance, and then no more than a character or two.
    """
    if _SHIFTS.search(data) and data.isascii():
        return declared or _shifted(data)
    high = len(data) - len(data.translate(None, _HIGH))
    text = data.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    if faults and faults * _VALID_TO_FAULTY >= high:
        return None
    if declared is not None and high and len(data) - len(text) <= _BY_CHANCE and _is_sensible(declared.text):
        return None
    return Decoded(text, _UTF8)


def _shifted(data: bytes) -> Decoded | None:
    for name, codec in (("iso-2022-jp", "iso2022_jp_ext"), ("iso-2022-kr", "iso2022_kr")):
        text = data.decode(codec, "replace")
        if "\x1b" not in text and not _is_faulty(text):
            return Decoded(text, Encoding(name, guessed=True))
    return None


def _as_declared(data: bytes, charset: str | None) -> Decoded | None:
    """Decode by the first declaration that fits the bytes."""
    for label in _declared(charset, data[:_HEAD]):
        text = data.decode(label.codec, "replace")
        if not _is_faulty(text):
            return Decoded(text, Encoding(label.name, guessed=False))
    return None


def _declared(charset: str | None, head: bytes) -> list[Label]:
    """Return what the sender and the text itself declare, but UTF-8 and ASCII, which the bytes show themselves."""
    matches = (_XML_CHARSET.search(head), _META_CHARSET.search(head))
    inside = [match[1].decode("ascii", "replace") for match in matches if match]
    named = [name for name in (charset, *inside) if name and name.lower() not in ("us-ascii", "ascii")]
    labels = [label for label in map(find_label, named) if label]
    return [label for label in labels if not label.name.startswith("utf-")]


def _declared_wide(data: bytes, charset: str | None) -> Decoded | None:
    """Decode UTF-16 and UTF-32 that the sender names, which no other text can be mistaken for."""
    label = find_label(charset or "")
    if label is None or not label.name.startswith(("utf-16", "utf-32")):
        return None
    if b"\0" not in data and not _is_faulty(data.decode("utf-8", "replace")):
        return None
    text = data.decode(label.codec, "replace")
    return None if "\0" in text or _is_faulty(text) else Decoded(text, Encoding(label.name, guessed=False))


def _is_sensible(text: str) -> bool:
    """Whether all that is not ASCII is letters: UTF-8 that is read as something else is signs for a half."""
    return all(mark.isascii() or mark.isalpha() for mark in text)


def _guessed(data: bytes, label: Label) -> Decoded:
    return Decoded(data.decode(label.codec, "replace"), Encoding(label.name, guessed=True))


def _is_faulty(text: str) -> bool:
    return text.count("\ufffd") > len(text) * _ALLOWED_FAULTS
