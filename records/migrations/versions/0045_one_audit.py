"""One audit: the access log becomes the part of it that tells of looks at requests, and what was done about accounts joins it.

Its indexes over all looks are made later, beside what others do.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("access_log", "audit_entries")
    for old, new in (
        ("pk_access_log", "pk_audit_entries"),
        ("fk_access_log_account_id", "fk_audit_entries_account_id_accounts"),
        ("fk_access_log_for_account_id", "fk_audit_entries_for_account_id_accounts"),
    ):
        op.execute(f"ALTER TABLE audit_entries RENAME CONSTRAINT {old} TO {new}")
    for name in ("request", "opened"):
        op.execute(f"ALTER INDEX ix_access_log_{name} RENAME TO ix_audit_entries_{name}")
    # What entries name may go: a draft that its writer removes, a case after its years.
    op.drop_constraint("fk_access_log_request_id", "audit_entries", type_="foreignkey")
    for name in ("request_id", "account_id", "role", "version"):
        op.alter_column("audit_entries", name, nullable=True)
    for column in (
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.String(64), nullable=True),
        sa.Column("side", sa.String(64), nullable=True),
        sa.Column("shown", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("content", postgresql.JSONB(), nullable=True),
        sa.Column("content_key", sa.LargeBinary(), nullable=True),
        sa.Column("content_hmac", sa.LargeBinary(), nullable=True),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.Column("written_in", sa.BigInteger(), nullable=False, server_default="0"),  # constant: rewrites no row
    ):
        op.add_column("audit_entries", column)
    op.execute("ALTER TABLE audit_entries ALTER written_in SET DEFAULT (pg_current_xact_id()::text::bigint)")
    op.execute(
        "INSERT INTO audit_entries (id, at, kind, name, account_id, side, object_id, written_in) "
        "SELECT id, at, 'account', kind, actor_id, side, id, 0 FROM account_events"
    )
    # Processes of the version before, which run on for a while, write looks and read them by the old name.
    op.execute(
        "CREATE VIEW access_log AS "
        "SELECT id, request_id, account_id, role, kind, object_id, at, version, for_account_id FROM audit_entries "
        "WHERE kind IN ('request', 'attachment', 'preview', 'document', 'report_draft', 'timeline', 'search', 'export', "
        "'phone_photo')"
    )


def downgrade() -> None:
    raise NotImplementedError("what was written down of acts other than looks would be lost")
