"""Fixtures: a database of each engine, settings that the environment cannot touch."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import structlog
from pydantic import SecretStr

from llmstack_api import schema
from llmstack_api.db import SQLITE, Database, open_database
from llmstack_api.settings import PREFIX, Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.postgres import PostgresServer, running_postgres
from tests.server import RunningServer, running_server

TEMPLATE = "migrated"
PROVIDER_KEY = "sk-the-operators-own-key-0123456789"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_log() -> None:
    structlog.reset_defaults()  # an earlier test's goes to a standard error that is closed


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A PostgreSQL server with a migrated database, to be copied."""
    with running_postgres() as server:
        server.create_database(TEMPLATE)
        migrate(server.url(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def stoppable_postgres() -> Generator[PostgresServer]:
    """A PostgreSQL server that a test may stop, and leaves running."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The address of a migrated, empty SQLite file where the server looks for it by default."""
    path = tmp_path / "llmstack.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres: PostgresServer) -> Generator[str]:
    """The address of a migrated, empty PostgreSQL database."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, template=TEMPLATE)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated, empty database, once of each engine."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings over a database of each engine."""
    return make_settings(tmp_path, None if database_url.startswith(SQLITE) else database_url)


@pytest.fixture
def sqlite_settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """Settings over SQLite, for what the engine makes no difference to."""
    del sqlite_url  # the default is where it lies
    return make_settings(tmp_path, None)


@pytest.fixture
def postgresql_settings(postgresql_url: str, tmp_path: Path) -> Settings:
    """Settings over PostgreSQL, for what SQLite has not."""
    return make_settings(tmp_path, postgresql_url)


@pytest.fixture
async def db(database_url: str) -> AsyncGenerator[Database]:
    """An open, migrated, empty database, once of each engine."""
    database = open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def fake_model() -> AsyncGenerator[FakeModel]:
    """A fake model server, which the `server` fixture has as its `openai` provider."""
    async with fake_model_server() as model:
        yield model


@pytest.fixture
async def server(settings: Settings, fake_model: FakeModel) -> AsyncGenerator[RunningServer]:
    """The application on a real socket, over a database of each engine, with small limits."""
    limits: dict[str, object] = {
        "openai_base_url": fake_model.base_url,
        "openai_api_key": SecretStr(PROVIDER_KEY),
        "model_idle_timeout": 0.5,
        "body_timeout": 0.5,
        "heartbeat_interval": 0.3,
        "max_body_bytes": 1_000_000,
    }
    async with running_server(settings.model_copy(update=limits)) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the account `default`, with every scope."""
    async with server.client() as opened:
        yield opened


@pytest.fixture
async def other_client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of another account."""
    async with server.client("other") as opened:
        yield opened


def make_settings(data_dir: Path, database_url: str | None, **overrides: object) -> Settings:
    """Make settings from what is given here alone, with waits that suit tests."""
    given: dict[str, object] = {
        "data_dir": data_dir,
        "database_url": database_url,
        "port": 0,
        "model_idle_timeout": 5.0,
        "step_timeout": 10.0,
        "run_timeout": 15.0,
        "body_timeout": 5.0,
        "drain_grace": 2.0,
    }
    return Settings.load(_env_file=None, **(given | overrides))


def migrate(url: str) -> None:
    """Bring a database to the current revision, in a loop of its own."""

    async def upgrade() -> None:
        database = open_database(url)
        try:
            await schema.upgrade(database)
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as aside:  # whatever loop this thread has is the test's
        aside.submit(asyncio.run, upgrade()).result()
