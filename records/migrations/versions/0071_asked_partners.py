"""Partners that perform: what their clinics are given to answer goes to them by messages; and what of it does not arrive is told.

Of what failed before, nobody is told any more. Who said where a partner is, is taken from the events of accounts. The indexes
are made while others read and write; code of the version before runs beside it.
"""

import sqlalchemy as sa
from alembic import op

from records.migrations.beside import make_index

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
IS_LOST = "state IN ('refused', 'failed')"
IS_UNTOLD = "(people_told_at IS NULL OR people_told_at < settled_at)"
IS_NOT_DONE = "problem IS NOT NULL AND request_id IS NOT NULL"


def upgrade() -> None:
    """Who gave what comes first, in a transaction of its own: it locks the accounts for a moment, and nobody waits for the rest
    meanwhile. The columns stand before the rest begins, and it can be taken up again where it was left.
    """
    _add_keepers()
    with op.get_context().autocommit_block():
        pass  # ends that transaction
    op.add_column(
        "partners", sa.Column("performs", sa.Boolean(), server_default="false", nullable=False), if_not_exists=True
    )
    for table in ("told_messages", "partner_messages"):
        op.add_column(table, sa.Column("people_told_at", MOMENT, nullable=True), if_not_exists=True)
    has_report: sa.Column[bool] = sa.Column("has_report", sa.Boolean(), server_default="false", nullable=False)
    op.add_column("partner_messages", has_report, if_not_exists=True)
    with op.get_context().autocommit_block():
        for table, which in (("told_messages", IS_LOST), ("partner_messages", IS_NOT_DONE)):
            of_before = f"{which} AND people_told_at IS NULL"
            op.execute(f"UPDATE {table} SET people_told_at = now() WHERE {of_before}")  # noqa: S608 - words of ours
        make_index("ix_told_messages_lost", "told_messages", ["settled_at"], where=IS_LOST)
        make_index("ix_told_messages_untold", "told_messages", ["request_id"], where=f"{IS_LOST} AND {IS_UNTOLD}")
        make_index("ix_told_messages_asked", "told_messages", ["partner_id"], where="event = 'add-service-request'")
        make_index("ix_partner_messages_not_done", "partner_messages", ["answered_at"], where=IS_NOT_DONE)
        where = f"{IS_NOT_DONE} AND people_told_at IS NULL"
        make_index("ix_partner_messages_untold", "partner_messages", ["request_id"], where=where)


def _add_keepers() -> None:
    """Endpoints are a handful."""
    op.execute(
        "ALTER TABLE partner_endpoints ADD COLUMN IF NOT EXISTS given_by uuid "
        "CONSTRAINT fk_partner_endpoints_given_by REFERENCES accounts (id)"
    )
    op.create_index("ix_partner_endpoints_given_by", "partner_endpoints", ["given_by"], if_not_exists=True)
    op.execute(
        """
        UPDATE partner_endpoints AS given SET given_by = (
            SELECT event.actor_id FROM account_events AS event
            WHERE event.account_id = given.account_id
              AND 'url' = ANY(string_to_array(event.changes -> 'endpoint_terms' ->> 1, ', '))
            ORDER BY event.id DESC LIMIT 1
        )
        """
    )


def downgrade() -> None:
    for index in ("ix_partner_messages_untold", "ix_partner_messages_not_done"):
        op.drop_index(index, "partner_messages")
    for index in ("ix_told_messages_asked", "ix_told_messages_untold", "ix_told_messages_lost"):
        op.drop_index(index, "told_messages")
    op.drop_column("partner_messages", "has_report")
    for table in ("partner_messages", "told_messages"):
        op.drop_column(table, "people_told_at")
    op.drop_column("partners", "performs")
    op.drop_column("partner_endpoints", "given_by")
