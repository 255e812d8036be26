"""What is written while something else happens to its form, its page or its tab: it stays, or is there again."""

import asyncio
from functools import partial

import pytest
from playwright.async_api import Page, Route, expect

from tests.eventually import eventually
from tests.journeys import accepted, draft
from tests.portal.browsing import Portal
from tests.portal.test_saved_unheard import WRITINGS, is_saved
from tests.portal.test_story import done
from tests.portal.test_typed_and_left import (
    KEPT,
    SEND,
    WRITTEN,
    accept_leaving,
    expect_back,
    expect_kept,
    saving_forms,
    write,
)
from tests.system import System

IN_PLACE = "#opened button.button:not([type=button])"


async def open_question(page: Page, request_id: str) -> None:
    """The form for a question, in the page of the request."""
    await page.goto(f"/requests/{request_id}")
    await page.locator(f"#choices a[href='/requests/{request_id}/request-information']").click()
    await page.locator("#opened [name=text]").wait_for()


async def test_a_page_to_sign_in_takes_nothing_for_sent(portal: Portal, system: System) -> None:
    """The line was lost when it was sent; then nobody was there until the page locked, and says so."""
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        accept_leaving(page)
        await page.clock.install()
        await open_question(page, request_id)
        await write(page, "text")
        await page.route("**/request-information", lambda route: route.abort())
        await page.locator(IN_PLACE).click()
        await expect(page.locator("[data-not-sent]")).to_be_visible()
        await page.clock.fast_forward("30:10")
        await page.wait_for_url("**/signin?**")
        await expect(page.locator("#notice.success")).to_be_visible()
        assert len(await page.evaluate(KEPT)) == 1


@pytest.mark.usefixtures("only_in_chromium")
async def test_what_is_written_after_it_was_sent_is_there_again(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await open_question(page, request_id)
        await page.locator("[name=text]").fill("Depuis quand?")
        await expect_kept(page)
        sent: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
        await page.route("**/request-information", lambda route: sent.set_result(route), times=1)
        await page.locator(IN_PLACE).click()
        route = await sent
        (before,) = await page.evaluate(WRITINGS)
        await page.locator("[name=text]").fill(WRITTEN)
        await page.wait_for_function(f"before => ({WRITINGS})()[0] !== before", arg=before)
        await route.continue_()
        await done(page, "Votre question est envoyée")
        await open_question(page, request_id)
        await expect_back(page, "text")
    assert [q["text"] for q in (await system.provider.view(request_id))["questions"]] == ["Depuis quand?"]


async def test_what_another_tab_wrote_is_not_forgotten_with_what_this_one_sent(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    address = f"/requests/{request_id}/request-information"
    async with portal.visit(system.provider) as here:
        there = await here.context.new_page()
        for page in (here, there):
            accept_leaving(page)
            await page.goto(address)
        await here.locator("[name=text]").fill("Depuis quand?")
        await expect_kept(here)
        (before,) = await here.evaluate(WRITINGS)
        await there.locator("[name=text]").fill(WRITTEN)
        await there.wait_for_function(f"before => ({WRITINGS})()[0] !== before", arg=before)
        await here.locator(SEND).click()
        await done(here, "Votre question est envoyée")
        await there.close()
        await here.goto(address)
        await expect_back(here, "text")


@pytest.mark.usefixtures("only_in_chromium")
async def test_a_choice_that_opens_late_takes_the_place_of_nothing_written(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    late, other = (f"/requests/{request_id}/{choice}" for choice in ("request-information", "return-to-dispatch"))
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        asked: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
        await page.route(f"**{late}", lambda route: asked.set_result(route), times=1)
        await page.locator(f"#choices a[href='{late}']").click()
        route = await asked
        await page.locator(f"#choices a[href='{other}']").click()
        await page.locator("#opened [name=comment]").fill(WRITTEN)
        async with page.expect_event("requestfinished", lambda request: request.url.endswith(late)):
            await route.continue_()
        await expect(page.locator(f"#choices a[href='{late}'][aria-busy]")).to_have_count(0)
        await expect(page.locator("#opened [name=comment]")).to_have_value(WRITTEN)


NO_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });"""


async def test_a_browser_that_keeps_nothing_saves_all_the_same(portal: Portal, system: System) -> None:
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as signed_in:
            page = await signed_in.context.new_page()  # where scripts may fail that keep something
            await page.add_init_script(NO_STORAGE)
            await page.goto(address)
            await page.locator(f"[name='{name}']").fill("Sans rien garder.")
            await eventually(partial(is_saved, system, address, name, "Sans rien garder."))
