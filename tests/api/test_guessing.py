"""Guessing and flooding, at a real server: strangers are slowed, nobody is locked out by others, a crowd is told when to come."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from domain.requests import Role
from records.models import Account, Guesses
from tests.api.answers import problem
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import accepted, filled, ok, written
from tests.serving import served as over_a_socket
from tests.system import PASSWORD, Clinician, System, add_person, hasty
from use_cases.guessing import AT_A_NAME, FEW
from use_cases.passwords import QUEUE, SIGN_INS_AT_ONCE, Lanes


@pytest.fixture
async def served(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API on a real port; with many connections."""
    limits = httpx.Limits(max_connections=100)
    async with (
        over_a_socket(system.app) as address,
        httpx.AsyncClient(base_url=f"{address}/api/v1", limits=limits, timeout=PATIENCE_SECONDS) as http,
    ):
        yield http


async def sign_in(
    http: httpx.AsyncClient, username: str, password: str = PASSWORD, *, address: str, **more: Any
) -> httpx.Response:
    """As the proxy before the server hands it on."""
    credentials = {"username": username, "password": password, **more}
    return await http.post("/tokens", json=credentials, headers={"X-Forwarded-For": address})


async def newcomer(system: System, *roles: Role) -> Clinician:
    return await add_person(system, f"guessed_{uuid4().hex}", system.clinics["near"], *roles)


async def report_of(system: System, who: Clinician) -> str:
    """A request that they have accepted, with its report written: its path for the signature."""
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": who.id}))
    ok(await who.post(f"/requests/{request_id}/accept"))
    rules = system.services.offerings["teledermatology"]
    answers = {"answers": filled(rules.report)}
    ok(await who.http.put(f"/api/v1/requests/{request_id}/report", json=answers, headers={"If-Match": '"0"'}))
    return f"/requests/{request_id}/report/sign"


@asynccontextmanager
async def guessed_at(http: httpx.AsyncClient, username: str) -> AsyncIterator[Counter[int]]:
    """While the block lasts, strangers guess at the name from everywhere, as fast as they can; what they were answered."""
    answers: Counter[int] = Counter()

    async def guess(n: int) -> None:
        while True:
            answers[
                (await sign_in(http, username, "wrong", address=f"198.51.{n}.{answers.total() % 250}")).status_code
            ] += 1

    strangers = [asyncio.create_task(guess(n)) for n in range(4)]
    try:
        await eventually(lambda: answers[429] > 0)
        yield answers
    finally:
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)


async def test_strangers_who_guess_lock_nobody_out(system: System, served: httpx.AsyncClient) -> None:
    """On a device that they know, people sign in, and sign, whatever strangers do meanwhile."""
    who = await newcomer(system, Role.PROVIDER)
    name = who.account.username
    device = ok(await sign_in(served, name, address="203.0.113.1"), 201)["device"]
    signature = await report_of(system, who)
    began = datetime.now(UTC)
    async with guessed_at(served, name) as answers:
        elsewhere = await sign_in(served, name, address="203.0.113.9")
        problem(elsewhere, 429, "too_many_attempts")
        assert 0 < int(elsewhere.headers["retry-after"]) <= AT_A_NAME.every.total_seconds()
        again = ok(await sign_in(served, name, address="203.0.113.2", device=device), 201)
        assert again["device"] == device
        headers = {"Authorization": f"Bearer {again['access_token']}"}
        signed = ok(await served.post(signature, json={"kind": "final", "password": PASSWORD}, headers=headers))
        assert signed["state"] == "done"
        so_far = answers.total()
        await eventually(lambda: answers.total() > so_far + 4)
    assert set(answers) == {401, 429}
    let_through_since = (datetime.now(UTC) - began) // AT_A_NAME.every
    assert AT_A_NAME.most <= answers[401] <= AT_A_NAME.most + let_through_since


async def test_on_a_known_device_guesses_are_counted_as_well(system: System, served: httpx.AsyncClient) -> None:
    """Of its own account only: for any other it is a stranger's."""
    who, other = await newcomer(system, Role.REQUESTER), await newcomer(system, Role.REQUESTER)
    name, home = who.account.username, "203.0.113.3"
    device = ok(await sign_in(served, name, address=home), 201)["device"]
    for _ in range(FEW.most):
        problem(await sign_in(served, name, "wrong", address=home, device=device), 401, "wrong_credentials")
    problem(await sign_in(served, name, address=home, device=device), 429, "too_many_attempts")
    ok(await sign_in(served, name, address=home), 201)
    assert ok(await sign_in(served, name, address=home, device="made up"), 201)["device"] != "made up"
    shared = ok(await sign_in(served, other.account.username, address=home, device=device), 201)
    assert shared["device"] == device, "two people use it"


async def test_who_tries_many_names_from_one_address_is_slowed(system: System, served: httpx.AsyncClient) -> None:
    """Whether there are such names makes no difference; others go on, and an IPv6 network is one address."""
    real = [person.account.username for person in system.people.values()][:5]
    names = [*real, *(uuid4().hex for _ in range(35))]
    with hasty(system.app, wrong_passwords_per_address=20):
        answers = [await sign_in(served, name, "wrong", address=f"2001:db8:1:2::{n:x}") for n, name in enumerate(names)]
        assert [answer.status_code for answer in answers] == [401] * 20 + [429] * 20
        told = [{**answer.json(), "instance": ""} for answer in answers[:20]]  # which call it was
        assert told == [told[0]] * 20
        assert {0 < int(answer.headers["retry-after"]) <= 30 for answer in answers[20:]} == {True}
        problem(await sign_in(served, real[0], address="2001:db8:1:2:ffff::"), 429, "too_many_attempts")
        ok(await sign_in(served, real[0], address="2001:db8:1:3::"), 201)
        async with system.services.database.session() as session:
            await session.execute(update(Guesses).values(empty_at=Guesses.empty_at - 30 * FEW.every))
        problem(await sign_in(served, names[39], "wrong", address="2001:db8:1:2::"), 401, "wrong_credentials")


@contextmanager
def patient_queues(system: System) -> Iterator[None]:
    """Who has found room before a password is checked waits for as long as it takes, however slow the machine is."""
    services = system.app.state.services
    lanes = Lanes(replace(QUEUE, patience_seconds=PATIENCE_SECONDS))
    system.app.state.services = replace(services, passwords=lanes)
    try:
        yield
    finally:
        system.app.state.services = services


async def test_a_crowd_is_told_when_to_come_and_keeps_nobody_inside_waiting(
    system: System, served: httpx.AsyncClient
) -> None:
    """With hashes as dear as real ones: some wait, the others are told when there is room; a signature has its own place."""
    crowd, who = await newcomer(system, Role.REQUESTER), await newcomer(system, Role.PROVIDER)
    signature = await report_of(system, who)
    dear = await asyncio.to_thread(PasswordHasher().hash, PASSWORD)
    async with system.services.database.session() as session:
        accounts = Account.id.in_([crowd.account.id, who.account.id])
        await session.execute(update(Account).where(accounts).values(password_hash=dear))
    name, home = crowd.account.username, "203.0.113.4"
    with patient_queues(system):
        coming = [asyncio.create_task(sign_in(served, name, address=home)) for _ in range(60)]
        await eventually(lambda: sum(one.done() for one in coming) >= 60 - QUEUE.each - SIGN_INS_AT_ONCE)
        signed = await served.post(
            signature, json={"kind": "final", "password": PASSWORD}, headers=dict(who.http.headers)
        )
        assert ok(signed)["state"] == "done"
        answers = await asyncio.gather(*coming)
    through = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(through) >= QUEUE.each + SIGN_INS_AT_ONCE
    assert refused
    for answer in refused:
        problem(answer, 503, "passwords_busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    ok(await sign_in(served, name, address=home), 201)


async def test_guesses_at_a_signature_count_for_that_session_alone(system: System, served: httpx.AsyncClient) -> None:
    who = await newcomer(system, Role.PROVIDER)
    signature, name = await report_of(system, who), who.account.username
    for _ in range(FEW.most):
        problem(await who.post(signature, {"kind": "final", "password": "wrong"}), 403, "wrong_password")
    refused = await who.post(signature, {"kind": "final", "password": PASSWORD})
    problem(refused, 429, "too_many_attempts")
    assert 0 < int(refused.headers["retry-after"]) <= FEW.every.total_seconds()
    body = {"current": PASSWORD, "new": "quatre mots sans aucun lien"}
    problem(await who.post("/me/password", body), 429, "too_many_attempts")
    token = ok(await sign_in(served, name, address="203.0.113.5"), 201)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    ok(await served.post(signature, json={"kind": "final", "password": PASSWORD}, headers=headers))
    await written(system, await accepted(system))  # others go on


async def test_who_may_not_sign_learns_nothing_about_a_password(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    signature = await report_of(system, who)
    for other, status, code in ((system.provider2, 404, "not_found"), (system.provider, 403, "not_the_holder")):
        for password in (PASSWORD, "wrong"):
            problem(await other.post(signature, {"kind": "final", "password": password}), status, code)
            addendum = await other.post(f"{signature.removesuffix('sign')}addenda", {"text": "x", "password": password})
            assert addendum.status_code in (403, 404, 409), addendum.text
