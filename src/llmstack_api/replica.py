"""This process as one replica: an id, and a proof of life that ends when the process does."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import anyio
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from llmstack_api.db import SQLITE, Database
from llmstack_api.db.failures import AWAY, TRANSLATED
from llmstack_api.db.postgresql import postgresql_engine
from llmstack_api.errors import LLMStackError, StartError, UnavailableError
from llmstack_api.settings import Settings

log = structlog.get_logger(__name__)

PING_INTERVAL = 10.0
PING_TIMEOUT = 5.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
GRACE = 10.0
CLOSE_TIMEOUT = 5.0

_KEY_BITS = 2**63 - 1  # an advisory lock's key is a signed integer of 64 bits


class Replica(Protocol):
    """One process among those that share a database."""

    @property
    def id(self) -> UUID:
        """What its rows name as their owner."""
        ...

    async def dead(self, owners: set[UUID]) -> set[UUID]:
        """Return those of the owners whose process has ended; where it is too early to tell, none."""
        ...

    @property
    def vectors_term(self) -> int:
        """How often this replica has begun to keep the vectors; another number than before means: again."""
        ...

    async def keeps_vectors(self) -> bool:
        """Tell whether this replica is the one whose data directory holds the vectors; the first to ask is it.

        Raises:
            UnavailableError: it is not known, as the database is away.
        """
        ...

    def when_vectors_go(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """Have `give_up`, which raises nothing, called when another replica keeps the vectors in place of this one."""
        ...


@asynccontextmanager
async def hold_replica(settings: Settings, db: Database, *, grace: float = GRACE) -> AsyncGenerator[Replica]:
    """Prove to other processes that this one lives, as long as the context is open.

    `grace` is how long replicas are given to show themselves again after the database went away.

    Raises:
        StartError: another process serves the same SQLite file.
        UnavailableError: PostgreSQL does not answer.
    """
    if settings.database.startswith(SQLITE):
        with _locked_file(settings):
            yield FileReplica()
        return
    replica = LockReplica(settings.database, db, grace=grace)
    await replica.take()
    keeper = asyncio.create_task(replica.keep(), name="replica-lock")
    try:
        yield replica
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            keeper.cancel()
            await asyncio.wait({keeper})
            await replica.close()


# --- SQLite: a lock on a file ----------------------------------------------------------------------------


class FileReplica:
    """The only process at its file: whoever else owns something is dead."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.vectors_term = 1

    async def dead(self, owners: set[UUID]) -> set[UUID]:
        """See `Replica`."""
        return owners - {self.id}

    async def keeps_vectors(self) -> bool:
        """See `Replica`."""
        return True

    def when_vectors_go(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """See `Replica`; they never do."""


@contextmanager
def _locked_file(settings: Settings) -> Generator[None]:
    """Hold a lock beside the database that the kernel takes back when the process ends, however it ends."""
    database = Path(settings.database.removeprefix(SQLITE))
    handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode() or "another one"
            if settings.database_url:
                place = f"LLMSTACK_DATABASE_URL: {database}"
            else:
                place = f"LLMSTACK_DATA_DIR: {settings.data_dir}"
            raise StartError(f"{place} is in use by process {holder}") from None
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


# --- PostgreSQL: an advisory lock of a session -----------------------------------------------------------

VECTORS_KEY = 4_242_421_100
"""Of the advisory lock of whoever keeps the vectors."""

_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_LOCK_BOTH = text("SELECT pg_try_advisory_lock(:key), pg_try_advisory_lock(:vectors)")
_UPTIME = text("SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8")
_HELD = text(
    "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class LockReplica:
    """A process that holds an advisory lock named after it, over a connection of its own."""

    def __init__(self, url: str, db: Database, *, grace: float) -> None:
        self.id = uuid4()
        self._db = db
        self._grace = grace
        self._engine = postgresql_engine(
            url, statement_timeout=PING_TIMEOUT, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._connection: AsyncConnection | None = None
        self._lost = asyncio.Event()
        self._sure_from = 0.0
        self.vectors_term = 0
        self._keeps_vectors = False
        """So it was when the connection was last there."""
        self._give_up: Callable[[], Awaitable[None]] | None = None
        self._asking = asyncio.Lock()

    async def dead(self, owners: set[UUID]) -> set[UUID]:
        """See `Replica`. Looking takes no lock, so that replicas that look at once do not see each other."""
        if self._connection is None or time.monotonic() < self._sure_from:
            return set()
        uptime, held = await self._db.read(_locks)
        if uptime < self._grace:
            return set()
        return {owner for owner in owners - {self.id} if _key(owner) not in held}

    async def keeps_vectors(self) -> bool:
        """See `Replica`."""
        if self._lost.is_set():  # then another one may have them at any moment
            raise UnavailableError(AWAY)
        if self._keeps_vectors:
            return True
        async with self._asking:
            connection = self._connection
            if connection is None:
                raise UnavailableError(AWAY)
            if not self._keeps_vectors:
                with TRANSLATED:
                    taken = bool(await connection.scalar(_LOCK, {"key": VECTORS_KEY}))
                self._note_vectors(kept=taken)
        return self._keeps_vectors

    def when_vectors_go(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """See `Replica`."""
        self._give_up = give_up

    async def take(self) -> None:
        """Connect and take the lock, and that of the vectors where this replica had it."""
        kept = self._keeps_vectors
        with TRANSLATED:
            connection = await self._engine.connect()
            try:
                lost = asyncio.Event()
                driver: Any = (await connection.get_raw_connection()).driver_connection
                driver.add_termination_listener(partial(_set, lost))
                query, keys = _LOCK, {"key": _key(self.id)}
                if kept:
                    query, keys = _LOCK_BOTH, keys | {"vectors": VECTORS_KEY}
                taken = (await connection.execute(query, keys)).one()
                if not taken[0]:
                    raise UnavailableError(AWAY)  # noqa: TRY301 # the session before is not gone yet
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await _end(connection)
                raise
        if kept:
            self._note_vectors(kept=bool(taken[1]))
        self._connection, self._lost = connection, lost

    async def keep(self) -> None:
        """Take the lock again whenever the connection is lost; until cancelled."""
        while True:
            await self._until_lost()
            log.warning("replica_lock_lost")
            kept = self._keeps_vectors
            self._lost.set()
            async with self._asking:
                await self._disconnect()
            pause = FIRST_PAUSE
            while not await self._taken_again():
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            self._sure_from = time.monotonic() + self._grace
            log.info("replica_lock_taken_again")
            if kept and not self._keeps_vectors:
                log.warning("vectors_kept_elsewhere")
                if self._give_up is not None:
                    await self._give_up()

    async def close(self) -> None:
        """Give the lock back."""
        await self._disconnect()
        await self._engine.dispose()

    async def _until_lost(self) -> None:
        while self._connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_INTERVAL):
                    await self._lost.wait()
                return
            try:
                async with self._asking:
                    await self._connection.execute(text("SELECT 1"))
            except (OSError, SQLAlchemyError):
                return

    async def _taken_again(self) -> bool:
        try:
            await self.take()
        except (LLMStackError, SQLAlchemyError):
            return False
        return True

    def _note_vectors(self, *, kept: bool) -> None:
        self._keeps_vectors = kept
        if kept:
            self.vectors_term += 1

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection)


async def _end(connection: AsyncConnection) -> None:
    with suppress(OSError, SQLAlchemyError):
        await connection.invalidate()  # unlike close, it does not wait for a server that is silent
        await connection.close()


def _set(event: asyncio.Event, _connection: object) -> None:
    event.set()


def _locks(session: Session) -> tuple[float, set[int]]:
    uptime: float = session.execute(_UPTIME).scalar_one()
    return uptime, set(session.scalars(_HELD))


def _key(replica_id: UUID) -> int:
    return replica_id.int & _KEY_BITS
