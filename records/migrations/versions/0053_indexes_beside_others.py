"""Indexes of what somebody acted on for others, of the days of submission, and of the audit: made while others read and write.

Takes minutes for a million requests; code of the version before runs on beside it, and so does whoever uses it.
"""

import uuid

import sqlalchemy as sa
from alembic import op

from records.migrations.beside import drop_index, make_index

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

AT_ONCE = 5_000

NEXT = sa.text(
    "SELECT max(id::text)::uuid FROM (SELECT id FROM requests WHERE id > :last ORDER BY id LIMIT :at_once) AS n"
)
NOTE = sa.text(
    "UPDATE request_participants AS p SET asked = true FROM requests AS r WHERE r.id > :last AND r.id <= :next "
    "AND p.request_id = r.id AND p.account_id = r.requester_id AND NOT p.asked"
)
ORDERS = {"due": "due_sort", "update": "updated_at", "creation": "created_at"}
SORTED_OUT = ["offering", "status", "overdue", "priority_rank"]
OF_SUBMISSION = [
    *SORTED_OUT,
    *ORDERS.values(),
    *("requester_id", "holder_id", "holder_kind", "holder_clinic_id", "awaits_holder"),
    *("requester_clinic_id", "dispatch_clinic_id", "awaits_requester"),
    *("follow_up_signer_id", "follow_up_clinic_id", "unread_colleagues_from", "unread_clinic_from"),
]


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _note_own_requests()
        for order, column in ORDERS.items():
            name = f"ix_request_participants_acted_on_by_{order}"
            columns = ["account_id", *SORTED_OUT, column, "request_id"]
            make_index(name, "request_participants", columns, where="NOT holding AND NOT asked")
        for order in ORDERS:
            drop_index(f"ix_request_participants_acted_by_{order}")
        make_index(
            "ix_requests_by_submission",
            "requests",
            ["submitted_at", "id"],
            where="submitted_at IS NOT NULL",
            include=OF_SUBMISSION,
        )
        make_index("ix_audit_entries_account", "audit_entries", ["account_id", "id"])
        make_index("ix_audit_entries_written_in", "audit_entries", ["written_in", "id"])
        make_index("ix_audit_entries_shown", "audit_entries", ["shown"], where="shown IS NOT NULL", using="gin")


def _note_own_requests() -> None:
    connection, last = op.get_bind(), uuid.UUID(int=0)
    while (following := connection.scalar(NEXT, {"last": last, "at_once": AT_ONCE})) is not None:
        connection.execute(NOTE, {"last": last, "next": following})
        last = following


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for order, column in ORDERS.items():
            columns = ["account_id", *SORTED_OUT, column, "request_id"]
            make_index(
                f"ix_request_participants_acted_by_{order}", "request_participants", columns, where="NOT holding"
            )
            drop_index(f"ix_request_participants_acted_on_by_{order}")
        drop_index("ix_requests_by_submission")
