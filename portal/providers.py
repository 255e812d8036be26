"""Who can be given a request: the providers of one's clinic and of those to which it routes, what they have on their hands, and
when they are away. The page for dispatchers and administrators, and what the pages to assign and to transfer show.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.offerings import ServiceOffering
from domain.refusals import Refusal
from domain.requests import EventName, HolderKind, Role
from portal import absences, pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from records.absences import today
from use_cases.absences import list_absences
from use_cases.catalogue import ClinicView, ProviderView, list_clinics, list_providers
from use_cases.problems import Problem
from use_cases.requests import RequestView
from use_cases.timeline import TimelineEntry
from web.problems import status_of

router = APIRouter()

FILTER_FROM = 9
"""From how many people on a page has a box to find one."""

HANDED_ON = frozenset(
    {
        EventName.ASSIGNED,
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
    """The providers of one clinic: those who are there first, and of them those with least on their hands."""

    clinic: ClinicView
    people: Sequence[ProviderView]


@router.get("/providers")
async def providers_page(visit: VisitOf) -> Response:
    """Everybody's load and absences."""
    found = await teams(visit)
    return visit.page(
        "providers",
        teams=found,
        finds=finds(found),
        sees_absences=bool(visit.caller.roles & {Role.CLINIC_ADMINISTRATOR, Role.DISPATCHER}),
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/providers/{account_id}")
async def provider_page(account_id: UUID, visit: VisitOf) -> Response:
    """The absences of somebody of one's clinic, to look at or to change."""
    return await _provider(visit, account_id)


@router.post("/providers/{account_id}/absences")
async def add_absence(account_id: UUID, visit: VisitOf) -> Response:
    """Enter an absence for a colleague."""
    form = await visit.request.form()
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


async def _provider(
    visit: Visit, account_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    found = await list_absences(visit.services, visit.caller, account_id)
    person = next(
        (p for p in await list_providers(visit.services, visit.caller, visit.caller.clinic_id) if p.id == account_id),
        None,
    )
    if person is None:
        raise Problem("not_found")
    wrong = fields_of(error, visit.language, absences.PLACES)
    return visit.page(
        "provider",
        status=status_of(error) if error else 200,
        person=person,
        absences=found,
        today=today(datetime.now(UTC)),
        may_change=_keeps_absences(visit),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def _keeps_absences(visit: Visit) -> bool:
    """Whether to offer the form: the policy lets administrators change the absences of others."""
    return Role.CLINIC_ADMINISTRATOR in visit.caller.roles


async def teams(visit: Visit) -> list[Team]:
    """The clinics whose providers the person may see, their own first."""
    found = []
    for clinic in sorted(
        await list_clinics(visit.services, visit.caller), key=lambda c: c.id != visit.caller.clinic_id
    ):
        try:
            people = await list_providers(visit.services, visit.caller, clinic.id)
        except Problem:  # this clinic's people are not theirs to see
            continue
        found.append(Team(clinic, sorted(people, key=_ease)))
    return found


def finds(found: Collection[Team]) -> bool:
    """Whether there are so many people that a page has a box to find one."""
    return sum(len(team.people) for team in found) >= FILTER_FROM


class Candidates(TypedDict):
    """What the page to assign (or to transfer, within the clinic) shows: who can be chosen, and where the request has been."""

    teams: list[Team]
    finds: bool
    holder_id: UUID | None
    before: list[TimelineEntry]
    offerings: Mapping[str, ServiceOffering]


async def to_choose(visit: Visit, view: RequestView, *, dispatches: bool) -> Candidates:
    """Who can be chosen: to assign, all whom the person may list (`dispatches`), to transfer, the colleagues of the clinic."""
    found = await teams(visit)
    if not dispatches:
        found = [team for team in found if team.clinic.id == visit.caller.clinic_id]
    holds = view.holder.person.id if view.holder.person and view.holder.kind is HolderKind.PROVIDER else None
    return Candidates(
        teams=found,
        finds=finds(found),
        holder_id=holds,
        before=await _before(visit, view) if dispatches else [],
        offerings={view.offering: await visit.offering_of(view)},
    )


async def _before(visit: Visit, view: RequestView) -> list[TimelineEntry]:
    timeline = await visit.timeline(view.id)
    return [entry for entry in reversed(timeline) if entry.name in HANDED_ON]


def _ease(person: ProviderView) -> tuple[bool, int, str]:
    return person.absent is not None, person.waiting + person.in_progress, person.name
