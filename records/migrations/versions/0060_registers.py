"""The registers of clinics: incidents of confidentiality, version by version, and communications that are entered by hand.

Code of the version before knows nothing of these tables, and runs on beside them. The account of the API opens what is of the
caller's clinic in them, as it does of requests (0058).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0060"
down_revision = "0061"
branch_labels = None
depends_on = None

HOUSE = "00000000-0000-0000-0000-000000000000"

OF_REQUESTS = f"""
    owner_id = '{HOUSE}'
    OR EXISTS (
        SELECT FROM request_parties AS p
        WHERE p.request_id = owner_id AND p.clinic_id = (SELECT acting_clinic())
    )
    OR EXISTS (
        SELECT FROM uploads AS u JOIN request_parties AS p ON p.request_id = u.request_id
        WHERE u.id = owner_id AND p.clinic_id = (SELECT acting_clinic())
    )
    OR EXISTS (
        SELECT FROM partner_messages AS m JOIN accounts AS a ON a.id = m.partner_id
        WHERE m.id = owner_id AND a.clinic_id = (SELECT acting_clinic())
    )
"""  # noqa: S608
"""Whose keys were opened before, as 0058 says it."""

OF_REGISTERS = """
    OR owner_id = (SELECT acting_clinic())
    OR EXISTS (SELECT FROM incidents AS i WHERE i.id = owner_id AND i.clinic_id = (SELECT acting_clinic()))
    OR EXISTS (SELECT FROM communications AS c WHERE c.id = owner_id AND c.clinic_id = (SELECT acting_clinic()))
"""
"""And those of a clinic's papers, of its incidents, and of what it entered by hand. None of these is destroyed by the API."""

SEALED = ("incident_versions", "communications")
"""Tables whose `content` is kept sealed: nothing is written beside what is, and it may be sealed once."""


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("creation_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_incidents_clinic_id_clinics"),
        sa.ForeignKeyConstraint(["recorded_by"], ["accounts.id"], name="fk_incidents_recorded_by_accounts"),
        sa.UniqueConstraint("clinic_id", "number", name="uq_incidents_clinic_id_number"),
        sa.UniqueConstraint("recorded_by", "creation_key", name="uq_incidents_recorded_by_creation_key"),
    )
    op.create_table(
        "incident_versions",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "number", name="pk_incident_versions"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_versions_incident_id_incidents"),
        sa.ForeignKeyConstraint(["written_by"], ["accounts.id"], name="fk_incident_versions_written_by_accounts"),
    )
    op.create_table(
        "communications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("given_on", sa.Date(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.Column("written_by", sa.Uuid(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("creation_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_communications"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_communications_clinic_id_clinics"),
        sa.ForeignKeyConstraint(["replaces"], ["communications.id"], name="fk_communications_replaces_communications"),
        sa.ForeignKeyConstraint(["written_by"], ["accounts.id"], name="fk_communications_written_by_accounts"),
        sa.UniqueConstraint("replaces", name="uq_communications_replaces"),
        sa.UniqueConstraint("written_by", "creation_key", name="uq_communications_written_by_creation_key"),
    )
    op.create_index("ix_communications_clinic", "communications", ["clinic_id", "given_on", "id"])
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON incidents EXECUTE FUNCTION refuse_change()"
    )
    for table in SEALED:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_content_sealed CHECK "
            "(NOT content ? 'relais:sealed' OR content - ARRAY['relais:sealed'] = '{}')"
        )
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "EXECUTE FUNCTION refuse_all_but_sealing()"
        )
        op.execute(
            f"CREATE TRIGGER frozen_row BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_sealing('content')"
        )
    _open_to_its_clinics(OF_REQUESTS + OF_REGISTERS)


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM incidents) OR EXISTS (SELECT FROM communications) THEN "
        "RAISE EXCEPTION 'registers were begun: the law asks to keep them'; END IF; END $$"
    )
    _open_to_its_clinics(OF_REQUESTS)
    for table in ("communications", "incident_versions", "incidents"):
        op.drop_table(table)


def _open_to_its_clinics(whose: str) -> None:
    op.execute("DROP POLICY opened_by_its_clinics ON data_keys")
    op.execute(f"CREATE POLICY opened_by_its_clinics ON data_keys FOR SELECT USING ({whose})")
