"""Paragraphs of shapes on slides: their numbers, and the targets of their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.office import ooxml
from llmstack_api.ingest.reading.office.links import with_target
from llmstack_api.ingest.reading.office.numerals import CSS, WORD, Numeral, to_number
from llmstack_api.ingest.reading.xml_tree import Node, local

_MAX_INDENT: Final = 8
_TARGET: Final = "target"
_BULLETS: Final = ("buNone", "buChar", "buBlip", "buAutoNum")
_KIND: Final = re.compile(r"(\w+?)(Plain|Period|ParenR|ParenBoth|Minus)")
_AROUND: Final = {
    "Plain": "{}",
    "Period": "{}.",
    "ParenR": "{})",
    "ParenBoth": "({})",
    "Minus": "{}-",
}
_DECIMAL: Final[Numeral] = str
_NUMERALS: Final[dict[str, Numeral]] = {
    "alphaLc": CSS["lower-alpha"],
    "alphaUc": CSS["upper-alpha"],
    "romanLc": WORD["lowerRoman"],
    "romanUc": WORD["upperRoman"],
    "arabicDb": WORD["decimalFullWidth"],
    "circleNumDb": WORD["decimalEnclosedCircle"],
    "circleNumWdWhite": WORD["decimalEnclosedCircle"],
    "circleNumWdBlack": WORD["decimalEnclosedCircle"],
    "ea1Chs": WORD["chineseCounting"],
    "ea1Cht": WORD["chineseCounting"],
    "ea1JpnKor": WORD["chineseCounting"],
    "ea1JpnChsDb": WORD["chineseCounting"],
    "hebrew2": WORD["hebrew2"],
    "thaiAlpha": WORD["thaiLetters"],
    "thaiNum": WORD["thaiNumbers"],
    "hindiNum": WORD["hindiNumbers"],
    "arabic1": WORD["arabicAlpha"],
    "arabic2": WORD["arabicAbjad"],
}
"""Numerals by the beginning of the name that PowerPoint has for them; others are written in digits."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph that has text."""

    text: str
    level: int
    """Level that it is indented to, from 0."""
    mark: str | None
    """Its number with the blank after it; empty if it has no mark, None if the slide does not say."""

    @property
    def line(self) -> str:
        """The text, with its number if it has one."""
        return (self.mark or "") + self.text


@dataclass(slots=True)
class _Counts:
    """Numbers that the levels of one text have reached: what numbers them, and the last number."""

    reached: dict[int, tuple[str, int, int]] = field(default_factory=dict[int, tuple[str, int, int]])

    def mark(self, level: int, bullet: Node | None) -> str | None:
        """Count a paragraph and return its mark; one without a number ends those of its level."""
        for deeper in [known for known in self.reached if known > level]:
            del self.reached[deeper]
        if bullet is None or local(bullet) != "buAutoNum":
            self.reached.pop(level, None)
            return "" if bullet is not None and local(bullet) == "buNone" else None
        kind, start = bullet.get("type") or "", max(to_number(bullet.get("startAt"), 1), 0)
        before = self.reached.get(level)
        number = before[2] + 1 if before is not None and before[:2] == (kind, start) else start
        self.reached[level] = kind, start, number
        named = _KIND.fullmatch(kind)
        if named is None:
            return f"{number}. "
        return f"{_AROUND[named[2]].format(_NUMERALS.get(named[1], _DECIMAL)(number))} "


def resolve(package: Package, part: str, root: Node) -> None:
    """Write on the links of a part the addresses that they lead to, outside of the file."""
    targets = ooxml.link_targets(package, part)
    if targets:
        for node in root.iter("{*}hlinkClick"):
            node.set(_TARGET, targets.get(ooxml.related(node, "id"), ""))


def paragraphs(shape: Node) -> Iterator[Paragraph]:
    """Give the paragraphs that have text; numbers count within the shape."""
    styles = next(shape.iter("{*}lstStyle"), None)
    counts = _Counts()
    found: Paragraph | None = None
    for node in shape.iter("{*}p"):
        text = _text(node)
        if not text:
            continue
        properties = next((inner for inner in node if local(inner) == "pPr"), None)
        level = min(max(to_number(properties.get("lvl"), 0), 0), _MAX_INDENT) if properties is not None else 0
        bullet = _bullet(properties)
        if bullet is None and styles is not None:
            bullet = _bullet(next((inner for inner in styles if local(inner) == f"lvl{level + 1}pPr"), None))
        if found is not None:
            yield found
        found = Paragraph(text, level, counts.mark(level, bullet))
    if found is not None:
        yield Paragraph(
            found.text + with_target(found.text, _of_shape(shape)).rstrip(), found.level, found.mark
        )


def _text(paragraph: Node) -> str:
    pieces: list[str] = []
    target, start = "", 0
    for node in paragraph.iter():
        name = local(node)
        if name in ("r", "fld"):
            following = _target(node)
            if following != target:
                pieces.append(with_target("".join(pieces[start:]), target))
                target, start = following, len(pieces)
        elif name == "t":
            pieces.append(node.text or "")
        elif name in ("br", "tab"):
            pieces.append(" ")
    pieces.append(with_target("".join(pieces[start:]), target))
    return " ".join("".join(pieces).split())


def _target(run: Node) -> str:
    """Address that a run leads to."""
    links = (inner for properties in run if local(properties) == "rPr" for inner in properties)
    return next((link.get(_TARGET) or "" for link in links if local(link) == "hlinkClick"), "")


def _of_shape(shape: Node) -> str | None:
    """Address that a click on the shape leads to."""
    named = (inner for properties in shape if local(properties).startswith("nv") for inner in properties)
    links = (link for inner in named if local(inner) == "cNvPr" for link in inner)
    return next((link.get(_TARGET) for link in links if local(link) == "hlinkClick"), None)


def _bullet(properties: Node | None) -> Node | None:
    if properties is None:
        return None
    return next((inner for inner in properties if local(inner) in _BULLETS), None)
