"""Deadlines as data: a clock that runs, stands still while a question is open, and calls at known moments."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictInt

from domain import calendar
from domain.calendar import Span
from domain.model import Frozen
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority


class Deadline(Frozen):
    """One deadline of one request.

    Its clock calls at each of the `reminders`, at the `limit`, and from then on every `repeat`. All of these are counted in
    the limit's own kind of time (plain or business), from the start and without the time that the clock stood still.
    """

    name: DeadlineName
    question_id: UUID | None = Field(None, description="The question, for the deadline of an information request.")
    limit: Span
    reminders: tuple[timedelta, ...] = ()
    repeat: timedelta | None = None
    started_at: AwareDatetime
    spent: timedelta = Field(timedelta(), description="Time on the clock up to `running_since`.")
    running_since: AwareDatetime | None = Field(description="None while the clock stands still.")
    calls: Annotated[StrictInt, Field(ge=0)] = Field(0, description="How many of its moments have been called.")

    @classmethod
    def start(
        cls,
        name: DeadlineName,
        terms: DeadlineTerms,
        priority: Priority,
        now: datetime,
        *,
        question_id: UUID | None = None,
        running: bool = True,
    ) -> Self:
        """A deadline that starts now, with the limit that `terms` give for `priority`."""
        return cls(
            name=name,
            question_id=question_id,
            limit=terms.limit[priority],
            reminders=terms.reminders(priority),
            repeat=terms.repeat.length if terms.repeat else None,
            started_at=now,
            running_since=now if running else None,
        )

    def stopped(self, now: datetime) -> Self:
        """The same deadline with its clock standing still since `now`."""
        if self.running_since is None:
            return self
        return self.model_copy(update={"spent": self.spent_at(now), "running_since": None})

    def resumed(self, now: datetime) -> Self:
        """The same deadline with its clock running again from `now`."""
        return self if self.running_since else self.model_copy(update={"running_since": now})

    def called(self, *, at_limit: bool = False) -> Self:
        """The same deadline after its next call, or after the call at its limit where that comes first."""
        calls = max(self.calls, len(self.reminders)) if at_limit else self.calls
        return self.model_copy(update={"calls": calls + 1})

    def caught_up(self, now: datetime) -> Self:
        """The same deadline without the calls that were missed and that a later one, due by `now`, makes pointless.

        After an outage people get one notice and not one for each day of it. The limit itself is never passed over.
        """
        deadline = self
        while deadline.calls != len(self.reminders):
            after = deadline.called()
            if after.next_moment is None or after.next_moment > now:
                break
            deadline = after
        return deadline

    def spent_at(self, now: datetime) -> timedelta:
        """Time on the clock at `now`, in the limit's own kind of time."""
        if self.running_since is None:
            return self.spent
        return self.spent + calendar.passed(self.running_since, now, business=self.limit.business)

    @property
    def is_reminder_next(self) -> bool:
        """Whether the next call is a reminder, before the limit."""
        return self.calls < len(self.reminders)

    @property
    def is_over(self) -> bool:
        """Whether the limit was reached."""
        return self.calls > len(self.reminders)

    @property
    def next_moment(self) -> datetime | None:
        """When the clock calls next; None while it stands still or when it has nothing more to say."""
        beyond = self.calls - len(self.reminders)
        if beyond < 0:
            return self._reached(self.reminders[self.calls])
        if beyond == 0:
            return self.due_at
        return None if self.repeat is None else self._reached(self.limit.length + beyond * self.repeat)

    @property
    def due_at(self) -> datetime | None:
        """When the limit is (or was) reached; None while the clock stands still."""
        return self._reached(self.limit.length)

    def _reached(self, offset: timedelta) -> datetime | None:
        if self.running_since is None:
            return None
        if offset <= self.spent:
            return self.running_since
        return calendar.later(self.running_since, offset - self.spent, business=self.limit.business)
