"""Datasources, their entries and content."""

import sqlalchemy as sa
from alembic import op

import llmstack_api.db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "index_folders",
        sa.Column("collection", sa.String(length=200), nullable=False),
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("collection"),
    )
    op.create_table(
        "datasources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("config", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("embedding_model", sa.String(length=200), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=True),
        sa.Column("collection", sa.String(length=200), nullable=True),
        sa.Column("next_model", sa.String(length=200), nullable=True),
        sa.Column("next_collection", sa.String(length=200), nullable=True),
        sa.Column("old_collection", sa.String(length=200), nullable=True),
        sa.Column("created_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.Column("work", sa.String(length=16), nullable=True),
        sa.Column("due_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("datasources", schema=None) as batch_op:
        batch_op.create_index("ix_datasources_account_id", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "ix_datasources_work",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("work IS NOT NULL"),
            postgresql_where=sa.text("work IS NOT NULL"),
        )

    op.create_table(
        "entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("datasource_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=2048), nullable=False),
        sa.Column("entry_metadata", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("live_version", sa.Integer(), nullable=True),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("mime_type", sa.String(length=200), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("chunks_count", sa.Integer(), nullable=False),
        sa.Column("etag", sa.String(length=1024), nullable=True),
        sa.Column("last_modified", sa.String(length=200), nullable=True),
        sa.Column("refresh_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.Column("created_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.Column("work", sa.String(length=16), nullable=True),
        sa.Column("due_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", llmstack_api.db.UTCDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["datasource_id"], ["datasources.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["entries.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index("ix_entries_datasource_id", ["datasource_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_entries_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(
            "ix_entries_refresh_at",
            ["refresh_at"],
            unique=False,
            sqlite_where=sa.text("refresh_at IS NOT NULL"),
            postgresql_where=sa.text("refresh_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_entries_work",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("work IS NOT NULL"),
            postgresql_where=sa.text("work IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_entries_external_id",
            ["datasource_id", "external_id"],
            unique=True,
            sqlite_where=sa.text("external_id IS NOT NULL AND deleted_at IS NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL AND deleted_at IS NULL"),
        )

    op.create_table(
        "entry_contents",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=True),
        sa.Column("media_type", sa.String(length=200), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("title", sa.String(length=1000), nullable=True),
        sa.Column("chunks", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("described", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entry_id", "version"),
    )


def downgrade() -> None:
    op.drop_table("entry_contents")
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_entries_external_id",
            sqlite_where=sa.text("external_id IS NOT NULL AND deleted_at IS NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL AND deleted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_entries_work",
            sqlite_where=sa.text("work IS NOT NULL"),
            postgresql_where=sa.text("work IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_entries_refresh_at",
            sqlite_where=sa.text("refresh_at IS NOT NULL"),
            postgresql_where=sa.text("refresh_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_entries_parent_id"))
        batch_op.drop_index("ix_entries_datasource_id")

    op.drop_table("entries")
    with op.batch_alter_table("datasources", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_datasources_work",
            sqlite_where=sa.text("work IS NOT NULL"),
            postgresql_where=sa.text("work IS NOT NULL"),
        )
        batch_op.drop_index("ix_datasources_account_id")

    op.drop_table("datasources")
    op.drop_table("index_folders")
