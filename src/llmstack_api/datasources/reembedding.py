"""A datasource's chunks embedded anew: beside the old vectors, which are searched until all is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources.folders import note_folder
from llmstack_api.datasources.points import entry_payload, load_chunks, make_points
from llmstack_api.engine.ports import JsonObject
from llmstack_api.ingest.document import Chunk
from llmstack_api.models import Datasource, Entry, EntryContent, now
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import Space

ENTRIES_AT_ONCE: Final = 50
SLICE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Indexed:
    """An entry that is searched, with its content."""

    id: UUID
    version: int
    common: JsonObject
    text: str
    chunks: list[Chunk]


async def reembed(resources: Resources, datasource: Datasource) -> None:
    """Embed every chunk with `next_model`, let searches use that, and remove what the old model made."""
    if datasource.next_model is not None:
        space = await resources.embedders.space(datasource.next_model)
        await note_folder(resources, space.collection, space.dimension)
        done: dict[UUID, int] = {}
        while not await resources.db.write(_swap, datasource, done, space=space):
            await _embed_missing(resources, datasource.id, space, done)
            await resources.index.flush(space.collection)
    old = await resources.db.read(_old_collection, datasource.id)
    if old is not None:
        await resources.index.remove_datasource(old, datasource.id)
        await resources.index.flush(old)
    await resources.db.write(_finish, datasource)


async def _embed_missing(
    resources: Resources, datasource_id: UUID, space: Space, done: dict[UUID, int]
) -> None:
    """Embed the entries that are searched in another version than the one noted in `done`."""
    last: UUID | None = None
    while entries := await resources.db.read(_entries_after, datasource_id, last):
        for entry in entries:
            if done.get(entry.id) != entry.version:
                await _embed(resources, space, entry)
                done[entry.id] = entry.version
        last = entries[-1].id


async def _embed(resources: Resources, space: Space, entry: _Indexed) -> None:
    for start in range(0, len(entry.chunks), SLICE):
        chunks = entry.chunks[start : start + SLICE]
        vectors = await space.embedder.embed_passages(
            [entry.text[piece.start : piece.end] for piece in chunks]
        )
        points = await to_thread.run_sync(make_points, entry.common, entry.text, chunks, vectors)
        await resources.index.add(space.collection, points, dimension=space.dimension)


def _entries_after(session: Session, datasource_id: UUID, last: UUID | None) -> list[_Indexed]:
    query = (
        select(Entry, EntryContent)
        .join(
            EntryContent,
            and_(EntryContent.entry_id == Entry.id, EntryContent.version == Entry.live_version),
        )
        .where(
            Entry.datasource_id == datasource_id, Entry.deleted_at.is_(None), EntryContent.chunks.is_not(None)
        )
        .order_by(Entry.id)
        .limit(ENTRIES_AT_ONCE)
    )
    if last is not None:
        query = query.where(Entry.id > last)
    return [_indexed(entry, content) for entry, content in session.execute(query)]


def _indexed(entry: Entry, content: EntryContent) -> _Indexed:
    common = entry_payload(
        datasource_id=entry.datasource_id,
        entry_id=entry.id,
        version=content.version,
        name=entry.name,
        source=entry.source,
        mime_type=entry.mime_type,
        entry_metadata=entry.entry_metadata,
    )
    chunks = load_chunks(content.chunks or [])
    return _Indexed(
        id=entry.id, version=content.version, common=common, text=content.text or "", chunks=chunks
    )


def _swap(session: Session, datasource: Datasource, done: dict[UUID, int], *, space: Space) -> bool:
    """Let searches use the new vectors if they are complete."""
    row = session.scalar(
        select(Datasource)
        .where(Datasource.id == datasource.id, Datasource.token == datasource.token)
        .with_for_update()  # entries that become searchable now wait for this, and then for the new model
    )
    if row is None or row.next_model != datasource.next_model:
        return True  # deleted, or changed again: another round of work is due
    if not _complete(session, datasource.id, done):
        return False
    if row.collection != space.collection:
        row.old_collection = row.collection
    row.embedding_model, row.dimension, row.collection = (
        space.embedder.model,
        space.dimension,
        space.collection,
    )
    row.next_model, row.updated_at = None, now()
    session.flush()
    return True


def _complete(session: Session, datasource_id: UUID, done: dict[UUID, int]) -> bool:
    rows: Sequence[tuple[UUID, int]] = session.execute(
        select(Entry.id, EntryContent.version)
        .join(
            EntryContent,
            and_(EntryContent.entry_id == Entry.id, EntryContent.version == Entry.live_version),
        )
        .where(
            Entry.datasource_id == datasource_id,
            Entry.deleted_at.is_(None),
            EntryContent.chunks.is_not(None),
        )
    ).all()
    return all(done.get(id_) == version for id_, version in rows)


def _old_collection(session: Session, datasource_id: UUID) -> str | None:
    return session.scalar(select(Datasource.old_collection).where(Datasource.id == datasource_id))


def _finish(session: Session, datasource: Datasource) -> None:
    session.execute(
        update(Datasource)
        .where(
            Datasource.id == datasource.id,
            Datasource.token == datasource.token,
            Datasource.next_model.is_(None),
        )
        .values(old_collection=None, work=None, token=None, lease_until=None, attempts=0)
    )
    session.execute(
        update(Datasource)
        .where(Datasource.id == datasource.id, Datasource.token == datasource.token)
        .values(token=None, lease_until=None, due_at=now())
    )
