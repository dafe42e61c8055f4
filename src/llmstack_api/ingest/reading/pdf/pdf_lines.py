"""Lines of a PDF's page: their text in reading order, where they stand and how they are set."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from llmstack_api.ingest.reading.pdf import pdf_bidi
from llmstack_api.ingest.reading.pdf.pdf_library import PdfPage, Style

HYPHEN = "\ufffe"
"""What PDFium makes of a hyphen at the end of a line."""
_BLANKS = " \t\xa0\xad" + HYPHEN
_LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "st",
    "\ufb06": "st",
}
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_LINE_END = re.compile(r"[\r\n]+")
_LINE_END_OR_HYPHEN = re.compile(f"[\r\n]+|(?<={HYPHEN})")
_SAME = 0.3
_CELL = 1.2
_CELL_OF_HEADER = 0.75
"""Lines that stand out are not set to fill their width, so that a narrower gap already parts cells."""
_GAP = re.compile(r"\s+")
_LONGEST_SAMPLED = 160
_FEW_LINES = 15
_SAMPLES = 8
_UNEVEN = 1.06
_NUMBERED = re.compile(r"(?:[A-Z]|\d{1,3})(?:\.\d{1,3})*[.)]?")


@dataclass(slots=True)
class Line:
    """A line of text. Lengths are points along the line (`left`, `right`) and across it (`base`, which falls)."""

    text: str
    start: int
    """Its first unit in the text of the page."""
    end: int
    size: float = 0.0
    """0 if unknown."""
    bold: bool = False
    even: bool = False
    """Whether it has one size and weight from end to end."""
    cells: bool = False
    """Whether gaps part it as the cells of a table; known of short lines only."""
    quarter: int = 0
    """How far it is turned clockwise: 0 to 3, or -1."""
    left: float = 0.0
    right: float = 0.0
    base: float = 0.0


def read_lines(page: PdfPage) -> tuple[list[Line], str]:
    """Read the lines of a page that stands as most of its text does, and the units they are made of."""
    units = _units(page)
    lines = _lines(page, units)
    quarter = _most_common_quarter(lines)
    if quarter >= 0 and page.turn(-quarter % 4):
        units = _units(page)
        lines = _lines(page, units)
    _read_from_right(page, lines, units)
    return lines, units


def merged(lines: list[Line]) -> list[Line]:
    """Join lines that stand beside each other, which PDFium parts where a piece has a single character."""
    return list(_merged(lines))


def character_places(page: PdfPage, line: Line) -> list[tuple[int, float]]:
    """Return the units of a line and where each stands along it."""
    places: list[tuple[int, float]] = []
    for unit in range(line.start, line.end):
        character = page.at(unit)
        if character >= 0:
            places.append((unit, _turned(page.origin(character), line.quarter)[0]))
    return places


def well_formed(units: str) -> str:
    """Join the halves of characters beyond the first plane; half a one is no character."""
    text = units.replace("\0", "")
    if not units.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        text = _LIGATURE.sub(lambda match: _LIGATURES[match.group()], text)
    return text


def _units(page: PdfPage) -> str:
    """Return the text, where `HYPHEN` is none but a hyphen; PDFium writes the same for what is no character."""
    units = page.units()
    if HYPHEN not in units:
        return units
    pieces = list(units)
    for match in re.finditer(HYPHEN, units):
        if not page.is_hyphen(page.at(match.start())):
            pieces[match.start()] = "\0"
    return "".join(pieces)


def _lines(page: PdfPage, units: str) -> list[Line]:
    found: list[Line] = []
    start = 0
    end_of_line = _LINE_END_OR_HYPHEN if HYPHEN in units else _LINE_END
    for match in end_of_line.finditer(units + "\n"):
        end = match.start()
        text = units[start:end]
        if text.strip():
            line = Line(well_formed(text), start, end)
            _measure(page, line, text)
            found.append(line)
        start = match.end()
    _look_closer(page, found, units)
    return found


def _measure(page: PdfPage, line: Line, units: str) -> None:
    """Look at the first, the middle and the last character, and at more of a short line that stands out."""
    first = len(units) - len(units.lstrip(_BLANKS))
    last = len(units.rstrip(_BLANKS)) - 1
    if first > last:
        return
    begin, end = page.at(line.start + first), page.at(line.start + last)
    if begin < 0 or end < 0:
        return
    start, stop = page.style(begin), page.style(end)
    style = start
    if start is not stop:
        place = (first + last) // 2
        while place < last and units[place].isspace():
            place += 1
        middle = page.at(line.start + place)
        style = page.style(middle) if middle >= 0 else stop
    line.size, line.bold, line.quarter = style.size, style.bold, start.quarter
    if line.quarter == 0:
        line.left, line.base = page.origin(begin)
        line.right = page.box(end)[2]
    else:
        line.left, line.base = _turned(page.origin(begin), line.quarter)
        line.right = _turned_right(page.box(end), line.quarter)
    line.even = style is start is stop or _is_even([start, style, stop])


def _look_closer(page: PdfPage, lines: list[Line], units: str) -> None:
    """Look at more characters of the short lines that stand out on their page, or of all where there are few."""
    counts: Counter[tuple[float, bool]] = Counter()
    for line in lines:
        counts[round(line.size, 1), line.bold] += len(line.text)
    usual = counts.most_common(1)[0][0] if len(lines) > _FEW_LINES else None
    for line in lines:
        if line.even and len(line.text) <= _LONGEST_SAMPLED and (round(line.size, 1), line.bold) != usual:
            text = units[line.start : line.end].rstrip(_BLANKS)
            step = max(len(text) // _SAMPLES, 1)
            further = [page.at(line.start + place) for place in range(0, len(text), step)]
            styles = [
                page.style(character)
                for character in further
                if character >= 0 and not page.generated(character)
            ]
            line.even = not styles or _is_even(styles)
            line.cells = _has_cells(page, line, text)


def _is_even(styles: list[Style]) -> bool:
    sizes = [style.size for style in styles]
    return max(sizes) <= min(sizes) * _UNEVEN and len({style.bold for style in styles}) == 1


def _has_cells(page: PdfPage, line: Line, units: str) -> bool:
    """Whether a gap is too wide for a blank; the one after a number of a heading may be."""
    for match in _GAP.finditer(units):
        before, after = page.at(line.start + match.start() - 1), page.at(line.start + match.end())
        if match.start() == 0 or before < 0 or after < 0 or _NUMBERED.fullmatch(units[: match.start()]):
            continue
        gap = _turned(page.origin(after), line.quarter)[0] - _turned_right(page.box(before), line.quarter)
        if gap > line.size * _CELL_OF_HEADER:
            return True
    return False


def _turned(point: tuple[float, float], quarter: int) -> tuple[float, float]:
    """Return a point as if its line were level: along, up."""
    x, y = point
    return ((x, y), (-y, x), (-x, -y), (y, -x))[max(quarter, 0)]


def _turned_right(box: tuple[float, float, float, float], quarter: int) -> float:
    left, bottom, right, top = box
    return (right, -bottom, -left, top)[max(quarter, 0)]


def _most_common_quarter(lines: list[Line]) -> int:
    counts: Counter[int] = Counter()
    for line in lines:
        counts[line.quarter] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0


def _merged(lines: list[Line]) -> Iterator[Line]:
    last: Line | None = None
    for line in lines:
        if last is not None and _is_beside(last, line):
            last.text = f"{last.text} {line.text}"
            last.even = last.even and line.even and last.bold == line.bold
            last.cells = last.cells or line.left - last.right > last.size * _CELL
            last.end, last.right = line.end, line.right
            continue
        if last is not None:
            yield last
        last = line
    if last is not None:
        yield last


def _is_beside(last: Line, line: Line) -> bool:
    size = max(last.size, line.size)
    return (
        size > 0
        and last.quarter == line.quarter >= 0
        and abs(last.base - line.base) < size * _SAME
        and line.left - last.right > -size * _SAME
        and not last.text.endswith(HYPHEN)
        and not pdf_bidi.has_right_to_left(last.text + line.text)
    )


def _read_from_right(page: PdfPage, lines: list[Line], units: str) -> None:
    """Put lines in order that have letters of Hebrew or Arabic."""
    mixed = [line for line in lines if line.quarter == 0 and pdf_bidi.has_right_to_left(line.text)]
    if not mixed:
        return
    whole = sum(pdf_bidi.leans_right(line.text) for line in lines) > 0
    for line in mixed:
        characters = _characters(page, line, units[line.start : line.end])
        if len({character.place for character in characters}) * 2 < len(characters):
            line.text = pdf_bidi.normalise(line.text)  # there is nothing to go by
            continue
        line.text = pdf_bidi.read_line(characters, line.size, page_leans_right=whole)
        line.left = min(character.left for character in characters)
        line.right = max(character.right for character in characters)


def _characters(page: PdfPage, line: Line, units: str) -> list[pdf_bidi.Character]:
    """Return what is drawn of a line; a character of two units counts once."""
    found: list[pdf_bidi.Character] = []
    for match in re.finditer("[\ud800-\udbff][\udc00-\udfff]|.", units, re.DOTALL):
        character = page.at(line.start + match.start())
        text = well_formed(match.group())
        if character < 0 or not text or (text.isspace() and page.generated(character)):
            continue
        left, _, right, _ = page.box(character)
        found.append(pdf_bidi.Character(text, page.origin(character)[0], left, right))
    return found


def turned_area(area: tuple[float, float, float, float], quarter: int) -> tuple[float, float, float, float]:
    """Return an area as if its lines were level: left, bottom, right, top."""
    left, bottom, right, top = area
    (one, low), (other, high) = _turned((left, bottom), quarter), _turned((right, top), quarter)
    return min(one, other), min(low, high), max(one, other), max(low, high)
