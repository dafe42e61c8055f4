"""Charts and diagrams of Word and PowerPoint files: what is written on them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from llmstack_api.ingest.reading.xml_tree import Node, local

CHARTS = {"chart", "chartEx"}
DIAGRAM = "diagramData"

_MAX_INDENT = 8
_MAX_POINTS = 100_000
_MAX_COLUMNS = 50
"""Series that one table takes; with more, columns without values would cost more than those with."""
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_DAYS_TO_1904 = 1462
_LAST_DAY = 2_958_466
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_MAX_DESCRIPTION = 2_000
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".emf", ".wmf", ".svg", ".tif", ".tiff", ".webp")
_SHOWN_POINTS = {"node", "asst", "doc"}


@dataclass(slots=True)
class _Series:
    name: str
    labels: dict[int, str]
    values: list[dict[int, str]] = field(default_factory=list[dict[int, str]])


def read_graphic(kind: str, root: Node) -> str:
    """Return the text of a part that a relationship of this kind leads to: a chart or the data of a diagram."""
    return _diagram(root) if kind == DIAGRAM else _chart(root)


def described(node: Node, name: str) -> str:
    """Return what the author wrote of a picture, whose properties are an element of this name below `node`."""
    properties = next((inner for inner in node if local(inner) == name), None)
    return picture((properties.get("descr") or "") if properties is not None else "")


def picture(text: str) -> str:
    """Write what the author says of a picture to those who cannot see it; nothing if it is only a file's name."""
    text = " ".join(text[:_MAX_DESCRIPTION].partition("\n\n")[0].split())
    return f"[Picture: {text}]" if text and not text.lower().endswith(_PICTURES) else ""


# --- diagrams --------------------------------------------------------------------------------------------


def _diagram(root: Node) -> str:
    """Write the points of a diagram as a list, each below the one that it belongs to."""
    texts: dict[str, str] = {}
    tops: list[str] = []
    for point in _named(root, "pt"):
        if (point.get("type") or "node") in _SHOWN_POINTS:
            name = point.get("modelId") or ""
            texts[name] = _rich(point)
            if point.get("type") == "doc":
                tops.append(name)
    below: dict[str, list[tuple[int, str]]] = {}
    for link in _named(root, "cxn"):
        source, target = link.get("srcId") or "", link.get("destId") or ""
        if (link.get("type") or "parOf") == "parOf" and source in texts and target in texts:
            order = link.get("srcOrd") or "0"
            below.setdefault(source, []).append((int(order[:9]) if order.isdecimal() else 0, target))
    lines: list[str] = []
    seen: set[str] = set()
    for top in (*tops, *texts):
        waiting = [(top, 0)]
        while waiting:
            name, depth = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if texts[name]:
                lines.append(f"{'  ' * min(depth, _MAX_INDENT)}- {texts[name]}")
                depth += 1
            inner = sorted(below.get(name, ()), reverse=True)
            waiting.extend((target, depth) for _, target in inner)
    return "\n".join(lines)


# --- charts ----------------------------------------------------------------------------------------------


def _chart(root: Node) -> str:
    """Write the titles of a chart, and its series as a table with a row for each category."""
    lines: list[str] = []
    axes: list[str] = []
    for title in _named(root, "title"):
        of_axis = local(_parent(title)).endswith(("Ax", "axis"))
        (axes if of_axis else lines).append(_title(title))
    if any(axes):
        lines.append(f"Axes: {', '.join(axis for axis in axes if axis)}")
    since_1904 = any(local(node) == "date1904" and node.get("val") not in ("0", "false") for node in root)
    series = (_series(node, since_1904=since_1904) for node in _named(root, "ser"))
    for group in _groups(chain(series, _modern(root))):
        lines.extend(_table(group))
    labels = (_rich(node) for node in _named(root, "dLbl"))
    lines += list(dict.fromkeys(label for label in labels if label))
    return "\n".join(line for line in lines if line)


def _groups(series: Iterable[_Series]) -> list[list[_Series]]:
    """Put the series together that have the same categories."""
    groups: list[list[_Series]] = []
    for one in series:
        fits = groups and len(groups[-1]) < _MAX_COLUMNS
        if fits and (one.labels == groups[-1][0].labels or not one.labels):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _table(group: list[_Series]) -> Iterator[str]:
    if any(one.name for one in group):
        yield " | ".join(["", *(name for one in group for name in _columns(one))]).strip()
    labels = group[0].labels
    places = sorted({place for one in group for values in one.values for place in values} | set(labels))
    for place in places:
        cells = [values.get(place, "") for one in group for values in one.values]
        if any(cells) or labels.get(place):
            yield " | ".join([labels[place], *cells] if place in labels else cells)


def _columns(one: _Series) -> list[str]:
    return [one.name, *("" for _ in one.values[1:])] if one.values else []


def _series(node: Node, *, since_1904: bool) -> _Series:
    found = _Series("", {})
    for part in node:
        name = local(part)
        if name == "tx":
            found.name = _title(part)
        elif name in ("cat", "xVal"):
            found.labels = _labels(part, since_1904=since_1904)
        elif name in ("val", "yVal", "bubbleSize"):
            found.values.append(_points(part, since_1904=since_1904))
    return found


def _labels(part: Node, *, since_1904: bool = False) -> dict[int, str]:
    """Read the names of categories; those of several levels from the outermost to the innermost."""
    levels = [dict(_cells(level)) for level in _named(part, "lvl")]
    if not levels:
        return _points(part, since_1904=since_1904)
    labels = levels[0]
    for level in levels[1:]:
        starts = iter(sorted(level))
        following, current = next(starts, None), ""
        for place in sorted(labels):
            while following is not None and following <= place:
                current, following = level[following], next(starts, None)
            labels[place] = f"{current} {labels[place]}".strip()
    return labels


def _points(part: Node, *, since_1904: bool) -> dict[int, str]:
    formats = (node.text or "" for node in _named(part, "formatCode"))
    code = _QUOTED.sub("", next(formats, "")).lower()
    return {place: _shown(text, code, since_1904=since_1904) for place, text in _cells(part)}


def _cells(part: Node) -> Iterator[tuple[int, str]]:
    for count, point in enumerate(_named(part, "pt")):
        if count == _MAX_POINTS:
            return
        place = point.get("idx") or ""
        values = (node.text or "" for node in _named(point, "v"))
        text = " ".join(next(values, point.text or "").split())
        if text:
            yield int(place[:9]) if place.isdecimal() else count, text


def _shown(text: str, code: str, *, since_1904: bool) -> str:
    """Write a number as its format shows it, as far as it says percent or a date."""
    try:
        number = float(text)
    except ValueError:
        return text
    if "%" in code:
        return f"{number * 100:.10g}%"
    if "y" in code and "m" in code and 0 <= number < _LAST_DAY - _DAYS_TO_1904:
        day = _EPOCH + timedelta(days=int(number) + _DAYS_TO_1904 * since_1904)
        return day.date().isoformat()
    return f"{number:.15g}" if len(text) > len("0.123456789012") else text


def _modern(root: Node) -> list[_Series]:
    """Read the series of charts that came with Word 2016: their data lies beside them."""
    data: dict[str, tuple[dict[int, str], list[dict[int, str]]]] = {}
    for node in _named(root, "data"):
        labels: dict[int, str] = {}
        values: list[dict[int, str]] = []
        for part in node:
            if local(part) == "strDim":
                labels = _labels(part)
            elif local(part) == "numDim":
                values.extend(dict(_cells(level)) for level in _named(part, "lvl"))
        data[node.get("id") or ""] = labels, values
    found: list[_Series] = []
    for node in _named(root, "series"):
        names = (_title(part) for part in node if local(part) == "tx")
        number = next((part.get("val") or "" for part in _named(node, "dataId")), "")
        labels, values = data.get(number, ({}, []))
        found.append(_Series(next(names, ""), labels, values))
    return found


# --- both ------------------------------------------------------------------------------------------------


def _named(root: Node, name: str) -> Iterator[Node]:
    return root.iter(f"{{*}}{name}")


def _parent(node: Node) -> Node:
    return next(node.iterancestors(), node)


def _title(node: Node) -> str:
    """Text of a title: written out, or kept from the cells that it is taken from."""
    text = _rich(node)
    return text or " ".join(" ".join((value.text or "") for value in _named(node, "v")).split())


def _rich(node: Node) -> str:
    lines = ("".join(piece.text or "" for piece in _named(line, "t")) for line in _named(node, "p"))
    return " ".join(" ".join(lines).split())
