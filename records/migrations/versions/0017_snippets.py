"""Texts that people and clinics use again."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snippets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("used_for", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("offering", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(account_id IS NULL) <> (clinic_id IS NULL)", name=op.f("ck_snippets_somebodys")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_snippets_account_id")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name=op.f("fk_snippets_clinic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snippets")),
        sa.UniqueConstraint(
            "account_id", "used_for", "language", "name", name=op.f("uq_snippets_account_id_used_for_language_name")
        ),
        sa.UniqueConstraint(
            "clinic_id", "used_for", "language", "name", name=op.f("uq_snippets_clinic_id_used_for_language_name")
        ),
    )


def downgrade() -> None:
    op.drop_table("snippets")
