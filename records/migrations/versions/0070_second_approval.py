"""Who else approved that a request is destroyed: what is restricted within its clinic is not destroyed without, nor that of which
a hold was lifted on the command line (`lifted_side`).

Code of the version before destroys without asking for it, takes an approval back without the second one, and can't read the new
values of its lists and e-mails: end its workers and its API first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("retention_entries", sa.Column("seconded_by", sa.Uuid(), nullable=True))
    op.add_column("retention_entries", sa.Column("seconded_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key("fk_retention_entries_seconded_by", "retention_entries", "accounts", ["seconded_by"], ["id"])
    op.add_column("retention_holds", sa.Column("lifted_side", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("retention_holds", "lifted_side")
    for column in ("seconded_by", "seconded_at"):
        op.drop_column("retention_entries", column)
