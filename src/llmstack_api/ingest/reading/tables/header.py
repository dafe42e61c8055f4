"""Names of columns: which rows of a table hold them, told by what stands below."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llmstack_api.ingest.reading.tables.cell_kind import Kind, column_kinds, kind_of
from llmstack_api.ingest.reading.tables.grid import Line
from llmstack_api.ingest.reading.tables.header_words import HEADER_WORDS

MAX_NAME = 200
MAX_HEADER_ROWS = 4

MAX_HEADER = 500
"""Characters of the names where they are repeated."""


_LONGEST_NAME = 80
_LONGEST_QUESTION = 2_000
_DIGITS_OF_DATE = 8
_SHORT_NAME = 40
_PAIR = 2
_FEW = 3
_SEVERAL = 9
_LONG_TEXT = 40
_YEARS = (1500, 2200)
_IDENTIFIER = re.compile(
    r"[a-z][a-z0-9]*(?:[_.-][a-z0-9]+)*|[a-z]+(?:[A-Z][a-z0-9]*)+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
)
_WORD = re.compile(r"[^\W\d_]+")
_WHOLE = re.compile(r"\d{1,9}")
_DIGIT_RUN = re.compile(r"\d+")
_LETTER_RUN = re.compile(r"[^\W\d_]+")
_SENTENCE_END = (".", "!", ";", "。")


@dataclass(frozen=True, slots=True)
class Header:
    """The rows `first` to `last`, counted from 0, that name the columns."""

    first: int
    last: int
    names: dict[int, str]
    """Column -> name."""
    certain: bool
    """Whether the rows can be nothing else; if not, they may be rows like those below."""

    @property
    def line(self) -> str:
        """The names on one line; of long ones the beginnings."""
        line = joined(self.names)
        if len(line) > MAX_HEADER:
            line = joined({column: name[:_SHORT_NAME].rstrip() for column, name in self.names.items()})
        return line if len(line) <= MAX_HEADER else f"{line[: MAX_HEADER - 1].rstrip()}…"


def joined(cells: dict[int, str]) -> str:
    """Write cells on one line, a bar between columns; only single columns without text keep their place."""
    pieces: list[str] = []
    before: int | None = None
    for column, text in cells.items():
        if before is not None and pieces[-1].endswith(":"):
            pieces.append(" ")
        elif before is not None:
            pieces.append(
                " | " if column - before == 1 or column - before > _FEW else " | " * (column - before)
            )
        pieces.append(" ".join(text.split()) if "\n" not in text else text)
        before = column
    return "".join(pieces)


def find_header(lines: Sequence[Line]) -> Header | None:
    """Find the rows that name the columns of a table, which may follow lines that do not belong to it."""
    widest = max((len(line.cells) for line in lines), default=0)
    if not widest:
        return None
    if all(line.marked for line in lines if len(line.cells) > 1):
        lines = [replace(line, marked=False) for line in lines]
    first = next((number for number, line in enumerate(lines) if _is_wide(line, widest)), None)
    if first is None or _is_filled_in(lines[first]):
        return None
    last = _last_row(lines, first)
    while first > 0 and last - first < MAX_HEADER_ROWS - 1 and _groups(lines, first - 1):
        first -= 1
    names = _names(lines[first : last + 1])
    certain = _judge(lines[first], lines[last], names, lines[last + 1 :])
    if certain and last - first < MAX_HEADER_ROWS - 1 and _names_the_rest(names, lines[last + 1 :]):
        last += 1
        names = dict(sorted((names | _names([lines[last]])).items()))
    return None if certain is None else Header(first, last, names, certain)


def _is_filled_in(line: Line) -> bool:
    """Whether it is a line of a form: labels that end with a colon, and what was filled in."""
    labels = sum(text.endswith((":", "\uff1a")) for text in line.cells.values())
    return 0 < labels < len(line.cells)


def _names_the_rest(names: dict[int, str], below: Sequence[Line]) -> bool:
    """Whether the row below the names has names too, all of them for columns that have none so far."""
    return (
        len(below) > 1
        and not below[0].apart
        and not below[0].lone
        and all(
            column not in names and kind_of(text) is Kind.TEXT and len(text) <= _LONGEST_NAME
            for column, text in below[0].cells.items()
        )
    )


def _is_wide(line: Line, widest: int) -> bool:
    return len(line.cells) * 2 > widest and (len(line.cells) > 1 or widest == 1)


# --- header of several rows --------------------------------------------------------------------------------


def _last_row(lines: Sequence[Line], first: int) -> int:
    """Follow a row of names down to the last row of them: names of groups stand over names of columns."""
    last = first
    while last - first < MAX_HEADER_ROWS - 1 and last + 2 < len(lines):
        line, below = lines[last], lines[last + 1]
        marked = below.marked and line.marked and len(below.cells) > 1
        if not marked and (below.apart or not _goes_on(line, below, lines[last + 2 :])):
            break
        last += 1
    return last


def _goes_on(line: Line, below: Line, body: Sequence[Line]) -> bool:
    """Whether the row below a row of names goes on with names."""
    if line.grouped or _has_gaps(line, below):
        return _names_more(line, below, body)
    if any(kind_of(text) is not Kind.TEXT or len(text) > _SHORT_NAME for text in below.cells.values()):
        return False
    kinds = column_kinds(body)
    if _has_equal_neighbours(line):
        over_texts = {column for column in below.cells if kinds.get(column, Kind.TEXT) is Kind.TEXT}
        return len(over_texts) < len(below.cells) and all(
            line.cells.get(column, below.cells[column]) == below.cells[column] for column in over_texts
        )
    # Units of numbers, which leave the columns of text empty.
    return 0 not in below.cells and all(
        kinds.get(column) is Kind.NUMBER and column in line.cells for column in below.cells
    )


def _has_equal_neighbours(line: Line) -> bool:
    """Whether a name stands in each column of its group, as where merged cells are written as text."""
    return any(
        after - before == 1 and line.cells[before] == line.cells[after]
        for before, after in pairwise(line.cells)
    )


def _has_gaps(line: Line, below: Line) -> bool:
    """Whether a row names groups: each of its names stands over the first of several columns."""
    if len(line.cells) >= len(below.cells) or len(line.cells) < 2:  # noqa: PLR2004 # one is a title
        return False
    columns = list(line.cells)
    return any(after - column > 1 for column, after in pairwise([*columns, max(below.cells) + 1]))


def _names_more(line: Line, below: Line, body: Sequence[Line]) -> bool:
    """Whether the row below a row of groups names columns too, and is no row of values."""
    if any(kind_of(text) in (Kind.NUMBER, Kind.TIME, Kind.TRUTH) for text in below.cells.values()) and not (
        line.grouped and _is_series([text for text in below.cells.values() if kind_of(text) is Kind.NUMBER])
    ):
        return False
    kinds = column_kinds(body)
    if any(
        kind_of(text) is Kind.TEXT and kinds.get(column, Kind.TEXT) is not Kind.TEXT
        for column, text in below.cells.items()
    ):
        return True
    # All is text: the names of a group's columns return in the next group.
    counts = Counter(below.cells.values())
    return any(count > 1 for count in counts.values())


def _groups(lines: Sequence[Line], number: int) -> bool:
    """Whether the row above a row of names has names of groups, and is no title, note or line of a form."""
    line, below = lines[number], lines[number + 1]
    if below.apart or any(
        len(text) > _LONGEST_NAME
        or (":" in text and kind_of(text) is not Kind.TIME)
        or sum(map(str.isdecimal, text)) > _DIGITS_OF_DATE
        for text in line.cells.values()
    ):
        return False
    if (
        number
        and not line.apart
        and len(line.cells) == _PAIR
        and lines[number - 1].cells.keys() == line.cells.keys()
    ):
        return False
    return 1 < len(line.cells) <= len(below.cells) and _has_gaps(line, below)


def _names(rows: Sequence[Line]) -> dict[int, str]:
    """Join the names of several rows; a group's name holds until the next one."""
    width = max(max(row.cells, default=-1) for row in rows) + 1
    pieces: dict[int, list[str]] = {}
    for number, row in enumerate(rows):
        group = ""
        deepest = number == len(rows) - 1
        for column in sorted({column for other in rows for column in other.cells if column < width}):
            text = row.cells.get(column, "" if deepest or row.grouped else group)
            group = text
            found = pieces.setdefault(column, [])
            if text and text not in found:
                found.append(text)
    return {column: clip_name(" ".join(found)) for column, found in pieces.items() if found}


def clip_name(text: str) -> str:
    """Put a name on one line, and leave out what is too long for one."""
    name = " ".join(text.split())
    name = name.rstrip(" :\uff1a") or name
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1].rstrip()}…"


# --- whether it is one -------------------------------------------------------------------------------------


def _judge(first: Line, last: Line, names: dict[int, str], below: Sequence[Line]) -> bool | None:
    """Say whether a row names the columns: surely, perhaps, or (None) not."""
    if first.marked or last.marked:
        return True if below else None
    body = [line for line in below if (len(line.cells) > 1 or len(names) == 1) and line.cells != last.cells]
    longest = max(map(len, last.cells.values()))
    if not body or longest > _LONGEST_QUESTION:
        return None
    verdict = _by_kinds(last, column_kinds(body), body)
    if longest > MAX_NAME and not verdict:
        return None
    if verdict and len(names) == _PAIR and _may_be_a_fact(last):
        verdict = None
    if verdict is None:
        verdict = True if first is not last else _by_words(last, body)
        return None if verdict is not True and len(names) == 1 else verdict
    return verdict or None


def _may_be_a_fact(line: Line) -> bool:
    """Whether the first of two cells may be a name, and the second its value: `City`, `Bern`."""
    return [_is_word_of_headers(text) for text in line.cells.values()] == [True, False]


def _is_word_of_headers(text: str) -> bool:
    return any(word.lower() in HEADER_WORDS for word in _WORD.findall(text))


def _by_kinds(line: Line, kinds: dict[int, Kind], body: Sequence[Line]) -> bool | None:
    """Compare a row with the columns below: unlike them it is a header, like them (False) none."""
    unlike = alike = 0
    numbers: list[int] = []
    over_texts: list[str] = []
    for column, text in line.cells.items():
        own, usual = kind_of(text), kinds.get(column)
        if usual is None or own is Kind.MISSING:
            continue
        if own is Kind.NUMBER and usual is Kind.NUMBER:
            numbers.append(column)
        elif own is not Kind.TEXT and own is usual:
            alike += 1
        elif own in (Kind.NUMBER, Kind.DATE, Kind.TIME) and usual is Kind.TEXT:
            over_texts.append(text)
        elif own is Kind.TEXT or (own is Kind.DATE and usual is Kind.NUMBER):
            unlike += usual is not Kind.TEXT
    if _is_series(over_texts) or {kind_of(text) for text in over_texts[:_FEW]} in ({Kind.DATE}, {Kind.TIME}):
        unlike += len(over_texts) > 1
    if numbers:
        texts = [line.cells[column] for column in numbers]
        if _is_series(texts) and not _series_below(numbers, body, of_years=_are_years(texts)):
            unlike += 1
        else:
            alike += 1
    return False if alike else True if unlike else None


def _is_series(texts: Sequence[str]) -> bool:
    """Whether numbers count something: years in order, or three or more at the same distance."""
    if len(texts) < 2 or not all(_WHOLE.fullmatch(text) for text in texts):  # noqa: PLR2004 # one is no series
        return False
    numbers = [int(text) for text in texts]
    steps = {after - before for before, after in pairwise(numbers)}
    if (
        _are_years(texts)
        and (all(step >= 0 for step in steps) or all(step <= 0 for step in steps))
        and steps != {0}
    ):
        return True
    return len(numbers) >= _FEW and len(steps) == 1 and steps != {0}


def _are_years(texts: Sequence[str]) -> bool:
    return all(_WHOLE.fullmatch(text) and _YEARS[0] <= int(text) <= _YEARS[1] for text in texts)


def _series_below(columns: Sequence[int], body: Sequence[Line], *, of_years: bool) -> bool:
    """Whether most rows of values hold such a series too; one of years is like one of years only."""
    rows = [[line.cells.get(column, "") for column in columns] for line in body]
    return sum(_is_series(row) and (not of_years or _are_years(row)) for row in rows) * 2 > len(rows)


def _by_words(line: Line, body: Sequence[Line]) -> bool | None:
    """Judge a row of texts over texts by its words, and by what the columns have in common.

    False says that it may be a row like the others, None that it is one.
    """
    texts = list(line.cells.values())
    if any(len(text) > _LONGEST_NAME or text.endswith(_SENTENCE_END) for text in texts):
        return None
    columns = {column: [row.cells[column] for row in body if column in row.cells] for column in line.cells}
    if any(text in columns[column] for column, text in line.cells.items()):
        return None
    named = sum(map(_is_word_of_headers, texts))
    if named == len(texts) or (named * 2 >= len(texts) and len(texts) > _PAIR):
        return True
    if all(_IDENTIFIER.fullmatch(text) for text in texts) and not all(
        all(_IDENTIFIER.fullmatch(cell) for cell in cells) for cells in columns.values()
    ):
        return True
    return any(_stands_out(text, columns[column]) for column, text in line.cells.items())


def _stands_out(name: str, cells: Sequence[str]) -> bool:
    """Whether the cells of a column have something in common that its name has not."""
    if len(cells) < _FEW:
        return False
    shapes = {_shape(cell) for cell in cells}
    if (
        len(shapes) == 1
        and not shapes & {_shape(name), "a"}
        and any(mark in "0@" for mark in next(iter(shapes)))
    ):
        return True
    if len(cells) >= _SEVERAL and len(set(cells)) * _FEW <= len(cells):
        return True
    return sum(map(len, cells)) >= len(cells) * max(_LONG_TEXT, 4 * len(name))


def _shape(text: str) -> str:
    """Write a text with `a` for letters and `0` for digits."""
    return _LETTER_RUN.sub("a", _DIGIT_RUN.sub("0", text[:_LONGEST_NAME]))
