"""Business time: how a span of hours, days or business days passes on the calendar.

A business day is a day from Monday to Friday that is no holiday of Québec, in the time zone America/Toronto. Business time
passes only on such days, all 24 hours of them: one business day after Friday 15:00 is Monday 15:00, and one business day
after Saturday 10:00 is the end of Monday.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import holidays
from pydantic import Field, StrictInt, model_serializer, model_validator

from domain.model import Frozen

TIME_ZONE = ZoneInfo("America/Toronto")
DAY = timedelta(days=1)

_UNITS = {"h": timedelta(hours=1), "d": DAY, "bd": DAY}


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


# Worked out once, at import: the library imports its countries late, which a workflow's sandbox does not let through.
_HOLIDAYS = frozenset(holidays.country_holidays("CA", subdiv="QC", years=range(2020, 2101)))


def is_business_day(day: date) -> bool:
    """Whether `day` is a working day in Québec: Monday to Friday and no public holiday."""
    return day.weekday() < 5 and day not in _HOLIDAYS


def later(start: datetime, length: timedelta, *, business: bool) -> datetime:
    """The moment, in UTC, at which `length` has passed since `start` (with a zone), in business time or in plain time."""
    start = start.astimezone(UTC)  # arithmetic within one zone would follow its wall clock, not time
    if not business:
        return start + length
    for opens, closes in _business_stretches(start):
        if length <= closes - opens:
            return opens + length
        length -= closes - opens
    raise AssertionError("business days never end")


def passed(start: datetime, end: datetime, *, business: bool) -> timedelta:
    """How much time has passed from `start` to `end`, in business time or in plain time; zero when `end` is not later."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        return timedelta()
    if not business:
        return end - start
    total = timedelta()
    for opens, closes in _business_stretches(start):
        if opens >= end:
            break
        total += min(closes, end) - opens
    return total


def _business_stretches(start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The parts of business days from `start` (in UTC) on, in UTC: half-open, in order, without end."""
    day = start.astimezone(TIME_ZONE).date()
    while True:
        if is_business_day(day):
            opens = datetime.combine(day, time(), TIME_ZONE).astimezone(UTC)
            closes = datetime.combine(day + DAY, time(), TIME_ZONE).astimezone(UTC)
            yield max(opens, start), closes
        day += DAY
