"""The monthly analysis of accesses: which acts of a clinic's people somebody has to look at, by rules, each with its name.

Pure: what is read of the audit goes in, an act at a time and in order, findings come out. See docs/decisions/access-reviews.md.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from statistics import fmean, pstdev
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.audit import LOOKS, Act, EmergencyStep, Purpose
from domain.requests import Role
from domain.search import names_in
from domain.texts import plain


class Rule(StrEnum):
    """Why something is on the list, the gravest first."""

    EMERGENCY = "emergency"  # they opened it in one, and would not see it otherwise
    EMERGENCY_ENDED = "emergency_ended"  # they ended what others had opened in one
    OWN_RECORD = "own_record"  # the patient bears the name of who looked
    KIN_OF_A_STRANGER = "same_name_uninvolved"  # the two that follow at once
    NO_PARTICIPANT = "no_participant"  # they never acted on the request, nor was it ever with them
    SAME_FAMILY_NAME = "same_family_name"
    LONG_OVER = "long_over"  # the request was over for more than 90 days
    BURST = "burst"  # more reads within a minute than anybody reads
    MANY_PATIENTS = "many_patients"  # more on one day than others of that role
    OFF_HOURS = "off_hours"
    TAKEN_ALONG = "taken_along"  # a whole case or a journal left as a document
    WIDE_SEARCH = "wide_search"  # a search for a patient that showed many
    FAILED_TRIES = "failed_tries"
    AFTER_SILENCE = "after_silence"  # an account that nobody used for 90 days
    DESTROYED = "looked_at_destroyed"  # what became of each rule about a request when that was destroyed


class Verdict(StrEnum):
    """What an administrator says of a finding."""

    EXPLAINED = "explained"
    TO_FOLLOW_UP = "to_follow_up"


class ReviewState(StrEnum):
    """How far the review of a month is."""

    OPEN = "open"  # findings wait for a verdict
    TO_SIGN_OFF = "to_sign_off"  # each has one, and nobody has signed it off as it is now
    SIGNED_OFF = "signed_off"


READS = LOOKS - {Act.SEARCH, Act.PHONE_PHOTO, Act.ENGINE, Act.JOURNAL}
"""What shows something of one request."""

_WITH_A_PAGE = frozenset({Act.TIMELINE, Act.PREVIEW})
"""What a page of a request shows besides: no read of its own."""

WATCHED = READS | {Act.EMERGENCY, Act.SEARCH, Act.JOURNAL, Act.SIGN_IN_FAILED, Act.REFUSED}
"""The acts that a rule looks at one by one."""

NO_USE = frozenset({Act.SIGN_IN_FAILED})
"""What is no use of an account: anybody can type its name."""

LONG = timedelta(days=90)
"""How long a request is over, or an account silent, before a use of it is listed."""

DAY_BEGINS, DAY_ENDS = time(6), time(22)

MOST_READS_A_MINUTE, MOST_FOUND, TRIES = 20, 10, 5

LEAST_PATIENTS, LEAST_DAYS = 10, 20
"""Fewer patients a day are never too many, and of fewer days of a role no usual number is known."""

DEVIATIONS = 3

KEPT_ENTRIES = 20
"""So many entries of the audit are named with a finding; all of them are counted."""

MOST_FINDINGS = 5_000
"""In one month of one clinic. What goes beyond is counted."""

REMINDED_EVERY = timedelta(days=7)

_PARTICLES = frozenset("al ben bin da das de del den der di dos du el la le les saint sainte st ste van von".split())  # noqa: SIM905
_HIDDEN = (" 403", " 404")


@dataclass(frozen=True, slots=True)
class Seen:
    """An act, as the audit has it."""

    id: UUID
    at: datetime
    kind: Act
    name: str | None
    request_id: UUID | None
    purpose: Purpose | None = None

    @property
    def is_in_emergency(self) -> bool:
        """Whether it opens something in an emergency, or shows it by that."""
        if self.kind is Act.EMERGENCY:
            return self.name == EmergencyStep.OPENED
        return self.purpose is Purpose.EMERGENCY

    @property
    def ends_emergency_of_another(self) -> bool:
        """Whether an administrator ends what somebody else had opened in an emergency."""
        return (
            self.kind is Act.EMERGENCY and self.name == EmergencyStep.ENDED and self.purpose is Purpose.ADMINISTRATION
        )


@dataclass(frozen=True, slots=True)
class Bond:
    """What somebody had to do with a request: was it ever theirs, since when is it over, which rule does their name meet."""

    is_theirs: bool
    over_since: datetime | None = None
    kin: Rule | None = None


NOTHING_KNOWN = Bond(is_theirs=True)
"""Of what is not there any more nothing is said."""


@dataclass(frozen=True)
class Person:
    """Whose acts are looked at. `last_before` is when they last did something before the month, or got their account."""

    account_id: UUID
    roles: frozenset[Role]
    is_system: bool
    last_before: datetime

    @property
    def works_by_day(self) -> bool:
        """Providers are on call, systems at work all the time."""
        return not self.is_system and Role.PROVIDER not in self.roles

    @property
    def main_role(self) -> Role | None:
        """With whom they are compared."""
        return next((role for role in _COMPARED if role in self.roles), None)


_COMPARED = (Role.PROVIDER, Role.DISPATCHER, Role.REQUESTER, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)


_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(slots=True)
class Sample:
    """Acts that belong together: how many, from when to when, and the first of them."""

    number: int = 0
    first_at: datetime = _LATEST
    last_at: datetime = _EARLIEST
    entries: list[UUID] = field(default_factory=list)

    def add(self, act: Seen) -> None:
        """One more."""
        self.number += 1
        self.first_at, self.last_at = min(self.first_at, act.at), max(self.last_at, act.at)
        if len(self.entries) < KEPT_ENTRIES:
            self.entries.append(act.id)

    def take_over(self, other: "Sample") -> None:
        """The acts of the other one as well."""
        self.number += other.number
        self.first_at, self.last_at = min(self.first_at, other.first_at), max(self.last_at, other.last_at)
        self.entries = [*self.entries, *other.entries][:KEPT_ENTRIES]


@dataclass(frozen=True)
class Finding:
    """What is to be looked at: acts of one person with one request, or on one day, and the rule that they meet."""

    rule: Rule
    account_id: UUID
    request_id: UUID | None
    day: date
    sample: Sample


@dataclass(frozen=True)
class Day:
    """What somebody read on one day: of how many requests, and what."""

    requests: int
    reads: Sample


def bounds(month: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to before when a month goes, in that time zone. `month` is its first day."""
    return datetime.combine(month, time(), zone), datetime.combine(following(month), time(), zone)


def following(month: date) -> date:
    """The first day of the next month."""
    return (month + timedelta(days=31)).replace(day=1)


def month_before(day: date) -> date:
    """The first day of the month before the one that the day is in."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


class Course:
    """What one person did in a month: `take` each act in its order, then ask for the `findings`."""

    def __init__(self, person: Person, zone: ZoneInfo) -> None:
        self._person, self._zone = person, zone
        self._of_request: dict[tuple[Rule, UUID], Sample] = {}
        self._of_day: dict[tuple[Rule, date], Sample] = {}
        self._last_minute: deque[Seen] = deque()
        self._counted = 0  # so many of these, the first ones, are in a burst already
        self._search: list[Seen] = []
        self._tries: dict[date, Sample] = {}
        self._days: dict[date, tuple[set[UUID], Sample]] = {}

    def take(self, act: Seen, bond: Bond) -> None:
        """The next act; `bond` says what they had to do with its request."""
        if act.kind is Act.SEARCH:
            self._found(act)
        elif act.kind is Act.SIGN_IN_FAILED or _is_refused_a_request(act):
            self._tries.setdefault(self._day(act), Sample()).add(act)
        elif act.kind in READS:
            self._read(act, bond)
        elif act.is_in_emergency and act.request_id is not None:
            self._of_request.setdefault((Rule.EMERGENCY, act.request_id), Sample()).add(act)
        elif act.ends_emergency_of_another:
            self._on_day(Rule.EMERGENCY_ENDED, act)
        if act.kind in (Act.EXPORT, Act.JOURNAL):
            self._on_day(Rule.TAKEN_ALONG, act)

    def first_use(self, act: Seen) -> None:
        """The first thing that they did in the month, of whatever kind."""
        if act.at - self._person.last_before > LONG:
            self._on_day(Rule.AFTER_SILENCE, act)

    def days(self) -> Mapping[date, Day]:
        """What they read, by day."""
        return {day: Day(len(requests), reads) for day, (requests, reads) in self._days.items()}

    def findings(self) -> Iterator[Finding]:
        """All but those for which others must be known, too."""
        self._end_search()
        who = self._person.account_id
        for (rule, request_id), sample in self._lines().items():
            yield Finding(rule, who, request_id, sample.first_at.astimezone(self._zone).date(), sample)
        for (rule, day), sample in self._of_day.items():
            yield Finding(rule, who, None, day, sample)
        for day, sample in self._tries.items():
            if sample.number >= TRIES:
                yield Finding(Rule.FAILED_TRIES, who, None, day, sample)

    def _lines(self) -> dict[tuple[Rule, UUID], Sample]:
        """One line of a person with a request: what was opened in an emergency takes over what else was looked at in it."""
        lines = dict(self._of_request)
        for rule, request_id in self._of_request:
            emergency = lines.get((Rule.EMERGENCY, request_id))
            if emergency is not None and rule is not Rule.EMERGENCY:
                emergency.take_over(lines.pop((rule, request_id)))
        return lines

    def _read(self, act: Seen, bond: Bond) -> None:
        if self._person.is_system or act.request_id is None:  # it reads for others, at any hour, and much
            return
        rule = Rule.EMERGENCY if act.is_in_emergency else _gravest(bond, act.at)
        if rule is not None:
            self._of_request.setdefault((rule, act.request_id), Sample()).add(act)
        local = act.at.astimezone(self._zone)
        if self._person.works_by_day and not DAY_BEGINS <= local.time() < DAY_ENDS:
            self._on_day(Rule.OFF_HOURS, act)
        requests, reads = self._days.setdefault(local.date(), (set(), Sample()))
        requests.add(act.request_id)
        reads.add(act)
        if act.kind not in _WITH_A_PAGE:
            self._in_a_minute(act)

    def _in_a_minute(self, act: Seen) -> None:
        """What was read within a minute, once it is too much; each act once."""
        self._last_minute.append(act)
        while act.at - self._last_minute[0].at >= timedelta(minutes=1):
            self._last_minute.popleft()
            self._counted = max(0, self._counted - 1)
        if len(self._last_minute) > MOST_READS_A_MINUTE:
            for one in islice(self._last_minute, self._counted, None):
                self._on_day(Rule.BURST, one)
            self._counted = len(self._last_minute)

    def _found(self, act: Seen) -> None:
        """What one search showed is written down with one time."""
        if self._search and self._search[0].at != act.at:
            self._end_search()
        self._search.append(act)

    def _end_search(self) -> None:
        if len(self._search) > MOST_FOUND:
            for act in self._search:
                self._on_day(Rule.WIDE_SEARCH, act)
        self._search.clear()

    def _on_day(self, rule: Rule, act: Seen) -> None:
        self._of_day.setdefault((rule, self._day(act)), Sample()).add(act)

    def _day(self, act: Seen) -> date:
        return act.at.astimezone(self._zone).date()


def opened_by_others(acts: Iterable[tuple[UUID, Seen]], zone: ZoneInfo) -> list[Finding]:
    """What people of other clinics, by account, opened in an emergency of what the clinic asked for; a line for each request."""
    found: dict[tuple[UUID, UUID], Sample] = {}
    for who, act in acts:
        if act.request_id is not None:
            found.setdefault((who, act.request_id), Sample()).add(act)
    return [
        Finding(Rule.EMERGENCY, who, request_id, sample.first_at.astimezone(zone).date(), sample)
        for (who, request_id), sample in found.items()
    ]


def ended_by_others(acts: Iterable[tuple[UUID, Seen]], zone: ZoneInfo) -> list[Finding]:
    """What people of other clinics, by account, ended that others had opened in an emergency, and that concerns the clinic; a
    line for each day, as of its own people.
    """
    found: dict[tuple[UUID, date], Sample] = {}
    for who, act in acts:
        if act.ends_emergency_of_another:
            found.setdefault((who, act.at.astimezone(zone).date()), Sample()).add(act)
    return [Finding(Rule.EMERGENCY_ENDED, who, None, day, sample) for (who, day), sample in found.items()]


def many_patients(days: Iterable[tuple[Person, Mapping[date, Day]]]) -> Iterator[Finding]:
    """Whoever read of more patients on one day than is usual for their role: the mean of all days, and three deviations.

    There is no register of patients: each request stands for one.
    """
    found = [(person, day, read) for person, of_days in days for day, read in of_days.items()]
    by_role: dict[Role | None, list[int]] = {}
    for person, _, read in found:
        by_role.setdefault(person.main_role, []).append(read.requests)
    most = {role: most_usual(numbers) for role, numbers in by_role.items()}
    for person, day, read in found:
        limit = most[person.main_role]
        if limit is not None and read.requests > limit:
            yield Finding(Rule.MANY_PATIENTS, person.account_id, None, day, read.reads)


def most_usual(numbers: Sequence[int]) -> float | None:
    """The most that is usual; None where too little is known."""
    if len(numbers) < LEAST_DAYS:
        return None
    return max(fmean(numbers) + DEVIATIONS * pstdev(numbers), LEAST_PATIENTS)


def family_words(family_name: str) -> frozenset[str]:
    """The words of a family name by which a family is known: of a double name both, without what stands before many."""
    return frozenset(word for word in names_in(plain(family_name)) if len(word) > 1 and word not in _PARTICLES)


def kin(given_name: str, family_name: str, patient: Mapping[str, object]) -> Rule | None:
    """Which rule somebody of that name meets who looks at what is on file about that patient, as recorded."""
    if family_words(family_name).isdisjoint(family_words(str(patient.get("family_name") or ""))):
        return None
    own, theirs = (set(names_in(plain(name))) for name in (given_name, str(patient.get("given_name") or "")))
    return Rule.SAME_FAMILY_NAME if own.isdisjoint(theirs) else Rule.OWN_RECORD


def in_order(findings: Iterable[Finding]) -> tuple[list[Finding], int]:
    """The gravest first, always in the same order, and how many were too many."""
    rank = {rule: number for number, rule in enumerate(Rule)}
    ordered = sorted(findings, key=lambda one: (rank[one.rule], one.day, one.account_id, one.sample.first_at))
    return ordered[:MOST_FINDINGS], max(0, len(ordered) - MOST_FINDINGS)


def state_of(*, findings: int, settled: int, verdicts: int, signed: int | None) -> ReviewState:
    """How far a review is: of so many findings so many have a verdict, by so many `verdicts` in all.

    `signed` is how many of these there were when it was last signed off.
    """
    if settled < findings:
        return ReviewState.OPEN
    return ReviewState.SIGNED_OFF if signed == verdicts else ReviewState.TO_SIGN_OFF


def must_be_settled_by_others(finding_account: UUID, settler: UUID, administrators: Collection[UUID]) -> bool:
    """Whether somebody else has to say what a finding is about: nobody does about themselves, where there is anybody else."""
    return finding_account == settler and any(one != settler for one in administrators)


def _gravest(bond: Bond, at: datetime) -> Rule | None:
    """Of the rules about a request that a read meets the gravest.

    One line of a person with a request, whatever it meets: how many there are tells nothing of names once it is destroyed.
    """
    if bond.kin is Rule.OWN_RECORD:
        return bond.kin
    if not bond.is_theirs:
        return Rule.KIN_OF_A_STRANGER if bond.kin else Rule.NO_PARTICIPANT
    if bond.kin is None and bond.over_since is not None and at - bond.over_since > LONG:
        return Rule.LONG_OVER
    return bond.kin


def _is_refused_a_request(act: Seen) -> bool:
    if act.kind is Act.EMERGENCY:
        return act.name == EmergencyStep.REFUSED
    return act.kind is Act.REFUSED and act.request_id is not None and (act.name or "").endswith(_HIDDEN)
