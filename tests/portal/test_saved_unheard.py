"""A save whose answer never comes may have arrived: nobody is in conflict with themselves, and nothing of others is lost."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest
from playwright.async_api import Page, Route, expect

from tests.eventually import eventually
from tests.journeys import accepted, draft, ok
from tests.portal.browsing import Portal
from tests.portal.test_typed_and_left import accept_leaving, has_nothing_kept, saving_forms, write_elsewhere
from tests.system import System

pytestmark = pytest.mark.usefixtures("only_in_chromium")

FIRST, NEWER = "Depuis trois jours.", "Depuis trois jours, et la nuit."


@dataclass
class Saves:
    """The saves that a page sends: the first is held, the others go on."""

    page: Page
    address: str
    held: asyncio.Future[Route] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def __call__(self, route: Route) -> None:
        if route.request.method != "POST" or self.held.done():
            await route.continue_()
        else:
            self.held.set_result(route)

    async def write(self, name: str) -> None:
        """The first words, whose save is held then, and newer ones, which lie in the browser."""
        await self.page.goto(self.address)
        await self.page.route(f"**{self.address}", self)
        await self.page.locator(f"[name='{name}']").fill(FIRST)
        await self.held
        (before,) = await self.page.evaluate(WRITINGS)
        await self.page.locator(f"[name='{name}']").fill(NEWER)
        await self.page.wait_for_function(f"before => ({WRITINGS})()[0] !== before", arg=before)


WRITINGS = (
    "() => Object.entries(localStorage).filter(([name]) => name.startsWith('relais-typed')).map(([, kept]) => kept)"
)


async def saved(system: System, address: str, name: str) -> str:
    """What the server has in that field."""
    answers = (
        (await system.requester.view(address.split("/")[2]))["answers"]
        if address.endswith("/edit")
        else ok(await system.provider.get(address))["answers"]
    )
    return str(answers.get(name.removeprefix("answers."), ""))


async def is_saved(system: System, address: str, name: str, words: str) -> bool:
    return await saved(system, address, name) == words


async def expect_no_question(page: Page) -> None:
    """Whether something else was saved meanwhile, and which is to stay."""
    await expect(page.locator("#conflict > *, #overtaken:not([hidden])")).to_have_count(0)


async def test_a_save_that_arrived_unheard_is_no_conflict(portal: Portal, system: System) -> None:
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            saves = Saves(page, address)
            await saves.write(name)
            route = await saves.held
            assert (await route.fetch()).ok
            await route.abort()
            await eventually(partial(has_nothing_kept, page))
            await expect_no_question(page)
            assert await saved(system, address, name) == NEWER


@pytest.mark.parametrize("has_arrived", [True, False])
async def test_newer_words_go_along_when_a_page_is_left_while_it_saves(
    portal: Portal, system: System, has_arrived: bool
) -> None:
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            accept_leaving(page)
            saves = Saves(page, address)
            await saves.write(name)
            if has_arrived:
                assert (await (await saves.held).fetch()).ok
            await page.goto("/account")
            await eventually(partial(is_saved, system, address, name, NEWER))
            await page.goto(address)
            await expect(page.locator(f"[name='{name}']")).to_have_value(NEWER)
            await eventually(partial(has_nothing_kept, page))
            await expect_no_question(page)


async def test_what_was_changed_back_while_it_is_saved_is_saved_as_it_is(portal: Portal, system: System) -> None:
    """The save arrives; what it took along does not stay because the words are those of before again."""
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            accept_leaving(page)
            saves = Saves(page, address)
            await saves.write(name)
            route = await saves.held
            assert (await route.fetch()).ok
            before = await page.locator(f"[name='{name}']").evaluate("field => field.defaultValue")
            await page.locator(f"[name='{name}']").fill(before)
            await page.goto("/account")
            await eventually(partial(is_saved, system, address, name, before))
            await page.goto(address)
            await expect(page.locator(f"[name='{name}']")).to_have_value(before)
            await eventually(partial(has_nothing_kept, page))
            await expect_no_question(page)


async def test_newer_words_that_only_the_browser_has_are_saved_over_their_own_beginning(
    portal: Portal, system: System
) -> None:
    """The tab is closed at once: nothing goes along."""
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            saves = Saves(page, address)
            await saves.write(name)
            assert (await (await saves.held).fetch()).ok
            await page.evaluate("() => { window.fetch = async () => { throw new TypeError('no line'); }; }")
            again = await page.context.new_page()
            await page.close()
            await again.goto(address)
            await expect(again.locator(f"[name='{name}']")).to_have_value(NEWER)
            await eventually(partial(has_nothing_kept, again))
            await expect_no_question(again)
            assert await saved(system, address, name) == NEWER


async def test_the_last_words_of_a_page_that_saves_overwrite_nothing_of_others(portal: Portal, system: System) -> None:
    """While its save is under way, something else makes the next version; then the page goes."""
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            saves = Saves(page, address)
            await saves.write(name)
            await write_elsewhere(system, address, name)
            async with page.expect_response(lambda answer: answer.request.method == "POST") as last:
                await page.evaluate("dispatchEvent(new Event('pagehide'))")
            assert (await last.value).status in (409, 412)
            assert await saved(system, address, name) == "Écrit ailleurs."
