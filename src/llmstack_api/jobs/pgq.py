"""pgqueuer as we use it: its names, its statements, its tables. Imported only where PostgreSQL is in use."""

import logging
from typing import Any

import structlog
from pgqueuer import AsyncpgDriver, Queries
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import Driver

from llmstack_api.jobs.tables import SCHEMA, TABLE

log = structlog.get_logger(__name__)

CHANNEL = Channel("llmstack_jobs")

# what it logs are the consequences of a lost connection, which we log ourselves, once
logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)

_SCHEMA_PRESENT = f"SELECT to_regnamespace('{SCHEMA}') IS NOT NULL AS present"

# upgrades of pgqueuer leave alone what they do not know
_TENANT_INDEX = (
    f"CREATE INDEX IF NOT EXISTS pgqueuer_tenant_idx ON {TABLE} ((headers->>'tenant'), priority)"
    " WHERE status = 'queued'"
)


def names() -> DBSettings:
    """Return every name that pgqueuer uses; a default would be taken from the environment.

    The tables are unlogged: a crash of the database empties them, and `reconcile` fills them again.
    """
    return DBSettings(
        prefix="",
        db_schema=SCHEMA,
        channel=CHANNEL,
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.volatile,
        widen_id=True,
    )


def statements() -> QueryQueueBuilder:
    """Return the texts of the statements about jobs, with our names."""
    return QueryQueueBuilder(names())


def queries(driver: Driver) -> Queries:
    """Return pgqueuer's statements, with our names, over a driver."""
    settings = names()
    return Queries(
        driver,
        qbe=QueryBuilderEnvironment(settings),
        qbq=QueryQueueBuilder(settings),
        qbs=QuerySchedulerBuilder(settings),
    )


async def converge(connection: Any) -> None:  # noqa: ANN401 # asyncpg is untyped
    """Make the tables, or change them to what this pgqueuer wants; idempotent."""
    driver = AsyncpgDriver(connection)
    over = queries(driver)
    if await over.schema_is_installed():
        plan = await over.plan_upgrade()
        for statement in plan.statements:
            await driver.execute(statement)
        for note in plan.notes:
            log.warning("job_tables_note", note=note)
    else:
        present = (await driver.fetch(_SCHEMA_PRESENT))[0]["present"]
        # where it is, its owner may be another: CREATE SCHEMA asks for rights even if it does nothing
        await over.install(create_schema=not present)
    await driver.execute(_TENANT_INDEX)
