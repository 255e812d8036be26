"""Until when a request is kept: the days are counted by hand."""

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from domain.retention import RetentionPolicy, earliest_day, kept_until

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
    longer = RetentionPolicy(years=15, minors_until=21, minors_years=25)
    assert longer.kept_until(ENTRY, "1958-03-14") == date(2041, 11, 27)
    assert longer.kept_until(ENTRY, "2013-01-01") == date(2059, 1, 1)
    for shorter in ({"years": 9}, {"minors_until": 17}, {"minors_years": 9}):
        with pytest.raises(ValidationError):
            RetentionPolicy(**shorter)


def test_the_latest_counts_of_all_policies_and_of_every_day_of_birth_that_was_ever_said() -> None:
    longer = RetentionPolicy(years=15)
    assert kept_until([], ENTRY, ["1958-03-14", "2020-05-01"]) == date(
        2048, 5, 1
    )  # one of the two is a slip of the pen
    assert kept_until([longer], ENTRY, ["1958-03-14"]) == date(2041, 11, 27)
    assert kept_until([longer], ENTRY, ["1958-03-14", None]) == date(2054, 11, 27)
    assert kept_until([], ENTRY, []) == date(2054, 11, 27)  # nobody knows


def test_a_day_of_birth_that_can_not_be_keeps_it_for_ever_and_stops_nothing() -> None:
    assert RetentionPolicy().kept_until(ENTRY, "9972-01-01") == date.max


@pytest.mark.parametrize(
    ("changed", "is_shorter"),
    [
        ({}, False),
        ({"years": 19}, True),
        ({"years": 21}, False),
        ({"minors_years": 11}, True),
        ({"minors_until": 20}, True),
        ({"minors_until": 20, "minors_years": 20}, True),  # who is twenty counts no more
        ({"minors_until": 22, "minors_years": 11}, False),
    ],
)
def test_what_keeps_less_is_shorter(changed: dict[str, int], is_shorter: bool) -> None:
    before = {"years": 20, "minors_until": 21, "minors_years": 12}
    assert RetentionPolicy(**{**before, **changed}).is_shorter_than(RetentionPolicy(**before)) is is_shorter


def test_a_clock_that_is_ahead_ends_nothing() -> None:
    ahead = ENTRY.replace(year=2060)
    assert earliest_day(ahead, ENTRY) == earliest_day(ENTRY, ahead) == date(2026, 11, 27)


def test_the_day_is_that_of_the_clinics_and_none_is_lost_in_february() -> None:
    late = datetime(2024, 3, 1, 4, 0, tzinfo=UTC)  # still the 29 February in Québec
    assert RetentionPolicy().kept_until(late, "1958-03-14") == date(2034, 3, 1)
