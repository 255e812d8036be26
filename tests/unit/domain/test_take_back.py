"""What is taken back at once leaves everything as it was. Source: docs/decisions/taking-back.md."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain import commands as c
from domain.lifecycle import TAKEN_BACK_WITHIN
from domain.offerings import DeadlineName
from domain.refusals import RefusalCode
from domain.requests import Request, Status
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DERMATOLOGY,
    DISPATCHER,
    MONDAY,
    PROVIDER,
    Story,
    accepted,
    answer,
    assigned,
    command_id,
    newer,
    submitted,
    who,
)

SOON, LATE = timedelta(seconds=10), timedelta(seconds=16)
MICROSECOND = timedelta(microseconds=1)


def what_counts(request: Request) -> dict[str, object]:
    """All but what says that something happened."""
    return request.model_dump(exclude={"version", "commands_taken", "task", "undo"})


def pooled() -> Story:
    story = submitted()
    story.assign(c.Pool(clinic_id=DERMATOLOGY))
    return story


@pytest.mark.parametrize("begin", [assigned, pooled])
def test_an_acceptance(begin: Callable[[], Story]) -> None:
    story = newer(begin)
    before = story.request
    story.accept()
    assert story.request.status is Status.ACCEPTED
    story.at(story.now + SOON).take_back()
    assert what_counts(story.request) == what_counts(before)


@pytest.mark.parametrize("begin", [submitted, assigned, pooled])
def test_an_assignment(begin: Callable[[], Story]) -> None:
    story = newer(begin)
    before = story.request
    story.assign(who(COLLEAGUE))
    story.at(story.now + SOON).take_back(DISPATCHER)
    assert what_counts(story.request) == what_counts(before)
    story.assign(who(COLLEAGUE))
    story.accept(COLLEAGUE)


def test_what_was_promised_runs_on() -> None:
    story = accepted()
    story.renew()
    story.reassign(COLLEAGUE)
    before = story.request
    story.at(MONDAY + timedelta(hours=1)).accept(COLLEAGUE)
    assert story.request.deadline(DeadlineName.REPORT) == before.deadline(DeadlineName.REPORT)
    story.take_back(COLLEAGUE)
    assert what_counts(story.request) == what_counts(before)
    assert before.deadline(DeadlineName.REPORT) is not None


@pytest.mark.parametrize(
    ("then", "code"),
    [
        (lambda story: story.at(story.now + LATE), RefusalCode.TOO_LATE_TO_TAKE_BACK),
        (lambda story: story.ask(), RefusalCode.NOTHING_TO_TAKE_BACK),
        (lambda story: story.take_back(), RefusalCode.NOTHING_TO_TAKE_BACK),
    ],
)
def test_not_late_nor_once_something_has_happened(then: Callable[[Story], object], code: RefusalCode) -> None:
    story = newer(submitted)
    story.assign()
    story.accept()
    then(story)
    again = c.TakeBack(id=command_id(), actor=PROVIDER)
    assert answer(story.request, again, story.now) is code


def test_older_rules_keep_nothing() -> None:
    story = assigned()
    assert story.request.rules == 1
    story.accept()
    assert story.request.undo is None
    assert "undo" not in story.request.model_dump(), "older code reads it"


def test_what_was_late_is_late_again() -> None:
    story = newer(submitted)
    while DeadlineName.DISPATCH not in story.request.overdue:
        story.next_call()
    before = story.request
    story.assign(who(COLLEAGUE))
    assert story.request.overdue == ()
    story.at(story.now + SOON).take_back(DISPATCHER)
    assert story.request.overdue == before.overdue
    assert what_counts(story.request) == what_counts(before)


@pytest.mark.parametrize(("after", "is_late"), [(TAKEN_BACK_WITHIN, False), (TAKEN_BACK_WITHIN + MICROSECOND, True)])
def test_the_last_moment_still_counts(after: timedelta, is_late: bool) -> None:
    story = newer(assigned)
    story.accept()
    decision = answer(story.request, c.TakeBack(id=command_id(), actor=PROVIDER), story.now + after)
    assert (decision is RefusalCode.TOO_LATE_TO_TAKE_BACK) is is_late
