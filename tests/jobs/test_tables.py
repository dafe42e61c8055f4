"""The engine's tables: made by `migrate`, beside Alembic's."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from uuid import uuid4

import pytest
from alembic import command
from pgqueuer.adapters.persistence.schema_ddl import render_install
from sqlalchemy import Connection, text

from llmstack_api import schema
from llmstack_api.db import Database, open_database
from llmstack_api.errors import StartError
from llmstack_api.jobs import tables
from llmstack_api.jobs.pgq import names
from llmstack_api.resources import open_current_database
from llmstack_api.settings import Settings
from tests.postgres import PostgresServer


@pytest.fixture
async def db(postgresql_url: str) -> AsyncGenerator[Database]:
    database = open_database(postgresql_url)
    yield database
    await database.close()


@pytest.fixture
async def empty(postgres: PostgresServer) -> AsyncGenerator[str]:
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


def run(*statements: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    return work


async def test_migrating_makes_them_and_alembic_sees_no_difference(db: Database) -> None:
    assert await db.connect(tables.is_current)
    await db.connect(lambda connection: command.check(schema.alembic_config(connection)))


async def test_several_processes_may_make_them_at_once(empty: str) -> None:
    databases = [open_database(empty) for _ in range(4)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(schema.upgrade(database) for database in databases))
    for database in databases:
        assert await database.connect(tables.is_current)
        await database.close()


async def test_making_them_again_changes_nothing_and_keeps_the_jobs(db: Database) -> None:
    job = "INSERT INTO jobs.pgqueuer (priority, entrypoint, status) VALUES (0, 'accounts-0', 'queued')"
    forget = "COMMENT ON TABLE jobs.pgqueuer IS NULL"
    await db.connect(run(job, forget))
    assert not await db.connect(tables.is_current)
    await schema.upgrade(db)
    assert await schema.is_current(db)
    await db.connect(run("SELECT 1 / count(*) FROM jobs.pgqueuer"))


async def test_tables_of_an_older_engine_are_brought_up_to_date(db: Database) -> None:
    await db.connect(
        run(
            "ALTER TABLE jobs.pgqueuer DROP COLUMN slot",
            "DROP INDEX jobs.pgqueuer_tenant_idx",
            "COMMENT ON TABLE jobs.pgqueuer IS 'llmstack-api, revision 0'",
        )
    )
    assert not await schema.is_current(db)
    await schema.upgrade(db)
    assert await schema.is_current(db)
    await db.connect(run("SELECT slot FROM jobs.pgqueuer", "DROP INDEX jobs.pgqueuer_tenant_idx"))


async def test_tables_of_a_newer_version_are_used_as_they_are(db: Database) -> None:
    await db.connect(run("COMMENT ON TABLE jobs.pgqueuer IS 'llmstack-api, revision 99'"))
    await schema.upgrade(db)
    assert await schema.is_current(db)


async def test_a_schema_that_was_made_beforehand_is_used(empty: str) -> None:
    database = open_database(empty)
    await database.connect(run("CREATE SCHEMA jobs"))
    await schema.upgrade(database)
    assert await schema.is_current(database)
    await database.close()


async def test_a_start_without_them_says_what_to_do(postgresql_settings: Settings, db: Database) -> None:
    await db.connect(run("DROP SCHEMA jobs CASCADE"))
    with pytest.raises(StartError, match="llmstack-api migrate"):
        async with open_current_database(postgresql_settings):
            raise AssertionError("it has opened")
    await schema.upgrade(db)
    async with open_current_database(postgresql_settings):
        pass


def test_the_environment_does_not_rename_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = names().model_dump()
    for field in before:
        for name in (f"PGQUEUER_{field}".upper(), field.upper()):
            monkeypatch.setenv(name, {"durability": "durable", "widen_id": "false"}.get(field, "other"))
    monkeypatch.setenv("PGQUEUER_SCHEMA", "other")
    assert names().model_dump() == before


def test_another_revision_is_due_when_the_engine_wants_other_tables() -> None:
    wanted = render_install(names()).partition("\n")[2]  # the first line names the engine's version
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    assert (tables.REVISION, digest) == (1, "d86af92b98b30ab8")
