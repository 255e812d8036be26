"""How tests look at the portal: by plain HTTP as a browser without scripts does, and with a real Chromium or Firefox."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize

from tests.eventually import PATIENCE_SECONDS
from tests.system import PASSWORD, Clinician

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def visitor(app: FastAPI, who: Clinician | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without scripts, signed in as `who`. Redirects are followed by hand, so that a test sees them."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relais.test", headers=SAME_SITE) as http:
        if who is not None:
            answer = await http.post("/signin", data={"username": who.account.username, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
        yield http


def shown(answer: httpx.Response, status: int = 200) -> str:
    """The page as text, without markup; it must have come with this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:2000]}"
    return text_of(answer.text)


def text_of(html: str) -> str:
    """The words of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ").split())


def hidden(answer: httpx.Response) -> dict[str, str]:
    """The hidden fields `key` and `version` of the (first) form of a page that has them."""
    found = {}
    for name in ("key", "version"):
        match = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
        assert match, f"the page has no field {name}"
        found[name] = match[1]
    return found


@dataclass
class Portal:
    """The running portal, and browsers to look at it."""

    address: str
    browser: Browser
    looks: dict[str, Page] = field(default_factory=dict)

    @asynccontextmanager
    async def visit(
        self, who: Clinician | None = None, *, size: ViewportSize = WIDE, **options: Any
    ) -> AsyncIterator[Page]:
        """An empty page of a browser of its own, signed in as `who`. Errors of scripts fail the test."""
        context: BrowserContext = await self.browser.new_context(
            base_url=self.address, viewport=size, locale="fr-CA", bypass_csp=False, **options
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        errors: list[str] = []
        if who is not None:
            await sign_in_unseen(context, who)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
        try:
            yield page
            assert errors == []
        finally:
            await context.close()

    async def look(self, who: Clinician | None) -> Page:
        """A page to look at with axe, which the Content-Security-Policy would keep out; one for each person, signed in once."""
        name = who.account.username if who else ""
        if name not in self.looks:
            context = await self.browser.new_context(base_url=self.address, locale="fr-CA", bypass_csp=True)
            context.set_default_timeout(PATIENCE_SECONDS * 1000)
            await context.add_init_script(path=AXE)
            if who is not None:
                await sign_in_unseen(context, who)
            self.looks[name] = await context.new_page()
        return self.looks[name]

    async def look_away(self) -> None:
        """Leave the pages that were looked at."""
        for page in self.looks.values():
            await page.goto("about:blank")


async def sign_in(page: Page, who: Clinician) -> None:
    """By the form, as people do."""
    await page.goto("/signin")
    await page.fill("#username", who.account.username)
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_url("**/worklist*")


async def sign_in_unseen(context: BrowserContext, who: Clinician) -> None:
    """As the form does, but no page is drawn: for tests about what comes afterwards."""
    answer = await context.request.post(
        "/signin",
        form={"username": who.account.username, "password": PASSWORD},
        headers=SAME_SITE,
        max_redirects=0,
    )
    assert answer.status == 303, await answer.text()


async def barriers(page: Page) -> list[str]:
    """What axe finds on the page against WCAG 2.1 AA and its own best practices: a line each, none when all is well.

    The style sheets are not fetched once more: of what it does by itself, nothing reads their text.
    """
    if not await page.evaluate("typeof window.axe === 'object'"):
        await page.evaluate(AXE.read_text())
    options = {
        "resultTypes": ["violations"],
        "preload": {"assets": ["media"]},
    }
    found = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {violation['help']} ({node['html'][:200]})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


FORCED_COLOURS = (Path(__file__).parent / "forced_colours.js").read_text()


async def lost_in_forced_colours(page: Page) -> list[str]:
    """What can't be seen any more when the reader's system forces its colours: a line each, none when all is well.

    In Chromium alone: playwright can't have a stock Firefox force them.
    """
    browser = page.context.browser
    if browser is None or browser.browser_type.name != "chromium":
        return []
    await page.evaluate(FORCED_COLOURS)
    found: list[str] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(forced_colors="active", color_scheme=scheme)
        found += [f"{scheme}: {lost}" for lost in await page.evaluate("lostInForcedColours()")]
    await page.emulate_media(forced_colors="none", color_scheme="light")
    return found


async def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window: 0 when nobody has to scroll sideways."""
    wider: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


async def overflow_and_barriers(portal: Portal, who: Clinician, addresses: Iterable[str]) -> list[str]:
    """Barriers, and pages wider than their window, at these addresses: on a wide screen and on a phone."""
    found = []
    for address in addresses:
        for size in (WIDE, PHONE):
            page = await portal.look(who)
            await page.set_viewport_size(size)
            await page.goto(address)
            found += [f"{address} {barrier}" for barrier in await barriers(page)]
            found += [f"{address} too wide"] if await overflow(page) else []
    return found


async def too_wide(page: Page) -> list[str]:
    """By how much the page is wider than its window, as it is and with text twice as large: nothing when all is well."""
    found = [f"{wider} px too wide"] if (wider := await overflow(page)) else []
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    found += [f"{wider} px too wide with large text"] if (wider := await overflow(page)) else []
    await page.evaluate("document.documentElement.style.fontSize = ''")
    return found
