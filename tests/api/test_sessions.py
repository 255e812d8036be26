"""Where somebody is signed in, and how they sign out there. Source: ASVS 5.0.0, V7.5.2."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from domain.requests import Role
from tests.api.answers import problem
from tests.journeys import ok
from tests.system import PASSWORD, Clinician, System, add_person

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@asynccontextmanager
async def signed_in(system: System, who: Clinician, program: str) -> AsyncIterator[httpx.AsyncClient]:
    """Another session of that person."""
    transport = httpx.ASGITransport(system.app, client=("192.0.2.17", 4711))
    credentials = {"username": who.account.username, "password": PASSWORD}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://relais.test", headers={"User-Agent": program}
    ) as http:
        token = ok(await http.post("/api/v1/tokens", json=credentials), 201)
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield http


async def sessions_of(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """What that session is told."""
    answer = await http.get("/api/v1/me/sessions")
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def test_people_see_where_they_are_signed_in_and_sign_out_there(system: System) -> None:
    who = await add_person(system, "signed_in", system.clinics["near"], Role.REQUESTER)
    async with signed_in(system, who, FIREFOX) as browser, signed_in(system, who, "curl/8.1") as script:
        listed = await sessions_of(browser)
        assert [(one["program"], one["is_this_one"]) for one in listed[:2]] == [
            ("curl", False),
            ("Firefox, Windows", True),
        ]
        assert len(listed) == 3
        assert {one["address"] for one in listed[:2]} == {"192.0.2.17"}
        assert not any(who.account.username in str(one) for one in listed)
        path = f"/api/v1/me/sessions/{listed[0]['id']}"
        assert (await browser.delete(path)).status_code == 204
        problem(await script.get("/api/v1/me"), 401, "not_authenticated")
        problem(await browser.delete(path), 404, "not_found")
        assert [one["id"] for one in await sessions_of(browser)] == [one["id"] for one in listed[1:]]


async def test_signing_out_everywhere_else_leaves_this_session(system: System) -> None:
    who = await add_person(system, "everywhere", system.clinics["near"], Role.REQUESTER)
    async with signed_in(system, who, FIREFOX) as here, signed_in(system, who, FIREFOX) as there:
        assert (await here.delete("/api/v1/me/sessions")).status_code == 204
        [left] = await sessions_of(here)
        assert left["is_this_one"]
        problem(await there.get("/api/v1/me"), 401, "not_authenticated")
        problem(await who.get("/me"), 401, "not_authenticated")
        assert (await here.delete(f"/api/v1/me/sessions/{left['id']}")).status_code == 204
        problem(await here.get("/api/v1/me"), 401, "not_authenticated")


async def test_nobody_ends_the_session_of_somebody_else(system: System) -> None:
    who = await add_person(system, "left_alone", system.clinics["near"], Role.REQUESTER)
    [theirs] = await sessions_of(who.http)
    for somebody in (system.provider, system.administrator, system.operator):
        problem(await somebody.http.delete(f"/api/v1/me/sessions/{theirs['id']}"), 404, "not_found")
    problem(await who.http.delete(f"/api/v1/me/sessions/{uuid4()}"), 404, "not_found")
    assert await sessions_of(who.http) == [theirs]
