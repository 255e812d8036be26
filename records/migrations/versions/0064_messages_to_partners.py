"""Messages to partners: where each is told of its requests, and the messages, written with the events that they tell."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0064"
down_revision = "0060"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NAME = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "partner_endpoints",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("documents", NAME, nullable=False),
        sa.Column("authorization", NAME, nullable=False),
        sa.Column("token_url", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("token_scope", sa.Text(), nullable=True),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("public_key", JSONB(), nullable=True),
        sa.Column("state", NAME, nullable=False),
        sa.Column("disabled_reason", NAME, nullable=True),
        sa.Column("verified_at", MOMENT, nullable=True),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("version", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_partner_endpoints"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_partner_endpoints_account_id_accounts"),
    )
    op.create_table(
        "told_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("event", NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt", MOMENT, nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("answered", sa.Text(), nullable=True),
        sa.Column("told_to", sa.Text(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_told_messages"),
        sa.ForeignKeyConstraint(["partner_id"], ["accounts.id"], name="fk_told_messages_partner_id_accounts"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_told_messages_request_id_requests"),
        sa.UniqueConstraint("request_id", "sequence", "part", name="uq_told_messages_request_id_sequence_part"),
    )
    op.create_index("ix_told_messages_partner", "told_messages", ["partner_id", "id"])
    op.create_index(
        "ix_told_messages_waiting",
        "told_messages",
        ["partner_id", "next_attempt", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_told_messages_claimed",
        "told_messages",
        ["partner_id"],
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("told_messages")
    op.drop_table("partner_endpoints")
