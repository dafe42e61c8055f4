"""PostgreSQL: what its failures look like, and what is left after them."""

import asyncio
import socket
import time
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from llmstack_api.db import open_database
from llmstack_api.errors import StorageFullError, UnavailableError
from llmstack_api.models import App
from tests.db.accounts import add_account, count_accounts, opened
from tests.postgres import PostgresServer, free_port

QUICK = 3.0
LONG = 20.0


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", StorageFullError),  # disk full
        ("53200", UnavailableError),  # out of memory
        ("53300", UnavailableError),  # too many connections
        ("57014", UnavailableError),  # statement timed out
        ("57P01", UnavailableError),  # administrator's shutdown
        ("58030", UnavailableError),  # input or output failed
        ("40P01", UnavailableError),  # deadlock
        ("25006", UnavailableError),  # the server is read only
        ("23505", IntegrityError),
        ("42P01", ProgrammingError),
    ],
)
async def test_what_the_server_says_is_told_apart(
    postgresql_url: str, state: str, error: type[Exception]
) -> None:
    def fail(session: Session) -> None:
        session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"))

    async with opened(postgresql_url) as db:
        with pytest.raises(error):
            await db.write(fail)
        await db.write(add_account, "acme")


async def test_a_value_that_the_driver_refuses_is_no_outage(postgresql_url: str) -> None:
    def compare(session: Session) -> None:
        session.scalars(select(App).where(App.version == 2**40)).all()

    async with opened(postgresql_url) as db:
        with pytest.raises(DBAPIError):
            await db.read(compare)


async def test_a_read_sees_one_state(postgresql_url: str) -> None:
    def show(session: Session) -> tuple[str | None, str | None]:
        names = ("transaction_isolation", "transaction_read_only")
        return tuple(session.scalar(text(f"SHOW {name}")) for name in names)  # type: ignore[return-value] # two names

    async with opened(postgresql_url) as db:
        assert await db.read(show) == ("repeatable read", "on")
        assert await db.write(show) == ("read committed", "off")


async def test_the_server_lets_go_of_what_a_vanished_process_held(postgresql_url: str) -> None:
    names = ("tcp_keepalives_idle", "idle_in_transaction_session_timeout", "statement_timeout")

    def show(session: Session) -> list[str | None]:
        return [session.scalar(text(f"SHOW {name}")) for name in names]

    async with opened(postgresql_url) as db:
        assert await db.read(show) == ["15", "1min", "30s"]


async def test_a_connection_watches_its_server(postgresql_url: str) -> None:
    async with opened(postgresql_url) as db:

        def options(connection: Connection) -> list[int]:
            driver: Any = connection.connection.driver_connection
            end = driver._transport.get_extra_info("socket")
            wanted = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
            return [end.getsockopt(level, name) for level, name in wanted]

        assert await db.peek(options) == [1, 15]


async def test_a_statement_prepared_before_a_migration_fails_once_at_most(postgresql_url: str) -> None:
    everything = text("SELECT * FROM accounts")

    def read(session: Session) -> int:
        return len(session.execute(everything).all())

    async with opened(postgresql_url) as db, opened(postgresql_url) as migrating:
        assert await db.read(read) == 0
        alter = text("ALTER TABLE accounts ADD COLUMN more integer")
        await migrating.connect(lambda connection: connection.execute(alter).close())
        with pytest.raises(UnavailableError):
            await db.read(read)
        assert await db.read(read) == 0


async def test_a_cancelled_read_gives_its_connection_back(postgresql_url: str) -> None:
    sleeping = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()"
    )
    db = open_database(postgresql_url, pool_size=1)
    async with opened(postgresql_url) as observer, asyncio.timeout(LONG):
        task = asyncio.create_task(
            db.read(lambda session: session.execute(text("SELECT pg_sleep(30)")).close())
        )
        while await observer.read(lambda session: session.scalar(sleeping)) == 0:  # only the server knows
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.read(count_accounts) == 0
        while await observer.read(lambda session: session.scalar(sleeping)):  # likewise
            await asyncio.sleep(0)
    await db.close()


async def test_a_refused_connection_is_unavailable_at_once() -> None:
    async with opened(f"postgresql+asyncpg://x@127.0.0.1:{free_port()}/x") as db, asyncio.timeout(QUICK):
        for call in (db.read(count_accounts), db.write(add_account, "x"), db.peek(lambda _: None)):
            with pytest.raises(UnavailableError):
                await call


async def test_a_missing_database_is_unavailable_and_the_cause_says_why(postgres: PostgresServer) -> None:
    async with opened(postgres.url("nowhere")) as db:
        with pytest.raises(UnavailableError) as caught:
            await db.connect(lambda _: None)
    assert 'database "nowhere" does not exist' in str(caught.value.__cause__)


async def test_an_exhausted_pool_is_unavailable_in_bounded_time(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmstack_api.db.postgresql.POOL_TIMEOUT", 0.05)
    db = open_database(postgresql_url, pool_size=1)
    task = asyncio.create_task(db.read(lambda session: session.execute(text("SELECT pg_sleep(30)")).close()))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await db.read(count_accounts)
    task.cancel()
    await asyncio.wait({task})
    await db.close()


async def test_after_a_restart_the_first_transaction_works(stoppable_postgres: PostgresServer) -> None:
    async with opened(stoppable_postgres.url("postgres")) as db:
        await asyncio.gather(*(db.read(ping) for _ in range(5)))
        for mode in ("fast", "immediate"):
            await asyncio.to_thread(restart, stoppable_postgres, mode)
            assert await asyncio.gather(*(db.read(ping) for _ in range(5))) == [1] * 5


async def test_while_the_server_is_down_everything_is_unavailable_and_then_works_again(
    stoppable_postgres: PostgresServer,
) -> None:
    async with opened(stoppable_postgres.url("postgres")) as db:
        assert await db.read(ping) == 1
        sleeping = asyncio.create_task(
            db.write(lambda session: session.execute(text("SELECT pg_sleep(30)")).close())
        )
        await db.read(ping)
        await asyncio.to_thread(stoppable_postgres.stop)
        start = time.monotonic()
        for call in (sleeping, db.read(ping), db.write(ping), db.peek(lambda _: None)):
            with pytest.raises(UnavailableError):
                await call
        assert time.monotonic() - start < QUICK
        await asyncio.to_thread(stoppable_postgres.start)
        assert await db.read(ping) == 1
        assert await db.write(ping) == 1


def ping(session: Session) -> int | None:
    return session.scalar(text("SELECT 1"))


def restart(server: PostgresServer, mode: str) -> None:
    server.stop(mode=mode)
    server.start()
