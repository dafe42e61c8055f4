"""The vector store on a Qdrant server, which several processes share."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmstack_api.errors import VectorStoreAwayError
from llmstack_api.vectors.store import Hit, JsonObject, Point, Query

if TYPE_CHECKING:
    from llmstack_api.vectors.qdrant_server import QdrantServer

READ_WITHIN: Final = 10.0
"""Seconds that one try of a search or a count may take."""

WRITE_WITHIN: Final = 30.0
"""Seconds that one try of a batch or a deletion may take."""


class QdrantStore:
    """A `VectorStore` at an address; the client is loaded, and connected, when it is first needed."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        read_within: float = READ_WITHIN,
        write_within: float = WRITE_WITHIN,
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._read_within = read_within
        self._write_within = write_within
        self._opening = asyncio.Lock()
        self._opened: QdrantServer | None = None
        self._closed = False

    async def ensure(self, collection: str, *, dimension: int) -> None:
        """Make the collection and its indexes if need be; several processes may at once."""
        await (await self._server()).ensure(collection, dimension=dimension)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Store points; they can be found, and survive a kill, when this returns."""
        await (await self._server()).upsert(collection, points)

    async def flush(self, collection: str) -> None:
        """Do nothing: the server logs each change before it answers."""

    async def delete(self, collection: str, condition: JsonObject) -> None:
        """Delete the points that fulfil a condition."""
        await (await self._server()).delete(collection, condition)

    async def query(self, collection: str, query: Query) -> list[Hit]:
        """Return the best hits, best first."""
        return await (await self._server()).query(collection, query)

    async def count(self, collection: str, condition: JsonObject) -> int:
        """Count the points that fulfil a condition."""
        return await (await self._server()).count(collection, condition)

    async def close(self) -> None:
        """Close the connections."""
        async with self._opening:
            self._closed = True
            if self._opened is not None:
                await self._opened.close()

    async def _server(self) -> "QdrantServer":
        if self._opened is None or self._closed:
            async with self._opening:
                if self._closed:
                    raise VectorStoreAwayError("The vector store is closed.")
                if self._opened is None:
                    self._opened = await asyncio.to_thread(self._open)  # its import takes a second and more
        return self._opened

    def _open(self) -> "QdrantServer":
        from llmstack_api.vectors.qdrant_server import QdrantServer  # noqa: PLC0415 # slow to import, not always needed

        return QdrantServer(
            self._url, self._api_key, read_within=self._read_within, write_within=self._write_within
        )
