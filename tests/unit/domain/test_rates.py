"""So many at once, and then again as time passes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rates import Rate

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FEW = Rate(3, 10 * SECOND)


def test_so_many_at_once_and_then_one_more_each_time() -> None:
    empty_at = None
    for left in (3, 2, 1):
        assert FEW.left(empty_at, NOW) == left
        assert FEW.wait(empty_at, NOW) == timedelta()
        empty_at = FEW.after_one(empty_at, NOW)
    assert FEW.left(empty_at, NOW) == 0
    assert FEW.wait(empty_at, NOW) == 10 * SECOND
    assert FEW.wait(empty_at, NOW + 4 * SECOND) == 6 * SECOND
    assert FEW.left(empty_at, NOW + 10 * SECOND) == 1
    assert FEW.left(empty_at, NOW + FEW.window) == 3
    assert empty_at == NOW + FEW.window


@given(st.lists(st.integers(0, 40), max_size=60))
def test_no_stretch_of_time_lets_more_through(pauses: list[int]) -> None:
    """In whatever stretch, as many as at once and one more for each `every` of it."""
    now, empty_at, done = NOW, None, []
    for pause in pauses:
        now += pause * SECOND
        if not FEW.wait(empty_at, now):
            empty_at = FEW.after_one(empty_at, now)
            done.append(now)
    for n, first in enumerate(done):
        for more, last in enumerate(done[n:], start=1):
            assert more <= FEW.most + (last - first) / FEW.every


def test_so_many_in_a_time() -> None:
    assert Rate.per(timedelta(minutes=1), 60) == Rate(60, SECOND)
    for most, every in ((0, SECOND), (1, timedelta())):
        with pytest.raises(ValueError, match="at least one"):
            Rate(most, every)
