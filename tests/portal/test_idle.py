"""A browser that nobody sits at: its session ends, its pages lock, and what was typed is there again."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from fastapi import FastAPI
from playwright.async_api import Dialog, expect
from sqlalchemy import select, update

from domain.requests import Role
from records.models import Token
from tests.journeys import accepted, draft
from tests.portal.browsing import Portal, visitor
from tests.portal.test_typed_and_left import saving_forms, write_elsewhere
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases.sign_in import token_sha256

MINUTE = timedelta(minutes=1)


async def leave_alone(system: System, token: str, time: timedelta) -> None:
    """Nobody was there for so long."""
    async with system.services.database.session() as session:
        mine = Token.sha256 == token_sha256(token)
        await session.execute(update(Token).where(mine).values(seen_at=datetime.now(UTC) - time))


async def seen(system: System, token: str) -> timedelta:
    """How long ago somebody was there."""
    async with system.services.database.session() as session:
        at = await session.scalar(select(Token.seen_at).where(Token.sha256 == token_sha256(token)))
    assert at is not None
    return datetime.now(UTC) - at


async def test_a_session_ends_when_nobody_asks_for_anything(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        token = http.cookies["relais"]
        for by_itself in (
            {"HX-Request": "true"},
            {"X-Requested-With": "fetch"},
            {"Sec-Fetch-Mode": "cors"},
            {"Sec-Fetch-Mode": "no-cors"},
        ):
            await leave_alone(system, token, 10 * MINUTE)
            assert (await http.get("/worklist", headers=by_itself)).status_code == 200
            assert await seen(system, token) > 9 * MINUTE, by_itself
        for method, address, by_somebody in (
            ("GET", "/worklist", {"Sec-Fetch-Mode": "navigate"}),
            ("GET", "/worklist", {}),
            ("POST", "/still-here", {"X-Requested-With": "fetch", "Sec-Fetch-Mode": "cors"}),
        ):
            await leave_alone(system, token, 30 * MINUTE)
            assert (await http.request(method, address, headers=by_somebody)).status_code in (200, 204)
            assert await seen(system, token) < MINUTE, (address, by_somebody)
        await leave_alone(system, token, 33 * MINUTE)
        answer = await http.get("/worklist")
        assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/worklist")


async def test_a_token_for_a_program_waits_for_nobody(system: System) -> None:
    token = system.provider.http.headers["Authorization"].removeprefix("Bearer ")
    await leave_alone(system, token, 10 * 60 * MINUTE)
    assert (await system.provider.get("/me")).status_code == 200


@pytest.fixture
async def person(system: System) -> Clinician:
    return await add_person(system, "called_away", system.clinics["near"], Role.DISPATCHER)


async def test_a_page_warns_then_locks_and_gives_back_what_was_typed(
    portal: Portal, system: System, person: Clinician
) -> None:
    request_id = await accepted(system)
    path = f"/requests/{request_id}/change-priority"
    async with portal.visit(person) as page:
        await page.clock.install()
        await page.goto(path)
        token = next(cookie["value"] for cookie in await page.context.cookies() if cookie.get("name") == "relais")
        warning = page.locator(".idle-warning")
        await expect(warning).to_be_hidden()
        await page.fill("textarea", "La patiente a rappelé.")
        await page.clock.fast_forward("29:30")
        await expect(warning).to_be_visible()
        await page.keyboard.press("Shift")
        await expect(warning).to_be_hidden()
        await page.clock.fast_forward("29:30")
        await page.clock.fast_forward("00:40")
        await page.wait_for_url("**/signin?**")
        assert "fermée parce que rien ne s’est passé" in await page.inner_text("#content")
        async with system.services.database.session() as session:
            assert (await session.get_one(Token, token_sha256(token))).revoked_at is not None
        await page.fill("#username", person.account.username)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await page.wait_for_url(f"**{path}")
        assert await page.input_value("textarea") == "La patiente a rappelé."


async def test_a_page_that_could_not_save_locks_without_asking_anybody(portal: Portal, system: System) -> None:
    """What somebody else has saved meanwhile is not overwritten; the chart does not stay in view for it, and nothing is lost."""
    begun, mine = await draft(system), await accepted(system)
    for who, address, name in saving_forms(system, begun, mine):
        async with portal.visit(who) as page:
            asked: list[str] = []
            page.on("dialog", partial(_stay, asked))
            await page.clock.install()
            await page.goto(address)
            await write_elsewhere(system, address, name)
            await page.locator(f"[name='{name}']").fill("")
            await page.keyboard.type("Depuis mai.")  # a browser asks only those who have used the page
            await page.keyboard.press("Tab")
            await expect(page.locator("#conflict [data-keep], #overtaken button").first).to_be_visible()
            await page.clock.fast_forward("30:10")
            await page.wait_for_url("**/signin?**", wait_until="commit")
            assert asked == []
            await page.fill("#username", who.account.username)
            await page.fill("#password", PASSWORD)
            await page.press("#password", "Enter")
            await expect(page.locator(f"[name='{name}']")).to_have_value("Depuis mai.")


async def _stay(asked: list[str], dialog: Dialog) -> None:
    asked.append(dialog.type)
    await dialog.dismiss()
