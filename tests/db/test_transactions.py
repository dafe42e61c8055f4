"""Transactions on both engines: what is kept and what is undone."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from llmstack_api.db import Database, open_database
from llmstack_api.errors import UnavailableError
from llmstack_api.models import Account, App, Run, RunStatus, new_id
from tests.db.accounts import add_account, count_accounts, opened

QUICK = 3.0


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
