"""What encoding the text of an entry was read in, and which one its owner wants."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wanted_encoding", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("encoding", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.drop_column("encoding")
        batch_op.drop_column("wanted_encoding")
