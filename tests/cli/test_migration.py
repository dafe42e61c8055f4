import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from llmstack_api import schema
from llmstack_api.cli.migration import migrate
from llmstack_api.db import open_database
from llmstack_api.errors import StartError
from llmstack_api.models import SCHEMA_REVISION
from llmstack_api.settings import Settings
from tests.command import environment, run_command
from tests.conftest import make_settings
from tests.postgres import PostgresServer

FUTURE = "9999"


def revision_of(settings: Settings, *, becomes: str | None = None) -> str | None:
    def work(connection: Connection) -> str | None:
        if becomes is not None:
            connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": becomes})
        return schema.current_revision(connection)

    async def run() -> str | None:
        db = open_database(settings.database)
        try:
            return await db.connect(work)
        finally:
            await db.close()

    return asyncio.run(run())


def test_an_empty_sqlite_is_made_and_migrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings(tmp_path / "new" / "data", None)
    migrate(settings)
    assert capsys.readouterr().out == f"Migrated from an empty database to {SCHEMA_REVISION}.\n"
    assert revision_of(settings) == SCHEMA_REVISION


def test_an_empty_postgresql_is_migrated(
    postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.create_database("empty_one")
    settings = make_settings(tmp_path, postgres.url("empty_one"))
    migrate(settings)
    assert capsys.readouterr().out == f"Migrated from an empty database to {SCHEMA_REVISION}.\n"
    assert revision_of(settings) == SCHEMA_REVISION
    postgres.drop_database("empty_one")


def test_a_current_database_is_left_alone(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(settings)
    assert capsys.readouterr().out == f"The database is at revision {SCHEMA_REVISION} already.\n"


def test_a_database_of_a_newer_version_is_refused(settings: Settings) -> None:
    revision_of(settings, becomes=FUTURE)
    with pytest.raises(StartError, match=f"at revision {FUTURE}, which a newer version made"):
        migrate(settings)
    assert revision_of(settings) == FUTURE


def test_the_newest_known_revision_is_the_one_the_code_needs() -> None:
    assert schema.known_revisions()[-1] == SCHEMA_REVISION


async def test_a_dead_database_is_one_line_and_code_2(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", database_url="postgresql+asyncpg://me:hidden@127.0.0.1:1/none")
    finished = await run_command("migrate", env=env, folder=tmp_path)
    assert (finished.code, finished.out, finished.err.count("\n")) == (2, "", 1)
    assert finished.err.startswith("llmstack-api: LLMSTACK_DATABASE_URL: ")
    assert "hidden" not in finished.err


def test_a_wrong_database_name_says_so(postgres: PostgresServer, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, postgres.url("no_such_database"))
    with pytest.raises(
        StartError, match=r'LLMSTACK_DATABASE_URL: .*database "no_such_database" does not exist'
    ):
        migrate(settings)
