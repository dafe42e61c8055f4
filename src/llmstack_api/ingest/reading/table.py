"""Tables: a row a passage, each cell on a line with the name of its column."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import MAX_TEXT, Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50
_SAMPLE = 65_536
_LOOKED_AT = 20
_MAX_NAME = 200
_LONGEST_NUMBER = 40
_NUMBER = re.compile(r"[\s(+-]*[$€£¥]?\s*\d[\d\s.,:/%TZ+-]*\)?\s*[%$€£¥]?$")
_NAMED_DELIMITER = re.compile(r"\s*sep=(.)\s*\n")


def read(file: File) -> Document:
    """Read CSV or TSV, with whatever delimiter it has."""
    text = clean(file.text)
    named = _NAMED_DELIMITER.match(text)
    if named:
        text = text[named.end() :]
    delimiter = named.group(1) if named else sniff(text, preferred="\t" if file.kind is FileKind.TSV else ",")
    draft = Draft()
    try:
        write_rows(draft, rows(text, delimiter=delimiter))
    except csv.Error as error:
        raise ExtractError(f"The table cannot be read: {error}.", code="corrupt") from None
    return draft.finish(file.kind.value)


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


def write_rows(draft: Draft, table: Iterable[Sequence[str]], *, heading: str | None = None) -> None:
    """Write a table of clean cells; `heading` goes into the passage of its first row.

    Lines above the row of column names are written as they stand; where no row has names, cells are joined.
    """
    source = iter(table)
    head = [[cell.strip() for cell in row] for row in islice(source, _LOOKED_AT)]
    names_at = _names_row(head)
    names: list[str] = []
    if names_at is not None:
        names = [" ".join(name.split())[:_MAX_NAME] for name in head[names_at]]
    first = heading
    count = 0
    for number, row in enumerate(_chain(head, source)):
        if number == names_at:
            continue
        lines = _named(row, names) if names_at is not None and number > names_at else _joined(row)
        if not lines:
            continue
        if first:
            draft.heading(first, 1, passage=True)
        draft.append(lines, passage=first is None)
        first = None
        count += 1
    if names and not count:
        if first:
            draft.heading(first, 1, passage=True)
        draft.block(_joined(names), passage=first is None)


def _chain(head: list[list[str]], rest: Iterator[Sequence[str]]) -> Iterator[list[str]]:
    yield from head
    for row in rest:
        yield [cell.strip() for cell in row]


def _names_row(head: list[list[str]]) -> int | None:
    """Find the row of names: the first that is as wide as the table and holds no number."""
    filled = [sum(bool(cell) for cell in row) for row in head]
    widest = max(filled, default=0)
    if not widest:
        return None
    if widest == 1:
        return 0 if len(head) > 1 and not _is_number(head[0][0] if head[0] else "0") else None
    for number, row in enumerate(head):
        if filled[number] * 2 <= widest or filled[number] == 1:
            continue
        cells = [cell for cell in row if cell]
        return (
            number if not any(_is_number(cell) for cell in cells) and len(set(cells)) == len(cells) else None
        )
    return None


def _is_number(cell: str) -> bool:
    return len(cell) <= _LONGEST_NUMBER and _NUMBER.match(cell) is not None


def _named(row: Sequence[str], names: Sequence[str]) -> str:
    lines: list[str] = []
    for position, cell in enumerate(row):
        if cell:
            name = names[position] if position < len(names) else ""
            lines.append(f"{name or f'column {position + 1}'}: {cell}")
    return "\n".join(lines)


def _joined(row: Sequence[str]) -> str:
    return " | ".join(cell for cell in row if cell)
