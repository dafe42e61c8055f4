"""Workers whose handlers a test looks into."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from llmstack_api.jobs.queue import Job, JobKind, JobQueue

TIMEOUT = 20.0


@dataclass
class Handlers:
    """A handler that notes what it is given, and ends when it is let."""

    started: list[Job] = field(default_factory=list[Job])
    finished: list[Job] = field(default_factory=list[Job])
    cancelled: list[Job] = field(default_factory=list[Job])
    most: int = 0
    """Of those that ran at once."""
    held: bool = False
    """Whether they wait for `let_go`."""
    failing: bool = False

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()

    @property
    def running(self) -> int:
        return len(self.started) - len(self.finished) - len(self.cancelled)

    async def __call__(self, job: Job) -> None:
        self.started.append(job)
        self.most = max(self.most, self.running)
        try:
            await self._notify()
            await self.until(lambda: not self.held)
            if self.failing:
                raise LookupError("as the test wants")
        except asyncio.CancelledError:
            self.cancelled.append(job)
            raise
        self.finished.append(job)
        await self._notify()

    async def let_go(self) -> None:
        self.held = False
        await self._notify()

    async def until(self, condition: Callable[[], bool], *, timeout: float = TIMEOUT) -> None:  # noqa: ASYNC109 # of the test
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def working(queue: JobQueue, handlers: Handlers, *, concurrency: int = 8) -> AsyncGenerator[None]:
    """Have a worker work until the context is left."""
    work = asyncio.create_task(queue.work(handlers, concurrency=concurrency))
    try:
        yield
    finally:
        work.cancel()
        async with asyncio.timeout(TIMEOUT):
            await asyncio.wait({work})
    assert work.cancelled()


def make_jobs(count: int, *, tenant: UUID | None = None) -> list[Job]:
    owner = tenant or uuid4()
    return [Job(kind=JobKind.ENTRY, id=uuid4(), tenant=owner) for _ in range(count)]
