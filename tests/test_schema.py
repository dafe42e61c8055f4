"""Migrations on both engines."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.orm import Session

from llmstack_api import schema
from llmstack_api.auth import Scope, create_token, ensure_account
from llmstack_api.db import Database, open_database
from llmstack_api.models import SCHEMA_REVISION, Base, Token
from tests.postgres import PostgresServer

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The address of a database without tables, once of each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{uuid4().hex}"
    server.create_database(name)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
async def empty(empty_url: str) -> AsyncGenerator[Database]:
    database = open_database(empty_url)
    yield database
    await database.close()


async def test_an_empty_database_is_brought_to_the_current_revision(empty: Database) -> None:
    assert not await schema.is_current(empty)
    await schema.upgrade(empty)
    assert await schema.is_current(empty)
    assert await empty.connect(table_names) == {*Base.metadata.tables, "alembic_version"}


async def test_upgrading_twice_changes_nothing(db: Database) -> None:
    assert await schema.is_current(db)
    await schema.upgrade(db)
    assert await schema.is_current(db)


async def test_the_models_and_the_migrations_do_not_differ(db: Database) -> None:
    await db.connect(lambda connection: command.check(schema.alembic_config(connection)))


async def test_the_way_down_leads_to_an_empty_database_and_up_again(db: Database) -> None:
    await db.connect(lambda connection: command.downgrade(schema.alembic_config(connection), "base"))
    assert await db.connect(table_names) == {"alembic_version"}
    assert not await schema.is_current(db)
    await schema.upgrade(db)
    assert await schema.is_current(db)
    await db.connect(lambda connection: command.check(schema.alembic_config(connection)))


async def test_several_processes_may_upgrade_at_once(empty_url: str) -> None:
    databases = [open_database(empty_url) for _ in range(4)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(schema.upgrade(database) for database in databases))
    for database in databases:
        assert await schema.is_current(database)
        await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    def upgrade_and_fail(connection: Connection) -> None:
        command.upgrade(schema.alembic_config(connection), "head")
        raise LookupError("no")

    with pytest.raises(LookupError):
        await empty.connect(upgrade_and_fail)
    assert await empty.connect(table_names) == set()


async def test_a_migration_that_copies_a_table_keeps_the_rows_that_depend_on_it(sqlite_url: str) -> None:
    db = open_database(sqlite_url)

    def copy_accounts(connection: Connection) -> None:
        with Operations(MigrationContext.configure(connection)).batch_alter_table(
            "accounts", recreate="always"
        ):
            pass

    def count(session: Session) -> int:
        return session.scalars(select(func.count()).select_from(Token)).one()

    account_id = await db.write(ensure_account, "acme")
    await db.write(create_token, account_id=account_id, name="a", scopes=Scope, expires_at=None)
    await db.connect(copy_accounts)
    await schema.upgrade(db)
    assert await db.read(count) == 1
    await db.close()


def test_the_code_names_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(schema.alembic_config()).get_heads() == [SCHEMA_REVISION]


def test_alembic_is_not_imported_until_it_is_needed() -> None:
    code = "import sys, llmstack_api.schema; assert not [name for name in sys.modules if 'alembic' in name]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)  # noqa: S603 # our own code


async def test_alembics_own_command_works_in_a_checkout(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        "upgrade",
        "head",
        cwd=ROOT,
        env={**os.environ, "LLMSTACK_DATABASE_URL": url},
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
    database = open_database(url)
    assert await schema.is_current(database)
    await database.close()


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())
