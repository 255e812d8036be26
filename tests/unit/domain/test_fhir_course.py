"""The Tasks that FHIR's readers are told of, each with what becomes of it in more words."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from domain.fhir_course import BusinessStatus, Facts, business_status, tasks_of
from domain.fhir_task import TaskStatus
from domain.offerings import FieldKind, FormField, Localized, Option
from domain.priority import Priority
from domain.requests import DocumentKind, EventName, Status
from domain.visits import needs_visit
from tests.unit.domain.oracle import FHIR_STEPS
from tests.unit.domain.scenes import MONDAY, Story, accepted, assigned, draft, reported, returned, submitted


def told(story: Story) -> list[str]:
    return [f"{task.number} {task.status}" for task in tasks_of(story.events)]


def in_words(story: Story, **facts: object) -> list[BusinessStatus]:
    tasks = tasks_of(story.events)
    known = Facts(status=story.request.status, waits_for_answer=bool(story.request.questions), **facts)  # type: ignore[arg-type]
    return [business_status(task, is_last=task is tasks[-1], facts=known) for task in tasks]


def test_a_draft_is_nobody_elses_business() -> None:
    assert tasks_of(Story(draft(), MONDAY).events) == ()


def test_a_provider_is_in_progress_from_the_first_thing_on_record() -> None:
    story = accepted()
    assert (told(story), in_words(story)) == (["1 accepted"], [BusinessStatus.ACCEPTED])
    question = story.ask()
    assert (told(story), in_words(story)) == (["1 in-progress"], [BusinessStatus.AWAITING_INFORMATION])
    story.answer(question)
    assert (told(story), in_words(story)) == (["1 in-progress"], [BusinessStatus.IN_PROGRESS])
    early = assigned()
    early.ask()  # before it is accepted, nothing has begun
    assert (told(early), in_words(early)) == (["1 received"], [BusinessStatus.AWAITING_INFORMATION])


def preliminary() -> Story:
    story = accepted()
    story.sign(DocumentKind.PRELIMINARY)
    story.issue()
    return story


def just_accepted() -> Story:
    story = assigned()
    story.renew()
    story.accept()
    return story


@pytest.mark.parametrize(
    ("begin", "then", "expected"),
    [
        (assigned, Story.cancel, ["1 cancelled"]),
        (accepted, Story.cancel, ["1 cancelled"]),
        (preliminary, Story.cancel, ["1 failed"]),
        (accepted, Story.transfer, ["1 cancelled", "2 received"]),
        (preliminary, Story.transfer, ["1 failed", "2 received"]),
        (preliminary, Story.return_to_dispatch, ["1 failed", "2 requested"]),
        (assigned, Story.return_to_dispatch, ["1 rejected", "2 requested"]),
        (accepted, Story.return_to_dispatch, ["1 cancelled", "2 requested"]),
        (returned, Story.cancel, ["1 rejected"]),
        (returned, Story.resubmit, ["1 rejected", "2 received"]),
        (assigned, lambda story: story.reassign("dispatch"), ["1 cancelled", "2 requested"]),
        (just_accepted, Story.take_back, ["1 cancelled", "2 received"]),
        (reported, Story.acknowledge, ["1 completed"]),
    ],
)
def test_what_ends_early_fails_only_where_work_had_begun(
    begin: Callable[[], Story], then: Callable[[Story], object], expected: list[str]
) -> None:
    story = begin()
    then(story)
    assert told(story) == expected


def test_no_reader_of_r4s_machine_sees_a_step_that_it_does_not_have() -> None:
    """Whenever somebody looks: after each event of stories that go through every status."""
    seen: set[tuple[str, str]] = set()
    for story in (preliminary(), reported(), returned(), accepted()):
        if story.request.status is Status.ACCEPTED:
            story.cancel()
        lives: dict[int, list[TaskStatus]] = {}
        for end in range(1, len(story.events) + 1):
            for task in tasks_of(story.events[:end]):
                lives.setdefault(task.number, [TaskStatus.REQUESTED]).append(task.status)
        seen |= {(a.value, b.value) for life in lives.values() for a, b in pairwise(life) if a != b}
    skips_accepted = {("accepted", "completed")}  # two steps in one event
    assert seen <= {(a, b) for a, steps in FHIR_STEPS.items() for b in steps} | skips_accepted
    assert ("in-progress", "failed") in seen


def test_the_business_status_says_the_rest() -> None:
    story = Story(draft(), MONDAY)
    story.submit()
    assert in_words(story) == [BusinessStatus.AWAITING_DISPATCH]
    story.assign()
    assert in_words(story) == [BusinessStatus.ASSIGNED]
    story.return_to_requester()
    assert in_words(story) == [BusinessStatus.RETURNED_INCOMPLETE]
    assert in_words(story, not_eligible=True) == [BusinessStatus.RETURNED_NON_ADMISSIBLE]
    story.resubmit()
    assert in_words(story) == [BusinessStatus.RETURNED_INCOMPLETE, BusinessStatus.ASSIGNED]
    story.transfer()
    assert in_words(story)[1] is BusinessStatus.HANDED_ON
    story.cancel()
    assert in_words(story)[-1] is BusinessStatus.CANCELLED_BY_REQUESTER
    assert in_words(story, by_requester=False)[-1] is BusinessStatus.CANCELLED
    expired = assigned()
    expired.calls(2)
    assert in_words(expired) == [BusinessStatus.ACCEPTANCE_EXPIRED, BusinessStatus.AWAITING_DISPATCH]
    for seen, expected in (
        (True, BusinessStatus.PATIENT_NEEDS_TO_BE_SEEN),
        (False, BusinessStatus.COMPLETED_WITH_ADVICE),
        (None, BusinessStatus.COMPLETED_WITH_ADVICE),
    ):
        assert in_words(reported(), needs_visit=seen) == [expected]


def test_a_report_says_whether_the_patient_must_be_seen() -> None:
    label = Localized(fr="Urgence", en="Urgency")
    options = tuple(Option(value=value, label=label) for value in ("no-visit", "visit-routine", "emergency"))
    asked = FormField(name="urgency_reassessment", label=label, kind=FieldKind.CHOICE, options=options)
    said = [needs_visit([asked], answers) for answers in ({}, *({asked.name: option.value} for option in options))]
    assert said == [None, False, True, True]
    other = asked.model_copy(update={"options": options[1:]})
    assert needs_visit([other], {asked.name: "visit-routine"}) is None  # it has another meaning there
    assert needs_visit([], {asked.name: "emergency"}) is None


def test_a_task_knows_when_it_began_and_when_it_last_took_a_step() -> None:
    story = submitted()
    begun = story.events[0]
    story.at(MONDAY + timedelta(hours=1)).assign()
    story.at(MONDAY + timedelta(hours=2)).accept()
    accepted_ = story.events[-1]
    story.at(MONDAY + timedelta(hours=3)).change_priority(Priority.URGENT)  # no step of the Task
    [task] = tasks_of(story.events)
    assert (task.began, task.began_at) == (begun.version, begun.at)
    assert (task.version, task.at, task.because) == (accepted_.version, accepted_.at, EventName.ACCEPTED)
    transferred = story.at(MONDAY + timedelta(hours=4)).transfer()
    ended, following = tasks_of(story.events)
    assert (ended.began, ended.version, ended.at) == (begun.version, transferred.version, transferred.at)
    assert (following.began, following.began_at) == (transferred.version, transferred.at)
    assert (following.version, following.at) == (transferred.version, transferred.at)
    assert ended.because is following.because is EventName.TRANSFERRED
