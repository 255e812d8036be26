"""What one can ask for, and of whom: service offerings, clinics, providers."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api import policy
from api.problems import Problem
from api.security import CallerOf
from api.services import ServicesOf
from api.views import PersonView, View, person_view
from domain.offerings import DEFAULT_DEADLINES, ServiceOffering
from domain.requests import Role
from records import people
from records.models import Clinic

router = APIRouter(tags=["catalogue"])


class ClinicView(View):
    """A clinic."""

    id: UUID
    code: str
    name: str
    address_lines: list[str]
    phone: str


@router.get("/offerings", summary="Service offerings")
async def offerings(caller: CallerOf, services: ServicesOf) -> list[dict[str, Any]]:  # noqa: ARG001 - signed in is enough
    """Every service offering: its form, the attachments asked for, its report template and its deadlines."""
    return [_offering(offering) for offering in services.offerings.values()]


@router.get("/offerings/{code}", summary="One service offering")
async def offering(code: str, caller: CallerOf, services: ServicesOf) -> dict[str, Any]:  # noqa: ARG001
    """One service offering."""
    if code not in services.offerings:
        raise Problem("not_found")
    return _offering(services.offerings[code])


@router.get("/clinics", summary="Clinics")
async def clinics(caller: CallerOf, services: ServicesOf) -> list[ClinicView]:
    """The caller's clinic, and those to which its dispatchers may route requests. Operators see all."""
    async with services.database.session() as session:
        all_clinics = await people.list_clinics(session)
    own = _own(all_clinics, caller.clinic_id)
    return [
        ClinicView(id=c.id, code=c.code, name=c.name, address_lines=c.address_lines, phone=c.phone)
        for c in all_clinics
        if policy.may_route_to(own, c.id) or Role.OPERATOR in caller.roles
    ]


@router.get("/providers", summary="Providers of a clinic")
async def providers(caller: CallerOf, services: ServicesOf, clinic: UUID | None = None) -> list[PersonView]:
    """The active providers of a clinic (the caller's own when none is named): colleagues to transfer to, people to assign to."""
    async with services.database.session() as session:
        wanted = await people.load_clinic(session, clinic or caller.clinic_id)
        own = await people.load_clinic(session, caller.clinic_id)
        if wanted is None or own is None or not policy.may_list_providers(caller, wanted, own):
            raise Problem("not_found")
        return [person_view(account, wanted) for account in await people.list_providers(session, wanted.id)]


def _offering(offering: ServiceOffering) -> dict[str, Any]:
    deadlines = {**DEFAULT_DEADLINES, **offering.deadlines}
    return offering.model_copy(update={"deadlines": deadlines}).model_dump(mode="json")


def _own(all_clinics: list[Clinic], clinic_id: UUID) -> Clinic:
    return next(clinic for clinic in all_clinics if clinic.id == clinic_id)
