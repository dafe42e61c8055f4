"""Marks of HTML lists: their numbers as browsers show them."""

import re
from dataclasses import dataclass
from typing import Final

from llmstack_api.ingest.reading.office.numerals import CSS, Numeral, to_number
from llmstack_api.ingest.reading.xml_tree import Node

BULLET: Final = "- "
NUMBERED: Final = "\u2060"
"""Begins the text of an item that has its number in it, as what chooses the main text knows no other numbers."""

_TYPES: Final = {
    "1": "decimal",
    "a": "lower-alpha",
    "A": "upper-alpha",
    "i": "lower-roman",
    "I": "upper-roman",
}
_STYLE: Final = re.compile(r"list-style(?:-type)?:[ ]?([a-z-]{1,40})")
_MAX_STYLE: Final = 2_000


@dataclass(slots=True)
class Items:
    """A list that is being read."""

    numeral: Numeral | None = None
    """None is a list of bullets."""
    next: int = 1
    step: int = 1

    def mark(self, item: Node) -> str:
        """Count an item and return its mark."""
        numeral = self.numeral
        if numeral is None:
            return BULLET
        number = to_number(item.get("value"), self.next)
        self.next = number + self.step
        return f"{numeral(number)}. "


def begin(node: Node) -> Items:
    """Begin a list."""
    if node.tag != "ol":
        return Items()
    name = _TYPES.get(node.get("type") or "", "decimal")
    style = _STYLE.search((node.get("style") or "")[:_MAX_STYLE].lower())
    decimal: Numeral = str
    numeral = CSS.get(style.group(1) if style else name, decimal)
    if node.get("reversed") is None:
        return Items(numeral, to_number(node.get("start"), 1))
    count = sum(item.tag == "li" for item in node)
    return Items(numeral, to_number(node.get("start"), count), -1)


def write_numbers(root: Node) -> None:
    """Write the numbers of lists into their items, if they are others than 1, 2, 3."""
    for node in root.iter("ol"):
        items = [item for item in node if item.tag == "li"]
        if not any(node.get(name) is not None for name in ("start", "type", "reversed", "style")) and not any(
            item.get("value") is not None for item in items
        ):
            continue
        counter = begin(node)
        for item in items:
            item.text = f"{NUMBERED}{counter.mark(item)}{(item.text or '').lstrip()}"
