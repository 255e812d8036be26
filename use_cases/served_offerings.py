"""Which service offerings a provider serves, as an administrator of their clinic says it.

It forbids nothing: where a request goes to somebody, those who serve its offering come first, and of the others one is warned.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.model import Frozen
from domain.offerings import Code
from domain.requests import Role
from records import account_events, people
from records.models import Account
from use_cases import policy
from use_cases.administrators import hand_of
from use_cases.caller import Caller
from use_cases.catalogue import clinic_to_list, newest_offerings
from use_cases.problems import Problem
from use_cases.services import Services


class ServedOfferings(Frozen):
    """The codes of service offerings, at least one; none at all (null) where nobody says so: then all are served."""

    offerings: Annotated[list[Code], Field(min_length=1, max_length=200)] | None = Field(
        examples=[["teledermatology"]], description="Codes of service offerings; null for all."
    )


async def read_served(services: Services, caller: Caller, account_id: UUID) -> ServedOfferings:
    """What that provider serves. Raises Problem `not_found` unless the caller may list the providers of their clinic."""
    async with services.database.session() as session:
        return _served(await _provider_to_see(session, caller, account_id))


async def set_served(services: Services, caller: Caller, account_id: UUID, wanted: ServedOfferings) -> ServedOfferings:
    """Say what that provider serves from now on, for administrators of their clinic.

    Raises Problem `not_found`; `forbidden` for who may only look; `unknown_offering` for a code that no offering ever had.
    """
    known = await newest_offerings(services)
    async with services.database.session() as session:
        account = await _provider_to_see(session, caller, account_id)
        if account.clinic_id != caller.clinic_id:
            raise Problem("forbidden")
        policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
        if not known.keys() >= set(wanted.offerings or ()):
            raise Problem("unknown_offering", offerings=sorted(known))
        served = people.said_to_serve(wanted.offerings)
        if account.offerings != served:
            account.offerings, account.version = served, account.version + 1
            told = {"offerings": None}
            account_events.note(session, AccountEventKind.CHANGED, account, hand_of(caller), datetime.now(UTC), told)
        return _served(account)


async def _provider_to_see(session: AsyncSession, caller: Caller, account_id: UUID) -> Account:
    account = await people.load_account(session, account_id)
    if account is None or Role.PROVIDER not in account.roles:
        raise Problem("not_found")
    await clinic_to_list(session, caller, account.clinic_id)
    return account


def _served(account: Account) -> ServedOfferings:
    return ServedOfferings(offerings=account.offerings)
