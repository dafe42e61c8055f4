"""The embedded vector store: Qdrant Edge in this process, for one process alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import structlog

from llmstack_api.errors import LLMStackError, VectorStoreAwayError
from llmstack_api.vectors.edge_thread import EdgeThread, bounded
from llmstack_api.vectors.store import Hit, JsonObject, Point, Query

if TYPE_CHECKING:
    from llmstack_api.vectors.edge_folder import EdgeFolder
    from llmstack_api.vectors.edge_shard import Shard

BATCH: Final = 64
"""Points stored by one call, which everything else in the process waits for: some 3 ms."""

RESERVE: Final = 128 * 1024 * 1024
"""Bytes of the disk that are left to others: below, nothing more is stored."""

READ_WITHIN: Final = 10.0
"""Seconds that a search or a count may take."""

WRITE_WITHIN: Final = 60.0
"""Seconds that a batch, a deletion or a flush may take, the turns of others included."""

CLOSE_WITHIN: Final = 5.0

GIVEN_UP: Final = "Another process keeps the vectors now."

T = TypeVar("T")
_log: Any = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Flush:
    begun: bool = False
    done: Future[None] = field(default_factory=Future[None])


class EdgeStore:
    """A `VectorStore` that keeps each collection in a folder of its own below `folder`.

    Nothing is opened before it is needed. A disk with less than `reserve` bytes left is taken for full.
    """

    def __init__(
        self, folder: Path, *, reserve: int = RESERVE, admit: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`admit` is asked at every call, and raises where this process may not use the folder now."""
        self._path = folder
        self._admit = admit
        self._reserve = reserve
        self._opened: EdgeFolder | None = None
        self._given_up = False
        self._ready: set[str] = set()
        self._flushes: dict[str, _Flush] = {}
        self._compacting: set[str] = set()
        self._thread = EdgeThread()

    async def generation(self, collection: str) -> UUID | None:
        """Return what a collection's folder was given when it was made; None where there is no collection.

        Another one than before means that the collection was lost and is to be filled again.
        """

        def read() -> UUID | None:
            shard = self._folder().find(collection)
            return None if shard is None else shard.generation

        await self._admitted()
        return await self._thread.run(read, within=WRITE_WITHIN)

    async def ensure(self, collection: str, *, dimension: int) -> None:
        """Make the collection if need be."""
        if collection in self._ready:
            return
        await self._admitted()
        await self._thread.run(
            lambda: self._folder().make(collection, dimension=dimension), within=WRITE_WITHIN
        )
        self._ready.add(collection)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Store points; others have their turn between batches."""
        for start in range(0, len(points), BATCH):
            batch = points[start : start + BATCH]
            await self._write(
                collection, lambda shard, batch=batch: shard.upsert(batch, reserve=self._reserve)
            )

    async def flush(self, collection: str) -> None:
        """Bring the collection to the disk; callers that come meanwhile share the next flush."""
        await self._admitted()
        # One that has begun may have passed by what this caller stored.
        flush = self._flushes.get(collection)
        if flush is None or flush.begun:
            flush = _Flush()
            flush.done = self._thread.submit(partial(self._flush, collection, flush))
            self._flushes[collection] = flush
        # Shielded, because others may wait for the same one.
        await bounded(asyncio.shield(asyncio.wrap_future(flush.done)), within=WRITE_WITHIN)
        await self._admitted()  # or what is on the disk may be no longer what searches are answered from

    async def delete(self, collection: str, condition: JsonObject) -> None:
        """Delete the points that fulfil a condition."""

        def delete() -> bool:
            shard = self._folder().find(collection)
            if shard is None:
                return False
            shard.delete(condition)
            return shard.wants_compacting

        await self._admitted()
        if await self._thread.run(delete, within=WRITE_WITHIN) and collection not in self._compacting:
            self._compacting.add(collection)
            self._thread.submit(lambda: self._compact(collection))

    async def query(self, collection: str, query: Query) -> list[Hit]:
        """Return the best hits, best first."""
        hits = await self._read(collection, lambda shard: shard.query(query), [])
        # Equal scores come in the order of storage, which a restart may change.
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    async def count(self, collection: str, condition: JsonObject) -> int:
        """Count the points that fulfil a condition."""
        return await self._read(collection, lambda shard: shard.count(condition), 0)

    async def give_up(self) -> None:
        """Close the folder for another process, and refuse what waits; opened again once calls are admitted again.

        What fails, or takes too long, is logged.
        """
        self._given_up = True
        self._ready.clear()
        try:
            closing = asyncio.wrap_future(self._thread.submit(self._close))
        except VectorStoreAwayError:
            return  # closed already
        await asyncio.wait({closing}, timeout=CLOSE_WITHIN)
        error = closing.exception() if closing.done() and not closing.cancelled() else None
        if error is not None or not closing.done():
            _log.warning("vector_store_not_given_up", error=str(error or "it takes too long"))

    async def close(self) -> None:
        """Flush, close and give the folder back; what fails, or takes too long, is logged."""
        try:
            await self._thread.close(self._close, within=CLOSE_WITHIN)
        except LLMStackError as error:
            _log.warning("vector_store_not_flushed", error=str(error))

    # --- in the thread -------------------------------------------------------------------------------

    def _folder(self) -> "EdgeFolder":
        if self._given_up:
            raise VectorStoreAwayError(GIVEN_UP)
        if self._opened is None:
            from llmstack_api.vectors.edge_folder import EdgeFolder  # noqa: PLC0415 # slow to import, not always needed

            self._opened = EdgeFolder(self._path, reserve=self._reserve)
        return self._opened

    def _flush(self, collection: str, flush: "_Flush") -> None:
        flush.begun = True
        shard = self._folder().find(collection)
        if shard is not None:
            shard.flush()

    def _compact(self, collection: str) -> None:
        self._compacting.discard(collection)
        shard = self._folder().find(collection)
        if shard is not None and shard.wants_compacting:
            shard.compact(reserve=self._reserve)

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    # --- from the loop -------------------------------------------------------------------------------

    async def _read(self, collection: str, call: "Callable[[Shard], T]", missing: T) -> T:
        def read() -> T:
            shard = self._folder().find(collection)
            return missing if shard is None else call(shard)

        await self._admitted()
        return await self._thread.run(read, within=READ_WITHIN, urgent=True)

    async def _admitted(self) -> None:
        if self._admit is not None:
            await self._admit()
            self._given_up = False

    async def _write(self, collection: str, call: "Callable[[Shard], None]") -> None:
        def write() -> None:
            shard = self._folder().find(collection)
            if shard is None:
                self._ready.discard(collection)
                raise VectorStoreAwayError("The collection is gone; it will be made again.")
            call(shard)

        await self._admitted()
        await self._thread.run(write, within=WRITE_WITHIN)
