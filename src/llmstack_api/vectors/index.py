"""The index: chunks as points of a vector store, searched by meaning, by words, or by both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from llmstack_api.vectors.embedding import Embedder
from llmstack_api.vectors.filters import Filter, condition_of
from llmstack_api.vectors.languages import Language
from llmstack_api.vectors.sparse import encode_query
from llmstack_api.vectors.store import Fusion, Hit, JsonObject, Point, Query, VectorStore

BUNDLED_WEIGHTS: Final = (0.55, 0.45)
"""Weights of meaning and words in the sum of scores, measured for the bundled static vectors."""
EQUAL_WEIGHTS: Final = (1.0, 1.0)
"""Weights of the ranks for a real embedding model."""
MIN_CANDIDATES: Final = 100
"""Hits of each half that are looked at at least: the same ones for every limit that users may set, to 100."""


class Mode(StrEnum):
    """How a search compares."""

    HYBRID = "hybrid"
    """By meaning and by words; `score` is their weighted sum, 0 to 1; that of their ranks with another model."""
    SEMANTIC = "semantic"
    """By meaning; `score` is the cosine of the vectors, -1 to 1."""
    KEYWORD = "keyword"
    """By words; `score` is BM25, from 0 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The points of one embedding model, and what makes its vectors."""

    collection: str
    dimension: int
    embedder: Embedder = field(repr=False)
    fusion: Fusion
    weights: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for."""

    query: str
    datasources: Sequence[UUID]
    limit: int
    mode: Mode = Mode.HYBRID
    filters: Filter | None = None
    min_score: float | None = None
    semantic_ratio: float | None = None
    """Weight of the half that compares by meaning, 0 to 1; None leaves the space's own weights."""
    language: Language = Language.AUTO
    """What the question is in, if that is known."""


class Index:
    """Chunks of every datasource; each method raises `VectorStoreAwayError` where the store is away."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    async def add(self, collection: str, points: Sequence[Point], *, dimension: int) -> None:
        """Store points; the collection is made if need be."""
        await self.store.ensure(collection, dimension=dimension)
        await self.store.upsert(collection, points)

    async def flush(self, collection: str) -> None:
        """Return once what was stored and removed survives a kill."""
        await self.store.flush(collection)

    async def remove_entries(self, collection: str, entries: Iterable[UUID]) -> None:
        """Remove all points of entries."""
        await self.store.delete(collection, {"must": [_any("entry_id", map(str, entries))]})

    async def remove_generations(self, collection: str, generations: Iterable[str]) -> None:
        """Remove the points of entries in the versions named."""
        await self.store.delete(collection, _of_generations(list(generations)))

    async def remove_other_generations(self, collection: str, generations: dict[UUID, str]) -> None:
        """Remove the points of entries in every version but the one named for each."""
        await self.store.delete(
            collection,
            {
                "must": [_any("entry_id", map(str, generations))],
                "must_not": [_any("generation", generations.values())],
            },
        )

    async def remove_datasource(self, collection: str, datasource_id: UUID) -> None:
        """Remove all points of a datasource."""
        await self.store.delete(collection, {"must": [_any("datasource_id", [str(datasource_id)])]})

    async def search(
        self,
        collection: str,
        wanted: Wanted,
        *,
        dense: list[float] | None,
        fusion: Fusion = Fusion.RANKS,
        weights: tuple[float, float] = EQUAL_WEIGHTS,
        without: Iterable[str] = (),
        passed: Iterable[str] = (),
    ) -> list[Hit]:
        """Return the best hits in the datasources, best first.

        `without` names generations that do not exist for this search, `passed` those that are left out of it only
        because they were found before: scores are as if they were in it.
        `dense` is the embedded query where the mode compares by meaning; `fusion` is for the hybrid mode.
        """
        ratio = wanted.semantic_ratio
        corpus: JsonObject = {"must": [_any("datasource_id", map(str, wanted.datasources))]}
        condition: JsonObject = {"must": list(corpus["must"])}
        if wanted.filters is not None:
            condition["must"].insert(0, condition_of(wanted.filters))
        scale: JsonObject | None = None
        if left_out := list(without):
            condition["must_not"] = [_of_generations(left_out)]
        if found_before := list(passed):
            scale = dict(condition)
            condition["must_not"] = [*condition.get("must_not", ()), _of_generations(found_before)]
        sparse = (
            None
            if wanted.mode == Mode.SEMANTIC or wanted.semantic_ratio == 1
            else encode_query(wanted.query, language=wanted.language)
        )
        if sparse is not None and not sparse.indices:
            sparse = None  # no word that counts
        if wanted.semantic_ratio == 0 and wanted.mode == Mode.HYBRID:
            dense = None  # a weight of zero would still let that half's hits in
        if sparse is None and dense is None:
            return []
        hits = await self.store.query(
            collection,
            Query(
                dense=dense,
                sparse=sparse,
                condition=condition,
                corpus=corpus,
                scale=scale,
                limit=wanted.limit,
                candidates=max(MIN_CANDIDATES, wanted.limit),
                fusion=fusion if wanted.mode == Mode.HYBRID else Fusion.NONE,
                weights=weights if ratio is None else (ratio, 1 - ratio),
            ),
        )
        return [hit for hit in hits if wanted.min_score is None or hit.score >= wanted.min_score]


def generation(entry_id: UUID, version: int) -> str:
    """Name the points of an entry in one version."""
    return f"{entry_id}:{version}"


def _of_generations(generations: Sequence[str]) -> JsonObject:
    """Select points by entry first, which is a lookup, and only then by version."""
    entries = {name.partition(":")[0] for name in generations}
    return {"must": [_any("entry_id", entries), _any("generation", generations)]}


def _any(key: str, values: Iterable[str]) -> JsonObject:
    return {"key": key, "match": {"any": list(values)}}
