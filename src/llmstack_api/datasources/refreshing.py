"""URLs and sitemaps whose datasource wants them fetched again from time to time."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.datasources.children import want_again
from llmstack_api.models import Entry, now

AT_ONCE: Final = 200


def want_refreshes(session: Session) -> None:
    """Have the entries fetched again whose time has come."""
    due = select(Entry).where(Entry.refresh_at <= now(), Entry.deleted_at.is_(None), Entry.work.is_(None))
    for entry in session.scalars(due.limit(AT_ONCE).with_for_update(skip_locked=True)):
        want_again(entry)
    session.flush()
