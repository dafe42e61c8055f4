"""Text of OpenDocument elements, which texts, slides and sheets have in common."""

from typing import Final

from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.office.links import with_target
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

BREAKS = {"tab": "\t", "line-break": "\n"}
ASIDE = {"note", "annotation", "text-box", "object", "desc"}
LEFT_OUT = {
    "tracked-changes", "annotation-end", "note-citation", "sequence-decls", "forms", "creator", "date",
    "presentation-settings", "object", "object-ole", "number", "binary-data",
    "date-time-decl", "footer-decl", "page-number",
}  # fmt: skip
_MAX_SPACES = 100

MARK: Final = "mark"
"""Attribute that a numbered paragraph gets; see `odf_numbering`."""

BULLET: Final = "- "
TARGET: Final = "{http://www.w3.org/1999/xlink}href"


def title_of(package: Package) -> str | None:
    """Title that the properties of the document have."""
    data = package.find("meta.xml")
    if data is None:
        return None
    return next((node.text for node in parse(data).iter() if local(node) == "title"), None)


def attribute(node: Node, name: str) -> str | None:
    """Value of an attribute in the element's own namespace."""
    namespace = node.tag.rpartition("}")[0]
    return node.get(f"{namespace}}}{name}")


def collect(node: Node, pieces: list[str], aside: list[Node]) -> None:
    """Gather the text of a paragraph, in which line breaks and runs of blanks mean one blank."""
    pieces.append(_collapsed(node.text))
    for inner in node:
        name = local(inner)
        if name in BREAKS:
            pieces.append(BREAKS[name])
        elif name == "s":
            count = attribute(inner, "c") or "1"
            pieces.append(" " * (min(int(count), _MAX_SPACES) if count.isdecimal() else 1))
        elif name in ASIDE:
            aside.append(inner)
        elif name and name not in LEFT_OUT:
            start = len(pieces)
            collect(inner, pieces, aside)
            if name == "a" and not _goes_on(inner):
                pieces.append(with_target("".join(pieces[start:]), inner.get(TARGET)))
        pieces.append(_collapsed(inner.tail))


def flat(node: Node) -> str:
    """Text of an element and its paragraphs, a paragraph a line."""
    if local(node) in ("p", "h"):
        pieces: list[str] = []
        collect(node, pieces, [])
        mark = node.get(MARK) or ""
        return ("" if mark == BULLET else mark) + "".join(pieces).strip()
    return "\n".join(text for inner in node if local(inner) not in LEFT_OUT and (text := flat(inner)))


def _goes_on(link: Node) -> bool:
    """Whether a link is a piece of one that goes on behind it."""
    following = link.getnext()
    return (
        not link.tail
        and following is not None
        and local(following) == "a"
        and following.get(TARGET) == link.get(TARGET)
    )


def _collapsed(text: str | None) -> str:
    if not text or text.isspace():
        return " " if text else ""
    start = " " if text[0].isspace() else ""
    end = " " if text[-1].isspace() else ""
    return f"{start}{' '.join(text.split())}{end}"
