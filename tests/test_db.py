"""Transactions on both engines: what is kept, what is undone, and what a failing engine looks like."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, StatementError
from sqlalchemy.orm import Session

from llmstack_api.db import Database, open_database
from llmstack_api.db import sqlite as sqlite_engine
from llmstack_api.db.sqlite import SQLiteDatabase
from llmstack_api.errors import StorageFullError, UnavailableError
from llmstack_api.models import Account, App, Run, RunStatus, new_id
from tests.postgres import PostgresServer, free_port, running_postgres

QUICK = 3.0


def add_account(session: Session, name: str) -> None:
    session.add(Account(name=name))


def count_accounts(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(Account)).one()


async def test_what_is_written_can_be_read_and_its_rows_outlive_the_transaction(db: Database) -> None:
    def add(session: Session) -> Account:
        account = Account(name="acme")
        session.add(account)
        session.flush()
        return account

    written = await db.write(add)
    found = await db.read(lambda session: session.scalars(select(Account)).one())
    assert (found.id, found.name, found.created_at) == (written.id, "acme", written.created_at)


async def test_an_error_undoes_the_whole_transaction_and_reaches_the_caller_as_it_is(db: Database) -> None:
    def add_and_fail(session: Session) -> None:
        add_account(session, "acme")
        session.flush()
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await db.write(add_and_fail)
    assert await db.read(count_accounts) == 0
    await db.write(add_account, "acme")
    assert await db.read(count_accounts) == 1


async def test_a_write_whose_caller_is_cancelled_is_not_lost(db: Database, database_url: str) -> None:
    task = asyncio.create_task(db.write(add_account, "acme"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.close()
    async with opened(database_url) as again:
        assert await again.read(count_accounts) == 1


async def test_fifty_writes_at_once_are_all_kept(db: Database) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(db.write(add_account, f"account {number}"))
            group.create_task(db.read(count_accounts))
    assert await db.read(count_accounts) == 50


async def test_a_row_without_its_parent_is_refused(db: Database) -> None:
    with pytest.raises(IntegrityError):
        await db.write(lambda session: session.add(App(account_id=new_id(), version=1)))


async def test_times_come_back_in_utc_and_sort_by_the_moment(db: Database) -> None:
    east = timezone(timedelta(hours=9))
    later = datetime(2026, 1, 1, 9, 0, 0, 1, tzinfo=east)
    earlier = datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

    def add(session: Session) -> None:
        session.add_all(
            [Account(name="later", created_at=later), Account(name="earlier", created_at=earlier)]
        )

    await db.write(add)
    query = select(Account.created_at).order_by(Account.created_at)
    found = await db.read(lambda session: list(session.scalars(query)))
    assert found == [earlier, later]
    assert [moment.utcoffset() for moment in found] == [timedelta(0)] * 2


async def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 # what the test is about
    with pytest.raises(StatementError, match="without a zone"):
        await db.write(lambda session: session.add(Account(name="acme", created_at=naive)))


async def test_json_none_is_null_and_other_json_keeps_its_type(db: Database) -> None:
    given: dict[str, Any] = {"text": "é\u2028", "number": 2**53, "nested": [1, 1.5, True, None, {"a": []}]}

    def add(session: Session) -> None:
        account = Account(name="acme")
        session.add(account)
        session.flush()
        session.add(
            Run(
                account_id=account.id,
                app_id=new_id(),
                app_version=1,
                session="s",
                status=RunStatus.RUNNING,
                streamed=False,
                input=given,
                output=None,
                owner=new_id(),
            )
        )

    await db.write(add)
    assert await db.read(lambda s: s.scalars(select(Run.input).where(Run.output.is_(None))).one()) == given


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(UnavailableError):
        await db.read(add_account_at_once, "acme")
    assert await db.read(count_accounts) == 0


def add_account_at_once(session: Session, name: str) -> None:
    add_account(session, name)
    session.flush()


async def test_a_peek_sees_what_was_committed(db: Database) -> None:
    def name_of(connection: Connection, prefix: str) -> str | None:
        return connection.scalar(select(Account.name).where(Account.name.startswith(prefix)))

    assert await db.peek(name_of, "ac") is None
    await db.write(add_account, "acme")
    assert await db.peek(name_of, "ac") == "acme"


async def test_next_without_a_default_is_an_error_not_a_hang(db: Database) -> None:
    async with asyncio.timeout(QUICK):
        with pytest.raises(RuntimeError):
            await db.write(lambda _: next(iter(())))


async def test_a_closed_database_refuses_work(db: Database) -> None:
    await db.write(add_account, "acme")
    await db.close()
    with pytest.raises(UnavailableError):
        await db.read(count_accounts)
    with pytest.raises(UnavailableError):
        await db.write(add_account, "other")


async def test_a_database_can_be_closed_unused(database_url: str) -> None:
    async with asyncio.timeout(QUICK):
        await open_database(database_url).close()


# --- SQLite ----------------------------------------------------------------------------------------------


async def test_a_full_disk_is_told_from_other_failures_and_reading_goes_on(sqlite_url: str) -> None:
    def fill(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count = 1"))  # what there is stays; nothing can be added
        for number in range(1000):
            session.add(Account(name=f"{number}" * 40))
        session.flush()

    async with opened(sqlite_url) as db:
        with pytest.raises(StorageFullError):
            await db.write(fill)
        assert await db.read(count_accounts) == 0
        await db.write(add_account, "room again")
        assert await db.read(count_accounts) == 1


async def test_a_file_locked_by_another_process_is_unavailable_until_it_lets_go(
    tmp_path: Path, sqlite_url: str
) -> None:
    del sqlite_url
    db = SQLiteDatabase(tmp_path / "llmstack.db", busy_timeout=0.05)
    async with locked_by_another_process(tmp_path / "llmstack.db", "BEGIN IMMEDIATE"):
        with pytest.raises(UnavailableError):
            await db.write(add_account, "acme")
        assert await db.read(count_accounts) == 0
        assert await db.peek(lambda connection: connection.scalar(select(Account.name))) is None
    await db.write(add_account, "acme")
    await db.close()


async def test_a_peek_waits_in_a_thread_where_the_file_is_wholly_locked(
    tmp_path: Path, sqlite_url: str
) -> None:
    del sqlite_url
    db = SQLiteDatabase(tmp_path / "llmstack.db", busy_timeout=QUICK)

    def peek() -> asyncio.Task[int | None]:
        count = select(func.count()).select_from(Account)
        return asyncio.create_task(db.peek(lambda connection: connection.scalar(count)))

    exclusive = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE accounts SET name = name"
    async with locked_by_another_process(tmp_path / "llmstack.db", exclusive):
        waiting = peek()
        await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(2 * QUICK):
        assert await waiting == 0
    assert await peek() == 0
    await db.close()


async def test_cancelled_reads_keep_no_thread_and_those_not_begun_never_run(sqlite_url: str) -> None:
    let_go = threading.Event()
    begun: list[int] = []

    def read(_: Session, number: int) -> None:
        begun.append(number)
        let_go.wait(10)

    async with opened(sqlite_url) as db:
        reads = [asyncio.create_task(db.read(read, number)) for number in range(10)]
        while len(begun) < sqlite_engine.READ_THREADS:
            await asyncio.sleep(0)
        for task in reads:
            task.cancel()
        await asyncio.wait(reads)
        let_go.set()
        assert await db.read(count_accounts) == 0
        assert len(begun) == sqlite_engine.READ_THREADS


async def test_a_write_that_waited_too_long_for_its_turn_is_refused(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_engine, "QUEUE_TIMEOUT", -1.0)
    async with opened(sqlite_url) as db:
        with pytest.raises(UnavailableError, match="overloaded"):
            await db.write(add_account, "acme")


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database at all, not even a little" * 100)
    async with opened(f"sqlite:///{tmp_path}/x.db") as db:
        for call in (db.read(count_accounts), db.write(add_account, "acme"), db.peek(lambda _: None)):
            with pytest.raises(UnavailableError):
                await call


async def test_a_file_name_with_signs_of_an_address_is_taken_as_it_is(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/a b?c=%41#d.db") as db:
        await db.connect(lambda connection: connection.execute(text("SELECT 1")).close())
    assert (tmp_path / "a b?c=%41#d.db").exists()


# --- PostgreSQL ------------------------------------------------------------------------------------------


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
    async with opened(postgresql_url) as observer, asyncio.timeout(2 * QUICK):
        task = asyncio.create_task(
            db.read(lambda session: session.execute(text("SELECT pg_sleep(30)")).close())
        )
        while await observer.read(lambda session: session.scalar(sleeping)) == 0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.read(count_accounts) == 0
        while await observer.read(lambda session: session.scalar(sleeping)):
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


async def test_after_a_restart_the_first_transaction_works(own_postgres: PostgresServer) -> None:
    async with opened(own_postgres.url("postgres")) as db:
        await asyncio.gather(*(db.read(ping) for _ in range(5)))
        for mode in ("fast", "immediate"):
            await asyncio.to_thread(restart, own_postgres, mode)
            assert await asyncio.gather(*(db.read(ping) for _ in range(5))) == [1] * 5


async def test_while_the_server_is_down_everything_is_unavailable_and_then_works_again(
    own_postgres: PostgresServer,
) -> None:
    async with opened(own_postgres.url("postgres")) as db:
        assert await db.read(ping) == 1
        sleeping = asyncio.create_task(
            db.write(lambda session: session.execute(text("SELECT pg_sleep(30)")).close())
        )
        await db.read(ping)
        await asyncio.to_thread(own_postgres.stop)
        start = time.monotonic()
        for call in (sleeping, db.read(ping), db.write(ping), db.peek(lambda _: None)):
            with pytest.raises(UnavailableError):
                await call
        assert time.monotonic() - start < QUICK
        await asyncio.to_thread(own_postgres.start)
        assert await db.read(ping) == 1
        assert await db.write(ping) == 1


@pytest.fixture(scope="module")
def own_postgres():  # noqa: ANN201
    with running_postgres() as server:
        yield server


def ping(session: Session) -> int | None:
    return session.scalar(text("SELECT 1"))


def restart(server: PostgresServer, mode: str) -> None:
    server.stop(mode=mode)
    server.start()


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    db = open_database(url)
    try:
        yield db
    finally:
        await db.close()


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def locked_by_another_process(path: Path, statements: str) -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(path),
        statements,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        assert await asyncio.wait_for(process.stdout.readline(), QUICK) == b"locked\n"
        yield
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), QUICK)
