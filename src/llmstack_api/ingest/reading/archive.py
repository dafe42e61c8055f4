"""ZIP archives, which office documents and e-books are: what they declare is checked before anything is read."""

from io import BytesIO
from zipfile import BadZipFile, ZipFile
from zlib import error as zlib_error

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.kind import FileKind, unsupported

MAX_MEMBERS = 10_000
MAX_SIZE = 512 * 1024 * 1024
MAX_PART = 128 * 1024 * 1024
MAX_RATIO = 200
_SMALL = 8 * 1024 * 1024
_ENCRYPTED = 0x1

_BY_PART = (
    ("word/document.xml", FileKind.DOCX),
    ("ppt/presentation.xml", FileKind.PPTX),
    ("xl/workbook.xml", FileKind.XLSX),
    ("xl/workbook.bin", FileKind.XLSB),
)
_BY_MIMETYPE = {kind.value: kind for kind in (FileKind.EPUB, FileKind.ODT, FileKind.ODS, FileKind.ODP)}


class Package:
    """An archive that is safe to read; a part is inflated when it is asked for, to no more than it declared."""

    def __init__(self, data: bytes) -> None:
        """Check what the archive declares.

        Raises:
            ExtractError: it is damaged, has a password, or would inflate to too much.
        """
        try:
            self._zip = ZipFile(BytesIO(data))
        except (BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
            raise damaged() from error
        members = self._zip.infolist()
        size = sum(member.file_size for member in members)
        if len(members) > MAX_MEMBERS or size > MAX_SIZE or size > max(len(data) * MAX_RATIO, _SMALL):
            raise ExtractError("The file inflates to far more than its size.", code="too-large")
        if any(member.flag_bits & _ENCRYPTED for member in members):
            raise ExtractError("The file is protected by a password.", code="encrypted")
        self.names = {member.filename for member in members}

    def read(self, name: str) -> bytes:
        """Inflate one part.

        Raises:
            ExtractError: it is missing, damaged or too large.
        """
        try:
            if self._zip.getinfo(name).file_size > MAX_PART:
                raise ExtractError("A part of the file is too large.", code="too-large")
            return self._zip.read(name)
        except (
            KeyError,
            BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
            OSError,
            zlib_error,
        ) as error:
            raise damaged() from error

    def find(self, name: str) -> bytes | None:
        """Inflate one part, or give None where there is none of that name."""
        return self.read(name) if name in self.names else None

    def kind(self) -> FileKind:
        """Say what the archive is.

        Raises:
            ExtractError: it is none of the kinds that have a reader (`unsupported-type`).
        """
        for name, kind in _BY_PART:
            if name in self.names:
                return kind
        mimetype = (self.find("mimetype") or b"").strip().decode("ascii", "replace")
        kind = _BY_MIMETYPE.get(mimetype.removesuffix("-template"))
        if kind:
            return kind
        if "META-INF/container.xml" in self.names:
            return FileKind.EPUB
        if "[Content_Types].xml" in self.names:
            return self._by_content_types()
        raise unsupported("a ZIP archive")

    def _by_content_types(self) -> FileKind:
        """Documents may name their main part as they like: its content type tells."""
        types = self.read("[Content_Types].xml")
        for mark, kind in (
            (b"wordprocessingml.document.main", FileKind.DOCX),
            (b"presentationml.presentation.main", FileKind.PPTX),
            (b"spreadsheetml.sheet.main", FileKind.XLSX),
        ):
            if mark in types:
                return kind
        raise unsupported("a ZIP archive")


def damaged() -> ExtractError:
    """Make the error of an archive that is incomplete or broken."""
    return ExtractError("The file is damaged or incomplete.", code="corrupt")
