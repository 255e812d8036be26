"""People and clinics that a clinic has to do with, for other systems to look up whom a request names.

A clinic is known to another that may route requests to it, or has to do with a request that it asked for, dispatches or holds.
Of its people, those who ask, dispatch or advise are shown; and whoever acted on a request that one's clinic had to do with.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from records import people, visibility
from records.models import Account, Clinic
from use_cases import policy
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services

SHOWN = (Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER)
"""The roles in which people deal with requests."""


@dataclass(frozen=True)
class Person:
    """Somebody at a clinic."""

    account: Account
    clinic: Clinic


async def read_clinic(services: Services, caller: Caller, clinic_id: UUID) -> Clinic:
    """A clinic that is known to the caller's. Raises Problem `not_found`."""
    async with services.database.statement() as session:
        clinic = await people.load_clinic(session, clinic_id)
        if clinic is None or not await is_known(session, caller, clinic):
            raise Problem("not_found")
    return clinic


async def read_person(services: Services, caller: Caller, account_id: UUID) -> Person:
    """Somebody of a clinic that is known to the caller's, or who acted on a request of theirs. Raises Problem `not_found`."""
    async with services.database.statement() as session:
        account = await people.load_account(session, account_id)
        clinic = await people.load_clinic(session, account.clinic_id) if account else None
        if account is None or clinic is None or not await is_shown(session, caller, account, clinic):
            raise Problem("not_found")
    return Person(account, clinic)


async def is_shown(session: AsyncSession, caller: Caller, account: Account, clinic: Clinic) -> bool:
    """Whether that is somebody of a clinic that is known to the caller's, or who acted on a request of theirs; to who has no
    role, nobody is.
    """
    if not caller.viewer.roles:
        return False
    if set(account.roles).intersection(SHOWN) and await is_known(session, caller, clinic):
        return True
    return await visibility.acted_with(session, caller.clinic_id, account.id)


async def is_known(session: AsyncSession, caller: Caller, clinic: Clinic) -> bool:
    """Whether the clinic is known to the caller's; to who has no role, none is."""
    if not caller.viewer.roles:
        return False
    own = await people.load_clinic(session, caller.clinic_id)
    if Role.OPERATOR in caller.roles or (own is not None and policy.may_route_to(own, clinic.id)):
        return True
    return await visibility.has_to_do_with(session, caller.clinic_id, clinic.id)
