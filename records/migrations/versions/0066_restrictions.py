"""Restrictions at the wish of the person whom a request is about: to whom it is shut, and what does not hold any more.

Rows are only added, and go with their request. Code of the version before knows nothing of them and would open what is shut: end
it before anything is restricted.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

TABLES = ("restriction_ends", "request_restrictions")


def upgrade() -> None:
    op.create_table(
        "request_restrictions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.String(64), nullable=True),
        sa.Column("reason", JSONB(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(account_id IS NULL) <> (clinic_id IS NULL) AND (clinic_id IS NULL) = (role IS NULL)",
            name="ck_request_restrictions_whom",
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_request_restrictions_request_id_requests"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_request_restrictions_account_id_accounts"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_request_restrictions_clinic_id_clinics"),
        sa.ForeignKeyConstraint(["set_by"], ["accounts.id"], name="fk_request_restrictions_set_by_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_request_restrictions"),
    )
    op.create_index("ix_request_restrictions_request_id", "request_restrictions", ["request_id"])
    op.create_index(
        *("ix_request_restrictions_account", "request_restrictions", ["account_id"]),
        postgresql_where=sa.text("account_id IS NOT NULL"),
    )
    op.create_index(
        *("ix_request_restrictions_role", "request_restrictions", ["clinic_id", "role"]),
        postgresql_where=sa.text("clinic_id IS NOT NULL"),
    )
    op.create_table(
        "restriction_ends",
        sa.Column("restriction_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("reason", JSONB(), nullable=False),
        sa.Column("ended_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["restriction_id"],
            ["request_restrictions.id"],
            name="fk_restriction_ends_restriction_id_request_restrictions",
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_restriction_ends_request_id_requests"),
        sa.ForeignKeyConstraint(["ended_by"], ["accounts.id"], name="fk_restriction_ends_ended_by_accounts"),
        sa.PrimaryKeyConstraint("restriction_id", name="pk_restriction_ends"),
    )
    op.create_index("ix_restriction_ends_request_id", "restriction_ends", ["request_id"])
    for table in TABLES:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_reason_sealed CHECK "
            "(NOT reason ? 'relais:sealed' OR reason - ARRAY['relais:sealed'] = '{}')"
        )
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_all_but_sealing()"
        )
        op.execute(
            f"CREATE TRIGGER frozen_row BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_sealing('reason')"
        )
        op.execute(f"CREATE TRIGGER frozen_all BEFORE DELETE ON {table} EXECUTE FUNCTION refuse_all_but_destroying()")
        op.execute(
            f"CREATE TRIGGER frozen_each BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_destroying()"
        )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM request_restrictions) THEN "
        "RAISE EXCEPTION 'requests are restricted: what is shut would be open'; END IF; END $$"
    )
    for table in TABLES:
        op.drop_table(table)
