"""A request that goes on by other rules or another calendar: clocks keep what they promised, unless they are to move."""

from dataclasses import replace
from datetime import timedelta

from domain.calendar import DAY, Calendar, Span
from domain.clinic_calendar import ClinicCalendar, week_of
from domain.commands import RenewRules
from domain.lifecycle import TABLE
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority
from domain.refusals import RefusalCode
from domain.requests import SYSTEM
from domain.rules import CURRENT
from tests.unit.domain.scenes import MONDAY, Story, accepted, answer, command_id, draft, submitted, toronto

ALL_DAY = ClinicCalendar().frozen_at(MONDAY)
CLOSED_ON_TUESDAY = ClinicCalendar(also_closed=(toronto("2026-02-03 12:00").date(),)).frozen_at(MONDAY)
MORNINGS = ClinicCalendar(week=week_of(["mon-fri 08:00-12:00"])).frozen_at(MONDAY)


def under_today(story_of: Story, calendar: Calendar = ALL_DAY) -> Story:
    """The story, moved to today's rules."""
    story_of.renew(calendar=calendar)
    return story_of


def clock(story: Story, name: DeadlineName) -> tuple[object, object]:
    deadline = story.request.deadline(name)
    assert deadline is not None
    return deadline.due_at, deadline.spent_at(story.now)


def test_clocks_keep_what_they_promised() -> None:
    story = submitted()
    promised = clock(story, DeadlineName.DISPATCH)
    event = under_today(story, CLOSED_ON_TUESDAY).events[-1]
    assert clock(story, DeadlineName.DISPATCH) == promised
    assert (story.request.rules, story.request.version) == (CURRENT, 2)
    assert story.request.terms.calendar == CLOSED_ON_TUESDAY.whole_days()
    assert isinstance(event.command, RenewRules)
    assert event.command.rules_before == 1
    assert event.command.clocks == ()


def test_clocks_that_move_pass_on_the_new_calendar_from_now_on() -> None:
    """Half of the business day has passed when Tuesday turns out to be closed: the other half ends on Wednesday."""
    story = under_today(submitted())
    story.at(toronto("2026-02-02 21:00"))
    half = clock(story, DeadlineName.DISPATCH)[1]
    assert half == DAY / 2
    event = story.renew(calendar=CLOSED_ON_TUESDAY, move_clocks=True)
    assert clock(story, DeadlineName.DISPATCH) == (toronto("2026-02-04 09:00"), half)
    assert isinstance(event.command, RenewRules)
    [moved] = event.command.clocks
    assert (moved.name, moved.question_id) == (DeadlineName.DISPATCH, None)
    assert (moved.due_before, moved.due_after) == (toronto("2026-02-03 09:00"), toronto("2026-02-04 09:00"))
    assert story.calls(2)[0][0] == toronto("2026-02-04 09:00")


def test_a_clock_that_stands_still_moves_standing_still() -> None:
    story = under_today(accepted(Priority.ROUTINE))
    story.at(toronto("2026-02-02 21:00"))
    question = story.ask()
    before = story.request.deadline(DeadlineName.REPORT)
    assert before is not None
    story.renew(calendar=CLOSED_ON_TUESDAY, move_clocks=True)
    after = story.request.deadline(DeadlineName.REPORT)
    assert after is not None
    assert (after.running_since, after.spent, after.calls) == (None, before.spent, before.calls)
    assert after.calendar == CLOSED_ON_TUESDAY.whole_days()
    story.answer(question)
    resumed = story.request.deadline(DeadlineName.REPORT)
    assert resumed is not None
    assert resumed.running_since == story.now


def test_calls_that_came_are_not_called_again_after_a_move() -> None:
    story = under_today(submitted())
    first = story.next_call()
    assert first.at == toronto("2026-02-03 09:00")
    closed = ClinicCalendar(also_closed=(toronto("2026-02-04 12:00").date(),)).frozen_at(MONDAY)
    story.renew(calendar=closed, move_clocks=True)
    assert list(story.request.overdue) == [DeadlineName.DISPATCH]
    assert story.next_call().at == toronto("2026-02-05 09:00")


def test_a_renewal_to_rules_that_nobody_knows_or_that_changes_nothing_is_refused() -> None:
    story = under_today(submitted())
    for rules, code in (
        (CURRENT + 1, RefusalCode.RULES_UNKNOWN),
        (CURRENT, RefusalCode.NOTHING_TO_RENEW),
        (CURRENT - 1, RefusalCode.NOTHING_TO_RENEW),
    ):
        renewal = RenewRules(id=command_id(), actor=SYSTEM, rules=rules, reason="A new version.")
        assert answer(story.request, renewal, story.now) is code
    older = RenewRules(id=command_id(), actor=SYSTEM, rules=CURRENT - 1, calendar=CLOSED_ON_TUESDAY, reason="Back.")
    assert answer(story.request, older, story.now) is RefusalCode.NOTHING_TO_RENEW


def test_a_row_counts_from_its_first_version_to_its_last() -> None:
    def versions(since: int, until: int | None) -> list[int]:
        row = replace(TABLE[0], since=since, until=until)
        return [version for version in range(1, 6) if row.counts_in(version)]

    assert versions(1, None) == [1, 2, 3, 4, 5]
    assert versions(2, 4) == [2, 3, 4]
    assert versions(3, 3) == [3]
    assert versions(4, None) == [4, 5]


def test_hours_count_by_the_clinics_where_the_offering_says_so() -> None:
    beginning = draft()
    beginning = beginning.model_copy(update={"terms": beginning.terms.model_copy(update={"service_hours": "clinic"})})
    story = Story(beginning)
    story.submit(Priority.ASAP)
    story.renew(calendar=MORNINGS, move_clocks=True)
    assert clock(story, DeadlineName.DISPATCH)[0] == toronto("2026-02-02 11:00")
    calls = [moment for moment, _ in story.calls(2)]
    assert calls == [toronto("2026-02-02 11:00"), toronto("2026-02-03 11:00")], "a day is as long as the clinic works"
    assert story.now - MONDAY == DAY + timedelta(hours=2)


def test_the_hours_in_which_an_urgent_report_must_be_read_do_not_move() -> None:
    story = under_today(accepted())
    story.sign(urgent=True)
    story.issue()
    before = story.request.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT)
    assert before is not None
    story.renew(calendar=CLOSED_ON_TUESDAY, move_clocks=True)
    assert story.request.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT) == before


def test_which_question_waits_longer_is_said() -> None:
    two_days = {DeadlineName.INFORMATION: DeadlineTerms(limit=dict.fromkeys(Priority, Span.of("2bd")))}
    story = under_today(submitted(deadlines=two_days))
    story.assign()
    story.accept()
    first, second = story.ask(), story.ask()
    event = story.renew(calendar=CLOSED_ON_TUESDAY, move_clocks=True)
    assert isinstance(event.command, RenewRules)
    assert [(moved.name, moved.question_id) for moved in event.command.clocks] == [
        (DeadlineName.INFORMATION, first),
        (DeadlineName.INFORMATION, second),
    ]
