"""The datasource endpoints: datasources, search, and their types."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Body, Request, Response
from pydantic import ValidationError
from sqlalchemy.orm import Session

from llmstack_api.auth import Scope
from llmstack_api.datasources import entry_router, examples, resync, service
from llmstack_api.datasources.schemas import (
    ConfigChanges,
    DatasourceChanges,
    DatasourceConfig,
    DatasourceIn,
    DatasourceOut,
    DatasourceTypeOut,
    EmbeddingOut,
    ResyncOut,
    SearchIn,
    SearchOut,
)
from llmstack_api.datasources.search import Found, search
from llmstack_api.datasources.service import Counted
from llmstack_api.datasources.types import TYPES, DatasourceType, Kind
from llmstack_api.datasources.waking import wake
from llmstack_api.engine.ports import JsonObject
from llmstack_api.ingest.reading.charsets.labels import MAX_LABEL
from llmstack_api.models import Datasource
from llmstack_api.resources import Resources
from llmstack_api.vectors.filter_tree import parse_filters
from llmstack_api.vectors.index import Wanted
from llmstack_api.web.deps import CallerDep, DatabaseDep, ResourcesDep
from llmstack_api.web.idempotency import Answer, Claim, ClaimDep, once
from llmstack_api.web.multipart import invalid
from llmstack_api.web.paging import LINK_HEADER, PageDep, cut
from llmstack_api.web.problems import problems
from llmstack_api.web.routing import JSON, api_router, needs

router = api_router("/api")
router.include_router(entry_router.router)


@router.get(
    "/datasource_types",
    tags=["Datasources"],
    summary="List the types of datasources",
    responses={200: examples.answer(examples.TYPES), **problems(401, 403)},
)
async def list_datasource_types() -> list[DatasourceTypeOut]:
    """Return the types of datasources, each with the JSON Schema of its entries' `entry_data`."""
    return [
        DatasourceTypeOut(
            slug=slug,
            name=info.name,
            description=info.description,
            entry_data_schema=_entry_schema(info.takes),
        )
        for slug, info in TYPES.items()
    ]


def _entry_schema(takes: tuple[Kind, ...]) -> JsonObject:
    encoding = {"encoding": {"type": "string", "maxLength": MAX_LABEL, "examples": ["windows-1252", "gbk"]}}
    descriptions = {
        "content": {"type": "string", "minLength": 1},
        "url": {"type": "string", "format": "uri", "maxLength": 2048},
        "file": {
            "type": "string",
            "minLength": 1,
            "description": "Base64, or data:<mime>;name=<file name>;base64,<data>",
        },
    }
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            **{kind: descriptions[kind] for kind in takes},
            **(encoding if {"url", "file"} & set(takes) else {}),
        },
        "additionalProperties": False,
        "oneOf": [{"required": [kind]} for kind in takes],
    }


@router.post(
    "/datasources",
    tags=["Datasources"],
    summary="Create a datasource",
    status_code=201,
    response_model=DatasourceOut,
    responses={
        201: examples.answer(examples.DATASOURCE, "The datasource was created."),
        **problems(400, 401, 403, 408, 409, 413, 415, 422),
    },
)
async def create_datasource(
    body: DatasourceIn, caller: CallerDep, resources: ResourcesDep, claim: ClaimDep
) -> Response:
    """Create a datasource, to add entries to. Its `type` says what entries are made of."""
    model = body.embedding.model if body.embedding else resources.embedders.default
    _check_model(resources, model)
    answer, replayed = await resources.db.write(
        _create, claim, account_id=caller.account_id, body=body, model=model
    )
    return answer.response(replayed=replayed)


def _create(
    session: Session, claim: Claim | None, *, account_id: UUID, body: DatasourceIn, model: str
) -> tuple[Answer, bool]:
    def create(session: Session) -> Answer:
        made = service.create_datasource(
            session,
            account_id=account_id,
            name=body.name,
            type_=body.type,
            config=body.config.model_dump(),
            embedding_model=model,
        )
        return Answer(status=201, body=_shown(Counted(made, 0, 0)).model_dump_json().encode())

    return once(session, claim, create)


@router.get(
    "/datasources",
    tags=["Datasources"],
    summary="List datasources",
    responses={
        200: {"headers": LINK_HEADER, **examples.answer([examples.DATASOURCE])},
        **problems(401, 403, 422),
    },
)
async def list_datasources(
    request: Request, response: Response, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> list[DatasourceOut]:
    """Return the account's datasources, newest first."""
    rows = await db.read(service.list_datasources, account_id=caller.account_id, page=page)
    return [_shown(row) for row in cut(rows, page, request, response)]


@router.get(
    "/datasources/{datasource_uuid}",
    tags=["Datasources"],
    summary="Get a datasource",
    responses={200: examples.answer(examples.DATASOURCE), **problems(401, 403, 404)},
)
async def get_datasource(datasource_uuid: UUID, caller: CallerDep, db: DatabaseDep) -> DatasourceOut:
    """Return a datasource, with how many entries it has and how much text."""
    found = await db.read(service.get_datasource, account_id=caller.account_id, datasource_id=datasource_uuid)
    return _shown(found)


@router.patch(
    "/datasources/{datasource_uuid}",
    tags=["Datasources"],
    summary="Change a datasource",
    responses={
        200: examples.answer(examples.DATASOURCE),
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422),
    },
)
async def change_datasource(
    datasource_uuid: UUID, body: DatasourceChanges, caller: CallerDep, resources: ResourcesDep
) -> DatasourceOut:
    """Change a datasource's name, its settings or its embedding model; what is left out stays.

    Another embedding model, or another `config.language`, has all chunks indexed again in the background;
    `embedding.next_model` names the model until that is done.
    """
    model = body.embedding.model if body.embedding else None
    if model is not None:
        _check_model(resources, model)
    changed, jobs = await resources.db.write(
        _change, account_id=caller.account_id, datasource_id=datasource_uuid, body=body, model=model
    )
    await wake(resources, jobs)
    return _shown(changed)


def _change(
    session: Session, *, account_id: UUID, datasource_id: UUID, body: DatasourceChanges, model: str | None
) -> Any:  # noqa: ANN401 # see service.change_datasource
    config: JsonObject | None = None
    if body.config is not None:
        known = service.find(session, account_id=account_id, datasource_id=datasource_id).config
        config = _merged(known, body.config)
    return service.change_datasource(
        session,
        account_id=account_id,
        datasource_id=datasource_id,
        name=body.name,
        config=config,
        embedding_model=model,
    )


def _merged(known: JsonObject, changes: ConfigChanges) -> JsonObject:
    given = changes.model_dump(include=changes.model_fields_set)
    merged = known | {key: value for key, value in given.items() if value is not None}
    if "refresh_interval" in given:
        merged["refresh_interval"] = given["refresh_interval"]
    try:
        return DatasourceConfig(**merged).model_dump()
    except ValidationError as error:
        raise invalid("config", error.errors()[0]["msg"].removeprefix("Value error, ")) from None


@router.delete(
    "/datasources/{datasource_uuid}",
    tags=["Datasources"],
    summary="Delete a datasource",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_datasource(datasource_uuid: UUID, caller: CallerDep, resources: ResourcesDep) -> None:
    """Delete a datasource with its entries: at once for every list and search, then on disk, in the background."""
    jobs = await resources.db.write(
        service.delete_datasource, account_id=caller.account_id, datasource_id=datasource_uuid
    )
    await wake(resources, jobs)


@router.post(
    "/datasources/{datasource_uuid}/resync",
    tags=["Datasources"],
    summary="Fetch or read all entries again",
    status_code=202,
    responses={
        202: examples.answer(examples.RESYNC, "Every entry will be read again."),
        **problems(401, 403, 404),
    },
)
async def resync_datasource(datasource_uuid: UUID, caller: CallerDep, resources: ResourcesDep) -> ResyncOut:
    """Fetch all URLs and sitemaps again, and read all files and texts again with the present settings.

    Each entry is PROCESSING until it is done, and searches find its old content until the new one is complete; entries
    that FAILED are tried again. URLs are fetched and read even if they have not changed. What is new goes first: texts,
    files and URLs that are added meanwhile do not wait for this. Calling it again while it is going on is safe: it adds
    the entries that are done already.
    """
    count = await resync.resync_datasource(
        resources, account_id=caller.account_id, datasource_id=datasource_uuid
    )
    return ResyncOut(entries=count)


@router.post(
    "/datasources/{datasource_uuid}/search",
    tags=["Datasources"],
    summary="Search a datasource",
    response_model=SearchOut,
    responses={
        200: examples.SEARCHED,
        **problems(400, 401, 403, 404, 408, 413, 415, 422, 424, 503),
    },
)
@needs(Scope.READ, Scope.RUN)
async def search_datasource(
    datasource_uuid: UUID,
    body: Annotated[SearchIn, Body(openapi_examples=examples.SEARCHES)],
    caller: CallerDep,
    resources: ResourcesDep,
) -> Response:
    """Return the passages that answer a query best, with their metadata and where they stand.

    `filters` is a tree of comparisons: `{"type": "eq", "key": "md_lang", "value": "en"}`, joined by `and` and
    `or`. What is malformed is refused; what no entry has matches nothing.

    With `group_by` or `fold_copies`, `limit` counts the results that are left. The search then looks deeper, in steps,
    at up to 1,000 passages; with `group_by` each further step leaves out the entries that have `group_size` results.
    """
    if body.group_size is not None and body.group_by is None:
        raise invalid("group_size", "needs group_by, which says what the results are grouped by")
    wanted = Wanted(
        query=body.query,
        datasources=[datasource_uuid],
        limit=body.limit,
        mode=body.mode,
        filters=None if body.filters is None else parse_filters(body.filters),
        min_score=body.min_score,
    )
    found = await search(resources, wanted, account_id=caller.account_id, grouping=body.grouping)
    results = [_hit(passage) | (_copies(passage) if body.fold_copies else {}) for passage in found]
    return Response(orjson.dumps({"results": results}), media_type=JSON)


def _hit(found: Found) -> JsonObject:
    """Make a `SearchHit`."""
    return {
        "content": found.content,
        "score": found.score,
        "metadata": found.metadata,
        "entry_uuid": found.entry_id,
        "entry_name": found.metadata["name"],
        "chunk": {"number": found.number, "start": found.start, "end": found.end},
    }


def _copies(found: Found) -> JsonObject:
    """Make what a `SearchHit` has in addition where copies are folded."""
    copies = [
        {
            "entry_uuid": copy.entry_id,
            "entry_name": copy.metadata["name"],
            "source": copy.metadata["source"],
            "score": copy.score,
            "chunk": {"number": copy.number, "start": copy.start, "end": copy.end},
        }
        for copy in found.copies
    ]
    return {"copies": copies, "copies_count": found.copies_count}


def _check_model(resources: Resources, model: str) -> None:
    names = resources.embedders.names
    if model not in names:
        raise invalid("embedding.model", f"there is no model {model[:100]!r}; known are {', '.join(names)}")


def _shown(counted: Counted) -> DatasourceOut:
    datasource: Datasource = counted.datasource
    return DatasourceOut(
        uuid=datasource.id,
        name=datasource.name,
        type=DatasourceType(datasource.type),
        config=DatasourceConfig(**datasource.config),
        embedding=EmbeddingOut(
            model=datasource.embedding_model, dimension=datasource.dimension, next_model=datasource.next_model
        ),
        entries_count=counted.entries,
        size=counted.size,
        created_at=datasource.created_at,
        updated_at=datasource.updated_at,
    )
