"""Of what somebody acted on, who holds it now, and whether their clinic has to do with it: lists need not look at the request.

Code of the version before runs on beside it. Takes a minute or so for a million requests.
"""

import uuid

import sqlalchemy as sa
from alembic import op

from records.migrations.beside import drop_index, make_index

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

AT_ONCE = 5_000

NEXT = sa.text(
    "SELECT max(id::text)::uuid FROM (SELECT id FROM requests WHERE id > :last ORDER BY id LIMIT :at_once) AS n"
)
NOTE = sa.text(
    """
    UPDATE request_participants AS p
    SET holder_id = r.holder_id,
        ours = coalesce(a.clinic_id IN (r.requester_clinic_id, r.dispatch_clinic_id, r.holder_clinic_id), false)
    FROM requests AS r, accounts AS a
    WHERE p.request_id > :last AND p.request_id <= :next AND r.id = p.request_id AND a.id = p.account_id AND p.ours IS NULL
    """
)
"""What somebody changes meanwhile their trigger notes, and it is not noted here, for `ours` says something then."""

COPIED = ["offering", "status", "overdue", "priority_rank", "due_sort", "updated_at", "created_at"]
CLINICS = ["requester_clinic_id", "dispatch_clinic_id", "holder_clinic_id"]

KNOWN = "ck_request_participants_ours"
INDEX = "ix_request_participants_acted_on_by_due"
COLUMNS = ["account_id", "offering", "status", "overdue", "priority_rank", "due_sort", "request_id"]
WHERE = "NOT holding AND NOT asked"


def upgrade() -> None:
    op.execute(  # empty: rewrites no row
        "ALTER TABLE request_participants ADD COLUMN IF NOT EXISTS holder_id uuid, ADD COLUMN IF NOT EXISTS ours boolean"
    )
    _follow(
        first=f"NEW.holder_id = request.holder_id; NEW.ours = {_ours('NEW.account_id', 'request')};",
        later=f"holder_id = NEW.holder_id, ours = {_ours('account_id', 'NEW')},",
        followed=["holder_kind", "holder_id", *CLINICS, *COPIED],
    )
    with op.get_context().autocommit_block():
        _note()
        _is_known()
        _replace_index(include=["ours", "holder_id"])


def downgrade() -> None:
    _follow(first="", later="", followed=["holder_kind", "holder_id", *COPIED])
    with op.get_context().autocommit_block():
        _replace_index(include=[])
    for name in ("ours", "holder_id"):
        op.drop_column("request_participants", name)


def _note() -> None:
    connection, last = op.get_bind(), uuid.UUID(int=0)
    while (following := connection.scalar(NEXT, {"last": last, "at_once": AT_ONCE})) is not None:
        connection.execute(NOTE, {"last": last, "next": following})
        last = following


def _is_known() -> None:
    """Of each row: looked through while others write, which setting NOT NULL would keep them from."""
    for change in (
        f"DROP CONSTRAINT IF EXISTS {KNOWN}",
        f"ADD CONSTRAINT {KNOWN} CHECK (ours IS NOT NULL) NOT VALID",
        f"VALIDATE CONSTRAINT {KNOWN}",
        "ALTER COLUMN ours SET NOT NULL",
        f"DROP CONSTRAINT {KNOWN}",
    ):
        op.execute(f"ALTER TABLE request_participants {change}")


def _replace_index(include: list[str]) -> None:
    """A try that was broken off anywhere is taken up again: the new one has the name of the old when that is gone."""
    make_index(f"{INDEX}_new", "request_participants", COLUMNS, where=WHERE, include=include)
    drop_index(INDEX)
    op.execute(f"ALTER INDEX {INDEX}_new RENAME TO {INDEX}")


def _follow(*, first: str, later: str, followed: list[str]) -> None:
    """What the triggers write of a request into the rows of its participants, and after which changes."""
    copied = "\n".join(f"NEW.{name} = request.{name};" for name in COPIED)
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION note_request_of_participant() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            request requests;
        BEGIN
            SELECT * INTO request FROM requests WHERE id = NEW.request_id;
            NEW.holding = request.holder_kind = 'provider' AND request.holder_id IS NOT DISTINCT FROM NEW.account_id;
            NEW.asked = request.requester_id = NEW.account_id;
            {first}
            {copied}
            RETURN NEW;
        END $$
        """  # noqa: S608
    )
    set_ = ", ".join(f"{name} = NEW.{name}" for name in COPIED)
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION note_request_for_participants() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE request_participants
            SET holding = NEW.holder_kind = 'provider' AND NEW.holder_id IS NOT DISTINCT FROM account_id,
                asked = NEW.requester_id = account_id, {later} {set_}
            WHERE request_id = NEW.id;
            RETURN NULL;
        END $$
        """  # noqa: S608
    )
    before, after = (", ".join(f"{row}.{name}" for name in followed) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE OR REPLACE TRIGGER note_participants AFTER UPDATE ON requests FOR EACH ROW "
        f"WHEN (({before}) IS DISTINCT FROM ({after})) EXECUTE FUNCTION note_request_for_participants()"
    )


def _ours(account: str, request: str) -> str:
    """Whether the clinic of that account has to do with the request."""
    clinics = ", ".join(f"{request}.{name}" for name in CLINICS)
    return f"coalesce((SELECT clinic_id FROM accounts WHERE id = {account}) IN ({clinics}), false)"  # noqa: S608
