"""To whom a request is shut, at the wish of the person whom it is about: for administrators of the clinic that asked for it."""

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from portal import pages
from portal.errors import done, fields_of, summary
from portal.pages import Visit, VisitOf
from use_cases import restrictions
from use_cases.problems import Problem
from use_cases.restrictions import EndedRestriction, NewRestriction

router = APIRouter(include_in_schema=False)

_PLACES = dict.fromkeys(("wrote_the_request", "restricts_yourself", "nobody_left"), "whom")


@router.get("/requests/{request_id}/restrictions")
async def restrictions_page(request_id: UUID, visit: VisitOf) -> Response:
    """The restrictions that hold, and a form for another one."""
    return await _page(visit, request_id)


@router.post("/requests/{request_id}/restrictions")
async def restrict(request_id: UUID, visit: VisitOf) -> Response:
    """Shut it to whom was chosen; or say why not, with everything that was written still there."""
    form = await visit.form()

    async def do() -> None:
        new = NewRestriction.model_validate({**_whom(str(form.get("whom", ""))), "reason": form.get("reason", "")})
        await restrictions.restrict(visit.services, visit.caller, request_id, new)

    return await done(visit, do, _address(request_id), "restricted", partial(_page, visit, request_id, form))


@router.get("/requests/{request_id}/restrictions/{restriction_id}/end")
async def restriction_end_page(request_id: UUID, restriction_id: UUID, visit: VisitOf) -> Response:
    """Why it does not hold any more."""
    return await _end(visit, request_id, restriction_id)


@router.post("/requests/{request_id}/restrictions/{restriction_id}/end")
async def end_restriction(request_id: UUID, restriction_id: UUID, visit: VisitOf) -> Response:
    """End it; or say why not, with everything that was written still there."""
    form = await visit.form()

    async def do() -> None:
        why = EndedRestriction.model_validate({"reason": form.get("reason", "")})
        await restrictions.end_restriction(visit.services, visit.caller, request_id, restriction_id, why)

    again = partial(_end, visit, request_id, restriction_id, form)
    return await done(visit, do, _address(request_id), "restriction_ended", again)


def _address(request_id: UUID) -> str:
    return f"/requests/{request_id}/restrictions"


def _whom(chosen: str) -> dict[str, Any]:
    """What a choice of the form means: somebody, or a role at a clinic."""
    first, _, role = chosen.partition(" ")
    if role:
        return {"clinic_id": first, "role": role}
    return {"account_id": first} if first else {}


async def _page(
    visit: Visit, request_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    found = await restrictions.read_restrictions(visit.services, visit.caller, request_id)
    faults = fields_of(error, visit.language, _PLACES)
    wrong = {field if field == "reason" else "whom": sentence for field, sentence in faults.items()}
    return visit.page(
        "restrictions",
        because=error,
        found=found,
        whom=await restrictions.whom_to_restrict(visit.services, visit.caller, request_id),
        form=pages.written(form or {}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


async def _end(
    visit: Visit,
    request_id: UUID,
    restriction_id: UUID,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
) -> Response:
    found = await restrictions.read_restrictions(visit.services, visit.caller, request_id)
    restriction = next((one for one in found.restrictions if one.id == restriction_id), None)
    if restriction is None:
        raise Problem("not_found")
    wrong = fields_of(error, visit.language)
    return visit.page(
        "restriction_end",
        because=error,
        found=found,
        restriction=restriction,
        form=pages.written(form or {}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )
