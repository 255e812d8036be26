"""Whole requests for other systems: what each stands on, as it is on record, for a caller who may see its chart.

A draft is nobody's business but its writer's, so none is given out.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.fhir_course import open_questions
from domain.offerings import ServiceOffering
from domain.priority import Priority
from domain.requests import EventName, Request, Status
from domain.visits import needs_visit
from domain.webhooks import WITH_DOCUMENT
from records import cases, destruction, references, reports, requests
from records.cases import Key, Window
from records.models import EventRecord, FrozenForm, RequestRecord, RequestReference, StoredDocument
from records.offering_versions import OfferingVersions
from records.sealed import NOT_OPENED, tell_not_opened
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.references import is_shown_to
from use_cases.services import Services


@dataclass(frozen=True)
class Behind:
    """What of a request is read besides its state and its events."""

    forms: bool = False
    documents: bool = False
    report: bool = False
    references: bool = False


@dataclass(frozen=True)
class Moment:
    """What of a request becomes otherwise with what happens to it: as it is, or as it was. `version` is what people see."""

    version: int
    at: datetime
    status: Status
    priority: Priority
    waits_for_answer: bool

    @classmethod
    def now(cls, row: RequestRecord, process: Request) -> "Moment":
        """As it is."""
        return cls(row.version, row.updated_at, row.status, row.priority, bool(process.questions))

    @classmethod
    def after(cls, events: Sequence[EventRecord], version: int) -> "Moment":
        """As it was after these events, the first to the last; the `version` that people saw then."""
        last = events[-1]
        said = (event.command.get("priority") for event in reversed(events) if event.name in _SAYS_PRIORITY)
        priority = next(Priority(one) for one in said if one is not None)
        return cls(version, last.at, last.status, priority, open_questions(events) > 0)


_SAYS_PRIORITY = (EventName.SUBMITTED, EventName.RESUBMITTED, EventName.PRIORITY_CHANGED)


@dataclass(frozen=True)
class Case:
    """A request with what is behind it: `forms` as they were submitted, oldest first, and `documents` in the order of signing.

    What was not asked for is empty. `needs_visit`: by its final report, the patient must be seen. `references`: what systems of
    the caller's clinic call it; to a system, its own.
    """

    row: RequestRecord
    process: Request
    offering: ServiceOffering
    moment: Moment
    events: Sequence[EventRecord]
    forms: Sequence[FrozenForm] = ()
    documents: Sequence[StoredDocument] = ()
    needs_visit: bool | None = None
    references: Sequence[RequestReference] = ()

    @property
    def id(self) -> uuid.UUID:
        """The request's id."""
        return self.row.id

    @property
    def form(self) -> FrozenForm | None:
        """The form in force."""
        return self.forms[-1] if self.forms else None


async def case_as_it_was(
    session: AsyncSession, versions: OfferingVersions, row: RequestRecord, sequence: int, version: int
) -> Case:
    """A request as it was after its event of that number, for what is told of it by itself: with the documents that there were.

    `version` is the one that people saw then. Who may be told is for the caller to know.
    """
    offering, process = await versions.of(session, row), requests.process_of(row)
    events = [event for event in (await cases.events_of(session, [row.id]))[row.id] if event.version <= sequence]
    issued = {event.command["report_id"] for event in events if event.name in WITH_DOCUMENT}
    documents = (await cases.documents_of(session, [row.id]))[row.id]
    is_answered = any(event.name is EventName.FINAL_REPORT_ISSUED for event in events)
    answers = await cases.report_answers_of(session, [row.id]) if is_answered else {}
    return Case(
        row=row,
        process=process,
        offering=offering,
        moment=Moment.after(events, version),
        events=events,
        documents=[one for one in documents if str(one.report_id) in issued],
        needs_visit=needs_visit(offering.report, answers[row.id]) if row.id in answers else None,
    )


async def read_case(services: Services, caller: Caller, request_id: uuid.UUID, behind: Behind) -> Case:
    """One request; the look is written down. Raises Problem `not_found`, `forbidden` or `not_yet`."""
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        if row.status is Status.DRAFT:
            raise Problem("not_found")
        await log_access(session, caller, row, Act.REQUEST)
        (case,) = await _with_what_is_behind(session, services, caller, [row], behind)
    return case


@dataclass(frozen=True)
class CasePage:
    """Requests in their order. `last` is the key after which there are more; None where there are none."""

    cases: Sequence[Case]
    last: Key | None


async def find_cases(services: Services, caller: Caller, window: Window, limit: int, behind: Behind) -> CasePage:
    """The first requests in the window of which the caller may see the chart; a look at each is written down.

    What does not open is left out: there may be fewer than `limit`, and more after them.
    """
    async with services.database.session() as session:
        found = await cases.first_in(session, caller.viewer, window, limit + 1)
        rows = found[:limit]
        last = (rows[-1].updated_at, rows[-1].id) if len(found) > limit else None
        try:
            made = await _with_what_is_behind(session, services, caller, rows, behind)
        except NOT_OPENED:
            made = await _those_that_open(session, services, caller, rows, behind)
        for case in made:
            await log_access(session, caller, case.row, Act.REQUEST)
    return CasePage(made, last)


async def _those_that_open(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[RequestRecord], behind: Behind
) -> list[Case]:
    """One after the other: what does not open hides no other."""
    found = []
    for row in rows:
        try:
            found += await _with_what_is_behind(session, services, caller, [row], behind)
        except NOT_OPENED as error:
            tell_not_opened("requests", str(row.id), error)
    return found


async def request_of_document(services: Services, report_id: uuid.UUID) -> uuid.UUID:
    """The request of a signed document, for who then asks whether the caller may see it. Raises Problem `not_found`."""
    async with services.database.statement() as session:
        document = await reports.find_document(session, report_id)
        found = document or await destruction.find_destroyed_document(session, report_id=report_id)
    if found is None:
        raise Problem("not_found")
    return found.request_id


async def request_numbered(services: Services, number: str) -> uuid.UUID | None:
    """The id of the request of that number, for who then asks whether the caller may see it."""
    async with services.database.statement() as session:
        return await requests.id_of_number(session, number)


async def _with_what_is_behind(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[RequestRecord], behind: Behind
) -> list[Case]:
    ids = [row.id for row in rows]
    events = await cases.events_of(session, ids)
    forms = await cases.forms_of(session, ids) if behind.forms else {}
    documents = await cases.documents_of(session, ids) if behind.documents else {}
    called = await references.references_by_request(session, ids, caller.clinic_id) if behind.references else {}
    over = [row.id for row in rows if row.status in (Status.REPORTED, Status.CLOSED)]
    answers = await cases.report_answers_of(session, over) if behind.report else {}
    made = []
    for row in rows:
        offering, process = await services.versions.of(session, row), requests.process_of(row)
        issued = {signed.report_id for signed in process.documents}  # a document is kept a moment before it is issued
        made.append(
            Case(
                row=row,
                process=process,
                offering=offering,
                moment=Moment.now(row, process),
                events=events[row.id],
                forms=submitted(forms.get(row.id, ()), events[row.id]),
                documents=[one for one in documents.get(row.id, ()) if one.report_id in issued],
                needs_visit=needs_visit(offering.report, answers[row.id]) if row.id in answers else None,
                references=[one for one in called.get(row.id, ()) if is_shown_to(caller, one)],
            )
        )
    return made


_SUBMITS = (EventName.SUBMITTED, EventName.RESUBMITTED)


def submitted(forms: Sequence[FrozenForm], events: Sequence[EventRecord]) -> Sequence[FrozenForm]:
    """Of what was frozen, what was taken by one of the events: not a form whose command was refused."""
    numbers = {event.command["form"]["number"] for event in events if event.name in _SUBMITS}
    return [form for form in forms if form.number in numbers]
