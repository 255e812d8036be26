"""When somebody is away: which absences make sense."""

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum

from domain.model import Frozen

LONGEST = timedelta(days=366)
"""An absence is at most a year long; a longer one is entered a year at a time."""

MAX_NOTE = 500


class Absence(Frozen):
    """Whole days away, both ends included, on the calendar of America/Toronto."""

    starts_on: date
    ends_on: date

    def overlaps(self, other: "Absence") -> bool:
        """Whether they share a day."""
        return self.starts_on <= other.ends_on and other.starts_on <= self.ends_on


class AbsenceFault(StrEnum):
    """Why an absence can't be entered."""

    ENDS_BEFORE_START = "absence_ends_before_start"
    TOO_LONG = "absence_too_long"
    IN_THE_PAST = "absence_in_the_past"
    OVERLAPS = "absence_overlaps"


def check_absence(new: Absence, others: Iterable[Absence], today: date) -> AbsenceFault | None:
    """What is wrong with a new absence of somebody who has those others already; None when it can be entered."""
    if new.ends_on < new.starts_on:
        return AbsenceFault.ENDS_BEFORE_START
    if new.ends_on - new.starts_on >= LONGEST:
        return AbsenceFault.TOO_LONG
    if new.ends_on < today:
        return AbsenceFault.IN_THE_PAST
    if any(new.overlaps(other) for other in others):
        return AbsenceFault.OVERLAPS
    return None
