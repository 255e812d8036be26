"""On which page of a document a mark is; what was drawn until now is on photos, which have one."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("marks", sa.Column("page", sa.Integer(), server_default="1", nullable=False))


def downgrade() -> None:
    op.drop_column("marks", "page")
