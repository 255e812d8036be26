"""What the virus scanner said of attachments: those that are there count as not scanned. Code of the version before runs beside
it; what it takes is not scanned. The index of those that wait is made while others read and write.
"""

import sqlalchemy as sa
from alembic import op

from records.migrations.beside import make_index

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None


STATES = "scan IN ('pending', 'infected')"


def upgrade() -> None:
    _add_columns()
    with op.get_context().autocommit_block():
        make_index("ix_attachments_scan", "attachments", ["scan", "scan_due_at"], where=STATES)


def _add_columns() -> None:
    """Constants, which rewrite no row. They stay where the index was broken off, and are there then when this is done again."""
    for column in (
        sa.Column("scan", sa.String(64), nullable=False, server_default="not_scanned"),
        sa.Column("scan_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scan_tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scan_engine", sa.Text(), nullable=True),
        sa.Column("scan_finding", sa.Text(), nullable=True),
    ):
        op.add_column("attachments", column, if_not_exists=True)


def downgrade() -> None:
    for name in ("scan_finding", "scan_engine", "scanned_at", "scan_tries", "scan_due_at", "scan"):
        op.drop_column("attachments", name)
