"""The certificates that people have signed with, and which of them are revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("signing_roots", sa.Column("revocation_list", sa.LargeBinary(), nullable=True))
    op.create_table(
        "signing_certificates",
        sa.Column("root_sha256", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revocation_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["root_sha256"], ["signing_roots.sha256"], name="fk_signing_certificates_root_sha256"),
        sa.ForeignKeyConstraint(["signer_id"], ["accounts.id"], name="fk_signing_certificates_signer_id"),
        sa.PrimaryKeyConstraint("root_sha256", "serial_number", name="pk_signing_certificates"),
    )
    op.create_index("ix_signing_certificates_signer_id", "signing_certificates", ["signer_id"])


def downgrade() -> None:
    op.drop_table("signing_certificates")
    op.drop_column("signing_roots", "revocation_list")
