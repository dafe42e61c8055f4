"""PDFium, which reads PDF: the one place that calls it. Coordinates are points, y grows upwards.

Imported where files are read, and before the limit of memory is set. It loads nothing but its own library, and takes
no fonts of the machine: what a page says must not depend on what is installed.
"""

import ctypes
import math
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from llmstack_api.errors import ExtractError

_pdfium: Any = import_module("pypdfium2_raw")  # the plain functions; their types are not stated
_FORMAT, _PASSWORD, _SECURITY = 3, 4, 5
_CATALOG = re.compile(rb"/Type\s{0,9}/Catalog\b")
_OBJECT = re.compile(rb"\b(\d{1,9})\s{1,9}(\d{1,5})\s{1,9}obj\b")
_INDEX = re.compile(rb"\bxref\b|\btrailer\b|\bstartxref\b")
_FARTHEST = 10_000
"""Bytes from the beginning of a catalogue to where it says that it is one."""
_MOST_BOOKMARKS = 5_000
_MOST_BYTES = 2_000_000
_NUL = 2
_LONGEST_SIDE = 1_000_000.0


def _begin() -> Any:  # noqa: ANN401 # see above
    no_fonts = (ctypes.POINTER(ctypes.c_char) * 1)()
    config = _pdfium.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=no_fonts, m_v8EmbedderSlot=0)
    _pdfium.FPDF_InitLibraryWithConfig(config)
    return no_fonts  # kept: PDFium looks at it again


_fonts = _begin()


def _plain(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 # see above
    """Return a function that is called for every line, with addresses as numbers: no pointer is made for a call."""
    address = ctypes.cast(getattr(_pdfium, name), ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(result, *arguments)(address or 0)


_HANDLE, _CHARACTER = ctypes.c_void_p, ctypes.c_int
_text_object = _plain("FPDFText_GetTextObject", _HANDLE, _HANDLE, _CHARACTER)
_char_origin = _plain("FPDFText_GetCharOrigin", ctypes.c_int, _HANDLE, _CHARACTER, _HANDLE, _HANDLE)
_char_box = _plain("FPDFText_GetLooseCharBox", ctypes.c_int, _HANDLE, _CHARACTER, _HANDLE)
_char_matrix = _plain("FPDFText_GetMatrix", ctypes.c_int, _HANDLE, _CHARACTER, _HANDLE)
_char_size = _plain("FPDFText_GetFontSize", ctypes.c_double, _HANDLE, _CHARACTER)
_object_font = _plain("FPDFTextObj_GetFont", _HANDLE, _HANDLE)
_render_mode = _plain("FPDFTextObj_GetTextRenderMode", ctypes.c_int, _HANDLE)


@contextmanager
def open_pdf(data: bytes) -> Generator["Pdf"]:
    """Open a PDF; it and its pages can be used until the block ends.

    Raises:
        ExtractError: it has a password (`encrypted`) or is damaged (`corrupt`).
    """
    handle = _pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not handle and _pdfium.FPDF_GetLastError() == _FORMAT and (end := _lost_end(data)):
        data += end
        handle = _pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not handle:
        if _pdfium.FPDF_GetLastError() in (_PASSWORD, _SECURITY):
            raise ExtractError("The file is protected by a password.", code="encrypted")
        raise ExtractError("The file is damaged or incomplete.", code="corrupt")
    document = Pdf(handle)
    try:
        yield document
    finally:
        document.close()


def _lost_end(data: bytes) -> bytes:
    """Return an end for a file whose own is damaged: PDFium finds its objects, but not which is the catalogue.

    A file that was cut before its index gets none: nobody could tell what it lacks.
    """
    if not _INDEX.search(data, data.rfind(b"endobj") + 1):
        return b""
    catalog = None
    for match in _CATALOG.finditer(data):
        catalog = match
    if catalog is None:
        return b""
    start = max(data.rfind(b"endobj", 0, catalog.start()), catalog.start() - _FARTHEST)
    begun = list(_OBJECT.finditer(data, max(start, 0), catalog.start()))
    if not begun:
        return b""
    return b"\nendobj\ntrailer\n<< /Root %b %b R >>\n" % begun[-1].groups()


class Pdf:
    """An open PDF."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401 # PDFium's
        self._handle = handle
        self._form: Any = None
        self._callbacks: Any = None

    @property
    def pages(self) -> int:
        """How many pages it says it has."""
        return _pdfium.FPDF_GetPageCount(self._handle)

    def close(self) -> None:
        """Close the form and the document."""
        if self._form:
            _pdfium.FPDFDOC_ExitFormFillEnvironment(self._form)
        _pdfium.FPDF_CloseDocument(self._handle)

    @contextmanager
    def page(self, number: int) -> Generator["PdfPage | None"]:
        """Open a page, counted from 0; None is one that cannot be opened."""
        handle = _pdfium.FPDF_LoadPage(self._handle, number)
        if not handle:
            yield None
            return
        page = PdfPage(self, handle)
        try:
            yield page
        finally:
            page.close()

    def metadata(self, key: str) -> str:
        """Return an entry of the document's information, such as `Title`."""
        return _string(_pdfium.FPDF_GetMetaText, self._handle, key.encode())

    def bookmarks(self) -> Iterator[tuple[str, int, int]]:
        """Walk the outline: title, depth from 1, page from 0."""
        seen: set[int] = set()
        stack = [(_pdfium.FPDFBookmark_GetFirstChild(self._handle, None), 1)]
        while stack and len(seen) < _MOST_BOOKMARKS:
            mark, depth = stack.pop()
            address = ctypes.cast(mark, ctypes.c_void_p).value
            if not address or address in seen:
                continue
            seen.add(address)
            stack.append((_pdfium.FPDFBookmark_GetNextSibling(self._handle, mark), depth))
            stack.append((_pdfium.FPDFBookmark_GetFirstChild(self._handle, mark), depth + 1))
            place = _pdfium.FPDFBookmark_GetDest(self._handle, mark)
            page = _pdfium.FPDFDest_GetDestPageIndex(self._handle, place) if place else -1
            if page >= 0:
                title = _string(_pdfium.FPDFBookmark_GetTitle, mark)
                yield title, depth, page

    def form_data(self) -> bytes | None:
        """Return the data of an XFA form, which is XML; None if there is none."""
        for index in range(max(_pdfium.FPDF_GetXFAPacketCount(self._handle), 0)):
            size = _pdfium.FPDF_GetXFAPacketName(self._handle, index, None, 0)
            name = ctypes.create_string_buffer(max(size, 1))
            _pdfium.FPDF_GetXFAPacketName(self._handle, index, name, size)
            if name.value == b"datasets":
                length = ctypes.c_ulong()
                _pdfium.FPDF_GetXFAPacketContent(self._handle, index, None, 0, length)
                content = ctypes.create_string_buffer(length.value)
                _pdfium.FPDF_GetXFAPacketContent(self._handle, index, content, length.value, length)
                return content.raw
        return None

    @property
    def form(self) -> Any:  # noqa: ANN401 # PDFium's
        """The form, which knows the values of fields; no script of it is ever run."""
        if self._form is None:
            self._callbacks = _pdfium.FPDF_FORMFILLINFO(version=2)
            self._form = _pdfium.FPDFDOC_InitFormFillEnvironment(self._handle, self._callbacks)
        return self._form


class Style(NamedTuple):
    """How a character is set."""

    size: float
    """As it appears."""
    bold: bool
    quarter: int
    """By how many quarters it is turned clockwise: 0 to 3, or -1 if by something else."""


class PdfPage:
    """An open page, and the characters on it."""

    def __init__(self, document: Pdf, handle: Any) -> None:  # noqa: ANN401 # PDFium's
        self._document = document
        self._handle = handle
        self._make_smaller()
        self._text = _pdfium.FPDFText_LoadPage(handle)
        self._one_to_one = False
        self._fonts: dict[int, bool] = {}
        self._styles: dict[int, Style] = {}
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._point = ctypes.addressof(self._x), ctypes.addressof(self._y)
        self._area, self._matrix = _pdfium.FS_RECTF(), _pdfium.FS_MATRIX()
        self._address = _address(self._text)

    def _make_smaller(self) -> None:
        """Cut a page that is far too large: PDFium takes memory for each point of its sides."""
        width, height = _pdfium.FPDF_GetPageWidthF(self._handle), _pdfium.FPDF_GetPageHeightF(self._handle)
        if max(width, height) > _LONGEST_SIDE:
            for cut in (_pdfium.FPDFPage_SetMediaBox, _pdfium.FPDFPage_SetCropBox):
                cut(self._handle, 0.0, 0.0, _LONGEST_SIDE, _LONGEST_SIDE)
            _pdfium.FPDFPage_SetRotation(self._handle, _pdfium.FPDFPage_GetRotation(self._handle))

    def close(self) -> None:
        """Close the page."""
        if self._text:
            _pdfium.FPDFText_ClosePage(self._text)
        _pdfium.FPDF_ClosePage(self._handle)

    def turn(self, quarters: int) -> bool:
        """Turn the page clockwise to so many quarters, and read it as it then stands; whether it stood otherwise."""
        if quarters == _pdfium.FPDFPage_GetRotation(self._handle):
            return False
        _pdfium.FPDFPage_SetRotation(self._handle, quarters)
        if self._text:
            _pdfium.FPDFText_ClosePage(self._text)
        self._text = _pdfium.FPDFText_LoadPage(self._handle)
        self._address = _address(self._text)
        self._fonts.clear()
        self._styles.clear()
        return True

    def units(self) -> str:
        """Return the text as UTF-16 units, one a character of the string; `at` tells which character is which."""
        count = _pdfium.FPDFText_CountChars(self._text) if self._text else 0
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        written = _pdfium.FPDFText_GetText(self._text, 0, count, buffer)
        raw = bytes(buffer)[: max(written - 1, 0) * 2]
        self._one_to_one = len(raw) == 2 * count
        text = raw.decode("utf-16-le", "surrogatepass")
        return text if len(text) * 2 == len(raw) else "".join(map(chr, memoryview(raw).cast("H")))

    def at(self, unit: int) -> int:
        """Return the number of the character that a unit of the text belongs to."""
        return unit if self._one_to_one else _pdfium.FPDFText_GetCharIndexFromTextIndex(self._text, unit)

    def origin(self, character: int) -> tuple[float, float]:
        """Return where a character stands on its line."""
        _char_origin(self._address, character, *self._point)
        return self._x.value, self._y.value

    def box(self, character: int) -> tuple[float, float, float, float]:
        """Return what a character takes of its line: left, bottom, right, top."""
        area = self._area
        _char_box(self._address, character, ctypes.addressof(area))
        return area.left, area.bottom, area.right, area.top

    def generated(self, character: int) -> bool:
        """Whether PDFium put in a character that is not drawn."""
        return not _text_object(self._address, character)

    def is_hyphen(self, character: int) -> bool:
        """Whether a character is the hyphen of a word that goes on in the next line."""
        return _pdfium.FPDFText_IsHyphen(self._text, character) == 1

    def style(self, character: int) -> Style:
        """Return how a character is set, which all of one piece share."""
        piece = _text_object(self._address, character)
        style = self._styles.get(piece) if piece else None
        if style is None:
            matrix = self._matrix
            _char_matrix(self._address, character, ctypes.addressof(matrix))
            c, d = matrix.c, matrix.d
            size = _char_size(self._address, character) * (c * c + d * d) ** 0.5
            style = Style(size, bool(piece) and self._is_bold(piece), _quarter(matrix.a, c))
            if piece:
                self._styles[piece] = style
        return style

    def _is_bold(self, piece: int) -> bool:
        font = _object_font(piece)
        if not font:
            return False
        bold = self._fonts.get(font)
        if bold is None:
            bold = self._fonts[font] = _is_bold(ctypes.cast(font, _pdfium.FPDF_FONT))
        return bold or _render_mode(piece) == _FILL_AND_STROKE

    def annotations(self) -> int:
        """How many fields and notes there are."""
        return max(_pdfium.FPDFPage_GetAnnotCount(self._handle), 0)

    @contextmanager
    def annotation(self, number: int) -> Generator["Annotation | None"]:
        """Open a field or a note, counted from 0; None is one that is damaged."""
        handle = _pdfium.FPDFPage_GetAnnot(self._handle, number)
        if not handle:
            yield None
            return
        try:
            yield Annotation(self._document, handle)
        finally:
            _pdfium.FPDFPage_CloseAnnot(handle)


class Annotation:
    """A field or a note on a page."""

    def __init__(self, document: Pdf, handle: Any) -> None:  # noqa: ANN401 # PDFium's
        self._document = document
        self._handle = handle

    @property
    def kind(self) -> int:
        """Its subtype, one of FPDF_ANNOT_*."""
        return _pdfium.FPDFAnnot_GetSubtype(self._handle)

    @property
    def flags(self) -> int:
        """FPDF_ANNOT_FLAG_*."""
        return _pdfium.FPDFAnnot_GetFlags(self._handle)

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        area = _pdfium.FS_RECTF()
        _pdfium.FPDFAnnot_GetRect(self._handle, area)
        return (
            min(area.left, area.right),
            min(area.bottom, area.top),
            max(area.left, area.right),
            max(area.bottom, area.top),
        )

    def has(self, key: str) -> bool:
        """Whether its dictionary has an entry."""
        return bool(_pdfium.FPDFAnnot_HasKey(self._handle, key.encode()))

    def entry(self, key: str) -> str:
        """Return a string of its dictionary, such as `Contents`."""
        return _string(_pdfium.FPDFAnnot_GetStringValue, self._handle, key.encode())

    def number(self, key: str) -> int:
        """Return a whole number of its dictionary; 0 if there is none."""
        value = ctypes.c_float()
        found = _pdfium.FPDFAnnot_GetNumberValue(self._handle, key.encode(), value)
        return int(value.value) if found else 0

    @property
    def field_kind(self) -> int:
        """One of FPDF_FORMFIELD_*; 0 or less if it is no field of the form."""
        return _pdfium.FPDFAnnot_GetFormFieldType(self._document.form, self._handle)

    @property
    def field_flags(self) -> int:
        """FPDF_FORMFLAG_*."""
        return _pdfium.FPDFAnnot_GetFormFieldFlags(self._document.form, self._handle)

    @property
    def field_name(self) -> str:
        """Its name among the fields."""
        return self._field(_pdfium.FPDFAnnot_GetFormFieldName)

    @property
    def field_label(self) -> str:
        """Its name for people."""
        return self._field(_pdfium.FPDFAnnot_GetFormFieldAlternateName)

    @property
    def field_value(self) -> str:
        """What was filled in."""
        return self._field(_pdfium.FPDFAnnot_GetFormFieldValue)

    def chosen(self, most: int) -> list[str]:
        """Return the labels of the options that are chosen, of the first `most`."""
        form = self._document.form
        count = min(_pdfium.FPDFAnnot_GetOptionCount(form, self._handle), most)
        return [
            _string(_pdfium.FPDFAnnot_GetOptionLabel, form, self._handle, index)
            for index in range(count)
            if _pdfium.FPDFAnnot_IsOptionSelected(form, self._handle, index)
        ]

    def _field(self, function: Any) -> str:  # noqa: ANN401 # PDFium's
        return _string(function, self._document.form, self._handle)


def _address(handle: Any) -> int:  # noqa: ANN401 # PDFium's
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _quarter(a: float, c: float) -> int:
    """Tell the quarter from the first row of what turns a character."""
    angle = math.atan2(c, a) / (math.pi / 2)
    nearest = round(angle)
    return nearest % 4 if abs(angle - nearest) < 0.05 else -1  # noqa: PLR2004 # some three degrees


_FILL_AND_STROKE = 2
_FORCE_BOLD = 1 << 18
_BOLD = re.compile(
    r"bold|black|heavy|demi(?!light)|cmbx|cmssbx|sfbx|ecbx|-medi(?:um)?(?:ital)?$|,b$|-bd$", re.IGNORECASE
)


def _is_bold(font: Any) -> bool:  # noqa: ANN401 # PDFium's
    """Judge by name and flag: the weight that PDFium gives is guessed from the width of stems."""
    size = _pdfium.FPDFFont_GetBaseFontName(font, None, 0)
    name = ctypes.create_string_buffer(max(size, 1))
    _pdfium.FPDFFont_GetBaseFontName(font, name, size)
    flags = _pdfium.FPDFFont_GetFlags(font)
    return bool(_BOLD.search(name.value.decode("latin-1")) or (flags > 0 and flags & _FORCE_BOLD))


def _string(function: Any, *arguments: Any) -> str:  # noqa: ANN401 # PDFium's
    """Call what fills a buffer with UTF-16 and returns how many bytes it needs."""
    size = function(*arguments, None, 0)
    if not _NUL < size <= _MOST_BYTES:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    function(*arguments, buffer, size)
    return bytes(buffer)[: size - _NUL].decode("utf-16-le", "ignore").rstrip("\0")
