"""Lines of a PDF's page, joined to paragraphs: a full line goes on in the next one."""

import re
import unicodedata
from collections.abc import Mapping

from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.pdf.pdf_headings import Heading
from llmstack_api.ingest.reading.pdf.pdf_hyphens import Hyphens
from llmstack_api.ingest.reading.pdf.pdf_lines import HYPHEN, Line

_BETWEEN_IDEOGRAPHS = re.compile("(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
_LEADERS = re.compile(r"(?:\. ?){4,}")
_LIKE_HEADING = re.compile(r"#{1,6}\s")
_MARK = re.compile(r"(?:[-\u2013•◦·▪*●■]|\(?\d{1,3}[.)]|\d{1,2}(?:\.\d{1,2}){1,3}\.?|[a-z][.)])\s")
_SENTENCE_END = (".", "!", ":", "。", "\uff01", "…", ".”", '."')
_FIRST_IDEOGRAPH = "\u2e80"
_MIN_FULL = 40
_FULL = 0.75
_WHOLE = 0.92
_BARE = 12
_NEAR = 1.5
_OTHER_SIZE = 1.15
_COLUMN_LINES = 3
_COLUMN_WIDTH = 24
_INDENT = 2.5
_DENSE = 0.6
_SHORT = 0.2
_SHORT_AT_STOP = 0.08
_FURTHER = 1.35


def write_page(draft: Draft, lines: list[Line], headings: Mapping[int, Heading], hyphens: Hyphens) -> None:
    """Write the lines of a page; `headings` are by the number of their first line."""
    texts = [" ".join(line.text.split()) for line in lines]
    widths = sorted(_width(text) for text in texts)
    width = widths[int(len(widths) * 0.9)] if widths else 0
    in_columns = _full_lines(lines, texts)
    paragraph: list[str] = []
    gap = "\n\n"
    place = 0
    while place < len(lines):
        heading = headings.get(place)
        if heading is not None:
            draft.block(join(paragraph, hyphens), gap=gap)
            draft.heading(
                join(texts[place : place + heading.lines], hyphens) if heading.lines > 1 else heading.text,
                heading.level,
            )
            paragraph, gap = [], "\n\n"
            place += heading.lines
            continue
        text = texts[place]
        far = place > 0 and _is_far(lines[place - 1], lines[place])
        if paragraph and (far or ((_MARK.match(text) or _stands_alone(text)) and not _is_cut(paragraph[-1]))):
            draft.block(join(paragraph, hyphens), gap=gap)
            paragraph, gap = [], "\n"
        if not paragraph and far:
            gap = "\n\n"
        paragraph.append(text)
        if place not in in_columns and _ends(text, width):
            draft.block(join(paragraph, hyphens), gap=gap)
            paragraph, gap = [], "\n"
        place += 1
    draft.block(join(paragraph, hyphens), gap=gap)


def join(lines: list[str], hyphens: Hyphens) -> str:
    """Join lines by a blank, but for words that were hyphenated and scripts that write no blanks."""
    if not lines:
        return ""
    text = lines[0]
    for line in lines[1:]:
        if text.endswith("\xad"):
            text = text[:-1] + line
        elif text.endswith(HYPHEN):
            text = text[:-1] + hyphens.between(text[:-1], line) + line
        elif _is_cut(text) and line[:1].isalnum():
            text += line
        else:
            text = f"{text} {line}"
    text = _shown(text)
    if _LIKE_HEADING.match(text):
        text = f"    {text}"  # which keeps it from being taken for one
    return text if len(lines) == 1 or text.isascii() else _BETWEEN_IDEOGRAPHS.sub("", text)


def _shown(text: str) -> str:
    """Leave out hyphens that are not shown, and show the one at the end."""
    if text.isascii():
        return text
    if text.endswith(HYPHEN):
        text = text[:-1] + "-"
    return text.replace(HYPHEN, "").replace("\xad", "")


def _is_cut(text: str) -> bool:
    """Whether it ends in a hyphen that follows a letter or a digit."""
    return text.endswith("-") and text[-2:-1].isalnum()


def _width(text: str) -> int:
    """Count ideographs for two."""
    if text.isascii():
        return len(text)
    return len(text) + sum(
        character >= _FIRST_IDEOGRAPH and unicodedata.east_asian_width(character) in "WF"
        for character in text
    )


def _stands_alone(text: str) -> bool:
    return len(text) < _BARE and not any(character.isalpha() for character in text)


def _is_far(upper: Line, lower: Line) -> bool:
    """Whether a gap, or another size, parts two lines."""
    if not upper.size or not lower.size or upper.quarter != lower.quarter:
        return False
    drop = upper.base - lower.base
    sizes = sorted((upper.size, lower.size))
    return drop > _NEAR * sizes[1] * _FURTHER or sizes[1] > sizes[0] * _OTHER_SIZE


def _full_lines(lines: list[Line], texts: list[str]) -> set[int]:
    """Find the lines that fill a column of prose, be it as narrow as it may."""
    full: set[int] = set()
    start = 0
    for place in range(1, len(lines) + 1):
        if place < len(lines) and _is_below(lines[place - 1], lines[place]):
            continue
        margin = max((line.right for line in lines[start:place]), default=0.0)
        reach = [number for number in range(start, place) if _reaches(lines[number], texts[number], margin)]
        least = _COLUMN_LINES if texts[start][-1:] < _FIRST_IDEOGRAPH else 2
        if place - start >= least and len(reach) * 2 >= place - start:
            full.update(reach)
        start = place
    return full


def _is_below(upper: Line, lower: Line) -> bool:
    """Whether a line goes on in a column, whose first lines may be indented."""
    return (
        upper.size > 0
        and upper.quarter == lower.quarter
        and upper.size / _OTHER_SIZE < lower.size < upper.size * _OTHER_SIZE
        and 0 < upper.base - lower.base < upper.size * 2
        and abs(upper.left - lower.left) < upper.size * _INDENT
    )


def _reaches(line: Line, text: str, margin: float) -> bool:
    """Whether it ends at the margin and is as dense as prose, which rows of a table are not."""
    width, length = line.right - line.left, _width(text)
    short = width * (_SHORT_AT_STOP if text.endswith(_SENTENCE_END) else _SHORT)
    return length >= _COLUMN_WIDTH and width < length * line.size * _DENSE and margin - line.right < short


def _ends(text: str, width: int) -> bool:
    """Whether a line is the last of its paragraph."""
    if text.endswith((HYPHEN, "\xad")) or _is_cut(text):
        return False
    length = _width(text)
    return (
        length < max(width * _FULL, _MIN_FULL)
        or ((". ." in text or "..." in text) and bool(_LEADERS.search(text)))
        or (text.endswith(_SENTENCE_END) and length < width * _WHOLE)
    )
