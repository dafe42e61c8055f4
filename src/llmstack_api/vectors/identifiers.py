"""Codes, versions, order numbers and addresses in a text: the terms by which other ways to write them meet."""

import re
from collections.abc import Iterator
from typing import Final

_JOINTS: Final = r"\-\u2010-\u2013\u2212_./:#@+"
"""Characters that join the parts of an identifier; hyphens of any length count as one."""

_COMPOUND: Final = re.compile(rf"[^\W_]+(?:[{_JOINTS}]{{1,3}}[^\W_]+)*")
_PART: Final = re.compile(r"[^\W_]+")
_RUN: Final = re.compile(r"\d+|[^\W\d_]+")

_GROUPED: Final = re.compile(
    r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[ \u00a0][A-Za-z0-9]{4}){2,7}(?:[ \u00a0][A-Za-z0-9]{1,3})?(?![^\W_])"
)
"""A bank account (IBAN) in groups of four."""

_LONG_NUMBER: Final = 8
"""Digits from which a compound of numbers alone is written without its separators too, as an ISBN or a date is."""

MAX_LENGTH: Final = 128
"""Characters of an identifier; a longer one is found by its words alone."""


def suspects(text: str) -> list[str]:
    """Return the pieces between white space that may hold an identifier: all but bare words.

    Everything else here costs far more for each piece, and most pieces are bare words.
    """
    return [piece for piece in text.split() if not piece.isalpha()]


def variants(piece: str) -> tuple[str, list[str]]:
    """Return the words and the ordered numbers that other ways to write a piece's identifiers share with it.

    `ERR-4012` gives `err4012`, and so does `ERR4012`, besides `err` and `4012`. A compound without a letter is
    ordered instead: `2.10.3` is `2.10.3` and not `3.10.2`, which has the same words; a long one, such as an ISBN, is
    both. The words are separated by blanks.
    """
    words: list[str] = []
    numbers: list[str] = []
    for found in _COMPOUND.finditer(piece):
        compound = found[0]
        if len(compound) > MAX_LENGTH:
            continue
        parts = _PART.findall(compound)
        words += _mixed_runs(parts)
        if len(parts) > 1:
            joined = "".join(parts)
            if joined.isdecimal():
                numbers.append(".".join(parts))
            if not joined.isdecimal() or len(joined) >= _LONG_NUMBER:
                words.append(joined)
    return " ".join(words), numbers


def grouped(text: str) -> str:
    """Return the identifiers that a text has in groups, each as one word."""
    return " ".join("".join(found[0].split()) for found in _GROUPED.finditer(text))


def _mixed_runs(parts: list[str]) -> Iterator[str]:
    for part in parts:
        if not part.isalpha() and not part.isdecimal():
            yield from _RUN.findall(part)
