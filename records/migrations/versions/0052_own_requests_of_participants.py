"""Who acted on a request that is their own: the way to it is another one. The next migration notes it of what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

COPIED = ["offering", "status", "overdue", "priority_rank", "due_sort", "updated_at", "created_at"]


def upgrade() -> None:
    # constant: rewrites no row
    op.add_column("request_participants", sa.Column("asked", sa.Boolean(), nullable=False, server_default=sa.false()))
    _follow(first="NEW.asked = request.requester_id = NEW.account_id;", later="asked = NEW.requester_id = account_id,")


def downgrade() -> None:
    _follow(first="", later="")
    op.drop_column("request_participants", "asked")


def _follow(*, first: str, later: str) -> None:
    """What the triggers write of a request into the rows of its participants."""
    copied = "\n".join(f"NEW.{name} = request.{name};" for name in COPIED)
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION note_request_of_participant() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            request requests;
        BEGIN
            SELECT * INTO request FROM requests WHERE id = NEW.request_id;
            NEW.holding = request.holder_kind = 'provider' AND request.holder_id IS NOT DISTINCT FROM NEW.account_id;
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
            SET holding = NEW.holder_kind = 'provider' AND NEW.holder_id IS NOT DISTINCT FROM account_id, {later} {set_}
            WHERE request_id = NEW.id;
            RETURN NULL;
        END $$
        """  # noqa: S608
    )
