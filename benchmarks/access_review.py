"""What the monthly analysis of accesses finds among many, and what it costs.

    .venv/bin/python -m benchmarks.access_review [--accesses 1000000] [--patterns 200]

Starts a PostgreSQL of its own in a temporary folder, fills it (`benchmarks.full_records`), and writes so many accesses of a month
and one clinic of 400 people: each opens a dozen or two of their own requests a day, in working hours, with their photos and
documents. One in five bears the name of a patient in 400, some take a file along, work late, or mistype their password, as people
do. Among these it hides patterns of misuse, eleven kinds in turn, then analyses the month. Prints how many of them are on the
list, how many lines and acts are there besides, how long it took, and how much memory. What is by chance is always the same.
Nothing here is a test; `tests/unit/domain/test_access_review.py` holds the rules.
"""

import argparse
import asyncio
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text

from benchmarks.full_records import FAMILY_NAMES, GIVEN_NAMES, fill
from benchmarks.worklist import running_database
from domain.access_review import Rule, following
from domain.audit import Act
from domain.calendar import TIME_ZONE
from domain.requests import Role
from records.audit import first_id_of
from records.database import Database
from records.models import AccessFinding, AccessReview
from use_cases.access_analysis import analyse

REQUESTS = 80_000
STAFF = {Role.PROVIDER: 120, Role.REQUESTER: 250, Role.DISPATCHER: 20, Role.CLINIC_ADMINISTRATOR: 9, Role.OPERATOR: 1}
RECENT, LONG_AGO = 40, timedelta(days=120)
BUSY_WITH_IT = timedelta(days=50)
NOISE = 60
"""So many files are taken along, and so many reads are late, without any harm."""

COLUMNS = ("id", "at", "kind", "account_id", "clinic_id", "request_id", "role", "version")
MINUTE = timedelta(minutes=1)

FORMS = (
    "INSERT INTO form_versions (request_id, number, content, sha256, command_id, frozen_by, frozen_at) "
    "SELECT id, 1, form, repeat('0', 64), 's', requester_id, created_at FROM requests "
    "WHERE id = ANY (:ids) AND status <> 'draft' ON CONFLICT DO NOTHING",
    "UPDATE requests SET process = jsonb_set(process, '{form}', '{\"number\": 1}') "
    "WHERE id = ANY (:ids) AND status <> 'draft'",
)
"""Only where names are compared a form is opened."""


@dataclass
class Somebody:
    """One of the clinic, and the requests with which they have to do, the newest first."""

    id: UUID
    role: Role
    requests: list[tuple[UUID, int, datetime, datetime | None]] = field(default_factory=list)

    @property
    def recent(self) -> list[UUID]:
        """With which they are busy."""
        newest = self.requests[0][2]
        return [one[0] for one in self.requests[:RECENT] if newest - one[2] < BUSY_WITH_IT]


@dataclass(frozen=True)
class Pattern:
    """What was hidden: acts of somebody with one request, or on one day."""

    rule: Rule
    account_id: UUID
    request_id: UUID | None
    day: date


class Month:
    """The acts of a month, as they are made up."""

    def __init__(self, clinic_id: UUID, first: date, people: Sequence[Somebody]) -> None:
        self.chance = random.Random(7)  # noqa: S311 - the same each time
        self.clinic_id, self.people = clinic_id, people
        self.days = [day for n in range(28) if (day := first + timedelta(days=n)).weekday() < 5]
        self.acts: list[tuple[Any, ...]] = []
        self.patterns: list[Pattern] = []

    def act(self, who: Somebody, at: datetime, kind: Act, request_id: UUID | None = None) -> None:
        """One more."""
        tail = (7 << 76) | (2 << 62) | self.chance.getrandbits(62)
        values = (who.id, self.clinic_id, request_id, who.role.value, 1)
        self.acts.append((UUID(int=first_id_of(at).int | tail), at.astimezone(UTC), kind.value, *values))

    def moment(self, day: date, hour: float) -> datetime:
        """That time of the day, in the clinic."""
        return datetime.combine(day, time(), TIME_ZONE) + timedelta(hours=hour)

    def usual_day(self, who: Somebody, day: date, acts: int) -> None:
        """A dozen or two of one's own requests, with what belongs to them."""
        at, left, recent = self.moment(day, 8 + self.chance.random()), acts, who.recent
        while left > 0:
            request_id = self.chance.choice(recent)
            kinds = [Act.REQUEST, Act.TIMELINE, *[Act.ATTACHMENT] * self.chance.randint(1, 4), Act.DOCUMENT]
            for number, kind in enumerate(kinds[:left]):
                self.act(who, at + timedelta(seconds=4 * number), kind, request_id)
            left -= len(kinds)
            at += MINUTE * self.chance.uniform(3, 30 * 16 / max(acts, 16))

    def hide(self, rule: Rule, who: Somebody, request_id: UUID | None, day: date) -> None:
        """Note what the analysis has to find."""
        self.patterns.append(Pattern(rule, who.id, request_id, day))


def bearing(person: Somebody, name: int) -> list[UUID]:
    """Their requests whose patient has that family name."""
    return [one[0] for one in person.requests if one[1] % FAMILY_NAMES == name]


def stranger(month: Month, who: Somebody, day: date) -> None:
    """Opens a request with which only others have to do."""
    known = {one[0] for one in who.requests}
    others = [one[0] for other in month.people if other.role is who.role for one in other.requests[:RECENT]]
    request_id = month.chance.choice([one for one in others if one not in known])
    month.act(who, month.moment(day, 12.5), Act.REQUEST, request_id)
    month.hide(Rule.NO_PARTICIPANT, who, request_id, day)


def long_over(month: Month, who: Somebody, day: date) -> None:
    """Opens what was over long ago."""
    limit = month.moment(day, 12) - timedelta(days=95)
    request_id = month.chance.choice([one[0] for one in who.requests if one[3] is not None and one[3] < limit])
    month.act(who, month.moment(day, 12.5), Act.REQUEST, request_id)
    month.hide(Rule.LONG_OVER, who, request_id, day)


def burst(month: Month, who: Somebody, day: date) -> None:
    """Goes through everything at once."""
    for number, (request_id, *_) in enumerate(who.requests[:25]):
        month.act(who, month.moment(day, 12.5) + timedelta(seconds=2 * number), Act.REQUEST, request_id)
    month.hide(Rule.BURST, who, None, day)


def many(month: Month, who: Somebody, day: date) -> None:
    """Goes through everything, in a day."""
    for number, (request_id, *_) in enumerate(who.requests[:90]):
        month.act(who, month.moment(day, 8) + 6 * MINUTE * number, Act.REQUEST, request_id)
    month.hide(Rule.MANY_PATIENTS, who, None, day)


def at_night(month: Month, who: Somebody, day: date) -> None:
    """Reads at two in the morning."""
    month.act(who, month.moment(day, 2), Act.REQUEST, who.requests[0][0])
    month.hide(Rule.OFF_HOURS, who, None, day)


def takes_along(month: Month, who: Somebody, day: date) -> None:
    """Takes a whole file along."""
    month.act(who, month.moment(day, 12.5), Act.EXPORT, who.requests[0][0])
    month.hide(Rule.TAKEN_ALONG, who, None, day)


def looks_around(month: Month, who: Somebody, day: date) -> None:
    """Looks for a name that many have."""
    for request_id, *_ in who.requests[:15]:
        month.act(who, month.moment(day, 12.5), Act.SEARCH, request_id)
    month.hide(Rule.WIDE_SEARCH, who, None, day)


def tries(month: Month, who: Somebody, day: date) -> None:
    """Tries the password of somebody."""
    for number in range(6):
        month.act(who, month.moment(day, 12.5) + MINUTE * number, Act.SIGN_IN_FAILED)
    month.hide(Rule.FAILED_TRIES, who, None, day)


BY_ANYBODY: Sequence[Callable[[Month, Somebody, date], None]] = (
    *(stranger, long_over, burst, many, at_night, takes_along, looks_around, tries),
)


async def main(accesses: int, patterns: int) -> None:
    """Fill, hide, analyse, compare."""
    with tempfile.TemporaryDirectory(prefix="relais-") as folder:
        async with running_database(Path(folder)) as database:
            clinic_id, _, _ = await fill(database, REQUESTS, 2, STAFF)
            first = datetime.now(TIME_ZONE).date().replace(day=1)
            month = Month(clinic_id, first, await _people(database, clinic_id))
            await _make_up(database, month, accesses, patterns)
            await _write(database, month)
            now = datetime.combine(following(first), time(3), TIME_ZONE)
            began = perf_counter()
            await analyse(database, clinic_id, first, ZoneInfo(TIME_ZONE.key), now)
            took = perf_counter() - began
            await _compare(database, month)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"analysed in {took:.0f} s; this process, with all that it made up, held {memory:,.0f} MB at most")


async def _people(database: Database, clinic_id: UUID) -> list[Somebody]:
    """The clinic's people who have requests of their own."""
    query = text(
        "SELECT a.id, a.roles[1] AS role, p.request_id, right(q.number, 6)::int AS number, q.created_at, "
        "q.ended_at "
        "FROM accounts AS a JOIN request_participants AS p ON p.account_id = a.id JOIN requests AS q ON q.id = p.request_id "
        "WHERE a.clinic_id = :clinic AND q.created_at < :before ORDER BY a.id, q.created_at DESC"
    )
    month = datetime.now(TIME_ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found: dict[UUID, Somebody] = {}
    async with database.session() as session:
        for id_, role, request_id, number, created_at, ended_at in await session.execute(
            query, {"clinic": clinic_id, "before": month}
        ):
            person = found.setdefault(id_, Somebody(id_, Role(role)))
            person.requests.append((request_id, REQUESTS + 1 - number, created_at, ended_at))
    return [one for one in found.values() if len(one.requests) > 3 * RECENT]


async def _make_up(database: Database, month: Month, accesses: int, patterns: int) -> None:
    chance, people = month.chance, list(month.people)
    chance.shuffle(people)
    silent, relatives, patients, usual = people[:20], people[20:40], people[40:60], people[60:]
    namesakes = usual[: len(people) // 5]
    names = {one.id: chance.choice(one.requests[:RECENT])[1] % FAMILY_NAMES for one in relatives + patients}
    names |= {one.id: chance.randrange(FAMILY_NAMES) for one in namesakes}
    await _name(database, month, names, {one.id for one in patients}, {one.id for one in silent})
    each = accesses // (len(people) * len(month.days))
    for who in [*relatives, *patients, *usual]:
        for day in month.days:
            month.usual_day(who, day, max(1, round(chance.gauss(each, each / 4))))
    for number in range(NOISE):
        who, day = chance.choice(usual), chance.choice(month.days)
        month.act(
            who,
            month.moment(day, 12 if number % 2 else 22.2),
            Act.EXPORT if number % 2 else Act.REQUEST,
            who.requests[0][0],
        )
    asking = [one for one in usual if one.role is Role.REQUESTER]
    chance.shuffle(asking)
    for number in range(patterns):
        kind, nth = number % 11, number // 11
        day = chance.choice(month.days[1:])
        if kind < len(BY_ANYBODY):
            BY_ANYBODY[kind](month, asking[number % len(asking)], day)
        elif kind == 8:
            month.act(silent[nth], month.moment(day, 10), Act.REQUEST, silent[nth].requests[0][0])
            month.hide(Rule.AFTER_SILENCE, silent[nth], None, day)
        else:
            who, rule = (relatives[nth], Rule.SAME_FAMILY_NAME) if kind == 9 else (patients[nth], Rule.OWN_RECORD)
            request_id = bearing(who, names[who.id])[0]
            month.act(who, month.moment(day, 12.5), Act.REQUEST, request_id)
            month.hide(rule, who, request_id, day)


async def _name(
    database: Database, month: Month, names: dict[UUID, int], patients: set[UUID], silent: set[UUID]
) -> None:
    """Give people the names of patients, and forms to the requests, as they would have been submitted."""
    since = month.moment(month.days[0], 0)
    async with database.session() as session:
        await session.execute(text("SET LOCAL session_replication_role = 'replica'"))
        await session.execute(text("TRUNCATE audit_entries CASCADE"))
        await session.execute(text("UPDATE accounts SET created_at = :at"), {"at": since - timedelta(days=20)})
        for id_ in silent:
            at = since - LONG_AGO
            await session.execute(text("UPDATE accounts SET created_at = :at WHERE id = :id"), {"at": at, "id": id_})
        for id_, name in names.items():
            given = f"Given{name % GIVEN_NAMES}" if id_ in patients else "Nobody"
            values = {"id": id_, "given": given, "family": f"Family{name}"}
            await session.execute(
                text("UPDATE accounts SET given_name = :given, family_name = :family WHERE id = :id"), values
            )
            theirs = [request for one in month.people if one.id == id_ for request in bearing(one, name)]
            for statement in FORMS:
                await session.execute(text(statement), {"ids": theirs})


async def _write(database: Database, month: Month) -> None:
    """All at once, in the order of their times."""
    month.acts.sort()
    async with database.session() as session:
        await session.execute(text("SET LOCAL session_replication_role = 'replica'"))
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
        assert raw is not None
        await raw.copy_records_to_table("audit_entries", records=month.acts, columns=COLUMNS, timeout=1_000)
        await raw.execute("ANALYZE audit_entries", timeout=1_000)


async def _compare(database: Database, month: Month) -> None:
    async with database.session() as session:
        columns = AccessFinding.rule, AccessFinding.account_id, AccessFinding.request_id, AccessFinding.day
        lines = list(await session.execute(select(*columns, AccessFinding.number)))
        looked_at, left_out = (
            await session.execute(select(func.sum(AccessReview.accesses), func.sum(AccessReview.left_out)))
        ).one()
    listed = {(Rule(rule), account, request or day): number for rule, account, request, day, number in lines}
    hidden = {(one.rule, one.account_id, one.request_id or one.day) for one in month.patterns}
    found = hidden & listed.keys()
    besides = {line: number for line, number in listed.items() if line not in hidden}
    print(f"{looked_at:,} accesses, {len(month.people)} people; {left_out} lines were too many")
    print(f"{len(found)} of {len(hidden)} patterns are listed ({len(found) / len(hidden):.1%})")
    for what, number in (
        ("lines", len(listed)),
        ("lines besides the patterns", len(besides)),
        ("acts in lines besides the patterns", sum(besides.values())),
    ):
        print(f"{number:,} {what}: {number / looked_at:.4%} of the accesses")
    for rule, number in _by_rule(besides):
        print(f"  besides, {rule}: {number}")
    for rule, number in _by_rule(hidden - found):
        print(f"  missed, {rule}: {number}")


def _by_rule(lines: Any) -> Iterator[tuple[Rule, int]]:
    yield from Counter(rule for rule, *_ in lines).most_common()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accesses", type=int, default=1_000_000)
    parser.add_argument("--patterns", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.accesses, given.patterns))
