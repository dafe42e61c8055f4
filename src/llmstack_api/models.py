"""All tables."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from llmstack_api.db import Base, UTCDateTime

SCHEMA_REVISION = "0001"
"""The migration that this code needs; the newest in `migrations/versions`."""

NAME_LENGTH = 200
SESSION_ID_LENGTH = 128

_JSON = JSON(none_as_null=True)
Base.registry.update_type_annotation_map(
    {datetime: UTCDateTime, dict[str, Any]: _JSON, list[Any]: _JSON, list[str]: _JSON}
)


def new_id() -> UUID:
    """Make a UUIDv7: unique, and ordered by time."""
    return uuid_utils.compat.uuid7()


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Account(Base):
    """Owner of everything else."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Token(Base):
    """A secret that acts for an account; only its digest is kept."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    """First characters of the secret, to tell tokens apart."""
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class App(Base):
    """An app; its definition is its newest version's."""

    __tablename__ = "apps"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index("ix_apps_account_id", "account_id", "id"),)


class AppVersion(Base):
    """One definition of an app, never changed."""

    __tablename__ = "app_versions"

    app_id: Mapped[UUID] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class AppSession(Base):
    """A conversation with one app; `name` is the id its caller chose."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    app_id: Mapped[UUID] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(SESSION_ID_LENGTH))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("app_id", "name", name="uq_sessions_app_id_name"),)


class Turn(Base):
    """What one processor remembers of one run in a session."""

    __tablename__ = "turns"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    processor: Mapped[str] = mapped_column(String(NAME_LENGTH))
    run_id: Mapped[UUID]
    messages: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index("ix_turns_session_id", "session_id", "id"),)


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Run(Base):
    """One execution of an app; it outlives the app."""

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    app_id: Mapped[UUID]
    app_version: Mapped[int]
    session: Mapped[str] = mapped_column(String(SESSION_ID_LENGTH))
    status: Mapped[str] = mapped_column(String(16))
    streamed: Mapped[bool]
    input: Mapped[dict[str, Any]]
    output: Mapped[dict[str, Any] | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    steps: Mapped[list[Any] | None]
    errors: Mapped[list[Any] | None]
    owner: Mapped[UUID]
    """The replica that executes it."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_runs_account_id", "account_id", "id"),
        Index("ix_runs_app_id", "app_id", "session", "id"),
        Index(
            "ix_runs_running",
            "owner",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
    )


class IdempotencyKey(Base):
    """A request that must not be done twice, and its answer once there is one."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Digest of method, path and body."""
    owner: Mapped[UUID]
    """The replica that does it."""
    status: Mapped[int | None]
    """HTTP status of the answer; None while the first request is going."""
    run_id: Mapped[UUID | None]
    """The run that was made; its row holds the answer."""
    media_type: Mapped[str | None] = mapped_column(String(100))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
