"""What cells of tables hold: numbers, dates, times, truths or texts."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from llmstack_api.ingest.reading.tables.grid import Line

_LONGEST_NUMBER = 40
_MOST = 0.7
_NUMBER = re.compile(
    r"[(+\-\u2212<>~]*\s?(?:[A-Z]{3}\s|[$€£¥₹₽₩])?\s?[+\-\u2212]?\d[\d\s.,'\u2019/]*(?:[eE][+-]?\d+)?\)?-?"
    r"\s?(?:[%‰$€£¥₹₽₩°]|[A-Z]{3})?"
)
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d))"
    r"(?:[T ]\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?(?:Z|\s?[+-]\d\d:?\d\d)?)?"
)
_TIME = re.compile(r"-?\d{1,5}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?")
_TRUTH = {"true", "false", "yes", "no", "wahr", "falsch", "ja", "nein", "vrai", "faux", "oui", "non"}
_MISSING = {"-", "\u2013", "\u2014", "n/a", "na", "null", "none", "nan", "?", "#n/a", "#nv", "#ref!", "#div/0!",
            "#value!", "#name?", "#num!", "#null!", "…", "..."}  # fmt: skip


class Kind(StrEnum):
    """What a cell holds."""

    MISSING = "missing"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    TRUTH = "truth"
    TEXT = "text"


def kind_of(text: str) -> Kind:
    """Tell what a cell holds."""
    lower = text.lower() if len(text) < _LONGEST_NUMBER else ""
    if not text or lower in _MISSING:
        return Kind.MISSING
    if not lower:
        return Kind.TEXT
    if _DATE.fullmatch(text):
        return Kind.DATE
    if _TIME.fullmatch(text):
        return Kind.TIME
    if _NUMBER.fullmatch(text):
        return Kind.NUMBER
    return Kind.TRUTH if lower in _TRUTH else Kind.TEXT


def column_kinds(body: Sequence[Line]) -> dict[int, Kind]:
    """Tell what most cells of a column hold; a column of this and that is left out."""
    counts: dict[int, Counter[Kind]] = {}
    for line in body:
        for column, text in line.cells.items():
            kind = kind_of(text)
            if kind is not Kind.MISSING:
                count = counts.get(column)
                if count is None:
                    count = counts[column] = Counter()
                count[kind] += 1
    found: dict[int, Kind] = {}
    for column, count in counts.items():
        kind, times = count.most_common(1)[0]
        if times >= _MOST * count.total():
            found[column] = kind
    return found
