"""pgqueuer's tables: whether they are there, and how they get there, in a schema that Alembic does not see."""

from typing import Any

from sqlalchemy import Connection, text

REVISION = 1
"""Of what `upgrade` makes; counted up when a newer pgqueuer, or we, want other tables."""

SCHEMA = "jobs"
TABLE = f"{SCHEMA}.pgqueuer"
LOG_TABLE = f"{SCHEMA}.pgqueuer_log"

# the table's comment has its revision, so that looking needs neither pgqueuer nor a table of our own
_NOTE = "llmstack-api, revision "
_READ_NOTE = text(f"SELECT obj_description(to_regclass('{TABLE}'), 'pg_class')")
_WRITE_NOTE = text(f"COMMENT ON TABLE {TABLE} IS '{_NOTE}{REVISION}'")


def is_current(connection: Connection) -> bool:
    """Tell whether the tables are there, of this revision or of a newer one, which this code can use too."""
    note: str = connection.execute(_READ_NOTE).scalar() or ""
    revision = note.removeprefix(_NOTE)
    return revision != note and revision.isdecimal() and int(revision) >= REVISION


def upgrade(connection: Connection) -> None:
    """Make the tables or bring them up to date, in the connection's transaction.

    The caller's transaction has begun, and holds a lock that keeps other processes from doing this at once.
    """
    if is_current(connection):
        return
    from llmstack_api.jobs.pgq import converge  # noqa: PLC0415 # slow to import, not always needed

    adapted: Any = connection.connection.dbapi_connection
    adapted.run_async(converge)
    connection.execute(_WRITE_NOTE)
