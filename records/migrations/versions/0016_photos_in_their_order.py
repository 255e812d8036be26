"""Photos in the order in which they were sent, or were put since; each with a caption; what shows the same is known."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("position", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE attachments SET position = floor(extract(epoch FROM uploaded_at) * 1000000)")
    op.add_column("attachments", sa.Column("caption", sa.Text(), server_default="", nullable=False))
    op.add_column("attachments", sa.Column("pixels_sha256", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("attachments", "pixels_sha256")
    op.drop_column("attachments", "caption")
    op.drop_column("attachments", "position")
