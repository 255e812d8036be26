"""Whether the audit is what it was: each entry against its leaf, all leaves against each checkpoint, here and elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from sqlalchemy.engine import Row

from documents.audit_key import is_signed
from domain.audit import Act
from domain.merkle import CompactRange
from domain.signed_notes import Checkpoint, NoteError, opened
from records import audit_tree
from records.audit import Told, hmac_of, leaf_of
from records.database import Database

PAGE = 10_000

MOST_NAMED = 1_000
"""So many findings are named; of more, only how many there are."""

LATE_BY = timedelta(hours=1)
"""An entry that says it is older than the checkpoint before it, by so much, was added later: no transaction takes so long."""


class Fault(StrEnum):
    """What is not as it was."""

    CHANGED = "changed"  # an entry tells something else than its leaf
    MISSING = "missing"  # an entry, or a place, is gone
    INSERTED = (
        "inserted"  # an entry has no place, though the tree was further already; or it says that it is older than it is
    )
    SWAPPED = "swapped"  # two places were exchanged
    REWRITTEN = "rewritten"  # the leaves up to here are not those of a checkpoint
    TRUNCATED = "truncated"  # a checkpoint knows more leaves than there are
    NOT_SIGNED = "not_signed"  # a checkpoint is none of ours


@dataclass(frozen=True)
class Finding:
    """One fault, and where: the place of an entry, its id, or the size of a checkpoint, in words."""

    fault: Fault
    where: str


@dataclass
class Verdict:
    """What was found. `size` leaves were looked at, `checkpoints` of them hold; `erased` entries have no content any more."""

    size: int = 0
    checkpoints: int = 0
    erased: int = 0
    faults: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return self.faults == 0

    def find(self, fault: Fault, where: str) -> None:
        """Note a fault."""
        self.faults += 1
        if len(self.findings) < MOST_NAMED:
            self.findings.append(Finding(fault, where))


@dataclass(frozen=True)
class Known:
    """By what the audit is measured: the key of its checkpoints, and those that are kept outside the database."""

    origin: str
    public_key: bytes
    outside: Mapping[str, str] = field(default_factory=dict)
    """Signed notes, each by where it is from."""


async def check(database: Database, known: Known, *, since: int = 0) -> Verdict:
    """Look at the whole audit. Entries before place `since`, the size of a checkpoint, are taken for what their leaves say."""
    verdict = Verdict()
    async with database.session() as session:
        end = await audit_tree.tree_size(session)
        head = await audit_tree.read_head(session)
        kept = await audit_tree.checkpoints(session)
    notes = {**{f"the records, {one.size}": one.note for one in kept}, **known.outside}
    roots = _roots(known, notes, verdict)
    await _find_homeless(database, head.horizon, verdict)
    made_at = sorted((one.size, one.at) for one in kept)
    walk = Walk(verdict, roots, dict(made_at), since)
    for first in range(0, end, PAGE):
        async with database.session() as session:
            if first + PAGE <= since:
                walk.go_on(await audit_tree.leaves(session, first, min(first + PAGE, end)))
            else:
                walk.look_at(await audit_tree.entries_in_place(session, first, min(first + PAGE, end)))
    walk.end(end)
    return verdict


async def _find_homeless(database: Database, horizon: int, verdict: Verdict) -> None:
    """Entries that have no place, although the tree has come further than the transaction that is said to have written them."""
    now: audit_tree.Pass | None = audit_tree.Pass(horizon)
    while now is not None and now.written_in < horizon:
        async with database.session() as session:
            rows, now = await audit_tree.without_place(session, now)
        for row in rows:
            if row.written_in < horizon:
                verdict.find(Fault.INSERTED, f"entry {row.id} has no place")


def _roots(known: Known, notes: Mapping[str, str], verdict: Verdict) -> dict[int, dict[bytes, str]]:
    """The roots of all checkpoints that are ours, by their size, each with where it is from."""
    roots: dict[int, dict[bytes, str]] = {}
    verify = partial(is_signed, known.public_key)
    for where, note in notes.items():
        try:
            found: Checkpoint = opened(note, known.origin, known.public_key, verify)
        except NoteError as error:
            verdict.find(Fault.NOT_SIGNED, f"checkpoint of {where}: {error}")
            continue
        roots.setdefault(found.size, {}).setdefault(found.root, where)
    return roots


class Placed(Told, Protocol):
    """A leaf with its entry, as `records.audit_tree.entries_in_place` gives it."""

    seq: Any
    entry_id: Any
    hash: Any
    leaf: Any
    written_in: Any
    content: Any
    content_key: Any


class Walk:
    """Goes along the leaves, once, and builds the tree of them: a new one, or going on with `tree`."""

    def __init__(
        self,
        verdict: Verdict,
        roots: Mapping[int, Mapping[bytes, str]],
        made_at: Mapping[int, datetime],
        since: int,
        tree: CompactRange | None = None,
    ) -> None:
        self._verdict, self._roots, self._made_at, self._since = verdict, roots, made_at, since
        self._tree = tree or CompactRange()
        self._next = self._tree.size
        self._is_sound = True
        self._before: datetime | None = None
        self._order: list[tuple[int, int]] = []

    def look_at(self, rows: Iterable[Placed]) -> None:
        """Further leaves with their entries."""
        for row in rows:
            if row.seq >= self._since:
                self._check(row)
            self._add(row.seq, row.hash)

    def go_on(self, rows: Iterable[Row[Any]]) -> None:
        """Further leaves of entries that are taken for what they were."""
        for row in rows:
            self._add(row.seq, row.leaf)

    def end(self, size: int) -> None:
        """All leaves were there: what do checkpoints know that is not?"""
        self._verdict.size = self._tree.size
        for more, found in sorted(self._roots.items()):
            if more > size:
                where = ", ".join(found.values())
                self._verdict.find(Fault.TRUNCATED, f"places {size} to {more - 1} are gone: the checkpoint of {where}")

    def _check(self, row: Placed) -> None:
        if row.id is None:
            self._verdict.find(Fault.MISSING, f"place {row.seq}, entry {row.entry_id}")
            return
        is_content = row.content is not None and row.content_key is not None
        if leaf_of(row) != row.hash or row.leaf not in (None, row.hash):
            self._verdict.find(Fault.CHANGED, f"place {row.seq}, entry {row.id}")
        elif is_content and hmac_of(row.content_key, row.content) != row.content_hmac:
            self._verdict.find(Fault.CHANGED, f"place {row.seq}, content of entry {row.id}")
        elif not is_content and (row.content is not None or row.content_hmac is not None):
            self._verdict.erased += 1
        if self._before is not None and row.at < self._before - LATE_BY and row.kind != Act.PHONE_PHOTO:
            self._verdict.find(Fault.INSERTED, f"place {row.seq}, entry {row.id}: it says that it is of {row.at}")
        self._order.append((row.seq, row.written_in))

    def _add(self, seq: int, leaf: bytes) -> None:
        if seq != self._next:
            self._verdict.find(Fault.MISSING, f"places {self._next} to {seq - 1}")
            self._is_sound = (
                False  # nothing can be said of the leaves behind: the hashes of those between are not known
            )
        self._next = seq + 1
        self._tree.append(leaf)
        self._before = self._made_at.get(self._next, self._before)
        if self._next in self._roots and self._is_sound:
            self._compare(self._roots[self._next])

    def _compare(self, roots: Mapping[bytes, str]) -> None:
        others = [where for root, where in roots.items() if root != self._tree.root]
        self._verdict.checkpoints += not others
        if not others:
            self._order.clear()
            return
        self._is_sound = False
        self._verdict.find(
            Fault.REWRITTEN, f"something before place {self._next}: the checkpoint of {', '.join(others)}"
        )
        for (place, earlier), (_, later) in pairwise(self._order):
            if later < earlier:
                self._verdict.find(Fault.SWAPPED, f"place {place} and a later one")
