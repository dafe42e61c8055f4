"""The headings of a document: where the next one is, and which stand over a place. Nothing is listed."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import Final

from llmstack_api.ingest.document import Document

MAX_HEADING: Final = 120
"""Characters of one heading in a path."""

MAX_PATH: Final = 240
"""Characters of a path; of a longer one the outer headings are left out."""

MAX_FENCES: Final = 200_000
"""Lines that may begin or end code; nothing that follows more of them is taken for a heading."""

_WINDOW: Final = 262_144
"""Characters that are searched at once, as others wait for the interpreter meanwhile."""

_REACH: Final = 512
"""Characters after its start that decide on a match, at most."""

_NOT_MARKDOWN: Final = re.compile(
    r"text/(?:x-|csv|css|javascript|calendar|tab-)|application/(?:json|yaml|x-sh)"
)
_TEXT: Final = r"[ \t]{1,80}(?=[^\n]{0,100}[^\s*`_#])"
_HEADING: Final = re.compile(
    rf"^ {{0,3}}(?P<level>#{{1,6}}){_TEXT}(?P<title>\S.{{0,{3 * MAX_HEADING}}})", re.MULTILINE
)
_ANY: Final = re.compile(rf"^ {{0,3}}#{{1,6}}{_TEXT}", re.MULTILINE)
_LAST: Final = [
    re.compile(rf"(?s:.*)(?P<heading>^ {{0,3}}(?P<level>#{{1,{deepest}}}){_TEXT})", re.MULTILINE)
    for deepest in range(1, 7)
]
"""The last heading of at most each level, in one call however many there are."""
_RUN: Final = re.compile(rf"(?:\s*^ {{0,3}}#{{1,6}}{_TEXT}.*){{0,6}}", re.MULTILINE)
"""One of each level; more in a row are a list."""
_FENCE: Final = re.compile(r"^ {0,3}(?P<fence>`{3,99}|~{3,99})(?P<info>.{0,199})", re.MULTILINE)
_MARKED: Final = re.compile(r"[*`_#\[]")
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_UNDERSCORES: Final = re.compile(r"(?<!\w)_+|_+(?!\w)")
_CLOSING: Final = re.compile(r"(?:^|[ \t])#+[ \t]*$")


class Outline:
    """The headings of Markdown, which extraction writes for every format that has headings."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._none = "#" not in document.text or bool(_NOT_MARKDOWN.match(document.mime_type))
        self._known_to = len(document.text)
        self._edges = array("Q")
        """Where code begins and ends, by turns."""
        self._seen = 0
        self._above: list[tuple[int, str]] = []
        self._path: str | None = None
        if not self._none:
            self._find_code()

    def next_heading(self, start: int) -> int | None:
        """Give the start of the first heading at or after a place."""
        if self._none:
            return None
        place = self._after_code(start)
        while (found := _search(_ANY, self._text, place)) is not None:
            place = self._after_code(found.start())
            if place == found.start():
                return place if place < self._known_to else None
        return None

    def over(self, start: int, end: int) -> str | None:
        """Give the path of the headings over a chunk; those that it begins with stand over it too.

        Ask in order of the chunks' starts.
        """
        if self._none or start >= self._known_to:
            return None
        reach = max(start, self._seen)
        if self._after_code(start) == start:
            line = start
            while start - line < 3 and line > 0 and self._text[line - 1] == " ":  # noqa: PLR2004 # more is code
                line -= 1
            run = _RUN.match(self._text, line, end)
            reach = max(reach, run.end() if run else 0)
        if reach > self._seen:
            self._advance(reach)
        return self._path

    def _advance(self, to: int) -> None:
        """Take in the headings that begin before a place."""
        before = self._above
        line = self._text.rfind("\n", max(0, to - _REACH), to) + 1
        if across := _HEADING.match(self._text, line):
            to = max(to, across.end())
        for begin, end in self._prose(self._seen, to):
            self._above = self._under(begin, end)
        self._seen = to
        if self._above is not before:
            self._path = _join([name for _, name in self._above if name])

    def _under(self, begin: int, end: int) -> list[tuple[int, str]]:
        """Give the headings that are open after a stretch: the last, the last above it, and so on."""
        inner: list[tuple[int, str]] = []
        top = len(_LAST) + 1
        while top > 1 and (found := _LAST[top - 2].match(self._text, begin, end)):
            top, end = len(found["level"]), found.start("heading")
            heading = _HEADING.match(self._text, end)
            inner.append((top, _clean(heading["title"]) if heading else ""))
        if not inner:
            return self._above
        return [(level, name) for level, name in self._above if level < top] + inner[::-1]

    # --- code --------------------------------------------------------------------------------------------

    def _find_code(self) -> None:
        """Find the fenced code."""
        if "```" not in self._text and "~~~" not in self._text:
            return
        fence: str | None = None
        place, number = 0, 0
        while (found := _search(_FENCE, self._text, place)) is not None:
            place = found.end()
            number += 1
            if number > MAX_FENCES:
                self._known_to = found.start()
                return
            mark, info = found["fence"], found["info"]
            if fence is None:
                # Backticks in the rest of the line make it code within a line.
                if mark[0] == "~" or "`" not in info:
                    fence = mark
                    self._edges.append(found.start())
            elif mark.startswith(fence) and not info.strip():
                fence = None
                self._edges.append(found.end())

    def _after_code(self, place: int) -> int:
        """Give the end of the code that a place is in; the place itself where it is in none."""
        index = bisect_right(self._edges, place)
        if index % 2 == 0:
            return place
        return self._edges[index] if index < len(self._edges) else len(self._text)

    def _prose(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Give what is no code in a stretch."""
        first = bisect_right(self._edges, begin)
        last = bisect_right(self._edges, end)
        edges = chain([begin] if first % 2 == 0 else [], self._edges[first:last], [end])
        for start in edges:
            stop = next(edges, None)
            if stop is not None and start < stop:
                yield start, stop


def _search(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    """Search as `pattern.search` does, in steps."""
    while start < len(text):
        stop = start + _WINDOW
        found = pattern.search(text, start, stop + _REACH)
        if found and found.start() < stop:
            return found
        start = stop
    return None


def _join(names: list[str]) -> str | None:
    path = " > ".join(names)
    while len(path) > MAX_PATH:
        names = names[1:]
        path = " > ".join(["…", *names])
    return path or None


def _clean(title: str) -> str:
    """Take a heading's marks away."""
    if _MARKED.search(title):
        title = _UNDERSCORES.sub("", _LINK.sub(r"\1", _CLOSING.sub("", title)))
        title = title.replace("*", "").replace("`", "")
    title = " ".join(title.split())
    return title if len(title) <= MAX_HEADING else title[: MAX_HEADING - 1].rstrip() + "…"
