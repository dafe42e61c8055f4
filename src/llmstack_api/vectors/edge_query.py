"""The port's points, queries and conditions in Qdrant Edge's own types.

Conditions are Qdrant's JSON; what is not translated here raises ValueError, so that no part of a filter is lost.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias, cast
from uuid import UUID

import qdrant_edge as qe

from llmstack_api.vectors.store import (
    DENSE,
    RRF_K,
    SPARSE,
    Fusion,
    JsonObject,
    Point,
    Query,
    SparseVector,
)

_Condition: TypeAlias = (
    qe.FieldCondition
    | qe.IsEmptyCondition
    | qe.IsNullCondition
    | qe.HasIdCondition
    | qe.HasVectorCondition
    | qe.NestedCondition
    | qe.Filter
)
_Match: TypeAlias = qe.MatchValue | qe.MatchAny | qe.MatchExcept | qe.MatchSubstring | qe.MatchPrefix

_GROUPS = frozenset({"must", "should", "must_not"})
_RANGE = frozenset({"gt", "gte", "lt", "lte"})


def to_points(points: Sequence[Point]) -> list[qe.Point]:
    """Translate points; takes some 60 us each."""
    return [
        qe.Point(point.id, {DENSE: point.dense, SPARSE: _sparse(point.sparse)}, point.payload)
        for point in points
    ]


def to_request(query: Query) -> qe.QueryRequest:
    """Ask for ids and scores: of one half by itself, or of both with their ranks fused.

    Of all candidates, as those that score the same come in any order.
    """
    halves = _halves(query)
    if query.fusion is Fusion.NONE:
        vector, condition, params = halves[0]
        return qe.QueryRequest(
            limit=max(query.limit, query.candidates), query=vector, filter=condition, params=params
        )
    return qe.QueryRequest(
        limit=max(query.limit, 2 * query.candidates),
        prefetches=[
            qe.Prefetch(limit=query.candidates, query=vector, filter=condition, params=params)
            for vector, condition, params in halves
        ],
        query=cast("qe.Fusion", qe.Fusion.Rrf(k=RRF_K, weights=query.weights_of_halves)),
    )


def to_halves(query: Query) -> qe.QueryBatchRequest:
    """Translate the halves of a search to requests of ids and scores alone."""
    return qe.QueryBatchRequest(
        [
            qe.QueryRequest(limit=query.candidates, query=vector, filter=condition, params=params)
            for vector, condition, params in _halves(query)
        ]
    )


def to_cosines(dense: list[float], ids: AbstractSet[UUID]) -> qe.QueryRequest:
    """Ask for the cosines of points."""
    return qe.QueryRequest(limit=len(ids), query=qe.Query.Nearest(dense, DENSE), filter=_among(ids))


def to_best(query: Query, condition: JsonObject) -> qe.QueryRequest:
    """Ask for the best BM25 under a condition."""
    sparse, _, corpus = _halves(query)[-1]
    return qe.QueryRequest(limit=1, query=sparse, filter=to_filter(condition), params=corpus)


def to_scores(points: Sequence[qe.ScoredPoint]) -> dict[UUID, float]:
    """Translate points that were found without their payload; ours have UUIDs for ids."""
    return {cast("UUID", point.id): point.score for point in points}


def to_payloads(records: Sequence[qe.Record]) -> dict[UUID, JsonObject]:
    """Translate points that were asked for by their ids."""
    return {cast("UUID", record.id): record.payload or {} for record in records}


def to_filter(condition: JsonObject) -> qe.Filter:
    """Translate a condition.

    Raises:
        ValueError: it has something that Edge cannot be asked, or answers wrongly (booleans).
    """
    unknown = condition.keys() - _GROUPS
    if unknown:
        raise ValueError(f"Unknown in a condition: {', '.join(sorted(unknown))}.")
    groups = {name: _conditions(condition.get(name)) for name in _GROUPS}
    return qe.Filter(must=groups["must"], should=groups["should"], must_not=groups["must_not"])


def _among(ids: AbstractSet[UUID]) -> qe.Filter:
    return qe.Filter(must=[qe.HasIdCondition(set(ids))])


def _halves(query: Query) -> list[tuple[qe.Query, qe.Filter, qe.SearchParams | None]]:
    condition = to_filter(query.condition)
    halves: list[tuple[qe.Query, qe.Filter, qe.SearchParams | None]] = []
    if query.dense is not None:
        halves.append((qe.Query.Nearest(query.dense, DENSE), condition, None))
    if query.sparse is not None:
        corpus = qe.SearchParams(idf=qe.IdfParams(corpus=to_filter(query.corpus)))
        halves.append((qe.Query.Nearest(_sparse(query.sparse), SPARSE), condition, corpus))
    if not halves:
        raise ValueError("A query needs a vector.")
    return halves


def _sparse(vector: SparseVector) -> qe.SparseVector:
    return qe.SparseVector(vector.indices, vector.values)


def _conditions(given: Any) -> list[_Condition] | None:  # noqa: ANN401 # JSON
    if given is None:
        return None
    # Qdrant takes one condition for a list of one.
    return [_one(one) for one in (cast("list[JsonObject]", given) if isinstance(given, list) else [given])]


def _one(condition: JsonObject) -> _Condition:
    names = condition.keys()
    if names <= _GROUPS:
        return to_filter(condition)
    if names == {"key", "match"}:
        return qe.FieldCondition(condition["key"], match=_match(condition["match"]))
    if names == {"key", "range"}:
        return qe.FieldCondition(condition["key"], range=_range(condition["range"]))
    if names == {"is_empty"} and condition["is_empty"].keys() == {"key"}:
        return qe.IsEmptyCondition(condition["is_empty"]["key"])
    if names == {"is_null"} and condition["is_null"].keys() == {"key"}:
        return qe.IsNullCondition(condition["is_null"]["key"])
    if names == {"has_id"}:
        return qe.HasIdCondition({UUID(str(one)) for one in condition["has_id"]})
    raise ValueError(f"Unknown condition: {', '.join(sorted(names))}.")


def _match(match: JsonObject) -> _Match:
    match match:
        case {"value": str() | int() as value} if len(match) == 1 and not isinstance(value, bool):
            return qe.MatchValue(value)
        case {"any": [*values]} if len(match) == 1:
            return qe.MatchAny(_keywords(values))
        case {"except": [*values]} if len(match) == 1:
            return qe.MatchExcept(_keywords(values))
        case {"substring": str(text)} if len(match) == 1:
            return qe.MatchSubstring(text)
        case {"prefix": str(text)} if len(match) == 1:
            return qe.MatchPrefix(text)
        case _:
            raise ValueError(f"Unknown match, or a value that it cannot take: {sorted(match)}.")


def _keywords(values: list[Any]) -> list[str] | list[int]:
    if all(isinstance(value, str) for value in values):
        return values
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return values
    raise ValueError("A list to match has either strings or integers.")


def _range(bounds: JsonObject) -> qe.RangeFloat:
    if bounds.keys() - _RANGE or any(
        isinstance(bound, bool) or not isinstance(bound, int | float) for bound in bounds.values()
    ):
        raise ValueError("A range has numbers.")
    return qe.RangeFloat(**bounds)
