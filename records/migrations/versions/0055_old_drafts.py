"""When the writer of a draft was warned that it goes, and when its photos were last arranged. Code of the version before runs
beside it, and warns nobody.
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("draft_warned_at", "draft_touched_at"):
        op.add_column("requests", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("draft_touched_at", "draft_warned_at"):
        op.drop_column("requests", name)
