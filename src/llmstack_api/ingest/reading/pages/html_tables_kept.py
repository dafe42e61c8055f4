"""Tables of fetched pages: kept as they are in the page while the main text around them is chosen.

What chooses the main text copies tables cell by cell, and loses what spans rows and columns, what names columns and
rows, and the caption. So each table gets a mark in its first cells, by which it is found afterwards and put back.
"""

import re
from collections.abc import Callable
from itertools import islice
from typing import Final

from llmstack_api.ingest.reading.xml_tree import Node, replace

_SIGN: Final = "\u2060"
_MARK: Final = re.compile(f"{_SIGN}T([0-9]{{1,9}}){_SIGN}")
_MARKED: Final = 2
"""Rows of a table that get the mark, as the first may be dropped."""
_CELLS: Final = ("td", "th")
_LOOKED_AT: Final = 100
"""Cells in which the mark of a table is looked for."""


class KeptTables:
    """The tables of a page that hold data."""

    def __init__(self, root: Node, is_data: Callable[[Node], bool]) -> None:
        """Mark the tables."""
        self._tables = [table for table in root.iter("table") if is_data(table)]
        self._marked: list[Node] = []
        for number, table in enumerate(self._tables):
            for row in islice(table.iterdescendants("tr"), _MARKED):
                cell = next((cell for cell in row if cell.tag in _CELLS), None)
                if cell is not None:
                    cell.text = f"{_SIGN}T{number}{_SIGN}{cell.text or ''}"
                    self._marked.append(cell)

    def release(self) -> None:
        """Take the marks out of the page."""
        for cell in self._marked:
            cell.text = _MARK.sub("", cell.text or "")
        self._marked.clear()

    def put_back(self, tree: Node) -> None:
        """Put the tables in the place of their copies in a tree that was made of the page."""
        self.release()
        left = dict(enumerate(self._tables))
        for copied in list(tree.iter("table")):
            table = left.pop(_number(copied), None)
            if table is not None:
                replace(copied, table)
        for node in tree.iter():
            if node.text and _SIGN in node.text:
                node.text = _MARK.sub("", node.text)


def _number(table: Node) -> int:
    for cell in islice(table.iterdescendants(*_CELLS), _LOOKED_AT):
        found = _MARK.search("".join(islice(cell.itertext(), _MARKED)))
        if found:
            return int(found[1])
    return -1
