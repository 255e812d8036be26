"""An access in an emergency is ended by hand more than once: who read ended it, and an administrator says that it stays so.

Code of the version before runs beside it, but ends nothing anew that has two.
"""

from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _key("opening_id", "ended_by")


def downgrade() -> None:
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM emergency_ends GROUP BY opening_id HAVING count(*) > 1) THEN "
        "RAISE EXCEPTION 'accesses in an emergency were ended more than once: that must stay on record'; END IF; END $$"
    )
    _key("opening_id")


def _key(*columns: str) -> None:
    op.drop_constraint("pk_emergency_ends", "emergency_ends")
    op.create_primary_key("pk_emergency_ends", "emergency_ends", list(columns))
