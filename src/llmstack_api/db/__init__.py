"""The database: a transaction is a plain function of a Session, run whole by `read` or `write`."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, DateTime, Dialect, String, TypeDecorator
from sqlalchemy.dialects.postgresql import Insert as PostgreSQLInsert
from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeEngine

from llmstack_api.db.postgresql import PostgreSQLDatabase
from llmstack_api.db.sqlite import SQLiteDatabase

P = ParamSpec("P")
T = TypeVar("T")

SQLITE = "sqlite:///"


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every engine; SQLite keeps it as sortable text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, timestamptz elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | datetime | None:
        """Write UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: str | datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        del dialect
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class Base(DeclarativeBase):
    """Base of all tables."""


def upsert(session: Session, table: type[Base]) -> SQLiteInsert | PostgreSQLInsert:
    """Return the engine's own INSERT, the one that knows ON CONFLICT."""
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    return PostgreSQLInsert(table) if on_postgresql else SQLiteInsert(table)


class Database(Protocol):
    """Runs transactions. Its methods raise `UnavailableError` or `StorageFullError` for a failing engine."""

    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(session, ...)` in a transaction that sees one state of the database and cannot write."""
        ...

    async def write(
        self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn(session, ...)` and commit; once called, it ends even if the caller is cancelled."""
        ...

    async def peek(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn(connection, ...)`: one SELECT by a key on the hot path, with neither BEGIN nor thread."""
        ...

    async def connect(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a bare connection outside a Session, and commit (migrations)."""
        ...

    async def close(self) -> None:
        """Wait for what has begun, then close every connection."""
        ...


def open_database(url: str, *, pool_size: int = 10) -> Database:
    """Make the database of a URL; connects when first used."""
    if url.startswith(SQLITE):
        return SQLiteDatabase(Path(url.removeprefix(SQLITE)))
    return PostgreSQLDatabase(url, pool_size=pool_size)
