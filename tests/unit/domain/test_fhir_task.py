"""The request as FHIR sees it: one Task after the other, each with steps that FHIR R4 knows."""

from collections.abc import Callable

import pytest

from domain.fhir_task import LEGAL_STEPS, FhirTask, TaskStatus
from tests.unit.domain.oracle import FHIR_STEPS
from tests.unit.domain.scenes import COLLEAGUE, MONDAY, Story, assigned, draft, reported


@pytest.mark.parametrize("status", TaskStatus)
def test_relais_takes_only_steps_that_fhir_knows(status: TaskStatus) -> None:
    assert {step.value for step in LEGAL_STEPS[status]} <= FHIR_STEPS.get(status, set())


def test_an_illegal_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="from draft to completed"):
        FhirTask().then(TaskStatus.COMPLETED)
    with pytest.raises(ValueError, match="from received to requested"):
        FhirTask().then(TaskStatus.REQUESTED, TaskStatus.RECEIVED, TaskStatus.REQUESTED)


def test_a_new_task_begins_only_when_the_one_before_it_has_ended() -> None:
    with pytest.raises(ValueError, match="has ended"):
        FhirTask(status=TaskStatus.ACCEPTED).next_task(TaskStatus.REQUESTED)
    after = FhirTask(number=4, status=TaskStatus.REJECTED).next_task(TaskStatus.REQUESTED)
    assert after == FhirTask(number=5, status=TaskStatus.REQUESTED)


def test_every_dispatch_is_a_task_of_its_own() -> None:
    story = Story(draft(), MONDAY)
    seen = []

    def see() -> None:
        seen.append((story.request.task.number, story.request.task.status.value))

    steps: list[Callable[[], object]] = [
        story.submit,
        story.assign,
        story.accept,
        story.ask,
        lambda: story.transfer(COLLEAGUE),
        lambda: story.accept(COLLEAGUE),
        lambda: story.return_to_dispatch(COLLEAGUE),
        story.assign,
        story.return_to_requester,
        story.resubmit,
        story.cancel,
    ]
    for step in steps:
        step()
        see()
    assert seen == [
        (1, "requested"),
        (1, "received"),
        (1, "accepted"),
        (1, "accepted"),
        (2, "received"),
        (2, "accepted"),
        (3, "requested"),
        (3, "received"),
        (3, "rejected"),
        (4, "received"),
        (4, "cancelled"),
    ]


def test_a_time_out_begins_a_new_task_and_a_report_completes_one() -> None:
    story = assigned()
    story.calls(2)
    assert story.request.task == FhirTask(number=2, status=TaskStatus.REQUESTED)
    assert reported().request.task == FhirTask(number=1, status=TaskStatus.COMPLETED)
