"""Web pages: the whole text, or the main text without menus."""

import re
from dataclasses import dataclass, field
from typing import Any, cast

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.pages import html_lists, html_table
from llmstack_api.ingest.reading.pages.html_questions import HEADINGS, make_plain
from llmstack_api.ingest.reading.pages.html_tables_kept import KeptTables
from llmstack_api.ingest.reading.xml_tree import Node, parse_html, strip, walk

_SKIPPED = {
    "script",
    "style",
    "template",
    "noscript",
    "head",
    "svg",
    "iframe",
    "object",
    "select",
    "datalist",
    "annotation",
    "annotation-xml",
    "rt",
    "rtc",
    "rp",
}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header",
    "hgroup", "hr", "html", "legend", "main", "menu", "nav", "p", "section", "summary", "table",
    "tbody", "tfoot", "thead", "tr", "td", "th", "ul", "ol", "li", "pre", "h1", "h2", "h3", "h4",
    "h5", "h6", "option", "title", "listing", "xmp", "plaintext", "search",
}  # fmt: skip
_MENUS = {"nav", "header", "footer", "aside", "form", "button"}
_MENU_ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "menu", "menubar"}
_CUT = "template"
"""What is renamed to it is skipped. To drop it would join the texts around it, each time from the beginning."""
_HEADING = re.compile(r"h([1-6])")
_MAX_INDENT = 8


@dataclass(slots=True)
class _Flow:
    """State of the walk: the line in the making and what is open around it."""

    draft: Draft
    pieces: list[str] = field(default_factory=list[str])
    prefix: str = ""
    lists: list[html_lists.Items] = field(default_factory=list[html_lists.Items])
    """Lists around."""
    pre: int = 0

    def flush(self, *, heading: int = 0) -> None:
        text = "".join(self.pieces)
        self.pieces.clear()
        if not self.pre:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
        if not text.strip():
            return
        if heading:
            self.draft.heading(text, heading)
        elif self.prefix:
            if text.startswith(html_lists.NUMBERED):
                indent = len(self.prefix) - len(self.prefix.lstrip())
                self.prefix, text = self.prefix[:indent], text[len(html_lists.NUMBERED) :]
            self.draft.item(self.prefix + text)
        else:
            self.draft.block(text, gap="\n" if self.lists else "\n\n")
        self.prefix = ""

    def text(self, text: str | None) -> None:
        if text:
            self.pieces.append(text if self.pre else re.sub(r"\s+", " ", text))


def read(file: File) -> Document:
    """Read a page; its main text only, where that is asked for and a main text can be told."""
    source = file.source
    root = parse_html(file.text)
    title = find_title(root)
    draft = Draft()
    main = _main_text(root, source.url) if source.main_text else None
    write(draft, main if main is not None else root)
    return draft.finish(file.kind.value, title=title, encoding=file.encoding)


def find_title(root: Node) -> str | None:
    """Title of a page: its own, or else its first heading; titles of its pictures are none."""
    for name in ("title", "h1"):
        for node in root.iter(name):
            title = " ".join("".join(_spaced(node)).split())
            if title and not any(around.tag == "svg" for around in node.iterancestors()):
                return title
    return None


def write(draft: Draft, root: Node) -> None:
    """Write an HTML tree: headings, paragraphs, lists, and the rows of tables a line each."""
    flow = _Flow(draft)
    steps = walk(root)
    for event, node in steps:
        name = node.tag if isinstance(node.tag, str) else ""
        if event == "start":
            if name in _SKIPPED or not name:
                steps.skip_subtree()
            elif name == "table" and html_table.is_data(node, _cell_text):
                flow.flush()
                html_table.write(flow.draft, node, _cell_text)
                steps.skip_subtree()
            else:
                _open(flow, node, name)
                flow.text(node.text)
        else:
            if name not in _SKIPPED and name:
                _close(flow, name)
            if node is not root:
                flow.text(node.tail)
    flow.flush()


def _open(flow: _Flow, node: Node, name: str) -> None:
    if name == "br":
        flow.pieces.append("\n")
    elif name in _BLOCKS:
        flow.flush()
        if name in ("ul", "ol", "menu"):
            flow.lists.append(html_lists.begin(node))
        elif name == "li":
            mark = flow.lists[-1].mark(node) if flow.lists else html_lists.BULLET
            flow.prefix = "  " * min(max(len(flow.lists) - 1, 0), _MAX_INDENT) + mark
        elif name in ("pre", "listing", "xmp"):
            flow.pre += 1


def _close(flow: _Flow, name: str) -> None:
    if name not in _BLOCKS:
        return
    heading = _HEADING.fullmatch(name)
    flow.flush(heading=int(heading.group(1)) if heading else 0)
    if name in ("ul", "ol", "menu") and flow.lists:
        flow.lists.pop()
    elif name == "li":
        flow.prefix = ""
    elif name in ("pre", "listing", "xmp"):
        flow.pre -= 1


def _cell_text(cell: Node) -> str:
    """Text of a cell, on one line."""
    return " ".join(" ".join(_visible(cell)).replace(html_lists.NUMBERED, "").split())


def _visible(cell: Node) -> list[str]:
    if not any(inner.tag in _SKIPPED for inner in cell.iterdescendants()):
        pieces = ["".join(cell.itertext())] if len(cell) == 0 else list(_spaced(cell))
        return ["".join(pieces)]
    return ["".join(_spaced(cell))]


def _spaced(cell: Node) -> list[str]:
    """Text of a cell, with a blank where a block begins."""
    pieces: list[str] = []
    steps = walk(cell)
    for event, node in steps:
        name = node.tag if isinstance(node.tag, str) else ""
        if event == "start":
            if name in _SKIPPED or not name:
                steps.skip_subtree()
                continue
            if name in _BLOCKS or name == "br":
                pieces.append(" ")
            pieces.append(node.text or "")
        elif node is not cell:
            pieces.append(node.tail or "")
    return pieces


# --- the main text ---------------------------------------------------------------------------------------

_RENAMED = {
    "item": "li",
    "row": "tr",
    "cell": "td",
    "quote": "blockquote",
    "lb": "br",
    "code": "code",
    "list": "ul",
}


def _main_text(root: Node, url: str | None) -> Node:
    """Let trafilatura choose; where it loses the headings, it has only gathered paragraphs: cut the menus instead."""
    from trafilatura.core import bare_extraction  # noqa: PLC0415 # slow to import, not always needed

    strip(root, elements=("rt", "rtc", "rp"), tags=("ruby", "rb"))
    questions = make_plain(root)
    html_lists.write_numbers(root)
    tables = KeptTables(root, lambda table: html_table.is_data(table, _cell_text))
    found = bare_extraction(
        cast("Any", root),
        url=url,
        include_comments=False,
        include_formatting=True,
        include_tables=True,
        with_metadata=False,
    )
    body = getattr(found, "body", None)
    if body is not None:
        tree = _as_html(cast("Node", body))
        kept = {" ".join("".join(node.itertext()).split()) for node in tree.iter(*HEADINGS)}
        wants_headings = next(root.iter(*HEADINGS[1:]), None) is not None
        if any(piece.strip() for piece in tree.itertext()) and (
            questions <= kept if questions else kept or not wants_headings
        ):
            tables.put_back(tree)
            return tree
    tables.release()
    _cut_menus(root)
    return root


def _as_html(body: Node) -> Node:
    for node in body.iter():
        if node.tag == "head":
            level = (node.get("rend") or "h2")[-1:]
            node.tag = f"h{level}" if level in "123456" else "h2"
        elif node.tag == "list":
            node.tag = "ol" if node.get("rend") == "ol" else "ul"
        elif node.tag == "code" and "\n" in "".join(node.itertext()):
            node.tag = "pre"
        elif node.tag in _RENAMED:
            node.tag = _RENAMED[node.tag]
    return body


def _cut_menus(root: Node) -> None:
    """Leave out what the page itself marks as its furniture, unless nothing else is on it."""
    kept: set[Node] = set()
    for node in root.iter("h1", "main", "article"):
        for around in node.iterancestors():
            if around in kept:
                break
            kept.add(around)
    for node in root.iter():
        if node not in kept and (node.tag in _MENUS or node.get("role") in _MENU_ROLES):
            node.tag = _CUT
