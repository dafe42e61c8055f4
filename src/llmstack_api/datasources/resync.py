"""All entries of a datasource read again: put down page by page, so that nobody's write waits long for it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_, or_, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import service
from llmstack_api.datasources.transitions import want_again
from llmstack_api.datasources.waking import wake
from llmstack_api.datasources.work import READING, is_free
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import Datasource, Entry, Work, new_id
from llmstack_api.resources import Resources

AT_ONCE: Final = 2000
"""Entries of one transaction."""
WOKEN: Final = 500
"""Entries for which workers are woken."""


async def resync_datasource(resources: Resources, *, account_id: UUID, datasource_id: UUID) -> int:
    """Have all entries of a datasource read again that are there now; return how many they are.

    If it breaks off, what it has put down stays so, and it can be called again.

    Raises:
        DatasourceNotFoundError: the account has no such datasource, or it was deleted meanwhile.
    """
    place = {"account_id": account_id, "datasource_id": datasource_id}
    newest = new_id()
    count, last = 0, UUID(int=0)
    while True:
        ids = await resources.db.write(_want_page, **place, after=last, newest=newest)
        if not count:  # workers find the others by themselves
            await wake(resources, await resources.db.read(_jobs, account_id, ids[:WOKEN]))
        count += len(ids)
        if len(ids) < AT_ONCE:
            return count
        last = ids[-1]


def _want_page(
    session: Session, *, account_id: UUID, datasource_id: UUID, after: UUID, newest: UUID
) -> list[UUID]:
    """Have the next entries read again; return their ids in order."""
    service.find(session, account_id=account_id, datasource_id=datasource_id)
    # until the commit it cannot be deleted
    session.execute(select(Datasource.id).where(Datasource.id == datasource_id).with_for_update(read=True))
    there = and_(Entry.datasource_id == datasource_id, Entry.deleted_at.is_(None), Entry.id > after)
    page = select(Entry.id).where(there, Entry.id <= newest).order_by(Entry.id).limit(AT_ONCE)
    ids = list(session.scalars(page.with_for_update()))
    if ids:
        among = and_(there, Entry.id <= ids[-1])  # a list of so many ids would take longer than the update
        _forget_validators(session, among)
        want_again(session, and_(among, not_(_waits())), work=Work.REREAD)
    return ids


def _waits() -> ColumnElement[bool]:
    """Tell what is to be read anyway and not begun: it stays where it is in the line."""
    return and_(Entry.work.is_not(None), Entry.work.in_(READING), is_free(Entry))


def _forget_validators(session: Session, among: ColumnElement[bool]) -> None:
    """Have URLs fetched even if they have not changed: what is made of them may be another thing today."""
    session.execute(
        update(Entry)
        .where(among, or_(Entry.etag.is_not(None), Entry.last_modified.is_not(None)))
        .values(etag=None, last_modified=None)
    )


def _jobs(session: Session, account_id: UUID, ids: Sequence[UUID]) -> list[Job]:
    rows = session.execute(
        select(Entry.id, Entry.version, Entry.work).where(Entry.id.in_(ids)).order_by(Entry.id)
    )
    return [
        Job(JobKind.ENTRY, id_, account_id, version, later=work == Work.REREAD) for id_, version, work in rows
    ]
