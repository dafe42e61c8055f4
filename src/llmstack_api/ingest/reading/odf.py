"""OpenDocument texts and presentations."""

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_BREAKS = {"tab": "\t", "line-break": "\n"}
_ASIDE = {"note", "annotation", "text-box"}
_LEFT_OUT = {
    "tracked-changes", "annotation-end", "note-citation", "sequence-decls", "forms", "creator", "date",
    "presentation-settings", "object", "object-ole", "binary-data", "date-time-decl", "footer-decl", "page-number",
}  # fmt: skip
_MAX_SPACES = 100


def read(file: File) -> Document:
    """Read the body; notes follow the paragraph that they belong to, a slide is a page."""
    package = file.parts
    manifest = package.find("META-INF/manifest.xml") or b""
    if b"encryption-data" in manifest:
        raise ExtractError("The file is protected by a password.", code="encrypted")
    root = parse(package.read("content.xml"))
    body = next((node for node in root if local(node) == "body"), None)
    draft = Draft()
    kind = file.kind
    if kind is FileKind.ODT:
        _furniture(draft, package, "header")
    if body is not None:
        _blocks(draft, body, pages=[0], depth=0)
    draft.end_page()
    if kind is FileKind.ODT:
        _furniture(draft, package, "footer")
    return draft.finish(kind.value, title=_title(package))


def _title(package: Package) -> str | None:
    data = package.find("meta.xml")
    if data is None:
        return None
    return next((node.text for node in parse(data).iter() if local(node) == "title"), None)


def _furniture(draft: Draft, package: Package, name: str) -> None:
    data = package.find("styles.xml")
    if data is None:
        return
    seen: set[str] = set()
    for node in parse(data).iter():
        if local(node) == name:
            text = "".join(node.itertext())
            if any(character.isalpha() for character in text) and text not in seen:
                seen.add(text)
                _blocks(draft, node, pages=[0], depth=0)


def _get(node: Node, name: str) -> str | None:
    namespace = node.tag.rpartition("}")[0]
    return node.get(f"{namespace}}}{name}")


def _blocks(draft: Draft, parent: Node, *, pages: list[int], depth: int) -> None:
    """Write the blocks below an element; `pages` counts slides, `depth` the lists around it."""
    for node in parent:
        name = local(node)
        if name in ("h", "p"):
            _paragraph(draft, node, pages=pages, depth=depth)
        elif name == "table":
            _table(draft, node)
        elif name == "list":
            _blocks(draft, node, pages=pages, depth=depth + 1)
        elif name == "page":
            pages[0] += 1
            draft.begin_page(pages[0])
            _blocks(draft, node, pages=pages, depth=depth)
        elif name and name not in _LEFT_OUT:
            _blocks(draft, node, pages=pages, depth=depth)


def _paragraph(draft: Draft, node: Node, *, pages: list[int], depth: int) -> None:
    pieces: list[str] = []
    aside: list[Node] = []
    _collect(node, pieces, aside)
    text = "".join(pieces).strip()
    if local(node) == "h":
        level = _get(node, "outline-level") or "1"
        draft.heading(text, int(level) if level.isdecimal() else 1)
    elif depth:
        draft.item(f"{'  ' * min(depth - 1, 8)}- {text}" if text else "")
    else:
        draft.block(text)
    for extra in aside:
        _blocks(draft, extra, pages=pages, depth=0)


def _collect(node: Node, pieces: list[str], aside: list[Node]) -> None:
    """Gather the text of a paragraph, in which line breaks and runs of blanks mean one blank."""
    pieces.append(_collapsed(node.text))
    for inner in node:
        name = local(inner)
        if name in _BREAKS:
            pieces.append(_BREAKS[name])
        elif name == "s":
            count = _get(inner, "c") or "1"
            pieces.append(" " * (min(int(count), _MAX_SPACES) if count.isdecimal() else 1))
        elif name in _ASIDE:
            aside.append(inner)
        elif name and name not in _LEFT_OUT:
            _collect(inner, pieces, aside)
        pieces.append(_collapsed(inner.tail))


def _collapsed(text: str | None) -> str:
    if not text or text.isspace():
        return " " if text else ""
    start = " " if text[0].isspace() else ""
    end = " " if text[-1].isspace() else ""
    return f"{start}{' '.join(text.split())}{end}"


def _table(draft: Draft, table: Node) -> None:
    lines: list[str] = []
    for row in (node for node in table.iter() if local(node) == "table-row"):
        cells: list[str] = []
        for cell in (node for node in row if local(node) == "table-cell"):
            texts: list[str] = []
            for paragraph in (node for node in cell.iter() if local(node) in ("p", "h")):
                pieces: list[str] = []
                _collect(paragraph, pieces, [])
                texts.append("".join(pieces))
            cells.append(" ".join(" ".join(texts).split()))
        if any(cells):
            lines.append(" | ".join(cells))
    draft.block("\n".join(lines))
