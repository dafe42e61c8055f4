"""A small index of passages that tests search as the service does."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from llmstack_api.vectors.bundled import BundledEmbedder
from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.index import BUNDLED_WEIGHTS, Index, Mode, Wanted
from llmstack_api.vectors.sparse import encode_passage
from llmstack_api.vectors.store import Fusion, Point, SparseVector

DATASOURCE = UUID(int=1)


@dataclass(frozen=True)
class Searching:
    """Passages with their contexts, and searches that return their numbers."""

    index: Index
    embedder: BundledEmbedder
    collection: str

    async def ranked(self, query: str, *, mode: Mode = Mode.HYBRID, limit: int = 10) -> list[int]:
        wanted = Wanted(query=query, datasources=[DATASOURCE], limit=limit, mode=mode)
        dense = None if mode is Mode.KEYWORD else await self.embedder.embed_query(query)
        hits = await self.index.search(
            self.collection, wanted, dense=dense, fusion=Fusion.SCORES, weights=BUNDLED_WEIGHTS
        )
        return [hit.payload["n"] for hit in hits]


@asynccontextmanager
async def searching(
    folder: Path, found: Sequence[tuple[str, str]], *, words: Sequence[SparseVector] | None = None
) -> AsyncGenerator[Searching]:
    """Index passages, each a text and its context; `words` in place of the vectors that they would have."""
    store = EdgeStore(folder)
    index, embedder = Index(store), BundledEmbedder()
    try:
        dense = await embedder.embed_passages([text for text, _ in found], [around for _, around in found])
        sparse = words or [encode_passage(text, around) for text, around in found]
        points = [
            Point(UUID(int=n), vector, terms, {"datasource_id": str(DATASOURCE), "n": n})
            for n, (vector, terms) in enumerate(zip(dense, sparse, strict=True))
        ]
        await index.add("relevance", points, dimension=await embedder.dimension())
        yield Searching(index, embedder, "relevance")
    finally:
        await store.close()
