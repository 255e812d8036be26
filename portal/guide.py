"""The guide: how each person does their part, step by step, in French and English. Read signed in or not, on paper too.

Each chapter is a page; `/help/all` has them all, to be printed or searched. The texts are `templates/guide/fr.html.j2` and
`en.html.j2`, a macro for each chapter. What can be known is not written there by hand: deadlines, minimum photos and the names of
buttons and statuses come from where they are decided. Which page leads where: `portal.help_places`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.offerings import DEFAULT_DEADLINES, DeadlineName, DeadlineTerms, ServiceOffering
from domain.requests import Role
from portal import pages
from portal.choices import CHOICES
from translations import Language
from translations import gettext_noop as _
from translations.dates import span
from translations.words import PRIORITIES
from use_cases.problems import Problem
from use_cases.services import Services
from web.services import ServicesOf

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Chapter:
    """One chapter. `name` is its address, and the macro that holds its text; `role` whose part it tells."""

    name: str
    title: str
    role: Role | None = None


ALL = "all"
"""In the place of a chapter's name, for all of them."""

CHAPTERS = (
    Chapter("short", _("Relais in brief")),
    Chapter("provider", _("Answer a request"), Role.PROVIDER),
    Chapter("requester", _("Ask for advice"), Role.REQUESTER),
    Chapter("photos", _("Taking useful photos")),
    Chapter("dispatcher", _("Dispatch requests"), Role.DISPATCHER),
    Chapter("administrator", _("Run a clinic"), Role.CLINIC_ADMINISTRATOR),
    Chapter("statuses", _("What each status means")),
    Chapter("deadlines", _("Deadlines")),
    Chapter("settings", _("Notices, absences, password")),
    Chapter("emergencies", _("Emergencies")),
    Chapter("privacy", _("Who sees what")),
    Chapter("keys", _("Keys of the photo viewer")),
    Chapter("support", _("Support")),
)

DEADLINES: Mapping[DeadlineName, str] = {
    DeadlineName.DISPATCH: _("Dispatch a request"),
    DeadlineName.ACCEPTANCE: _("Accept a request"),
    DeadlineName.REPORT: _("Write and sign the report"),
    DeadlineName.INFORMATION: _("Answer a question"),
    DeadlineName.RESUBMISSION: _("Submit a returned request again"),
    DeadlineName.ACKNOWLEDGEMENT: _("Acknowledge the report"),
    DeadlineName.FOLLOW_UP: _("Answer a question about a report"),
    DeadlineName.URGENT_ACKNOWLEDGEMENT: _("Read a report that says “without delay”"),
}
"""What must be done before each deadline, in the order in which a request meets them."""


@router.get("/help")
async def contents(request: Request, services: ServicesOf) -> Response:
    """What the guide has, in the reader's language or in the one that the address asks for (``?language=en``)."""
    return await _page(request, services, CHAPTERS[:1])


@router.get("/help/{name}")
async def chapter(name: str, request: Request, services: ServicesOf) -> Response:
    """One chapter, or all of them. Raises Problem `not_found`."""
    shown = CHAPTERS if name == ALL else tuple(chapter for chapter in CHAPTERS if chapter.name == name)
    if not shown:
        raise Problem("not_found")
    return await _page(request, services, shown)


async def _page(request: Request, services: Services, shown: Sequence[Chapter]) -> Response:
    caller = await pages.reader(request, services)
    language = pages.language_asked_for(request, caller)
    return pages.render(
        request,
        "guide",
        language,
        me=caller,
        here=request.url.path,
        at="#" if len(shown) > 1 else "/help/",
        shown=shown,
        chapters=CHAPTERS,
        own_chapters=[chapter for chapter in CHAPTERS if caller and chapter.role in caller.roles],
        choices=CHOICES,
        deadline_names=DEADLINES,
        deadlines=[(None, _limits(DEFAULT_DEADLINES, language)), *_own_limits(services.offerings, language)],
        photo_minimums=[(offering.title, _minimum(offering)) for offering in services.offerings.values()],
    )


def _own_limits(offerings: Mapping[str, ServiceOffering], language: Language) -> Iterator[tuple[Any, Any]]:
    """The limits of the offerings that have their own, with the offering's title."""
    for offering in offerings.values():
        if offering.deadlines:
            yield offering.title, _limits({**DEFAULT_DEADLINES, **offering.deadlines}, language)


def _limits(
    deadlines: Mapping[DeadlineName, DeadlineTerms], language: Language
) -> list[tuple[DeadlineName, list[str]]]:
    """Each deadline with its limits in words: for a routine, an urgent, and an as-soon-as-possible request."""
    return [(name, [span(deadlines[name].limit[priority], language) for priority in PRIORITIES]) for name in DEADLINES]


def _minimum(offering: ServiceOffering) -> int:
    """How many photos a request of this offering must have."""
    return sum(slot.minimum for slot in offering.attachments if "photo" in slot.accepts)
