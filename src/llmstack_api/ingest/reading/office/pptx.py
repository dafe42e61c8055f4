"""PowerPoint presentations: a slide a page, with its tables, charts, diagrams and speaker's notes."""

from collections.abc import Iterator

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package, damaged
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.office import ooxml
from llmstack_api.ingest.reading.office.ooxml_graphics import CHARTS, DIAGRAM, described, read_graphic
from llmstack_api.ingest.reading.office.pptx_text import Paragraph, paragraphs, resolve
from llmstack_api.ingest.reading.tables.document_table import write_table
from llmstack_api.ingest.reading.tables.grid import Cell, Grid, Line
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_TITLES = {"title", "ctrTitle"}
_FURNITURE = {"sldNum", "dt", "sldImg"}
_COMMENTS = "comments"


def read(file: File) -> Document:
    """Read the slides in the order in which they are shown; hidden ones too."""
    package = file.parts
    main = ooxml.main_part(package, "ppt/presentation.xml")
    parts = ooxml.relationships(package, main)
    draft = Draft()
    number = 0
    for node in parse(package.read(main)).iter():
        if local(node) != "sldId":
            continue
        number += 1
        kind, path = parts.get(ooxml.related(node, "id"), ("", ""))
        if kind != "slide" or path not in package.names:
            raise damaged()
        draft.begin_page(number)
        _slide(draft, package, path)
    return draft.finish(file.kind.value, title=ooxml.title(package))


def _slide(draft: Draft, package: Package, path: str) -> None:
    root = parse(package.read(path))
    resolve(package, path, root)
    shapes = list(_shapes(root))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    for shape in titles:
        title = " ".join(paragraph.line for paragraph in paragraphs(shape))
        draft.heading(title, 1)
        if draft.title is None:
            draft.title = title or None
    for shape in shapes:
        if shape not in titles and _placeholder(shape) not in _FURNITURE:
            _shape(draft, shape)
    for kind, part in ooxml.relationships(package, path).values():
        if part not in package.names:
            continue
        if kind == "notesSlide":
            notes = parse(package.read(part))
            resolve(package, part, notes)
            texts = [
                paragraph.line
                for shape in _shapes(notes)
                if _placeholder(shape) not in _FURNITURE
                for paragraph in paragraphs(shape)
            ]
            draft.block("\n".join(texts))
        elif kind == DIAGRAM or kind in CHARTS:
            draft.block(read_graphic(kind, parse(package.read(part))))
        elif kind == _COMMENTS:
            draft.block(_loose(parse(package.read(part))))


def _shapes(root: Node) -> Iterator[Node]:
    """Shapes, those in groups too; of alternatives the first."""
    for node in root:
        name = local(node)
        if name in ("sp", "graphicFrame", "cxnSp", "pic"):
            yield node
        elif name not in ("Fallback", "timing", "transition"):
            yield from _shapes(node)


def _placeholder(shape: Node) -> str | None:
    found = next((node for node in shape.iter() if local(node) == "ph"), None)
    return found.get("type") or "body" if found is not None else None


def _shape(draft: Draft, shape: Node) -> None:
    table = next((node for node in shape.iter() if local(node) == "tbl"), None)
    if table is not None:
        write_table(draft, list(_lines(table)))
    else:
        shown = list(paragraphs(shape))
        mark = "- " if len(shown) > 1 or any(paragraph.level for paragraph in shown) else ""
        draft.block("\n".join(_item(paragraph, mark) for paragraph in shown))
    properties = next((node for node in shape if local(node).startswith("nv")), None)
    if properties is not None:
        draft.block(described(properties, "cNvPr"))


def _item(paragraph: Paragraph, mark: str) -> str:
    """Write a paragraph; `mark` is that of one of which the slide says none."""
    own = mark if paragraph.mark is None else paragraph.mark
    return f"{'  ' * paragraph.level}{own}{paragraph.text}"


def _lines(table: Node) -> Iterator[Line]:
    """Yield the rows of a table; the cells that a merged one covers are left out."""
    grid = Grid()
    named = any(local(node) == "tblPr" and node.get("firstRow") in ("1", "true", "on") for node in table)
    for row in (node for node in table.iter() if local(node) == "tr"):
        shown = [
            cell
            for cell in row
            if local(cell) == "tc" and not {cell.get("hMerge"), cell.get("vMerge")} & {"1", "true", "on"}
        ]
        line = grid.add(
            Cell(
                " ".join(paragraph.line for paragraph in paragraphs(cell)),
                _span(cell, "gridSpan"),
                _span(cell, "rowSpan"),
            )
            for cell in shown
        )
        line.marked, named = named and len(line.cells) > 1, False
        yield line


def _span(cell: Node, name: str) -> int:
    text = cell.get(name) or "1"
    return max(int(text), 1) if text.isdecimal() and len(text) < 10 else 1  # noqa: PLR2004 # digits of any span in use


def _loose(root: Node) -> str:
    """Text of comments."""
    found = [
        " ".join((node.text or "").split())
        for node in root.iter()
        if local(node) in ("t", "v", "text") and node.text
    ]
    return "\n".join(dict.fromkeys(text for text in found if text))
