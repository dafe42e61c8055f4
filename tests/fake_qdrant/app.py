"""The routes; requests and answers are checked against the models of Qdrant's OpenAPI document."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from qdrant_client.http import models
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.store import DENSE, RRF_K, SPARSE, Fusion, JsonObject, Point, Query, SparseVector

Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[EdgeStore, str, Request], Awaitable[Response]]


def make_app(store: EdgeStore) -> Starlette:
    """Make the application over a store."""

    def route(path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            name = request.path_params["name"]
            try:
                return await handler(store, name, request)
            except ValidationError as error:
                return refuse(400, f"Format error in JSON body: {error}")
            except LookupError:
                return refuse(404, f"Not found: Collection `{name}` doesn't exist!")
            except Exception as error:  # noqa: BLE001 # what the engine refuses
                return refuse(400, f"Wrong input: {error!r}")

        return Route("/collections/{name}" + path, endpoint, methods=[method])

    app = Starlette(
        routes=[
            route("/exists", "GET", exists),
            route("", "PUT", create),
            route("/index", "PUT", create_index),
            route("/points", "PUT", upsert),
            route("/points/delete", "POST", delete),
            route("/points/count", "POST", count),
            route("/points/query", "POST", query),
            route("/points/query/batch", "POST", query_batch),
            route("/points", "POST", retrieve),
        ]
    )
    app.state.sizes = {}
    return app


async def exists(store: EdgeStore, name: str, _request: Request) -> Response:
    known = await store.generation(name) is not None
    return answer(models.InlineResponse2009, {"exists": known})


async def create(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.CreateCollection.model_validate_json(await request.body(), strict=False)
    assert isinstance(given.vectors, dict)
    assert given.sparse_vectors is not None
    assert given.vectors.keys() == {DENSE}
    assert given.vectors[DENSE].distance == models.Distance.COSINE
    assert given.sparse_vectors[SPARSE].modifier == models.Modifier.IDF
    if await store.generation(name) is not None:
        return refuse(409, f"Wrong input: Collection `{name}` already exists!")
    await store.ensure(name, dimension=given.vectors[DENSE].size)
    _sizes(request)[name] = given.vectors[DENSE].size
    return answer(models.InlineResponse2001, result=True)


async def create_index(store: EdgeStore, name: str, request: Request) -> Response:
    models.CreateFieldIndex.model_validate_json(await request.body())
    await known_collection(store, name)
    return updated(request)


async def upsert(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.PointsList.model_validate_json(await request.body())
    await known_collection(store, name)
    await store.upsert(name, [to_point(point) for point in given.points])
    return updated(request)


async def delete(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.FilterSelector.model_validate_json(await request.body())
    await known_collection(store, name)
    await store.delete(name, to_condition(given.filter))
    return updated(request)


async def count(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.CountRequest.model_validate_json(await request.body())
    assert given.exact
    await known_collection(store, name)
    number = await store.count(name, to_condition(given.filter))
    return answer(models.InlineResponse20020, {"count": number})


async def query(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.QueryRequest.model_validate_json(await request.body())
    await known_collection(store, name)
    hits = await store.query(name, to_query(given))
    points: list[JsonObject] = [
        {"id": str(hit.id), "version": 1, "score": hit.score, "payload": hit.payload} for hit in hits
    ]
    return answer(models.InlineResponse20022, {"points": points})


async def query_batch(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.QueryRequestBatch.model_validate_json(await request.body())
    await known_collection(store, name)
    answers = [await scored(store, name, one) for one in given.searches]
    return answer(models.InlineResponse20023, [{"points": points} for points in answers])


async def scored(store: EdgeStore, name: str, given: models.QueryRequest) -> list[JsonObject]:
    """Ids and scores of one search, or of what one found scored by another vector."""
    assert given.with_payload is False
    if isinstance(given.prefetch, models.Prefetch):
        first = given.prefetch
        found = await store.query(name, to_query(to_request(first)))
        assert given.using == DENSE
        ids: JsonObject = {"must": [{"has_id": [str(hit.id) for hit in found]}]}
        again = models.QueryRequest(query=given.query, using=DENSE, limit=given.limit)
        hits = await store.query(name, replace(to_query(again), condition=ids))
    else:
        hits = await store.query(name, to_query(given))
    return [{"id": str(hit.id), "version": 1, "score": hit.score} for hit in hits]


def to_request(given: models.Prefetch) -> models.QueryRequest:
    return models.QueryRequest(
        query=given.query, using=given.using, filter=given.filter, params=given.params, limit=given.limit
    )


async def retrieve(store: EdgeStore, name: str, request: Request) -> Response:
    given = models.PointRequest.model_validate_json(await request.body())
    await known_collection(store, name)
    assert given.with_payload
    assert not given.with_vector
    size = _sizes(request)[name]
    ids = [str(id_) for id_ in given.ids]
    wanted = models.QueryRequest(query=[1.0] + [0.0] * (size - 1), using=DENSE, limit=len(ids))
    hits = await store.query(name, replace(to_query(wanted), condition={"must": [{"has_id": ids}]}))
    return answer(models.InlineResponse20017, [{"id": str(hit.id), "payload": hit.payload} for hit in hits])


def _sizes(request: Request) -> dict[str, int]:
    """Dimensions of the collections that were made."""
    return request.app.state.sizes


# --- in ----------------------------------------------------------------------------------------------------


async def known_collection(store: EdgeStore, name: str) -> None:
    if await store.generation(name) is None:
        raise LookupError(name)


def to_condition(given: models.Filter | None) -> JsonObject:
    return given.model_dump(mode="json", exclude_unset=True, by_alias=True) if given else {}


def to_point(given: models.PointStruct) -> Point:
    assert isinstance(given.vector, dict)
    dense: Any = given.vector[DENSE]
    sparse = given.vector[SPARSE]
    assert isinstance(sparse, models.SparseVector)
    assert len(set(sparse.indices)) == len(sparse.indices), "Sparse indices have to be unique"
    return Point(
        id=UUID(str(given.id)),
        dense=list(dense),
        sparse=SparseVector(sparse.indices, sparse.values),
        payload=given.payload or {},
    )


def to_query(given: models.QueryRequest) -> Query:
    """Read the shapes that are used: one search, or two whose ranks are fused."""
    given_halves = given.prefetch if isinstance(given.prefetch, list) else []
    halves: dict[str | None, models.Prefetch | models.QueryRequest] = {
        half.using: half for half in given_halves
    }
    weights = [0.0, 0.0]
    if halves:
        assert isinstance(given.query, models.RrfQuery)
        assert given.query.rrf.k == RRF_K
        weights = given.query.rrf.weights or []
    else:
        halves = {given.using: given}
    assert halves.keys() <= {DENSE, SPARSE}
    first = next(iter(halves.values()))
    assert all(half.filter == first.filter for half in halves.values())
    dense: Any = nearest(halves.get(DENSE))
    sparse = nearest(halves.get(SPARSE))
    assert sparse is None or isinstance(sparse, models.SparseVector)
    params = halves[SPARSE].params if SPARSE in halves else None
    corpus = params.idf if params else None
    assert corpus is None or isinstance(corpus, models.IdfCorpusParams)
    return Query(
        dense=dense,
        sparse=None if sparse is None else SparseVector(sparse.indices, sparse.values),
        condition=to_condition(first.filter),
        corpus=to_condition(corpus.corpus if corpus else None),
        limit=given.limit or 10,
        candidates=first.limit or 10,
        weights=(weights[0], weights[-1]),
        fusion=Fusion.RANKS if given_halves else Fusion.NONE,
    )


def nearest(half: models.Prefetch | models.QueryRequest | None) -> Any:
    given = half.query if half else None
    return given.nearest if isinstance(given, models.NearestQuery) else given


# --- out ---------------------------------------------------------------------------------------------------


def answer(model: type[Model], result: Any) -> Response:
    whole = model.model_validate({"usage": None, "time": 0.001, "status": "ok", "result": result})
    return Response(whole.model_dump_json(by_alias=True), media_type="application/json")


def updated(request: Request) -> Response:
    """Answer a change; without `wait` it is only noted."""
    status = "completed" if request.query_params.get("wait") == "true" else "acknowledged"
    return answer(models.InlineResponse2008, {"operation_id": 1, "status": status})


def refuse(status: int, message: str) -> Response:
    whole = models.ErrorResponse(time=0.0, status=models.ErrorResponseStatus(error=message))
    return Response(whole.model_dump_json(), status_code=status, media_type="application/json")
