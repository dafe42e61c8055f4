"""JSON read from a text as it is asked for: what is small as Python values, what is large step by step."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.draft import MAX_TEXT, too_large

MAX_DEPTH: Final = 200

WINDOW: Final = 65_536
"""Characters that are tried at once; a list or object that goes on behind them is entered instead."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_RUN: Final = re.compile(r"((?:[^\[\]{},\"]+,)*[^\[\]{},\"]+),")
_DECODER: Final = json.JSONDecoder(strict=False)  # takes the NaN and Infinity that many programs write

Found: TypeAlias = tuple[str, Any, int]
"""Path of keys, value, depth; a list or object among them is small, or a list of plain values."""


def too_deep() -> ExtractError:
    """Make the error of JSON that no program writes."""
    return ExtractError("The JSON is nested too deeply.", code="corrupt")


class Plain(list[Any]):
    """Values of a list that are neither lists nor objects."""

    size = 0

    def hold(self, value: object) -> None:
        """Add one; refuse what grows too large, as it grows."""
        self.append(value)
        self.size += (len(value) if isinstance(value, str) else 1) + 2
        if self.size > MAX_TEXT:
            raise too_large()


@dataclass(slots=True)
class _Open:
    """A list or object that was entered."""

    path: str
    closing: str
    plain: Plain | None
    """What a list holds so far, as long as all of it is plain; None otherwise."""
    begun: bool = False


class Cursor:
    """A place in a text; each method reads what stands there and moves behind it.

    All methods raise ValueError where the text is no JSON, and ExtractError where it is nested too deeply.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._window = text[:WINDOW]
        self._window_at = 0

    @property
    def next(self) -> str:
        """The character to come; empty at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # pyright: ignore[reportOptionalMemberAccess] # it always matches
        return self._text[self._at : self._at + 1]

    def skip(self, character: str) -> None:
        """Go behind this character."""
        if self.next != character:
            raise self._error(f"Expecting {character!r}")
        self._at += 1

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.next:
            raise self._error("Extra data")

    def lines(self) -> Iterator[None]:
        """Stop at each value that stands on lines of its own; it has to be read before the next is asked for."""
        while self.next:
            yield
            behind = self._at
            if self.next and "\n" not in self._text[behind : self._at]:
                raise self._error("Extra data")

    def items(self) -> Iterator[None]:
        """Enter a list; stop at each of its items, which has to be read before the next is asked for."""
        self.skip("[")
        if self.next != "]":
            yield
            while self.next == ",":
                self._at += 1
                yield
        self.skip("]")

    def plain(self) -> Any:  # noqa: ANN401 # JSON
        """Read a value that is neither a list nor an object, however long."""
        value, self._at = _DECODER.raw_decode(self._text, self._at)
        return value

    def run(self) -> list[Any]:
        """Read values that are neither lists, objects nor strings, up to the last but one in reach, in one go."""
        run = _RUN.match(self._text, self._at, self._at + WINDOW)
        if run is None:
            return []
        values = _DECODER.decode(f"[{run[1]}]")
        self._at = run.end()
        return values

    def small(self) -> tuple[object] | None:
        """Read a value whole; None if it is a list or object that is large, which is not read."""
        if self.next not in ("[", "{"):
            return (self.plain(),)
        try:
            return (self._within_window(),)
        except ValueError:
            if self._window_at != self._at:
                self._move_window()
                return self.small()
            if self._at + WINDOW >= len(self._text):
                raise
            return None

    def values(self) -> Iterator[Found]:
        """Read a value, however large, piece by piece."""
        whole = self.small()
        if whole is not None:
            yield "", whole[0], 0
            return
        around = [self._enter("")]
        while around:
            inner = around[-1]
            if self._closes(inner):
                around.pop()
                if inner.plain:
                    yield inner.path, inner.plain, len(around)
                continue
            if inner.closing == "]":
                yield from self._take_run(inner, len(around))
            path = self._key(inner.path) if inner.closing == "}" else inner.path
            value = self.small()
            if value is None:
                if len(around) > MAX_DEPTH:
                    raise too_deep()
                yield from _let_go(inner, len(around))
                around.append(self._enter(path))
            elif inner.plain is not None and not isinstance(value[0], (list, dict)):
                inner.plain.hold(value[0])
            else:
                yield from _let_go(inner, len(around))
                yield path, value[0], len(around)

    def _within_window(self) -> Any:  # noqa: ANN401 # JSON
        try:
            value, end = _DECODER.raw_decode(self._window, self._at - self._window_at)
        except RecursionError:
            raise too_deep() from None
        self._at = self._window_at + end
        return value

    def _move_window(self) -> None:
        self._window_at = self._at
        self._window = self._text[self._at : self._at + WINDOW]

    def _take_run(self, inner: _Open, depth: int) -> Iterator[Found]:
        while values := self.run():
            for value in values:
                if inner.plain is None:
                    yield inner.path, value, depth
                else:
                    inner.plain.hold(value)

    def _enter(self, path: str) -> _Open:
        opening = self.next
        self._at += 1
        return _Open(path, "]", Plain()) if opening == "[" else _Open(path, "}", None)

    def _closes(self, inner: _Open) -> bool:
        """Go to the next item, or behind the end; say whether it was the end."""
        if self.next == inner.closing:
            self._at += 1
            return True
        if inner.begun:
            self.skip(",")
        inner.begun = True
        return False

    def _key(self, path: str) -> str:
        if self.next != '"':
            raise self._error("Expecting a name")
        name = str(self.plain())
        self.skip(":")
        return f"{path}.{name}" if path else name

    def _error(self, what: str) -> ValueError:
        return json.JSONDecodeError(what, self._text, self._at)


def _let_go(inner: _Open, depth: int) -> Iterator[Found]:
    """Give what a list held, each alone, as the list is not plain."""
    for value in inner.plain or ():
        yield inner.path, value, depth
    inner.plain = None
