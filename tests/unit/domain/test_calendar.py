"""Business time: the days, examples across weekends, holidays and the change of the clocks, and its properties."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.calendar import FIRST_RULES_CALENDAR, Span, day_of
from domain.calendar import later as plain_later
from domain.calendar import passed as plain_passed
from tests.unit.domain.oracle import HOLIDAYS, business_time, moment_of
from tests.unit.domain.scenes import toronto

ZONES = [UTC, ZoneInfo("America/Toronto"), ZoneInfo("America/Vancouver"), ZoneInfo("Europe/Paris")]
moments = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds / 1_000_000, zone),
    st.integers(1_767_312_000_000_000, 1_890_864_000_000_000),  # microseconds: from 2026-01-02 to 2029-12-02
    st.sampled_from(ZONES),
)
lengths = st.timedeltas(timedelta(), timedelta(days=40))
some_time = st.timedeltas(timedelta(microseconds=1), timedelta(days=40))
kinds = st.booleans()

ONE_DAY = timedelta(days=1)

is_business_day = FIRST_RULES_CALENDAR.is_open_day


def later(start: datetime, length: timedelta, *, business: bool) -> datetime:
    """On the calendar of version 1 of the rules, or in plain time."""
    if business:
        return FIRST_RULES_CALENDAR.later(start, length, by_day=True)
    return plain_later(start, length)


def passed(start: datetime, end: datetime, *, business: bool) -> timedelta:
    if business:
        return FIRST_RULES_CALENDAR.passed(start, end, by_day=True)
    return plain_passed(start, end)


@pytest.mark.parametrize("day", sorted(HOLIDAYS))
def test_a_holiday_of_quebec_is_no_business_day(day: date) -> None:
    assert not is_business_day(day)


def test_every_other_day_from_monday_to_friday_is_a_business_day() -> None:
    days = [date(2026, 1, 1) + number * ONE_DAY for number in range(5 * 365)]
    assert [day for day in days if is_business_day(day)] == [
        day for day in days if day.isoweekday() <= 5 and day not in HOLIDAYS
    ]
    assert is_business_day(date(2026, 4, 6)), "Easter Monday"
    assert is_business_day(date(2026, 11, 11)), "Remembrance Day"
    assert is_business_day(date(2026, 8, 3)), "Civic Holiday, kept elsewhere in Canada"


BUSINESS_DAY_LATER = {
    "within a week": ("2026-02-02 09:00", "2026-02-03 09:00"),
    "over a weekend": ("2026-02-06 15:00", "2026-02-09 15:00"),
    "from a Saturday: the end of Monday": ("2026-02-07 10:00", "2026-02-10 00:00"),
    "from a Sunday: the end of Monday": ("2026-02-08 23:59", "2026-02-10 00:00"),
    "over Good Friday": ("2026-04-02 15:00", "2026-04-06 15:00"),
    "over Patriots' Day": ("2026-05-15 15:00", "2026-05-19 15:00"),
    "over 24 June": ("2026-06-23 15:00", "2026-06-25 15:00"),
    "from 24 June: the end of the 25th": ("2026-06-24 10:00", "2026-06-26 00:00"),
    "over 1 July": ("2026-06-30 15:00", "2026-07-02 15:00"),
    "over Labour Day": ("2026-09-04 15:00", "2026-09-08 15:00"),
    "over Thanksgiving": ("2026-10-09 15:00", "2026-10-13 15:00"),
    "over Christmas": ("2026-12-24 15:00", "2026-12-28 15:00"),
    "over New Year": ("2026-12-31 15:00", "2027-01-04 15:00"),
    "over Christmas on a Saturday, kept on Monday": ("2027-12-24 15:00", "2027-12-28 15:00"),
    "over the loss of an hour": ("2026-03-06 15:00", "2026-03-09 15:00"),
    "over the gain of an hour": ("2026-10-30 15:00", "2026-11-02 15:00"),
}


@pytest.mark.parametrize(("start", "end"), BUSINESS_DAY_LATER.values(), ids=BUSINESS_DAY_LATER.keys())
def test_one_business_day_later(start: str, end: str) -> None:
    assert later(toronto(start), ONE_DAY, business=True) == toronto(end)
    assert passed(toronto(start), toronto(end), business=True) == ONE_DAY


def test_a_plain_day_has_24_hours_also_when_the_clocks_change() -> None:
    assert later(toronto("2026-03-07 12:00"), ONE_DAY, business=False) == toronto("2026-03-08 13:00")
    in_toronto = toronto("2026-03-07 12:00").astimezone(ZONES[1])
    assert later(in_toronto, ONE_DAY, business=False) == toronto("2026-03-08 13:00")
    next_noon = toronto("2026-03-08 12:00").astimezone(ZONES[1])
    assert passed(in_toronto, next_noon, business=False) == timedelta(hours=23)


def test_no_time_passes_backwards() -> None:
    early, late = toronto("2026-02-02 09:00"), toronto("2026-02-03 09:00")
    for business in (True, False):
        assert passed(late, early, business=business) == timedelta()


@given(moments, lengths, kinds)
def test_passed_is_the_inverse_of_later(start: datetime, length: timedelta, business: bool) -> None:
    assert passed(start, later(start, length, business=business), business=business) == length


@given(moments, moments, kinds)
def test_later_is_the_inverse_of_passed(start: datetime, other: datetime, business: bool) -> None:
    """Up to time that is no business time: no business time passes between the two."""
    start, end = sorted((start, other), key=datetime.timestamp)
    back = later(start, passed(start, end, business=business), business=business)
    early, late = sorted((back, end), key=datetime.timestamp)
    assert passed(early, late, business=business) == timedelta()


@given(moments, moments, lengths, lengths, kinds)
def test_later_and_passed_are_monotonic(
    one: datetime, other: datetime, short: timedelta, long: timedelta, business: bool
) -> None:
    early, late = sorted((one, other), key=datetime.timestamp)
    short, long = sorted((short, long))
    assert later(early, short, business=business) <= later(late, short, business=business)
    assert later(early, short, business=business) <= later(early, long, business=business)
    assert passed(early, late, business=business) <= passed(early, late + ONE_DAY, business=business)


@given(moments, lengths, some_time, kinds)
def test_later_is_additive(start: datetime, first: timedelta, second: timedelta, business: bool) -> None:
    in_two = later(later(start, first, business=business), second, business=business)
    assert in_two == later(start, first + second, business=business)


@given(st.lists(moments, min_size=3, max_size=3), kinds)
def test_passed_is_additive(three: list[datetime], business: bool) -> None:
    a, b, c = sorted(three, key=datetime.timestamp)
    total = passed(a, c, business=business)
    assert passed(a, b, business=business) + passed(b, c, business=business) == total


@given(moments, some_time)
def test_business_time_agrees_with_another_way_to_count_it(start: datetime, length: timedelta) -> None:
    assert later(start, length, business=True) == moment_of(business_time(start) + length)
    end = (start.astimezone(UTC) + length).astimezone(start.tzinfo)
    assert passed(start, end, business=True) == business_time(end) - business_time(start)


@given(moments, st.sampled_from(ZONES), some_time, kinds)
def test_the_zone_of_a_moment_does_not_matter(start: datetime, zone: Any, length: timedelta, business: bool) -> None:
    elsewhere = start.astimezone(zone)
    assert later(elsewhere, length, business=business) == later(start.astimezone(UTC), length, business=business)
    end = (start.astimezone(UTC) + length).astimezone(zone)
    assert passed(elsewhere, end, business=business) == passed(start.astimezone(UTC), end, business=business)


SPAN = TypeAdapter(Span)


@pytest.mark.parametrize(
    ("text", "length", "business"),
    [("2h", timedelta(hours=2), False), ("3d", timedelta(days=3), False), ("7bd", timedelta(days=7), True)],
)
def test_a_span_is_written_as_people_say_it(text: str, length: timedelta, business: bool) -> None:
    span = Span.of(text)
    assert (span.length, span.business, str(span)) == (length, business, text)
    assert SPAN.dump_json(span) == f'"{text}"'.encode()
    assert SPAN.validate_json(f'"{text}"') == span


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "2w", "0d", "-1d", "1.5d", "10001d", "123456d", "٣d", "2H"])
def test_anything_else_is_no_span(text: str) -> None:
    with pytest.raises(ValidationError):
        Span.of(text)


@pytest.mark.parametrize("value", [2, 2.5, None, True, ["2h"], {"amount": True, "unit": "d"}, {"amount": 2}])
def test_a_span_is_no_number(value: Any) -> None:
    with pytest.raises(ValidationError):
        SPAN.validate_python(value)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-26T04:59:59Z", date(2026, 11, 25)),
        ("2026-11-26T05:00:00Z", date(2026, 11, 26)),
        ("2026-07-01T03:59:59Z", date(2026, 6, 30)),
        ("2026-07-01T04:00:00+00:00", date(2026, 7, 1)),
        ("2026-11-26T12:00:00+14:00", date(2026, 11, 25)),
    ],
)
def test_the_day_is_that_of_quebec_wherever_relais_runs(now: str, day: date) -> None:
    """By which births and consents in the future, and absences, are told."""
    assert day_of(datetime.fromisoformat(now)) == day
