"""What the API answers: a request and what belongs to it, as the caller may see it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api import policy
from api.problems import refusal_sentence
from api.security import Caller
from domain.commands import RenewedClock, ReturnReason
from domain.drafts import OutdatedAnswer
from domain.events import question_id
from domain.forms import FormChange, changes
from domain.offerings import DeadlineName
from domain.photos import PhotoWarning
from domain.priority import Priority
from domain.requests import DocumentKind, EventName, HolderKind, Request, Role, Status
from records import attachments, commands, forms, people, reports, requests, worklist
from records.drafts import outdated_answers
from records.models import (
    Account,
    Attachment,
    Clinic,
    EventRecord,
    FrozenForm,
    GivenCommand,
    MediaState,
    RequestRecord,
    StoredDocument,
)
from records.visibility import Access
from records.worklist import RowNotes, WorklistRow
from translations import Language, gettext_for
from translations.words import EVENTS, STATUSES


class View(BaseModel):
    """An answer of the API."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class PersonView(View):
    """Somebody at a clinic."""

    id: UUID
    name: str = Field(examples=["Dre Amélie Roy"])
    profession: str = ""
    clinic_id: UUID
    clinic: str


class HolderView(View):
    """Who must act next: a person, a clinic's pool of providers, its dispatchers, or nobody."""

    kind: HolderKind
    person: PersonView | None = None
    clinic_id: UUID | None = None
    clinic: str | None = None


class DeadlineView(View):
    """A running deadline. `due_at` is empty while the clock stands still because a question is open."""

    name: DeadlineName
    question_id: UUID | None
    limit: str = Field(description="2h (hours), 3d (days) or 7bd (business days)", examples=["7bd"])
    started_at: datetime
    due_at: datetime | None
    next_call_at: datetime | None
    stopped: bool


class QuestionView(View):
    """An information request and what became of it."""

    id: UUID
    text: str
    asked_by: PersonView | None
    asked_at: datetime
    state: Literal["open", "answered", "withdrawn"]
    answer: str | None = None
    answered_at: datetime | None = None
    attachment_ids: list[UUID] = []


class AttachmentView(View):
    """A photo or a video. `media_type`, `size_bytes` and `sha256` are those of the file as it was uploaded."""

    id: UUID
    slot: str
    kind: Literal["photo", "video"]
    media_type: str
    size_bytes: int
    width: int | None
    height: int | None
    filename: str
    sha256: str
    uploaded_at: datetime
    has_preview: bool
    captured_at: datetime | None = Field(description="When it was taken, by the clock of the camera.")
    duration_seconds: float | None = Field(description="The length of a video that is ready.")
    state: MediaState = Field(description="Whether the copy that others get is there; a video needs a moment.")
    warnings: list[PhotoWarning] = Field(description="Why the photo is probably of no use. Advice: nothing is refused.")


class DocumentView(View):
    """A signed document. Its bytes are at ``/api/v1/requests/{id}/reports/{report_id}.pdf`` and never change."""

    report_id: UUID
    number: int
    kind: DocumentKind
    signer: PersonView | None
    signed_at: datetime
    sha256: str
    size_bytes: int


class CommandView(View):
    """What became of a command. `refused` says why, in `code` and `detail`; what is `done` made the event `event`."""

    command_id: str
    request_id: UUID
    name: str = Field(examples=["submit"])
    state: Literal["queued", "done", "refused"]
    given_at: datetime
    settled_at: datetime | None = Field(description="When it was taken or refused.")
    event: EventName | None = None
    version: int | None = Field(None, description="The event's version; of what was refused, the request's then.")
    code: str | None = Field(None, examples=["version_conflict"])
    detail: str | None = None


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
    requester: PersonView | None
    holder: HolderView
    due_at: datetime | None
    overdue: bool
    overdue_deadline: DeadlineName | None = Field(description="Which deadline is over; of several, the status's own.")
    open_questions: int
    waiting_since: datetime | None = Field(description="When the present holder got it; empty when nobody has to act.")
    holder_absent: bool = Field(description="Whether the person who holds it is away today.")
    is_new: bool = Field(description="The caller has not opened it since somebody else, or Relais, changed it.")
    submission_under_way: SubmissionUnderWay | None = Field(None, description="While a submission is on its way.")
    created_at: datetime
    submitted_at: datetime | None
    updated_at: datetime
    patient: dict[str, Any] | None = Field(None, description="Only where the caller may see the chart.")


class ReturnNotice(View):
    """Why a request was returned to its requester."""

    reason: ReturnReason
    text: str
    by: PersonView | None
    at: datetime


class RequestView(RequestSummary):
    """A request, as the caller may see it. With access `process` the chart (patient, answers, questions, files) is left out."""

    access: Access
    offering_version: int = Field(description="The version of the offering whose form and report template it has.")
    allowed_commands: list[str] = Field(examples=[["accept", "transfer", "request_information"]])
    dispatch_clinic_id: UUID
    deadlines: list[DeadlineView]
    overdue_deadlines: list[DeadlineName]
    being_signed: DocumentKind | None = Field(description="A document of this kind is being made right now.")
    unacknowledged: bool
    signature_under_way: bool = Field(description="A signature of the report's draft is on its way: it is closed.")
    refused_command: CommandView | None = Field(
        None,
        description="What the caller gave last, when it was queued and refused in the end; until the form is changed.",
    )
    editable: bool
    report_editable: bool
    form_version: int | None
    answers: dict[str, Any] | None = None
    outdated_answers: list[OutdatedAnswer] | None = Field(
        None,
        description="For its requester, in a draft: what was answered to an earlier version of the form and does not stand in "
        "this one. It must be taken over by hand or dropped before submitting.",
    )
    questions: list[QuestionView] | None = None
    attachments: list[AttachmentView] | None = None
    documents: list[DocumentView] | None = None
    outcome: dict[str, Any] | None = Field(None, description="What the requester told when acknowledging.")
    form_changes: list[FormChange] | None = Field(
        None, description="What differs between the form as submitted last and the one submitted before it."
    )
    return_notice: ReturnNotice | None = Field(
        None, description="Why it was returned, the last time, until a report is sent."
    )


class FormVersionView(View):
    """A form as it was submitted."""

    number: int
    submitted_at: datetime
    submitted_by: PersonView | None
    sha256: str


class SubmittedAttachment(View):
    """An attachment that a submitted form names."""

    id: UUID
    slot: str
    kind: Literal["photo", "video"]
    sha256: str


class FormView(FormVersionView):
    """What a submitted form says, in the words of that version of its offering. `changes` are against the one before it."""

    offering_version: int
    priority: Priority
    patient: dict[str, Any]
    answers: dict[str, Any]
    attachments: list[SubmittedAttachment]
    changes: list[FormChange]


class TimelineEntry(View):
    """Something that happened. `details` are what was said with it: a reason, a comment, a question, an answer."""

    version: int
    name: EventName
    label: str
    at: datetime
    by: PersonView | None
    role: Role
    source: str
    status_before: Status
    status: Status
    holder: HolderView
    details: dict[str, Any]
    clocks: list[RenewedClock] = Field([], description="Deadlines whose end a renewal of the rules or calendar moved.")


class Names:
    """The people and clinics that a view names, loaded in two queries."""

    def __init__(self, accounts: dict[UUID, Account], clinics: dict[UUID, Clinic]) -> None:
        self._accounts = accounts
        self._clinics = clinics

    @classmethod
    async def load(
        cls, session: AsyncSession, people_ids: Iterable[UUID | None], clinic_ids: Iterable[UUID | None]
    ) -> "Names":
        """The names of those people, of their clinics, and of those clinics."""
        accounts = await people.accounts_by_id(session, {id_ for id_ in people_ids if id_})
        wanted = {id_ for id_ in clinic_ids if id_} | {account.clinic_id for account in accounts.values()}
        return cls(accounts, await people.clinics_by_id(session, wanted))

    def person(self, account_id: UUID | None) -> PersonView | None:
        """Somebody; None for Relais itself and for whom the records don't know."""
        account = self._accounts.get(account_id) if account_id else None
        return person_view(account, self._clinics[account.clinic_id]) if account else None

    def clinic(self, clinic_id: UUID | None) -> str | None:
        """The name of a clinic."""
        clinic = self._clinics.get(clinic_id) if clinic_id else None
        return clinic.name if clinic else None

    def holder(self, kind: HolderKind, account_id: UUID | None, clinic_id: UUID | None) -> HolderView:
        """Who must act next."""
        return HolderView(kind=kind, person=self.person(account_id), clinic_id=clinic_id, clinic=self.clinic(clinic_id))


def full_name(account: Account) -> str:
    """Title, given name, family name."""
    return " ".join(part for part in (account.title, account.given_name, account.family_name) if part)


def person_view(account: Account, clinic: Clinic) -> PersonView:
    """A person with their clinic."""
    return PersonView(
        id=account.id,
        name=full_name(account),
        profession=account.profession,
        clinic_id=clinic.id,
        clinic=clinic.name,
    )


async def summaries(
    session: AsyncSession, caller: Caller, rows: Iterable[WorklistRow], language: Language
) -> list[RequestSummary]:
    """The lines of a worklist."""
    rows = list(rows)
    requests_ = [row.request for row in rows]
    names = await Names.load(
        session,
        [id_ for request in requests_ for id_ in (request.requester_id, request.holder_id)],
        [request.holder_clinic_id for request in requests_],
    )
    return [
        RequestSummary(**_summary(row.request, row.notes, caller, names, language), patient=row.patient) for row in rows
    ]


async def request_view(
    session: AsyncSession, caller: Caller, row: RequestRecord, access: Access, language: Language
) -> RequestView:
    """The whole request, as far as the caller may see it; `is_new` as it is before this look is written down."""
    process = requests.process_of(row)
    notes = await worklist.notes_on(session, caller.viewer, row.id)
    timeline = await requests.timeline(session, row.id)
    documents = await reports.documents_of(session, row.id)
    names = await _names_of(session, row, timeline, documents)
    is_process_only = access == "process"
    return RequestView(
        **_summary(row, notes, caller, names, language),
        access=access,
        offering_version=process.terms.offering_version,
        allowed_commands=policy.allowed_commands(caller, row, process),
        dispatch_clinic_id=row.dispatch_clinic_id,
        deadlines=_deadlines(process),
        overdue_deadlines=list(process.overdue),
        being_signed=process.signing.kind if process.signing else None,
        unacknowledged=process.unacknowledged,
        signature_under_way=row.signature_id is not None,
        refused_command=await _refused_command(session, caller, row, language),
        editable=_is_editing(row, caller) and row.is_editable,
        report_editable=policy.may_change_report(caller, row, process),
        form_version=process.form.number if process.form else None,
        **({} if is_process_only else await _chart(session, caller, row, process, timeline, documents, names)),
    )


async def timeline_view(
    session: AsyncSession, row: RequestRecord, access: Access, language: Language
) -> list[TimelineEntry]:
    """Who did what, when; what was said with it only for those who may see the chart."""
    events = await requests.timeline(session, row.id)
    names = await _names_of(session, row, events, [])
    _ = gettext_for(language)
    return [
        TimelineEntry(
            version=event.version,
            name=event.name,
            label=_(EVENTS[event.name]),
            at=event.at,
            by=names.person(event.actor_id),
            role=event.actor_role,
            source=event.source,
            status_before=event.status_before,
            status=event.status,
            holder=names.holder(*_holder_parts(event.holder)),
            details=_details(event) if access == "chart" else {},
            clocks=event.command.get("clocks", []),
        )
        for event in events
    ]


def command_view(given: GivenCommand, language: Language) -> CommandView:
    """What became of a command."""
    is_refused = given.refusal is not None
    return CommandView(
        command_id=given.command_id,
        request_id=given.request_id,
        name=given.name,
        state="queued" if given.settled_at is None else "refused" if is_refused else "done",
        given_at=given.given_at,
        settled_at=given.settled_at,
        event=given.event,
        version=given.version,
        code=given.refusal,
        detail=refusal_sentence(given.refusal, language) if given.refusal else None,
    )


def attachment_view(attachment: Attachment) -> AttachmentView:
    """What is known of a photo or video."""
    return AttachmentView(
        id=attachment.id,
        slot=attachment.slot,
        kind="video" if attachment.kind == "video" else "photo",
        media_type=attachment.media_type,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
        filename=attachment.filename,
        sha256=attachment.sha256,
        uploaded_at=attachment.uploaded_at,
        has_preview=attachment.preview_key is not None,
        captured_at=attachment.captured_at,
        duration_seconds=attachment.duration_seconds,
        state=attachment.state,
        warnings=attachment.warnings,
    )


def document_view(document: StoredDocument, names: Names) -> DocumentView:
    """What is known of a signed document."""
    return DocumentView(
        report_id=document.report_id,
        number=document.number,
        kind=document.kind,
        signer=names.person(document.signer_id),
        signed_at=document.signed_at,
        sha256=document.pdf_sha256,
        size_bytes=document.size_bytes,
    )


def form_version_view(form: FrozenForm, names: Names) -> FormVersionView:
    """Which submitted form this is."""
    return FormVersionView(**_form_version(form, names))


def form_view(form: FrozenForm, before: FrozenForm | None, names: Names) -> FormView:
    """A submitted form, held against the one `before` it, if there is one."""
    content = form.content
    return FormView(
        **_form_version(form, names),
        offering_version=content["offering_version"],
        priority=Priority(content["priority"]),
        patient=content["patient"],
        answers=content["answers"],
        attachments=[SubmittedAttachment.model_validate(attachment) for attachment in content["attachments"]],
        changes=changes(before.content, content) if before else [],
    )


def _form_version(form: FrozenForm, names: Names) -> dict[str, Any]:
    return {
        "number": form.number,
        "submitted_at": form.frozen_at,
        "submitted_by": names.person(form.frozen_by),
        "sha256": form.sha256,
    }


def questions_of(
    request_id: UUID, events: Iterable[EventRecord], names: Names, still_open: Iterable[UUID]
) -> list[QuestionView]:
    """The information requests of a timeline, each with its answer."""
    open_ids = set(still_open)
    found: dict[UUID, QuestionView] = {}
    for event in events:
        if event.name is EventName.INFORMATION_REQUESTED:
            id_ = question_id(request_id, event.command_id)
            found[id_] = QuestionView(
                id=id_,
                text=event.command["text"],
                asked_by=names.person(event.actor_id),
                asked_at=event.at,
                state="open" if id_ in open_ids else "withdrawn",
            )
        elif event.name is EventName.INFORMATION_ANSWERED:
            id_ = UUID(event.command["question_id"])
            answer = {
                "state": "answered",
                "answer": event.command["text"],
                "answered_at": event.at,
                "attachment_ids": [UUID(a) for a in event.command["attachment_ids"]],
            }
            found[id_] = found[id_].model_copy(update=answer)
    return list(found.values())


def _is_editing(row: RequestRecord, caller: Caller) -> bool:
    """Whether the caller is the requester who is writing the form: only they see it as it stands there."""
    return row.requester_id == caller.id and row.status.is_with_requester


async def _refused_command(
    session: AsyncSession, caller: Caller, row: RequestRecord, language: Language
) -> CommandView | None:
    newest = await commands.newest_of(session, row.id, caller.id)
    is_told = newest is not None and newest.queued_at is not None and newest.refusal is not None
    if newest is None or not is_told or newest.edits != row.edits or row.status.is_final:
        return None
    return command_view(newest, language)


def _summary(row: RequestRecord, notes: RowNotes, caller: Caller, names: Names, language: Language) -> dict[str, Any]:
    over = sorted(notes.overdue, key=lambda name: name is DeadlineName.INFORMATION)  # beside the status's own
    return {
        "id": row.id,
        "number": row.number,
        "version": row.version,
        "status": row.status,
        "status_label": gettext_for(language)(STATUSES[row.status]),
        "priority": row.form_priority if _is_editing(row, caller) else row.priority,
        "offering": row.offering,
        "requester": names.person(row.requester_id),
        "holder": names.holder(row.holder_kind, row.holder_id, row.holder_clinic_id),
        "due_at": row.due_at,
        "overdue": row.overdue,
        "overdue_deadline": over[0] if over else None,
        "open_questions": row.open_questions,
        "waiting_since": None if row.holder_kind is HolderKind.NOBODY else row.waiting_since,
        "holder_absent": notes.holder_absent,
        "is_new": notes.is_new,
        "submission_under_way": _submission_under_way(row),
        "created_at": row.created_at,
        "submitted_at": row.submitted_at,
        "updated_at": row.updated_at,
    }


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


async def _chart(
    session: AsyncSession,
    caller: Caller,
    row: RequestRecord,
    process: Request,
    events: list[EventRecord],
    documents: list[StoredDocument],
    names: Names,
) -> dict[str, Any]:
    """What only those see who may see the chart. The requester sees the form as edited, others as submitted."""
    frozen = await _submitted_form(session, row, process)
    last_forms = (await forms.submitted_forms(session, row.id))[-2:]
    form = row.form if _is_editing(row, caller) or frozen is None else frozen.content
    outcome = next((e.command.get("outcome") for e in events if e.name is EventName.ACKNOWLEDGED), None)
    return {
        "patient": form["patient"],
        "answers": form["answers"],
        "outdated_answers": outdated_answers(row) if _is_editing(row, caller) else None,
        "questions": questions_of(row.id, events, names, [q.id for q in process.questions]),
        "attachments": [attachment_view(a) for a in await visible_attachments(session, row, caller)],
        "documents": [document_view(d, names) for d in documents],
        "outcome": outcome,
        "form_changes": changes(*(form.content for form in last_forms)) if len(last_forms) > 1 else [],
        "return_notice": _return_notice(events, names),
    }


_REPORTS = (EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED)


def _return_notice(events: list[EventRecord], names: Names) -> ReturnNotice | None:
    """Why the request was returned the last time, unless a report has come since."""
    for event in reversed(events):
        if event.name in _REPORTS:
            return None
        if event.name is EventName.RETURNED_TO_REQUESTER:
            return ReturnNotice(
                reason=event.command["reason"],
                text=event.command["text"],
                by=names.person(event.actor_id),
                at=event.at,
            )
    return None


async def visible_attachments(session: AsyncSession, row: RequestRecord, caller: Caller) -> list[Attachment]:
    """For the requester all that are there now; for others those that were submitted or given with an answer."""
    there = await attachments.list_attachments(session, row.id, with_removed=True)
    if row.requester_id == caller.id:
        return [a for a in there if a.removed_at is None]
    process = requests.process_of(row)
    frozen = await _submitted_form(session, row, process)
    given = {a["id"] for a in frozen.content["attachments"]} if frozen else set()
    for event in await requests.timeline(session, row.id):
        if event.name is EventName.INFORMATION_ANSWERED:
            given.update(event.command["attachment_ids"])
    return [a for a in there if str(a.id) in given]


async def _submitted_form(session: AsyncSession, row: RequestRecord, process: Request) -> FrozenForm | None:
    return await forms.load_form(session, row.id, process.form.number) if process.form else None


async def _names_of(
    session: AsyncSession, row: RequestRecord, events: list[EventRecord], documents: list[StoredDocument]
) -> Names:
    holders = [_holder_parts(event.holder) for event in events]
    return await Names.load(
        session,
        [
            row.requester_id,
            row.holder_id,
            *(event.actor_id for event in events),
            *(account_id for _, account_id, _ in holders),
            *(document.signer_id for document in documents),
        ],
        [row.holder_clinic_id, *(clinic_id for _, _, clinic_id in holders)],
    )


def _holder_parts(holder: dict[str, Any]) -> tuple[HolderKind, UUID | None, UUID | None]:
    def uuid(value: str | None) -> UUID | None:
        return UUID(value) if value else None

    return HolderKind(holder["kind"]), uuid(holder["id"]), uuid(holder["clinic_id"])


_PROCESS_ONLY = {"id", "type", "actor", "sent_at", "expected_version", "content_sha256", "form", "calendar", "clocks"}


def _details(event: EventRecord) -> dict[str, Any]:
    """What the command said, without what every command carries."""
    return {key: value for key, value in event.command.items() if key not in _PROCESS_ONLY and value is not None}
