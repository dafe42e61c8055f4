"""XML and HTML trees, parsed without entities and without the network: the one place that knows lxml."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, Protocol, cast

from llmstack_api.errors import ExtractError

_etree: Any = import_module("lxml.etree")  # it has no types
_html: Any = import_module("lxml.html")
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_NO_MEMORY = 2
"""Code of the error that is no fault of the file's form."""
_TOO_DEEP = re.compile("depth", re.IGNORECASE)
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")


class Node(Protocol):
    """An element, as lxml gives it; `tag` is a string, or a function for what is no element."""

    tag: Any
    attrib: Mapping[str, str]
    text: str | None
    tail: str | None

    def get(self, key: str, default: str | None = None) -> str | None:
        """Value of an attribute."""
        ...

    def set(self, key: str, value: str) -> None:
        """Give it an attribute."""
        ...

    def getprevious(self) -> "Node | None":
        """Return the element before it, beside it."""
        ...

    def getnext(self) -> "Node | None":
        """Return the element after it, beside it."""
        ...

    def find(self, path: str) -> "Node | None":
        """First element below that matches."""
        ...

    def iter(self, *tags: str) -> "Iterator[Node]":
        """Itself and all below, in the order of the document."""
        ...

    def iterdescendants(self, *tags: str) -> "Iterator[Node]":
        """All below."""
        ...

    def iterancestors(self, *tags: str) -> "Iterator[Node]":
        """All around, the nearest first."""
        ...

    def itertext(self, *tags: str) -> Iterator[str]:
        """Pieces of text below."""
        ...

    def __iter__(self) -> "Iterator[Node]": ...
    def __len__(self) -> int: ...


class Walk(Protocol):
    """Events of a walk through a tree: `start` and `end` of each element."""

    def __iter__(self) -> Iterator[tuple[str, Node]]: ...

    def skip_subtree(self) -> None:
        """Leave out what is below the element that just started; its end comes all the same."""
        ...


def parse(data: bytes) -> Node:
    """Parse a part of an office document.

    Raises:
        ExtractError: it is not well-formed, or declares a document type, as such a part never does (`corrupt`).
    """
    root = _parse(data)
    _refuse_document_type(root)
    return root


def parse_pieces(data: bytes, name: str) -> Iterator[Node]:
    """Parse a large part piece by piece: give each element of this name, which is emptied when the next is asked for.

    Raises:
        ExtractError: as `parse` does.
    """
    pieces = _etree.iterparse(BytesIO(data), events=("end",), tag=f"{{*}}{name}", **_SAFE)
    allowed = False
    try:
        for _, node in pieces:
            if not allowed:
                _refuse_document_type(node)
                allowed = True
            yield node
            node.clear()
            around = node.getparent()
            while around is not None and node.getprevious() is not None:
                del around[0]
    except _etree.XMLSyntaxError as error:
        raise _refused(error) from None


def parse_html(text: str) -> Node:
    """Parse a page as browsers do, whatever state it is in.

    Raises:
        ExtractError: nothing is left of it (`no-text`), or it is nested too deeply to be read whole (`corrupt`).
    """
    parser = _html.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        root = _html.document_fromstring(without_declaration(text).encode("utf-8", "replace"), parser=parser)
    except (_etree.ParserError, _etree.XMLSyntaxError):
        raise ExtractError("There is no text in the page.", code="no-text") from None
    if any(_TOO_DEEP.search(entry.message) for entry in parser.error_log.filter_from_errors()):
        raise ExtractError("The page is nested too deeply.", code="corrupt")
    return cast("Node", root)


def strip(root: Node, *, elements: tuple[str, ...], tags: tuple[str, ...]) -> None:
    """Take elements out of a tree, and of others only their tags, in time that grows as the tree does."""
    _etree.strip_elements(root, *elements, with_tail=False)
    _etree.strip_tags(root, *tags)


def replace(node: Node, other: Node) -> None:
    """Put another element, from wherever it is, in the place of one; what follows them stays where it is."""
    tail, around = node.tail, cast("Any", node).getparent()
    around.replace(node, other)
    other.tail = tail


def walk(root: Node) -> Walk:
    """Walk through a tree of any depth, without recursion."""
    return cast("Walk", _etree.iterwalk(root, events=("start", "end")))


def local(node: Node) -> str:
    """Name of an element without its namespace; empty for what is no element."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _refuse_document_type(node: Node) -> None:
    if cast("Any", node).getroottree().docinfo.internalDTD is not None:
        raise ExtractError(
            "The file declares a document type, which its format does not allow.", code="corrupt"
        )


def without_declaration(text: str) -> str:
    """Leave out the declaration of XML, whose encoding is no longer so once the text is decoded."""
    declaration = _DECLARATION.match(text)
    return text[declaration.end() :] if declaration else text


def _parse(data: bytes) -> Node:
    try:
        return cast("Node", _etree.fromstring(data, _etree.XMLParser(**_SAFE)))
    except _etree.XMLSyntaxError as error:
        raise _refused(error) from None


def _refused(error: Any) -> Exception:  # noqa: ANN401 # lxml has no types
    return MemoryError() if error.code == _NO_MEMORY else damaged(error.lineno)


def damaged(line: int | None) -> ExtractError:
    """Make the error of XML that is not well-formed, or holds what is refused."""
    place = f" (line {line})" if line else ""
    return ExtractError(f"The XML in the file is damaged or not allowed{place}.", code="corrupt")
