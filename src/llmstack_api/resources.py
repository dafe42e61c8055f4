"""Everything that has to be opened and closed, opened once and shared by server, worker, CLI and tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from llmstack_api import schema
from llmstack_api.auth import Authenticator, ensure_bootstrap_token
from llmstack_api.db import Database, open_database
from llmstack_api.engine.ports import Ports
from llmstack_api.errors import StartError
from llmstack_api.llm.catalog import open_chat_models
from llmstack_api.outbound import Egress, parse_egress
from llmstack_api.processors import REGISTRY, Registry
from llmstack_api.replica import Replica, hold_replica
from llmstack_api.settings import Settings


@dataclass(slots=True, kw_only=True)
class Resources:
    """What is open while the process lives."""

    settings: Settings
    db: Database
    replica: Replica
    authenticator: Authenticator
    egress: Egress
    ports: Ports
    registry: Registry
    draining: bool = False
    """Set once at shutdown: no new work is taken."""


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """Open everything in order; close it in the reverse order.

    Raises:
        StartError: a setting is wrong, the data directory is in use, or the database is behind.
    """
    egress = parse_egress(settings.egress_allow)
    async with open_current_database(settings) as db, hold_replica(settings, db) as replica:
        if settings.bootstrap_token is not None:
            await db.write(ensure_bootstrap_token, settings.bootstrap_token.get_secret_value())
        authenticator = Authenticator(db)
        try:
            async with open_chat_models(settings, egress) as chat:
                yield Resources(
                    settings=settings,
                    db=db,
                    replica=replica,
                    authenticator=authenticator,
                    egress=egress,
                    ports=Ports(chat=chat),
                    registry=REGISTRY,
                )
        finally:
            await authenticator.close()


@asynccontextmanager
async def open_current_database(settings: Settings) -> AsyncGenerator[Database]:
    """Open the database; SQLite is brought to the current revision, PostgreSQL has to be there already."""
    db = open_database(settings.database, pool_size=settings.database_pool_size)
    try:
        if settings.database.startswith("sqlite"):
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not await schema.is_current(db):
            if not settings.database.startswith("sqlite"):
                raise StartError(
                    "LLMSTACK_DATABASE_URL: its tables are behind; run 'llmstack-api migrate' first"
                )
            await schema.upgrade(db)
        yield db
    finally:
        await db.close()
