"""Entries that a sitemap names, and URLs that have not changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import work
from llmstack_api.datasources.fingerprints import fingerprint
from llmstack_api.datasources.transitions import bury_entries, want_again
from llmstack_api.datasources.work import Claimed
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import NAME_LENGTH, Entry, EntryStatus, Stage, Work, new_id, now


def replace_children(session: Session, sitemap: Claimed, urls: Sequence[str]) -> list[Job]:
    """Make an entry of each page that the sitemap newly names, and delete those that it names no longer.

    Pages that it named before are fetched again, but for those that wait to be, or have been since the sitemap was
    to be read. The sitemap's own entry is READY with this.
    """
    if not all(work.held(session, [sitemap])):
        return []
    asked = session.scalar(select(Entry.updated_at).where(Entry.id == sitemap.id))
    rows = session.execute(
        select(
            Entry.source,
            Entry.id,
            Entry.wanted_encoding,
            or_(Entry.work.is_not(None), Entry.updated_at >= asked).label("fresh"),
        )
        .where(Entry.parent_id == sitemap.id, Entry.deleted_at.is_(None))
        .order_by(Entry.id)
        .with_for_update()
    ).all()
    known = {row.source: row.id for row in rows}
    wanted = dict.fromkeys(urls)
    kept = [row for row in rows if row.source in wanted]
    again = [row.id for row in kept if not row.fresh or row.wanted_encoding != sitemap.wanted_encoding]
    want_again(session, Entry.id.in_(again), work=Work(sitemap.work))
    _tell_encoding(session, [row.id for row in kept], sitemap.wanted_encoding)
    bury_entries(session, [id_ for url, id_ in known.items() if url not in wanted])
    session.add_all(_child(sitemap, url) for url in wanted if url not in known)
    session.flush()
    work.succeed(session, sitemap, live_version=sitemap.version)
    made = session.execute(
        select(Entry.id, Entry.account_id, Entry.version, Entry.work).where(
            Entry.parent_id == sitemap.id, Entry.work.is_not(None)
        )
    )
    return [
        Job(JobKind.ENTRY, id_, account, version, later=work == Work.REREAD)
        for id_, account, version, work in made
    ]


def keep_as_it_was(session: Session, entry: Claimed) -> None:
    """End the work of a URL that says it has not changed."""
    work.succeed(session, entry, version=entry.live_version)


def _tell_encoding(session: Session, ids: Sequence[UUID], encoding: str | None) -> None:
    """Let pages be read in the encoding that their sitemap says by now, whether or not they have changed."""
    session.execute(
        update(Entry)
        .where(Entry.id.in_(ids), Entry.wanted_encoding.is_distinct_from(encoding))
        .values(wanted_encoding=encoding, etag=None, last_modified=None)
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
        wanted_encoding=sitemap.wanted_encoding,
        status=EntryStatus.PROCESSING,
        stage=Stage.QUEUED,
        fingerprint=fingerprint("url", url, sitemap.entry_metadata),
        work=Work.INGEST,
        due_at=moment,
        created_at=moment,
        updated_at=moment,
    )
