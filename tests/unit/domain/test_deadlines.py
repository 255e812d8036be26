"""Every deadline of docs/requirements.md by priority: when its clock calls, what then happens, and when it stands still."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from domain import commands as c
from domain.calendar import Span
from domain.lifecycle import rebuild
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority
from domain.refusals import RefusalCode
from domain.requests import SYSTEM, Actor, EventName, Holder, Source, Status
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DERMATOLOGY,
    DISPATCHER,
    MONDAY,
    OPERATOR,
    PROVIDER,
    SCENES,
    Story,
    accepted,
    answer,
    assigned,
    command_id,
    draft,
    named,
    reported,
    returned,
    submitted,
    toronto,
    who,
)

ASAP, URGENT, ROUTINE = Priority.ASAP, Priority.URGENT, Priority.ROUTINE
E = EventName


def asked(priority: Priority, at: datetime = MONDAY) -> Story:
    story = accepted(priority, at)
    story.ask()
    return story


def with_requester(priority: Priority, at: datetime = MONDAY) -> Story:
    story = assigned(priority, at)
    story.return_to_requester()
    return story


def with_report(priority: Priority, at: datetime = MONDAY) -> Story:
    story = accepted(priority, at)
    story.sign()
    story.issue()
    return story


# Each begins on Monday 2 February 2026 at 9:00. Times are those of Toronto.
CALLS: dict[str, tuple[Any, Priority, list[tuple[str, EventName]], Status]] = {
    "dispatch, asap": (
        submitted,
        ASAP,
        [("02-02 11:00", E.DISPATCH_OVERDUE), ("02-03 11:00", E.DISPATCH_OVERDUE), ("02-04 11:00", E.DISPATCH_OVERDUE)],
        Status.AWAITING_DISPATCH,
    ),
    "dispatch, urgent": (
        submitted,
        URGENT,
        [("02-02 13:00", E.DISPATCH_OVERDUE), ("02-03 13:00", E.DISPATCH_OVERDUE)],
        Status.AWAITING_DISPATCH,
    ),
    "dispatch, routine: on business days only": (
        submitted,
        ROUTINE,
        [
            ("02-03 09:00", E.DISPATCH_OVERDUE),
            ("02-04 09:00", E.DISPATCH_OVERDUE),
            ("02-05 09:00", E.DISPATCH_OVERDUE),
            ("02-06 09:00", E.DISPATCH_OVERDUE),
            ("02-09 09:00", E.DISPATCH_OVERDUE),
        ],
        Status.AWAITING_DISPATCH,
    ),
    "acceptance, asap": (
        assigned,
        ASAP,
        [("02-02 11:00", E.ACCEPTANCE_REMINDER), ("02-02 13:00", E.ACCEPTANCE_EXPIRED)],
        Status.AWAITING_DISPATCH,
    ),
    "acceptance, urgent": (
        assigned,
        URGENT,
        [("02-02 21:00", E.ACCEPTANCE_REMINDER), ("02-03 09:00", E.ACCEPTANCE_EXPIRED)],
        Status.AWAITING_DISPATCH,
    ),
    "acceptance, routine, and the dispatch after it": (
        assigned,
        ROUTINE,
        [
            ("02-03 21:00", E.ACCEPTANCE_REMINDER),
            ("02-05 09:00", E.ACCEPTANCE_EXPIRED),
            ("02-06 09:00", E.DISPATCH_OVERDUE),
        ],
        Status.AWAITING_DISPATCH,
    ),
    "report, asap": (
        accepted,
        ASAP,
        [("02-03 03:00", E.REPORT_REMINDER), ("02-03 09:00", E.REPORT_OVERDUE), ("02-04 09:00", E.REPORT_OVERDUE)],
        Status.ACCEPTED,
    ),
    "report, urgent": (
        accepted,
        URGENT,
        [("02-04 15:00", E.REPORT_REMINDER), ("02-05 09:00", E.REPORT_OVERDUE), ("02-06 09:00", E.REPORT_OVERDUE)],
        Status.ACCEPTED,
    ),
    "report, routine": (
        accepted,
        ROUTINE,
        [
            ("02-09 15:00", E.REPORT_REMINDER),
            ("02-11 09:00", E.REPORT_OVERDUE),
            ("02-12 09:00", E.REPORT_OVERDUE),
            ("02-13 09:00", E.REPORT_OVERDUE),
            ("02-16 09:00", E.REPORT_OVERDUE),
        ],
        Status.ACCEPTED,
    ),
    "information, asap": (
        asked,
        ASAP,
        [("02-03 09:00", E.INFORMATION_REMINDER), ("02-04 09:00", E.INFORMATION_EXPIRED)],
        Status.ACCEPTED,
    ),
    "information, urgent": (
        asked,
        URGENT,
        [("02-03 21:00", E.INFORMATION_REMINDER), ("02-05 09:00", E.INFORMATION_EXPIRED)],
        Status.ACCEPTED,
    ),
    "information, routine: the question stays open, and the call comes again": (
        asked,
        ROUTINE,
        [
            ("02-05 21:00", E.INFORMATION_REMINDER),
            ("02-09 09:00", E.INFORMATION_EXPIRED),
            ("02-16 09:00", E.INFORMATION_EXPIRED),
        ],
        Status.ACCEPTED,
    ),
} | {
    f"{name}, {priority}": (begin, priority, calls, status)
    for priority in (ASAP, URGENT, ROUTINE)
    for name, begin, calls, status in [
        (
            "resubmission",
            with_requester,
            [
                ("02-09 09:00", E.RESUBMISSION_REMINDER),
                ("02-16 09:00", E.RESUBMISSION_REMINDER),
                ("03-04 09:00", E.ABANDONED),
            ],
            Status.ABANDONED,
        ),
        (
            "acknowledgement",
            with_report,
            [
                ("02-05 09:00", E.ACKNOWLEDGEMENT_REMINDER),
                ("02-09 09:00", E.ACKNOWLEDGEMENT_REMINDER),
                ("02-16 09:00", E.ACKNOWLEDGEMENT_REMINDER),
                ("03-04 09:00", E.CLOSED_UNACKNOWLEDGED),
            ],
            Status.CLOSED,
        ),
    ]
}


@pytest.mark.parametrize(("begin", "priority", "calls", "status"), CALLS.values(), ids=CALLS.keys())
def test_when_the_clock_calls(
    begin: Any, priority: Priority, calls: list[tuple[str, EventName]], status: Status
) -> None:
    story = begin(priority)
    assert story.calls(len(calls)) == [(toronto(f"2026-{moment}"), event) for moment, event in calls]
    assert story.request.status is status


def test_what_is_overdue_is_marked_until_somebody_acts() -> None:
    def marks() -> list[DeadlineName]:
        return list(story.request.overdue)

    story = submitted(URGENT)
    assert marks() == []
    story.calls(3)
    assert marks() == [DeadlineName.DISPATCH]
    story.assign()
    assert marks() == []
    story.accept()
    story.calls(2)
    assert marks() == [DeadlineName.REPORT]
    question = story.ask()
    story.calls(2)
    assert marks() == [DeadlineName.REPORT, DeadlineName.INFORMATION]
    story.answer(question)
    assert marks() == [DeadlineName.REPORT]
    story.sign()
    story.issue()
    assert marks() == []


def test_a_late_question_stays_marked_when_the_request_moves_on() -> None:
    story = asked(URGENT)
    story.calls(2)
    story.transfer()
    assert story.request.overdue == (DeadlineName.INFORMATION,)


def test_the_mark_of_a_late_question_goes_with_the_last_late_one() -> None:
    story = accepted(ASAP)
    late = story.ask()
    story.calls(2)
    fresh = story.ask()
    story.withdraw(late)
    assert [question.id for question in story.request.questions] == [fresh]
    assert story.request.overdue == ()


def test_the_mark_of_a_late_question_stays_while_another_one_is_late() -> None:
    """Whichever is answered, and whichever way it is closed."""
    for close, is_first in product((Story.answer, Story.withdraw), (True, False)):
        story = accepted(ASAP)
        questions = [story.ask(), story.ask()]
        while not all(d.is_over for d in story.request.deadlines if d.question_id):
            story.next_call()
        assert list(story.request.overdue) == [DeadlineName.INFORMATION]
        close(story, questions[0 if is_first else 1])
        assert list(story.request.overdue) == [DeadlineName.INFORMATION]
        close(story, questions[1 if is_first else 0])
        assert list(story.request.overdue) == []


def test_the_mark_of_a_late_question_stays_when_another_priority_starts_the_clock_anew() -> None:
    story = accepted(URGENT)
    story.calls(2)
    story.ask()
    while list(story.request.overdue) != [DeadlineName.REPORT, DeadlineName.INFORMATION]:
        story.next_call()
    story.change_priority(ASAP)
    assert list(story.request.overdue) == [DeadlineName.INFORMATION]


def test_a_call_that_is_repeated_marks_once() -> None:
    story = accepted(URGENT)
    story.calls(4)
    assert [event.name for event in story.events[-3:]] == [E.REPORT_OVERDUE] * 3
    assert story.request.overdue == (DeadlineName.REPORT,)


def test_who_holds_the_request_after_the_last_call() -> None:
    story = assigned(ASAP)
    story.calls(2)
    assert story.request.holder == Holder.dispatch(DERMATOLOGY)
    for begin, unacknowledged in ((returned, False), (reported, True)):
        story = begin()
        story.calls(3 if begin is returned else 4)
        assert story.request.holder == Holder.nobody()
        assert story.request.next_deadline is None
        assert story.request.unacknowledged is unacknowledged


def test_business_days_around_holidays() -> None:
    """A routine request on Friday before Labour Day: 3 business days to accept, 7 to report."""
    friday = toronto("2026-09-04 10:00")
    assert assigned(at=friday).calls(2) == [
        (toronto("2026-09-08 22:00"), E.ACCEPTANCE_REMINDER),
        (toronto("2026-09-10 10:00"), E.ACCEPTANCE_EXPIRED),
    ]
    assert accepted(at=friday).request.due_at == toronto("2026-09-16 10:00")


def test_plain_time_around_a_change_of_the_clocks() -> None:
    """Urgent, 1 day to accept: 24 hours, whatever the clock on the wall shows."""
    assert assigned(URGENT, toronto("2026-03-07 12:00")).request.due_at == toronto("2026-03-08 13:00")
    assert assigned(URGENT, toronto("2026-10-31 12:00")).request.due_at == toronto("2026-11-01 11:00")


def test_business_time_around_a_change_of_the_clocks() -> None:
    """Routine, 1 business day to dispatch: the same time on the wall on Monday."""
    assert submitted(at=toronto("2026-03-06 12:00")).request.due_at == toronto("2026-03-09 12:00")
    assert submitted(at=toronto("2026-10-30 12:00")).request.due_at == toronto("2026-11-02 12:00")


# Clocks that stop while a question is open


def test_a_question_stops_the_clock_of_the_report() -> None:
    story = accepted().at(toronto("2026-02-03 09:00"))
    story.ask()
    assert story.request.due_at is None
    story.at(toronto("2026-02-05 09:00")).answer()
    assert story.calls(2) == [
        (toronto("2026-02-11 15:00"), E.REPORT_REMINDER),
        (toronto("2026-02-13 09:00"), E.REPORT_OVERDUE),
    ]


def test_a_question_stops_the_clock_of_the_acceptance() -> None:
    story = assigned(URGENT).at(toronto("2026-02-02 15:00"))
    story.ask()
    story.at(toronto("2026-02-02 18:00")).withdraw()
    assert story.calls(2) == [
        (toronto("2026-02-03 00:00"), E.ACCEPTANCE_REMINDER),
        (toronto("2026-02-03 12:00"), E.ACCEPTANCE_EXPIRED),
    ]


def test_the_clock_goes_on_when_the_last_of_several_questions_is_closed() -> None:
    story = accepted().at(toronto("2026-02-03 09:00"))
    first = story.ask()
    second = story.at(toronto("2026-02-04 09:00")).ask()
    story.at(toronto("2026-02-05 09:00")).answer(first)
    assert story.request.due_at is None
    story.at(toronto("2026-02-06 09:00")).withdraw(second)
    assert story.request.due_at == toronto("2026-02-16 09:00")


def test_questions_one_after_the_other_each_give_back_their_time() -> None:
    story = accepted(URGENT).at(MONDAY + timedelta(hours=10))
    for _ in range(3):
        story.ask()
        story.at(story.now + timedelta(hours=5)).answer()
        story.at(story.now + timedelta(hours=10))
    assert story.request.due_at == MONDAY + timedelta(days=3, hours=15)
    assert story.request.deadlines[0].spent_at(story.now) == timedelta(hours=40)


def test_time_that_was_no_business_time_is_not_given_back() -> None:
    story = accepted().at(toronto("2026-02-07 10:00"))
    story.ask()
    story.at(toronto("2026-02-08 20:00")).answer()
    assert story.request.due_at == accepted().request.due_at


def test_each_question_has_its_own_clock() -> None:
    story = accepted(ASAP)
    first = story.ask()
    second = story.at(MONDAY + timedelta(hours=6)).ask()
    called = [(story.next_call(), story.events[-1].command) for _ in range(4)]
    assert [(event.at, event.name, getattr(command, "question_id", None)) for event, command in called] == [
        (toronto("2026-02-03 09:00"), E.INFORMATION_REMINDER, first),
        (toronto("2026-02-03 15:00"), E.INFORMATION_REMINDER, second),
        (toronto("2026-02-04 09:00"), E.INFORMATION_EXPIRED, first),
        (toronto("2026-02-04 15:00"), E.INFORMATION_EXPIRED, second),
    ]
    assert {question.id for question in story.request.questions} == {first, second}


def test_a_clock_that_stopped_does_not_call_its_past_reminders_again() -> None:
    story = accepted(URGENT)
    assert story.next_call().name is E.REPORT_REMINDER
    story.ask()
    story.at(story.now + timedelta(hours=5)).answer()
    assert story.calls(1) == [(toronto("2026-02-05 14:00"), E.REPORT_OVERDUE)]


def test_a_question_also_moves_the_calls_that_are_repeated() -> None:
    story = accepted(URGENT)
    story.calls(2)
    story.at(toronto("2026-02-05 10:00")).ask()
    story.at(toronto("2026-02-05 12:00")).answer()
    assert story.calls(2) == [
        (toronto("2026-02-06 11:00"), E.REPORT_OVERDUE),
        (toronto("2026-02-07 11:00"), E.REPORT_OVERDUE),
    ]


def test_a_call_that_fell_due_just_when_the_clock_stopped_comes_when_it_goes_on() -> None:
    story = accepted(URGENT)
    due = story.next_deadline()[0]
    story.at(due).ask()
    story.at(due + timedelta(hours=3)).answer()
    assert story.calls(1) == [(due + timedelta(hours=3), E.REPORT_REMINDER)]


def test_an_open_question_goes_along_with_a_transfer() -> None:
    """The colleague's clock for acceptance begins to run when nothing is open any more."""
    story = asked(URGENT)
    question_due = story.next_deadline()[0]
    story.at(MONDAY + timedelta(hours=2)).transfer()
    assert story.request.due_at is None
    assert story.next_deadline()[0] == question_due
    story.at(MONDAY + timedelta(hours=5)).answer()
    assert story.request.due_at == MONDAY + timedelta(hours=5, days=1)


def test_a_question_does_not_stop_the_dispatchers() -> None:
    story = asked(URGENT)
    story.return_to_dispatch()
    assert story.request.due_at == MONDAY + timedelta(hours=4)
    story.at(MONDAY + timedelta(hours=1)).answer()
    assert story.request.due_at == MONDAY + timedelta(hours=4)


# Change of priority


def test_a_new_priority_starts_the_clock_anew_with_its_own_limit() -> None:
    story = accepted()
    story.calls(2)
    story.change_priority(URGENT)
    assert story.request.overdue == ()
    assert story.request.due_at == story.now + timedelta(days=3)
    assert story.calls(1) == [(toronto("2026-02-13 15:00"), E.REPORT_REMINDER)]


def test_a_new_priority_while_a_question_is_open() -> None:
    story = asked(ROUTINE)
    question_due = story.next_deadline()[0]
    story.at(MONDAY + timedelta(hours=1)).change_priority(ASAP, PROVIDER)
    assert story.next_deadline()[0] == question_due
    assert story.request.due_at is None
    story.at(MONDAY + timedelta(hours=2)).answer()
    assert story.request.due_at == MONDAY + timedelta(hours=26)


@pytest.mark.parametrize("begin", [submitted, assigned, accepted])
def test_a_new_priority_in_every_status_that_has_one(begin: Any) -> None:
    story = begin()
    story.change_priority(ASAP)
    hours = {Status.AWAITING_DISPATCH: 2, Status.AWAITING_ACCEPTANCE: 4, Status.ACCEPTED: 24}
    assert story.request.due_at == MONDAY + timedelta(hours=hours[story.request.status])


# Who may call


EARLY = {
    "awaiting_dispatch": (DeadlineName.DISPATCH, E.DISPATCH_OVERDUE),
    "awaiting_acceptance": (DeadlineName.ACCEPTANCE, E.ACCEPTANCE_EXPIRED),
    "accepted": (DeadlineName.REPORT, E.REPORT_OVERDUE),
    "accepted, asked": (DeadlineName.INFORMATION, E.INFORMATION_EXPIRED),
    "returned": (DeadlineName.RESUBMISSION, E.ABANDONED),
    "reported": (DeadlineName.ACKNOWLEDGEMENT, E.CLOSED_UNACKNOWLEDGED),
}


@pytest.mark.parametrize(("scene", "name", "event"), [(scene, *what) for scene, what in EARLY.items()], ids=EARLY)
def test_an_outside_scheduler_ends_a_deadline_at_once(scene: str, name: DeadlineName, event: EventName) -> None:
    story = SCENES[scene]()
    assert story.clock_calls(name, actor=OPERATOR).name is event


@pytest.mark.parametrize("scene", EARLY)
def test_relais_itself_calls_when_the_moment_has_come_and_not_before(scene: str) -> None:
    story = SCENES[scene]()
    moment, deadline = story.next_deadline()
    command = c.DeadlineReached(id=command_id(), actor=SYSTEM, name=deadline.name, question_id=deadline.question_id)
    just_before = answer(story.request, command, moment - timedelta(microseconds=1), Source.TIMER)
    assert just_before is RefusalCode.DEADLINE_NOT_DUE
    assert story.at(moment).take(command, Source.TIMER).at == moment


def test_a_deadline_ended_early_reminds_no_more_and_is_repeated_after_its_limit() -> None:
    story = accepted(URGENT)
    story.clock_calls(DeadlineName.REPORT, actor=OPERATOR)
    assert story.request.overdue == (DeadlineName.REPORT,)
    assert story.calls(2) == [
        (toronto("2026-02-06 09:00"), E.REPORT_OVERDUE),
        (toronto("2026-02-07 09:00"), E.REPORT_OVERDUE),
    ]


def test_a_question_ended_early_is_the_one_that_is_named() -> None:
    story = accepted(ASAP)
    story.ask()
    second = story.ask()
    story.clock_calls(DeadlineName.INFORMATION, second, OPERATOR)
    late = [deadline.question_id for deadline in story.request.deadlines if deadline.is_over]
    assert late == [second]


@pytest.mark.parametrize("actor", [SYSTEM, OPERATOR])
def test_a_clock_that_stands_still_does_not_call(actor: Actor) -> None:
    command = c.DeadlineReached(id=command_id(), actor=actor, name=DeadlineName.REPORT)
    assert answer(asked(ASAP).request, command, MONDAY + timedelta(days=9)) is RefusalCode.DEADLINE_STOPPED


@pytest.mark.parametrize("scene", [scene for scene in SCENES if Status(scene.partition(",")[0]).is_open])
def test_a_deadline_of_another_status_does_not_call(scene: str) -> None:
    request = SCENES[scene]().request
    armed = {deadline.name for deadline in request.deadlines}
    for name in DeadlineName:
        command = c.DeadlineReached(id=command_id(), actor=OPERATOR, name=name)
        refused = answer(request, command, MONDAY) is RefusalCode.DEADLINE_NOT_ARMED
        assert refused == (name not in armed)
    unknown = c.DeadlineReached(
        id=command_id(), actor=OPERATOR, name=DeadlineName.INFORMATION, question_id=named("no such")
    )
    assert answer(request, unknown, MONDAY) is RefusalCode.DEADLINE_NOT_ARMED


def test_the_same_call_twice_is_one_call() -> None:
    story = accepted(ASAP)
    event = story.next_call()
    again = answer(story.request, event.command, story.now, Source.TIMER)
    assert not isinstance(again, RefusalCode)
    assert again.event is None
    another = event.command.model_copy(update={"id": command_id()})
    assert answer(story.request, another, story.now, Source.TIMER) is RefusalCode.DEADLINE_NOT_DUE


def test_accepting_and_running_out_of_time_in_the_same_instant() -> None:
    """Whichever comes first counts; the other is refused, and nothing happens twice."""
    story = assigned(ASAP)
    story.next_call()
    moment, deadline = story.next_deadline()
    too_late = c.DeadlineReached(id=command_id(), actor=SYSTEM, name=deadline.name)
    accept = c.Accept(id=command_id(), actor=PROVIDER)
    after_acceptance = answer(story.request, accept, moment)
    after_time_out = answer(story.request, too_late, moment)
    assert not isinstance(after_acceptance, RefusalCode)
    assert not isinstance(after_time_out, RefusalCode)
    assert answer(after_acceptance.request, too_late, moment) is RefusalCode.DEADLINE_NOT_ARMED
    assert answer(after_time_out.request, accept, moment) is RefusalCode.NOT_ALLOWED_IN_STATUS


def test_calls_that_were_missed_in_an_outage_come_as_one() -> None:
    story = assigned(ASAP).at(MONDAY + timedelta(days=5))
    assert story.calls(1) == [(story.now, E.ACCEPTANCE_EXPIRED)]
    story.at(story.now + timedelta(days=9, minutes=1))
    assert story.calls(2) == [
        (story.now, E.DISPATCH_OVERDUE),  # its limit, which is never passed over
        (story.now, E.DISPATCH_OVERDUE),  # the daily repeats since then, as one
    ]
    moment, _ = story.next_deadline()
    assert moment > story.now


def test_missed_reminders_come_as_one() -> None:
    story = SCENES["reported"]().at(MONDAY + timedelta(days=20))
    assert story.calls(1) == [(story.now, E.ACKNOWLEDGEMENT_REMINDER)]
    moment, _ = story.next_deadline()
    assert moment > story.now


# Terms of an offering


def test_an_offering_may_set_its_own_terms() -> None:
    terms = DeadlineTerms(
        limit={ASAP: Span.of("1h"), URGENT: Span.of("2h"), ROUTINE: Span.of("4h")},
        remind_at=(Span.of("1h"), 0.9),
        repeat=Span.of("3h"),
    )
    story = submitted(ROUTINE, deadlines={DeadlineName.DISPATCH: terms})
    assert story.calls(4) == [
        (MONDAY + timedelta(hours=1), E.DISPATCH_REMINDER),
        (MONDAY + timedelta(hours=3, minutes=36), E.DISPATCH_REMINDER),
        (MONDAY + timedelta(hours=4), E.DISPATCH_OVERDUE),
        (MONDAY + timedelta(hours=7), E.DISPATCH_OVERDUE),
    ]


def test_a_reminder_that_would_come_after_the_limit_does_not_come() -> None:
    terms = DeadlineTerms(limit={ROUTINE: Span.of("7d")}, remind_at=(Span.of("14d"), Span.of("7d"), Span.of("3d")))
    assert terms.reminders(ROUTINE) == (timedelta(days=3),)


def test_the_clocks_begin_with_the_submission() -> None:
    assert draft().deadlines == ()
    story = Story(draft(), MONDAY + timedelta(days=3))
    story.submit(ASAP)
    assert story.request.due_at == MONDAY + timedelta(days=3, hours=2)


def test_the_clock_starts_anew_with_each_holder() -> None:
    story = assigned(URGENT).at(MONDAY + timedelta(hours=20))
    story.assign(who(COLLEAGUE))
    assert story.request.due_at == MONDAY + timedelta(hours=44)
    story.at(MONDAY + timedelta(hours=30)).return_to_requester(DISPATCHER)
    assert story.request.due_at == MONDAY + timedelta(days=30, hours=30)


@pytest.mark.parametrize("scene", SCENES)
def test_the_events_of_every_scene_rebuild_it(scene: str) -> None:
    story = SCENES[scene]()
    assert rebuild(story.beginning, story.events) == story.request
    assert rebuild(story.beginning, story.events[:-1]).version == max(0, story.request.version - 1)
