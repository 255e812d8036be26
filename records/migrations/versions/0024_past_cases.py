"""The way to the final reports that somebody has signed."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_documents_signer",
        "documents",
        ["signer_id", "signed_at", "report_id"],
        postgresql_where=sa.text("kind = 'final'"),
    )


def downgrade() -> None:
    op.drop_index("ix_documents_signer", "documents")
