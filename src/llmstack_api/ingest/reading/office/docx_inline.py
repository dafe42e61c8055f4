"""Text within the paragraphs of a Word document: runs, fields, links, and what hangs on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.office import ooxml
from llmstack_api.ingest.reading.office.docx_numbering import BULLET, MARK
from llmstack_api.ingest.reading.office.docx_properties import attribute
from llmstack_api.ingest.reading.office.links import MAX_FIELDS, MAX_INSTRUCTION, field_target, with_target
from llmstack_api.ingest.reading.office.ooxml_graphics import CHARTS, DIAGRAM, described, read_graphic
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

LEFT_OUT = {
    "del",
    "moveFrom",
    "Fallback",
    "instrText",
    "delText",
    "delInstrText",
    "rubyPr",
    "rt",
    "pPr",
    "rPr",
    "sectPr",
    "tblPr",
}
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote", "commentReference": "comment"}
_TARGET = "target"
_TEXT = "text"


@dataclass(slots=True)
class _Field:
    instruction: list[str] = field(default_factory=list[str])
    start: int | None = None
    """Pieces before its result."""


@dataclass(slots=True)
class Inline:
    """Text of a paragraph, and what hangs on it."""

    pieces: list[str] = field(default_factory=list[str])
    boxes: list[Node] = field(default_factory=list[Node])
    graphics: list[str] = field(default_factory=list[str])
    """Texts of charts, diagrams and pictures."""
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    fields: list[_Field] = field(default_factory=list[_Field])
    """Those that have begun and not ended."""

    @property
    def text(self) -> str:
        """The text, without blanks around."""
        return "".join(self.pieces).strip()


def resolve(package: Package, part: str, root: Node) -> None:
    """Write on the elements of a part what they name by relationships: targets of links, texts of graphics."""
    targets = ooxml.link_targets(package, part)
    for node in root.iter("{*}hyperlink"):
        target = targets.get(ooxml.related(node, "id"), "")
        anchor = attribute(node, "anchor")
        target = f"{target}#{anchor}" if target and anchor else target
        before = node.getprevious()
        if before is not None and local(before) == "hyperlink" and before.get(_TARGET) == target:
            before.set(_TARGET, "")
        node.set(_TARGET, target)
    parts = ooxml.relationships(package, part)
    read: set[str] = set()
    for node in root.iter("{*}chart", "{*}relIds"):
        kind, path = parts.get(ooxml.related(node, "dm" if local(node) == "relIds" else "id"), ("", ""))
        known = (kind in CHARTS or kind == DIAGRAM) and path in package.names and path not in read
        node.set(_TEXT, read_graphic(kind, parse(package.read(path))) if known else "")
        read.add(path)


def collect(node: Node, inline: Inline) -> None:
    """Gather the text of runs; deleted text, field codes and second copies of drawings are left out."""
    for inner in node:
        name = local(inner)
        if name == "t":
            inline.pieces.append(inner.text or "")
        elif name in _BREAKS:
            inline.pieces.append(_BREAKS[name])
        elif name in ("hyperlink", "fldSimple"):
            _link(inner, inline)
        elif name in ("fldChar", "instrText"):
            _field(inner, inline)
        elif name not in LEFT_OUT and not _hangs(inner, name, inline):
            collect(inner, inline)


def _hangs(node: Node, name: str, inline: Inline) -> bool:
    """Gather what hangs on the text, and say whether that is all there is to an element."""
    if name == "txbxContent":
        inline.boxes.append(node)
    elif name in ("chart", "relIds"):
        inline.graphics.append(node.get(_TEXT) or "")
    elif name in _NOTES:
        inline.notes.append((_NOTES[name], attribute(node, "id") or ""))
    else:
        if name in ("inline", "anchor"):
            inline.graphics.append(described(node, "docPr"))
        return False
    return True


def _link(node: Node, inline: Inline) -> None:
    start = len(inline.pieces)
    collect(node, inline)
    target = node.get(_TARGET) or field_target(attribute(node, "instr") or "")
    if target:
        inline.pieces.append(with_target("".join(inline.pieces[start:]), target))


def _field(node: Node, inline: Inline) -> None:
    """Follow a field from its begin by its code to its result; one that begins in another paragraph has no target."""
    kind = attribute(node, "fldCharType")
    if kind == "begin":
        inline.fields.append(_Field())
    elif not inline.fields:
        return
    elif kind is None:
        inline.fields[-1].instruction.append((node.text or "")[:MAX_INSTRUCTION])
    elif kind == "separate":
        inline.fields[-1].start = len(inline.pieces)
    elif kind == "end":
        ended = inline.fields.pop()
        if ended.start is not None and len(inline.fields) < MAX_FIELDS:
            target = field_target("".join(ended.instruction))
            if target:
                inline.pieces.append(with_target("".join(inline.pieces[ended.start :]), target))


def flat(node: Node) -> str:
    """Text of everything below, a paragraph a line."""
    lines: list[str] = []
    for paragraph in paragraphs(node):
        inline = Inline()
        collect(paragraph, inline)
        mark = paragraph.get(MARK) or ""
        lines += [("" if mark == BULLET else mark) + inline.text, *inline.graphics]
    return "\n".join(line for line in map(str.strip, lines) if line)


def paragraphs(node: Node) -> Iterator[Node]:
    """Yield the paragraphs below, in order."""
    for inner in node:
        name = local(inner)
        if name == "p":
            yield inner
        if name not in LEFT_OUT:
            yield from paragraphs(inner)
