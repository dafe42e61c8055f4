"""A small Edge shard that answers which of its payloads a condition finds."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import qdrant_edge as edge

from llmstack_api.vectors.edge_query import to_filter
from llmstack_api.vectors.filters import FLAGS, Filter, JsonObject, condition_of, flags_of

_VECTOR: dict[str, list[float] | edge.SparseVector | list[list[float]]] = {"only": [1.0, 0.0]}


class Shard:
    """Points numbered from 0; storing payloads again replaces the first ones."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard

    def store(self, payloads: Sequence[JsonObject]) -> None:
        points = [
            edge.Point(number, _VECTOR, {**payload, FLAGS: flags_of(payload)})
            for number, payload in enumerate(payloads)
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(points))

    def found(self, wanted: Filter, *, of: int) -> set[int]:
        """Return which of the first `of` points the filter's condition finds."""
        condition = orjson.loads(orjson.dumps(condition_of(wanted)))
        among = edge.HasIdCondition(set(range(of)))
        request = edge.ScrollRequest(limit=of, filter=edge.Filter(must=[to_filter(condition), among]))
        records, _ = self._shard.scroll(request)
        return {int(record.id) for record in records}  # pyright: ignore[reportArgumentType] # only numbers here


@contextmanager
def open_shard(path: Path) -> Generator[Shard]:
    """Make an empty shard in a folder."""
    path.mkdir()
    vectors = {"only": edge.EdgeVectorParams(size=2, distance=edge.Distance.Cosine)}
    shard = edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors=vectors, max_search_threads=1))
    keyword = edge.PayloadSchemaType.Keyword
    shard.update(edge.UpdateOperation.create_field_index(FLAGS, keyword))
    try:
        yield Shard(shard)
    finally:
        shard.close()
