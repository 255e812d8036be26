"""The versions of the rules: what differs between them, as values.

Every request carries the version that it lives under (`Request.rules`) and keeps it until it is renewed, which is an event of its
own. What is the same in all versions stands in `domain.lifecycle`, where each row of the table says in which versions it counts.
How to change a rule: docs/changing-rules.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domain.calendar import Calendar, Span
from domain.offerings import Terms


@dataclass(frozen=True)
class Rules:
    """One version. `calendar` says on which calendar a clock with this limit passes; None: in plain time, or on version 1's.

    `waits_for_reading`: while a report that must be read without delay is not known to be read, the calendar does not end the
    request, which would end its calls as well. `takes_back`: whoever accepts or assigns can take it back at once.
    """

    version: int
    calendar: Callable[[Terms, Span], Calendar | None]
    waits_for_reading: bool
    takes_back: bool = False


def _one_for_all(_terms: Terms, _limit: Span) -> None:
    return None


def _of_the_terms(terms: Terms, limit: Span) -> Calendar | None:
    return terms.calendar if limit.business or terms.service_hours == "clinic" else None


RULES: Mapping[int, Rules] = {
    1: Rules(1, calendar=_one_for_all, waits_for_reading=False),
    2: Rules(2, calendar=_of_the_terms, waits_for_reading=False),
    3: Rules(3, calendar=_of_the_terms, waits_for_reading=True),
    4: Rules(4, calendar=_of_the_terms, waits_for_reading=True, takes_back=True),
    5: Rules(5, calendar=_of_the_terms, waits_for_reading=True, takes_back=True),
}
"""Every version under which a request may still live."""

CURRENT = max(RULES)
"""The version of requests that are submitted now."""


class UnknownRulesError(Exception):
    """The request lives under rules that this code does not have; whoever meets it must not decide anything."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the request lives under version {version} of the rules; this code has {min(RULES)} to {CURRENT}"
        )
        self.version = version


def rules_of(version: int) -> Rules:
    """The rules of that version. Raises UnknownRulesError."""
    try:
        return RULES[version]
    except KeyError:
        raise UnknownRulesError(version) from None
