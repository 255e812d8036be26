"""What the whole story costs the people in it: presses and pages that load, counted in a real browser, and held."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from tests.portal.browsing import PHONE, Portal, sign_in
from tests.portal.test_story import done, picture, press, write_request
from tests.system import PASSWORD, System

MOST_PRESSES = 42
MOST_LOADS = 26

EVERY_PRESS = "addEventListener('pointerdown', () => window.pressed(), true);"


@dataclass
class Cost:
    """Of the story so far, everybody together."""

    presses: int = 0
    loaded: list[str] = field(default_factory=list)
    """The addresses of the pages that loaded."""

    async def count(self, page: Page) -> None:
        """Count what this person does from now on."""

        def press_once() -> None:
            self.presses += 1

        def load_once(there: Page) -> None:
            self.loaded.append(urlsplit(there.url).path)

        await page.expose_function("pressed", press_once)
        await page.add_init_script(EVERY_PRESS)
        page.on("load", load_once)


async def send(page: Page) -> None:
    """Press the button of the form that is open."""
    await page.locator("main form:has(textarea) button.button:visible").first.click()


async def test_the_whole_story_of_four_people(portal: Portal, system: System) -> None:
    """A question, a transfer, three returns, two reports; everybody signs in first, and nobody reloads a page.

    The provider knows the keys for accepting and for writing a report, and passwords are sent with Enter.
    """
    cost = Cost()
    async with (
        portal.visit() as requester,
        portal.visit() as dispatcher,
        portal.visit() as provider,
        portal.visit(size=PHONE) as colleague,
    ):
        for page, who in (
            (requester, system.requester),
            (dispatcher, system.dispatcher),
            (provider, system.provider),
            (colleague, system.provider2),
        ):
            await cost.count(page)
            await sign_in(page, who)
        number = await write_request(requester, "Cette lésion est-elle suspecte?")
        cost.presses += 1  # a file is chosen by a press

        await opened(dispatcher, number)
        await assign(dispatcher, system.provider.id)

        await opened(provider, number)
        await provider.get_by_role("link", name="Ajouter").click()
        await provider.get_by_label("Votre question").fill("Depuis quand saigne-t-elle?")
        await send(provider)
        await done(provider, "Votre question est envoyée")

        await requester.get_by_role("link", name="Répondre").first.click()
        await requester.locator("[name=text]").fill("Depuis trois semaines; voir la photo.")
        await requester.locator("form[data-upload] input[type=file]").first.set_input_files([picture(9)])
        cost.presses += 1
        await expect(requester.locator("input[name=attachment_ids]")).to_have_count(1)
        await press(requester, "Envoyer la réponse")
        await done(requester, "Votre réponse est envoyée")

        await returned_and_corrected(provider, requester, "Apparue il y a un an.")

        await provider.get_by_role("link", name="Transférer").click()
        await provider.locator(f"input[name=provider_id][value='{system.provider2.id}']").check()
        await send(provider)
        await done(provider, "transférée à votre collègue")

        await opened(colleague, number)
        await colleague.get_by_role("link", name="Retourner en répartition").click()
        await colleague.get_by_label("Commentaire pour les répartiteurs").fill("Hors de mon domaine.")
        await send(colleague)
        await done(colleague, "de retour en répartition")

        await assign(dispatcher, system.provider.id)

        await returned_and_corrected(provider, requester, "Elle saigne.")
        await provider.keyboard.press("a")
        await done(provider, "Vous avez accepté la demande")

        await report(provider, "preliminary")
        await report(provider, "final")

        await requester.get_by_role("link", name="Accuser réception").first.click()
        await requester.locator("input[name=advice_followed][value=yes]").check()
        await send(requester)
        await done(requester, "la demande est fermée")
    assert cost.presses <= MOST_PRESSES
    assert len(cost.loaded) <= MOST_LOADS, cost.loaded


async def opened(page: Page, number: str) -> None:
    """Open the request from the list, until its scripts have run: who presses sooner gets a page of its own."""
    await page.get_by_role("link", name=number).click()
    await page.wait_for_url("**/requests/*")


async def assign(dispatcher: Page, provider_id: str) -> None:
    await dispatcher.get_by_role("link", name="Attribuer").first.click()
    await dispatcher.locator(f"input[name=to][value='provider:{provider_id}']").check()
    await send(dispatcher)
    await done(dispatcher, "La demande est attribuée")


async def returned_and_corrected(provider: Page, requester: Page, question: str) -> None:
    """Back to its requester, who writes the question anew and submits it again."""
    await provider.get_by_role("link", name="Retourner au demandeur").click()
    await provider.get_by_label("Soumission de demande incomplète").check()
    await provider.get_by_label("Explication pour le demandeur").fill("Il manque l’âge de la lésion.")
    await send(provider)
    await done(provider, "retournée au demandeur")
    await requester.get_by_role("link", name="Modifier et soumettre à nouveau").click()
    await requester.locator("[name='answers.question']").fill(question)
    await press(requester, "Soumettre à nouveau")
    await done(requester, "soumise à nouveau")
    await expect(provider.get_by_text(question).first).to_be_visible()


async def report(provider: Page, kind: str) -> None:
    """Write it, read it again, sign it."""
    await provider.keyboard.press("r")
    await provider.wait_for_url("**/report")
    for area in await provider.locator("textarea[aria-required=true]").all():
        await area.fill("Nævus banal, aucun suivi requis.")
    await press(provider, "Continuer vers la signature")
    await provider.wait_for_url("**/report/sign*")
    await provider.locator(f"input[name=kind][value={kind}]").check()
    await provider.get_by_label("Mot de passe").fill(PASSWORD)
    await provider.get_by_label("Mot de passe").press("Enter")
    await done(provider, "Le rapport est signé")
