"""Tabs that get in each other's way, and stale pages: nothing that was written is lost, or overwritten unseen."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, expect

from tests.journeys import accepted, assigned, draft, ok, pooled, somebody_new, written
from tests.portal.browsing import Portal, sign_in
from tests.portal.test_story import done, press
from tests.system import PASSWORD, Clinician, System


@asynccontextmanager
async def two_tabs(portal: Portal, who: Clinician, address: str) -> AsyncIterator[tuple[Page, Page]]:
    """Two tabs of one browser at that page."""
    async with portal.visit(who) as here:
        there = await here.context.new_page()
        await here.goto(address)
        await there.goto(address)
        yield here, there


async def report(system: System, request_id: str) -> dict[str, Any]:
    return dict(ok(await system.provider.get(f"/requests/{request_id}/report"))["answers"])


def findings(page: Page) -> Any:
    return page.locator("[name='answers.findings']")


async def names(system: System, who: Clinician, request_id: str) -> list[str]:
    """What happened to the request, in order."""
    timeline: Any = ok(await who.get(f"/requests/{request_id}/timeline"))
    return [str(entry["name"]) for entry in timeline]


async def test_a_draft_in_two_tabs(portal: Portal, system: System) -> None:
    """Both texts are seen in the tab that comes second; either can be kept, and the list of photos is everybody's."""
    request_id = await draft(system)
    question = "[name='answers.question']"
    async with two_tabs(portal, system.requester, f"/requests/{request_id}/edit") as (here, there):
        await there.fill(question, "Écrit là-bas")
        await expect(there.locator("[data-save-status]")).to_contain_text("Enregistré à")
        await here.fill(question, "Écrit ici")
        await expect(here.locator("#conflict")).to_contain_text("Écrit là-bas")
        await expect(here.locator("#conflict")).to_contain_text("Écrit ici")
        await here.click("[data-keep]")
        await expect(here.locator("[data-save-status]")).to_contain_text("Enregistré à")
        assert (await system.requester.view(request_id))["answers"]["question"] == "Écrit ici"

        await there.fill(question, "Écrit là-bas encore")
        await expect(there.locator("#conflict")).to_contain_text("Écrit ici")
        await there.click("[data-discard]")
        await expect(there.locator(question)).to_have_value("Écrit ici")
        await expect(there.locator("#conflict > *")).to_have_count(0)
        assert (await system.requester.view(request_id))["answers"]["question"] == "Écrit ici"


async def test_a_draft_is_submitted_in_one_tab_and_written_on_in_the_other(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with two_tabs(portal, system.requester, f"/requests/{request_id}/edit") as (here, there):
        await press(there, "Soumettre la demande")
        await done(there, "La demande est soumise")
        await here.fill("[name='answers.question']", "Trop tard")
        await expect(here.locator("[data-save-status]")).to_contain_text("Non enregistré")
        await expect(here.locator("[name='answers.question']")).to_have_value("Trop tard")
    assert (await system.requester.view(request_id))["answers"]["question"] != "Trop tard"


async def test_a_report_in_two_tabs(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with two_tabs(portal, system.provider, f"/requests/{request_id}/report") as (here, there):
        await findings(there).fill("Écrit là-bas")
        await expect(there.locator("#saved")).to_contain_text("Enregistré à")
        await findings(here).fill("Écrit ici")
        await expect(here.locator("#overtaken")).to_be_visible()
        assert (await report(system, request_id))["findings"] == "Écrit là-bas"
        await here.locator("#overtaken [data-act=keep]").click()
        await expect(here.locator("#saved")).to_contain_text("Enregistré à")
        assert (await report(system, request_id))["findings"] == "Écrit ici"

        await findings(there).fill("Écrit là-bas encore")
        await expect(there.locator("#overtaken")).to_be_visible()
        await there.locator("#overtaken [data-act=load]").click()
        await expect(findings(there)).to_have_value("Écrit ici")
        assert (await report(system, request_id))["findings"] == "Écrit ici"


async def test_a_report_is_signed_as_it_was_reviewed(portal: Portal, system: System) -> None:
    """While one tab asks for the signature, the other writes on: what was not read again is not signed."""
    request_id = await accepted(system)
    await written(system, request_id)
    async with two_tabs(portal, system.provider, f"/requests/{request_id}/report") as (here, there):
        await press(there, "Continuer vers la signature")
        await there.wait_for_url("**/report/sign")
        await findings(here).fill("Changé après la relecture")
        await expect(here.locator("#saved")).to_contain_text("Enregistré à")
        await there.locator("input[name=kind][value=final]").check()
        await there.get_by_label("Mot de passe").fill(PASSWORD)
        await press(there, "Signer et soumettre")
        await expect(there.locator("#notice")).to_contain_text("modifié dans une autre fenêtre")
        await expect(there.locator(".told")).to_contain_text("Changé après la relecture")
        assert (await system.provider.view(request_id))["status"] == "accepted"
        await there.get_by_label("Mot de passe").fill(PASSWORD)
        await press(there, "Signer et soumettre")
        await done(there, "Le rapport est signé")
        await expect(here.locator("#state")).to_contain_text("ne peut plus être rédigé")
        await findings(here).fill("Trop tard")
        await expect(here.locator("#saved")).not_to_contain_text("Enregistré à")
        await expect(findings(here)).to_have_value("Trop tard")


async def test_two_accept_at_once(portal: Portal, system: System) -> None:
    """One gets it; the other is told, in a sentence."""
    request_id = await pooled(system)
    async with portal.visit(system.provider) as one, portal.visit(system.provider2) as two:
        for page in (one, two):
            await page.goto(f"/requests/{request_id}")
            await expect(page.get_by_role("button", name="Accepter")).to_be_visible()
        await asyncio.gather(
            *(page.get_by_role("button", name="Accepter").evaluate("button => button.click()") for page in (one, two))
        )
        said = []
        for page in (one, two):
            await expect(page.locator("#notice")).to_be_visible()
            said.append(await page.locator("#notice").inner_text())
        assert sum("Vous avez accepté la demande" in text for text in said) == 1, said
    assert (await names(system, system.dispatcher, request_id)).count("accepted") == 1


async def test_two_tabs_of_one_person_accept_at_once(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    async with two_tabs(portal, system.provider, f"/requests/{request_id}") as tabs:
        await asyncio.gather(
            *(page.get_by_role("button", name="Accepter").evaluate("button => button.click()") for page in tabs)
        )
        for page in tabs:
            await expect(
                page.locator("#notice").or_(page.get_by_role("link", name="Rédiger le rapport")).first
            ).to_be_visible()
    assert (await names(system, system.provider, request_id)).count("accepted") == 1


async def test_a_double_click_submits_once(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        await page.get_by_role("button", name="Soumettre la demande").dblclick()
        await done(page, "La demande est soumise")
    assert await names(system, system.requester, request_id) == ["submitted"]


async def test_a_double_click_asks_once(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}/request-information")
        await page.get_by_label("Votre question").fill("Depuis quand?")
        await page.locator("form.card button.button").dblclick()
        await done(page, "Votre question est envoyée")
    assert len((await system.provider.view(request_id))["questions"]) == 1


async def test_signed_out_in_one_tab_a_draft_survives_in_the_other(portal: Portal, system: System) -> None:
    request_id = await draft(system)
    async with two_tabs(portal, system.requester, f"/requests/{request_id}/edit") as (here, there):
        await press(there, "Se déconnecter")
        await there.wait_for_url("**/signin*")
        await here.fill("[name='answers.question']", "Écrit sans session")
        await expect(here.locator("[data-save-status]")).to_contain_text("votre session est fermée")
        assert (await system.requester.view(request_id))["answers"]["question"] != "Écrit sans session"
        await sign_in(there, system.requester)
        await expect(here.locator("[data-save-status]")).to_contain_text("Enregistré à")
        await expect(here.locator("[name='answers.question']")).to_have_value("Écrit sans session")
    assert (await system.requester.view(request_id))["answers"]["question"] == "Écrit sans session"


async def test_signed_out_in_one_tab_a_report_survives_in_the_other(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with two_tabs(portal, system.provider, f"/requests/{request_id}/report") as (here, there):
        await press(there, "Se déconnecter")
        await there.wait_for_url("**/signin*")
        await findings(here).fill("Écrit sans session")
        await expect(here.locator("#saved")).to_contain_text("votre session est fermée")
        await sign_in(there, system.provider)
        await expect(here.locator("#saved")).to_contain_text("Enregistré à")
        await expect(findings(here)).to_have_value("Écrit sans session")
    assert (await report(system, request_id))["findings"] == "Écrit sans session"


async def test_signed_out_before_a_question_is_sent(portal: Portal, system: System) -> None:
    """A plain form leads to signing in, also when that was done in the other tab; then what was written is still there."""
    request_id = await accepted(system)
    async with two_tabs(portal, system.provider, f"/requests/{request_id}/request-information") as (here, there):
        await here.get_by_label("Votre question").fill("Depuis quand saigne-t-elle?")
        await press(there, "Se déconnecter")
        await there.wait_for_url("**/signin*")
        await here.locator("form.card button.button").click()
        await expect(here.locator("#password")).to_be_visible()
        await sign_in(there, system.provider)
        await here.fill("#username", system.provider.account.username)
        await here.fill("#password", PASSWORD)
        await here.press("#password", "Enter")
        await expect(here.get_by_label("Votre question")).to_have_value("Depuis quand saigne-t-elle?")
        await here.locator("form.card button.button").click()
        await done(here, "Votre question est envoyée")
    assert len((await system.provider.view(request_id))["questions"]) == 1


async def test_back_to_a_page_that_is_stale(portal: Portal, system: System) -> None:
    """The button of a step that was done already does nothing a second time, and the page says where the request stands."""
    request_id = await assigned(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        await press(page, "Accepter")
        await done(page, "Vous avez accepté la demande")
        await page.goto(f"/requests/{request_id}/return-to-dispatch")
        await page.locator("textarea[name=comment]").fill("Hors de mon domaine.")
        await page.locator("form.card button.button").click()
        await page.wait_for_url(re.compile("/requests/"))
        await expect(page.locator("main")).to_contain_text("En attente de répartition")
        await page.go_back()
        await expect(page.locator("main")).to_contain_text(re.compile("ne peut plus|En attente de répartition"))
        again = page.locator("form.card button.button")
        if await again.count():
            await page.locator("textarea[name=comment]").fill("Encore.")
            await again.click()
            await expect(page.locator("#notice")).to_be_visible()
    happened = await names(system, system.dispatcher, request_id)
    assert (happened.count("accepted"), happened.count("returned_to_dispatch")) == (1, 1)
