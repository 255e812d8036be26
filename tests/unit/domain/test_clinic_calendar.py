"""A clinic's own hours, closing days and time zone: what ends on them ends while somebody is there, and time can be told back."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calendar import Calendar, Span
from domain.clinic_calendar import ClinicCalendar, week_of
from domain.closing_days import CLOSING_DAYS, ClosingDays
from domain.deadlines import Deadline
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority
from tests.unit.domain.oracle import HOLIDAYS
from tests.unit.domain.scenes import toronto

JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)
OFFICE = ClinicCalendar(week=week_of(["mon-fri 08:00-17:00"]))
CLINICS = {
    "around the clock": ClinicCalendar(),
    "office hours": OFFICE,
    "a pause at noon, Saturdays, days of its own": ClinicCalendar(
        week=week_of(["mon-thu 08:00-12:00 13:00-17:00", "fri 08:00-12:00", "sat 09:00-12:00"]),
        also_closed=(date(2026, 3, 9), date(2026, 8, 3)),
        open_after_all=(date(2026, 6, 24),),
    ),
    "Newfoundland, the labour act": ClinicCalendar(
        time_zone="America/St_Johns", closing_days=ClosingDays.QUEBEC_LABOUR, week=week_of(["mon-sun 08:30-16:30"])
    ),
    "nights, no closing days": ClinicCalendar(
        closing_days=ClosingDays.NONE, week=week_of(["mon-sun 00:00-03:00 20:00-24:00"])
    ),
}
CALENDARS = {name: clinic.frozen_at(JANUARY) for name, clinic in CLINICS.items()}

calendars = st.sampled_from(list(CALENDARS.values()))
moments = st.integers(1_768_500_000_000_000, 1_860_000_000_000_000).map(
    lambda microseconds: datetime.fromtimestamp(microseconds / 1_000_000, UTC)
)
lengths = st.timedeltas(timedelta(), timedelta(days=12))
by_days = st.booleans()


def is_open(calendar: Calendar, moment: datetime) -> bool:
    """By the wall clock of the zone's own library and the written days, not by the calendar's arithmetic."""
    local = moment.astimezone(ZoneInfo(calendar.time_zone))
    minutes = local.hour * 60 + local.minute
    hours = calendar.week[local.weekday()]
    return local.date() not in calendar.closing_days and any(h.opens <= minutes < h.closes for h in hours)


@given(calendars, moments, lengths, by_days)
def test_what_ends_ends_while_the_clinic_works(
    calendar: Calendar, start: datetime, length: timedelta, by_day: bool
) -> None:
    end = calendar.later(start, length, by_day=by_day)
    assert end >= start
    assert is_open(calendar, end)
    assert calendar.is_open(end)


@given(calendars, moments, lengths, by_days)
def test_passed_tells_back_what_later_let_pass(
    calendar: Calendar, start: datetime, length: timedelta, by_day: bool
) -> None:
    back = calendar.passed(start, calendar.later(start, length, by_day=by_day), by_day=by_day)
    slack = timedelta(microseconds=40) if by_day else timedelta()  # the hours of a day are stretched to 24
    assert length <= back <= length + slack


@given(calendars, moments, st.timedeltas(timedelta(), timedelta(days=12)), by_days)
def test_later_tells_back_what_passed(calendar: Calendar, start: datetime, gap: timedelta, by_day: bool) -> None:
    end = calendar.later(start + gap, timedelta(), by_day=by_day)
    back = calendar.later(start, calendar.passed(start, end, by_day=by_day), by_day=by_day)
    assert abs(back - end) <= timedelta(microseconds=40)


@given(calendars, moments, lengths, lengths, by_days)
def test_more_time_is_never_over_earlier(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta, by_day: bool
) -> None:
    short, long = sorted((one, other))
    assert calendar.later(start, short, by_day=by_day) <= calendar.later(start, long, by_day=by_day)


@given(calendars)
def test_a_calendar_survives_json(calendar: Calendar) -> None:
    assert calendar.is_open_day(date(2026, 2, 3))
    assert Calendar.model_validate_json(calendar.model_dump_json()) == calendar


EXAMPLES = {
    "two hours, half of one today": ("2h", "2026-02-02 16:30", "2026-02-03 09:30"),
    "two hours, begun at night": ("2h", "2026-02-02 22:00", "2026-02-03 10:00"),
    "two hours, begun on Friday evening": ("2h", "2026-02-06 18:00", "2026-02-09 10:00"),
    "two hours that end when it closes": ("2h", "2026-02-02 15:00", "2026-02-03 08:00"),
    "a business day": ("1bd", "2026-02-02 10:00", "2026-02-03 10:00"),
    "a business day over the weekend": ("1bd", "2026-02-06 15:00", "2026-02-09 15:00"),
    "a business day, begun at night": ("1bd", "2026-02-02 20:00", "2026-02-04 08:00"),
    "three days that end at night": ("3d", "2026-02-02 20:00", "2026-02-06 08:00"),
    "three days that end on a Sunday": ("3d", "2026-02-05 10:00", "2026-02-09 08:00"),
    "over Easter Monday": ("1bd", "2026-04-02 15:00", "2026-04-07 15:00"),
    "over the holidays at the end of the year": ("1bd", "2026-12-23 15:00", "2026-12-29 15:00"),
    "over New Year": ("1bd", "2026-12-30 15:00", "2027-01-05 15:00"),
    "two hours over the loss of an hour": ("2h", "2026-03-06 16:00", "2026-03-09 09:00"),
    "two hours over the gain of an hour": ("2h", "2026-10-30 16:00", "2026-11-02 09:00"),
}


@pytest.mark.parametrize(("limit", "start", "end"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_deadline_with_office_hours(limit: str, start: str, end: str) -> None:
    assert _deadline(limit, toronto(start), OFFICE.frozen_at(JANUARY)).due_at == toronto(end)


def _deadline(limit: str, start: datetime, calendar: Calendar | None) -> Deadline:
    terms = DeadlineTerms(limit={Priority.ASAP: Span.of(limit)}, remind_at=(0.5,), repeat=Span.of("1d"))
    return Deadline.start(DeadlineName.REPORT, terms, Priority.ASAP, start, calendar=calendar)


@given(calendars, moments, st.sampled_from(["2h", "7h", "1d", "5d", "1bd", "4bd"]), st.integers(0, 4), moments)
def test_no_reminder_and_no_repeat_falls_outside_the_hours(
    calendar: Calendar, start: datetime, limit: str, calls: int, pause: datetime
) -> None:
    deadline = _deadline(limit, start, calendar).model_copy(update={"calls": calls})
    assert deadline.next_moment is not None
    assert is_open(calendar, deadline.next_moment)
    resumed = deadline.stopped(max(start, pause)).resumed(max(start, pause) + timedelta(hours=9))
    assert resumed.next_moment is not None
    assert is_open(calendar, resumed.next_moment)


def test_a_repeat_comes_every_day_that_the_clinic_works() -> None:
    deadline = _deadline("2h", toronto("2026-02-05 16:30"), OFFICE.frozen_at(JANUARY)).model_copy(update={"calls": 2})
    assert deadline.next_moment == toronto("2026-02-09 09:30"), "the deadline itself was on Friday at 9:30"


def test_the_networks_days_are_the_labour_acts_and_five_more() -> None:
    network, labour = CLOSING_DAYS[ClosingDays.QUEBEC_NETWORK], CLOSING_DAYS[ClosingDays.QUEBEC_LABOUR]
    assert {day for day in labour if 2026 <= day.year <= 2030} == HOLIDAYS
    assert labour < network
    for year in range(2020, 2101):
        assert {date(year, 1, 2), date(year, 12, 24), date(year, 12, 26), date(year, 12, 31)} < network
    easter_mondays = {date(2026, 4, 6), date(2027, 3, 29), date(2028, 4, 17), date(2029, 4, 2), date(2030, 4, 22)}
    assert easter_mondays < network


def test_days_on_a_weekend_are_kept_on_the_nearest_working_days() -> None:
    network = CLOSING_DAYS[ClosingDays.QUEBEC_NETWORK]
    assert {
        day.isoformat() for day in network if date(2022, 12, 20) < day < date(2023, 1, 5) and day.weekday() < 5
    } == {
        *("2022-12-23", "2022-12-26", "2022-12-27", "2022-12-30", "2023-01-02", "2023-01-03"),
    }
    assert {
        day.isoformat() for day in network if date(2026, 12, 20) < day < date(2027, 1, 6) and day.weekday() < 5
    } == {
        *("2026-12-24", "2026-12-25", "2026-12-28", "2026-12-31", "2027-01-01", "2027-01-04"),
    }


def test_two_years_ahead_are_written_down_and_what_comes_after_is_still_known() -> None:
    calendar = ClinicCalendar(also_closed=(date(2027, 8, 2),)).frozen_at(toronto("2026-12-31 23:30"))
    assert calendar.until == date(2028, 12, 31)
    assert not calendar.is_open_day(date(2027, 8, 2))
    assert not calendar.is_open_day(date(2028, 12, 26))
    assert not calendar.is_open_day(date(2031, 12, 26))
    assert calendar.is_open_day(date(2031, 12, 23))
    assert calendar.later(toronto("2028-12-29 15:00"), timedelta(days=300), by_day=True) > toronto("2029-11-01 00:00")


def test_a_calendar_of_the_same_year_is_the_same() -> None:
    assert OFFICE.frozen_at(toronto("2026-01-02 09:00")) == OFFICE.frozen_at(toronto("2026-12-31 23:59"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "America/Montréal"},
        {"time_zone": "../etc"},
        {"week": [["17:00-08:00"]] + [[]] * 6},
        {"week": [["08:00-12:00", "11:00-17:00"]] + [[]] * 6},
        {"week": [["08:00-25:00"]] + [[]] * 6},
        {"week": [["08:00-17:00"]]},
        {"closing_days": "ontario"},
        {"also_closed": ["3 février"]},
    ],
)
def test_a_calendar_that_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClinicCalendar.model_validate(wrong)


@pytest.mark.parametrize("line", ["lundi 08:00-17:00", "mon 8-17", "fri-mon-sun 08:00-17:00", "mon- 08:00-17:00x"])
def test_hours_that_are_none(line: str) -> None:
    with pytest.raises(ValueError, match=r"is no day|are no hours"):
        week_of([line])


@given(calendars, moments)
def test_a_clinic_is_open_by_its_wall_clock(calendar: Calendar, moment: datetime) -> None:
    assert calendar.is_open(moment) == is_open(calendar, moment)


@pytest.mark.parametrize(
    ("moment", "there"),
    [
        ("2026-02-02 07:59:59", False),
        ("2026-02-02 08:00", True),
        ("2026-02-02 16:59:59", True),
        ("2026-02-02 17:00", False),  # nobody is there any more
        ("2026-02-01 12:00", False),  # a Sunday
        ("2026-06-24 12:00", False),
    ],
)
def test_office_hours(moment: str, there: bool) -> None:
    assert CALENDARS["office hours"].is_open(toronto(moment)) is there


def test_whole_days_are_those_on_which_the_clinic_works() -> None:
    week = CALENDARS["office hours"].whole_days().week
    assert [[(hours.opens, hours.closes) for hours in day] for day in week] == [[(0, 24 * 60)]] * 5 + [[]] * 2


def test_a_week_as_it_is_written() -> None:
    week = week_of(["mon-wed 08:00-12:00 13:00-17:00", "fri 09:00-12:00", "sun"])
    assert [" ".join(map(str, day)) for day in week] == [
        *["08:00-12:00 13:00-17:00"] * 3,
        "",
        "09:00-12:00",
        "",
        "",
    ]
    assert len(week_of(f"{day} 08:00-12:00" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))) == 7
    with pytest.raises(ValueError, match="'8-12 13-17' are no hours"):
        week_of(["mon 8-12 13-17"])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"week": [[]] * 7}, "never_open"),
        ({"week": [["08:00-12:00", "12:00-17:00"], *[[]] * 6]}, "hours_in_disorder"),  # they touch: one part of the day
        ({"week": [["13:00-17:00", "08:00-12:00"], *[[]] * 6]}, "hours_in_disorder"),
        ({"time_zone": "America/Atlantis"}, "no_time_zone"),
        ({"also_closed": ["2026-06-24"], "open_after_all": ["2026-06-24"]}, "closed_and_open"),
    ],
)
def test_what_is_wrong_has_a_code(wrong: dict[str, object], code: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ClinicCalendar.model_validate(wrong)
    assert [error["type"] for error in raised.value.errors()] == [code]


def test_what_is_written_down_is_what_may_be_asked() -> None:
    """The year that runs and two more: the closing days on which the clinic would work, and each change of the clocks."""
    calendar = OFFICE.frozen_at(JANUARY)
    assert {day.year for day in calendar.closing_days} == {2026, 2027, 2028}
    assert all(calendar.week[day.weekday()] for day in calendar.closing_days)
    assert calendar.offsets == (
        (datetime(2025, 12, 31, tzinfo=UTC), -300),
        (datetime(2026, 3, 8, 7, tzinfo=UTC), -240),
        (datetime(2026, 11, 1, 6, tzinfo=UTC), -300),
        (datetime(2027, 3, 14, 7, tzinfo=UTC), -240),
        (datetime(2027, 11, 7, 6, tzinfo=UTC), -300),
        (datetime(2028, 3, 12, 7, tzinfo=UTC), -240),
        (datetime(2028, 11, 5, 6, tzinfo=UTC), -300),
    )
