"""SQLite: a full disk, locks of other processes, and threads that wait their turn."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from llmstack_api.db import sqlite as sqlite_engine
from llmstack_api.db.sqlite import SQLiteDatabase
from llmstack_api.errors import StorageFullError, UnavailableError
from llmstack_api.models import Account
from tests.db.accounts import add_account, count_accounts, opened
from tests.locking import locked_by_another_process

QUICK = 3.0


async def test_a_full_disk_is_told_from_other_failures_and_reading_goes_on(sqlite_url: str) -> None:
    def fill(session: Session) -> None:
        session.add_all([Account(name=f"{number}" * 40) for number in range(1000)])
        session.flush()

    def fill_a_full_disk(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count = 1"))  # what there is stays, nothing can be added
        fill(session)

    async with opened(sqlite_url) as db:
        with pytest.raises(StorageFullError):
            await db.write(fill_a_full_disk)
        assert await db.read(count_accounts) == 0
        await db.write(fill)  # over a new connection, which has no such limit
        assert await db.read(count_accounts) == 1000


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
    loop, let_go = asyncio.get_running_loop(), threading.Event()
    begun: asyncio.Queue[int] = asyncio.Queue()

    def read(_: Session, number: int) -> None:
        loop.call_soon_threadsafe(begun.put_nowait, number)
        let_go.wait(10)

    async with opened(sqlite_url) as db:
        reads = [asyncio.create_task(db.read(read, number)) for number in range(10)]
        for _ in range(sqlite_engine.READ_THREADS):
            await asyncio.wait_for(begun.get(), QUICK)
        for task in reads:
            task.cancel()
        await asyncio.wait(reads)
        let_go.set()
        assert await db.read(count_accounts) == 0
        assert begun.empty()


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
