"""Subscriptions of FHIR: endpoints of service accounts, and the numbers of the events that each is told.

The indexes of what there may be much of are made while others read and write. Code of the version before runs beside it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from records.migrations.beside import make_index

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NAME = sa.String(64)
OF_ENDPOINTS = "uq_webhook_endpoints_clinic_id_url"
OF_MESSAGES = "uq_webhook_messages_request_id_sequence_type"
IS_UNNUMBERED = "type = 'fhir.notification' AND number IS NULL AND state <> 'dropped'"


def upgrade() -> None:
    _add()
    with op.get_context().autocommit_block():
        make_index(f"{OF_MESSAGES}_part", "webhook_messages", ["request_id", "sequence", "type", "part"], unique=True)
        _exchange()
        make_index(
            *("uq_webhook_deliveries_number", "webhook_deliveries", ["endpoint_id", "number"]),
            where="number IS NOT NULL",
            unique=True,
        )
        make_index(
            *("ix_webhook_deliveries_unnumbered", "webhook_deliveries", ["endpoint_id", "message_id"]),
            where=IS_UNNUMBERED,
        )


def _add() -> None:
    """What rewrites no row, and the little that there is of endpoints. It stays where an index was broken off, and is there then
    when this is done again.
    """
    op.execute(
        "ALTER TABLE webhook_endpoints ADD COLUMN IF NOT EXISTS account_id uuid "
        "CONSTRAINT fk_webhook_endpoints_account_id REFERENCES service_accounts (account_id)"
    )
    op.create_index("ix_webhook_endpoints_account_id", "webhook_endpoints", ["account_id"], if_not_exists=True)
    op.execute(f"ALTER TABLE webhook_endpoints DROP CONSTRAINT IF EXISTS {OF_ENDPOINTS}")
    op.create_index(
        *(OF_ENDPOINTS, "webhook_endpoints", ["clinic_id", "url"]),
        unique=True,
        postgresql_where=sa.text("account_id IS NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "subscriptions",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("filters", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("content", NAME, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("heartbeat_seconds", sa.Integer(), nullable=True),
        sa.Column("timeout_seconds", sa.Integer(), nullable=True),
        sa.Column("max_count", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("state", NAME, nullable=False),
        sa.Column("disabled_reason", NAME, nullable=True),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_heartbeat_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_subscriptions_endpoint_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_subscriptions"),
        if_not_exists=True,
    )
    op.create_index(
        *("ix_subscriptions_next_heartbeat_at", "subscriptions", ["next_heartbeat_at"]),
        postgresql_where=sa.text("next_heartbeat_at IS NOT NULL"),
        if_not_exists=True,
    )
    part = sa.Column("part", sa.SmallInteger(), server_default="0", nullable=False)
    op.add_column("webhook_messages", part, if_not_exists=True)
    op.add_column("webhook_deliveries", sa.Column("number", sa.BigInteger(), nullable=True), if_not_exists=True)


def _exchange() -> None:
    """The index becomes the constraint, which takes no time; where it is one already, this was broken off after that."""
    name = f"{OF_MESSAGES}_part"
    is_there = sa.text("SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = :name)").bindparams(name=name)
    if not op.get_bind().scalar(is_there):
        op.execute(f"ALTER TABLE webhook_messages ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")
    op.execute(f"ALTER TABLE webhook_messages DROP CONSTRAINT IF EXISTS {OF_MESSAGES}")


def downgrade() -> None:
    """Subscriptions end: the version before knows neither them nor what waits for them."""
    of_subscriptions = "SELECT id FROM webhook_endpoints WHERE account_id IS NOT NULL"
    op.execute(f"DELETE FROM webhook_endpoints WHERE id IN ({of_subscriptions})")  # noqa: S608 - words of ours
    op.execute("DELETE FROM webhook_messages WHERE type LIKE 'fhir.%'")
    op.drop_index("ix_webhook_deliveries_unnumbered", "webhook_deliveries")
    op.drop_index("uq_webhook_deliveries_number", "webhook_deliveries")
    op.drop_column("webhook_deliveries", "number")
    op.create_unique_constraint(OF_MESSAGES, "webhook_messages", ["request_id", "sequence", "type"])
    op.drop_constraint(f"{OF_MESSAGES}_part", "webhook_messages")
    op.drop_column("webhook_messages", "part")
    op.drop_table("subscriptions")
    op.drop_index(OF_ENDPOINTS, "webhook_endpoints")
    op.create_unique_constraint(OF_ENDPOINTS, "webhook_endpoints", ["clinic_id", "url"])
    op.drop_index("ix_webhook_endpoints_account_id", "webhook_endpoints")
    op.drop_column("webhook_endpoints", "account_id")
