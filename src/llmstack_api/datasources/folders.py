"""The in-process index and the database kept in step: a folder that is new, or another one, is filled from the rows."""

from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.db import upsert
from llmstack_api.models import Datasource, IndexFolder, Work, now
from llmstack_api.resources import Resources
from llmstack_api.vectors.edge import EdgeStore

log = structlog.get_logger(__name__)


async def check_folders(resources: Resources) -> None:
    """Have every collection filled anew whose folder is not the one that was filled.

    A folder is new where it was lost, moved aside because it did not open, or is another replica's.
    """
    store = resources.index.store
    if not isinstance(store, EdgeStore):
        return
    for collection, dimension in (await resources.db.read(_collections)).items():
        await _keep_in_step(resources, store, collection, dimension)


async def note_folder(resources: Resources, collection: str, dimension: int) -> None:
    """Write down which folder holds a collection, before the first chunk in it counts as stored."""
    store = resources.index.store
    if isinstance(store, EdgeStore):
        await _keep_in_step(resources, store, collection, dimension)


async def _keep_in_step(resources: Resources, store: EdgeStore, collection: str, dimension: int) -> None:
    await store.ensure(collection, dimension=dimension)
    generation = await store.generation(collection)
    if generation is None:
        raise RuntimeError(f"the folder of {collection} has no generation")
    wanted = await resources.db.write(_note, collection, generation)
    if wanted:
        log.warning("index_is_filled_anew", collection=collection, datasources=wanted)


def _collections(session: Session) -> dict[str, int]:
    rows = session.execute(
        select(Datasource.collection, Datasource.dimension)
        .where(Datasource.collection.is_not(None), Datasource.deleted_at.is_(None))
        .distinct()
    )
    return {
        collection: dimension
        for collection, dimension in rows
        if collection is not None and dimension is not None
    }


def _note(session: Session, collection: str, generation: UUID) -> int:
    known = session.scalar(select(IndexFolder.generation).where(IndexFolder.collection == collection))
    if known == generation:
        return 0
    session.execute(
        upsert(session, IndexFolder)
        .values(collection=collection, generation=generation)
        .on_conflict_do_update(index_elements=["collection"], set_={"generation": generation})
    )
    return 0 if known is None else _want_reembedding(session, collection)


def _want_reembedding(session: Session, collection: str) -> int:
    rows = session.scalars(
        select(Datasource).where(Datasource.collection == collection, Datasource.deleted_at.is_(None))
    ).all()
    for row in rows:
        row.next_model = row.next_model or row.embedding_model
        row.work, row.due_at, row.token, row.lease_until = Work.REEMBED, now(), None, None
    session.flush()
    return len(rows)
