"""Webhooks: where clinics want to hear of events, what they are told, and what became of each call."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NAME = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("disabled_reason", NAME, nullable=True),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("sealed_older_secret", sa.Text(), nullable=True),
        sa.Column("older_ends_at", MOMENT, nullable=True),
        sa.Column("verified_at", MOMENT, nullable=True),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_webhook_endpoints_clinic_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("clinic_id", "url", name="uq_webhook_endpoints_clinic_id_url"),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_webhook_messages_request_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_webhook_messages_clinic_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_messages"),
        sa.UniqueConstraint("request_id", "sequence", "type", name="uq_webhook_messages_request_id_sequence_type"),
    )
    op.create_index(
        "ix_webhook_messages_with_data", "webhook_messages", ["at"], postgresql_where=sa.text("data IS NOT NULL")
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("type", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt", MOMENT, nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["webhook_messages.id"], name="fk_webhook_deliveries_message_id"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_webhook_deliveries_endpoint_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", "endpoint_id", name="pk_webhook_deliveries"),
    )
    _index("endpoint", ["endpoint_id", "message_id"])
    _index("waiting", ["endpoint_id", "next_attempt", "message_id"], "state = 'pending'")
    _index("untried", ["endpoint_id", "request_id", "message_id"], "state = 'pending' AND attempts = 0")
    _index("claimed", ["endpoint_id"], "claimed_by IS NOT NULL")
    _index("failed", ["endpoint_id", "message_id"], "state = 'failed'")
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_webhook_attempts_endpoint_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempts"),
    )
    op.create_index("ix_webhook_attempts_at", "webhook_attempts", ["at"])
    op.create_index("ix_webhook_attempts_delivery", "webhook_attempts", ["endpoint_id", "message_id", "id"])


def _index(name: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns, postgresql_where=condition)


def downgrade() -> None:
    for table in ("webhook_attempts", "webhook_deliveries", "webhook_messages", "webhook_endpoints"):
        op.drop_table(table)
