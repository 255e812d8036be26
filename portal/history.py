"""The history of a request, folded: of a long one each day is a line, and of a long day each kind of event.

So a page stays short however much happened, and nothing is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from domain.calendar import day_of
from use_cases.timeline import TimelineEntry

FEW = 8
"""So many events stand one below the other without being folded."""

RECENT_DAYS = 7
"""So many days have a line of their own; what came before is one line more."""


@dataclass(frozen=True)
class Kind:
    """Events of one kind on one day, the newest first; a single event where a day is short."""

    entries: Sequence[TimelineEntry]

    @property
    def label(self) -> str:
        """What they are called."""
        return self.entries[0].label


@dataclass(frozen=True)
class Day:
    """What happened on one day."""

    on: date
    kinds: Sequence[Kind]

    @property
    def count(self) -> int:
        """How many events."""
        return sum(len(kind.entries) for kind in self.kinds)

    @property
    def labels(self) -> list[str]:
        """The kinds of events, each once."""
        return list(dict.fromkeys(kind.label for kind in self.kinds))


@dataclass(frozen=True)
class History:
    """Events, the newest first: `short` as they are, or `recent` and `earlier` days."""

    short: Sequence[TimelineEntry] = ()
    recent: Sequence[Day] = ()
    earlier: Sequence[Day] = ()


def folded(timeline: Iterable[TimelineEntry]) -> History:
    """The history of a timeline, which comes oldest first."""
    entries = list(timeline)[::-1]
    if len(entries) <= FEW:
        return History(short=entries)
    days = [_day(on, list(there)) for on, there in groupby(entries, key=lambda e: day_of(e.at))]
    return History(recent=days[:RECENT_DAYS], earlier=days[RECENT_DAYS:])


def _day(on: date, entries: Sequence[TimelineEntry]) -> Day:
    if len(entries) <= FEW:
        return Day(on, [Kind([entry]) for entry in entries])
    names = dict.fromkeys(entry.name for entry in entries)
    return Day(on, [Kind([entry for entry in entries if entry.name == name]) for name in names])
