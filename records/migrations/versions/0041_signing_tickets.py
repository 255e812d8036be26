"""Tickets for one signature, by who has just signed in anew at their provider; what of it is kept with what they sign."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "signing_tickets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("used_for", sa.Text(), nullable=False),
        sa.Column("matter_sha256", sa.Text(), nullable=False),
        sa.Column("said", postgresql.JSONB(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("auth_time", MOMENT, nullable=False),
        sa.Column("acr", sa.Text(), nullable=True),
        sa.Column("acrs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("amr", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("given_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("spent_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_signing_tickets"),
    )
    op.create_index("ix_signing_tickets_used_for", "signing_tickets", ["used_for"])
    op.create_index("ix_signing_tickets_expires_at", "signing_tickets", ["expires_at"])
    op.add_column("reports", sa.Column("proof_evidence", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("reports", "proof_evidence")
    op.drop_table("signing_tickets")
