"""The monthly analysis of accesses: each rule finds what it is for, and not its neighbour."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.access_review import (
    KEPT_ENTRIES,
    MOST_FINDINGS,
    MOST_READS_A_MINUTE,
    NOTHING_KNOWN,
    Bond,
    Course,
    Finding,
    Person,
    ReviewState,
    Rule,
    Sample,
    Seen,
    bounds,
    ended_by_others,
    family_words,
    following,
    in_order,
    kin,
    many_patients,
    month_before,
    must_be_settled_by_others,
    opened_by_others,
    state_of,
)
from domain.audit import Act, EmergencyStep, Purpose
from domain.requests import Role

ZONE = ZoneInfo("America/Toronto")
NOON = datetime(2026, 10, 14, 12, 0, tzinfo=ZONE)
OURS, STRANGER = Bond(is_theirs=True), Bond(is_theirs=False)
SECOND = timedelta(seconds=1)


def person(*roles: Role, is_system: bool = False, last_before: datetime = NOON - timedelta(days=20)) -> Person:
    return Person(uuid4(), frozenset(roles), is_system, last_before)


def act(
    at: datetime = NOON, kind: Act = Act.REQUEST, *, request_id: UUID | None = None, name: str | None = None
) -> Seen:
    return Seen(uuid4(), at, kind, name, request_id or uuid4())


def found(acts: Iterable[tuple[Seen, Bond]], who: Person | None = None) -> dict[Rule, int]:
    """The rules that are met, each with how many acts."""
    course = Course(who or person(Role.REQUESTER), ZONE)
    for one, bond in acts:
        course.take(one, bond)
    numbers: dict[Rule, int] = {}
    for finding in course.findings():
        numbers[finding.rule] = numbers.get(finding.rule, 0) + finding.sample.number
    return numbers


def test_who_works_as_usual_is_not_listed() -> None:
    day = [(act(NOON + timedelta(minutes=5 * number)), OURS) for number in range(40)]
    assert found(day) == {}


def test_a_stranger_is_listed_once_for_each_request() -> None:
    one, other = uuid4(), uuid4()
    acts = [act(NOON + number * SECOND, request_id=one) for number in range(3)] + [act(request_id=other)]
    course = Course(person(Role.REQUESTER), ZONE)
    for seen in acts:
        course.take(seen, STRANGER)
    findings = {finding.request_id: finding for finding in course.findings()}
    assert findings.keys() == {one, other}
    assert (findings[one].rule, findings[one].sample.number) == (Rule.NO_PARTICIPANT, 3)
    assert findings[one].sample.entries == [seen.id for seen in acts[:3]]
    assert findings[one].sample.last_at == NOON + 2 * SECOND


def test_names_are_listed_also_of_who_takes_part() -> None:
    for rule in (Rule.OWN_RECORD, Rule.SAME_FAMILY_NAME):
        assert found([(act(), Bond(is_theirs=True, kin=rule))]) == {rule: 1}


def test_of_several_rules_about_a_request_the_gravest_makes_the_line() -> None:
    long_ago = NOON - timedelta(days=200)
    for bond, rule in (
        (Bond(is_theirs=False, over_since=long_ago, kin=Rule.OWN_RECORD), Rule.OWN_RECORD),
        (Bond(is_theirs=False, over_since=long_ago, kin=Rule.SAME_FAMILY_NAME), Rule.KIN_OF_A_STRANGER),
        (Bond(is_theirs=False, over_since=long_ago), Rule.NO_PARTICIPANT),
        (Bond(is_theirs=True, over_since=long_ago, kin=Rule.SAME_FAMILY_NAME), Rule.SAME_FAMILY_NAME),
        (Bond(is_theirs=True, over_since=long_ago), Rule.LONG_OVER),
    ):
        assert found([(act(), bond)]) == {rule: 1}
    assert found([(act(), NOTHING_KNOWN)]) == {}


@pytest.mark.parametrize(("days", "listed"), [(90, {}), (91, {Rule.LONG_OVER: 1})])
def test_what_is_long_over(days: int, listed: dict[Rule, int]) -> None:
    assert found([(act(), Bond(is_theirs=True, over_since=NOON - timedelta(days=days)))]) == listed


@pytest.mark.parametrize(("reads", "listed"), [(20, {}), (21, {Rule.BURST: 21}), (30, {Rule.BURST: 30})])
def test_reads_within_a_minute(reads: int, listed: dict[Rule, int]) -> None:
    request_id = uuid4()
    assert found([(act(NOON + SECOND * number, request_id=request_id), OURS) for number in range(reads)]) == listed


@pytest.mark.parametrize("pauses", [[2.9] * 599, [2.5] * 21 + [5, 1.5] * 20], ids=["steady", "now and then"])
def test_an_act_is_counted_once_however_often_it_is_too_much(pauses: list[float]) -> None:
    request_id = uuid4()
    times = [NOON + timedelta(seconds=seconds) for seconds in accumulate(pauses, initial=0.0)]
    minutes = [[at for at in times if last - timedelta(minutes=1) < at <= last] for last in times]
    too_much = {at for minute in minutes if len(minute) > MOST_READS_A_MINUTE for at in minute}
    course = Course(person(Role.REQUESTER), ZONE)
    for at in times:
        course.take(act(at, request_id=request_id), OURS)
    [burst] = course.findings()
    assert (burst.rule, burst.sample.number) == (Rule.BURST, len(too_much))
    assert len(set(burst.sample.entries)) == len(burst.sample.entries) == KEPT_ENTRIES


def test_a_minute_passes() -> None:
    assert found([(act(NOON + 3 * SECOND * number), OURS) for number in range(60)]) == {}


def test_what_a_page_shows_besides_is_no_read_of_its_own() -> None:
    for kind in (Act.TIMELINE, Act.PREVIEW):
        assert found([(act(NOON + SECOND * number, kind), OURS) for number in range(40)]) == {}


@pytest.mark.parametrize(
    ("hour", "minute", "listed"), [(5, 59, True), (6, 0, False), (21, 59, False), (22, 0, True), (0, 0, True)]
)
def test_hours_are_the_clinics(hour: int, minute: int, *, listed: bool) -> None:
    moment = NOON.replace(hour=hour, minute=minute).astimezone(UTC)
    assert found([(act(moment), OURS)]) == ({Rule.OFF_HOURS: 1} if listed else {})
    assert found([(act(moment), OURS)], person(Role.PROVIDER, Role.REQUESTER)) == {}  # on call


def test_what_is_taken_along() -> None:
    assert found([(act(kind=Act.EXPORT), OURS), (act(kind=Act.JOURNAL), OURS)]) == {Rule.TAKEN_ALONG: 2}


@pytest.mark.parametrize(("lines", "listed"), [(10, {}), (11, {Rule.WIDE_SEARCH: 11})])
def test_what_one_search_showed_stands_with_one_time(lines: int, listed: dict[Rule, int]) -> None:
    assert found([(act(NOON, Act.SEARCH), OURS) for _ in range(lines)]) == listed
    apart = [(act(NOON + SECOND * (number % 2), Act.SEARCH), OURS) for number in range(lines)]
    assert found(sorted(apart, key=lambda one: one[0].at)) == {}


@pytest.mark.parametrize(("tries", "listed"), [(4, {}), (5, {Rule.FAILED_TRIES: 5})])
def test_failed_tries(tries: int, listed: dict[Rule, int]) -> None:
    assert found([(act(kind=Act.SIGN_IN_FAILED), STRANGER) for _ in range(tries)]) == listed
    hidden = [(act(kind=Act.REFUSED, name="get_request 404"), STRANGER) for _ in range(tries)]
    assert found(hidden) == listed
    assert found([(act(kind=Act.REFUSED, name="submit 422"), STRANGER) for _ in range(tries)]) == {}


@pytest.mark.parametrize(("days", "listed"), [(90, set()), (91, {Rule.AFTER_SILENCE})])
def test_an_account_that_was_silent(days: int, listed: set[Rule]) -> None:
    course = Course(person(Role.REQUESTER, last_before=NOON - timedelta(days=days)), ZONE)
    course.first_use(act(kind=Act.SIGN_IN))
    assert {one.rule for one in course.findings()} == listed


def test_a_system_reads_much_and_at_night() -> None:
    system = person(is_system=True)
    night = [(act(NOON.replace(hour=3) + SECOND * number), STRANGER) for number in range(50)]
    assert found(night, system) == {}
    assert found([(act(kind=Act.EXPORT), STRANGER)], system) == {Rule.TAKEN_ALONG: 1}


def busy(role: Role, patients: int, days: int) -> tuple[Person, Course]:
    who = person(role)
    course = Course(who, ZONE)
    for day in range(days):
        for number in range(patients):
            course.take(act(NOON - timedelta(days=day) + timedelta(minutes=2 * number)), OURS)
    return who, course


def test_many_patients_are_many_for_that_role() -> None:
    usual = [busy(Role.REQUESTER, 6, 15) for _ in range(4)]
    often, seldom = busy(Role.REQUESTER, 30, 1), busy(Role.PROVIDER, 30, 19)
    people = [*usual, often, seldom]
    listed = list(many_patients((who, course.days()) for who, course in people))
    assert [(one.rule, one.account_id, one.day, one.sample.number) for one in listed] == [
        (Rule.MANY_PATIENTS, often[0].account_id, NOON.date(), 30)
    ]
    assert len(listed[0].sample.entries) == KEPT_ENTRIES
    few = [busy(Role.REQUESTER, 1, 20), busy(Role.REQUESTER, 10, 1)]
    assert list(many_patients((who, course.days()) for who, course in few)) == []


def test_whose_name_it_is() -> None:
    patient = {"given_name": "Anne-Marie", "family_name": "Côté Lavoie"}
    assert kin("Anne", "COTE", patient) is Rule.OWN_RECORD
    assert kin("Jean", "Roy-Lavoie", patient) is Rule.SAME_FAMILY_NAME
    assert kin("Anne-Marie", "Coté-Roy", patient) is Rule.OWN_RECORD
    assert kin("Anne", "Marie", patient) is None  # a given name is no family
    assert kin("Anne", "", {}) is None
    assert family_words("de la Durantaye") == {"durantaye"}
    assert kin("Luc", "de la Roche", {"family_name": "de la Durantaye"}) is None


def test_months() -> None:
    assert month_before(date(2026, 3, 1)) == date(2026, 2, 1)
    assert month_before(date(2026, 1, 31)) == date(2025, 12, 1)
    assert following(date(2026, 12, 1)) == date(2027, 1, 1)
    since, until = bounds(date(2026, 11, 1), ZONE)
    assert since == datetime(2026, 11, 1, 4, tzinfo=UTC)  # the clocks go back that night
    assert until == datetime(2026, 12, 1, 5, tzinfo=UTC)


def test_the_gravest_come_first_and_what_is_too_much_is_counted() -> None:
    def one(rule: Rule, at: datetime) -> Finding:
        sample = Sample()
        sample.add(act(at))
        return Finding(rule, UUID(int=1), None, at.date(), sample)

    several = [
        one(Rule.AFTER_SILENCE, NOON),
        one(Rule.OWN_RECORD, NOON),
        one(Rule.OWN_RECORD, NOON - timedelta(days=1)),
    ]
    ordered, left_out = in_order(several)
    assert (ordered, left_out) == ([several[2], several[1], several[0]], 0)
    assert in_order(reversed(several)) == (ordered, 0)
    kept, left_out = in_order([one(Rule.OFF_HOURS, NOON) for _ in range(MOST_FINDINGS + 7)])
    assert (len(kept), left_out) == (MOST_FINDINGS, 7)


@pytest.mark.parametrize(
    ("findings", "settled", "verdicts", "signed", "state"),
    [
        (2, 1, 1, None, ReviewState.OPEN),
        (2, 2, 2, None, ReviewState.TO_SIGN_OFF),
        (2, 2, 2, 2, ReviewState.SIGNED_OFF),
        (2, 2, 3, 2, ReviewState.TO_SIGN_OFF),
        (0, 0, 0, None, ReviewState.TO_SIGN_OFF),
        (0, 0, 0, 0, ReviewState.SIGNED_OFF),
    ],
)
def test_how_far_a_month_is(findings: int, settled: int, verdicts: int, signed: int | None, state: ReviewState) -> None:
    assert state_of(findings=findings, settled=settled, verdicts=verdicts, signed=signed) is state


def test_nobody_judges_themselves_where_there_is_anybody_else() -> None:
    me, other = uuid4(), uuid4()
    assert must_be_settled_by_others(me, me, [me, other])
    assert not must_be_settled_by_others(me, me, [me])
    assert not must_be_settled_by_others(other, me, [me, other])


@pytest.mark.parametrize(("tries", "listed"), [(4, {}), (5, {Rule.FAILED_TRIES: 5})])
def test_tries_to_open_something_in_an_emergency_count_where_they_are_refused(
    tries: int, listed: dict[Rule, int]
) -> None:
    refused = [
        (Seen(uuid4(), NOON + number * SECOND, Act.EMERGENCY, EmergencyStep.REFUSED, None), NOTHING_KNOWN)
        for number in range(tries)
    ]
    ended = [(Seen(uuid4(), NOON, Act.EMERGENCY, EmergencyStep.ENDED, uuid4()), STRANGER) for _ in range(5)]
    assert found([*refused, *ended]) == listed


def test_what_was_opened_in_an_emergency_comes_first_in_one_line() -> None:
    """Whatever else the reads meet: one line of the person with the request, with the opening, and with what they saw before."""
    request_id, other = uuid4(), uuid4()

    def seen(minute: int, kind: Act, name: str | None = None, purpose: Purpose | None = None) -> Seen:
        return Seen(uuid4(), NOON + timedelta(minutes=minute), kind, name, request_id, purpose)

    acts = [
        (seen(0, Act.REQUEST), STRANGER),
        (seen(1, Act.EMERGENCY, EmergencyStep.OPENED, Purpose.EMERGENCY), STRANGER),
        (seen(2, Act.REQUEST, purpose=Purpose.EMERGENCY), Bond(is_theirs=False, kin=Rule.OWN_RECORD)),
        (seen(3, Act.EMERGENCY, EmergencyStep.ENDED), STRANGER),
        (act(request_id=other), STRANGER),
    ]
    course = Course(person(Role.PROVIDER), ZONE)
    for one, bond in acts:
        course.take(one, bond)
    findings, left_out = in_order(course.findings())
    assert [(one.rule, one.request_id, one.sample.number) for one in findings] == [
        (Rule.EMERGENCY, request_id, 3),
        (Rule.NO_PARTICIPANT, other, 1),
    ]
    assert (findings[0].sample.first_at, left_out) == (NOON, 0)


def test_what_people_of_other_clinics_ended_is_a_line_for_each_day() -> None:
    """As what a clinic's own people ended; who ends their own access denies it to nobody."""
    who, reader, step = uuid4(), uuid4(), EmergencyStep.ENDED
    days = (NOON, NOON + timedelta(hours=1), NOON + timedelta(days=1))
    ends = [(who, Seen(uuid4(), at, Act.EMERGENCY, step, uuid4(), Purpose.ADMINISTRATION)) for at in days]
    own = (reader, Seen(uuid4(), NOON, Act.EMERGENCY, step, uuid4(), Purpose.CARE))
    findings = ended_by_others([*ends, own], ZONE)
    assert [(one.rule, one.account_id, one.request_id, one.sample.number) for one in findings] == [
        (Rule.EMERGENCY_ENDED, who, None, 2),
        (Rule.EMERGENCY_ENDED, who, None, 1),
    ]


def test_what_people_of_other_clinics_opened_is_a_line_for_each() -> None:
    who, one, other = uuid4(), uuid4(), uuid4()
    acts = [Seen(uuid4(), NOON, Act.EMERGENCY, EmergencyStep.OPENED, id_) for id_ in (one, one, other)]
    findings = opened_by_others(((who, act) for act in acts), ZONE)
    assert [(found.rule, found.account_id, found.request_id, found.sample.number) for found in findings] == [
        (Rule.EMERGENCY, who, one, 2),
        (Rule.EMERGENCY, who, other, 1),
    ]
