"""Which engine carries the wake-ups: memory beside SQLite, PostgreSQL where there is one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from llmstack_api.db import SQLITE
from llmstack_api.jobs.memory import MemoryJobQueue
from llmstack_api.jobs.postgresql import PostgreSQLJobQueue
from llmstack_api.jobs.queue import JobQueue
from llmstack_api.settings import Settings

CLOSE_TIMEOUT = 5.0


@asynccontextmanager
async def open_job_queue(settings: Settings) -> AsyncGenerator[JobQueue]:
    """Make the queue of the database in use; connects when first used."""
    queue: JobQueue = (
        MemoryJobQueue() if settings.database.startswith(SQLITE) else PostgreSQLJobQueue(settings.database)
    )
    try:
        yield queue
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await queue.close()
