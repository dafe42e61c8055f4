"""JSON and JSON lines: a record a passage, each value on a line with the path of keys that leads to it."""

import json
from collections.abc import Iterator
from typing import Any, cast

import orjson

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import MAX_TEXT, Draft, too_large
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind

MAX_DEPTH = 200


def read(file: File) -> Document:
    """Read one JSON value, or one a line; what is neither is text, where no name says that it is JSON."""
    source = file.source
    named = source.suffix in ("json", "jsonl", "ndjson", "geojson", "ipynb") or "json" in source.media
    try:
        records, kind = _records(file.text, file.kind)
    except (ValueError, RecursionError) as error:
        if named:
            raise ExtractError(f"The file is not valid JSON: {_reason(error)}.", code="corrupt") from None
        draft = Draft()
        draft.block(file.text)
        return draft.finish(FileKind.TEXT.value, encoding=file.encoding)
    draft = Draft()
    for record in records:
        draft.block("\n".join(_lines(record)), passage=len(records) > 1)
    return draft.finish(kind.value, encoding=file.encoding)


def _reason(error: Exception) -> str:
    return str(error).partition(":")[0] if isinstance(error, ValueError) else "it is nested too deeply"


def _records(text: str, kind: FileKind) -> tuple[list[Any], FileKind]:
    """Yield the records; lines are tried where the whole is no JSON."""
    if kind is FileKind.JSON:
        try:
            value = _parse(text)
        except ValueError:
            if "\n" not in text.strip():
                raise
        else:
            many = isinstance(value, list) and any(
                isinstance(item, (dict, list)) for item in cast("list[Any]", value)
            )
            return (cast("list[Any]", value) if many else [value]), FileKind.JSON
    return [_parse(line) for line in text.split("\n") if line.strip()], FileKind.JSONL


def _parse(text: str) -> Any:  # noqa: ANN401 # JSON
    try:
        return orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return json.loads(text, strict=False)  # takes the NaN and Infinity that many programs write


def _lines(value: Any) -> Iterator[str]:  # noqa: ANN401 # JSON
    """Walk without recursion; an empty object, an empty list and null say nothing."""
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    size = 0
    while stack:
        path, item, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ExtractError("The JSON is nested too deeply.", code="corrupt")
        if isinstance(item, dict):
            pairs = [
                (f"{path}.{key}" if path else str(key), inner)
                for key, inner in cast("dict[str, Any]", item).items()
            ]
            stack.extend((name, inner, depth + 1) for name, inner in reversed(pairs))
        elif isinstance(item, list):
            items = cast("list[Any]", item)
            if items and not any(isinstance(inner, (dict, list)) for inner in items):
                line = _line(path, ", ".join(_scalar(inner) for inner in items))
                size += len(line)
                yield line
            else:
                stack.extend((path, inner, depth + 1) for inner in reversed(items))
        elif item is not None:
            line = _line(path, _scalar(item))
            size += len(line)
            yield line
        if size > MAX_TEXT:
            raise too_large()


def _line(path: str, value: str) -> str:
    return f"{path}: {value}" if path else value


def _scalar(value: Any) -> str:  # noqa: ANN401 # JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
