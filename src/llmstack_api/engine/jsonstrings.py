"""Reads the strings of JSON from pieces of text that may be cut anywhere."""

import re
from collections.abc import Mapping
from typing import Final

_SHOWN: Final = 60
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE: Final = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_ESCAPE_BEGUN: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_LOW: Final = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_LOW_BEGUN: Final = re.compile(r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?")
_ESCAPED: Final[Mapping[str, str]] = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_HIGH_SURROGATES: Final = range(0xD800, 0xDC00)
_SURROGATES: Final = range(0xD800, 0xE000)
_NO_CHARACTER: Final = "\ufffd"


class NonsenseError(ValueError):
    """A text that is not the JSON that was expected; the message says how."""


def read_string(text: str, position: int, parts: list[str]) -> tuple[int, bool]:
    """Read on in a string; return where it stopped, and whether the string ended there.

    Where it did not end and stopped before the text did, an escape has begun there: read on from it with more text.

    Raises:
        NonsenseError: what no string may hold.
    """
    while True:
        end = _end(text, position)
        if end > position:
            parts.append(text[position:end])
        if end == len(text):
            return end, False
        if text[end] == '"':
            return end + 1, True
        if text[end] != "\\":
            raise NonsenseError("a string holds a control character")
        position = _read_escape(text, end, parts)
        if position == end:
            return end, False


def _end(text: str, position: int) -> int:
    match = _PLAIN.match(text, position)
    return match.end() if match else position


def _read_escape(text: str, position: int, parts: list[str]) -> int:
    """Read an escape; stay where its end has not come yet."""
    match = _ESCAPE.match(text, position)
    if match is None:
        if _ESCAPE_BEGUN.fullmatch(text, position):
            return position
        raise NonsenseError(f"a string holds an escape that is none: {shown(text, position)}")
    if match[1]:
        parts.append(_ESCAPED[match[1]])
        return match.end()
    code = int(match[2], 16)
    if code not in _SURROGATES:
        parts.append(chr(code))
        return match.end()
    if code in _HIGH_SURROGATES:
        if low := _LOW.match(text, match.end()):
            parts.append(chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00))
            return low.end()
        if _LOW_BEGUN.fullmatch(text, match.end()):
            return position
    parts.append(_NO_CHARACTER)
    return match.end()


def shown(text: str, position: int = 0) -> str:
    """Quote what stands at a position, shortened."""
    said = text[position : position + _SHOWN]
    return repr(said + "…" if position + _SHOWN < len(text) else said)
