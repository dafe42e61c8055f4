"""What the reader of Word documents asks of their elements."""

from llmstack_api.ingest.reading.xml_tree import Node, local


def attribute(node: Node, name: str) -> str | None:
    """Value of an attribute in the namespace of its element."""
    namespace = node.tag.rpartition("}")[0]
    return node.get(f"{namespace}}}{name}")


def child(node: Node | None, *path: str) -> Node | None:
    """First child of a name, and so on down the path."""
    for name in path:
        node = next((inner for inner in node if local(inner) == name), None) if node is not None else None
    return node


def value(node: Node | None, *path: str) -> str | None:
    """Value of the property that a path leads to."""
    found = child(node, *path)
    return attribute(found, "val") if found is not None else None


def is_on(node: Node | None, *path: str) -> bool:
    """Whether a property is set that is on unless it says otherwise."""
    found = child(node, *path)
    return found is not None and attribute(found, "val") not in ("0", "false", "off")
