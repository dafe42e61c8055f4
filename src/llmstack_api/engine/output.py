"""What one step has emitted so far, field by field, and those who wait for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import FieldPath
from llmstack_api.errors import RunError

_UNSET = object()


class Receiver(Protocol):
    """Takes a field as it comes: text or elements in chunks, or one whole value."""

    def text(self, chunk: str) -> None:
        """Take more of a string."""
        ...

    def items(self, elements: list[Json]) -> None:
        """Take more elements of an array."""
        ...

    def value(self, value: Json) -> None:
        """Take the whole value."""
        ...


class _Follower:
    """One who follows a stream. What its receiver raises is its own failure, not the producer's."""

    __slots__ = ("failure", "receiver")

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.failure: RunError | None = None


class _Stream:
    """A string or an array that grows."""

    __slots__ = ("followers", "is_text", "parts")

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text
        self.parts: list[Json] = []
        self.followers: list[_Follower] = []

    def joined(self) -> Json:
        return "".join(cast("list[str]", self.parts)) if self.is_text else list(self.parts)


class StepOutput:
    """The output document of one step while it grows.

    A reader of a field waits until that field is whole: a value when it is set, a stream when the step ends.
    A step that failed and is tolerated gives null to those who read values; a follower keeps what it got.
    """

    def __init__(self, aliases: Mapping[FieldPath, FieldPath] | None = None) -> None:
        self._aliases = aliases or {}
        self._streams: dict[FieldPath, _Stream] = {}
        self._values: dict[FieldPath, Json] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._document: JsonObject | None = None
        self._failed = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._document is not None

    # --- the writing side

    def append_text(self, path: FieldPath, chunk: str) -> None:
        """Append to the string at a path."""
        stream = self._streams.get(path) or self._open(path, is_text=True)
        stream.parts.append(chunk)
        for follower in stream.followers:
            try:
                follower.receiver.text(chunk)
            except RunError as error:
                self._drop(follower, error)

    def append_item(self, path: FieldPath, element: Json) -> None:
        """Append to the array at a path."""
        stream = self._streams.get(path) or self._open(path, is_text=False)
        stream.parts.append(element)
        for follower in stream.followers:
            try:
                follower.receiver.items([element])
            except RunError as error:
                self._drop(follower, error)

    def set(self, path: FieldPath, value: Json) -> None:
        """Set the value at a path, whole."""
        self._values[path] = value
        self._wake()

    def end(self, *, failed: bool = False) -> None:
        """Nothing more will come; every waiting reader gets what there is."""
        self._failed = failed
        self._document = self.document()
        self._wake()

    def _drop(self, follower: _Follower, error: RunError) -> None:
        follower.failure = follower.failure or error
        self._wake()

    def _open(self, path: FieldPath, *, is_text: bool) -> _Stream:
        stream = self._streams[path] = _Stream(is_text=is_text)
        self._wake()
        return stream

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    # --- the reading side

    async def read(self, path: FieldPath) -> Json:
        """Wait for the value at a path and return it; None where there is nothing."""
        path = self._resolved(path)
        while True:
            if self._document is not None:
                return None if self._failed else lookup(self._document, path)
            value = self._set_value(path)
            if value is not _UNSET:
                return value
            await self._change()

    async def follow(self, path: FieldPath, receiver: Receiver) -> None:
        """Hand the field at a path over as it grows; return when it is whole.

        Raises:
            RunError: what the receiver raised.
        """
        path = self._resolved(path)
        while True:
            stream = self._streams.get(path)
            if stream is not None:
                await self._follow(stream, receiver)
                return
            if self._document is not None:
                receiver.value(None if self._failed else lookup(self._document, path))
                return
            value = self._set_value(path)
            if value is not _UNSET:
                receiver.value(value)
                return
            await self._change()

    async def _follow(self, stream: _Stream, receiver: Receiver) -> None:
        if stream.parts:
            if stream.is_text:
                receiver.text(stream.joined())
            else:
                receiver.items(stream.joined())
        if self.ended:
            return
        follower = _Follower(receiver)
        stream.followers.append(follower)
        try:
            while not self.ended and follower.failure is None:
                await self._change()
        finally:
            stream.followers.remove(follower)
        if follower.failure is not None:
            raise follower.failure

    async def _change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _set_value(self, path: FieldPath) -> Json:
        for length in range(len(path), 0, -1):
            value = self._values.get(path[:length], _UNSET)
            if value is not _UNSET:
                return lookup(value, path[length:])
        return _UNSET

    def _resolved(self, path: FieldPath) -> FieldPath:
        for alias, target in self._aliases.items():
            if path[: len(alias)] == alias:
                return target + path[len(alias) :]
        return path

    def document(self) -> JsonObject:
        """Return everything emitted so far as one object."""
        document: JsonObject = {}
        for path, value in self._values.items():
            _insert(document, path, value)
        for path, stream in self._streams.items():
            _insert(document, path, stream.joined())
        for alias, target in self._aliases.items():
            repeated = lookup(document, target)
            if repeated is not None:
                _insert(document, alias, repeated)
        return document


def lookup(value: Json, path: Sequence[str | int]) -> Json:
    """Follow a path into a JSON value as Liquid does; None where it leads nowhere."""
    for segment in path:
        value = _step_into(value, segment)
        if value is None:
            return None
    return value


_ENDS: Mapping[str, Callable[[Sequence[Json]], Json]] = {
    "size": len,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
}


def _step_into(value: Json, segment: str | int) -> Json:
    if isinstance(value, dict):
        mapping = cast("JsonObject", value)
        if segment in mapping:
            return mapping[segment]
        return len(mapping) if segment == "size" else None
    if isinstance(value, list):
        values = cast("list[Json]", value)
        if isinstance(segment, int):
            return values[segment] if -len(values) <= segment < len(values) else None
        end = _ENDS.get(segment)
        return end(values) if end else None
    if isinstance(value, str) and segment == "size":
        return len(value)
    return None


def _insert(document: JsonObject, path: FieldPath, value: Json) -> None:
    """Set a value deep inside; lists grow with nulls up to the index."""
    here: Json = document
    for position, segment in enumerate(path[:-1]):
        nested: Json = [] if isinstance(path[position + 1], int) else {}
        here = _enter(here, segment, nested)
    _enter(here, path[-1], value, replace=True)


def _enter(container: Json, segment: str | int, default: Json, *, replace: bool = False) -> Json:
    if isinstance(segment, int):
        values = cast("list[Json]", container)
        values.extend([None] * (segment + 1 - len(values)))
        if replace or values[segment] is None:
            values[segment] = default
        return values[segment]
    mapping = cast("JsonObject", container)
    if replace or mapping.get(segment) is None:
        mapping[segment] = default
    return mapping[segment]
