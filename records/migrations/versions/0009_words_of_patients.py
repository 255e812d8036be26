"""The hashed words by which patients are found. `relais migrate` fills them after this, and whenever the key is another."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patient_words",
        sa.Column("hash", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.Column("submitted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_patient_words_request_id")),
        sa.PrimaryKeyConstraint("hash", "request_id", name=op.f("pk_patient_words")),
    )
    op.create_index("ix_patient_words_request", "patient_words", ["request_id"])


def downgrade() -> None:
    op.drop_table("patient_words")
