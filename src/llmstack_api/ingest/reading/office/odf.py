"""OpenDocument texts and presentations."""

from dataclasses import dataclass, field

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind
from llmstack_api.ingest.reading.office.odf_numbering import Numbering
from llmstack_api.ingest.reading.office.odf_object import read_object
from llmstack_api.ingest.reading.office.odf_text import (
    BULLET,
    LEFT_OUT,
    MARK,
    attribute,
    collect,
    flat,
    title_of,
)
from llmstack_api.ingest.reading.office.ooxml_graphics import picture
from llmstack_api.ingest.reading.tables.document_table import write_table
from llmstack_api.ingest.reading.tables.grid import MAX_COLUMNS, Cell, Grid, Line
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_STYLES = {"styles", "automatic-styles"}
_MAX_INDENT = 8


@dataclass(slots=True)
class _Reader:
    package: Package
    draft: Draft = field(default_factory=Draft)
    slides: int = 0


def read(file: File) -> Document:
    """Read the body; notes follow the paragraph that they belong to, a slide is a page."""
    package = file.parts
    manifest = package.find("META-INF/manifest.xml") or b""
    if b"encryption-data" in manifest:
        raise ExtractError("The file is protected by a password.", code="encrypted")
    root = parse(package.read("content.xml"))
    styles = package.find("styles.xml")
    common = parse(styles) if styles is not None else None
    body = next((node for node in root if local(node) == "body"), None)
    reader = _Reader(package)
    kind = file.kind
    of_text = common is not None and kind is FileKind.ODT
    if common is not None and of_text:
        Numbering(_groups(common, _STYLES)).mark(common)
        _furniture(reader, common, "header")
    if body is not None:
        groups = [*(_groups(common, {"styles"}) if common is not None else ()), *_groups(root, _STYLES)]
        Numbering(groups).mark(body)
        _blocks(reader, body, depth=0)
    reader.draft.end_page()
    if common is not None and of_text:
        _furniture(reader, common, "footer")
    return reader.draft.finish(kind.value, title=title_of(package))


def _groups(root: Node, names: set[str]) -> list[Node]:
    return [node for node in root if local(node) in names]


def _furniture(reader: _Reader, styles: Node, name: str) -> None:
    seen: set[str] = set()
    for node in styles.iter():
        if local(node) == name:
            text = "".join(node.itertext())
            if any(character.isalpha() for character in text) and text not in seen:
                seen.add(text)
                _blocks(reader, node, depth=0)


def _blocks(reader: _Reader, parent: Node, *, depth: int) -> None:
    """Write the blocks below an element; `depth` counts the lists around it."""
    for node in parent:
        _block(reader, node, depth=depth)


def _block(reader: _Reader, node: Node, *, depth: int) -> None:
    name = local(node)
    if name in ("h", "p"):
        _paragraph(reader, node, depth=depth)
    elif name == "table":
        _table(reader.draft, node)
    elif name == "list":
        _blocks(reader, node, depth=depth + 1)
    elif name == "numbered-paragraph":
        level = attribute(node, "level") or "1"
        _blocks(reader, node, depth=min(int(level), _MAX_INDENT) if level.isdecimal() else 1)
    elif name == "page":
        reader.slides += 1
        reader.draft.begin_page(reader.slides)
        _blocks(reader, node, depth=depth)
    elif name == "object":
        reader.draft.block(read_object(reader.package, node))
    elif name == "desc":
        reader.draft.block(picture("".join(node.itertext())))
    elif name and name not in LEFT_OUT:
        _blocks(reader, node, depth=depth)


def _paragraph(reader: _Reader, node: Node, *, depth: int) -> None:
    pieces: list[str] = []
    aside: list[Node] = []
    collect(node, pieces, aside)
    text = "".join(pieces).strip()
    mark = node.get(MARK) or ""
    if local(node) == "h":
        level = attribute(node, "outline-level") or "1"
        number = "" if mark == BULLET or not text else mark
        reader.draft.heading(number + text, int(level[:3]) if level.isdecimal() else 1)
    elif depth and mark:
        reader.draft.item(f"{'  ' * min(depth - 1, _MAX_INDENT)}{mark}{text}" if text else "")
    else:
        reader.draft.block(text)
    for extra in aside:
        _block(reader, extra, depth=0)


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
