"""Keys of charts, and frozen rows that may be sealed: what they say stays as it was.

Nothing is sealed by this: `relais seal-records` begins it, and a new installation begins with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

SEALED = {"form_versions": "content", "events": "command", "reports": "content"}
"""Frozen tables, and the column of each that may be sealed once."""

OBJECTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("requests", "form"): (),
    ("events", "command"): ("report_id", "attachment_ids", "form"),
    ("commands", "command"): (),
    ("form_versions", "content"): ("attachments",),
    ("reports", "content"): (),
    ("report_drafts", "answers"): (),
    ("saved_filters", "criteria"): (),
    ("sign_on_attempts", "said"): (),
    ("signing_tickets", "said"): (),
}
"""Objects that are sealed, with the parts that may stand in clear beside what is."""


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_data_keys"),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_all_but_sealing() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            before jsonb; after jsonb; sealed text;
        BEGIN
            IF TG_OP = 'UPDATE' AND current_setting('relais.sealing', true) = 'on' THEN
                IF TG_LEVEL = 'STATEMENT' THEN
                    RETURN NULL;
                END IF;
                before := to_jsonb(OLD); after := to_jsonb(NEW); sealed := TG_ARGV[0];
                IF before - sealed = after - sealed
                    AND NOT before -> sealed ? 'relais:sealed' AND after -> sealed ? 'relais:sealed'
                THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'the rows of % never change', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
        END $$
        """
    )
    for (table, column), beside in OBJECTS.items():
        # A program from before, which knows nothing of this, would write its parts beside what is sealed, and lose them there.
        # Not valid: nothing is sealed yet, and no row need be read for it.
        names = ", ".join(f"'{name}'" for name in ("relais:sealed", *beside))
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{column}_sealed CHECK "
            f"(NOT {column} ? 'relais:sealed' OR {column} - ARRAY[{names}] = '{{}}') NOT VALID"
        )
    for table, column in SEALED.items():
        op.execute(f"DROP TRIGGER frozen ON {table}")
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "EXECUTE FUNCTION refuse_all_but_sealing()"
        )
        op.execute(
            f"CREATE TRIGGER frozen_row BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION refuse_all_but_sealing('{column}')"
        )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM data_keys) THEN "
        "RAISE EXCEPTION 'charts are sealed: without their keys they would be lost'; END IF; END $$"
    )
    for table, column in OBJECTS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{column}_sealed")
    for table in SEALED:
        op.execute(f"DROP TRIGGER frozen_row ON {table}")
        op.execute(f"DROP TRIGGER frozen ON {table}")
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        )
    op.execute("DROP FUNCTION refuse_all_but_sealing()")
    op.drop_table("data_keys")
