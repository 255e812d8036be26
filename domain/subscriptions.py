"""What holds of FHIR's Subscriptions, by which a clinic's system hears of events: which topics there are, and what each tells.

As the Subscriptions R5 Backport has it for R4 (hl7.fhir.uv.subscriptions-backport 1.1.0). They go as webhooks do
(`domain.webhooks`). See docs/decisions/subscriptions.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.commands import IssueDocument
from domain.events import Event
from domain.fhir_course import Happening, tasks_of
from domain.fhir_task import TaskStatus
from domain.requests import EventName
from domain.service_accounts import Scope
from domain.webhooks import DisabledReason, EndpointState


class Topic(StrEnum):
    """What a Subscription can be about; the end of the topic's canonical address."""

    TASK_STATUS = "task-status"
    REPORT_SIGNED = "report-signed"
    COMMUNICATION = "communication"


COMMUNICATIONS: Mapping[EventName, str] = MappingProxyType(
    {
        EventName.INFORMATION_REQUESTED: "question",
        EventName.INFORMATION_ANSWERED: "answer",
        EventName.INFORMATION_ADDED: "information",
        EventName.WORSENING_REPORTED: "worsening",
        EventName.RETURNED_TO_REQUESTER: "return-reason",
        EventName.FOLLOW_UP_ASKED: "follow-up-question",
        EventName.FOLLOW_UP_ANSWERED: "follow-up-answer",
    }
)
"""With which events something is said to the other side, in words; and the code of its category."""

REPORTS: Mapping[EventName, str] = MappingProxyType(
    {
        EventName.PRELIMINARY_REPORT_ISSUED: "preliminary",
        EventName.FINAL_REPORT_ISSUED: "final",
        EventName.ADDENDUM_ISSUED: "appended",
    }
)
"""With which events a report is signed, and the status of its DiagnosticReport then."""


@dataclass(frozen=True)
class About:
    """What a topic is about: resources of which type, which scopes of an account open these, and by what events are narrowed: a
    parameter, and its values.
    """

    kind: str
    opened_by: Scope
    parameter: str
    values: tuple[str, ...]


_TASK_STATUSES = [one.value for one in TaskStatus if one is not TaskStatus.DRAFT]

TOPICS: Mapping[Topic, About] = MappingProxyType(
    {
        Topic.TASK_STATUS: About("Task", Scope.REQUESTS_READ, "status", tuple(_TASK_STATUSES)),
        Topic.REPORT_SIGNED: About("DiagnosticReport", Scope.DOCUMENTS_READ, "status", tuple(REPORTS.values())),
        Topic.COMMUNICATION: About(
            "Communication", Scope.REQUESTS_READ, "category", tuple(dict.fromkeys(COMMUNICATIONS.values()))
        ),
    }
)


class Content(StrEnum):
    """How much of a resource a notification holds: nothing, or where it is."""

    EMPTY = "empty"
    ID_ONLY = "id-only"


class NotificationKind(StrEnum):
    """FHIR's types of notifications (http://hl7.org/fhir/ValueSet/subscription-notification-type)."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    QUERY_STATUS = "query-status"
    QUERY_EVENT = "query-event"


class SubscriptionStatus(StrEnum):
    """FHIR's statuses of a Subscription in R4."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ERROR = "error"
    OFF = "off"


ERRORS = frozenset(
    {DisabledReason.FAILING, DisabledReason.EVENT_LOST, DisabledReason.GONE, DisabledReason.NO_HANDSHAKE}
)
"""Why a Subscription is in error: events are counted on, and none is sent until its system asks for that again."""


def status_of(state: EndpointState, reason: DisabledReason | None) -> SubscriptionStatus:
    """The status that FHIR has for where a Subscription stands."""
    if state is EndpointState.DISABLED:
        return SubscriptionStatus.ERROR if reason in ERRORS else SubscriptionStatus.OFF
    return SubscriptionStatus.ACTIVE if state is EndpointState.ACTIVE else SubscriptionStatus.REQUESTED


MOST_OF_A_SYSTEM = 20
"""Subscriptions of one service account, those included that are off."""

SHORTEST_HEARTBEAT = timedelta(minutes=1)
LONGEST_HEARTBEAT = timedelta(days=7)

MOST_HEADERS = 10
LONGEST_HEADER = 4_000
"""Characters of one header, name and value."""

GIVEN_UP_AFTER = timedelta(days=30)
"""So long a Subscription is in error before it is off."""

MOST_EVENTS = 200
"""Events of one answer to `$events`."""


@dataclass(frozen=True)
class Telling:
    """Something that a topic tells of an event: the resource that it is about, and by what it is narrowed."""

    topic: Topic
    focus: str
    value: str


def topics_of(name: EventName) -> tuple[Topic, ...]:
    """The topics that may have something to tell of such an event."""
    reports = (Topic.REPORT_SIGNED,) if name in REPORTS else ()
    said = (Topic.COMMUNICATION,) if name in COMMUNICATIONS else ()
    return (Topic.TASK_STATUS, *reports, *said)


def task_tellings(event: Event, before: Sequence[Happening]) -> tuple[Telling, ...]:
    """The Tasks that an event begins or moves, after those `before`; those that end before those that begin.

    Raises ValueError where the events, as they are recorded, make no Tasks: some may come later.
    """
    return tuple(
        Telling(Topic.TASK_STATUS, f"Task/{event.request_id}.{number}", status)
        for number, status in _steps([*before, event], before)
    )


def tellings(event: Event) -> Iterator[Telling]:
    """What else there is to tell of an event."""
    if event.name in REPORTS and isinstance(event.command, IssueDocument):
        report = f"DiagnosticReport/{event.command.report_id}"
        yield Telling(Topic.REPORT_SIGNED, report, REPORTS[event.name])
    if event.name in COMMUNICATIONS:
        said = f"Communication/{event.request_id}.{event.version}"
        yield Telling(Topic.COMMUNICATION, said, COMMUNICATIONS[event.name])


def _steps(events: Iterable[Happening], before: Iterable[Happening]) -> Iterator[tuple[int, str]]:
    """The Tasks whose status is another, or that are new."""
    known = {task.number: task.status for task in tasks_of(before)}
    for task in tasks_of(events):
        if known.get(task.number) is not task.status:
            yield task.number, task.status.value


def takes(filters: Iterable[str], value: str) -> bool:
    """Whether all filters let it pass: each is a parameter with its values, any of which is meant (`status=failed,rejected`)."""
    return all(value in one.partition("=")[2].split(",") for one in filters)
