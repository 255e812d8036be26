"""Notices that wait a moment for each other, are in one activity's hands at a time, and end when nobody took them in time."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
UNDELIVERABLE = sa.text("status IN ('refused', 'expired', 'failed')")


def upgrade() -> None:
    op.add_column("notices", sa.Column("send_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW))
    op.add_column("notices", sa.Column("taken_up_by", sa.Text(), nullable=True))
    op.add_column("notices", sa.Column("taken_up_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("notices", sa.Column("told_with", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_notices_told_with"), "notices", "notices", ["told_with"], ["id"])
    op.create_index(
        "ix_notices_queued", "notices", ["request_id", "account_id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index("ix_notices_told_with", "notices", ["told_with"], postgresql_where=sa.text("told_with IS NOT NULL"))
    op.drop_index("ix_notices_undeliverable", "notices")
    op.create_index("ix_notices_undeliverable", "notices", ["created_at"], postgresql_where=UNDELIVERABLE)


def downgrade() -> None:
    op.drop_index("ix_notices_undeliverable", "notices")
    op.create_index(
        "ix_notices_undeliverable",
        "notices",
        ["created_at"],
        postgresql_where=sa.text("status IN ('refused', 'failed')"),
    )
    op.drop_index("ix_notices_told_with", "notices")
    op.drop_index("ix_notices_queued", "notices")
    op.drop_column("notices", "told_with")
    op.drop_column("notices", "taken_up_at")
    op.drop_column("notices", "taken_up_by")
    op.drop_column("notices", "send_at")
