"""The entry endpoints: what a datasource is made of, and how far each part of it is."""

from collections.abc import AsyncGenerator
from typing import Annotated, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

import orjson
from anyio import to_thread
from fastapi import Body, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.convertors import Convertor, register_url_convertor

from llmstack_api.datasources import entries, examples, service
from llmstack_api.datasources.contexts import beginning
from llmstack_api.datasources.entries import Given, Selection, listed_metadata, wrong_kind
from llmstack_api.datasources.following import EntryPlace, follow, wait_for
from llmstack_api.datasources.schemas import EncodingOut, EntryErrorOut, EntryIn, EntryOut, TextContentOut
from llmstack_api.datasources.uploads import parse_form, read_file
from llmstack_api.datasources.waking import wake
from llmstack_api.engine.ports import Json
from llmstack_api.errors import NotFoundError, UnavailableError
from llmstack_api.ingest.address import check_entry_url
from llmstack_api.models import NAME_LENGTH, Entry, EntryStatus, Stage
from llmstack_api.resources import Resources
from llmstack_api.vectors.filter_tree import parse_filters
from llmstack_api.web.deps import CallerDep, DatabaseDep, ResourcesDep
from llmstack_api.web.idempotency import Answer, Claim, ClaimDep, once
from llmstack_api.web.multipart import FormRoute, invalid, parse_json_at
from llmstack_api.web.paging import BLANK_IS_ABSENT, LINK_HEADER, PageDep, lead_on
from llmstack_api.web.problems import problems
from llmstack_api.web.routing import api_router
from llmstack_api.web.streaming import dump_line

MAX_WAIT: Final = 60.0
MAX_FILTERS: Final = 16_384
_LARGE: Final = 65_536


class EntryRoute(FormRoute):
    """A route that reads an entry."""

    def read_form(self, content_type: str, body: bytes, /) -> Json:
        """See `FormRoute.read_form`."""
        return parse_form(content_type, body)


router = api_router("/datasources/{datasource_uuid}/entries", tags=["Entries"], route_class=EntryRoute)

BY_KEY: Final = "/by-key/"


class _AnyText(Convertor[str]):
    """The rest of a path, whatever is in it; Starlette's own leaves a newline at its end out."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("any_text", _AnyText())


async def _key(
    request: Request,
    external_id: Annotated[
        str,
        Path(
            description="The entry's key, chosen by its owner: 1-200 characters, percent-encoded.",
            examples=["manual%2Fchapter-1"],
        ),
    ],
) -> str:
    del external_id  # decoded with replacement characters, which would make one key of two
    written: bytes = request.scope["raw_path"]
    try:
        key = unquote_to_bytes(written.partition(BY_KEY.encode())[2]).decode()
    except UnicodeDecodeError:
        raise invalid("external_id", "is no percent-encoded UTF-8") from None
    if not key or len(key) > NAME_LENGTH or "\x00" in key:
        raise invalid("external_id", f"must have 1 to {NAME_LENGTH} characters, none of them NUL")
    return key


KeyDep = Annotated[str, Depends(_key)]
Wait = Annotated[
    float,
    BeforeValidator(lambda text: text or 0),
    Query(ge=0, le=MAX_WAIT, description="Seconds to wait until the entry is READY or FAILED."),
]


async def _selection(
    status: Annotated[
        EntryStatus | None, BLANK_IS_ABSENT, Query(description="Only entries with this status.")
    ] = None,
    name: Annotated[str, Query(max_length=NAME_LENGTH, description="Only entries with this name.")] = "",
    filters: Annotated[
        str,
        Query(
            max_length=MAX_FILTERS,
            description="Only entries whose metadata fulfil this: a tree as in searches, as JSON.",
            examples=['{"type":"eq","key":"md_lang","value":"en"}'],
        ),
    ] = "",
) -> Selection:
    parsed = parse_filters(parse_json_at("filters", filters.encode())) if filters else None
    return Selection(status=status, name=name or None, filters=parsed)


SelectionDep = Annotated[Selection, Depends(_selection)]


@router.post(
    "",
    summary="Add an entry",
    status_code=202,
    response_model=EntryOut,
    responses={
        201: {"model": EntryOut}
        | examples.answer(examples.READY_ENTRY, "The entry was READY, or FAILED, within `wait` seconds."),
        202: {"model": EntryOut}
        | examples.answer(examples.ENTRY, "The entry is stored and will be made searchable."),
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422),
    },
    openapi_extra=examples.FORM_REQUEST,
)
async def add_entry(
    datasource_uuid: UUID,
    body: Annotated[EntryIn, Body(openapi_examples=examples.ENTRIES)],
    caller: CallerDep,
    resources: ResourcesDep,
    claim: ClaimDep,
    wait: Wait = 0,
) -> Response:
    """Add a text, a URL or a file, as JSON or as a form (`multipart/form-data`).

    What is accepted will be made searchable, whatever happens to the server meanwhile: follow the entry's `status`,
    its events, or `wait`. What cannot be fetched or read ends FAILED, with the stage and the reason in `error`.
    """
    given, digest = await _given(resources, body, account_id=caller.account_id, datasource_id=datasource_uuid)
    answer, entry = await resources.db.write(
        _add, claim, account_id=caller.account_id, datasource_id=datasource_uuid, given=given, digest=digest
    )
    replayed = entry is None
    if entry is not None:
        await wake(resources, [entries.job_of(entry)])
    if wait:
        place = EntryPlace(
            account_id=caller.account_id,
            datasource_id=datasource_uuid,
            entry_id=entry.id if entry is not None else UUID(orjson.loads(answer.body)["uuid"]),
        )
        ready = await wait_for(resources, place, seconds=wait)
        if ready is not None:
            return Answer(status=201, body=_dump(ready)).response(replayed=replayed)
    return answer.response(replayed=replayed)


def _add(
    session: Session, claim: Claim | None, *, account_id: UUID, datasource_id: UUID, given: Given, digest: str
) -> tuple[Answer, Entry | None]:
    made: list[Entry] = []

    def add(session: Session) -> Answer:
        made.append(
            entries.add_entry(
                session, account_id=account_id, datasource_id=datasource_id, given=given, digest=digest
            )
        )
        return Answer(status=202, body=_dump(made[0]))

    answer, _ = once(session, claim, add)
    return answer, made[0] if made else None


@router.put(
    BY_KEY + "{external_id:any_text}",
    summary="Add or replace the entry with a key",
    response_model=EntryOut,
    responses={
        200: {"model": EntryOut}
        | examples.answer(
            examples.READY_ENTRY, "The same content and metadata were there; nothing was done."
        ),
        201: {"model": EntryOut} | examples.answer(examples.ENTRY, "The entry is new."),
        202: {"model": EntryOut}
        | examples.answer(examples.ENTRY, "The content is replaced; until then the old one is found."),
        **problems(400, 401, 403, 404, 408, 413, 415, 422),
    },
    openapi_extra=examples.FORM_REQUEST,
)
async def put_entry(
    datasource_uuid: UUID,
    external_id: KeyDep,
    body: Annotated[EntryIn, Body(openapi_examples=examples.ENTRIES)],
    caller: CallerDep,
    resources: ResourcesDep,
) -> Response:
    """Keep an entry under a key of your own: added if it is new, replaced if its content or metadata differ.

    Searches find the old content until the new one is complete, and never both.
    """
    given, digest = await _given(resources, body, account_id=caller.account_id, datasource_id=datasource_uuid)
    entry, status = await resources.db.write(
        entries.put_entry,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        external_id=external_id,
        given=given,
        digest=digest,
    )
    if status != 200:  # noqa: PLR2004 # HTTP
        await wake(resources, [entries.job_of(entry)])
    return Answer(status=status, body=_dump(entry)).response()


@router.get(
    BY_KEY + "{external_id:any_text}",
    summary="Get the entry with a key",
    responses={200: examples.answer(examples.READY_ENTRY), **problems(401, 403, 404, 422)},
)
async def get_entry_by_key(
    datasource_uuid: UUID, external_id: KeyDep, caller: CallerDep, db: DatabaseDep
) -> EntryOut:
    """Return the entry that is kept under a key of yours."""
    entry = await db.read(
        entries.find_by_key,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        external_id=external_id,
    )
    return entry_out(entry)


@router.delete(
    BY_KEY + "{external_id:any_text}",
    summary="Delete the entry with a key",
    status_code=204,
    responses=problems(401, 403, 404, 422),
)
async def delete_entry_by_key(
    datasource_uuid: UUID, external_id: KeyDep, caller: CallerDep, resources: ResourcesDep
) -> None:
    """Delete the entry that is kept under a key of yours."""
    jobs = await resources.db.write(
        entries.delete_by_key,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        external_id=external_id,
    )
    await wake(resources, jobs)


@router.get(
    "",
    summary="List entries",
    responses={
        200: {"headers": LINK_HEADER, **examples.answer([examples.READY_ENTRY])},
        **problems(401, 403, 404, 422),
    },
)
async def list_entries(
    datasource_uuid: UUID,
    request: Request,
    response: Response,
    caller: CallerDep,
    db: DatabaseDep,
    page: PageDep,
    selection: SelectionDep,
) -> list[EntryOut]:
    """Return the entries of a datasource, newest first.

    With `filters` a page may hold fewer entries than `limit`, and none, though more follow; the `Link` header leads on.
    """
    rows, last = await db.read(
        entries.list_entries,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        selection=selection,
        page=page,
    )
    if last is not None:
        lead_on(page, last, request, response)
    return [entry_out(row) for row in rows]


@router.get(
    "/{entry_uuid}",
    summary="Get an entry",
    responses={200: examples.answer(examples.READY_ENTRY), **problems(401, 403, 404)},
)
async def get_entry(datasource_uuid: UUID, entry_uuid: UUID, caller: CallerDep, db: DatabaseDep) -> EntryOut:
    """Return an entry: how far it is, or why it FAILED."""
    entry = await db.read(
        entries.find_entry, account_id=caller.account_id, datasource_id=datasource_uuid, entry_id=entry_uuid
    )
    return entry_out(entry)


@router.delete(
    "/{entry_uuid}",
    summary="Delete an entry",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_entry(
    datasource_uuid: UUID, entry_uuid: UUID, caller: CallerDep, resources: ResourcesDep
) -> None:
    """Delete an entry: at once for every list and search, then on disk, in the background.

    The entry of a sitemap takes the pages that it named with it.
    """
    jobs = await resources.db.write(
        entries.delete_entry,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        entry_id=entry_uuid,
    )
    await wake(resources, jobs)


@router.post(
    "/{entry_uuid}/resync",
    summary="Fetch or read an entry again",
    status_code=202,
    response_model=EntryOut,
    responses={202: examples.answer(examples.ENTRY, "It will be done."), **problems(401, 403, 404)},
)
async def resync_entry(
    datasource_uuid: UUID, entry_uuid: UUID, caller: CallerDep, resources: ResourcesDep
) -> Response:
    """Fetch a URL again, or read a text or file again with the datasource's present settings.

    Searches find the old content until the new one is complete. A URL that says it has not changed keeps its chunks.
    """
    entry, jobs = await resources.db.write(
        entries.resync_entry,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        entry_id=entry_uuid,
    )
    await wake(resources, jobs)
    return Answer(status=202, body=_dump(entry)).response()


@router.get(
    "/{entry_uuid}/text_content",
    summary="Get the text of an entry",
    responses={200: examples.answer(examples.TEXT_CONTENT), **problems(401, 403, 404)},
)
async def get_text_content(
    datasource_uuid: UUID, entry_uuid: UUID, caller: CallerDep, db: DatabaseDep
) -> TextContentOut:
    """Return the text of an entry as it was extracted, and its metadata as it is stored."""
    entry, text = await db.read(
        entries.text_content,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        entry_id=entry_uuid,
    )
    return TextContentOut(content=text, metadata=listed_metadata(entry))


@router.get(
    "/{entry_uuid}/events",
    summary="Follow an entry",
    response_class=Response,
    responses={200: examples.EVENTS, **problems(401, 403, 404)},
)
async def follow_entry(
    datasource_uuid: UUID, entry_uuid: UUID, caller: CallerDep, resources: ResourcesDep
) -> Response:
    """Tell an entry's progress as server-sent events, until it is READY or FAILED.

    Each event `entry` has the entry as JSON, and so has the last one, `done`. Other ends are `deleted`, `error` (with
    `code` and `message`) and `interrupted`: the server stops, and following can go on with the next one.
    """
    place = EntryPlace(account_id=caller.account_id, datasource_id=datasource_uuid, entry_id=entry_uuid)
    await resources.db.read(
        entries.find_entry,
        account_id=caller.account_id,
        datasource_id=datasource_uuid,
        entry_id=entry_uuid,
    )
    return EventSourceResponse(
        _events(resources, place),
        ping=max(1, round(resources.settings.heartbeat_interval)),
        sep="\n",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )


async def _events(resources: Resources, place: EntryPlace) -> AsyncGenerator[ServerSentEvent]:
    number, event, data = 0, "interrupted", "{}"  # how it ends where nothing else is said: the server stops
    try:
        async for entry in follow(resources, place):
            number += 1
            data = dump_line(entry_out(entry).model_dump(mode="json")).decode()
            if entry.status != EntryStatus.PROCESSING:
                event = "done"
                break
            yield _event("entry", data, number)
            data = "{}"
    except NotFoundError:
        event = "deleted"
    except UnavailableError as error:
        event, data = "error", dump_line({"code": error.slug, "message": str(error)}).decode()
    yield _event(event, data, number + (event != "done"))


def _event(event: str, data: str, number: int) -> ServerSentEvent:
    return ServerSentEvent(data, event=event, id=str(number), sep="\n")


# --- what was sent ---------------------------------------------------------------------------------------


async def _given(
    resources: Resources, body: EntryIn, *, account_id: UUID, datasource_id: UUID
) -> tuple[Given, str]:
    data = body.entry_data
    present = [kind for kind in ("content", "url", "file") if getattr(data, kind) is not None]
    if len(present) != 1:
        found = await resources.db.read(service.find, account_id=account_id, datasource_id=datasource_id)
        raise wrong_kind(found.type, " and ".join(present) or "none of them")
    length = len(data.content or "")
    if data.file is not None:
        length += len(data.file if isinstance(data.file, str) else data.file.data)
    return _read(resources, body) if length < _LARGE else await to_thread.run_sync(_read, resources, body)


def _read(resources: Resources, body: EntryIn) -> tuple[Given, str]:
    given = _decoded(resources, body)
    return given, given.fingerprint()


def _decoded(resources: Resources, body: EntryIn) -> Given:
    data, metadata = body.entry_data, body.entry_metadata
    if data.url is not None:
        check_entry_url(data.url, resources.egress)
        name = data.name or data.url[:NAME_LENGTH]
        return Given(kind="url", name=name, source=data.url, entry_metadata=metadata, encoding=data.encoding)
    if data.file is not None:
        upload = read_file(data.file)
        name = data.name or upload.name or "file"
        return Given(
            kind="file",
            name=name,
            source=upload.name or name,
            entry_metadata=metadata,
            upload=upload,
            encoding=data.encoding,
        )
    if data.encoding is not None:
        raise invalid("entry_data.encoding", "is only for a file or a url; content is Unicode already")
    text = data.content or ""
    if not text.strip():
        raise invalid("entry_data.content", "there is no text in it")
    name = data.name or beginning(text) or "text"
    return Given(kind="content", name=name, source=name, entry_metadata=metadata, text=text)


# --- what is shown ---------------------------------------------------------------------------------------


def entry_out(entry: Entry) -> EntryOut:
    """Return an entry as answers show it."""
    return EntryOut(
        uuid=entry.id,
        name=entry.name,
        status=EntryStatus(entry.status),
        stage=Stage(entry.stage) if entry.stage and entry.status == EntryStatus.PROCESSING else None,
        error=EntryErrorOut(**entry.error) if entry.error else None,
        external_id=entry.external_id,
        parent=entry.parent_id,
        entry_metadata=entry.entry_metadata,
        source=entry.source,
        mime_type=entry.mime_type,
        encoding=EncodingOut(**entry.encoding) if entry.encoding else None,
        size=entry.size,
        chunks_count=entry.chunks_count,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


def _dump(entry: Entry) -> bytes:
    return entry_out(entry).model_dump_json().encode()
