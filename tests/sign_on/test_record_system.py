"""Whole stories with a record system whose authorization server others wrote: opened from a chart, in Chromium, and back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey, RSAKey
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlalchemy import func, select

from domain.requests import Role
from records import sign_on as linked
from records.models import RequestRecord
from server import create_app
from sign_on.providers import load_providers
from sign_on.sign_on import SignOn
from tests.eventually import PATIENCE_SECONDS
from tests.journeys import ok
from tests.portal import browsers
from tests.portal.browsing import AXE, PHONE, WIDE, barriers, sign_in, too_wide
from tests.portal.typed_texts import not_known
from tests.serving import address_of, listen, served
from tests.sign_on.record_system import record_system, written
from tests.system import PASSWORD, Clinician, System, add_person


@dataclass
class Scene:
    """Relais on a port, beside a record system that opens it for the clinic `near`."""

    system: System
    address: str
    issuer: str

    async def linked(self, name: str, login: str, **more: Any) -> Clinician:
        """Somebody new, who is linked with the record system."""
        who = await add_person(self.system, name, self.system.clinics["near"], Role.REQUESTER, **more)
        async with self.system.services.database.session() as session:
            await linked.link(session, who.account.id, self.issuer, login, None, datetime.now(UTC))
        return who

    async def drafts_of(self, who: Clinician) -> int:
        """How many requests of theirs there are."""
        async with self.system.services.database.session() as session:
            mine = select(func.count()).where(RequestRecord.created_by == who.account.id)
            return await session.scalar(mine) or 0


@pytest.fixture(scope="module", params=["ES384", "RS384"])
async def scene(
    request: pytest.FixtureRequest, system: System, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    key = ECKey.generate_key("P-384") if request.param == "ES384" else RSAKey.generate_key(2048)
    listening = listen()
    address = address_of(listening)
    async with record_system(address, key) as issuer:
        file = written(tmp_path_factory.mktemp("records"), issuer, key, system.clinics["near"].code)
        async with SignOn(load_providers(file, near=True), near=True) as sign_on:
            settings = system.settings.model_copy(update={"public_url": address})
            app = create_app(settings, replace(system.of_api, settings=settings, sign_on=sign_on))
            async with served(app, listening):
                yield Scene(system, address, issuer)


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        browser = await browsers.launch_chromium(play)
        yield browser
        await browser.close()


@asynccontextmanager
async def browser_of(chromium: Browser, scene: Scene, **options: Any) -> AsyncIterator[Page]:
    """A browser in which nobody is signed in, neither there nor here; errors of scripts fail the test."""
    context = await chromium.new_context(base_url=scene.address, **{"locale": "fr-CA", "viewport": WIDE, **options})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    errors: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []
    await context.close()


async def open_from_chart(page: Page, scene: Scene, login: str, patient: str = "p-1") -> None:
    """Press “Relais” with a patient open; sign in there, where one is not yet."""
    await page.goto(f"{scene.issuer}/open?patient={patient}" if patient else f"{scene.issuer}/open")
    if page.url.startswith(scene.issuer):
        await page.fill("input[name=login]", login)
        await page.click("button")
    await page.wait_for_url(f"{scene.address}/**")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_launch_leads_to_a_request_for_the_patient(scene: Scene, chromium: Browser, scripts: bool) -> None:
    login = f"dr-{uuid4().hex[:8]}"
    who = await scene.linked("charting", login)
    async with browser_of(chromium, scene, java_script_enabled=scripts) as page:
        await open_from_chart(page, scene, login)
        await page.click("text=Continuer en tant que Dre Anne Charting")
        await expect(page.locator("h1")).to_have_text("Jeanne Tremblay")
        await expect(page.locator("main")).to_contain_text("dossier CH-4711")
        assert await scene.drafts_of(who) == 0
        await page.click("button[value=teledermatology]")
        await expect(page.locator("[name='patient.given_name']")).to_have_value("Jeanne")
        await expect(page.locator("[name='patient.health_insurance_number']")).to_have_value("TREJ 5853 1412")
        await expect(page.locator("[name='patient.chart_number']")).to_have_value("CH-4711")
        assert await scene.drafts_of(who) == 0, "what was only looked at leaves nothing behind"
        await page.wait_for_load_state("load")  # what is typed before is not seen by scripts
        await page.fill("[name='answers.question']", "Est-ce un mélanome ?")
        if scripts:
            await expect(page.locator("[data-save-status]")).to_contain_text("Enregistré à")
        else:
            await page.locator("button[value=save]").first.click()
        request_id = urlsplit(page.url).path.split("/")[2]
        view: Any = ok(await who.get(f"/requests/{request_id}"))
        assert view["patient"]["family_name"] == "Tremblay"
        assert view["patient"]["chart_number"] == "CH-4711"
        assert view["answers"]["question"] == "Est-ce un mélanome ?"

        await open_from_chart(page, scene, login)
        await expect(page.locator("main")).to_contain_text(view["number"])
        assert await scene.drafts_of(who) == 1


async def test_who_is_not_linked_signs_in_links_and_is_asked_no_more(scene: Scene, chromium: Browser) -> None:
    login = f"dr-{uuid4().hex[:8]}"
    who = await add_person(scene.system, "linking_there", scene.system.clinics["near"], Role.REQUESTER)
    async with browser_of(chromium, scene) as page:
        await open_from_chart(page, scene, login)
        await page.click("main >> text=Se connecter")
        await page.fill("#username", who.account.username)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await page.fill("[name=password]", PASSWORD)
        await page.click("button[value=link]")
        await page.wait_for_url(f"{scene.issuer}/**")  # who it is there is proved anew
        await page.fill("input[name=login]", login)
        await page.click("button")
        await expect(page.locator("h1")).to_have_text("Jeanne Tremblay")
    async with browser_of(chromium, scene) as page:
        await open_from_chart(page, scene, login, "p-2")
        await page.click("text=Continuer en tant que Dre Anne Linking")
        await expect(page.locator("h1")).to_have_text("Roger Doe")
        await expect(page.locator("main")).to_contain_text("est décédé")


async def test_who_stops_there_or_opens_nobody_is_told(scene: Scene, chromium: Browser) -> None:
    login = f"dr-{uuid4().hex[:8]}"
    await scene.linked("stopping", login)
    async with browser_of(chromium, scene) as page:
        await open_from_chart(page, scene, "")
        await expect(page.locator("[data-sentence]")).to_contain_text("ne vous a pas laissé entrer")
        await open_from_chart(page, scene, login, "")
        await expect(page.locator("[data-sentence]")).to_contain_text("quel patient est ouvert")
        await open_from_chart(page, scene, login, "nobody")
        await expect(page.locator("[data-sentence]")).to_contain_text("ne peut être accepté")


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_its_pages_have_no_barrier(scene: Scene, chromium: Browser, language: str) -> None:
    login, found = f"dr-{uuid4().hex[:8]}", []
    await scene.linked("looking_there", login, language=language)
    near = scene.system.clinics["near"]
    colleague = await add_person(scene.system, "colleague_there", near, Role.REQUESTER, language=language)
    async with browser_of(chromium, scene, locale=f"{language}-CA", bypass_csp=True) as page:
        await page.context.add_init_script(path=AXE)
        await open_from_chart(page, scene, f"another-{login}")
        found += await faults(page)  # who is not linked signs in
        await sign_in(page, colleague)
        await open_from_chart(page, scene, "")
        found += await faults(page)  # is it you?
        await page.context.clear_cookies()
        await sign_in(page, colleague)
        await open_from_chart(page, scene, login)
        found += await faults(page)  # another session would end
        await page.click("main form button")
        found += await faults(page)
        await open_from_chart(page, scene, login, "p-2")
        found += await faults(page)
        await page.goto("/launch?iss=https://unknown.test&launch=x")
        found += await faults(page)
    assert found == []


async def faults(page: Page) -> list[str]:
    """What is wrong with the page, on a large screen and on a phone."""
    found = []
    for size in (WIDE, PHONE):
        await page.set_viewport_size(size)
        await page.emulate_media(color_scheme="light" if size == WIDE else "dark", reduced_motion="reduce")
        await page.reload()
        typed = [f"not in the table of typed texts: {form}" for form in not_known(await page.content())]
        found += [f"{page.url}: {fault}" for fault in (*await barriers(page), *await too_wide(page), *typed)]
    return found
