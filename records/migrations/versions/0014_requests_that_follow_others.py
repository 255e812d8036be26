"""The request that a request follows."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("earlier_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_requests_earlier_id"), "requests", "requests", ["earlier_id"], ["id"])
    op.create_index(
        "ix_requests_earlier", "requests", ["earlier_id"], postgresql_where=sa.text("earlier_id IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_column("requests", "earlier_id")
