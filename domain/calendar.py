"""Time as people agree on it: spans, and the calendar on which they pass, as a value.

A calendar says when a clinic works: its closing days, its hours and the offsets of its time zone, all written down, so that what
was promised on it stays promised whatever a library, a law or a clinic says later. A business day is a day on which the clinic
works; its hours, however many, count as one day. A clinic that works all 24 hours from Monday to Friday makes one business day
after Friday 15:00 Monday 15:00, and one with hours from 8:00 to 17:00 as well.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from domain.closing_days import CLOSING_DAYS, LABOUR_ACT, ClosingDays
from domain.model import Frozen

TIME_ZONE = ZoneInfo("America/Toronto")
"""The zone in which Relais shows moments and counts years."""

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

_UNITS = {"h": timedelta(hours=1), "d": DAY, "bd": DAY}


def day_of(moment: datetime) -> date:
    """The day that it is then for those who use Relais, wherever it runs."""
    return moment.astimezone(TIME_ZONE).date()


def midnight(day: date, zone: ZoneInfo = TIME_ZONE) -> datetime:
    """When that day begins there, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


class Span(Frozen):
    """A length of time as people agree on it: ``2h``, ``3d`` or ``7bd`` (business days). Written as that text in JSON."""

    amount: Annotated[StrictInt, Field(ge=1, le=10_000)]
    unit: str = Field(pattern="^(h|d|bd)$")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, dict | Span):
            return value
        match = re.fullmatch(r"([0-9]{1,5})(h|d|bd)", value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("a span is written 2h (hours), 3d (days) or 7bd (business days)")
        return {"amount": int(match[1]), "unit": match[2]}

    @model_serializer
    def _as_text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"

    @property
    def business(self) -> bool:
        """Whether the span passes in business time."""
        return self.unit == "bd"

    @property
    def length(self) -> timedelta:
        """The span's length in its own kind of time (24 hours a business day)."""
        return self.amount * _UNITS[self.unit]

    @classmethod
    def of(cls, text: str) -> Self:
        """The span that `text` writes; ValueError when it writes none."""
        return cls.model_validate(text)


class Hours(Frozen):
    """A part of a day during which a clinic works: ``08:00-17:00``. Written as that text in JSON; the end may be ``24:00``."""

    opens: Annotated[StrictInt, Field(ge=0, lt=1440, description="Minutes of the wall clock since midnight.")]
    closes: Annotated[StrictInt, Field(gt=0, le=1440)]

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, dict | Hours):
            return value
        match = (
            re.fullmatch(r"([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])", value)
            if isinstance(value, str)
            else None
        )
        if match is None:
            raise PydanticCustomError("not_hours", "hours are written 08:00-17:00")
        opens, closes = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        return {"opens": opens, "closes": closes}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise PydanticCustomError("not_hours", "a clinic opens before it closes")
        return self

    @model_serializer
    def _as_text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (self.opens, self.closes))


WHOLE_DAY = (Hours(opens=0, closes=1440),)

Week = Annotated[tuple[tuple[Hours, ...], ...], Field(min_length=7, max_length=7)]
"""The hours of each day from Monday to Sunday, in order; none on a day without service."""

WORKING_WEEK: Week = (*(WHOLE_DAY,) * 5, (), ())
"""All 24 hours from Monday to Friday."""


@dataclass(frozen=True)
class _Day:
    """The open parts of one day, in UTC, half-open and in order."""

    parts: tuple[tuple[datetime, datetime], ...]
    length: timedelta

    def passed_by(self, moment: datetime) -> timedelta:
        """How much of the day's open time has passed by `moment`."""
        if moment <= self.parts[0][0]:
            return timedelta()
        if moment >= self.parts[-1][1]:
            return self.length
        return sum((max(min(closes, moment) - opens, timedelta()) for opens, closes in self.parts), timedelta())

    def moment_at(self, passed: timedelta) -> datetime | None:
        """When so much of it has passed and the clinic is open; None when that is not on this day."""
        for opens, closes in self.parts:
            if passed < closes - opens:
                return opens + passed
            passed -= closes - opens
        return None


class Calendar(Frozen):
    """When a clinic works, frozen.

    `closing_days` is complete up to the day `until`; beyond it the list called `beyond` counts, as this code has it. The
    `offsets` are those of the time zone, each with the moment since which it counts, in minutes east of UTC.
    """

    time_zone: str
    offsets: Annotated[tuple[tuple[AwareDatetime, int], ...], Field(min_length=1)]
    week: Week = WORKING_WEEK
    closing_days: tuple[date, ...] = Field((), description="In order.")
    until: date
    beyond: ClosingDays = ClosingDays.NONE
    until_close: StrictBool = Field(
        False, description="What ends exactly when the clinic closes ends then, and not when it opens again."
    )

    def is_open_day(self, day: date) -> bool:
        """Whether the clinic works on `day`."""
        return bool(self.week[day.weekday()]) and not self._is_closing_day(day)

    def is_open(self, moment: datetime) -> bool:
        """Whether the clinic works at `moment`."""
        day = self._day(self._local(moment).date())
        return day is not None and any(opens <= moment < closes for opens, closes in day.parts)

    @property
    def usual_day(self) -> timedelta:
        """How long the clinic works on the longest day of a week."""
        return max(sum((hours.closes - hours.opens for hours in day), 0) for day in self.week) * MINUTE

    def later(self, start: datetime, length: timedelta, *, by_day: bool) -> datetime:
        """The moment, in UTC, at which `length` of the clinic's time has passed since `start`; the clinic is open then.

        With `by_day` the hours of each day count as 24 hours, however many they are; without, every hour as itself.
        """
        start = start.astimezone(UTC)
        for day in self._days(start):
            whole = DAY if by_day else day.length
            gone = _part(day.passed_by(start), day.length, whole)
            if self.until_close and length == whole - gone:
                return day.parts[-1][1]
            if length < whole - gone:
                moment = day.moment_at(_start_of(gone + length, day.length, whole))
                if moment is not None:
                    return max(moment, start)
            length = max(length - (whole - gone), timedelta())
        raise AssertionError("open days never end")

    def passed(self, start: datetime, end: datetime, *, by_day: bool) -> timedelta:
        """How much of the clinic's time has passed from `start` to `end`; zero when `end` is not later. Undoes `later`.

        Where a day's hours are stretched to 24, it does so to some microseconds.
        """
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        total = timedelta()
        for day in self._days(start):
            if day.parts[0][0] >= end or end <= start:
                break
            whole = DAY if by_day else day.length
            gone, there = day.passed_by(start), day.passed_by(end)
            total += _part(there, day.length, whole) - _part(gone, day.length, whole)
        return total

    def whole_days(self) -> Self:
        """The same calendar with every day of service open around the clock."""
        return self.model_copy(update={"week": tuple(WHOLE_DAY if hours else () for hours in self.week)})

    def _days(self, start: datetime) -> Iterator[_Day]:
        """The days on which the clinic works, from that of `start` on, in order, without end."""
        date_ = self._local(start).date()
        while True:
            day = self._day(date_)
            if day is not None:
                yield day
            date_ += DAY

    def _day(self, day: date) -> _Day | None:
        if not self.is_open_day(day):
            return None
        midnight = datetime.combine(day, time(), UTC)
        parts = tuple(
            (self._moment(midnight + hours.opens * MINUTE), self._moment(midnight + hours.closes * MINUTE))
            for hours in self.week[day.weekday()]
        )
        length = sum((closes - opens for opens, closes in parts), timedelta())
        return _Day(parts, length) if length else None

    def _is_closing_day(self, day: date) -> bool:
        if day > self.until:
            return day in CLOSING_DAYS[self.beyond]
        position = bisect_left(self.closing_days, day)
        return position < len(self.closing_days) and self.closing_days[position] == day

    def _local(self, moment: datetime) -> datetime:
        """What the clinic's wall clock shows at `moment`, as if it stood in UTC."""
        position = bisect_right(self._changes, moment.astimezone(UTC))
        return moment.astimezone(UTC) + self.offsets[max(position - 1, 0)][1] * MINUTE

    def _moment(self, local: datetime) -> datetime:
        """When the clinic's wall clock shows `local`: the later moment where it shows it twice."""
        position = bisect_right(self._changes, local + DAY) - 1
        while position > 0 and local - self.offsets[position][1] * MINUTE < self._changes[position]:
            position -= 1
        return local - self.offsets[max(position, 0)][1] * MINUTE

    @cached_property
    def _changes(self) -> list[datetime]:
        return [since for since, _ in self.offsets]


def later(start: datetime, length: timedelta) -> datetime:
    """The moment, in UTC, at which `length` of plain time has passed since `start`."""
    return start.astimezone(UTC) + length  # arithmetic within one zone would follow its wall clock, not time


def passed(start: datetime, end: datetime) -> timedelta:
    """How much plain time has passed from `start` to `end`; zero when `end` is not later."""
    return max(end.astimezone(UTC) - start.astimezone(UTC), timedelta())


def _part(passed: timedelta, length: timedelta, whole: timedelta) -> timedelta:
    """What `passed` of a day of that length makes when the day counts as `whole`."""
    return passed if length == whole else timedelta(microseconds=_us(passed) * _us(whole) // _us(length))


def _start_of(part: timedelta, length: timedelta, whole: timedelta) -> timedelta:
    """The first moment of a day at which that much of `whole` has passed."""
    return part if length == whole else timedelta(microseconds=-(-_us(part) * _us(length) // _us(whole)))


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _toronto() -> Iterator[tuple[datetime, int]]:
    """Toronto's offsets from 2020 to 2100, by the law of 2007: from the second Sunday of March to the first of November."""
    yield datetime(2020, 1, 1, tzinfo=UTC), -300
    for year in range(2020, 2101):
        march, november = datetime(year, 3, 8, 7, tzinfo=UTC), datetime(year, 11, 1, 6, tzinfo=UTC)
        yield march + (6 - march.weekday()) * DAY, -240
        yield november + (6 - november.weekday()) * DAY, -300


FIRST_RULES_CALENDAR = Calendar(
    time_zone="America/Toronto",
    offsets=tuple(_toronto()),
    closing_days=tuple(sorted(LABOUR_ACT)),
    until=date(2100, 12, 31),
    until_close=True,
)
"""The calendar of version 1 of the rules, for every request: 24 hours from Monday to Friday without the labour act's holidays."""
