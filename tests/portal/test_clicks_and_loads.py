"""What the whole story costs the people in it: presses and pages that load, counted in a real browser, and held.

In Chromium, or where RELAIS_TEST_BROWSER says so in Firefox or WebKit (`make story`: in all three, one after the other).
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import ViewportSize

from tests.journeys import somebody_new
from tests.portal.browsing import PHONE, WIDE, Portal
from tests.portal.hands import Hands, PlaywrightHands, WebKitHands
from tests.portal.test_story import picture
from tests.portal.web_driver import display, window
from tests.system import PASSWORD, Clinician, System

MOST_PRESSES = 42
MOST_LOADS = 26

BROWSER = os.environ.get("RELAIS_TEST_BROWSER", "chromium")

HandsOf = Callable[[ViewportSize], AbstractAsyncContextManager[Hands]]
"""Somebody new at a browser with a window of this size."""

SEND = "main form:has(textarea) button.button"
"""The button of the form that is open."""

FIRST_CHOICES = """[...document.querySelectorAll("fieldset:has(legend .required)")]
    .map(asked => asked.querySelector("input[type=radio], input[type=checkbox]")).filter(choice => choice)
    .map(choice => `[name="${choice.name}"][value="${choice.value}"]`)"""

EMPTY_TEXTS = """[...document.querySelectorAll("textarea[aria-required=true], input[type=text][aria-required=true]")]
    .filter(field => !field.value).map(field => `[name="${field.name}"]`)"""


@pytest.fixture
async def hands_of(portal: Portal, tmp_path: Path) -> AsyncIterator[HandsOf]:
    """People at the browser that is asked for."""

    @asynccontextmanager
    async def with_playwright(size: ViewportSize) -> AsyncIterator[Hands]:
        async with portal.visit(size=size) as page:
            yield PlaywrightHands(page)

    if BROWSER != "webkit":
        yield with_playwright
        return

    @asynccontextmanager
    async def at_webkit(size: ViewportSize) -> AsyncIterator[Hands]:
        async with window(screen, tmp_path, **size) as driver:
            yield WebKitHands(driver, portal.address, tmp_path)

    async with display() as screen:
        yield at_webkit


async def test_the_whole_story_of_four_people(
    hands_of: HandsOf, pages_loaded: list[str], system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """A question, a transfer, three returns, two reports; everybody signs in first, and nobody reloads a page.

    The provider knows the keys for accepting and for writing a report, and passwords are sent with Enter.
    """
    pages_loaded.clear()
    async with AsyncExitStack() as there:
        requester, dispatcher, provider = [await there.enter_async_context(hands_of(WIDE)) for _ in range(3)]
        colleague = await there.enter_async_context(hands_of(PHONE))
        people = (requester, dispatcher, provider, colleague)
        for hands, who in zip(
            people, (system.requester, system.dispatcher, system.provider, system.provider2), strict=True
        ):
            await sign_in(hands, who)
        number = await write_request(requester, "Cette lésion est-elle suspecte?")

        await opened(dispatcher, number)
        await assign(dispatcher, system.provider.id)

        await opened(provider, number)
        await give(provider, "request-information", "Votre question est envoyée", text="Depuis quand saigne-t-elle?")

        await requester.press("a[href*='/answer']", "Répondre")
        await requester.comes_to("/answer")
        await requester.fill("[name=text]", "Depuis trois semaines; voir la photo.")
        await requester.give("form[data-upload] input[type=file]", [picture(9)])
        await requester.sees("#files img")
        await requester.press("button[form=answer]", "Envoyer la réponse")
        await requester.sees("#notice", "Votre réponse est envoyée")

        await returned_and_corrected(provider, requester, "Apparue il y a un an.")

        colleague_in_list = f"input[name=provider_id][value='{system.provider2.id}']"
        await give(provider, "transfer", "transférée à votre collègue", choice=colleague_in_list)

        await opened(colleague, number)
        await give(colleague, "return-to-dispatch", "de retour en répartition", comment="Hors de mon domaine.")

        await assign(dispatcher, system.provider.id)

        await returned_and_corrected(provider, requester, "Elle saigne.")
        await provider.key("a")
        await provider.sees("#notice", "Vous avez accepté la demande")

        await report(provider, "preliminary")
        await report(provider, "final")

        followed = "input[name=advice_followed][value=yes]"
        await give(requester, "acknowledge", "la demande est fermée", choice=followed)
        presses = sum(hands.presses for hands in people)
    with capsys.disabled():
        sys.stdout.write(f"\n{BROWSER}: {presses} presses, {len(pages_loaded)} pages\n")
    assert presses <= MOST_PRESSES
    assert len(pages_loaded) <= MOST_LOADS, pages_loaded


async def sign_in(hands: Hands, who: Clinician) -> None:
    await hands.go("/signin")
    await hands.fill("#username", who.account.username)
    await hands.fill("#password", PASSWORD)
    await hands.key("Enter")
    await hands.comes_to("/worklist")


async def write_request(hands: Hands, question: str) -> str:
    """With three photos; its number."""
    await hands.press("nav a[href='/new']")
    await hands.press("button[name=offering][value=teledermatology]")
    await hands.comes_to("/edit")
    patient = somebody_new()
    for name in ("given_name", "family_name", "birth_date"):
        await hands.fill(f"[name='patient.{name}']", patient[name])
    await hands.fill("[name='answers.question']", question)
    for choice in await hands.ask(FIRST_CHOICES):
        await hands.press(choice)
    for field in await hands.ask(EMPTY_TEXTS):
        await hands.fill(field, "Depuis un mois")
    await hands.give("form[data-upload] input[type=file]", [picture(n) for n in range(3)])
    await hands.sees("main li:nth-of-type(3) img")
    await hands.press("button[name=do][value=submit]")
    await hands.sees("#notice", "La demande est soumise")
    return str(await hands.ask("document.querySelector('h1').innerText"))


async def opened(hands: Hands, number: str) -> None:
    """Open the request from the list, until its scripts have run: who presses sooner gets a page of its own."""
    await hands.press("main a", number)
    await hands.comes_to("/requests/")


async def give(hands: Hands, command: str, done: str, *, choice: str = "", **texts: str) -> None:
    """A command, by the form that opens in the page; until the page says that it is done."""
    await hands.press(f"a[href$='/{command}']")
    if choice:
        await hands.press(choice)
    for name, text in texts.items():
        await hands.fill(f"#opened [name={name}]", text)
    await hands.press(SEND)
    await hands.sees("#notice", done)


async def assign(dispatcher: Hands, provider_id: str) -> None:
    to = f"input[name=to][value='provider:{provider_id}']"
    await give(dispatcher, "assign", "La demande est attribuée", choice=to)


async def returned_and_corrected(provider: Hands, requester: Hands, question: str) -> None:
    """Back to its requester, who writes the question anew and submits it again."""
    why = "input[name=reason][value=incomplete_submission]"
    await give(
        provider,
        "return-to-requester",
        "retournée à la personne qui l’a faite",
        choice=why,
        text="Il manque l’âge de la lésion.",
    )
    await requester.press("a[href*='/edit']", "Modifier et soumettre à nouveau")
    await requester.comes_to("/edit")
    await requester.fill("[name='answers.question']", question)
    await requester.press("button[name=do][value=resubmit]")
    await requester.sees("#notice", "soumise à nouveau")
    await provider.sees("main .question", question)


async def report(provider: Hands, kind: str) -> None:
    """Write it, read it again, sign it."""
    await provider.key("r")
    await provider.comes_to("/report")
    for field in await provider.ask(EMPTY_TEXTS):
        await provider.fill(field, "Nævus banal, aucun suivi requis.")
    await provider.press("main button", "Continuer vers la signature")
    await provider.comes_to("/report/sign")
    await provider.press(f"input[name=kind][value={kind}]")
    await provider.fill("[name=password]", PASSWORD)
    await provider.key("Enter")
    await provider.sees("#notice", "Le rapport est signé")
