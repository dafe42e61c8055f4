"""Styles of a Word document: which of them are headings, and which number their paragraphs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmstack_api.ingest.reading.office.docx_properties import attribute, is_on, value
from llmstack_api.ingest.reading.office.docx_table import caption_styles
from llmstack_api.ingest.reading.xml_tree import Node, local

_HEADING = re.compile(r"heading (\d)")
_MAX_BASED_ON = 20
_BODY_TEXT = 9


@dataclass(slots=True)
class Styles:
    """Styles by their id, each with what it has itself."""

    levels: dict[str, int] = field(default_factory=dict[str, int])
    """Level of headings, inherited ones too."""
    lists: dict[str, str] = field(default_factory=dict[str, str])
    """Number of the list that a style belongs to; `0` takes it out of the one that it would inherit."""
    depths: dict[str, str] = field(default_factory=dict[str, str])
    """Level of that list."""
    parents: dict[str, str] = field(default_factory=dict[str, str])
    default: str = ""
    """What paragraphs have that name no style."""
    captions: frozenset[str] = frozenset()
    """Styles of captions."""

    def ancestry(self, name: str) -> Iterator[str]:
        """Yield a style and what it is based on, the nearest first."""
        for _ in range(_MAX_BASED_ON):
            if not name:
                return
            yield name
            name = self.parents.get(name, "")


def read_styles(trees: Sequence[Node]) -> Styles:
    """Read the styles of a document."""
    styles = Styles(captions=caption_styles(trees))
    for node in (node for tree in trees for node in tree if local(node) == "style"):
        _read_style(styles, node)
    own = dict(styles.levels)
    for name in styles.parents:
        level = next((own[base] for base in styles.ancestry(name) if base in own), None)
        if level is not None:
            styles.levels[name] = level
    return styles


def outline_level(text: str | None) -> int | None:
    """Return the level of headings that an outline level means; None is body text."""
    if text and text.isdecimal() and int(text[:3]) < _BODY_TEXT:
        return int(text[:3]) + 1
    return None


def _read_style(styles: Styles, node: Node) -> None:
    name = attribute(node, "styleId") or ""
    styles.parents[name] = value(node, "basedOn") or ""
    if attribute(node, "type") == "paragraph" and attribute(node, "default") in ("1", "true", "on"):
        styles.default = name
    title = (value(node, "name") or "").lower()
    heading = _HEADING.fullmatch(title)
    level = outline_level(value(node, "pPr", "outlineLvl"))
    if heading:
        styles.levels[name] = int(heading.group(1))
    elif title == "title":
        styles.levels[name] = 1
    elif level:
        styles.levels[name] = level
    number = value(node, "pPr", "numPr", "numId")
    if number:
        styles.lists[name] = number
    depth = value(node, "pPr", "numPr", "ilvl")
    if depth:
        styles.depths[name] = depth


def is_deleted(properties: Node | None) -> bool:
    """Whether tracked changes delete the end of a paragraph, or move it away, so that it is none any more."""
    return is_on(properties, "rPr", "del") or is_on(properties, "rPr", "moveFrom")
