"""Absences of people; since when a request waits for its holder; which version of a request was looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("creation_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("starts_on <= ends_on", name="ck_absences_days"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_absences_account_id"),
        sa.ForeignKeyConstraint(["created_by"], ["accounts.id"], name="fk_absences_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_absences"),
        sa.UniqueConstraint(
            "account_id", "created_by", "creation_key", name="uq_absences_account_id_created_by_creation_key"
        ),
    )
    op.create_index("ix_absences_account", "absences", ["account_id", "ends_on"])

    op.add_column("requests", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE requests SET waiting_since = greatest(created_at, (
            SELECT max(at) FROM events WHERE request_id = requests.id AND holder <> holder_before
        ))
        """
    )
    op.alter_column("requests", "waiting_since", nullable=False)

    op.add_column("access_log", sa.Column("version", sa.Integer(), nullable=True))
    op.execute("ALTER TABLE access_log DISABLE TRIGGER frozen")  # what was seen is only made explicit
    op.execute(
        """
        UPDATE access_log SET version = coalesce((
            SELECT max(version) FROM events WHERE request_id = access_log.request_id AND recorded_at <= access_log.at
        ), 0)
        """
    )
    op.execute("ALTER TABLE access_log ENABLE TRIGGER frozen")
    op.alter_column("access_log", "version", nullable=False)
    op.create_index(
        "ix_access_log_opened",
        "access_log",
        ["account_id", "request_id", "version"],
        postgresql_where=sa.text("kind = 'request'"),
    )


def downgrade() -> None:
    op.drop_index("ix_access_log_opened", "access_log")
    op.drop_column("access_log", "version")
    op.drop_column("requests", "waiting_since")
    op.drop_table("absences")
