"""What goes along when a request is handed on, and what a change of its priority leaves alone."""

from datetime import timedelta

import pytest

from domain import commands as c
from domain.fhir_task import TaskStatus
from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.refusals import RefusalCode
from domain.requests import Status
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DERMATOLOGY,
    MONDAY,
    PROVIDER,
    REQUESTER,
    accepted,
    answer,
    assigned,
    command_id,
    named,
    newer,
    reported,
)

SOON = MONDAY + timedelta(hours=1)


@pytest.mark.parametrize("to", [COLLEAGUE, c.Pool(clinic_id=DERMATOLOGY), "dispatch"])
def test_the_report_that_was_promised_stays_promised(to: object) -> None:
    story = newer(accepted)
    promised = story.request.deadline(DeadlineName.REPORT)
    assert promised is not None
    story.reassign(to)
    assert story.request.deadline(DeadlineName.REPORT) == promised


def test_who_gets_it_before_anybody_accepted_has_a_task_of_their_own() -> None:
    story = assigned()
    before = story.request
    story.at(SOON).reassign(COLLEAGUE)
    assert story.request.status is Status.AWAITING_ACCEPTANCE
    assert story.request.own_deadline == before.own_deadline
    assert (story.request.task.number, story.request.task.status) == (before.task.number + 1, TaskStatus.RECEIVED)


@pytest.mark.parametrize("is_asked", [False, True])
def test_another_priority_promises_the_report_anew_while_nobody_asks(is_asked: bool) -> None:
    story = newer(accepted)
    if is_asked:
        story.ask()
    story.reassign(COLLEAGUE)
    story.at(story.now + timedelta(hours=1)).change_priority(Priority.URGENT)
    clock = story.request.deadline(DeadlineName.REPORT)
    assert clock is not None
    assert (clock.running_since is None) is is_asked


def test_a_priority_that_was_looked_at_is_no_worsening_any_more() -> None:
    story = accepted()
    story.take(c.AddInformation(id=command_id(), actor=REQUESTER, text="It bleeds.", worse=True))
    assert story.request.worsened is True
    story.change_priority(Priority.URGENT)
    assert story.request.worsened is False


def test_another_question_about_the_report_than_the_open_one_is_not_answered() -> None:
    story = reported()
    first = story.ask_about_the_report()
    story.answer_follow_up()
    asked = story.ask_about_the_report()
    at_first = story.request.follow_ups[0].answered_at
    for name in (first, named("nobody's question")):
        for command in (
            c.AnswerFollowUp(id=command_id(), actor=PROVIDER, text="Twice a day.", follow_up_id=name),
            c.WithdrawFollowUp(id=command_id(), actor=REQUESTER, follow_up_id=name),
        ):
            assert answer(story.request, command, story.now) is RefusalCode.NO_OPEN_FOLLOW_UP
    story.at(SOON).answer_follow_up()
    assert [(one.id, one.answered_at) for one in story.request.follow_ups] == [(first, at_first), (asked, SOON)]
