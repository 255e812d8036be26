"""Who may open a request in an emergency, and whose end of that changes anything."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.emergencies import END_HOLDS, LASTS, Course, Ended, goes_at, opens_as
from domain.requests import Role


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ({Role.PROVIDER}, Role.PROVIDER),
        ({Role.REQUESTER}, Role.REQUESTER),
        ({Role.REQUESTER, Role.PROVIDER}, Role.PROVIDER),
        ({Role.REQUESTER, Role.CLINIC_ADMINISTRATOR, Role.DISPATCHER}, Role.REQUESTER),
        *(({role}, None) for role in (Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR, Role.SYSTEM)),
        ({Role.PROVIDER, Role.OPERATOR}, None),
        (set(), None),
    ],
)
def test_who_treats_may_and_nobody_else(roles: set[Role], role: Role | None) -> None:
    assert opens_as(roles) is role


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
READER, OTHER, THIRD = (UUID(int=number) for number in range(3))


def course(begun: timedelta, *ends: tuple[UUID, timedelta]) -> Course:
    """One that has begun so long ago, and was ended by these so long ago."""
    begun_at = NOW - begun
    return Course(READER, begun_at, begun_at + LASTS, tuple(Ended(who, NOW - ago) for who, ago in ends))


@pytest.mark.parametrize(
    ("begun", "ends", "reader", "other"),
    [
        (timedelta(hours=1), [], True, True),
        (timedelta(hours=1), [(READER, timedelta())], False, True),
        (timedelta(hours=1), [(OTHER, timedelta())], False, False),
        (timedelta(hours=1), [(READER, timedelta(minutes=2)), (OTHER, timedelta())], False, False),
        (LASTS, [], False, True),
        (timedelta(hours=24, seconds=-1), [], False, True),
        (timedelta(hours=24), [], False, False),
    ],
)
def test_whose_end_changes_anything(
    begun: timedelta, ends: list[tuple[UUID, timedelta]], reader: bool, other: bool
) -> None:
    of = course(begun, *ends)
    assert of.ends_by(READER, NOW) is reader
    assert of.ends_by(OTHER, NOW) is other
    assert of.ends_by(THIRD, NOW) is other


def test_by_what_it_is_over_and_until_when_that_holds() -> None:
    by_both = course(timedelta(hours=1), (OTHER, timedelta(minutes=1)), (READER, timedelta(minutes=2)))
    assert by_both.end == Ended(READER, NOW - timedelta(minutes=2))
    assert by_both.held_until == NOW - timedelta(minutes=1) + END_HOLDS
    after_its_time = course(timedelta(hours=5), (OTHER, timedelta()))
    assert after_its_time.end is None
    assert after_its_time.held_until == NOW + END_HOLDS
    assert course(timedelta(hours=1), (READER, timedelta())).held_until is None


@pytest.mark.parametrize(
    ("written", "last_waits", "goes"),
    [
        ([], False, timedelta()),
        ([20], True, timedelta(minutes=40)),  # also while that one is on its way: it was written before this end
        ([20], False, timedelta(minutes=40)),
        ([-1], True, timedelta(minutes=61)),  # written a moment after now, by another clock: it goes at once
        ([-1], False, timedelta(minutes=61)),
        ([60], False, timedelta()),
        ([90], False, timedelta()),
        ([50, 30], True, None),
        ([50, 30], False, timedelta(minutes=10)),  # it went before its time, and has told nothing of this end
        ([80, 70], False, timedelta(minutes=40)),
        ([80, 70], True, timedelta(minutes=40)),  # its time has come: it may be on its way
        ([300, 290, 100], True, timedelta()),
    ],
)
def test_operators_hear_of_one_persons_ends_at_once_and_then_once_an_hour(
    written: list[int], last_waits: bool, goes: timedelta | None
) -> None:
    """By how many minutes ago e-mails were written, the first first."""
    moments = [NOW - timedelta(minutes=ago) for ago in written]
    assert goes_at(moments, NOW, last_waits=last_waits) == (None if goes is None else NOW + goes)
