"""Large work of a migration, beside what others do: in steps that hold nobody up for long, and that can be taken up again.

Each is for `op.get_context().autocommit_block()`. What an interrupted migration has left there is done again, or finished.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


def make_index(
    name: str,
    table: str,
    columns: Sequence[str],
    *,
    where: str | None = None,
    include: Sequence[str] = (),
    using: str = "btree",
    unique: bool = False,
) -> None:
    """An index, while rows are written; nothing happens where it is there. What a try that was broken off has left is removed."""
    left = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)").bindparams(name=name)
    if op.get_bind().scalar(left):
        drop_index(name)
    op.create_index(
        name,
        table,
        list(columns),
        unique=unique,
        postgresql_where=sa.text(where) if where else None,
        postgresql_include=list(include),
        postgresql_using=using,
        postgresql_concurrently=True,
        if_not_exists=True,
    )


def drop_index(name: str) -> None:
    """Where it is there, without waiting in anybody's way."""
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
