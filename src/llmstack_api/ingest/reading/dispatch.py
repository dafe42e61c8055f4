"""The way from a file to its reader; readers are imported when their kind comes."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import cast

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.charsets.decoding import Decoded, decode, decode_plainly
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind, is_zip, recognise_binary, recognise_text
from llmstack_api.ingest.reading.source import Source

SMALL = 262_144
SMALL_JSON = 65_536
"""JSON takes some 0.1 ms a kilobyte, text a hundredth of it."""
_AT_ONCE = {
    FileKind.TEXT: SMALL,
    FileKind.MARKDOWN: SMALL,
    FileKind.JSON: SMALL_JSON,
    FileKind.JSONL: SMALL_JSON,
}
_READERS = {
    FileKind.TEXT: "text",
    FileKind.MARKDOWN: "text",
    FileKind.HTML: "pages.html_page",
    FileKind.XML: "xml_text",
    FileKind.CSV: "sheets.table",
    FileKind.TSV: "sheets.table",
    FileKind.JSON: "json_values",
    FileKind.JSONL: "json_values",
    FileKind.EMAIL: "mail.mail",
    FileKind.RTF: "rtf",
    FileKind.PDF: "pdf.pdf",
    FileKind.EPUB: "pages.epub",
    FileKind.DOCX: "office.docx",
    FileKind.PPTX: "office.pptx",
    FileKind.XLSX: "sheets.xlsx",
    FileKind.XLSB: "sheets.binary_sheet",
    FileKind.XLS: "sheets.binary_sheet",
    FileKind.ODT: "office.odf",
    FileKind.ODS: "sheets.ods",
    FileKind.ODP: "office.odf",
}


def find_reader(source: Source) -> Callable[[], Document]:
    """Recognise a file and import what reads it.

    Raises:
        ExtractError: there is no reader for it; what is returned raises it for what cannot be read.
    """
    if is_zip(source.data):
        package = Package(source.data)
        return _reader(File(source, package.kind(), package=package))
    kind = recognise_binary(source)
    if kind is not None:
        return _reader(File(source, kind))
    return _reader(_text_file(source, decode(source)))


def read_small(source: Source) -> Document | None:
    """Read a small plain text, Markdown or JSON file at once; None is a file to be read elsewhere.

    Raises:
        ExtractError: it cannot be read, here or elsewhere.
    """
    if len(source.data) > SMALL or is_zip(source.data) or recognise_binary(source) is not None:
        return None
    decoded = decode_plainly(source)
    if decoded is None:
        return None
    file = _text_file(source, decoded)
    return _reader(file)() if len(source.data) <= _AT_ONCE.get(file.kind, 0) else None


def _text_file(source: Source, decoded: Decoded) -> File:
    kind = recognise_text(source, decoded.text)
    return File(source, kind, text=decoded.text, encoding=decoded.encoding)


def _reader(file: File) -> Callable[[], Document]:
    module = import_module(f"llmstack_api.ingest.reading.{_READERS[file.kind]}")
    return partial(cast("Callable[[File], Document]", module.read), file)
