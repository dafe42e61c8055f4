"""Takes wake-ups out of pgqueuer's table, over one connection, and keeps them until they are handled."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import structlog
from pgqueuer import AsyncpgDriver, QueueManager, RetryRequested
from pgqueuer.domain import models
from pgqueuer.domain.models import utc_now

from llmstack_api.jobs.handling import Crew, share_of
from llmstack_api.jobs.pgq import CHANNEL, queries
from llmstack_api.jobs.sending import ENTRYPOINTS, decode
from llmstack_api.jobs.tables import TABLE

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=6)
"""How long a job is its worker's without a sign of life; one is given at half of it."""

POLL_INTERVAL = timedelta(seconds=3)
"""How often to look for what nobody notifies of: jobs of dead workers."""

COUNT_INTERVAL = 3.0
LARGEST_BATCH = 10
END_TIMEOUT = 0.5

_WORKERS_KEY = 4_242_421_002
_JOIN = f"SELECT pg_advisory_lock_shared({_WORKERS_KEY})"
_COUNT = f"""
SELECT count(*) AS workers FROM pg_locks
WHERE locktype = 'advisory' AND classid = 0 AND objid = {_WORKERS_KEY} AND objsubid = 1 AND mode = 'ShareLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 # constants

_HANDLED_BY_PGQUEUER = {"23505", "40P01"}  # two workers wanted the same seat: it tries again


class _Driver(AsyncpgDriver):
    """Tells of every failure; pgqueuer goes on after some of them, without its listener."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 # asyncpg is untyped
        super().__init__(connection)
        self.on_failure: Callable[[], None] | None = None

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """See `Driver`."""
        try:
            return await super().fetch(query, *args)
        except Exception as error:
            self._tell(error)
            raise

    async def execute(self, query: str, *args: object) -> str:
        """See `Driver`."""
        try:
            return await super().execute(query, *args)
        except Exception as error:
            self._tell(error)
            raise

    def _tell(self, error: Exception) -> None:
        if self.on_failure is not None and getattr(error, "sqlstate", None) not in _HANDLED_BY_PGQUEUER:
            self.on_failure()


async def serve(connection: Any, crew: Crew) -> None:  # noqa: ANN401 # asyncpg is untyped
    """Have the crew handle jobs until the connection is lost; it goes on with those it has.

    When cancelled, it dismisses the crew, and what was not handled to its end is queued again.
    """
    driver = _Driver(connection)
    manager = QueueManager(queries(driver), channel=CHANNEL)
    driver.on_failure = manager.shutdown.set
    connection.add_termination_listener(partial(_set, manager.shutdown))
    await driver.execute(_JOIN)
    lost = asyncio.create_task(manager.shutdown.wait())
    for entrypoint in ENTRYPOINTS:
        register = manager.entrypoint(
            entrypoint, concurrency_limit=share_of(crew.concurrency), accepts_context=False
        )
        register(partial(_take, crew=crew, lost=lost))
    counting = asyncio.create_task(_count_workers(driver, manager, crew))
    batch = max(1, min(LARGEST_BATCH, crew.concurrency // 2))
    running = asyncio.create_task(
        manager.run(
            dequeue_timeout=POLL_INTERVAL,
            batch_size=batch,
            max_concurrent_tasks=max(2 * batch, crew.concurrency),
            shutdown_on_listener_failure=True,
            heartbeat_timeout=LEASE,
            log_aggregation_interval=timedelta(0),
        )
    )
    try:
        await asyncio.wait({lost, running}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        crew.dismiss()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            manager.shutdown.set()
            if crew.dismissed:
                await asyncio.wait({running}, timeout=crew.time_left())
                await _tell_others(driver)
            connection.terminate()  # or jobs that are not done would be put down as cancelled
            await _end({running, counting, lost})
    if running.done() and not running.cancelled():
        running.result()


def _set(event: asyncio.Event, _connection: object) -> None:
    event.set()


async def _tell_others(driver: _Driver) -> None:
    """Notify of jobs that were queued again, as the engine does not."""
    event = models.TableChangedEvent(
        channel=CHANNEL, sent_at=utc_now(), type="table_changed_event", operation="update", table=TABLE
    )
    try:
        async with asyncio.timeout(END_TIMEOUT):
            await driver.notify(CHANNEL, event.model_dump_json())
    except Exception as error:  # noqa: BLE001 # of an untyped driver; the others look themselves, a little later
        log.info("job_handover_not_told", error=type(error).__name__)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.add_done_callback(_discard_outcome)
        task.cancel()
    await asyncio.wait(tasks, timeout=END_TIMEOUT)


def _discard_outcome(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _count_workers(driver: _Driver, manager: QueueManager, crew: Crew) -> None:
    """Keep an account's share in proportion to all workers; until cancelled or the connection is lost."""
    while True:
        workers = (await driver.fetch(_COUNT))[0]["workers"]
        share = share_of(crew.concurrency * max(1, int(str(workers))))
        for executor in manager.entrypoint_registry.values():
            executor.parameters.concurrency_limit = share
        await asyncio.sleep(COUNT_INTERVAL)


async def _take(job: models.Job, *, crew: Crew, lost: asyncio.Task[bool]) -> None:
    """See a job through; return early when the connection is lost, as nothing can be said over it any more."""
    try:
        wake = decode(job.payload)
    except ValueError:
        log.warning("job_unreadable", job=job.id)
        return
    if crew.dismissed:
        raise RetryRequested
    task = crew.assign(wake)
    await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
    if crew.dismissed:
        await asyncio.wait({task})
        if task.cancelled():
            raise RetryRequested
