"""Datasources in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from llmstack_api.datasources.points import language_of
from llmstack_api.datasources.transitions import bury_datasource, want_reembedding
from llmstack_api.datasources.types import SITEMAP
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import ConflictError, DatasourceNotFoundError
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import Datasource, Entry, new_id, now
from llmstack_api.web.paging import Page, newest_first

NO_SUCH_DATASOURCE = "This account has no such datasource."


@dataclass(frozen=True, slots=True)
class Counted:
    """A datasource and what is in it."""

    datasource: Datasource
    entries: int
    size: int

    @property
    def id(self) -> UUID:
        """The datasource's."""
        return self.datasource.id


def create_datasource(
    session: Session, *, account_id: UUID, name: str, type_: str, config: JsonObject, embedding_model: str
) -> Datasource:
    """Create an empty datasource."""
    moment = now()
    datasource = Datasource(
        id=new_id(),
        account_id=account_id,
        name=name,
        type=type_,
        config=config,
        embedding_model=embedding_model,
        attempts=0,
        created_at=moment,
        updated_at=moment,
    )
    session.add(datasource)
    session.flush()
    return datasource


def find(session: Session, *, account_id: UUID, datasource_id: UUID, lock: bool = False) -> Datasource:
    """Return a datasource of the account, locked until the transaction ends where that is asked.

    Raises:
        DatasourceNotFoundError: there is none, or it has been deleted.
    """
    query = _existing(account_id).where(Datasource.id == datasource_id)
    datasource = session.scalar(query.with_for_update() if lock else query)
    if datasource is None:
        raise DatasourceNotFoundError(NO_SUCH_DATASOURCE)
    return datasource


def list_datasources(session: Session, *, account_id: UUID, page: Page) -> list[Counted]:
    """Return datasources, newest first; one more than the page holds where there are more."""
    rows = session.scalars(newest_first(_existing(account_id), Datasource.id, page)).all()
    return _counted(session, rows)


def get_datasource(session: Session, *, account_id: UUID, datasource_id: UUID) -> Counted:
    """Return a datasource with what is in it."""
    return _counted(session, [find(session, account_id=account_id, datasource_id=datasource_id)])[0]


def change_datasource(
    session: Session,
    *,
    account_id: UUID,
    datasource_id: UUID,
    name: str | None,
    config: JsonObject | None,
    embedding_model: str | None,
) -> tuple[Counted, list[Job]]:
    """Change a datasource; another embedding model or language is work to do."""
    datasource = find(session, account_id=account_id, datasource_id=datasource_id, lock=True)
    changed = False
    if name is not None and name != datasource.name:
        datasource.name, changed = name, True
    wanted = datasource.next_model or datasource.embedding_model
    model = embedding_model or wanted
    again = model != wanted
    if config is not None and config != datasource.config:
        before, datasource.config = datasource.config, config
        _follow_config(session, datasource, before)
        changed = True
        # With nothing searchable yet there is nothing to do again: entries that are under way follow the row.
        again |= datasource.collection is not None and language_of(config) != language_of(before)
    jobs: list[Job] = []
    if again:
        _require_swept(datasource)
        session.flush()
        want_reembedding(session, datasource.id, model)
        session.refresh(datasource)
        jobs.append(Job(JobKind.DATASOURCE, datasource.id, account_id))
        changed = True
    if changed:
        datasource.updated_at = now()
    session.flush()
    return _counted(session, [datasource])[0], jobs


def _require_swept(datasource: Datasource) -> None:
    if datasource.old_collection is not None:
        raise ConflictError(
            "The vectors of an earlier model are still being removed; try again.", retry_after=2
        )


def _follow_config(session: Session, datasource: Datasource, before: JsonObject) -> None:
    """Have entries do what changed settings ask."""
    entries = update(Entry).where(Entry.datasource_id == datasource.id, Entry.deleted_at.is_(None))
    config = datasource.config
    if any(config[key] != before[key] for key in ("chunk_size", "chunk_overlap")):
        # a server that says nothing has changed would keep the old chunks
        session.execute(entries.values(etag=None, last_modified=None))
    interval: int | None = config["refresh_interval"]
    if interval != before["refresh_interval"]:
        of_urls = entries.where(Entry.kind.in_(("url", SITEMAP)), Entry.parent_id.is_(None))
        refresh_at = None if interval is None else now() + timedelta(seconds=interval)
        session.execute(of_urls.values(refresh_at=refresh_at))


def delete_datasource(session: Session, *, account_id: UUID, datasource_id: UUID) -> list[Job]:
    """Take a datasource out of everything that is seen; what it holds is removed by a worker."""
    find(session, account_id=account_id, datasource_id=datasource_id, lock=True)
    bury_datasource(session, datasource_id)
    return [Job(JobKind.DATASOURCE, datasource_id, account_id)]


def _existing(account_id: UUID) -> Select[Datasource]:
    return select(Datasource).where(Datasource.account_id == account_id, Datasource.deleted_at.is_(None))


def _counted(session: Session, rows: Sequence[Datasource]) -> list[Counted]:
    counts = {
        id_: (entries, size)
        for id_, entries, size in session.execute(
            select(Entry.datasource_id, func.count(), func.coalesce(func.sum(Entry.size), 0))
            .where(Entry.datasource_id.in_([row.id for row in rows]), Entry.deleted_at.is_(None))
            .group_by(Entry.datasource_id)
        )
    }
    return [Counted(row, *map(int, counts.get(row.id, (0, 0)))) for row in rows]
