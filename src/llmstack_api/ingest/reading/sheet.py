"""Spreadsheets: a sheet a page, a row a passage."""

import re

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.engine import extract
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.table import write_rows

_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]00:00:00")


def read(file: File) -> Document:
    """Read the values of all sheets, as they were last calculated; empty sheets are left out."""
    result = extract(file.source.data, file.kind.value)
    names = [str(name) for name in result.metadata.get("sheet_names") or []]
    draft = Draft()
    for table in result.tables:
        number = table.page_number
        draft.begin_page(number)
        name = names[number - 1] if 0 < number <= len(names) else f"Sheet {number}"
        write_rows(draft, ([_cell(cell) for cell in row] for row in table.cells), heading=name)
    return draft.finish(file.kind.value)


def _cell(value: str) -> str:
    value = clean(value)
    match = _MIDNIGHT.fullmatch(value)
    return match.group(1) if match else value
