"""What extraction gives: one text, with its pages, tables and headings as places in it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page, slide or sheet: `text[start:end]` is what stands on it."""

    number: int
    """1-based."""
    start: int
    end: int
    sheet: str | None = None
    """Name of the sheet, where the page is one."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table: `text[start:end]`. They may be cut apart, and each part still knows its columns."""

    start: int
    end: int
    header: str | None = None
    """Lines that name the columns; repeated before every chunk that begins after `start`, where they stand."""
    title: str | None = None
    lead: str | None = None
    """Lines that a chunk which begins at `start` lacks too, as they stand before it."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Which encoding a text was read in."""

    name: str
    """As the web or Python calls it, such as `windows-1252`; see `reading.labels`."""
    guessed: bool
    """Whether nobody named it and no mark or valid UTF-8 shows it, so that only its letters speak for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Text that can be chunked. All offsets count characters (code points) of `text`."""

    text: str
    title: str | None = None
    mime_type: str = "text/plain"
    pages: tuple[Page, ...] = ()
    """In order, without overlap; empty if the format has none."""
    passages: Sequence[int] = ()
    """Starts of passages that must not be joined and, if they fit, not cut (rows of a table); empty for prose."""
    tables: tuple[Table, ...] = ()
    """In order, without overlap."""
    encoding: Encoding | None = None
    """None if the format defines it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: `document.text[start:end]`, and what it is found and shown with."""

    number: int
    """0-based."""
    start: int
    end: int
    page: int | None = None
    heading: str | None = None
    """Path of the headings it stands under, such as `Install > Linux`."""
    sheet: str | None = None
    """Name of its sheet."""
    table: str | None = None
    """Title of its table."""
    header: str | None = None
    """Column names of its table, or the row that it goes on, if they do not stand in the chunk itself."""

    def content(self, text: str) -> str:
        """Return what is searched and shown: the chunk's own text, after the column names if it lacks them."""
        own = text[self.start : self.end]
        return own if self.header is None else f"{self.header}\n{own}"
