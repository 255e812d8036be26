"""The root certificates under which documents are signed: known to every process, wherever it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_roots",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_signing_roots"),
    )


def downgrade() -> None:
    op.drop_table("signing_roots")
