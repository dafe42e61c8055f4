"""What every engine promises."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
import structlog

from llmstack_api.jobs.opening import open_job_queue
from llmstack_api.jobs.queue import Job, JobKind, JobQueue
from llmstack_api.settings import Settings
from tests.jobs.workers import Handlers, make_jobs, working


@pytest.fixture
async def queue(settings: Settings) -> AsyncGenerator[JobQueue]:
    async with open_job_queue(settings) as opened:
        yield opened


async def test_every_job_is_handled_once(queue: JobQueue) -> None:
    handlers = Handlers()
    jobs = make_jobs(40) + make_jobs(40)
    async with working(queue, handlers):
        await queue.wake(jobs[:30])
        await queue.wake(jobs[30:])
        await handlers.until(lambda: len(handlers.finished) == len(jobs))
    assert sorted(job.id for job in handlers.started) == sorted(job.id for job in jobs)


async def test_a_job_arrives_as_it_was_sent(queue: JobQueue) -> None:
    handlers = Handlers()
    job = Job(kind=JobKind.DATASOURCE, id=uuid4(), tenant=uuid4(), version=2**31)
    async with working(queue, handlers):
        await queue.wake([job])
        await handlers.until(lambda: len(handlers.finished) == 1)
    assert handlers.started == [job]


async def test_nothing_to_wake_is_no_fault(queue: JobQueue) -> None:
    await queue.wake([])


async def test_jobs_wait_for_a_worker(queue: JobQueue) -> None:
    handlers = Handlers()
    await queue.wake(jobs := make_jobs(20))
    async with working(queue, handlers):
        await handlers.until(lambda: len(handlers.finished) == len(jobs))


async def test_a_job_that_is_queued_or_running_is_not_queued_again(queue: JobQueue) -> None:
    handlers = Handlers(held=True)
    running, queued = make_jobs(2)
    async with working(queue, handlers, concurrency=1):
        await queue.wake([running])
        await handlers.until(lambda: handlers.started == [running])
        await queue.wake([running, queued, queued])
        await queue.wake([queued, running])
        await handlers.let_go()
        await handlers.until(lambda: len(handlers.finished) == 2)
        last = make_jobs(1)
        await queue.wake(last)
        await handlers.until(lambda: handlers.finished[-1:] == last)
    assert handlers.started == [running, queued, *last]


async def test_another_version_of_a_row_is_another_job(queue: JobQueue) -> None:
    handlers = Handlers(held=True)
    (first,) = make_jobs(1)
    other_kind = replace(first, kind=JobKind.DATASOURCE)
    async with working(queue, handlers):
        await queue.wake([first, replace(first, version=1), other_kind])
        await handlers.until(lambda: len(handlers.started) == 3)
        await handlers.let_go()


async def test_a_job_that_is_done_can_be_queued_again(queue: JobQueue) -> None:
    handlers = Handlers()
    jobs = make_jobs(1)
    async with working(queue, handlers):
        await queue.wake(jobs)
        await handlers.until(lambda: len(handlers.finished) == 1)
        async with asyncio.timeout(10):
            while len(handlers.finished) < 2:  # the engine may say so a little later
                await queue.wake(jobs)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_handlers_run_than_asked_for(queue: JobQueue, concurrency: int) -> None:
    handlers = Handlers(held=True)
    jobs = [*make_jobs(4), *make_jobs(4), *make_jobs(4), *make_jobs(4)]
    async with working(queue, handlers, concurrency=concurrency):
        await queue.wake(jobs)
        await handlers.until(lambda: handlers.running == concurrency)
        await handlers.let_go()
        await handlers.until(lambda: len(handlers.finished) == len(jobs))
    assert handlers.most == concurrency


async def test_one_account_leaves_room_for_others(queue: JobQueue) -> None:
    handlers = Handlers(held=True)
    noisy = uuid4()
    quiet = UUID(int=noisy.int ^ 1)  # of another entrypoint
    async with working(queue, handlers, concurrency=8):
        await queue.wake(make_jobs(400, tenant=noisy))
        await handlers.until(lambda: len(handlers.started) == 6)
        await queue.wake(jobs := make_jobs(2, tenant=quiet))
        await handlers.until(lambda: {*jobs} <= {*handlers.started}, timeout=1.0)
        assert len(handlers.started) == 8
        await handlers.let_go()


async def test_accounts_take_turns(queue: JobQueue) -> None:
    handlers = Handlers(held=True)
    noisy, noisy_too, quiet, quiet_too = (make_jobs(count) for count in (200, 200, 3, 3))
    async with working(queue, handlers, concurrency=4):
        await queue.wake([*noisy, *noisy_too])
        await handlers.until(lambda: handlers.running == 4)
        await queue.wake(quiet)
        await queue.wake(quiet_too)
        await handlers.let_go()
        await handlers.until(lambda: {*quiet, *quiet_too} <= {*handlers.finished})
        assert len(handlers.started) <= 40  # not the 400 that came before
        await handlers.until(lambda: len(handlers.finished) == 406)
    assert [job for job in handlers.started if job in {*quiet}] == quiet


async def test_what_may_come_later_does_not_hold_up_what_else_its_account_queues(queue: JobQueue) -> None:
    handlers = Handlers(held=True)
    account = uuid4()
    many = [replace(job, later=True) for job in make_jobs(200, tenant=account)]
    async with working(queue, handlers, concurrency=4):
        await queue.wake(many)
        await handlers.until(lambda: handlers.running == 3)
        await queue.wake(few := make_jobs(3, tenant=account))
        await handlers.let_go()
        await handlers.until(lambda: {*few} <= {*handlers.finished})
        assert len(handlers.started) <= 40
        await handlers.until(lambda: len(handlers.finished) == 203)
    assert [job for job in handlers.started if job in {*few}] == few


async def test_a_handler_that_fails_is_logged_and_the_others_go_on(queue: JobQueue) -> None:
    handlers = Handlers(failing=True)
    jobs = make_jobs(3)
    with structlog.testing.capture_logs() as logs:
        async with working(queue, handlers, concurrency=1):
            await queue.wake(jobs)
            await handlers.until(lambda: len(handlers.started) == 3)
            handlers.failing = False
            await queue.wake(more := make_jobs(1))
            await handlers.until(lambda: handlers.finished == more)
    failures = [entry for entry in logs if entry["event"] == "job_failed"]
    assert [entry["id"] for entry in failures] == [str(job.id) for job in jobs]
    assert {(entry["kind"], entry["log_level"]) for entry in failures} == {("entry", "error")}


async def test_cancelling_the_worker_cancels_handlers_and_another_worker_has_their_jobs(
    queue: JobQueue,
) -> None:
    handlers = Handlers(held=True)
    jobs = make_jobs(10)
    async with working(queue, handlers, concurrency=4):
        await queue.wake(jobs)
        await handlers.until(lambda: handlers.running == 3)
    assert len(handlers.cancelled) == 3
    again = Handlers()
    async with working(queue, again, concurrency=4):
        await again.until(lambda: {*again.finished} == {*jobs}, timeout=3.0)
    assert len(again.finished) == 10


async def test_a_handler_that_does_not_end_does_not_hold_up_the_end(queue: JobQueue) -> None:
    stubborn = asyncio.Event()
    started = asyncio.Event()

    async def handle(_: Job) -> None:
        started.set()
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue

    work = asyncio.create_task(queue.work(handle, concurrency=2))
    await queue.wake(make_jobs(1))
    async with asyncio.timeout(10):
        await started.wait()
    with structlog.testing.capture_logs() as logs:
        work.cancel()
        async with asyncio.timeout(4):
            await asyncio.wait({work})
    assert [entry["event"] for entry in logs] == ["jobs_do_not_end"]
    stubborn.set()
