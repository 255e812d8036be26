"""How long a clinic keeps a request that is over, and what keeps one from being destroyed. See docs/decisions/retention.md."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from domain.calendar import day_of
from domain.model import Frozen
from domain.partial_dates import PartialDate

FEWEST_YEARS = 10
"""As the keeping of medical records asks for at least; what is destroyed too early never comes back."""

DRAFTS_KEPT_FOR = timedelta(days=30)
DRAFTS_WARNED_BEFORE = timedelta(days=7)
"""How long a draft that was never submitted lies untouched until it is removed, and how long before its writer is warned."""

MOST_AT_ONCE = 500
"""So many requests one list holds: somebody looks at each."""


class RetentionPolicy(Frozen):
    """How long a clinic keeps what is over: so many years from the last entry. Of who was younger than `minors_until` then, also
    until that age and `minors_years` more.
    """

    years: int = Field(FEWEST_YEARS, ge=FEWEST_YEARS, le=100, description="Years from the last entry.", examples=[10])
    minors_until: int = Field(
        18, ge=14, le=25, description="The age, in years, below which a patient is a minor.", examples=[18]
    )
    minors_years: int = Field(
        FEWEST_YEARS, ge=0, le=100, description="Years that are kept beyond that age.", examples=[10]
    )

    def kept_until(self, last_entry: datetime, born: str | None) -> date:
        """The last day on which a request is kept; `born` as forms hold it.

        Who may have been a minor counts as one, and who gives no day of birth as born on the day of the last entry.
        """
        entered = day_of(last_entry)
        until = _later(entered, self.years)
        birth = _latest_birth(born) or entered
        if _later(birth, self.minors_until) > entered:
            until = max(until, _later(birth, self.minors_until + self.minors_years))
        return until


class ListState(StrEnum):
    """Where a list of requests whose time is over stands."""

    WAITING = "waiting"  # for somebody's approval
    APPROVED = "approved"  # its requests are being destroyed
    DONE = "done"  # its certificate is there


class EntryOutcome(StrEnum):
    """What became of a request of a list."""

    DESTROYED = "destroyed"
    KEPT = "kept"


class KeptBecause(StrEnum):
    """Why a request that stood on a list was kept after all."""

    HELD = "held"  # somebody has said that it must be kept
    OPEN = "open"  # something is still to be done about it, or on its way
    YOUNGER = "younger"  # something was entered since, or another policy is in force
    UNREADABLE = "unreadable"  # it does not open, so nobody knows for how long it must be kept
    GONE = "gone"  # it is not there any more


def _later(day: date, years: int) -> date:
    """The same day so many years later; the first of March where there is no 29 February."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _latest_birth(born: str | None) -> date | None:
    try:
        return PartialDate.read(born).last if born else None
    except ValueError:
        return None
