"""A clinic itself, for who administers it: name, address, telephone, when it works; and for operators, to whom it routes.

When a clinic works counts for requests that are submitted from then on; those that are open keep their calendar.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.clinic_calendar import ClinicCalendar
from domain.model import Frozen
from records import account_events, people
from records.models import Clinic
from use_cases.administrators import Administrator
from use_cases.emergencies import tell_open_pages
from use_cases.gate import Starting
from use_cases.names import Names
from use_cases.people import EVENTS_SHOWN, Line, Name, PersonEvent, clinic_of, event_views
from use_cases.problems import Problem, input_faults
from use_cases.views import View

AddressLines = Annotated[list[Name], Field(max_length=8)]


class NewClinic(Frozen):
    """A clinic that comes. Its `code` is short and stays."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,39}$")] = Field(examples=["fleuve"])
    name: Name = Field(examples=["Clinique du Fleuve"])
    address_lines: AddressLines = Field(default=[], examples=[["1, rue du Quai", "Québec (Québec)  G1K 0A1"]])
    phone: Line = ""


class ClinicChange(Frozen):
    """What is to be changed of a clinic; what is left out stays as it is, also within the calendar."""

    name: Name | None = Field(None, examples=["Clinique du Fleuve"])
    address_lines: AddressLines | None = None
    phone: Line | None = None
    calendar: ClinicCalendar | None = Field(None, description="For requests that are submitted from now on.")
    emergency: bool | None = Field(
        None,
        description="Whether its people may open in an emergency what they don't see otherwise, and others what it asked for; "
        "for its administrators to say.",
    )
    routes_to: Annotated[list[UUID], Field(max_length=500)] | None = Field(
        None, description="The other clinics to which its dispatchers may assign; for operators to say."
    )


class ClinicOnFile(View):
    """A clinic as its administrators see it."""

    id: UUID
    code: str
    name: str
    address_lines: list[str]
    phone: str
    calendar: ClinicCalendar
    routes_to: list[UUID]
    emergency: bool = Field(description="Whether access in an emergency is turned on.")
    version: int = Field(description="For If-Match: grows with each change.")


async def read_clinic(services: Starting, by: Administrator, clinic_id: UUID) -> ClinicOnFile:
    """The clinic. Raises Problem `not_found`."""
    async with services.database.session() as session:
        return _view(await clinic_of(session, by, clinic_id))


async def list_clinic_events(services: Starting, by: Administrator, clinic_id: UUID) -> list[PersonEvent]:
    """What was done about the clinic itself, the newest first. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await clinic_of(session, by, clinic_id)
        found = await account_events.list_clinic_events(session, clinic_id, limit=EVENTS_SHOWN)
        return event_views(found, await Names.load(session, [event.actor_id for event in found], []))


async def add_clinic(services: Starting, by: Administrator, new: NewClinic) -> ClinicOnFile:
    """A new clinic, by an operator. Raises Problem `forbidden` or `clinic_code_taken`."""
    if not by.is_operator:
        raise Problem("forbidden")
    try:
        async with services.database.session() as session:
            clinic = await people.add_clinic(
                session, code=new.code, name=new.name, address_lines=new.address_lines, phone=new.phone
            )
            await session.refresh(clinic)
            note_added(session, by, clinic)
            return _view(clinic)
    except IntegrityError:
        raise Problem("clinic_code_taken") from None


async def change_clinic(
    services: Starting, by: Administrator, clinic_id: UUID, change: ClinicChange, expected_version: int | None
) -> ClinicOnFile:
    """Change what is known of a clinic. The same change a second time changes nothing.

    Raises Problem `not_found`, `clinic_changed` when somebody else was faster, `routes_by_operators`, `forbidden` for who turns
    on access in an emergency and is no administrator of that very clinic, `unknown_clinic`, or `invalid_input` for a calendar
    that won't do together with what stays.
    """
    if change.routes_to is not None and not by.is_operator:
        raise Problem("routes_by_operators")
    async with services.database.session() as session:
        by.check_sees(clinic_id)
        clinic = await people.lock_clinic(session, clinic_id)
        if clinic is None:
            raise Problem("not_found")
        wanted = await _wanted(session, clinic, change)
        changed = {name: value for name, value in wanted.items() if getattr(clinic, name) != value}
        if not changed:
            return _view(clinic)
        if expected_version not in (None, clinic.version):
            raise Problem("clinic_changed")
        if changed.get("emergency") and not by.administers(clinic_id):
            raise Problem("forbidden")
        change_noted(session, by, clinic, changed)
        if "emergency" in changed:
            await tell_open_pages(session, clinic.id)
        return _view(clinic)


def note_added(session: AsyncSession, by: Administrator, clinic: Clinic) -> None:
    """Write down that the clinic is new."""
    account_events.note(session, AccountEventKind.CLINIC_ADDED, clinic, by.hand, datetime.now(UTC))


def change_noted(session: AsyncSession, by: Administrator, clinic: Clinic, changed: Mapping[str, Any]) -> None:
    """Change these columns of the clinic, and write that down."""
    for name, value in changed.items():
        setattr(clinic, name, value)
    clinic.version += 1
    told = {name: [not value, value] if name == "emergency" else None for name, value in changed.items()}
    account_events.note(session, AccountEventKind.CLINIC_CHANGED, clinic, by.hand, datetime.now(UTC), told)


async def _wanted(session: AsyncSession, clinic: Clinic, change: ClinicChange) -> dict[str, Any]:
    """The columns as they are to be."""
    wanted = change.model_dump(mode="json", include={"name", "address_lines", "phone", "emergency"}, exclude_none=True)
    if change.calendar is not None:
        set_here = change.calendar.model_dump(mode="json", include=change.calendar.model_fields_set)
        try:
            merged = ClinicCalendar.model_validate({**clinic.calendar, **set_here})
        except ValidationError as error:
            raise Problem("invalid_input", input_faults(error)) from None
        if merged != ClinicCalendar.model_validate(clinic.calendar):
            wanted["calendar"] = merged.model_dump(mode="json")
    if change.routes_to is not None:
        routes = sorted(set(change.routes_to) - {clinic.id})
        if len(await people.clinics_by_id(session, routes)) < len(routes):
            raise Problem("unknown_clinic")
        wanted["routes_to"] = routes
    return wanted


def _view(clinic: Clinic) -> ClinicOnFile:
    return ClinicOnFile(
        id=clinic.id,
        code=clinic.code,
        name=clinic.name,
        address_lines=clinic.address_lines,
        phone=clinic.phone,
        calendar=ClinicCalendar.model_validate(clinic.calendar),
        routes_to=clinic.routes_to,
        emergency=clinic.emergency,
        version=clinic.version,
    )
