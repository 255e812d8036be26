"""A clinic itself, for who administers it: address, when it works; new clinics and routes between them, for operators."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.parameters import ExpectedVersion
from use_cases import clinics
from use_cases.administrators import Administrator
from use_cases.clinics import ClinicChange, ClinicOnFile, NewClinic
from use_cases.people import PersonEvent
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["people"])


@router.post("/clinics", status_code=201, summary="Make a clinic")
async def add_clinic(new: NewClinic, caller: CallerOf, services: ServicesOf) -> ClinicOnFile:
    """For operators. Its code stays; invite its first administrator next."""
    return await clinics.add_clinic(services, Administrator.of(caller), new)


@router.get("/clinics/{clinic_id}", summary="A clinic")
async def get_clinic(clinic_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> ClinicOnFile:
    """For administrators of the clinic, and for operators. The ETag is for `If-Match`."""
    clinic = await clinics.read_clinic(services, Administrator.of(caller), clinic_id)
    response.headers["ETag"] = f'"{clinic.version}"'
    return clinic


@router.patch("/clinics/{clinic_id}", summary="Change a clinic")
async def change_clinic(
    clinic_id: UUID, change: ClinicChange, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> ClinicOnFile:
    """Name, address, telephone, hours and closing days, for its administrators; for operators, also to whom it routes.

    When a clinic works counts for requests that are submitted from now on.
    """
    return await clinics.change_clinic(services, Administrator.of(caller), clinic_id, change, version)


@router.get("/clinics/{clinic_id}/events", summary="What was done about a clinic")
async def list_clinic_events(clinic_id: UUID, caller: CallerOf, services: ServicesOf) -> list[PersonEvent]:
    """By whom, when, from where, and which fields, the newest first; at most the last hundred."""
    return await clinics.list_clinic_events(services, Administrator.of(caller), clinic_id)
