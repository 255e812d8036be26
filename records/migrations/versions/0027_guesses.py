"""Wrong passwords counted by name, address and device; devices from which somebody has signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guesses",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("empty_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_guesses"),
    )
    op.create_index("ix_guesses_empty_at", "guesses", ["empty_at"])
    op.create_table(
        "known_devices",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_known_devices_account_id"),
        sa.PrimaryKeyConstraint("sha256", "account_id", name="pk_known_devices"),
    )
    op.create_index("ix_known_devices_account", "known_devices", ["account_id", "used_at"])
    op.create_index("ix_known_devices_used", "known_devices", ["used_at"])


def downgrade() -> None:
    op.drop_table("known_devices")
    op.drop_table("guesses")
