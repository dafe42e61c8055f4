"""Rows of tables, and merged cells: a cell that spans columns or rows has its text in each of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from llmstack_api.ingest.reading.draft import too_large

MAX_COLUMNS = 16_384
"""Columns of a table; what stands farther right is left out, as no program shows it."""

MAX_REPEATED = 2_000_000
"""Cells of one table that are part of another one."""


@dataclass(slots=True)
class Cell:
    """A cell as documents have it: next to the one before, in the first column that is free."""

    text: str
    columns: int = 1
    rows: int = 1


@dataclass(slots=True)
class Line:
    """A row of a table."""

    cells: dict[int, str]
    """Column -> text that is not empty, from left to right."""
    marked: bool = False
    """Whether the file says, or shows by its style, that the row names the columns."""
    grouped: bool = False
    """Whether a cell of it spans several columns, but not all of them."""
    lone: bool = False
    """Whether it is one merged cell: a title or a note, and no value of one column."""
    apart: bool = False
    """Whether empty rows stand before it."""
    notes: dict[int, str] = field(default_factory=dict[int, str])
    """Column -> comment."""


class Grid:
    """The rows of one table, from first to last; it remembers which cells reach into the rows that follow."""

    def __init__(self) -> None:
        self._reaching: dict[int, tuple[str, int]] = {}
        """Column -> text of the cell that spans it, and the last row that it reaches."""
        self._row = -1
        self._repeated = 0

    def add(self, cells: Iterable[Cell]) -> Line:
        """Place the cells of the next row in the columns that are free.

        Raises:
            ExtractError: merged cells span more than they may (`too-large`).
        """
        self._row += 1
        return self._place(self._in_free_columns(cells))

    def place(self, row: int, cells: dict[int, str], spans: Mapping[int, tuple[int, int]]) -> Line:
        """Place the cells of a row at their columns; `spans` has the columns and rows of those that are merged.

        Raises:
            ExtractError: merged cells span more than they may (`too-large`).
        """
        self._row = row
        if not spans and not self._reaching:
            return Line(cells)
        # What is under a merged cell is not shown.
        shown = [
            column for column in cells if column not in self._reaching or self._reaching[column][1] < row
        ]
        return self._place((column, cells[column], *spans.get(column, (1, 1))) for column in shown)

    def end_group(self) -> None:
        """End all cells that span rows, as the end of a group of rows does."""
        self._reaching.clear()

    def _in_free_columns(self, cells: Iterable[Cell]) -> Iterator[tuple[int, str, int, int]]:
        column = 0
        for cell in cells:
            while column in self._reaching:
                column += 1
            columns = max(1, cell.columns)
            yield column, cell.text, columns, cell.rows
            column += columns
            if column >= MAX_COLUMNS:
                return

    def _place(self, cells: Iterable[tuple[int, str, int, int]]) -> Line:
        placed: dict[int, str] = {}
        reaching: dict[int, tuple[str, int]] = {}
        texts = wide = 0
        for column, text, columns, rows in cells:
            last = min(column + columns, MAX_COLUMNS)
            texts += bool(text)
            wide += bool(text) and last - column > 1
            if text or rows > 1:
                self._count(last - column - 1)
                self._spread(
                    range(column, last), text, self._row + rows - 1, placed=placed, reaching=reaching
                )
        own = len(placed)
        self._take_from_above(placed, reaching)
        if wide and texts == 1 and own == len(placed):
            return Line(dict([next(iter(placed.items()))]), lone=True)
        return Line(dict(sorted(placed.items())), grouped=bool(wide))

    def _spread(
        self,
        columns: range,
        text: str,
        last: int,
        *,
        placed: dict[int, str],
        reaching: dict[int, tuple[str, int]],
    ) -> None:
        """Let a cell stand in columns, to a last row."""
        for column in columns:
            if text:
                placed.setdefault(column, text)
            if last > self._row and (column not in self._reaching or self._reaching[column][1] < self._row):
                reaching[column] = (text, last)

    def _take_from_above(self, placed: dict[int, str], reaching: dict[int, tuple[str, int]]) -> None:
        self._count(len(self._reaching))
        for column, (text, last) in self._reaching.items():
            if last >= self._row and text:
                placed[column] = text
            if last > self._row:
                reaching[column] = (text, last)
        self._reaching = reaching

    def _count(self, cells: int) -> None:
        self._repeated += cells
        if self._repeated > MAX_REPEATED:
            raise too_large()
