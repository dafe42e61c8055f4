import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmstack_api.apps import service
from llmstack_api.apps.service import StoredApp
from llmstack_api.auth import ensure_account
from llmstack_api.db import Database
from llmstack_api.errors import AppNotFoundError, VersionNotFoundError
from llmstack_api.models import AppSession, AppVersion, Run, RunStatus, Turn, new_id
from llmstack_api.web.paging import Page
from tests.apps.definitions import ECHO, fixed


@pytest.fixture
async def account_id(db: Database) -> UUID:
    return await db.write(ensure_account, "default")


async def create(db: Database, account_id: UUID, **more: Any) -> StoredApp:
    return await db.write(service.create_app, account_id=account_id, definition=fixed(**more))


async def listed(db: Database, account_id: UUID, page: Page) -> tuple[list[StoredApp], Page]:
    return await db.read(service.list_apps, account_id=account_id, page=page)


async def test_an_app_is_returned_as_it_was_created(db: Database, account_id: UUID) -> None:
    definition = {**ECHO, "zebra": None, "icon": "", "name": "Größe 🤖", "b": [1, 2.5, True, {"a": None}]}
    created = await db.write(service.create_app, account_id=account_id, definition=definition)
    found = await db.read(service.get_app, account_id=account_id, app_id=created.id)

    assert found == created
    assert (found.version, found.definition) == (1, definition)
    assert list(found.definition) == list(definition)
    assert found.created_at == found.updated_at
    assert found.created_at.tzinfo is not None


async def test_apps_are_listed_newest_first_page_by_page(db: Database, account_id: UUID) -> None:
    created = [await create(db, account_id, name=str(number)) for number in range(5)]
    await db.write(
        service.add_version, account_id=account_id, app_id=created[0].id, base=1, definition=fixed("x")
    )

    apps, page = await listed(db, account_id, Page(2, None))
    assert page == Page(2, None)
    assert [app.definition["name"] for app in apps] == ["4", "3", "2"]

    apps, _ = await listed(db, account_id, Page(3, apps[1].id))
    assert [(app.definition["name"], app.version) for app in apps] == [("2", 1), ("1", 1), ("x", 2)]


async def test_an_account_sees_its_own_apps_only(db: Database, account_id: UUID) -> None:
    app = await create(db, account_id)
    other_id = await db.write(ensure_account, "other")

    assert await listed(db, other_id, Page(10, None)) == ([], Page(10, None))
    with pytest.raises(AppNotFoundError):
        await db.read(service.get_app, account_id=other_id, app_id=app.id)
    with pytest.raises(AppNotFoundError):
        await db.read(service.get_version, account_id=other_id, app_id=app.id, number=1)
    with pytest.raises(AppNotFoundError):
        await db.read(service.list_versions, account_id=other_id, app_id=app.id, limit=10, before=None)
    with pytest.raises(AppNotFoundError):
        await db.write(service.delete_app, account_id=other_id, app_id=app.id)
    with pytest.raises(AppNotFoundError):
        await db.write(
            service.add_version, account_id=other_id, app_id=app.id, base=1, definition=fixed("stolen")
        )
    assert (await db.read(service.get_app, account_id=account_id, app_id=app.id)) == app


async def test_a_page_of_large_apps_ends_early_and_leads_on(
    db: Database, account_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAGE_BYTES", 3000)
    created = [await create(db, account_id, description="x" * 1000) for _ in range(5)]

    apps, page = await listed(db, account_id, Page(10, None))
    assert ([app.id for app in apps], page.limit) == ([app.id for app in created[4:1:-1]], 2)

    apps, page = await listed(db, account_id, Page(10, apps[1].id))
    assert ([app.id for app in apps], page.limit) == ([app.id for app in created[2::-1]], 2)

    monkeypatch.setattr(service, "PAGE_BYTES", 10)
    apps, page = await listed(db, account_id, Page(10, None))
    assert ([app.id for app in apps], page.limit) == ([app.id for app in created[4:2:-1]], 1)


async def test_a_change_makes_the_next_version_and_the_old_ones_stay(db: Database, account_id: UUID) -> None:
    app = await create(db, account_id, name="one")
    second = await db.write(
        service.add_version, account_id=account_id, app_id=app.id, base=1, definition=fixed("two")
    )

    assert second is not None
    assert (second.version, second.definition["name"]) == (2, "two")
    assert second.created_at == app.created_at < second.updated_at
    assert await db.read(service.get_app, account_id=account_id, app_id=app.id) == second
    assert await db.read(service.get_version, account_id=account_id, app_id=app.id, number=1) == app
    assert await db.read(service.get_version, account_id=account_id, app_id=app.id, number=2) == second
    with pytest.raises(VersionNotFoundError):
        await db.read(service.get_version, account_id=account_id, app_id=app.id, number=3)


async def test_a_change_of_an_old_version_is_not_made(db: Database, account_id: UUID) -> None:
    app = await create(db, account_id)
    for definition, expected in ((fixed("two"), 2), (fixed("lost"), None)):
        saved = await db.write(
            service.add_version, account_id=account_id, app_id=app.id, base=1, definition=definition
        )
        assert (saved and saved.version) == expected


async def test_of_changes_made_at_once_one_is_saved(db: Database, account_id: UUID) -> None:
    app = await create(db, account_id)
    saved = await asyncio.gather(
        *[
            db.write(
                service.add_version,
                account_id=account_id,
                app_id=app.id,
                base=1,
                definition=fixed(str(number)),
            )
            for number in range(8)
        ]
    )

    assert [app.version for app in saved if app] == [2]


async def test_versions_are_listed_newest_first_page_by_page(db: Database, account_id: UUID) -> None:
    app = await create(db, account_id)
    for base in range(1, 5):
        await db.write(
            service.add_version, account_id=account_id, app_id=app.id, base=base, definition=fixed(str(base))
        )

    async def numbers(limit: int, before: int | None) -> list[int]:
        rows = await db.read(
            service.list_versions, account_id=account_id, app_id=app.id, limit=limit, before=before
        )
        return [row.id for row in rows]

    assert await numbers(10, None) == [5, 4, 3, 2, 1]
    assert await numbers(2, None) == [5, 4, 3]
    assert await numbers(2, 4) == [3, 2, 1]
    assert await numbers(2, 1) == []


def fill(session: Session, *, account_id: UUID, app_id: UUID) -> UUID:
    """Give an app a session with a turn, and a run."""
    run = Run(
        id=new_id(),
        account_id=account_id,
        app_id=app_id,
        app_version=1,
        session="s",
        status=RunStatus.SUCCEEDED,
        streamed=False,
        input={},
        owner=uuid4(),
    )
    conversation = AppSession(id=new_id(), account_id=account_id, app_id=app_id, name="s")
    session.add_all([run, conversation])
    session.flush()
    session.add(Turn(session_id=conversation.id, processor="_inputs1", run_id=run.id, messages=[]))
    return run.id


def count(session: Session) -> dict[str, int]:
    return {
        table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
        for table in (AppVersion, AppSession, Turn, Run)
    }


async def test_deleting_an_app_takes_its_versions_and_sessions_but_not_its_runs(
    db: Database, account_id: UUID
) -> None:
    app = await create(db, account_id)
    await db.write(fill, account_id=account_id, app_id=app.id)
    await db.write(service.delete_app, account_id=account_id, app_id=app.id)

    assert await db.read(count) == {"app_versions": 0, "sessions": 0, "turns": 0, "runs": 1}
    with pytest.raises(AppNotFoundError):
        await db.write(service.delete_app, account_id=account_id, app_id=app.id)
    with pytest.raises(AppNotFoundError):
        await db.write(service.add_version, account_id=account_id, app_id=app.id, base=1, definition=fixed())
