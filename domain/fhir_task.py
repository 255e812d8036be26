"""The request as the outside sees it through FHIR: a sequence of Tasks, each with a legal sequence of statuses.

A FHIR Task never goes back, and a request may. So every dispatch begins a new Task, and the one before it ends: rejected,
cancelled, or failed once the work had begun. The legal moves are those of the state machine of FHIR R4's Task
(https://hl7.org/fhir/R4/task.html#statemachine). What the state of a request keeps of this is coarser than what is served
(`domain.fhir_course`): it knows neither `in-progress` for longer than a moment nor `failed`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictInt

from domain.model import Frozen


class TaskStatus(StrEnum):
    """The codes of FHIR's task-status that Relais uses. Not `on-hold`: whoever waits for an answer has not stopped, and others
    show it as one who has; what is waited for, the business status says.
    """

    DRAFT = "draft"
    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class FhirTask(Frozen):
    """One Task: the `number`-th of its request (from 1), and its status."""

    number: Annotated[StrictInt, Field(ge=1)] = 1
    status: TaskStatus = TaskStatus.DRAFT

    def then(self, *statuses: TaskStatus) -> "FhirTask":
        """The same Task after those statuses, one after the other; ValueError when FHIR has no such step."""
        task = self
        for status in statuses:
            if status not in LEGAL_STEPS[task.status]:
                raise ValueError(f"FHIR knows no step of a Task from {task.status} to {status}")
            task = FhirTask(number=task.number, status=status)
        return task

    def next_task(self, *statuses: TaskStatus) -> "FhirTask":
        """A new Task of the same request, after those statuses. The one before it must have ended; ValueError otherwise."""
        if LEGAL_STEPS[self.status]:
            raise ValueError("a new Task begins only when the one before it has ended")
        return FhirTask(number=self.number + 1).then(*statuses)


LEGAL_STEPS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.DRAFT: frozenset({TaskStatus.REQUESTED, TaskStatus.CANCELLED}),
    TaskStatus.REQUESTED: frozenset(
        {TaskStatus.RECEIVED, TaskStatus.ACCEPTED, TaskStatus.REJECTED, TaskStatus.CANCELLED}
    ),
    TaskStatus.RECEIVED: frozenset({TaskStatus.ACCEPTED, TaskStatus.REJECTED, TaskStatus.CANCELLED}),
    TaskStatus.ACCEPTED: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.CANCELLED}),
    TaskStatus.IN_PROGRESS: frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.REJECTED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}
