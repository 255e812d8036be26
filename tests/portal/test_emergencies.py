"""Access in an emergency in the portal, without scripts: turned on, opened by the number, read, ended; on a telephone as well."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from playwright.async_api import Response, Route, expect
from sqlalchemy import delete, select

from domain.audit import Act
from domain.requests import Role
from records import people
from records.models import AuditEntry, Guesses
from tests.api.test_emergencies import opened, turned
from tests.api.test_second_factor import enrolled_person
from tests.eventually import eventually
from tests.journeys import ok, reported, submitted
from tests.portal.browsing import Portal, overflow_and_barriers
from tests.portal.test_live import listening
from tests.portal.test_passkeys import add_passkey, give_code, give_password, with_authenticator
from tests.system import PASSWORD, Clinician, System, add_person, hasty

WHY = "Inconsciente à l’urgence; traitement inconnu."


@pytest.fixture(autouse=True)
async def off_again(system: System) -> AsyncIterator[None]:
    yield
    await turned(system, "near", on=False)


async def pages_of(system: System, request_id: str) -> list[str]:
    """The addresses of a request's page, of a photo's and of a signed document's, for who reads it in an emergency."""
    view, path = await system.provider2.view(request_id), f"/requests/{request_id}"
    photo, report = view["attachments"][0]["id"], view["documents"][0]["report_id"]
    return [path, f"{path}/media/{photo}", f"{path}/documents/{report}"]


async def test_a_request_is_read_in_an_emergency(portal: Portal, system: System) -> None:
    request_id = await reported(system)
    number = (await system.requester.view(request_id))["number"]
    async with portal.visit(system.provider2, java_script_enabled=False) as page:
        await page.goto(f"/worklist?filter=1&status=all&q={number}")
        await page.get_by_role("link", name="Accès en urgence").click()
        assert "n’a pas permis l’accès en urgence" in await page.inner_text("main")
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/people")
        await page.get_by_role("link", name="Accès en urgence").click()
        await page.get_by_role("link", name="Permettre ou non").click()
        await page.get_by_label("Une demande peut-elle être ouverte en urgence?").select_option("yes")
        await page.get_by_role("button", name="Enregistrer").click()
        assert "Accès en urgence" in await page.inner_text("main")
    async with portal.visit(system.provider2, java_script_enabled=False) as page:
        await page.goto("/emergency")
        await page.get_by_label("Numéro de la demande").fill(number)
        await page.get_by_label("Motif").fill(WHY)
        await page.get_by_label("Votre mot de passe").fill("faux")
        await page.get_by_role("button", name="L’ouvrir pour la lire").click()
        assert await page.locator("#error-password").count() == 1
        assert await page.get_by_label("Motif").input_value() == WHY, "nothing that was written is lost"
        await page.get_by_label("Votre mot de passe").fill(PASSWORD)
        await page.get_by_label("Numéro de la demande").fill("TC-2026-999999")
        await page.get_by_role("button", name="L’ouvrir pour la lire").click()
        assert await page.locator("#error-number").count() == 1
        await page.get_by_label("Numéro de la demande").fill(number)
        await page.get_by_label("Votre mot de passe").fill(PASSWORD)
        assert await overflow_and_barriers(portal, system.provider2, ["/emergency"]) == []
        await page.get_by_role("button", name="L’ouvrir pour la lire").click()
        shown = await page.inner_text("main")
        assert "Vous lisez ceci en urgence" in shown
        assert "Tremblay" in shown
        assert re.search(r"à l’administration ou à l’exploitation\s*: [1-9]", shown), "it is said how many are told"
        assert await page.locator("#choices").count() == 0
        assert await page.get_by_text("Tout le dossier en un PDF").count() == 0
        opening_id = (await system.provider2.view(request_id))["emergency"]["opening_id"]
        answer = await page.goto(f"/requests/{request_id}")
        assert answer is not None
        assert answer.headers["refresh"].endswith(f"url=/emergency?over={opening_id}")
        pages = [*await pages_of(system, request_id), "/emergency"]
        assert await overflow_and_barriers(portal, system.provider2, pages) == []
        for address in pages[1:3]:
            await page.goto(address)
            assert "Vous lisez ceci en urgence" in await page.inner_text("main")
        for address in ("edit", "report", "accept", "acknowledge", "patient", "accesses", "journal", "restrictions"):
            answer = await page.goto(f"/requests/{request_id}/{address}")
            assert answer is not None
            assert answer.status in (403, 404), address
        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("button", name="Y mettre fin maintenant").click()
        assert "L’accès a pris fin." in await page.inner_text("main")
        answer = await page.goto(f"/requests/{request_id}")
        assert answer is not None
        assert answer.status == 404
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/emergency")
        assert WHY in await page.inner_text("main")
        await page.goto(f"/requests/{request_id}/accesses")
        assert "en urgence" in await page.inner_text("main")
    openings = (await system.administrator.get("/emergency-openings")).json()
    assert next(one for one in openings if one["number"] == number)["state"] == "ended"
    assert ok(await system.requester.get(f"/requests/{request_id}"))["emergency"] is None


async def test_open_pages_go_when_it_is_ended(portal: Portal, system: System) -> None:
    """The request's page, a photo's and a signed document's show nothing of it any more, without anybody pressing anything."""
    await turned_on(system)
    request_id = await reported(system)
    opening = await opened(system, system.provider2, request_id)
    view = await system.provider2.view(request_id)
    places = ("#request", "#media", "#document")
    addresses = await pages_of(system, request_id)
    async with portal.visit(system.provider2) as page:
        pages = [page, await page.context.new_page(), await page.context.new_page()]
        for one, place, address in zip(pages, places, addresses, strict=True):
            await one.goto(address)
            await expect(one.locator(place)).to_contain_text("Vous lisez ceci en urgence")
        ok(await system.administrator.post(f"/emergency-openings/{opening['id']}/end"))
        for one, place in zip(pages, places, strict=True):
            await one.bring_to_front()
            await expect(one.locator("#notice")).to_contain_text("a mis fin à votre accès")
            await expect(one.locator("#notice")).to_contain_text(view["number"])
            await expect(one.locator("#notice")).to_contain_text("collègue")
            assert urlsplit(one.url).path == "/emergency"
            await expect(one.locator(place)).to_have_count(0)
            assert "Tremblay" not in await one.content()
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == UUID(request_id), AuditEntry.kind == Act.REFUSED)
        refused = [entry.name for entry in await session.scalars(query) if str(entry.account_id) == system.provider2.id]
    assert refused == [], "that a page was open at the end is no try to see a request"


async def test_news_renew_neither_videos_nor_documents(portal: Portal, system: System) -> None:
    """A photo's page and a document's, read in an emergency, ask only whether that goes on; the request's is renewed."""
    await turned_on(system)
    request_id = await reported(system)
    opening = await opened(system, system.provider2, request_id)
    view, addresses = await system.provider2.view(request_id), await pages_of(system, request_id)
    path = addresses[0]
    async with portal.visit(system.provider2) as page:
        pages = [page, await page.context.new_page(), await page.context.new_page()]
        small = f"/emergency/{opening['id']}"
        asked: dict[str, list[tuple[str, int]]] = {address: [] for address in addresses}
        for one, address in zip(pages, addresses, strict=True):
            await one.goto(address)
            await one.evaluate("document.querySelector('main').firstElementChild.begun = true")
            one.on("response", noting(asked[address], {small, *addresses}))
        for one, address in zip(pages, addresses, strict=True):
            await one.bring_to_front()
            await one.evaluate("document.body.dispatchEvent(new CustomEvent('relais:changed', {bubbles: true}))")
            number = 2 if address == path else 1
            await eventually(partial(has_heard, asked[address], number))
            assert await one.evaluate("document.querySelector('main').firstElementChild.begun === true")
        assert asked == {
            path: [(small, 204), (path, 200)],
            addresses[1]: [(small, 204)],
            addresses[2]: [(small, 204)],
        }
    ok(await system.provider2.post(f"/emergency-openings/{opening['id']}/end"))
    async with portal.visit(system.provider2) as page:
        answer = await page.goto(small)
        assert answer is not None
        assert answer.status == 404
        await page.goto(f"/emergency?over={opening['id']}")
        await expect(page.locator("#notice")).to_contain_text("a pris fin")
    async with portal.visit(system.requester) as page:
        await page.goto(f"/emergency?over={opening['id']}")
        assert view["number"] not in await page.inner_text("main")


def has_heard(answers: list[tuple[str, int]], number: int) -> bool:
    return len(answers) >= number


def noting(answers: list[tuple[str, int]], paths: Collection[str]) -> Callable[[Response], None]:
    """Keeps what a browser got from these addresses."""

    def note(answer: Response) -> None:
        if (path := urlsplit(answer.url).path) in paths:
            answers.append((path, answer.status))

    return note


async def test_what_is_over_is_held_from_the_page(portal: Portal, system: System) -> None:
    """Also what its reader has just ended: an administrator has the button, and it is said until when it holds."""
    await turned_on(system)
    opening = await opened(system, system.provider2, await submitted(system))
    ok(await system.provider2.post(f"/emergency-openings/{opening['id']}/end"))
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/emergency")
        line = page.locator("#openings-title ~ ul > li", has_text=opening["number"])
        await line.get_by_role("button", name="Pas de nouveau pendant 24 h").click()
        assert "Pas de nouveau par la même personne avant le" in await line.inner_text()
        assert await line.get_by_role("button").count() == 0


async def test_operators_read_that_they_open_nothing(portal: Portal, system: System) -> None:
    who = await add_person(system, "emergency_op", system.clinics["near"], Role.OPERATOR, Role.PROVIDER)
    for language, told, not_told in (
        ("fr", "n’ouvre jamais de demande en urgence", "n’a pas permis"),
        ("en", "never opens a request in an emergency", "has not turned on"),
    ):
        ok(await who.http.patch("/api/v1/me", json={"language": language}))
        async with portal.visit(who, java_script_enabled=False) as page:
            await page.goto("/emergency")
            said = await page.inner_text("main")
            assert told in said
            assert not_told not in said


async def test_the_stream_of_a_page_ends_with_it(portal: Portal, system: System) -> None:
    await turned_on(system)
    request_id = await reported(system)
    opening = await opened(system, system.provider2, request_id)
    async with listening(portal, system.provider2, f"/events?request={request_id}", to_the_end=True) as heard:
        ok(await system.administrator.post(f"/emergency-openings/{opening['id']}/end"))
        await eventually(lambda: heard[-1:] == ["the end"])
    assert [line for line in heard if line.startswith("event")] == ["event: changed"]


async def test_nothing_of_restrictions_shows_to_who_reads_in_an_emergency(portal: Portal, system: System) -> None:
    """Also to an administrator of the clinic that asked, who is shut out by another role."""
    await turned_on(system)
    near = system.clinics["near"]
    both = await add_person(system, "emergency_both", near, Role.PROVIDER, Role.CLINIC_ADMINISTRATOR)
    request_id = await reported(system)
    body = {"clinic_id": str(near.id), "role": "provider", "reason": "Fini."}
    shut = ok(await system.administrator.post(f"/requests/{request_id}/restrictions", body), 201)
    opening = await opened(system, both, request_id)
    async with portal.visit(both, java_script_enabled=False) as page:
        await page.goto(f"/requests/{request_id}")
        shown = await page.inner_text("main")
        assert "Vous lisez ceci en urgence" in shown
        assert "estrein" not in shown
        assert await page.locator("a[href$='/restrictions']").count() == 0
    ok(await both.post(f"/emergency-openings/{opening['id']}/end"))
    ok(await system.administrator.post(f"/requests/{request_id}/restrictions/{shut['id']}/end", {"reason": "Fini."}))


@pytest.mark.usefixtures("only_in_chromium")
async def test_a_passkey_answers_for_what_is_written(portal: Portal, portal_app: FastAPI, system: System) -> None:
    await turned_on(system)
    who, _, codes = await enrolled_person(system, Role.PROVIDER)
    origin = f"http://localhost:{urlsplit(portal.address).port}"
    numbers = [(await system.requester.view(await submitted(system)))["number"] for _ in range(2)]
    with hasty(portal_app, public_url=origin):
        async with with_authenticator(portal, origin) as page:
            await give_password(page, who)
            await give_code(page, codes[0])
            await add_passkey(page, codes[1])
            await expect(page.locator("main")).to_contain_text("Téléphone")

            await page.goto("/emergency")
            await page.get_by_label("Numéro de la demande").fill(numbers[0])
            await page.get_by_label("Motif").fill(WHY)
            await page.get_by_label("Votre mot de passe").fill(PASSWORD)
            await page.route("**/emergency", in_place_of(numbers))
            await page.click("[data-passkey]")
            await expect(page.locator("#error-code")).to_have_count(1)
            await page.unroute("**/emergency")
            await page.get_by_label("Numéro de la demande").fill(numbers[0])
            await page.get_by_label("Votre mot de passe").fill(PASSWORD)
            await page.click("[data-passkey]")
            await expect(page.locator("main")).to_contain_text("Vous lisez ceci en urgence")
            await page.get_by_role("button", name="Y mettre fin maintenant").click()
    await who.http.aclose()


def in_place_of(numbers: list[str]) -> Callable[[Route], Awaitable[None]]:
    """Somebody on the way sends another number than the one that the passkey has answered for."""

    async def other(route: Route) -> None:
        sent = route.request.post_data or ""
        assert numbers[0] in sent
        await route.continue_(post_data=sent.replace(numbers[0], numbers[1]))

    return other


async def test_who_runs_relais_and_administers_saves_their_clinic(portal: Portal, system: System) -> None:
    """In a small clinic that is one person: they turn it on as its administrator, and save the page while it is on. An operator
    who is not is offered nothing that is refused.
    """
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"small-{uuid4().hex[:8]}", name="Petite")
    both = await add_person(system, "emergency_one", clinic, Role.OPERATOR, Role.CLINIC_ADMINISTRATOR)
    operator = await add_person(system, "emergency_runs", clinic, Role.OPERATOR)

    async def saved(who: Clinician, said: str | None, phone: str) -> None:
        async with portal.visit(who, java_script_enabled=False) as page:
            await page.goto("/clinic")
            if said is not None:
                await page.get_by_label("Une demande peut-elle être ouverte en urgence?").select_option(said)
            await page.get_by_label("Téléphone").fill(phone)
            await page.get_by_role("button", name="Enregistrer").click()
            await expect(page.locator("main .notice.error")).to_have_count(0)
            await expect(page.get_by_label("Téléphone")).to_have_value(phone)
        on_file = ok(await both.get(f"/clinics/{clinic.id}"))
        assert on_file["phone"] == phone

    async with portal.visit(operator, java_script_enabled=False) as page:
        await page.goto("/clinic")
        assert await page.locator("#field-emergency").count() == 0
        assert "Il n’est pas permis." in await page.inner_text("main")
    await saved(operator, None, "418 555-0001")
    await saved(both, "yes", "418 555-0002")
    assert ok(await both.get(f"/clinics/{clinic.id}"))["emergency"] is True
    await saved(both, None, "418 555-0003")
    await saved(operator, None, "418 555-0004")
    async with portal.visit(operator, java_script_enabled=False) as page:
        await page.goto("/clinic")
        assert "permis ou non : permis" in " ".join((await page.inner_text("main")).split())
    await saved(operator, "no", "418 555-0005")
    assert ok(await both.get(f"/clinics/{clinic.id}"))["emergency"] is False


async def turned_on(system: System) -> None:
    await turned(system, "near", on=True)
    async with system.services.database.session() as session:
        await session.execute(delete(Guesses))  # so that everybody may try
