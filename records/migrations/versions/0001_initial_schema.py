"""The schema of the first version.

Enumerations are stored as text without a check, so a new member needs no migration. What is frozen is kept so by a trigger;
whoever must delete by law (retention, after ten years) disables it in the same transaction.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FROZEN_TABLES = ("form_versions", "events", "reports", "documents", "access_log")


def upgrade() -> None:
    op.create_table(
        "clinics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address_lines", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("routes_to", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clinics"),
        sa.UniqueConstraint("code", name="uq_clinics_code"),
    )
    op.create_table(
        "failed_logins",
        sa.Column("username_sha256", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("username_sha256", name="pk_failed_logins"),
    )
    op.create_table(
        "number_counters",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_number_counters"),
    )
    op.create_table(
        "refused_commands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refused_commands"),
        sa.UniqueConstraint(
            "request_id", "command_id", "name", "at", name="uq_refused_commands_request_id_command_id_name_at"
        ),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("profession", sa.Text(), nullable=False),
        sa.Column("licence_number", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("notice_mode", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_accounts_clinic_id"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("username", name="uq_accounts_username"),
    )
    op.create_index("ix_accounts_clinic_id", "accounts", ["clinic_id"], unique=False)
    op.create_table(
        "failed_effects",
        sa.Column("effect_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["resolved_by"], ["accounts.id"], name="fk_failed_effects_resolved_by"),
        sa.PrimaryKeyConstraint("effect_id", name="pk_failed_effects"),
    )
    op.create_index(
        "ix_failed_effects_open",
        "failed_effects",
        ["at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("ix_failed_effects_request_id", "failed_effects", ["request_id"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("creation_key", sa.Text(), nullable=True),
        sa.Column("form", JSONB(), nullable=False),
        sa.Column("form_priority", sa.String(64), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("process", JSONB(), nullable=False),
        sa.Column("process_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("priority", sa.String(64), nullable=False),
        sa.Column("priority_rank", sa.Integer(), nullable=False),
        sa.Column("offering", sa.Text(), nullable=False),
        sa.Column("requester_id", sa.Uuid(), nullable=False),
        sa.Column("requester_clinic_id", sa.Uuid(), nullable=False),
        sa.Column("dispatch_clinic_id", sa.Uuid(), nullable=False),
        sa.Column("holder_kind", sa.String(64), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("holder_clinic_id", sa.Uuid(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "due_sort",
            sa.DateTime(timezone=True),
            sa.Computed("COALESCE(due_at, TIMESTAMPTZ '9999-12-31 00:00:00+00')", persisted=True),
            nullable=False,
        ),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("open_questions", sa.Integer(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["accounts.id"], name="fk_requests_created_by"),
        sa.ForeignKeyConstraint(["dispatch_clinic_id"], ["clinics.id"], name="fk_requests_dispatch_clinic_id"),
        sa.ForeignKeyConstraint(["requester_clinic_id"], ["clinics.id"], name="fk_requests_requester_clinic_id"),
        sa.ForeignKeyConstraint(["requester_id"], ["accounts.id"], name="fk_requests_requester_id"),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        sa.UniqueConstraint("created_by", "creation_key", name="uq_requests_created_by_creation_key"),
        sa.UniqueConstraint("number", name="uq_requests_number"),
    )
    op.create_index("ix_requests_by_creation", "requests", ["created_at", "id"], unique=False)
    op.create_index("ix_requests_by_due", "requests", ["due_sort", "id"], unique=False)
    op.create_index("ix_requests_by_priority", "requests", ["priority_rank", "due_sort", "id"], unique=False)
    op.create_index("ix_requests_by_update", "requests", ["updated_at", "id"], unique=False)
    op.create_index(
        "ix_requests_dispatch_clinic", "requests", ["dispatch_clinic_id", "status", "due_sort", "id"], unique=False
    )
    op.create_index("ix_requests_holder", "requests", ["holder_id"], unique=False)
    op.create_index("ix_requests_holder_clinic", "requests", ["holder_clinic_id", "status"], unique=False)
    op.create_index("ix_requests_requester", "requests", ["requester_id"], unique=False)
    op.create_index("ix_requests_requester_clinic", "requests", ["requester_clinic_id", "status"], unique=False)
    op.create_index("ix_requests_status", "requests", ["status"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_tokens_account_id"),
        sa.PrimaryKeyConstraint("sha256", name="pk_tokens"),
    )
    op.create_index("ix_tokens_account_id", "tokens", ["account_id"], unique=False)
    op.create_index("ix_tokens_expires_at", "tokens", ["expires_at"], unique=False)
    op.create_table(
        "access_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_access_log_account_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_access_log_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_access_log"),
    )
    op.create_index("ix_access_log_request", "access_log", ["request_id", "id"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("preview_key", sa.Text(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_attachments_request_id"),
        sa.ForeignKeyConstraint(["uploaded_by"], ["accounts.id"], name="fk_attachments_uploaded_by"),
        sa.PrimaryKeyConstraint("id", name="pk_attachments"),
    )
    op.create_index("ix_attachments_request_id", "attachments", ["request_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_role", sa.String(64), nullable=False),
        sa.Column("actor_clinic_id", sa.Uuid(), nullable=True),
        sa.Column("status_before", sa.String(64), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("holder_before", JSONB(), nullable=False),
        sa.Column("holder", JSONB(), nullable=False),
        sa.Column("command", JSONB(), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_events_request_id"),
        sa.PrimaryKeyConstraint("request_id", "version", name="pk_events"),
    )
    op.create_table(
        "form_versions",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_by", sa.Uuid(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["frozen_by"], ["accounts.id"], name="fk_form_versions_frozen_by"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_form_versions_request_id"),
        sa.PrimaryKeyConstraint("request_id", "number", name="pk_form_versions"),
        sa.UniqueConstraint("request_id", "command_id", name="uq_form_versions_request_id_command_id"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("importance", sa.String(64), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest_id", sa.Uuid(), nullable=True),
        sa.Column("refused_notice_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_notices_account_id"),
        sa.ForeignKeyConstraint(["refused_notice_id"], ["notices.id"], name="fk_notices_refused_notice_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_notices_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index("ix_notices_digest_id", "notices", ["digest_id"], unique=False)
    op.create_index(
        "ix_notices_grouped", "notices", ["account_id"], unique=False, postgresql_where=sa.text("status = 'grouped'")
    )
    op.create_index(
        "ix_notices_undeliverable",
        "notices",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('refused', 'failed')"),
    )
    op.create_index(
        "uq_notices_event",
        "notices",
        ["request_id", "version", "account_id"],
        unique=True,
        postgresql_where=sa.text("refused_notice_id IS NULL"),
    )
    op.create_index(
        "uq_notices_refused",
        "notices",
        ["refused_notice_id", "account_id"],
        unique=True,
        postgresql_where=sa.text("refused_notice_id IS NOT NULL"),
    )
    op.create_table(
        "report_drafts",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("answers", JSONB(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_by", sa.Uuid(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_report_drafts_request_id"),
        sa.ForeignKeyConstraint(["updated_by"], ["accounts.id"], name="fk_report_drafts_updated_by"),
        sa.PrimaryKeyConstraint("request_id", name="pk_report_drafts"),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("proof_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proof_method", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_reports_request_id"),
        sa.ForeignKeyConstraint(["signer_id"], ["accounts.id"], name="fk_reports_signer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.UniqueConstraint("request_id", "command_id", name="uq_reports_request_id_command_id"),
    )
    op.create_table(
        "request_participants",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_request_participants_account_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_request_participants_request_id"),
        sa.PrimaryKeyConstraint("request_id", "account_id", name="pk_request_participants"),
    )
    op.create_index(
        "ix_request_participants_account", "request_participants", ["account_id", "request_id"], unique=False
    )
    op.create_table(
        "request_pools",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_request_pools_clinic_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_request_pools_request_id"),
        sa.PrimaryKeyConstraint("request_id", "clinic_id", name="pk_request_pools"),
    )
    op.create_index("ix_request_pools_clinic", "request_pools", ["clinic_id", "request_id"], unique=False)
    op.create_table(
        "documents",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("pdf_sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_documents_report_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_documents_request_id"),
        sa.ForeignKeyConstraint(["signer_id"], ["accounts.id"], name="fk_documents_signer_id"),
        sa.PrimaryKeyConstraint("report_id", name="pk_documents"),
        sa.UniqueConstraint("request_id", "number", name="uq_documents_request_id_number"),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the rows of % never change', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
        END $$
        """
    )
    for table in FROZEN_TABLES:
        op.execute(
            f"CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first version: drop the database")
