"""Replicas: who lives and who is dead, on both engines."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from llmstack_api.db import Database
from llmstack_api.errors import StartError, UnavailableError
from llmstack_api.models import new_id
from llmstack_api.replica import Replica, hold_replica
from llmstack_api.settings import Settings
from tests.advisory import until_vectors_are_taken, vectors_taken_from
from tests.db.accounts import opened
from tests.postgres import PostgresServer, free_port

QUICK = 5.0
START = 30.0

CHILD = """
import asyncio
from llmstack_api.db import open_database
from llmstack_api.replica import hold_replica
from llmstack_api.settings import Settings

async def live():
    settings = Settings.load(_env_file=None)
    async with hold_replica(settings, open_database(settings.database)) as replica:
        print(replica.id, flush=True)
        await asyncio.Event().wait()

asyncio.run(live())
"""


@dataclass
class Child:
    """Another process that holds a replica."""

    replica_id: UUID
    process: asyncio.subprocess.Process

    async def die(self) -> None:
        self.process.kill()
        await asyncio.wait_for(self.process.wait(), QUICK)


@pytest.fixture
async def child(settings: Settings) -> AsyncGenerator[Child]:
    environment = os.environ | {
        "LLMSTACK_DATA_DIR": str(settings.data_dir),
        "LLMSTACK_DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else "",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START)
        yield Child(UUID(line.decode().strip()), process)
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), QUICK)


async def test_a_replica_is_never_dead_to_itself_and_strangers_are(settings: Settings, db: Database) -> None:
    stranger = new_id()
    async with hold_replica(settings, db, grace=0) as replica:
        assert await replica.dead({replica.id, stranger}) == {stranger}
        assert await replica.dead({replica.id}) == set()
        assert await replica.dead(set()) == set()


async def test_a_replica_that_left_is_dead_to_the_next(settings: Settings, db: Database) -> None:
    async with hold_replica(settings, db, grace=0) as first:
        pass
    async with asyncio.timeout(QUICK), hold_replica(settings, db, grace=0) as second:
        await until_dead(second, first.id)


async def test_a_process_that_was_killed_is_dead_at_once(
    settings: Settings, db: Database, child: Child
) -> None:
    if settings.database_url is None:
        await child.die()
        async with hold_replica(settings, db) as replica:
            assert await replica.dead({child.replica_id}) == {child.replica_id}
        return
    async with hold_replica(settings, db, grace=0) as replica, asyncio.timeout(QUICK):
        assert await replica.dead({child.replica_id}) == set()
        await child.die()
        await until_dead(replica, child.replica_id)


# --- SQLite ----------------------------------------------------------------------------------------------


async def test_a_second_server_on_one_data_directory_is_refused_by_name(
    sqlite_settings: Settings, sqlite_url: str
) -> None:
    async with opened(sqlite_url) as db, hold_replica(sqlite_settings, db):
        with pytest.raises(StartError) as caught:
            async with hold_replica(sqlite_settings, db):
                pass
        assert str(caught.value) == (
            f"LLMSTACK_DATA_DIR: {sqlite_settings.data_dir} is in use by process {os.getpid()}"
        )
    async with opened(sqlite_url) as db, hold_replica(sqlite_settings, db):
        pass


async def test_a_second_server_on_one_named_file_is_refused_by_name(
    sqlite_settings: Settings, sqlite_url: str
) -> None:
    settings = sqlite_settings.model_copy(update={"database_url": SecretStr(sqlite_url)})
    async with opened(sqlite_url) as db, hold_replica(settings, db):
        with pytest.raises(StartError, match=r"^LLMSTACK_DATABASE_URL: .* is in use by process \d+$"):
            async with hold_replica(settings, db):
                pass


# --- PostgreSQL ------------------------------------------------------------------------------------------


async def test_replicas_see_each_other_live(postgresql_settings: Settings, postgresql_url: str) -> None:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(opened(postgresql_url))
        replicas = [
            await stack.enter_async_context(hold_replica(postgresql_settings, db, grace=0)) for _ in range(3)
        ]
        owners = {replica.id for replica in replicas}
        assert len(owners) == 3
        looks = await asyncio.gather(*(replica.dead(owners) for replica in replicas))
        assert looks == [set(), set(), set()]


async def test_a_lock_whose_connection_was_broken_off_is_taken_again(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    async with (
        opened(postgresql_url) as db,
        hold_replica(postgresql_settings, db) as broken,
        hold_replica(postgresql_settings, db, grace=0) as observer,
        asyncio.timeout(QUICK),
    ):
        session_before = await db.read(holder, broken.id)
        await db.write(terminate, session_before)
        while await db.read(holder, broken.id) in {session_before, None}:  # only the server knows
            await asyncio.sleep(0)
        assert await observer.dead({broken.id}) == set()


async def test_who_has_just_taken_its_lock_again_gives_the_others_time(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    dead = new_id()
    async with (
        opened(postgresql_url) as db,
        hold_replica(postgresql_settings, db, grace=2) as replica,
        asyncio.timeout(2 * QUICK),
    ):
        await until_dead(replica, dead)
        session_before = await db.read(holder, replica.id)
        await db.write(terminate, session_before)
        while await db.read(holder, replica.id) in {session_before, None}:  # only the server knows
            await asyncio.sleep(0)
        assert await replica.dead({dead}) == set()
        await until_dead(replica, dead)


async def test_after_a_restart_of_the_server_all_replicas_live_and_the_dead_are_told_later(
    stoppable_postgres: PostgresServer, postgresql_settings: Settings
) -> None:
    url = stoppable_postgres.url("postgres")
    settings = postgresql_settings.model_copy(update={"database_url": SecretStr(url)})
    async with (
        opened(url) as db,
        hold_replica(settings, db) as patient,
        hold_replica(settings, db, grace=0) as hasty,
        asyncio.timeout(4 * QUICK),
    ):
        dead = new_id()
        for mode in ("fast", "immediate"):
            await asyncio.to_thread(stoppable_postgres.stop, mode=mode)
            await asyncio.to_thread(stoppable_postgres.start)
            for replica in (patient, hasty):
                while await db.read(holder, replica.id) is None:  # only the server knows
                    await asyncio.sleep(0)
            assert await hasty.dead({patient.id, dead}) == {dead}
            assert await patient.dead({hasty.id, dead}) == set()


async def test_a_server_that_has_just_started_is_given_time_before_anybody_is_dead(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    async with opened(postgresql_url) as db, hold_replica(postgresql_settings, db, grace=3600) as replica:
        assert await replica.dead({new_id()}) == set()


async def test_a_server_that_is_away_at_the_start_is_unavailable(postgresql_settings: Settings) -> None:
    url = f"postgresql+asyncpg://x@127.0.0.1:{free_port()}/x"
    settings = postgresql_settings.model_copy(update={"database_url": SecretStr(url)})
    async with opened(url) as db, asyncio.timeout(QUICK):
        with pytest.raises(UnavailableError):
            async with hold_replica(settings, db):
                pass


# --- who keeps the vectors -------------------------------------------------------------------------------


async def test_one_process_at_an_sqlite_file_keeps_the_vectors_from_the_start(
    sqlite_settings: Settings, sqlite_url: str
) -> None:
    async with opened(sqlite_url) as db, hold_replica(sqlite_settings, db) as replica:
        assert await replica.keeps_vectors()
        assert replica.vectors_term == 1


async def test_the_first_replica_to_ask_keeps_the_vectors_until_it_leaves(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    async with opened(postgresql_url) as db, hold_replica(postgresql_settings, db) as second:
        async with hold_replica(postgresql_settings, db) as first:
            assert (first.vectors_term, second.vectors_term) == (0, 0)
            assert await asyncio.gather(*(first.keeps_vectors() for _ in range(3))) == [True] * 3
            assert not await second.keeps_vectors()
            assert (first.vectors_term, second.vectors_term) == (1, 0)
        async with asyncio.timeout(QUICK):
            await until_vectors_are_taken(second, term=1)


async def test_who_kept_the_vectors_keeps_them_over_a_broken_connection(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    gone: list[str] = []

    async def give_up() -> None:
        gone.append("vectors")

    async with (
        opened(postgresql_url) as db,
        hold_replica(postgresql_settings, db) as keeper,
        hold_replica(postgresql_settings, db) as other,
        asyncio.timeout(QUICK),
    ):
        keeper.when_vectors_go(give_up)
        assert await keeper.keeps_vectors()
        session_before = await db.read(holder, keeper.id)
        await db.write(terminate, session_before)
        while await db.read(holder, keeper.id) in {session_before, None}:  # only the server knows
            await asyncio.sleep(0)
        await until_vectors_are_taken(keeper, term=2)
        assert not await other.keeps_vectors()
        assert gone == []


async def test_a_replica_whose_vectors_another_one_took_is_told_so_and_asks_again(
    postgresql_settings: Settings, postgresql_url: str
) -> None:
    gone = asyncio.Event()

    async def give_up() -> None:
        gone.set()

    async with (
        opened(postgresql_url) as db,
        hold_replica(postgresql_settings, db) as replica,
        asyncio.timeout(QUICK),
    ):
        replica.when_vectors_go(give_up)
        assert await replica.keeps_vectors()
        async with vectors_taken_from(postgresql_url):
            await gone.wait()
            assert not await replica.keeps_vectors()
            assert replica.vectors_term == 1
        await until_vectors_are_taken(replica, term=2)


async def test_who_keeps_the_vectors_is_not_known_while_the_database_is_away(
    stoppable_postgres: PostgresServer, postgresql_settings: Settings
) -> None:
    url = stoppable_postgres.url("postgres")
    settings = postgresql_settings.model_copy(update={"database_url": SecretStr(url)})
    async with opened(url) as db, hold_replica(settings, db) as replica, asyncio.timeout(4 * QUICK):
        assert await replica.keeps_vectors()
        await asyncio.to_thread(stoppable_postgres.stop)
        with pytest.raises(UnavailableError):
            await replica.keeps_vectors()
        await asyncio.to_thread(stoppable_postgres.start)
        await until_vectors_are_taken(replica, term=2)


async def until_dead(observer: Replica, owner: UUID) -> None:
    """Wait until the server has noticed that a connection is gone, which takes it some milliseconds."""
    while not await observer.dead({owner}):  # only the server knows
        await asyncio.sleep(0)


def holder(session: Session, replica_id: UUID) -> int | None:
    """Return which backend of the server holds a replica's lock."""
    query = text(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND classid::bigint << 32 | objid::bigint = :key"
    )
    return session.scalar(query, {"key": replica_id.int & (2**63 - 1)})


def terminate(session: Session, backend: int | None) -> None:
    session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
