"""SQLite: one thread writes, a few read, each over a connection that stays open."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from llmstack_api.db.failures import CLOSED, TRANSLATED, log_abandoned
from llmstack_api.db.options import ENGINE_OPTIONS
from llmstack_api.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

BUSY_TIMEOUT = 10.0
READ_THREADS = 2
QUEUE_TIMEOUT = 30.0
CLOSE_TIMEOUT = 10.0


class SQLiteDatabase:
    """One file, used from one event loop."""

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self._writer = _Threads(
            _engine(path, begin="BEGIN IMMEDIATE", busy_timeout=busy_timeout), 1, name="db-write"
        )
        self._readers = _Threads(
            _engine(path, begin="BEGIN", busy_timeout=busy_timeout, query_only=True),
            READ_THREADS,
            name="db-read",
        )
        self._peeking_engine = _engine(path, begin=None, busy_timeout=0, query_only=True)
        self._peeking: Connection | None = None
        # a batch migration drops the table that it has copied, which must not cascade
        self._bare = _engine(path, begin="BEGIN IMMEDIATE", busy_timeout=busy_timeout, foreign_keys=False)

    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database`."""
        with TRANSLATED:
            return await self._readers.submit(_in_session(fn, *args, **kwargs))

    async def write(
        self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Database`."""
        future = self._writer.submit(_in_session(fn, *args, **kwargs))
        with TRANSLATED:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                future.add_done_callback(log_abandoned)
                raise

    async def peek(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Database`: in the calling thread, as in WAL mode a reader waits for nobody."""
        work = _on_connection(fn, *args, **kwargs)
        with TRANSLATED:
            try:
                if self._peeking is None:
                    self._peeking = self._peeking_engine.connect()
                return work(self._peeking)
            except DBAPIError as error:
                self._close_peeking()
                if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            return await self._readers.submit(work)  # another process recovers the file: a thread can wait

    async def connect(self, fn: Callable[[Connection], T]) -> T:
        """See `Database`: in the writer's turn, without foreign keys."""

        def work(_: Connection) -> T:
            with self._bare.begin() as connection:
                return fn(connection)

        with TRANSLATED:
            return await self._writer.submit(work)

    async def close(self) -> None:
        """See `Database`."""
        self._close_peeking()
        await self._readers.close()
        await self._writer.close()  # last, as only the last to close can empty the write-ahead log

    def _close_peeking(self) -> None:
        if self._peeking is not None:
            self._peeking.close()
            self._peeking = None


def _in_session(
    fn: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
) -> Callable[[Connection], T]:
    def work(connection: Connection) -> T:
        with Session(connection, expire_on_commit=False, autoflush=False) as session, session.begin():
            return fn(session, *args, **kwargs)

    return work


def _on_connection(
    fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> Callable[[Connection], T]:
    def work(connection: Connection) -> T:
        with connection.begin():
            return fn(connection, *args, **kwargs)

    return work


def _engine(
    path: Path, *, begin: str | None, busy_timeout: float, query_only: bool = False, foreign_keys: bool = True
) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": busy_timeout},
        **ENGINE_OPTIONS,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA temp_store=MEMORY")  # its files would go to the temporary folder
        connection.execute(f"PRAGMA foreign_keys={foreign_keys:d}")
        connection.execute(f"PRAGMA query_only={query_only:d}")

    if begin is not None:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            raw: Any = connection.connection.dbapi_connection
            raw.execute(begin)  # a third of what exec_driver_sql costs

    return engine


@dataclass(slots=True)
class _Call:
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    deadline: float


class _Threads:
    """Threads that take calls from one queue, in the order they came."""

    def __init__(self, engine: Engine, count: int, *, name: str) -> None:
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = [_Thread(engine, self._queue, name=f"{name}-{number}") for number in range(count)]
        self._started = self._closed = False

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run `work` when its turn comes; it is dropped if its future is cancelled before that."""
        if self._closed:
            raise UnavailableError(CLOSED)
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Call(work, future, time.monotonic() + QUEUE_TIMEOUT))
        return future

    async def close(self) -> None:
        """Let the threads end what they were given, then end them."""
        self._closed = True
        if not self._started:
            return
        for _ in self._threads:
            self._queue.put(None)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        until = time.monotonic() + CLOSE_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.warning("database_still_busy", thread=thread.name)


class _Thread(threading.Thread):
    """Runs calls one after the other over a connection that it keeps."""

    def __init__(self, engine: Engine, queue: SimpleQueue[_Call | None], *, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._engine = engine
        self._queue = queue
        self._connection: Connection | None = None

    def run(self) -> None:
        """Work until told to stop."""
        while (call := self._queue.get()) is not None:
            if not call.future.cancelled():
                self._answer(call)
            del call  # or its result lives on until the next one comes
        self._disconnect()

    def _answer(self, call: _Call) -> None:
        result, error = None, None
        try:
            if time.monotonic() > call.deadline:
                raise UnavailableError("The database is overloaded.")  # noqa: TRY301 # as if the work had raised it
            if self._connection is None:
                self._connection = self._engine.connect()
            result = call.work(self._connection)
        except BaseException as caught:  # noqa: BLE001 # it belongs to whoever awaits the call
            error = caught
            if isinstance(error, sqlite3.Error | DBAPIError) and not isinstance(error, IntegrityError):
                self._disconnect()  # a connection that failed is not trusted with the next call
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
            call.future.get_loop().call_soon_threadsafe(_settle, call.future, result, error)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error, DBAPIError):
                connection.close()


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a future refuses it
        future.set_exception(RuntimeError("StopIteration in a transaction"))
    else:
        future.set_exception(error)
