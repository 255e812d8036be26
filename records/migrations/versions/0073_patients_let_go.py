"""Of which requests operators let the patient go, by a hold at another one that is destroyed by now: none of them is destroyed
by one person alone.

Code of the version before destroys without passing that on, and destroys no request to which it was: end its workers first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patients_let_go",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_patients_let_go_request_id_requests"),
        sa.PrimaryKeyConstraint("request_id", name="pk_patients_let_go"),
    )


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM patients_let_go) THEN "
        "RAISE EXCEPTION 'patients were let go: that must stay on record'; END IF; END $$"
    )
    op.drop_table("patients_let_go")
