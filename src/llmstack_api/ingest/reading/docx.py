"""Word documents: headings, lists, tables, text boxes, notes, comments, headers and footers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading import docx_table, ooxml
from llmstack_api.ingest.reading.document_table import has_names, is_long, write_table
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_LEFT_OUT = {
    "del",
    "moveFrom",
    "Fallback",
    "instrText",
    "delText",
    "rubyPr",
    "rt",
    "pPr",
    "rPr",
    "sectPr",
    "tblPr",
}
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote", "commentReference": "comment"}
_NOTE_PARTS = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}
_HEADING = re.compile(r"heading (\d)")
_MAX_BASED_ON = 20


@dataclass(slots=True)
class _Styles:
    levels: dict[str, int] = field(default_factory=dict[str, int])
    lists: dict[str, str] = field(default_factory=dict[str, str])
    """Number of the list that a style belongs to."""
    captions: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Reader:
    draft: Draft
    styles: _Styles
    bullets: set[tuple[str, str]]
    """(list number, level) of the lists that have bullets and no numbers."""
    notes: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    counters: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """Numbers reached: list -> level -> number."""


@dataclass(slots=True)
class _Inline:
    """Text of a paragraph, and what hangs on it."""

    pieces: list[str] = field(default_factory=list[str])
    boxes: list[Node] = field(default_factory=list[Node])
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def read(file: File) -> Document:
    """Read a document in the order of its body; notes follow the paragraph that names them."""
    package = file.parts
    main = ooxml.main_part(package, "word/document.xml")
    parts = list(ooxml.relationships(package, main).values())
    trees: dict[str, list[Node]] = {}
    for kind, path in parts:
        if kind in ("styles", "numbering", "header", "footer", *_NOTE_PARTS) and path in package.names:
            trees.setdefault(kind, []).append(parse(package.read(path)))
    styles = _read_styles(trees.get("styles", []))
    reader = _Reader(Draft(), styles, _read_bullets(trees.get("numbering", [])))
    for kind, name in _NOTE_PARTS.items():
        for tree in trees.get(kind, []):
            for node in tree:
                if local(node) == name and _attribute(node, "type") in (None, "normal"):
                    reader.notes[name, _attribute(node, "id") or ""] = _flat(node)
    body = parse(package.read(main))
    _write_once(reader.draft, trees.get("header", []))
    for node in body:
        if local(node) == "body":
            _blocks(reader, node)
    _write_once(reader.draft, trees.get("footer", []))
    return reader.draft.finish(file.kind.value, title=ooxml.title(package))


def _attribute(node: Node, name: str) -> str | None:
    namespace = node.tag.rpartition("}")[0]
    return node.get(f"{namespace}}}{name}")


def _child(node: Node | None, *path: str) -> Node | None:
    for name in path:
        node = next((inner for inner in node if local(inner) == name), None) if node is not None else None
    return node


def _value(node: Node | None, *path: str) -> str | None:
    found = _child(node, *path)
    return _attribute(found, "val") if found is not None else None


def _write_once(draft: Draft, trees: list[Node]) -> None:
    """Headers and footers differ by section and repeat: each text is written once, bare page numbers never."""
    for text in dict.fromkeys(_flat(tree) for tree in trees):
        if any(character.isalpha() for character in text):
            draft.block(text)


def _read_styles(trees: list[Node]) -> _Styles:
    styles = _Styles(captions=docx_table.caption_styles(trees))
    parents: dict[str, str] = {}
    for node in (node for tree in trees for node in tree if local(node) == "style"):
        name = _attribute(node, "styleId") or ""
        parents[name] = _value(node, "basedOn") or ""
        title = (_value(node, "name") or "").lower()
        heading = _HEADING.fullmatch(title)
        outline = _value(node, "pPr", "outlineLvl")
        if heading:
            styles.levels[name] = int(heading.group(1))
        elif title == "title":
            styles.levels[name] = 1
        elif outline and outline.isdecimal() and int(outline) < 9:  # noqa: PLR2004 # 9 is body text
            styles.levels[name] = int(outline) + 1
        number = _value(node, "pPr", "numPr", "numId")
        if number:
            styles.lists[name] = number
    for name in parents:
        base = name
        for _ in range(_MAX_BASED_ON):
            if base in styles.levels or not base:
                break
            base = parents.get(base, "")
        if base in styles.levels:
            styles.levels[name] = styles.levels[base]
    return styles


def _read_bullets(trees: list[Node]) -> set[tuple[str, str]]:
    kinds: dict[str, set[str]] = {}
    bullets: set[tuple[str, str]] = set()
    nodes = [node for tree in trees for node in tree]
    for node in nodes:
        if local(node) == "abstractNum":
            levels = (level for level in node if local(level) == "lvl")
            kinds[_attribute(node, "abstractNumId") or ""] = {
                _attribute(level, "ilvl") or "0" for level in levels if _value(level, "numFmt") == "bullet"
            }
    for node in nodes:
        if local(node) == "num":
            number = _attribute(node, "numId") or ""
            bullets |= {(number, level) for level in kinds.get(_value(node, "abstractNumId") or "", ())}
    return bullets


def _blocks(reader: _Reader, parent: Node) -> None:
    for node in parent:
        name = local(node)
        if name == "p":
            _paragraph(reader, node)
        elif name == "tbl":
            _table(reader, node)
        elif name == "AlternateContent":
            chosen = _child(node, "Choice")
            _blocks(reader, chosen if chosen is not None else node)
        elif name not in _LEFT_OUT:
            _blocks(reader, node)


def _paragraph(reader: _Reader, node: Node) -> None:
    inline = _Inline()
    _collect(node, inline)
    text = "".join(inline.pieces).strip()
    properties = _child(node, "pPr")
    style = _value(properties, "pStyle") or ""
    outline = _value(properties, "outlineLvl")
    level = reader.styles.levels.get(style)
    if outline and outline.isdecimal():
        level = int(outline) + 1 if int(outline) < 9 else None  # noqa: PLR2004 # 9 is body text
    if level:
        reader.draft.heading(text, level)
    else:
        number = _value(properties, "numPr", "numId") or reader.styles.lists.get(style)
        depth = _value(properties, "numPr", "ilvl") or "0"
        if number and number != "0" and text:
            indent = "  " * min(int(depth) if depth.isdecimal() else 0, 8)
            reader.draft.item(f"{indent}{_mark(reader, number, depth)} {text}")
        else:
            reader.draft.block(text)
    for box in inline.boxes:
        _blocks(reader, box)
    for key in inline.notes:
        note = reader.notes.pop(key, None)
        if note:
            reader.draft.block(f"[{key[0].capitalize()}: {note}]")


def _mark(reader: _Reader, number: str, depth: str) -> str:
    if (number, depth) in reader.bullets:
        return "-"
    levels = reader.counters.setdefault(number, {})
    for deeper in [level for level in levels if level > depth]:
        del levels[deeper]
    levels[depth] = levels.get(depth, 0) + 1
    return f"{levels[depth]}."


def _collect(node: Node, inline: _Inline) -> None:
    """Gather the text of runs; deleted text, field codes and second copies of drawings are left out."""
    for inner in node:
        name = local(inner)
        if name == "t":
            inline.pieces.append(inner.text or "")
        elif name in _BREAKS:
            inline.pieces.append(_BREAKS[name])
        elif name == "txbxContent":
            inline.boxes.append(inner)
        elif name in _NOTES:
            inline.notes.append((_NOTES[name], _attribute(inner, "id") or ""))
        elif name not in _LEFT_OUT:
            _collect(inner, inline)


def _flat(node: Node) -> str:
    """Text of everything below, a paragraph a line."""
    lines: list[str] = []
    for paragraph in _paragraphs(node):
        inline = _Inline()
        _collect(paragraph, inline)
        line = "".join(inline.pieces).strip()
        if line:
            lines.append(line)
    return "\n".join(lines)


def _paragraphs(node: Node) -> Iterator[Node]:
    for inner in node:
        name = local(inner)
        if name == "p":
            yield inner
        if name not in _LEFT_OUT:
            yield from _paragraphs(inner)


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
        inline = _Inline()
        _collect(node, inline)
        return " ".join("".join(inline.pieces).split())
    return " ".join(_flat(node).split())


def _is_caption(reader: _Reader, paragraph: Node) -> bool:
    return (_value(paragraph, "pPr", "pStyle") or "") in reader.styles.captions


def _note_keys(cell: Node) -> list[tuple[str, str]]:
    inline = _Inline()
    for paragraph in _paragraphs(cell):
        _collect(paragraph, inline)
    return inline.notes
