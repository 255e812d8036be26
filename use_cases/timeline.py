"""What happened to a request: its timeline, and the questions and returns that stand in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.commands import RenewedClock, ReturnReason
from domain.events import question_id
from domain.requests import EventName, HolderKind, Role, Status
from records import commands, reports, requests
from records.models import EventRecord, Json, RequestRecord, StoredDocument
from records.visibility import Access
from translations import Language, gettext_for
from translations.words import EVENTS
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.names import HolderView, Names, PersonView
from use_cases.services import Services
from use_cases.views import View

SAID = ("text", "comment", "reason")
"""The fields of commands into which people write in their own words."""

TOLD_ELSEWHERE = frozenset(
    {
        EventName.INFORMATION_REQUESTED,
        EventName.INFORMATION_ANSWERED,
        EventName.INFORMATION_ADDED,
        EventName.WORSENING_REPORTED,
        EventName.FOLLOW_UP_ASKED,
        EventName.FOLLOW_UP_ANSWERED,
    }
)
"""What was said with these stands once, where questions and answers stand together, and not in the history."""


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
    details: Json
    system: PersonView | None = Field(
        None, description="The clinic's system by which it was done, in that person's name."
    )
    clocks: list[RenewedClock] = Field([], description="Deadlines whose end a renewal of the rules or calendar moved.")

    @property
    def words(self) -> list[str]:
        """What was said with it in somebody's own words, to be shown with it; not a reason that was chosen from a list."""
        if self.name in TOLD_ELSEWHERE:
            return []
        return [said for field in SAID if (said := self.details.get(field)) and said not in set(ReturnReason)]


class QuestionView(View):
    """An information request and what became of it."""

    id: UUID
    text: str
    asked_by: PersonView | None
    asked_at: datetime
    state: Literal["open", "answered", "withdrawn"]
    answer: str | None = None
    answered_at: datetime | None = None
    attachment_ids: list[UUID] = Field([])


class FollowUpView(View):
    """What the requester asked about the final report, and its answer: a text, or an addendum, named by its `report_id`."""

    id: UUID
    text: str
    asked_by: PersonView | None
    asked_at: datetime
    state: Literal["open", "answered", "withdrawn"] = "open"
    answer: str | None = None
    report_id: UUID | None = None
    answered_by: PersonView | None = None
    answered_at: datetime | None = None


class AdditionView(View):
    """What the requester told without being asked. `is_new` to who has not opened the request since."""

    text: str
    worse: bool = Field(description="The requester says that it gets worse.")
    by: PersonView | None
    at: datetime
    attachment_ids: list[UUID]
    is_new: bool


class ReturnNotice(View):
    """Why a request was returned to its requester."""

    reason: ReturnReason
    text: str
    by: PersonView | None
    at: datetime
    provider_away: bool = Field(
        False, description="Whether the provider who returned it is away now: submitted again, it goes to dispatch."
    )


async def read_timeline(
    services: Services, caller: Caller, request_id: UUID, language: Language
) -> list[TimelineEntry]:
    """Everything that happened to the request, oldest first; the look is written down.

    Raises Problem `not_found` or `not_yet`.
    """
    async with services.database.session() as session:
        row, access = await policy.request_to_see(session, caller, request_id)
        await log_access(session, caller, row, Act.TIMELINE)
        course = await read_course(session, row, with_documents=False)
    return timeline_view(course, access, language)


@dataclass(frozen=True)
class Course:
    """What happened to a request, and everybody whom it names: read once for all that is shown of it.

    `systems` are those by which commands came, by the command's id.
    """

    events: Sequence[EventRecord]
    documents: Sequence[StoredDocument]
    systems: Mapping[str, UUID]
    names: Names


async def read_course(
    session: AsyncSession, row: RequestRecord, *, with_documents: bool = True, with_systems: bool = True
) -> Course:
    """The course of a request; without its documents, or the systems, for who shows none."""
    async with requests.in_its_eyes(session, row):  # who sees the process alone is shown nothing of what was said
        events = await requests.timeline(session, row.id)
    documents = await reports.documents_of(session, row.id) if with_documents else []
    systems = await commands.systems_of(session, row.id) if with_systems else {}
    return Course(events, documents, systems, await _names_of(session, row, events, documents, systems.values()))


def timeline_view(course: Course, access: Access, language: Language) -> list[TimelineEntry]:
    """Who did what, when; what was said with it only for those who may see the chart."""
    names, systems = course.names, course.systems
    _ = gettext_for(language)
    return [
        TimelineEntry(
            version=event.version,
            name=event.name,
            label=_(EVENTS[event.name]),
            at=event.at,
            by=names.who(event.actor_id, event.command),
            role=event.actor_role,
            source=event.source,
            status_before=event.status_before,
            status=event.status,
            holder=names.holder(*_holder_parts(event.holder)),
            details=_details(event) if access == "chart" else {},
            system=names.person(systems.get(event.command_id)),
            clocks=event.command.get("clocks", []),
        )
        for event in course.events
    ]


ADDED = (EventName.INFORMATION_ADDED, EventName.WORSENING_REPORTED)
"""With which events the requester tells more without being asked."""


def additions_of(events: Iterable[EventRecord], names: Names, *, seen: int) -> list[AdditionView]:
    """What the requester added without being asked; `seen` is the newest version that the reader has opened before."""
    return [
        AdditionView(
            text=event.command["text"],
            worse=event.command["worse"],
            by=names.who(event.actor_id, event.command),
            at=event.at,
            attachment_ids=[UUID(a) for a in event.command["attachment_ids"]],
            is_new=event.version > seen,
        )
        for event in events
        if event.name in ADDED
    ]


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
                asked_by=names.who(event.actor_id, event.command),
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


def follow_ups_of(request_id: UUID, events: Iterable[EventRecord], names: Names) -> list[FollowUpView]:
    """What was asked about the report of a timeline, each with its answer."""
    found: dict[UUID, FollowUpView] = {}
    addenda: dict[str, EventRecord] = {}
    for event in events:
        match event.name:
            case EventName.FOLLOW_UP_ASKED:
                id_ = question_id(request_id, event.command_id)
                asked_by = names.person(event.actor_id)
                found[id_] = FollowUpView(id=id_, text=event.command["text"], asked_by=asked_by, asked_at=event.at)
            case EventName.FOLLOW_UP_ANSWERED:
                id_ = UUID(event.command["follow_up_id"])
                found[id_] = _answered(found[id_], event, event, names, answer=event.command["text"])
            case EventName.FOLLOW_UP_WITHDRAWN:
                id_ = UUID(event.command["follow_up_id"])
                found[id_] = found[id_].model_copy(update={"state": "withdrawn"})
            case EventName.ADDENDUM_SIGNED if event.command.get("follow_up_id"):
                addenda[event.command["report_id"]] = event
            case EventName.ADDENDUM_ISSUED if signed := addenda.get(event.command["report_id"]):
                id_ = UUID(signed.command["follow_up_id"])
                found[id_] = _answered(found[id_], signed, event, names, report_id=UUID(event.command["report_id"]))
    return list(found.values())


def _answered(
    asked: FollowUpView, given: EventRecord, ended: EventRecord, names: Names, **answer: str | UUID
) -> FollowUpView:
    """The same with its answer: who gave it, and when it could be read."""
    answered = {"state": "answered", "answered_by": names.who(given.actor_id, given.command), "answered_at": ended.at}
    return asked.model_copy(update={**answered, **answer})


_REPORTS = (EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED)


def return_notice(events: Sequence[EventRecord], names: Names) -> ReturnNotice | None:
    """Why the request was returned the last time, unless a report has come since."""
    for event in reversed(events):
        if event.name in _REPORTS:
            return None
        if event.name is EventName.RETURNED_TO_REQUESTER:
            return ReturnNotice(
                reason=event.command["reason"],
                text=event.command["text"],
                by=names.who(event.actor_id, event.command),
                at=event.at,
            )
    return None


async def _names_of(
    session: AsyncSession,
    row: RequestRecord,
    events: Sequence[EventRecord],
    documents: Sequence[StoredDocument],
    systems: Iterable[UUID],
) -> Names:
    """Everybody whom a request, its events and its documents name."""
    holders = [_holder_parts(event.holder) for event in events]
    return await Names.load(
        session,
        [
            row.requester_id,
            row.system_id,
            row.holder_id,
            *systems,
            *(event.actor_id for event in events),
            *(account_id for _, account_id, _ in holders),
            *(document.signer_id for document in documents),
        ],
        [row.holder_clinic_id, *(clinic_id for _, _, clinic_id in holders)],
    )


def _holder_parts(holder: Json) -> tuple[HolderKind, UUID | None, UUID | None]:
    return HolderKind(holder["kind"]), _id_of(holder["id"]), _id_of(holder["clinic_id"])


@lru_cache(maxsize=1_000)
def _id_of(written: str | None) -> UUID | None:
    """In a long history few people have it again and again."""
    return UUID(written) if written else None


_PROCESS_ONLY = {
    "id",
    "type",
    "actor",
    "sent_at",
    "expected_version",
    "outside",
    "content_sha256",
    "form",
    "calendar",
    "clocks",
}


def _details(event: EventRecord) -> Json:
    """What the command said, without what every command carries."""
    return {key: value for key, value in event.command.items() if key not in _PROCESS_ONLY and value is not None}
