"""Accounts from the command line: what can't be is refused, and nothing is made."""

import secrets
from typing import Any

import pytest

from domain.requests import Role
from records import people
from tests.system import System
from use_cases.administration import AdministrationError, add_account, set_email, set_offerings


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
    with pytest.raises(AdministrationError, match="no service offering telepathy; there are tele"):
        await set_offerings(system.settings, username, ["wound_care", "telepathy"])
    with pytest.raises(AdministrationError, match="no provider"):
        await set_offerings(system.settings, system.requester.account.username, ["wound_care"])
    async with system.services.database.session() as session:
        account = await people.find_account(session, username)
        assert account is not None
        account.active = False
