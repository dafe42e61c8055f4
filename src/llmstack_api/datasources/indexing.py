"""From documents to searchable chunks: chunk, embed, store, and only then say READY."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import compress
from operator import not_
from typing import Any, Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import work
from llmstack_api.datasources.folders import note_folder
from llmstack_api.datasources.points import (
    Passage,
    dump_chunks,
    embed,
    entry_payload,
    language_of,
    make_points,
    passages,
)
from llmstack_api.datasources.work import Claimed
from llmstack_api.db import upsert
from llmstack_api.engine.ports import JsonObject
from llmstack_api.ingest.chunk import chunk
from llmstack_api.ingest.document import Chunk, Document
from llmstack_api.models import Datasource, Entry, EntryContent, EntryStatus, Stage, now
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import Space, generation
from llmstack_api.vectors.store import Point

TITLE_LENGTH: Final = 1000
SLICE: Final = 128
"""Chunks that are embedded and stored at once."""

AT_ONCE: Final = 256_000
"""Characters up to which texts are stored in one go of a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An entry whose text is known."""

    entry: Claimed
    document: Document
    etag: str | None = None
    last_modified: str | None = None
    name: str | None = None
    """A better name than it has, such as the title of a page."""
    content_version: int | None = None
    """Of the stored content that it was read from; None where it was fetched."""
    keep_text: bool = True
    """Whether the text has still to be stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry whose chunks are stored, and not found yet."""

    ready: Ready
    chunks: list[Chunk]
    space: Space


async def store_entries(resources: Resources, ready: Sequence[Ready]) -> list[Stored]:
    """Chunk, embed and store entries of one embedding model and one collection."""
    space = await space_of(resources, ready[0].entry)
    if unknown := {item.entry.datasource_id for item in ready if item.entry.collection != space.collection}:
        await note_folder(resources, space.collection, space.dimension)
        await resources.db.write(_note_collection, unknown, space=space)
    stored = await to_thread.run_sync(_chunk_all, ready, space)
    if begun := [item.ready.entry for item in stored if item.ready.entry.begun]:
        await resources.index.remove_generations(
            space.collection, [generation(entry.id, entry.version) for entry in begun]
        )
    for number, part in enumerate(_slices(stored)):
        if number:
            await _require_held(resources, part)
        await _store(resources, space, part)
    return stored


async def space_of(resources: Resources, entry: Claimed) -> Space:
    """Return where the points of an entry go: to those of its datasource, although these may be of an older make.

    Searches find both there, until all of it has been made again elsewhere.
    """
    space = await resources.embedders.space(entry.embedding_model)
    if entry.collection is not None and entry.dimension == space.dimension:
        return replace(space, collection=entry.collection)
    return space


class NotHeldError(Exception):
    """The entry was deleted or replaced, or another worker has it, while it was being done."""


async def _require_held(resources: Resources, part: Sequence[Stored]) -> None:
    """Stop what goes on for long where nobody wants it any more; few entries have more than one slice."""
    if len(part) == 1 and not await resources.db.read(work.is_held, part[0].ready.entry):
        raise NotHeldError


async def show_entries(resources: Resources, stored: Sequence[Stored]) -> list[bool]:
    """Let searches find entries of one embedding model; tells for each whether it was still held."""
    space = stored[0].space
    await resources.index.flush(space.collection)
    held, moved = await resources.db.write(_show, stored, space=space)
    await _remove_older(resources, space, list(compress(stored, held)))
    if moved:
        await resources.index.remove_generations(space.collection, moved)
    lost = [item.ready.entry for item in compress(stored, map(not_, held))]
    await remove_unwanted(resources, lost, collection=space.collection)
    return held


def _chunk_all(ready: Sequence[Ready], space: Space) -> list[Stored]:
    return [
        Stored(
            item,
            chunk(
                item.document,
                size=item.entry.config["chunk_size"],
                overlap=item.entry.config["chunk_overlap"],
            ),
            space,
        )
        for item in ready
    ]


def _slices(stored: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Cut into parts of at most `SLICE` chunks each."""
    part: list[Stored] = []
    room = SLICE
    for item in stored:
        start = 0
        while start < len(item.chunks):
            taken = item.chunks[start : start + room]
            part.append(Stored(item.ready, taken, item.space))
            start += len(taken)
            room -= len(taken)
            if not room:
                yield part
                part, room = [], SLICE
    if part:
        yield part


async def _store(resources: Resources, space: Space, part: Sequence[Stored]) -> None:
    found = [_passages(item) for item in part]
    vectors = await embed(space.embedder, [passage for of_item in found for passage in of_item])
    points = await to_thread.run_sync(_points, part, found, vectors)
    await resources.index.add(space.collection, points, dimension=space.dimension)


def _passages(item: Stored) -> list[Passage]:
    document = item.ready.document
    return passages(document.text, item.chunks, name=_name(item), title=_title(document))


def _points(
    part: Sequence[Stored], found: Sequence[Sequence[Passage]], vectors: Sequence[list[float]]
) -> list[Point]:
    points: list[Point] = []
    start = 0
    for item, of_item in zip(part, found, strict=True):
        entry = item.ready.entry
        common = entry_payload(
            datasource_id=entry.datasource_id,
            entry_id=entry.id,
            version=entry.version,
            described=_described(item),
        )
        own = vectors[start : start + len(of_item)]
        points += make_points(common, of_item, own, language=language_of(entry.config))
        start += len(of_item)
    return points


def _show(session: Session, stored: Sequence[Stored], *, space: Space) -> tuple[list[bool], list[str]]:
    """Let searches find the new content and no longer the old.

    Tells for each entry whether it was still held, and which generations are of a model that was replaced.
    """
    entries = [item.ready.entry for item in stored]
    moved = _moved(session, entries, space)
    held = [
        still and entry.id not in moved
        for entry, still in zip(entries, work.held(session, entries), strict=True)
    ]
    shown = list(compress(stored, held))
    moment = now()
    work.update_each(session, [_shown(item, moment) for item in shown])
    _keep_content(session, shown)
    return held, [generation(entry.id, entry.version) for entry in entries if entry.id in moved]


def _moved(session: Session, entries: Sequence[Claimed], space: Space) -> set[UUID]:
    """Free the entries whose datasource has another model, collection or language by now, to be done again."""
    ids = {entry.datasource_id for entry in entries}
    rows = session.execute(
        select(Datasource.id, Datasource.embedding_model, Datasource.collection, Datasource.config)
        .where(Datasource.id.in_(ids))
        .order_by(Datasource.id)
        .with_for_update(read=True)  # until the commit no other model can take over
    )
    made = {row.id: (row.embedding_model, row.collection, language_of(row.config)) for row in rows}
    moved = [
        entry
        for entry in entries
        if made.get(entry.datasource_id)
        != (space.embedder.model, space.collection, language_of(entry.config))
    ]
    for entry in moved:
        work.put_off(session, entry, seconds=0, counts=False)
    return {entry.id for entry in moved}


def _note_collection(session: Session, datasources: set[UUID], *, space: Space) -> None:
    """Write down where the points of datasources are, so that they can be removed, before the first is stored."""
    session.execute(
        update(Datasource)
        .where(
            Datasource.id.in_(datasources),
            Datasource.embedding_model == space.embedder.model,
            Datasource.collection.is_distinct_from(space.collection),
        )
        .values(collection=space.collection, dimension=space.dimension)
    )


def _shown(item: Stored, moment: datetime) -> dict[str, Any]:
    ready, entry = item.ready, item.ready.entry
    replaces = entry.version > 1
    return {
        "id": entry.id,
        "name": ready.name or entry.name,
        "live_version": entry.version,
        "mime_type": ready.document.mime_type,
        "encoding": asdict(encoding) if (encoding := ready.document.encoding) else None,
        "size": len(ready.document.text.encode()),
        "chunks_count": len(item.chunks),
        "etag": ready.etag,
        "last_modified": ready.last_modified,
        "error": None,
        "updated_at": moment,
        "refresh_at": work.refresh_time(entry),
        # what replaces something is done when the old points are gone
        "status": EntryStatus.PROCESSING if replaces else EntryStatus.READY,
        "stage": Stage.INDEX if replaces else None,
        "work": entry.work if replaces else None,
        "token": entry.token if replaces else None,
        "lease_until": moment + work.LEASE if replaces else None,
        "attempts": 0,
        "begun": replaces,
    }


def _keep_content(session: Session, shown: Sequence[Stored]) -> None:
    """Store what is searched now as the entries' only content."""
    texts: list[dict[str, Any]] = []
    for item in shown:
        ready, entry = item.ready, item.ready.entry
        values: dict[str, Any] = {"chunks": dump_chunks(item.chunks), "described": _described(item)}
        if ready.keep_text:
            values |= {"text": ready.document.text, "title": _title(ready.document)}
        if ready.content_version is None:
            _upsert_content(session, entry, values)
        elif ready.keep_text:
            session.execute(
                update(EntryContent)
                .where(EntryContent.entry_id == entry.id, EntryContent.version == ready.content_version)
                .values(version=entry.version, **values)
            )
        else:
            texts.append(
                {"of_id": entry.id, "of_version": ready.content_version, "to_version": entry.version}
            )
            texts[-1] |= {f"to_{key}": value for key, value in values.items()}
        if entry.version > 1:
            session.execute(
                delete(EntryContent).where(
                    EntryContent.entry_id == entry.id,
                    EntryContent.version.not_in((entry.version, ready.content_version or entry.version)),
                )
            )
    if texts:
        session.connection().execute(_KEEP_TEXT, texts)


def _upsert_content(session: Session, entry: Claimed, values: dict[str, Any]) -> None:
    session.execute(
        upsert(session, EntryContent)
        .values(entry_id=entry.id, version=entry.version, **values)
        .on_conflict_do_update(index_elements=["entry_id", "version"], set_=values)
    )


def _described(item: Stored) -> JsonObject:
    entry = item.ready.entry
    return {
        "name": _name(item),
        "source": entry.source,
        "mime_type": item.ready.document.mime_type,
        "entry_metadata": entry.entry_metadata,
    }


def _name(item: Stored) -> str:
    return item.ready.name or item.ready.entry.name


def _title(document: Document) -> str | None:
    return document.title[:TITLE_LENGTH] if document.title else None


_content = EntryContent.__table__
_KEEP_TEXT: Final = (
    update(_content)  # pyright: ignore[reportArgumentType] # a mapped class has a Table
    .where(_content.c.entry_id == bindparam("of_id"), _content.c.version == bindparam("of_version"))
    .values(
        version=bindparam("to_version"), chunks=bindparam("to_chunks"), described=bindparam("to_described")
    )
)


async def _remove_older(resources: Resources, space: Space, shown: Sequence[Stored]) -> None:
    """Remove the points of earlier versions, then say READY."""
    entries = [item.ready.entry for item in shown]
    replaced = [entry for entry in entries if entry.version > 1]
    if not replaced:
        return
    generations = {entry.id: generation(entry.id, entry.version) for entry in replaced}
    await resources.index.remove_other_generations(space.collection, generations)
    await resources.index.flush(space.collection)
    await resources.db.write(_finish, replaced)


def _finish(session: Session, entries: Sequence[Claimed]) -> None:
    for entry in entries:
        session.execute(
            update(Entry)
            .where(Entry.id == entry.id, Entry.token == entry.token)
            .values(
                status=EntryStatus.READY, stage=None, work=None, token=None, lease_until=None, begun=False
            )
        )


async def remove_unwanted(
    resources: Resources, entries: Sequence[Claimed], *, collection: str | None = None
) -> None:
    """Remove the points of what was deleted or replaced while it was being done.

    What another worker does in the same version is that worker's affair.
    """
    if not entries:
        return
    still = await resources.db.read(_current_versions, [entry.id for entry in entries])
    unwanted: dict[str, list[str]] = {}
    for entry in entries:
        place = collection or entry.collection
        if place is not None and entry.version not in still.get(entry.id, ()):
            unwanted.setdefault(place, []).append(generation(entry.id, entry.version))
    for place, generations in unwanted.items():
        await resources.index.remove_generations(place, generations)


def _current_versions(session: Session, ids: Sequence[UUID]) -> dict[UUID, tuple[int | None, int]]:
    rows = session.execute(
        select(Entry.id, Entry.live_version, Entry.version)
        .join(Datasource, Datasource.id == Entry.datasource_id)
        .where(Entry.id.in_(ids), Entry.deleted_at.is_(None), Datasource.deleted_at.is_(None))
    )
    return {id_: (live, version) for id_, live, version in rows}
