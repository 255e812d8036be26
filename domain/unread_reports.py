"""A report that its requester has not read: from when on others of their clinic see it, so that it does not lie there.

Nothing of a request changes by it: it follows from when the report came, from who has looked at it, and from the clock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import calendar
from domain.calendar import DAY, FIRST_RULES_CALENDAR
from domain.requests import EventName, Request, Role

CLINIC_SEES_AFTER = timedelta(days=3)
"""When the whole clinic of its requester sees it."""

COLLEAGUES_SEE_AFTER = DAY
"""So much business time later they do while the requester is away."""

BRINGS_A_REPORT = frozenset(
    {EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED, EventName.ADDENDUM_ISSUED}
)
_ENDS_IT = frozenset(
    {EventName.READING_CONFIRMED, EventName.READ_FOR_REQUESTER, EventName.CANCELLED, EventName.ABANDONED}
)


@dataclass(frozen=True)
class Unread:
    """From when on whom it is shown to."""

    colleagues_from: datetime
    clinic_from: datetime


def unread_from(request: Request, at: datetime) -> Unread:
    """For a report that came at that time: by the calendar of the request's clinic, as far as business days count."""
    business = request.terms.calendar or FIRST_RULES_CALENDAR
    return Unread(
        colleagues_from=business.later(at, COLLEAGUES_SEE_AFTER, by_day=True),
        clinic_from=calendar.later(at, CLINIC_SEES_AFTER),
    )


def ends_unread(event: EventName, role: Role) -> bool:
    """Whether after that event, by somebody in that role, nobody else has to read the report any more.

    Whatever its requester does with the request they do with its page before them.
    """
    return event in _ENDS_IT or role is Role.REQUESTER
