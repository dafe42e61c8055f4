"""Headings and questions that a page hides in its controls: made plain before the main text is chosen."""

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from llmstack_api.ingest.reading.xml_tree import Node, walk

HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_DEEPEST = 6
_AROUND: Final = {"nav", "header", "footer", "aside", "form", "dialog"}
_ROLES_AROUND: Final = {
    "navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alertdialog", "menu", "menubar",
    "toolbar",
}  # fmt: skip
_CONTROL_ROLES: Final = {"button", "tab"}
_ACCORDION: Final = re.compile(r"accordion|faq|question|collaps", re.IGNORECASE)
_QUESTION_MARKS: Final = ("?", "\uff1f", "\u061f", "\u037e")
_LONGEST_QUESTION: Final = 300
_SHORTEST_ANSWER: Final = 20
_MOST_LINKS: Final = 0.5
"""Share of a panel's text that may be links; with more it is a menu."""
_LOOKED_AT: Final = 1_000
"""Elements, and some characters each, of a heading or panel that decide what it is."""


@dataclass(slots=True)
class _Page:
    root: Node
    level: int = 1
    """Of the last heading."""
    texts: set[str] = field(default_factory=set[str])
    panels: dict[str, Node] | None = None
    """By their ids, without those in menus and the like."""
    judged: dict[str, bool] = field(default_factory=dict[str, bool])


def make_plain(root: Node) -> set[str]:
    """Let headings that are marked up as controls be headings, and return their texts.

    These are elements with the role of a heading, buttons within headings, and buttons that open a panel of text.
    """
    page = _Page(root)
    for node in _outside_furniture(root):
        if node.tag in HEADINGS:
            page.level = int(node.tag[1])
            _unwrap(page, node)
        elif node.get("role") == "heading":
            named = node.get("aria-level") or ""
            page.level = int(named) if named in {"1", "2", "3", "4", "5", "6"} else 2
            node.tag = HEADINGS[page.level - 1]
            page.texts.add(_words(node))
            _unwrap(page, node)
        elif _is_control(node) and _opens_answer(page, node):
            node.tag = HEADINGS[min(page.level, _DEEPEST - 1)]
            page.texts.add(_words(node))
    return page.texts - {""}


def _outside_furniture(root: Node) -> list[Node]:
    """List the elements that do not stand in menus, banners, dialogs and the like."""
    found: list[Node] = []
    steps = walk(root)
    for event, node in steps:
        if event == "start" and isinstance(node.tag, str):
            if node.tag in _AROUND or node.get("role") in _ROLES_AROUND:
                steps.skip_subtree()
            else:
                found.append(node)
    return found


def _unwrap(page: _Page, heading: Node) -> None:
    """Free the text of a heading from the buttons that it stands in; buttons beside its text stay."""
    whole = _words(heading)
    for inner in islice(heading.iterdescendants(), _LOOKED_AT):
        if _is_control(inner) and (inner.get("aria-expanded") is not None or _words(inner) == whole):
            page.texts.add(whole)
            inner.tag = "span"


def _is_control(node: Node) -> bool:
    return node.tag == "button" or node.get("role") in _CONTROL_ROLES or _is_switch(node)


def _is_switch(node: Node) -> bool:
    """Whether it is the label of a box before it, which style sheets use to unfold what follows."""
    box = node.getprevious() if node.tag == "label" else None
    return (
        box is not None
        and box.tag == "input"
        and box.get("type") in ("checkbox", "radio")
        and node.get("for") is not None
        and box.get("id") == node.get("for")
    )


def _opens_answer(page: _Page, node: Node) -> bool:
    """Whether a control is a question whose answer it unfolds."""
    question = _words(node)
    if not 0 < len(question) <= _LONGEST_QUESTION:
        return False
    if node.get("aria-expanded") is None and not (
        _is_switch(node)
        or _ACCORDION.search((node.get("class") or "")[:_LOOKED_AT])
        or question.endswith(_QUESTION_MARKS)
    ):
        return False
    name = node.get("aria-controls") or (node.get("data-bs-target") or "").removeprefix("#")
    if not name:
        beside = node.getnext()
        return beside is not None and _is_answer(beside)
    if page.panels is None:
        page.panels = {other.get("id") or "": other for other in _outside_furniture(page.root)}
    if name not in page.judged:
        page.judged[name] = name in page.panels and _is_answer(page.panels[name])
    return page.judged[name]


def _is_answer(panel: Node) -> bool:
    """Whether a panel is text to be read, and no menu."""
    if panel.tag in _AROUND or panel.get("role") in _ROLES_AROUND or _is_control(panel):
        return False
    linked = 0
    for inner in islice(panel.iterdescendants(), _LOOKED_AT):
        if inner.tag in _AROUND:
            return False
        if inner.tag == "a":
            linked += len(_words(inner))
    text = len(_words(panel))
    return text >= _SHORTEST_ANSWER and linked <= text * _MOST_LINKS


def _words(node: Node) -> str:
    return " ".join("".join(piece[:_LOOKED_AT] for piece in islice(node.itertext(), _LOOKED_AT)).split())
