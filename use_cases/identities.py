"""The identities that people sign in with through their organization: seen and removed, one's own or a person's of one's clinic.

How one is linked is in `use_cases.sign_on`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from records import account_events, account_letters
from records import sign_on as records
from records.models import Account, LinkedIdentity
from use_cases.account_letters import send
from use_cases.administrators import Administrator, hand_of
from use_cases.attempts import client_of
from use_cases.caller import Caller
from use_cases.people import PersonOnFile, account_to_see, changing, one_on_file
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import proves_again
from use_cases.views import View
from use_cases.ways_in import ways_of_account


class LinkedIdentityView(View):
    """An identity that somebody signs in with."""

    code: str = Field(description="Which provider or record system, as Relais names it.", examples=["network"])
    label: Mapping[str, str] = Field(description="The organization's name, by language.")
    email: str | None = Field(description="The address that the provider told when it was linked.")
    since: datetime


async def list_own(services: Services, caller: Caller) -> list[LinkedIdentityView]:
    """The identities that one signs in with, of the providers and record systems that there are."""
    async with services.database.session() as session:
        return _views(services, await records.identities_of(session, caller.id))


async def list_of_person(services: Services, by: Administrator, account_id: UUID) -> list[LinkedIdentityView]:
    """The identities that somebody signs in with. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await account_to_see(session, by, account_id)
        return _views(services, await records.identities_of(session, account_id))


async def remove_own(services: Services, caller: Caller, provider: str, password: str) -> None:
    """Sign in with it no more; the sessions that it began end. Nothing happens when it is not linked.

    Raises Problem `not_found`, `sign_on_required` where one could not come in any more, `password_first` for who has none,
    `wrong_current_password`, and what `proves_again` does.
    """
    issuer = client_of(services, provider).issuer
    if not (await ways_of_account(services, caller.account)).by_password:
        raise Problem("sign_on_required")
    if not caller.account.has_password:
        raise Problem("password_first")
    if not await proves_again(services, caller, password):
        raise Problem("wrong_current_password")
    async with services.database.session() as session:
        now = datetime.now(UTC)
        gone = await _remove(session, caller.account, issuer, now)
        if gone is None:
            return
        changes = {"provider": [provider, None]}
        account_events.note(session, AccountEventKind.IDENTITY_UNLINKED, caller.account, hand_of(caller), now, changes)
        letters = await tell(session, LetterKind.IDENTITY_UNLINKED, caller.account, now, [gone.email])
    await send(services, letters)


async def remove_of_person(services: Services, by: Administrator, account_id: UUID, provider: str) -> PersonOnFile:
    """Somebody signs in with that identity no more, and the sessions that it began end: it is lost, or was never theirs.

    Who has no other way in gets one with `forgotten_passwords.help_with_password`. Nothing happens when it is not linked.

    Raises Problem `not_found`, `operators_only`, or `not_for_oneself`: one's own is removed with proof (`remove_own`).
    """
    issuer = client_of(services, provider).issuer
    async with changing(services, by, account_id) as at:
        if at.is_ones_own:
            raise Problem("not_for_oneself")
        gone = await _remove(at.session, at.account, issuer, at.now)
        if gone is not None:
            at.note(AccountEventKind.IDENTITY_UNLINKED, {"provider": [provider, None]})
            kind = LetterKind.IDENTITY_UNLINKED
            at.letters.extend(await tell(at.session, kind, at.account, at.now, [gone.email]))
        return await one_on_file(at.session, by, at.account)


async def tell(
    session: AsyncSession, kind: LetterKind, account: Account, now: datetime, others: Sequence[str | None]
) -> list[UUID]:
    """Tell the person, at the account's address and at the others that are different ones. Gives the letters."""
    addresses = {address.lower(): address for address in (*filter(None, others), account.email)}
    return [await account_letters.write_to(session, kind, account, now, address=one) for one in addresses.values()]


async def _remove(session: AsyncSession, account: Account, issuer: str, now: datetime) -> LinkedIdentity | None:
    gone = await records.unlink(session, account.id, issuer)
    if gone is not None:
        await records.end_sessions(session, issuer, gone.subject, None, now)
    return gone


def _views(services: Services, linked: Sequence[LinkedIdentity]) -> list[LinkedIdentityView]:
    there = services.sign_on.providers
    known = {one.issuer: one for one in (*there.record_systems.values(), *there.all.values())}
    return [
        LinkedIdentityView(
            code=known[one.issuer].code,
            label=known[one.issuer].label.model_dump(),
            email=one.email,
            since=one.created_at,
        )
        for one in linked
        if one.issuer in known
    ]
