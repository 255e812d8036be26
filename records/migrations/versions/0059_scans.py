"""What the virus scanner said of attachments: those that are there count as not scanned. Code of the version before runs beside
it; what it takes is not scanned.
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # constant: rewrites no row
    op.add_column("attachments", sa.Column("scan", sa.String(64), nullable=False, server_default="not_scanned"))
    op.add_column("attachments", sa.Column("scan_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attachments", sa.Column("scan_tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attachments", sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attachments", sa.Column("scan_engine", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("scan_finding", sa.Text(), nullable=True))
    op.create_index(
        "ix_attachments_scan",
        "attachments",
        ["scan", "scan_due_at"],
        postgresql_where=sa.text("scan IN ('pending', 'infected')"),
    )


def downgrade() -> None:
    op.drop_index("ix_attachments_scan", "attachments")
    for name in ("scan_finding", "scan_engine", "scanned_at", "scan_tries", "scan_due_at", "scan"):
        op.drop_column("attachments", name)
