"""Another process that takes the lock of whoever keeps the vectors."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from llmstack_api.errors import UnavailableError
from llmstack_api.replica import VECTORS_KEY, Replica

TIMEOUT = 10.0

_OF_IT = (
    "locktype = 'advisory' AND classid::bigint << 32 | objid::bigint = :key"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_WAITS = text(f"SELECT count(*) FROM pg_locks WHERE {_OF_IT} AND NOT granted")  # noqa: S608 # a constant
_END = text(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {_OF_IT} AND granted")  # noqa: S608 # likewise
_TAKE = text("SELECT pg_advisory_lock(:key)")


@asynccontextmanager
async def vectors_taken_from(url: str) -> AsyncGenerator[None]:
    """Break the keeper's connection off, and hold its lock until the context is left; it has no chance to be faster."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    key = {"key": VECTORS_KEY}
    try:
        async with engine.connect() as taker, engine.connect() as other, asyncio.timeout(TIMEOUT):
            taking = asyncio.create_task(_take(taker))
            while not await other.scalar(_WAITS, key):  # only the server knows
                await asyncio.sleep(0)
            await other.execute(_END, key)
            await taking
            yield
    finally:
        await engine.dispose()


async def _take(connection: AsyncConnection) -> None:
    await connection.execute(_TAKE, {"key": VECTORS_KEY})


async def until_vectors_are_taken(replica: Replica, *, term: int) -> None:
    """Have a replica ask until it keeps the vectors for so many times, or for some seconds at most."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                if await replica.keeps_vectors() and replica.vectors_term == term:
                    return  # before, it may not have heard yet that its connection is gone
            except UnavailableError:
                pass  # its connection is on the way
            await asyncio.sleep(0.01)
