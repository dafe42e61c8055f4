"""Rows of a sheet in XML: most programs write them so plainly that an expression reads them; a parser reads the rest.

The expression takes a third of the parser's time, and nothing that is not well-formed fits it.
"""

import re
from collections.abc import Iterator

from llmstack_api.ingest.reading.xml_tree import Node, parse_pieces

RawCell = tuple[str, str, str, str, str, str]
"""Letters of the column, number of the style, type, formula, value and text; empty if the cell has none."""

RawRow = tuple[str, list[RawCell]]
"""Number, counted from 1, or empty, and cells."""


def _cell(group: str) -> str:
    return (
        rf'<c(?: r="{group}[A-Z]{{1,3}})\d{{1,7}}")?+(?: s="{group}\d{{1,5}})")?+(?: t="{group}[a-zA-Z]{{1,9}})")?+'
        r" ?(?:/>|>"
        rf"(?:<f(?: [^<>]*+)?+>{group}[^<]*+)</f>)?+(?:<v>{group}[^<]*+)</v>|<v ?/>)?+"
        rf'(?:<is><t(?: xml:space="preserve")?+>{group}[^<]*+)</t></is>)?+</c>)'
    )


_PLAIN_ROW = re.compile(rf'<row(?: [\w:]{{1,30}}="[^"<>]*+")*+ ?(?:/>|>(?:{_cell("(?:")})*+</row>)')
_CELLS = re.compile(_cell("("))
_NUMBER = re.compile(r'<row[^>]*? r="(\d{1,7})"')
_START = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml[^<>]{0,40}?(?:\sencoding=["'](?i:utf-8)["'][^<>]{0,40}?)?\?>)?\s*<worksheet\s"""
)
_ROWS = re.compile(rb"<sheetData\s*>")
_END = re.compile(rb"</worksheet>\s*\Z")
_BLANK = re.compile(rb"[ \t\r\n]+")
_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPED = re.compile("_x([0-9a-fA-F]{4})_")
_LAST_CODE = 0x10FFFF


def raw_rows(data: bytes) -> Iterator[RawRow]:
    """Yield the rows of a sheet one by one.

    Raises:
        ExtractError: the XML is damaged (`corrupt`).
    """
    rows = _ROWS.search(data)
    if rows is None or not _is_plain(data):
        yield from map(_parsed, parse_pieces(data, "row"))
        return
    place = rows.end()
    while (found := _plain_row(data, place)) is not None:
        place, row = found
        if row is None:
            return
        yield row
    yield from map(_parsed, parse_pieces(data[: rows.end()] + data[place:], "row"))


def _is_plain(data: bytes) -> bool:
    """Whether there is nothing in a part but elements, in UTF-8 and in the default namespace."""
    end = _END.search(data, max(len(data) - 100, 0))
    return (
        _START.match(data) is not None and end is not None and b"<!" not in data and data.find(b"<?", 5) < 0
    )


def _plain_row(data: bytes, place: int) -> tuple[int, RawRow | None] | None:
    """Read the row at a place: where it ends and what it is, or no row at the end of all; None needs the parser."""
    if blank := _BLANK.match(data, place):
        place = blank.end()
    if data.startswith(b"</sheetData>", place):
        return place, None
    end = data.find(b">", place) + 1
    if data[end - 2 : end] != b"/>":
        end = data.find(b"</row>", place) + len(b"</row>")
    try:
        text = data[place:end].decode()
    except UnicodeDecodeError:
        return None
    if _PLAIN_ROW.fullmatch(text) is None:
        return None
    number = _NUMBER.match(text)
    cells: list[RawCell] = _CELLS.findall(text)
    if "&" in text:
        cells = [(*cell[:3], _unescaped(cell[3]), _unescaped(cell[4]), _unescaped(cell[5])) for cell in cells]
    return end, (number[1] if number else "", cells)


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name:
        return _ENTITIES[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code <= _LAST_CODE else ""


def _parsed(row: Node) -> RawRow:
    cells: list[RawCell] = []
    for cell in row:
        formula = value = text = ""
        for node in cell:
            name = node.tag[-2:]
            if name == "}v":
                value = node.text or ""
            elif name == "}f":
                formula = node.text or ""
            elif name == "is":
                text = string_of(node)
        letters = (cell.get("r") or "").rstrip("0123456789")
        cells.append((letters, cell.get("s") or "", cell.get("t") or "", formula, value, text))
    return row.get("r") or "", cells


def string_of(node: Node) -> str:
    """Join the runs of a text; what only says how it is pronounced is left out."""
    pieces: list[str] = []
    for inner in node:
        name = inner.tag[-2:]
        if name == "}t":
            pieces.append(inner.text or "")
        elif name == "}r":
            pieces.extend(run.text or "" for run in inner if run.tag[-2:] == "}t")
    return "".join(pieces)


def unescaped(text: str) -> str:
    """Put in the characters that XML cannot hold, which spreadsheets write as `_x000D_`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
