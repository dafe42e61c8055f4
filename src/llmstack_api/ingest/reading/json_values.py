"""JSON and JSON lines: a record a passage, each value on a line with the path of keys that leads to it."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.json_stream import MAX_DEPTH, Cursor, Found, Plain, too_deep
from llmstack_api.ingest.reading.kind import FileKind

_BATCH = 65_536
"""Characters from which lines are written, as few records have, so that the rest need not be held as lines."""


def read(file: File) -> Document:
    """Read one JSON value, or one a line; what is neither is text, where no name says that it is JSON.

    Raises:
        ExtractError: it is named JSON and is none, or is nested too deeply (`corrupt`).
    """
    source = file.source
    named = source.suffix in ("json", "jsonl", "ndjson", "geojson", "ipynb") or "json" in source.media
    try:
        return _read(file)
    except ValueError as error:
        if named:
            reason = str(error).partition(":")[0]
            raise ExtractError(f"The file is not valid JSON: {reason}.", code="corrupt") from None
        draft = Draft()
        draft.block(file.text)
        return draft.finish(FileKind.TEXT.value, encoding=file.encoding)


def _read(file: File) -> Document:
    """Try lines where the whole is no JSON."""
    if file.kind is FileKind.JSON:
        try:
            return _written(_whole(Cursor(file.text)), file, FileKind.JSON)
        except ValueError:
            if "\n" not in file.text.strip():
                raise
    return _written(_by_lines(Cursor(file.text)), file, FileKind.JSONL)


def _written(records: Iterable[Iterable[Found]], file: File, kind: FileKind) -> Document:
    """Write each record as a passage, if there is more than one."""
    draft = Draft()
    for number, record in enumerate(records):
        if number == 1 and not draft.is_empty:
            draft.mark_passage(0)
        _write(draft, record, passage=number > 0)
    return draft.finish(kind.value, encoding=file.encoding)


def _write(draft: Draft, record: Iterable[Found], *, passage: bool) -> None:
    if isinstance(record, list):
        draft.block("\n".join(_lines(record[0])), passage=passage)
        return
    gap = "\n\n"
    for lines in _batches(line for found in record for line in _lines(found)):
        before = draft.length
        draft.block(lines, gap=gap, passage=passage)
        if draft.length > before:
            gap, passage = "\n", False


def _batches(lines: Iterator[str]) -> Iterator[str]:
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size > _BATCH:
            yield "\n".join(batch)
            batch.clear()
            size = 0
    yield "\n".join(batch)


def _whole(cursor: Cursor) -> Iterator[Iterable[Found]]:
    """Give the items of a list that holds lists or objects; whatever else it is, is one record."""
    if cursor.next != "[":
        yield cursor.values()
        cursor.end()
        return
    plain: Plain | None = Plain()
    for _ in cursor.items():
        while plain is not None and (values := cursor.run()):
            for value in values:
                plain.hold(value)
        if plain is not None and cursor.next in ("[", "{"):
            yield from ([("", value, 0)] for value in plain)
            plain = None
        if plain is None:
            yield _record(cursor)
        else:
            plain.hold(cursor.plain())
    cursor.end()
    if plain:
        yield [("", plain, 0)]


def _by_lines(cursor: Cursor) -> Iterator[Iterable[Found]]:
    for _ in cursor.lines():
        yield _record(cursor)


def _record(cursor: Cursor) -> Iterable[Found]:
    whole = cursor.small()
    return cursor.values() if whole is None else [("", whole[0], 0)]


def _lines(found: Found) -> Iterator[str]:
    """Walk without recursion; an empty object, an empty list and null say nothing."""
    start, value, around = found
    stack: list[tuple[str, str | None, Any, int]] = [(start, None, value, around)]
    while stack:
        path, key, item, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise too_deep()
        if key is not None:
            path = f"{path}.{key}" if path else key
        if isinstance(item, dict):
            pairs = cast("dict[str, Any]", item).items()
            stack.extend((path, name, inner, depth + 1) for name, inner in reversed(pairs))
        elif isinstance(item, list):
            items = cast("list[Any]", item)
            if items and not any(isinstance(inner, (dict, list)) for inner in items):
                yield _line(path, ", ".join(map(_scalar, items)))
            else:
                stack.extend((path, None, inner, depth + 1) for inner in reversed(items))
        elif item is not None:
            yield _line(path, _scalar(item))


def _line(path: str, value: str) -> str:
    return f"{path}: {value}" if path else value


def _scalar(value: Any) -> str:  # noqa: ANN401 # JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
