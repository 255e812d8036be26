"""What changed in requests, in the order in which the feed tells it: triggers write it down, whatever changes a request.

`horizon` is the transaction that wrote the row, or that of the request's row before, where this is greater: so a request's rows
stand in their order, and all rows before the oldest transaction under way are there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("event", sa.String(64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_clinic_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("roles_before", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.PrimaryKeyConstraint("id", name="pk_request_changes"),
    )
    op.create_index("ix_request_changes_horizon", "request_changes", ["horizon", "id"])
    op.create_index("ix_request_changes_request", "request_changes", ["request_id", "horizon"])
    op.create_index("ix_request_changes_noted", "request_changes", ["noted_at"])
    op.create_table(
        "change_logs",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("forgotten_horizon", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_logs"),
    )
    # The rows of one request are written under its lock. Those from another server, of which this is a copy, count for nothing.
    op.execute(
        """
        CREATE FUNCTION note_change(
            of_kind text, of_request uuid, at_sequence integer, to_version integer, by_event text, happened timestamptz,
            left_clinic uuid, of_account uuid, had_roles text[]
        ) RETURNS void LANGUAGE sql AS $$
            INSERT INTO request_changes
                (horizon, kind, request_id, sequence, version, event, at, left_clinic_id, account_id, roles_before)
            SELECT
                greatest(pg_current_xact_id()::text::bigint, (
                    SELECT max(horizon) FROM request_changes
                    WHERE request_id = of_request
                        AND horizon < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                )),
                of_kind, of_request, at_sequence, to_version, by_event, happened, left_clinic, of_account, had_roles
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION note_event_as_change() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            had uuid := (NEW.holder_before ->> 'clinic_id')::uuid;
        BEGIN
            PERFORM note_change(
                'event', NEW.request_id, NEW.version, NEW.version + edits, NEW.name, NEW.at,
                CASE WHEN had NOT IN (
                    requester_clinic_id, dispatch_clinic_id, coalesce((NEW.holder ->> 'clinic_id')::uuid, dispatch_clinic_id)
                ) THEN had END,
                NULL, NULL
            ) FROM requests WHERE id = NEW.request_id;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION note_form_as_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                PERFORM note_change(
                    'gone', OLD.id, NULL, NULL, NULL, clock_timestamp(), NULL, OLD.requester_id, NULL
                );
            ELSE
                DELETE FROM request_changes WHERE request_id = NEW.id AND kind = 'edited';
                PERFORM note_change(
                    CASE TG_OP WHEN 'INSERT' THEN 'begun' ELSE 'edited' END,
                    NEW.id, NULL, NEW.process_version + NEW.edits, NULL, NEW.updated_at, NULL, NULL, NULL
                );
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION note_roles_as_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM note_change('seen', NULL, NULL, NULL, NULL, clock_timestamp(), NULL, NEW.id, OLD.roles);
            RETURN NULL;
        END $$
        """
    )
    op.execute("CREATE TRIGGER note_change AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION note_event_as_change()")
    op.execute(
        "CREATE TRIGGER note_form AFTER INSERT OR DELETE ON requests "
        "FOR EACH ROW EXECUTE FUNCTION note_form_as_change()"
    )
    op.execute(
        "CREATE TRIGGER note_edit AFTER UPDATE ON requests FOR EACH ROW "
        "WHEN (OLD.edits IS DISTINCT FROM NEW.edits) EXECUTE FUNCTION note_form_as_change()"
    )
    op.execute(
        "CREATE TRIGGER note_roles AFTER UPDATE ON accounts FOR EACH ROW "
        "WHEN (OLD.roles IS DISTINCT FROM NEW.roles) EXECUTE FUNCTION note_roles_as_change()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER note_roles ON accounts")
    for trigger in ("note_edit", "note_form"):
        op.execute(f"DROP TRIGGER {trigger} ON requests")
    op.execute("DROP TRIGGER note_change ON events")
    for function in ("note_roles_as_change", "note_form_as_change", "note_event_as_change"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP FUNCTION note_change(text, uuid, integer, integer, text, timestamptz, uuid, uuid, text[])")
    op.drop_table("change_logs")
    op.drop_table("request_changes")
