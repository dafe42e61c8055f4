"""The worker: does what rows want, finds those whose wake-up was lost, and says that it lives."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import anyio
import structlog

from llmstack_api.datasources import due, purging, reembedding, work
from llmstack_api.datasources.folders import check_collections, check_folders
from llmstack_api.datasources.ingestion import RELEASE_TIMEOUT, Ingestion
from llmstack_api.datasources.lost import check_points, have_points
from llmstack_api.datasources.refreshing import refreshes_due, want_refreshes
from llmstack_api.db import SQLITE
from llmstack_api.errors import EmbeddingRefusedError, LLMStackError, StorageFullError, UnavailableError
from llmstack_api.ingest.extract import open_extractor
from llmstack_api.ingest.fetch import open_fetcher
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import Work, now
from llmstack_api.resources import Resources

log = structlog.get_logger(__name__)

RECONCILE_INTERVAL: Final = 2.0
"""Seconds between two looks for rows that nobody was woken for."""
OVERDUE: Final = timedelta(seconds=1)
"""How long a row wants work before its wake-up counts as lost."""
RENEW_INTERVAL: Final = 3.0
"""Seconds between two signs of life, far less than a lease."""
DATASOURCE_PAUSE: Final = 5.0
"""Seconds before a datasource's work that failed is tried again."""
CHECK_INTERVAL: Final = 300.0
"""Seconds between two looks whether a Qdrant server has lost points."""


class Worker:
    """Everything that one process does for entries and datasources."""

    def __init__(self, resources: Resources, ingestion: Ingestion) -> None:
        self._resources = resources
        self._ingestion = ingestion
        self._datasource_tokens: set[UUID] = set()
        self._checked: int | None = None
        """In which term of keeping the vectors the folders were compared with the rows."""
        self._here = asyncio.Event()
        self._elsewhere = asyncio.Event()
        self._here.set()  # until it is known better, which the first job tells

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(RECONCILE_INTERVAL, self._check))
            group.create_task(self._repeat(RECONCILE_INTERVAL, self._reconcile))
            group.create_task(self._repeat(RENEW_INTERVAL, self._renew))
            group.create_task(self._repeat(CHECK_INTERVAL, self._check_points))
            group.create_task(self._take_jobs())

    async def _take_jobs(self) -> None:
        """Take jobs, but while another replica keeps the vectors; until cancelled."""
        jobs, concurrency = self._resources.jobs, self._resources.settings.worker_concurrency
        while True:
            await self._here.wait()
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(jobs.work(self._handle, concurrency=concurrency))
                await self._elsewhere.wait()
                taking.cancel()  # what it has in hand is another worker's at once

    async def _works_here(self) -> bool:
        """Tell whether this process is to do the work, which is that of whoever keeps the vectors.

        Raises:
            UnavailableError: it is not known, as the database is away.
        """
        resources = self._resources
        here = resources.settings.qdrant_url is not None or await resources.replica.keeps_vectors()
        if here != self._here.is_set():
            log.info("work_is_done_here" if here else "work_is_done_elsewhere")
        wanted, other = (self._here, self._elsewhere) if here else (self._elsewhere, self._here)
        other.clear()
        wanted.set()
        return here

    async def _handle(self, job: Job) -> None:
        if self._resources.draining:
            return  # the row is found by another worker, or after the next start
        try:
            if not await self._works_here():
                await asyncio.get_running_loop().create_future()  # until `_take_jobs` hands it back
        except UnavailableError:
            return  # the row is found again
        match job.kind:
            case JobKind.ENTRY:
                await self._ingestion.handle(job.id)
            case JobKind.DATASOURCE:
                await self._handle_datasource(job.id)

    async def _handle_datasource(self, datasource_id: UUID) -> None:
        db = self._resources.db
        claimed = await db.write(work.claim_datasource, datasource_id)
        if claimed is None:
            return
        datasource, token = claimed
        self._datasource_tokens.add(token)
        try:
            if datasource.work == Work.PURGE:
                await purging.purge_datasource(self._resources, datasource)
            else:
                await reembedding.reembed(self._resources, datasource)
        except asyncio.CancelledError:  # the server stops: another worker, or the next start, goes on at once
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
                await self._put_off(datasource_id, token, seconds=0)
            raise
        except (UnavailableError, StorageFullError, EmbeddingRefusedError) as error:
            log.warning("datasource_waits", datasource=str(datasource_id), error=str(error))
            await self._put_off(datasource_id, token, seconds=DATASOURCE_PAUSE)
        except Exception as error:
            log.exception("datasource_crashed", datasource=str(datasource_id), error=type(error).__name__)
            await self._put_off(datasource_id, token, seconds=DATASOURCE_PAUSE)
        finally:
            self._datasource_tokens.discard(token)

    async def _put_off(self, datasource_id: UUID, token: UUID, *, seconds: float) -> None:
        try:
            await self._resources.db.write(work.put_off_datasource, datasource_id, token, seconds=seconds)
        except (UnavailableError, StorageFullError) as error:  # the lease runs out
            log.warning("datasource_not_recorded", datasource=str(datasource_id), error=str(error))

    async def _check(self) -> None:
        """Compare the index with the rows, at the start and whenever this replica has begun to keep the vectors."""
        resources = self._resources
        if self._checked == resources.replica.vectors_term:
            return
        if await resources.db.read(have_points) and await self._works_here():
            term = resources.replica.vectors_term
            await check_folders(resources)
            await check_collections(resources)
            self._checked = term
        else:
            self._checked = resources.replica.vectors_term

    async def _check_points(self) -> None:
        await check_points(self._resources)

    async def _reconcile(self) -> None:
        db = self._resources.db
        if await db.read(refreshes_due):
            await db.write(want_refreshes)
        jobs = await db.read(due.list_due, before=now() - OVERDUE, without_models=self._ingestion.models_away)
        if jobs and await self._works_here():
            await self._resources.jobs.wake(jobs)

    async def _renew(self) -> None:
        tokens = self._ingestion.tokens | self._datasource_tokens
        if tokens:
            await self._resources.db.write(work.renew, tokens)

    async def _repeat(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await do()
            except LLMStackError as error:
                log.warning("upkeep_failed", error=str(error))
            except Exception as error:  # the worker goes on
                log.exception("upkeep_crashed", error=type(error).__name__)
            await asyncio.sleep(seconds)


@asynccontextmanager
async def working(resources: Resources) -> AsyncGenerator[None]:
    """Do the work of entries and datasources while the context is open."""
    settings = resources.settings
    if settings.database.startswith(SQLITE):
        await resources.db.write(work.forget_leases)
    async with (
        open_fetcher(
            resources.egress, timeout=settings.fetch_timeout, max_bytes=settings.fetch_max_bytes
        ) as fetcher,
        open_extractor(timeout=settings.extract_timeout, memory=settings.extract_memory) as extractor,
    ):
        ingestion = Ingestion(resources, fetcher, extractor)
        async with ingestion.running(), asyncio.TaskGroup() as group:
            task = group.create_task(Worker(resources, ingestion).run())
            try:
                yield
            finally:
                task.cancel()
