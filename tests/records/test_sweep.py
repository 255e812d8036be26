"""What no record names goes from the store, once it is old; what is named, or may still be, stays."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.contract import SweepReport
from domain.accounts import AccountEventKind, LetterKind
from domain.rates import Rate
from domain.requests import Role
from records import account_events, account_letters, guesses, one_time_links, people
from records.errors import NotFoundError
from records.ids import new_id
from records.models import AccountLetter, Invitation, LetterStatus, PasswordReset, Token
from records.requests import lock_request
from records.store import INCOMING, DocumentStore, attachment_key, document_key, journal_key, register_key
from records.uploads import begin_upload, parts_folder
from tests.eventually import eventually
from tests.journeys import closed, draft
from tests.system import System, add_person
from use_cases.administrators import Administrator
from use_cases.by_hand import Stores
from use_cases.sweep import sweep

WEEK = timedelta(days=7)


FOLDERS = ("documents", "attachments", "uploads", "journals", "registers", "incoming")


def in_the_store(report: SweepReport) -> dict[str, int]:
    return {folder: report.removed[folder] for folder in FOLDERS}


def folder_of(system: System) -> Path:
    assert system.services.store.folder is not None
    return system.services.store.folder


def keys(system: System) -> set[str]:
    folder = folder_of(system)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def make_old(system: System, age: timedelta = timedelta(days=8)) -> None:
    """As if everything in the store had been written that long ago."""
    moment = time.time() - age.total_seconds()
    for key in keys(system):
        os.utime(folder_of(system) / key, (moment, moment))


async def test_what_nobody_names_goes_and_what_is_named_stays(system: System) -> None:
    request_id = UUID(await closed(system))
    store = system.services.store
    stores = Stores(system.services.database, store)
    make_old(system)
    await sweep(stores)
    before = keys(system)
    left = [
        document_key(request_id, new_id(), "0" * 64),
        document_key(new_id(), new_id(), "0" * 64),
        attachment_key(request_id, new_id()),
        attachment_key(request_id, new_id(), "preview", "1" * 64),
        f"{parts_folder(new_id())}/0-{new_id()}",
        journal_key(request_id, new_id(), new_id()),
        register_key(new_id(), new_id()),
    ]
    for key in left:
        await store.put_new(key, b"of a patient")
    (folder_of(system) / INCOMING / "half").write_bytes(b"of a patient")
    assert in_the_store(await sweep(stores)) == dict.fromkeys(FOLDERS, 0)
    assert keys(system) == {*before, *left, f"{INCOMING}/half"}
    make_old(system)
    now = datetime.now(UTC)  # others' sessions end meanwhile
    found = await sweep(stores, dry_run=True, now=now)
    assert in_the_store(found) == {
        "documents": 2,
        "attachments": 2,
        "uploads": 1,
        "journals": 1,
        "registers": 1,
        "incoming": 1,
    }
    assert found.removed["expired uploads"] == 0
    assert keys(system) == {*before, *left, f"{INCOMING}/half"}
    assert (await sweep(stores, now=now)).removed == found.removed
    assert keys(system) == before


async def test_uploads_that_nobody_went_on_with_go_by_the_clock(system: System) -> None:
    request_id = UUID(await draft(system))
    stores = Stores(system.services.database, system.services.store)
    upload_id = new_id()
    async with system.services.database.session() as session:
        await begin_upload(
            session,
            upload_id=upload_id,
            request_id=request_id,
            account_id=UUID(system.requester.id),
            length=10,
            description="",
            slot="",
            filename="photo.jpg",
            now=datetime.now(UTC) - timedelta(hours=25),
        )
    part = f"{parts_folder(upload_id)}/0-{new_id()}"
    await system.services.store.put_new(part, b"12345")
    assert (await sweep(stores, dry_run=True)).removed["expired uploads"] == 1
    assert (await sweep(stores)).removed["expired uploads"] == 1
    assert part not in keys(system)


async def test_sessions_that_ended_and_old_wrong_passwords_are_forgotten(system: System) -> None:
    stores = Stores(system.services.database, system.services.store)
    # somebody from whose devices nobody else signs in: of each account, only the newest are kept
    who = await add_person(system, f"swept_{new_id().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    now, account_id = datetime.now(UTC), who.account.id
    lives, ended, expired = (new_id().hex for _ in range(3))
    wrong, wrong_long_ago = new_id().hex, new_id().hex
    rate = Rate(10, timedelta(minutes=1))
    async with system.services.database.session() as session:
        for token, expires_at in ((lives, now + WEEK), (ended, now), (expired, now - 2 * WEEK)):
            await people.add_token(session, token_sha256=token, account_id=account_id, now=now, expires_at=expires_at)
        for name, at in ((wrong, now), (wrong_long_ago, now - WEEK)):
            await guesses.count(session, {name: rate}, at)
        for name, at in ((wrong, now), (wrong_long_ago, now - timedelta(days=401))):
            await guesses.note_device(session, name, account_id, at)
    as_of = datetime.now(UTC)
    counted = (await sweep(stores, dry_run=True, now=as_of)).removed
    assert counted["expired tokens"] >= 1
    assert counted["wrong passwords"] >= 1
    assert counted["unused devices"] == 1
    assert (await sweep(stores, now=as_of)).removed == counted, "a count removes nothing"
    async with system.services.database.session() as session:
        assert [await session.get(Token, token) is not None for token in (lives, ended, expired)] == [True, True, False]
        assert set(await guesses.empty_at(session, [wrong, wrong_long_ago])) == {wrong}
        assert [await guesses.is_anybodys(session, name) for name in (wrong, wrong_long_ago)] == [True, False]


async def somebody_waits_for(session: AsyncSession) -> bool:
    """Whether another transaction wants what this one holds."""
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    return bool(await session.scalar(text(waiting)))


async def test_what_is_just_being_named_is_not_taken_away(system: System) -> None:
    """Whoever names an object holds the request's lock; the sweep waits for it, and looks again."""
    request_id = UUID(await closed(system))
    stores = Stores(system.services.database, system.services.store)
    key = document_key(request_id, new_id(), "2" * 64)
    await system.services.store.put_new(key, b"of a patient")
    make_old(system)
    async with system.services.database.session() as session:
        await lock_request(session, request_id)
        sweeping = asyncio.create_task(sweep(stores))
        await eventually(lambda: sweeping.done() or somebody_waits_for(session))
        assert not sweeping.done()
        assert key in keys(system)
    assert (await sweeping).removed["documents"] == 1


async def test_a_bucket_is_swept_as_a_folder_is(system: System) -> None:
    store = DocumentStore("memory:///")
    stores = Stores(system.services.database, store)
    key = document_key(new_id(), new_id(), "0" * 64)
    await store.put_new(key, b"of a patient")
    assert (await sweep(stores, older_than=timedelta(hours=1))).removed["documents"] == 0
    assert (await sweep(stores, older_than=timedelta(seconds=-1))).removed["documents"] == 1
    with pytest.raises(NotFoundError):
        await store.get(key)


async def test_links_that_are_over_and_their_letters_are_forgotten(system: System) -> None:
    """An invitation goes a month after it was accepted or taken back, with its letter; its events stay."""
    near, now = system.clinics["near"].id, datetime.now(UTC)
    who = await add_person(system, f"swept_{new_id().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    person = {"given_name": "Zoé", "family_name": "Roy", "title": "", "profession": "", "licence_number": ""}
    made = [
        Invitation(
            id=new_id(),
            clinic_id=near,
            **person,
            email="zoe@example.com",
            language="fr",
            roles=["requester"],
            created_at=at,
            expires_at=at,
            ended_at=ended_at,
        )
        for at, ended_at in ((now - 6 * WEEK, now - 5 * WEEK), (now - 6 * WEEK, now - WEEK), (now - 6 * WEEK, None))
    ]
    async with system.services.database.session() as session:
        session.add_all(made)
        await session.flush()
        account_events.note(session, AccountEventKind.INVITED, made[0], Administrator.at_the_machine().hand, now)
        letters = [await account_letters.write_link(session, one, one, now - 6 * WEEK) for one in made]
        waits = await account_letters.write_to(session, LetterKind.PASSWORD_CHANGED, who.account, now - 6 * WEEK)
        sent = update(AccountLetter).where(AccountLetter.id.in_(letters)).values(status=LetterStatus.SENT)
        await session.execute(sent)
        resets = [await one_time_links.add_reset(session, who.account.id, at) for at in (now, now - 2 * WEEK)]
    await sweep(Stores(system.services.database, system.services.store))
    async with system.services.database.session() as session:
        assert [await session.get(Invitation, one.id) is not None for one in made] == [False, True, True]
        assert [await session.get(AccountLetter, one) is not None for one in (*letters, waits)] == [
            False,
            True,
            True,
            True,
        ]
        assert [await session.get(PasswordReset, one.id) is not None for one in resets] == [True, False]
