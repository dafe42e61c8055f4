"""Tells a failing engine from a statement that broke a rule."""

import asyncio
import sqlite3
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from llmstack_api.errors import LLMStackError, StorageFullError, UnavailableError

log = structlog.get_logger(__name__)

AWAY = "The database does not answer."
CLOSED = "The database is closed."
_FULL = "The database has no room left. Reading goes on."

_SQLITE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
_POSTGRESQL_FULL = {"53100"}
_POSTGRESQL_AWAY = {
    "08",  # connection
    "28",  # the login is refused
    "3D",  # no such database
    "53",  # out of memory, connections, ...
    "57",  # shut down, starting up, statement timed out
    "58",  # input and output failed
    "25006",  # a standby, or a server set to read only
    "40001",  # serialization, deadlock, lock timeout: as if it had not been tried
    "40P01",
    "55P03",
}


class Translation:
    """A context that turns what drivers raise for a failing engine into our errors; the rest passes."""

    def __enter__(self) -> None:
        """Watch."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Raise our error in place of the driver's."""
        if error is not None and (failure := failure_of(error)) is not None:
            raise failure from error


TRANSLATED = Translation()


def failure_of(error: BaseException) -> LLMStackError | None:
    """Return our error for an engine that fails, None for anything else."""
    if isinstance(error, OSError | PoolTimeoutError):  # asyncpg raises a refused connection as it is
        code, failure = type(error).__name__, UnavailableError(AWAY)
    elif isinstance(error, DBAPIError | sqlite3.Error):
        code, failure = _driver_failure(error)
    else:
        return None
    if failure is not None:
        log.warning("database_failed", slug=failure.slug, code=code)
    return failure


def _driver_failure(error: DBAPIError | sqlite3.Error) -> tuple[str, LLMStackError | None]:
    cause = error.orig if isinstance(error, DBAPIError) else error
    failure = None
    if isinstance(cause, sqlite3.Error):
        extended = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # missing where Python raised it
        code = getattr(cause, "sqlite_errorname", type(cause).__name__)
        if {extended, extended & 0xFF} & _SQLITE_FULL:
            failure = StorageFullError(_FULL)
        elif extended & 0xFF in _SQLITE_AWAY:
            failure = UnavailableError(AWAY)
        return code, failure
    state = getattr(cause, "sqlstate", None) or ""
    if state in _POSTGRESQL_FULL:
        failure = StorageFullError(_FULL)
    elif (
        (isinstance(error, DBAPIError) and error.connection_invalidated)
        or {state, state[:2]} & _POSTGRESQL_AWAY
        # a statement prepared before a migration; the next try prepares it again
        or isinstance(cause, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError)
    ):
        failure = UnavailableError(AWAY)
    return state or type(cause).__name__, failure


def log_abandoned(future: asyncio.Future[Any]) -> None:
    """Log the failure of a write whose caller was cancelled."""
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("abandoned_write_failed", error=type(error).__name__)
