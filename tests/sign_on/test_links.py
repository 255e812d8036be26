"""Linking an account with an identity of a provider, where something comes between its beginning and its end."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.requests import Role
from records import people
from records.account_events import Hand
from records.models import Account, Side
from records.sign_on import account_linked_with
from sign_on.id_tokens import Identity
from tests.system import System, add_person
from use_cases.problems import Problem
from use_cases.sign_on import link_in


async def test_a_link_that_was_under_way_when_the_ways_in_were_taken_leads_nobody_in(system: System) -> None:
    """Else whoever began it as somebody who may not sign would come in as one who may."""
    who = await add_person(system, f"links_{uuid4().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    id_, now = UUID(who.id), datetime.now(UTC)
    by = Hand(id_, Side.PORTAL, "192.0.2.7")
    identity = Identity("https://idp.example.com", f"subject {uuid4()}", "token")
    async with system.services.database.session() as session:
        seen = await session.get_one(Account, id_)
    async with system.services.database.session() as session:
        (await session.get_one(Account, id_)).password_hash = people.no_password()
    with pytest.raises(Problem) as told:
        async with system.of_api.database.session() as session:
            await link_in(session, seen, identity, "demo", by, now)
    assert told.value.code == "sign_on_expired"
    async with system.services.database.session() as session:
        assert await account_linked_with(session, identity.issuer, identity.subject) is None
        seen = await session.get_one(Account, id_)
    async with system.of_api.database.session() as session:
        await link_in(session, seen, identity, "demo", by, now)
    async with system.services.database.session() as session:
        assert (await account_linked_with(session, identity.issuer, identity.subject)) is not None
