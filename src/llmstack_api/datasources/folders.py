"""The in-process index and the database kept in step: a folder that is new, or another one, is filled from the rows."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.datasources import transitions
from llmstack_api.db import upsert
from llmstack_api.models import Datasource, IndexFolder
from llmstack_api.resources import Resources
from llmstack_api.vectors.edge import EdgeStore

log = structlog.get_logger(__name__)


async def check_folders(resources: Resources) -> None:
    """Have every collection filled again whose folder is not the one that was filled.

    A folder is new where it was lost, moved aside because it did not open, or is another replica's.
    """
    store = resources.index.store
    if not isinstance(store, EdgeStore):
        return
    for collection, dimension in (await resources.db.read(_collections)).items():
        await _keep_in_step(resources, store, collection, dimension)


async def check_collections(resources: Resources) -> None:
    """Have every datasource embedded again whose points were made in another way than new ones would be."""
    rows = await resources.db.read(_made)
    other = [
        id_
        for id_, model, dimension, collection in rows
        if resources.embedders.collection(model, dimension) not in {None, collection}
    ]
    if other:
        log.warning("datasources_are_embedded_anew", count=len(other))
        await resources.db.write(want_reembedding, other)


def _made(session: Session) -> list[tuple[UUID, str, int, str]]:
    rows = session.execute(
        select(Datasource.id, Datasource.embedding_model, Datasource.dimension, Datasource.collection).where(
            Datasource.collection.is_not(None), Datasource.deleted_at.is_(None)
        )
    )
    return [
        (id_, model, dimension, collection)
        for id_, model, dimension, collection in rows
        if dimension is not None and collection is not None
    ]


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
    if known is None:
        return 0
    ids = session.scalars(select(Datasource.id).where(Datasource.collection == collection)).all()
    return want_reembedding(session, ids, from_the_start=True)


def want_reembedding(session: Session, datasources: Sequence[UUID], *, from_the_start: bool = False) -> int:
    """Have all chunks of datasources embedded again, with the model that they have or are about to have.

    What is going on already goes on, unless it shall begin `from_the_start`.
    """
    wanted = 0
    for datasource_id in datasources:
        row = session.scalar(
            select(Datasource)
            .where(Datasource.id == datasource_id, Datasource.deleted_at.is_(None))
            .with_for_update()
        )
        if row is not None and (from_the_start or row.next_model is None):
            transitions.want_reembedding(session, row.id, row.next_model or row.embedding_model)
            wanted += 1
    return wanted
