"""How accounts reach model providers."""

import sqlalchemy as sa
from alembic import op

import llmstack_api.db

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_settings",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("base_url", sa.String(length=2048), nullable=True),
        sa.Column("default_model", sa.String(length=200), nullable=True),
        sa.Column("has_key", sa.Boolean(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.String(length=16), nullable=True),
        sa.Column("created_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", llmstack_api.db.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "slug"),
    )


def downgrade() -> None:
    op.drop_table("provider_settings")
