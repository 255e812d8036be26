"""The Tasks of a request as FHIR's readers are told of them, from what happened to it: one for each time it was given away.

What stands in the state of a request (`Request.task`) is the last of them, and coarser. A Task is `in-progress` here from the
first thing that the provider says on record after accepting, a question or a preliminary report; a draft of the report is
nobody else's business yet. What ends early from there has `failed`, for R4 lets a Task that is in progress complete, fail or
wait, and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.fhir_task import LEGAL_STEPS, FhirTask, TaskStatus
from domain.requests import EventName, Status


class Happening(Protocol):
    """What of an event counts here: `domain.events.Event`, or its row in the records."""

    @property
    def name(self) -> EventName: ...
    @property
    def version(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def status_before(self) -> Status: ...
    @property
    def status(self) -> Status: ...


@dataclass(frozen=True)
class CourseTask:
    """One Task: its number and status, and the events with which it began and last took a step.

    `version` and `at` are those of the last step, `because` its name.
    """

    task: FhirTask
    began: int
    began_at: datetime
    version: int
    at: datetime
    because: EventName

    @property
    def number(self) -> int:
        """Which of the request's Tasks it is, from 1."""
        return self.task.number

    @property
    def status(self) -> TaskStatus:
        """Its status now."""
        return self.task.status

    @property
    def has_ended(self) -> bool:
        """Whether it takes no step any more."""
        return not LEGAL_STEPS[self.status]

    def after(self, event: Happening, *statuses: TaskStatus) -> "CourseTask":
        """The same after those steps, with that event."""
        moved = self.task.then(*statuses)
        return replace(self, task=moved, version=event.version, at=event.at, because=event.name)


_BEGINS_ANEW = frozenset(
    {
        EventName.ASSIGNED,
        EventName.REASSIGNED,
        EventName.TAKEN_BACK,
        EventName.TRANSFERRED,
        EventName.RETURNED_TO_DISPATCH,
        EventName.RESUBMITTED,
        EventName.ACCEPTANCE_EXPIRED,
    }
)
"""With which a request goes to somebody else, or back into dispatch. A first assignment is a step of the Task that waits."""

_STARTS = frozenset({EventName.INFORMATION_REQUESTED, EventName.PRELIMINARY_REPORT_ISSUED})
"""With which a provider who has accepted begins to answer."""


def tasks_of(events: Iterable[Happening]) -> tuple[CourseTask, ...]:
    """The Tasks of a request with these events, oldest first; none of a draft."""
    tasks: list[CourseTask] = []
    for event in events:
        if event.name is EventName.SUBMITTED or _begins_anew(event):
            if tasks and not tasks[-1].has_ended:
                tasks[-1] = _ended(tasks[-1], event)
            tasks.append(_begun(len(tasks) + 1, event))
        elif tasks and not tasks[-1].has_ended:
            tasks[-1] = _gone_on(tasks[-1], event)
    return tuple(tasks)


def _begins_anew(event: Happening) -> bool:
    first_assignment = event.name is EventName.ASSIGNED and event.status_before is Status.AWAITING_DISPATCH
    return event.name in _BEGINS_ANEW and not first_assignment


def _begun(number: int, event: Happening) -> CourseTask:
    task = FhirTask(number=number).then(TaskStatus.REQUESTED)
    if event.status is Status.AWAITING_ACCEPTANCE:
        task = task.then(TaskStatus.RECEIVED)
    return CourseTask(task, event.version, event.at, event.version, event.at, event.name)


def _gone_on(task: CourseTask, event: Happening) -> CourseTask:
    match event.name:
        case EventName.ASSIGNED:
            return task.after(event, TaskStatus.RECEIVED)
        case EventName.ACCEPTED:
            return task.after(event, TaskStatus.ACCEPTED)
        case EventName.FINAL_REPORT_ISSUED:
            work = () if task.status is TaskStatus.IN_PROGRESS else (TaskStatus.IN_PROGRESS,)
            return task.after(event, *work, TaskStatus.COMPLETED)
        case EventName.RETURNED_TO_REQUESTER | EventName.CANCELLED:
            return _ended(task, event)
    if event.name in _STARTS and task.status is TaskStatus.ACCEPTED:
        return task.after(event, TaskStatus.IN_PROGRESS)
    return task


def _ended(task: CourseTask, event: Happening) -> CourseTask:
    """Given back by who had not accepted it yet, it is rejected; otherwise cancelled, or failed once the work had begun."""
    if task.status is TaskStatus.IN_PROGRESS:
        return task.after(event, TaskStatus.FAILED)
    refuses = event.name is EventName.RETURNED_TO_REQUESTER or (
        event.name is EventName.RETURNED_TO_DISPATCH and event.status_before is Status.AWAITING_ACCEPTANCE
    )
    return task.after(event, TaskStatus.REJECTED if refuses else TaskStatus.CANCELLED)


def open_questions(events: Iterable[Happening]) -> int:
    """How many questions to the requester are open after these events; when a request leaves the providers, none are."""
    count = 0
    for event in events:
        if event.name is EventName.INFORMATION_REQUESTED:
            count += 1
        elif event.name in _CLOSES_A_QUESTION:
            count -= 1
        elif not event.status.is_before_report:
            count = 0
    return count


_CLOSES_A_QUESTION = frozenset({EventName.INFORMATION_ANSWERED, EventName.INFORMATION_REQUEST_WITHDRAWN})


class BusinessStatus(StrEnum):
    """What a Task's status does not say, in the words of CA:eReC's partners; the last five are ours."""

    AWAITING_DISPATCH = "awaiting-dispatch"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    AWAITING_INFORMATION = "awaiting-information"
    RETURNED_INCOMPLETE = "returned-incomplete"
    RETURNED_NON_ADMISSIBLE = "returned-non-admissible"
    COMPLETED_WITH_ADVICE = "completed-with-advice"
    PATIENT_NEEDS_TO_BE_SEEN = "patient-needs-to-be-seen"
    CANCELLED_BY_REQUESTER = "cancelled-by-requester"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    HANDED_ON = "handed-on"
    RETURNED_TO_DISPATCH = "returned-to-dispatch"
    ACCEPTANCE_EXPIRED = "acceptance-expired"
    TAKEN_BACK = "taken-back"


_GIVEN_UP = {
    EventName.RETURNED_TO_DISPATCH: BusinessStatus.RETURNED_TO_DISPATCH,
    EventName.ACCEPTANCE_EXPIRED: BusinessStatus.ACCEPTANCE_EXPIRED,
    EventName.TAKEN_BACK: BusinessStatus.TAKEN_BACK,
}
"""Why a Task ended in whose place another one came; all else was handed on."""


@dataclass(frozen=True)
class Facts:
    """What the business status of a Task depends on besides its steps. `needs_visit`: by the final report, None where it does
    not say so. `not_eligible`: why it was returned, with this Task. `by_requester`: who cancelled it.
    """

    status: Status
    waits_for_answer: bool = False
    needs_visit: bool | None = None
    not_eligible: bool = False
    by_requester: bool = True


def business_status(task: CourseTask, *, is_last: bool, facts: Facts) -> BusinessStatus:
    """What becomes of a Task, in more words than its status has; `is_last` of the request's Tasks."""
    if is_last and facts.status is Status.ABANDONED:
        return BusinessStatus.ABANDONED
    if is_last and facts.status is Status.CANCELLED:
        return BusinessStatus.CANCELLED_BY_REQUESTER if facts.by_requester else BusinessStatus.CANCELLED
    if task.because is EventName.RETURNED_TO_REQUESTER:
        return BusinessStatus.RETURNED_NON_ADMISSIBLE if facts.not_eligible else BusinessStatus.RETURNED_INCOMPLETE
    if task.status is TaskStatus.COMPLETED:
        seen = facts.needs_visit
        return BusinessStatus.PATIENT_NEEDS_TO_BE_SEEN if seen else BusinessStatus.COMPLETED_WITH_ADVICE
    if task.has_ended:
        return _GIVEN_UP.get(task.because, BusinessStatus.HANDED_ON)
    if facts.waits_for_answer:
        return BusinessStatus.AWAITING_INFORMATION
    return _UNDER_WAY[task.status]


_UNDER_WAY = {
    TaskStatus.REQUESTED: BusinessStatus.AWAITING_DISPATCH,
    TaskStatus.RECEIVED: BusinessStatus.ASSIGNED,
    TaskStatus.ACCEPTED: BusinessStatus.ACCEPTED,
    TaskStatus.IN_PROGRESS: BusinessStatus.IN_PROGRESS,
}
