"""A document in the making: blocks of clean text, with the pages and passages that they stand on."""

import re
from array import array
from bisect import bisect_left

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document, Encoding, Page, Table

MAX_TEXT = 20_000_000
MAX_TITLE = 500
_FOLDED = 8_192
"""Pieces that are joined to one, as each takes some sixty bytes more than its text."""

_NO_TEXT = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)
_NEW_LINE = re.compile("\r\n?|\x0c|\x85|\u2028|\u2029")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_TRAILING = re.compile(r"(?<![ \t])[ \t]++(?=\n)")


def clean(text: str) -> str:
    """Leave out what is no text (NULs, lone surrogates, controls) and end every line with a line feed."""
    if not text.isascii() or not text.isprintable():
        text = _NO_TEXT.sub("", _NEW_LINE.sub("\n", text))
    return text


def tidy(text: str) -> str:
    """Clean text, without trailing blanks and with at most one empty line at a time."""
    text = clean(text)
    if "\n" in text:
        text = _BLANK_LINES.sub("\n\n", _TRAILING.sub("", text))
    return text.rstrip()


def too_large() -> ExtractError:
    """Make the error of a file that has too much text."""
    return ExtractError(f"The file has more than {MAX_TEXT:,} characters of text.", code="too-large")


class Draft:
    """Collects blocks in order and counts where they start; refuses what grows too large, as it grows."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._folded: list[str] = []
        self._length = 0
        self._pages: list[Page] = []
        self._page: int | None = None
        self._page_start: int | None = None
        self._sheet: str | None = None
        self._tables: list[Table] = []
        self._passages = array("L")
        self._in_list = False
        self.title: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written so far."""
        return not self._length

    def block(self, text: str, *, gap: str = "\n\n", passage: bool = False) -> None:
        """Append a block of text, `gap` away from the one before; `passage` marks its start."""
        text = tidy(text).lstrip("\n")
        if text.strip():
            self.append(text, gap=gap, passage=passage)

    def append(self, text: str, *, gap: str = "\n\n", passage: bool = False) -> None:
        """Append text that is clean, as a block."""
        if self._length:
            self._put(gap)
        if self._page is not None and self._page_start is None:
            self._page_start = self._length
        if passage:
            self._passages.append(self._length)
        self._put(text)
        self._in_list = False

    def item(self, text: str) -> None:
        """Append an item of a list, its mark included, next to the item before."""
        if text.strip():
            self.block(text, gap="\n" if self._in_list else "\n\n")
            self._in_list = True

    def heading(self, text: str, level: int, *, passage: bool = False) -> None:
        """Append a heading, on one line; `level` counts from 1."""
        line = " ".join(clean(text).split())
        if line:
            self.block(f"{'#' * min(max(level, 1), 6)} {line}", passage=passage)

    @property
    def length(self) -> int:
        """Characters written so far."""
        return self._length

    def mark_table(
        self,
        start: int,
        *,
        end: int | None = None,
        header: str | None = None,
        title: str | None = None,
        lead: str | None = None,
    ) -> None:
        """Say that what was written from `start` on, to `end` or to here, is a table; see `Table`."""
        stop = self._length if end is None else end
        if start < stop:
            self._tables.append(Table(start, stop, header or None, title or None, lead or None))

    def mark_passage(self, start: int) -> None:
        """Say that a passage begins there, as is known of the first once there is a second."""
        self._passages.insert(bisect_left(self._passages, start), start)

    def begin_page(self, number: int, *, sheet: str | None = None) -> None:
        """Let the blocks that follow stand on this page, or sheet; one without text is left out."""
        self.end_page()
        self._page, self._page_start, self._sheet = number, None, sheet

    def end_page(self) -> None:
        """Let the blocks that follow stand on no page."""
        if self._page is not None and self._page_start is not None:
            self._pages.append(Page(self._page, self._page_start, self._length, self._sheet))
        self._page = self._page_start = self._sheet = None

    def finish(
        self, mime_type: str, *, title: str | None = None, encoding: Encoding | None = None
    ) -> Document:
        """Make the document.

        Raises:
            ExtractError: there is no text (`no-text`).
        """
        self.end_page()
        if not self._length:
            raise ExtractError("There is no text in the file.", code="no-text")
        name = " ".join(clean(title or self.title or "").split())[:MAX_TITLE]
        return Document(
            text="".join([*self._folded, *self._parts]),
            title=name or None,
            mime_type=mime_type,
            pages=tuple(self._pages),
            passages=self._passages,
            tables=tuple(self._tables),
            encoding=encoding,
        )

    def _put(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT:
            raise too_large()
        self._parts.append(text)
        if len(self._parts) == _FOLDED:
            self._folded.append("".join(self._parts))
            self._parts.clear()
