"""A datasource's chunks embedded again: beside the old vectors, which are searched until all is there."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from anyio import to_thread
from sqlalchemy import Select, and_, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources.folders import note_folder
from llmstack_api.datasources.indexing import SLICE
from llmstack_api.datasources.points import (
    Passage,
    embed,
    entry_payload,
    language_of,
    load_chunks,
    make_points,
    passages,
)
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import EmbeddingAwayError
from llmstack_api.ingest.document import Chunk
from llmstack_api.models import Datasource, Entry, EntryContent, now
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import Space, generation
from llmstack_api.vectors.languages import Language

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE: Final = 50
PAUSES: Final = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Seconds before a model that is away is asked again for the same chunks; then the work is put off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Indexed:
    """An entry that is searched, with its content."""

    common: JsonObject
    text: str
    title: str | None
    chunks: list[Chunk]


async def reembed(resources: Resources, datasource: Datasource) -> None:
    """Embed every chunk with `next_model`, let searches use that, and remove what other models made.

    Ends without a word where the datasource is not held any more: it was deleted, or another model is wanted.
    """
    await _sweep(resources, datasource)
    if datasource.next_model is not None:
        space = await resources.embedders.space(datasource.next_model)
        await note_folder(resources, space.collection, space.dimension)
        if not await resources.db.write(_note_next, datasource, space.collection):
            return
        done: dict[UUID, int] = {}
        while not await resources.db.write(_swap, datasource, done, space=space):
            if not await _embed_missing(resources, datasource, space, done):
                return
            await resources.index.flush(space.collection)
        await _sweep(resources, datasource)
    await resources.db.write(_finish, datasource)


async def _sweep(resources: Resources, datasource: Datasource) -> None:
    """Remove what a model made that is searched no longer, or never was."""
    old = await resources.db.read(_old_collection, datasource)
    if old is not None:
        await resources.index.remove_datasource(old, datasource.id)
        await resources.index.flush(old)
        await resources.db.write(_forget_old, datasource, old)


async def _embed_missing(
    resources: Resources, datasource: Datasource, space: Space, done: dict[UUID, int]
) -> bool:
    """Embed the entries that are searched in another version than the one noted in `done`.

    Returns whether the datasource is still held.
    """
    last: UUID | None = None
    while page := await resources.db.read(_page_after, datasource.id, last):
        if not await resources.db.read(_is_held, datasource):
            return False
        for entry_id, version in page:
            if done.get(entry_id) != version:
                await _embed(resources, space, entry_id, language=language_of(datasource.config))
                done[entry_id] = version
        await _remove_gone(resources, space, dict(page))
        last = page[-1][0]
    return True


async def _remove_gone(resources: Resources, space: Space, page: dict[UUID, int]) -> None:
    """Remove the points of what was deleted or replaced while its page was embedded, and of earlier versions."""
    still = await resources.db.read(_live_versions, list(page))
    gone = [generation(id_, version) for id_, version in page.items() if still.get(id_) != version]
    if gone:
        await resources.index.remove_generations(space.collection, gone)
    replaced = {id_: generation(id_, version) for id_, version in still.items() if version > 1}
    if replaced:
        await resources.index.remove_other_generations(space.collection, replaced)


async def _embed(resources: Resources, space: Space, entry_id: UUID, *, language: Language) -> None:
    entry = await resources.db.read(_indexed, entry_id)
    if entry is None:
        return
    for start in range(0, len(entry.chunks), SLICE):
        chunks = entry.chunks[start : start + SLICE]
        part = passages(entry.text, chunks, name=entry.common["name"], title=entry.title)
        vectors = await _vectors(space, part)
        make = partial(make_points, entry.common, part, vectors, language=language)
        await resources.index.add(space.collection, await to_thread.run_sync(make), dimension=space.dimension)


async def _vectors(space: Space, part: Sequence[Passage]) -> list[list[float]]:
    """Embed passages; if the model is away for a while, what was done before is not done again."""
    for pause in PAUSES:
        try:
            return await embed(space.embedder, part)
        except EmbeddingAwayError as error:
            log.warning("reembedding_waits", model=space.embedder.model, error=str(error))
            await asyncio.sleep(pause)
    return await embed(space.embedder, part)


def _page_after(session: Session, datasource_id: UUID, last: UUID | None) -> list[tuple[UUID, int]]:
    query = _searched(datasource_id).order_by(Entry.id).limit(ENTRIES_AT_ONCE)
    if last is not None:
        query = query.where(Entry.id > last)
    return [(id_, version) for id_, version in session.execute(query)]


def _searched(datasource_id: UUID) -> Select[UUID, int]:
    """Select the entries that searches find, each with the version of its content."""
    return (
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
    )


def _indexed(session: Session, entry_id: UUID) -> _Indexed | None:
    row = session.execute(
        select(
            Entry.datasource_id,
            EntryContent.version,
            EntryContent.text,
            EntryContent.title,
            EntryContent.chunks,
            EntryContent.described,
        )
        .join(
            EntryContent,
            and_(EntryContent.entry_id == Entry.id, EntryContent.version == Entry.live_version),
        )
        .where(Entry.id == entry_id, Entry.deleted_at.is_(None))
    ).first()
    if row is None or row.described is None:
        return None
    common = entry_payload(
        datasource_id=row.datasource_id, entry_id=entry_id, version=row.version, described=row.described
    )
    return _Indexed(common=common, text=row.text or "", title=row.title, chunks=load_chunks(row.chunks or []))


def _live_versions(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = session.execute(
        select(Entry.id, Entry.live_version).where(Entry.id.in_(ids), Entry.deleted_at.is_(None))
    )
    return {id_: version for id_, version in rows if version is not None}


def _is_held(session: Session, datasource: Datasource) -> bool:
    return session.scalar(select(Datasource.token).where(Datasource.id == datasource.id)) == datasource.token


def _note_next(session: Session, datasource: Datasource, collection: str) -> bool:
    """Write down where the points will be, before the first; returns whether the datasource is still held."""
    noted = session.execute(
        update(Datasource)
        .where(Datasource.id == datasource.id, Datasource.token == datasource.token)
        .values(next_collection=collection)
        .returning(Datasource.id)
    )
    return noted.first() is not None


def _swap(session: Session, datasource: Datasource, done: dict[UUID, int], *, space: Space) -> bool:
    """Let searches use the new vectors if they are complete."""
    row = session.scalar(
        select(Datasource)
        .where(Datasource.id == datasource.id, Datasource.token == datasource.token)
        .with_for_update()  # entries that become searchable now wait for this, and then for the new model
    )
    if row is None or row.next_model != datasource.next_model:
        return True  # deleted, or changed again: there is nothing to finish
    if not _complete(session, datasource.id, done):
        return False
    if row.collection != space.collection:
        row.old_collection = row.collection
    row.embedding_model, row.dimension, row.collection = (
        space.embedder.model,
        space.dimension,
        space.collection,
    )
    row.next_model, row.next_collection, row.updated_at = None, None, now()
    session.flush()
    return True


def _complete(session: Session, datasource_id: UUID, done: dict[UUID, int]) -> bool:
    rows = session.execute(_searched(datasource_id))
    return all(done.get(id_) == version for id_, version in rows)


def _old_collection(session: Session, datasource: Datasource) -> str | None:
    return session.scalar(
        select(Datasource.old_collection).where(
            Datasource.id == datasource.id, Datasource.token == datasource.token
        )
    )


def _forget_old(session: Session, datasource: Datasource, collection: str) -> None:
    session.execute(
        update(Datasource)
        .where(
            Datasource.id == datasource.id,
            Datasource.token == datasource.token,
            Datasource.old_collection == collection,
        )
        .values(old_collection=None)
    )


def _finish(session: Session, datasource: Datasource) -> None:
    session.execute(
        update(Datasource)
        .where(
            Datasource.id == datasource.id,
            Datasource.token == datasource.token,
            Datasource.next_model.is_(None),
        )
        .values(work=None, token=None, lease_until=None, attempts=0)
    )
    session.execute(
        update(Datasource)
        .where(Datasource.id == datasource.id, Datasource.token == datasource.token)
        .values(token=None, lease_until=None, due_at=now())
    )
