"""What is counted of requests, week by week: how many were asked and answered, and how long answers took."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from domain.calendar import day_of

ANSWERED_WITHIN: Sequence[timedelta] = tuple(timedelta(hours=hours) for hours in (4, 8, 24, 48, 72, 120, 168, 336, 720))
"""Answers are counted by the first of these that they did not exceed; one more count is for those that took longer."""


class Side(StrEnum):
    """As what a clinic is counted."""

    ASKED = "asked"  # its people asked
    ANSWERED = "answered"  # its people signed the report


SUBMITTED = "submitted"


def week_of(moment: datetime) -> date:
    """The Monday of its week, by the clinics' calendar."""
    day = day_of(moment)
    return day - timedelta(days=day.weekday())


def measure_of(took: timedelta) -> str:
    """By which name an answer is counted that took so long."""
    within = next((n for n, limit in enumerate(ANSWERED_WITHIN) if took <= limit), len(ANSWERED_WITHIN))
    return f"answered_{within}"


MEASURES = (SUBMITTED, *(f"answered_{n}" for n in range(len(ANSWERED_WITHIN) + 1)))
"""Every name by which something is counted."""


def answered(counts: Mapping[str, int]) -> int:
    """How many answers there are in these counts."""
    return sum(number for measure, number in counts.items() if measure != SUBMITTED)


def within(counts: Mapping[str, int], share: float) -> timedelta | None:
    """Within which time so large a share of the answers came; None where there is none, or that took longer than is told."""
    needed, so_far = share * answered(counts), 0
    for n, limit in enumerate(ANSWERED_WITHIN):
        so_far += counts.get(f"answered_{n}", 0)
        if so_far and so_far >= needed:
            return limit
    return None
