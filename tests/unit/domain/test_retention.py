"""Until when a request is kept: the days are counted by hand."""

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from domain.retention import RetentionPolicy

ENTRY = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("born", "until"),
    [
        ("1958-03-14", date(2036, 11, 27)),
        ("2008-11-26", date(2036, 11, 27)),  # eighteen the day before
        ("2008-11-27", date(2036, 11, 27)),  # on the day itself
        ("2008-11-28", date(2036, 11, 28)),  # a minor for one day more: until 28
        ("2026-11-20", date(2054, 11, 20)),
        ("2010", date(2038, 12, 31)),  # at the latest
        ("2010-06", date(2038, 6, 30)),
        (None, date(2054, 11, 27)),  # as young as can be
        ("unreadable", date(2054, 11, 27)),
    ],
)
def test_until_when_it_is_kept(born: str | None, until: date) -> None:
    assert RetentionPolicy().kept_until(ENTRY, born) == until


def test_a_clinic_may_keep_longer_and_not_shorter() -> None:
    longer = RetentionPolicy(years=15, minors_until=14, minors_years=25)
    assert longer.kept_until(ENTRY, "1958-03-14") == date(2041, 11, 27)
    assert longer.kept_until(ENTRY, "2013-01-01") == date(2052, 1, 1)
    with pytest.raises(ValidationError):
        RetentionPolicy(years=9)


def test_the_day_is_that_of_the_clinics_and_none_is_lost_in_february() -> None:
    late = datetime(2024, 3, 1, 4, 0, tzinfo=UTC)  # still the 29 February in Québec
    assert RetentionPolicy().kept_until(late, "1958-03-14") == date(2034, 3, 1)
