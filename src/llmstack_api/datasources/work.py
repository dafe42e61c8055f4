"""The rows that want work: claimed under a token for a while, and released when it is done, failed or put off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from llmstack_api.datasources.types import SITEMAP
from llmstack_api.engine.ports import JsonObject
from llmstack_api.models import Datasource, Entry, EntryContent, EntryStatus, Stage, Work, now

READING: Final = (Work.INGEST, Work.REREAD)
"""Work that makes an entry's content searchable."""
LEASE: Final = timedelta(seconds=12)
"""How long a worker holds a row without a sign of life."""
MAX_ATTEMPTS: Final = 5
"""How often work is begun that never ends before its entry has FAILED."""
SMALL: Final = 65_536
"""Characters up to which an entry's text is loaded as it is claimed."""
SUSPECT: Final = 2
"""Attempts without an end after which an entry is done alone, so that those beside it are not blamed for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An entry that this worker holds, with what its work needs of its datasource."""

    id: UUID
    account_id: UUID
    datasource_id: UUID
    kind: str
    work: str
    version: int
    live_version: int | None
    name: str
    source: str
    entry_metadata: JsonObject
    wanted_encoding: str | None
    etag: str | None
    last_modified: str | None
    size: int
    attempts: int
    begun: bool
    """Whether an earlier attempt may have left points of this version."""
    parent_id: UUID | None
    token: UUID
    embedding_model: str
    dimension: int | None
    collection: str | None
    next_collection: str | None
    old_collection: str | None
    config: JsonObject
    text: str | None
    """Where it is small and was sent as text."""
    content_version: int | None
    """Of the row that the text is from: that of what is read again stays where searches find it meanwhile."""


def claim(session: Session, ids: Sequence[UUID], *, without_models: Sequence[str] = ()) -> list[Claimed]:
    """Hold those of the entries that want work now, that nobody holds, and whose embedding model is not left out.

    What was begun too often without an end is FAILED here, as it ends the process that does it.
    """
    moment, token = now(), uuid4()
    query = _CLAIM.where(Entry.id.in_(ids), Entry.work.is_not(None), Entry.due_at <= moment, is_free(Entry))
    if without_models:
        query = query.where(can_be_done(without_models))
    rows = session.execute(query).mappings()
    claimed: list[Claimed] = []
    for row in rows:
        values = dict(row)
        stage = values.pop("stage")
        entry = Claimed(**values, token=token)
        if entry.attempts >= MAX_ATTEMPTS and entry.work != Work.PURGE:
            _give_up(session, entry, stage)
        else:
            claimed.append(entry)
    if claimed:
        session.execute(
            update(Entry)
            .where(Entry.id.in_([entry.id for entry in claimed]))
            .values(
                token=token,
                lease_until=moment + LEASE,
                begun=True,
                attempts=case((Entry.attempts < SUSPECT, Entry.attempts + 1), else_=Entry.attempts),
            )
        )
    return claimed


def count_attempt(session: Session, entry: Claimed) -> None:
    """Count that the work of a suspect is begun."""
    _change(session, entry, attempts=Entry.attempts + 1)


def _give_up(session: Session, entry: Claimed, stage: str | None) -> None:
    failure = _failure(stage, "gave-up", f"Given up after {MAX_ATTEMPTS} attempts that never ended.")
    _end(session, entry, None, status=EntryStatus.FAILED, error=failure)


_Newest = aliased(EntryContent)
_CLAIM: Final = (
    select(
        Entry.id,
        Entry.account_id,
        Entry.datasource_id,
        Entry.kind,
        Entry.work,
        Entry.stage,
        Entry.version,
        Entry.live_version,
        Entry.name,
        Entry.source,
        Entry.entry_metadata,
        Entry.wanted_encoding,
        Entry.etag,
        Entry.last_modified,
        Entry.size,
        Entry.attempts,
        Entry.begun,
        Entry.parent_id,
        Datasource.embedding_model,
        Datasource.dimension,
        Datasource.collection,
        Datasource.next_collection,
        Datasource.old_collection,
        Datasource.config,
        EntryContent.text,
        EntryContent.version.label("content_version"),
    )
    .join(Datasource, Datasource.id == Entry.datasource_id)
    .outerjoin(
        EntryContent,
        and_(
            EntryContent.entry_id == Entry.id,
            EntryContent.version
            == select(func.max(_Newest.version)).where(_Newest.entry_id == Entry.id).scalar_subquery(),
            Entry.kind == "content",
            func.length(EntryContent.text) <= SMALL,
        ),
    )
    .with_for_update(of=Entry, skip_locked=True)
)


def claim_datasource(session: Session, datasource_id: UUID) -> tuple[Datasource, UUID] | None:
    """Hold a datasource that wants work now and that nobody holds."""
    moment, token = now(), uuid4()
    row = session.scalar(
        select(Datasource)
        .where(
            Datasource.id == datasource_id,
            Datasource.work.is_not(None),
            Datasource.due_at <= moment,
            is_free(Datasource),
        )
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.token, row.lease_until, row.attempts = token, moment + LEASE, row.attempts + 1
    session.flush()
    session.expunge(row)
    return row, token


def renew(session: Session, tokens: Iterable[UUID]) -> None:
    """Hold rows for longer."""
    held, until = list(tokens), now() + LEASE
    for table in (Entry, Datasource):
        session.execute(
            update(table).where(table.work.is_not(None), table.token.in_(held)).values(lease_until=until)
        )


def forget_leases(session: Session) -> None:
    """Free every row: whoever held one is dead, as only one process at a time uses this database."""
    for table in (Entry, Datasource):
        session.execute(
            update(table)
            .where(table.work.is_not(None), table.token.is_not(None))
            .values(token=None, lease_until=None)
        )


def put_off(
    session: Session, entry: Claimed, *, seconds: float, counts: bool, why: tuple[str, str] | None = None
) -> bool:
    """Free an entry until later; `counts` says whether the attempt does. Returns whether it was still held.

    `why` is the code and the message of what it waits for, which its owner can read meanwhile.
    """
    told = {} if why is None else {"error": _failure(Stage.QUEUED, *why)}
    return _release(
        session,
        entry.id,
        entry.token,
        due_at=now() + timedelta(seconds=seconds),
        attempts=entry.attempts + (1 if counts else 0),
        stage=Stage.QUEUED,
        **told,
    )


def put_off_datasource(session: Session, datasource_id: UUID, token: UUID, *, seconds: float) -> None:
    """Free a datasource until later."""
    session.execute(
        update(Datasource)
        .where(Datasource.id == datasource_id, Datasource.token == token)
        .values(token=None, lease_until=None, due_at=now() + timedelta(seconds=seconds))
    )


def fail(session: Session, entry: Claimed, *, stage: Stage, code: str, message: str) -> bool:
    """End an entry's work without success; returns whether it was still held.

    What was searchable before stays so.
    """
    failure = _failure(stage, code, message)
    return _end(session, entry, entry.token, status=EntryStatus.FAILED, stage=stage, error=failure)


def succeed(session: Session, entry: Claimed, **values: Any) -> bool:  # noqa: ANN401 # columns
    """End an entry's work, where there was nothing to index; returns whether it was still held."""
    return _end(session, entry, entry.token, status=EntryStatus.READY, stage=None, error=None, **values)


def at_stage(session: Session, entry: Claimed, stage: Stage) -> bool:
    """Tell how far an entry is; returns whether it is still held."""
    return _change(session, entry, stage=stage)


def is_held(session: Session, entry: Claimed) -> bool:
    """Tell whether an entry is still held by whom claimed it."""
    return session.scalar(select(Entry.token).where(Entry.id == entry.id)) == entry.token


def refresh_time(entry: Claimed) -> datetime | None:
    """Return when a URL is fetched again, where its datasource asks for that; a sitemap's pages are with it."""
    interval: int | None = entry.config["refresh_interval"]
    if interval is None or entry.parent_id is not None or entry.kind not in {"url", SITEMAP}:
        return None
    return now() + timedelta(seconds=interval)


def held(session: Session, entries: Sequence[Claimed]) -> list[bool]:
    """Tell for each of the entries whether it is still held by whom claimed it, and lock them.

    One entry may be among them in several versions, of which the newest alone can be held.
    """
    found = session.execute(
        select(Entry.id, Entry.token)
        .where(
            Entry.id.in_([entry.id for entry in entries]),
            Entry.work.in_(READING),
            Entry.deleted_at.is_(None),
        )
        .order_by(Entry.id)
        .with_for_update()
    )
    tokens = {row.id: row.token for row in found}
    return [tokens.get(entry.id) == entry.token for entry in entries]


def update_each(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Update entries, each with values of its own; every row has the same keys, `id` among them."""
    if not rows:
        return
    session.connection().execute(
        update(Entry.__table__)  # pyright: ignore[reportArgumentType] # a mapped class has a Table
        .where(Entry.__table__.c.id == bindparam("of_id"))
        .values({key: bindparam(f"to_{key}") for key in rows[0] if key != "id"}),
        [
            {"of_id": row["id"], **{f"to_{key}": value for key, value in row.items() if key != "id"}}
            for row in rows
        ],
    )


def _end(session: Session, entry: Claimed, token: UUID | None, **values: Any) -> bool:  # noqa: ANN401 # columns
    """Free an entry that wants nothing more, until it is fetched again."""
    return _release(
        session,
        entry.id,
        token,
        work=None,
        attempts=0,
        updated_at=now(),
        refresh_at=refresh_time(entry),
        **values,
    )


def _release(session: Session, entry_id: UUID, token: UUID | None, **values: Any) -> bool:  # noqa: ANN401 # columns
    query = update(Entry).where(Entry.id == entry_id)
    if token is not None:
        query = query.where(Entry.token == token)
    done = session.execute(query.values(token=None, lease_until=None, **values).returning(Entry.id))
    return done.first() is not None


def _change(session: Session, entry: Claimed, **values: Any) -> bool:  # noqa: ANN401 # columns
    query = update(Entry).where(Entry.id == entry.id, Entry.token == entry.token).values(**values)
    return session.execute(query.returning(Entry.id)).first() is not None


def _failure(stage: str | None, code: str, message: str) -> JsonObject:
    return {"stage": stage or Stage.QUEUED, "code": code, "message": message}


def can_be_done(without_models: Sequence[str]) -> ColumnElement[bool]:
    """Select what needs none of the embedding models; a deletion needs none at all."""
    return or_(Entry.work == Work.PURGE, Datasource.embedding_model.not_in(without_models))


def is_free(table: type[Entry] | type[Datasource]) -> ColumnElement[bool]:
    """Select the rows that nobody holds."""
    return or_(table.lease_until.is_(None), table.lease_until < now())
