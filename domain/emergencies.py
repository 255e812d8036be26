"""Access in an emergency: who may open a request that they would not see, for how long, and how often somebody may try.

See docs/decisions/emergency-access.md.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.rates import Rate
from domain.requests import Role

LASTS = timedelta(hours=4)
"""Then a reason is to be given anew."""

TRIES = Rate(10, timedelta(minutes=6))
"""Of one person, whatever comes of them: numbers are not to be tried one after another."""

END_HOLDS = timedelta(hours=24)
"""So long nobody opens a request anew of whom somebody else has said that it has ended. A colleague may."""

A_DAY = timedelta(hours=24)

TOLD_AT = 3
"""So many refused tries of one person within a day are told of."""

ENDS_TOLD_AT = 2
"""Who ends what so many people opened within a day is told of to operators as well: they may mean to deny it to everybody."""

ENDS_GATHERED_FOR = timedelta(hours=1)
"""Of what one person ends an operator gets an e-mail at once, and then no more than one in such a time, which tells of all."""

_MAY_OPEN = (Role.PROVIDER, Role.REQUESTER)


@dataclass(frozen=True)
class Ended:
    """It was ended by hand, by whom and when."""

    by: UUID
    at: datetime


@dataclass(frozen=True)
class Course:
    """From when to when somebody reads a request, and who has ended that."""

    reader: UUID
    begun_at: datetime
    ends_at: datetime
    ends: tuple[Ended, ...] = ()

    @property
    def end(self) -> Ended | None:
        """By what it was over before its time."""
        return min((one for one in self.ends if one.at < self.ends_at), key=lambda one: one.at, default=None)

    @property
    def held_until(self) -> datetime | None:
        """Until when its reader can't open it anew, as somebody else has ended it."""
        return max((one.at + END_HOLDS for one in self.ends if one.by != self.reader), default=None)

    def ends_by(self, who: UUID, now: datetime) -> bool:
        """Whether it changes anything that they end it: of its reader while it lasts; of others for a day, once."""
        if who == self.reader:
            return not self.ends and now < self.ends_at
        return self.held_until is None and now < self.begun_at + A_DAY


def goes_at(written: Sequence[datetime], now: datetime, *, last_waits: bool) -> datetime | None:
    """When an e-mail to an operator goes of what one person ended, of whom these were `written` before, the first first; None
    where the last of them waits still, and tells of all when it goes.
    """
    goes: datetime | None = None
    for at in written:
        goes = at if goes is None else max(at, goes + ENDS_GATHERED_FOR)
    if goes is None:
        return now
    gathers = goes > written[-1]  # one that goes at once tells of nothing that comes after it
    if gathers and goes > now:
        return None if last_waits else goes
    return max(now, goes + ENDS_GATHERED_FOR)


def opens_as(roles: Collection[Role]) -> Role | None:
    """The role in which somebody may open a request in an emergency; None for who treats nobody, and for operators."""
    if Role.OPERATOR in roles:
        return None
    return next((role for role in _MAY_OPEN if role in roles), None)
