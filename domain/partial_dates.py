"""A date as far as it is known: a day, a month, or only a year, written as FHIR writes a ``date``."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

_WRITTEN = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?", re.ASCII)


def read_day(written: object) -> date | None:
    """The day that is written as ``2026-11-22``; None for anything else: 20261122 and 2026-W47-7 would be shown as they stand."""
    try:
        day = date.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return day if day is not None and day.isoformat() == written else None


@dataclass(frozen=True)
class PartialDate:
    """A day; without `day` some day of a month; without `month` some day of a year."""

    year: int
    month: int | None = None
    day: int | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """The date that is written as ``1980``, ``1980-05`` or ``1980-05-17``. Raises ValueError for anything else."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError("a date such as 1980, 1980-05 or 1980-05-17 is expected")
        read = cls(*(int(part) if part else None for part in found.groups()))  # type: ignore[arg-type]
        _ = read.first  # there is no 30 February
        return read

    @property
    def first(self) -> date:
        """The earliest day that it may be."""
        return date(self.year, *(1 if part is None else part for part in (self.month, self.day)))

    @property
    def last(self) -> date:
        """The latest day that it may be."""
        if self.day is not None:
            return self.first
        if self.month in (None, 12):
            return date(self.year, 12, 31)
        return date(self.year, self.month + 1, 1) - timedelta(days=1)

    def may_be(self, day: date) -> bool:
        """Whether it may be that day."""
        return self.first <= day <= self.last

    def __str__(self) -> str:
        parts = (f"{self.year:04}", self.month and f"{self.month:02}", self.day and f"{self.day:02}")
        return "-".join(part for part in parts if part)


def _checked(text: str) -> str:
    PartialDate.read(text)
    return text


WrittenPartialDate = Annotated[str, AfterValidator(_checked)]
"""A date as far as it is known, as text: ``1980``, ``1980-05`` or ``1980-05-17``."""


def _known(value: object) -> object:
    if value is None:
        return None
    try:
        return str(PartialDate.read(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        raise PydanticCustomError("not_a_partial_date", "a day, a month or a year is expected") from None


KnownDate = Annotated[str, BeforeValidator(_known)]
"""The same as somebody gives it now, with a code of ours where it can't be read."""


def _day(value: object) -> object:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    read = read_day(value.strip() if isinstance(value, str) else value)
    if read is None:
        raise PydanticCustomError("not_a_date", "a date such as 2026-11-22 is expected")
    return read


WrittenDay = Annotated[date, BeforeValidator(_day)]
"""A day that is written as ``2026-11-22``, and in no other way."""
