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
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from llmstack_api.db import Base, UTCDateTime

SCHEMA_REVISION = "0005"
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


class EntryStatus(StrEnum):
    """Where an entry stands, as its owner sees it."""

    PROCESSING = "PROCESSING"
    READY = "READY"
    FAILED = "FAILED"


class Stage(StrEnum):
    """What is being done for an entry, in this order."""

    QUEUED = "queued"
    FETCH = "fetch"
    EXTRACT = "extract"
    CHUNK = "chunk"
    EMBED = "embed"
    INDEX = "index"


class Work(StrEnum):
    """What a row still wants done; kept until it is done."""

    INGEST = "ingest"
    """Of an entry: make its content searchable."""
    REREAD = "reread"
    """Of an entry: the same for what was read before, after what its account waits for."""
    PURGE = "purge"
    """Of either: remove its vectors and content, then the row."""
    REEMBED = "reembed"
    """Of a datasource: embed its chunks with another model, then swap."""


class Worked:
    """Columns of a row that workers do something for. A worker holds the row by `token` until `lease_until`."""

    work: Mapped[str | None] = mapped_column(String(16))
    due_at: Mapped[datetime | None]
    """Not before then."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often the work was begun and did not end; a dependency that is away does not count."""
    token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]


class Datasource(Worked, Base):
    """A collection of entries that is searched as one."""

    __tablename__ = "datasources"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    type: Mapped[str] = mapped_column(String(32))
    config: Mapped[dict[str, Any]]
    embedding_model: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """What its chunks are embedded with."""
    dimension: Mapped[int | None]
    """Of those vectors; None until the first was made."""
    collection: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """Where its points are; None until there are any."""
    next_model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """What its chunks are being embedded with again."""
    next_collection: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """Where those are, before the first of them is stored."""
    old_collection: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """Where points of it are that another model made, still to be removed."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_datasources_account_id", "account_id", "id"),
        Index(
            "ix_datasources_work",
            "due_at",
            sqlite_where=text("work IS NOT NULL"),
            postgresql_where=text("work IS NOT NULL"),
        ),
    )


class Entry(Worked, Base):
    """One text, URL or file of a datasource."""

    __tablename__ = "entries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    datasource_id: Mapped[UUID] = mapped_column(ForeignKey("datasources.id", ondelete="CASCADE"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("entries.id", ondelete="SET NULL"), index=True)
    """The sitemap that named it."""
    external_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """The key that its owner chose."""
    kind: Mapped[str] = mapped_column(String(16))
    """What it was made of: content, url, file or sitemap."""
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    source: Mapped[str] = mapped_column(String(2048))
    entry_metadata: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str | None] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None]
    version: Mapped[int] = mapped_column(default=1)
    """Of the content that is wanted."""
    live_version: Mapped[int | None]
    """Of the content that searches find."""
    begun: Mapped[bool] = mapped_column(default=False)
    """Whether this version's points may be in the index in part, from an attempt that did not end."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Digest of the content and metadata as they were sent."""
    mime_type: Mapped[str | None] = mapped_column(String(200))
    wanted_encoding: Mapped[str | None] = mapped_column(String(40))
    """What its owner says that its text is in."""
    encoding: Mapped[dict[str, Any] | None]
    """What its text was read in: `name`, and whether that was `guessed`."""
    size: Mapped[int] = mapped_column(default=0)
    """Bytes of its text, as UTF-8."""
    chunks_count: Mapped[int] = mapped_column(default=0)
    etag: Mapped[str | None] = mapped_column(String(1024))
    last_modified: Mapped[str | None] = mapped_column(String(200))
    refresh_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_entries_datasource_id", "datasource_id", "id"),
        Index(
            "uq_entries_external_id",
            "datasource_id",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL AND deleted_at IS NULL"),
            postgresql_where=text("external_id IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index(
            "ix_entries_work",
            "work",
            "account_id",
            "due_at",
            sqlite_where=text("work IS NOT NULL"),
            postgresql_where=text("work IS NOT NULL"),
        ),
        Index(
            "ix_entries_refresh_at",
            "refresh_at",
            sqlite_where=text("refresh_at IS NOT NULL"),
            postgresql_where=text("refresh_at IS NOT NULL"),
        ),
    )


class EntryContent(Base):
    """The content of an entry in one version; the vectors can be made again from it."""

    __tablename__ = "entry_contents"

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    media_type: Mapped[str | None] = mapped_column(String(200))
    """As its sender declared it."""
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    """A file as it was sent."""
    text: Mapped[str | None] = mapped_column(Text)
    """What was sent as text, or extracted."""
    title: Mapped[str | None] = mapped_column(String(1000))
    chunks: Mapped[list[Any] | None]
    """Where the chunks are in `text`, and what each is found with; see `datasources.points.dump_chunks`."""
    described: Mapped[dict[str, Any] | None]
    """Name, source, MIME type and metadata as its points have them, once it is searched."""


class IndexFolder(Base):
    """Which folder holds the vectors of the in-process index; another one is behind and is filled again."""

    __tablename__ = "index_folders"

    collection: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    generation: Mapped[UUID]


class ProviderSetting(Base):
    """How one account reaches one model provider; what is not set here is the operator's."""

    __tablename__ = "provider_settings"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    slug: Mapped[str] = mapped_column(String(64), primary_key=True)
    base_url: Mapped[str | None] = mapped_column(String(2048))
    default_model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    has_key: Mapped[bool]
    """Known even where the key cannot be decrypted."""
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Key and headers, encrypted."""
    key_id: Mapped[str | None] = mapped_column(String(16))
    """Names the secret that encrypted them."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
