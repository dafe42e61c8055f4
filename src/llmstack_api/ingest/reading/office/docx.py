"""Word documents: headings, lists, tables, text boxes, notes, comments, headers and footers."""

from dataclasses import dataclass, field

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.office import docx_table, ooxml
from llmstack_api.ingest.reading.office.docx_inline import (
    LEFT_OUT,
    Inline,
    collect,
    flat,
    paragraphs,
    resolve,
)
from llmstack_api.ingest.reading.office.docx_numbering import BULLET, DEPTH, MARK, Numbering
from llmstack_api.ingest.reading.office.docx_properties import attribute, child, value
from llmstack_api.ingest.reading.office.docx_styles import Styles, outline_level, read_styles
from llmstack_api.ingest.reading.tables.document_table import has_names, is_long, write_table
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_NOTE_PARTS = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}
_MAX_INDENT = 8


@dataclass(slots=True)
class _Reader:
    draft: Draft
    styles: Styles
    notes: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])


def read(file: File) -> Document:
    """Read a document in the order of its body; notes follow the paragraph that names them."""
    package = file.parts
    main = ooxml.main_part(package, "word/document.xml")
    trees: dict[str, list[Node]] = {}
    for kind, path in ooxml.relationships(package, main).values():
        if kind in ("styles", "numbering", "header", "footer", *_NOTE_PARTS) and path in package.names:
            tree = parse(package.read(path))
            resolve(package, path, tree)
            trees.setdefault(kind, []).append(tree)
    body = parse(package.read(main))
    resolve(package, main, body)
    styles = read_styles(trees.get("styles", []))
    numbering = Numbering(trees.get("numbering", []), styles)
    for tree in (body, *(tree for kind in _NOTE_PARTS for tree in trees.get(kind, []))):
        numbering.mark(tree)
    reader = _Reader(Draft(), styles)
    for kind, name in _NOTE_PARTS.items():
        for tree in trees.get(kind, []):
            for node in tree:
                if local(node) == name and attribute(node, "type") in (None, "normal"):
                    reader.notes[name, attribute(node, "id") or ""] = flat(node)
    _write_once(reader.draft, trees.get("header", []))
    for node in body:
        if local(node) == "body":
            _blocks(reader, node)
    _write_once(reader.draft, trees.get("footer", []))
    return reader.draft.finish(file.kind.value, title=ooxml.title(package))


def _write_once(draft: Draft, trees: list[Node]) -> None:
    """Headers and footers differ by section and repeat: each text is written once, bare page numbers never."""
    for text in dict.fromkeys(flat(tree) for tree in trees):
        if any(character.isalpha() for character in text):
            draft.block(text)


def _blocks(reader: _Reader, parent: Node) -> None:
    for node in parent:
        name = local(node)
        if name == "p":
            _paragraph(reader, node)
        elif name == "tbl":
            _table(reader, node)
        elif name == "AlternateContent":
            chosen = child(node, "Choice")
            _blocks(reader, chosen if chosen is not None else node)
        elif name not in LEFT_OUT:
            _blocks(reader, node)


def _paragraph(reader: _Reader, node: Node) -> None:
    inline = Inline()
    collect(node, inline)
    text = inline.text
    mark = node.get(MARK) or ""
    properties = child(node, "pPr")
    outline = value(properties, "outlineLvl")
    level = reader.styles.levels.get(value(properties, "pStyle") or "")
    if outline:
        level = outline_level(outline)
    if level and text:
        reader.draft.heading(text if mark == BULLET else mark + text, level)
    elif mark and text:
        indent = "  " * min(int(node.get(DEPTH) or 0), _MAX_INDENT)
        reader.draft.item(f"{indent}{mark}{text}")
    else:
        reader.draft.block(text)
    for graphic in inline.graphics:
        reader.draft.block(graphic)
    for box in inline.boxes:
        _blocks(reader, box)
    for key in inline.notes:
        note = reader.notes.pop(key, None)
        if note:
            reader.draft.block(f"[{key[0].capitalize()}: {note}]")


def _table(reader: _Reader, table: Node) -> None:
    """Write a row a line; tables that only lay out a page are written cell by cell."""
    rows = docx_table.rows_of(table)
    lines = list(docx_table.lines_of(rows, _one_line))
    if is_long(lines) and not has_names(lines):
        for row in rows:
            for cell in docx_table.cells_of(row):
                _blocks(reader, cell)
        return
    title = docx_table.title_of(table, lambda node: _is_caption(reader, node), _one_line)
    write_table(reader.draft, lines, title=title)
    for cell in (cell for row in rows for cell in docx_table.cells_of(row)):
        for key in _note_keys(cell):
            note = reader.notes.pop(key, None)
            if note:
                reader.draft.block(f"[{key[0].capitalize()}: {note}]")


def _one_line(node: Node) -> str:
    if local(node) == "p":
        inline = Inline()
        collect(node, inline)
        return " ".join(inline.text.split())
    return " ".join(flat(node).split())


def _is_caption(reader: _Reader, paragraph: Node) -> bool:
    return (value(paragraph, "pPr", "pStyle") or "") in reader.styles.captions


def _note_keys(cell: Node) -> list[tuple[str, str]]:
    inline = Inline()
    for paragraph in paragraphs(cell):
        collect(paragraph, inline)
    return inline.notes
