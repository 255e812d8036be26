"""Partners, whose systems send requests as messages; the messages; and what a request that came so says besides its form."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

SEALED = (("partner_messages", "answer"), ("received_requests", "content"))
"""Objects that are kept sealed: nothing is written beside what is."""


def upgrade() -> None:
    # constant: rewrites no row
    op.add_column("requests", sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "partners",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("liaison_id", sa.Uuid(), nullable=False),
        sa.Column("dispatch_clinic_id", sa.Uuid(), nullable=False),
        sa.Column("event_system", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("default_offering", sa.Text(), nullable=True),
        sa.Column("offerings", JSONB(), nullable=False),
        sa.Column("licence_systems", ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_partners"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_partners_account_id_accounts"),
        sa.ForeignKeyConstraint(["liaison_id"], ["accounts.id"], name="fk_partners_liaison_id_accounts"),
        sa.ForeignKeyConstraint(["dispatch_clinic_id"], ["clinics.id"], name="fk_partners_dispatch_clinic_id_clinics"),
    )
    op.create_table(
        "partner_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", JSONB(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_partner_messages"),
        sa.ForeignKeyConstraint(["partner_id"], ["accounts.id"], name="fk_partner_messages_partner_id_accounts"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name="fk_partner_messages_request_id_requests", ondelete="SET NULL"
        ),
    )
    op.create_index(
        "ux_partner_messages_taken",
        "partner_messages",
        ["partner_id", "message_id"],
        unique=True,
        postgresql_where=sa.text("NOT refused"),
    )
    op.create_index("ix_partner_messages_request_id", "partner_messages", ["request_id"])
    op.create_index("ix_partner_messages_partner_id_received_at", "partner_messages", ["partner_id", "received_at"])
    op.create_index(
        "ix_partner_messages_refused",
        "partner_messages",
        ["partner_id", "content_sha256"],
        postgresql_where=sa.text("refused"),
    )
    op.create_table(
        "received_requests",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("content", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_received_requests"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name="fk_received_requests_request_id_requests", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["accounts.id"], name="fk_received_requests_partner_id_accounts"),
    )
    op.create_index("ix_received_requests_partner_id_order_id", "received_requests", ["partner_id", "order_id"])
    for table, column in SEALED:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{column}_sealed CHECK "
            f"(NOT {column} ? 'relais:sealed' OR {column} - ARRAY['relais:sealed'] = '{{}}')"
        )


def downgrade() -> None:
    op.drop_table("received_requests")
    op.drop_table("partner_messages")
    op.drop_table("partners")
    op.drop_column("requests", "is_test")
