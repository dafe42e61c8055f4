"""Tables in documents: a row a line, and every chunk of a long one knows its columns and its title."""

from collections.abc import Sequence
from dataclasses import replace

from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.sheets.rows import LOOKED_AT, RowWriter, nameless
from llmstack_api.ingest.reading.tables.grid import Line
from llmstack_api.ingest.reading.tables.header import Header, find_header

LONG_CELL = 500
"""Characters of a cell over which a row is no line any more, but a cell is."""

MAX_TITLE = 200
_MOST_GAPS = 64


def write_table(
    draft: Draft, lines: Sequence[Line], *, title: str | None = None, caption: str | None = None
) -> None:
    """Write a table; `caption` stands before its rows and is its title if there is no other."""
    rows = _clipped([line for line in lines if line.cells])
    caption = " ".join(clean(caption or "").split())
    name = (" ".join(clean(title or "").split()) or caption)[:MAX_TITLE] or None
    if not rows:
        draft.block(caption)
        return
    header = find_header(rows[:LOOKED_AT])
    if name is None and header is not None and header.first and len(rows[0].cells) == 1:
        name = next(iter(rows[0].cells.values()))[:MAX_TITLE]
    if header is not None and is_long(rows):
        _write_records(draft, rows, header, caption=caption, title=name)
        return
    before = draft.length
    text = "\n".join([*([caption] if caption else []), *map(_row, rows)])
    draft.block(text)
    if draft.length > before:
        # No chunk begins with the blank of an empty first cell.
        start = (before + 2 if before else 0) + len(text) - len(text.lstrip(" "))
        draft.mark_table(start, header=header.line if header else None, title=name)


def is_long(lines: Sequence[Line]) -> bool:
    """Whether a cell is too long to stand in a line with others."""
    return any(len(text) > LONG_CELL for line in lines for text in line.cells.values())


def has_names(lines: Sequence[Line]) -> bool:
    """Whether a table has names for its columns, and rows below them."""
    rows = [line for line in lines if line.cells]
    return (
        max((len(line.cells) for line in rows), default=0) > 1 and find_header(rows[:LOOKED_AT]) is not None
    )


def _write_records(
    draft: Draft, rows: Sequence[Line], header: Header, *, caption: str, title: str | None
) -> None:
    """Write a table of long cells: each on a line with the name of its column."""
    draft.block(caption)
    writer = RowWriter(draft, apart=False)
    for line in rows[: header.first]:
        writer.passage(_row(line))
    for line in rows[header.last + 1 :]:
        writer.row(
            [(header.names.get(column) or nameless(column), text) for column, text in line.cells.items()],
            title=title,
        )
    writer.end(title=title)


def _clipped(lines: list[Line]) -> list[Line]:
    """Take away the columns that only merged cells reach."""
    width = max((max(line.cells) + 1 for line in lines if not line.grouped), default=0)
    if not width:
        return lines
    return [
        replace(line, cells={column: text for column, text in line.cells.items() if column < width})
        if line.grouped
        else line
        for line in lines
    ]


def _row(line: Line) -> str:
    """Write a row on one line, each cell in its column."""
    if len(line.cells) == 1:
        column, text = next(iter(line.cells.items()))
        return f"{' | ' * min(column, _MOST_GAPS)}{text}" if column else text
    last = max(line.cells)
    if last - len(line.cells) > _MOST_GAPS:
        return " | ".join(line.cells.values())
    return " | ".join(line.cells.get(column, "") for column in range(last + 1))
