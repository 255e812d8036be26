"""Access in an emergency: whether a clinic lets its people have it, what was opened, and what was ended by hand.

Rows are only added, and go with their request. Code of the version before runs beside it while no clinic has turned it on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

TABLES = ("emergency_ends", "emergency_openings")


def upgrade() -> None:
    op.add_column("clinics", sa.Column("emergency", sa.Boolean(), server_default="false", nullable=False))
    op.create_table(
        "emergency_openings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("reason", JSONB(), nullable=False),
        sa.Column("command_id", sa.Uuid(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_emergency_openings_request_id_requests"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_emergency_openings_account_id_accounts"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_emergency_openings_clinic_id_clinics"),
        sa.PrimaryKeyConstraint("id", name="pk_emergency_openings"),
        sa.UniqueConstraint("command_id", name="uq_emergency_openings_command_id"),
    )
    op.create_index("ix_emergency_openings_request_id", "emergency_openings", ["request_id"])
    op.create_index("ix_emergency_openings_account_id", "emergency_openings", ["account_id"])
    op.create_index("ix_emergency_openings_clinic_id", "emergency_openings", ["clinic_id"])
    op.create_index("ix_emergency_openings_begun_at", "emergency_openings", ["begun_at"])
    op.create_table(
        "emergency_ends",
        sa.Column("opening_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("ended_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["opening_id"], ["emergency_openings.id"], name="fk_emergency_ends_opening_id_emergency_openings"
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_emergency_ends_request_id_requests"),
        sa.ForeignKeyConstraint(["ended_by"], ["accounts.id"], name="fk_emergency_ends_ended_by_accounts"),
        sa.PrimaryKeyConstraint("opening_id", name="pk_emergency_ends"),
    )
    op.create_index("ix_emergency_ends_request_id", "emergency_ends", ["request_id"])
    op.execute(
        "ALTER TABLE emergency_openings ADD CONSTRAINT ck_emergency_openings_reason_sealed CHECK "
        "(NOT reason ? 'relais:sealed' OR reason - ARRAY['relais:sealed'] = '{}')"
    )
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR TRUNCATE ON emergency_openings "
        "EXECUTE FUNCTION refuse_all_but_sealing()"
    )
    op.execute(
        "CREATE TRIGGER frozen_row BEFORE UPDATE ON emergency_openings "
        "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_sealing('reason')"
    )
    op.execute("CREATE TRIGGER frozen BEFORE UPDATE OR TRUNCATE ON emergency_ends EXECUTE FUNCTION refuse_change()")
    for table in TABLES:
        op.execute(f"CREATE TRIGGER frozen_all BEFORE DELETE ON {table} EXECUTE FUNCTION refuse_all_but_destroying()")
        op.execute(
            f"CREATE TRIGGER frozen_each BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_destroying()"
        )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM emergency_openings) THEN "
        "RAISE EXCEPTION 'requests were opened in an emergency: why must stay on record'; END IF; END $$"
    )
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("clinics", "emergency")
