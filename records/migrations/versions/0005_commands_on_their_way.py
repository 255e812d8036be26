"""The ledger of commands, what is closed while one is on its way, and the notices about those that were refused in the end."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0007"
branch_labels = None
depends_on = None

UNIQUE_FOR_EVENTS = "refused_notice_id IS NULL"


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("command", JSONB(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event", sa.String(64), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("edits", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_commands_request_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_commands_account_id"),
        sa.PrimaryKeyConstraint("request_id", "command_id", name="pk_commands"),
    )
    op.create_index(
        "ix_commands_unsettled",
        "commands",
        ["request_id", "number"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.add_column("requests", sa.Column("submission_id", sa.Text(), nullable=True))
    op.add_column("requests", sa.Column("submission_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("requests", sa.Column("signature_id", sa.Text(), nullable=True))
    op.drop_constraint("uq_form_versions_request_id_command_id", "form_versions")
    op.add_column("notices", sa.Column("command_id", sa.Text(), nullable=True))
    _unique_for_events(f"{UNIQUE_FOR_EVENTS} AND command_id IS NULL")
    op.create_index(
        "uq_notices_command",
        "notices",
        ["request_id", "command_id", "account_id"],
        unique=True,
        postgresql_where=sa.text("command_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_notices_command", table_name="notices")
    op.execute("DELETE FROM notices WHERE command_id IS NOT NULL")
    _unique_for_events(UNIQUE_FOR_EVENTS)
    op.drop_column("notices", "command_id")
    op.create_unique_constraint("uq_form_versions_request_id_command_id", "form_versions", ["request_id", "command_id"])
    op.drop_column("requests", "signature_id")
    op.drop_column("requests", "submission_since")
    op.drop_column("requests", "submission_id")
    op.drop_table("commands")


def _unique_for_events(where: str) -> None:
    op.drop_index("uq_notices_event", table_name="notices")
    op.create_index(
        "uq_notices_event",
        "notices",
        ["request_id", "version", "account_id"],
        unique=True,
        postgresql_where=sa.text(where),
    )
