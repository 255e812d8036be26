"""Access in an emergency: for who must see a request that does not show to them, and for administrators, who look at that."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.requests import Role
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, done, fields_of, summary
from portal.pages import Notice, Visit, VisitOf, said_in
from portal.sign_on import back_to, confirmed, go_on, kept_by
from records.models import SigningTicket
from translations import gettext_noop as _
from use_cases import emergencies
from use_cases.emergencies import NewOpening, OpeningState, OpeningView, Wanted
from use_cases.passkey_answers import options_to_answer
from use_cases.problems import Problem
from use_cases.second_factor import own_factor
from use_cases.ways_in import proves_by_password
from web.problems import status_of

router = APIRouter(include_in_schema=False)

_PLACES = {
    **{"wrong_password": "password", "wrong_code": "code", "wrong_passkey": "code", "code_needed": "code"},
    **{"nothing_to_open": "number", "seen_anyway": "number"},
}

_OVER = _("Your access to the request that you were reading in an emergency is over.")
_OVER_BY_ITSELF = _(
    "Your access to request %(number)s is over: its time, or it was ended. If it can’t wait, open it again."
)
_HELD = _(
    "Your access to request %(number)s was ended. You can’t open it again for a day; if it can’t wait, have a colleague open "
    "it, or call the administrators of your clinic."
)
_ENDED_BY = _(
    "%(name)s has ended your access to request %(number)s. You can’t open it again for a day; if it can’t wait, have a "
    "colleague open it, or call the administrators of your clinic."
)


@router.get("/emergency")
async def emergency_page(visit: VisitOf) -> Response:
    """The form, what one has opened, and for administrators what others have."""
    return await _page(visit)


@router.post("/emergency")
async def open_request(visit: VisitOf) -> Response:
    """Open it, and show it; or say why not, with what was written still there."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        new = NewOpening.model_validate(said_in(form, "number", "reason", "password", "code", "passkey"))
        opened = await emergencies.open_in_emergency(visit.services, visit.caller, new, _key(form))
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    if opened.state is not OpeningState.OPEN:  # the same form, sent again after the end
        return visit.on_to("/emergency", "emergency_ended")
    return visit.on_to(f"/requests/{opened.request_id}", "opened_in_emergency")


@router.post("/emergency/passkey")
async def ask_passkey(visit: VisitOf) -> Response:
    """What a script needs to have a passkey answer for what the form says."""
    form = await visit.form()
    try:
        wanted = Wanted.model_validate(said_in(form, "number", "reason"))
    except ValidationError:  # the page says what is wrong with it once it is sent
        wanted = None
    used_for = emergencies.used_for(visit.caller.command_id(_key(form)), wanted)
    options = await options_to_answer(visit.services, visit.caller.id, used_for)
    return Response(options, media_type="application/json")


@router.post("/emergency/confirm")
async def confirm(visit: VisitOf) -> Response:
    """On to the person's organization, which confirms that it is they; then back to the same page."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        wanted = Wanted.model_validate(said_in(form, "number", "reason"))
        said = {**said_in(form, "number", "reason", "key"), "back": back_to("/emergency", form)}
        cookie = kept_by(visit.request, visit.services.settings)
        begun = await emergencies.confirm(visit.services, visit.caller, wanted, _key(form), said, cookie)
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    return await go_on(visit.request, visit.services, begun)


@router.get("/emergency/{opening_id}")
async def still_open(opening_id: UUID, visit: VisitOf) -> Response:
    """What a page that is read in an emergency asks of itself: nothing is told but that it may go on, and be renewed.

    Raises Problem `not_found` where it is over. It names no request: a page that was open then is no try to see one.
    """
    if not await emergencies.goes_on(visit.services, visit.caller, opening_id):
        raise Problem("not_found")
    return Response(status_code=204, headers={"HX-Trigger": "relais:open"})


@router.post("/emergency/{opening_id}/end")
async def end_opening(opening_id: UUID, visit: VisitOf) -> Response:
    """End it; or say why not."""

    async def do() -> None:
        await emergencies.end(visit.services, visit.caller, opening_id)

    return await done(visit, do, "/emergency", "emergency_ended", partial(_page, visit, None))


async def _page(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language, _PLACES)
    ticket = await confirmed(visit, emergencies.used_for)
    is_possible = await emergencies.is_possible(visit.services, visit.caller)
    openings = await emergencies.list_openings(visit.services, visit.caller)
    return visit.page(
        "emergency",
        because=error,
        openings=openings,
        is_possible=is_possible,
        treats=bool(visit.caller.roles & {Role.PROVIDER, Role.REQUESTER}),
        administers=Role.CLINIC_ADMINISTRATOR in visit.caller.roles,
        form=pages.written(ticket.said if ticket else _written(form)),
        key=_key_again(form, error, ticket),
        ticket=ticket,
        factor=await own_factor(visit.services, visit.caller, whoever=True),
        has_password=await proves_by_password(visit.services, visit.caller.account),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else _said_of(visit, openings),
    )


def _said_of(visit: Visit, openings: Sequence[OpeningView]) -> Notice | None:
    """What was just done; or where a page has just been left because it is over (`over`), what became of that."""
    over = visit.request.query_params.get("over")
    if over is None:
        return pages.done_notice(visit.request, visit.language)
    left = next((one for one in openings if one.yours and str(one.id) == over), None)
    if left is None:  # nothing of it shows to them any more
        return Notice("information", visit.say(_OVER))
    if left.state is OpeningState.OPEN:
        return None
    if left.ended_by is None or left.ended_by.id == visit.caller.id:
        by_itself = _OVER_BY_ITSELF if left.held_until is None else _HELD
        return Notice("information", visit.say(by_itself, number=left.number))
    return Notice("error", visit.say(_ENDED_BY, number=left.number, name=left.ended_by.name))


def _written(form: FormData | None) -> dict[str, str]:
    """What stays in a form that is shown again. A password never does."""
    return {name: str(form.get(name, "")) for name in ("number", "reason")} if form is not None else {}


def _key(form: FormData) -> str:
    return str(form.get("key", ""))


def _key_again(form: FormData | None, error: Problem | Refusal | None, ticket: SigningTicket | None) -> str | None:
    """The same while a proof is good for it, or nobody knows whether it got through; else a new one."""
    if ticket is not None:
        return str(ticket.said["key"])
    return _key(form) if form is not None and error is not None and status_of(error) >= 500 else None
