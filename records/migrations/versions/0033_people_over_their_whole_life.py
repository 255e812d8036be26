"""Accounts that change, rest and end; invitations and forgotten passwords; what was done about each."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _link() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_hashes", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("voice_hash", sa.Text(), nullable=True),
        sa.Column("wrong_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
    ]


def upgrade() -> None:
    op.add_column("accounts", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    for column in ("last_used_at", "reviewed_at", "left_at"):
        op.add_column("accounts", sa.Column(column, MOMENT, nullable=True))
    op.execute(_LAST_SIGN_IN)
    op.create_table(
        "invitations",
        *_link(),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=True),
        sa.Column("creation_key", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("given_name", "family_name", "title", "profession", "licence_number", "email", "language")
        ),
        sa.Column("roles", ARRAY(sa.Text()), nullable=False),
        sa.Column("offerings", ARRAY(sa.Text()), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_invitations_clinic_id_clinics"),
        sa.ForeignKeyConstraint(["invited_by"], ["accounts.id"], name="fk_invitations_invited_by_accounts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_invitations_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("invited_by", "creation_key", name="uq_invitations_invited_by_creation_key"),
    )
    op.create_index("ix_invitations_clinic_id", "invitations", ["clinic_id"])
    op.create_table(
        "password_resets",
        *_link(),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_password_resets_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_password_resets"),
    )
    op.create_index("ix_password_resets_account_id", "password_resets", ["account_id"])
    op.create_table(
        "forgotten_password_asks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("typed_sha256", sa.Text(), nullable=False),
        sa.Column("address_sha256", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_forgotten_password_asks"),
    )
    for column in ("typed_sha256", "address_sha256", "at"):
        op.create_index(f"ix_forgotten_password_asks_{column}", "forgotten_password_asks", [column])
    op.create_table(
        "account_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("link_id", sa.Uuid(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("name", "address", "language")),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_account_letters_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_account_letters"),
    )
    for column in ("account_id", "link_id"):
        op.create_index(f"ix_account_letters_{column}", "account_letters", [column])
    op.create_index(
        "ix_account_letters_queued", "account_letters", ["created_at"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_table(
        "account_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("invitation_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("changes", JSONB(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("side", sa.String(64), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_account_events_clinic_id_clinics"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_account_events_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitations.id"], name="fk_account_events_invitation_id_invitations"
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["accounts.id"], name="fk_account_events_actor_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_account_events"),
    )
    op.create_index("ix_account_events_account", "account_events", ["account_id", "id"])
    op.create_index("ix_account_events_clinic", "account_events", ["clinic_id", "id"])
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON account_events EXECUTE FUNCTION refuse_change()"
    )


_LAST_SIGN_IN = """
    UPDATE accounts SET last_used_at = newest.at
    FROM (SELECT account_id, max(created_at) AS at FROM tokens GROUP BY account_id) AS newest
    WHERE newest.account_id = accounts.id
"""
"""Of the accounts that are there, the last sign-in is known, as far back as tokens are kept."""


def downgrade() -> None:
    for table in ("account_events", "account_letters", "forgotten_password_asks", "password_resets", "invitations"):
        op.drop_table(table)
    for column in ("left_at", "reviewed_at", "last_used_at", "version"):
        op.drop_column("accounts", column)
