"""Apps and their versions in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.orm import Session

from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import AppNotFoundError, VersionNotFoundError
from llmstack_api.models import App, AppVersion, new_id, now
from llmstack_api.web.paging import Page, newest_first

NO_SUCH_APP = "This account has no such app."

PAGE_BYTES = 8 * 1024 * 1024
"""Definitions, as JSON, that a page of apps holds; where they are large, it has fewer than asked for."""

_FETCHED_AT_ONCE = 16

_Query = Select[UUID, int, JsonObject, datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApp:
    """An app in one of its versions."""

    id: UUID
    version: int
    definition: JsonObject
    """As its author wrote it."""
    created_at: datetime
    """When the app was created."""
    updated_at: datetime
    """When the version was saved."""


class StoredVersion(NamedTuple):
    """That there is a version; its number orders it."""

    id: int
    created_at: datetime


def create_app(session: Session, *, account_id: UUID, definition: JsonObject) -> StoredApp:
    """Create an app with its first version. The definition has been checked."""
    app_id, moment = new_id(), now()
    session.execute(
        insert(App).values(id=app_id, account_id=account_id, version=1, created_at=moment, updated_at=moment)
    )
    _insert_version(session, app_id=app_id, number=1, definition=definition, moment=moment)
    return StoredApp(id=app_id, version=1, definition=definition, created_at=moment, updated_at=moment)


def get_app(session: Session, *, account_id: UUID, app_id: UUID) -> StoredApp:
    """Return an app with its current definition."""
    row = session.execute(_current(account_id).where(App.id == app_id)).mappings().first()
    if row is None:
        raise AppNotFoundError(NO_SUCH_APP)
    return StoredApp(**row)


def list_apps(session: Session, *, account_id: UUID, page: Page) -> tuple[list[StoredApp], Page]:
    """Return apps with their current definitions, newest first, and the page that they fill."""
    query = newest_first(_current(account_id), App.id, page)
    apps: list[StoredApp] = []
    size = 0
    for row in session.execute(query, execution_options={"yield_per": _FETCHED_AT_ONCE}).mappings():
        app = StoredApp(**row)
        size += len(orjson.dumps(app.definition))
        if size > PAGE_BYTES and apps:
            return [*apps, app], Page(len(apps), page.cursor)
        apps.append(app)
    return apps, page


def add_version(
    session: Session, *, account_id: UUID, app_id: UUID, base: int, definition: JsonObject
) -> StoredApp | None:
    """Make a definition the app's next version; None where another one followed `base` already."""
    found = session.execute(
        select(App.version, App.created_at)
        .where(App.id == app_id, App.account_id == account_id)
        .with_for_update(key_share=True)
    ).first()
    if found is None:
        raise AppNotFoundError(NO_SUCH_APP)
    if found.version != base:
        return None
    number, moment = base + 1, now()
    session.execute(update(App).where(App.id == app_id).values(version=number, updated_at=moment))
    _insert_version(session, app_id=app_id, number=number, definition=definition, moment=moment)
    return StoredApp(
        id=app_id, version=number, definition=definition, created_at=found.created_at, updated_at=moment
    )


def delete_app(session: Session, *, account_id: UUID, app_id: UUID) -> None:
    """Delete an app, its versions and its sessions; its runs stay in the account's history."""
    deleted = session.execute(
        delete(App).where(App.id == app_id, App.account_id == account_id).returning(App.id)
    ).first()
    if deleted is None:
        raise AppNotFoundError(NO_SUCH_APP)


def list_versions(
    session: Session, *, account_id: UUID, app_id: UUID, limit: int, before: int | None
) -> list[StoredVersion]:
    """Return the versions of an app, newest first; one row more than `limit` where there are more."""
    get_app(session, account_id=account_id, app_id=app_id)
    query = select(AppVersion.number, AppVersion.created_at).where(AppVersion.app_id == app_id)
    if before is not None:
        query = query.where(AppVersion.number < before)
    rows = session.execute(query.order_by(AppVersion.number.desc()).limit(limit + 1))
    return [StoredVersion(*row) for row in rows]


def get_version(session: Session, *, account_id: UUID, app_id: UUID, number: int) -> StoredApp:
    """Return an app as one of its versions was."""
    query = _versions(account_id).where(App.id == app_id, AppVersion.number == number)
    row = session.execute(query).mappings().first()
    if row is None:
        get_app(session, account_id=account_id, app_id=app_id)
        raise VersionNotFoundError("This app has no such version.")
    return StoredApp(**row)


def _versions(account_id: UUID) -> _Query:
    return (
        select(
            App.id,
            AppVersion.number.label("version"),
            AppVersion.definition,
            App.created_at,
            AppVersion.created_at.label("updated_at"),
        )
        .join(AppVersion, AppVersion.app_id == App.id)
        .where(App.account_id == account_id)
    )


def _current(account_id: UUID) -> _Query:
    return _versions(account_id).where(AppVersion.number == App.version)


def _insert_version(
    session: Session, *, app_id: UUID, number: int, definition: JsonObject, moment: datetime
) -> None:
    session.execute(
        insert(AppVersion).values(app_id=app_id, number=number, definition=definition, created_at=moment)
    )
