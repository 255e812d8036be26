"""Since when a report lies unread, and the way to it for others of its requester's clinic."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ORDERS = {"due": "due_sort", "update": "updated_at", "creation": "created_at"}
SORTED_OUT = ["offering", "status", "overdue", "priority_rank"]
COLUMNS = ("unread_colleagues_from", "unread_clinic_from", "unread_told_at")
UNREAD = "unread_colleagues_from IS NOT NULL"


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("requests", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.execute(_REPORTS_NOT_OPENED)
    for order, sort_key in ORDERS.items():
        op.create_index(
            f"ix_requests_unread_clinic_by_{order}",
            "requests",
            ["requester_clinic_id", *SORTED_OUT, sort_key, "id"],
            postgresql_where=sa.text(UNREAD),
        )
    op.create_index(
        "ix_requests_unread_untold",
        "requests",
        ["unread_colleagues_from"],
        postgresql_where=sa.text(f"{UNREAD} AND unread_told_at IS NULL"),
    )


_REPORTS_NOT_OPENED = """
    UPDATE requests SET unread_colleagues_from = newest.at + interval '3 days', unread_clinic_from = newest.at + interval '3 days'
    FROM (SELECT request_id, max(issued_at) AS at FROM documents GROUP BY request_id) AS newest
    WHERE requests.status = 'reported' AND newest.request_id = requests.id AND NOT EXISTS (
        SELECT FROM access_log AS look
        WHERE look.request_id = requests.id AND look.account_id = requests.requester_id AND look.at >= newest.at
    )
"""
"""Of what waits to be acknowledged when this comes: whose requester has opened nothing of it since the report was there."""


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("requests", column)
