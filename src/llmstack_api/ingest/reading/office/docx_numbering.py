"""Automatic numbers of a Word document, as Word shows them before paragraphs and headings."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from llmstack_api.ingest.reading.office.docx_properties import attribute, child, is_on, value
from llmstack_api.ingest.reading.office.docx_styles import Styles, is_deleted
from llmstack_api.ingest.reading.office.numerals import WORD, Numeral, padded, to_number
from llmstack_api.ingest.reading.xml_tree import Node, local

MARK: Final = "mark"
"""Attribute that a paragraph gets: its number, with the blank after it; `- ` for a bullet."""

DEPTH: Final = "depth"
"""Attribute that a paragraph gets: the level of its list, from 0."""

BULLET: Final = "- "
_LEVELS = 9
_MAX_LEVEL_TEXT = 200
_MAX_LINKS = 10
_PLACE = re.compile(r"%([1-9])")
_WIDTH = re.compile(r"(0*)1\b")


@dataclass(frozen=True, slots=True)
class _Level:
    start: int = 1
    numeral: Numeral | None = str
    """None is a bullet."""
    text: str = ""
    restart: int | None = None
    """Level above which nothing makes it begin again; 0 is never, None the next one above."""
    legal: bool = False
    """Whether all its numbers are in digits."""
    style: str = ""
    tight: bool = False
    """Whether nothing stands between number and text."""


@dataclass(slots=True)
class _List:
    """An instance of a list definition."""

    definition: str
    levels: dict[int, _Level]
    starts: dict[int, int] = field(default_factory=dict[int, int])
    """Numbers that this instance begins with again, whatever others have reached."""


class Numbering:
    """The lists of a document; counts through its paragraphs."""

    def __init__(self, trees: Iterable[Node], styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, _List] = {}
        nodes = [node for tree in trees for node in tree]
        definitions = {
            attribute(node, "abstractNumId") or "": node for node in nodes if local(node) == "abstractNum"
        }
        instances = {attribute(node, "numId") or "": node for node in nodes if local(node) == "num"}
        levels: dict[str, dict[int, _Level]] = {}
        for number, node in instances.items():
            name = self._definition(node, definitions, instances)
            if name not in levels:
                levels[name] = _read_levels(definitions.get(name))
            self._lists[number] = _read_list(node, name, levels[name])

    def mark(self, root: Node) -> None:
        """Write the mark of each paragraph below on its element; each call counts from the beginning."""
        counts = _Counts()
        for node in root.iter("{*}p"):
            properties = child(node, "pPr")
            found = self._find(properties)
            if found is None or is_deleted(properties) or _is_copy(node):
                continue
            number, depth = found
            mark = counts.next(number, self._lists[number], depth)
            if mark:
                node.set(MARK, mark)
                node.set(DEPTH, str(depth))

    def _definition(self, node: Node, definitions: dict[str, Node], instances: dict[str, Node]) -> str:
        """Follow a list that only names the style which another list defines."""
        name = value(node, "abstractNumId") or ""
        for _ in range(_MAX_LINKS):
            link = value(definitions.get(name), "numStyleLink")
            target = instances.get(self._styles.lists.get(link or "", ""))
            if not link or target is None:
                break
            name = value(target, "abstractNumId") or ""
        return name

    def _find(self, properties: Node | None) -> tuple[str, int] | None:
        """Find list and level of a paragraph: its own, or those that its style has or inherits."""
        style = value(properties, "pStyle") or self._styles.default
        ancestry = list(self._styles.ancestry(style))
        own = value(properties, "numPr", "numId")
        lists = self._styles.lists
        number = own or next((lists[name] for name in ancestry if name in lists), None)
        found = self._lists.get(number or "")
        if number is None or found is None:
            return None
        depth = value(properties, "numPr", "ilvl")
        if depth is None:
            linked = (
                level
                for name in ancestry
                for level, definition in found.levels.items()
                if definition.style == name
            )
            depths = self._styles.depths
            inherited = next((depths[name] for name in ancestry if name in depths), None)
            return number, next(linked, _depth(inherited if own is None else None))
        return number, _depth(depth)


@dataclass(slots=True)
class _Counts:
    reached: dict[str, list[int | None]] = field(default_factory=dict[str, list[int | None]])
    """Numbers by definition, which its instances share, and level; None is a level that begins again."""
    begun: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    """(instance, level) whose own start has been used."""

    def next(self, number: str, found: _List, depth: int) -> str:
        """Count one paragraph and return its mark."""
        level = found.levels.get(depth)
        if level is None:
            return ""
        values = self.reached.setdefault(found.definition, [None] * _LEVELS)
        reached = values[depth]
        if reached is None or (depth in found.starts and (number, depth) not in self.begun):
            values[depth] = _start(found, depth)
        else:
            values[depth] = reached + 1
        self.begun.add((number, depth))
        for deeper in range(depth + 1, _LEVELS):
            restart = found.levels[deeper].restart if deeper in found.levels else None
            if restart is None or depth < restart:
                values[deeper] = None
        for above in range(depth):
            if values[above] is None:
                values[above] = _start(found, above)
        return _written(found, depth, values) if level.numeral is not None else BULLET


def _start(found: _List, depth: int) -> int:
    level = found.levels.get(depth)
    return found.starts.get(depth, level.start if level else 1)


def _written(found: _List, depth: int, values: list[int | None]) -> str:
    level = found.levels[depth]

    def write(match: re.Match[str]) -> str:
        place = int(match.group(1)) - 1
        of_place = found.levels.get(place)
        reached = values[place]
        if place > depth or reached is None or of_place is None or of_place.numeral is None:
            return ""
        return str(reached) if level.legal else of_place.numeral(reached)

    text = _PLACE.sub(write, level.text).strip()
    return text if level.tight or not text else f"{text} "


def _read_levels(definition: Node | None) -> dict[int, _Level]:
    nodes = definition if definition is not None else ()
    return dict(_read_level(node) for node in nodes if local(node) == "lvl")


def _read_list(node: Node, definition: str, levels: dict[int, _Level]) -> _List:
    found = _List(definition, levels)
    for override in (inner for inner in node if local(inner) == "lvlOverride"):
        depth = _depth(attribute(override, "ilvl"))
        own = child(override, "lvl")
        if own is not None:
            found.levels = {**found.levels, depth: _read_level(own)[1]}
        start = value(override, "startOverride")
        if start is not None:
            found.starts[depth] = to_number(start, 1)
    return found


def _read_level(node: Node) -> tuple[int, _Level]:
    chosen = child(node, "AlternateContent", "Choice", "numFmt")
    restart = value(node, "lvlRestart")
    return _depth(attribute(node, "ilvl")), _Level(
        start=to_number(value(node, "start"), 0),
        numeral=_numeral(chosen if chosen is not None else child(node, "numFmt")),
        text=(value(node, "lvlText") or "")[:_MAX_LEVEL_TEXT],
        restart=to_number(restart, 0) if restart is not None else None,
        legal=is_on(node, "isLgl"),
        style=value(node, "pStyle") or "",
        tight=value(node, "suff") == "nothing",
    )


def _numeral(node: Node | None) -> Numeral | None:
    name = (attribute(node, "val") if node is not None else None) or "decimal"
    if name == "bullet":
        return None
    if name == "custom" and node is not None:
        width = _WIDTH.match(attribute(node, "format") or "")
        return padded(min(len(width.group(0)), _MAX_LEVEL_TEXT)) if width else str
    decimal: Callable[[int], str] = str
    return WORD.get(name, decimal)


def _depth(text: str | None) -> int:
    return min(max(to_number(text, 0), 0), _LEVELS - 1)


def _is_copy(node: Node) -> bool:
    """Whether a paragraph stands in the second version of a drawing."""
    return any(local(around) == "Fallback" for around in node.iterancestors())
