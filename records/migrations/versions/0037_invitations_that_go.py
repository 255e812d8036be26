"""Invitations that are over go after a while; what was done about them keeps only their id."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_NAME = "fk_account_events_invitation_id_invitations"


def upgrade() -> None:
    op.drop_constraint(_NAME, "account_events", type_="foreignkey")


def downgrade() -> None:
    op.create_foreign_key(_NAME, "account_events", "invitations", ["invitation_id"], ["id"], postgresql_not_valid=True)
