"""What clinics' systems call requests by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_references",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("system_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("hashed_with", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "system_id", name="pk_request_references"),
        sa.UniqueConstraint("system_id", "hash", name="uq_request_references_system_id_hash"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name="fk_request_references_request_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["system_id"], ["accounts.id"], name="fk_request_references_system_id"),
    )
    op.create_index("ix_request_references_hash", "request_references", ["hash"])


def downgrade() -> None:
    op.drop_table("request_references")
