"""Reads JSON while it arrives: strings piece by piece, elements of arrays whole, other values when they end."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import orjson

from llmstack_api.engine.jsonstrings import NonsenseError, read_string, shown
from llmstack_api.engine.ports import Json, JsonObject

MAX_DEPTH: Final = 64
"""Objects and arrays inside each other."""

MAX_CHARACTERS: Final = 1024 * 1024
MAX_VALUES: Final = 50_000
"""Values take many times the characters that they are written in."""

MAX_SCALAR: Final = 400
"""Characters of a number."""

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_HEAD: Final = re.compile(r"[\ufeff\s]*")
_FENCE: Final = re.compile(r"```(?:json)?", re.IGNORECASE)
_FENCE_BEGUN: Final = re.compile(r"`{1,2}|```(?:j|js|jso)?", re.IGNORECASE)
_SCALAR: Final = re.compile(r'[^ \t\n\r,:"`{}\[\]]*')
Path = tuple[str, ...]
"""Keys of the objects on the way; empty at the top."""


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a string; an empty one comes as one empty piece."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One more element of an array, whole."""

    path: Path
    element: Json


@dataclass(frozen=True, slots=True)
class Value:
    """A number, true, false, null, or an object or array that is empty."""

    path: Path
    value: Json


Event = Piece | Item | Value


@dataclass(slots=True)
class _Container:
    """An object or array that is not closed yet."""

    value: JsonObject | list[Json]
    path: Path
    streams: bool
    """Whether what is directly inside is told as it comes, not as part of an element."""
    key: str = ""


@dataclass(slots=True)
class _String:
    """A string that is not closed yet."""

    is_key: bool
    parts: list[str] = field(default_factory=list[str])
    """What was read and not told."""
    told: list[str] = field(default_factory=list[str])

    def whole(self) -> str:
        return "".join([*self.told, *self.parts])


class JsonStream:
    """Takes the text of one JSON value in pieces, cut anywhere, and tells what each brought.

    White space, a byte order mark and a Markdown fence around the value are passed over. Of two escapes that stand
    for no character each becomes U+FFFD. Work is linear in the length of the text.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why the text is not JSON that is taken; nothing is read after it."""
        self.is_cut = False
        """The failure is that the text ended too early."""
        self.value: Json = None
        """The whole value, once `ended`."""
        self.ended = False
        """The value is whole; nothing but blanks may follow."""
        self.begun = False
        """Something other than blanks came."""
        self._rest = ""
        self._room = MAX_CHARACTERS
        self._values = 0
        self._events: list[Event] = []
        self._stack: list[_Container] = []
        self._string: _String | None = None
        self._scalar: list[str] = []
        self._scalar_length = 0
        self._state: Callable[[str, int], int] = self._before
        self._fenced = False

    def feed(self, text: str) -> list[Event]:
        """Take more text. After a failure, what came before it is still told."""
        if self.failure is None:
            self._run(self._rest + text, len(text))
        return self._taken()

    def finish(self) -> list[Event]:
        """Note that no more text comes; `failure` is set where the value is not whole."""
        if self.failure is None and self._scalar and not self._stack:
            # The only value that needs what follows it to be known as whole.
            self._run(" ", 0)
        if self.failure is None and not self.ended:
            self.is_cut = True
            self.failure = "it ends before the JSON is whole" if self.begun else "there is none"
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _run(self, text: str, added: int) -> None:
        """Read as far as the text goes; what cannot be told yet is kept."""
        self._rest = ""
        excess = added - self._room
        self._room -= added
        if excess > 0:
            text = text[:-excess]
        position = 0
        try:
            while position < len(text):
                after = self._state(text, position)
                if after == position and self._rest:
                    break
                position = after
        except NonsenseError as error:
            self.failure = str(error)
        if excess > 0 and self.failure is None:
            self.failure = f"it has more than {MAX_CHARACTERS:,} characters"
        self._tell_string()

    def _keep(self, text: str, position: int) -> int:
        """Wait for more text before what stands here is read."""
        self._rest = text[position:]
        return position

    # --- states: each reads from a position and returns where it stopped

    def _before(self, text: str, position: int) -> int:
        position = _end(_HEAD, text, position)
        self.begun = position < len(text)
        if text.startswith("`", position):
            if _FENCE_BEGUN.fullmatch(text, position):
                return self._keep(text, position)
            self._fenced = True
            position = _end(_FENCE, text, position)
        if self.begun:
            self._state = self._begin_value
        return position

    def _begin_value(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if position == len(text):
            return position
        match text[position]:
            case '"':
                self._count()
                self._open_string(is_key=False)
            case "{":
                self._open({})
                self._state = self._begin_object
            case "[":
                self._open([])
                self._state = self._begin_array
            case _:
                self._count()
                self._state = self._in_scalar
                return self._in_scalar(text, position)
        return position + 1

    def _begin_array(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if text.startswith("]", position):
            self._close()
            return position + 1
        if position < len(text):
            self._state = self._begin_value
        return position

    def _begin_object(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if text.startswith("}", position):
            self._close()
            return position + 1
        return self._begin_key(text, position)

    def _begin_key(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if position == len(text):
            return position
        if text[position] != '"':
            raise _unexpected(text, position, "a member's name")
        self._open_string(is_key=True)
        return position + 1

    def _before_colon(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if position == len(text):
            return position
        if text[position] != ":":
            raise _unexpected(text, position, "a colon")
        self._state = self._begin_value
        return position + 1

    def _after_value(self, text: str, position: int) -> int:
        position = _end(_BLANK, text, position)
        if position == len(text):
            return position
        is_object = isinstance(self._stack[-1].value, dict)
        match text[position]:
            case ",":
                self._state = self._begin_key if is_object else self._begin_value
            case "}" if is_object:
                self._close()
            case "]" if not is_object:
                self._close()
            case _:
                raise _unexpected(text, position, "a comma or the end")
        return position + 1

    def _after_all(self, text: str, position: int) -> int:
        position = _end(_HEAD, text, position)
        if self._fenced and text.startswith("`", position):
            if len(text) < position + 3:
                return self._keep(text, position)
            if text.startswith("```", position):
                self._fenced = False
                return position + 3
        if position < len(text):
            raise NonsenseError(f"there is more after the JSON: {shown(text, position)}")
        return position

    def _in_scalar(self, text: str, position: int) -> int:
        end = _end(_SCALAR, text, position)
        self._scalar.append(text[position:end])
        self._scalar_length += end - position
        if self._scalar_length > MAX_SCALAR:
            raise _unexpected("".join(self._scalar), 0, "a value")
        if end < len(text):
            if not self._scalar_length:
                raise _unexpected(text, position, "a value")
            self._end_scalar()
        return end

    def _end_scalar(self) -> None:
        text = "".join(self._scalar)
        self._scalar.clear()
        self._scalar_length = 0
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise _unexpected(text, 0, "a value") from None
        if self._is_member():
            self._events.append(Value(self._place(), value))
        self._complete(value)

    def _in_string(self, text: str, position: int) -> int:
        string = cast("_String", self._string)
        position, ended = read_string(text, position, string.parts)
        if ended:
            self._close_string()
        elif position < len(text):
            return self._keep(text, position)
        return position

    # --- what is open

    def _holder(self) -> _Container | None:
        return self._stack[-1] if self._stack else None

    def _place(self) -> Path:
        """Return the path of the value that is being read, which streams."""
        holder = self._holder()
        if holder is None:
            return ()
        return (*holder.path, holder.key) if isinstance(holder.value, dict) else holder.path

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise NonsenseError(f"it has more than {MAX_VALUES:,} values")

    def _open(self, value: JsonObject | list[Json]) -> None:
        self._count()
        if len(self._stack) >= MAX_DEPTH:
            raise NonsenseError(f"it is nested more than {MAX_DEPTH} deep")
        streams = self._is_member()
        self._stack.append(_Container(value, self._place() if streams else (), streams))

    def _close(self) -> None:
        container = self._stack.pop()
        if container.streams and not container.value:
            self._events.append(Value(container.path, container.value))
        self._complete(container.value)

    def _open_string(self, *, is_key: bool) -> None:
        self._string = _String(is_key)
        self._state = self._in_string

    def _close_string(self) -> None:
        string = cast("_String", self._string)
        if string.is_key:
            self._string = None
            self._take_key(string.whole())
            return
        self._tell_string(ended=True)
        self._string = None
        self._complete(string.whole())

    def _tell_string(self, *, ended: bool = False) -> None:
        """Tell what came of an open string since it was last told; at its end, that there is one."""
        string = self._string
        if string is None or string.is_key or not self._is_member():
            return
        untold = "".join(string.parts)
        if untold or (ended and not string.told):
            self._events.append(Piece(self._place(), untold))
            string.told.append(untold)
            string.parts.clear()

    def _is_member(self) -> bool:
        """Whether what is being read is told by itself: it is the top, or an object's member on the way."""
        holder = self._holder()
        return holder is None or (holder.streams and isinstance(holder.value, dict))

    def _take_key(self, key: str) -> None:
        container = self._stack[-1]
        if key in cast("JsonObject", container.value):
            raise NonsenseError(f"an object has the member {shown(key)} twice")
        container.key = key
        self._state = self._before_colon

    def _complete(self, value: Json) -> None:
        """Put a value that is whole where it belongs."""
        holder = self._holder()
        if holder is None:
            self.value = value
            self.ended = True
            self._state = self._after_all
            return
        self._state = self._after_value
        if isinstance(holder.value, dict):
            holder.value[holder.key] = value
        else:
            holder.value.append(value)
            if holder.streams:
                self._events.append(Item(holder.path, value))


def _unexpected(text: str, position: int, due: str) -> NonsenseError:
    return NonsenseError(f"{due} was due where it says {shown(text, position)}")


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
