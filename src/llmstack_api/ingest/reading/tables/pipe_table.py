"""Tables in Markdown: rows of cells between bars, under names that a line of dashes underlines."""

import re
from collections.abc import Iterator

from llmstack_api.ingest.reading.tables.header import MAX_HEADER

_WINDOW = 262_144
_LONGEST_LINE = 2_000
_DASHES = re.compile(r"^ {0,3}[|:-][|:\- \t]{2,2000}$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(?:`{3}|~{3})", re.MULTILINE)


def pipe_tables(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the tables of a text: where they start and end, and the line of their names."""
    if "|" not in text:
        return
    in_code, seen, done = False, 0, 0
    for start, stop in _dashes(text):
        if start <= done:
            continue
        in_code ^= sum(1 for _ in _FENCE.finditer(text, seen, start)) % 2 == 1
        seen = start
        first = text.rfind("\n", 0, start - 1) + 1
        names = text[first : start - 1]
        if in_code or _columns(names) != _columns(text[start:stop]) or len(names) > _LONGEST_LINE:
            continue
        end = _end(text, stop)
        if end > stop:
            header = names.strip()
            yield first, end, header if len(header) <= MAX_HEADER else f"{header[: MAX_HEADER - 1]}…"
            done = end


def _dashes(text: str) -> Iterator[tuple[int, int]]:
    """Find the lines of dashes, in steps, as others wait for the interpreter meanwhile."""
    place = 0
    while place < len(text):
        stop = text.find("\n", place + _WINDOW)
        stop = len(text) if stop < 0 else stop
        for found in _DASHES.finditer(text, place, stop):
            line = found[0]
            if "|" in line and "-" in line and found.start() > 0:
                yield found.span()
        place = stop + 1


def _columns(line: str) -> int:
    """Count the cells of a line; a bar after a backslash is text. No bar, no cells."""
    core = line.strip().replace("\\|", "").removeprefix("|").removesuffix("|")
    return core.count("|") + 1 if "|" in line else 0


def _end(text: str, place: int) -> int:
    """Return where the rows after a place end: each has a bar."""
    while place < len(text):
        stop = text.find("\n", place + 1)
        stop = len(text) if stop < 0 else stop
        if text.find("|", place, stop) < 0:
            break
        place = stop
    return place
