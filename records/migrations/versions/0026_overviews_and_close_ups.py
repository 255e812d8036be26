"""Photos say whether they are an overview or a close-up."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("view", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("attachments", "view")
