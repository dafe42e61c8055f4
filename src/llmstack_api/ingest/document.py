"""What extraction gives: one text, with its pages and headings as places in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page, slide or sheet: `text[start:end]` is what stands on it."""

    number: int
    """1-based."""
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Text that can be chunked. All offsets count characters (code points) of `text`."""

    text: str
    title: str | None = None
    mime_type: str = "text/plain"
    pages: tuple[Page, ...] = ()
    """In order, without overlap; empty where the format has none."""
    passages: tuple[int, ...] = ()
    """Starts of passages that must not be joined nor, where they fit, cut (rows of a table); empty for prose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: `text == document.text[start:end]`."""

    number: int
    """0-based."""
    start: int
    end: int
    page: int | None = None
    heading: str | None = None
    """Path of the headings it stands under, such as `Install > Linux`."""
