"""Who vouches for the time stamps of outside services, and who answers whether certificates are revoked (OCSP)."""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stamping_roots",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_stamping_roots"),
    )
    op.add_column("signing_roots", sa.Column("responder_certificate", sa.LargeBinary(), nullable=True))
    op.add_column("signing_roots", sa.Column("sealed_responder", sa.Text(), nullable=True))
    op.alter_column("signing_certificates", "signer_id", existing_type=sa.Uuid(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM signing_certificates WHERE signer_id IS NULL")
    op.alter_column("signing_certificates", "signer_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_column("signing_roots", "sealed_responder")
    op.drop_column("signing_roots", "responder_certificate")
    op.drop_table("stamping_roots")
