"""Points and queries that are short to write."""

from typing import Any
from uuid import UUID

from llmstack_api.vectors.store import Fusion, JsonObject, Point, Query, SparseVector

DIMENSION = 4
EVERYTHING: JsonObject = {}


def point(
    number: int,
    *,
    dense: list[float] | None = None,
    terms: dict[int, float] | None = None,
    datasource: str = "a",
    **payload: Any,
) -> Point:
    terms = {1: 1.0} if terms is None else terms
    return Point(
        id=UUID(int=number),
        dense=dense or [1.0, 0.0, 0.0, number / 1000],
        sparse=SparseVector(list(terms), list(terms.values())),
        payload={"datasource_id": datasource} | payload,
    )


def query(
    *,
    dense: list[float] | None = None,
    terms: list[int] | None = None,
    condition: JsonObject | None = None,
    corpus: JsonObject | None = None,
    limit: int = 10,
    candidates: int = 50,
    weights: tuple[float, float] = (1.0, 1.0),
    fusion: Fusion = Fusion.NONE,
) -> Query:
    condition = EVERYTHING if condition is None else condition
    return Query(
        dense=dense,
        sparse=None if terms is None else SparseVector(terms, [1.0] * len(terms)),
        condition=condition,
        corpus=condition if corpus is None else corpus,
        limit=limit,
        candidates=candidates,
        weights=weights,
        fusion=Fusion.RANKS if fusion is Fusion.NONE and dense is not None and terms is not None else fusion,
    )


def match(key: str, value: str | int) -> JsonObject:
    return {"key": key, "match": {"value": value}}


def of(datasource: str) -> JsonObject:
    return {"must": [match("datasource_id", datasource)]}
