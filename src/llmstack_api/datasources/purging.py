"""Deletion: vectors first, then rows, so that what was begun is always found again."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from llmstack_api.datasources.work import Claimed
from llmstack_api.models import Datasource, Entry
from llmstack_api.resources import Resources

ROWS_AT_ONCE: Final = 500


async def purge_entries(resources: Resources, entries: Sequence[Claimed]) -> None:
    """Remove deleted entries with their vectors and content."""
    collections: dict[str, list[UUID]] = {}
    for entry in entries:
        for collection in {entry.collection, entry.next_collection, entry.old_collection} - {None}:
            collections.setdefault(str(collection), []).append(entry.id)
    for collection, ids in collections.items():
        await resources.index.remove_entries(collection, ids)
        await resources.index.flush(collection)
    await resources.db.write(_delete_entries, [(entry.id, entry.token) for entry in entries])


def _delete_entries(session: Session, entries: Sequence[tuple[UUID, UUID]]) -> None:
    ids = {id_ for id_, _ in entries}
    tokens = {token for _, token in entries}
    session.execute(
        delete(Entry).where(Entry.id.in_(ids), Entry.token.in_(tokens), Entry.deleted_at.is_not(None))
    )


async def purge_datasource(resources: Resources, datasource: Datasource) -> None:
    """Remove a deleted datasource with everything in it."""
    collections = {datasource.collection, datasource.next_collection, datasource.old_collection}
    for collection in collections - {None}:
        await resources.index.remove_datasource(str(collection), datasource.id)
        await resources.index.flush(str(collection))
    while await resources.db.write(_delete_some, datasource.id):
        pass
    await resources.db.write(_delete_datasource, datasource.id, datasource.token)


def _delete_some(session: Session, datasource_id: UUID) -> bool:
    ids = list(
        session.scalars(select(Entry.id).where(Entry.datasource_id == datasource_id).limit(ROWS_AT_ONCE))
    )
    session.execute(delete(Entry).where(Entry.id.in_(ids)))
    return len(ids) == ROWS_AT_ONCE


def _delete_datasource(session: Session, datasource_id: UUID, token: UUID | None) -> None:
    session.execute(delete(Datasource).where(Datasource.id == datasource_id, Datasource.token == token))
