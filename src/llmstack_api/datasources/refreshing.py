"""URLs and sitemaps whose datasource wants them fetched again from time to time."""

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from llmstack_api.datasources.transitions import want_again
from llmstack_api.models import Entry, Work, now

AT_ONCE: Final = 200


def refreshes_due(session: Session) -> bool:
    """Tell whether there is something to fetch again."""
    return session.scalar(_due().with_only_columns(Entry.id).limit(1)) is not None


def want_refreshes(session: Session) -> None:
    """Have the entries fetched again whose time has come."""
    due = _due().with_only_columns(Entry.id).limit(AT_ONCE).with_for_update(skip_locked=True)
    want_again(session, Entry.id.in_(session.scalars(due).all()), work=Work.REREAD)


def _due() -> Select[Entry]:
    return select(Entry).where(Entry.refresh_at <= now(), Entry.deleted_at.is_(None), Entry.work.is_(None))
