"""Where somebody is signed in, and how they sign out there: of a device that was lost, lent, or is not theirs.

Source: ASVS 5.0.0, V7.5.2.
"""

from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from domain.audit import Act
from records import audit, people
from records.models import Token
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import token_sha256
from use_cases.views import View

MOST_SHOWN = 100


class SessionView(View):
    """A sign-in that has not ended."""

    id: UUID
    is_this_one: bool = Field(description="Whether this call came by it.")
    program: str | None = Field(description="What was signed in with, by its own words.", examples=["Firefox, Windows"])
    address: str | None = Field(description="From which address of the network.", examples=["192.0.2.17"])
    began_at: AwareDatetime
    seen_at: AwareDatetime | None = Field(
        description="When somebody was there last, to the minute; null where nobody looks, as outside of browsers."
    )
    expires_at: AwareDatetime = Field(description="When it ends at the latest.")

    @classmethod
    def of(cls, token: Token, caller: Caller) -> Self:
        """A token of the caller's."""
        return cls(
            id=token.id,
            is_this_one=token.sha256 == token_sha256(caller.token),
            program=token.program,
            address=token.address,
            began_at=token.created_at,
            seen_at=token.seen_at if token.idle_minutes is not None else None,
            expires_at=token.expires_at,
        )


async def list_own(services: Services, caller: Caller) -> list[SessionView]:
    """The caller's sessions, the newest first; `MOST_SHOWN` at the most."""
    async with services.database.session() as session:
        found = await people.list_tokens(session, caller.id, datetime.now(UTC), MOST_SHOWN)
    return [SessionView.of(token, caller) for token in found]


async def end_own(services: Services, caller: Caller, session_id: UUID) -> None:
    """End one session of the caller. Raises Problem `not_found` when they have none of that name, or it has ended."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        if not await people.revoke_token_of(session, caller.id, session_id, now):
            raise Problem("not_found")
        audit.add(session, Act.SIGN_OUT, by(caller), now, name="elsewhere")


async def end_others(services: Services, caller: Caller) -> None:
    """End all sessions of the caller but the one by which they call."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        await people.revoke_tokens_of(session, caller.id, now, but=token_sha256(caller.token))
        audit.add(session, Act.SIGN_OUT, by(caller), now, name="elsewhere")
