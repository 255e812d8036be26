"""E-mails that reached nobody are sent again from the list; operators see what waits and why."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from domain.requests import Role
from records.models import Account
from tests.api.answers import metrics_of, problem
from tests.api.test_operations import client
from tests.api.test_report import lost_engine
from tests.eventually import eventually
from tests.journeys import ok, submitted
from tests.mail.post_office import AnyAddress, PostOffice, open_post_office
from tests.system import Clinician, System, add_person
from tests.workflow.branch import branch, workers


@pytest.fixture
async def lost(system: System) -> AsyncIterator[Clinician]:
    """A provider whose address does not exist, and whom nobody could tell of an assignment."""
    lost = await add_person(system, f"lost_{uuid4().hex[:6]}", system.clinics["near"], Role.PROVIDER)
    yield lost
    system.post_office.calm_down()


async def undelivered(system: System, lost: Clinician) -> dict[str, Any]:
    """Assign a request to them, and wait until their e-mail is on the list."""
    system.post_office.at_recipient[lost.account.email] = "550 5.1.1 No such user"
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": lost.id}))
    await eventually(lambda: is_listed(system, request_id))
    [entry] = await listed(system, request_id)
    return entry


async def listed(system: System, request_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await system.dispatcher.get("/undeliverable")).json()
    return [entry for entry in entries if entry["request_id"] == request_id]


async def is_listed(system: System, request_id: str) -> bool:
    return bool(await listed(system, request_id))


async def test_sent_again_to_the_corrected_address_once(system: System, lost: Clinician) -> None:
    entry = await undelivered(system, lost)
    assert (entry["status"], entry["code"]) == ("refused", "recipient_smtp_550_5.1.1")
    path = f"/undeliverable/{entry['notice_id']}/send-again"
    for name in ("requester", "provider"):
        problem(await system.people[name].post(path), 403, "forbidden")
    problem(await system.far_dispatcher.post(path), 404, "not_found")
    problem(await system.operator.post(f"/undeliverable/{uuid4()}/send-again"), 404, "not_found")
    corrected = f"corrected-{uuid4().hex}@example.invalid"
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == lost.account.id).values(email=corrected))
    for who in (system.dispatcher, system.administrator, system.operator):
        answer = await who.post(path)
        assert (answer.status_code, answer.json()["notice_id"]) == (202, entry["notice_id"])
    await eventually(lambda: bool(system.post_office.kept_for(corrected)))

    async def is_sent() -> bool:
        return bool((await system.dispatcher.post(path)).json()["status"] == "sent")

    await eventually(is_sent)
    assert await listed(system, entry["request_id"]) == []
    [message] = system.post_office.kept_for(corrected)
    assert "attribu" in message["Subject"]


async def test_what_fails_again_is_on_the_list_again(system: System, lost: Clinician) -> None:
    entry = await undelivered(system, lost)
    path = f"/undeliverable/{entry['notice_id']}/send-again"
    asked = system.post_office.asked[lost.account.email]
    assert (await system.dispatcher.post(path)).status_code == 202
    await eventually(lambda: system.post_office.asked[lost.account.email] > asked)
    await eventually(lambda: is_listed(system, entry["request_id"]))
    del system.post_office.at_recipient[lost.account.email]
    assert (await system.dispatcher.post(path)).status_code == 202
    await eventually(lambda: bool(system.post_office.kept_for(lost.account.email)))


async def test_without_the_engine_nothing_has_changed(system: System, lost: Clinician) -> None:
    entry = await undelivered(system, lost)
    headers = {"Authorization": system.dispatcher.http.headers["Authorization"]}
    services = replace(system.services, engine=await lost_engine(system))
    async with client(services, command_timeout_seconds=0.5) as http:
        answer = await http.post(f"/api/v1/undeliverable/{entry['notice_id']}/send-again", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")
    assert int(answer.headers["retry-after"]) > 0
    assert await listed(system, entry["request_id"]) == [entry]


async def test_operators_see_what_waits_and_why(system: System) -> None:
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        office.at_recipient = AnyAddress("550 5.7.1 Relaying denied")
        await submitted(other)

        async def seen() -> bool:
            return "recipient_smtp_550_5.7.1" in [group["code"] for group in await waiting(other)]

        await eventually(seen)
        [group] = [group for group in await waiting(other) if group["code"] == "recipient_smtp_550_5.7.1"]
        assert group["needs_an_operator"] is True
        assert group["notices"] >= 1
        text = await metrics_of(other.services)
        assert 'relais_notices{status="queued"}' in text
        assert "relais_oldest_waiting_notice_seconds" in text
        [refused] = [line for line in text.splitlines() if line.startswith("relais_notices_refused_through_our_fault")]
        assert float(refused.split()[1]) >= 1
        assert (await told_of_undelivered(other, office)) == 0
        for name in ("requester", "provider", "dispatcher", "administrator"):
            problem(await other.people[name].get("/mail"), 403, "forbidden")
        office.calm_down()

        async def gone() -> bool:
            return "recipient_smtp_550_5.7.1" not in [group["code"] for group in await waiting(other)]

        await eventually(gone)


async def waiting(system: System) -> list[dict[str, Any]]:
    return list(ok(await system.operator.get("/mail"))["waiting"])


async def told_of_undelivered(system: System, office: PostOffice) -> int:
    return sum("non livré" in str(mail["Subject"]) for _, mail in office.kept)
