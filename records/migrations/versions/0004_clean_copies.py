"""What is known of photos and videos, and the clean copies of them.

Photos from before have their preview only, which stands in for the others. Videos from before are prepared when asked for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attachments", sa.Column("duration_seconds", sa.Float(), nullable=True))
    op.add_column("attachments", sa.Column("sharpness", sa.Float(), nullable=True))
    op.add_column("attachments", sa.Column("warnings", sa.ARRAY(sa.Text()), nullable=False, server_default="{}"))
    op.add_column("attachments", sa.Column("state", sa.String(64), nullable=False, server_default="ready"))
    op.add_column("attachments", sa.Column("thumbnail_key", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("full_key", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("playable_key", sa.Text(), nullable=True))
    op.execute("UPDATE attachments SET state = 'preparing' WHERE kind = 'video'")
    op.alter_column("attachments", "warnings", server_default=None)
    op.alter_column("attachments", "state", server_default=None)


def downgrade() -> None:
    op.drop_column("attachments", "playable_key")
    op.drop_column("attachments", "full_key")
    op.drop_column("attachments", "thumbnail_key")
    op.drop_column("attachments", "state")
    op.drop_column("attachments", "warnings")
    op.drop_column("attachments", "sharpness")
    op.drop_column("attachments", "duration_seconds")
    op.drop_column("attachments", "captured_at")
