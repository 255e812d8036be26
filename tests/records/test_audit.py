"""The audit's tree: nothing that is committed is left out, and nobody changes the past unseen."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.engine import make_url

from documents.audit_key import AuditKey
from domain.audit import Act
from domain.merkle import CompactRange
from domain.signed_notes import Checkpoint, signed
from records import access, audit, audit_tree
from records.audit import By
from records.database import Database
from records.ids import new_id
from records.models import AuditEntry, AuditLeaf, table_of
from records.store import DocumentStore
from settings import Settings
from tests.conftest import MakeDatabase
from use_cases.audit_check import Fault, Known, Verdict, check
from use_cases.audit_tree import Growth, checkpoint_key, make_checkpoint, origin

KEY = AuditKey(b"a secret of the test")
ENTRIES, EACH = 40, 10
NOBODY = By(None, address="192.0.2.7")


@dataclass(frozen=True)
class Parts:
    settings: Settings
    database: Database
    store: DocumentStore


def parts_of(url: str, folder: Path) -> Parts:
    settings = Settings(public_url="http://relais.test", audit_checkpoints_dir=folder)
    return Parts(settings, Database(url), DocumentStore("memory:///"))


async def grow(parts: Parts) -> bool:
    """As a worker does that starts."""
    return await Growth(parts.database).go_on()


async def written(database: Database, number: int) -> None:
    async with database.session() as session:
        for count in range(number):
            audit.add(session, Act.LOOK, NOBODY, datetime.now(UTC), name=f"route {count}", shown=[new_id()])


@pytest.fixture(scope="module")
async def full(make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with four checkpoints and their notes outside, in `OUTSIDE`."""
    url, folder = await make_database(migrated_template), tmp_path_factory.mktemp("checkpoints")
    parts = parts_of(url, folder)
    for _ in range(ENTRIES // EACH):
        await written(parts.database, EACH)
        assert await grow(parts)
        note = await make_checkpoint(parts, KEY)
        assert note is not None
    assert await make_checkpoint(parts, KEY) is None
    files = {file.name: file.read_text() for file in folder.iterdir()}
    assert sorted(files) == [f"{size:020}" for size in range(EACH, ENTRIES + 1, EACH)]
    for name, note in files.items():
        assert (await parts.store.get(checkpoint_key(int(name)))).decode() == note
    OUTSIDE.update(files)
    await parts.database.close()
    return str(make_url(url).database)


OUTSIDE: dict[str, str] = {}


async def verdict_after(url: str, change: str, outside: Mapping[str, str] | None = None, *, since: int = 0) -> Verdict:
    """What is found when the owner of the database has done that, past the triggers."""
    database = Database(url)
    async with database.session() as session:
        await session.execute(text("SET LOCAL session_replication_role = 'replica'"))
        for statement in change.split(";"):
            if statement.strip():
                await session.execute(text(statement))
    known = Known(origin(Settings(public_url="http://relais.test")), KEY.public, outside or {})
    verdict = await check(database, known, since=since)
    await database.close()
    return verdict


SWAP = (
    "UPDATE audit_leaves SET seq = -1 WHERE seq = 3; UPDATE audit_leaves SET seq = 3 WHERE seq = 27;"
    "UPDATE audit_leaves SET seq = 27 WHERE seq = -1"
)
FORGED = "INSERT INTO audit_entries (id, at, kind, written_in) VALUES (gen_random_uuid(), now(), 'look', 1)"
CUT = (
    "DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_leaves WHERE seq >= 35);"
    "DELETE FROM audit_leaves WHERE seq >= 35"
)
CUT_CHECKPOINTS = (
    "DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_leaves WHERE seq >= 35);"
    "DELETE FROM audit_leaves WHERE seq >= 35; DELETE FROM audit_checkpoints WHERE size > 35"
)
REMOVED = "DELETE FROM audit_entries WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7)"
REMOVED_WITH_PLACE = (
    "DELETE FROM audit_entries WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7); "
    "DELETE FROM audit_leaves WHERE seq = 7"
)

TAMPERED = {
    "nothing": ("", None, {}),
    "one word of an entry": (
        "UPDATE audit_entries SET name = 'x' WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7)",
        Fault.CHANGED,
        {},
    ),
    "the leaf, too": (
        "UPDATE audit_entries SET name = 'x', leaf = 'y' WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7); "
        "UPDATE audit_leaves SET leaf = 'y' WHERE seq = 7",
        Fault.REWRITTEN,
        {},
    ),
    "a content": (
        """UPDATE audit_entries SET content = '{"address": "192.0.2.8"}' """
        "WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7)",
        Fault.CHANGED,
        {},
    ),
    "removed": (REMOVED, Fault.MISSING, {}),
    "removed with its place": (REMOVED_WITH_PLACE, Fault.MISSING, {}),
    "inserted": (FORGED, Fault.INSERTED, {}),
    "exchanged": (SWAP, Fault.SWAPPED, {}),
    "cut off": (CUT, Fault.TRUNCATED, {}),
    "cut off with its checkpoints": (CUT_CHECKPOINTS, Fault.TRUNCATED, {"of a file": f"{ENTRIES:020}"}),
    "another signature": (
        "UPDATE audit_checkpoints SET note = replace(note, '— ', '— x') WHERE size = 20",
        Fault.NOT_SIGNED,
        {},
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_whoever_rules_the_database_is_found_out(make_database: MakeDatabase, full: str, case: str) -> None:
    change, fault, outside = TAMPERED[case]
    files = {where: OUTSIDE[name] for where, name in outside.items()}
    verdict = await verdict_after(await make_database(full), change, files)
    assert {finding.fault for finding in verdict.findings} >= ({fault} if fault else set())
    assert verdict.is_whole == (fault is None)
    if fault is None:
        assert (verdict.size, verdict.checkpoints, verdict.erased) == (ENTRIES, ENTRIES // EACH, 0)


async def test_who_rewrites_everything_is_found_out_by_a_checkpoint_outside(
    make_database: MakeDatabase, full: str
) -> None:
    """Entry, leaf, head and checkpoints all agree with each other; even the key was stolen."""
    url = await make_database(full)
    database = Database(url)
    async with database.session() as session:
        await session.execute(text("SET LOCAL session_replication_role = 'replica'"))
        entry = (await session.scalars(select(AuditEntry).join(AuditLeaf, AuditLeaf.entry_id == AuditEntry.id))).first()
        assert entry is not None
        entry.name = "something else"
        entry.leaf = audit.leaf_of(entry)
        await session.flush()
        await session.execute(
            text("UPDATE audit_leaves SET leaf = :leaf WHERE entry_id = :id"), {"leaf": entry.leaf, "id": entry.id}
        )
        tree = CompactRange()
        tree.extend(row.leaf for row in await audit_tree.leaves(session, 0, ENTRIES))
        await session.execute(text("DELETE FROM audit_checkpoints"))
        note = signed(Checkpoint("relais.test/audit", tree.size, tree.root), KEY.public, KEY.sign)
        await audit_tree.keep_checkpoint(session, tree.size, note, datetime.now(UTC))
    await database.close()
    assert (await verdict_after(url, "")).is_whole
    verdict = await verdict_after(url, "", {"a file": OUTSIDE[f"{ENTRIES:020}"]})
    assert [finding.fault for finding in verdict.findings] == [Fault.REWRITTEN]


async def test_what_was_erased_breaks_nothing_and_what_is_older_is_taken_for_granted(
    make_database: MakeDatabase, full: str
) -> None:
    erased = (
        "UPDATE audit_entries SET content = NULL, content_key = NULL "
        "WHERE id = (SELECT entry_id FROM audit_leaves WHERE seq = 7)"
    )
    verdict = await verdict_after(await make_database(full), erased)
    assert (verdict.is_whole, verdict.erased) == (True, 1)
    verdict = await verdict_after(await make_database(full), REMOVED, since=20)
    assert verdict.is_whole


async def test_an_entry_that_says_it_is_older_than_a_checkpoint_before_it_is_told(
    make_database: MakeDatabase, full: str, tmp_path: Path
) -> None:
    url = await make_database(full)
    parts = parts_of(url, tmp_path)
    async with parts.database.session() as session:
        audit.add(session, Act.LOOK, NOBODY, datetime.now(UTC) - timedelta(days=3), name="of old")
    assert await grow(parts)
    await parts.database.close()
    verdict = await verdict_after(url, "")
    assert [finding.fault for finding in verdict.findings] == [Fault.INSERTED]


async def test_whatever_is_committed_late_gets_its_place(
    make_database: MakeDatabase, migrated_template: str, tmp_path: Path
) -> None:
    """A transaction that began first and ends last is lost to who asks for everything behind the last id."""
    parts = parts_of(await make_database(migrated_template), tmp_path)
    may_end, began = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with parts.database.session() as session:
            audit.add(session, Act.LOOK, NOBODY, datetime.now(UTC), name="slow")
            await session.flush()
            began.set()
            await may_end.wait()

    growth = Growth(parts.database)
    assert await growth.go_on()
    task = asyncio.create_task(slow())
    await began.wait()
    await written(parts.database, 3)
    assert await growth.go_on()
    may_end.set()
    await task
    async with parts.database.session() as other:
        assert await audit_tree.take(other) == 4
        async with parts.database.session() as session:
            assert await audit_tree.take(session) is None
    await parts.database.close()


async def test_a_restored_database_and_one_of_the_version_before_leave_nothing_out(
    make_database: MakeDatabase, migrated_template: str, tmp_path: Path
) -> None:
    url = await make_database(migrated_template)
    parts = parts_of(url, tmp_path)
    growth = Growth(parts.database)
    assert await growth.go_on()
    async with parts.database.session() as session:
        await session.execute(
            insert(table_of(AuditEntry)).values(
                id=new_id(), at=datetime.now(UTC), kind=Act.LOOK, name="of old", written_in=2**60
            )
        )
    await written(parts.database, 2)
    assert await growth.go_on()
    async with parts.database.session() as session:
        assert await audit_tree.tree_size(session) == 2
    assert await grow(parts)
    async with parts.database.session() as session:
        assert await audit_tree.tree_size(session) == 3
    await parts.database.close()
    assert (await verdict_after(url, "")).is_whole


async def test_old_entries_get_their_places_in_one_pass_of_small_steps(
    make_database: MakeDatabase, migrated_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries of the version before are all of transaction 0. While another worker gives places, nothing is signed."""
    monkeypatch.setattr(audit_tree, "MOST_AT_ONCE", 10)
    url = await make_database(migrated_template)
    parts = parts_of(url, tmp_path)
    old = [
        {
            "id": new_id(),
            "at": datetime.now(UTC) - timedelta(days=3),
            "kind": Act.LOOK,
            "name": "of old",
            "written_in": 0,
        }
        for _ in range(25)
    ]
    async with parts.database.session() as session:
        await session.execute(insert(table_of(AuditEntry)), old)
    await written(parts.database, 7)
    growth = Growth(parts.database)
    async with parts.database.session() as other:
        await audit_tree.wait_for_lock(other)
        assert not await growth.go_on()
        assert await audit_tree.tree_size(other) == 0
    assert await growth.go_on()
    assert await make_checkpoint(parts, KEY) is not None
    await written(parts.database, 1)
    assert await growth.go_on()
    assert await grow(parts)
    async with parts.database.session() as session:
        assert await audit_tree.tree_size(session) == 33
        assert (await audit_tree.read_head(session)).horizon > 0
    await parts.database.close()
    assert (await verdict_after(url, "")).is_whole


async def test_a_checkpoint_that_could_not_be_kept_outside_is_kept_the_next_time(
    make_database: MakeDatabase, migrated_template: str, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    folder.touch()
    parts = parts_of(await make_database(migrated_template), folder)
    await written(parts.database, 3)
    assert await grow(parts)
    with pytest.raises(OSError, match="checkpoints"):
        await make_checkpoint(parts, KEY)
    folder.unlink()
    assert await make_checkpoint(parts, KEY) is None
    (file,) = folder.iterdir()
    assert file.read_bytes() == await parts.store.get(checkpoint_key(3))
    await parts.database.close()


async def test_looks_that_the_version_before_writes_by_the_old_name_are_in_the_tree(
    make_database: MakeDatabase, migrated_template: str, tmp_path: Path
) -> None:
    url = await make_database(migrated_template)
    parts, request_id = parts_of(url, tmp_path), new_id()
    async with parts.database.session() as session:
        await session.execute(
            text(
                "INSERT INTO access_log (id, request_id, role, kind, object_id, at, version, for_account_id) "
                "VALUES (:id, :request_id, 'provider', 'request', NULL, now(), 3, NULL)"
            ),
            {"id": new_id(), "request_id": request_id},
        )
        audit.add(session, Act.LIST, NOBODY, datetime.now(UTC), shown=[request_id])
    assert await grow(parts)
    async with parts.database.session() as session:
        assert await audit_tree.tree_size(session) == 2
        assert await session.scalar(text("SELECT version FROM access_log")) == 3
        (look,) = await access.list_accesses(session, request_id)
        assert (look.kind, look.leaf) == (Act.REQUEST, None)
    await parts.database.close()
    assert (await verdict_after(url, "")).is_whole
