"""Chunking: a document is cut where its text has seams, and each chunk knows its place."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from llmstack_api.ingest.document import Chunk, Document, Page

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

DEFAULT_SIZE: Final = 1200
"""Characters of a chunk at most; larger ones found less in the same amount of text."""

DEFAULT_OVERLAP: Final = 150
"""Characters that a chunk may share with the one before."""

MIN_SIZE: Final = 100
MAX_SIZE: Final = 8000

MAX_HEADING: Final = 120
"""Characters of one heading in a path."""

_BLOCK: Final = 4
"""Sizes of text that are split at once: splitting unbroken text is quadratic, and more changes nothing."""

_NOT_MARKDOWN: Final = re.compile(
    r"text/(?:x-|csv|css|javascript|calendar|tab-)|application/(?:json|yaml|x-sh)"
)
_HEADING_OR_FENCE: Final = re.compile(
    r"^ {0,3}(?:(?P<level>#{1,6})[ \t]+(?P<title>\S.*)|(?P<fence>`{3,}|~{3,})(?P<info>.*))$", re.MULTILINE
)
_MARKED: Final = re.compile(r"[*`_#\[]")
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_MARKS: Final = re.compile(r"\*{1,3}|`+|(?<!\w)_{1,3}|_{1,3}(?!\w)")
_CLOSING: Final = re.compile(r"(?:^|[ \t])#+[ \t]*$")


@dataclass(frozen=True, slots=True)
class _Heading:
    start: int
    end: int
    path: str


def chunk(document: Document, *, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> list[Chunk]:
    """Cut a document into chunks of at most `size` characters, in order of their starts.

    Every character that is no white space is in a chunk, and no chunk begins or ends with white space or lies
    within another. `size` is between MIN_SIZE and MAX_SIZE, `overlap` less than half of it.
    """
    headings = list(_find_headings(document))
    paths = _Paths(headings, document.text)
    chunks: list[Chunk] = []
    for start, end in _spans(document, headings, size=size, overlap=overlap):
        if chunks and end <= chunks[-1].end:
            continue
        place = Chunk(
            number=len(chunks),
            start=start,
            end=end,
            page=_page_at(document.pages, start, end=end),
            heading=paths.over(start, end),
        )
        chunks.append(place)
    return chunks


# --- where to cut ----------------------------------------------------------------------------------------


def _spans(
    document: Document, headings: Iterable[_Heading], *, size: int, overlap: int
) -> Iterator[tuple[int, int]]:
    from semantic_text_splitter import TextSplitter  # noqa: PLC0415 # slow to import, not always needed

    splitter = TextSplitter(size, overlap=overlap)
    seams = document.passages or _sections(headings, size=size)
    for start, end in pairwise((0, *seams, len(document.text))):
        yield from _split(document.text, start, end, splitter=splitter, size=size)


def _sections(headings: Iterable[_Heading], *, size: int) -> Iterator[int]:
    """Give the headings to cut before, so that they stay with their text; short sections stay together."""
    last = 0
    for heading in headings:
        if heading.start - last >= size // 2:
            last = heading.start
            yield last


def _split(
    text: str, start: int, end: int, *, splitter: "TextSplitter", size: int
) -> Iterator[tuple[int, int]]:
    """Cut a stretch of text block by block; a block's last chunk is cut anew, as the next block's first."""
    while start < end:
        block = text[start : min(start + _BLOCK * size, end)]
        last = start + len(block) == end
        if last and len(block) <= size:
            yield from _trimmed(block, start)
            return
        pieces = splitter.chunk_indices(block)
        ends_here = last or len(pieces) == 1 or not pieces
        for offset, piece in pieces if ends_here else pieces[:-1]:
            yield from _trimmed(piece, start + offset)
        start += len(block) if ends_here else pieces[-1][0]


def _trimmed(piece: str, start: int) -> Iterator[tuple[int, int]]:
    # The splitter trims too, but knows less white space than `str.strip`.
    core = piece.lstrip()
    start += len(piece) - len(core)
    if core := core.rstrip():
        yield start, start + len(core)


# --- where it stands -------------------------------------------------------------------------------------


def _page_at(pages: tuple[Page, ...], start: int, *, end: int) -> int | None:
    """Give the page that a chunk begins on, or the first that it reaches where it begins between pages."""
    index = bisect_right(pages, start, key=lambda page: page.start) - 1
    if index >= 0 and start < pages[index].end:
        return pages[index].number
    following = pages[index + 1 : index + 2]
    return following[0].number if following and following[0].start < end else None


class _Paths:
    """Gives the headings above chunks that are asked for in order of their starts."""

    def __init__(self, headings: list[_Heading], text: str) -> None:
        self._headings = headings
        self._text = text
        self._next = 0

    def over(self, start: int, end: int) -> str | None:
        """Give the path of the headings over a chunk; those that it begins with stand over it too."""
        reach = start
        while self._next < len(self._headings):
            heading = self._headings[self._next]
            between = self._text[reach : heading.start]
            if heading.start >= end or (heading.start > reach and not between.isspace()):
                break
            reach = max(reach, heading.end)
            self._next += 1
        return self._headings[self._next - 1].path if self._next else None


def _find_headings(document: Document) -> Iterator[_Heading]:
    """Find the headings of Markdown, which extraction writes for every format that has headings."""
    if "#" not in document.text or _NOT_MARKDOWN.match(document.mime_type):
        return
    above: list[tuple[int, str]] = []
    fence: str | None = None
    for match in _HEADING_OR_FENCE.finditer(document.text):
        mark = match["fence"]
        if mark:
            if fence is None:
                # Backticks in the rest of the line make it code within a line.
                fence = mark if mark[0] == "~" or "`" not in match["info"] else None
            elif mark.startswith(fence) and not match["info"].strip():
                fence = None
            continue
        title = _clean(match["title"]) if fence is None else ""
        if title:
            level = len(match["level"])
            above = [(other, name) for other, name in above if other < level] + [(level, title)]
            yield _Heading(match.start(), match.end(), " > ".join(name for _, name in above))


def _clean(title: str) -> str:
    """Take a heading's marks away."""
    title = title[: 4 * MAX_HEADING]
    if _MARKED.search(title):
        title = _MARKS.sub("", _LINK.sub(r"\1", _CLOSING.sub("", title)))
    title = " ".join(title.split())
    return title if len(title) <= MAX_HEADING else title[: MAX_HEADING - 1].rstrip() + "…"
