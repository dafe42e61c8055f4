"""Brings the database to the revision that this code needs; Alembic is imported only when it is behind."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from llmstack_api.db import Database
from llmstack_api.errors import StartError
from llmstack_api.jobs import tables as jobs
from llmstack_api.models import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent


def migrations_folder() -> Path:
    """Return the migrations: inside the wheel, else at the root of the checkout."""
    packaged = _HERE / "_migrations"
    return packaged if packaged.is_dir() else _HERE.parent.parent / "migrations"


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def known_revisions() -> list[str]:
    """Return the revisions that this code knows, oldest first."""
    files = (migrations_folder() / "versions").glob("[0-9]*.py")
    return sorted(file.name.partition("_")[0] for file in files)


async def is_current(db: Database) -> bool:
    """Tell whether the database is at the revision this code needs, the job engine's tables included.

    Raises:
        StartError: a newer version of this code made its tables.
    """
    revision, has_jobs = await db.connect(_state)
    if revision is not None and revision not in known_revisions():
        raise StartError(
            f"LLMSTACK_DATABASE_URL: the database is at revision {revision}, which a newer version made; "
            f"this one knows up to {SCHEMA_REVISION}"
        )
    return revision == SCHEMA_REVISION and has_jobs


async def upgrade(db: Database) -> None:
    """Apply every migration that is missing; safe to call from several processes at once."""
    await db.connect(_upgrade)


def alembic_config(connection: Connection | None = None) -> "Config":
    """Make Alembic's configuration, over an open connection where one is given."""
    from alembic.config import Config  # noqa: PLC0415 # slow to import, seldom needed

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    return config


def _state(connection: Connection) -> tuple[str | None, bool]:
    on_sqlite = connection.dialect.name == "sqlite"  # where jobs are in memory
    return current_revision(connection), on_sqlite or jobs.is_current(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 # slow to import, seldom needed

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(4242421001)"))
    command.upgrade(alembic_config(connection), "head")
    if connection.dialect.name == "postgresql":
        jobs.upgrade(connection)
    if connection.dialect.name == "sqlite":
        orphan = connection.execute(text("PRAGMA foreign_key_check")).first()
        if orphan is not None:
            raise RuntimeError(f"a migration left a row of {orphan[0]} without its parent")
