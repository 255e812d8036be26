"""What was asked and answered each week, by clinic; of the half year before this, as the records have it."""

import sqlalchemy as sa
from alembic import op

from domain.statistics import ANSWERED_WITHIN

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_SINCE = "now() - interval '26 weeks'"
_WEEK = "date_trunc('week', timezone('America/Toronto', {moment}))::date"
_HOURS = [int(limit.total_seconds()) // 3600 for limit in ANSWERED_WITHIN]
_MEASURE = (
    "CASE "
    + " ".join(
        f"WHEN issued.at - r.submitted_at <= interval '{hours} hours' THEN 'answered_{n}'"
        for n, hours in enumerate(_HOURS)
    )
    + f" ELSE 'answered_{len(_HOURS)}' END"
)
_ISSUED = "events AS issued JOIN requests AS r ON r.id = issued.request_id"


def upgrade() -> None:
    op.create_table(
        "weekly_counts",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_weekly_counts_clinic_id_clinics"),
        sa.PrimaryKeyConstraint("clinic_id", "side", "week", "measure", name="pk_weekly_counts"),
    )
    op.create_index("ix_weekly_counts_week", "weekly_counts", ["week"])
    op.execute(f"""
        INSERT INTO weekly_counts
        SELECT requester_clinic_id, 'asked', {_WEEK.format(moment="submitted_at")}, 'submitted', count(*)
        FROM requests WHERE submitted_at > {_SINCE} GROUP BY 1, 3
    """)  # noqa: S608
    for side, clinic in (("asked", "r.requester_clinic_id"), ("answered", "signer.clinic_id")):
        op.execute(f"""
            INSERT INTO weekly_counts
            SELECT {clinic}, '{side}', {_WEEK.format(moment="issued.at")}, {_MEASURE}, count(*)
            FROM {_ISSUED} JOIN documents AS d ON d.request_id = r.id AND d.kind = 'final'
            JOIN accounts AS signer ON signer.id = d.signer_id
            WHERE issued.name = 'final_report_issued' AND issued.at > {_SINCE} AND r.submitted_at IS NOT NULL
            GROUP BY 1, 3, 4
        """)  # noqa: S608


def downgrade() -> None:
    op.drop_table("weekly_counts")
