"""Wake-ups inside one process, for a database that no other process works on."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from llmstack_api.jobs.handling import cancel_and_wait, handle, share_of
from llmstack_api.jobs.lines import Line
from llmstack_api.jobs.queue import Handler, Job, JobKind

log = structlog.get_logger(__name__)

CAPACITY = 100_000

_Key = tuple[JobKind, UUID, int]
_Tenants = OrderedDict[UUID, Line[Job]]


@dataclass(slots=True)
class _Shift:
    """One call of `work`."""

    handler: Handler
    concurrency: int
    share: int
    context: Context
    """Of the worker; a job must not log as the request that woke it."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    ending: bool = False


class MemoryJobQueue:
    """Jobs of one event loop; accounts take turns, and none has every handler while another waits.

    Beyond `capacity` queued jobs it drops what comes: their rows are found by `reconcile`.
    """

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ready: _Tenants = OrderedDict()
        """Accounts with queued jobs, the next in turn first."""
        self._waiting: _Tenants = OrderedDict()
        """Accounts with queued jobs that have their share of handlers already."""
        self._running: dict[UUID, int] = {}
        self._known: set[_Key] = set()
        """What is queued or running."""
        self._queued = 0
        self._overflowing = False
        self._shift: _Shift | None = None

    async def wake(self, jobs: Sequence[Job]) -> None:
        """See `JobQueue`; never waits."""
        for job in jobs:
            key = (job.kind, job.id, job.version)
            if key in self._known:
                continue
            if self._queued >= self._capacity:
                self._overflow()
                break
            self._known.add(key)
            self._queue_of(job.tenant).append(job, later=job.later)
            self._queued += 1
        self._start()

    async def work(self, handler: Handler, *, concurrency: int) -> None:
        """See `JobQueue`. One caller at a time."""
        if self._shift is not None:
            raise RuntimeError("this queue has a worker already")
        shift = _Shift(handler, concurrency, share_of(concurrency), copy_context())
        self._shift = shift
        self._waiting, waiting = OrderedDict(), self._waiting
        self._ready.update(waiting)
        self._start()
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            self._shift, shift.ending = None, True
            await cancel_and_wait(shift.tasks)

    async def close(self) -> None:
        """See `JobQueue`."""
        self._ready.clear()
        self._waiting.clear()
        self._known.clear()
        self._queued = 0

    def _start(self) -> None:
        """Start handlers while there are jobs that may run."""
        shift = self._shift
        if shift is None:
            return
        loop = asyncio.get_running_loop()
        while self._ready and len(shift.tasks) < shift.concurrency:
            tenant, queue = self._ready.popitem(last=False)
            job = queue.popleft()
            self._queued -= 1
            running = self._running[tenant] = self._running.get(tenant, 0) + 1
            if queue:
                (self._ready if running < shift.share else self._waiting)[tenant] = queue
            task = loop.create_task(handle(shift.handler, job), context=shift.context.copy())
            shift.tasks.add(task)
            task.add_done_callback(lambda task, job=job: self._ended(shift, task, job))
        if self._overflowing and not self._queued:
            self._overflowing = False

    def _ended(self, shift: _Shift, task: asyncio.Task[None], job: Job) -> None:
        shift.tasks.discard(task)
        tenant = job.tenant
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
        if (queue := self._waiting.pop(tenant, None)) is not None:
            self._ready[tenant] = queue
        if shift.ending and task.cancelled():
            self._queue_of(tenant).appendleft(job, later=job.later)
            self._queued += 1
        else:
            self._known.discard((job.kind, job.id, job.version))
        self._start()

    def _queue_of(self, tenant: UUID) -> Line[Job]:
        queue = self._ready.get(tenant)
        if queue is None:
            queue = self._waiting.get(tenant)
        if queue is None:
            queue = Line[Job]()
            full = self._shift is not None and self._running.get(tenant, 0) >= self._shift.share
            (self._waiting if full else self._ready)[tenant] = queue
        return queue

    def _overflow(self) -> None:
        if not self._overflowing:
            self._overflowing = True
            log.warning("job_queue_full", capacity=self._capacity)
