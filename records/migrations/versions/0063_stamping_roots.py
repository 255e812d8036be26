"""Who vouches for the time stamps of outside services."""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stamping_roots",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_stamping_roots"),
    )


def downgrade() -> None:
    op.drop_table("stamping_roots")
