"""What an entry costs the act that it tells of, how fast the audit is checked, and whether every change of its past is found out.

    .venv/bin/python -m benchmarks.audit [--entries 100000] [--changes 10000]

Starts a PostgreSQL of its own in a temporary folder; writes a row with an entry and without, in turn. Writes that many entries,
gives them their places with a checkpoint at every hundredth, and checks the whole. Then it changes the past so many times, in six
ways in turn, each time in memory and from the checkpoint before the change on, for the check goes along the leaves once; every
change must be named. Prints what an entry costs, rows a second, and how many of each kind were found. Nothing here is a test;
`tests/records/test_audit.py` tries each kind in the database.
"""

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, cast

from sqlalchemy import insert, text

from benchmarks.worklist import running_database
from documents.audit_key import AuditKey
from domain.audit import Act
from domain.merkle import CompactRange
from domain.signed_notes import Checkpoint, signed
from records import audit, audit_tree
from records.audit import By
from records.database import Database
from records.ids import new_id
from records.models import AuditLeaf, table_of
from use_cases.audit_check import Fault, Known, Verdict, Walk, check

EVERY = 100
TRANSACTIONS = 500
KEY = AuditKey(b"a secret of the measurement")
NAME = "relais.test/audit"
BY = By(None, address="192.0.2.7")


@dataclass(frozen=True)
class Row:
    """A leaf with its entry, as `records.audit_tree.entries_in_place` gives it."""

    seq: int
    entry_id: Any
    hash: bytes
    told: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.told[name]


Change = Callable[[list[Row], random.Random], list[Row]]


def _word(rows: list[Row], chance: random.Random) -> list[Row]:
    place = chance.randrange(len(rows))
    name = rows[place].told["name"]
    at = chance.randrange(len(name))
    other = name[:at] + chr(ord(name[at]) ^ 1) + name[at + 1 :]
    return [*rows[:place], replace(rows[place], told={**rows[place].told, "name": other}), *rows[place + 1 :]]


def _gone(rows: list[Row], chance: random.Random) -> list[Row]:
    place = chance.randrange(len(rows))
    return rows[:place] + [replace(one, seq=one.seq - 1) for one in rows[place + 1 :]]


def _swapped(rows: list[Row], chance: random.Random) -> list[Row]:
    one, other = chance.sample(range(len(rows)), 2)
    made = list(rows)
    made[one], made[other] = replace(rows[other], seq=rows[one].seq), replace(rows[one], seq=rows[other].seq)
    return made


def _added(rows: list[Row], chance: random.Random) -> list[Row]:
    place = chance.randrange(len(rows))
    made = _rehashed(replace(rows[place], told={**rows[place].told, "id": new_id()}))
    return [*rows[:place], made, *(replace(one, seq=one.seq + 1) for one in rows[place:])]


def _rewritten(rows: list[Row], chance: random.Random) -> list[Row]:
    place = chance.randrange(len(rows))
    other = _rehashed(replace(rows[place], told={**rows[place].told, "name": "something else"}))
    return [*rows[:place], other, *rows[place + 1 :]]


def _cut(rows: list[Row], chance: random.Random) -> list[Row]:
    return rows[: -chance.randint(1, len(rows))]


def _rehashed(row: Row) -> Row:
    leaf = audit.leaf_of(replace(row, told={**row.told, "leaf": None}))
    return replace(row, hash=leaf, told={**row.told, "leaf": leaf})


CHANGES: dict[str, Change] = {
    "one bit of an entry": _word,
    "removed, those behind moved up": _gone,
    "exchanged": _swapped,
    "added with a leaf": _added,
    "entry and leaf rewritten": _rewritten,
    "cut off": _cut,
}


async def main(entries: int, changes: int) -> None:
    """Write, check, change."""
    with tempfile.TemporaryDirectory(prefix="relais-") as folder:
        async with running_database(Path(folder)) as database:
            await _cost(database)
            rows = await _checked(database, entries)
    detected, tried = _change(rows, changes)
    for kind, number in tried.items():
        print(f"{kind:32} {detected[kind]:6} of {number:6} found")
    print(f"{'all':32} {detected.total():6} of {tried.total():6} found")


async def _cost(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("CREATE TABLE acts (id uuid PRIMARY KEY)"))
    more: list[tuple[float, float]] = []
    for number in range(TRANSACTIONS):
        order = (False, True) if number % 2 else (True, False)
        took = {with_entry: await _act(database, with_entry=with_entry) for with_entry in order}
        more.append((took[True][0] - took[False][0], took[True][1] - took[False][1]))
    passed, spent = (median(one) * 1000 for one in zip(*more, strict=True))
    print(f"an entry costs its act {passed:.1f} ms, of which {spent:.1f} ms of this process")


async def _act(database: Database, *, with_entry: bool) -> tuple[float, float]:
    """Seconds that passed, and that this process worked."""
    began, worked = perf_counter(), process_time()
    async with database.session() as session:
        await session.execute(text("INSERT INTO acts VALUES (:id)"), {"id": new_id()})
        if with_entry:
            content = {"command_id": str(new_id())}
            audit.add(session, Act.COMMAND, BY, datetime.now(UTC), name="assign", request_id=new_id(), content=content)
    return perf_counter() - began, process_time() - worked


async def _checked(database: Database, entries: int) -> list[Row]:
    await _fill(database, entries)
    began = perf_counter()
    verdict = await check(database, Known(NAME, KEY.public))
    took = perf_counter() - began
    assert verdict.is_whole, verdict.findings
    rate = entries / took
    print(f"{entries} entries and {verdict.checkpoints} checkpoints checked in {took:.1f} s: {rate:,.0f} a second")
    async with database.session() as session:
        found = await audit_tree.entries_in_place(session, 0, entries)
    return [Row(one.seq, one.entry_id, one.hash, dict(one._mapping)) for one in found]


def _change(rows: Sequence[Row], changes: int) -> tuple[Counter[str], Counter[str]]:
    chance, tree = random.Random(7), CompactRange()  # noqa: S311 - the same changes each time
    peaks, roots = [(0, list(tree.peaks))], {}
    for row in rows:
        tree.append(row.hash)
        if tree.size % EVERY == 0:
            peaks.append((tree.size, list(tree.peaks)))
            roots[tree.size] = {tree.root: "a checkpoint"}
    detected: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for number in range(changes):
        kind = list(CHANGES)[number % len(CHANGES)]
        size, before = chance.choice(peaks[:-1])
        verdict = Verdict()
        walk = Walk(verdict, {size + EVERY: roots[size + EVERY]}, {}, 0, CompactRange(size, list(before)))
        changed = CHANGES[kind](list(rows[size : size + EVERY]), chance)
        walk.look_at(cast(list[Any], changed))
        walk.end(size + len(changed))
        tried[kind] += 1
        detected[kind] += not verdict.is_whole
        assert kind != "one bit of an entry" or verdict.findings[0].fault is Fault.CHANGED
    return detected, tried


async def _fill(database: Database, entries: int) -> None:
    """Entries and leaves as acts and the worker would write them, many at once."""
    tree, now = CompactRange(), datetime.now(UTC)
    for first in range(0, entries, 1_000):
        async with database.session() as session:
            made = [
                audit.add(session, Act.LOOK, BY, now, name=f"route {first + number}", request_id=new_id())
                for number in range(min(1_000, entries - first))
            ]
            await session.flush()
            places = [{"seq": first + n, "entry_id": one.id, "leaf": one.leaf} for n, one in enumerate(made)]
            await session.execute(insert(table_of(AuditLeaf)), places)
            for one in made:
                tree.append(one.leaf or b"")
                if tree.size % EVERY == 0:
                    note = signed(Checkpoint(NAME, tree.size, tree.root), KEY.public, KEY.sign)
                    await audit_tree.keep_checkpoint(session, tree.size, note, now)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=10_000)
    given = parser.parse_args()
    asyncio.run(main(given.entries, given.changes))
