"""By which ways the people of a clinic come in: with a password of ours, through their organization, or either.

Which, the file of providers says for each clinic. Operators always have a password: they must come in when a provider is away.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from domain.requests import Role
from records import people
from records.models import Account, Clinic
from sign_on.providers import Provider, RecordSystem
from use_cases.problems import Problem
from use_cases.services import Services


@dataclass(frozen=True)
class WaysIn:
    """How somebody may come in."""

    providers: tuple[Provider, ...]
    by_password: bool


def ways_of(services: Services, clinic: str, roles: Collection[str]) -> WaysIn:
    """The ways of who has these roles in the clinic of that code."""
    known = services.sign_on.providers
    return WaysIn(
        providers=tuple(known.of_clinic(clinic)),
        by_password=Role.OPERATOR in roles or not known.are_required_by(clinic),
    )


def may_come_by_launch(services: Services, system: RecordSystem, clinic: Clinic, roles: Collection[str]) -> bool:
    """Whether the record system's word alone lets in who has these roles there.

    Not who keeps others' accounts; nor who signs only with a second factor, of which it says nothing; nor who is to come in
    through their provider, unless the operator has said that it takes that one's place.
    """
    keeps_accounts = not {Role.OPERATOR, Role.CLINIC_ADMINISTRATOR}.isdisjoint(roles)
    needs_factor = clinic.signing_needs_code and Role.PROVIDER in roles
    is_required = services.sign_on.providers.are_required_by(clinic.code) and not system.in_place_of_providers
    return not (keeps_accounts or needs_factor or is_required)


async def unknown_clinics(services: Services) -> Mapping[str, list[str]]:
    """Codes of clinics that the file names and that do not exist, by provider or record system: nobody comes in by them."""
    clients: Mapping[str, Provider | RecordSystem] = {
        **services.sign_on.providers.all,
        **services.sign_on.providers.record_systems,
    }
    if not clients:
        return {}
    async with services.database.session() as session:
        there = {clinic.code for clinic in await people.list_clinics(session)}
    named = {code: sorted(set(one.clinics) - there) for code, one in clients.items()}
    return {code: clinics for code, clinics in named.items() if clinics}


async def ways_of_account(services: Services, account: Account) -> WaysIn:
    """The ways of somebody who has an account."""
    async with services.database.session() as session:
        clinic = await people.load_clinic(session, account.clinic_id)
    return ways_of(services, clinic.code if clinic else "", account.roles)


async def proves_by_password(services: Services, account: Account) -> bool:
    """Whether somebody has a password that counts."""
    return account.has_password and (await ways_of_account(services, account)).by_password


async def must_use_passwords(services: Services, account: Account) -> None:
    """Raise Problem `sign_on_required` for somebody whose clinic signs in through its organization only."""
    if services.sign_on.providers.all and not (await ways_of_account(services, account)).by_password:
        raise Problem("sign_on_required")
