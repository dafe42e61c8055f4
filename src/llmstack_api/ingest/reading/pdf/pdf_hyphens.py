"""Hyphens at the ends of a PDF's lines: which belong to their word, and which only cut it."""

import re
from collections.abc import Iterable
from itertools import chain, pairwise

from llmstack_api.ingest.reading.pdf.pdf_lines import HYPHEN, Line

_AND = re.compile(r"(?:und|oder|bzw|sowie|bis|and|or|to|en|of|et|ou|y|e)\b")
_OPENING = "([{\"'\u2018\u201a\u201c\u201e\u2039\u00ab"
_CLOSING = ".,;:!?)]}\"'\u2019\u201d\u201c\u203a\u00bb"
_AFTER = ("", ".", ",", ";", ":", ")", "?")


class Hyphens:
    """What the rest of a document says of words that are cut at the end of a line."""

    def __init__(self, pages: Iterable[list[Line]]) -> None:
        lines = list(chain.from_iterable(pages))
        cuts = [
            _parts(upper.text[:-1], lower.text)
            for upper, lower in pairwise(lines)
            if upper.text.endswith(HYPHEN)
        ]
        self._words: set[str] = set()
        if cuts:
            for line in lines:
                self._words.update(line.text.split())
        self._cuts_words = any(self._has(start + rest) for start, rest in cuts)

    def between(self, start: str, rest: str) -> str:
        """Return what is left of the hyphen between two lines: of a word, or of two ("Haupt- und Nebensatz")."""
        if _AND.match(rest):
            return "- "
        if not rest[:1].islower():
            return "" if start[-1:].isupper() and rest[:1].isupper() else "-"
        return "-" if self._belongs(*_parts(start, rest)) else ""

    def _belongs(self, start: str, rest: str) -> bool:
        """Whether the word has its hyphen elsewhere, or both parts are words where no others are cut."""
        if self._has(start + rest):
            return False
        if self._has(f"{start}-{rest}"):
            return True
        return not self._cuts_words and self._has(start) and self._has(rest)

    def _has(self, word: str) -> bool:
        return any(word + mark in self._words for mark in _AFTER)


def _parts(start: str, rest: str) -> tuple[str, str]:
    """Return the parts of a word: the end of one line and the start of the next."""
    head, tail = start.rpartition(" ")[2], rest.lstrip().partition(" ")[0]
    return head.lstrip(_OPENING), tail.rstrip(_CLOSING)
