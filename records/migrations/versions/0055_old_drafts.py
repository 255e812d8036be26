"""When the writer of a draft was warned that it goes. Code of the version before runs beside it, and warns nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("draft_warned_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("requests", "draft_warned_at")
