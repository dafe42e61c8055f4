"""What Word and PowerPoint files have in common: parts that name each other by relationships."""

from posixpath import dirname, normpath
from urllib.parse import unquote

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_DC = "{http://purl.org/dc/elements/1.1/}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_R_STRICT = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"


def relationships(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Return the parts that `part` names: id -> (last word of the type, path)."""
    folder = dirname(part)
    found: dict[str, tuple[str, str]] = {}
    for node in _relationships(package, part):
        if node.get("TargetMode") != "External":
            target = unquote(node.get("Target") or "")
            path = (
                target.lstrip("/") if target.startswith("/") else normpath(f"{folder}/{target}").lstrip("/")
            )
            found[node.get("Id") or ""] = ((node.get("Type") or "").rpartition("/")[2], path)
    return found


def link_targets(package: Package, part: str) -> dict[str, str]:
    """Return the addresses that links of `part` lead to, outside of the file, by their ids."""
    return {
        node.get("Id") or "": node.get("Target") or ""
        for node in _relationships(package, part)
        if node.get("TargetMode") == "External" and (node.get("Type") or "").endswith("/hyperlink")
    }


def _relationships(package: Package, part: str) -> list[Node]:
    data = package.find(f"{dirname(part)}/_rels/{part.rpartition('/')[2]}.rels".lstrip("/"))
    return [node for node in parse(data) if local(node) == "Relationship"] if data is not None else []


def main_part(package: Package, default: str) -> str:
    """Find the part that the document starts with."""
    for kind, path in relationships(package, "").values():
        if kind == "officeDocument" and path in package.names:
            return path
    return default


def related(node: Node, name: str) -> str:
    """Value of an attribute in the namespace of relationships, transitional or strict."""
    return node.get(f"{R}{name}") or node.get(f"{_R_STRICT}{name}") or ""


def title(package: Package) -> str | None:
    """Title that the properties of the document have; damaged properties have none."""
    data = package.find("docProps/core.xml")
    if data is None:
        return None
    try:
        node = parse(data).find(f"{_DC}title")
    except ExtractError:
        return None
    return node.text if node is not None else None
