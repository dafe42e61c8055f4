"""What a caller wants done to rows that workers may hold: said whole, in one statement, to rows that are locked.

The ORM writes only what it believes to have changed, and would leave a token that a worker has just set.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import Session

from llmstack_api.models import Datasource, Entry, EntryStatus, Stage, Work, now


def lock_entries(session: Session, ids: Sequence[UUID]) -> None:
    """Lock entries until the transaction ends, in the order of their ids, as everybody does."""
    session.execute(select(Entry.id).where(Entry.id.in_(ids)).order_by(Entry.id).with_for_update())


def want_again(session: Session, which: ColumnElement[bool], *, work: Work = Work.INGEST) -> None:
    """Have the content of entries made searchable again; until then searches find what they found.

    `work` is `REREAD` where nobody waits for these entries in particular. What is new to searches stays `INGEST`.
    """
    moment = now()
    session.execute(
        update(Entry)
        .where(which, Entry.deleted_at.is_(None))
        .values(
            version=Entry.version + 1,
            status=EntryStatus.PROCESSING,
            stage=Stage.QUEUED,
            error=None,
            work=case((Entry.work == Work.INGEST, Work.INGEST), else_=work),
            due_at=moment,
            attempts=0,
            begun=False,
            token=None,
            lease_until=None,
            refresh_at=None,
            updated_at=moment,
        )
    )


def bury_entries(session: Session, ids: Sequence[UUID]) -> None:
    """Take entries out of everything that is seen.

    What they left in the index is removed when nobody can be adding to it any more.
    """
    moment = now()
    session.execute(
        update(Entry)
        .where(Entry.id.in_(ids), Entry.deleted_at.is_(None))
        .values(
            deleted_at=moment,
            work=Work.PURGE,
            due_at=case((Entry.lease_until > moment, Entry.lease_until), else_=moment),
            attempts=0,
            token=None,
            lease_until=None,
            refresh_at=None,
        )
    )


def bury_datasource(session: Session, datasource_id: UUID) -> None:
    """Take a datasource with its entries out of everything that is seen, likewise."""
    moment = now()
    entries = list(
        session.scalars(
            select(Entry.lease_until)
            .where(Entry.datasource_id == datasource_id, Entry.lease_until > moment, Entry.work.is_not(None))
            .with_for_update()
        )
    )
    own = session.scalar(select(Datasource.lease_until).where(Datasource.id == datasource_id))
    leases = [until for until in (own, *entries) if until is not None]
    session.execute(
        update(Datasource)
        .where(Datasource.id == datasource_id)
        .values(
            deleted_at=moment,
            work=Work.PURGE,
            due_at=max([moment, *leases]),
            attempts=0,
            token=None,
            lease_until=None,
        )
    )
    session.execute(
        update(Entry)
        .where(Entry.datasource_id == datasource_id, Entry.work.is_not(None))
        .values(work=None, token=None, lease_until=None)
    )


def want_reembedding(session: Session, datasource_id: UUID, model: str) -> None:
    """Have all chunks of a datasource embedded again by a model; what another one has begun is removed."""
    session.execute(
        update(Datasource)
        .where(Datasource.id == datasource_id, Datasource.deleted_at.is_(None))
        .values(
            next_model=model,
            old_collection=case(
                (Datasource.next_collection != Datasource.collection, Datasource.next_collection),
                else_=Datasource.old_collection,
            ),
            next_collection=None,
            work=Work.REEMBED,
            due_at=now(),
            attempts=0,
            token=None,
            lease_until=None,
        )
    )
