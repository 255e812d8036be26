"""Subscriptions of FHIR: endpoints of service accounts, and the numbers of the events that each is told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0067"
down_revision = "0064"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NAME = sa.String(64)
OF_ENDPOINTS = "uq_webhook_endpoints_clinic_id_url"
OF_MESSAGES = "uq_webhook_messages_request_id_sequence_type"
IS_UNNUMBERED = "type = 'fhir.notification' AND number IS NULL AND state <> 'dropped'"


def upgrade() -> None:
    op.add_column("webhook_endpoints", sa.Column("account_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        *("fk_webhook_endpoints_account_id", "webhook_endpoints", "service_accounts", ["account_id"], ["account_id"])
    )
    op.create_index("ix_webhook_endpoints_account_id", "webhook_endpoints", ["account_id"])
    op.drop_constraint(OF_ENDPOINTS, "webhook_endpoints")
    of_a_clinic = sa.text("account_id IS NULL")
    op.create_index(OF_ENDPOINTS, "webhook_endpoints", ["clinic_id", "url"], unique=True, postgresql_where=of_a_clinic)
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
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_heartbeat_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_subscriptions_endpoint_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_subscriptions"),
    )
    op.execute(
        "UPDATE webhook_messages SET data = NULL WHERE data = 'null'::jsonb"
    )  # forgotten, as it should have been
    op.add_column("webhook_messages", sa.Column("part", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_unique_constraint(f"{OF_MESSAGES}_part", "webhook_messages", ["request_id", "sequence", "type", "part"])
    op.drop_constraint(OF_MESSAGES, "webhook_messages")
    op.add_column("webhook_deliveries", sa.Column("number", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_webhook_deliveries_number",
        "webhook_deliveries",
        ["endpoint_id", "number"],
        unique=True,
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_index(
        "ix_webhook_deliveries_unnumbered",
        "webhook_deliveries",
        ["endpoint_id", "message_id"],
        postgresql_where=sa.text(IS_UNNUMBERED),
    )


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
