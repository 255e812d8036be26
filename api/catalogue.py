"""What one can ask for, and of whom: service offerings, clinics, providers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from domain.offerings import MAX_VERSION, Code, ServiceOffering
from records.models import Json
from use_cases import catalogue, served_offerings
from use_cases.catalogue import ClinicView, ProviderView
from use_cases.problems import Problem
from use_cases.served_offerings import ServedOfferings
from web.services import ServicesOf
from web.session import CallerOf, CatalogueReader

router = APIRouter(tags=["catalogue"])


@router.get("/offerings", summary="Service offerings")
async def offerings(caller: CatalogueReader, services: ServicesOf) -> list[Json]:  # noqa: ARG001 - signed in is enough
    """Every service offering in force: its form, the attachments asked for, its report template and its deadlines."""
    return [_offering(offering) for offering in services.offerings.values()]


@router.get("/offerings/{code}", summary="One service offering")
async def offering(code: str, caller: CatalogueReader, services: ServicesOf) -> Json:  # noqa: ARG001
    """One service offering."""
    if code not in services.offerings:
        raise Problem("not_found")
    return _offering(services.offerings[code])


@router.get("/offerings/{code}/versions/{version}", summary="One version of a service offering")
async def offering_version(
    code: Code,
    version: Annotated[int, Path(ge=1, le=MAX_VERSION)],
    caller: CatalogueReader,  # noqa: ARG001
    services: ServicesOf,
) -> Json:
    """A service offering as it was in force at some time: what shows the form and the report of a request made with it."""
    return _offering(await catalogue.find_offering(services, code, version))


@router.get("/clinics", summary="Clinics")
async def clinics(caller: CatalogueReader, services: ServicesOf) -> list[ClinicView]:
    """The caller's clinic, and those to which its dispatchers may route requests. Operators see all."""
    return await catalogue.list_clinics(services, caller)


@router.get("/providers", summary="Providers of a clinic")
async def providers(
    caller: CatalogueReader,
    services: ServicesOf,
    clinic: UUID | None = None,
    offering: Annotated[
        Code | None,
        Query(description="A service offering: those who serve it come first.", examples=["teledermatology"]),
    ] = None,
) -> list[ProviderView]:
    """The active providers of a clinic (the caller's own when none is named): colleagues to transfer to, people to assign to.

    With each, what they hold now, when they are away, and which service offerings they serve.
    """
    return await catalogue.list_providers(services, caller, clinic or caller.clinic_id, offering)


@router.get("/accounts/{account_id}/offerings", summary="What a provider serves")
async def get_served_offerings(account_id: UUID, caller: CallerOf, services: ServicesOf) -> ServedOfferings:
    """The service offerings that a provider serves, for who may list the providers of their clinic."""
    return await served_offerings.read_served(services, caller, account_id)


@router.put("/accounts/{account_id}/offerings", summary="Say what a provider serves")
async def put_served_offerings(
    account_id: UUID, wanted: ServedOfferings, caller: CallerOf, services: ServicesOf
) -> ServedOfferings:
    """For administrators of the provider's clinic. It forbids nothing: of who does not serve an offering, one is warned.

    Of whom nothing is said (null), serves every offering.
    """
    return await served_offerings.set_served(services, caller, account_id, wanted)


def _offering(offering: ServiceOffering) -> Json:
    return offering.model_copy(update={"deadlines": offering.terms.deadlines}).model_dump(mode="json")
