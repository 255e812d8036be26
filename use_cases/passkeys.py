"""One's own passkeys: added by who has a second factor, used instead of its codes, removed."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from domain.accounts import AccountEventKind, LetterKind
from domain.model import COMPOSED, Discreet
from records import account_events, account_letters, passkeys, people, second_factors
from use_cases import passkey_answers
from use_cases.account_letters import send
from use_cases.administrators import hand_of
from use_cases.caller import Caller
from use_cases.passkey_answers import MAX_ANSWER
from use_cases.problems import Problem
from use_cases.second_factor import PasswordAndCode, prove_both
from use_cases.services import Services
from use_cases.sign_in import token_sha256
from use_cases.views import View

MOST_PASSKEYS = 10


class PasskeyView(View):
    """A passkey, by the name that its owner gave it."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


class NewPasskey(Discreet):
    """What a browser has made, and what its owner calls it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), COMPOSED]
    passkey: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ANSWER)] = Field(repr=False)


async def list_own(services: Services, caller: Caller) -> list[PasskeyView]:
    """One's own passkeys, the oldest first."""
    async with services.database.session() as session:
        there = await passkeys.list_passkeys(session, caller.id)
    return [
        PasskeyView(
            id=bytes_to_base64url(one.credential_id), name=one.name, created_at=one.created_at, used_at=one.used_at
        )
        for one in there
    ]


async def begin(services: Services, caller: Caller, proof: PasswordAndCode) -> str:
    """What a browser needs to make a passkey, for who proves both. It is JSON.

    Raises Problem `wrong_current_password`, `wrong_code`, `too_many_passkeys`, or `not_begun` for who has no second factor.
    """
    async with services.database.session() as session:
        if not await second_factors.is_in_force(session, caller.id):
            raise Problem("not_begun")
        if await passkeys.count_passkeys(session, caller.id) >= MOST_PASSKEYS:
            raise Problem("too_many_passkeys", limit=MOST_PASSKEYS)
    await prove_both(services, caller, proof)
    return await passkey_answers.options_to_make(services, caller.account)


async def add(services: Services, caller: Caller, new: NewPasskey) -> None:
    """Keep the passkey that the browser has made. Raises Problem `wrong_passkey`, or `not_begun` without a second factor."""
    made = await passkey_answers.made_by(services, caller.id, new.passkey)
    async with services.database.session() as session:
        if not await second_factors.hold_in_force(session, caller.id):
            raise Problem("not_begun")
        is_new = await passkeys.add_passkey(
            session,
            caller.id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=new.name,
            now=datetime.now(UTC),
        )
        if not is_new:
            raise Problem("wrong_passkey")
        letter = await _noted(session, caller, AccountEventKind.PASSKEY_ADDED, LetterKind.PASSKEY_ADDED)
    await send(services, [letter])


async def remove(services: Services, caller: Caller, passkey_id: str) -> None:
    """Forget a passkey of one's own; nothing happens when there is none such. The codes stay."""
    try:
        credential_id = base64url_to_bytes(passkey_id)
    except ValueError:
        return
    async with services.database.session() as session:
        if not await passkeys.remove_passkey(session, caller.id, credential_id):
            return
        letter = await _noted(session, caller, AccountEventKind.PASSKEY_REMOVED, LetterKind.PASSKEY_REMOVED)
    await send(services, [letter])


async def _noted(session: AsyncSession, caller: Caller, event: AccountEventKind, letter: LetterKind) -> UUID:
    """Write it down, and end all other sessions: one of them may be why."""
    now = datetime.now(UTC)
    await people.revoke_tokens_of(session, caller.id, now, but=token_sha256(caller.token))
    account_events.note(session, event, caller.account, hand_of(caller), now)
    return await account_letters.write_to(session, letter, caller.account, now)
