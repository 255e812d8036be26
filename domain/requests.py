"""The state of one teleconsultation request: who may act, who holds it, what is open, and which clocks run."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictInt, StringConstraints, model_validator

from domain.deadlines import Deadline
from domain.fhir_task import FhirTask
from domain.model import Frozen, Sha256, is_unset
from domain.offerings import DeadlineName, Terms
from domain.priority import Priority

CommandId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,120}$")]
"""The idempotency key of a command: 1 to 120 printable ASCII characters, usually a UUID."""


class Status(StrEnum):
    """Who must act next. See the table in docs/architecture.md; the French labels are in the translations."""

    DRAFT = "draft"
    AWAITING_DISPATCH = "awaiting_dispatch"
    AWAITING_ACCEPTANCE = "awaiting_acceptance"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    REPORTED = "reported"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether nobody has to act any more."""
        return self in (Status.CLOSED, Status.CANCELLED, Status.ABANDONED)

    @property
    def is_open(self) -> bool:
        """Whether the request is under way: submitted, and somebody has to act."""
        return self is not Status.DRAFT and not self.is_final

    @property
    def is_with_provider(self) -> bool:
        """Whether a provider, or a pool of them, has it."""
        return self in (Status.AWAITING_ACCEPTANCE, Status.ACCEPTED)

    @property
    def is_before_report(self) -> bool:
        """Whether it is under way to its report: with dispatch or with a provider."""
        return self is Status.AWAITING_DISPATCH or self.is_with_provider

    @property
    def is_with_requester(self) -> bool:
        """Whether the form is being written: by who has not submitted it yet, or got it back."""
        return self in (Status.DRAFT, Status.RETURNED)


class Role(StrEnum):
    """In which capacity a person speaks. `system` is Relais itself: its timers and its activities."""

    REQUESTER = "requester"
    DISPATCHER = "dispatcher"
    PROVIDER = "provider"
    CLINIC_ADMINISTRATOR = "clinic_administrator"
    OPERATOR = "operator"
    SYSTEM = "system"


class Actor(Frozen):
    """Who gives a command: a person (`id`), in one role, for one clinic. The system has neither person nor clinic."""

    id: UUID | None = None
    role: Role
    clinic_id: UUID | None = None

    @model_validator(mode="after")
    def _people_have_names(self) -> Self:
        if self.role not in (Role.OPERATOR, Role.SYSTEM) and (self.id is None or self.clinic_id is None):
            raise ValueError(f"a {self.role} speaks with an id and a clinic_id")
        return self


SYSTEM = Actor(role=Role.SYSTEM)
"""Relais itself."""


class Person(Frozen):
    """A person at a clinic."""

    id: UUID
    clinic_id: UUID


class HolderKind(StrEnum):
    """What kind of holder must act next."""

    REQUESTER = "requester"
    DISPATCH = "dispatch"
    PROVIDER = "provider"
    POOL = "pool"
    NOBODY = "nobody"


class Holder(Frozen):
    """Who must act next: a person (requester, provider), all the dispatchers of a clinic, all its providers (pool), or nobody."""

    kind: HolderKind
    id: UUID | None = Field(None, description="The person, when the holder is one.")
    clinic_id: UUID | None = None

    @classmethod
    def nobody(cls) -> Self:
        """The holder of a request that is over."""
        return cls(kind=HolderKind.NOBODY)

    @classmethod
    def provider(cls, person: Person) -> Self:
        """One provider."""
        return cls(kind=HolderKind.PROVIDER, id=person.id, clinic_id=person.clinic_id)

    @classmethod
    def pool(cls, clinic_id: UUID) -> Self:
        """All the providers of a clinic together; the first who accepts gets the request."""
        return cls(kind=HolderKind.POOL, clinic_id=clinic_id)

    @classmethod
    def dispatch(cls, clinic_id: UUID) -> Self:
        """The dispatchers of a clinic."""
        return cls(kind=HolderKind.DISPATCH, clinic_id=clinic_id)

    @classmethod
    def requester(cls, person: Person) -> Self:
        """The requester."""
        return cls(kind=HolderKind.REQUESTER, id=person.id, clinic_id=person.clinic_id)

    def includes(self, actor: Actor) -> bool:
        """Whether `actor` is this holder, or belongs to it."""
        match self.kind:
            case HolderKind.REQUESTER:
                return actor.role is Role.REQUESTER and actor.id == self.id
            case HolderKind.PROVIDER:
                return actor.role is Role.PROVIDER and actor.id == self.id and actor.clinic_id == self.clinic_id
            case HolderKind.POOL:
                return actor.role is Role.PROVIDER and actor.id is not None and actor.clinic_id == self.clinic_id
            case HolderKind.DISPATCH:
                return actor.role is Role.DISPATCHER and actor.clinic_id == self.clinic_id
            case HolderKind.NOBODY:
                return False


class FormVersion(Frozen):
    """The frozen form that a request stands on. Its content is in the records."""

    number: Annotated[StrictInt, Field(ge=1)]
    sha256: Sha256


class Question(Frozen):
    """An open information request. Its text is in the records."""

    id: UUID
    asked_by: Person
    asked_at: AwareDatetime


class FollowUp(Frozen):
    """A question of the requester about the report, and when it was answered. Its text is in the records."""

    id: UUID
    asked_at: AwareDatetime
    answered_at: AwareDatetime | None = None


class DocumentKind(StrEnum):
    """The kinds of signed document."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    ADDENDUM = "addendum"


class Signing(Frozen):
    """A report that its provider has signed and that is being made into a document (rendered, sealed, stored)."""

    report_id: UUID
    kind: DocumentKind
    content_sha256: Sha256
    signer: Person
    signed_at: AwareDatetime
    urgent: bool = Field(False, exclude_if=is_unset)
    new_photos: bool = Field(False, exclude_if=is_unset)
    follow_up_id: UUID | None = Field(None, exclude_if=is_unset, description="The follow-up that an addendum answers.")


class Document(Frozen):
    """A signed document. Its bytes are in the document store and never change."""

    report_id: UUID
    kind: DocumentKind
    signer: Person
    signed_at: AwareDatetime
    pdf_sha256: Sha256
    urgent: bool = Field(False, exclude_if=is_unset, description="It says that the patient must be sent without delay.")
    new_photos: bool = Field(False, exclude_if=is_unset, description="It says that the photos were not sufficient.")


class Undo(Frozen):
    """What stood before the last command, an `accept` or an `assign`: for whoever gave it, to take it back at once.

    `clock` is the one that ended, `began` the name of the one that started in its place; None where what was promised runs on.
    """

    by: UUID
    at: AwareDatetime
    status: Status
    holder: Holder
    clock: Deadline
    began: DeadlineName | None
    overdue: tuple[DeadlineName, ...]


class Failure(Frozen):
    """An effect that failed for good, for the operators' eyes. `code` is stable and says nothing of the patient."""

    effect_id: str
    code: str
    at: AwareDatetime


class RefusedSignal(Frozen):
    """A Signal that was not legal. `name` is the Signal's; the command's id and actor are there when they could be read."""

    name: str
    command_id: str | None = None
    actor_id: UUID | None = None
    code: str
    at: AwareDatetime


class Request(Frozen):
    """One teleconsultation request. `version` counts the events since it was a draft (version 0)."""

    id: UUID
    number: Annotated[str, StringConstraints(pattern=r"^TC-\d{4}-\d{6,}$")]
    version: Annotated[StrictInt, Field(ge=0)] = 0
    rules: Annotated[StrictInt, Field(ge=1)] = Field(1, description="The version of the rules; see `domain.rules`.")
    status: Status = Status.DRAFT
    holder: Holder
    priority: Priority = Priority.ROUTINE
    requester: Person
    dispatch_clinic_id: UUID
    terms: Terms
    created_at: AwareDatetime
    form: FormVersion | None = None
    deadlines: tuple[Deadline, ...] = ()
    overdue: tuple[DeadlineName, ...] = ()
    questions: tuple[Question, ...] = Field((), description="The open ones, oldest first.")
    returned_by: Person | None = Field(None, description="The provider to whom a resubmission goes.")
    signing: Signing | None = None
    documents: tuple[Document, ...] = Field((), description="In the order of signing.")
    unacknowledged: bool = Field(False, description="Closed by the calendar and not by the requester.")
    worsened: bool = Field(
        False,
        exclude_if=is_unset,
        description="The requester has said that it gets worse, and nobody has changed the priority since.",
    )
    follow_ups: tuple[FollowUp, ...] = Field(
        (),
        exclude_if=is_unset,
        description="What the requester asked about the report and did not take back, oldest first.",
    )
    undo: Undo | None = Field(None, exclude_if=is_unset, description="While nothing has happened since.")
    task: FhirTask = FhirTask()
    commands_taken: tuple[CommandId, ...] = Field(
        (), description="Ids of commands that acted, oldest first; see `lifecycle.REMEMBERED`."
    )

    def deadline(self, name: DeadlineName, question_id: UUID | None = None) -> Deadline | None:
        """The deadline of that name (and question), if there is one now."""
        return next((d for d in self.deadlines if (d.name, d.question_id) == (name, question_id)), None)

    @property
    def next_deadline(self) -> tuple[datetime, Deadline] | None:
        """The next moment at which a clock calls, and its deadline; None when no clock runs."""
        moments = [(moment, d) for d in self.deadlines if (moment := d.next_moment) is not None]
        return min(moments, key=lambda pair: pair[0]) if moments else None

    @property
    def due_at(self) -> datetime | None:
        """When the holder must have acted: the end of the status's own clock; None while it stands still.

        A report that must be read without delay comes before that to the requester, who holds the request then; and so does a
        question about the report to who has to answer it, where that is due earlier.
        """
        if self.unread is not None and self.holder.kind is HolderKind.REQUESTER:
            return self.unread.due_at
        clocks = (self.own_deadline, self.deadline(DeadlineName.FOLLOW_UP))
        return min((clock.due_at for clock in clocks if clock and clock.due_at), default=None)

    @property
    def unread(self) -> Deadline | None:
        """The clock of a report that must be read without delay, until somebody has confirmed the reading."""
        return self.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT)

    @property
    def own_deadline(self) -> Deadline | None:
        """The status's own clock, which stands before those that run beside it."""
        beside = (DeadlineName.INFORMATION, DeadlineName.URGENT_ACKNOWLEDGEMENT, DeadlineName.FOLLOW_UP)
        return next((d for d in self.deadlines if d.name not in beside), None)

    @property
    def final_report(self) -> Document | None:
        """The signed final report, if there is one."""
        return next((d for d in self.documents if d.kind is DocumentKind.FINAL), None)

    @property
    def newest_report(self) -> Document | None:
        """The report that was signed last, without what was added to it; None before the first."""
        return next((d for d in reversed(self.documents) if d.kind is not DocumentKind.ADDENDUM), None)

    @property
    def open_follow_up(self) -> FollowUp | None:
        """What the requester asked about the report and nobody has answered yet."""
        return next((asked for asked in self.follow_ups if asked.answered_at is None), None)

    @property
    def is_over(self) -> bool:
        """Whether nobody has to act any more, and nothing is being made or waits for an answer beside its status."""
        return self.status.is_final and self.signing is None and self.open_follow_up is None

    @property
    def needs_workflow(self) -> bool:
        """Whether a workflow must look after it: it was submitted, and is not over."""
        return self.status is not Status.DRAFT and not self.is_over


class Source(StrEnum):
    """By which way a command came."""

    UPDATE = "update"
    SIGNAL = "signal"
    TIMER = "timer"
    ENGINE = "engine"


class EventName(StrEnum):
    """What happened. The e-mail matrix, the timeline's words and the tests are complete over these names."""

    SUBMITTED = "submitted"
    ASSIGNED = "assigned"
    REASSIGNED = "reassigned"
    ACCEPTED = "accepted"
    TAKEN_BACK = "taken_back"
    TRANSFERRED = "transferred"
    INFORMATION_REQUESTED = "information_requested"
    INFORMATION_ANSWERED = "information_answered"
    INFORMATION_ADDED = "information_added"
    WORSENING_REPORTED = "worsening_reported"
    INFORMATION_REQUEST_WITHDRAWN = "information_request_withdrawn"
    RETURNED_TO_REQUESTER = "returned_to_requester"
    RETURNED_TO_DISPATCH = "returned_to_dispatch"
    RESUBMITTED = "resubmitted"
    CANCELLED = "cancelled"
    PRIORITY_CHANGED = "priority_changed"
    REPORT_SIGNED = "report_signed"
    ADDENDUM_SIGNED = "addendum_signed"
    PRELIMINARY_REPORT_ISSUED = "preliminary_report_issued"
    FINAL_REPORT_ISSUED = "final_report_issued"
    ADDENDUM_ISSUED = "addendum_issued"
    SIGNING_FAILED = "signing_failed"
    ACKNOWLEDGED = "acknowledged"
    DISPATCH_OVERDUE = "dispatch_overdue"
    ACCEPTANCE_REMINDER = "acceptance_reminder"
    ACCEPTANCE_EXPIRED = "acceptance_expired"
    REPORT_REMINDER = "report_reminder"
    REPORT_OVERDUE = "report_overdue"
    INFORMATION_REMINDER = "information_reminder"
    INFORMATION_EXPIRED = "information_expired"
    RESUBMISSION_REMINDER = "resubmission_reminder"
    ABANDONED = "abandoned"
    ACKNOWLEDGEMENT_REMINDER = "acknowledgement_reminder"
    CLOSED_UNACKNOWLEDGED = "closed_unacknowledged"
    URGENT_REPORT_REMINDER = "urgent_report_reminder"
    URGENT_REPORT_UNREAD = "urgent_report_unread"
    READING_CONFIRMED = "reading_confirmed"
    READ_FOR_REQUESTER = "read_for_requester"
    FOLLOW_UP_ASKED = "follow_up_asked"
    FOLLOW_UP_ANSWERED = "follow_up_answered"
    FOLLOW_UP_WITHDRAWN = "follow_up_withdrawn"
    FOLLOW_UP_REMINDER = "follow_up_reminder"
    FOLLOW_UP_OVERDUE = "follow_up_overdue"
    DISPATCH_REMINDER = "dispatch_reminder"
    RULES_RENEWED = "rules_renewed"
