"""Deadlines as data: a clock that runs, stands still while a question is open, and calls at known moments."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictInt

from domain import calendar
from domain.calendar import DAY, FIRST_RULES_CALENDAR, Calendar, Span
from domain.model import Frozen
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority


class Deadline(Frozen):
    """One deadline of one request.

    Its clock calls at each of the `reminders`, at the `limit`, and from then on every `repeat`. All of these are counted in
    the limit's own kind of time, from the start and without the time that the clock stood still.

    Business days pass on the `calendar` (version 1's where there is none). Hours and days pass in plain time; with a calendar
    hours pass only while the clinic works, and a span of days that ends outside its hours ends when it opens again.
    """

    name: DeadlineName
    question_id: UUID | None = Field(None, description="The question, for the deadline of an information request.")
    limit: Span
    reminders: tuple[timedelta, ...] = ()
    repeat: timedelta | None = None
    started_at: AwareDatetime
    spent: timedelta = Field(timedelta(), description="Time on the clock up to `running_since`.")
    running_since: AwareDatetime | None = Field(description="None while the clock stands still.")
    calendar: Calendar | None = Field(None, description="What was promised when the clock started stays promised.")
    calls: Annotated[StrictInt, Field(ge=0)] = Field(0, description="How many of its moments have been called.")

    @classmethod
    def start(
        cls,
        name: DeadlineName,
        terms: DeadlineTerms,
        priority: Priority,
        now: datetime,
        *,
        calendar: Calendar | None = None,
        question_id: UUID | None = None,
        running: bool = True,
    ) -> Self:
        """A deadline that starts now, with the limit that `terms` give for `priority`, on `calendar`."""
        limit = terms.limit[priority]
        return cls(
            name=name,
            question_id=question_id,
            limit=limit,
            reminders=terms.reminders(priority),
            repeat=_repeat(terms.repeat, limit, calendar),
            started_at=now,
            running_since=now if running else None,
            calendar=calendar,
        )

    def moved_to(self, calendar: Calendar | None, terms: DeadlineTerms, now: datetime) -> Self:
        """The same deadline on another calendar from `now` on; what is on its clock stays."""
        moved = self.stopped(now).model_copy(
            update={"calendar": calendar, "repeat": _repeat(terms.repeat, self.limit, calendar)}
        )
        return moved if self.running_since is None else moved.resumed(now)

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
        return self.spent + self._passed(self.running_since, now)

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
        if offset <= self.spent and self.calendar is None:
            return self.running_since
        return self._later(self.running_since, max(offset - self.spent, timedelta()))

    def _later(self, start: datetime, length: timedelta) -> datetime:
        """When so much of the limit's kind of time has passed."""
        if self.limit.business:
            return (self.calendar or FIRST_RULES_CALENDAR).later(start, length, by_day=True)
        if self.calendar is None:
            return calendar.later(start, length)
        if self.limit.unit == "h":
            return self.calendar.later(start, length, by_day=False)
        return self.calendar.later(calendar.later(start, length), timedelta(), by_day=False)

    def _passed(self, start: datetime, end: datetime) -> timedelta:
        """How much of the limit's kind of time has passed."""
        if self.limit.business:
            return (self.calendar or FIRST_RULES_CALENDAR).passed(start, end, by_day=True)
        if self.calendar is not None and self.limit.unit == "h":
            return self.calendar.passed(start, end, by_day=False)
        return calendar.passed(start, end)


def _repeat(repeat: Span | None, limit: Span, calendar: Calendar | None) -> timedelta | None:
    """How often a clock calls after its limit; where only a clinic's hours count, a day is as long as the clinic works."""
    if repeat is None:
        return None
    if calendar is not None and limit.unit == "h" and repeat.unit != "h":
        return repeat.length // DAY * calendar.usual_day
    return repeat.length
