"""Entering and removing absences by a form: one's own on the page of one's settings, a colleague's on theirs."""

from collections.abc import Mapping
from uuid import UUID

from starlette.datastructures import FormData

from domain.absences import AbsenceFault
from domain.typed_dates import as_date
from portal.pages import Visit
from use_cases.absences import NewAbsence, add_absence, remove_absence
from use_cases.problems import Problem

PLACES: Mapping[str, str] = {
    AbsenceFault.ENDS_BEFORE_START: "ends_on",
    AbsenceFault.TOO_LONG: "ends_on",
    AbsenceFault.IN_THE_PAST: "ends_on",
    AbsenceFault.OVERLAPS: "starts_on",
}
"""At which field of the form each fault of an absence is said."""


async def add(visit: Visit, account_id: UUID, form: FormData) -> None:
    """Enter the absence that the form describes; the same form sent twice enters one.

    Raises ValidationError when a date is missing or none, and Problem as the use case does.
    """
    key = visit.key(form)
    days = {name: as_date(str(form.get(name, ""))) for name in ("starts_on", "ends_on")}
    said = {name: text for name, text in {**days, "note": form.get("note")}.items() if text}
    await add_absence(visit.services, visit.caller, account_id, NewAbsence.model_validate(said), key)


async def remove(visit: Visit, account_id: UUID, absence_id: UUID) -> None:
    """Take the absence back. One that is gone already is as good as removed: a form can be sent twice."""
    try:
        await remove_absence(visit.services, visit.caller, account_id, absence_id)
    except Problem as problem:
        if problem.code != "not_found":
            raise
