"""Service accounts, by which a clinic's systems call; and in whose name they did what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
_WHO = (("commands", "system_id"), ("requests", "system_id"), ("access_log", "for_account_id"))


def upgrade() -> None:
    op.add_column("accounts", sa.Column("kind", sa.String(64), server_default="person", nullable=False))
    op.create_table(
        "service_accounts",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("scopes", ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("last_address", sa.Text(), nullable=True),
        sa.Column("warned_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_accounts_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_service_accounts"),
    )
    op.create_index("ix_service_accounts_expires", "service_accounts", ["expires_at"])
    op.create_table(
        "service_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_secrets_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_service_secrets"),
        sa.UniqueConstraint("sha256", name="uq_service_secrets_sha256"),
    )
    op.create_index("ix_service_secrets_account_id", "service_secrets", ["account_id"])
    for table, column in _WHO:
        op.add_column(table, sa.Column(column, sa.Uuid(), nullable=True))
        # Of rows that are there already, none names anybody: they need not be read.
        name = f"fk_{table}_{column}"
        op.create_foreign_key(name, table, "accounts", [column], ["id"], postgresql_not_valid=True)


def downgrade() -> None:
    for table, column in reversed(_WHO):
        op.drop_column(table, column)
    op.drop_table("service_secrets")
    op.drop_table("service_accounts")
    op.drop_column("accounts", "kind")
