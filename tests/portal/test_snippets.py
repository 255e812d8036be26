"""Texts that are used again, where somebody writes: put in with a press, and never sent with a blank left."""

import re
from html import unescape

from fastapi import FastAPI
from playwright.async_api import expect

from tests.journeys import accepted, ok, reported
from tests.portal.browsing import Portal, hidden, shown, visitor
from tests.portal.test_story import done
from tests.system import System


async def test_a_text_is_written_used_and_its_blank_filled(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto("/account/texts")
        await page.get_by_label("Nom").fill("Depuis quand")
        await page.locator("#field-text").fill("Depuis quand la lésion du […] saigne-t-elle?")
        await page.get_by_label("Questions sur une demande").check()
        await page.get_by_role("button", name="Enregistrer le texte").click()
        await done(page, "Le texte est enregistré")

        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Ajouter").click()
        question = page.get_by_label("Votre question")
        await question.fill("Bonjour.")
        await page.locator("#opened .snippets summary").click()
        await page.get_by_role("button", name="Depuis quand").click()
        await expect(question).to_have_value("Bonjour. Depuis quand la lésion du […] saigne-t-elle?")
        await page.locator("#opened .buttons .button").click()
        await expect(page.locator("#opened .wrong-text")).to_contain_text("Un espace à remplir")
        await question.fill("")
        await page.locator("#opened .snippets summary").click()
        await page.get_by_role("button", name="Depuis quand").click()
        await page.keyboard.type("dos")
        await expect(question).to_have_value("Depuis quand la lésion du dos saigne-t-elle?")
        await page.locator("#opened .buttons .button").click()
        await done(page, "Votre question est envoyée")
        await page.goto("/account/texts")
        await page.get_by_role("button", name="Supprimer").first.click()
        await done(page, "Le texte est supprimé")


async def test_without_scripts_the_texts_stand_there_to_be_copied(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    text = {"name": "Photo floue", "text": "Photo floue: […].", "used_for": "return", "language": "fr"}
    kept = ok(await system.provider.http.put("/api/v1/me/snippets", json=text))
    async with visitor(portal_app, system.provider) as http:
        address = f"/requests/{request_id}/return-to-requester"
        page = await http.get(address)
        assert "Photo floue: […]." in shown(page)
        body = {**hidden(page), "reason": "incomplete_submission", "text": text["text"]}
        assert "Un espace à remplir" in shown(await http.post(address, data=body), 422)
        assert "Photo floue" not in shown(await http.get(f"/requests/{request_id}/request-information"))
    assert (await system.provider.http.delete(f"/api/v1/me/snippets/{kept['id']}")).status_code == 204


async def test_a_text_of_a_report_that_one_has_signed_can_be_kept(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    document = (await system.provider.view(request_id))["documents"][0]
    address = f"/requests/{request_id}/documents/{document['report_id']}"
    async with visitor(portal_app, system.provider) as http:
        links = re.findall(r'href="(/account/texts\?[^"]+)"', (await http.get(address)).text)
        assert links
        assert "Réponse: findings" in (await http.get(unescape(links[0]))).text
    for who in (system.requester, system.far_provider):
        async with visitor(portal_app, who) as http:
            page = await http.get(unescape(links[0]))
            assert (page.status_code == 404) == (who is system.far_provider)
