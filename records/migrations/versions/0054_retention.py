"""Retention: policies of clinics, holds, lists of what is over its time, and what is left of what was destroyed.

Rows of the chart may go where the tombstone of their request stands, and no data key is made there any more. Code of the version
before destroys nothing, and runs on beside it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

CHART = {
    "form_versions": "refuse_all_but_sealing",
    "events": "refuse_all_but_sealing",
    "reports": "refuse_all_but_sealing",
}
CHART |= {"documents": "refuse_change"}
"""Frozen tables with rows of requests, and what keeps them until now."""

PROOF = ("destroyed_requests", "retention_certificates", "retention_papers")
"""What never changes from the beginning."""


def upgrade() -> None:
    op.add_column(
        "clinics",
        sa.Column(
            "retention",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'::jsonb"),
        ),
    )
    op.add_column("marks", sa.Column("sealed_for", sa.Uuid(), nullable=True))
    _make_tables()
    op.execute(
        """
        CREATE FUNCTION refuse_all_but_destroying() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('relais.destroying', true) = 'on' THEN
                IF TG_LEVEL = 'STATEMENT' THEN
                    RETURN NULL;
                END IF;
                IF EXISTS (SELECT FROM destroyed_requests WHERE request_id = OLD.request_id) THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION 'the rows of % never change', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
        END $$
        """
    )
    for table, kept_by in CHART.items():
        op.execute(f"DROP TRIGGER frozen ON {table}")
        op.execute(f"CREATE TRIGGER frozen BEFORE UPDATE OR TRUNCATE ON {table} EXECUTE FUNCTION {kept_by}()")
        op.execute(f"CREATE TRIGGER frozen_all BEFORE DELETE ON {table} EXECUTE FUNCTION refuse_all_but_destroying()")
        op.execute(
            f"CREATE TRIGGER frozen_each BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_destroying()"
        )
    for table in PROOF:
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        """
        CREATE FUNCTION make_no_key_of_destroyed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM destroyed_requests WHERE request_id = NEW.owner_id OR key_owners @> ARRAY[NEW.owner_id]
            ) THEN
                RETURN NULL;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER none_of_destroyed BEFORE INSERT ON data_keys "
        "FOR EACH ROW EXECUTE FUNCTION make_no_key_of_destroyed()"
    )


def _make_tables() -> None:
    op.create_table(
        "retention_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("whole_patient", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_retention_holds_request_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_retention_holds_clinic_id"),
        sa.ForeignKeyConstraint(["set_by"], ["accounts.id"], name="fk_retention_holds_set_by"),
        sa.ForeignKeyConstraint(["lifted_by"], ["accounts.id"], name="fk_retention_holds_lifted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_retention_holds"),
    )
    op.create_index("ix_retention_holds_request_id", "retention_holds", ["request_id"])
    op.create_index(
        "ix_retention_holds_clinic", "retention_holds", ["clinic_id"], postgresql_where=sa.text("lifted_at IS NULL")
    )
    op.create_table(
        "retention_lists",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("policy", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_retention_lists_clinic_id"),
        sa.ForeignKeyConstraint(["approved_by"], ["accounts.id"], name="fk_retention_lists_approved_by"),
        sa.PrimaryKeyConstraint("id", name="pk_retention_lists"),
    )
    op.create_index("ix_retention_lists_clinic", "retention_lists", ["clinic_id", "id"])
    op.create_index(
        "uq_retention_lists_waiting",
        "retention_lists",
        ["clinic_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_retention_lists_approved", "retention_lists", ["id"], postgresql_where=sa.text("state = 'approved'")
    )
    op.create_table(
        "retention_entries",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("offering", sa.Text(), nullable=False),
        sa.Column("last_entry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_until", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=True),
        sa.Column("kept_because", sa.String(64), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["retention_lists.id"], name="fk_retention_entries_list_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("list_id", "request_id", name="pk_retention_entries"),
    )
    op.create_table(
        "destroyed_requests",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("clinic_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("document_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("document_digests", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("key_owners", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["retention_lists.id"], name="fk_destroyed_requests_list_id"),
        sa.PrimaryKeyConstraint("request_id", name="pk_destroyed_requests"),
        sa.UniqueConstraint("number", name="uq_destroyed_requests_number"),
    )
    op.create_index("ix_destroyed_requests_list_id", "destroyed_requests", ["list_id"])
    for name, column in (("digests", "document_digests"), ("documents", "document_ids"), ("key_owners", "key_owners")):
        op.create_index(f"ix_destroyed_requests_{name}", "destroyed_requests", [column], postgresql_using="gin")
    op.create_table(
        "retention_certificates",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["retention_lists.id"], name="fk_retention_certificates_list_id"),
        sa.PrimaryKeyConstraint("list_id", name="pk_retention_certificates"),
    )
    op.create_table(
        "retention_papers",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("pdf_sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["retention_certificates.list_id"], name="fk_retention_papers_list_id"),
        sa.PrimaryKeyConstraint("list_id", name="pk_retention_papers"),
    )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM destroyed_requests) THEN "
        "RAISE EXCEPTION 'requests were destroyed: what proves it would be lost'; END IF; END $$"
    )
    for table, kept_by in CHART.items():
        for trigger in ("frozen", "frozen_all", "frozen_each"):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION {kept_by}()")
    op.execute("DROP FUNCTION refuse_all_but_destroying()")
    op.execute("DROP TRIGGER none_of_destroyed ON data_keys")
    op.execute("DROP FUNCTION make_no_key_of_destroyed()")
    for table in (
        "retention_papers",
        "retention_certificates",
        "destroyed_requests",
        "retention_entries",
        "retention_lists",
        "retention_holds",
    ):
        op.drop_table(table)
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM marks WHERE sealed_for IS NOT NULL) THEN "
        "RAISE EXCEPTION 'labels of marks are sealed with keys of requests: no older version opens them'; END IF; END $$"
    )
    op.drop_column("marks", "sealed_for")
    op.drop_column("clinics", "retention")
