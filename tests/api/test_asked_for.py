"""Whoever asked and can't go on with it: who brought that about is answered how much it is, others are told once, and what is
asked of them later comes to who administers their clinic.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from activities.account_letters import AccountLetterActivities
from domain.accounts import LetterKind
from domain.notices import URGENT_REPORT, Importance, Recipient
from domain.requests import Role, Status
from engine.client import EngineConnection
from records import notices as kept
from records import people
from records.ids import new_id
from records.models import Account, AccountLetter, LetterStatus, Notice, NoticeStatus, RequestRecord
from settings import Settings
from tests.api.answers import notices
from tests.eventually import eventually
from tests.journeys import accepted, assigned, cancelled, draft, ok, reported, returned, signed, submitted, written
from tests.scim.test_directories import directory_of
from tests.scim.test_groups import Grouped, done, take
from tests.system import System, add_person, set_roles
from use_cases import administration, asked_for
from use_cases.people import PersonChange

BACK = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
QUESTION = {"text": "Depuis quand?"}


@pytest.fixture
async def own(system: System) -> System:
    """A clinic of its own, with two administrators."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"asks-{uuid4().hex[:8]}", name="Clinique qui demande")
    own = replace(system, people=dict(system.people), clinics={**system.clinics, "near": clinic})
    for name, role in (
        ("requester", Role.REQUESTER),
        ("dispatcher", Role.DISPATCHER),
        ("provider", Role.PROVIDER),
        ("administrator", Role.CLINIC_ADMINISTRATOR),
        ("administrator2", Role.CLINIC_ADMINISTRATOR),
    ):
        await add_person(own, name, clinic, role)
    return own


async def letters(own: System, name: str) -> list[AccountLetter]:
    async with own.services.database.session() as session:
        theirs = AccountLetter.account_id == own.people[name].account.id, AccountLetter.kind == LetterKind.ASKED_FOR
        return list(await session.scalars(select(AccountLetter).where(*theirs)))


async def by_api(own: System) -> None:
    body = {"roles": ["dispatcher"]}
    ok(await own.administrator.http.patch(f"/api/v1/accounts/{own.requester.id}", json=body))


async def by_locking(own: System) -> None:
    ok(await own.administrator.post(f"/accounts/{own.requester.id}/lock"))


async def by_leaving(own: System) -> None:
    ok(await own.administrator.post(f"/accounts/{own.requester.id}/leave", {}))


async def at_the_machine(own: System) -> None:
    change = PersonChange.model_validate({"roles": ["dispatcher"]})
    await administration.change_account(own.settings, own.requester.account.username, change)


async def locked_at_the_machine(own: System) -> None:
    await administration.lock_account(own.settings, own.requester.account.username)


@asynccontextmanager
async def a_directory(own: System) -> AsyncIterator[Grouped]:
    async with directory_of(own, by=own.administrator) as plain:
        yield Grouped(plain.system, plain.id, plain.http)


async def by_a_group(own: System) -> None:
    async with a_directory(own) as directory:
        group = await directory.group("requester")
        for _ in range(2):
            done(await directory.change(group, *take(own.requester.id)))


async def ended_by_a_directory(own: System) -> None:
    async with a_directory(own) as directory:
        answer = await directory.http.delete(f"/Users/{own.requester.id}")
        assert answer.status_code == 204, answer.text


BY_ONE_OF_THEM, AT_THE_MACHINE = (by_api, by_locking, by_leaving), (at_the_machine, locked_at_the_machine)
WAYS = (*BY_ONE_OF_THEM, *AT_THE_MACHINE, by_a_group, ended_by_a_directory)
"""Every way in which somebody becomes who can't go on."""


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_others_are_told_once_of_what_stands_still(own: System, way: Callable[[System], Awaitable[None]]) -> None:
    await returned(own)
    await way(own)
    told = {name for name in ("administrator", "administrator2", "dispatcher", "requester") if await letters(own, name)}
    assert told == {"administrator2"} | (set() if way in BY_ONE_OF_THEM else {"administrator"}), (
        "who did it has the answer"
    )
    [letter] = await letters(own, "administrator2")
    assert letter.link_id == UUID(own.requester.id)

    async def is_sent() -> bool:
        return (await letters(own, "administrator2"))[0].status is LetterStatus.SENT

    if way not in AT_THE_MACHINE:  # where the engine of the tests is not found, so that the repair sends it
        await eventually(is_sent)
    ok(await own.administrator.post(f"/accounts/{own.requester.id}/lock"))
    assert len(await letters(own, "administrator2")) == 1, "who could not go on before is nothing new"


async def test_who_does_it_is_answered_how_much_it_is(own: System) -> None:
    await returned(own)
    await reported(own)
    await submitted(own)
    await cancelled(own)
    await draft(own)
    where = f"/accounts/{own.requester.id}"
    before = ok(await own.administrator.get(where))["asked_for"]
    assert before == {"open": 3, "waiting": 2, "unread": 1, "drafts": 1, "stands_still": False}
    locked = ok(await own.administrator.post(f"{where}/lock"))["asked_for"]
    assert locked == {**before, "stands_still": True}
    assert ok(await own.administrator.post(f"{where}/reopen"))["asked_for"] == before
    listed = ok_of(await own.administrator.get(f"/accounts?clinic={own.clinics['near'].id}"), own.requester.id)
    assert listed is None, "in lists it is not counted"


def ok_of(answer: object, account_id: str) -> object:
    [found] = [one for one in answer.json() if one["id"] == account_id]  # type: ignore[attr-defined]
    return found["asked_for"]


async def test_nobody_hears_of_drafts_alone(own: System) -> None:
    await draft(own)
    await by_a_group(own)
    assert await letters(own, "administrator") == []


async def test_nobody_hears_of_what_is_shut_to_them(own: System) -> None:
    request_id = await submitted(own)
    shut = {"account_id": own.people["administrator2"].id, "reason": "Parenté."}
    ok(await own.administrator.post(f"/requests/{request_id}/restrictions", shut), 201)
    await by_a_group(own)
    assert await letters(own, "administrator2") == []
    assert len(await letters(own, "administrator")) == 1
    seen = ok(await own.people["administrator2"].get(f"/accounts/{own.requester.id}"))["asked_for"]
    assert (seen["open"], seen["stands_still"]) == (0, False)


async def test_what_is_asked_of_them_later_comes_to_who_administers_their_clinic(own: System) -> None:
    back, asked = await assigned(own), await accepted(own)
    await set_roles(own, own.requester, Role.DISPATCHER)
    ok(await own.provider.post(f"/requests/{back}/return-to-requester", BACK))
    ok(await own.provider.post(f"/requests/{asked}/request-information", QUESTION))
    both = {own.administrator.id, own.people["administrator2"].id}
    for request_id, event in ((back, "returned_to_requester"), (asked, "information_requested")):
        told = await notices(own, request_id, event)
        covering = {id_ for id_, one in told.items() if one.recipient is Recipient.REQUESTER_COVER}
        assert covering == both
        assert {told[id_].importance for id_ in both} == {Importance.ACTION}
        assert {told[id_].recipient for id_ in told.keys() & {own.requester.id}} <= {Recipient.DISPATCHERS}

    question = (await own.provider.view(asked))["questions"][0]["id"]
    ok(await own.provider.post(f"/requests/{asked}/withdraw-information-request", {"question_id": question}))
    heard = await notices(own, asked, "information_request_withdrawn")
    assert both <= heard.keys() | await recalled(own, asked), "whose e-mail had gone hear that too"


async def recalled(own: System, request_id: str) -> set[str]:
    """Whose e-mail about the question was stopped before it went."""
    told = await notices(own, request_id, "information_requested")
    return {id_ for id_, one in told.items() if one.status == "suppressed"}


async def test_whoever_can_go_on_hears_of_it_themselves_and_nobody_else(own: System) -> None:
    request_id = await returned(own)
    told = await notices(own, request_id, "returned_to_requester")
    assert told[own.requester.id].recipient is Recipient.REQUESTER
    assert not {own.administrator.id, own.people["administrator2"].id} & told.keys()


async def test_an_only_administrator_hears_of_what_they_asked_for_themselves(own: System) -> None:
    """They are no requester any more, and the only one who can give the role back."""
    request_id = await assigned(own)
    async with own.services.database.session() as session:
        row = await session.get_one(RequestRecord, UUID(request_id))
        for account in await session.scalars(select(Account).where(Account.clinic_id == own.clinics["near"].id)):
            is_asker = account.id == row.requester_id
            account.roles = (
                [Role.CLINIC_ADMINISTRATOR.value]
                if is_asker
                else sorted(set(account.roles) - {"clinic_administrator"}) or ["dispatcher"]
            )
    ok(await own.provider.post(f"/requests/{request_id}/return-to-requester", BACK))
    told = await notices(own, request_id, "returned_to_requester")
    assert told[own.requester.id].recipient is Recipient.REQUESTER_COVER


async def none_administers(own: System) -> None:
    for name in ("administrator", "administrator2"):
        await set_roles(own, own.people[name], Role.DISPATCHER)


async def shut_to_who_administers(own: System, request_id: str) -> None:
    """To the one who is left: not to all at once, which is refused."""
    shut = {"account_id": own.people["administrator2"].id, "reason": "Parenté."}
    ok(await own.administrator.post(f"/requests/{request_id}/restrictions", shut), 201)
    await set_roles(own, own.administrator, Role.DISPATCHER)


@pytest.mark.parametrize("why", ["nobody administers", "it is shut to who does"])
async def test_where_nobody_covers_they_hear_of_it_themselves(own: System, why: str) -> None:
    asked = await accepted(own)
    await set_roles(own, own.requester, Role.PROVIDER)
    await (none_administers(own) if why == "nobody administers" else shut_to_who_administers(own, asked))
    ok(await own.provider.post(f"/requests/{asked}/request-information", QUESTION))
    told = await notices(own, asked, "information_requested")
    assert {id_: one.recipient for id_, one in told.items()} == {own.requester.id: Recipient.REQUESTER}


async def test_where_nobody_is_left_that_is_in_the_log(own: System, capsys: pytest.CaptureFixture[str]) -> None:
    asked = await accepted(own)
    await none_administers(own)
    async with own.services.database.session() as session:
        theirs = Account.id == UUID(own.requester.id)
        await session.execute(update(Account).where(theirs).values(active=False))
    ok(await own.provider.post(f"/requests/{asked}/request-information", QUESTION))
    assert await notices(own, asked, "information_requested") == {}
    assert "nobody can be told of what a requester is to do" in capsys.readouterr().out


async def test_a_report_without_delay_calls_who_covers(own: System) -> None:
    request_id = await accepted(own)
    await set_roles(own, own.requester, Role.DISPATCHER)
    await written(own, request_id, urgent=True)
    await signed(own, request_id)

    async def has_come() -> bool:
        return bool(await notices(own, request_id, URGENT_REPORT))

    await eventually(has_come)
    told = await notices(own, request_id, URGENT_REPORT)
    for id_ in (own.administrator.id, own.people["administrator2"].id):
        assert (told[id_].recipient, told[id_].importance) == (Recipient.REQUESTER_COVER, Importance.ACTION)
    assert told[own.requester.id].recipient is Recipient.DISPATCHERS


async def test_what_covers_is_not_sent_to_who_is_no_administrator_any_more(own: System) -> None:
    """By itself, in a digest, and with another one, which goes all the same."""
    asked, back = await accepted(own), await assigned(own)
    await set_roles(own, own.requester, Role.DISPATCHER)
    ok(await own.provider.post(f"/requests/{asked}/request-information", QUESTION))
    ok(await own.provider.post(f"/requests/{back}/return-to-requester", BACK))
    other = own.people["administrator2"]
    alone = (await notices(own, asked, "information_requested"))[own.administrator.id].id
    grouped = (await notices(own, back, "returned_to_requester"))[own.administrator.id].id
    first = (await notices(own, asked, "information_requested"))[other.id].id
    second = (await notices(own, back, "returned_to_requester"))[other.id].id
    still_to_go = {"status": NoticeStatus.QUEUED, "told_with": None, "taken_up_by": None, "taken_up_at": None}
    async with own.services.database.session() as session:

        async def set_to(notice_id: UUID, **more: object) -> None:
            await session.execute(update(Notice).where(Notice.id == notice_id).values({**still_to_go, **more}))

        await set_to(alone)
        await set_to(grouped, status=NoticeStatus.GROUPED)
        await set_to(first)
        await set_to(second, told_with=first, recipient=Recipient.DISPATCHERS)
        for name in ("administrator", "administrator2"):
            account = await session.get_one(Account, UUID(own.people[name].id))
            account.roles = [Role.DISPATCHER.value]
        await session.flush()
        now = datetime.now(UTC)
        for notice_id in (alone, first):
            taken = await kept.take_up(session, notice_id, "sender", now)
            assert taken is not None
            assert taken.status is NoticeStatus.SUPPRESSED
        assert await kept.claim_digest(session, UUID(own.administrator.id), new_id()) is None
        by_itself = await kept.take_up(session, second, "sender", now)
        assert by_itself is not None
        assert (by_itself.status, by_itself.taken_up_by) == (NoticeStatus.QUEUED, "sender")
        await set_to(second, status=NoticeStatus.SUPPRESSED)


async def test_of_what_is_over_when_it_goes_nobody_is_told(own: System) -> None:
    await returned(own)
    await by_a_group(own)
    [letter] = await letters(own, "administrator2")

    async def no_resets(_: str) -> list[UUID]:
        return []

    activities = AccountLetterActivities(own.settings, own.services.database, no_resets)
    async with own.services.database.session() as session:
        assert await activities._outgoing(session, letter) is not None
        requests = select(RequestRecord).where(RequestRecord.requester_id == UUID(own.requester.id))
        for row in await session.scalars(requests):
            row.status = Status.CANCELLED
        await session.flush()
        assert await activities._outgoing(session, letter) is None
        await session.rollback()


async def test_of_many_who_lose_the_role_at_once_not_all_are_told(
    own: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asked_for, "MOST_TOLD_OF", 1)
    first = own.requester
    await returned(own)
    second = await add_person(own, "requester2", own.clinics["near"], Role.REQUESTER)
    await add_person(own, "requester3", own.clinics["near"], Role.REQUESTER)  # who has asked for nothing
    monkeypatch.setitem(own.people, "requester", second)
    await returned(own)
    async with a_directory(own) as directory:
        group = await directory.group("requester")
        done(await directory.change(group, *take(first.id, second.id, own.people["requester3"].id)))
    assert len(await letters(own, "administrator")) == 1
    assert "of some it is not told what they asked for" in capsys.readouterr().out


@pytest.mark.parametrize("act", [administration.lock_account, administration.let_go])
async def test_what_is_done_at_the_machine_waits_for_the_engine_that_sends(
    own: System, monkeypatch: pytest.MonkeyPatch, act: Callable[[Settings, str], Awaitable[object]]
) -> None:
    waited: list[EngineConnection] = []

    async def connected(engine: EngineConnection) -> None:
        waited.append(engine)

    monkeypatch.setattr(EngineConnection, "connected", connected)
    await act(own.settings, own.requester.account.username)
    assert len(waited) == 1
