"""What the account of the API may do with the tables: what a process of it needs, and to change nothing of the schema.

`relais migrate` gives it anew each time, so a new table needs no thought: it is the API's to read and write, but for what is
named here.
"""

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import FROZEN_TABLES, Base
from settings import SettingsError

READ_ALONE = ("alembic_version", "audit_leaves", "audit_checkpoints", "audit_heads", "patients_let_go")
"""What workers and migrations write."""

ONLY_ADDED_TO = tuple(table for table in FROZEN_TABLES if table not in READ_ALONE)
"""What is never changed; what is destroyed is destroyed by a worker."""

NEVER_CHANGED_IN_PLACE = ("data_keys",)
"""Keys are wrapped anew by migrations."""

RIGHTS = {
    **dict.fromkeys(Base.metadata.tables, "SELECT, INSERT, UPDATE, DELETE"),
    **dict.fromkeys(ONLY_ADDED_TO, "SELECT, INSERT"),
    **dict.fromkeys(NEVER_CHANGED_IN_PLACE, "SELECT, INSERT, DELETE"),
    **dict.fromkeys(READ_ALONE, "SELECT"),
}


_PASSES = text(
    "SELECT rolsuper OR rolbypassrls OR pg_has_role(rolname, relowner, 'USAGE') FROM pg_roles, pg_class "
    "WHERE rolname = :role AND pg_class.oid = 'data_keys'::regclass"
)
"""Whether that account, if there is one, sees all rows: as the owner does, and who may act as it."""


async def let_in(session: AsyncSession, url: str) -> None:
    """Give the account of that address what the API needs, and take from it what it does not.

    Raises SettingsError where PostgreSQL does not know the account, or lets it pass every wall.
    """
    role = make_url(url).username or ""
    passes = await session.scalar(_PASSES, {"role": role})
    if passes is None:
        raise SettingsError(
            f"RELAIS_API_DATABASE_URL names the account '{role}', which PostgreSQL does not know: make it first"
        )
    if passes:
        raise SettingsError(
            f"RELAIS_API_DATABASE_URL names the account '{role}', which sees all rows: take one that may not"
        )
    quoted = await session.scalar(text("SELECT quote_ident(:role)"), {"role": role})
    schema = await session.scalar(text("SELECT quote_ident(current_schema())"))
    for statement in (
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {quoted}",
        f"GRANT USAGE ON SCHEMA {schema} TO {quoted}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {quoted}",
        f"GRANT EXECUTE ON FUNCTION {schema}.ring_keys_in_use() TO {quoted}",
        *(f'GRANT {rights} ON {schema}."{table}" TO {quoted}' for table, rights in RIGHTS.items()),
    ):
        await session.execute(text(statement))


async def is_bound(session: AsyncSession) -> bool:
    """Whether row-level security binds the account by which the session comes to the database."""
    passes = text(
        "SELECT rolsuper OR rolbypassrls OR pg_has_role(relowner, 'USAGE') FROM pg_roles, pg_class "
        "WHERE rolname = current_user AND pg_class.oid = 'data_keys'::regclass"
    )
    return not await session.scalar(passes)
