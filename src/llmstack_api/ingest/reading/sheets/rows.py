"""Rows of sheets: each is a passage and knows the names of its columns, the title of its table and its key."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.tables.cell_kind import Kind, column_kinds, kind_of
from llmstack_api.ingest.reading.tables.grid import Line
from llmstack_api.ingest.reading.tables.header import Header, find_header, joined

LOOKED_AT = 100
"""Rows of a table that its names are looked for in."""

MAX_KEY = 100
"""Characters of the line that stands for its row where the row is cut."""

MAX_TABLE_TITLE = 200

_UNCUT = 100
"""Characters that are never cut, as no chunk is smaller."""

_NOTE = 40
_WIDE = 3


@dataclass(frozen=True, slots=True)
class _Table:
    """What is known of the rows that are being written."""

    header: Header | None = None
    kinds: dict[int, Kind] = field(default_factory=dict[int, Kind])
    title: str | None = None

    @property
    def names(self) -> dict[int, str] | None:
        """Names that every row is written with."""
        return self.header.names if self.header and self.header.certain else None

    def goes_on_in(self, lines: list[Line]) -> bool:
        """Whether lines without names of their own look like further rows."""
        first = lines[0].cells
        if self.names is None or len(first) < 2 or len(first) * 2 < len(self.names):  # noqa: PLR2004 # one is a note
            return False
        return all(
            column in self.names and kind_of(text) in (self.kinds.get(column, kind_of(text)), Kind.MISSING)
            for column, text in first.items()
        )


class RowWriter:
    """Writes passages, and marks what a chunk that begins within one has to know."""

    def __init__(self, draft: Draft, *, heading: str | None = None, apart: bool = True) -> None:
        """Write to a draft; `heading` goes into the first passage; if not `apart`, rows may share a chunk."""
        self._draft = draft
        self._apart = apart
        self._heading = (heading or "").strip() or None
        self._unmarked: int | None = None
        """Where the rows that share a mark began."""

    def passage(self, text: str) -> int:
        """Write a passage; return where it begins."""
        if self._heading is None:
            self._draft.append(text, passage=self._apart)
            return self._draft.length - len(text)
        self._draft.heading(self._heading, 1, passage=True)
        head = self._draft.length - len(self._heading) - 2
        self._draft.append(text)
        self._heading = None
        return head

    def row(self, lines: list[tuple[str, str]], *, title: str | None) -> None:
        """Write a row: the name and the text of each cell that has one."""
        pieces = [f"{name}: {text}" for name, text in lines]
        text = "\n".join(pieces)
        start = self.passage(text)
        if len(text) <= _UNCUT:
            if title and self._unmarked is None:
                self._unmarked = start
            return
        self.end(title=title, at=start)
        key = pieces[0] if len(pieces) > 1 and len(pieces[0]) <= MAX_KEY and "\n" not in pieces[0] else None
        place = self._draft.length - len(text)
        if start < place:
            self._draft.mark_table(start, end=place, title=title)
        begun = start = place
        for number, piece in enumerate(pieces):
            if len(piece) > _UNCUT:
                self._mark(begun, place, start=start, key=key, title=title) if number else None
                self._draft.mark_table(
                    place,
                    end=place + len(piece),
                    header=f"{lines[number][0]}:",
                    title=title,
                    lead=key if number else None,
                )
                begun = place + len(piece) + 1
            place += len(piece) + 1
        self._mark(begun, self._draft.length, start=start, key=key, title=title)

    def _mark(self, begun: int, end: int, *, start: int, key: str | None, title: str | None) -> None:
        if begun < end:
            self._draft.mark_table(
                begun,
                end=end,
                header=key if begun == start else None,
                title=title,
                lead=key if begun > start else None,
            )

    def end(self, *, title: str | None, at: int | None = None) -> None:
        """Mark the rows since the last mark."""
        if self._unmarked is not None and title:
            self._draft.mark_table(self._unmarked, end=at, title=title)
        self._unmarked = None


def write_rows(draft: Draft, lines: Iterable[Line], *, heading: str | None = None) -> None:
    """Write the rows of a sheet, which may hold several tables with empty rows between them.

    What stands above a row of names is written as it stands. Where it is not certain that a row holds names, it is
    written as a row and stands before those below too.
    """
    writer = RowWriter(draft, heading=heading)
    source = iter(lines)
    table = _Table()
    while (first := next(filter(_has_text, source), None)) is not None:
        table = _write_table(draft, writer, _until_gap(first, source), before=table)


def _has_text(line: Line) -> bool:
    return bool(line.cells or line.notes)


def _until_gap(first: Line, source: Iterator[Line]) -> Iterator[Line]:
    """Yield the lines up to an empty one, which ends a table once it has two rows."""
    rows = 0
    for line in chain([first], source):
        if rows > 1 and not _has_text(line):
            return
        rows += len(line.cells) > 1
        yield line


def _write_table(draft: Draft, writer: RowWriter, lines: Iterator[Line], *, before: _Table) -> _Table:
    sample = list(islice(lines, LOOKED_AT))
    head = _with_text(sample)
    rest = filter(_has_text, lines)
    header = find_header(head)
    if not (header and header.certain) and before.goes_on_in(head):
        _write_named(writer, chain(head, rest), before)
        return before
    start = header.first if header else _first_row(head)
    for line in head[:start]:
        writer.passage(_plain(line))
    table = _Table(header, title=_title(head[:start]))
    if header is None or not header.certain:
        _write_joined(draft, writer, chain(head[start:], rest), table)
        return table
    names, body = head[start : header.last + 1], head[header.last + 1 :]
    if any(name.endswith("…") for name in header.names.values()):
        for line in names:
            writer.passage(joined(line.cells))
    table = _Table(header, column_kinds(body), table.title)
    for line in names:
        for column, note in line.notes.items():
            writer.passage(f"{header.names.get(column, nameless(column))}: [Comment: {note}]")
    repeated = names[-1].cells
    _write_named(writer, (line for line in chain(body, rest) if line.cells != repeated), table)
    return table


def _with_text(lines: list[Line]) -> list[Line]:
    """Return the lines that have text, and let each know whether empty ones stand before it."""
    found: list[Line] = []
    apart = False
    for line in lines:
        if _has_text(line):
            line.apart = apart
            found.append(line)
        apart = not _has_text(line)
    return found


def _first_row(lines: list[Line]) -> int:
    """Return the number of lines above the first that has several cells; none where no line has."""
    return next((number for number, line in enumerate(lines) if len(line.cells) > 1), 0)


def _title(lines: list[Line]) -> str | None:
    """Return the first of the lines that stand together above a table, if it may be a title."""
    if not lines:
        return None
    number = len(lines) - 1
    while number and not lines[number].apart:
        number -= 1
    columns = list(lines[number].cells)
    text = " ".join(next(iter(lines[number].cells.values()), "").split())
    alone = len(columns) < 2 or columns[1] - columns[0] > 1  # noqa: PLR2004 # a date far right is no value of it
    return text if 0 < len(text) <= MAX_TABLE_TITLE and alone and not text.endswith(":") else None


def _write_named(writer: RowWriter, lines: Iterable[Line], table: _Table) -> None:
    names = table.names or {}
    for line in lines:
        text = next(iter(line.cells.values()), "")
        if line.lone or (len(line.cells) == 1 and len(names) >= _WIDE and len(text) > _NOTE):
            writer.passage(_plain(line))
            continue
        row = [(names.get(column) or nameless(column), text) for column, text in _noted(line).items()]
        writer.row(row, title=table.title)
    writer.end(title=table.title)


def _write_joined(draft: Draft, writer: RowWriter, lines: Iterable[Line], table: _Table) -> None:
    start: int | None = None
    for line in lines:
        place = writer.passage(_plain(line))
        start = place if start is None else start
    if start is not None and (table.header or table.title):
        draft.mark_table(start, header=table.header.line if table.header else None, title=table.title)


def nameless(column: int) -> str:
    """Return what a column without a name is called."""
    return f"column {column + 1}"


def _plain(line: Line) -> str:
    return joined(_noted(line))


def _noted(line: Line) -> dict[int, str]:
    """Add the comments to the cells of a row."""
    if not line.notes:
        return line.cells
    cells = {
        column: f"{line.cells.get(column, '')} [Comment: {note}]".strip()
        for column, note in line.notes.items()
    }
    return dict(sorted((line.cells | cells).items()))
