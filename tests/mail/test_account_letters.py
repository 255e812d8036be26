"""E-mails about accounts on a bad day: the relay takes nothing for a while, or the engine was away when they were written."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete

from records.account_letters import newest_of_links
from records.ids import new_id
from records.models import AccountLetter, ForgottenPasswordAsk, LetterStatus
from tests.api.answers import problem
from tests.api.test_invitations import accept, code_for
from tests.api.test_operations import client
from tests.api.test_people_of_clinics import invitation
from tests.api.test_report import lost_engine
from tests.eventually import eventually
from tests.journeys import ok
from tests.mail.post_office import AnyAddress, open_post_office
from tests.system import System
from tests.workflow.branch import branch, workers
from use_cases import repair as use_case
from use_cases.forgotten_passwords import MOST_BY_NAME


async def letter_of(system: System, invitation_id: str) -> AccountLetter:
    async with system.services.database.session() as session:
        found = await newest_of_links(session, [UUID(invitation_id)])
    return found[UUID(invitation_id)]


async def test_a_relay_that_takes_nothing_for_a_while_delays_a_letter_and_loses_no_code(system: System) -> None:
    wanted = invitation()
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        office.at_data = AnyAddress("451 4.3.0 Come back later")
        other.post_office = office
        sent = ok(await other.administrator.post("/invitations", wanted), 201)["invitation"]

        async def was_tried_twice() -> bool:
            return (await letter_of(other, sent["id"])).attempts >= 2

        await eventually(was_tried_twice)
        assert (await letter_of(other, sent["id"])).last_error == "message_smtp_451_4.3.0"
        office.calm_down()
        code = await code_for(other, wanted["email"])
        ok(await accept(other, code), 201)
        assert (await letter_of(other, sent["id"])).status is LetterStatus.SENT


async def test_a_letter_that_is_needed_no_more_is_not_sent(system: System) -> None:
    wanted = invitation()
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other:
        sent = ok(await other.administrator.post("/invitations", wanted), 201)["invitation"]
        ok(await other.administrator.post(f"/invitations/{sent['id']}/revoke"))
        async with workers(other):

            async def is_settled() -> bool:
                return (await letter_of(other, sent["id"])).status is LetterStatus.NOT_NEEDED

            await eventually(is_settled)
        assert office.kept == []


async def test_without_the_engine_letters_wait_for_the_repair_and_nobody_for_them(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_case, "ACCOUNT_LETTERS_WAIT", timedelta())
    wanted, name = invitation(), f"nobody-{new_id().hex}"
    async with system.services.database.session() as session:
        await session.execute(delete(ForgottenPasswordAsk))  # those of other tests come from the same address
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        other.post_office = office
        away = replace(other.services, engine=await lost_engine(system))
        headers = {"Authorization": system.administrator.http.headers["Authorization"]}
        async with client(away, command_timeout_seconds=0.5) as http:
            sent = ok(await http.post("/api/v1/invitations", json=wanted, headers=headers), 201)["invitation"]
            for _ in range(MOST_BY_NAME + 1):  # whoever is meant; what was not heard doesn't count
                asked = await http.post("/api/v1/forgotten-passwords", json={"username": name})
                problem(asked, 503, "engine_unreachable")
        assert (await letter_of(other, sent["id"])).status is LetterStatus.QUEUED
        assert (await use_case.repair(other.services)).letters >= 1
        ok(await accept(other, await code_for(other, wanted["email"])), 201)
