"""What a file is, by its content; its name and media type break ties only."""

import re
from enum import StrEnum

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.source import Source


class FileKind(StrEnum):
    """Kinds of files that have a reader; the value is the media type."""

    TEXT = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    XML = "application/xml"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    JSON = "application/json"
    JSONL = "application/jsonl"
    EMAIL = "message/rfc822"
    RTF = "application/rtf"
    PDF = "application/pdf"
    EPUB = "application/epub+zip"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
    XLS = "application/vnd.ms-excel"
    ODT = "application/vnd.oasis.opendocument.text"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    ODP = "application/vnd.oasis.opendocument.presentation"


READ_FORMATS = (
    "text, Markdown, HTML, XML, CSV, JSON, PDF, DOCX, PPTX, XLSX, XLSB, XLS, ODT, ODS, ODP, EPUB, RTF and EML"
)

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IMAGES = (
    (b"\x89PNG\r\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
)
_OTHERS = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound or video file"),
    (b"\x1aE\xdf\xa3", "a video file"),
    (b"SQLite format 3\x00", "an SQLite database"),
)
_LEGACY = (("WordDocument", "Word", "DOCX"), ("PowerPoint Document", "PowerPoint", "PPTX"))
_HEAD = 4096
_PDF_WITHIN = 1024


def recognise_binary(source: Source) -> FileKind | None:
    """Say what the file is by its first bytes; None is text, or a ZIP archive that has to be opened.

    Raises:
        ExtractError: it is empty, an image, protected by a password, or of a kind that has no reader.
    """
    data = source.data
    if not data.strip(b"\x00 \t\r\n\x0b\x0c\xef\xbb\xbf"):
        raise ExtractError("The file is empty.", code="empty-file")
    head = data[:_HEAD]
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return FileKind.PDF
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{\\rtf"):
        return FileKind.RTF
    if head.startswith(_OLE):
        return _recognise_ole(data)
    _refuse_image(head)
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise unsupported(name)
    if head[4:8] == b"ftyp":
        raise unsupported("a video or sound file")
    return None


def is_zip(data: bytes) -> bool:
    """Whether the bytes are a ZIP archive."""
    return data.startswith(_ZIP)


def unsupported(name: str) -> ExtractError:
    """Make the error of a file that has no reader; `name` says what it is."""
    return ExtractError(f"The file is {name}; {READ_FORMATS} can be read.", code="unsupported-type")


def _refuse_image(head: bytes) -> None:
    name = next((name for magic, name in _IMAGES if head.startswith(magic)), None)
    if name == "BMP" and head[6:10] != b"\x00\x00\x00\x00":
        name = None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WebP"
    if name:
        raise ExtractError(
            f"The file is an image ({name}); reading text off images (OCR) is not available.", code="no-text"
        )


def _recognise_ole(data: bytes) -> FileKind:
    """Look for the names of streams, which stand in the directory as UTF-16."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise ExtractError("The file is protected by a password.", code="encrypted")
    for stream, program, better in _LEGACY:
        if stream.encode("utf-16-le") in data:
            raise ExtractError(
                f"Files of {program} 97-2003 cannot be read; save it as {better}.", code="unsupported-type"
            )
    if any(f"{stream}\x00".encode("utf-16-le") in data for stream in ("Workbook", "Book")):
        return FileKind.XLS
    raise unsupported("of an old binary format")


# --- text ------------------------------------------------------------------------------------------------

_BY_NAME = {
    "md": FileKind.MARKDOWN,
    "markdown": FileKind.MARKDOWN,
    "mdown": FileKind.MARKDOWN,
    "csv": FileKind.CSV,
    "tsv": FileKind.TSV,
    "tab": FileKind.TSV,
    "json": FileKind.JSON,
    "geojson": FileKind.JSON,
    "ipynb": FileKind.JSON,
    "jsonl": FileKind.JSONL,
    "ndjson": FileKind.JSONL,
    "eml": FileKind.EMAIL,
    "txt": FileKind.TEXT,
    "text": FileKind.TEXT,
    "log": FileKind.TEXT,
    "html": FileKind.HTML,
    "htm": FileKind.HTML,
    "xhtml": FileKind.HTML,
    "xml": FileKind.XML,
}
_BY_MEDIA = {
    "text/markdown": FileKind.MARKDOWN,
    "text/x-markdown": FileKind.MARKDOWN,
    "text/csv": FileKind.CSV,
    "text/tab-separated-values": FileKind.TSV,
    "application/json": FileKind.JSON,
    "application/jsonl": FileKind.JSONL,
    "application/x-ndjson": FileKind.JSONL,
    "message/rfc822": FileKind.EMAIL,
    "text/html": FileKind.HTML,
    "application/xhtml+xml": FileKind.HTML,
    "application/xml": FileKind.XML,
    "text/xml": FileKind.XML,
}
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_HTML_TAG = re.compile(
    r"<(?:p|div|br|h[1-6]|ul|ol|li|table|a|span|body|head|article|section|main)\b[^<>]{0,400}>", re.IGNORECASE
)
_XML_START = re.compile(r"\s*<\?xml\b")
_MAIL_HEADER = re.compile(r"(?:From |[!-9;-~]+:)")
_MAIL_NAMES = re.compile(
    r"^(From|To|Subject|Date|Received|Return-Path|Message-ID|MIME-Version|Delivered-To|Content-Type):",
    re.IGNORECASE | re.MULTILINE,
)
_ENOUGH_MAIL_NAMES = 4
_ENOUGH_TAGS = 3
_ENOUGH_LINES = 3
_LINES = 20
_START = 65_536


def recognise_text(source: Source, text: str) -> FileKind:
    """Say what a text is, for a file that `recognise_binary` knew nothing of."""
    hint = _BY_NAME.get(source.suffix) or _BY_MEDIA.get(source.media)
    start = text[:_START].replace("\r\n", "\n")
    found = _by_content(start, hint)
    if found:
        return found
    if hint is FileKind.HTML and not _HTML_TAG.search(start):
        return FileKind.TEXT
    if hint in (FileKind.JSON, FileKind.JSONL) or (
        hint is FileKind.XML and not start.lstrip().startswith("<")
    ):
        return FileKind.TEXT
    return hint or _by_look(start)


def _by_content(start: str, hint: FileKind | None) -> FileKind | None:
    """What begins in a way that nothing else does."""
    if hint is FileKind.EMAIL or (hint is not FileKind.MARKDOWN and _looks_like_mail(start)):
        return FileKind.EMAIL
    if _HTML_START.match(start):
        return FileKind.HTML
    if _XML_START.match(start):
        return FileKind.HTML if re.search(r"<html[\s>]", start[:_HEAD], re.IGNORECASE) else FileKind.XML
    if start.lstrip()[:1] in ("{", "["):
        # whether it is one value, or one a line, or none is seen when it is read
        return hint if hint in (FileKind.JSON, FileKind.JSONL) else None if hint else FileKind.JSON
    return None


def _by_look(start: str) -> FileKind:
    """What no name and no media type says anything of."""
    if start.lstrip().startswith("<") and len(_HTML_TAG.findall(start)) >= _ENOUGH_TAGS:
        return FileKind.HTML
    lines = [line for line in start.split("\n")[:_LINES] if line.strip()]
    for delimiter, kind in (("\t", FileKind.TSV), (";", FileKind.CSV), (",", FileKind.CSV)):
        counts = {line.count(delimiter) for line in lines}
        if len(lines) >= _ENOUGH_LINES and len(counts) == 1 and 0 not in counts:
            return FileKind.TEXT if any(f"{delimiter} " in line for line in lines) else kind
    return FileKind.TEXT


def _looks_like_mail(start: str) -> bool:
    block = start.lstrip("\n").partition("\n\n")[0]
    if not all(line[:1] in (" ", "\t") or _MAIL_HEADER.match(line) for line in block.split("\n")):
        return False
    names = {name.lower() for name in _MAIL_NAMES.findall(block)}
    return "from" in names and len(names) >= _ENOUGH_MAIL_NAMES
