"""Where output keys collect their chunks: coalesced for one reader, stitched for the record."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

from llmstack_api.engine.ports import Json, JsonObject

HIGH_WATER = 256 * 1024
"""Bytes of unread output above which producers wait for the reader."""

_ELEMENT_SIZE = 64
"""Rough size of a JSON element, counted against the high-water mark."""


class Sink:
    """Chunks by output key. Producers put without waiting and then ask for `room`; one reader takes."""

    def __init__(self, *, read: bool, high_water: int = HIGH_WATER) -> None:
        """With `read` false nobody takes: chunks are only stitched and producers never wait."""
        self._read = read
        self._high_water = high_water
        self._pending: dict[str, list[Json] | _Whole] = {}
        self._texts: set[str] = set()
        self._stitched: dict[str, list[Json] | _Whole] = {}
        self._size = 0
        self._closed = False
        self._reader: asyncio.Future[None] | None = None
        self._producers: list[asyncio.Future[None]] = []

    @property
    def full(self) -> bool:
        """Whether the unread output is over the high-water mark."""
        return self._size > self._high_water

    def text(self, key: str, chunk: str) -> None:
        """Append to the string of a key; the empty chunk only makes the key exist."""
        self._texts.add(key)
        self._append(key, (chunk,), len(chunk))

    def items(self, key: str, elements: list[Json]) -> None:
        """Append elements to the array of a key."""
        self._append(key, elements, _ELEMENT_SIZE * len(elements))

    def value(self, key: str, value: Json) -> None:
        """Set a key whole: strings and arrays by their chunks, anything else once."""
        if isinstance(value, str):
            self.text(key, value)
        elif isinstance(value, list):
            self.items(key, cast("list[Json]", value))
        else:
            self._stitched[key] = _Whole(value)
            if self._read:
                self._pending[key] = _Whole(value)
                self._size += _ELEMENT_SIZE
                self._wake()

    def has(self, key: str) -> bool:
        """Tell whether anything was put under a key."""
        return key in self._stitched

    def close(self) -> None:
        """No more chunks will come."""
        self._closed = True
        self._wake()
        self._release()

    def poke(self) -> None:
        """Make a waiting `take` return with what there is, be it nothing."""
        self._wake()

    async def room(self) -> None:
        """Wait until the reader has caught up."""
        while self.full and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._producers.append(waiter)
            await waiter

    async def take(self) -> JsonObject | None:
        """Return all unread chunks, one a key; wait while there are none; None at the end.

        An empty dict means that `poke` was called.
        """
        if not self._pending:
            if self._closed:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
            if not self._pending:
                return None if self._closed else {}
        pending, self._pending = self._pending, {}
        self._size = 0
        self._release()
        return self._joined(pending)

    def output(self, keys: Iterable[str]) -> JsonObject:
        """Return what all chunks stitch to, in the given order of keys; absent keys are left out."""
        joined = self._joined(self._stitched)
        return {key: joined[key] for key in keys if key in joined}

    def _append(self, key: str, elements: Iterable[Json], size: int) -> None:
        _extend(self._stitched, key, elements)
        if self._read:
            _extend(self._pending, key, elements)
            self._size += size
            self._wake()

    def _joined(self, chunks: Mapping[str, "list[Json] | _Whole"]) -> JsonObject:
        return {
            key: chunk.value
            if isinstance(chunk, _Whole)
            else "".join(cast("list[str]", chunk))
            if key in self._texts
            else chunk
            for key, chunk in chunks.items()
        }

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _release(self) -> None:
        for waiter in self._producers:
            if not waiter.done():
                waiter.set_result(None)
        self._producers.clear()


class _Whole:
    """A value that arrives whole."""

    __slots__ = ("value",)

    def __init__(self, value: Json) -> None:
        self.value = value


def _extend(chunks: dict[str, "list[Json] | _Whole"], key: str, elements: Iterable[Json]) -> None:
    parts = chunks.get(key)
    if isinstance(parts, list):
        parts.extend(elements)
    else:
        chunks[key] = list(elements)
