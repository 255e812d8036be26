"""For what callers have used their idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "used_keys",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("meaning", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_used_keys"),
    )
    op.create_index("ix_used_keys_used_at", "used_keys", ["used_at"])


def downgrade() -> None:
    op.drop_table("used_keys")
