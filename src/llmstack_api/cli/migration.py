"""`llmstack-api migrate`: brings the database to the newest revision, on either engine."""

import asyncio
import sys

from llmstack_api import schema
from llmstack_api.db import SQLITE, open_database
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


async def _migrate(settings: Settings) -> str | None:
    if settings.database.startswith(SQLITE):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_database(settings.database, pool_size=1)
    try:
        before = await db.connect(schema.current_revision)
        if not await schema.is_current(db):
            await schema.upgrade(db)
        return before
    finally:
        await db.close()
