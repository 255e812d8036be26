"""How the directory of an organization names somebody."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("external_id", sa.Text(), nullable=True))
    op.create_unique_constraint("uq_accounts_external_id", "accounts", ["clinic_id", "external_id"])


def downgrade() -> None:
    op.drop_constraint("uq_accounts_external_id", "accounts")
    op.drop_column("accounts", "external_id")
