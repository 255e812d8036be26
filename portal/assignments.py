"""Requests that a dispatcher chose in the worklist, assigned with one press.

Where whom they chose is away or does not serve what is asked for, and where something was refused, a page says so and shows what
was chosen, to be sent all the same or once more. What was just assigned, or accepted, is taken back from the worklist with one
press.
"""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData

from domain.model import DISCREET
from domain.refusals import Refusal
from domain.requests import Role
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Notice, Visit, VisitOf
from portal.providers import Team, destination, served_first, teams
from portal.worklist import worklist_page
from translations import gettext_noop as _
from translations.typography import COLON
from use_cases.assignments import Assignments, ChosenRequest, assign_several, take_back_several
from use_cases.catalogue import newest_offerings
from use_cases.problems import Problem
from use_cases.requests import RequestSummary, find_summaries
from use_cases.several import MOST_AT_ONCE, PartReceipt

router = APIRouter(include_in_schema=False)

_PLACES = {"provider_or_clinic": "to", "unknown_provider": "to", "unknown_clinic": "to"}


@router.get("/assignments")
async def nothing_chosen() -> Response:
    """Who comes here by an address has chosen nothing yet: that is done in the worklist."""
    return RedirectResponse("/worklist", 303)


ROW_CHOICES = 12
"""So many people of each clinic stand in the menu of a row; the others are a click away."""


@router.get("/assignments/menu/{request_id}")
async def menu_of_row(request_id: UUID, visit: VisitOf, back: str = "") -> Response:
    """What opens in a row of the worklist: who serves its offering comes first. Raises Problem `not_found` or `forbidden`."""
    rows = await find_summaries(visit.services, visit.caller, [request_id], visit.language)
    if not rows:
        raise Problem("not_found")
    if Role.DISPATCHER not in visit.caller.roles:
        raise Problem("forbidden")
    found = served_first(await teams(visit), rows[0].offering)
    return visit.page("assign_menu", row=rows[0], teams=found, row_choices=ROW_CHOICES, back=_worklist(back))


@router.post("/assignments")
async def assign_chosen(visit: VisitOf) -> Response:
    """Assign what was chosen."""
    form = await visit.form()
    if Role.DISPATCHER not in visit.caller.roles:
        raise Problem("forbidden")
    try:
        key = visit.key(form)
        wanted = Assignments.model_validate(_said(form))
        if "despite" not in form and (warning := await _warning(visit, form)):
            return await _page(visit, form, notice=Notice("warning", visit.say(warning)), is_warned=True)
        came = await assign_several(visit.services, visit.caller, wanted, key, visit.language)
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    if any(each.state == "refused" for each in came):
        notice = Notice("error", visit.say(_("Not everything could be assigned. What is left says why.")))
        return await _page(visit, form, notice=notice, came=came)
    if any(each.state == "queued" for each in came):
        return visit.on_to(_back(form), "queued")
    return visit.on_to(_back(form), "assigned_several", [each.request_id for each in came][:MOST_NAMED])


MOST_NAMED = 50
"""So many requests at most stand in the address of the worklist as what was just assigned: one with all would be too long."""


@router.get("/assignments/take-back")
async def nothing_to_take_back() -> Response:
    """Who comes here by an address: it is pressed in the worklist."""
    return RedirectResponse("/worklist", 303)


@router.post("/assignments/take-back")
async def take_back(visit: VisitOf) -> Response:
    """Take back what was just done to these requests; what can't be taken back any more is named, with why."""
    form = await visit.form()
    key = visit.key(form)
    try:
        chosen = Chosen.validate_python(_chosen(form))
    except ValidationError as error:
        raise as_problem(error) from None
    came = await take_back_several(visit.services, visit.caller, chosen, key, visit.language)
    if refused := {each.request_id: each.detail or "" for each in came if each.state == "refused"}:
        rows = await find_summaries(visit.services, visit.caller, list(refused), visit.language)
        items = tuple((f"{row.number}{COLON[visit.language]} {refused[row.id]}", "") for row in rows)
        notice = Notice("error", visit.say(_("Not everything could be taken back.")), items)
        return await worklist_page(visit, _back(form), notice, status=409)
    return visit.on_to(_back(form), "queued" if any(each.state == "queued" for each in came) else "take_back")


Chosen = TypeAdapter(Annotated[list[ChosenRequest], Field(min_length=1, max_length=MOST_AT_ONCE)], config=DISCREET)


def _chosen(form: FormData) -> list[dict[str, str | None]]:
    chosen = [str(one).partition("/") for one in form.getlist("request")]
    return [{"id": id_, "version": version or None} for id_, _slash, version in chosen]


def _said(form: FormData) -> dict[str, object]:
    """What was chosen, under the names of the order's fields. Raises Problem `invalid_input` for nobody."""
    comment = str(form.get("comment", "")).replace("\r\n", "\n")
    return {
        "requests": _chosen(form),
        **destination(str(form.get("to", ""))),
        **({"comment": comment} if comment.strip() else {}),
    }


def _chosen_ids(form: FormData) -> list[UUID]:
    found = []
    for one in form.getlist("request")[:MOST_AT_ONCE]:
        try:
            found.append(UUID(str(one).partition("/")[0]))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


async def _warning(visit: Visit, form: FormData) -> str | None:
    """What to say before it is sent: that whom they chose is away, or does not serve all that is asked for."""
    rows = await find_summaries(visit.services, visit.caller, _chosen_ids(form), visit.language)
    asked, to = _asked(rows), str(form.get("to", ""))
    for team in await teams(visit, asked):
        if to == f"clinic:{team.clinic.id}" and team.not_served(asked):
            return _NOT_SERVED
        for person in team.people:
            if to == f"provider:{person.id}":
                return _NOT_SERVED if person.not_served(asked) else _AWAY if person.absent else None
    return None


_NOT_SERVED = _(
    "By what the clinic has said, whom you chose does not serve all of these service offerings. Nothing is sent yet."
)
_AWAY = _("The person you chose is absent: the requests may wait until they are back. Nothing is sent yet.")


def _asked(rows: Sequence[RequestSummary]) -> list[str]:
    return sorted({row.offering for row in rows})


async def _page(
    visit: Visit,
    form: FormData,
    error: Problem | Refusal | None = None,
    *,
    notice: Notice | None = None,
    came: Sequence[PartReceipt] = (),
    is_warned: bool = False,
) -> Response:
    """What was chosen and is not assigned, to whom it can go, and what was assigned."""
    rows = await find_summaries(visit.services, visit.caller, _chosen_ids(form), visit.language)
    done = {each.request_id for each in came if each.state != "refused"}
    left = [row for row in rows if row.id not in done]
    wrong = fields_of(error, visit.language, _PLACES)
    known: list[Team] = await teams(visit, _asked(left))
    return visit.page(
        "assignments",
        because=error,
        left=left,
        done=[row for row in rows if row.id in done],
        refused={each.request_id: each for each in came if each.state == "refused"},
        gone=[each for each in came if each.state == "refused" and each.request_id not in {row.id for row in rows}],
        teams=known,
        offerings=await newest_offerings(visit.services),
        asked_offerings=_asked(left),
        is_warned=is_warned,
        back=_back(form),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else notice,
    )


def _back(form: FormData) -> str:
    return _worklist(str(form.get("back", "")))


def _worklist(address: str) -> str:
    """The worklist as it was filtered."""
    wanted = pages.local_address(address)
    return wanted if wanted.partition("?")[0] == "/worklist" else "/worklist"
