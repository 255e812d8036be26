"""What is counted week by week, and what the counts say of how long answers took."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain.statistics import ANSWERED_WITHIN, MEASURES, SUBMITTED, answered, measure_of, week_of, within


@pytest.mark.parametrize(
    ("moment", "monday"),
    [
        (datetime(2026, 11, 23, 4, 59, tzinfo=UTC), date(2026, 11, 16)),  # still Sunday in Québec
        (datetime(2026, 11, 23, 5, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 29, 23, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2027, 1, 1, 12, 0, tzinfo=UTC), date(2026, 12, 28)),
    ],
)
def test_a_week_begins_on_monday_in_quebec(moment: datetime, monday: date) -> None:
    assert week_of(moment) == monday


def test_an_answer_is_counted_by_the_first_limit_that_it_keeps() -> None:
    for n, limit in enumerate(ANSWERED_WITHIN):
        assert measure_of(limit) == f"answered_{n}"
        assert measure_of(limit + timedelta(microseconds=1)) == f"answered_{n + 1}"
    assert {measure_of(timedelta(hours=hours)) for hours in range(800)} | {SUBMITTED} == set(MEASURES)


def test_within_which_time_answers_came() -> None:
    counts = {SUBMITTED: 50, "answered_0": 5, "answered_2": 4, "answered_9": 1}
    assert answered(counts) == 10
    assert within(counts, 0.5) == timedelta(hours=4)
    assert within(counts, 0.51) == timedelta(hours=24)
    assert within(counts, 0.9) == timedelta(hours=24)
    assert within(counts, 0.91) is None, "one of ten took longer than is told"
    assert within({SUBMITTED: 3}, 0.5) is None
