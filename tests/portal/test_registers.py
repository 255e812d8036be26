"""The registers in the portal: an incident from its record to the texts to send, and communications, also without scripts."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from domain.calendar import day_of
from domain.requests import Role
from records.people import add_clinic
from tests.api.test_communications import answered_far
from tests.journeys import ok
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, overflow, shown, visitor
from tests.portal.page_forms import form_to
from tests.system import Clinician, System, add_person


@pytest.fixture
async def boss(system: System) -> Clinician:
    """An administrator of a clinic of which nobody else has anything."""
    async with system.services.database.session() as session:
        clinic = await add_clinic(session, code=f"own-{uuid4().hex[:8]}", name="Clinique du Registre")
    return await add_person(system, f"boss_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)


async def looked_at(page: Page) -> list[str]:
    found = []
    for size in (WIDE, PHONE):
        await page.set_viewport_size(size)
        found += [f"{size['width']}: {barrier}" for barrier in await barriers(page)]
        found += [f"{size['width']}: too wide"] if await overflow(page) else []
    return found


async def test_an_incident_from_its_record_to_the_texts(portal: Portal, boss: Clinician) -> None:
    today = str(day_of(datetime.now(UTC)))
    async with portal.visit(boss) as page:
        await page.goto("/people")
        await page.get_by_role("link", name="Incidents de confidentialité").click()
        await expect(page.get_by_text("Aucun incident n’est inscrit.")).to_be_visible()
        await page.get_by_role("link", name="Inscrire un incident").click()
        await page.get_by_label("Circonstances, en bref").fill("Un rapport est parti au mauvais télécopieur.")
        await page.get_by_role("button", name="Enregistrer").click()
        await expect(page.get_by_role("heading", name="Il y a un problème")).to_be_visible()
        assert "télécopieur" in await page.get_by_label("Circonstances, en bref").input_value()
        await page.get_by_label("Renseignements visés").fill("Le nom et la date de naissance.")
        await page.get_by_label("Quand la clinique en a pris connaissance").fill(today)
        await page.get_by_role("radio", name="Oui").check()
        await page.get_by_role("button", name="Enregistrer").click()
        owed = page.get_by_role("region", name="Reste à faire")
        for duty in ("Aviser le ministre", "Aviser la Commission", "Aviser les personnes", "Compléter le registre"):
            await expect(owed).to_contain_text(duty)
        assert await looked_at(page) == []
        incident = page.url.partition("?")[0]
        await page.get_by_role("link", name="Compléter ou corriger").click()
        assert await looked_at(page) == []
        await page.get_by_label("Avis au ministre").fill("demain")
        await page.get_by_role("button", name="Enregistrer").click()
        assert await page.get_by_label("Avis au ministre").input_value() == "demain"
        await page.get_by_label("Avis au ministre").fill(today)
        await page.get_by_role("button", name="Enregistrer").click()
        await expect(owed).not_to_contain_text("Aviser le ministre")
        await page.get_by_role("link", name="Version 1").click()
        await expect(page.get_by_text("Elle n’est plus en vigueur.")).to_be_visible()
        for name in ("Avis d’incident de confidentialité", "Lettre au sujet d’un incident"):
            await page.goto(incident)
            await page.get_by_role("link", name=name).click()
            await expect(page.locator(".said")).to_contain_text("[…]")
            assert await looked_at(page) == []
        await page.goto("/incidents")
        assert await looked_at(page) == []
        await page.get_by_role("button", name="En document scellé").click()
        document = page.get_by_role("link", name="Ouvrir le document")
        await expect(document).to_be_visible()  # by itself, once it is made
        assert await looked_at(page) == []
        answer = await page.request.get(str(await document.get_attribute("href")))
        assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")


async def test_communications_without_scripts(portal_app: FastAPI, system: System) -> None:
    request_id = await answered_far(system)
    number = (await system.requester.view(request_id))["number"]
    far = await add_person(system, f"far_{uuid4().hex[:6]}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    today = str(day_of(datetime.now(UTC)))
    async with visitor(portal_app, far) as http:
        page = shown(await http.get(f"/communications?number={number.lower()}"))
        assert "Rapport signé" in page
        assert "Clinique du Fleuve" in page
        assert "Requester" not in page
        assert "En tableau (CSV)" in page
        assert "Ces jours, en document scellé" in page
        said = {"nature": "Copie papier", "recipient": "La personne", "purpose": "Sa demande", "number": number}
        refused = await http.post("/communications/new", data={**said, "given_on": "x", "key": uuid4().hex})
        assert "Copie papier" in refused.text
        assert refused.status_code == 422
        other = await http.post(
            "/communications/new", data={**said, "given_on": today, "number": "TC-1999-000001", "key": uuid4().hex}
        )
        assert other.status_code == 422
        answer = await http.post("/communications/new", data={**said, "given_on": today, "key": uuid4().hex})
        assert answer.status_code == 303, answer.text
        assert "Copie papier" in shown(await http.get(f"/communications?number={number}&since={today}"))
        wrong = await http.get("/communications?since=2026-13-77")
        assert wrong.status_code == 422
        assert "2026-13-77" in wrong.text
        assert "En tableau (CSV)" not in wrong.text, "there is no telling which days are meant"
        table = await http.get(f"/communications.csv?number={number}")
        assert table.headers["content-type"].startswith("text/csv")
        assert "Copie papier" in table.text
        asked = await http.post("/registers/papers", data={"kind": "communications", "since": today})
        assert asked.status_code == 303
        assert (await http.post("/registers/papers", data={"kind": "other"})).status_code == 422


async def test_what_somebody_else_wrote_meanwhile_is_never_overwritten_unseen(
    portal_app: FastAPI, system: System, boss: Clinician
) -> None:
    """A page that is shown again for another reason keeps the version that it has shown; then what differs stands beside."""
    said = {"information": "Noms", "circumstances": "Un télécopieur", "aware_on": str(day_of(datetime.now(UTC)))}
    there = ok(await boss.post("/incidents", said), 201)
    address = f"/incidents/{there['id']}/edit"
    async with visitor(portal_app, boss) as http:
        form = {**form_to((await http.get(address)).text, address).as_shown, "cause": "Mon texte"}
        ok(await boss.http.put(f"/api/v1/incidents/{there['id']}", json={**said, "measures": "Leur mesure"}))
        again = await http.post(address, data={**form, "aware_on": "demain"})
        assert again.status_code == 422
        shown_again = form_to(again.text, address).as_shown
        assert shown_again["version"] == "1"
        changed = await http.post(address, data={**shown_again, "aware_on": said["aware_on"]})
        assert changed.status_code == 412
        assert "Leur mesure" in shown(changed, 412)
        assert "La version 2 est de" in shown(changed, 412)
        seen = form_to(changed.text, address).as_shown
        assert (seen["version"], seen["cause"], seen["measures"]) == ("2", "Mon texte", "")
        assert (await http.post(address, data={**seen, "measures": "Leur mesure"})).status_code == 303
    newest = ok(await boss.get(f"/incidents/{there['id']}"))
    assert (newest["version"], newest["incident"]["cause"], newest["incident"]["measures"]) == (
        *(3, "Mon texte", "Leur mesure"),
    )


async def test_a_request_that_is_named_twice_is_one(portal_app: FastAPI, system: System) -> None:
    number = (await system.requester.view(await answered_far(system)))["number"]
    said = {"information": "Noms", "circumstances": "Un télécopieur", "aware_on": str(day_of(datetime.now(UTC)))}
    async with visitor(portal_app, system.administrator) as http:
        for numbers, status in ((f"{number}, {number.lower()}", 303), (" ".join(f"X-{n}" for n in range(51)), 422)):
            answer = await http.post("/incidents/new", data={**said, "request_ids": numbers, "key": uuid4().hex})
            assert answer.status_code == status, answer.text
    assert "X-50" in answer.text


async def test_others_have_no_such_pages(portal_app: FastAPI, system: System) -> None:
    for who in (system.requester, system.provider, system.operator):
        async with visitor(portal_app, who) as http:
            for path in ("/incidents", "/incidents/new", "/incidents.csv", "/communications", "/communications/new"):
                assert (await http.get(path)).status_code == 403, path
