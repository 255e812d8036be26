"""Requests: what somebody sees of one, whole or as a line of a list."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.drafts import OutdatedAnswer
from domain.forms import FormChange, WrittenForm, changes
from domain.lifecycle import TAKEN_BACK_WITHIN, may_still_take_back
from domain.offerings import CalledFor, DeadlineName
from domain.priority import Priority
from domain.requests import DocumentKind, EventName, HolderKind, Request, Status, Undo
from domain.scans import ScanRule
from records import commands, forms, requests, restrictions, visibility, worklist
from records.access import last_seen
from records.drafts import open_form, outdated_answers
from records.models import EventRecord, FrozenForm, Json, RequestRecord
from records.sealed import NOT_OPENED, tell_not_opened
from records.visibility import Access
from records.worklist import RowNotes, WorklistRow
from translations import Language, gettext_for
from translations.words import STATUSES
from use_cases import policy
from use_cases.accesses import log_access, log_lines
from use_cases.asked import AskedView, asked_view
from use_cases.attachments import AttachmentView, attachments_shown, views_shown
from use_cases.caller import Caller
from use_cases.documents import DocumentView, document_view, signed_with
from use_cases.given_commands import CommandView, command_view
from use_cases.marks import MarkView, marks_on
from use_cases.names import HolderView, Names, PersonView
from use_cases.presences import PresenceView, others_present
from use_cases.received import ReceivedView, received_view
from use_cases.references import ReferenceView, references_shown
from use_cases.scans import Viewer, scan_rule
from use_cases.services import Services
from use_cases.submitted_forms import form_in_force
from use_cases.timeline import (
    ADDED,
    AdditionView,
    Course,
    FollowUpView,
    QuestionView,
    ReturnNotice,
    TimelineEntry,
    additions_of,
    follow_ups_of,
    questions_of,
    read_course,
    return_notice,
    timeline_view,
)
from use_cases.to_do import ToDo, to_do_of
from use_cases.views import View


class DeadlineView(View):
    """A running deadline. `due_at` is empty while the clock stands still.

    A question does that; and, for the deadlines that end the request, a report that must be read without delay and was not.
    """

    name: DeadlineName
    question_id: UUID | None
    limit: str = Field(description="2h (hours), 3d (days) or 7bd (business days)", examples=["7bd"])
    started_at: datetime
    due_at: datetime | None
    next_call_at: datetime | None
    stopped: bool


class SubmissionUnderWay(View):
    """The form was submitted, and the request's workflow has not taken it yet: nothing in the form can be changed."""

    command_id: str
    since: datetime


class RequestSummary(View):
    """A request as a line of the worklist."""

    id: UUID
    number: str = Field(examples=["TC-2026-000123"])
    version: int
    status: Status
    status_label: str
    priority: Priority
    offering: str
    dispatch_clinic_id: UUID
    requester: PersonView | None
    holder: HolderView
    due_at: datetime | None
    overdue: bool
    overdue_deadline: DeadlineName | None = Field(description="Which deadline is over; of several, the status's own.")
    open_questions: int
    waiting_since: datetime | None = Field(description="When the present holder got it; empty when nobody has to act.")
    worsened: bool = Field(
        description="The requester has said that it gets worse, and nobody has changed the priority since."
    )
    urgent_report_unread: bool = Field(
        description="A report says that the patient must be sent without delay, and nobody has confirmed that it was read."
    )
    awaits_new_photos: bool = Field(
        description="The final report says that the photos were not sufficient, and its requester has neither acknowledged it "
        "nor submitted a request that follows."
    )
    report_unread: bool = Field(
        description="Its requester has not read the newest report: for 3 days, or for a business day while they are away. Others "
        "of their clinic see it then, and can say that they have read it."
    )
    holder_absent: bool = Field(description="Whether the person who holds it is away today, or has left.")
    is_test: bool = Field(False, description="It was sent as a test, and is counted nowhere.")
    todo: ToDo | None = Field(
        description="What the caller has to do about it, whoever holds it; empty when others have to, or nobody."
    )
    is_new: bool = Field(description="The caller has not opened it since somebody else, or Relais, changed it.")
    submission_under_way: SubmissionUnderWay | None = Field(None, description="While a submission is on its way.")
    take_back_until: datetime | None = Field(
        description="Until when the caller can take back (`take_back`) what they have just done, if nothing else happens."
    )
    created_at: datetime
    submitted_at: datetime | None
    updated_at: datetime
    patient: Json | None = Field(None, description="Only where the caller may see the chart.")


class RelatedRequest(View):
    """Another request that this one follows, or that follows it. What the caller may not see of it is left out."""

    number: str
    id: UUID | None = None
    status: Status | None = None
    created_at: datetime | None = None


class ChartView(View):
    """What only those see of a request who may see its chart."""

    received: ReceivedView | None = Field(
        None, description="Of a request that came as a message of a partner: what it says besides the form."
    )

    asked: list[AskedView] | None = Field(
        None,
        description="What went to partners that answer it, or is to go, by messages of Relais; empty where it went to none.",
    )

    references: list[ReferenceView] | None = Field(
        None, description="What systems of the caller's clinic call it by themselves; to a system, its own."
    )
    answers: Json | None = None
    outdated_answers: list[OutdatedAnswer] | None = Field(
        None,
        description="For its requester, in a draft: what was answered to an earlier version of the form and does not stand in "
        "this one. It must be taken over by hand or dropped before submitting.",
    )
    questions: list[QuestionView] | None = None
    additions: list[AdditionView] | None = Field(
        None, description="What the requester told without being asked, oldest first."
    )
    follow_ups: list[FollowUpView] | None = Field(
        None, description="What the requester asked about the final report, oldest first."
    )
    attachments: list[AttachmentView] | None = None
    marks: list[MarkView] | None = Field(None, description="What was drawn on the photos, oldest first.")
    documents: list[DocumentView] | None = None
    outcome: Json | None = Field(None, description="What the requester told when acknowledging.")
    form_changes: list[FormChange] | None = Field(
        None, description="What differs between the form as submitted last and the one submitted before it."
    )
    return_notice: ReturnNotice | None = Field(
        None, description="Why it was returned, the last time, until a report is sent."
    )


class ReadInEmergency(View):
    """That the caller would not see the request, and reads it by what they have opened in an emergency."""

    opening_id: UUID
    ends_at: datetime
    told: int = Field(description="To how many administrators and operators an e-mail was written of it.")


class RequestView(ChartView, RequestSummary):
    """A request, as the caller may see it. With access `process` the chart (patient, answers, questions, files) is left out."""

    access: Access
    prepared_by: PersonView | None = Field(
        None, description="The system of the requester's clinic that began it for them, where one did."
    )
    offering_version: int = Field(description="The version of the offering whose form and report template it has.")
    allowed_commands: list[str] = Field(examples=[["accept", "transfer", "request_information"]])
    deadlines: list[DeadlineView]
    overdue_deadlines: list[DeadlineName]
    report_calls_for: list[CalledFor] = Field(
        description="What the newest report asks for, by what was chosen in its fields."
    )
    being_signed: DocumentKind | None = Field(description="A document of this kind is being made right now.")
    unacknowledged: bool
    signature_under_way: bool = Field(description="A signature of the report's draft is on its way: it is closed.")
    refused_command: CommandView | None = Field(
        None,
        description="What the caller gave last, when it was queued and refused in the end; until the form is changed.",
    )
    earlier: RelatedRequest | None = Field(
        None, description="The request that this one follows, as its requester has said."
    )
    later: list[RelatedRequest] = Field(
        [], description="The requests that follow this one and that the caller may see."
    )
    present: list[PresenceView] = Field(
        [], description="Who else has the request's page open right now, or writes its report."
    )
    emergency: ReadInEmergency | None = Field(None, description="Where the caller reads it in an emergency alone.")
    editable: bool
    may_mark: bool = Field(description="The caller may draw on the photos now.")
    report_editable: bool
    form_version: int | None


async def read_request(services: Services, caller: Caller, request_id: UUID, language: Language) -> RequestView:
    """What the caller may see of the request, and the commands that they may give; the look is written down.

    Raises Problem `not_found` or `not_yet`.
    """
    async with services.database.session() as session:
        view, *_ = await _looked_at(session, services, caller, request_id, language)
    return view


async def read_request_and_timeline(
    services: Services, caller: Caller, request_id: UUID, language: Language
) -> tuple[RequestView, list[TimelineEntry]]:
    """What `read_request` and `read_timeline` give, read at once and of the same moment; both looks are written down.

    Raises Problem `not_found` or `not_yet`.
    """
    async with services.database.session() as session:
        looks = (Act.REQUEST, Act.TIMELINE)
        view, course = await _looked_at(session, services, caller, request_id, language, looks)
    return view, timeline_view(course, view.access, language)


async def _looked_at(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    request_id: UUID,
    language: Language,
    looks: Sequence[Act] = (Act.REQUEST,),
) -> tuple[RequestView, Course]:
    row, access = await policy.request_to_see(session, caller, request_id)
    await open_form(session, services.versions, row)
    course = await read_course(session, row, with_systems=Act.TIMELINE in looks)
    view = await request_view(session, caller, row, access, language, scan_rule(services.settings), course)
    for kind in looks:
        await log_access(session, caller, row, kind)
    present = await others_present(session, services, caller, request_id)
    return view.model_copy(update={"present": present}), course


async def summaries(
    session: AsyncSession, caller: Caller, rows: Iterable[WorklistRow], language: Language
) -> list[RequestSummary]:
    """The lines of a list; of which requests they show the patient, is written down."""
    rows = list(rows)
    if shown := {row.request.id for row in rows if row.patient}:
        await log_lines(session, caller, shown)
    records = [row.request for row in rows]
    names = await Names.load(
        session,
        [id_ for request in records for id_ in (request.requester_id, request.holder_id)],
        [request.holder_clinic_id for request in records],
    )
    return [_summary(row.request, row.notes, caller, names, language, row.patient, _to_do(caller, row)) for row in rows]


async def find_summaries(
    services: Services, caller: Caller, request_ids: Sequence[UUID], language: Language
) -> list[RequestSummary]:
    """The lines of these requests, in their order, without those that the caller may not see."""
    async with services.database.session() as session:
        found = {line.request.id: line for line in await worklist.lines_of(session, caller.viewer, request_ids)}
        lines = [found[request_id] for request_id in request_ids if request_id in found]
        return await summaries(session, caller, lines, language)


async def request_view(
    session: AsyncSession,
    caller: Caller,
    row: RequestRecord,
    access: Access,
    language: Language,
    rule: ScanRule,
    course: Course | None = None,
) -> RequestView:
    """The whole request, as far as the caller may see it; `is_new` as it is before this look is written down.

    `rule` says which files may be seen; `course` is what happened to it, where that has been read already.
    """
    process = requests.process_of(row)
    notes = await worklist.notes_on(session, caller.viewer, row.id)
    course = course or await read_course(session, row, with_systems=False)
    names = course.names
    patient, chart = None, ChartView()
    if access == "chart":
        frozen = await _frozen_shown(session, row, process, caller)
        patient = _form_shown(row, frozen)["patient"]
        chart = await _chart(session, Viewer(rule, caller.id), caller, row, process, frozen, course)
    return RequestView(
        **dict(
            _summary(row, notes, caller, names, language, patient, to_do_of(caller, row, process, **_for_others(notes)))
        ),
        access=access,
        prepared_by=names.person(row.system_id),
        offering_version=process.terms.offering_version,
        allowed_commands=policy.allowed_commands(caller, row, process, **_for_others(notes)),
        deadlines=_deadlines(process),
        overdue_deadlines=list(process.overdue),
        report_calls_for=_called_for(process),
        being_signed=process.signing.kind if process.signing else None,
        unacknowledged=process.unacknowledged,
        signature_under_way=row.signature_id is not None,
        refused_command=await _refused_command(session, caller, row, language),
        earlier=await _earlier(session, caller, row) if access == "chart" else None,
        later=await _later(session, caller, row),
        emergency=_in_emergency(caller),
        editable=caller.opening is None and _is_editing(row, caller) and row.is_editable,
        may_mark=access == "chart" and policy.may_mark(caller, row, process),
        report_editable=policy.may_change_report(caller, row, process),
        form_version=process.form.number if process.form else None,
        **dict(chart),
    )


def _in_emergency(caller: Caller) -> ReadInEmergency | None:
    if (opening := caller.opening) is None:
        return None
    return ReadInEmergency(opening_id=opening.id, ends_at=opening.ends_at, told=opening.told)


async def patient_shown(session: AsyncSession, row: RequestRecord, caller: Caller) -> Json:
    """The patient as the request's page shows them to the caller, who may see the chart."""
    return _form_shown(row, await _frozen_shown(session, row, requests.process_of(row), caller))["patient"]


async def submitted_form(session: AsyncSession, row: RequestRecord) -> WrittenForm:
    """The form of a request that was submitted, as it is in force."""
    return _form_shown(row, await form_in_force(session, row, requests.process_of(row)))


async def _frozen_shown(
    session: AsyncSession, row: RequestRecord, process: Request, caller: Caller
) -> FrozenForm | None:
    """The form in force; None for who is writing it, and sees it as it stands."""
    return None if _is_editing(row, caller) else await form_in_force(session, row, process)


async def _earlier(session: AsyncSession, caller: Caller, row: RequestRecord) -> RelatedRequest | None:
    other = await _load_related(session, row.earlier_id) if row.earlier_id else None
    if other is None or await visibility.is_shut_to(session, caller.viewer, other):
        return None
    return await _related(session, caller, other) or RelatedRequest(number=other.number)


async def _later(session: AsyncSession, caller: Caller, row: RequestRecord) -> list[RelatedRequest]:
    later = [await _load_related(session, id_) for id_ in await requests.later_requests(session, row.id)]
    found = [await _related(session, caller, other) for other in later if other is not None]
    return [related for related in found if related is not None]


async def _load_related(session: AsyncSession, request_id: UUID) -> RequestRecord | None:
    """None for one that does not open: it keeps nobody from this one."""
    try:
        return await requests.load_for_anybody(session, request_id)
    except NOT_OPENED as error:
        tell_not_opened("requests.form", str(request_id), error)
        return None


async def _related(session: AsyncSession, caller: Caller, other: RequestRecord) -> RelatedRequest | None:
    if await visibility.access(session, caller.viewer, other) is None:
        return None
    return RelatedRequest(number=other.number, id=other.id, status=other.status, created_at=other.created_at)


async def _additions(
    session: AsyncSession, row: RequestRecord, caller: Caller, events: Sequence[EventRecord], names: Names
) -> list[AdditionView]:
    if not any(event.name in ADDED for event in events):
        return []
    return additions_of(events, names, seen=await last_seen(session, row.id, caller.id))


async def _return_notice(
    session: AsyncSession, process: Request, events: Sequence[EventRecord], names: Names
) -> ReturnNotice | None:
    notice = return_notice(events, names)
    if notice is None or process.status is not Status.RETURNED or process.returned_by is None:
        return notice
    away = await restrictions.is_away(session, process.id, process.returned_by.id)
    return notice.model_copy(update={"provider_away": away})


def _is_editing(row: RequestRecord, caller: Caller) -> bool:
    """Whether the caller is the requester who is writing the form: only they see it as it stands there."""
    return row.requester_id == caller.id and row.status.is_with_requester


async def _refused_command(
    session: AsyncSession, caller: Caller, row: RequestRecord, language: Language
) -> CommandView | None:
    newest = await commands.newest_of(session, row.id, caller.id)
    is_told = newest is not None and newest.queued_at is not None and newest.refusal is not None
    if newest is None or not is_told or newest.edits != row.edits:
        return None
    if row.ended_at is not None and newest.given_at < row.ended_at:  # it does not matter any more
        return None
    return command_view(newest, language)


def _to_do(caller: Caller, row: WorklistRow) -> ToDo | None:
    if row.process is None:
        return None
    return to_do_of(caller, row.request, Request.model_validate(row.process), **_for_others(row.notes))


def _take_back_until(written: Json | None, caller: Caller) -> datetime | None:
    undo = Undo.model_validate(written) if written else None
    if undo is None or undo.by != caller.id or not may_still_take_back(undo, datetime.now(UTC)):
        return None
    return undo.at + TAKEN_BACK_WITHIN


def _for_others(notes: RowNotes) -> dict[str, bool]:
    """In whose place the viewer may act."""
    return {"covers": notes.covers, "reads_for_requester": notes.reads_for_requester}


def _summary(
    row: RequestRecord,
    notes: RowNotes,
    caller: Caller,
    names: Names,
    language: Language,
    patient: Json | None,
    todo: ToDo | None,
) -> RequestSummary:
    over = sorted(notes.overdue, key=lambda name: _BESIDE.get(name, 0))
    return RequestSummary(
        id=row.id,
        number=row.number,
        version=row.version,
        status=row.status,
        status_label=gettext_for(language)(STATUSES[row.status]),
        priority=row.form_priority if _is_editing(row, caller) else row.priority,
        offering=row.offering,
        dispatch_clinic_id=row.dispatch_clinic_id,
        requester=names.person(row.requester_id),
        holder=names.holder(row.holder_kind, row.holder_id, row.holder_clinic_id),
        due_at=row.due_at,
        overdue=row.overdue,
        overdue_deadline=over[0] if over else None,
        open_questions=row.open_questions,
        waiting_since=None if row.holder_kind is HolderKind.NOBODY else row.waiting_since,
        worsened=notes.worsened,
        urgent_report_unread=notes.urgent_unread,
        awaits_new_photos=notes.awaits_photos,
        report_unread=notes.report_unread,
        holder_absent=notes.holder_absent,
        is_test=row.is_test,
        todo=todo,
        is_new=notes.is_new,
        submission_under_way=_submission_under_way(row),
        take_back_until=_take_back_until(notes.undo, caller),
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        updated_at=row.updated_at,
        patient=patient,
    )


_BESIDE = {
    DeadlineName.REPORT: 1,
    DeadlineName.INFORMATION: 2,
    DeadlineName.FOLLOW_UP: 3,
    DeadlineName.URGENT_ACKNOWLEDGEMENT: -1,
}
"""Of several that are late, the first named is a report to be read without delay, then the status's own, then the others."""


def _called_for(process: Request) -> list[CalledFor]:
    report = process.newest_report
    said = {CalledFor.READING_WITHOUT_DELAY: report.urgent, CalledFor.NEW_PHOTOS: report.new_photos} if report else {}
    return [call for call, is_said in said.items() if is_said]


def _submission_under_way(row: RequestRecord) -> SubmissionUnderWay | None:
    if row.submission_id is None or row.submission_since is None:
        return None
    return SubmissionUnderWay(command_id=row.submission_id, since=row.submission_since)


def _deadlines(process: Request) -> list[DeadlineView]:
    return [
        DeadlineView(
            name=deadline.name,
            question_id=deadline.question_id,
            limit=str(deadline.limit),
            started_at=deadline.started_at,
            due_at=deadline.due_at,
            next_call_at=deadline.next_moment,
            stopped=deadline.running_since is None,
        )
        for deadline in process.deadlines
    ]


def _form_shown(row: RequestRecord, frozen: FrozenForm | None) -> WrittenForm:
    """The form as submitted, or as edited: for the requester who edits it, there is no `frozen` one."""
    if frozen is None:
        return WrittenForm(patient=row.form["patient"], answers=row.form["answers"])
    return frozen.content


async def _chart(
    session: AsyncSession,
    viewer: Viewer,
    caller: Caller,
    row: RequestRecord,
    process: Request,
    frozen: FrozenForm | None,
    course: Course,
) -> ChartView:
    events, documents, names = course.events, course.documents, course.names
    signed = signed_with(events)
    last_forms = (await forms.submitted_forms(session, row.id))[-2:]
    shown = await attachments_shown(session, row, caller, frozen, events)
    return ChartView(
        received=await received_view(session, row),
        asked=await asked_view(session, process),
        references=await references_shown(session, caller, row),
        answers=_form_shown(row, frozen)["answers"],
        outdated_answers=outdated_answers(row) if _is_editing(row, caller) else None,
        questions=questions_of(row.id, events, names, [question.id for question in process.questions]),
        additions=await _additions(session, row, caller, events, names),
        follow_ups=follow_ups_of(row.id, events, names),
        attachments=views_shown(row, viewer, frozen, events, shown),
        marks=await marks_on(session, caller, row, [attachment.id for attachment in shown]),
        documents=[document_view(document, names, signed) for document in documents],
        outcome=next((e.command.get("outcome") for e in events if e.name is EventName.ACKNOWLEDGED), None),
        form_changes=changes(*(form.content for form in last_forms)) if len(last_forms) > 1 else [],
        return_notice=await _return_notice(session, process, events, names),
    )
