"""Sign-in through a provider: linked identities, sign-ins on their way, and what a session keeps of one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_OF_A_TOKEN = (
    ("idp_issuer", sa.Text()),
    ("idp_subject", sa.Text()),
    ("idp_sid", sa.Text()),
    ("auth_time", sa.DateTime(timezone=True)),
    ("acr", sa.Text()),
    ("amr", postgresql.ARRAY(sa.Text())),
    ("sealed_id_token", sa.LargeBinary()),
)


def upgrade() -> None:
    for name, kind in _OF_A_TOKEN:
        op.add_column("tokens", sa.Column(name, kind, nullable=True))
    for name in ("idp_sid", "idp_subject"):
        op.create_index(
            f"ix_tokens_{name}", "tokens", ["idp_issuer", name], postgresql_where=sa.text(f"{name} IS NOT NULL")
        )
    op.create_table(
        "linked_identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_linked_identities_account_id_accounts"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_linked_identities"),
        sa.UniqueConstraint("account_id", "issuer", name="uq_linked_identities_account_id_issuer"),
    )
    op.create_table(
        "sign_on_attempts",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("said", postgresql.JSONB(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sign_on_attempts_account_id_accounts"),
        sa.PrimaryKeyConstraint("sha256", name="pk_sign_on_attempts"),
    )
    op.create_index("ix_sign_on_attempts_expires_at", "sign_on_attempts", ["expires_at"])
    op.create_table(
        "taken_logouts",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_taken_logouts"),
    )
    op.create_index("ix_taken_logouts_expires_at", "taken_logouts", ["expires_at"])


def downgrade() -> None:
    op.drop_table("taken_logouts")
    op.drop_table("sign_on_attempts")
    op.drop_table("linked_identities")
    for name in ("idp_subject", "idp_sid"):
        op.drop_index(f"ix_tokens_{name}", "tokens")
    for name, _ in reversed(_OF_A_TOKEN):
        op.drop_column("tokens", name)
