"""Indexes of the worklist by due time also hold the clinics of a request and its submission, by which lists are filtered.

Makes eight indexes of the table of requests anew, beside what others do: some minutes for a million requests.
"""

from alembic import op

from records.migrations.beside import drop_index, make_index

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

SORTED_OUT = ["offering", "status", "overdue", "priority_rank"]
HELD = ["holder_id", "holder_kind", "holder_clinic_id", "awaits_holder"]
FOUND_IN = [*HELD, "requester_clinic_id", "dispatch_clinic_id", "submitted_at"]
WAYS: dict[str, tuple[list[str], str | None, list[str]]] = {
    "requester": (["requester_id", "awaits_requester"], None, HELD),
    "requester_clinic": (["requester_clinic_id"], None, HELD),
    "dispatch_clinic": (["dispatch_clinic_id"], None, HELD),
    "other_dispatch": (["dispatch_clinic_id"], "dispatch_clinic_id <> requester_clinic_id", HELD),
    "holder": (["holder_id", "awaits_holder"], "holder_id IS NOT NULL", HELD[1:3]),
    "other_holder": (
        ["holder_clinic_id"],
        "holder_clinic_id <> requester_clinic_id AND holder_clinic_id <> dispatch_clinic_id",
        ["holder_id", "holder_kind", "awaits_holder"],
    ),
    "pool": (["holder_clinic_id", "awaits_holder"], "holder_kind = 'pool'", ["holder_id", "holder_kind"]),
    "all": ([], None, HELD),
}
"""What each begins with, which requests it has, and what it held besides until now."""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for way, (start, where, _) in WAYS.items():
            _make_anew(way, start, where, [name for name in FOUND_IN if name not in start])


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for way, (start, where, found_in) in WAYS.items():
            _make_anew(way, start, where, found_in)


def _make_anew(way: str, start: list[str], where: str | None, found_in: list[str]) -> None:
    name = f"ix_requests_{way}_by_due"
    make_index(f"{name}_anew", "requests", [*start, *SORTED_OUT, "due_sort", "id"], where=where, include=found_in)
    drop_index(name)
    op.execute(f"ALTER INDEX {name}_anew RENAME TO {name}")
