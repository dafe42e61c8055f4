import asyncio

import pytest
import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from llmstack_api.jobs.memory import MemoryJobQueue
from llmstack_api.jobs.queue import Job
from tests.jobs.workers import Handlers, make_jobs, working


async def test_what_does_not_fit_is_dropped_and_said_once() -> None:
    queue, handlers = MemoryJobQueue(capacity=5), Handlers()
    jobs = make_jobs(8)
    with structlog.testing.capture_logs() as logs:
        for job in jobs:
            await queue.wake([job])
        async with working(queue, handlers):
            await handlers.until(lambda: len(handlers.finished) == 5)
            await queue.wake(jobs[5:])  # there is room again
            await handlers.until(lambda: len(handlers.finished) == 8)
    assert handlers.finished == jobs
    assert [entry["event"] for entry in logs] == ["job_queue_full"]


async def test_a_job_does_not_log_as_the_request_that_woke_it() -> None:
    queue = MemoryJobQueue()
    seen: list[object] = []
    done = asyncio.Event()

    async def handle(job: Job) -> None:
        seen.append(dict(get_contextvars()))
        bind_contextvars(job=str(job.id))
        if len(seen) == 2:
            done.set()

    with bound_contextvars(worker="w"):
        work = asyncio.create_task(queue.work(handle, concurrency=1))
    await asyncio.sleep(0)
    with bound_contextvars(request_id="r"):
        await queue.wake(make_jobs(2))
    async with asyncio.timeout(5):
        await done.wait()
    work.cancel()
    await asyncio.wait({work})
    assert seen == [{"worker": "w"}, {"worker": "w"}]


async def test_a_second_worker_is_refused() -> None:
    queue = MemoryJobQueue()
    async with working(queue, Handlers()):
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="has a worker already"):
            await queue.work(Handlers(), concurrency=1)


async def test_nothing_is_left_of_what_is_done() -> None:
    queue, handlers = MemoryJobQueue(), Handlers()
    async with working(queue, handlers):
        await queue.wake(jobs := [*make_jobs(20), *make_jobs(20)])
        await handlers.until(lambda: len(handlers.finished) == len(jobs))
    state = vars(queue)
    assert [name for name in ("_ready", "_waiting", "_running", "_known", "_queued") if state[name]] == []
