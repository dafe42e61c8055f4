"""OpenDocument texts and presentations."""

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.document_table import write_table
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.grid import MAX_COLUMNS, Cell, Grid, Line
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.odf_text import LEFT_OUT, attribute, collect, flat, title_of
from llmstack_api.ingest.reading.xml_tree import Node, local, parse


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
    return draft.finish(kind.value, title=title_of(package))


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
        elif name and name not in LEFT_OUT:
            _blocks(draft, node, pages=pages, depth=depth)


def _paragraph(draft: Draft, node: Node, *, pages: list[int], depth: int) -> None:
    pieces: list[str] = []
    aside: list[Node] = []
    collect(node, pieces, aside)
    text = "".join(pieces).strip()
    if local(node) == "h":
        level = attribute(node, "outline-level") or "1"
        draft.heading(text, int(level) if level.isdecimal() else 1)
    elif depth:
        draft.item(f"{'  ' * min(depth - 1, 8)}- {text}" if text else "")
    else:
        draft.block(text)
    for extra in aside:
        _blocks(draft, extra, pages=pages, depth=0)


def _table(draft: Draft, table: Node) -> None:
    grid = Grid()
    lines: list[Line] = []
    for row in (node for node in table.iter() if local(node) == "table-row"):
        line = grid.add(cell for node in row if local(node) == "table-cell" for cell in _cells(node))
        around = next(row.iterancestors(), None)
        line.marked = len(line.cells) > 1 and around is not None and local(around) == "table-header-rows"
        lines.append(line)
    write_table(draft, lines, title=_caption(table))


def _cells(node: Node) -> list[Cell]:
    times = min(_count(node, "number-columns-repeated"), MAX_COLUMNS)
    text = " ".join(flat(node).split())
    return [Cell(text, _count(node, "number-columns-spanned"), _count(node, "number-rows-spanned"))] * (
        times if text else 1
    )


def _count(node: Node, name: str) -> int:
    text = attribute(node, name) or "1"
    return max(int(text), 1) if text.isdecimal() and len(text) < 10 else 1  # noqa: PLR2004 # digits of any count in use


def _caption(table: Node) -> str | None:
    """Return the numbered paragraph right above or below a table."""
    for node in (table.getprevious(), table.getnext()):
        if (
            node is not None
            and local(node) == "p"
            and any(local(inner) == "sequence" for inner in node.iter())
        ):
            return " ".join(flat(node).split())
    return None
