"""Who can be given a request: the providers of one's clinic and of those to which it routes, what they serve, what they have on
their hands, and when they are away. The page for dispatchers and administrators, and what the pages that choose somebody show.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypedDict
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.calendar import day_of
from domain.offerings import ServiceOffering
from domain.refusals import Refusal
from domain.requests import EventName, HolderKind, Role, Status
from portal import absences, pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from records.worklist import WorklistFilter
from translations import gettext_noop as _
from use_cases.absences import AbsenceView, list_absences
from use_cases.catalogue import ClinicView, ProviderView, find_provider, list_clinics, list_providers, newest_offerings
from use_cases.hand_over import MAY_HAND_OVER, HandOver, hand_over
from use_cases.problems import FieldFault, Problem
from use_cases.requests import RequestSummary, RequestView
from use_cases.served_offerings import ServedOfferings, read_served, set_served
from use_cases.several import MOST_AT_ONCE, PartReceipt
from use_cases.timeline import TimelineEntry
from use_cases.worklist import read_worklist

router = APIRouter(include_in_schema=False)

_NOBODY = _("Choose a provider, or all the providers of a clinic.")

FILTER_FROM = 9
"""From how many people on a page has a box to find one."""

HANDED_ON = frozenset(
    {
        EventName.ASSIGNED,
        EventName.REASSIGNED,
        EventName.TRANSFERRED,
        EventName.ACCEPTED,
        EventName.ACCEPTANCE_EXPIRED,
        EventName.RETURNED_TO_REQUESTER,
        EventName.RETURNED_TO_DISPATCH,
        EventName.RESUBMITTED,
    }
)
"""What happened to a request that tells who had it before, and why it came back."""


@dataclass(frozen=True)
class Team:
    """The providers of one clinic: those who serve what is asked for first, then those who are there, then by load."""

    clinic: ClinicView
    people: Sequence[ProviderView]

    def not_served(self, offerings: Iterable[str]) -> list[str]:
        """Those of the service offerings, by code, that nobody of them serves; of a system that answers, nobody has said."""
        if self.clinic.outside:
            return []
        return [code for code in offerings if all(person.not_served([code]) for person in self.people)]


@router.get("/providers")
async def providers_page(visit: VisitOf) -> Response:
    """Everybody's load and absences."""
    found = await teams(visit)
    return visit.page(
        "providers",
        teams=found,
        finds=finds(found),
        offerings=await newest_offerings(visit.services),
        hands_over=bool(visit.caller.roles & MAY_HAND_OVER),
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/providers/{account_id}")
async def provider_page(account_id: UUID, visit: VisitOf) -> Response:
    """What somebody holds, to be handed to others, and the absences of somebody of one's clinic."""
    return await _provider(visit, account_id)


@router.post("/providers/{account_id}/absences")
async def add_absence(account_id: UUID, visit: VisitOf) -> Response:
    """Enter an absence for a colleague."""
    form = await visit.form()
    try:
        await absences.add(visit, account_id, form)
    except NOT_TAKEN as error:
        return await _provider(visit, account_id, form, as_problem(error))
    return visit.on_to(f"/providers/{account_id}", "absence")


@router.post("/providers/{account_id}/absences/{absence_id}/remove")
async def remove_absence(account_id: UUID, absence_id: UUID, visit: VisitOf) -> Response:
    """Take a colleague's absence back."""
    await absences.remove(visit, account_id, absence_id)
    return visit.on_to(f"/providers/{account_id}", "absence_removed")


@router.post("/providers/{account_id}/offerings")
async def set_offerings(account_id: UUID, visit: VisitOf) -> Response:
    """Say which offerings a provider serves."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        codes = None if form.get("serves") == "all" else form.getlist("offerings")
        await set_served(visit.services, visit.caller, account_id, ServedOfferings.model_validate({"offerings": codes}))
    except NOT_TAKEN as error:
        return await _provider(visit, account_id, form, as_problem(error))
    return visit.on_to(f"/providers/{account_id}", "offerings")


@router.post("/providers/{account_id}/hand-over")
async def hand_over_page(account_id: UUID, visit: VisitOf) -> Response:
    """Hand what was chosen of what that person holds to somebody else; what could not be done, the page says."""
    form = await visit.form()
    try:
        key = visit.key(form)
        said = {"reason": text} if (text := str(form.get("reason", "")).replace("\r\n", "\n")) else {}
        wanted = HandOver.model_validate(
            {**said, **destination(str(form.get("to", ""))), "request_ids": form.getlist("request")}
        )
        came = await hand_over(visit.services, visit.caller, account_id, wanted, key, visit.language)
    except NOT_TAKEN as error:
        return await _provider(visit, account_id, form, as_problem(error))
    if refused := [each for each in came if each.state == "refused"]:
        return await _provider(visit, account_id, form, refused=refused)
    is_queued = any(each.state == "queued" for each in came)
    return visit.on_to(f"/providers/{account_id}", "queued" if is_queued else "handed_over")


async def _provider(
    visit: Visit,
    account_id: UUID,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    refused: Sequence[PartReceipt] = (),
) -> Response:
    if account_id != visit.caller.id and not visit.caller.roles & MAY_HAND_OVER:
        raise Problem("not_found")
    person = await find_provider(visit.services, visit.caller, account_id)
    found = await _absences(visit, account_id)
    held = await held_by(visit, account_id)
    asked = sorted({row.offering for row in held})
    everybody = await teams(visit, asked)
    day = day_of(datetime.now(UTC))
    wrong = fields_of(error, visit.language, {**absences.PLACES, **_PLACES})
    return visit.page(
        "provider",
        because=error,
        person=person,
        absences=found,
        today=day,
        may_change=_runs_clinic(visit) and person.clinic_id == visit.caller.clinic_id,
        is_provider=await _is_provider(visit, account_id),
        serves=_serves(form, person),
        asked_offerings=asked,
        held=held,
        due_while_away={row.id for row in held if _is_late(row, found or (), day)},
        chosen=set(form.getlist("request")) if form is not None and "reason" in form else None,
        refused={each.request_id: each for each in refused},
        gone=[each for each in refused if each.request_id not in {row.id for row in held}],
        most=MOST_AT_ONCE,
        teams=_to_hand_over_to(visit, everybody, account_id),
        offerings=await newest_offerings(visit.services),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=_notice(visit, error, wrong, refused),
    )


_PLACES = {"one_place": "to"}


def _notice(
    visit: Visit, error: Problem | Refusal | None, wrong: Mapping[str, str], refused: Sequence[PartReceipt]
) -> pages.Notice | None:
    if error:
        return summary(error, wrong, visit.language)
    if refused:
        return pages.Notice("error", visit.say(_("Not everything could be handed over. What is left says why.")))
    return pages.done_notice(visit.request, visit.language)


async def _absences(visit: Visit, account_id: UUID) -> list[AbsenceView] | None:
    """Their absences; None where these are not for the visitor to see."""
    try:
        return await list_absences(visit.services, visit.caller, account_id)
    except Problem:
        return None


async def held_by(visit: Visit, account_id: UUID) -> Sequence[RequestSummary]:
    """What that person holds as a provider, of what the visitor may see, the soonest due first."""
    held = WorklistFilter(
        holder=account_id,
        statuses=frozenset(status for status in Status if status.is_with_provider),
        limit=MOST_AT_ONCE,
    )
    return (await read_worklist(visit.services, visit.caller, held, visit.language)).items


def _is_late(row: RequestSummary, found: Iterable[AbsenceView], day: date) -> bool:
    """Whether it is late, or will be before who holds it has been back for a day."""
    if row.overdue:
        return True
    due = day_of(row.due_at) if row.due_at else None
    coming = [absence for absence in found if absence.ends_on >= day]
    return due is not None and any(a.starts_on <= due <= a.ends_on + timedelta(days=1) for a in coming)


def _to_hand_over_to(visit: Visit, everybody: Sequence[Team], account_id: UUID) -> list[Team]:
    """Others' requests a dispatcher hands to whom they may list; one's own go to colleagues, as by an administrator."""
    if Role.DISPATCHER in visit.caller.roles and account_id != visit.caller.id:
        return list(everybody)
    return [team for team in everybody if team.clinic.id == visit.caller.clinic_id]


def _runs_clinic(visit: Visit) -> bool:
    """Whether to offer the forms: the policy lets administrators change the absences of others, and say what they serve."""
    return Role.CLINIC_ADMINISTRATOR in visit.caller.roles


async def _is_provider(visit: Visit, account_id: UUID) -> bool:
    """Whether there is something that this person serves."""
    try:
        await read_served(visit.services, visit.caller, account_id)
    except Problem:
        return False
    return True


def _serves(form: FormData | None, person: ProviderView) -> Collection[str] | None:
    """The offerings that are chosen in the form: as it was sent, else as they stand; None for all."""
    if form is None or "serves" not in form:
        return person.offerings
    return None if form["serves"] == "all" else [str(code) for code in form.getlist("offerings")]


async def teams(visit: Visit, offerings: Collection[str] = ()) -> list[Team]:
    """The clinics whose providers the person may see, their own first; who serves all these offerings before who does not."""

    def ease(person: ProviderView) -> tuple[int, bool, int, str]:
        return (
            len(person.not_served(offerings)),
            person.absent is not None,
            person.waiting + person.in_progress,
            person.name,
        )

    found = []
    for clinic in sorted(
        await list_clinics(visit.services, visit.caller), key=lambda c: c.id != visit.caller.clinic_id
    ):
        try:
            people = await list_providers(visit.services, visit.caller, clinic.id)
        except Problem:  # this clinic's people are not theirs to see
            continue
        found.append(Team(clinic, sorted(people, key=ease)))
    return found


def served_first(found: Iterable[Team], offering: str) -> list[Team]:
    """The same, with those who serve this offering before those who do not."""
    return [Team(team.clinic, sorted(team.people, key=lambda p: bool(p.not_served([offering])))) for team in found]


def finds(found: Collection[Team]) -> bool:
    """Whether there are so many people that a page has a box to find one."""
    return sum(len(team.people) for team in found) >= FILTER_FROM


class Candidates(TypedDict):
    """What a page shows that hands a request to somebody: who can be chosen, and where the request has been.

    `asked_offerings` are those that whoever is chosen should serve, by code.
    """

    teams: list[Team]
    finds: bool
    holder_id: UUID | None
    before: list[TimelineEntry]
    offerings: Mapping[str, ServiceOffering]
    asked_offerings: Collection[str]


async def to_choose(visit: Visit, view: RequestView, command: str) -> Candidates:
    """Who can be chosen: by its dispatchers, all whom they may list; by others, and to transfer, who is at the clinic."""
    found = await teams(visit, [view.offering])
    dispatches = command != "transfer" and (
        Role.DISPATCHER in visit.caller.roles and view.dispatch_clinic_id == visit.caller.clinic_id
    )
    if not dispatches:
        found = [team for team in found if team.clinic.id == visit.caller.clinic_id]
    holds = view.holder.person.id if view.holder.person and view.holder.kind is HolderKind.PROVIDER else None
    return Candidates(
        teams=found,
        finds=finds(found),
        holder_id=holds,
        before=await _before(visit, view) if command != "transfer" else [],
        offerings={view.offering: await visit.offering_of(view)},
        asked_offerings=[view.offering],
    )


def destination(to: str) -> Mapping[str, object]:
    """What was chosen on such a page, under the names of the order's fields. Raises Problem `invalid_input` for nothing."""
    kind, _colon, chosen = to.partition(":")
    if kind == "dispatch":
        return {"dispatch": True}
    if kind not in ("provider", "clinic"):
        raise Problem("invalid_input", [FieldFault("to", "required", _NOBODY)])
    return {f"{kind}_id": chosen}


async def _before(visit: Visit, view: RequestView) -> list[TimelineEntry]:
    timeline = await visit.timeline(view.id)
    return [entry for entry in reversed(timeline) if entry.name in HANDED_ON]
