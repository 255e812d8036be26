"""Invitations and forgotten passwords: by codes that open once, and that tell a stranger nothing."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import event, select, text, update

from domain.accounts import MOST_WRONG_TRIES
from domain.requests import Role
from records.models import Account, AccountLetter, ForgottenPasswordAsk, Invitation, LetterStatus, PasswordReset
from tests.api.answers import problem
from tests.api.test_accounts import anybody, sign_in
from tests.api.test_people_of_clinics import invitation, newcomer
from tests.eventually import eventually
from tests.journeys import ok
from tests.system import PASSWORD, System, hasty
from use_cases import forgotten_passwords, voice_codes
from use_cases.forgotten_passwords import MOST_BY_ADDRESS, MOST_BY_NAME, MOST_HELPED, MOST_NOTED, MOST_RESETS
from web.rates import Spent

NEW = "quatre mots sans aucun lien"


async def code_for(system: System, address: str, nth: int = 1) -> str:
    """The code of the link in the nth e-mail to that address."""
    await eventually(lambda: len(system.post_office.kept_for(address)) >= nth)
    body = system.post_office.kept_for(address)[nth - 1].get_body(("plain",))
    assert body is not None
    found = re.search(r"http://[\w.:]+/(?:invitation|new-password)/(\S+)", str(body.get_content()))
    assert found, body
    return found[1]


async def send(system: System, path: str, body: Any) -> httpx.Response:
    async with anybody(system) as http:
        return await http.post(f"/api/v1{path}", json=body)


async def accept(system: System, code: str, **more: Any) -> httpx.Response:
    return await send(
        system, "/invitations/acceptance", {"code": code, "username": f"zoe.{uuid4().hex}", "password": NEW, **more}
    )


async def test_who_is_invited_chooses_a_name_and_is_in(system: System) -> None:
    wanted = invitation(roles=["requester", "dispatcher"], language="en", title="Dre", licence_number="778")
    sent = ok(await system.administrator.post("/invitations", wanted, key="one"), 201)
    again = ok(await system.administrator.post("/invitations", wanted, key="one"), 201)
    assert (again["invitation"]["id"], sent["voice_code"]) == (sent["invitation"]["id"], None)
    other = invitation(roles=["requester"])
    problem(await system.administrator.post("/invitations", other, key="one"), 422, "idempotency_key_reused")
    code = await code_for(system, wanted["email"])
    [letter] = system.post_office.kept_for(wanted["email"])
    text = str(letter.get_body(("plain",)))
    assert "Clinique du Fleuve invites you" in text
    assert "second code" not in text
    assert "patient" not in text
    taken = {"username": system.requester.account.username.upper()}
    problem(await accept(system, code, **taken), 409, "username_taken")
    for bad in ("short", f"{wanted['email']}7", "Clinique du Fleuve7"):
        problem(await accept(system, code, password=bad), 422, "invalid_input")
    name = f"Zoé.{uuid4().hex}"
    token = ok(await accept(system, code, username=name), 201)["access_token"]
    async with anybody(system) as http:
        me = ok(await http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}))
    assert (me["username"], me["email"], me["language"]) == (name.lower(), wanted["email"], "en")
    assert (me["name"], me["roles"]) == ("Dre Zoé Roy", ["dispatcher", "requester"])
    ok(await sign_in(system, name, NEW), 201)
    problem(await accept(system, code), 404, "link_not_valid")
    assert len(system.post_office.kept_for(wanted["email"])) == 1
    path = f"/invitations/{sent['invitation']['id']}"
    problem(await system.administrator.post(f"{path}/revoke"), 409, "invitation_over")
    problem(await system.administrator.post(f"{path}/send-again"), 409, "invitation_over")
    events: Any = ok(await system.administrator.get(f"/accounts/{me['id']}/events"))
    assert [(one["kind"], one["by"]) for one in events] == [("joined", None)]


async def test_who_may_sign_needs_the_code_that_was_said(system: System) -> None:
    wanted = invitation(roles=["provider"])
    sent = ok(await system.administrator.post("/invitations", wanted), 201)
    code, voice = await code_for(system, wanted["email"]), sent["voice_code"]
    assert re.fullmatch(r"[A-HJKMNP-Z2-9]{6}", voice)
    assert voice not in str(system.post_office.kept_for(wanted["email"])[0])
    for _ in range(MOST_WRONG_TRIES):
        problem(await accept(system, code, voice_code="AAAAAA"), 403, "wrong_voice_code")
    problem(await accept(system, code, voice_code=voice), 404, "link_not_valid")
    [listed] = [
        one for one in (await system.administrator.get("/invitations")).json() if one["id"] == sent["invitation"]["id"]
    ]
    assert (listed["state"], listed["mail"]) == ("blocked", "sent")
    again = ok(await system.administrator.post(f"/invitations/{sent['invitation']['id']}/send-again"))
    fresh = await code_for(system, wanted["email"], nth=2)
    problem(await accept(system, code, voice_code=again["voice_code"]), 404, "link_not_valid")  # the earlier link
    problem(await accept(system, fresh, voice_code=voice), 403, "wrong_voice_code")  # the earlier code
    said = f" {again['voice_code'][:3].lower()}-{again['voice_code'][3:]} "
    ok(await accept(system, fresh, voice_code=said), 201)


async def test_links_that_open_nothing_all_sound_the_same(system: System) -> None:
    wanted = [invitation() for _ in range(3)]
    sent = [ok(await system.administrator.post("/invitations", one), 201)["invitation"]["id"] for one in wanted]
    revoked, expired, good = [await code_for(system, one["email"]) for one in wanted]
    for _ in range(2):
        ok(await system.administrator.post(f"/invitations/{sent[0]}/revoke"))
    async with system.services.database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(Invitation).where(Invitation.id == UUID(sent[1])).values(expires_at=past))
    nearly = good[:-1] + ("A" if good[-1] != "A" else "B")
    answers = [
        problem(await accept(system, code), 404, "link_not_valid")
        for code in (revoked, expired, nearly, good[:32], uuid4().hex + good[32:], "x", "é" * 60)
    ]
    assert all(answer == answers[0] for answer in answers)
    ok(await accept(system, good), 201)


async def test_no_code_is_kept_anywhere_but_in_the_letter(system: System) -> None:
    wanted = invitation(roles=["provider"])
    sent = ok(await system.administrator.post("/invitations", wanted), 201)
    code = await code_for(system, wanted["email"])
    async with system.services.database.session() as session:
        row = await session.get_one(Invitation, UUID(sent["invitation"]["id"]))
        kept = str({column: getattr(row, column) for column in Invitation.__table__.columns.keys()})  # noqa: SIM118
        [letter] = await session.scalars(select(AccountLetter).where(AccountLetter.link_id == row.id))
        kept += str({column: getattr(letter, column) for column in AccountLetter.__table__.columns.keys()})  # noqa: SIM118
    assert code[32:] not in kept
    assert sent["voice_code"] not in kept
    history = await system.services.engine.get_workflow_handle(f"letter-{letter.id}").fetch_history()
    assert code[32:] not in history.to_json()


async def test_an_invitation_that_could_not_be_delivered_says_so(system: System) -> None:
    wanted = invitation()
    system.post_office.at_recipient[wanted["email"]] = "550 5.1.1 No such user"
    sent = ok(await system.administrator.post("/invitations", wanted), 201)["invitation"]

    async def is_said() -> bool:
        listed = (await system.administrator.get("/invitations")).json()
        return bool([one["mail"] for one in listed if one["id"] == sent["id"]] == ["refused"])

    await eventually(is_said)
    system.post_office.calm_down()


# Forgotten passwords


async def forget(system: System, name: str) -> None:
    answer = await send(system, "/forgotten-passwords", {"username": name})
    assert (answer.status_code, answer.text) == (202, "null")


async def choose(system: System, code: str, **more: Any) -> httpx.Response:
    return await send(system, "/forgotten-passwords/new", {"code": code, "password": NEW, **more})


async def no_asks(system: System) -> None:
    """Nobody has asked for a new password within the hour: all tests come from one address."""
    async with system.services.database.session() as session:
        await session.execute(update(ForgottenPasswordAsk).values(at=datetime.now(UTC) - timedelta(hours=2)))


@pytest.fixture(autouse=True)
async def _quiet_hour(system: System) -> None:
    await no_asks(system)


async def test_a_forgotten_password_is_replaced_by_the_link_and_all_sessions_end(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER, language="en")
    await forget(system, f" {who.account.email.upper()} ")
    code = await code_for(system, who.account.email)
    for bad in (who.account.username, f"{who.account.email}7", "Clinique du Fleuve7"):
        problem(await choose(system, code, password=bad), 422, "invalid_input")
    assert (await choose(system, code)).status_code == 204
    problem(await who.get("/me"), 401, "not_authenticated")
    problem(await sign_in(system, who.account.username), 401, "wrong_credentials")
    ok(await sign_in(system, who.account.username, NEW), 201)
    problem(await choose(system, code), 404, "link_not_valid")
    await eventually(lambda: len(system.post_office.kept_for(who.account.email)) == 2)
    told = system.post_office.kept_for(who.account.email)[1]
    assert "password" in told["Subject"]
    events: Any = ok(await system.administrator.get(f"/accounts/{who.id}/events"))
    assert [one["kind"] for one in events] == ["password_reset", "password_forgotten"]


async def test_who_may_sign_needs_their_administrator(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    await forget(system, who.account.username)
    code = await code_for(system, who.account.email)
    problem(await choose(system, code), 403, "wrong_voice_code")  # nobody has given one
    given = ok(await system.administrator.post(f"/accounts/{who.id}/password-help"))["voice_code"]
    fresh = await code_for(system, who.account.email, nth=2)
    problem(await choose(system, code, voice_code=given), 404, "link_not_valid")  # the newest link counts
    problem(await choose(system, fresh, voice_code="AAAAAA"), 403, "wrong_voice_code")
    assert (await choose(system, fresh, voice_code=given)).status_code == 204
    ok(await sign_in(system, who.account.username, NEW), 201)


async def test_a_link_to_a_new_password_ends(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    help_ = f"/accounts/{who.id}/password-help"
    assert ok(await system.administrator.post(help_)) == {"voice_code": None}
    code = await code_for(system, who.account.email)
    async with system.services.database.session() as session:
        row = await session.scalar(select(PasswordReset).where(PasswordReset.account_id == who.account.id))
        assert row is not None
        assert timedelta(minutes=50) < row.expires_at - datetime.now(UTC) <= timedelta(hours=1)
        row.expires_at = datetime.now(UTC)
    problem(await choose(system, code), 404, "link_not_valid")
    ok(await system.administrator.post(help_))
    code = await code_for(system, who.account.email, nth=2)
    new = f"new-{uuid4().hex}@clinique.example.com"
    ok(await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json={"email": new}))
    problem(await choose(system, code), 404, "link_not_valid")  # it went to an address that is not theirs any more
    ok(await system.administrator.post(help_))
    code = await code_for(system, new, nth=2)
    ok(await system.administrator.post(f"/accounts/{who.id}/lock"))
    problem(await choose(system, code), 404, "link_not_valid")
    problem(await system.administrator.post(help_), 409, "account_not_active")


async def test_nobody_learns_whether_there_is_an_account(system: System) -> None:
    """The same statements, and the same call of the engine, in the same order: so the same time."""
    who, gone = await newcomer(system, Role.REQUESTER), await newcomer(system, Role.REQUESTER)
    ok(await system.administrator.post(f"/accounts/{gone.id}/lock"))
    engine = system.of_api.database.engine.sync_engine
    said: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "forgotten_password_asks" in statement or "accounts" in statement:
            said.append(statement)

    asked = {}
    try:
        for name in (who.account.username, f"nobody-{uuid4().hex}", gone.account.username):
            said.clear()
            async with anybody(system) as http:
                answer = await http.post("/api/v1/forgotten-passwords", json={"username": name})
            asked[name] = ([one for one in said if "forgotten" in one], answer.status_code, answer.text)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    first, *others = asked.values()
    assert len(first[0]) == 3  # counted by name, by address, and noted
    assert all(other == first for other in others)
    await code_for(system, who.account.email)
    assert system.post_office.kept_for(gone.account.email) == []


async def test_too_many_asks_are_left_unheard_in_silence(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    for _ in range(MOST_BY_NAME + 1):
        await forget(system, who.account.username)
    await code_for(system, who.account.email, nth=MOST_RESETS)
    await no_asks(system)
    for _ in range(MOST_BY_ADDRESS):
        await forget(system, f"nobody-{uuid4().hex}")
    other = await newcomer(system, Role.REQUESTER)
    await forget(system, other.account.username)
    await no_asks(system)
    last = await newcomer(system, Role.REQUESTER)
    await forget(system, last.account.username)
    await code_for(system, last.account.email)
    assert len(system.post_office.kept_for(who.account.email)) == MOST_RESETS
    assert system.post_office.kept_for(other.account.email) == []
    assert await count_letters(system, other.account) == 0


async def count_letters(system: System, account: Account) -> int:
    async with system.services.database.session() as session:
        found = await session.scalars(select(AccountLetter.id).where(AccountLetter.account_id == account.id))
        return len(found.all())


async def test_a_changed_password_is_told(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    assert (await who.post("/me/password", {"current": PASSWORD, "new": NEW})).status_code == 204
    await eventually(lambda: len(system.post_office.kept_for(who.account.email)) == 1)


async def test_changing_ones_password_ends_the_links_to_a_new_one(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    await forget(system, who.account.username)
    code = await code_for(system, who.account.email)
    assert (await who.post("/me/password", {"current": PASSWORD, "new": NEW})).status_code == 204
    problem(await choose(system, code, password="encore un autre mot"), 404, "link_not_valid")


async def test_a_lock_waits_for_who_chooses_a_password(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two needs account and link: whoever comes first has both."""
    who = await newcomer(system, Role.PROVIDER)
    voice = ok(await system.administrator.post(f"/accounts/{who.id}/password-help"))["voice_code"]
    code = await code_for(system, who.account.email)
    real, is_inside, goes_on = voice_codes.voice_code_fits, asyncio.Event(), asyncio.Event()

    async def slow(*a: Any) -> bool:
        is_inside.set()
        await goes_on.wait()
        return await real(*a)

    async def waits() -> bool:
        async with system.services.database.session() as session:
            waiting = text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(await session.scalar(waiting))

    monkeypatch.setattr(forgotten_passwords, "voice_code_fits", slow)
    chosen = asyncio.create_task(choose(system, code, voice_code=voice))
    await is_inside.wait()
    locked = asyncio.create_task(system.administrator.post(f"/accounts/{who.id}/lock"))
    await eventually(waits)
    goes_on.set()
    assert (await chosen).status_code == 204
    assert ok(await locked)["state"] == "locked"


async def test_a_key_invites_once_also_at_once(system: System) -> None:
    wanted, key = invitation(roles=["requester"]), uuid4().hex
    sent = await asyncio.gather(*[system.administrator.post("/invitations", wanted, key=key) for _ in range(4)])
    assert len({ok(one, 201)["invitation"]["id"] for one in sent}) == 1
    for other in ({"roles": ["clinic_administrator"]}, {"licence_number": "778"}, {"given_name": "Chloé"}):
        again = await system.administrator.post("/invitations", {**wanted, **other}, key=key)
        problem(again, 422, "idempotency_key_reused")


async def test_what_is_asked_all_day_long_hides_nothing(system: System) -> None:
    """Who asks, or helps, again and again: not each time is noted, and not each time is a link sent."""
    who = await newcomer(system, Role.REQUESTER)
    for _ in range(MOST_NOTED):
        await forgotten_passwords.make_resets(system.services, who.account.username)
        await no_letters(system, who.account.id)
    await forgotten_passwords.make_resets(system.services, who.account.username)
    events: Any = ok(await system.administrator.get(f"/accounts/{who.id}/events"))
    assert [one["kind"] for one in events] == ["password_forgotten"] * MOST_NOTED
    help_ = f"/accounts/{who.id}/password-help"
    for _ in range(MOST_HELPED):
        ok(await system.administrator.post(help_))
    problem(await system.administrator.post(help_), 429, "too_many_requests")


async def test_one_address_asks_so_often_in_a_minute(system: System) -> None:
    system.app.state.spent = Spent()
    with hasty(system.app, forgotten_passwords_per_minute=1):
        await forget(system, f"nobody-{uuid4().hex}")
        answer = await send(system, "/forgotten-passwords", {"username": f"nobody-{uuid4().hex}"})
        assert 0 < int(answer.headers["retry-after"]) <= 60
    system.app.state.spent = Spent()
    problem(answer, 429, "too_many_requests")


async def no_letters(system: System, account_id: UUID) -> None:
    """Nothing was written to them within the hour."""
    async with system.services.database.session() as session:
        past = datetime.now(UTC) - timedelta(hours=2)
        its = AccountLetter.account_id == account_id
        await session.execute(update(AccountLetter).where(its).values(created_at=past, status=LetterStatus.SENT))
