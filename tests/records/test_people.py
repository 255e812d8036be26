"""Accounts, bearer tokens and the count of failed logins."""

from datetime import timedelta

import pytest

from domain.requests import Role
from records import people
from records.database import Database
from records.ids import new_id
from tests.records.scenes import NOW, set_scene

HOUR = timedelta(hours=1)


async def test_accounts_are_found_in_any_case(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        provider = scene.accounts["provider"]
        assert await people.find_account(session, f" {provider.username.upper()} ") == provider
        assert await people.find_account(session, "nobody") is None
        assert await people.list_providers(session, scene.far.id) == [scene.accounts["colleague"], provider]
        scene.accounts["colleague"].active = False
        assert await people.list_providers(session, scene.far.id) == [provider]
        assert await people.accounts_by_id(session, [provider.id, new_id()]) == {provider.id: provider}
        assert await people.find_clinic(session, scene.far.code) == scene.far
        assert set(await people.clinics_by_id(session, [scene.far.id, scene.home.id])) == {scene.far.id, scene.home.id}


async def test_nobody_is_the_system(database: Database) -> None:
    async with database.session() as session:
        clinic = await people.add_clinic(session, code=new_id().hex, name="x")
        with pytest.raises(ValueError, match="system"):
            await people.add_account(
                session,
                clinic_id=clinic.id,
                username=new_id().hex,
                password_hash="none",
                roles={Role.SYSTEM},
                given_name="x",
                family_name="x",
                email="x@example.invalid",
                now=NOW,
            )


async def test_a_token_ends_by_time_by_revocation_and_with_its_account(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        account = scene.accounts["provider"]
        tokens = [new_id().hex for _ in range(3)]
        for token in tokens:
            await people.add_token(
                session, token_sha256=token, account_id=account.id, now=NOW, expires_at=NOW + 2 * HOUR
            )
        assert await people.account_of_token(session, tokens[0], NOW + HOUR) == account
        assert await people.account_of_token(session, tokens[0], NOW + 2 * HOUR) is None
        assert await people.account_of_token(session, "unknown", NOW) is None
        await people.revoke_token(session, tokens[0], NOW)
        assert await people.account_of_token(session, tokens[0], NOW) is None
        assert await people.account_of_token(session, tokens[1], NOW) == account
        account.active = False
        assert await people.account_of_token(session, tokens[1], NOW) is None
        account.active = True
        await people.revoke_tokens_of(session, account.id, NOW)
        assert await people.account_of_token(session, tokens[2], NOW) is None
        assert await people.forget_expired_tokens(session, NOW + 2 * HOUR) == 0
        assert await people.forget_expired_tokens(session, NOW + 3 * HOUR) == 3
        assert await people.forget_expired_tokens(session, NOW + 3 * HOUR) == 0
