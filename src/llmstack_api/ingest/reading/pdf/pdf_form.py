"""Values of a PDF's form, put where they stand: into the line of their label, or below it."""

from collections import defaultdict
from collections.abc import Iterator

from llmstack_api.ingest.reading.pdf.pdf_annotations import YES, Annotations, Area, Field
from llmstack_api.ingest.reading.pdf.pdf_bidi import has_right_to_left
from llmstack_api.ingest.reading.pdf.pdf_library import PdfPage
from llmstack_api.ingest.reading.pdf.pdf_lines import Line, character_places, turned_area, well_formed

_FILL = "_…‥"
_ROW_OF_STROKES = ("__", "……", "....", ". . .")
_BAND = 20.0
_TALL = 40.0
_SLACK = 0.1
_NEAR_BOX = 40.0
_NEAR_LABEL = 320.0
_ABOVE = 2.5


class _Rows:
    """Lines by their height on the page, so that each field need not look at all of them."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._bands: dict[int, list[int]] = defaultdict(list)
        for number, line in enumerate(lines):
            self._bands[int(line.base // _BAND)].append(number)

    def between(self, low: float, high: float) -> Iterator[tuple[int, Line]]:
        """Find the lines at these heights, with their numbers."""
        first, last = int(low // _BAND), int(high // _BAND)
        bands = range(first, last + 1) if last - first < len(self._bands) else sorted(self._bands)
        for band in bands:
            for number in self._bands.get(band, ()):
                yield number, self._lines[number]


def place_fields(page: PdfPage, lines: list[Line], units: str, found: Annotations) -> list[str]:
    """Write values into the lines of a page; return, as lines of their own, those that no line is near to."""
    if not found.fields and not found.typed:
        return []
    inserted: dict[int, list[tuple[float, float, str]]] = defaultdict(list)
    below: dict[int, list[tuple[float, str]]] = defaultdict(list)
    left_over: list[tuple[float, float, str]] = []
    quarter = lines[0].quarter if lines else 0
    rows = _Rows(lines)
    for entry in found.fields:
        area = turned_area(entry.area, quarter)
        line = _beside(rows, area, box=entry.checked is not None)
        if line is not None:
            inserted[line].append((area[0], area[2], _mark(entry)))
        elif entry.checked is None or (entry.checked and (entry.label or entry.text != YES)):
            line = None if entry.checked else _above(rows, area)
            if line is not None:
                below[line].append((area[0], _named(entry, lines[line].text)))
            else:
                left_over.append((-area[3], area[0], _named(entry)))
    for entry in found.typed:
        area = turned_area(entry.area, quarter)
        line = _beside(rows, area, box=False)
        if line is not None and _waits(lines[line], area[0]):
            inserted[line].append((area[0], area[2], " ".join(entry.text.split())))
        else:
            left_over.append((-area[3], area[0], entry.text))
    for number, values in inserted.items():
        _insert(page, lines[number], units, values)
    for number in sorted(below, reverse=True):
        lines[number + 1 : number + 1] = [_line(lines[number], text) for _, text in sorted(below[number])]
    return [text for _, _, text in sorted(left_over)]


def _mark(entry: Field) -> str:
    if entry.checked is None:
        return entry.text
    return "[x]" if entry.checked else "[ ]"


def _named(entry: Field, nearby: str = "") -> str:
    """Return a value with its name, unless the name stands nearby."""
    known = entry.label.casefold().strip(" :*") in nearby.casefold()
    return entry.text if known else f"{entry.label.rstrip(' :')}: {entry.text}"


def _waits(line: Line, left: float) -> bool:
    """Whether a line ends before a place, as one that is to be filled in."""
    return line.text.rstrip().endswith((":", "?", "_", "…", "...", ". .")) and (
        line.right <= left + line.size or line.text.rstrip().endswith(_ROW_OF_STROKES)
    )


def _beside(rows: _Rows, area: Area, *, box: bool) -> int | None:
    """Find the line that a field stands in: its label is before it, that of a box on either side."""
    best: tuple[float, int] | None = None
    left, bottom, right, top = area
    for number, line in rows.between(bottom - _TALL, top + _TALL):
        middle = line.base + line.size * 0.3
        if not line.size or not bottom - line.size * 0.2 <= middle <= top + line.size * 0.2:
            continue
        if line.left < left and right < line.right:
            distance = 0.0
        elif line.left < left:
            distance = max(left - line.right, 0.0)
        elif box:
            distance = max(line.left - right, 0.0)
        else:
            continue
        if distance <= (_NEAR_BOX if box else _NEAR_LABEL) and (best is None or distance < best[0]):
            best = distance, number
    return None if best is None else best[1]


def _above(rows: _Rows, area: Area) -> int | None:
    """Find the line right above a field."""
    best: tuple[float, int] | None = None
    left, _, right, top = area
    for number, line in rows.between(top - _TALL, top + _TALL * _ABOVE):
        distance = line.base - top
        if (
            line.left < right
            and left < line.right
            and -line.size * 0.5 < distance < line.size * _ABOVE
            and (best is None or distance < best[0])
        ):
            best = distance, number
    return None if best is None else best[1]


def _line(above: Line, text: str) -> Line:
    return Line(
        text, 0, 0, size=above.size, quarter=above.quarter,
        left=above.left, right=above.right, base=above.base - above.size,
    )  # fmt: skip


def _insert(page: PdfPage, line: Line, units: str, values: list[tuple[float, float, str]]) -> None:
    """Put values between the characters of a line, in place of the strokes that wait for them."""
    values = sorted(values)
    if has_right_to_left(line.text):
        line.text = " ".join([line.text.rstrip(_FILL + " "), *(text for _, _, text in reversed(values))])
        return
    places = character_places(page, line)
    replaced = _strokes(units, places, values)
    pieces: list[str] = []
    waiting = list(values)
    start = line.start
    for unit, place in places:
        while waiting and waiting[0][0] <= place + line.size * _SLACK:
            pieces += [units[start:unit], f" {waiting.pop(0)[2]} "]
            start = unit
        if unit in replaced:
            pieces.append(units[start:unit])
            start = unit + 1
    pieces += [units[start : line.end], *(f" {text}" for _, _, text in waiting)]
    line.text = " ".join(well_formed("".join(pieces)).split())
    line.even = False
    line.right = max(line.right, *(right for _, right, _ in values))


def _strokes(units: str, places: list[tuple[int, float]], values: list[tuple[float, float, str]]) -> set[int]:
    """Find the strokes that wait for values: each row of them that lies under one."""
    found: set[int] = set()
    row: list[tuple[int, float]] = []
    for unit, place in [*places, (-1, 0.0)]:
        if unit >= 0 and units[unit] in _FILL:
            row.append((unit, place))
            continue
        if row and any(left <= row[-1][1] and row[0][1] <= right for left, right, _ in values):
            found.update(unit for unit, _ in row)
        row = []
    return found
