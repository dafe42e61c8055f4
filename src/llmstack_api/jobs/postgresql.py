"""Wake-ups through PostgreSQL, carried by pgqueuer to any number of processes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from llmstack_api.db.failures import TRANSLATED
from llmstack_api.db.postgresql import postgresql_engine
from llmstack_api.errors import StorageFullError, UnavailableError
from llmstack_api.jobs.handling import Crew
from llmstack_api.jobs.queue import Handler, Job
from llmstack_api.jobs.tables import LOG_TABLE

log = structlog.get_logger(__name__)

SEND_TIMEOUT = 5.0
QUERY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
CONNECTIONS = 2
BATCH = 1000

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
SETTLED = 5.0
"""Seconds after which a connection that is lost counts as another outage."""

PRUNE_INTERVAL = 300.0
PRUNE_BATCH = 5000

# nobody reads it; what happened to a row is in the row
_PRUNE = text(
    f"DELETE FROM {LOG_TABLE} WHERE id IN (SELECT id FROM {LOG_TABLE}"  # noqa: S608 # constants
    f" WHERE created < now() - interval '10 minutes' LIMIT {PRUNE_BATCH} FOR UPDATE SKIP LOCKED)"
)


class PostgreSQLJobQueue:
    """Jobs in the tables that `llmstack-api migrate` makes; used from one event loop.

    A worker holds one connection that listens, so the address must not be that of a proxy which pools
    transactions. The jobs of a worker that was killed are handed out again within some ten seconds.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=SEND_TIMEOUT)
        self._listening = _engine(url, poolclass=NullPool)

    async def wake(self, jobs: Sequence[Job]) -> None:
        """See `JobQueue`."""
        from llmstack_api.jobs.sending import send  # noqa: PLC0415 # slow to import, not always needed

        try:
            for start in range(0, len(jobs), BATCH):
                with TRANSLATED:
                    async with asyncio.timeout(SEND_TIMEOUT), self._engine.connect() as connection:
                        await send(connection, jobs[start : start + BATCH])
        except StorageFullError as error:
            raise UnavailableError(str(error)) from error  # the rows are stored, only their wake-ups are not

    async def work(self, handler: Handler, *, concurrency: int) -> None:
        """See `JobQueue`."""
        crew = Crew(handler, concurrency)
        pruning = asyncio.create_task(self._prune(), name="job-log-prune")
        try:
            await self._serve(crew)
        finally:
            pruning.cancel()
            crew.dismiss()
            with anyio.CancelScope(shield=True):
                await crew.leave()
                await asyncio.wait({pruning}, timeout=CLOSE_TIMEOUT)

    async def close(self) -> None:
        """See `JobQueue`."""
        await self._engine.dispose()
        await self._listening.dispose()

    async def _serve(self, crew: Crew) -> None:
        """Hand out jobs over one connection after the other; until cancelled."""
        from llmstack_api.jobs.listening import serve  # noqa: PLC0415 # slow to import, not always needed

        pause, reported = FIRST_PAUSE, ""
        while True:
            started = time.monotonic()
            try:
                async with self._connection() as connection:
                    await serve(connection, crew)
                reason = "ConnectionLost"
            except Exception as error:  # noqa: BLE001 # whatever it was, another connection may do better
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            if time.monotonic() - started > SETTLED:
                pause, reported = FIRST_PAUSE, ""
            if reason != reported:
                log.warning("job_queue_lost", reason=reason)
                reported = reason
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any]:
        """Open a connection of asyncpg, with our time-outs and watched like any other."""
        connection = await self._listening.connect()
        try:
            yield (await connection.get_raw_connection()).driver_connection
        finally:
            with (
                anyio.move_on_after(CLOSE_TIMEOUT, shield=True),
                suppress(OSError, SQLAlchemyError),
            ):
                await connection.invalidate()  # unlike close, it does not wait for a server that is silent
                await connection.close()

    async def _prune(self) -> None:
        """Delete old rows of the engine's log now and then; until cancelled."""
        while True:
            try:
                async with self._engine.connect() as connection:
                    while (await connection.execute(_PRUNE)).rowcount == PRUNE_BATCH:
                        pass
            except (OSError, SQLAlchemyError) as error:
                log.warning("job_log_not_pruned", error=type(error).__name__)
            await asyncio.sleep(PRUNE_INTERVAL)


def _engine(url: str, **options: object) -> AsyncEngine:
    return postgresql_engine(url, statement_timeout=QUERY_TIMEOUT, isolation_level="AUTOCOMMIT", **options)
