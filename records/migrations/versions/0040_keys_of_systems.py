"""Public keys by which clinics' systems sign who they are, and what they get for it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "service_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("public_key", JSONB(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_keys_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_service_keys"),
        sa.UniqueConstraint("account_id", "kid", name="uq_service_keys_account_id_kid"),
    )
    op.create_table(
        "service_tokens",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("scopes", ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_tokens_account_id"),
        sa.ForeignKeyConstraint(["key_id"], ["service_keys.id"], name="fk_service_tokens_key_id"),
        sa.PrimaryKeyConstraint("sha256", name="pk_service_tokens"),
    )
    op.create_index("ix_service_tokens_expires_at", "service_tokens", ["expires_at"])
    op.create_table(
        "service_assertions",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("jti_sha256", sa.Text(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_assertions_account_id"),
        sa.PrimaryKeyConstraint("account_id", "jti_sha256", name="pk_service_assertions"),
    )
    op.create_index("ix_service_assertions_expires_at", "service_assertions", ["expires_at"])


def downgrade() -> None:
    op.drop_table("service_assertions")
    op.drop_table("service_tokens")
    op.drop_table("service_keys")
