"""The clinic itself, for its administrators: its name, address and telephone, and when it works."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.clinic_calendar import DAY_NAMES
from domain.closing_days import ClosingDays
from domain.refusals import Refusal
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.people import EVENTS, FIELDS, SIDES
from translations import gettext_noop as _
from use_cases import clinics
from use_cases.administrators import Administrator
from use_cases.clinics import ClinicChange, ClinicOnFile
from use_cases.problems import Problem

router = APIRouter(include_in_schema=False)

DAYS: Mapping[str, str] = {
    "mon": _("Monday"),
    "tue": _("Tuesday"),
    "wed": _("Wednesday"),
    "thu": _("Thursday"),
    "fri": _("Friday"),
    "sat": _("Saturday"),
    "sun": _("Sunday"),
}

CLOSING_LISTS: Mapping[ClosingDays, str] = {
    ClosingDays.QUEBEC_NETWORK: _("Those of Québec’s health network"),
    ClosingDays.QUEBEC_LABOUR: _("The legal ones of Québec"),
    ClosingDays.NONE: _("None but those below"),
}

CLINIC_FIELDS: Mapping[str, str] = {
    **FIELDS,
    "name": _("Name"),
    "address_lines": _("Address"),
    "phone": _("Telephone"),
    "calendar": _("When the clinic works"),
    "routes_to": _("Clinics to which requests are routed"),
    "signing_needs_code": _("Whether a second factor is needed to sign"),
    "emergency": _("Whether there is access in an emergency"),
    "retention_years": _("Years from the last entry"),
    "retention_minors_until": _("Age below which a patient is a minor"),
    "retention_minors_years": _("Years that are kept beyond that age"),
    "month": _("Month"),
    "webhook": _("Webhook"),
    "subscription": _("Subscription"),
    "url": _("Address"),
    "types": _("What is told"),
    "description": _("Description"),
    "enabled": _("Turned on or off"),
    "messages": _("Messages"),
}


@router.get("/clinic")
async def clinic_page(visit: VisitOf) -> Response:
    """Name, address, hours and closing days of one's own clinic."""
    return await _page(visit)


@router.post("/clinic")
async def change_clinic(visit: VisitOf) -> Response:
    """Change them; or say why not, with everything that was written still there."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        by, version = Administrator.of(visit.caller), pages.number_in(form, "version")
        change = ClinicChange.model_validate(_said(form))
        await clinics.change_clinic(visit.services, by, visit.caller.clinic_id, change, version)
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    return visit.on_to("/clinic", "clinic_saved")


async def _page(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    by = Administrator.of(visit.caller)
    clinic = await clinics.read_clinic(visit.services, by, visit.caller.clinic_id)
    wrong: dict[str, str] = {}
    for place, told in fields_of(error, visit.language).items():
        wrong.setdefault(_field(place), told)  # of a day that can't be read, the week is told to be too short besides
    return visit.page(
        "clinic",
        because=error,
        clinic=clinic,
        says_of_emergencies=clinic.emergency or by.administers(clinic.id),
        days=DAYS,
        closing_lists=CLOSING_LISTS,
        events=await clinics.list_clinic_events(visit.services, by, clinic.id),
        event_words=EVENTS,
        sides=SIDES,
        field_words=CLINIC_FIELDS,
        form=pages.written(form) if form is not None else _as_written(clinic),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def _said(form: FormData) -> dict[str, Any]:
    """What the form says, as a change."""

    def text(name: str) -> str:
        return str(form.get(name, ""))

    calendar = {
        "time_zone": text("time_zone").strip(),
        "closing_days": text("closing_days"),
        "also_closed": text("also_closed").split(),
        "open_after_all": text("open_after_all").split(),
        "week": [text(day).split() for day in DAY_NAMES],
    }
    address = [line for line in text("address_lines").splitlines() if line.strip()]
    said = {"name": text("name"), "phone": text("phone"), "address_lines": address, "calendar": calendar}
    return {**said, "emergency": text("emergency") == "yes"} if "emergency" in form else said


def _field(place: str) -> str:
    """The field of the page at which a fault is told: of the calendar, faults name its parts."""
    head, *rest = place.removeprefix("calendar.").split(".")
    if head == "week":
        return DAY_NAMES[int(rest[0])] if rest else DAY_NAMES[0]
    return "also_closed" if head == "calendar" else head


def _as_written(clinic: ClinicOnFile) -> Mapping[str, str]:
    calendar = clinic.calendar
    week = {day: " ".join(map(str, hours)) for day, hours in zip(DAY_NAMES, calendar.week, strict=True)}
    return pages.written(
        week,
        name=clinic.name,
        phone=clinic.phone,
        emergency="yes" if clinic.emergency else "no",
        address_lines="\n".join(clinic.address_lines),
        time_zone=calendar.time_zone,
        closing_days=calendar.closing_days.value,
        also_closed="\n".join(map(str, calendar.also_closed)),
        open_after_all="\n".join(map(str, calendar.open_after_all)),
    )
