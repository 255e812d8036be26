"""Sessions of browsers end when nobody is there."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("idle_minutes", sa.Integer(), nullable=True))
    op.add_column("tokens", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("tokens", "seen_at")
    op.drop_column("tokens", "idle_minutes")
