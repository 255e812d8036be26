"""Questions about a report. Source: docs/requirements.md, « ask_follow_up », « answer_follow_up », « follow_up »."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain import commands as c
from domain.offerings import DEFAULT_DEADLINES, DeadlineName
from domain.refusals import RefusalCode
from domain.requests import Actor, EventName, FollowUp, Holder, Request, Status
from tests.unit.domain.scenes import (
    COLLEAGUE,
    OPERATOR,
    PROVIDER,
    REQUESTER,
    SCENES,
    STRANGER,
    Story,
    answer,
    command_id,
    named,
    reported,
    toronto,
)

closed = SCENES["closed"]


@pytest.mark.parametrize("begin", [reported, closed])
def test_a_question_changes_neither_status_nor_holder_nor_report(begin: Callable[[], Story]) -> None:
    story = begin()
    before = story.request
    id_ = story.ask_about_the_report()
    after = story.request
    assert (after.status, after.holder, after.documents) == (before.status, before.holder, before.documents)
    assert after.follow_ups == (FollowUp(id=id_, asked_at=story.now),)
    assert (after.is_over, after.needs_workflow) == (False, True)
    story.answer_follow_up()
    assert story.request.open_follow_up is None
    assert story.request.deadlines == before.deadlines
    assert (story.request.is_over, story.request.needs_workflow) == (before.is_over, before.needs_workflow)


def test_its_clock_has_three_business_days_and_calls_daily() -> None:
    story = closed().at(toronto("2026-02-05 09:00"))  # a Thursday
    story.ask_about_the_report()
    assert story.request.due_at == toronto("2026-02-10 09:00")
    assert story.calls(4) == [
        (toronto("2026-02-06 21:00"), EventName.FOLLOW_UP_REMINDER),
        (toronto("2026-02-10 09:00"), EventName.FOLLOW_UP_OVERDUE),
        (toronto("2026-02-11 09:00"), EventName.FOLLOW_UP_OVERDUE),
        (toronto("2026-02-12 09:00"), EventName.FOLLOW_UP_OVERDUE),
    ]
    assert story.request.overdue == (DeadlineName.FOLLOW_UP,)
    story.answer_follow_up()
    assert not story.request.overdue
    assert not story.request.deadlines
    assert story.request.due_at is None


def test_a_question_outlives_the_acknowledgement_and_the_end_of_its_time() -> None:
    story = reported()
    story.ask_about_the_report()
    clock = story.request.deadline(DeadlineName.FOLLOW_UP)
    story.acknowledge()
    assert (story.request.status, story.request.deadlines) == (Status.CLOSED, (clock,))
    assert story.request.holder == Holder.nobody()

    story = reported().at(toronto("2026-03-03 09:00"))
    story.ask_about_the_report()
    story.at(toronto("2026-03-10 09:00")).clock_calls(DeadlineName.FOLLOW_UP)
    story.clock_calls(DeadlineName.ACKNOWLEDGEMENT, actor=OPERATOR)
    assert (story.request.status, story.request.unacknowledged) == (Status.CLOSED, True)
    assert story.request.overdue == (DeadlineName.FOLLOW_UP,)
    story.answer_follow_up()
    assert not story.request.overdue
    assert story.request.is_over


def test_two_questions_one_after_the_other() -> None:
    story = reported()
    story.ask_about_the_report()
    assert refused(story, ask()) is RefusalCode.FOLLOW_UP_OPEN
    story.answer_follow_up()
    story.ask_about_the_report()
    story.answer_follow_up()
    assert refused(story, ask()) is RefusalCode.TOO_MANY_FOLLOW_UPS


@pytest.mark.parametrize(("after", "is_late"), [(timedelta(days=30), False), (timedelta(days=30, seconds=1), True)])
def test_a_report_can_be_asked_about_for_thirty_days(after: timedelta, is_late: bool) -> None:
    story = closed()
    final = story.request.final_report
    assert final is not None
    answered = answer(story.request, ask(), final.signed_at + after)
    assert (answered is RefusalCode.TOO_LATE_TO_ASK) == is_late


def test_a_colleague_answers_only_while_the_signer_is_away() -> None:
    story = closed()
    story.ask_about_the_report()
    assert refused(story, reply(COLLEAGUE)) is RefusalCode.SIGNER_IS_THERE
    assert refused(story, reply(STRANGER, signer_away=True)) is RefusalCode.NOT_THE_SIGNER
    story.answer_follow_up(COLLEAGUE, signer_away=True)
    assert refused(story, reply(PROVIDER)) is RefusalCode.NO_OPEN_FOLLOW_UP


@pytest.mark.parametrize("begin", [reported, closed])
def test_an_addendum_that_names_the_question_answers_it_when_its_document_is_there(begin: Callable[[], Story]) -> None:
    story = begin()
    asked = story.ask_about_the_report()
    story.add_addendum(follow_up_id=asked)
    assert refused(story, reply(PROVIDER)) is RefusalCode.REPORT_BEING_SIGNED
    assert story.request.open_follow_up is not None
    story.fail_signing()
    assert story.request.open_follow_up is not None
    story.add_addendum(report="second try", follow_up_id=asked)
    story.issue()
    assert [one.answered_at for one in story.request.follow_ups] == [story.now]
    assert story.request.deadline(DeadlineName.FOLLOW_UP) is None


def test_an_addendum_that_names_none_answers_none_and_one_that_is_not_open_can_not_be_named() -> None:
    story = closed()
    story.ask_about_the_report()
    story.add_addendum()
    story.issue()
    assert story.request.open_follow_up is not None
    addendum = c.AddAddendum(
        id=command_id(),
        actor=PROVIDER,
        report_id=named("new"),
        content_sha256="0" * 64,
        follow_up_id=named("no such question"),
    )
    assert refused(story, addendum) is RefusalCode.NO_OPEN_FOLLOW_UP


def test_terms_of_an_older_offering_have_the_clock_as_well() -> None:
    story = reported()
    older = {name: terms for name, terms in DEFAULT_DEADLINES.items() if name is not DeadlineName.FOLLOW_UP}
    terms = story.request.terms.model_copy(update={"deadlines": older})
    story.request = story.request.model_copy(update={"terms": terms})
    story.ask_about_the_report()
    story.renew(move_clocks=True)
    assert story.request.deadline(DeadlineName.FOLLOW_UP) is not None


def test_nothing_is_written_of_it_while_nobody_has_asked() -> None:
    """So that code that does not know it reads the state."""
    assert "follow_ups" not in reported().request.model_dump()
    story = reported()
    story.add_addendum()
    assert story.request.signing is not None
    assert "follow_up_id" not in story.request.signing.model_dump()
    assert "follow_up_id" not in story.events[-1].command.model_dump()
    story.issue()
    story.ask_about_the_report()
    assert Request.model_validate_json(story.request.model_dump_json()) == story.request


def ask() -> c.AskFollowUp:
    return c.AskFollowUp(id=command_id(), actor=REQUESTER, text="How often?")


def reply(actor: Actor, *, signer_away: bool = False) -> c.AnswerFollowUp:
    return c.AnswerFollowUp(id=command_id(), actor=actor, text="Twice a day.", signer_away=signer_away)


def refused(story: Story, command: c.AnyCommand) -> RefusalCode:
    answered = answer(story.request, command, story.now)
    assert isinstance(answered, RefusalCode)
    return answered


def test_what_is_taken_back_is_gone_unless_its_answer_is_being_signed() -> None:
    story = closed()
    for _ in range(3):
        story.ask_about_the_report()
        story.withdraw_follow_up()
        assert (story.request.follow_ups, story.request.deadlines) == ((), ())
        assert story.request.is_over
    asked = story.ask_about_the_report()
    story.add_addendum(follow_up_id=asked)
    withdraw = c.WithdrawFollowUp(id=command_id(), actor=REQUESTER)
    assert refused(story, withdraw) is RefusalCode.REPORT_BEING_SIGNED
    story.issue()
    assert refused(story, withdraw) is RefusalCode.NO_OPEN_FOLLOW_UP


def test_an_overdue_question_that_is_taken_back_is_late_no_more() -> None:
    story = closed().at(toronto("2026-02-05 09:00"))
    story.ask_about_the_report()
    story.calls(2)
    assert story.request.overdue == (DeadlineName.FOLLOW_UP,)
    story.withdraw_follow_up()
    assert not story.request.overdue
    assert story.request.due_at is None
