"""Who gave out a system's secret, said its key, or said where a webhook is: what is shut to them is shut to it.

Of what is there already it is taken from the events of accounts, of the same moment. Code of the version before runs beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

TABLES = ("service_secrets", "service_keys", "webhook_endpoints")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("given_by", sa.Uuid(), nullable=True))
        op.create_foreign_key(f"fk_{table}_given_by", table, "accounts", ["given_by"], ["id"])
        op.create_index(f"ix_{table}_given_by", table, ["given_by"])
    for table, kind in (("service_secrets", "secret_added"), ("service_keys", "key_added")):
        op.execute(
            f"""
            UPDATE {table} AS given SET given_by = event.actor_id FROM account_events AS event
            WHERE event.account_id = given.account_id AND event.at = given.created_at AND event.kind = '{kind}'
            """  # noqa: S608 - words of ours
        )
    op.execute(
        """
        UPDATE webhook_endpoints AS given SET given_by = (
            SELECT event.actor_id FROM account_events AS event
            WHERE event.clinic_id = given.clinic_id AND position(event.changes -> 'webhook' ->> 1 IN given.url) > 0 AND (
                event.kind = 'webhook_added' AND event.at = given.created_at
                OR event.kind = 'webhook_changed' AND event.changes ? 'url' AND event.at > given.created_at
            )
            ORDER BY event.id DESC LIMIT 1
        )
        WHERE given.account_id IS NULL
        """
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "given_by")
