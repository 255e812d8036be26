"""The main way in a real browser that runs no scripts: four people, one request, from the draft to the acknowledged report."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.journeys import assigned, ok, reported, somebody_new, submitted
from tests.portal.browsing import Portal, sign_in
from tests.portal.test_story import done, picture, press
from tests.system import PASSWORD, Clinician, System


@asynccontextmanager
async def plain(portal: Portal, who: Clinician) -> AsyncIterator[Page]:
    """An empty page without scripts, signed in."""
    async with portal.visit(who, java_script_enabled=False) as page:
        yield page


async def test_the_requester_asks(portal: Portal, system: System) -> None:
    async with portal.visit(java_script_enabled=False) as page:
        await sign_in(page, system.requester)
        await page.get_by_role("link", name="Nouvelle demande").first.click()
        await page.get_by_role("region", name="Télédermatologie").get_by_role("button").click()
        await page.wait_for_url("**/edit?offering=*")
        request_id = page.url.split("/")[-2]

        # Too early: what is missing is said, and what was written stays.
        await page.locator("[name='answers.question']").fill("Cette lésion est-elle suspecte?")
        await press(page, "Soumettre la demande")
        await expect(page.locator("#notice")).to_contain_text("Photos : Il en faut au moins 3")
        await expect(page.locator("[name='answers.question']")).to_have_value("Cette lésion est-elle suspecte?")

        patient = somebody_new()
        for name in ("given_name", "family_name", "birth_date"):
            await page.locator(f"[name='patient.{name}']").fill(patient[name])
        await page.locator("[name='answers.body_sites'][value=back]").check()
        await page.locator("[name='answers.duration'][value=over-1-year]").check()
        await page.locator("#draft").get_by_role("button", name="Enregistrer").last.click()
        await done(page, "Enregistré")

        await page.locator("#slot-photos input[type=file]").set_input_files([picture(n) for n in range(3)])
        await page.locator("#slot-photos").get_by_role("button", name="Envoyer les fichiers").click()
        await done(page, "Le fichier est ajouté")
        await expect(page.locator("#slot-photos img")).to_have_count(3)
        await expect(page.locator("#check")).to_contain_text("Il ne manque rien")
        await expect(page.locator("[name='patient.given_name']")).to_have_value(patient["given_name"])
        await press(page, "Soumettre la demande")
        await done(page, "La demande est soumise")
        await expect(page.locator(".status").first).to_have_text("En attente de répartition")
    view = await system.requester.view(request_id)
    assert (view["status"], len(view["attachments"])) == ("awaiting_dispatch", 3)


async def test_a_photo_is_removed_and_another_refused(portal: Portal, system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    async with plain(portal, system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        wrong: FilePayload = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"Ceci n'est pas une photo."}
        await page.locator("#slot-photos input[type=file]").set_input_files([picture(1), wrong, picture(2)])
        await page.locator("#slot-photos").get_by_role("button", name="Envoyer les fichiers").click()
        await expect(page.locator("#notice")).to_contain_text("notes.jpg : Ce type de fichier")
        await expect(page.locator("#slot-photos img")).to_have_count(2)
        await page.locator("#slot-photos").get_by_role("button", name="Supprimer").first.click()
        await done(page, "Le fichier est supprimé")
        await expect(page.locator("#slot-photos img")).to_have_count(1)


async def test_the_dispatcher_assigns(portal: Portal, system: System) -> None:
    request_id = await submitted(system)
    number = (await system.requester.view(request_id))["number"]
    async with plain(portal, system.dispatcher) as page:
        await page.goto("/worklist")
        await page.locator("#q").fill(number)
        await press(page, "Afficher")
        await page.get_by_role("link", name=number).click()
        await page.get_by_role("link", name="Attribuer").first.click()
        await press(page, "Attribuer")  # nobody is chosen yet
        await expect(page.locator("#notice")).to_contain_text("Choisissez une personne")
        await page.locator(f"input[name=to][value='provider:{system.provider.id}']").check()
        await press(page, "Attribuer")
        await done(page, "La demande est attribuée")
    assert (await system.provider.view(request_id))["status"] == "awaiting_acceptance"


async def test_the_provider_asks_and_the_requester_answers(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    async with plain(portal, system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Ajouter").click()
        await page.get_by_label("Votre question").fill("Depuis quand saigne-t-elle?")
        await press(page, "Ajouter")
        await done(page, "Votre question est envoyée")
    async with plain(portal, system.requester) as page:
        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Répondre").first.click()
        await page.locator("form[data-upload] input[type=file]").set_input_files([picture(9)])
        await press(page, "Envoyer les fichiers")
        await done(page, "Le fichier est ajouté")
        await expect(page.locator("input[name=attachment_ids]")).to_be_checked()
        await page.locator("[name=text]").fill("Depuis trois semaines; voir la photo.")
        await press(page, "Envoyer la réponse")
        await done(page, "Votre réponse est envoyée")
    async with plain(portal, system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        exchange = page.locator("section:has(#exchange-title)")
        await expect(exchange).to_contain_text("Depuis trois semaines; voir la photo.")
        await expect(exchange.locator("img")).to_have_count(1)
        await exchange.locator("a:has(img)").click()
        await expect(page.locator("main img")).to_have_count(1)


async def test_the_provider_accepts_writes_and_signs(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    async with plain(portal, system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        await press(page, "Accepter")
        await done(page, "Vous avez accepté la demande")
        await page.get_by_role("link", name="Rédiger le rapport").click()
        areas = page.locator("textarea[aria-required=true]")
        assert await areas.count() > 1
        await areas.first.fill("Papule brune.")
        await press(page, "Enregistrer")
        await done(page, "Enregistré")
        await press(page, "Continuer vers la signature")
        await expect(page.locator("#missing")).to_be_visible()
        await page.locator("#missing a").first.click()
        for area in await areas.all():
            if not await area.input_value():
                await area.fill("Nævus banal, aucun suivi requis.")
        await press(page, "Continuer vers la signature")
        await page.wait_for_url("**/report/sign")
        await page.locator("input[name=kind][value=final]").check()
        await page.get_by_label("Mot de passe").fill("un autre mot de passe")
        await press(page, "Signer et soumettre")
        await expect(page.locator("#notice")).to_contain_text("mot de passe")
        await expect(page.locator("input[name=kind][value=final]")).to_be_checked()
        await page.get_by_label("Mot de passe").fill(PASSWORD)
        await press(page, "Signer et soumettre")
        await done(page, "Le rapport est signé")
        await expect(page.locator(".status").first).to_have_text("Rapport transmis")


async def test_the_requester_reads_and_acknowledges(portal: Portal, system: System) -> None:
    request_id = await reported(system)
    async with plain(portal, system.requester) as page:
        await page.goto(f"/requests/{request_id}")
        await expect(page.locator(".report-box")).to_contain_text("Rapport final")
        await page.get_by_role("link", name="Lire et vérifier").click()
        await expect(page.locator("#verdict-title")).to_have_text("La signature est valide")
        await page.go_back()
        await page.get_by_role("link", name="Accuser réception").first.click()
        await page.locator("input[name=advice_followed][value=yes]").check()
        await press(page, "Accuser réception")
        await done(page, "la demande est fermée")
        await expect(page.locator(".status").first).to_have_text("Fermée")
        await press(page, "Se déconnecter")
        await expect(page.locator("#notice")).to_contain_text("Votre session est fermée")


@pytest.mark.parametrize("command", ["transfer", "return-to-requester", "return-to-dispatch"])
async def test_the_providers_other_choices(portal: Portal, system: System, command: str) -> None:
    request_id = await assigned(system)
    async with plain(portal, system.provider) as page:
        await page.goto(f"/requests/{request_id}")
        await page.locator(f"a[href$='/{command}']").click()
        send = page.locator("form[method=post].card button.button")
        await send.click()  # says what is missing
        await expect(page.locator("#notice.error")).to_be_visible()
        for area in await page.locator("form.card textarea").all():
            await area.fill("Voici pourquoi.")
        for radio in await page.locator("form.card input[type=radio]").all():
            await radio.check()
        await send.click()
        await page.wait_for_url(f"**/requests/{request_id}?done=*")
        await expect(page.locator("#notice.success")).to_be_visible()
