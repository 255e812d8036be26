"""What one can ask for, and of whom: service offerings, clinics, providers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence
from domain.calendar import day_of
from domain.clinic_calendar import ClinicCalendar
from domain.offerings import ServiceOffering
from domain.requests import Role
from records import absences, load, partners, people
from records.absences import Presence
from records.load import Load
from records.models import Account, Clinic
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import PersonView, person_view
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

SOON = timedelta(days=30)
"""How far ahead absences of providers are shown."""


class ClinicView(View):
    """A clinic."""

    id: UUID
    code: str
    name: str
    address_lines: list[str]
    phone: str
    calendar: ClinicCalendar = Field(
        description="When it works: for the clocks of requests that are submitted from now on."
    )
    pool_waiting: int | None = Field(
        description="Requests that wait for any of its providers; only for those who may list these."
    )
    outside: Literal["answers", "away"] | None = Field(
        description="Where a system of its own answers for all its providers, by messages: whether it can be asked now."
    )


class ProviderView(PersonView):
    """A provider, with what they hold now: to accept, accepted, and late of both."""

    waiting: int = Field(description="Requests that wait for this person to accept them.")
    in_progress: int = Field(description="Requests that this person has accepted.")
    overdue: int = Field(description="How many of both are late.")
    absent: Absence | None = Field(description="The absence that covers today.")
    next_absence: Absence | None = Field(description="The next one that begins within 30 days.")
    offerings: list[str] | None = Field(
        description="The codes of the service offerings that this person serves; null where nobody has said: then all."
    )

    def not_served(self, offerings: Iterable[str]) -> list[str]:
        """Those of the service offerings, by code, that this person does not serve."""
        return [code for code in offerings if not people.serves(self.offerings, code)]


async def find_offering(services: Services, code: str, version: int) -> ServiceOffering:
    """A service offering as it was in force at some time. Raises Problem `not_found`."""
    async with services.database.session() as session:
        found = await services.versions.find(session, code, version)
    if found is None:
        raise Problem("not_found")
    return found


async def offering_of_request(services: Services, code: str, version: int) -> ServiceOffering:
    """The service offering in the version that a request has; where nobody kept that one, the one that stands in for it."""
    async with services.database.session() as session:
        return await services.versions.version(session, code, version)


async def newest_offerings(services: Services) -> Mapping[str, ServiceOffering]:
    """All that there are requests of, by code: also those that take no new ones."""
    async with services.database.session() as session:
        return await services.versions.newest(session)


async def offering_meant(services: Services, code: str, version: int | None) -> ServiceOffering:
    """The offering that a form was made with: in that version, or in force, or the newest that there was.

    Raises Problem `unknown_offering` when there never was such an offering.
    """
    in_force = services.versions.in_force(code)
    if version is None and in_force is not None:
        return in_force
    found = await newest_offerings(services)
    if code not in found:
        raise Problem("unknown_offering", offerings=sorted(services.offerings))
    return await offering_of_request(services, code, version or found[code].version)


async def legend_of(services: Services, offering: ServiceOffering) -> ServiceOffering:
    """The offering with the words for what its other versions asked."""
    async with services.database.session() as session:
        return await services.versions.legend(session, offering)


async def list_clinics(services: Services, caller: Caller) -> list[ClinicView]:
    """The caller's clinic, and those to which its dispatchers may route requests. Operators see all.

    With each, what waits in its pool, if the caller may list its providers.
    """
    async with services.database.session() as session:
        all_clinics = await people.list_clinics(session)
        own = next(clinic for clinic in all_clinics if clinic.id == caller.clinic_id)
        shown = [c for c in all_clinics if policy.may_route_to(own, c.id) or Role.OPERATOR in caller.roles]
        listed = {c.id for c in shown if policy.may_list_providers(caller, c, own)}
        waiting = await load.pools_waiting(session, listed, caller.viewer)
        outside = await partners.clinics_outside(session)
    return [
        ClinicView(
            id=c.id,
            code=c.code,
            name=c.name,
            address_lines=c.address_lines,
            phone=c.phone,
            calendar=ClinicCalendar.model_validate(c.calendar),
            pool_waiting=waiting.get(c.id, 0) if c.id in listed else None,
            outside=("answers" if outside[c.id] else "away") if c.id in outside else None,
        )
        for c in shown
    ]


async def list_providers(
    services: Services, caller: Caller, clinic_id: UUID, offering: str | None = None
) -> list[ProviderView]:
    """The active providers of a clinic, with load and absences; those who serve `offering` (its code) first.

    Raises Problem `not_found` unless the caller may list them.
    """
    async with services.database.session() as session:
        clinic = await clinic_to_list(session, caller, clinic_id)
        found = await _provider_views(session, caller, await people.list_providers(session, clinic.id), clinic)
    return sorted(found, key=lambda provider: bool(provider.not_served([offering] if offering else [])))


async def find_provider(services: Services, caller: Caller, account_id: UUID) -> ProviderView:
    """Somebody who is or was a provider, also who has left and still holds something.

    Raises Problem `not_found` unless the caller may list the providers of their clinic.
    """
    async with services.database.session() as session:
        account = await people.load_account(session, account_id)
        if account is None:
            raise Problem("not_found")
        clinic = await clinic_to_list(session, caller, account.clinic_id)
        [view] = await _provider_views(session, caller, [account], clinic)
    return view


async def clinic_to_list(session: AsyncSession, caller: Caller, clinic_id: UUID) -> Clinic:
    """The clinic, for who may list its providers. Raises Problem `not_found`."""
    clinic = await people.load_clinic(session, clinic_id)
    own = await people.load_clinic(session, caller.clinic_id)
    if clinic is None or own is None or not policy.may_list_providers(caller, clinic, own):
        raise Problem("not_found")
    return clinic


async def _provider_views(
    session: AsyncSession, caller: Caller, accounts: Sequence[Account], clinic: Clinic
) -> list[ProviderView]:
    ids = [account.id for account in accounts]
    loads = await load.loads_of(session, ids, caller.viewer)
    presences = await absences.presence_of(session, ids, on=day_of(datetime.now(UTC)), soon=SOON)
    return [
        _provider_view(account, clinic, loads.get(account.id, Load()), presences.get(account.id, Presence()))
        for account in accounts
    ]


def _provider_view(account: Account, clinic: Clinic, held: Load, presence: Presence) -> ProviderView:
    return ProviderView(
        **dict(person_view(account, clinic)),
        waiting=held.waiting,
        in_progress=held.in_progress,
        overdue=held.overdue,
        absent=presence.now,
        next_absence=presence.next,
        offerings=account.offerings,
    )
