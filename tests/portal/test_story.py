"""The guide's story, told by three people at once in a real browser: nobody reloads a page, and everybody sees what happened."""

import re

from playwright.async_api import FilePayload, Page, expect

from tests.journeys import assigned, somebody_new
from tests.portal.browsing import PHONE, Portal, sign_in
from tests.system import PASSWORD, System, photo


def picture(number: int, size: tuple[int, int] = (1200, 900)) -> FilePayload:
    """A photo as a file input takes it."""
    content = photo((size[0] + number, size[1]), "#a1724e")
    return {"name": f"IMG_{number}.jpg", "mimeType": "image/jpeg", "buffer": content}


async def press(page: Page, name: str) -> None:
    """Press the button or the link of that name."""
    pattern = re.compile(f"^{re.escape(name)}")
    await page.get_by_role("button", name=pattern).or_(page.get_by_role("link", name=pattern)).first.click()


async def done(page: Page, sentence: str) -> None:
    """The page says what was done."""
    await expect(page.locator("#notice")).to_contain_text(sentence)


async def write_request(page: Page, question: str) -> str:
    """A requester writes a request with three photos and submits it; its number."""
    await page.get_by_role("link", name="Nouvelle demande").first.click()
    await page.get_by_role("region", name="Télédermatologie").get_by_role("button").click()
    await page.wait_for_url("**/edit*")
    patient = somebody_new()
    for name in ("given_name", "family_name", "birth_date"):
        await page.locator(f"[name='patient.{name}']").fill(patient[name])
    await page.locator("[name='answers.question']").fill(question)
    for group in await page.locator("fieldset:has(legend .required)").all():
        choice = group.locator("input[type=radio], input[type=checkbox]").first
        if await choice.count():
            await choice.check()
    for selection in await page.locator("select[aria-required=true]").all():
        await selection.select_option(index=1)
    for area in await page.locator("textarea[aria-required=true], input[type=text][aria-required=true]").all():
        if not await area.input_value():
            await area.fill("Depuis un mois")
    await page.locator("form[data-upload] input[type=file]").first.set_input_files([picture(n) for n in range(3)])
    await expect(page.locator("main img")).to_have_count(3)
    await press(page, "Soumettre")
    await done(page, "La demande est soumise")
    return str(await page.locator("h1").inner_text())


async def tell_the_guides_story(portal: Portal, system: System) -> None:
    """From the question to the report that its requester has read, all of it by the pages."""
    async with (
        portal.visit() as requester,
        portal.visit() as dispatcher,
        portal.visit(size=PHONE) as provider,
    ):
        await sign_in(requester, system.requester)
        await sign_in(dispatcher, system.dispatcher)
        await sign_in(provider, system.provider)
        await dispatcher.goto("/worklist?filter=1&mine=1&sort=created")
        await provider.goto("/worklist?filter=1&mine=1&sort=created")
        number = await write_request(requester, "Cette lésion est-elle suspecte?")

        # The dispatcher's list shows it by itself; they assign it to the provider.
        await dispatcher.get_by_role("link", name=number).click()
        await dispatcher.get_by_role("link", name="Attribuer").first.click()
        await dispatcher.locator(f"input[name=to][value='provider:{system.provider.id}']").check()
        await press(dispatcher, "Attribuer")
        await done(dispatcher, "La demande est attribuée")

        # The provider's list shows it by itself; they look, ask, and the requester's page shows the question by itself.
        await provider.get_by_role("link", name=number).click()
        await expect(provider.get_by_text("Cette lésion est-elle suspecte?")).to_be_visible()
        await provider.get_by_role("link", name="Ajouter").click()
        await provider.get_by_label("Votre question").fill("Depuis quand saigne-t-elle?")
        await press(provider, "Ajouter")
        await done(provider, "Votre question est envoyée")

        await expect(requester.get_by_text("Depuis quand saigne-t-elle?").first).to_be_visible()
        await requester.get_by_role("link", name="Répondre").first.click()
        await requester.locator("[name=text]").fill("Depuis trois semaines; voir la photo.")
        await requester.locator("form[data-upload] input[type=file]").first.set_input_files([picture(9)])
        await expect(requester.locator("input[name=attachment_ids]")).to_have_count(1)
        await press(requester, "Envoyer la réponse")
        await done(requester, "Votre réponse est envoyée")

        # The answer is there; the provider accepts, writes and signs.
        await expect(provider.get_by_text("Depuis trois semaines; voir la photo.").first).to_be_visible()
        await press(provider, "Accepter")
        await done(provider, "Vous avez accepté la demande")
        await provider.get_by_role("link", name="Rédiger le rapport").click()
        for area in await provider.locator("textarea[aria-required=true]").all():
            await area.fill("Nævus banal, aucun suivi requis.")
        await press(provider, "Continuer vers la signature")
        await provider.wait_for_url("**/report/sign*")
        await provider.locator("input[name=kind][value=final]").check()
        await provider.get_by_label("Mot de passe").fill(PASSWORD)
        await press(provider, "Signer et soumettre")
        await done(provider, "Le rapport est signé")

        # The requester reads it without having done anything, and acknowledges.
        await expect(requester.get_by_text("Nævus banal, aucun suivi requis.").first).to_be_visible()
        await requester.get_by_role("link", name="Accuser réception").first.click()
        await requester.locator("input[name=advice_followed][value=yes]").check()
        await requester.locator("form:has([name=advice_followed]) button.button").click()
        await done(requester, "la demande est fermée")
        await expect(provider.locator(".status").first).to_have_text("Fermée")


async def test_returned_corrected_and_submitted_again(portal: Portal, system: System) -> None:
    async with portal.visit(system.requester) as requester, portal.visit(system.provider) as provider:
        await requester.goto("/worklist")
        number = await write_request(requester, "Mélanome?")
        request_id = requester.url.split("/requests/")[1].split("?")[0]
        answer = await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id})
        assert answer.status_code == 200
        await provider.goto(f"/requests/{request_id}")
        await provider.get_by_role("link", name="Retourner au demandeur").click()
        await provider.get_by_label("Soumission de demande incomplète").check()
        await provider.get_by_label("Explication pour la personne qui a fait la demande").fill(
            "Il manque l’âge de la lésion."
        )
        await press(provider, "Retourner au demandeur")
        await done(provider, "retournée à la personne qui l’a faite")

        await expect(requester.get_by_text("Il manque l’âge de la lésion.").first).to_be_visible()
        await requester.get_by_role("link", name="Modifier et soumettre à nouveau").click()
        await expect(requester.get_by_text("Il manque l’âge de la lésion.").first).to_be_visible()
        question = requester.locator("[name='answers.question']")
        await expect(question).to_have_value("Mélanome?")
        await question.fill("Mélanome? Apparue il y a un an.")
        await press(requester, "Soumettre à nouveau")
        await done(requester, "soumise à nouveau")

        await expect(provider.get_by_text("Apparue il y a un an.").first).to_be_visible()
        changes = provider.get_by_role("region", name="Modifié depuis le retour")
        await expect(changes).to_contain_text("Mélanome?")
        assert number in await provider.locator("h1").inner_text()


async def test_the_main_way_with_the_keyboard_alone(portal: Portal, system: System) -> None:
    """Sign in, find the request, accept it: Tab, Space and Enter only, with the focus always in view."""
    request_id = await assigned(system)
    number = (await system.requester.view(request_id))["number"]
    async with portal.visit() as page:
        await page.goto("/signin")
        await _tab_to(page, "username")
        await page.keyboard.type(system.provider.account.username)
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/worklist*")
        await page.goto("/worklist?filter=1&mine=1&sort=created")
        await _tab_to(page, number)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/requests/{request_id}")
        await _tab_to(page, "Accepter")
        await page.keyboard.press("Enter")
        await done(page, "Vous avez accepté la demande")


async def _tab_to(page: Page, wanted: str) -> None:
    """Press Tab until the focus is on what has this text or id; each stop on the way must be visible."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(
            """() => { const e = document.activeElement, box = e.getBoundingClientRect(), words = e.innerText || e.value;
               return {name: e === document.body ? '' : `${e.id} ${words || ''}`, seen: box.width > 0 && box.height > 0}; }"""
        )
        assert stop["seen"], stop
        if wanted in stop["name"]:
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")
