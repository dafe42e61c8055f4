"""Entries that a sitemap names, and URLs that have not changed."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import work
from llmstack_api.datasources.fingerprints import fingerprint
from llmstack_api.datasources.work import Claimed
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import NAME_LENGTH, Entry, EntryStatus, Stage, Work, new_id, now


def replace_children(session: Session, sitemap: Claimed, urls: Sequence[str]) -> list[Job]:
    """Make an entry of each page that the sitemap names anew, and delete those that it names no longer.

    Pages that it named before are fetched again. The sitemap's own entry is READY with this.
    """
    if not work.held(session, [sitemap]):
        return []
    moment = now()
    known = {
        entry.source: entry
        for entry in session.scalars(
            select(Entry).where(Entry.parent_id == sitemap.id, Entry.deleted_at.is_(None))
        )
    }
    wanted = dict.fromkeys(urls)
    for url in wanted:
        if (entry := known.get(url)) is not None:
            want_again(entry)
        else:
            session.add(_child(sitemap, url))
    for url, entry in known.items():
        if url not in wanted:
            entry.deleted_at, entry.work, entry.due_at = moment, Work.PURGE, moment
            entry.token = entry.lease_until = None
    session.flush()
    session.execute(
        update(Entry)
        .where(Entry.id == sitemap.id, Entry.token == sitemap.token)
        .values(
            status=EntryStatus.READY,
            live_version=sitemap.version,
            stage=None,
            error=None,
            work=None,
            token=None,
            lease_until=None,
            attempts=0,
            updated_at=moment,
            refresh_at=work.refresh_time(sitemap.config, sitemap.kind),
        )
    )
    rows = session.execute(
        select(Entry.id, Entry.account_id, Entry.version).where(
            Entry.parent_id == sitemap.id, Entry.work.is_not(None)
        )
    )
    return [Job(JobKind.ENTRY, id_, account, version) for id_, account, version in rows]


def want_again(entry: Entry) -> None:
    """Have an entry's content made searchable anew; until then searches find what they found."""
    entry.version += 1
    entry.status, entry.stage, entry.error = EntryStatus.PROCESSING, Stage.QUEUED, None
    entry.work, entry.due_at, entry.attempts = Work.INGEST, now(), 0
    entry.token = entry.lease_until = entry.refresh_at = None
    entry.updated_at = now()


def keep_as_it_was(session: Session, entry: Claimed) -> None:
    """End the work of a URL that says it has not changed."""
    session.execute(
        update(Entry)
        .where(Entry.id == entry.id, Entry.token == entry.token)
        .values(
            status=EntryStatus.READY,
            version=entry.live_version,
            stage=None,
            error=None,
            work=None,
            token=None,
            lease_until=None,
            attempts=0,
            updated_at=now(),
            refresh_at=work.refresh_time(entry.config, entry.kind),
        )
    )


def _child(sitemap: Claimed, url: str) -> Entry:
    moment = now()
    return Entry(
        id=new_id(),
        account_id=sitemap.account_id,
        datasource_id=sitemap.datasource_id,
        parent_id=sitemap.id,
        kind="url",
        name=url[:NAME_LENGTH],
        source=url,
        entry_metadata=sitemap.entry_metadata,
        status=EntryStatus.PROCESSING,
        stage=Stage.QUEUED,
        fingerprint=fingerprint("url", url, sitemap.entry_metadata),
        work=Work.INGEST,
        due_at=moment,
        created_at=moment,
        updated_at=moment,
    )
