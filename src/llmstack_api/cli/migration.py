"""`llmstack-api migrate`: brings the database to the newest revision, on either engine."""

import asyncio
import sys

from llmstack_api import schema
from llmstack_api.db import SQLITE, open_database
from llmstack_api.errors import StartError
from llmstack_api.models import SCHEMA_REVISION
from llmstack_api.settings import Settings
from llmstack_api.starting import refusing_to_start


def migrate(settings: Settings) -> None:
    """Apply what is missing and print from where to where.

    Raises:
        StartError: the database cannot be opened, or is newer than this code.
    """
    with refusing_to_start(settings):
        before = asyncio.run(_migrate(settings))
    if before == SCHEMA_REVISION:
        sys.stdout.write(f"The database is at revision {SCHEMA_REVISION} already.\n")
    else:
        sys.stdout.write(f"Migrated from {before or 'an empty database'} to {SCHEMA_REVISION}.\n")


def revisions() -> list[str]:
    """Return the revisions that this code knows, oldest first."""
    files = (schema.migrations_folder() / "versions").glob("[0-9]*.py")
    return sorted(file.name.partition("_")[0] for file in files)


async def _migrate(settings: Settings) -> str | None:
    if settings.database.startswith(SQLITE):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_database(settings.database, pool_size=1)
    try:
        before = await db.connect(schema.current_revision)
        if before is not None and before not in revisions():
            raise StartError(
                f"LLMSTACK_DATABASE_URL: the database is at revision {before}, which a newer version made; "
                f"this one knows up to {SCHEMA_REVISION}"
            )
        if before != SCHEMA_REVISION:
            await schema.upgrade(db)
        return before
    finally:
        await db.close()
