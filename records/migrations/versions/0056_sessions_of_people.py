"""From where and with what a session is begun, from now on; and of each a name by which its person ends it."""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # rewrites the table, which holds no more than the sign-ins of a few days; code of the version before gets the default
    op.add_column("tokens", sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")))
    op.add_column("tokens", sa.Column("address", sa.Text()))
    op.add_column("tokens", sa.Column("program", sa.Text()))


def downgrade() -> None:
    for column in ("program", "address", "id"):
        op.drop_column("tokens", column)
