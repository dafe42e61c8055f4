"""The port's points, queries and conditions in the Qdrant client's models; each is validated by them."""

from collections.abc import Sequence
from uuid import UUID

from qdrant_client import models

from llmstack_api.vectors.store import DENSE, RRF_K, SPARSE, JsonObject, Point, Query, SparseVector


def to_points(points: Sequence[Point]) -> list[models.PointStruct]:
    """Translate points; takes some 40 us each, and as much again to be sent."""
    return [
        models.PointStruct(
            id=str(point.id),
            vector={DENSE: point.dense, SPARSE: _sparse(point.sparse)},
            payload=point.payload,
        )
        for point in points
    ]


def to_filter(condition: JsonObject) -> models.Filter:
    """Translate a condition; pydantic.ValidationError where it is none of Qdrant's."""
    return models.Filter.model_validate(condition)


def to_halves(query: Query) -> list[models.Prefetch]:
    """Translate the searches of which one stands alone and two are fused, each with its own condition."""
    condition = to_filter(query.condition)
    halves: list[models.Prefetch] = []
    if query.dense is not None:
        halves.append(
            models.Prefetch(query=query.dense, using=DENSE, filter=condition, limit=query.candidates)
        )
    if query.sparse is not None:
        corpus = models.SearchParams(idf=models.IdfCorpusParams(corpus=to_filter(query.corpus)))
        halves.append(
            models.Prefetch(
                query=_sparse(query.sparse),
                using=SPARSE,
                filter=condition,
                params=corpus,
                limit=query.candidates,
            )
        )
    if not halves:
        raise ValueError("A query needs a vector.")
    return halves


def to_batch(query: Query) -> list[models.QueryRequest]:
    """Translate a search whose scores are summed: its halves, then the cosines of what its words find."""
    halves = to_halves(query)
    requests = [
        models.QueryRequest(
            query=half.query,
            using=half.using,
            filter=half.filter,
            params=half.params,
            limit=query.candidates,
            with_payload=False,
        )
        for half in halves
    ]
    if len(halves) > 1:
        cosines = models.QueryRequest(
            prefetch=halves[1],
            query=halves[0].query,
            using=DENSE,
            limit=query.candidates,
            with_payload=False,
        )
        requests.append(cosines)
    return requests


def to_best(query: Query, condition: JsonObject) -> models.QueryRequest:
    """Ask for the best BM25 under a condition."""
    half = to_halves(query)[-1]
    return models.QueryRequest(
        query=half.query,
        using=half.using,
        filter=to_filter(condition),
        params=half.params,
        limit=1,
        with_payload=False,
    )


def to_scores(points: Sequence[models.ScoredPoint]) -> dict[UUID, float]:
    """Translate points that were found without their payload."""
    return {UUID(str(point.id)): point.score for point in points}


def to_fusion(query: Query) -> models.RrfQuery:
    """Say how the ranks of the halves become one."""
    return models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=query.weights_of_halves))


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices, values=vector.values)
