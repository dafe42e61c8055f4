"""Charts within OpenDocument files: their titles, and the table that they are drawn from."""

from posixpath import normpath
from typing import Final

from llmstack_api.ingest.reading.archive import Package
from llmstack_api.ingest.reading.office.odf_text import TARGET, flat
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

_TITLES: Final = ("title", "subtitle")
_MOST_ROWS: Final = 10_000


def read_object(package: Package, node: Node) -> str:
    """Return the text of a chart; nothing for other objects, which programs show as pictures."""
    path = f"{normpath(node.get(TARGET) or '')}/content.xml".lstrip("/")
    data = package.find(path)
    if data is None:
        return ""
    chart = next(
        (inner for inner in parse(data).iter("{*}chart") if "chart" in inner.tag.rpartition("}")[0]), None
    )
    return _chart(chart) if chart is not None else ""


def _chart(chart: Node) -> str:
    lines: list[str] = []
    axes: list[str] = []
    for node in chart.iter():
        if local(node) in _TITLES:
            around = next(node.iterancestors(), None)
            text = " ".join(flat(node).split())
            (axes if around is not None and local(around) == "axis" else lines).append(text)
    if any(axes):
        lines.append(f"Axes: {', '.join(filter(None, axes))}")
    for count, row in enumerate(chart.iter("{*}table-row")):
        if count == _MOST_ROWS:
            break
        cells = [" ".join(flat(cell).split()) for cell in row if local(cell) == "table-cell"]
        if any(cells):
            lines.append(" | ".join(cells).strip())
    return "\n".join(filter(None, lines))
