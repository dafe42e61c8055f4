"""Entries that want work, found account by account."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WANTS_WORK = sa.text("work IS NOT NULL")


def upgrade() -> None:
    _make_index(["work", "account_id", "due_at"])


def downgrade() -> None:
    _make_index(["due_at"])
    op.execute("UPDATE entries SET work = 'ingest' WHERE work = 'reread'")


def _make_index(columns: list[str]) -> None:
    op.drop_index("ix_entries_work", table_name="entries")
    op.create_index(
        "ix_entries_work", "entries", columns, sqlite_where=_WANTS_WORK, postgresql_where=_WANTS_WORK
    )
