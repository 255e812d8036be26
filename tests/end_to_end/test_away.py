"""A part is away: the answers are honest, and what was taken is not lost."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx

from domain.requests import Status
from embedded.control import start_part, stop_part
from embedded.runtime import PartState
from tests.end_to_end.running import DISPATCHER, PROVIDER, REQUESTER, RunningRelais
from tests.eventually import PATIENCE_SECONDS, eventually

PROBLEM = "application/problem+json"


async def test_without_a_worker_a_command_is_queued_and_acts_later(relais: RunningRelais) -> None:
    request = await relais.assigned()
    key = str(uuid4())
    async with relais.without("worker"):
        queued = await relais.cast.command(PROVIDER, request["id"], "accept", key=key)
        assert (queued.status_code, queued.json()["state"]) == (202, "queued")
        assert (await relais.view(request))["status"] == Status.AWAITING_ACCEPTANCE

    async def accepted() -> bool:
        return bool((await relais.view(request))["status"] == Status.ACCEPTED)

    await eventually(accepted)
    again = await relais.cast.command(PROVIDER, request["id"], "accept", key=key)
    assert (again.status_code, again.json()["state"]) == (200, "done")
    assert (await relais.events(request)).count("accepted") == 1


async def test_without_a_mail_server_work_goes_on_and_the_mails_come_afterwards(relais: RunningRelais) -> None:
    request = await relais.draft()
    async with relais.without("mail"):
        await relais.done(request, REQUESTER, "submit")
        await relais.done(request, DISPATCHER, "assign", {"provider": PROVIDER})
        await relais.done(request, PROVIDER, "accept")
        await relais.done(request, PROVIDER, "request-information", {"text": "Depuis quand?"})
    due = {
        "sylvain.pouliot@fleuve.invalid": 2,  # submitted, accepted; the assignment is his own
        "nadia.benali@fleuve.invalid": 1,  # submitted; of the rest nothing is for her to do, and she wants no more
        "genevieve.lachance@fleuve.invalid": 1,  # assigned
        "amelie.gagnon@fleuve.invalid": 3,  # assigned, accepted, the question
    }

    async def all_came() -> bool:
        return Counter(mail["recipients"][0] for mail in await relais.mails_about(request)) == due

    await eventually(all_came)
    assert {mail["deliveries"] for mail in await relais.mails_about(request)} == {1}


async def test_without_temporal_nothing_is_changed_and_the_answer_says_so(relais: RunningRelais) -> None:
    request = await relais.assigned()
    await relais.view(request)  # the first look: now nothing of it is new
    before = await relais.view(request)
    key = str(uuid4())
    async with relais.without("temporal"):
        answer = await relais.cast.command(PROVIDER, request["id"], "accept", key=key)
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")
        assert answer.headers["content-type"] == PROBLEM
        assert await relais.view(request) == before
    await eventually(relais.healthy)

    async def taken() -> bool:
        return (await relais.cast.command(PROVIDER, request["id"], "accept", key=key)).status_code == 200

    await eventually(taken)
    assert await relais.events(request) == ["submitted", "assigned", "accepted"]


async def test_without_the_database_the_answer_is_a_problem(relais: RunningRelais) -> None:
    request = await relais.assigned()
    async with relais.without("database"):
        answer = await relais.cast.send(REQUESTER, "GET", f"/requests/{request['id']}")
        assert (answer.status_code, answer.json()["code"]) == (503, "records_unreachable")
        assert answer.headers["content-type"] == PROBLEM
        address = relais.part("api").address
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE_SECONDS) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).json()["parts"]["database"] is False
    await eventually(relais.healthy)
    await relais.done(request, PROVIDER, "accept")
    assert await relais.events(request) == ["submitted", "assigned", "accepted"]


async def test_api_and_worker_start_without_database_and_temporal_and_find_them_when_they_come(
    relais: RunningRelais,
) -> None:
    request = await relais.assigned()
    address = relais.part("api").address
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE_SECONDS) as http:
        async with relais.without("temporal"):
            async with relais.without("database"):
                await asyncio.to_thread(stop_part, relais.data_dir, "api")
                await asyncio.to_thread(stop_part, relais.data_dir, "worker")
                assert await asyncio.to_thread(start_part, relais.data_dir, "api") is PartState.WAITING
                assert await asyncio.to_thread(start_part, relais.data_dir, "worker") is PartState.WAITING
                assert (await http.get("/healthz")).status_code == 200
                parts = (await http.get("/readyz")).json()["parts"]
                assert (parts["database"], parts["engine"]) == (False, False)
                answer = await relais.cast.send(REQUESTER, "GET", f"/requests/{request['id']}")
                assert (answer.status_code, answer.json()["code"]) == (503, "records_unreachable")

            async def can_be_read() -> bool:
                return (await relais.cast.send(REQUESTER, "GET", f"/requests/{request['id']}")).status_code == 200

            await eventually(can_be_read)
            answer = await relais.cast.command(PROVIDER, request["id"], "accept")
            assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")
        await eventually(relais.healthy)
    await relais.done(request, PROVIDER, "accept")
    assert await relais.events(request) == ["submitted", "assigned", "accepted"]
    assert (relais.part("api").restarts, relais.part("worker").restarts) == (0, 0)
