"""Excel workbooks in binary, XLS and XLSB, read by calamine: XLS as it is shown, XLSB as it is stored."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BytesIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
)

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import damaged
from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.sheets.number_format import general
from llmstack_api.ingest.reading.sheets.rows import write_rows
from llmstack_api.ingest.reading.sheets.xls_formats import Shown, shown_numbers
from llmstack_api.ingest.reading.tables.grid import Grid, Line

_WITH_CELLS = (SheetTypeEnum.WorkSheet, SheetTypeEnum.MacroSheet)

Value = int | float | str | bool | date | datetime | time | timedelta


def read(file: File) -> Document:
    """Read all sheets in their order, hidden ones, rows and columns too; dates and times are ISO."""
    draft = Draft()
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(file.source.data))
        shown = shown_numbers(file.source.data) if file.kind is FileKind.XLS else []
        for number, about in enumerate(book.sheets_metadata, 1):
            if about.typ in _WITH_CELLS:
                name = " ".join(clean(about.name).split())
                draft.begin_page(number, sheet=name)
                write_rows(
                    draft,
                    _lines(
                        book.get_sheet_by_index(number - 1), shown[number - 1] if number <= len(shown) else {}
                    ),
                    heading=name,
                )
    except PasswordError as error:
        raise ExtractError("The file is protected by a password.", code="encrypted") from error
    except CalamineError as error:
        raise damaged() from error
    return draft.finish(file.kind.value)


def _lines(sheet: CalamineSheet, shown: Shown) -> Iterator[Line]:
    """Yield the rows of a sheet that are not empty, and an empty one for any number of empty rows."""
    first_row, first_column = sheet.start or (0, 0)
    spans: dict[int, dict[int, tuple[int, int]]] = {}
    for (row, column), (last_row, last_column) in sheet.merged_cell_ranges or []:
        spans.setdefault(row, {})[column] = (last_column - column + 1, last_row - row + 1)
    grid = Grid()
    before: int | None = None
    for number, values in enumerate(sheet.iter_rows(), first_row):
        cells = {
            column: text
            for column, value in enumerate(values, first_column)
            if (
                text := shown.get((number, column)) or (_text(value) if value != "" else "")
            )  # zero is a value
        }
        if not cells:
            continue
        if before is not None and number > before + 1:
            yield Line({})
        before = number
        yield grid.place(number, cells, spans.get(number, {}))


def _text(value: Value) -> str:
    if isinstance(value, str):
        return clean(value).strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return general(value)
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == time() else f"{value:%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else f"{value:%H:%M:%S}"


def _duration(value: timedelta) -> str:
    seconds = round(abs(value).total_seconds())
    sign = "-" if value < timedelta() and seconds else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
