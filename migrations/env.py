"""Alembic's entry: over the connection it is given, else over the configured database."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from llmstack_api.db import open_database
from llmstack_api.models import Base
from llmstack_api.settings import Settings


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_configured() -> None:
    db = open_database(Settings.load().database)
    await db.connect(migrate)
    await db.close()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_configured())
