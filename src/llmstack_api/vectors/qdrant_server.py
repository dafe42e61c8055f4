"""What is asked of a Qdrant server, over its REST API."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from qdrant_client import models

from llmstack_api.errors import VectorStoreAwayError
from llmstack_api.vectors.fusion import best_of, fuse
from llmstack_api.vectors.qdrant_calls import (
    ExistingCollectionError,
    MissingCollectionError,
    call,
    open_client,
)
from llmstack_api.vectors.qdrant_query import (
    to_batch,
    to_best,
    to_filter,
    to_fusion,
    to_halves,
    to_points,
    to_scores,
)
from llmstack_api.vectors.store import DENSE, KEYWORD_FIELDS, SPARSE, Fusion, Hit, JsonObject, Point, Query

BATCH: Final = 64
"""Points in one request: to translate them holds the loop for some 5 ms."""

IN_FLIGHT: Final = 2
"""Batches that this process has under way at once."""

UPSERT_WITHIN: Final = 300.0
"""Seconds that all batches of one caller may take, the turns of others included."""

CLOSE_WITHIN: Final = 5.0

PAYLOAD_LINKS: Final = 16
"""Links of a point to others of its datasource, beside those of the graph over all points."""


class QdrantServer:
    """A Qdrant server at an address; each try of a call takes so many seconds at most."""

    def __init__(self, url: str, api_key: str | None, *, read_within: float, write_within: float) -> None:
        self._client = open_client(url, api_key)
        self._read_within = read_within
        self._write_within = write_within
        self._ready: set[str] = set()
        self._making = asyncio.Lock()
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def ensure(self, collection: str, *, dimension: int) -> None:
        """Make the collection and its indexes if need be; several processes may at once."""
        if collection not in self._ready:
            async with self._making:
                if collection not in self._ready:
                    await self._make(collection, dimension)
                    self._ready.add(collection)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Store points in batches, two of which are under way at once over all callers."""
        try:
            async with asyncio.timeout(UPSERT_WITHIN):
                for start in range(0, len(points), BATCH):
                    async with self._slots:
                        await self._store(collection, points[start : start + BATCH])
        except TimeoutError:
            raise VectorStoreAwayError("The Qdrant server is slow.") from None
        except MissingCollectionError:
            self._ready.discard(collection)
            raise VectorStoreAwayError("The collection is gone; it will be made again.") from None

    async def delete(self, collection: str, condition: JsonObject) -> None:
        """Delete the points that fulfil a condition."""
        selector = models.FilterSelector(filter=to_filter(condition))
        with suppress(MissingCollectionError):
            await self._update(lambda: self._client.delete(collection, selector))

    async def query(self, collection: str, query: Query) -> list[Hit]:
        """Return the best hits, best first."""
        try:
            best = dict(
                await (self._fused if query.fusion is Fusion.SCORES else self._found)(collection, query)
            )
            payloads = await self._payloads(collection, best)
        except MissingCollectionError:
            return []
        # One that was removed since has none.
        return [Hit(id_, score, payloads[id_]) for id_, score in best.items() if id_ in payloads]

    async def _found(self, collection: str, query: Query) -> list[tuple[UUID, float]]:
        """Search by one half, or by the ranks of both; of all candidates, as equal scores come in any order."""
        halves = to_halves(query)
        alone = halves[0] if query.fusion is Fusion.NONE else None
        candidates = query.candidates if alone else 2 * query.candidates
        answer = await call(
            lambda: self._client.query_points(
                collection,
                query=alone.query if alone else to_fusion(query),
                using=alone.using if alone else None,
                query_filter=alone.filter if alone else None,
                search_params=alone.params if alone else None,
                prefetch=None if alone else halves,
                limit=max(query.limit, candidates),
                with_payload=False,
            ),
            within=self._read_within,
        )
        return best_of(to_scores(answer.points), query.limit)

    async def _fused(self, collection: str, query: Query) -> list[tuple[UUID, float]]:
        """Sum the scores of both halves; what meaning alone brought counts no BM25, which would be a request more."""
        batch = to_batch(query)
        scale = None if query.sparse is None else query.scale
        if scale is not None:
            batch.append(to_best(query, scale))
        found = await self._scores(collection, batch)
        best = {} if scale is None else found.pop()
        words = {} if query.sparse is None else found[0] if query.dense is None else found[1]
        cosines = dict.fromkeys(words, 0.0) if query.dense is None else found[0] | found[-1]
        return fuse(
            cosines, words, weights=query.weights, limit=query.limit, best=max(best.values(), default=None)
        )

    async def _scores(self, collection: str, batch: list[models.QueryRequest]) -> list[dict[UUID, float]]:
        answers = await call(
            lambda: self._client.query_batch_points(collection, batch), within=self._read_within
        )
        return [to_scores(answer.points) for answer in answers]

    async def _payloads(self, collection: str, found: Iterable[UUID]) -> dict[UUID, JsonObject]:
        ids = [str(id_) for id_ in found]
        if not ids:
            return {}
        records = await call(
            lambda: self._client.retrieve(collection, ids, with_payload=True), within=self._read_within
        )
        return {UUID(str(record.id)): record.payload or {} for record in records}

    async def count(self, collection: str, condition: JsonObject) -> int:
        """Count the points that fulfil a condition."""
        filter_ = to_filter(condition)
        try:
            answer = await call(
                lambda: self._client.count(collection, filter_, exact=True), within=self._read_within
            )
        except MissingCollectionError:
            return 0
        return answer.count

    async def close(self) -> None:
        """Close the connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._client.close()

    async def _make(self, collection: str, dimension: int) -> None:
        exists = await call(lambda: self._client.collection_exists(collection), within=self._read_within)
        if not exists:
            with suppress(ExistingCollectionError):  # another process was faster
                await self._create(collection, dimension)
        for name in KEYWORD_FIELDS:
            index = models.KeywordIndexParams(
                type=models.KeywordIndexType.KEYWORD, is_tenant=name == KEYWORD_FIELDS[0]
            )
            await self._update(
                lambda name=name, index=index: self._client.create_payload_index(collection, name, index)
            )

    async def _create(self, collection: str, dimension: int) -> None:
        dense = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
        await call(
            lambda: self._client.create_collection(
                collection,
                vectors_config={DENSE: dense},
                sparse_vectors_config={SPARSE: sparse},
                hnsw_config=models.HnswConfigDiff(payload_m=PAYLOAD_LINKS),
            ),
            within=self._write_within,
        )

    async def _store(self, collection: str, points: Sequence[Point]) -> None:
        structs = to_points(points)
        await self._update(lambda: self._client.upsert(collection, structs))

    async def _update(self, attempt: Callable[[], Awaitable[models.UpdateResult]]) -> None:
        """Make a change and see that it is done, not only noted."""
        result = await call(attempt, within=self._write_within)
        if result.status != models.UpdateStatus.COMPLETED:
            raise VectorStoreAwayError(f"The Qdrant server did not finish a change ({result.status}).")
