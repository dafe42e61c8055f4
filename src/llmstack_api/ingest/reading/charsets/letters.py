"""How often letters follow each other in a language, and characters occur in it: what tells one encoding from another.

`letters.json` is made by `benchmarks/letters.py`, whose docstring says from what.
"""

import math
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

UNSEEN: Final = 13.0
"""Bits that a pair costs which a language does not have."""
FOREIGN: Final = 18.0
"""Bits that a letter costs which a language does not have."""
_AFTER_FOREIGN: Final = 5.0
_NO_LETTERS: Final = frozenset("ªºµƒ")
_THAI: Final = ("\u0e01", "\u0e4e")
_FIRST_RANK: Final = 5
_PER_RANK: Final = 2.9


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The letters of a language, in lower case; a space stands for all that is none."""

    bits: dict[str, float]
    """What the second letter of a pair costs after the first."""
    letters: frozenset[str]

    def cost(self, pair: str) -> float:
        """Return the bits that a pair costs."""
        known = self.bits.get(pair)
        if known is not None:
            return known
        if pair[1] not in self.letters:
            return FOREIGN
        return UNSEEN if pair[0] in self.letters else _AFTER_FOREIGN


@cache
def alphabet(language: str) -> Alphabet:
    """Return the letters of a language, by its code of two letters."""
    rows: dict[str, str] = _tables()["pairs"][language]
    bits: dict[str, float] = {}
    for first, row in rows.items():
        level = 0
        for mark in row:
            if mark.isascii() and mark.isdigit():
                level = int(mark)
            else:
                bits[first + mark] = float(level)
    return Alphabet(bits, frozenset(rows) | {" "})


@cache
def characters(language: str) -> dict[str, float]:
    """Return the bits that each of the frequent characters of a language costs that writes with thousands."""
    ranked: str = _tables()["characters"][language]
    return {mark: math.log2(rank + _FIRST_RANK) + _PER_RANK for rank, mark in enumerate(ranked)}


@cache
def signs(kind: str) -> frozenset[str]:
    """Return the signs that are `common` or `fair` in texts, or stand right `before`, `after` or `within` words."""
    return frozenset(_tables()["signs"][kind])


def is_letter(mark: str) -> bool:
    """Whether a character is a part of words: a letter, or a sign that is put on one."""
    if mark.isascii():
        return mark.isalpha()
    return (
        (mark.isalpha() and mark not in _NO_LETTERS)
        or unicodedata.combining(mark) > 0
        or _THAI[0] <= mark <= _THAI[1]
    )


def lower(mark: str) -> str:
    """Return a letter in lower case, if that is one character."""
    folded = mark.lower()
    return folded if len(folded) == 1 else mark


@cache
def _tables() -> dict[str, Any]:
    return orjson.loads(files("llmstack_api.ingest.reading.charsets").joinpath("letters.json").read_bytes())
