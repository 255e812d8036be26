"""Links by which a telephone sends photos, and which photos came by one."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("phone_link_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_attachments_phone_link",
        "attachments",
        ["phone_link_id"],
        postgresql_where=sa.text("phone_link_id IS NOT NULL"),
    )
    op.create_table(
        "phone_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("code_sha256", sa.Text(), nullable=False),
        sa.Column("device_sha256", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_phone_links_account_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_phone_links_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_phone_links"),
        sa.UniqueConstraint("code_sha256", name="uq_phone_links_code_sha256"),
        sa.UniqueConstraint("device_sha256", name="uq_phone_links_device_sha256"),
    )
    op.create_index("ix_phone_links_ends_at", "phone_links", ["ends_at"])
    op.create_index("ix_phone_links_request", "phone_links", ["request_id", "account_id", "id"])


def downgrade() -> None:
    op.drop_table("phone_links")
    op.drop_index("ix_attachments_phone_link", "attachments")
    op.drop_column("attachments", "phone_link_id")
