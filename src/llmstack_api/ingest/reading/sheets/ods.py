"""OpenDocument spreadsheets: the cells of each sheet as they are shown, with annotations and merged cells."""

import re
from collections.abc import Iterator
from itertools import groupby

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.office.odf_text import attribute, flat, title_of
from llmstack_api.ingest.reading.sheets.number_format import digits_of, general
from llmstack_api.ingest.reading.sheets.rows import write_rows
from llmstack_api.ingest.reading.tables.grid import MAX_COLUMNS, Grid, Line
from llmstack_api.ingest.reading.xml_tree import Node, local, parse_pieces

_ROW_PARENTS = {"table-header-rows", "table-row-group", "table-rows"}
_RUN = re.compile(r"\d(?:[\d.,'\u00a0\u202f\u2009\u2019 ]*\d)?")
_SHORT_HOUR = re.compile(r"(-?)(\d:\d\d(?::\d\d(?:[.,]\d+)?)?)")
_DURATION = re.compile(r"(-?)P(?:(\d{1,6})D)?T?(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,8})(?:[.,]\d*)?S)?")
_ONLY_MINUTES = re.compile(r"(?<![\d:])\d{1,2}:\d\d(?![\d:])")
_PERCENT = re.compile(r"(?<=\d)%")
_FORMULA = re.compile(r"^\w{1,8}:(?==)")
_MOST_DECIMALS = 15


def read(file: File) -> Document:
    """Read all sheets in their order, hidden ones, rows and columns too."""
    package = file.parts
    if b"encryption-data" in (package.find("META-INF/manifest.xml") or b""):
        raise ExtractError("The file is protected by a password.", code="encrypted")
    draft = Draft()
    for number, (table, rows) in enumerate(groupby(_rows(package.read("content.xml")), _table), 1):
        name = " ".join(clean(attribute(table, "name") or f"Sheet {number}").split())
        draft.begin_page(number, sheet=name)
        write_rows(draft, _lines(row for _, row in rows), heading=name)
    return draft.finish(file.kind.value, title=title_of(package))


def _rows(data: bytes) -> Iterator[tuple[Node, Node]]:
    """Yield each row with its sheet."""
    for row in parse_pieces(data, "table-row"):
        table = _table_of(row)
        if table is not None:
            yield table, row


def _table(row: tuple[Node, Node]) -> Node:
    return row[0]


def _table_of(row: Node) -> Node | None:
    """Return the sheet of a row; a row of a table within a cell, or of a chart, has none."""
    ancestors = row.iterancestors()
    for node in ancestors:
        if local(node) == "table":
            around = next(ancestors, None)
            return node if around is not None and local(around) == "spreadsheet" else None
        if local(node) not in _ROW_PARENTS:
            return None
    return None


def _lines(rows: Iterator[Node]) -> Iterator[Line]:
    """Yield the rows of a sheet that are not empty, and an empty one for any number of empty rows."""
    grid = Grid()
    number = 0
    gap = False
    for node in rows:
        times = _count(node, "number-rows-repeated")
        cells, notes, spans = _cells(node)
        if not cells and not notes:
            gap = number > 0
            number += times
            continue
        for _ in range(times):
            if gap:
                yield Line({})
                gap = False
            line = grid.place(number, cells, spans)
            line.notes, line.marked = notes, line.marked or _is_header(node, cells)
            yield line
            number += 1


def _is_header(row: Node, cells: dict[int, str]) -> bool:
    parent = next(iter(row.iterancestors()), None)
    return len(cells) > 1 and parent is not None and local(parent) == "table-header-rows"


def _count(node: Node, name: str) -> int:
    text = attribute(node, name) or "1"
    return max(int(text), 1) if text.isdecimal() and len(text) < 10 else 1  # noqa: PLR2004 # digits of any count in use


def _cells(row: Node) -> tuple[dict[int, str], dict[int, str], dict[int, tuple[int, int]]]:
    """Read a row: texts, annotations and spans by column."""
    cells: dict[int, str] = {}
    notes: dict[int, str] = {}
    spans: dict[int, tuple[int, int]] = {}
    column = 0
    for node in row:
        if local(node) not in ("table-cell", "covered-table-cell"):
            continue
        times = min(_count(node, "number-columns-repeated"), MAX_COLUMNS - column)
        text = _text(node) if len(node) or attribute(node, "formula") or node.attrib else ""
        note = next(
            (" ".join(clean(flat(inner)).split()) for inner in node if local(inner) == "annotation"), ""
        )
        columns, rows = _count(node, "number-columns-spanned"), _count(node, "number-rows-spanned")
        if columns > 1 or rows > 1:
            spans[column] = (columns, rows)
        for place in range(column, column + times) if text or note else ():
            if text:
                cells[place] = text
            if note:
                notes[place] = note
        column += times
        if column >= MAX_COLUMNS:
            break
    return cells, notes, spans


# --- values ------------------------------------------------------------------------------------------------


def _text(cell: Node) -> str:
    """Write what a cell shows; a formula that was never calculated shows itself."""
    shown = "\n".join(flat(inner) for inner in cell if local(inner) in ("p", "h", "list")).strip()
    shown = clean(shown)
    kind = _office(cell, "value-type")
    if kind in ("float", "percentage", "currency"):
        return _number(
            _office(cell, "value"), "" if "##" in shown else shown, is_percent=kind == "percentage"
        )
    if kind == "date":
        return _date(_office(cell, "date-value"), shown)
    if kind == "time":
        return _time(_office(cell, "time-value"), shown)
    if kind == "boolean":
        return {"true": "TRUE", "false": "FALSE"}.get(_office(cell, "boolean-value"), shown)
    if not shown:
        shown = clean(_office(cell, "string-value")).strip()
    return shown or _FORMULA.sub("", attribute(cell, "formula") or "")


def _office(cell: Node, name: str) -> str:
    """Value of an attribute of a cell, in the namespace of values, whatever its version."""
    return next((value for key, value in cell.attrib.items() if key.endswith(f":office:1.0}}{name}")), "")


def _number(stored: str, shown: str, *, is_percent: bool) -> str:
    """Write a number as it is shown, but with a decimal point and without marks between thousands."""
    try:
        value = float(stored)
    except ValueError:
        return shown
    scaled = abs(value) * 100 if is_percent else abs(value)
    if not shown:
        return f"{general(value * 100)} %" if is_percent else general(value)
    runs = _RUN.findall(shown)
    plain = _plain(runs[0], scaled) if len(runs) == 1 else None
    text = shown if plain is None else shown.replace(runs[0], plain)
    return _PERCENT.sub(" %", text)


def _plain(run: str, value: float) -> str | None:
    """Write digits with marks between them as a plain number, if they are this one."""
    digits = "".join(letter for letter in run if letter.isdigit())
    if not digits.strip("0"):
        whole, mark, rest = run.replace(",", ".").rpartition(".")
        return f"{whole}.{rest}" if mark and whole.isdecimal() else None
    for decimals in range(min(len(digits), _MOST_DECIMALS + 1)):
        if decimals and run[-decimals - 1] not in ".,":
            continue
        if digits_of(value, decimals).replace(".", "").lstrip("0") == digits.lstrip("0"):
            return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return None


def _date(stored: str, shown: str) -> str:
    date, _, time = stored.partition("T")
    time = time.partition(".")[0].removesuffix("Z")
    if not date or shown == date.partition("-")[0]:
        return shown
    if _ONLY_MINUTES.search(shown):
        time = time[: len("00:00")]
    return date if not time or not time.strip("0:") or (shown and ":" not in shown) else f"{date} {time}"


def _time(stored: str, shown: str) -> str:
    if shown and "##" not in shown:
        return _SHORT_HOUR.sub(r"\g<1>0\2", shown) if _SHORT_HOUR.fullmatch(shown) else shown
    match = _DURATION.fullmatch(stored)
    if match is None:
        return shown
    sign, days, hours, minutes, seconds = match.groups()
    total = int(days or 0) * 86_400 + int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return f"{sign}{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}"
