"""Accounts from the command line: what can't be is refused, and nothing is made."""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey

from domain.accounts import AccountEventKind
from domain.calendar import day_of
from domain.requests import Role
from records import account_events, people
from records.models import Side
from tests.eventually import eventually
from tests.system import System
from use_cases import administration
from use_cases.administration import AdministrationError, add_account, set_email, set_offerings
from use_cases.people import PersonChange


@pytest.fixture(autouse=True)
def _engine(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds the engine as an operator's does."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", system.services.engine.service_client.config.target_host)


def person(system: System, username: str, email: str) -> dict[str, Any]:
    return {
        "username": username,
        "clinic": system.clinics["near"].code,
        "roles": [Role.REQUESTER],
        "given_name": "Zoé",
        "family_name": "Roy",
        "email": email,
        "title": "",
        "profession": "",
        "licence_number": "",
        "language": "fr",
    }


async def test_an_account_with_an_address_that_is_none(system: System) -> None:
    username = f"zoe-{secrets.token_hex(4)}"
    for email in ("zoe", "zoe@clinic", "zoe@clinic.invalid", "zoe@@example.ca"):
        with pytest.raises(AdministrationError, match=r"can't be used: .*@-sign"):
            await add_account(system.settings, **person(system, username, email))
    async with system.services.database.session() as session:
        assert await people.find_account(session, username) is None


async def test_an_account_has_its_address_in_the_usual_form(system: System) -> None:
    username = f"zoe-{secrets.token_hex(4)}"
    assert await add_account(system.settings, **person(system, username, " zoé@Clinique.example.COM "))
    async with system.services.database.session() as session:
        account = await people.find_account(session, username)
        assert account is not None
        assert account.email == "zoé@clinique.example.com"
        account.active = False


async def test_the_address_of_an_account_is_corrected(system: System) -> None:
    username = f"zoe-{secrets.token_hex(4)}"
    await add_account(system.settings, **person(system, username, "zoe@clinique.example.com"))
    await set_email(system.settings, username.upper(), " Zoe.Roy@Clinique.example.com ")
    with pytest.raises(AdministrationError, match="can't be used"):
        await set_email(system.settings, username, "zoe@clinic.invalid")
    with pytest.raises(AdministrationError, match="no account nobody-at-all"):
        await set_email(system.settings, "nobody-at-all", "zoe@clinique.example.com")
    async with system.services.database.session() as session:
        account = await people.find_account(session, username)
        assert account is not None
        assert account.email == "Zoe.Roy@clinique.example.com"
        account.active = False


async def test_what_a_provider_serves_is_said(system: System) -> None:
    username = f"zoe-{secrets.token_hex(4)}"
    await add_account(
        system.settings, **{**person(system, username, "zoe@clinique.example.com"), "roles": [Role.PROVIDER]}
    )
    for said, kept in ((["wound_care", "wound_care"], ["wound_care"]), (None, None)):
        await set_offerings(system.settings, username, said)
        async with system.services.database.session() as session:
            account = await people.find_account(session, username)
            assert account is not None
            assert account.offerings == kept
    with pytest.raises(AdministrationError, match="no service offering telepathy; there are "):
        await set_offerings(system.settings, username, ["wound_care", "telepathy"])
    with pytest.raises(AdministrationError, match="no provider"):
        await set_offerings(system.settings, system.requester.account.username, ["wound_care"])
    async with system.services.database.session() as session:
        account = await people.find_account(session, username)
        assert account is not None
        account.active = False


async def test_people_over_their_whole_life_from_the_command_line(system: System) -> None:
    username, clinic = f"zoe-{secrets.token_hex(4)}", system.clinics["near"].code
    await add_account(
        system.settings, **{**person(system, username, "zoe@clinique.example.com"), "roles": [Role.PROVIDER]}
    )
    listed = {one.username: one for one in await administration.list_people(system.settings, clinic)}
    assert listed[username].state == "active"
    change = PersonChange(roles=[Role.OPERATOR, Role.PROVIDER], family_name="Gagnon")
    changed = await administration.change_account(system.settings, username.upper(), change)
    assert (changed.roles, changed.family_name) == ([Role.OPERATOR, Role.PROVIDER], "Gagnon")
    assert re.fullmatch("[A-Z2-9]{6}", await administration.help_with_password(system.settings, username) or "")
    assert (await administration.lock_account(system.settings, username)).state == "locked"
    with pytest.raises(AdministrationError, match="open it again first"):
        await administration.help_with_password(system.settings, username)
    assert (await administration.reopen_account(system.settings, username)).state == "active"
    assert (await administration.let_go(system.settings, username)).state == "left"
    with pytest.raises(AdministrationError, match="no account nobody-at-all"):
        await administration.lock_account(system.settings, "nobody-at-all")
    answer = await system.operator.get(f"/accounts/{listed[username].id}/events")
    assert [(event["kind"], event["side"], event["by"]) for event in answer.json()] == [
        (kind, "command_line", None) for kind in ("left", "reopened", "locked", "password_help", "changed", "added")
    ]


async def test_somebody_is_invited_from_the_command_line(system: System) -> None:
    fields: dict[str, Any] = {
        "given_name": "Zoé",
        "family_name": "Roy",
        "email": f"zoe-{secrets.token_hex(8)}@clinique.example.com",
        "roles": ["clinic_administrator"],
    }
    sent = await administration.invite(system.settings, system.clinics["far"].code, fields)
    assert (sent.voice_code, sent.invitation.invited_by) == (None, None)
    await eventually(lambda: bool(system.post_office.kept_for(fields["email"])))
    for wrong, told in (({"roles": ["king"]}, "roles"), ({"email": "zoe"}, "not an e-mail address")):
        with pytest.raises(AdministrationError, match=told):
            await administration.invite(system.settings, system.clinics["far"].code, {**fields, **wrong})
    with pytest.raises(AdministrationError, match="no clinic"):
        await administration.invite(system.settings, "nowhere", fields)


async def test_whether_signing_needs_a_second_factor_is_noted(system: System) -> None:
    """As every change of a clinic is: by whom, and what."""
    code = f"zoe-{secrets.token_hex(4)}"
    await administration.add_clinic(system.settings, code, "Clinique", (), "")
    for needed in (True, True, False):
        await administration.set_signing_needs_code(system.settings, code, needed)
    async with system.services.database.session() as session:
        clinic = await people.find_clinic(session, code)
        assert clinic is not None
        assert not clinic.signing_needs_code
        noted = await account_events.list_clinic_events(session, clinic.id, limit=10)
    told = [(event.kind, event.side, event.changes) for event in noted]
    changed = (AccountEventKind.CLINIC_CHANGED, Side.COMMAND_LINE, {"signing_needs_code": None})
    assert told == [changed, changed, (AccountEventKind.CLINIC_ADDED, Side.COMMAND_LINE, {})]


async def test_the_systems_of_a_clinic_on_the_command_line(system: System) -> None:
    code, name = system.clinics["near"].code, f"Dossier {secrets.token_hex(4)}"
    last = str(day_of(datetime.now(UTC)) + timedelta(days=30))
    fields = {"name": name, "purpose": "Essai", "scopes": ["catalogue:read"], "expires_on": last}
    first = await administration.add_service_account(system.settings, code, fields)

    async def answers(secret: str) -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        return (await system.requester.http.get("/api/v1/offerings", headers=headers)).status_code

    assert await answers(first.secret) == 200
    second = await administration.rotate_secret(system.settings, code, name.upper(), 24)
    [listed] = [one for one in await administration.list_service_accounts(system.settings, code) if one.name == name]
    assert [secret.ending for secret in listed.secrets] == [second.secret[-4:], first.secret[-4:]]
    left = await administration.end_secret(system.settings, code, name, first.secret[-4:])
    assert [len(left.secrets), await answers(first.secret), await answers(second.secret)] == [1, 401, 200]
    key = {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "a"}
    with_key = await administration.add_key(system.settings, code, name, json.dumps(key))
    assert [one.kid for one in with_key.keys] == ["a"]
    assert (await administration.end_key(system.settings, code, name, "a")).keys == []
    assert (await administration.lock_service_account(system.settings, code, name)).state == "locked"
    assert await answers(second.secret) == 401
    assert (await administration.reopen_service_account(system.settings, code, name)).state == "active"
    for wrong, said in (
        (administration.add_service_account(system.settings, code, fields), "Another system"),
        (administration.add_service_account(system.settings, code, {**fields, "scopes": ["sign"]}), "scopes.0"),
        (administration.add_service_account(system.settings, "nowhere", fields), "no clinic"),
        (administration.rotate_secret(system.settings, code, "nobody", 24), "no service account nobody"),
        (administration.end_secret(system.settings, code, name, "????"), "no secret"),
        (administration.add_key(system.settings, code, name, "no JSON"), "not right"),
        (administration.end_key(system.settings, code, name, "a"), "no key a"),
    ):
        with pytest.raises(AdministrationError, match=re.escape(said)):
            await wrong
    async with system.services.database.session() as session:
        noted = await account_events.list_events(session, first.service_account.id, limit=20)
    assert {event.side for event in noted} == {Side.COMMAND_LINE}
    assert {event.actor_id for event in noted} == {None}
