"""When a clinic works, as the clinic sets it: from this the calendar is made that a request gets frozen when it is submitted."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain.calendar import DAY, MINUTE, TIME_ZONE, WORKING_WEEK, Calendar, Hours, Week
from domain.closing_days import CLOSING_DAYS, ClosingDays
from domain.model import Frozen

YEARS_AHEAD = 2
"""How many whole years after the current one are written down; beyond them the list counts as the code has it."""


def _in_order(week: Week) -> Week:
    """The same week; ValueError when a day's hours overlap or stand out of order, or when there are none at all."""
    if not any(week):
        raise PydanticCustomError("never_open", "a clinic works on some day of the week")
    for hours in week:
        if any(before.closes >= after.opens for before, after in pairwise(hours)):
            raise PydanticCustomError(
                "hours_in_disorder", "the hours of a day stand in order and don't touch each other"
            )
    return week


DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def week_of(lines: Iterable[str]) -> Week:
    """The week that lines like ``mon-thu 08:00-12:00 13:00-17:00`` or ``sat 09:00-12:00`` write.

    Raises ValueError, with what is wrong.
    """
    week: list[tuple[Hours, ...]] = [()] * 7
    for line in lines:
        days, *parts = line.split()
        first, _, last = days.partition("-")
        if not {first, last or first} <= set(DAY_NAMES):
            raise ValueError(f"'{days}' is no day or range of days such as mon-fri")
        try:
            hours = tuple(Hours.model_validate(part) for part in parts)
        except ValidationError:
            raise ValueError(f"'{' '.join(parts)}' are no hours such as 08:00-17:00") from None
        for day in range(DAY_NAMES.index(first), DAY_NAMES.index(last or first) + 1):
            week[day] = hours
    return tuple(week)


def _known(time_zone: str) -> str:
    try:
        ZoneInfo(time_zone)
    except (LookupError, ValueError, OSError):
        raise PydanticCustomError("no_time_zone", "there is no such time zone") from None
    return time_zone


OwnDays = Annotated[tuple[date, ...], Field(max_length=400), AfterValidator(lambda days: tuple(sorted(set(days))))]


class ClinicCalendar(Frozen):
    """A clinic's own settings. `also_closed` and `open_after_all` come on top of the list of closing days."""

    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_known)] = TIME_ZONE.key
    closing_days: ClosingDays = ClosingDays.QUEBEC_NETWORK
    also_closed: OwnDays = ()
    open_after_all: OwnDays = ()
    week: Annotated[Week, AfterValidator(_in_order)] = WORKING_WEEK

    @model_validator(mode="after")
    def _no_day_is_both(self) -> Self:
        if set(self.also_closed) & set(self.open_after_all):
            raise PydanticCustomError("closed_and_open", "a day is either closed or open")
        return self

    def frozen_at(self, now: datetime) -> Calendar:
        """The calendar from `now` on, with nothing left open to a library: see `YEARS_AHEAD`."""
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        until = date(today.year + YEARS_AHEAD, 12, 31)
        days = (CLOSING_DAYS[self.closing_days] | set(self.also_closed)) - set(self.open_after_all)
        written = sorted(day for day in days if today.year <= day.year <= until.year and self.week[day.weekday()])
        first = datetime(today.year, 1, 1, tzinfo=UTC) - DAY
        return Calendar(
            time_zone=self.time_zone,
            offsets=offsets_of(zone, first, datetime(until.year + 1, 1, 1, tzinfo=UTC)),
            week=self.week,
            closing_days=tuple(written),
            until=until,
            beyond=self.closing_days,
        )


def offsets_of(zone: ZoneInfo, first: datetime, last: datetime) -> tuple[tuple[datetime, int], ...]:
    """The offsets of a time zone from `first` to `last`, as the system's time zone data has them now."""

    def minutes(moment: datetime) -> int:
        return round((moment.astimezone(zone).utcoffset() or timedelta()) / MINUTE)

    offsets = [(first, minutes(first))]
    moment = first
    while moment < last:
        following = moment + DAY
        if minutes(following) != offsets[-1][1]:
            while following - moment > MINUTE:
                middle = moment + ((following - moment) / 2 // MINUTE) * MINUTE
                moment, following = (moment, middle) if minutes(middle) != offsets[-1][1] else (middle, following)
            offsets.append((following, minutes(following)))
        moment = following
    return tuple(offsets)
