"""PostgreSQL: the same functions over asyncpg, by `AsyncSession.run_sync`."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import AdaptedConnection, Connection, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from llmstack_api.db.failures import CLOSED, TRANSLATED, log_abandoned
from llmstack_api.db.options import ENGINE_OPTIONS
from llmstack_api.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0
MIGRATION_TIMEOUT = 600.0
POOL_TIMEOUT = 5.0
CLOSE_TIMEOUT = 10.0

_SOCKET_OPTIONS = [
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 15),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 10_000),
]
# so that the server lets go of what a process held that disappeared without a word
_SESSION_SETTINGS = {
    "idle_in_transaction_session_timeout": 60_000,
    "tcp_keepalives_idle": 15,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}


class PostgreSQLDatabase:
    """A pool of connections to one database, used from one event loop."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self._engine = postgresql_engine(
            url, pool_size=pool_size, max_overflow=0, pool_timeout=POOL_TIMEOUT, pool_use_lifo=True
        )
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._peeking = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._bare = postgresql_engine(url, statement_timeout=MIGRATION_TIMEOUT, poolclass=NullPool)
        self._writes: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database`."""
        self._check_open()
        with TRANSLATED:
            return await _transaction(self._reading, fn, *args, **kwargs)

    async def write(
        self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Database`."""
        self._check_open()
        task = asyncio.ensure_future(_transaction(self._engine, fn, *args, **kwargs))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        with TRANSLATED:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                task.add_done_callback(log_abandoned)
                raise

    async def peek(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Database`: one round trip."""
        self._check_open()
        with TRANSLATED:
            async with self._peeking.connect() as connection:
                return await connection.run_sync(fn, *args, **kwargs)

    async def connect(self, fn: Callable[[Connection], T]) -> T:
        """See `Database`."""
        self._check_open()
        with TRANSLATED:
            async with self._bare.begin() as connection:
                return await connection.run_sync(fn)

    async def close(self) -> None:
        """See `Database`."""
        self._closed = True
        if self._writes:
            _, late = await asyncio.wait(self._writes, timeout=CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
            if late:
                log.warning("database_still_busy", writes=len(late))
                await asyncio.wait(late, timeout=CLOSE_TIMEOUT)
        await self._engine.dispose()
        await self._bare.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError(CLOSED)


async def _transaction(
    engine: AsyncEngine, fn: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    async with (
        AsyncSession(engine, expire_on_commit=False, autoflush=False) as session,
        session.begin(),
    ):
        return await session.run_sync(fn, *args, **kwargs)


def postgresql_engine(
    url: str, *, statement_timeout: float = STATEMENT_TIMEOUT, **options: object
) -> AsyncEngine:
    """Make an engine that notices a dead server, and whose own death the server notices."""
    session_settings = {**_SESSION_SETTINGS, "statement_timeout": round(statement_timeout * 1000)}
    prepare = "; ".join(f"SET {name} = {value}" for name, value in session_settings.items())
    engine = create_async_engine(
        url,
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": statement_timeout,
            "server_settings": {"application_name": "llmstack-api"},
        },
        **ENGINE_OPTIONS,
        **options,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: AdaptedConnection, _record: object) -> None:
        _watch(connection.driver_connection)
        connection.run_async(lambda driver: driver.execute(prepare))

    @event.listens_for(engine.sync_engine, "checkout")
    def _given_out(connection: AdaptedConnection, _record: object, _proxy: object) -> None:
        driver: Any = connection.driver_connection
        if driver.is_closed():  # what a ping would find after a restart, without its round trip
            raise InvalidatePoolError

    return engine


def _watch(driver: Any) -> None:  # noqa: ANN401 # asyncpg is untyped
    """Give up on a peer that is silent for half a minute, or acknowledges nothing for 10 s."""
    transport = driver._transport  # noqa: SLF001 # there is no other way to the socket
    connection = transport.get_extra_info("socket")
    if connection.family == socket.AF_UNIX:
        return
    for level, name, value in _SOCKET_OPTIONS:
        if hasattr(socket, name):  # macOS lacks some
            connection.setsockopt(level, getattr(socket, name), value)
