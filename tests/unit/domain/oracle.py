"""Business time, clocks, the holder and FHIR's Task, computed a second time and in another way than the rules do.

Nothing here uses `domain.calendar` or `domain.deadlines`: holidays and terms are written down by hand, from the law and from
docs/requirements.md, and clocks and holders are made of the events alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from domain import commands as c
from domain.events import Event
from domain.requests import Actor, Holder, Person, Request
from domain.requests import EventName as E

HOLIDAYS = {
    date(year, month, day)
    for year, days in {
        2026: [(1, 1), (4, 3), (5, 18), (6, 24), (7, 1), (9, 7), (10, 12), (12, 25)],
        2027: [(1, 1), (3, 26), (5, 24), (6, 24), (7, 1), (9, 6), (10, 11), (12, 25), (12, 27)],
        2028: [(1, 1), (1, 3), (4, 14), (5, 22), (6, 24), (7, 1), (9, 4), (10, 9), (12, 25)],
        2029: [(1, 1), (3, 30), (5, 21), (6, 24), (6, 25), (7, 1), (7, 2), (9, 3), (10, 8), (12, 25)],
        2030: [(1, 1), (4, 19), (5, 20), (6, 24), (7, 1), (9, 2), (10, 14), (12, 25)],
    }.items()
    for month, day in days
}
"""Québec's holidays: New Year, Good Friday, Patriots' Day, 24 June, 1 July, Labour Day, Thanksgiving, Christmas.

New Year and Christmas on a weekend, 24 June and 1 July on a Sunday, are kept on the Monday after it.
"""

NETWORK = HOLIDAYS | {
    date(year, month, day)
    for year, days in {
        2026: [(1, 2), (4, 6), (12, 24), (12, 28), (12, 31)],
        2027: [(1, 4), (3, 29), (12, 24), (12, 28), (12, 31)],
        2028: [(1, 4), (4, 17), (12, 22), (12, 26), (12, 29)],
        2029: [(1, 2), (4, 2), (12, 24), (12, 26), (12, 31)],
        2030: [(1, 2), (4, 22), (12, 24), (12, 26), (12, 31)],
    }.items()
    for month, day in days
}
"""Those of the health network, as far as they fall from Monday to Friday."""

FIRST, LAST = date(2026, 1, 1), date(2030, 12, 31)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo("America/Toronto")).astimezone(UTC)


_DAYS = [FIRST + number * DAY for number in range((LAST - FIRST).days + 1)]
_MIDNIGHTS = [_midnight(day) for day in _DAYS]


class Business:
    """Business time without these holidays. `until_close`: what ends at the end of a day ends there, and not on the next one."""

    def __init__(self, holidays: set[date], *, until_close: bool) -> None:
        self._open = [day.isoweekday() <= 5 and day not in holidays for day in _DAYS]
        self._until_close = until_close
        self._before = [timedelta()]
        for day, is_open in zip(_DAYS, self._open, strict=True):
            self._before.append(self._before[-1] + (_midnight(day + DAY) - _midnight(day) if is_open else timedelta()))

    def time(self, moment: datetime) -> timedelta:
        """The business time that has passed from the beginning of `FIRST` to `moment`."""
        number = bisect_right(_MIDNIGHTS, moment) - 1
        in_day = moment.astimezone(UTC) - _MIDNIGHTS[number] if self._open[number] else timedelta()
        return self._before[number] + in_day

    def moment(self, business: timedelta) -> datetime:
        """When that much business time has passed."""
        bisect = bisect_left if self._until_close else bisect_right
        number = bisect(self._before, business) - 1
        return _MIDNIGHTS[number] + (business - self._before[number])


BY_RULES = {
    1: Business(HOLIDAYS, until_close=True),
    **dict.fromkeys((2, 3, 4, 5), Business(NETWORK, until_close=False)),
}
"""The business time of requests that live under a version of the rules and whose clinic has set nothing."""

business_time, moment_of = BY_RULES[1].time, BY_RULES[1].moment


# The clocks of a request, by the table of deadlines there: hours by asap / urgent / routine, b for business days of 24 h.


@dataclass(frozen=True)
class Terms:
    limits: dict[str, timedelta]
    business: frozenset[str] = frozenset()
    parts: tuple[float, ...] = ()
    days: tuple[int, ...] = ()
    repeat: timedelta | None = None


def _limits(asap: timedelta, urgent: timedelta, routine: timedelta) -> dict[str, timedelta]:
    return {"asap": asap, "urgent": urgent, "routine": routine}


TERMS = {
    "dispatch": Terms(_limits(2 * HOUR, 4 * HOUR, 1 * DAY), business=frozenset({"routine"}), repeat=DAY),
    "acceptance": Terms(_limits(4 * HOUR, 1 * DAY, 3 * DAY), business=frozenset({"routine"}), parts=(0.5,)),
    "report": Terms(_limits(1 * DAY, 3 * DAY, 7 * DAY), business=frozenset({"routine"}), parts=(0.75,), repeat=DAY),
    "information": Terms(_limits(2 * DAY, 3 * DAY, 7 * DAY), parts=(0.5,), repeat=7 * DAY),
    "resubmission": Terms(_limits(30 * DAY, 30 * DAY, 30 * DAY), days=(7, 14)),
    "acknowledgement": Terms(_limits(30 * DAY, 30 * DAY, 30 * DAY), days=(3, 7, 14)),
    "urgent_acknowledgement": Terms(_limits(4 * HOUR, 4 * HOUR, 4 * HOUR), parts=(0.25, 0.5, 0.75), repeat=HOUR),
    "follow_up": Terms(
        _limits(3 * DAY, 3 * DAY, 3 * DAY),
        business=frozenset({"asap", "urgent", "routine"}),
        parts=(0.5,),
        repeat=DAY,
    ),
}

OWN_CLOCK = {
    "awaiting_dispatch": "dispatch",
    "awaiting_acceptance": "acceptance",
    "accepted": "report",
    "returned": "resubmission",
    "reported": "acknowledgement",
}

STARTS_THE_OWN_CLOCK = {
    E.SUBMITTED,
    E.ASSIGNED,
    E.ACCEPTED,
    E.TRANSFERRED,
    E.RETURNED_TO_REQUESTER,
    E.RETURNED_TO_DISPATCH,
    E.RESUBMITTED,
    E.PRIORITY_CHANGED,
    E.FINAL_REPORT_ISSUED,
    E.ACCEPTANCE_EXPIRED,
}
ENDS_THE_QUESTIONS = {"returned", "reported", "closed", "cancelled", "abandoned"}


@dataclass
class Clock:
    """One clock, as a list of the stretches during which it ran."""

    name: str
    business: Business | None
    offsets: list[timedelta]
    repeat: timedelta | None
    stretches: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    calls: int = 0

    @classmethod
    def start(cls, name: str, priority: str, at: datetime, rules: int, *, running: bool) -> "Clock":
        terms = TERMS[name]
        limit = terms.limits[priority]
        offsets = [limit * part for part in terms.parts] + [day * DAY for day in terms.days]
        business = BY_RULES[rules] if priority in terms.business else None
        clock = cls(name, business, [*offsets, limit], terms.repeat)
        if running:
            clock.stretches.append((at, None))
        return clock

    def as_it_is(self) -> "Clock":
        """The same, for later: this one goes on."""
        return replace(self, stretches=[*self.stretches])

    def stop(self, at: datetime) -> None:
        if self.is_running:
            self.stretches[-1] = (self.stretches[-1][0], at)

    def go_on(self, at: datetime) -> None:
        if not self.is_running:
            self.stretches.append((at, None))

    @property
    def is_running(self) -> bool:
        return bool(self.stretches) and self.stretches[-1][1] is None

    def shows(self, now: datetime) -> timedelta:
        """The time on the clock."""
        measure = self.business.time if self.business else (lambda moment: moment - _MIDNIGHTS[0])
        ends = [(begin, end or max(begin, now)) for begin, end in self.stretches]
        return sum((measure(end) - measure(begin) for begin, end in ends), timedelta())

    @property
    def next_call(self) -> datetime | None:
        """When it calls next."""
        return self.call(self.calls)

    def called(self, at: datetime, *, at_limit: bool) -> None:
        """It has called: once for all the calls that were missed by then, but never past its limit."""
        limit = len(self.offsets) - 1
        if at_limit:
            self.calls = max(self.calls, limit)
        else:
            while self.calls != limit and (following := self.call(self.calls + 1)) and following <= at:
                self.calls += 1
        self.calls += 1

    def call(self, number: int) -> datetime | None:
        """When it calls for that time, counted from 0, if it runs on."""
        beyond = number - len(self.offsets) + 1
        if not self.is_running or (beyond > 0 and self.repeat is None):
            return None
        offset = self.offsets[-1] + beyond * self.repeat if beyond > 0 and self.repeat else self.offsets[number]
        begin = self.stretches[-1][0]
        left = offset - self.shows(begin)
        if left <= timedelta() and self.business in (None, BY_RULES[1]):
            return begin
        left = max(left, timedelta())
        return self.business.moment(self.business.time(begin) + left) if self.business else begin + left


def clocks_of(events: Iterable[Event], rules: int) -> dict[tuple[str, UUID | None], Clock]:
    """The clocks that a request has after `events`, by name and question. It began under that version of the rules."""
    own: Clock | None = None
    promised: Clock | None = None
    unread: Clock | None = None
    asked_about: Clock | None = None
    answering: dict[UUID, bool] = {}
    urgent: dict[UUID, bool] = {}
    questions: dict[UUID, Clock] = {}
    priority = ""
    before: tuple[Clock | None, Clock | None] = (None, None)
    for event in events:
        command = event.command
        if isinstance(command, c.TakeBack):  # as if what it takes back had not been
            own, promised = before
            continue
        before = own and own.as_it_is(), promised and promised.as_it_is()
        if isinstance(command, c.Submit | c.ChangePriority | c.Resubmit) and command.priority is not None:
            priority = command.priority.value
        if isinstance(command, c.RenewRules):
            rules = command.rules  # a clock that runs goes on as it was promised
        if isinstance(command, c.RequestInformation):
            asked = uuid5(event.request_id, command.id)
            questions[asked] = Clock.start("information", priority, event.at, rules, running=True)
        if isinstance(command, c.AnswerInformation | c.WithdrawInformationRequest):
            assert command.question_id is not None, "an event names its question"
            del questions[command.question_id]
        if event.status in ENDS_THE_QUESTIONS:
            questions.clear()
        if isinstance(command, c.Reassign) and event.status_before == "accepted":
            promised, own = own, None
        if event.status in ENDS_THE_QUESTIONS:
            promised = None
        if isinstance(command, c.SignReport):
            urgent[command.report_id] = command.urgent
        if isinstance(command, c.IssueDocument) and urgent.get(command.report_id):
            unread = _always(Clock.start("urgent_acknowledgement", priority, event.at, rules, running=True))
        if isinstance(command, c.AskFollowUp):
            asked_about = Clock.start("follow_up", priority, event.at, rules, running=True)
        if isinstance(command, c.AddAddendum):
            answering[command.report_id] = command.follow_up_id is not None
        if isinstance(command, c.AnswerFollowUp | c.WithdrawFollowUp) or (
            isinstance(command, c.IssueDocument) and answering.get(command.report_id)
        ):
            asked_about = None
        if isinstance(command, c.ConfirmReading | c.ReadForRequester) or event.status not in OWN_CLOCK:
            unread = None
        started: list[Clock] = []
        if event.status not in OWN_CLOCK:
            own = None
        elif event.name is E.ACCEPTED and promised:
            own, promised = promised, None
        elif event.name in STARTS_THE_OWN_CLOCK or own is None or own.name != OWN_CLOCK[event.status]:
            own = Clock.start(OWN_CLOCK[event.status], priority, event.at, rules, running=True)
            started.append(own)
            if event.name is E.PRIORITY_CHANGED and promised:
                promised = Clock.start("report", priority, event.at, rules, running=True)
                started.append(promised)
        for clock in (own, promised):
            if clock and clock.name in ("acceptance", "report"):
                if not questions:
                    clock.go_on(event.at)
                elif clock in started:
                    clock.stretches.clear()
                else:
                    clock.stop(event.at)
        if own and own.name in ("resubmission", "acknowledgement"):
            if unread is None or rules < 3:
                own.go_on(event.at)
            elif own in started:
                own.stretches.clear()
            else:
                own.stop(event.at)
        if isinstance(command, c.DeadlineReached) and event.status == event.status_before:
            called = _called(command, own, promised, unread, questions, asked_about)
            called.called(event.at, at_limit=command.actor.role == "operator")
    everything: dict[tuple[str, UUID | None], Clock] = {("information", asked): q for asked, q in questions.items()}
    return everything | {(clock.name, None): clock for clock in (own, promised, unread, asked_about) if clock}


def _always(clock: Clock) -> Clock:
    """A clock that no clinic's hours stop."""
    clock.business = None
    return clock


def _called(
    command: c.DeadlineReached,
    own: Clock | None,
    promised: Clock | None,
    unread: Clock | None,
    questions: dict[UUID, Clock],
    asked_about: Clock | None,
) -> Clock:
    if asked_about is not None and command.name == "follow_up":
        return asked_about
    if command.name == "information":
        return questions[command.question_id] if command.question_id else next(iter(questions.values()))
    if unread is not None and command.name == "urgent_acknowledgement":
        return unread
    if promised is not None and command.name == "report":
        return promised
    assert own is not None
    return own


def holder_after(draft: Request, events: Iterable[Event]) -> Holder:
    """Who holds the request after `events`, by the column « leads to » of the table of commands."""
    requester, dispatchers = Holder.requester(draft.requester), Holder.dispatch(draft.dispatch_clinic_id)
    holder, comes_back_to = requester, dispatchers
    before = holder
    for event in events:
        before, last = holder, before
        match event.command:
            case c.TakeBack():
                holder = last
            case c.Submit():
                automatic = draft.terms.dispatch == "automatic"
                holder = Holder.pool(draft.dispatch_clinic_id) if automatic else dispatchers
            case c.Assign(to=c.Pool(clinic_id=clinic_id)) | c.Reassign(to=c.Pool(clinic_id=clinic_id)):
                holder = Holder.pool(clinic_id)
            case c.Assign(to=Person() as person) | c.Transfer(to=person) | c.Reassign(to=Person() as person):
                holder = Holder.provider(person)
            case c.Accept(actor=Actor(id=UUID() as person_id, clinic_id=UUID() as clinic_id)):
                holder = Holder.provider(Person(id=person_id, clinic_id=clinic_id))
            case c.ReturnToRequester(
                actor=Actor(role="provider", id=UUID() as person_id, clinic_id=UUID() as clinic_id)
            ):
                holder, comes_back_to = requester, Holder.provider(Person(id=person_id, clinic_id=clinic_id))
            case c.ReturnToRequester():
                holder, comes_back_to = requester, dispatchers
            case c.Resubmit():
                holder = comes_back_to
            case c.ReturnToDispatch() | c.Reassign(to="dispatch"):
                holder = dispatchers
            case c.Cancel() | c.Acknowledge():
                holder = Holder.nobody()
            case c.IssueDocument() if event.name is E.FINAL_REPORT_ISSUED:
                holder = requester
            case c.DeadlineReached() if event.name is E.ACCEPTANCE_EXPIRED:
                holder = dispatchers
            case c.DeadlineReached() if event.name in (E.ABANDONED, E.CLOSED_UNACKNOWLEDGED):
                holder = Holder.nobody()
    return holder


FHIR_STEPS = {
    "draft": {"requested", "cancelled"},
    "requested": {"received", "accepted", "rejected", "cancelled"},
    "received": {"accepted", "rejected", "cancelled"},
    "accepted": {"in-progress", "cancelled"},
    "ready": {"in-progress", "cancelled"},
    "in-progress": {"on-hold", "completed", "failed"},
    "on-hold": {"in-progress", "failed"},
}
"""The state machine of FHIR R4's Task, https://hl7.org/fhir/R4/task.html#statemachine, without entered-in-error.

Work that has begun ends as completed or failed: that is the narrower reading, which every reader of the diagram shares.
"""


def fhir_reaches(status: str) -> set[str]:
    """The statuses that FHIR can reach from `status`, itself included."""
    reached, new = {status}, {status}
    while new:
        new = {step for each in new for step in FHIR_STEPS.get(each, set())} - reached
        reached |= new
    return reached
