"""Entries in the database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, desc, func, insert, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources import service
from llmstack_api.datasources.fingerprints import fingerprint
from llmstack_api.datasources.points import stored_metadata
from llmstack_api.datasources.transitions import bury_entries, lock_entries, want_again
from llmstack_api.datasources.types import SITEMAP, TYPES, DatasourceType, Kind
from llmstack_api.engine.ports import File, JsonObject
from llmstack_api.errors import DatasourceNotFoundError, EntryNotFoundError, InvalidInputError
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import (
    NAME_LENGTH,
    Datasource,
    Entry,
    EntryContent,
    EntryStatus,
    Stage,
    Work,
    new_id,
    now,
)
from llmstack_api.vectors.filters import Filter, matches
from llmstack_api.web.multipart import invalid
from llmstack_api.web.paging import Page

NO_SUCH_ENTRY = "This datasource has no such entry."
SCANNED: Final = 5_000
"""Entries that one page of a filtered list looks at; where they do not fill it, the `Link` header leads on."""
_LOOKED_AT: Final = 500
_PURGED: Final = -1
"""Version of a deletion's wake-up: not that of a job which may be running."""
_TYPE: Final = select(Datasource.type).where(
    Datasource.id == bindparam("of_id"),
    Datasource.account_id == bindparam("of_account"),
    Datasource.deleted_at.is_(None),
)
_INSERT_ENTRY: Final = insert(Entry.__table__)  # pyright: ignore[reportArgumentType] # a mapped class has a Table
_INSERT_CONTENT: Final = insert(EntryContent.__table__)  # pyright: ignore[reportArgumentType] # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An entry as it was sent."""

    kind: Kind
    name: str
    source: str
    entry_metadata: JsonObject
    text: str | None = None
    upload: File | None = None
    encoding: str | None = None
    """What its text is in, if its owner says it."""

    def fingerprint(self) -> str:
        """Return the digest of all of it."""
        told = () if self.encoding is None else (self.encoding,)  # without it, that of before there was one
        if self.upload is not None:
            names = (self.name, self.upload.name, self.upload.media_type, *told)
            return fingerprint(self.kind, self.upload.data, self.entry_metadata, *names)
        return fingerprint(self.kind, self.text or self.source, self.entry_metadata, self.name, *told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries of a datasource are listed."""

    status: EntryStatus | None = None
    name: str | None = None
    filters: Filter | None = None


def add_entry(
    session: Session,
    *,
    account_id: UUID,
    datasource_id: UUID,
    given: Given,
    digest: str,
    external_id: str | None = None,
) -> Entry:
    """Store an entry with its content; its work is due."""
    connection = session.connection()  # the hot path of an upload, without the ORM
    type_ = connection.execute(_TYPE, {"of_account": account_id, "of_id": datasource_id}).scalar()
    if type_ is None:
        raise DatasourceNotFoundError(service.NO_SUCH_DATASOURCE)
    check_kind(type_, given)
    moment = now()
    values: dict[str, Any] = {
        "id": new_id(),
        "account_id": account_id,
        "datasource_id": datasource_id,
        "external_id": external_id,
        "kind": SITEMAP if type_ == DatasourceType.SITEMAP else given.kind,
        "name": given.name,
        "source": given.source,
        "entry_metadata": given.entry_metadata,
        "wanted_encoding": given.encoding,
        "status": EntryStatus.PROCESSING,
        "stage": Stage.QUEUED,
        "fingerprint": digest,
        "size": _size(given),
        "version": 1,
        "chunks_count": 0,
        "attempts": 0,
        "begun": False,
        "work": Work.INGEST,
        "due_at": moment,
        "created_at": moment,
        "updated_at": moment,
    }
    connection.execute(_INSERT_ENTRY, values)
    _store_content(connection, values["id"], 1, given)
    return Entry(**values)


def check_kind(type_: str, given: Given) -> None:
    """Refuse an entry that is not what the datasource's type takes.

    Raises:
        InvalidInputError: it says what the type takes.
    """
    if given.kind not in TYPES[DatasourceType(type_)].takes:
        raise wrong_kind(type_, given.kind)


def wrong_kind(type_: str, got: str) -> InvalidInputError:
    """Make the error that says what a datasource takes."""
    takes = TYPES[DatasourceType(type_)].takes
    wanted = f"{'one of ' if len(takes) > 1 else ''}{', '.join(takes)}"
    return invalid("entry_data", f"a datasource of type {type_} takes {wanted}; {got} was given")


def put_entry(
    session: Session, *, account_id: UUID, datasource_id: UUID, external_id: str, given: Given, digest: str
) -> tuple[Entry, int]:
    """Store an entry under its owner's key; returns it with 201 (new), 200 (nothing changed) or 202 (replaced)."""
    check_kind(service.find(session, account_id=account_id, datasource_id=datasource_id).type, given)
    _take_turn(session, datasource_id, external_id)
    entry = session.scalar(_by_key(datasource_id, external_id).with_for_update())
    if entry is None:
        made = add_entry(
            session,
            account_id=account_id,
            datasource_id=datasource_id,
            given=given,
            digest=digest,
            external_id=external_id,
        )
        return made, 201
    if entry.fingerprint == digest and entry.status != EntryStatus.FAILED:
        return entry, 200
    want_again(session, Entry.id == entry.id)
    session.execute(
        update(Entry)
        .where(Entry.id == entry.id)
        .values(
            name=given.name,
            source=given.source,
            entry_metadata=given.entry_metadata,
            wanted_encoding=given.encoding,
            kind=entry.kind if entry.kind == SITEMAP else given.kind,
            fingerprint=digest,
            etag=None,
            last_modified=None,
        )
    )
    session.refresh(entry)
    _store_content(session.connection(), entry.id, entry.version, given)
    return entry, 202


def find_entry(session: Session, *, account_id: UUID, datasource_id: UUID, entry_id: UUID) -> Entry:
    """Return an entry.

    Raises:
        DatasourceNotFoundError: the account has no such datasource.
        EntryNotFoundError: the datasource has no such entry.
    """
    service.find(session, account_id=account_id, datasource_id=datasource_id)
    entry = session.scalar(_existing(datasource_id).where(Entry.id == entry_id))
    if entry is None:
        raise EntryNotFoundError(NO_SUCH_ENTRY)
    return entry


def find_by_key(session: Session, *, account_id: UUID, datasource_id: UUID, external_id: str) -> Entry:
    """Return the entry that its owner keeps under a key."""
    service.find(session, account_id=account_id, datasource_id=datasource_id)
    entry = session.scalar(_by_key(datasource_id, external_id))
    if entry is None:
        raise EntryNotFoundError(NO_SUCH_ENTRY)
    return entry


def list_entries(
    session: Session, *, account_id: UUID, datasource_id: UUID, selection: Selection, page: Page
) -> tuple[list[Entry], UUID | None]:
    """Return a page of entries, newest first, and the entry that it goes on after, if it does."""
    service.find(session, account_id=account_id, datasource_id=datasource_id)
    query = _existing(datasource_id).order_by(Entry.id.desc())
    if selection.status is not None:
        query = query.where(Entry.status == selection.status)
    if selection.name is not None:
        query = query.where(Entry.name == selection.name)
    if selection.filters is None:
        if page.cursor is not None:
            query = query.where(Entry.id < page.cursor)
        rows = list(session.scalars(query.limit(page.limit + 1)))
        shown = rows[: page.limit]
        return shown, shown[-1].id if len(rows) > len(shown) else None
    return _scan(session, query, selection.filters, page)


def _scan(
    session: Session, query: Select[Entry], filters: Filter, page: Page
) -> tuple[list[Entry], UUID | None]:
    found: list[Entry] = []
    last, seen = page.cursor, 0
    while seen < SCANNED:
        part = query if last is None else query.where(Entry.id < last)
        rows = session.scalars(part.limit(_LOOKED_AT)).all()
        for entry in rows:
            if matches(filters, listed_metadata(entry)):
                if len(found) == page.limit:
                    return found, found[-1].id
                found.append(entry)
        if len(rows) < _LOOKED_AT:
            return found, None
        last, seen = rows[-1].id, seen + len(rows)
    return found, last


def resync_entry(
    session: Session, *, account_id: UUID, datasource_id: UUID, entry_id: UUID
) -> tuple[Entry, list[Job]]:
    """Have an entry fetched or read again."""
    entry = find_entry(session, account_id=account_id, datasource_id=datasource_id, entry_id=entry_id)
    want_again(session, Entry.id == entry.id)
    session.refresh(entry)
    return entry, [job_of(entry)]


def delete_entry(session: Session, *, account_id: UUID, datasource_id: UUID, entry_id: UUID) -> list[Job]:
    """Take an entry, and a sitemap's pages with it, out of everything that is seen; a worker removes the rest."""
    entry = find_entry(session, account_id=account_id, datasource_id=datasource_id, entry_id=entry_id)
    lock_entries(session, [entry.id])  # so that no page of a sitemap is added to it any more
    return _delete(
        session, [entry, *session.scalars(_existing(datasource_id).where(Entry.parent_id == entry.id))]
    )


def delete_by_key(session: Session, *, account_id: UUID, datasource_id: UUID, external_id: str) -> list[Job]:
    """Delete the entry that its owner keeps under a key."""
    entry = find_by_key(session, account_id=account_id, datasource_id=datasource_id, external_id=external_id)
    return delete_entry(session, account_id=account_id, datasource_id=datasource_id, entry_id=entry.id)


def text_content(
    session: Session, *, account_id: UUID, datasource_id: UUID, entry_id: UUID
) -> tuple[Entry, str]:
    """Return an entry's text: what searches find, else what was sent; empty where there is none yet."""
    entry = find_entry(session, account_id=account_id, datasource_id=datasource_id, entry_id=entry_id)
    text = session.scalar(
        select(EntryContent.text)
        .where(EntryContent.entry_id == entry_id, EntryContent.text.is_not(None))
        .order_by(desc(EntryContent.version == (entry.live_version or 0)), EntryContent.version.desc())
        .limit(1)
    )
    return entry, text or ""


def job_of(entry: Entry) -> Job:
    """Return the wake-up for an entry."""
    return Job(JobKind.ENTRY, entry.id, entry.account_id, entry.version)


def listed_metadata(entry: Entry) -> JsonObject:
    """Return an entry's metadata keyed as it is stored."""
    metadata: JsonObject = {
        "source": entry.source,
        "name": entry.name,
        **stored_metadata(entry.entry_metadata),
    }
    if entry.mime_type is not None:
        metadata["mime_type"] = entry.mime_type
    return metadata


def _delete(session: Session, entries: Sequence[Entry]) -> list[Job]:
    ids = sorted(entry.id for entry in entries)
    lock_entries(session, ids)
    bury_entries(session, ids)
    return [Job(JobKind.ENTRY, entry.id, entry.account_id, _PURGED) for entry in entries]


def _take_turn(session: Session, datasource_id: UUID, external_id: str) -> None:
    """Let requests for one key follow each other; on SQLite they do so anyway."""
    if session.get_bind().dialect.name == "postgresql":
        digest = hashlib.sha256(datasource_id.bytes + external_id.encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        session.execute(select(func.pg_advisory_xact_lock(number)))


def _store_content(connection: Connection, entry_id: UUID, version: int, given: Given) -> None:
    if given.kind == "url":
        return
    upload = given.upload
    connection.execute(
        _INSERT_CONTENT,
        {
            "entry_id": entry_id,
            "version": version,
            "file_name": upload.name if upload else None,
            "media_type": (upload.media_type or "")[:NAME_LENGTH] or None if upload else None,
            "data": upload.data if upload else None,
            "text": given.text,
        },
    )


def _size(given: Given) -> int:
    """Return the bytes of text that are known of; those of a file are once it is read."""
    return len((given.text or "").encode())


def _existing(datasource_id: UUID) -> Select[Entry]:
    return select(Entry).where(Entry.datasource_id == datasource_id, Entry.deleted_at.is_(None))


def _by_key(datasource_id: UUID, external_id: str) -> Select[Entry]:
    return _existing(datasource_id).where(Entry.external_id == external_id)
