"""Frames between the server and the process that reads files: a head in JSON, then bytes."""

from array import array
from dataclasses import dataclass
from struct import Struct
from typing import Any

import orjson

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document, Encoding, Page, Table
from llmstack_api.ingest.reading.source import Source

LENGTHS = Struct(">IQ")
"""Length of the head, length of the bytes."""

_PLACES = "L"
"""Starts of passages come as an array, of which there may be millions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may take."""

    memory: int
    """Bytes of address space, over what the process has before."""
    seconds: float


def pack_request(source: Source, limits: Limits) -> bytes:
    """Make the head of a request; `source.data` follows it."""
    head = orjson.dumps(
        {
            "file_name": _sendable(source.file_name),
            "media_type": _sendable(source.media_type),
            "url": _sendable(source.url),
            "main_text": source.main_text,
            "encoding": source.encoding,
            "memory": limits.memory,
            "seconds": limits.seconds,
        }
    )
    return LENGTHS.pack(len(head), len(source.data)) + head


def unpack_request(head: bytes, data: bytes) -> tuple[Source, Limits]:
    """Read a request."""
    fields: dict[str, Any] = orjson.loads(head)
    source = Source(
        data,
        file_name=fields["file_name"],
        media_type=fields["media_type"],
        url=fields["url"],
        main_text=fields["main_text"],
        encoding=fields["encoding"],
    )
    return source, Limits(fields["memory"], fields["seconds"])


def pack_answer(answer: Document | ExtractError, *, keep: bool) -> tuple[bytes, bytes]:
    """Make an answer's head and bytes; `keep` says that the process can read another file."""
    if isinstance(answer, ExtractError):
        head = orjson.dumps({"code": answer.code, "detail": str(answer), "keep": keep})
        return LENGTHS.pack(len(head), 0) + head, b""
    text, passages = answer.text.encode(), array(_PLACES, answer.passages)
    head = orjson.dumps(
        {
            "title": answer.title,
            "mime_type": answer.mime_type,
            "pages": [(page.number, page.start, page.end, page.sheet) for page in answer.pages],
            "passages": len(passages),
            "tables": [
                (table.start, table.end, table.header, table.title, table.lead) for table in answer.tables
            ],
            "encoding": answer.encoding and (answer.encoding.name, answer.encoding.guessed),
            "keep": keep,
        }
    )
    data = text + passages.tobytes()
    return LENGTHS.pack(len(head), len(data)) + head, data


def unpack_answer(head: bytes, data: bytes | bytearray) -> tuple[Document | ExtractError, bool]:
    """Read an answer, and whether the process can be kept."""
    fields: dict[str, Any] = orjson.loads(head)
    if "code" in fields:
        return ExtractError(fields["detail"], code=fields["code"]), fields["keep"]
    passages = array(_PLACES)
    text_length = len(data) - fields["passages"] * passages.itemsize
    passages.frombytes(memoryview(data)[text_length:])
    document = Document(
        text=str(memoryview(data)[:text_length], "utf-8"),
        title=fields["title"],
        mime_type=fields["mime_type"],
        pages=tuple(Page(*page) for page in fields["pages"]),
        passages=passages,
        tables=tuple(Table(*table) for table in fields["tables"]),
        encoding=Encoding(*fields["encoding"]) if fields["encoding"] else None,
    )
    return document, fields["keep"]


def _sendable(text: str | None) -> str | None:
    return text.encode("utf-8", "replace").decode() if text is not None else None
