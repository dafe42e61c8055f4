"""Tables as text, CSV and TSV: a row a passage, each cell on a line with the name of its column."""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import MAX_TEXT, Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.sheets.rows import write_rows
from llmstack_api.ingest.reading.tables.grid import Line

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50
_SAMPLE = 65_536
_NAMED_DELIMITER = re.compile(r"\s*sep=(.)\s*\n", re.IGNORECASE)


def read(file: File) -> Document:
    """Read CSV or TSV, with whatever delimiter it has."""
    text = clean(file.text)
    named = _NAMED_DELIMITER.match(text)
    if named:
        text = text[named.end() :]
    delimiter = named.group(1) if named else sniff(text, preferred="\t" if file.kind is FileKind.TSV else ",")
    draft = Draft()
    try:
        write_rows(draft, _lines(rows(text, delimiter=delimiter)))
    except csv.Error as error:
        raise ExtractError(f"The table cannot be read: {error}.", code="corrupt") from None
    return draft.finish(file.kind.value, encoding=file.encoding)


def rows(text: str, *, delimiter: str) -> Iterator[list[str]]:
    """Parse delimited text; cells may hold line breaks where they are quoted."""
    csv.field_size_limit(MAX_TEXT)
    return csv.reader(StringIO(text, newline=""), delimiter=delimiter)


def sniff(text: str, *, preferred: str) -> str:
    """Find the delimiter that gives most lines the same, largest number of cells."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, best_score = preferred, 0.0
    for delimiter in (preferred, *(other for other in _DELIMITERS if other != preferred)):
        try:
            widths = [len(row) for row in islice(rows(sample, delimiter=delimiter), _SAMPLE_LINES) if row]
        except csv.Error:
            continue
        if not widths or max(widths) == 1:
            continue
        usual = max(set(widths), key=widths.count)
        score = widths.count(usual) / len(widths) * (usual > 1) * (1 + min(usual, 20) / 100)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _lines(table: Iterator[list[str]]) -> Iterator[Line]:
    """Yield the rows that are not empty, and an empty one for any number of empty rows."""
    gap = False
    for row in table:
        cells = {column: text for column, cell in enumerate(row) if (text := cell.strip())} if row else {}
        if not cells:
            gap = True
            continue
        if gap:
            yield Line({})
            gap = False
        yield Line(cells)
