"""How it goes, for administrators and operators: what is late and with whom, and how many answers came how soon, week by week."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response

from domain.requests import Role
from engine.running import query_of_running, query_of_stuck
from engine.temporal_ui import workflow_page, workflows_page
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from use_cases.operations import FailureView, list_failures
from use_cases.statistics import WeekView, read_statistics
from workflows.contract import TELECONSULTATION, workflow_id
from workflows.visibility import OVERDUE

router = APIRouter(include_in_schema=False)

HEIGHT, STEP, BAR = 120, 52, 20
"""Of the plot, in its own units: how high the highest bar is, from week to week, and the breadth of a bar."""

_QUERIES = (
    (_("Overdue requests"), f"{query_of_running(TELECONSULTATION)} AND {OVERDUE.name} = true"),
    (_("Requests whose workflow can’t go on"), query_of_stuck(TELECONSULTATION)),
    (_("All requests that are open"), query_of_running(TELECONSULTATION)),
)


@dataclass(frozen=True)
class Bar:
    """One bar of a plot: where it stands and how high it is."""

    x: int
    height: int

    @property
    def y(self) -> int:
        """Its upper edge."""
        return HEIGHT - self.height


@dataclass(frozen=True)
class Plot:
    """Two bars for each week: what was asked, and what was answered."""

    weeks: Sequence[WeekView]
    asked: Sequence[Bar]
    answered: Sequence[Bar]

    @classmethod
    def of(cls, weeks: Sequence[WeekView]) -> "Plot":
        """Of these weeks; the highest bar is as high as the plot."""
        most = max((max(week.submitted, week.answered) for week in weeks), default=0) or 1
        return cls(
            weeks,
            [Bar(n * STEP, round(HEIGHT * week.submitted / most)) for n, week in enumerate(weeks)],
            [Bar(n * STEP + BAR + 2, round(HEIGHT * week.answered / most)) for n, week in enumerate(weeks)],
        )

    @property
    def width(self) -> int:
        """Of the whole plot."""
        return len(self.weeks) * STEP


@router.get("/statistics")
async def statistics_page(visit: VisitOf) -> Response:
    """The last twelve weeks, and what is late now."""
    found = await read_statistics(visit.services, visit.caller)
    operates = Role.OPERATOR in visit.caller.roles
    failures = await list_failures(visit.services, visit.caller) if operates else []
    return visit.page(
        "statistics",
        found=found,
        plot=Plot.of(found.weeks),
        height=HEIGHT,
        bar=BAR,
        links=_links(visit) if operates else [],
        failures=[(failure, _link_to(visit, failure)) for failure in failures],
    )


def _links(visit: Visit) -> list[tuple[str, str]]:
    """Into the Temporal UI, where one is known."""
    url, namespace = visit.services.settings.temporal_ui_url, visit.services.engine.namespace
    return [(label, workflows_page(url, namespace, query)) for label, query in _QUERIES] if url else []


def _link_to(visit: Visit, failure: FailureView) -> str:
    url, namespace = visit.services.settings.temporal_ui_url, visit.services.engine.namespace
    return workflow_page(url, namespace, workflow_id(failure.request_id)) if url else ""
