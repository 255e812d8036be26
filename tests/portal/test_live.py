"""Open pages are told what is new: only about what the person may see, without data, and without losing their place."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Route, expect

from domain.requests import Role
from portal import live
from tests.eventually import eventually
from tests.journeys import accepted, assigned, draft, ok, pooled, submitted
from tests.portal.browsing import SAME_SITE, Portal, visitor
from tests.system import PASSWORD, Clinician, System, add_person, hasty
from use_cases import presences


@asynccontextmanager
async def listening(
    portal: Portal, who: Clinician, address: str = "/events", *, to_the_end: bool = False
) -> AsyncIterator[list[str]]:
    """The lines that come, while the block lasts; the last one says `the end` where that is asked for."""
    heard: list[str] = []
    began = asyncio.Event()
    async with httpx.AsyncClient(base_url=portal.address, headers=SAME_SITE, timeout=None, trust_env=False) as http:  # noqa: S113
        await http.post("/signin", data={"username": who.account.username, "password": PASSWORD})

        async def listen() -> None:
            async with http.stream("GET", address) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                async for line in answer.aiter_lines():
                    began.set()
                    heard.append(line)
                if to_the_end:
                    heard.append("the end")

        task = asyncio.create_task(listen())
        await began.wait()
        try:
            yield heard
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_change_is_told_to_those_who_may_see_it_and_says_nothing_else(portal: Portal, system: System) -> None:
    async with (
        listening(portal, system.requester) as requester,
        listening(portal, system.dispatcher) as dispatcher,
        listening(portal, system.far_dispatcher) as elsewhere,
    ):
        await submitted(system)
        await eventually(lambda: "event: changed" in requester and "event: changed" in dispatcher)
        lines = {line for line in (*requester, *dispatcher, *elsewhere) if line}
        assert lines <= {"retry: 2000", "event: changed", "data: ", "data:"}
        assert "event: changed" not in elsewhere


async def test_others_see_who_looks_at_a_request_and_who_writes_its_report(
    portal: Portal, portal_app: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presences, "MAY_COME_BACK_SECONDS", 0.0)
    request_id = await accepted(system)
    page, writing = f"/events?request={request_id}", f"/events?request={request_id}&doing=writes_report"

    async def seen_by(who: Clinician) -> dict[str, str]:
        return {one["person"]["id"]: one["doing"] for one in (await who.view(request_id))["present"]}

    async def shown(**doing: str) -> None:
        expected = {system.people[name].id: what for name, what in doing.items()}

        async def is_so() -> bool:
            return await seen_by(system.requester) == expected

        await eventually(is_so)

    async with listening(portal, system.dispatcher, page) as heard:
        await shown(dispatcher="looks")
        assert await seen_by(system.dispatcher) == {}, "nobody is told of themselves"
        async with listening(portal, system.provider, page), listening(portal, system.provider, writing):
            await shown(dispatcher="looks", provider="writes_report")
            await eventually(lambda: "event: changed" in heard)
            async with visitor(portal_app, system.requester) as http:
                text = (await http.get(f"/requests/{request_id}")).text
            assert re.search(r"class=\"present\"[^>]*>[^<]* rédige le rapport\.[^<]* a cette page ouverte\.", text)
        await shown(dispatcher="looks")
    await shown()
    for name in ("far_provider", "requester2"):
        async with visitor(portal_app, system.people[name]) as http:
            assert (await http.get(page)).status_code == 404, name


async def test_a_page_that_renews_itself_is_one_look(portal_app: FastAPI, system: System) -> None:
    """Whoever comes to a request, and goes, has every open page of it renew itself."""
    request_id = await accepted(system)
    by_itself = {"HX-Request": "true"}
    pages = [f"/requests/{request_id}", f"/requests/{request_id}/report", f"/requests/{request_id}/report/sign"]

    async def looks() -> int:
        return len((await system.requester.get(f"/requests/{request_id}/accesses")).json())

    async with visitor(portal_app, system.provider) as http:
        for page in pages:
            await http.get(page)
        opened = await looks()
        for page in pages * 3:
            assert (await http.get(page, headers=by_itself)).status_code == 200
        assert await looks() == opened
        urgent = {"priority": "urgent", "reason": "La lésion saigne."}
        ok(await system.dispatcher.post(f"/requests/{request_id}/change-priority", urgent))
        for _ in range(3):
            await http.get(pages[0], headers=by_itself)
        assert await looks() == opened + 2, "the request and its history, as they are now"
        await http.get(pages[0])
        assert await looks() == opened + 4
        address = f"/api/v1/requests/{request_id}"
        ok(await system.provider.http.get(address, headers=by_itself))
        assert await looks() == opened + 5, "a program opens it each time"


async def test_no_more_of_a_persons_pages_listen_than_so_many(
    portal: Portal, portal_app: FastAPI, system: System
) -> None:
    who = system.far_provider
    async with listening(portal, who), listening(portal, who):
        with hasty(portal_app, streams_at_once=2):
            async with visitor(portal_app, who) as http:
                refused = await http.get("/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
            async with listening(portal, system.far_requester):
                pass  # others are not concerned
    await eventually(lambda: not portal_app.state.spent.streams[who.account.id])


async def test_one_requests_page_hears_of_that_one_only(portal: Portal, system: System) -> None:
    mine, other = await assigned(system), await assigned(system)
    async with listening(portal, system.provider, f"/events?request={mine}") as heard:
        ok(await system.provider.post(f"/requests/{other}/accept"))
        assert "event: changed" not in heard
        ok(await system.provider.post(f"/requests/{mine}/accept"))
        await eventually(lambda: "event: changed" in heard)
        assert heard.count("event: changed") == 1


async def test_a_stream_lives_on_audibly_among_other_peoples_changes(
    portal: Portal, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not concern a page is no sign of life: those come all the same, or a proxy would cut it on a busy day."""
    monkeypatch.setattr(live, "SILENCE_SECONDS", 1.0)
    mine, other = await assigned(system), await submitted(system)
    async with listening(portal, system.provider, f"/events?request={mine}") as heard:
        for number in range(200):
            priority = "urgent" if number % 2 == 0 else "routine"
            body = {"priority": priority, "reason": "Nouvelle information."}
            ok(await system.dispatcher.post(f"/requests/{other}/change-priority", body))
            if ": still here" in heard:
                break
        assert ": still here" in heard
        assert "event: changed" not in heard


async def test_the_worklist_renews_itself_and_the_place_is_kept(portal: Portal, system: System) -> None:
    mine = replace(
        system, people={"requester": await add_person(system, "reader", system.clinics["near"], Role.REQUESTER)}
    )
    for _ in range(12):
        await draft(mine, "wound_care")
    async with portal.visit(mine.requester, size={"width": 1280, "height": 480}) as page:
        await page.goto("/worklist?filter=1&sort=-due&status=all")
        rows = page.locator(".row-link")
        await page.fill("#q", "TC-")
        await expect(page).to_have_url(re.compile("q=TC-"))
        last = rows.last
        number = await last.inner_text()
        await last.focus()
        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        before = await page.evaluate("window.scrollY")
        assert before > 0
        async with page.expect_response(lambda answer: "/worklist" in answer.url):
            await submitted(mine)
        await expect(page.locator(".status.of-awaiting_dispatch")).to_be_visible()
        assert await page.evaluate("document.activeElement.innerText") == number
        assert abs(await page.evaluate("window.scrollY") - before) < 200
        assert await page.input_value("#q") == "TC-"


async def test_what_came_before_the_page_could_listen_is_shown(portal: Portal, system: System) -> None:
    """A page is read first and listens then. What happens between the two (here a long time) reaches it all the same."""
    request_id = await assigned(system)
    may_listen = asyncio.Event()

    async def hold_back(route: Route) -> None:
        await may_listen.wait()
        await route.continue_()

    number = (await system.provider.view(request_id))["number"]
    async with portal.visit(system.requester) as page, portal.visit(system.provider) as other:
        for one, address in ((page, f"/requests/{request_id}"), (other, f"/worklist?filter=1&status=all&q={number}")):
            await one.route("**/events*", hold_back)
            await one.goto(address)
        row = other.locator("tr, li").filter(has=other.locator(f"a[href='/requests/{request_id}']"))
        await expect(page.locator(".status.of-awaiting_acceptance").first).to_be_visible()
        await expect(row.locator(".status.of-awaiting_acceptance").first).to_be_visible()
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        may_listen.set()
        await expect(page.locator(".status.of-accepted").first).to_be_visible()
        await expect(row.locator(".status.of-accepted").first).to_be_visible()


async def test_a_page_that_missed_nothing_is_told_nothing(portal: Portal, system: System) -> None:
    mine = await assigned(system)
    async with listening(portal, system.provider) as first:
        ok(await system.provider.post(f"/requests/{mine}/accept"))
        await eventually(lambda: "event: changed" in first)
    async with listening(portal, system.provider, f"/events?since={system.services.feed.position}") as heard:
        async with listening(portal, system.provider, "/events?since=elsewhere.3") as unsure:
            await eventually(lambda: "event: changed" in unsure)
        assert "event: changed" not in heard


async def test_who_is_slower_sees_it_before_they_press(portal: Portal, system: System) -> None:
    request_id = await pooled(system)
    async with portal.visit(system.provider2) as page:
        await page.goto(f"/requests/{request_id}/return-to-requester")
        await page.get_by_label("Explication pour la personne qui a fait la demande").fill("Il manque une photo.")
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        await expect(page.get_by_text("Ce n’est plus possible.")).to_be_visible()
        await expect(page.get_by_text("a maintenant la demande")).to_be_visible()
        await expect(page.get_by_label("Explication pour la personne qui a fait la demande")).to_have_value(
            "Il manque une photo."
        )
