import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from llmstack_api.apps import service
from llmstack_api.apps.plans import Plans
from llmstack_api.auth import ensure_account
from llmstack_api.db import Database
from llmstack_api.errors import AppNotFoundError, InvalidDefinitionError
from llmstack_api.models import AppVersion
from llmstack_api.processors import REGISTRY
from tests.apps.definitions import ECHO, fixed


def seed(session: Session, *, apps: int = 1, size: int = 0) -> tuple[UUID, list[UUID]]:
    account_id = ensure_account(session, "default")
    description = {"description": "x" * size} if size else {}
    return account_id, [
        service.create_app(session, account_id=account_id, definition={**ECHO, **description}).id
        for _ in range(apps)
    ]


def breaking(session: Session, *, app_id: UUID) -> None:
    """Make a stored definition one that no longer compiles."""
    session.execute(
        update(AppVersion)
        .where(AppVersion.app_id == app_id)
        .values(definition={**ECHO, "processors": [{"provider_slug": "gone", "processor_slug": "away"}]})
    )


async def test_the_plan_of_the_current_version_is_compiled_once(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    plans = Plans(REGISTRY)

    version, plan = await db.read(plans.find, account_id=account_id, app_id=app_id)
    again = await db.read(plans.find, account_id=account_id, app_id=app_id)

    assert version == 1
    assert [step.processor_name for step in plan.steps] == ["promptly/echo"]
    assert again == (1, plan)
    assert again[1] is plan


async def test_a_kept_plan_costs_one_statement(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    plans = Plans(REGISTRY)
    await db.read(plans.find, account_id=account_id, app_id=app_id)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await db.read(plans.find, account_id=account_id, app_id=app_id)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len(statements) == 1


async def test_a_new_version_has_a_plan_of_its_own(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    plans = Plans(REGISTRY)
    await db.read(plans.find, account_id=account_id, app_id=app_id)
    await db.write(service.add_version, account_id=account_id, app_id=app_id, base=1, definition=fixed())

    version, plan = await db.read(plans.find, account_id=account_id, app_id=app_id)

    assert (version, plan.steps) == (2, ())


async def test_an_app_of_another_account_is_not_found_even_when_its_plan_is_kept(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    other_id = await db.write(ensure_account, "other")
    plans = Plans(REGISTRY)
    await db.read(plans.find, account_id=account_id, app_id=app_id)

    for account, app in ((other_id, app_id), (account_id, uuid4())):
        with pytest.raises(AppNotFoundError, match="This account has no such app"):
            await db.read(plans.find, account_id=account, app_id=app)


async def test_a_deleted_app_is_not_found_though_its_plan_is_kept(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    plans = Plans(REGISTRY)
    await db.read(plans.find, account_id=account_id, app_id=app_id)
    await db.write(service.delete_app, account_id=account_id, app_id=app_id)

    with pytest.raises(AppNotFoundError):
        await db.read(plans.find, account_id=account_id, app_id=app_id)


async def test_a_definition_whose_processor_is_gone_is_refused_with_its_faults(db: Database) -> None:
    account_id, (app_id,) = await db.write(seed)
    await db.write(breaking, app_id=app_id)

    with pytest.raises(InvalidDefinitionError, match="does not run under this version") as caught:
        await db.read(Plans(REGISTRY).find, account_id=account_id, app_id=app_id)

    assert caught.value.faults[0].loc == "processors[0].processor_slug"


async def test_only_the_plans_used_last_are_kept(db: Database) -> None:
    account_id, app_ids = await db.write(seed, apps=4)
    plans = Plans(REGISTRY, size=2)

    async def plan(index: int) -> object:
        return (await db.read(plans.find, account_id=account_id, app_id=app_ids[index]))[1]

    first, second = await plan(0), await plan(1)
    assert await plan(0) is first
    await plan(2)

    assert await plan(0) is first
    assert await plan(1) is not second


async def test_what_is_kept_is_bounded_in_bytes_but_the_last_plan_always_is(db: Database) -> None:
    account_id, app_ids = await db.write(seed, apps=3, size=1000)
    plans = Plans(REGISTRY, max_bytes=2500)

    async def plan(index: int) -> object:
        return (await db.read(plans.find, account_id=account_id, app_id=app_ids[index]))[1]

    first, _, third = await plan(0), await plan(1), await plan(2)
    assert await plan(2) is third
    assert await plan(0) is not first

    tiny = Plans(REGISTRY, max_bytes=10)
    only = (await db.read(tiny.find, account_id=account_id, app_id=app_ids[0]))[1]
    assert (await db.read(tiny.find, account_id=account_id, app_id=app_ids[0]))[1] is only


async def test_many_runs_may_ask_at_once(db: Database) -> None:
    account_id, app_ids = await db.write(seed, apps=5)
    plans = Plans(REGISTRY, size=2)

    found = await asyncio.gather(
        *[db.read(plans.find, account_id=account_id, app_id=app_ids[n % 5]) for n in range(50)]
    )

    assert {version for version, _ in found} == {1}
