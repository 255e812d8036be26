"""Of whom something is asked about a report, until it is answered, and the ways to it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None

ORDERS = {"due": "due_sort", "update": "updated_at", "creation": "created_at"}
SORTED_OUT = ["offering", "status", "overdue", "priority_rank"]
WAYS = {"asked_signer": "follow_up_signer_id", "asked_clinic": "follow_up_clinic_id"}


def upgrade() -> None:
    for column in WAYS.values():
        op.add_column("requests", sa.Column(column, sa.Uuid(), nullable=True))
    for way, column in WAYS.items():
        for order, sort_key in ORDERS.items():
            op.create_index(
                f"ix_requests_{way}_by_{order}",
                "requests",
                [column, *SORTED_OUT, sort_key, "id"],
                postgresql_where=sa.text("follow_up_signer_id IS NOT NULL"),
            )


def downgrade() -> None:
    for column in WAYS.values():
        op.drop_column("requests", column)
