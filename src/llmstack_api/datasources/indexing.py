"""From documents to searchable chunks: chunk, embed, store, and only then say READY."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import work
from llmstack_api.datasources.folders import note_folder
from llmstack_api.datasources.points import dump_chunks, entry_payload, make_points
from llmstack_api.datasources.work import Claimed
from llmstack_api.db import upsert
from llmstack_api.ingest.chunk import chunk
from llmstack_api.ingest.document import Chunk, Document
from llmstack_api.models import Datasource, Entry, EntryContent, EntryStatus, Stage, Work, now
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import Space, generation
from llmstack_api.vectors.store import Point

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
    keep_text: bool = True
    """Whether the text has still to be stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry whose chunks are stored, and not found yet."""

    ready: Ready
    chunks: list[Chunk]
    space: Space


async def store_entries(resources: Resources, ready: Sequence[Ready]) -> list[Stored]:
    """Chunk, embed and store entries of one embedding model."""
    space = await resources.embedders.space(ready[0].entry.embedding_model)
    if unknown := {item.entry.datasource_id for item in ready if item.entry.collection != space.collection}:
        await note_folder(resources, space.collection, space.dimension)
        await resources.db.write(_note_collection, unknown, space=space)
    stored = await to_thread.run_sync(_chunk_all, ready, space)
    for part in _slices(stored):
        await _store(resources, space, part)
    return stored


async def show_entries(resources: Resources, stored: Sequence[Stored]) -> list[bool]:
    """Let searches find entries of one embedding model; tells for each whether it was still held."""
    space = stored[0].space
    await resources.index.flush(space.collection)
    held = await resources.db.write(_show, stored, space=space)
    await _remove_older(resources, space, [item for item in stored if item.ready.entry.id in held])
    await _remove_unwanted(resources, space, [item for item in stored if item.ready.entry.id not in held])
    return [item.ready.entry.id in held for item in stored]


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
    texts = [item.ready.document.text[piece.start : piece.end] for item in part for piece in item.chunks]
    vectors = await space.embedder.embed_passages(texts)
    points = await to_thread.run_sync(_points, part, vectors)
    await resources.index.add(space.collection, points, dimension=space.dimension)


def _points(part: Sequence[Stored], vectors: Sequence[list[float]]) -> list[Point]:
    points: list[Point] = []
    start = 0
    for item in part:
        entry, document = item.ready.entry, item.ready.document
        common = entry_payload(
            datasource_id=entry.datasource_id,
            entry_id=entry.id,
            version=entry.version,
            name=item.ready.name or entry.name,
            source=entry.source,
            mime_type=document.mime_type,
            entry_metadata=entry.entry_metadata,
        )
        own = vectors[start : start + len(item.chunks)]
        points += make_points(common, document.text, item.chunks, own)
        start += len(item.chunks)
    return points


def _show(session: Session, stored: Sequence[Stored], *, space: Space) -> set[UUID]:
    """Let searches find the new content and no longer the old; returns the entries that were still held."""
    entries = [item.ready.entry for item in stored]
    held = work.held(session, entries) - _moved(session, entries, space)
    shown = [item for item in stored if item.ready.entry.id in held]
    moment = now()
    work.update_each(session, [_shown(item, moment) for item in shown])
    _keep_content(session, shown)
    return held


def _moved(session: Session, entries: Sequence[Claimed], space: Space) -> set[UUID]:
    """Free the entries whose datasource has another model by now; they are done again with that."""
    ids = {entry.datasource_id for entry in entries}
    rows = session.execute(
        select(Datasource.id, Datasource.embedding_model)
        .where(Datasource.id.in_(ids))
        .with_for_update(read=True)  # until the commit no other model can take over
    )
    models = {row.id: row.embedding_model for row in rows}
    moved = [entry for entry in entries if models.get(entry.datasource_id) != space.embedder.model]
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
        "size": len(ready.document.text.encode()),
        "chunks_count": len(item.chunks),
        "etag": ready.etag,
        "last_modified": ready.last_modified,
        "error": None,
        "updated_at": moment,
        "refresh_at": work.refresh_time(entry.config, entry.kind),
        # what replaces something is done when the old points are gone
        "status": EntryStatus.PROCESSING if replaces else EntryStatus.READY,
        "stage": Stage.INDEX if replaces else None,
        "work": Work.INGEST if replaces else None,
        "token": entry.token if replaces else None,
        "attempts": 0,
    }


def _keep_content(session: Session, shown: Sequence[Stored]) -> None:
    rows: list[dict[str, Any]] = []
    kept = [(item.ready.entry.id, item.ready.entry.version, dump_chunks(item.chunks), item) for item in shown]
    content = EntryContent.__table__
    for entry_id, version, chunks, item in kept:
        if item.ready.keep_text:
            text: dict[str, Any] = {"text": item.ready.document.text, "title": item.ready.document.title}
            session.execute(
                upsert(session, EntryContent)
                .values(entry_id=entry_id, version=version, chunks=chunks, **text)
                .on_conflict_do_update(
                    index_elements=["entry_id", "version"], set_={"chunks": chunks, **text}
                )
            )
        else:
            rows.append({"of_id": entry_id, "of_version": version, "to_chunks": chunks})
        if version > 1:
            session.execute(
                delete(EntryContent).where(EntryContent.entry_id == entry_id, EntryContent.version != version)
            )
    if rows:
        session.connection().execute(
            update(content)  # pyright: ignore[reportArgumentType] # a mapped class has a Table
            .where(content.c.entry_id == bindparam("of_id"), content.c.version == bindparam("of_version"))
            .values(chunks=bindparam("to_chunks")),
            rows,
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
            .values(status=EntryStatus.READY, stage=None, work=None, token=None, lease_until=None)
        )


async def _remove_unwanted(resources: Resources, space: Space, lost: Sequence[Stored]) -> None:
    """Remove the points of what was deleted, replaced or moved while it was being done."""
    if not lost:
        return
    entries = {item.ready.entry.id: item.ready.entry for item in lost}
    still = await resources.db.read(_current_versions, list(entries))
    unwanted = [
        generation(entry.id, entry.version)
        for entry in entries.values()
        if entry.version not in still.get(entry.id, ())
    ]
    if unwanted:
        await resources.index.remove_generations(space.collection, unwanted)


def _current_versions(session: Session, ids: Sequence[UUID]) -> dict[UUID, tuple[int | None, int]]:
    rows = session.execute(
        select(Entry.id, Entry.live_version, Entry.version)
        .join(Datasource, Datasource.id == Entry.datasource_id)
        .where(Entry.id.in_(ids), Entry.deleted_at.is_(None), Datasource.deleted_at.is_(None))
    )
    return {id_: (live, version) for id_, live, version in rows}
