"""How long a clinic keeps a request that is over, and what keeps one from being destroyed. See docs/decisions/retention.md."""

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from domain.calendar import day_of
from domain.model import Frozen
from domain.partial_dates import PartialDate

FEWEST_YEARS = 10
"""As the keeping of medical records asks for at least; what is destroyed too early never comes back."""

ADULT_AT = 18
"""Of who was younger, the years are counted from that age on at the earliest."""

DRAFTS_KEPT_FOR = timedelta(days=30)
DRAFTS_WARNED_BEFORE = timedelta(days=7)
"""How long a draft that was never submitted lies untouched until it is removed, and how long before its writer is warned."""

MOST_AT_ONCE, MOST_THINGS = 500, 5_000
"""So many requests one list holds: somebody looks at each. And so many forms, reports and files, for its certificate names each;
one request with more stands on a list by itself.
"""

DESTROYED_AFTER = timedelta(days=3)
"""From the approval of a list until anything of it is destroyed: so long any administrator of the clinic takes it back. The
e-mail about it (`activities.account_texts`) and the page say it in words.
"""


class RetentionPolicy(Frozen):
    """How long a clinic keeps what is over: so many years from the last entry. Of who was younger than `minors_until` then, also
    until that age and `minors_years` more.
    """

    years: int = Field(FEWEST_YEARS, ge=FEWEST_YEARS, le=100, description="Years from the last entry.", examples=[10])
    minors_until: int = Field(
        ADULT_AT, ge=ADULT_AT, le=25, description="The age, in years, below which a patient is a minor.", examples=[18]
    )
    minors_years: int = Field(
        FEWEST_YEARS, ge=FEWEST_YEARS, le=100, description="Years that are kept beyond that age.", examples=[10]
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

    def is_shorter_than(self, other: "RetentionPolicy") -> bool:
        """Whether anything is kept for less long than by the other one."""
        ends = self.minors_until + self.minors_years, other.minors_until + other.minors_years
        return self.years < other.years or self.minors_until < other.minors_until or ends[0] < ends[1]


def kept_until(policies: Iterable[RetentionPolicy], last_entry: datetime, births: Collection[str | None]) -> date:
    """The last day on which a request is kept: the latest that any of these policies asks for any of these days of birth.

    The least that Relais allows counts in any case, and where no day of birth is given, that is one that is not known.
    """
    return max(
        policy.kept_until(last_entry, born) for policy in (RetentionPolicy(), *policies) for born in births or (None,)
    )


def earliest_day(*clocks: datetime) -> date:
    """Today, by the clock that is furthest behind: one alone that is ahead ends nobody's time."""
    return day_of(min(clocks))


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
    FOLLOWED = "followed"  # a request that follows it is there still
    OPEN = "open"  # something is still to be done about it, or on its way
    YOUNGER = "younger"  # something was entered since, or another policy is in force
    UNREADABLE = "unreadable"  # it, or another that may be of its patient, does not open: nobody knows what to keep
    GONE = "gone"  # it is not there any more
    RESTRICTED = "restricted"  # shut within its clinic, or let go by operators, and one person alone approved


def _later(day: date, years: int) -> date:
    """The same day so many years later; the first of March where there is no 29 February, and the last day that there is."""
    year = day.year + years
    if year > date.max.year:
        return date.max
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def _latest_birth(born: str | None) -> date | None:
    try:
        return PartialDate.read(born).last if born else None
    except ValueError:
        return None
