"""How often something may be done: so many times at once, and then again as time passes.

One moment says how far it was used: when nothing will count any more (the "generic cell rate algorithm"). Each time puts it off;
so a count is one column of a table, needs no clock that ticks, and is of no effect once its moment has passed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil


@dataclass(frozen=True)
class Rate:
    """`most` times at once, and then once `every` so often. Raises ValueError where nothing would ever be possible."""

    most: int
    every: timedelta

    def __post_init__(self) -> None:
        if self.most < 1 or self.every <= timedelta():
            raise ValueError("a rate is of at least one, each in a time of its own")

    @classmethod
    def per(cls, window: timedelta, most: int) -> "Rate":
        """`most` times at once, and as many in each `window` after that."""
        return cls(most, window / most)

    @property
    def window(self) -> timedelta:
        """The time after which all is forgotten when nothing more is done."""
        return self.most * self.every

    def after_one(self, empty_at: datetime | None, now: datetime) -> datetime:
        """When nothing will count any more, if it is done now; `empty_at` is the moment before, None where nothing counts."""
        return max(empty_at or now, now) + self.every

    def wait(self, empty_at: datetime | None, now: datetime) -> timedelta:
        """How long until it may be done again; nothing when it may be done now."""
        return max(self.after_one(empty_at, now) - self.window - now, timedelta())

    def left(self, empty_at: datetime | None, now: datetime) -> int:
        """How often it may be done now."""
        used = max((empty_at or now) - now, timedelta())
        return self.most - ceil(used / self.every)
