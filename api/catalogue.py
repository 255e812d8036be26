"""What one can ask for, and of whom: service offerings, clinics, providers."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence
from domain.clinic_calendar import ClinicCalendar
from domain.offerings import DEFAULT_DEADLINES, MAX_VERSION, Code, ServiceOffering
from domain.requests import Role
from records import absences, load, people
from records.absences import Presence
from records.load import Load
from records.models import Account, Clinic
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import PersonView, person_view
from use_cases.problems import Problem
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["catalogue"])

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


class ProviderView(PersonView):
    """A provider, with what they hold now: to accept, accepted, and late of both."""

    waiting: int = Field(description="Requests that wait for this person to accept them.")
    in_progress: int = Field(description="Requests that this person has accepted.")
    overdue: int = Field(description="How many of both are late.")
    absent: Absence | None = Field(description="The absence that covers today.")
    next_absence: Absence | None = Field(description="The next one that begins within 30 days.")


@router.get("/offerings", summary="Service offerings")
async def offerings(caller: CallerOf, services: ServicesOf) -> list[dict[str, Any]]:  # noqa: ARG001 - signed in is enough
    """Every service offering in force: its form, the attachments asked for, its report template and its deadlines."""
    return [_offering(offering) for offering in services.offerings.values()]


@router.get("/offerings/{code}", summary="One service offering")
async def offering(code: str, caller: CallerOf, services: ServicesOf) -> dict[str, Any]:  # noqa: ARG001
    """One service offering."""
    if code not in services.offerings:
        raise Problem("not_found")
    return _offering(services.offerings[code])


@router.get("/offerings/{code}/versions/{version}", summary="One version of a service offering")
async def offering_version(
    code: Code,
    version: Annotated[int, Path(ge=1, le=MAX_VERSION)],
    caller: CallerOf,  # noqa: ARG001
    services: ServicesOf,
) -> dict[str, Any]:
    """A service offering as it was in force at some time: what shows the form and the report of a request made with it."""
    async with services.database.session() as session:
        found = await services.versions.find(session, code, version)
    if found is None:
        raise Problem("not_found")
    return _offering(found)


@router.get("/clinics", summary="Clinics")
async def clinics(caller: CallerOf, services: ServicesOf) -> list[ClinicView]:
    """The caller's clinic, and those to which its dispatchers may route requests. Operators see all."""
    async with services.database.session() as session:
        return await clinics_view(session, caller)


@router.get("/providers", summary="Providers of a clinic")
async def providers(caller: CallerOf, services: ServicesOf, clinic: UUID | None = None) -> list[ProviderView]:
    """The active providers of a clinic (the caller's own when none is named): colleagues to transfer to, people to assign to.

    With each, what they hold now and when they are away.
    """
    async with services.database.session() as session:
        return await providers_view(session, caller, clinic or caller.clinic_id)


async def providers_view(session: AsyncSession, caller: Caller, clinic_id: UUID) -> list[ProviderView]:
    """The active providers of a clinic, with load and absences. Raises Problem `not_found` unless the caller may list them."""
    clinic = await people.load_clinic(session, clinic_id)
    own = await people.load_clinic(session, caller.clinic_id)
    if clinic is None or own is None or not policy.may_list_providers(caller, clinic, own):
        raise Problem("not_found")
    accounts = await people.list_providers(session, clinic.id)
    ids = [account.id for account in accounts]
    loads = await load.loads_of(session, ids)
    presences = await absences.presence_of(session, ids, on=absences.today(datetime.now(UTC)), soon=SOON)
    return [
        _provider_view(account, clinic, loads.get(account.id, Load()), presences.get(account.id, Presence()))
        for account in accounts
    ]


async def clinics_view(session: AsyncSession, caller: Caller) -> list[ClinicView]:
    """The clinics that the caller has to do with, with what waits in the pools of those whose providers they may list."""
    all_clinics = await people.list_clinics(session)
    own = next(clinic for clinic in all_clinics if clinic.id == caller.clinic_id)
    shown = [c for c in all_clinics if policy.may_route_to(own, c.id) or Role.OPERATOR in caller.roles]
    listed = {c.id for c in shown if policy.may_list_providers(caller, c, own)}
    waiting = await load.pools_waiting(session, listed)
    return [
        ClinicView(
            id=c.id,
            code=c.code,
            name=c.name,
            address_lines=c.address_lines,
            phone=c.phone,
            calendar=ClinicCalendar.model_validate(c.calendar),
            pool_waiting=waiting.get(c.id, 0) if c.id in listed else None,
        )
        for c in shown
    ]


def _provider_view(account: Account, clinic: Clinic, held: Load, presence: Presence) -> ProviderView:
    return ProviderView(
        **dict(person_view(account, clinic)),
        waiting=held.waiting,
        in_progress=held.in_progress,
        overdue=held.overdue,
        absent=presence.now,
        next_absence=presence.next,
    )


def _offering(offering: ServiceOffering) -> dict[str, Any]:
    deadlines = {**DEFAULT_DEADLINES, **offering.deadlines}
    return offering.model_copy(update={"deadlines": deadlines}).model_dump(mode="json")
