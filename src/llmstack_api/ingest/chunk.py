"""Chunking: a document is cut where its text has seams, and each chunk knows its place."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from llmstack_api.errors import IngestError
from llmstack_api.ingest.document import Chunk, Document, Page, Table
from llmstack_api.ingest.outline import Outline

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

DEFAULT_SIZE: Final = 1200
"""Characters of a chunk at most; larger ones found less in the same amount of text."""

DEFAULT_OVERLAP: Final = 150
"""Characters that a chunk may share with the one before."""

MIN_SIZE: Final = 100
MAX_SIZE: Final = 8000

_Split = Callable[[int, int], Iterator[tuple[int, int]]]

MAX_CHUNKS: Final = 100_000
"""Chunks of one document."""

_BLOCK: Final = 4
"""Sizes of text that are split at once: splitting unbroken text is quadratic, and more changes nothing."""

_SENTENCE_ENDS: Final = "\n\r\x85\u2028\u2029!?\u3002\uff01\uff1f\uff61"
_BY_DICTIONARY: Final = re.compile(
    "[\u0e01-\u0e30\u0e32\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0ec0-\u0ec6"  # Thai, Lao
    "\u1000-\u102a\u1780-\u17b3"  # Burmese, Khmer
    "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # kana, Han
)
_THEIR_MARKS: Final = re.compile(
    "[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3]"
)


def chunk(document: Document, *, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> list[Chunk]:
    """Cut a document into chunks of at most `size` characters, in order of their starts.

    Every character that is no white space is in a chunk, and no chunk begins or ends with white space or lies
    within another. `size` is between MIN_SIZE and MAX_SIZE, `overlap` less than half of it.

    Raises:
        IngestError: `too-many-chunks`, when there would be more than MAX_CHUNKS.
    """
    outline = Outline(document)
    chunks: list[Chunk] = []
    for start, end in _spans(document, outline, size=size, overlap=overlap):
        if chunks and end <= chunks[-1].end:
            continue
        if len(chunks) == MAX_CHUNKS:
            raise _too_many(document, size)
        page = _page_at(document.pages, start, end=end)
        table = _table_at(document.tables, start, end=end)
        place = Chunk(
            number=len(chunks),
            start=start,
            end=end,
            page=page.number if page else None,
            heading=outline.over(start, end),
            sheet=page.sheet if page else None,
            table=table.title if table else None,
            header=_header_at(table, start) if table else None,
        )
        chunks.append(place)
    return chunks


def _too_many(document: Document, size: int) -> IngestError:
    advice = (
        "each of its rows is one or more; send it in several files"
        if document.passages
        else f"its chunk_size is {size:,} characters, and a larger one makes fewer"
    )
    return IngestError(f"The text makes more than {MAX_CHUNKS:,} chunks: {advice}.", code="too-many-chunks")


# --- where to cut ----------------------------------------------------------------------------------------


def _spans(document: Document, outline: Outline, *, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    from semantic_text_splitter import TextSplitter  # noqa: PLC0415 # slow to import, not always needed

    splitter = TextSplitter(size, overlap=overlap)
    long_sentence = re.compile(f"[^{_SENTENCE_ENDS}]{{{size // 2},}}")

    def split(start: int, end: int) -> Iterator[tuple[int, int]]:
        return _split(document.text, start, end, splitter=splitter, long_sentence=long_sentence, size=size)

    if document.passages:
        for start, end in pairwise(chain((0,), document.passages, (len(document.text),))):
            yield from split(start, end)
        return
    done = 0
    for table in document.tables:
        if table.end - table.start > size:
            first = _introduction(document.text, done, table.start, size=size)
            yield from _prose(document, outline, done, first, split=split, size=size)
            yield from _rows(document.text, first, table, split=split, size=size)
            done = table.end
    yield from _prose(document, outline, done, len(document.text), split=split, size=size)


def _prose(
    document: Document, outline: Outline, start: int, end: int, *, split: _Split, size: int
) -> Iterator[tuple[int, int]]:
    """Cut text that has no table too large for a chunk; no chunk begins within a row for the overlap's sake."""
    reached = start
    for begin, stop in pairwise(chain((start,), _sections(outline, start, end, size=size), (end,))):
        for first, last in split(begin, stop):
            yield _at_row(document, first, last, reached=reached), last
            reached = last


def _sections(outline: Outline, start: int, end: int, *, size: int) -> Iterator[int]:
    """Give the headings to cut before, so that they stay with their text; short sections stay together."""
    last: int | None = start
    while (last := outline.next_heading(last + size // 2)) is not None and last < end:
        yield last


def _at_row(document: Document, start: int, end: int, *, reached: int) -> int:
    """Move a start that is within a row to the next row, if what is before that is in the last chunk."""
    table = _table_at(document.tables, start, end=start) if start < reached else None
    if table is None or start == table.start or document.text[start - 1] == "\n":
        return start
    row = document.text.find("\n", start, table.end) + 1 or table.end
    while row < end and document.text[row].isspace():
        row += 1
    return row if row <= reached and row < end else start


def _introduction(text: str, start: int, table: int, *, size: int) -> int:
    """Return the start of the paragraph or heading right before a table, if it is short, else the table's."""
    before = text[max(start, table - size // 4) : table].rstrip()
    place = before.rfind("\n\n")
    if place >= 0:
        return table - min(size // 4, table - start) + place + 2
    return start if before and table - start < size // 4 else table


def _rows(text: str, start: int, table: Table, *, split: _Split, size: int) -> Iterator[tuple[int, int]]:
    """Cut a table between its rows, a line each; a row is cut only if it has no room in a chunk."""
    room = max(size - len(table.header or "") - 1, size // 2)
    first, place = start, table.start
    while place < table.end:
        stop = text.find("\n", place, table.end) + 1 or table.end
        if stop - first > room and place > first:
            yield from _trimmed(text[first:place], first)
            first = place
        if stop - first > room + 1:
            yield from split(first, stop)
            first = stop
        place = stop
    yield from _trimmed(text[first : table.end], first)


def _split(
    text: str,
    start: int,
    end: int,
    *,
    splitter: "TextSplitter",
    long_sentence: re.Pattern[str],
    size: int,
) -> Iterator[tuple[int, int]]:
    """Cut a stretch of text block by block; a block's last chunk is cut again, as the next block's first."""
    while start < end:
        block = text[start : min(start + _BLOCK * size, end)]
        last = start + len(block) == end
        if last and len(block) <= size:
            yield from _trimmed(block, start)
            return
        pieces = splitter.chunk_indices(_easy(block, long_sentence))
        ends_here = last or len(pieces) == 1 or not pieces
        for offset, piece in pieces if ends_here else pieces[:-1]:
            yield from _trimmed(block[offset : offset + len(piece)], start + offset)
        start += len(block) if ends_here else pieces[-1][0]


def _easy(block: str, long_sentence: re.Pattern[str]) -> str:
    """Replace letters whose words only a dictionary tells apart, where a sentence is too long to stay whole.

    The splitter would look every word up, again for each chunk, and take twenty times as long. Such a
    sentence is cut at a space or comma, or within a word where it has none.
    """
    if block.isascii():
        return block
    return long_sentence.sub(
        lambda sentence: _THEIR_MARKS.sub("\u0301", _BY_DICTIONARY.sub("x", sentence[0])), block
    )


def _trimmed(piece: str, start: int) -> Iterator[tuple[int, int]]:
    # The splitter trims too, but knows less white space than `str.strip`.
    core = piece.lstrip()
    start += len(piece) - len(core)
    if core := core.rstrip():
        yield start, start + len(core)


# --- where it stands -------------------------------------------------------------------------------------


def _page_at(pages: tuple[Page, ...], start: int, *, end: int) -> Page | None:
    """Return the page that a chunk begins on, or the first that it reaches if it begins between pages."""
    index = bisect_right(pages, start, key=lambda page: page.start) - 1
    if index >= 0 and start < pages[index].end:
        return pages[index]
    following = pages[index + 1 : index + 2]
    return following[0] if following and following[0].start < end else None


def _table_at(tables: tuple[Table, ...], start: int, *, end: int) -> Table | None:
    """Return the table that a chunk begins in, or the first that it reaches if it begins between tables."""
    index = bisect_right(tables, start, key=lambda table: table.start) - 1
    if index >= 0 and start < tables[index].end:
        return tables[index]
    following = tables[index + 1 : index + 2]
    return following[0] if following and following[0].start < end else None


def _header_at(table: Table, start: int) -> str | None:
    """Return the lines of a table that a chunk which begins in it lacks."""
    lines = (table.lead if start >= table.start else None, table.header if start > table.start else None)
    return "\n".join(line for line in lines if line) or None
