"""The patient of a request, and what else one may see about them: open requests, earlier ones, drafts."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from domain.requests import Status
from portal.pages import VisitOf
from portal.requests import chart
from use_cases.catalogue import newest_offerings
from use_cases.problems import Problem
from use_cases.same_patient import read_same_patient
from web.rates import OF_ONE_PATIENT

router = APIRouter(include_in_schema=False)


@router.get("/requests/{request_id}/patient", dependencies=[OF_ONE_PATIENT])
async def patient_page(request_id: UUID, visit: VisitOf) -> Response:
    """This request and the others about probably the same patient, for who may see its chart."""
    view = await visit.look_at(request_id)
    if view.access != "chart":
        raise Problem("forbidden")
    others = await read_same_patient(visit.services, visit.caller, request_id, visit.language)
    rows = [view, *others]
    groups = [
        ("open", [row for row in rows if row.status.is_open]),
        ("earlier", [row for row in rows if row.status.is_final]),
        ("drafts", [row for row in rows if row.status is Status.DRAFT]),
    ]
    around = await chart(visit, view)
    around["offerings"] = await newest_offerings(visit.services)
    return visit.page("patient", view=view, groups=[(name, found) for name, found in groups if found], **around)
