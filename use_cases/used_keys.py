"""An idempotency key means one thing: of who calls, at one address, with one body."""

from datetime import UTC, datetime, timedelta

from records import used_keys
from records.used_keys import Use
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services

KEPT_FOR = timedelta(days=30)
"""So long a key is good for nothing else. What was made under it is not made again later either."""


async def use_of(services: Services, caller: Caller, key: str, address: str, body: bytes) -> Use:
    """What the key is used for. Raises Problem `idempotency_key_reused` where it was for something else."""
    use = Use(caller.id, key, b"\n".join((address.encode(), body)))
    async with services.database.statement() as session:
        if await used_keys.same_meaning(session, use) is False:
            raise Problem("idempotency_key_reused")
    return use


async def keep(services: Services, use: Use) -> None:
    """It was of effect: from now on the key means this."""
    async with services.database.statement() as session:
        await used_keys.keep(session, use, datetime.now(UTC))
