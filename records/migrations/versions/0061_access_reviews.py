"""Reviews of accesses: what is to be looked at of each month, what was said of it, and who signed it off.

Tables to which rows are only added; of a finding the rule is forgotten when its request is destroyed. Code of the version before
makes no review, and runs on beside it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0061"
down_revision = "0063"
branch_labels = None
depends_on = None

FROZEN = ("access_reviews", "access_sign_offs")


def upgrade() -> None:
    op.create_table(
        "access_reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accesses", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_access_reviews_clinic_id"),
        sa.PrimaryKeyConstraint("id", name="pk_access_reviews"),
        sa.UniqueConstraint("clinic_id", "month", name="uq_access_reviews_clinic_id_month"),
    )
    op.create_table(
        "access_findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entries", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["access_reviews.id"], name="fk_access_findings_review_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_access_findings_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_access_findings"),
    )
    op.create_index("ix_access_findings_review", "access_findings", ["review_id", "id"])
    op.create_index(
        *("ix_access_findings_request", "access_findings", ["request_id"]),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "access_verdicts",
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("note", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("about_self", sa.Boolean(), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["access_findings.id"], name="fk_access_verdicts_finding_id"),
        sa.ForeignKeyConstraint(["review_id"], ["access_reviews.id"], name="fk_access_verdicts_review_id"),
        sa.ForeignKeyConstraint(["given_by"], ["accounts.id"], name="fk_access_verdicts_given_by"),
        sa.PrimaryKeyConstraint("finding_id", "number", name="pk_access_verdicts"),
    )
    op.execute(
        "ALTER TABLE access_verdicts ADD CONSTRAINT ck_access_verdicts_note_sealed CHECK "
        "(NOT note ? 'relais:sealed' OR note - ARRAY['relais:sealed'] = '{}')"
    )
    op.create_index("ix_access_verdicts_review_id", "access_verdicts", ["review_id"])
    op.create_table(
        "access_sign_offs",
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("verdicts", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("about_self", sa.Integer(), nullable=False),
        sa.Column("signed_by", sa.Uuid(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["access_reviews.id"], name="fk_access_sign_offs_review_id"),
        sa.ForeignKeyConstraint(["signed_by"], ["accounts.id"], name="fk_access_sign_offs_signed_by"),
        sa.PrimaryKeyConstraint("review_id", "number", name="pk_access_sign_offs"),
    )
    for table in FROZEN:
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        """
        CREATE FUNCTION refuse_all_but_forgetting_why() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND current_setting('relais.destroying', true) = 'on' THEN
                IF TG_LEVEL = 'STATEMENT' THEN
                    RETURN NULL;
                END IF;
                IF to_jsonb(OLD) - 'rule' = to_jsonb(NEW) - 'rule' AND NEW.rule = 'looked_at_destroyed'
                    AND EXISTS (SELECT FROM destroyed_requests WHERE request_id = OLD.request_id)
                THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'the rows of % never change', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON access_findings "
        "EXECUTE FUNCTION refuse_all_but_forgetting_why()"
    )
    op.execute(
        "CREATE TRIGGER frozen_row BEFORE UPDATE ON access_findings "
        "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_forgetting_why()"
    )
    op.execute(
        "CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON access_verdicts "
        "EXECUTE FUNCTION refuse_all_but_sealing()"
    )
    op.execute(
        "CREATE TRIGGER frozen_row BEFORE UPDATE ON access_verdicts "
        "FOR EACH ROW EXECUTE FUNCTION refuse_all_but_sealing('note')"
    )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM access_sign_offs) THEN "
        "RAISE EXCEPTION 'months were signed off: what proves it would be lost'; END IF; END $$"
    )
    for table in ("access_sign_offs", "access_verdicts", "access_findings", "access_reviews"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_all_but_forgetting_why()")
