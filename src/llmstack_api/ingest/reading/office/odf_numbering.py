"""Automatic numbers of OpenDocument headings and lists, as the programs that write them show them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from llmstack_api.ingest.reading.office.numerals import (
    CSS,
    WORD,
    Numeral,
    padded,
    repeated,
    roman,
    to_number,
    upper,
)
from llmstack_api.ingest.reading.office.odf_text import BULLET, LEFT_OUT, MARK, attribute
from llmstack_api.ingest.reading.xml_tree import Node, local

_LEVELS: Final = 10
_MAX_PARENTS: Final = 20
_MAX_AROUND: Final = 200
_PLACE: Final = re.compile(r"%(\d{1,2})%([^%]*)")
_XML_ID: Final = "{http://www.w3.org/XML/1998/namespace}id"
_LETTERS: Final = {"a": "abcdefghijklmnopqrstuvwxyz", "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_DECIMAL: Numeral = str
_NUMERALS: Final[dict[str, Numeral]] = {
    "1": _DECIMAL,
    "i": roman,
    "I": upper(roman),
    "01": padded(2),
    "001": padded(3),
    "1st": WORD["ordinal"],
    "①": WORD["decimalEnclosedCircle"],
    "一": WORD["chineseCounting"],
    "壹": WORD["chineseLegalSimplified"],
    "일": WORD["koreanDigital"],
    "가": WORD["ganada"],
    "ア": WORD["aiueo"],
    "イ": WORD["iroha"],
    "甲": WORD["ideographTraditional"],
    "子": WORD["ideographZodiac"],
    "א": WORD["hebrew2"],
    "ก": WORD["thaiLetters"],
    "१": WORD["hindiNumbers"],
    "α": CSS["lower-greek"],  # noqa: RUF001 # the letter that the format begins with
    "а": WORD["russianLower"],  # noqa: RUF001 # likewise
    "А": WORD["russianUpper"],  # noqa: RUF001 # likewise
}
"""Number formats by the first number that they show; others are written in digits."""


@dataclass(frozen=True, slots=True)
class _Level:
    numeral: Numeral | None = None
    """None shows no number."""
    is_bullet: bool = False
    start: int = 1
    shown: int = 1
    """Levels whose numbers are shown, this one the last of them."""
    before: str = ""
    after: str = ""
    pattern: str | None = None
    """All of the mark, with `%1%` for the number of the first level; goes before what stands above."""
    tight: bool = False
    """Whether nothing stands between mark and text."""


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph style says of numbers."""

    parent: str
    list_style: str | None
    """Empty takes it out of every list."""


_Levels = dict[int, _Level]


@dataclass(slots=True)
class _Counts:
    """Numbers that a list has reached, by level; None is a level that begins again."""

    values: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)

    def next(self, levels: _Levels, depth: int, *, start: int | None) -> str:
        """Count one paragraph and return its mark; `start` is a number that it is given."""
        values = self.values
        reached = values[depth]
        if start is not None:
            values[depth] = start
        else:
            values[depth] = _start(levels, depth) if reached is None else reached + 1
        self.end(depth + 1)
        for above in range(depth):
            if values[above] is None:
                values[above] = _start(levels, above)
        return _written(levels, depth, values)

    def end(self, depth: int) -> None:
        """Let a level and those below it begin again."""
        for deeper in range(depth, _LEVELS):
            self.values[deeper] = None


@dataclass(frozen=True, slots=True)
class _List:
    """A list that is being counted."""

    style: str | None
    counts: _Counts
    depth: int = 0


class Numbering:
    """The lists of a document; counts through its paragraphs."""

    def __init__(self, groups: Iterable[Node]) -> None:
        """Read groups of styles; a style of a later group takes the place of one of the same name."""
        self._styles: dict[str, _Style] = {}
        self._lists: dict[str, _Levels] = {}
        self._outline: _Levels = {}
        self._outline_name = "Outline"
        self._headings = _Counts()
        self._by_id: dict[str, _Counts] = {}
        self._by_style: dict[str | None, _Counts] = {}
        for node in (node for group in groups for node in group):
            self._read(node)

    def mark(self, root: Node) -> None:
        """Write on each numbered paragraph below its mark, with the blank after it.

        That of a bullet is `- `, and in lists it is empty for a paragraph that has none.
        """
        self._walk(root, 0)

    def _read(self, node: Node) -> None:
        name, kind = _styled(node, "name") or "", local(node)
        if kind == "style" and _styled(node, "family") == "paragraph":
            self._styles[name] = _Style(
                _styled(node, "parent-style-name") or "", _styled(node, "list-style-name")
            )
        elif kind == "list-style":
            self._lists[name] = dict(_read_levels(node))
        elif kind == "outline-style":
            self._outline = dict(_read_levels(node))
            self._outline_name = name or self._outline_name

    def _walk(self, parent: Node, around: int) -> None:
        if around > _MAX_AROUND:
            return
        for node in parent:
            name = local(node)
            if name == "list":
                self._list(node, None, around)
            elif name == "numbered-paragraph":
                self._lone(node, around)
            elif name not in LEFT_OUT:
                if name == "h":
                    self._heading(node)
                self._walk(node, around + 1)

    def _heading(self, node: Node) -> None:
        if attribute(node, "is-list-header") == "true" or self._of_style(node) == "":
            return
        start: int | None = None
        depth = _depth(attribute(node, "outline-level"))
        if attribute(node, "restart-numbering") == "true":
            start = to_number(attribute(node, "start-value"), _start(self._outline, depth))
        if depth in self._outline:
            node.set(MARK, self._headings.next(self._outline, depth, start=start))

    def _list(self, node: Node, outer: _List | None, around: int) -> None:
        named = attribute(node, "style-name")
        if outer is None:
            found = _List(named, self._counts(node, named))
        else:
            depth = min(outer.depth + 1, _LEVELS - 1)
            if node.getprevious() is not None and attribute(node, "continue-numbering") != "true":
                outer.counts.end(depth)
            found = _List(named or outer.style, outer.counts, depth)
        for item in node:
            if local(item) in ("list-item", "list-header"):
                self._item(item, found, around + 1)

    def _counts(self, node: Node, style: str | None) -> _Counts:
        """Return the numbers that a list goes on from: those of another one if it says so, or none."""
        before = self._by_id.get(attribute(node, "continue-list") or "")
        if before is None and attribute(node, "continue-numbering") == "true":
            before = self._by_style.get(style)
        if before is None:
            before = _Counts()
        name = node.get(_XML_ID)
        if name:
            self._by_id[name] = before
        self._by_style[style] = before
        return before

    def _item(self, item: Node, found: _List, around: int) -> None:
        """Number the first paragraph of an item; what follows it belongs to it."""
        first = local(item) != "list-header"
        start = attribute(item, "start-value")
        override = attribute(item, "style-override")
        for node in item:
            name = local(node)
            if name in ("p", "h"):
                mark = ""
                if first and attribute(node, "is-list-header") != "true":
                    number = to_number(start, 1) if start is not None else None
                    mark = self._next(node, found, override or found.style, number)
                node.set(MARK, mark)
                first = False
            if name == "list" and around <= _MAX_AROUND:
                self._list(node, found, around)
                first = False
            elif name not in LEFT_OUT:
                self._walk(node, around + 1)

    def _next(self, node: Node, found: _List, style: str | None, start: int | None) -> str:
        style = style or self._of_style(node)
        if style == self._outline_name and style not in self._lists:
            return self._headings.next(self._outline, found.depth, start=start)
        return found.counts.next(self._lists.get(style or "", {}), found.depth, start=start)

    def _lone(self, node: Node, around: int) -> None:
        """Number a paragraph that names its list and level itself."""
        name, style = attribute(node, "list-id") or "", attribute(node, "style-name")
        counts = self._by_id.setdefault(name, _Counts())
        self._item(node, _List(style, counts, _depth(attribute(node, "level"))), around + 1)

    def _of_style(self, paragraph: Node) -> str | None:
        """Return the list style that the style of a paragraph has or inherits."""
        name = attribute(paragraph, "style-name") or ""
        for _ in range(_MAX_PARENTS):
            style = self._styles.get(name)
            if style is None:
                return None
            if style.list_style is not None:
                return style.list_style
            name = style.parent
        return None


def _read_levels(node: Node) -> Iterator[tuple[int, _Level]]:
    for level in node:
        kind = local(level)
        if kind in ("list-level-style-bullet", "list-level-style-image"):
            yield _depth(attribute(level, "level")), _Level(is_bullet=True)
        elif kind in ("list-level-style-number", "outline-level-style"):
            yield _depth(attribute(level, "level")), _read_level(level)


def _read_level(node: Node) -> _Level:
    properties = (inner for inner in node.iterdescendants() if local(inner) == "list-level-label-alignment")
    return _Level(
        numeral=_numeral(_styled(node, "num-format") or "", sync=_styled(node, "num-letter-sync") == "true"),
        start=to_number(attribute(node, "start-value"), 1),
        shown=min(max(to_number(attribute(node, "display-levels"), 1), 1), _LEVELS),
        before=_styled(node, "num-prefix") or "",
        after=_styled(node, "num-suffix") or "",
        pattern=_styled(node, "num-list-format"),
        tight=any(_styled(inner, "label-followed-by") == "nothing" for inner in properties),
    )


def _styled(node: Node, name: str) -> str | None:
    """Value of an attribute, whatever its namespace."""
    return next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == name), None)


def _numeral(name: str, *, sync: bool) -> Numeral | None:
    """Return what writes the numbers of a format; `sync` is letters that repeat: aa, bb, cc."""
    first = name.partition(",")[0].strip()
    if not first:
        return None
    if first in _LETTERS:
        return repeated(_LETTERS[first]) if sync else CSS["lower-alpha" if first == "a" else "upper-alpha"]
    return _NUMERALS.get(first, _DECIMAL)


def _depth(text: str | None) -> int:
    return min(max(to_number(text, 1), 1), _LEVELS) - 1


def _start(levels: _Levels, depth: int) -> int:
    return levels[depth].start if depth in levels else 1


def _written(levels: _Levels, depth: int, values: list[int | None]) -> str:
    level = levels.get(depth)
    if level is None or level.is_bullet:
        return BULLET

    def number(place: int) -> str:
        of_place, reached = levels.get(place), values[place] if place <= depth else None
        return of_place.numeral(reached) if of_place and of_place.numeral and reached is not None else ""

    def write(match: re.Match[str]) -> str:
        shown = number(min(max(int(match[1]), 1), _LEVELS) - 1)
        # What stands between two numbers is left out with the first of them.
        return shown + match[2] if shown or match.end() == len(match.string) else ""

    if level.pattern is not None:
        text = _PLACE.sub(write, level.pattern)
    else:
        numbers = map(number, range(max(depth - level.shown + 1, 0), depth + 1))
        text = level.before + ".".join(filter(None, numbers)) + level.after
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        return ""
    return text if level.tight else f"{text} "
