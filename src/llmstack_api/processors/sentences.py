"""Cuts a passage into what can be quoted alone: sentences, list items, rows of tables, records, lines of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

MAX_SENTENCE: Final = 600
"""Characters of a sentence; what is longer is cut where it has a blank, or where it has to be."""

MAX_HEADING: Final = 200
"""Characters that are kept of a heading, and of the names of columns: each sentence below has them."""

_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_HEADING: Final = re.compile(r"(#{1,6})\s+(\S.*)")
_RULE: Final = re.compile(r"(?=[\s|:=*_-]*[|=*_-])[\s|:=*_-]*")
_ITEM: Final = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+(?=\S)")
_RECORD: Final = re.compile(r"[^\W\d_][^:.!?]{0,60}: +\S")
_END: Final = re.compile(
    # an ending, a blank, and a beginning: a letter that is not small, or a digit, behind any opening marks; or code
    r"""(?<=[.!?\u2026])["'\u201d\u2019\u00bb)\]*_`]*\s+(?=`|["'\u201c\u2018\u00ab(\[*_]*[^\Wa-z_])"""
    r"|(?<=[\u3002\uff01\uff1f])[\u300d\u300f\u201d\uff09]*"
)
_ABBREVIATED: Final = re.compile(
    r"""(?:^|[\s("'\u201c\u2018])(?:e\.g|i\.e|cf|ca|approx|vs|nos?|vol|pp?|figs?|sec|art|dept|est|inc|ltd|corp"""
    r"|jr|sr|st|mrs?|ms|dr|prof|gen|rev|hon|[^\W\d_])\.$",
    re.IGNORECASE,
)
_ENDINGS: Final = tuple(".!?\u2026:;,\u3002\uff01\uff1f-|")
_TITLE: Final = 60
"""Characters of a line that can be a heading without being marked as one."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What can be quoted, and what it stands under."""

    text: str
    """As it stands in the passage, but that lines which were wrapped are joined by blanks."""
    heading: str = ""
    """The headings above it in its passage, outermost first."""
    columns: str = ""
    """Names of the columns, of a row of a table."""
    cut: bool = False
    """Whether its beginning, or its end, may be missing."""
    code: bool = False
    """Whether it is a line of code."""


@dataclass(slots=True)
class _Outline:
    """The headings above a place."""

    marked: dict[int, str] = field(default_factory=dict[int, str])
    plain: str = ""
    lead: str = ""
    """What announces the list, the table or the code that follows it."""

    def enter(self, level: int, title: str) -> None:
        self.marked = {above: text for above, text in self.marked.items() if above < level}
        self.marked[level] = title[:MAX_HEADING]
        self.plain = self.lead = ""

    def __str__(self) -> str:
        return " > ".join(filter(None, [*self.marked.values(), self.plain, self.lead]))


def split_passage(text: str) -> list[Sentence]:
    """Return what can be quoted of a passage, in order; a passage may begin and end amid a sentence."""
    outline = _Outline()
    found: list[Sentence] = []
    paragraph: list[str] = []
    table: list[str] = []
    fenced = False

    def close() -> None:
        found.extend(_read_table(table, str(outline)))
        found.extend(_read_paragraph(paragraph, outline))
        table.clear()
        paragraph.clear()

    for line in text.split("\n"):
        if _FENCE.match(line):
            close()
            fenced = not fenced
        elif fenced:
            found.extend(Sentence(part, str(outline), code=True) for part in _bounded(line.strip()))
        elif heading := _HEADING.match(line):
            close()
            outline.enter(len(heading[1]), heading[2].strip().rstrip("#").rstrip())
        elif is_row(line):
            if paragraph:
                close()
            table.append(line)
        elif not line.strip() or _RULE.fullmatch(line):
            close()
        else:
            if table or _ITEM.match(line):
                close()
            paragraph.append(line)
    close()
    return _marked(found)


def is_row(line: str) -> bool:
    """Tell whether a line is a row of a table."""
    return line.lstrip().startswith("|") or " | " in line


def split_text(text: str) -> Iterator[str]:
    """Cut running text into sentences."""
    start = 0
    for match in _END.finditer(text):
        if match.end() == start or _ABBREVIATED.search(text, max(start, match.start() - 12), match.start()):
            continue
        yield from _bounded(text[start : match.end()].strip())
        start = match.end()
    yield from _bounded(text[start:].strip())


def _marked(sentences: list[Sentence]) -> list[Sentence]:
    """Mark the first sentence where it looks like the end of one, and the last where its end is missing."""
    if not sentences:
        return sentences
    first, last = sentences[0], sentences[-1]
    if first.text[0].islower():
        sentences[0] = replace(first, cut=True)
    if len(last.text.split()) > 3 and last.text[-1].isalnum() and not last.columns and "\n" not in last.text:  # noqa: PLR2004 # words
        sentences[-1] = replace(last, cut=True)
    return sentences


def _read_table(rows: list[str], heading: str) -> Iterator[Sentence]:
    """Read rows; the first one names the columns where a rule follows it, or where rows have no outer bars."""
    ruled = len(rows) > 1 and _RULE.fullmatch(rows[1]) is not None
    named = ruled or (rows and not rows[0].lstrip().startswith("|"))
    columns = _cells(rows[0])[:MAX_HEADING] if named else ""
    for row in rows[2:] if ruled else rows:
        if not _RULE.fullmatch(row):
            yield from (Sentence(part, heading, columns) for part in _bounded(_cells(row)))


def _cells(row: str) -> str:
    return row.strip().strip("|").strip()


def _read_paragraph(lines: list[str], outline: _Outline) -> Iterator[Sentence]:
    if not lines:
        return
    if len(lines) > 1 and all(_RECORD.match(line) for line in lines):
        record = "\n".join(line.strip() for line in lines)
        yield from (Sentence(part, str(outline)) for part in _bounded(record))
        return
    is_item = _ITEM.match(lines[0]) is not None
    if not is_item:
        outline.lead = ""
    width = max(map(len, lines))
    wrapped: list[str] = []
    for position, line in enumerate(lines):
        following = lines[position + 1].strip() if position + 1 < len(lines) else ""
        if _is_title(line, following, width):
            yield from (Sentence(part, str(outline)) for part in split_text(" ".join(wrapped)))
            wrapped.clear()
            outline.plain = line.strip()
        else:
            marker = _ITEM.match(line) if position == 0 else None
            wrapped.append(line[marker.end() :].strip() if marker else line.strip())
    parts = list(split_text(" ".join(wrapped)))
    yield from (Sentence(part, str(outline)) for part in parts)
    if parts and not is_item and (parts[-1].endswith(":") or parts[-1][-1].isalnum()):
        outline.lead = parts[-1].rstrip(":")


def _is_title(line: str, following: str, width: int) -> bool:
    """Tell whether a line of a paragraph is a heading: short, without an end, before the beginning of a sentence."""
    text = line.strip()
    return (
        bool(following)
        and following[0].isupper()
        and text[0].isupper()
        and len(text) <= min(_TITLE, width * 2 // 3)
        and not text.endswith(_ENDINGS)
    )


def _bounded(text: str) -> Iterator[str]:
    """Give a text in parts that are not too long, without those that say nothing."""
    while len(text) > MAX_SENTENCE:
        cut = max(text.rfind(blank, MAX_SENTENCE // 2, MAX_SENTENCE) for blank in (" ", "\n"))
        end = MAX_SENTENCE if cut < 0 else cut
        yield text[:end].strip()
        text = text[end:].strip()
    if any(letter.isalnum() for letter in text):
        yield text
