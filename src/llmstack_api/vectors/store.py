"""The port of a vector store: what the index asks of Qdrant, in process or as a server.

Conditions are Qdrant's own JSON (`{"must": [...], "should": [...], "must_not": [...]}`), so that one
translation of a filter serves both engines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

JsonObject = dict[str, Any]

DENSE: Final = "dense"
"""Name of the dense vector of a point."""

SPARSE: Final = "sparse"
"""Name of the sparse vector of a point; its collection weighs it by IDF."""

KEYWORD_FIELDS: Final = ("datasource_id", "entry_id", "flags")
"""Payload fields that every collection indexes as keywords; `datasource_id` is its tenant key."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Terms and their weights; indices are unique 32-bit hashes."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk in a collection."""

    id: UUID
    dense: list[float]
    sparse: SparseVector
    payload: JsonObject


class Fusion(StrEnum):
    """How the halves of a search, by the dense and by the sparse vector, become one."""

    NONE = "none"
    """There is one half only, whose scores stay as they are."""
    SCORES = "scores"
    """Weighted sum of cosine and BM25, as `fusion.fuse` has it."""
    RANKS = "ranks"
    """Weighted sum of reciprocal ranks, with `RRF_K`."""


RRF_K: Final = 2
"""Added to each rank before it is divided by: the smaller, the more the first ranks count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One search, by one vector or by two."""

    dense: list[float] | None
    sparse: SparseVector | None
    condition: JsonObject
    """What every hit fulfils; applied inside the index, to each half."""
    corpus: JsonObject
    """Condition of the points over which IDF is counted."""
    scale: JsonObject | None = None
    """Condition of the points whose best BM25 counts 1 in a sum of scores; None is `condition`."""
    limit: int
    candidates: int
    """Hits of each half that are fused."""
    fusion: Fusion
    weights: tuple[float, float]
    """Of the dense and of the sparse half."""

    @property
    def weights_of_halves(self) -> list[float]:
        """The weights of those halves that there are."""
        dense, sparse = self.weights
        return [dense] * (self.dense is not None) + [sparse] * (self.sparse is not None)


@dataclass(frozen=True, slots=True)
class Hit:
    """A point that was found; `score` is cosine (dense), BM25 (sparse) or the fused score."""

    id: UUID
    score: float
    payload: JsonObject = field(repr=False)


class VectorStore(Protocol):
    """Holds collections of points.

    Every method is bounded in time and raises `VectorStoreAwayError` where the store does not answer or is busy,
    and is safe to repeat: a point is its id. A collection that does not exist answers searches with no hits.
    """

    async def ensure(self, collection: str, *, dimension: int) -> None:
        """Make the collection (cosine, IDF on the sparse vector) and its payload indexes, if need be."""
        ...

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Store points, in batches that the store takes; they can be found when this returns."""
        ...

    async def flush(self, collection: str) -> None:
        """Return once everything that was stored or deleted before survives a kill."""
        ...

    async def delete(self, collection: str, condition: JsonObject) -> None:
        """Delete the points that fulfil a condition."""
        ...

    async def query(self, collection: str, query: Query) -> list[Hit]:
        """Return the best hits, best first."""
        ...

    async def count(self, collection: str, condition: JsonObject) -> int:
        """Count the points that fulfil a condition, exactly."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...
