"""Drafts that nobody goes on with: their writer is warned once, and a week later they go; what is touched stays."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.contract import SweepReport
from domain.accounts import LetterKind
from domain.requests import Role
from records import requests
from records.account_letters import forget_letters, write_to
from records.ids import new_id
from records.models import (
    Account,
    AccountLetter,
    Attachment,
    LetterStatus,
    Mark,
    PhoneLink,
    RequestRecord,
    Upload,
)
from tests.eventually import eventually
from tests.journeys import ok, upload
from tests.system import Clinician, System, add_person, photo
from use_cases import destruction, old_drafts
from use_cases.nightly import each_night
from use_cases.old_drafts import warn_and_remove

NOW = datetime.now(UTC)


async def untouched_for(system: System, request_id: str, days: int) -> None:
    """As if nobody had touched the draft for so many days."""
    moment = NOW - timedelta(days=days)
    async with system.services.database.session() as session:
        own = RequestRecord.id == UUID(request_id)
        await session.execute(update(RequestRecord).where(own).values(updated_at=moment, draft_touched_at=moment))
        files = Attachment.request_id == UUID(request_id)
        await session.execute(update(Attachment).where(files).values(uploaded_at=moment))


async def letters_to(system: System, who: Clinician) -> int:
    async with system.services.database.session() as session:
        written = AccountLetter.account_id == who.account.id, AccountLetter.kind == LetterKind.DRAFTS_END
        return await session.scalar(select(func.count()).where(*written)) or 0


async def arrived(system: System, who: Clinician, status: LetterStatus = LetterStatus.SENT) -> None:
    """As if every warning had been taken by the mail server when it was written; or as if that had happened to them."""

    async def are_settled() -> bool:
        async with system.services.database.session() as session:
            queued = _warnings(who), AccountLetter.status == LetterStatus.QUEUED
            return not await session.scalar(select(func.count()).where(*queued))

    await eventually(are_settled)
    await noted(system, who, status)


async def noted(system: System, who: Clinician, status: LetterStatus) -> None:
    """As if that had become of every warning, when it was written."""
    sent_at = AccountLetter.created_at if status is LetterStatus.SENT else None
    async with system.services.database.session() as session:
        await session.execute(update(AccountLetter).where(_warnings(who)).values(status=status, sent_at=sent_at))


async def told(system: System, who: Clinician, request_id: str, at: datetime) -> None:
    """As if the writer had been warned then, and no other time since."""
    async with system.services.database.session() as session:
        own = RequestRecord.id == UUID(request_id)
        await session.execute(update(RequestRecord).where(own).values(draft_warned_at=at))
        await write_to(session, LetterKind.DRAFTS_END, who.account, at)
        values = {"status": LetterStatus.SENT, "sent_at": at, "created_at": at}
        await session.execute(update(AccountLetter).where(_warnings(who)).values(values))


def _warnings(who: Clinician) -> ColumnElement[bool]:
    return and_(AccountLetter.account_id == who.account.id, AccountLetter.kind == LetterKind.DRAFTS_END)


async def drafts_of(who: Clinician) -> set[str]:
    found = ok(await who.get("/requests", params={"status": "draft", "sort": "created"}))
    return {one["id"] for one in found["items"]}


async def begun(who: Clinician, number: int) -> list[str]:
    return [ok(await who.post("/requests", {"offering": "teledermatology"}), 201)["id"] for _ in range(number)]


async def a_writer(system: System) -> Clinician:
    return await add_person(system, "forgetful", system.clinics["near"], Role.REQUESTER)


async def test_old_drafts_go_a_week_after_a_warning(system: System) -> None:
    who = await a_writer(system)
    old, older, changed, fresh = await begun(who, 4)
    for request_id, days in ((old, 24), (older, 400), (changed, 24), (fresh, 22)):
        await untouched_for(system, request_id, days)
    await warn_and_remove(system.services, NOW)
    await warn_and_remove(system.services, NOW)
    assert await letters_to(system, who) == 1  # for all of them, and once
    await arrived(system, who)
    assert await drafts_of(who) == {old, older, changed, fresh}  # however old: a warning comes first

    ok(await who.http.patch(f"/api/v1/requests/{changed}", json={"priority": "urgent"}))
    await warn_and_remove(system.services, NOW + timedelta(days=6, hours=23))
    assert await drafts_of(who) == {old, older, changed, fresh}
    await warn_and_remove(system.services, NOW + timedelta(days=7, hours=1))
    assert await drafts_of(who) == {changed, fresh}
    assert await letters_to(system, who) == 2  # by then, of the one that was fresh


async def describes(who: Clinician, request_id: str, attachment_id: str) -> None:
    where = f"/api/v1/requests/{request_id}/attachments/{attachment_id}"
    ok(await who.http.patch(where, json={"caption": "Avant-bras gauche"}))


async def removes(who: Clinician, request_id: str, attachment_id: str) -> None:
    answer = await who.http.delete(f"/api/v1/requests/{request_id}/attachments/{attachment_id}")
    assert answer.status_code == 204


async def arranges(who: Clinician, request_id: str, attachment_id: str) -> None:
    answer = await who.http.put(f"/api/v1/requests/{request_id}/attachments/order", json={"ids": [attachment_id]})
    assert answer.status_code == 200, answer.text


async def adds(who: Clinician, request_id: str, _attachment_id: str) -> None:
    assert (await upload(who, request_id, photo((333, 240)))).status_code == 201


@pytest.mark.parametrize("does", [describes, removes, arranges, adds])
async def test_whatever_is_done_with_a_draft_after_the_warning_keeps_it(
    system: System, does: Callable[[Clinician, str, str], Awaitable[None]]
) -> None:
    who = await a_writer(system)
    [request_id] = await begun(who, 1)
    sent = await upload(who, request_id, photo())
    await untouched_for(system, request_id, 40)
    await told(system, who, request_id, NOW - timedelta(days=8))
    await does(who, request_id, ok(sent, 201)["id"])
    await warn_and_remove(system.services, NOW)
    assert await drafts_of(who) == {request_id}
    await told(system, who, request_id, NOW - timedelta(days=60))
    await untouched_for(system, request_id, 40)
    await warn_and_remove(system.services, NOW)
    assert await drafts_of(who) == {request_id}  # another warning comes first
    assert await letters_to(system, who) == 3


async def test_what_is_drawn_and_what_is_on_its_way_keep_a_draft(system: System) -> None:
    who = await a_writer(system)
    drawn, coming, linked, left = await begun(who, 4)
    photographed = ok(await upload(who, drawn, photo()), 201)["id"]
    for request_id in (drawn, coming, linked, left):
        await untouched_for(system, request_id, 60)
    own: dict[str, Any] = {"account_id": who.account.id}
    file = {"slot": "", "filename": "dos.jpg", "description": "", "length": 9, "offset": 0, "parts": []}
    async with system.services.database.session() as session:
        session.add_all(
            [
                Mark(
                    id=new_id(),
                    **own,
                    attachment_id=UUID(photographed),
                    kind="arrow",
                    drawn={},
                    label="",
                    created_at=NOW,
                ),
                Upload(
                    id=new_id(),
                    **own,
                    request_id=UUID(coming),
                    **file,
                    created_at=NOW,
                    expires_at=NOW + timedelta(days=1),
                ),
                PhoneLink(
                    id=new_id(),
                    **own,
                    request_id=UUID(linked),
                    slot="",
                    made_by="",
                    code_sha256=new_id().hex,
                    made_at=NOW,
                    ends_at=NOW,
                ),
            ]
        )
    for request_id in (drawn, coming, linked, left):
        await told(system, who, request_id, NOW - timedelta(days=9))
    await warn_and_remove(system.services, NOW)
    assert await drafts_of(who) == {drawn, coming, linked}


@pytest.mark.parametrize("status", [LetterStatus.REFUSED, LetterStatus.EXPIRED])
async def test_a_warning_that_did_not_arrive_counts_for_none(system: System, status: LetterStatus) -> None:
    who = await a_writer(system)
    [request_id] = await begun(who, 1)
    await untouched_for(system, request_id, 40)
    await warn_and_remove(system.services, NOW)
    await arrived(system, who, status)
    await warn_and_remove(system.services, NOW + timedelta(days=6))
    assert await letters_to(system, who) == 1
    await warn_and_remove(system.services, NOW + timedelta(days=8))
    assert await drafts_of(who) == {request_id}
    assert await letters_to(system, who) == 2  # once more
    await arrived(system, who)
    await warn_and_remove(system.services, NOW + timedelta(days=16))
    assert await drafts_of(who) == set()


async def test_a_warning_that_waits_for_its_mail_server_counts_once_it_was_taken(system: System) -> None:
    who = await a_writer(system)
    [request_id] = await begun(who, 1)
    await untouched_for(system, request_id, 40)
    await warn_and_remove(system.services, NOW)
    await arrived(system, who)
    await noted(system, who, LetterStatus.QUEUED)
    await warn_and_remove(system.services, NOW + timedelta(days=8))
    assert await drafts_of(who) == {request_id}
    assert await letters_to(system, who) == 1  # it is on its way
    await noted(system, who, LetterStatus.SENT)
    await warn_and_remove(system.services, NOW + timedelta(days=8))
    assert await drafts_of(who) == set()


async def test_that_a_writer_was_told_is_known_for_longer_than_other_letters(system: System) -> None:
    who = await a_writer(system)
    [request_id] = await begun(who, 1)
    await told(system, who, request_id, NOW - timedelta(days=9))
    async with system.services.database.session() as session:
        await write_to(session, LetterKind.PROVISIONED, who.account, NOW - timedelta(days=9))
        own = AccountLetter.account_id == who.account.id
        await session.execute(update(AccountLetter).where(own).values(status=LetterStatus.SENT))
        await forget_letters(session, NOW - timedelta(days=7))
        kinds = set(await session.scalars(select(AccountLetter.kind).where(own)))
        assert kinds == {LetterKind.DRAFTS_END}
        await session.rollback()


async def test_drafts_of_who_is_locked_wait_and_of_who_has_left_go(system: System) -> None:
    writers = [await a_writer(system) for _ in range(2)]
    ids = [(await begun(who, 1))[0] for who in writers]
    locked, left = writers
    for request_id in ids:
        await untouched_for(system, request_id, 40)
    async with system.services.database.session() as session:
        for who, left_at in ((locked, None), (left, NOW)):
            account = await session.get_one(Account, who.account.id)
            account.active, account.left_at = False, left_at
    await warn_and_remove(system.services, NOW)
    async with system.services.database.session() as session:
        there = [await session.get(RequestRecord, UUID(request_id)) for request_id in ids]
    assert [row is not None for row in there] == [True, False]
    assert [await letters_to(system, who) for who in writers] == [0, 0]


async def test_a_draft_that_can_not_be_removed_keeps_no_other_from_its_end(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await a_writer(system)
    ids = await begun(who, 2)
    for request_id in ids:
        await untouched_for(system, request_id, 40)
    await warn_and_remove(system.services, NOW)
    await arrived(system, who)
    removes_draft = requests.remove_draft

    async def fails_once(session: AsyncSession, request_id: UUID, **more: Any) -> list[str]:
        if str(request_id) == ids[0]:
            raise LookupError("a reference of which nobody knows")
        return await removes_draft(session, request_id, **more)

    with monkeypatch.context() as wrong:
        wrong.setattr(requests, "remove_draft", fails_once)
        with pytest.raises(LookupError):
            await warn_and_remove(system.services, NOW + timedelta(days=8))
    assert await drafts_of(who) == {ids[0]}


async def test_a_part_of_the_night_that_fails_keeps_no_other_from_its_turn(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def fails(*_: object) -> None:
        done.append("drafts")
        raise LookupError("drafts")

    async def sweeps(*_: object) -> SweepReport:
        done.append("sweep")
        return SweepReport()

    async def takes_up(*_: object) -> None:
        done.append("destructions")

    monkeypatch.setattr(old_drafts, "warn_and_remove", fails)
    monkeypatch.setattr(destruction, "take_up", takes_up)
    monkeypatch.setattr("use_cases.nightly.sweep", sweeps)
    with pytest.raises(LookupError, match="drafts"):
        await each_night(system.services, lambda: system.authority)
    assert set(done) == {"sweep", "destructions", "drafts"}
