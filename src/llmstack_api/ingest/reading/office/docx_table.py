"""Tables of Word documents: rows with merged cells, what names their columns, and their titles."""

from collections.abc import Callable, Iterator, Sequence

from llmstack_api.ingest.reading.tables.grid import Cell, Grid, Line
from llmstack_api.ingest.reading.xml_tree import Node, local

_LEFT_OUT = {"del", "moveFrom", "Fallback", "trPr", "tblPr", "tcPr"}
_MOST_COLUMNS = 64
"""One more than Word allows."""


def rows_of(table: Node) -> list[Node]:
    """Return the rows of a table, and not those of tables in its cells."""
    return [row for row in table.iter() if local(row) == "tr" and _owner(row) is table]


def cells_of(row: Node) -> list[Node]:
    """Return the cells of a row, those in content controls too."""
    found: list[Node] = []
    for node in row:
        if local(node) == "tc":
            found.append(node)
        elif local(node) not in _LEFT_OUT:
            found.extend(cells_of(node))
    return found


def lines_of(rows: Sequence[Node], text_of: Callable[[Node], str]) -> Iterator[Line]:
    """Yield the rows with each cell in its column; `text_of` gives the text of a cell, on one line."""
    grid = Grid()
    above: dict[int, str] = {}
    for row in rows:
        cells: list[Cell] = []
        starts: dict[int, str] = {}
        before = _property(row, "trPr", "gridBefore")
        column = _number(before)
        if column:
            cells.append(Cell("", column))
        nodes = cells_of(row)
        for node in nodes:
            columns = max(_number(_property(node, "tcPr", "gridSpan")), 1)
            merged = _property(node, "tcPr", "vMerge")
            goes_on = merged is not None and _value(merged) in (None, "continue")
            text = above[column] if goes_on and column in above else text_of(node)
            if merged is not None:
                starts[column] = text
            cells.append(Cell(text, columns))
            column += columns
        above = starts
        line = grid.add(cells)
        line.marked = len(line.cells) > 1 and (_is_header(row) or all(map(_is_bold, nodes)))
        yield line


def title_of(table: Node, is_caption: Callable[[Node], bool], text_of: Callable[[Node], str]) -> str | None:
    """Return the title of a table: the caption right above or below it, or what its properties say."""
    for node in (table.getprevious(), table.getnext()):
        if node is not None and local(node) == "p" and is_caption(node):
            return text_of(node) or None
    named = _property(table, "tblPr", "tblCaption")
    return _value(named) if named is not None else None


def caption_styles(trees: Sequence[Node]) -> frozenset[str]:
    """Return the ids of the styles that captions have; their name is the same in every language."""
    return frozenset(
        next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == "styleId"), "")
        for tree in trees
        for node in tree
        if local(node) == "style"
        and any(local(inner) == "name" and (_value(inner) or "").lower() == "caption" for inner in node)
    )


def _owner(row: Node) -> Node | None:
    return next((node for node in row.iterancestors() if local(node) == "tbl"), None)


def _property(node: Node, group: str, name: str) -> Node | None:
    found = next((inner for inner in node if local(inner) == group), None)
    return next((inner for inner in found if local(inner) == name), None) if found is not None else None


def _value(node: Node) -> str | None:
    return next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == "val"), None)


def _number(node: Node | None) -> int:
    text = (_value(node) if node is not None else None) or ""
    return min(int(text), _MOST_COLUMNS) if text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 # digits of any span


def _is_header(row: Node) -> bool:
    """Whether a row is repeated at the top of each page."""
    found = _property(row, "trPr", "tblHeader")
    return found is not None and _value(found) not in ("0", "false", "off")


def _is_bold(cell: Node) -> bool:
    """Whether all text of a cell is bold."""
    runs = [node for node in cell.iter() if local(node) == "r" and any(local(inner) == "t" for inner in node)]
    return bool(runs) and all(
        (bold := _property(run, "rPr", "b")) is not None and _value(bold) not in ("0", "false", "off")
        for run in runs
    )
