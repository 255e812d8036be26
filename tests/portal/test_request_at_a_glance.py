"""The page of a request: all that matters at one glance, and choices that open in it, as safe as on pages of their own."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Dialog, Page, ViewportSize, expect

from tests.journeys import accepted, assigned, ok, pooled, reported, submitted, written
from tests.portal.browsing import PHONE, Portal, barriers, hidden, shown, visitor
from tests.portal.test_every_page import asked
from tests.portal.test_story import done
from tests.system import PASSWORD, System

DESK: ViewportSize = {"width": 1366, "height": 768}

OUTSIDE = """wanted => [...document.querySelectorAll(wanted)].filter(e => e.checkVisibility()).filter(e => {
    const box = e.getBoundingClientRect();
    return box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth;
}).map(e => e.innerText || e.alt)"""
"""What of all that is wanted is not whole in the window."""

EVERYTHING = "h1, .patient-line, .now, .question, .looked-at li:nth-child(-n+3) img, #choices .act"


@pytest.mark.parametrize(
    ("who", "journey", "first", "count"),
    [
        ("provider", assigned, "Accepter", 6),
        ("provider", accepted, "Rédiger le rapport", 5),
        ("dispatcher", submitted, "Attribuer", 2),
        ("dispatcher", accepted, "Confier à quelqu’un d’autre", 1),
        ("requester", asked, "Répondre à la question", 4),
        ("requester", reported, "Accuser réception", 3),
    ],
)
async def test_everything_is_there_without_scrolling(
    portal: Portal, system: System, who: str, journey: Any, first: str, count: int
) -> None:
    request_id = await journey(system)
    person = system.people[who]
    page = await portal.look(person)
    await page.set_viewport_size(DESK)
    for language in ("en", "fr"):
        ok(await person.http.patch("/api/v1/me", json={"language": language}))
        await page.goto(f"/requests/{request_id}")
        assert (
            await page.evaluate(OUTSIDE, EVERYTHING if journey is not reported else "h1, .patient-line, #choices .act")
            == []
        )
    choices = page.locator("#choices .act")
    assert await choices.count() >= count
    assert (await choices.first.inner_text()).startswith(first)
    looks = await choices.evaluate_all("all => all.map(e => e.className.split(' ').pop())")
    assert looks == sorted(looks, key=["primary", "secondary", "danger"].index)
    assert looks.count("primary") == 1
    if journey is not reported:
        photo = await page.locator(".looked-at img").first.bounding_box()
        assert photo is not None
        assert photo["width"] >= 215


async def test_on_a_phone_the_main_choice_stays_in_view(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    async with portal.visit(system.provider, size=PHONE) as page:
        await page.goto(f"/requests/{request_id}")
        for end in ("0", "document.body.scrollHeight"):
            await page.evaluate(f"scrollTo(0, {end})")
            await expect(page.get_by_role("button", name="Accepter")).to_be_in_viewport(ratio=1)
        await page.get_by_role("link", name="Toutes les actions").click()
        await expect(page.get_by_role("link", name="Transférer")).to_be_in_viewport(ratio=1)
        await page.get_by_role("link", name="Ajouter").click()
        question = page.get_by_label("Votre question")
        await expect(question).to_be_in_viewport(ratio=1)
        await expect(question).to_be_focused()


async def ask(page: Page, request_id: str, text: str) -> None:
    """Open the form of a question beside the photos, and write into it."""
    await page.goto(f"/requests/{request_id}")
    await page.get_by_role("link", name="Ajouter").click()
    await page.get_by_label("Votre question").fill(text)


async def test_a_choice_opens_beside_the_photos_and_is_done_without_leaving_the_page(
    portal: Portal, system: System
) -> None:
    request_id = await accepted(system)
    loads: list[str] = []
    async with portal.visit(system.provider, size=DESK) as page:
        await ask(page, request_id, "Depuis quand saigne-t-elle?")
        page.on("load", lambda there: loads.append(there.url))
        assert (
            await page.evaluate(
                OUTSIDE, ".question, .looked-at li:nth-child(-n+3) img, #opened textarea, #opened .button"
            )
            == []
        )
        await page.locator("#opened .button").click()
        await done(page, "Votre question est envoyée")
        await expect(page.locator("#notice")).to_be_focused()
        await expect(page.locator(".message.open")).to_contain_text("Depuis quand saigne-t-elle?")
        await expect(page.locator("#opened")).to_be_hidden()
        await page.get_by_role("link", name="Retirer la question").click()
        await page.locator("#opened .button").click()
        await done(page, "La question est retirée")
        await page.get_by_role("link", name="Retourner en répartition").click()
        await page.locator("#opened .button").click()
        await expect(page.locator("#opened .notice.error")).to_be_focused()  # a comment is asked for
        await page.get_by_label("Commentaire pour l’équipe de répartition").fill("Hors de mon domaine.")
        await page.locator("#opened .button").click()
        await done(page, "de retour en répartition")
    assert loads == []
    assert (await system.requester.view(request_id))["status"] == "awaiting_dispatch"


async def test_what_happens_meanwhile_wipes_nothing_that_is_being_typed(portal: Portal, system: System) -> None:
    request_id = await pooled(system)
    async with portal.visit(system.provider2, size=DESK) as page:
        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Retourner au demandeur").click()
        await page.get_by_label("Soumission de demande incomplète").check()
        await page.get_by_label("Explication pour la personne qui a fait la demande").fill("Il manque une photo.")
        ok(
            await system.dispatcher.post(
                f"/requests/{request_id}/change-priority", {"priority": "urgent", "reason": "x"}
            )
        )
        await expect(page.locator(".badge.priority-urgent").first).to_be_visible()
        await expect(page.get_by_label("Explication pour la personne qui a fait la demande")).to_have_value(
            "Il manque une photo."
        )
        await expect(page.get_by_label("Explication pour la personne qui a fait la demande")).to_be_focused()
        await expect(page.get_by_label("Soumission de demande incomplète")).to_be_checked()
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        await expect(page.locator("#opened").get_by_text("Ce n’est plus possible.")).to_be_visible()
        await page.locator("#opened .button").click()
        await expect(page.locator("#opened .notice.error")).to_be_visible()
        await expect(page.get_by_label("Explication pour la personne qui a fait la demande")).to_have_value(
            "Il manque une photo."
        )
    assert (await system.requester.view(request_id))["status"] == "accepted"


async def test_a_question_that_meets_a_change_is_kept_and_sent_then(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider, size=DESK) as page:
        await ask(page, request_id, "Depuis quand?")
        ok(
            await system.requester.post(
                f"/requests/{request_id}/add-information", {"text": "Elle saigne.", "worse": False}
            )
        )
        await expect(page.get_by_text("Elle saigne.")).to_be_visible()
        await page.locator("#opened .button").click()
        await expect(page.locator("#opened .notice.error")).to_contain_text("a changé entre-temps")
        await page.locator("#opened .button").click()
        await done(page, "Votre question est envoyée")


async def test_without_a_connection_the_words_stay_and_are_sent_once(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider, size=DESK) as page:
        await ask(page, request_id, "Depuis quand?")
        await page.context.set_offline(True)
        for _again in range(2):
            await page.locator("#opened .button").click()
            await expect(page.locator("#opened [role=alert]")).to_contain_text("la connexion est perdue")
        await expect(page.get_by_label("Votre question")).to_have_value("Depuis quand?")
        await page.context.set_offline(False)
        await page.locator("#opened .button").click()
        await done(page, "Votre question est envoyée")
    assert len((await system.requester.view(request_id))["questions"]) == 1


async def test_who_was_signed_out_meanwhile_finds_their_words_again(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider, size=DESK) as page:
        await ask(page, request_id, "Depuis quand?")
        await page.context.clear_cookies()
        await page.locator("#opened .button").click()
        await page.locator("#username").fill(system.provider.account.username)
        await page.locator("#password").fill(PASSWORD)
        await page.press("#password", "Enter")
        await expect(page.get_by_label("Votre question")).to_have_value("Depuis quand?")
    assert (await system.requester.view(request_id))["questions"] == []


async def test_words_are_dropped_only_by_who_says_so(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    said: list[str] = []

    async def stay(dialog: Dialog) -> None:
        said.append(dialog.type)
        await dialog.dismiss()

    async with portal.visit(system.provider, size=DESK) as page:
        page.on("dialog", stay)
        await ask(page, request_id, "Depuis quand?")
        await page.keyboard.press("Escape")
        await page.locator("a.back").first.click()
        await expect(page.get_by_label("Votre question")).to_have_value("Depuis quand?")
        assert said == ["confirm", "beforeunload"]
        await page.get_by_label("Votre question").fill("")
        await page.keyboard.press("Escape")
        await expect(page.locator("#opened")).to_be_hidden()
        await expect(page.get_by_role("link", name="Ajouter")).to_be_focused()
        assert said == ["confirm", "beforeunload"]


async def test_a_long_history_is_folded_and_the_exchange_is_told_once(
    portal: Portal, portal_app: FastAPI, system: System
) -> None:
    request_id = await accepted(system)
    for number in range(20):
        priority = "urgent" if number % 2 == 0 else "routine"
        body = {"priority": priority, "reason": f"Raison {number}."}
        ok(await system.dispatcher.post(f"/requests/{request_id}/change-priority", body))
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    async with visitor(portal_app, system.provider) as http:
        text = shown(await http.get(f"/requests/{request_id}"))
        assert text.count("Depuis quand?") == 1
        assert all(f"Raison {number}." in text for number in range(20))
        assert re.search(r"Priorité modifiée \(20\)", text)
    async with portal.visit(system.provider, size=DESK) as page:
        await page.goto(f"/requests/{request_id}")
        history = page.get_by_role("region", name="Historique")
        box = await history.bounding_box()
        assert box is not None
        assert box["height"] < 800
        await history.get_by_text("Priorité modifiée (20)").click()
        await expect(history.get_by_text("Raison 7.")).to_be_visible()
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Et la douleur?"}))
        await expect(page.get_by_text("Et la douleur?")).to_be_visible()
        await expect(history.get_by_text("Raison 7.")).to_be_visible()  # what was unfolded stays so


async def test_keys_act_where_nobody_types_and_can_be_switched_off(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    number = (await system.requester.view(request_id))["number"]
    async with portal.visit(system.provider, size=DESK) as page:
        await page.goto(f"/worklist?filter=1&q={number}")
        await page.locator("#q").focus()
        await page.keyboard.press("j")
        await expect(page.locator("#q")).to_have_value(re.compile("j"))
        await page.goto(f"/worklist?filter=1&q={number}")
        await page.keyboard.press("j")
        await expect(page.get_by_role("link", name=number)).to_be_focused()
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/requests/{request_id}")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("Accepter la demande")
        await page.get_by_label("Utiliser ces touches").uncheck()
        await page.get_by_role("button", name="Fermer").click()
        await page.keyboard.press("a")
        await page.get_by_role("button", name="Raccourcis clavier").click()
        await page.get_by_label("Utiliser ces touches").check()
        assert await barriers(page) == []
        await page.keyboard.press("Escape")
        assert (await system.requester.view(request_id))["status"] == "awaiting_acceptance"
        await page.keyboard.press("a")
        await done(page, "Vous avez accepté la demande")
        await page.keyboard.press("r")
        await page.wait_for_url("**/report")


async def test_who_has_signed_goes_on_to_what_waits_next(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    await assigned(system)
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}/report/sign")
        assert "Suivante :" in shown(page)
        revision = re.search(r'name="revision" value="(\d+)"', page.text)
        assert revision
        body = {**hidden(page), "revision": revision[1], "kind": "final", "password": PASSWORD, "then": "next"}
        answer = await http.post(f"/requests/{request_id}/report/sign", data=body)
        assert answer.status_code == 303
        following = answer.headers["location"].removeprefix("/requests/").split("?")[0]
        assert following != request_id
        assert "Le rapport est signé" in shown(await http.get(answer.headers["location"]))
    assert (await system.provider.view(following))["todo"]


async def test_what_was_left_comes_back_when_the_choice_is_opened_again(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider, size=DESK) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        await ask(page, request_id, "Depuis quand?")
        await page.wait_for_function("Object.keys(localStorage).some((name) => name.startsWith('relais-typed'))")
        await page.goto("/worklist")
        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Ajouter").click()
        await expect(page.get_by_label("Votre question")).to_have_value("Depuis quand?")
        await page.keyboard.press("Escape")
        await page.get_by_role("link", name="Ajouter").click()
        await expect(page.get_by_label("Votre question")).to_have_value("")
        await page.get_by_label("Votre question").fill("Depuis combien de temps?")
        await page.locator("#opened .buttons .button").click()
        await done(page, "Votre question est envoyée")
        await page.get_by_role("link", name="Ajouter").click()
        await expect(page.get_by_label("Votre question")).to_have_value("")
