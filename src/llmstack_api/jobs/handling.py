"""What every engine does with a handler: run it, log what it raises, keep room for other accounts."""

import asyncio
import time
from collections.abc import Collection

import anyio
import structlog

from llmstack_api.jobs.queue import Handler, Job

log = structlog.get_logger(__name__)

STOP_TIMEOUT = 2.0
"""Seconds that handlers have to end when they are cancelled."""

_SHARE = 0.75


def share_of(concurrency: int) -> int:
    """Return how many of all handlers one account may have: what is left is for whoever comes next."""
    return max(1, int(concurrency * _SHARE))


async def handle(handler: Handler, job: Job) -> None:
    """Run the handler; its failure is logged and goes no further."""
    try:
        await handler(job)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        log.warning("job_failed", kind=job.kind, id=str(job.id), exc_info=error)  # nobody cancelled us
    except Exception:
        log.exception("job_failed", kind=job.kind, id=str(job.id))


async def cancel_and_wait(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel handlers and wait until they end, at most `STOP_TIMEOUT`, even if the caller is cancelled."""
    for task in tasks:
        task.cancel()
    await wait_for_end(tasks, timeout=STOP_TIMEOUT)


async def wait_for_end(tasks: Collection[asyncio.Task[None]], *, timeout: float) -> None:  # noqa: ASYNC109 # of asyncio.wait
    """Wait for handlers that are cancelled; log it if they do not end in time."""
    pending = {task for task in tasks if not task.done()}
    if pending:
        with anyio.CancelScope(shield=True):
            _, pending = await asyncio.wait(pending, timeout=timeout)
    if pending:
        log.warning("jobs_do_not_end", count=len(pending))


class Crew:
    """Handlers at work, at most `concurrency` at once; they outlive the connection that brought their jobs."""

    def __init__(self, handler: Handler, concurrency: int) -> None:
        self.concurrency = concurrency
        self.dismissed = False
        self._handler = handler
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._deadline = 0.0

    def assign(self, job: Job) -> asyncio.Task[None]:
        """Return the task that handles this job: the one that does so already, or a new one."""
        task = self._tasks.get(job)
        if task is None:
            task = self._tasks[job] = asyncio.create_task(self._handle(job))
            task.add_done_callback(lambda _: self._tasks.pop(job, None))
        return task

    def dismiss(self) -> None:
        """Cancel all; from now on nothing is assigned."""
        if not self.dismissed:
            self.dismissed = True
            self._deadline = time.monotonic() + STOP_TIMEOUT
            for task in self._tasks.values():
                task.cancel()

    def time_left(self) -> float:
        """Return the seconds within which all that was cancelled has to end."""
        return max(0.0, self._deadline - time.monotonic())

    async def leave(self) -> None:
        """Wait for the last of the dismissed."""
        await wait_for_end(self._tasks.values(), timeout=self.time_left())

    async def _handle(self, job: Job) -> None:
        async with self._slots:
            await handle(self._handler, job)
