"""What PostgreSQL adds: several processes, any of which may die, and a database that may go away."""

import asyncio
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import Connection, text

from llmstack_api.db import Database, open_database
from llmstack_api.errors import UnavailableError
from llmstack_api.jobs import postgresql
from llmstack_api.jobs.postgresql import PostgreSQLJobQueue
from tests.conftest import migrate
from tests.jobs.workers import Handlers, make_jobs, working
from tests.postgres import PostgresServer, free_port

RECOVERY = 12.0

WORKER = """
import asyncio, sys
from llmstack_api.jobs.postgresql import PostgreSQLJobQueue

async def hold(job):
    print(job.id, flush=True)
    await asyncio.Event().wait()

asyncio.run(PostgreSQLJobQueue(sys.argv[1]).work(hold, concurrency=4))
"""


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[PostgreSQLJobQueue]:
    queue = PostgreSQLJobQueue(url)
    try:
        yield queue
    finally:
        await queue.close()


@asynccontextmanager
async def worker_process(url: str) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, url, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def stoppable_url(stoppable_postgres: PostgresServer) -> Generator[str]:
    """The address of a migrated database on a server that may be stopped."""
    name = f"jobs_{uuid4().hex}"
    stoppable_postgres.create_database(name)
    url = stoppable_postgres.url(name)
    migrate(url)
    yield url
    stoppable_postgres.drop_database(name)


async def count(db: Database, query: str) -> int:
    def scalar(connection: Connection) -> int:
        return connection.execute(text(query)).scalar_one()

    return await db.connect(scalar)


def checkpoint(connection: Connection) -> None:
    connection.execute(text("CHECKPOINT"))


async def test_what_a_killed_worker_had_is_handled_by_another(postgresql_url: str) -> None:
    jobs = make_jobs(8)
    handlers = Handlers()
    async with opened(postgresql_url) as queue, worker_process(postgresql_url) as process:
        await queue.wake(jobs)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            running = {(await process.stdout.readline()).decode().strip() for _ in range(3)}
        assert running < {str(job.id) for job in jobs}
        process.kill()
        async with working(queue, handlers):
            await handlers.until(lambda: {*handlers.finished} == {*jobs})
    assert len(handlers.finished) == len(jobs)


async def test_workers_share_the_jobs(postgresql_url: str) -> None:
    jobs = [*make_jobs(50), *make_jobs(50)]
    ours, theirs = Handlers(), Handlers()
    async with (
        opened(postgresql_url) as queue,
        opened(postgresql_url) as other,
        working(queue, ours, concurrency=4),
        working(other, theirs, concurrency=4),
    ):
        await queue.wake(jobs)
        async with asyncio.timeout(20):
            while len(ours.finished) + len(theirs.finished) < len(jobs):
                await asyncio.sleep(0.02)
    assert {*ours.finished, *theirs.finished} == {*jobs}
    assert len(ours.finished) + len(theirs.finished) == len(jobs)
    assert ours.finished
    assert theirs.finished


async def test_an_account_may_have_the_more_handlers_the_more_workers_there_are(postgresql_url: str) -> None:
    ours, theirs = Handlers(held=True), Handlers(held=True)
    async with (
        opened(postgresql_url) as queue,
        opened(postgresql_url) as other,
        working(queue, ours, concurrency=4),
        working(other, theirs, concurrency=4),
    ):
        await queue.wake(make_jobs(50))
        async with asyncio.timeout(10):
            while ours.running + theirs.running < 6:
                await asyncio.sleep(0.02)
        assert ours.most <= 4
        assert theirs.most <= 4


async def test_what_a_stopped_worker_had_goes_to_another_at_once(postgresql_url: str) -> None:
    ours, theirs = Handlers(held=True), Handlers()
    db = open_database(postgresql_url)
    async with opened(postgresql_url) as queue, opened(postgresql_url) as other:
        leaving = asyncio.create_task(queue.work(ours, concurrency=3))
        await queue.wake(jobs := [job for _ in range(3) for job in make_jobs(1)])
        await ours.until(lambda: ours.running == 3)
        async with working(other, theirs):
            await queue.wake(make_jobs(1))
            async with asyncio.timeout(10):
                while await count(db, "SELECT count(*) FROM jobs.pgqueuer") > 3:
                    await asyncio.sleep(0.02)
            leaving.cancel()
            await theirs.until(lambda: {*jobs} <= {*theirs.finished}, timeout=1.0)
            await asyncio.wait({leaving})
    await db.close()


async def test_two_may_wake_the_same_rows_at_once(postgresql_url: str) -> None:
    jobs = make_jobs(500)
    handlers = Handlers()
    async with opened(postgresql_url) as queue, opened(postgresql_url) as other:
        for _ in range(3):
            await asyncio.gather(queue.wake(jobs), other.wake(jobs[::-1]))
        async with working(queue, handlers):
            await handlers.until(lambda: {*handlers.finished} == {*jobs})
    assert len(handlers.finished) == len(jobs)


async def test_a_job_starts_soon_after_it_was_sent(postgresql_url: str) -> None:
    handlers = Handlers()
    async with opened(postgresql_url) as queue, working(queue, handlers):
        await queue.wake(make_jobs(1))
        await handlers.until(lambda: len(handlers.finished) == 1)
        for done in range(1, 6):
            sent = time.monotonic()
            await queue.wake(make_jobs(1))
            await handlers.until(lambda d=done: len(handlers.started) > d)
            assert time.monotonic() - sent < 2.5  # looking without being woken happens each 3 s


async def test_work_goes_on_after_the_database_was_away(
    stoppable_url: str, stoppable_postgres: PostgresServer
) -> None:
    handlers = Handlers(held=True)
    async with opened(stoppable_url) as queue, working(queue, handlers):
        await queue.wake(jobs := make_jobs(2))
        await handlers.until(lambda: handlers.running == 2)
        await asyncio.to_thread(stoppable_postgres.stop)
        try:
            async with asyncio.timeout(postgresql.SEND_TIMEOUT + 1):
                with pytest.raises(UnavailableError):
                    await queue.wake(make_jobs(1))
        finally:
            await asyncio.to_thread(stoppable_postgres.start)
        await queue.wake(more := make_jobs(3))
        await handlers.until(lambda: handlers.running == 5)
        await handlers.let_go()
        await handlers.until(lambda: {*handlers.finished} == {*jobs, *more})
        assert not handlers.cancelled
        async with asyncio.timeout(RECOVERY):  # what was in hand is handed out once more, and done with
            db = open_database(stoppable_url)
            while await count(db, "SELECT count(*) FROM jobs.pgqueuer"):
                await asyncio.sleep(0.1)
            await db.close()


async def test_a_crash_of_the_database_loses_no_worker(
    stoppable_url: str, stoppable_postgres: PostgresServer
) -> None:
    handlers = Handlers()
    db = open_database(stoppable_url)
    await db.connect(checkpoint)  # the tests' server does not wait for its disk
    await db.close()
    async with opened(stoppable_url) as queue, working(queue, handlers):
        await queue.wake(make_jobs(1))
        await handlers.until(lambda: len(handlers.finished) == 1)
        await asyncio.to_thread(stoppable_postgres.stop, mode="immediate")
        await asyncio.to_thread(stoppable_postgres.start)
        await queue.wake(make_jobs(1))
        await handlers.until(lambda: len(handlers.finished) == 2)


async def test_a_connection_that_is_lost_is_said_once(postgresql_url: str) -> None:
    handlers = Handlers()
    db = open_database(postgresql_url)
    with structlog.testing.capture_logs() as logs:
        async with opened(postgresql_url) as queue, working(queue, handlers):
            await queue.wake(make_jobs(1))
            await handlers.until(lambda: len(handlers.finished) == 1)
            ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
            assert await count(db, ended) == 1
            await queue.wake(make_jobs(1))
            await handlers.until(lambda: len(handlers.finished) == 2)
    assert [entry["event"] for entry in logs] == ["job_queue_lost"]
    await db.close()


async def test_a_worker_waits_for_a_database_that_is_not_there_yet() -> None:
    queue = PostgreSQLJobQueue(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none")
    with structlog.testing.capture_logs() as logs:
        async with working(queue, Handlers()):
            async with asyncio.timeout(10):
                while not [entry for entry in logs if entry["event"] == "job_queue_lost"]:
                    await asyncio.sleep(0.02)
    await queue.close()


async def test_waking_without_a_database_is_an_outage_and_bounded() -> None:
    queue = PostgreSQLJobQueue(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none")
    async with asyncio.timeout(postgresql.SEND_TIMEOUT + 1):
        with pytest.raises(UnavailableError):
            await queue.wake(make_jobs(1))
    await queue.close()


async def test_a_full_disk_is_an_outage_of_the_queue(postgresql_url: str) -> None:
    def fill(connection: Connection) -> None:
        connection.execute(
            text(
                "CREATE FUNCTION jobs.full() RETURNS trigger LANGUAGE plpgsql"
                " AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER full_disk BEFORE INSERT ON jobs.pgqueuer EXECUTE FUNCTION jobs.full()")
        )

    db = open_database(postgresql_url)
    await db.connect(fill)
    async with opened(postgresql_url) as queue:
        with pytest.raises(UnavailableError):
            await queue.wake(make_jobs(1))
    await db.close()


async def test_the_engines_log_is_pruned(postgresql_url: str) -> None:
    db = open_database(postgresql_url)
    fill = (
        "WITH old AS (INSERT INTO jobs.pgqueuer_log (created, job_id, status, priority, entrypoint)"
        " SELECT now() - interval '11 minutes', n, 'successful', 0, 'accounts-0'"
        " FROM generate_series(1, 12000) AS n RETURNING 1) SELECT count(*) FROM old"
    )
    assert await count(db, fill) == 12_000
    async with opened(postgresql_url) as queue, working(queue, Handlers()), asyncio.timeout(20):
        while await count(db, "SELECT count(*) FROM jobs.pgqueuer_log"):
            await asyncio.sleep(0.05)
    await db.close()


async def test_a_payload_of_another_version_is_dropped(postgresql_url: str) -> None:
    db = open_database(postgresql_url)
    handlers = Handlers()
    odd = (
        "WITH odd AS (INSERT INTO jobs.pgqueuer (priority, entrypoint, payload, status)"
        " VALUES (0, 'accounts-0', 'moonshine 1', 'queued') RETURNING 1) SELECT count(*) FROM odd"
    )
    assert await count(db, odd) == 1
    with structlog.testing.capture_logs() as logs:
        async with opened(postgresql_url) as queue, working(queue, handlers), asyncio.timeout(20):
            while await count(db, "SELECT count(*) FROM jobs.pgqueuer"):
                await asyncio.sleep(0.02)
    assert [entry["event"] for entry in logs] == ["job_unreadable"]
    assert not handlers.started
    await db.close()


def test_an_idle_process_does_not_import_the_engine() -> None:
    code = (
        "import sys, llmstack_api.jobs.opening, llmstack_api.schema as s;"
        " assert not [name for name in sys.modules if name.startswith('pgqueuer')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)  # noqa: S603 # our own code
