"""Texts of earlier reports, where the next one is written: put in with a press, after what is typed, if they may be read."""

import re

from fastapi import FastAPI
from playwright.async_api import expect

from tests.journeys import ok, reported, submitted
from tests.portal.browsing import Portal, hidden, shown, visitor
from tests.system import Clinician, System

FINDINGS = "Réponse: findings"


async def followed(system: System, by: Clinician) -> tuple[str, str]:
    """A request with a report of `provider`, and one that follows it, which `by` has accepted."""
    first = await reported(system)
    second = await submitted(system, earlier_id=first)
    ok(await system.dispatcher.post(f"/requests/{second}/assign", {"provider_id": by.id}))
    ok(await by.post(f"/requests/{second}/accept"))
    return first, second


async def looks(system: System, request_id: str) -> int:
    told = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    return [look["what"] for look in told].count("document")


async def test_a_text_of_the_report_before_is_put_in_with_a_press(portal: Portal, system: System) -> None:
    first, second = await followed(system, system.provider)
    before = await looks(system, first)
    async with portal.visit(system.provider) as page:
        for _ in range(2):
            await page.goto(f"/requests/{second}/report")
        assert await looks(system, first) == before + 1, "and it is written down, once"
        findings = page.locator("[id='field-answers.findings'] textarea, textarea[id='field-answers.findings']")
        await page.locator(".snippets summary").nth(1).click()
        insert = page.locator(f"button[data-insert='{FINDINGS}']")
        await insert.click()
        await expect(findings).to_have_value(FINDINGS)
        await findings.fill("Comme avant.")
        await findings.select_text()
        await insert.click()
        await expect(findings).to_have_value(f"Comme avant. {FINDINGS}")
        await expect(page.locator("#saved")).to_contain_text("Enregistré")


async def test_without_scripts_it_is_saved_with_what_was_typed(portal_app: FastAPI, system: System) -> None:
    _first, second = await followed(system, system.provider)
    address = f"/requests/{second}/report"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(address)
        press = re.search(rf'name="insert" value="([^"]+)"[^>]*data-insert="{FINDINGS}"', page.text)
        assert press
        names = ("key", "revision", "offering", "offering_version")
        kept = {name: re.findall(rf'name="{name}" value="([^"]*)"', page.text)[0] for name in names}
        typed = {**kept, "answers.findings": "Comme avant.", "answers.recommendations": "À suivre."}
        answer = await http.post(address, data={**typed, "insert": press[1]})
        assert answer.status_code == 303
        answers = ok(await system.provider.get(address))["answers"]
        assert answers["findings"] == f"Comme avant.\n\n{FINDINGS}"
        assert answers["recommendations"] == "À suivre."


async def test_an_addendum_goes_on_with_a_text_of_the_report(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    address = f"/requests/{request_id}/addendum"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(address)
        press = re.search(rf'name="insert" value="([^"]+)"[^>]*data-insert="{FINDINGS}"', page.text)
        assert press
        form = {**hidden(page), "text": "Correction:", "password": "geheim", "insert": press[1]}
        page = await http.post(address, data=form)
        assert f"Correction: {FINDINGS}" in shown(page)
        assert "geheim" not in page.text
    assert len((await system.provider.view(request_id))["documents"]) == 1


async def test_a_report_that_one_may_not_read_is_not_offered(portal_app: FastAPI, system: System) -> None:
    first, second = await followed(system, system.provider2)
    assert (await system.provider2.get(f"/requests/{first}")).status_code == 404
    async with visitor(portal_app, system.provider2) as http:
        page = (await http.get(f"/requests/{second}/report")).text
        assert 'name="answers.findings"' in page
        assert FINDINGS not in page
        assert 'name="insert"' not in page
