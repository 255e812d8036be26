"""The worklist: what somebody may see, a page at a time, with its counts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.requests import Status
from domain.search import read_search, words_of_patient
from records import worklist
from records.access import Find, log_each
from records.errors import BadCursorError
from records.glimpses import Glimpse, glimpses_of
from records.ways import COUNTED_UP_TO
from records.worklist import Count, WorklistFilter, WorklistRow
from translations import Language
from use_cases import policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.requests import RequestSummary, summaries
from use_cases.scans import scan_rule
from use_cases.services import Services
from use_cases.views import View

ONE_SEARCH = timedelta(minutes=10)
"""A request that is found again by the same person within this time is not written down again."""


LINE_LENGTH = 200
"""Characters of a question that a line shows at most."""


class RequestLine(RequestSummary):
    """A request as a line of the worklist, with what lets somebody recognize it without opening it."""

    question: str | None = Field(
        None, description="The first line of the question, where the caller may see the chart."
    )
    first_photo_id: UUID | None = Field(
        None, description="The first of the form's photos that the caller gets, where they may see the chart."
    )


class Worklist(View):
    """A page of the worklist. `counts` are over all pages, by status, whatever status is asked for."""

    items: list[RequestLine]
    counts: dict[Status, int] = Field(
        description=f"Exact up to {COUNTED_UP_TO:,}; those of which there are more say so many, and stand in `more_than_counted`."
    )
    more_than_counted: list[Status] = Field(
        description="The statuses of which there are more requests than `counts` says: counting ends there."
    )
    next_cursor: str | None

    @property
    def counted(self) -> dict[Status, Count]:
        """The same counts, each with whether there are more."""
        return {status: Count(number, status in self.more_than_counted) for status, number in self.counts.items()}


async def read_worklist(services: Services, caller: Caller, wanted: WorklistFilter, language: Language) -> Worklist:
    """A page of the requests that the caller may see. Raises Problem `invalid_input` for a cursor that no page gave."""
    async with services.database.session() as session:
        try:
            page = await worklist.worklist(session, caller.viewer, wanted)
        except BadCursorError:
            raise Problem("invalid_input", [FieldFault("cursor", "bad_cursor")]) from None
        await _log_finds(session, caller, wanted, page.rows)
        shown = await summaries(session, caller, page.rows, language)
        charts = [row.request.id for row in page.rows if row.access == "chart"]
        glimpses = await glimpses_of(session, caller.id, scan_rule(services.settings), charts)
        items = [await _line(services, session, summary, glimpses.get(summary.id)) for summary in shown]
    return Worklist(
        items=items,
        counts={status: count.number for status, count in page.counts.items()},
        more_than_counted=[status for status, count in page.counts.items() if count.at_least],
        next_cursor=page.next_cursor,
    )


async def _line(
    services: Services, session: AsyncSession, summary: RequestSummary, glimpse: Glimpse | None
) -> RequestLine:
    if glimpse is None:
        return RequestLine(**dict(summary))
    offering = await services.versions.version(session, summary.offering, glimpse.offering_version)
    question = next((field.name for field in offering.form if offering.question(field)), "")
    return RequestLine(
        **dict(summary),
        question=_first_line(glimpse.answers.get(question)),
        first_photo_id=glimpse.first_photo_id,
    )


def _first_line(answer: object) -> str | None:
    lines = answer.splitlines() if isinstance(answer, str) else []
    return next((line.strip()[:LINE_LENGTH] for line in lines if line.strip()), None)


async def count_to_do(services: Services, caller: Caller) -> Count:
    """About how many requests the caller has something to do."""
    async with services.database.session() as session:
        return await worklist.count_to_do(session, caller.viewer)


TO_DO_STATUSES = frozenset(
    {
        Status.RETURNED,
        Status.AWAITING_DISPATCH,
        Status.AWAITING_ACCEPTANCE,
        Status.ACCEPTED,
        Status.REPORTED,
        Status.CLOSED,
    }
)
"""In which somebody can have something to do; a closed request can still be asked about."""


def most_pressing_first(lines: Iterable[RequestLine]) -> list[RequestLine]:
    """What there is to do, in the order in which the worklist shows it: to be read without delay, late, then as it came."""
    return sorted(lines, key=lambda line: (not line.urgent_report_unread, not line.overdue))


async def next_to_do(services: Services, caller: Caller, language: Language, *, besides: UUID) -> RequestLine | None:
    """The request that waits most for the caller, but for one that they are done with; None when none does."""
    wanted = WorklistFilter(statuses=TO_DO_STATUSES, to_do=True)
    found = await read_worklist(services, caller, wanted, language)
    return next((line for line in most_pressing_first(found.items) if line.id != besides), None)


async def _log_finds(
    session: AsyncSession, caller: Caller, wanted: WorklistFilter, rows: Iterable[WorklistRow]
) -> None:
    """Whose patient was found by a word of theirs, or by a reference, was looked for. One's own drafts concern nobody else."""
    words = read_search(wanted.q).words
    if not words and wanted.reference is None:
        return
    now = datetime.now(UTC)
    finds = [
        Find(row.request.id, policy.role_before(caller, row.request), row.request.process_version)
        for row in rows
        if row.patient
        and row.request.status is not Status.DRAFT
        and (wanted.reference is not None or words & words_of_patient(row.patient))
    ]
    if finds:
        await log_each(session, by(caller), Act.SEARCH, finds, at=now, since=now - ONE_SEARCH)
