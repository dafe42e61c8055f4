"""Number formats of XLS workbooks: the cells that are shown otherwise than they are stored, and errors."""

from collections.abc import Iterator
from struct import Struct, unpack_from

from llmstack_api.ingest.reading.sheets.number_format import BUILT_IN, Show, shower

Shown = dict[tuple[int, int], str]
"""Row and column, counted from 0 -> what the cell shows."""

_SECTOR_OF_HEADER = 512
_END = 0xFFFF_FFFA
_ENTRY = 128
_STREAM = 2
_NAME = "Workbook".encode("utf-16-le")
_SMALL_STREAM = 4096
_SMALL_SECTOR = 64
_RECORD = Struct("<HH")
_CELL = Struct("<HHH")
_FORMAT, _STYLE, _SHEET, _COUNTS_FROM, _BEGIN, _END_OF_SHEET = 0x041E, 0x00E0, 0x0085, 0x0022, 0x0809, 0x000A
_NUMBER, _RK, _MANY_RK, _FORMULA, _ERROR = 0x0203, 0x027E, 0x00BD, 0x0006, 0x0205
_BIFF8 = 0x0600
_BINARY_SHOWN = 0xFFFF
_ERROR_SHOWN = 2
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}


def shown_numbers(data: bytes) -> list[Shown]:
    """Read the cells with a number format, sheet by sheet; none from a workbook older than Excel 97."""
    stream = _workbook(data)
    formats = dict(BUILT_IN)
    styles: list[int] = []
    sheets: list[int] = []
    since_1904 = False
    for kind, start, size in _records(stream, 0):
        if kind == _BEGIN and (size < 2 or unpack_from("<H", stream, start)[0] != _BIFF8):  # noqa: PLR2004 # its version
            return []
        if kind == _FORMAT and size > 4:  # noqa: PLR2004 # number, length and flags
            formats[unpack_from("<H", stream, start)[0]] = _string(stream, start + 2, start + size)
        elif kind == _STYLE and size >= 4:  # noqa: PLR2004 # font and format
            styles.append(unpack_from("<H", stream, start + 2)[0])
        elif kind == _SHEET and size >= 4:  # noqa: PLR2004 # its place
            sheets.append(unpack_from("<I", stream, start)[0])
        elif kind == _COUNTS_FROM and size >= 2:  # noqa: PLR2004 # a flag
            since_1904 = unpack_from("<H", stream, start)[0] == 1
    shows = {code: shower(code, since_1904=since_1904) for code in set(formats.values())}
    by_style = [shows.get(formats.get(number, "")) for number in styles]
    by_place = {place: _shown(stream, place, by_style) for place in sheets}
    return [by_place[place] for place in sheets]


def _shown(stream: bytes, place: int, styles: list[Show | None]) -> Shown:
    found: Shown = {}
    for kind, start, size in _records(stream, place):
        if error := _error(stream, kind, start, size):
            row, column, _ = _CELL.unpack_from(stream, start)
            found[row, column] = error
        for row, column, style, value in _numbers(stream, kind, start, size):
            show = styles[style] if style < len(styles) else None
            if show is not None:
                found[row, column] = show(value)
    return found


def _error(stream: bytes, kind: int, start: int, size: int) -> str | None:
    """Return the error that a cell shows, typed in or calculated."""
    content = stream[start + _CELL.size : start + size]
    if kind == _ERROR and content[1:2] == b"\1":
        return _ERRORS.get(content[0])
    if kind == _FORMULA and content[:1] == bytes([_ERROR_SHOWN]) and content[6:8] == b"\xff\xff":
        return _ERRORS.get(content[2])
    return None


def _numbers(stream: bytes, kind: int, start: int, size: int) -> Iterator[tuple[int, int, int, float]]:
    """Yield the numbers of a record: row, column, style and value."""
    if kind in (_NUMBER, _FORMULA) and size >= _CELL.size + 8:
        if kind == _FORMULA and unpack_from("<H", stream, start + 12)[0] == _BINARY_SHOWN:
            return  # its value is a text, a truth or an error
        yield (*_CELL.unpack_from(stream, start), *unpack_from("<d", stream, start + _CELL.size))
    elif kind == _RK and size >= _CELL.size + 4:
        yield (*_CELL.unpack_from(stream, start), _short_number(stream, start + _CELL.size))
    elif kind == _MANY_RK:
        row, column = unpack_from("<HH", stream, start) if size >= 4 else (0, 0)  # noqa: PLR2004 # row and column
        for number in range((size - 6) // 6):
            place = start + 4 + 6 * number
            yield row, column + number, unpack_from("<H", stream, place)[0], _short_number(stream, place + 2)


def _short_number(stream: bytes, place: int) -> float:
    """Read a number of four bytes: the upper half of a float, or an integer, perhaps of hundredths."""
    bits: int = unpack_from("<I", stream, place)[0]
    if bits & 2:
        value: float = unpack_from("<i", stream, place)[0] >> 2
    else:
        value = unpack_from("<d", b"\0\0\0\0" + (bits & 0xFFFF_FFFC).to_bytes(4, "little"))[0]
    return value / 100 if bits & 1 else value


def _records(stream: bytes, place: int) -> Iterator[tuple[int, int, int]]:
    """Yield the records of a part of the stream: kind, start and size of its content."""
    while place + _RECORD.size <= len(stream):
        kind, size = _RECORD.unpack_from(stream, place)
        start = place + _RECORD.size
        if kind == _END_OF_SHEET or start + size > len(stream):
            return
        yield kind, start, size
        place = start + size


def _string(stream: bytes, start: int, end: int) -> str:
    count, flags = unpack_from("<HB", stream, start)
    text = stream[start + 3 : end]
    return text[: 2 * count].decode("utf-16-le", "replace") if flags & 1 else text[:count].decode("latin-1")


# --- the container -----------------------------------------------------------------------------------------


def _workbook(data: bytes) -> bytes:
    """Take the stream of the workbook out of its container; empty if there is none."""
    if len(data) < _SECTOR_OF_HEADER:
        return b""
    shift, first, more, more_count = (
        *unpack_from("<H", data, 30),
        *unpack_from("<I", data, 48),
        *unpack_from("<II", data, 68),
    )
    if not 9 <= shift <= 12:  # noqa: PLR2004 # sectors of 512 to 4,096 bytes
        return b""
    size = 1 << shift
    table = _table(data, size, list(unpack_from("<109I", data, 76)), more, more_count)
    directory = _chain(data, size, table, first)
    for place in range(0, len(directory) - _ENTRY + 1, _ENTRY):
        if directory[place : place + len(_NAME) + 2] == _NAME + b"\0\0" and directory[place + 66] == _STREAM:
            start, length = unpack_from("<II", directory, place + 116)
            if length >= _SMALL_STREAM:
                return _chain(data, size, table, start)[:length]
            return _small_stream(data, size, table, directory, start)[:length]
    return b""


def _small_stream(data: bytes, size: int, table: list[int], directory: bytes, start: int) -> bytes:
    """Read a stream of small sectors, which share the stream of the directory's first entry."""
    shared = _chain(data, size, table, unpack_from("<I", directory, 116)[0])
    followers = _chain(data, size, table, unpack_from("<I", data, 60)[0])
    small_table = [*unpack_from(f"<{len(followers) // 4}I", followers)]
    return _chain(bytes(_SMALL_SECTOR) + shared, _SMALL_SECTOR, small_table, start)


def _table(data: bytes, size: int, sectors: list[int], more: int, count: int) -> list[int]:
    """Read which sector follows each one."""
    per_sector = size // 4
    for _ in range(min(count, len(data) // size)):
        block = _sector(data, size, more)
        if len(block) < size:
            break
        *further, more = unpack_from(f"<{per_sector}I", block)
        sectors += further
    table: list[int] = []
    for sector in sectors[: len(data) // size + 1]:
        block = _sector(data, size, sector) if sector < _END else b""
        if len(block) == size:
            table += unpack_from(f"<{per_sector}I", block)
    return table


def _sector(data: bytes, size: int, number: int) -> bytes:
    start = (number + 1) * size
    return data[start : start + size]


def _chain(data: bytes, size: int, table: list[int], first: int) -> bytes:
    pieces: list[bytes] = []
    while first < len(table) and len(pieces) <= len(data) // size:
        pieces.append(_sector(data, size, first))
        first = table[first]
    return b"".join(pieces)
