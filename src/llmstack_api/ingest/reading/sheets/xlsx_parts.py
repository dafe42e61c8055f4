"""Parts of Excel workbooks beside the rows: shared strings, styles, merged cells, tables and comments."""

import re
from dataclasses import dataclass, field

from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.draft import clean
from llmstack_api.ingest.reading.office import ooxml
from llmstack_api.ingest.reading.sheets.number_format import BUILT_IN, Show, around_text, shower
from llmstack_api.ingest.reading.sheets.xlsx_rows import string_of, unescaped
from llmstack_api.ingest.reading.xml_tree import Node, local, parse, parse_pieces

MAX_STYLES = 65_536
_RANGE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?")
_TAIL_REFS = re.compile(
    rb"""<(?:[\w.-]+:)?(mergeCell|autoFilter)\s[^<>]{0,400}?\bref\s*=\s*["']([A-Z0-9:$]{2,30})["']"""
)
_LINK = re.compile(rb"""<(?:[\w.-]+:)?hyperlink\s([^<>]{1,5000})>""")
_LINKED = re.compile(rb"""(?:^|\s)ref\s*=\s*["']([A-Z0-9:$]{2,30})["']""")
_TARGET_ID = re.compile(rb"""(?:^|\s)[\w.-]+:id\s*=\s*["']([^"']{1,100})["']""")
_PANE = re.compile(rb"""<(?:[\w.-]+:)?pane\s([^<>]{0,400})>""")
_SPLIT = re.compile(rb"""\bySplit\s*=\s*["'](\d{1,3})(?:\.0*)?["']""")
_HEAD = 65_536
_MOST_FROZEN = 8


def shared_strings(data: bytes) -> list[str]:
    """Read the texts that cells refer to by number."""
    return [clean(unescaped(string_of(node))).strip() for node in parse_pieces(data, "si")]


class Styles:
    """How cells are shown, by the number of their style."""

    def __init__(self, root: Node | None, *, since_1904: bool) -> None:
        """Read the part that has the styles; without it all numbers are shown as they are."""
        self.bold: set[str | None] = set()
        self._shows: dict[str, Show] = {}
        self._texts: dict[str, tuple[str, str]] = {}
        """Style -> what stands before and after a text."""
        if root is not None:
            self._read(root, since_1904=since_1904)

    def show(self, style: str | None) -> Show | None:
        """Return what writes a number in this style; None is the general way."""
        return self._shows.get(style or "0")

    def text(self, style: str, text: str) -> str:
        """Write a text in this style."""
        around = self._texts.get(style)
        return text.join(around).strip() if around and text else text

    def _read(self, root: Node, *, since_1904: bool) -> None:
        formats = dict(BUILT_IN)
        fonts: list[bool] = []
        crossed: list[Node] = []
        for group in root:
            name = local(group)
            if name == "numFmts":
                formats |= {_int(node.get("numFmtId")): node.get("formatCode") or "" for node in group}
            elif name == "fonts":
                fonts = [_is_bold(font) for font in group]
            elif name == "cellXfs":
                crossed = list(group)[:MAX_STYLES]
        shows: dict[str, Show | None] = {}
        for number, node in enumerate(crossed):
            code = formats.get(_int(node.get("numFmtId")), "")
            if code not in shows:
                shows[code] = shower(code, since_1904=since_1904)
            show = shows[code]
            if show is not None:
                self._shows[str(number)] = show
            if around := around_text(code):
                self._texts[str(number)] = around
            font = _int(node.get("fontId"))
            if 0 <= font < len(fonts) and fonts[font]:
                self.bold.add(str(number))


def _is_bold(font: Node) -> bool:
    return any(local(node) == "b" and node.get("val") not in ("0", "false") for node in font)


def _int(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else -1  # noqa: PLR2004 # digits of any number in use


# --- what frames the rows ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Frame:
    """What a sheet says of its rows, apart from them; rows and columns are counted from 0."""

    spans: dict[int, dict[int, tuple[int, int]]] = field(
        default_factory=dict[int, dict[int, tuple[int, int]]]
    )
    """Row -> column -> columns and rows that the merged cell there spans."""
    header_rows: set[int] = field(default_factory=set[int])
    """Rows of names, of tables and filters."""
    links: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])
    """Row -> column -> address that its cell leads to."""
    frozen: int = 0
    """Rows at the top that stay in view."""


def find_frame(package: Package, path: str, data: bytes) -> Frame:
    """Read what stands before and after the rows of a sheet."""
    frame = Frame()
    pane = _PANE.search(data, 0, _HEAD)
    split = _SPLIT.search(pane[1]) if pane and b"frozen" in pane[1] else None
    frame.frozen = int(split[1]) if split and int(split[1]) <= _MOST_FROZEN else 0
    tail = max(data.rfind(b"sheetData"), 0)
    _find_links(frame, data, tail, ooxml.link_targets(package, path))
    for found in _TAIL_REFS.finditer(data, tail):
        place = _range(found[2].decode())
        if place is None:
            continue
        column, row, last_column, last_row = place
        if found[1] == b"mergeCell":
            frame.spans.setdefault(row, {})[column] = (last_column - column + 1, last_row - row + 1)
        else:
            frame.header_rows.add(row)
    for kind, part in ooxml.relationships(package, path).values():
        if kind == "table" and part in package.names:
            table = parse(package.read(part))
            place = _range(table.get("ref") or "")
            if place and table.get("headerRowCount") != "0":
                frame.header_rows.add(place[1])
    return frame


def _find_links(frame: Frame, data: bytes, start: int, targets: dict[str, str]) -> None:
    """Read which cells lead out of the file; a link over several cells belongs to the first."""
    for found in _LINK.finditer(data, start) if targets else ():
        linked, named = _LINKED.search(found[1]), _TARGET_ID.search(found[1])
        place = _range(linked[1].decode()) if linked else None
        target = targets.get(named[1].decode(errors="replace")) if named else None
        if place and target:
            frame.links.setdefault(place[1], {})[place[0]] = target


def _range(reference: str) -> tuple[int, int, int, int] | None:
    """Read a range such as `A1:C3`: first column and row, last column and row."""
    match = _RANGE.fullmatch(reference)
    if match is None:
        return None
    column, row = column_number(match[1]), int(match[2]) - 1
    last_column, last_row = column_number(match[3] or match[1]), int(match[4] or match[2]) - 1
    return (
        (column, row, last_column, last_row) if 0 <= column <= last_column and 0 <= row <= last_row else None
    )


def column_number(letters: str) -> int:
    """Return the number of a column, counted from 0; -1 for what is none."""
    number = 0
    if len(letters) <= 3 and letters.isascii() and letters.isalpha():  # noqa: PLR2004 # letters of the last one
        for letter in letters.upper():
            number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


# --- comments ----------------------------------------------------------------------------------------------


def comments(package: Package, path: str) -> dict[int, dict[int, str]]:
    """Read the notes and the threads of comments of a sheet: row -> column -> text."""
    notes: dict[tuple[int, int], str] = {}
    threads: dict[tuple[int, int], list[str]] = {}
    for kind, part in ooxml.relationships(package, path).values():
        if part not in package.names or kind not in ("comments", "threadedComment"):
            continue
        for node in parse(package.read(part)).iter():
            place = _range(node.get("ref") or "") if local(node) in ("comment", "threadedComment") else None
            if place is None:
                continue
            text = next((inner for inner in node if local(inner) == "text"), None)
            words = " ".join(clean(_all_text(text)).split()) if text is not None else ""
            if words and kind == "comments":
                notes[place[1], place[0]] = words
            elif words:
                threads.setdefault((place[1], place[0]), []).append(words)
    # A thread has a note beside it that tells older programs of it.
    notes |= {place: " / ".join(texts) for place, texts in threads.items()}
    found: dict[int, dict[int, str]] = {}
    for (row, column), text in sorted(notes.items()):
        found.setdefault(row, {})[column] = text
    return found


def _all_text(node: Node) -> str:
    """Text of a comment, which has runs in a note and none in a thread."""
    return string_of(node) if len(node) else node.text or ""
