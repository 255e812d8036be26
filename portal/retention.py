"""How long the clinic keeps what is over, for its administrators: policy, holds, lists to look at twice, certificates."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.retention import EntryOutcome, ListState, RetentionPolicy
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, done, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from translations.words import KEPT_BECAUSE
from use_cases import certificates, retention
from use_cases.administrators import Administrator
from use_cases.problems import FieldFault, Problem
from use_cases.retention import Approval, NewHold
from web.files import pdf_response

router = APIRouter(include_in_schema=False)

STATES: Mapping[ListState, str] = {
    ListState.WAITING: _("Waits for an approval"),
    ListState.APPROVED: _("Approved"),
    ListState.DONE: _("Destroyed"),
}

OUTCOMES: Mapping[EntryOutcome, str] = {
    EntryOutcome.DESTROYED: _("Destroyed"),
    EntryOutcome.KEPT: _("Kept"),
}

_POLICY = ("years", "minors_until", "minors_years")


@router.get("/retention")
async def retention_page(visit: VisitOf) -> Response:
    """The policy, what is held, and the lists."""
    return await _page(visit)


@router.post("/retention")
async def set_policy(visit: VisitOf) -> Response:
    """Set the policy; or say why not, with everything that was written still there."""
    form = await visit.form()

    async def do() -> None:
        policy = RetentionPolicy.model_validate({name: str(form.get(name, "")).strip() for name in _POLICY})
        version = pages.number_in(form, "version")
        await retention.change_policy(visit.services, visit.caller, visit.caller.clinic_id, policy, version)

    return await done(visit, do, "/retention", "retention_saved", partial(_page, visit, form))


@router.get("/requests/{request_id}/hold")
async def hold_page(request_id: UUID, visit: VisitOf) -> Response:
    """Why a request is to be kept beyond its time."""
    return await _hold(visit, request_id)


@router.post("/requests/{request_id}/hold")
async def hold(request_id: UUID, visit: VisitOf) -> Response:
    """Put it on hold; or say why not, with everything that was written still there."""
    form = await visit.form()

    async def do() -> None:
        new = NewHold.model_validate({"reason": form.get("reason", ""), "whole_patient": "whole_patient" in form})
        await retention.set_hold(visit.services, visit.caller, request_id, new)

    return await done(visit, do, "/retention", "held", partial(_hold, visit, request_id, form))


@router.post("/retention/hold")
async def find(visit: VisitOf) -> Response:
    """On to the hold of the request of a number: a clinic that only answered it has no other way to it."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        number = str(form.get("number", ""))
        request_id = await retention.to_hold_numbered(visit.services, visit.caller, number)
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error), {"not_found": "number"})
    return visit.on_to(f"/requests/{request_id}/hold")


@router.post("/retention/holds/{hold_id}/lift")
async def lift(hold_id: UUID, visit: VisitOf) -> Response:
    """Lift a hold."""
    form = await visit.form()

    async def do() -> None:
        await retention.lift_hold(visit.services, visit.caller, hold_id)

    return await done(visit, do, "/retention", "hold_lifted", partial(_page, visit, form))


@router.get("/retention/lists/{list_id}")
async def list_page(list_id: UUID, visit: VisitOf) -> Response:
    """A list, with what became of each request."""
    return await _list(visit, "retention_list", list_id)


@router.get("/retention/lists/{list_id}/approve")
async def second_look(list_id: UUID, visit: VisitOf) -> Response:
    """The list once more, before it is approved."""
    return await _list(visit, "retention_approve", list_id)


@router.post("/retention/lists/{list_id}/approve")
async def approve(list_id: UUID, visit: VisitOf) -> Response:
    """Approve it as it was seen."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        if "looked" not in form:
            raise Problem("invalid_input", [FieldFault("looked", "required")])
        approval = Approval(sha256=str(form.get("sha256", "")))
        await retention.approve(visit.services, visit.caller, list_id, approval)
    except NOT_TAKEN as error:
        return await _list(visit, "retention_approve", list_id, as_problem(error))
    return visit.on_to(f"/retention/lists/{list_id}", "retention_approved")


@router.post("/retention/lists/{list_id}/take-back")
async def take_back(list_id: UUID, visit: VisitOf) -> Response:
    """Take the approval back; or say why not."""
    await visit.form()

    async def do() -> None:
        await retention.take_back(visit.services, visit.caller, list_id)

    async def again(error: Problem | Refusal) -> Response:
        return await _list(visit, "retention_list", list_id, error)

    return await done(visit, do, f"/retention/lists/{list_id}", "retention_taken_back", again)


@router.get("/retention/lists/{list_id}/certificate.pdf")
async def certificate(list_id: UUID, visit: VisitOf) -> Response:
    """The certificate."""
    made = await certificates.read_certificate_pdf(visit.services, Administrator.of(visit.caller), list_id)
    return pdf_response(made.pdf, made.filename)


async def _page(
    visit: Visit,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    places: Mapping[str, str] | None = None,
) -> Response:
    found = await retention.read_retention(
        visit.services.database, Administrator.of(visit.caller), visit.caller.clinic_id
    )
    wrong = fields_of(error, visit.language, places)
    policy = {name: str(getattr(found.policy, name)) for name in _POLICY}
    return visit.page(
        "retention",
        because=error,
        found=found,
        states=STATES,
        form=pages.written({**policy, **(form or {})}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


async def _hold(
    visit: Visit, request_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    wrong = fields_of(error, visit.language)
    return visit.page(
        "retention_hold",
        because=error,
        to_hold=await retention.to_hold(visit.services, visit.caller, request_id),
        form=pages.written(form or {}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _list(visit: Visit, page: str, list_id: UUID, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language)
    administrator = Administrator.of(visit.caller)
    found = await retention.read_list(visit.services, administrator, list_id)
    waits = [one for one in found.entries if one.needs_second]
    is_approver = found.approved_by is not None and found.approved_by.id == visit.caller.id
    is_ours = administrator.administers(found.clinic_id)
    is_in_time = found.destroyed_from is None or datetime.now(UTC) < found.destroyed_from
    return visit.page(
        page,
        because=error,
        found=found,
        restricted=len(waits),
        may_second=found.state is ListState.APPROVED and bool(waits) and is_ours and is_in_time and not is_approver,
        is_operator=not is_ours,
        states=STATES,
        outcomes=OUTCOMES,
        because_words=KEPT_BECAUSE,
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )
