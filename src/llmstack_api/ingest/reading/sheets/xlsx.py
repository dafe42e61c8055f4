"""Excel workbooks in XML: the cells of each sheet as they are shown, with comments and merged cells."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.office import ooxml
from llmstack_api.ingest.reading.office.links import with_target
from llmstack_api.ingest.reading.sheets.number_format import Show, general
from llmstack_api.ingest.reading.sheets.rows import write_rows
from llmstack_api.ingest.reading.sheets.xlsx_parts import (
    Frame,
    Styles,
    column_number,
    comments,
    find_frame,
    shared_strings,
)
from llmstack_api.ingest.reading.sheets.xlsx_rows import RawCell, raw_rows, unescaped
from llmstack_api.ingest.reading.tables.grid import MAX_COLUMNS, Grid, Line
from llmstack_api.ingest.reading.xml_tree import local, parse

_SHEETS = {"worksheet", "xlMacrosheet", "xlIntlMacrosheet"}
_MOST_DIGITS = 15
_TRUE = ("1", "true", "on")
_TRUTH = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE"}


class _Columns(dict[str, int]):
    """Letters of a column -> its number, counted from 0."""

    def __missing__(self, letters: str) -> int:
        self[letters] = number = column_number(letters)
        return number


@dataclass(slots=True)
class _Book:
    package: Package
    styles: Styles
    strings: list[str]
    stale: bool
    """Whether all formulas are still to be calculated; what wrote the file put a zero for each."""
    columns: _Columns = field(default_factory=_Columns)


def read(file: File) -> Document:
    """Read all sheets in their order, hidden ones, rows and columns too; charts and dialogs have no cells."""
    package = file.parts
    main = ooxml.main_part(package, "xl/workbook.xml")
    parts = ooxml.relationships(package, main)
    workbook = parse(package.read(main))
    by_kind = {kind: path for kind, path in parts.values() if path in package.names}
    since_1904 = any(local(node) == "workbookPr" and node.get("date1904") in _TRUE for node in workbook)
    styles = Styles(
        parse(package.read(by_kind["styles"])) if "styles" in by_kind else None, since_1904=since_1904
    )
    strings = shared_strings(package.read(by_kind["sharedStrings"])) if "sharedStrings" in by_kind else []
    stale = any(local(node) == "calcPr" and node.get("fullCalcOnLoad") in _TRUE for node in workbook)
    book = _Book(package, styles, strings, stale)
    draft = Draft()
    sheets = [node for node in workbook.iter() if local(node) == "sheet"]
    for number, node in enumerate(sheets, 1):
        kind, path = parts.get(ooxml.related(node, "id"), ("", ""))
        if kind in _SHEETS:
            name = " ".join(clean(node.get("name") or f"Sheet {number}").split())
            draft.begin_page(number, sheet=name)
            write_rows(draft, _lines(book, path), heading=name)
    return draft.finish(file.kind.value, title=ooxml.title(package))


def _lines(book: _Book, path: str) -> Iterator[Line]:
    """Yield the rows of a sheet that are not empty, and an empty one for any number of empty rows."""
    data = book.package.read(path)
    frame = find_frame(book.package, path, data)
    notes = comments(book.package, path)
    grid = Grid()
    before = -1
    for written, raw in raw_rows(data):
        number = _row_number(written, before)
        yield from _lone_notes(notes, before, number)
        cells, bold = _cells(book, raw)
        for column, target in frame.links.get(number, {}).items():
            if column in cells:
                cells[column] += with_target(cells[column], target)
        spans = frame.spans.get(number, {})
        line = grid.place(number, cells, spans) if spans or cells else Line(cells)
        line.notes = notes.pop(number, None) or line.notes
        if not cells and not line.notes:
            continue
        if number > before + 1 and before >= 0:
            yield Line({})
        line.marked = _names(frame, number, cells, bold=bold)
        yield line
        before = number
    yield from _lone_notes(notes, before, None)


def _lone_notes(notes: dict[int, dict[int, str]], after: int, before: int | None) -> Iterator[Line]:
    """Yield the comments in rows that have no cells."""
    if notes:
        for number in sorted(row for row in notes if row > after and (before is None or row < before)):
            yield Line({}, notes=notes.pop(number))


def _row_number(text: str, before: int) -> int:
    """Return the number of a row, counted from 0."""
    return int(text) - 1 if text.isdecimal() and len(text) <= 7 and int(text) > before + 1 else before + 1  # noqa: PLR2004 # digits of the last row


def _names(frame: Frame, number: int, cells: dict[int, str], *, bold: bool) -> bool:
    """Whether the sheet says that a row names columns, or has all of its cells bold."""
    if len(cells) < 2:  # noqa: PLR2004 # one is a title
        return False
    return bold or number in frame.header_rows or number == frame.frozen - 1


def _cells(book: _Book, raw: list[RawCell]) -> tuple[dict[int, str], bool]:
    """Read the cells of a row that show something, and whether all of them are bold."""
    cells: dict[int, str] = {}
    bold = in_order = True
    column = last = -1
    columns, bolds = book.columns, book.styles.bold
    for cell in raw:
        letters = cell[0]
        column = columns[letters] if letters else column + 1
        text = _text(book, cell)
        if text and 0 <= column < MAX_COLUMNS:
            cells[column] = text
            bold = bold and cell[1] in bolds
            in_order = in_order and column > last
            last = column
    if not in_order:
        cells = dict(sorted(cells.items()))
    return cells, bold and bool(cells)


def _text(book: _Book, cell: RawCell) -> str:
    """Write what a cell shows; a formula that was never calculated shows itself."""
    _, style, kind, formula, value, text = cell
    if text:
        return book.styles.text(style, clean(unescaped(text)).strip())
    if not value or (value == "0" and book.stale and formula and kind in ("", "n")):
        return f"={formula.strip()}" if formula.strip() and kind != "str" else ""
    if kind in ("", "n"):
        show = book.styles.show(style)
        if show is None and value.isdecimal() and len(value) <= _MOST_DIGITS:
            return value.lstrip("0") or "0"
        return _number(value, show)
    if kind == "s":
        index = int(value) if value.strip().isdecimal() and len(value) < _MOST_DIGITS else -1
        return book.styles.text(style, book.strings[index]) if 0 <= index < len(book.strings) else ""
    if kind == "b":
        return _TRUTH.get(value.strip().lower(), value)
    if kind == "d":
        return clean(value).strip().removesuffix("T00:00:00").replace("T", " ")
    return clean(unescaped(value)).strip()


def _number(value: str, show: Show | None) -> str:
    try:
        number = float(value)
    except ValueError:
        return clean(value).strip()
    if not isfinite(number):
        return clean(value).strip()
    return show(number) if show else general(number)
