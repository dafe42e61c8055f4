"""Tables of web pages: which of them hold data, and their rows with merged cells."""

from collections.abc import Callable, Iterator

from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.tables.document_table import LONG_CELL, has_names, is_long, write_table
from llmstack_api.ingest.reading.tables.grid import Cell, Grid, Line
from llmstack_api.ingest.reading.xml_tree import Node

_LAYOUT = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "article", "section", "form")
_LISTS = ("ul", "ol", "dl", "pre", "blockquote")
_GROUPS = {"thead", "tbody", "tfoot"}
_CELLS = {"td", "th"}
_MOST_COLUMNS = 1_000
_MOST_ROWS = 65_534
"""What browsers allow."""


def is_data(table: Node, text_of: Callable[[Node], str]) -> bool:
    """Whether a table holds data; others lay out a page and are written as if they were not there."""
    if next(table.iterdescendants(*_LAYOUT), None) is not None:
        return False
    if next(table.iterdescendants(*_LISTS), None) is None and all(
        sum(map(len, cell.itertext())) <= LONG_CELL for cell in table.iterdescendants(*_CELLS)
    ):
        return True
    lines = list(_lines(table, text_of))
    return any(line.marked for line in lines) and has_names(lines)


def write(draft: Draft, table: Node, text_of: Callable[[Node], str]) -> None:
    """Write a table; its caption stands before the rows."""
    caption = next((text_of(node) for node in table.iterdescendants("caption")), None)
    lines = list(_lines(table, text_of))
    if is_long(lines) and not has_names(lines):
        draft.block("\n\n".join(text for line in lines for text in line.cells.values()))
        return
    write_table(
        draft, lines, title=caption or table.get("aria-label") or _of_figure(table, text_of), caption=caption
    )


def _of_figure(table: Node, text_of: Callable[[Node], str]) -> str | None:
    """Return the caption of the figure that a table stands in."""
    figure = next((node for node in table.iterancestors("figure")), None)
    if figure is None:
        return None
    return next((text_of(node) for node in figure.iterdescendants("figcaption")), None)


def _lines(table: Node, text_of: Callable[[Node], str]) -> Iterator[Line]:
    grid = Grid()
    group: Node | None = None
    for row in table.iterdescendants("tr"):
        around = next(row.iterancestors(), None)
        if around is not group:
            grid.end_group()
            group = around
        cells = [cell for cell in row if cell.tag in _CELLS]
        line = grid.add(
            Cell(text_of(cell), _span(cell, "colspan", _MOST_COLUMNS), _span(cell, "rowspan", _MOST_ROWS))
            for cell in cells
        )
        in_head = around is not None and around.tag == "thead"
        line.marked = len(line.cells) > 1 and (in_head or all(map(_is_name, cells)))
        yield line


def _is_name(cell: Node) -> bool:
    return cell.tag == "th" or cell.get("role") in ("head", "columnheader")


def _span(cell: Node, name: str, most: int) -> int:
    """Read a span; no rows mean all that follow."""
    text = (cell.get(name) or "1").strip()
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 # digits of any span in use
        return 1
    number = int(text)
    return (most if name == "rowspan" else 1) if number == 0 else min(number, most)
