"""In an emergency somebody reads what they would not see: by its number, with a reason and a proof, for some hours, loudly."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, event, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError, RPCStatusCode

from activities.account_letters import AccountLetterActivities
from activities.messages import OutgoingAccountLetter
from domain import emergencies as rules
from domain.access_review import NOTHING_KNOWN, Course, Person, Rule
from domain.accounts import LetterKind
from domain.audit import LOOKS, Act, EmergencyStep, Purpose
from domain.requests import Role
from domain.retention import ListState, RetentionPolicy
from records import access_reviews, audit, destruction, emergencies, people, requests
from records.errors import KeyGoneError
from records.ids import new_id
from records.models import (
    Account,
    AccountLetter,
    AuditEntry,
    Clinic,
    EmergencyOpening,
    Guesses,
    LetterStatus,
    RequestParty,
    RequestRecord,
    RetentionList,
)
from records.visibility import Viewer
from tests.api.answers import problem
from tests.api.test_audit import addresses
from tests.api.test_codec import token_of
from tests.api.test_restrictions import ended as restriction_ended
from tests.api.test_restrictions import restricted
from tests.api.test_second_factor import enrolled_person
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import IN_STATUS, draft, ok, ok_list, reported, submitted
from tests.system import PASSWORD, Clinician, System, add_person, set_roles
from tests.unit.test_routes import routes
from use_cases import account_letters, administration
from use_cases.access_analysis import analyse_clinic
from use_cases.caller import Caller
from use_cases.emergencies import NewOpening, OpeningState, OpeningView, end, open_in_emergency
from use_cases.news import check_may_follow, news
from use_cases.problems import Problem
from workflows.contract import letter_workflow_id

WHY = "Inconsciente à l'urgence, qqwwhy, traitement inconnu."
OPENINGS = "/emergency-openings"


@pytest.fixture(scope="module")
async def near(system: System) -> AsyncIterator[None]:
    """The near clinic has turned it on, and has somebody who is everything but an operator."""
    clinic = system.clinics["near"]
    everything = (role for role in Role if role not in (Role.SYSTEM, Role.OPERATOR))
    await add_person(system, "emergency_everything", clinic, *everything)
    await turned(system, "near", on=True)
    yield
    await turned(system, "near", on=False)


@pytest.fixture(autouse=True)
async def tries(system: System, near: None) -> None:
    """Everybody may try as often as somebody who has not tried."""
    async with system.services.database.session() as session:
        await session.execute(delete(Guesses))


async def turned(system: System, name: str, *, on: bool) -> None:
    async with system.services.database.session() as session:
        clinic = await people.lock_clinic(session, system.clinics[name].id)
        assert clinic is not None
        clinic.emergency = on


async def new_clinic(system: System, name: str) -> Clinic:
    """A clinic that has turned it on."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"emergency-{uuid4().hex[:8]}", name=name)
        clinic.emergency = True
        return clinic


async def had_to_do_with(system: System, clinic_id: UUID, request_id: str) -> None:
    """As if the clinic had had a part in the request."""
    async with system.services.database.session() as session:
        session.add(RequestParty(request_id=UUID(request_id), clinic_id=clinic_id, party_id=clinic_id))


async def number_of(system: System, request_id: str) -> str:
    return str((await system.requester.view(request_id))["number"])


async def asked(who: Clinician, number: str, *, key: str | None = None, **more: Any) -> httpx.Response:
    return await who.post(OPENINGS, {"number": number, "reason": WHY, "password": PASSWORD, **more}, key=key)


async def opened(system: System, who: Clinician, request_id: str) -> dict[str, Any]:
    return ok(await asked(who, await number_of(system, request_id)), 201)


async def ended(who: Clinician, opening: dict[str, Any]) -> dict[str, Any]:
    return ok(await who.post(f"{OPENINGS}/{opening['id']}/end"))


async def letters_of(system: System, opening: dict[str, Any]) -> list[AccountLetter]:
    """The e-mails that tell of it."""
    async with system.services.database.session() as session:
        query = select(AccountLetter).join(AuditEntry, AuditEntry.id == AccountLetter.link_id)
        return list(await session.scalars(query.where(AuditEntry.object_id == UUID(opening["id"]))))


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def caller_of(who: Clinician) -> Caller:
    return Caller(who.account, str(who.http.headers["Authorization"]).removeprefix("Bearer "))


@contextmanager
def statements(system: System) -> Iterator[list[str]]:
    """What is said to the database meanwhile."""
    said: list[str] = []
    engine = system.of_api.database.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def entries(system: System, request_id: str, who: Clinician) -> list[AuditEntry]:
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == UUID(request_id)).order_by(AuditEntry.id)
        return [one for one in await session.scalars(query) if str(one.account_id) == who.id]


async def test_the_life_of_an_opening(system: System) -> None:
    request_id, who = await reported(system), system.provider2
    path = f"/requests/{request_id}"
    problem(await who.get(path), 404, "not_found")
    opening = await opened(system, who, request_id)
    lasts = datetime.fromisoformat(opening["ends_at"]) - datetime.fromisoformat(opening["begun_at"])
    assert (opening["state"], opening["reason"], lasts) == ("open", WHY, timedelta(hours=4))
    view = await who.view(request_id)
    assert view["access"] == "chart"
    assert view["emergency"] == {
        "opening_id": opening["id"],
        "ends_at": opening["ends_at"],
        "told": len(await letters_of(system, opening)),
    }
    assert (view["allowed_commands"], view["editable"], view["may_mark"], view["report_editable"]) == (
        [],
        False,
        False,
        False,
    )
    photo, report = view["attachments"][0]["id"], view["documents"][0]["report_id"]
    for address in (f"attachments/{photo}/preview", f"attachments/{photo}/full", f"attachments/{photo}"):
        answer = await who.get(f"{path}/{address}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store"), address
    for address in (f"reports/{report}.pdf", f"reports/{report}/content", "timeline", "forms/1", "attachments"):
        assert (await who.get(f"{path}/{address}")).status_code == 200, address
    looks = [one for one in await entries(system, request_id, who) if one.kind in LOOKS]
    assert len(looks) >= 8
    assert {(one.purpose, one.role) for one in looks} == {(Purpose.EMERGENCY, Role.PROVIDER)}
    shown = ok_list(await system.requester.get(f"{path}/accesses"))
    assert {one["emergency"] for one in shown if one["by"]["id"] == who.id} == {True}

    again = ok(await asked(who, await number_of(system, request_id), reason="Autre raison."), 201)
    assert again == opening, "what is open is what there is: neither longer, nor told again"
    assert (await ended(who, opening))["state"] == "ended"
    assert (await ended(who, opening))["ended_at"] is not None
    problem(await who.get(path), 404, "not_found")
    problem(await who.get(f"{path}/attachments/{photo}/preview"), 404, "not_found")
    steps = [one.name for one in await entries(system, request_id, who) if one.kind is Act.EMERGENCY]
    assert steps == [EmergencyStep.OPENED, EmergencyStep.ENDED]
    async with system.services.database.session() as session:
        stored = [str(row) for row in await session.execute(text("SELECT * FROM emergency_openings"))]
    assert "qqwwhy" not in "".join(stored), "the reason is sealed"
    new = await opened(system, who, request_id)
    assert new["id"] != opening["id"]
    await ended(who, new)


async def test_administrators_are_told_and_see_it(system: System) -> None:
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    letters = await letters_of(system, opening)
    assert {one.kind for one in letters} == {LetterKind.OPENED_IN_EMERGENCY}
    told = {str(one.account_id) for one in letters}
    assert {system.administrator.id, system.emergency_everything.id} <= told
    assert who.id not in told
    assert opening["told"] == len(letters) == (await who.view(request_id))["emergency"]["told"]

    def told_of() -> str | None:
        texts = map(text_of, system.post_office.kept_for(system.administrator.account.email))
        return next((one for one in texts if opening["number"] in one and "urgence" in one), None)

    await eventually(lambda: told_of() is not None)
    message = told_of() or ""
    assert "qqwwhy" not in message
    assert who.account.family_name in message
    (listed,) = [one for one in ok_list(await system.administrator.get(OPENINGS)) if one["id"] == opening["id"]]
    assert (listed["reason"], listed["person"]["id"], listed["yours"]) == (WHY, who.id, False)
    for name in ("dispatcher", "operator", "requester", "far_provider"):
        assert opening["id"] not in {one["id"] for one in ok_list(await system.people[name].get(OPENINGS))}, name
        problem(await system.people[name].post(f"{OPENINGS}/{opening['id']}/end"), 404, "not_found")
    assert (await ended(system.administrator, opening))["ended_by"]["id"] == system.administrator.id
    problem(await who.get(f"/requests/{request_id}"), 404, "not_found")


async def test_nobody_learns_whether_there_is_such_a_request(system: System) -> None:
    """Until who asks has proved who they are, all depends on them alone; after that, what is not theirs is not there."""
    request_id = await submitted(system)
    there, nowhere = await number_of(system, request_id), "TC-2026-999999"
    written = await number_of(system, await draft(system))
    for name, more, status, code in (
        ("dispatcher", {}, 403, "forbidden"),
        ("administrator", {}, 403, "forbidden"),
        ("operator", {}, 403, "emergency_not_for_operators"),
        ("far_provider", {}, 403, "emergency_off"),
        ("provider2", {"password": "faux"}, 403, "wrong_password"),
        ("provider2", {"password": None}, 422, "invalid_input"),
    ):
        answers = [await asked(system.people[name], number, **more) for number in (there, nowhere)]
        first, second = (problem(answer, status, code) for answer in answers)
        assert _told(first) == _told(second), name
    await turned(system, "far", on=True)
    try:
        unseen = [await asked(system.far_provider, one) for one in (there, nowhere)]
        unseen += [await asked(system.provider2, one) for one in (written, nowhere)]
    finally:
        await turned(system, "far", on=False)
    assert len({str(_told(problem(answer, 404, "nothing_to_open"))) for answer in unseen}) == 1
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.kind == Act.EMERGENCY, AuditEntry.name == EmergencyStep.REFUSED)
        refused = [one for one in await session.scalars(query) if str(one.account_id) == system.far_provider.id]
    assert [one.request_id for one in refused] == [None, None]


def _told(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in ("instance", "reference")}


@pytest.mark.parametrize("reason", ["", "   ", "nul \x00", "\ud800", "a" * 9_000])
async def test_what_is_no_reason(system: System, reason: str) -> None:
    number = await number_of(system, await submitted(system))
    body = {"number": number, "reason": reason, "password": PASSWORD}
    try:
        answer = await system.provider2.post(OPENINGS, body)
    except UnicodeEncodeError:
        answer = await system.provider2.http.post(
            f"/api/v1{OPENINGS}",
            content=b'{"number": "x", "reason": "\\ud800", "password": "x"}',
            headers={"Content-Type": "application/json"},
        )
    problem(answer, 422, "invalid_input")
    problem(await asked(system.provider2, "nul \x00"), 422, "invalid_input")


async def test_who_sees_it_anyway(system: System) -> None:
    request_id = await reported(system)
    number = await number_of(system, request_id)
    for who in (system.provider, system.requester):
        assert problem(await asked(who, number), 409, "seen_anyway")["request_id"] == request_id
    async with system.services.database.session() as session:
        query = select(EmergencyOpening).where(EmergencyOpening.request_id == UUID(request_id))
        assert (await session.scalars(query)).all() == []


async def test_who_sees_it_anyway_is_told_so_whatever_clinics_have_set(system: System) -> None:
    """That the clinic that asked has turned it off is no try of who reads the request anyway; a restriction and a draft are."""
    clinic = await new_clinic(system, "Éteinte")
    async with system.services.database.session() as session:
        (await people.lock_clinic(session, clinic.id) or clinic).routes_to = [system.clinics["near"].id]
    people_there = [
        await add_person(system, f"emergency_off_{role.value}", clinic, role)
        for role in (Role.REQUESTER, Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR)
    ]
    asking, dispatching, administering = people_there
    before = system.people["requester"]
    system.people["requester"] = asking
    try:
        request_id = await submitted(system)
        number = await number_of(system, request_id)
    finally:
        system.people["requester"] = before
    near = str(system.clinics["near"].id)
    ok(await dispatching.post(f"/requests/{request_id}/assign", {"clinic_id": near}))
    async with system.services.database.session() as session:
        (await people.lock_clinic(session, clinic.id) or clinic).emergency = False

    async def refused() -> int:
        async with system.services.database.session() as session:
            ids = await audit.ids_of(
                session,
                system.provider2.account.id,
                *(Act.EMERGENCY, EmergencyStep.REFUSED),
                since=datetime.now(UTC) - timedelta(hours=1),
            )
        return len(ids)

    tries = await refused()
    assert problem(await asked(system.provider2, number), 409, "seen_anyway")["request_id"] == request_id
    problem(await asked(system.provider2, number, password="faux"), 403, "wrong_password")
    assert await refused() == tries
    shut = ok(
        await administering.post(
            f"/requests/{request_id}/restrictions", {"account_id": system.provider2.id, "reason": "Parenté."}
        ),
        201,
    )
    problem(await asked(system.provider2, number), 404, "nothing_to_open")
    assert await refused() == tries + 1
    ok(await administering.post(f"/requests/{request_id}/restrictions/{shut['id']}/end", {"reason": "Fini."}))


async def test_tries_are_few(system: System) -> None:
    answers = [await asked(system.provider2, "TC-2026-999998") for _ in range(11)]
    assert {answer.json()["code"] for answer in answers[:10]} == {"nothing_to_open"}
    problem(answers[-1], 429, "too_many_attempts")
    request_id = await submitted(system)
    problem(await asked(system.provider2, await number_of(system, request_id)), 429, "too_many_attempts")
    opening = await opened(system, system.requester2, request_id)
    await ended(system.requester2, opening)


async def test_two_at_once_are_one(system: System) -> None:
    number = await number_of(system, await submitted(system))
    answers = await asyncio.gather(*(asked(system.provider2, number, reason=f"{WHY} {n}") for n in range(4)))
    assert len({ok(answer, 201)["id"] for answer in answers}) == 1
    letters = await letters_of(system, answers[0].json())
    assert len(letters) == len({one.account_id for one in letters}), "and told once"
    await ended(system.provider2, answers[0].json())


# What a proof is for


@pytest.mark.parametrize("by", ["code", "recovery code"])
async def test_a_code_opens_what_it_was_given_for(system: System, by: str) -> None:
    """This request, for this reason, by this command: it opens no other, and not again what somebody has ended."""
    who, telephone, codes = await enrolled_person(system, Role.PROVIDER)
    number, other = [await number_of(system, await submitted(system)) for _ in range(2)]
    problem(await asked(who, number), 403, "code_needed")
    code = codes[0] if by == "recovery code" else await telephone.next_code()
    caller = caller_of(who)

    async def by_form(key: str, **said: str) -> str:
        """As the form of the portal sends it, whose key is bound to no body."""
        new = {"number": number, "reason": WHY, "password": PASSWORD, "code": code, **said}
        try:
            opened = await open_in_emergency(system.of_api, caller, NewOpening.model_validate(new), key)
        except Problem as refused:
            return refused.code
        return f"{opened.id} {opened.state}"

    once = await by_form("one")
    assert once.endswith("open")
    assert await by_form("one") == once, "the same, sent again"
    for key, said in (
        ("one", {"number": other}),
        ("one", {"reason": "Autre."}),
        ("two", {}),
        ("two", {"number": other}),
    ):
        assert await by_form(key, **said) == "wrong_code", (key, said)
    code = codes[1]
    assert await by_form("one", number=other) == "idempotency_key_reused", "whatever proves it, the key has opened one"
    code = codes[2]
    assert await by_form("one", reason="Autre.") == "idempotency_key_reused"
    code = codes[3]
    [mine] = ok_list(await who.get(OPENINGS))
    await ended(who, mine)
    assert await by_form("one") == once.replace("open", "ended"), "it opens once, and not anew what has ended"


async def test_a_key_opens_one_request_also_of_two_at_once(system: System) -> None:
    caller = caller_of(system.provider2)
    numbers = [await number_of(system, await submitted(system)) for _ in range(2)]
    news = [NewOpening.model_validate({"number": one, "reason": WHY, "password": PASSWORD}) for one in numbers]
    ways = [open_in_emergency(system.of_api, caller, one, "at once") for one in news]
    first, second = sorted(
        await asyncio.gather(*ways, return_exceptions=True), key=lambda one: isinstance(one, Exception)
    )
    assert isinstance(second, Problem)
    assert second.code == "idempotency_key_reused"
    assert not isinstance(first, BaseException)
    await end(system.of_api, caller, first.id)


async def test_a_key_of_the_api_means_one_opening(system: System) -> None:
    who, number = system.provider2, await number_of(system, await submitted(system))
    other = await number_of(system, await submitted(system))
    first = ok(await asked(who, number, key="emergency-1"), 201)
    assert ok(await asked(who, number, key="emergency-1"), 201) == first
    problem(await asked(who, other, key="emergency-1"), 422, "idempotency_key_reused")
    problem(await asked(who, number, key="emergency-1", reason="Autre."), 422, "idempotency_key_reused")
    await ended(who, first)
    assert ok(await asked(who, number, key="emergency-1"), 201)["state"] == "ended"
    answers = await asyncio.gather(*(asked(who, number, key="emergency-2") for _ in range(3)))
    assert len({ok(answer, 201)["id"] for answer in answers}) == 1
    await ended(who, answers[0].json())


async def test_a_key_that_was_answered_by_another_opens_nothing_later(system: System) -> None:
    """Two forms were sent; the one that came second is sent again once somebody has ended what the first had opened."""
    caller = caller_of(system.provider2)
    number, other = [await number_of(system, await submitted(system)) for _ in range(2)]

    async def sent_with(key: str, **said: str) -> OpeningView:
        new = NewOpening.model_validate({"number": number, "reason": WHY, "password": PASSWORD, **said})
        return await open_in_emergency(system.of_api, caller, new, key)

    first = await sent_with("answered 1")
    assert (await sent_with("answered 2", reason="Autre.")).id == first.id
    await end(system.of_api, caller, first.id)
    again = await sent_with("answered 2", reason="Autre.")
    assert (again.id, again.state) == (first.id, OpeningState.ENDED)
    for said in ({"number": other, "reason": "Autre."}, {"reason": WHY}):
        with pytest.raises(Problem, match="idempotency_key_reused"):
            await sent_with("answered 2", **said)
    assert (await sent_with("answered 3")).id != first.id


# Who is told


async def test_operators_are_told_where_a_clinic_has_nobody(system: System) -> None:
    """And it is said of how many that is true: who reads is not told of themselves, and is nobody's administrator for it."""
    clinic = await new_clinic(system, "Seule")
    alone = await add_person(system, "emergency_alone", clinic, Role.REQUESTER, Role.CLINIC_ADMINISTRATOR)
    dispatcher = await add_person(system, "emergency_dispatcher", clinic, Role.DISPATCHER)
    request_id = await submitted(system)
    await had_to_do_with(system, clinic.id, request_id)
    opening = await opened(system, alone, request_id)
    kinds = {str(one.account_id): one.kind for one in await letters_of(system, opening)}
    assert kinds[system.administrator.id] is LetterKind.OPENED_IN_EMERGENCY
    assert kinds[system.operator.id] is LetterKind.OPENED_UNWATCHED
    assert alone.id not in kinds
    assert dispatcher.id not in kinds
    assert opening["told"] == len(kinds)
    office, address = system.post_office, system.operator.account.email
    await eventually(lambda: any(opening["number"] in text_of(one) for one in office.kept_for(address)))
    [told] = [text_of(one) for one in office.kept_for(address) if opening["number"] in text_of(one)]
    assert "Emergency Alone (Seule)" in told
    await ended(alone, opening)


async def test_nobody_is_said_to_be_told_who_is_not(system: System) -> None:
    async with system.services.database.session() as session:
        nobody = {system.clinics["near"].id}
        administrators = await emergencies.to_tell(session, {UUID(system.provider2.id)}, nobody)
        assert {one.clinic_id for one in administrators} == nobody
        assert all(Role.CLINIC_ADMINISTRATOR in one.roles for one in administrators)
        nowhere = await emergencies.to_tell(session, {UUID(system.provider2.id)}, {uuid4()})
        assert {Role.OPERATOR in one.roles for one in nowhere} == {True}
        by_operator = await emergencies.to_tell(session, {UUID(system.operator.id)}, {uuid4()})
        assert system.operator.id not in {str(one.id) for one in by_operator}


async def test_the_alarm_outlives_the_request(system: System) -> None:
    """The e-mail may go when the request is destroyed already: it says which it was, and who."""
    request_id = await submitted(system)
    opening = await opened(system, system.provider2, request_id)
    [letter] = [one for one in await letters_of(system, opening) if str(one.account_id) == system.administrator.id]
    await ended(system.provider2, opening)
    activities = AccountLetterActivities(system.settings, system.services.database, lambda _: no_resets())
    async with system.services.database.session() as session:
        near, now, policy = system.clinics["near"].id, datetime.now(UTC), RetentionPolicy()
        of = RetentionList(
            id=new_id(), clinic_id=near, state=ListState.APPROVED, policy=policy.model_dump(), made_at=now
        )
        session.add(of)
        await session.flush()
        row = await requests.lock_request(session, UUID(request_id))
        await destruction.destroy(session, row, of.id, now, kept_until=now.date(), policy=policy)
        waiting = await session.get(AccountLetter, letter.id)
        assert waiting is not None
        waiting.status = LetterStatus.QUEUED
        outgoing = await activities._outgoing(session, waiting)
        await session.rollback()
    reader = system.provider2.account
    assert outgoing is not None
    assert outgoing.number == opening["number"]
    assert outgoing.reader == f"{reader.given_name} {reader.family_name} ({system.clinics['near'].name})"


async def no_resets() -> list[UUID]:
    return []


async def test_one_letter_that_does_not_go_holds_up_no_other(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[UUID] = []
    others = asyncio.Event()

    async def start(_: object, letter_id: UUID, _wait: timedelta) -> None:
        tried.append(letter_id)
        if len(tried) == 1:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        if len(tried) == 2:
            await others.wait()  # it hangs
        if len(tried) == 3:
            others.set()

    monkeypatch.setattr(account_letters, "start", start)
    ids = [uuid4() for _ in range(3)]
    await asyncio.wait_for(account_letters.send(system.services, ids), PATIENCE_SECONDS)
    assert tried == ids


async def test_who_tries_again_and_again_is_told_of(system: System) -> None:
    """From the third try within a day on, once a day; and it is a line of the month's accesses."""
    clinic = await new_clinic(system, "Curieuse")
    curious = await add_person(system, "emergency_curious", clinic, Role.PROVIDER)
    administrator = await add_person(system, "emergency_told", clinic, Role.CLINIC_ADMINISTRATOR)
    office, address = system.post_office, administrator.account.email

    async def written() -> list[LetterKind]:
        async with system.services.database.session() as session:
            query = select(AccountLetter.kind).where(AccountLetter.account_id == administrator.account.id)
            return list(await session.scalars(query))

    for _ in range(2):
        problem(await asked(curious, "TC-2026-999997"), 404, "nothing_to_open")
    assert await written() == []
    answers = await asyncio.gather(*(asked(curious, f"TC-2026-99999{n}") for n in range(4)))
    assert {answer.json()["code"] for answer in answers} == {"nothing_to_open"}
    assert await written() == [LetterKind.REFUSED_IN_EMERGENCY]
    await eventually(lambda: any("Emergency Curious (Curieuse)" in text_of(one) for one in office.kept_for(address)))
    assert "TC-2026" not in "".join(map(text_of, office.kept_for(address)))
    async with system.services.database.session() as session:
        now = datetime.now(UTC)
        bounds = now - timedelta(hours=1), now + timedelta(hours=1)
        acts = await access_reviews.acts_of(session, curious.account.id, clinic.id, *bounds, after=None, limit=2_000)
    course = Course(Person(curious.account.id, frozenset({Role.PROVIDER}), False, now), ZoneInfo("America/Toronto"))
    for act in acts:
        course.take(act, NOTHING_KNOWN)
    [tries] = [one for one in course.findings() if one.rule is Rule.FAILED_TRIES]
    assert tries.sample.number == 6


# Who, of which clinics, of which status, with which restriction


@pytest.mark.parametrize("status", IN_STATUS)
async def test_in_every_status_but_a_draft(system: System, status: str) -> None:
    request_id = await IN_STATUS[status](system)
    answer = await asked(system.provider2, await number_of(system, request_id))
    if status == "draft":
        problem(answer, 404, "nothing_to_open")
        return
    opening = ok(answer, 201)
    assert (await system.provider2.view(request_id))["access"] == "chart"
    await ended(system.provider2, opening)


@pytest.mark.parametrize("near_on", [True, False])
@pytest.mark.parametrize("far_on", [True, False])
async def test_both_clinics_must_have_turned_it_on(system: System, *, near_on: bool, far_on: bool) -> None:
    """The reader's clinic, once it had to do with the request, and the one that asked: the near one."""
    near, far = system.clinics["near"].id, system.clinics["far"].id
    async with system.services.database.session() as session:
        clinic = await people.lock_clinic(session, near)
        assert clinic is not None
        before, clinic.routes_to = clinic.routes_to, [far]
    request_id = await submitted(system)
    number = await number_of(system, request_id)
    await turned(system, "far", on=True)
    problem(await asked(system.far_provider, number), 404, "nothing_to_open")
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"clinic_id": str(far)}))
    ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", {"dispatch": True, "reason": "Erreur."}))
    await turned(system, "near", on=near_on)
    await turned(system, "far", on=far_on)
    try:
        answer = await asked(system.far_provider, number)
        if not far_on:
            problem(answer, 403, "emergency_off")
        elif not near_on:
            problem(answer, 404, "nothing_to_open")
        else:
            opening = ok(answer, 201)
            view = await system.far_provider.view(request_id)
            assert (view["access"], view["patient"]["family_name"]) == ("chart", "Tremblay")
            assert (await system.far_provider.get(f"/requests/{request_id}/timeline")).status_code == 200
            photo = view["attachments"][0]["id"]
            assert (await system.far_provider.get(f"/requests/{request_id}/attachments/{photo}")).status_code == 200
            assert opening["id"] in {one["id"] for one in ok_list(await system.administrator.get(OPENINGS))}
            await turned(system, "near", on=False)
            problem_of = await system.far_provider.get(f"/requests/{request_id}/attachments")
            problem(problem_of, 403, "forbidden")
            await turned(system, "near", on=True)
            await ended(system.far_provider, opening)
    finally:
        await turned(system, "near", on=True)
        await turned(system, "far", on=False)
        async with system.services.database.session() as session:
            (await people.lock_clinic(session, near) or clinic).routes_to = before


async def test_restrictions_in_an_emergency(system: System) -> None:
    """A wish about a role is overridden, loudly; one that names somebody is not, and ends what they had opened."""
    request_id, near = await reported(system), str(system.clinics["near"].id)
    number = await number_of(system, request_id)
    of_role = await restricted(system, request_id, clinic_id=near, role="provider")
    problem(await system.provider2.get(f"/requests/{request_id}"), 404, "not_found")
    same_form = NewOpening.model_validate({"number": number, "reason": WHY, "password": PASSWORD})
    view = await open_in_emergency(system.of_api, caller_of(system.provider2), same_form, "named since")
    opening = {"id": str(view.id)}
    assert (await system.provider2.view(request_id))["access"] == "chart"
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    by_name = await restricted(system, request_id, account_id=system.provider2.id)
    problem(await system.provider2.get(f"/requests/{request_id}"), 404, "not_found")
    problem(await asked(system.provider2, number), 404, "nothing_to_open")
    assert opening["id"] not in {one["id"] for one in ok_list(await system.provider2.get(OPENINGS))}
    problem(await system.provider2.post(f"{OPENINGS}/{opening['id']}/end"), 404, "not_found")
    (seen,) = [one for one in ok_list(await system.administrator.get(OPENINGS)) if one["id"] == opening["id"]]
    assert seen["state"] == "over"
    with pytest.raises(Problem, match="nothing_to_open"):  # nor by the command that has opened it
        await open_in_emergency(system.of_api, caller_of(system.provider2), same_form, "named since")
    for one in (of_role, by_name):
        await restriction_ended(system, request_id, one)
    await ended(system.provider2, opening)


async def test_a_shut_out_administrator_hears_nothing_of_it(system: System) -> None:
    request_id = await submitted(system)
    await restricted(system, request_id, account_id=system.emergency_everything.id)
    opening = await opened(system, system.provider2, request_id)
    letters = await letters_of(system, opening)
    assert system.emergency_everything.id not in {str(one.account_id) for one in letters}
    assert opening["told"] == len(letters)
    assert opening["id"] not in {one["id"] for one in ok_list(await system.emergency_everything.get(OPENINGS))}
    problem(await system.emergency_everything.post(f"{OPENINGS}/{opening['id']}/end"), 404, "not_found")
    await ended(system.provider2, opening)


# Reading only, and nothing else


READ_SO = {
    "/api/v1/requests/{request_id}",
    "/api/v1/requests/{request_id}/attachments",
    "/api/v1/requests/{request_id}/attachments/{attachment_id}",
    "/api/v1/requests/{request_id}/attachments/{attachment_id}/full",
    "/api/v1/requests/{request_id}/attachments/{attachment_id}/preview",
    "/api/v1/requests/{request_id}/attachments/{attachment_id}/thumbnail",
    "/api/v1/requests/{request_id}/forms",
    "/api/v1/requests/{request_id}/forms/{number}",
    "/api/v1/requests/{request_id}/reports",
    "/api/v1/requests/{request_id}/reports/{report_id}.pdf",
    "/api/v1/requests/{request_id}/reports/{report_id}/content",
    "/api/v1/requests/{request_id}/reports/{report_id}/verification",
    "/api/v1/requests/{request_id}/timeline",
    "/requests/{request_id}",
    "/requests/{request_id}/documents/{report_id}",
    "/requests/{request_id}/media/{attachment_id}",
}
"""All that is read in an emergency; of a photo. Pages of documents and videos go the same way."""


LEAD_ELSEWHERE = {
    "/requests/{request_id}/attachments/{attachment_id}/change",
    "/requests/{request_id}/delete",
}
"""Forms of the portal that lead a stranger, too, to another page, with nothing done."""


def looked_at(face: FastAPI) -> Iterator[str]:
    for name, path in addresses(face):
        if name != "events" and "openapi" not in path:
            yield path


def changed_at(face: FastAPI) -> Iterator[tuple[str, str]]:
    """Every address that changes something of a request, by the routes themselves."""
    changing = {"POST", "PUT", "PATCH", "DELETE"}
    for path, methods in face.openapi()["paths"].items():
        yield from ((method, path) for method in sorted(changing & {name.upper() for name in methods}))
    for route in routes():
        if route.endpoint.__module__.startswith(("portal.", "fhir.")):
            yield from ((method, route.path) for method in sorted(changing & (route.methods or set())))


def filled(path: str, request_id: str, photo: str, report: str) -> str:
    known = {
        "request_id": request_id,
        "attachment_id": photo,
        "report_id": report,
        "number": "1",
        "resource_id": request_id,
    }
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda name: known.get(name[1], str(uuid4())), path)


async def sent(face: FastAPI, who: Clinician, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(face), base_url="http://relais.test") as http:
        headers = {"Authorization": who.http.headers["Authorization"]}
        return await http.request(method, path, headers=headers, json={} if method != "GET" else None)


async def test_what_is_read_and_nothing_else(system: System, face: FastAPI) -> None:
    """Each address that is read answers as before, but for those that are named; each that changes something does, too."""
    request_id, who = await reported(system), system.provider2
    view = await system.requester.view(request_id)
    number, photo, report = view["number"], view["attachments"][0]["id"], view["documents"][0]["report_id"]

    async def looks() -> dict[str, tuple[int, bool]]:
        found = {}
        for path in looked_at(face):
            answer = await sent(face, who, "GET", filled(path, request_id, photo, report))
            found[path] = (
                answer.status_code,
                answer.status_code < 300 and (number in answer.text or photo in answer.text),
            )
        return found

    async def changes() -> dict[tuple[str, str], tuple[int, str]]:
        found = {}
        for method, path in changed_at(face):
            if "{request_id}" not in path:
                continue
            answer = await sent(face, who, method, filled(path, request_id, photo, report))
            is_json = "json" in answer.headers.get("content-type", "")
            found[method, path] = answer.status_code, str(answer.json().get("code")) if is_json else ""
        return found

    looks_before, changes_before = await looks(), await changes()
    opening = await opened(system, who, request_id)
    looks_then, changes_then = await looks(), await changes()
    named = {"/emergency", "/api/v1/emergency-openings"}
    assert {path for path in looks_then if looks_then[path] != looks_before[path]} - named == READ_SO
    assert {looks_then[path][0] for path in READ_SO} == {200}
    assert changes_then == changes_before
    assert len(changes_then) > 50
    assert {status for status, _ in changes_then.values()}.isdisjoint({200, 201, 202, 204})
    led_elsewhere = {path for (_, path), (status, _) in changes_then.items() if status == 303}
    assert led_elsewhere == LEAD_ELSEWHERE
    after = await system.requester.view(request_id)
    assert (after["version"], after["status"]) == (view["version"], view["status"])
    for query in ({"q": number}, {"q": "Tremblay"}, {"status": "reported"}):
        page = ok(await who.get("/requests", params={**query, "limit": "200"}))
        assert request_id not in {row["id"] for row in page["items"]}, query
    others = [system.far_provider, system.dispatcher, system.requester2]
    seen = [(await one.get(f"/requests/{request_id}")).status_code for one in others]
    assert seen == [404, 200, 404], "because of it, nobody else sees more"
    await ended(who, opening)
    assert await looks() == {path: looks_before[path] if path not in named else looks_then[path] for path in looks_then}


# When it ends


async def test_it_ends_by_the_clock(system: System) -> None:
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    ends_at = datetime.fromisoformat(opening["ends_at"])
    viewer = Viewer(who.account.id, who.account.clinic_id, frozenset({Role.PROVIDER}))
    async with system.services.database.session() as session:
        for moment, holds in (
            (ends_at - timedelta(microseconds=1), True),
            (ends_at, False),
            (
                datetime.fromisoformat(opening["begun_at"]) - timedelta(seconds=1),
                True,
            ),  # by the clock of another process
        ):
            found = await emergencies.holding(session, viewer, UUID(request_id), moment)
            assert (found is not None) == holds, moment
    async with system.services.database.session() as session:
        past = datetime.now(UTC) - timedelta(hours=5)
        over = await emergencies.add(
            *(session, UUID(await submitted(system)), viewer, Role.PROVIDER),
            reason=WHY,
            command_id=uuid4(),
            told=0,
            begun_at=past,
            ends_at=past + timedelta(hours=4),
        )
        over_id = str(over.request_id)
    problem(await who.get(f"/requests/{over_id}"), 404, "not_found")
    await ended(who, opening)


@pytest.mark.parametrize(
    "change", [{"active": False}, {"roles": ["dispatcher"]}, {"roles": ["requester"]}, {"clinic": "far"}]
)
async def test_it_ends_with_what_it_stands_on(system: System, change: dict[str, Any]) -> None:
    """Locked, in another role, in another clinic: each at the next look, in every process, for nothing is kept of it."""
    request_id, who = (
        await submitted(system),
        await add_person(system, "leaving", system.clinics["near"], Role.PROVIDER),
    )
    await opened(system, who, request_id)
    assert (await who.view(request_id))["access"] == "chart"
    values = {"clinic_id": system.clinics["far"].id} if "clinic" in change else change
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == who.account.id).values(**values))
    answer = await who.get(f"/requests/{request_id}")
    assert answer.status_code in ((401,) if change.get("active") is False else (403, 404, 200))
    if change.get("roles") == ["dispatcher"]:
        assert answer.json()["emergency"] is None, "dispatchers of the clinic see it anyway"
    else:
        assert answer.status_code in (401, 404)
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == who.account.id).values(active=False))


async def test_what_an_administrator_has_ended_stays_so_for_a_day(system: System) -> None:
    """For who had opened it; a colleague opens it, and who ended it themselves opens it anew."""
    request_id, who = await submitted(system), system.provider2
    number = await number_of(system, request_id)
    opening = await opened(system, who, request_id)
    await ended(who, opening)
    opening = await opened(system, who, request_id)
    await ended(system.administrator, opening)
    told = problem(await asked(who, number), 403, "opening_ended")
    assert told["hours"] == 24
    assert "24 h" in told["detail"]
    by_a_colleague = await opened(system, system.requester2, request_id)
    await ended(system.requester2, by_a_colleague)
    async with system.services.database.session() as session:
        noted = await audit.ids_of(
            session,
            who.account.id,
            Act.EMERGENCY,
            EmergencyStep.REFUSED,
            since=datetime.now(UTC) - timedelta(minutes=1),
        )
        assert noted != [], "and it counts as refused"
    viewer = Viewer(who.account.id, who.account.clinic_id, frozenset({Role.PROVIDER}))
    async with system.services.database.session() as session:
        now = datetime.now(UTC)
        mine = viewer.account_id, UUID(request_id)
        assert await emergencies.ended_by_another(session, *mine, now - timedelta(minutes=5)) is not None
        assert await emergencies.ended_by_another(session, *mine, now + timedelta(minutes=5)) is None


@pytest.mark.parametrize("state", ["ended by its reader", "over by the clock", "turned off"])
async def test_what_an_administrator_says_holds_whatever_became_of_it(
    system: System, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ends it themselves just before, or has let the four hours go by, opens nothing anew within the day after."""
    request_id, who = await submitted(system), system.provider2
    number = await number_of(system, request_id)
    if state == "over by the clock":
        monkeypatch.setattr(rules, "LASTS", timedelta(0))
    opening = await opened(system, who, request_id)
    monkeypatch.undo()
    if state == "ended by its reader":
        await ended(who, opening)
    if state == "turned off":
        await turned(system, "near", on=False)
    [shown] = [one for one in ok_list(await system.administrator.get(OPENINGS)) if one["id"] == opening["id"]]
    assert (shown["may_end"], shown["held_until"]) == (True, None)
    [mine] = [one for one in ok_list(await who.get(OPENINGS)) if one["id"] == opening["id"]]
    assert mine["may_end"] is (state == "turned off")
    held = await ended(system.administrator, opening)
    assert (held["may_end"], held["held_until"] is not None) == (False, True)
    by_reader = state == "ended by its reader"
    assert (held["ended_by"] or {}).get("id") == {True: who.id, False: None}[by_reader] or state == "turned off"
    assert (await ended(system.administrator, opening))["held_until"] == held["held_until"], (
        "a second time is nothing new"
    )
    assert (await ended(system.emergency_everything, opening))["held_until"] == held["held_until"]
    await turned(system, "near", on=True)
    assert problem(await asked(who, number), 403, "opening_ended")["hours"] == 24
    by_a_colleague = await opened(system, system.requester2, request_id)
    await ended(system.requester2, by_a_colleague)


async def test_how_long_it_stays_so_is_no_hour_of_the_clock() -> None:
    said = Problem("opening_ended", hours=5).told("fr")
    assert "pendant encore 5 h" in said
    assert "avant" not in said


async def test_nobody_denies_it_to_others_in_silence(system: System) -> None:
    """An end by somebody else is told to the other administrators; operators are told where it is of several people, or a clinic
    has nobody else; and it is a line of the month.
    """
    clinic = await new_clinic(system, "Muette")
    ender = await add_person(system, "emergency_ender", clinic, Role.CLINIC_ADMINISTRATOR)
    other = await add_person(system, "emergency_other", clinic, Role.CLINIC_ADMINISTRATOR)
    shut_out = await add_person(system, "emergency_shut", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    readers = [await add_person(system, f"emergency_r{n}", clinic, Role.PROVIDER) for n in range(2)]
    request_id = await submitted(system)
    await had_to_do_with(system, clinic.id, request_id)
    await restricted(system, request_id, account_id=shut_out.id)

    async def told_of(opening: dict[str, Any]) -> dict[str, LetterKind]:
        letters = await letters_of(system, opening)
        kinds = LetterKind.ENDED_IN_EMERGENCY, LetterKind.ENDED_UNWATCHED
        return {str(one.account_id): one.kind for one in letters if one.kind in kinds}

    own = await opened(system, readers[0], request_id)
    await ended(readers[0], own)
    assert await told_of(own) == {}
    first = await opened(system, readers[0], request_id)
    await ended(ender, first)
    told = await told_of(first)
    assert told[other.id] is told[system.administrator.id] is LetterKind.ENDED_IN_EMERGENCY
    assert {ender.id, shut_out.id, readers[0].id, system.operator.id}.isdisjoint(told)
    second = await opened(system, readers[1], request_id)
    await ended(ender, second)
    assert (await told_of(second))[system.operator.id] is LetterKind.ENDED_UNWATCHED

    def is_told(address: str) -> bool:
        texts = map(text_of, system.post_office.kept_for(address))
        return any("Emergency Ender (Muette)" in one and first["number"] in one for one in texts)

    await eventually(lambda: is_told(other.account.email))
    await eventually(lambda: is_told(system.operator.account.email))
    now = datetime.now(UTC)
    bounds = now - timedelta(hours=1), now + timedelta(hours=1)
    async with system.services.database.session() as session:
        acts = await access_reviews.acts_of(session, ender.account.id, clinic.id, *bounds, after=None, limit=2_000)
        own_acts = await access_reviews.acts_of(
            session, readers[0].account.id, clinic.id, *bounds, after=None, limit=2_000
        )
    for about, of_them, number in ((ender, acts, 2), (readers[0], own_acts, 0)):
        person = Person(about.account.id, frozenset({Role.CLINIC_ADMINISTRATOR}), False, now)
        course = Course(person, ZoneInfo("America/Toronto"))
        for act in of_them:
            course.take(act, NOTHING_KNOWN)
        ends = [one.sample.number for one in course.findings() if one.rule is Rule.EMERGENCY_ENDED]
        assert sum(ends) == number


async def test_an_end_where_nobody_else_administers_is_told_to_operators(system: System) -> None:
    clinic = await new_clinic(system, "Unique")
    ender = await add_person(system, "emergency_sole", clinic, Role.CLINIC_ADMINISTRATOR)
    reader = await add_person(system, "emergency_reads", clinic, Role.PROVIDER)
    request_id = await submitted(system)
    await had_to_do_with(system, clinic.id, request_id)
    opening = await opened(system, reader, request_id)
    await ended(ender, opening)
    kinds = {str(one.account_id): one.kind for one in await letters_of(system, opening) if "ended" in one.kind}
    assert kinds[system.operator.id] is LetterKind.ENDED_UNWATCHED


@pytest.mark.parametrize(
    ("values", "of", "is_told"),
    [
        ({}, "both", True),
        ({"active": False}, "both", False),
        ({"roles": ["dispatcher"]}, "both", False),
        ({"roles": ["operator"]}, "both", True),
        ({"clinic": "far"}, "both", False),
        ({"restricted": True}, "opening", False),
    ],
)
async def test_whether_it_is_to_be_told_is_asked_when_it_goes(
    system: System, values: dict[str, Any], of: str, is_told: bool
) -> None:
    told = await add_person(system, "emergency_gone", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    curious = await add_person(system, "emergency_curious2", system.clinics["near"], Role.PROVIDER)
    request_id = await submitted(system)
    opening = await opened(system, system.provider2, request_id)
    for _ in range(3):
        problem(await asked(curious, "TC-2026-999996"), 404, "nothing_to_open")
    if values.get("restricted"):
        await restricted(system, request_id, account_id=told.id)
    activities = AccountLetterActivities(system.settings, system.services.database, lambda _: no_resets())
    async with system.services.database.session() as session:
        columns = {name: value for name, value in values.items() if name in ("active", "roles")}
        if "clinic" in values:
            columns["clinic_id"] = system.clinics["far"].id
        if columns:
            await session.execute(update(Account).where(Account.id == told.account.id).values(**columns))
        mine = await session.scalars(select(AccountLetter).where(AccountLetter.account_id == told.account.id))
        letters = {one.kind: one for one in mine}
        assert set(letters) == {LetterKind.OPENED_IN_EMERGENCY, LetterKind.REFUSED_IN_EMERGENCY}
        for kind, letter in letters.items():
            outgoing = await activities._outgoing(session, letter)
            expected = is_told or (of == "opening" and kind is LetterKind.REFUSED_IN_EMERGENCY)
            assert (outgoing is not None) == expected, kind
        await session.rollback()
    await ended(system.provider2, opening)
    async with system.services.database.session() as session:
        gone = update(Account).where(Account.id.in_([told.account.id, curious.account.id])).values(active=False)
        await session.execute(gone)


async def test_two_who_are_told_of_each_other_do_not_wait_for_each_other(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds what is counted of them while the e-mail to the other is written."""
    clinic = await new_clinic(system, "Croisée")
    both = [
        await add_person(system, f"emergency_cross{n}", clinic, Role.PROVIDER, Role.CLINIC_ADMINISTRATOR)
        for n in range(2)
    ]
    for who in both:
        for _ in range(2):
            problem(await asked(who, "TC-2026-999995"), 404, "nothing_to_open")
    to_tell, here = emergencies.to_tell, asyncio.Barrier(2)

    async def together(*arguments: Any, **more: Any) -> Any:
        await asyncio.wait_for(here.wait(), PATIENCE_SECONDS)
        return await to_tell(*arguments, **more)

    monkeypatch.setattr(emergencies, "to_tell", together)
    answers = await asyncio.gather(*(asked(who, "TC-2026-999995") for who in both))
    assert [answer.status_code for answer in answers] == [404, 404]
    async with system.services.database.session() as session:
        ids = [who.account.id for who in both]
        query = select(AccountLetter.kind).where(AccountLetter.account_id.in_(ids))
        assert list(await session.scalars(query)) == [LetterKind.REFUSED_IN_EMERGENCY] * 2


async def test_operators_turn_it_off_on_the_command_line(system: System) -> None:
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    clinic = system.clinics["near"]
    reading = Caller(who.account, token_of(system, "provider2")).also_in_emergency()
    async with aclosing(news(system.of_api, reading, UUID(request_id), None, silence_seconds=3_600)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        await administration.turn_emergency_off(system.settings, clinic.code)
        assert await asyncio.wait_for(first, PATIENCE_SECONDS) is True
    problem(await who.get(f"/requests/{request_id}"), 404, "not_found")
    events = ok_list(await system.administrator.get(f"/clinics/{clinic.id}/events"))
    assert (events[0]["changes"], events[0]["side"]) == ({"emergency": [True, False]}, "command_line")
    await administration.turn_emergency_off(system.settings, clinic.code)
    assert ok_list(await system.administrator.get(f"/clinics/{clinic.id}/events"))[0] == events[0], "it is off"
    with pytest.raises(administration.AdministrationError):
        await administration.turn_emergency_off(system.settings, "nowhere")
    await turned(system, "near", on=True)
    await ended(who, opening)


async def test_a_clinic_that_asks_for_a_second_factor_asks_everybody(system: System) -> None:
    """Also who signs nothing."""
    clinic = await new_clinic(system, "Stricte")
    who = await add_person(system, "emergency_strict", clinic, Role.REQUESTER)
    request_id = await submitted(system)
    await had_to_do_with(system, clinic.id, request_id)
    number = await number_of(system, request_id)
    await administration.set_signing_needs_code(system.settings, clinic.code, True)
    problem(await asked(who, number), 403, "second_factor_missing")
    await administration.set_signing_needs_code(system.settings, clinic.code, False)
    await ended(who, ok(await asked(who, number), 201))


async def test_it_is_ended_also_where_the_form_does_not_open(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its number may be typed as telephones type it."""
    request_id, who = await submitted(system), system.provider2
    opening = ok(await asked(who, f" {(await number_of(system, request_id)).lower()} "), 201)

    async def does_not_open(*_: object) -> None:
        raise KeyGoneError(f"requests.form of {request_id}")

    monkeypatch.setattr(requests, "lock_request", does_not_open)
    assert (await ended(system.administrator, opening))["state"] == "ended"


async def test_who_becomes_operator_reads_nothing_more_by_it(system: System) -> None:
    who = await add_person(system, "emergency_operator", system.clinics["near"], Role.PROVIDER)
    request_id = await submitted(system)
    opening = await opened(system, who, request_id)
    await set_roles(system, who, Role.PROVIDER, Role.OPERATOR)
    view = await who.view(request_id)
    assert (view["access"], view["emergency"]) == ("process", None)
    [mine] = ok_list(await who.get(OPENINGS))
    assert mine["state"] == "over"
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == who.account.id).values(active=False))
    assert opening["state"] == "open"


async def test_what_is_gone_meanwhile_is_left_out_of_a_list(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is destroyed between two statements takes its line along, and no other."""
    first, second = await submitted(system), await submitted(system)
    there = [await opened(system, system.provider2, one) for one in (first, second)]
    numbers_of = requests.numbers_of

    async def all_but_one(*arguments: Any) -> dict[UUID, str]:
        return {id_: number for id_, number in (await numbers_of(*arguments)).items() if id_ != UUID(first)}

    monkeypatch.setattr(requests, "numbers_of", all_but_one)
    listed = {one["id"] for one in ok_list(await system.provider2.get(OPENINGS))}
    monkeypatch.undo()
    assert there[1]["id"] in listed
    assert there[0]["id"] not in listed
    for one in there:
        await ended(system.provider2, one)


async def test_a_list_is_read_by_as_many_statements_however_long_it_is(system: System) -> None:
    who = await add_person(system, "emergency_busy", system.clinics["near"], Role.PROVIDER)
    numbers = []
    for _ in range(3):
        await opened(system, who, await submitted(system))
        with statements(system) as made:
            ok_list(await who.get(OPENINGS))
        numbers.append(len(made))
    assert numbers[1] == numbers[2], "the first call notes that the token was used"


async def test_the_news_end_with_the_time(system: System) -> None:
    """Of somebody whose page is open when the four hours are over, though nothing happens: told once, and nothing after it."""
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    reading = Caller(who.account, token_of(system, "provider2")).also_in_emergency()
    await check_may_follow(system.of_api, reading, UUID(request_id))
    assert reading.opening is not None
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    assert reading.in_emergency is not None
    reading.in_emergency.opening = EmergencyOpening(id=reading.opening.id, ends_at=soon)
    heard = [one async for one in news(system.of_api, reading, UUID(request_id), None, silence_seconds=3_600)]
    assert heard == [True]
    await ended(who, opening)


async def test_the_news_end_when_an_administrator_ends_it(system: System) -> None:
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    reading = Caller(who.account, token_of(system, "provider2")).also_in_emergency()
    await check_may_follow(system.of_api, reading, UUID(request_id))
    heard = []
    async with aclosing(news(system.of_api, reading, UUID(request_id), None, silence_seconds=3_600)) as told:
        first = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        await ended(system.administrator, opening)
        heard.append(await asyncio.wait_for(first, PATIENCE_SECONDS))
        heard += [one async for one in told]
    assert heard == [True]


async def test_an_open_page_hears_of_the_end(system: System) -> None:
    """A page that is open follows the request while it reads it, and is told when that ends; other news say nothing of it."""
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    caller = Caller(who.account, token_of(system, "provider2"))
    reading = caller.also_in_emergency()
    with pytest.raises(Problem, match="not_found"):
        await check_may_follow(system.of_api, caller, UUID(request_id))
    await check_may_follow(system.of_api, reading, UUID(request_id))
    async with aclosing(news(system.of_api, reading, UUID(request_id), None, silence_seconds=3_600)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        await ended(system.administrator, opening)
        assert await asyncio.wait_for(first, PATIENCE_SECONDS) is True
    with pytest.raises(Problem, match="not_found"):
        await check_may_follow(system.of_api, reading, UUID(request_id))


async def test_turning_it_off_ends_it_and_tells_open_pages(system: System) -> None:
    request_id, who = await submitted(system), system.provider2
    opening = await opened(system, who, request_id)
    reading = Caller(who.account, token_of(system, "provider2")).also_in_emergency()
    path = f"/clinics/{system.clinics['near'].id}"
    async with aclosing(news(system.of_api, reading, UUID(request_id), None, silence_seconds=3_600)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        assert (
            ok(await system.administrator.http.patch(f"/api/v1{path}", json={"emergency": False}))["emergency"] is False
        )
        assert await asyncio.wait_for(first, PATIENCE_SECONDS) is True
    problem(await who.get(f"/requests/{request_id}"), 404, "not_found")
    problem(await system.operator.http.patch(f"/api/v1{path}", json={"emergency": True}), 403, "forbidden")
    ok(await system.administrator.http.patch(f"/api/v1{path}", json={"emergency": True}))
    assert (await who.view(request_id))["access"] == "chart", "it was four hours, and they are not over"
    await ended(who, opening)


async def test_the_month_lists_it_for_the_clinic_that_asked(system: System) -> None:
    """What others opened of what a clinic asked for is in its own review, too."""
    clinic = await new_clinic(system, "Lectrice")
    reader = await add_person(system, "emergency_reader", clinic, Role.PROVIDER)
    request_id, who = await submitted(system), system.provider2
    await had_to_do_with(system, clinic.id, request_id)
    opening, by_other = await opened(system, who, request_id), await opened(system, reader, request_id)
    now, near = datetime.now(UTC), system.clinics["near"].id
    bounds = now - timedelta(hours=1), now + timedelta(hours=1)
    async with system.services.database.session() as session:
        of_near = await access_reviews.opened_by_others(session, near, *bounds)
        [(account_id, act)] = [one for one in of_near if one[1].request_id == UUID(request_id)]
        assert (str(account_id), act.kind, act.name) == (reader.id, Act.EMERGENCY, EmergencyStep.OPENED)
        assert act.at == datetime.fromisoformat(by_other["begun_at"])
        assert await access_reviews.entries_named(session, [act.id]) != []
        assert await access_reviews.opened_by_others(session, clinic.id, *bounds) == [], "it asked for nothing"
        for moved in (timedelta(days=-1), timedelta(days=1)):
            past = [moment + moved for moment in bounds]
            found = await access_reviews.opened_by_others(session, near, past[0], past[1])
            assert UUID(request_id) not in {act.request_id for _, act in found}
        acts = await access_reviews.acts_of(session, who.account.id, near, *bounds, after=None, limit=2_000)
    assert [act.name for act in acts if act.is_in_emergency and act.request_id == UUID(request_id)] == ["opened"]
    assert next(iter(Rule)) is Rule.EMERGENCY
    await ended(who, opening)
    await ended(reader, by_other)


async def test_the_review_of_the_clinic_that_asked_has_a_line_for_it(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = await new_clinic(system, "Absente")
    administrator = await add_person(system, "emergency_absent", clinic, Role.CLINIC_ADMINISTRATOR)
    near = system.clinics["near"].id
    monkeypatch.setitem(system.people, "requester", await add_person(system, "emergency_asks", clinic, Role.REQUESTER))
    request_id = await submitted(system)
    await had_to_do_with(system, near, request_id)
    opening = await opened(system, system.provider2, request_id)
    monkeypatch.undo()
    next_month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(day=2)
    assert await analyse_clinic(system.services.database, clinic.id, next_month) == 1
    [month] = ok_list(await administrator.get("/access-reviews"))
    review = ok(await administrator.get(f"/access-reviews/{month['id']}"))
    found = [(one["person"]["id"], one["request_id"]) for one in review["page"] if one["rule"] == "emergency"]
    assert found == [(system.provider2.id, request_id)]
    await ended(system.provider2, opening)


@pytest.mark.parametrize("by", ["who asked", "who read"])
async def test_the_month_of_the_other_clinic_has_a_line_for_an_end(
    system: System, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Whichever clinic's administrator has ended it, the other one looks at it, too."""
    clinics = {name: await new_clinic(system, name) for name in ("who asked", "who read")}
    administrators = {
        name: await add_person(system, f"emergency_both_{name[4:]}", clinic, Role.CLINIC_ADMINISTRATOR)
        for name, clinic in clinics.items()
    }
    reader = await add_person(system, "emergency_both", clinics["who read"], Role.PROVIDER)
    asks = await add_person(system, "emergency_both_asks", clinics["who asked"], Role.REQUESTER)
    monkeypatch.setitem(system.people, "requester", asks)
    request_id = await submitted(system)
    await had_to_do_with(system, clinics["who read"].id, request_id)
    await ended(administrators[by], await opened(system, reader, request_id))
    monkeypatch.undo()
    next_month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(day=2)
    for name, clinic in clinics.items():
        assert await analyse_clinic(system.services.database, clinic.id, next_month) == 1
        [month] = ok_list(await administrators[name].get("/access-reviews"))
        review = ok(await administrators[name].get(f"/access-reviews/{month['id']}"))
        [line] = [one for one in review["page"] if one["rule"] == "emergency_ended"]
        assert (line["person"]["id"], line["number"], line["request_id"]) == (administrators[by].id, 1, None)
        where = f"/access-reviews/{month['id']}/findings/{line['id']}"
        [entry] = ok(await administrators[name].get(where))["entries"]
        assert (entry["name"], entry["request_id"]) == (EmergencyStep.ENDED, request_id)


async def test_what_one_person_ends_is_told_to_operators_together(system: System) -> None:
    """At once, then once for all that follows; administrators hear of each."""
    clinic = await new_clinic(system, "Assemblée")
    ender = await add_person(system, "emergency_many", clinic, Role.CLINIC_ADMINISTRATOR)
    request_id = await submitted(system)
    await had_to_do_with(system, clinic.id, request_id)

    async def letters_to(who: Clinician) -> list[AccountLetter]:
        ends = LetterKind.ENDED_IN_EMERGENCY, LetterKind.ENDED_UNWATCHED
        query = select(AccountLetter).join(AuditEntry, AuditEntry.id == AccountLetter.link_id)
        query = query.where(AccountLetter.account_id == who.account.id, AccountLetter.kind.in_(ends))
        async with system.services.database.session() as session:
            found = await session.scalars(query.where(AuditEntry.account_id == ender.account.id))
            return sorted(found, key=lambda one: one.id)

    for number in range(4):
        reader = await add_person(system, f"emergency_many{number}", clinic, Role.PROVIDER)
        await ended(ender, await opened(system, reader, request_id))
        assert len(await letters_to(system.operator)) == min(number + 1, 2)
    assert len(await letters_to(system.administrator)) == 4

    async def is_told() -> bool:
        return (await letters_to(system.operator))[0].status is LetterStatus.SENT

    await eventually(is_told)
    first, gathers = await letters_to(system.operator)
    assert (first.kind, gathers.kind, gathers.status) == (*[LetterKind.ENDED_UNWATCHED] * 2, LetterStatus.QUEUED)
    activities = AccountLetterActivities(system.settings, system.services.database, lambda _: no_resets())
    async with system.services.database.session() as session:
        outgoing = await activities._outgoing(session, await session.get_one(AccountLetter, gathers.id))
    assert outgoing is not None
    assert (outgoing.ended, outgoing.reader) == ("4", "Anne Emergency Many (Assemblée)")
    handle = system.services.engine.get_workflow_handle(letter_workflow_id(gathers.id))
    asked_for = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    wait = asked_for.first_workflow_task_backoff.ToTimedelta()
    assert timedelta() < wait <= rules.ENDS_GATHERED_FOR
    await handle.terminate("the test is over")


async def ends_told(system: System, ender: Clinician) -> list[AccountLetter]:
    """The e-mails to the operator about what that person has ended, the first first."""
    query = select(AccountLetter).join(AuditEntry, AuditEntry.id == AccountLetter.link_id)
    to_operator = AccountLetter.account_id == system.operator.account.id
    query = query.where(to_operator, AccountLetter.kind == LetterKind.ENDED_UNWATCHED)
    async with system.services.database.session() as session:
        found = await session.scalars(query.where(AuditEntry.account_id == ender.account.id))
        return sorted(found, key=lambda one: one.created_at)


async def outgoing_of(system: System, letter: AccountLetter) -> OutgoingAccountLetter | None:
    activities = AccountLetterActivities(system.settings, system.services.database, lambda _: no_resets())
    async with system.services.database.session() as session:
        return await activities._outgoing(session, await session.get_one(AccountLetter, letter.id))


async def ones_to_end(system: System, name: str, ender: Clinician, count: int) -> list[dict[str, Any]]:
    """What so many people of the ender's clinic opened, each another request."""
    found = []
    for number in range(count):
        request_id = await submitted(system)
        await had_to_do_with(system, ender.account.clinic_id, request_id)
        reader = await add_person(system, f"{name}{number}", await clinic_of(system, ender), Role.PROVIDER)
        found.append(await opened(system, reader, request_id))
    return found


async def clinic_of(system: System, who: Clinician) -> Clinic:
    async with system.services.database.session() as session:
        return await session.get_one(Clinic, who.account.clinic_id)


async def test_ends_at_once_are_all_told_to_operators(system: System) -> None:
    ender = await add_person(
        system, "emergency_at_once", await new_clinic(system, "Simultanée"), Role.CLINIC_ADMINISTRATOR
    )
    await asyncio.gather(*(ended(ender, one) for one in await ones_to_end(system, "emergency_at_once", ender, 5)))
    _, gathers = await ends_told(system, ender)
    outgoing = await outgoing_of(system, gathers)
    assert outgoing is not None
    assert outgoing.ended == "5"
    await stop(system, gathers)


async def test_an_end_that_another_overtakes_is_told_to_operators(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The e-mail of the other one goes at once, and is none that waits to tell of this one too."""
    ender = await add_person(
        system, "emergency_overtaken", await new_clinic(system, "Dépassée"), Role.CLINIC_ADMINISTRATOR
    )
    overtaken, other = await ones_to_end(system, "emergency_overtaken", ender, 2)
    counts, calls, other_is_over = people.count_by_account, list[UUID](), asyncio.Event()

    async def after_the_other(session: AsyncSession, account_id: UUID) -> None:
        calls.append(account_id)
        if len(calls) == 1:
            await other_is_over.wait()
        await counts(session, account_id)

    async def has_begun() -> bool:
        return bool(calls)

    monkeypatch.setattr(people, "count_by_account", after_the_other)
    ends = asyncio.create_task(ended(ender, overtaken))
    await eventually(has_begun)
    await ended(ender, other)
    other_is_over.set()
    await ends
    at_once, gathers = await ends_told(system, ender)
    assert at_once.id in {one.id for one in await letters_of(system, other)}
    assert gathers.id in {one.id for one in await letters_of(system, overtaken)}
    assert gathers.status is LetterStatus.QUEUED
    await stop(system, gathers)


async def stop(system: System, letter: AccountLetter) -> None:
    """It waits for nothing any more."""
    await system.services.engine.get_workflow_handle(letter_workflow_id(letter.id)).terminate("the test is over")


async def test_an_end_that_is_shut_to_an_operator_hides_no_other(system: System) -> None:
    clinic = await new_clinic(system, "Fermée")
    ender = await add_person(system, "emergency_hides", clinic, Role.CLINIC_ADMINISTRATOR)
    requests_ended = []
    for number in range(3):
        requests_ended.append(await submitted(system))
        await had_to_do_with(system, clinic.id, requests_ended[-1])
        reader = await add_person(system, f"emergency_hides{number}", clinic, Role.PROVIDER)
        await ended(ender, await opened(system, reader, requests_ended[-1]))
    [gathers] = [one for one in await ends_told(system, ender) if one.status is LetterStatus.QUEUED][-1:]
    shut = await outgoing_of(system, gathers)
    assert shut is not None
    await restricted(system, await id_of(system, shut.number), account_id=system.operator.id)
    outgoing = await outgoing_of(system, gathers)
    assert outgoing is not None
    assert outgoing.number == await number_of(system, requests_ended[-1])
    await restricted(system, requests_ended[-1], account_id=system.operator.id)
    assert await outgoing_of(system, gathers) is None
    await stop(system, gathers)


async def id_of(system: System, number: str) -> str:
    async with system.services.database.session() as session:
        return str(await session.scalar(select(RequestRecord.id).where(RequestRecord.number == number)))
