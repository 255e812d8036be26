"""Check that the database has the schema of this code. What brings it there, `records.migrate`, is loaded only to do so."""

import asyncio
import re
from functools import cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import OldSchemaError, SchemaError

MIGRATIONS = Path(__file__).with_name("migrations") / "versions"
_NAMES = re.compile(r'^revision = "(\w+)"\ndown_revision = "?(\w+)', re.MULTILINE)


async def check_schema(session: AsyncSession) -> None:
    """Raise SchemaError unless the schema is exactly the one that this code was made for; OldSchemaError if a migration helps."""
    known = await asyncio.to_thread(_known_revisions)
    try:
        async with session.begin_nested():
            found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError as error:
        raise OldSchemaError("the database has no schema of Relais yet: run `relais migrate`") from error
    if found == known[0]:
        return
    if found in known:
        raise OldSchemaError(f"the schema is older than the code ({found}, not {known[0]}): run `relais migrate`")
    raise SchemaError(f"the schema is newer than the code ({found}, not {known[0]}): run the newer Relais")


@cache
def _known_revisions() -> tuple[str, ...]:
    """All revisions, the newest first: each migration's file says which one it follows, and their numbers say nothing of that."""
    follows = {named[2]: named[1] for file in MIGRATIONS.glob("*.py") if (named := _NAMES.search(file.read_text()))}
    known = [follows["None"]]
    while known[-1] in follows:
        known.append(follows[known[-1]])
    return tuple(reversed(known))
