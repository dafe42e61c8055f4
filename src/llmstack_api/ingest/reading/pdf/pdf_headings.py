"""Headings of a PDF: lines that are set larger or bolder than the body, and those that its outline names.

A wrong heading spoils the path of every chunk after it, so what is in doubt is none.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from llmstack_api.ingest.reading.pdf.pdf_lines import Line

Style = tuple[float, bool]
Outline = dict[int, dict[str, int]]
"""Page -> title -> depth."""

_MOST_LEVELS = 6
_MOST_LINES = 3
_MAX_HEADING = 160
_LARGER = 1.12
_MUCH_LARGER = 1.3
_NO_SMALLER = 0.97
_GAP = 1.12
_WRAPPED = 1.4
_REPEATED = 2
_PLACE = 3.0
_FEW = 0.25
_MOSTLY_LETTERS = 0.6
_SMALL_CAPITALS = 0.75
_LABEL_LINES = 6
_SHORT = 0.5
_CENTRED = 2.0
_NAMES = re.compile(r",|\d|@|\b(?:and|und|et|y|by|von|par|и)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!:;,。\uff01\uff1a…\u201d\"\uff0c、-]$")
_CAPTION = re.compile(
    r"(?:fig(?:ure|ura|\.)?|tab(?:le|elle|leau|la|\.)?|abb(?:ildung|\.)?|chart|plate|exhibit|listing|algorithm|scheme"
    r"|photo|source|note|рис(?:унок|\.)?|табл(?:ица|\.)?|図|表|图)\s*[\d.:A-Z]*\d",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"^(?:(?:[A-Z]|\d{1,3})(?:\.\d{1,3})*[.)]?|[IVXLC]+\.|§+ ?\d+\w?\.?)\s+")
_WORD = re.compile(r"[^\W\d_]{3}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}")
_FORMULA = re.compile(
    r"[=<>|\\^~_{}@\u2190-\u22ff\u27c0-\u27ef\u2980-\u2aff\U0001d400-\U0001d7ff]|https?:|www\."
)
_BULLET = re.compile(r"-\S|[-\u2013\u2014•◦·▪*●■○□➢✓\uf0b7\uf0a7]\s")
_VALUE = re.compile(r"[:#] ?[-+\d€$£(]")
_LEADERS = re.compile(r"(?:\. ?){4,}|…{2,}|_{3,}")
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that begins with a line of a page."""

    text: str
    level: int
    lines: int
    """How many lines it takes."""


@dataclass(frozen=True, slots=True)
class _Found:
    page: int
    line: int
    lines: int
    text: str
    style: Style
    depth: int | None
    """As the outline has it."""


def find_headings(pages: list[list[Line]], outline: Outline) -> dict[tuple[int, int], Heading]:
    """Find the headings: (page, line) -> heading, both counted from 0."""
    body = _body(pages)
    if body is None:
        return {}
    repeated = _repeated(pages, body)
    pitch = _pitch(pages, body)
    last = max(number for number, lines in enumerate(pages) if lines)
    found: list[_Found] = []
    others: Counter[Style] = Counter()
    for number, lines in enumerate(pages):
        named = outline.get(number, {})
        for start, end in _groups(lines):
            heading = _judge(
                number,
                lines,
                (start, end),
                named=named,
                body=body,
                pitch=pitch,
                repeated=repeated,
                ends=number == last,
            )
            if heading is not None:
                found.append(heading)
            elif lines[start].size:
                others[_style(lines[start])] += end - start
    kept = _without_crowds(_without_names(found, pages, body), others)
    levels = _levels(kept)
    return {
        (heading.page, heading.line): Heading(heading.text, levels[heading.style], heading.lines)
        for heading in kept
    }


def plain(title: str) -> str:
    """Return a title as it can be compared."""
    return _SPACES.sub(" ", _NUMBER.sub("", title.strip())).casefold().strip(" .")


def _style(line: Line) -> Style:
    return round(line.size * 2) / 2, line.bold


def _body(pages: list[list[Line]]) -> Style | None:
    """How most of the text is set."""
    counts: Counter[Style] = Counter()
    for line in _all(pages):
        if line.size:
            counts[_style(line)] += len(line.text)
    return counts.most_common(1)[0][0] if counts else None


def _all(pages: list[list[Line]]) -> Iterator[Line]:
    for lines in pages:
        yield from lines


def _pitch(pages: list[list[Line]], body: Style) -> float:
    """From one line of the body to the next, by its size."""
    drops = [
        round((upper.base - lower.base) / body[0], 1)
        for lines in pages
        for upper, lower in pairwise(lines)
        if 0 < upper.base - lower.base < 3 * body[0]
        and not _is_other(upper, body)
        and not _is_other(lower, body)
    ]
    return Counter(drops).most_common(1)[0][0] if drops else 1.2


def _repeated(pages: list[list[Line]], body: Style) -> set[tuple[str, Style, float]]:
    """What stands at the same place of several pages: headers, footers."""
    counts: Counter[tuple[str, Style, float]] = Counter()
    for lines in pages:
        counts.update({_shape(line, body) for line in lines if _is_other(line, body)})
    return {shape for shape, count in counts.items() if count > _REPEATED}


def _is_other(line: Line, body: Style) -> bool:
    return line.bold != body[1] or abs(line.size - body[0]) > body[0] * (1 - _NO_SMALLER)


def _shape(line: Line, body: Style) -> tuple[str, Style, float]:
    text = _SPACES.sub(" ", line.text.strip())
    if line.size < body[0] * _MUCH_LARGER:
        text = _DIGITS.sub("#", text)
    return text, _style(line), round(line.base / _PLACE)


def _groups(lines: list[Line]) -> Iterator[tuple[int, int]]:
    """Cut a page at changes of style and at gaps."""
    start = 0
    for place in range(1, len(lines) + 1):
        if place == len(lines) or not _goes_on(lines[place - 1], lines[place]):
            yield start, place
            start = place


def _goes_on(upper: Line, lower: Line) -> bool:
    drop = upper.base - lower.base
    return (
        upper.bold == lower.bold
        and abs(upper.size - lower.size) < upper.size * 0.04
        and upper.quarter == lower.quarter
        and 0 < drop < upper.size * _WRAPPED
    )


def _judge(
    number: int,
    lines: list[Line],
    group: tuple[int, int],
    *,
    named: dict[str, int],
    body: Style,
    pitch: float,
    repeated: set[tuple[str, Style, float]],
    ends: bool,
) -> _Found | None:
    start, end = group
    first = lines[start]
    if not named and not _is_other(first, body):
        return None
    text = " ".join(line.text.strip() for line in lines[start:end])
    depth = named.get(plain(text)) if end - start <= _MOST_LINES else None
    if depth is None and (one := named.get(plain(first.text))) is not None:
        text, end, depth = first.text.strip(), start + 1, one
    if any(_shape(line, body) in repeated for line in lines[start:end]) and (
        depth is None or first.size < body[0] * _LARGER
    ):
        return None
    if depth is None and not (
        end - start <= _MOST_LINES
        and _stands_out(lines, start, end, body=body, pitch=pitch, ends=ends)
        and can_be_heading(text)
    ):
        return None
    return _Found(number, start, end - start, text, _style(first), depth)


def _stands_out(lines: list[Line], start: int, end: int, *, body: Style, pitch: float, ends: bool) -> bool:
    """Whether lines are set like a heading; `ends` says that no page comes after."""
    group = lines[start:end]
    first = group[0]
    if not all(line.even and not line.cells for line in group):
        return False
    before = lines[start - 1] if start else None
    after = lines[end] if end < len(lines) else None
    if any(other and _is_level(other, first) for other in (before, after)):
        return False
    if first.size >= body[0] * _LARGER:
        return True
    least = _SMALL_CAPITALS if all(line.text.isupper() for line in group) else _NO_SMALLER
    if not first.bold or body[1] or first.size < body[0] * least or _is_label(lines, end, pitch=pitch):
        return False
    apart = (
        before is None or before.base <= first.base or before.base - first.base > pitch * _GAP * first.size
    )
    if after is None or after.base > group[-1].base:
        is_last = after is None or _is_other(after, body)
        return apart and is_last and before is not None and not ends
    return (apart or (before is not None and _style(before) > _style(first))) and not (
        after.text.lstrip()[:1].islower()
    )


def _is_label(lines: list[Line], end: int, *, pitch: float) -> bool:
    """Whether only a few short lines follow at once, as an address follows a name."""
    widest = max(line.right - line.left for line in lines)
    last = lines[end - 1]
    for count, line in enumerate(lines[end:]):
        drop = last.base - line.base
        if not 0 < drop <= pitch * _GAP * max(last.size, line.size):
            return count > 0
        if count == _LABEL_LINES or line.right - line.left > widest * _SHORT or _BULLET.match(line.text):
            return False
        last = line
    return end < len(lines)


def _is_level(one: Line, other: Line) -> bool:
    """Whether two lines stand beside each other, as cells of a table do."""
    return one.quarter == other.quarter and abs(one.base - other.base) < other.size * 0.5


def can_be_heading(text: str) -> bool:
    """Whether it reads like one: words, and neither a sentence, a caption nor a formula."""
    if (
        len(text) > _MAX_HEADING
        or _SENTENCE_END.search(text)
        or _FORMULA.search(text)
        or _LEADERS.search(text)
    ):
        return False
    if _BULLET.match(text) or _CAPTION.match(text) or _VALUE.search(text):
        return False
    words = _NUMBER.sub("", text)
    dense = _SPACES.sub("", words)
    letters = sum(character.isalpha() for character in dense)
    return (
        bool(_WORD.search(words))
        and letters >= len(dense) * _MOSTLY_LETTERS
        and not words.lstrip("\"'“„«(¿¡")[:1].islower()
    )


def _without_crowds(found: list[_Found], others: Counter[Style]) -> list[_Found]:
    """Leave out styles that far more is set in than headings."""
    counts: Counter[Style] = Counter()
    for heading in found:
        counts[heading.style] += heading.lines
    return [
        heading
        for heading in found
        if heading.depth is not None
        or counts[heading.style] >= (counts[heading.style] + others[heading.style]) * _FEW
    ]


def _without_names(found: list[_Found], pages: list[list[Line]], body: Style) -> list[_Found]:
    """Leave out what stands below the title and in no other place: names, places, dates."""
    block: list[_Found] = []
    for heading in found:
        if heading.page != found[0].page or (block and heading.style >= block[0].style):
            break
        between = pages[heading.page][block[-1].line + block[-1].lines : heading.line] if block else []
        if sum(len(line.text) for line in between if not _is_other(line, body)) > _MAX_HEADING:
            break
        block.append(heading)
    counts = Counter(heading.style for heading in found)
    margin = min((line.left for line in pages[found[0].page]), default=0.0) if found else 0.0
    dropped = {
        heading.line
        for heading in block[1:]
        if heading.depth is None
        and counts[heading.style] == sum(other.style == heading.style for other in block)
        and (
            _NAMES.search(_NUMBER.sub("", heading.text))
            or (
                heading.style[0] >= body[0] * _LARGER
                and pages[heading.page][heading.line].left > margin + heading.style[0] * _CENTRED
            )
        )
    }
    return [heading for heading in found if heading.page != found[0].page or heading.line not in dropped]


def _levels(found: Iterable[_Found]) -> dict[Style, int]:
    """Assign each style a level: as the outline has it, below a title that it lacks, or below what is larger."""
    votes: dict[Style, Counter[int]] = {}
    for heading in found:
        counter = votes.setdefault(heading.style, Counter())
        if heading.depth is not None:
            counter[heading.depth] += 1
    ordered = sorted(votes, reverse=True)
    below_title = int(bool(ordered) and not votes[ordered[0]] and any(votes.values()))
    levels: dict[Style, int] = {}
    level = 0
    for style in ordered:
        depths = votes[style]
        level = depths.most_common(1)[0][0] + below_title if depths else level + 1
        level = levels[style] = min(level, _MOST_LEVELS)
    return levels
