"""Every version of a service offering that was ever in force. The first start of the API adds those of today."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "offering_versions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", "version", name="pk_offering_versions"),
    )
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON offering_versions EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_table("offering_versions")
