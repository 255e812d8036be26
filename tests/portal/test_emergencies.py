"""Access in an emergency in the portal, without scripts: turned on, opened by the number, read, ended; on a telephone as well."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from records import people
from tests.journeys import ok, reported
from tests.portal.browsing import Portal, overflow_and_barriers
from tests.system import PASSWORD, System

WHY = "Inconsciente à l’urgence; traitement inconnu."
SHOTS = os.environ.get("SHOTS")


@pytest.fixture(autouse=True)
async def off_again(system: System) -> AsyncIterator[None]:
    yield
    async with system.services.database.session() as session:
        clinic = await people.lock_clinic(session, system.clinics["near"].id)
        assert clinic is not None
        clinic.emergency = False


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
        assert await page.locator("#choices").count() == 0
        assert await page.get_by_text("Tout le dossier en un PDF").count() == 0
        answer = await page.goto(f"/requests/{request_id}")
        assert answer is not None
        assert answer.headers["refresh"].endswith("url=/emergency")
        view = await system.provider2.view(request_id)
        photo, report = view["attachments"][0]["id"], view["documents"][0]["report_id"]
        pages = [
            f"/requests/{request_id}",
            f"/requests/{request_id}/media/{photo}",
            f"/requests/{request_id}/documents/{report}",
            "/emergency",
        ]
        assert await overflow_and_barriers(portal, system.provider2, pages) == []
        for address in pages[1:3]:
            await page.goto(address)
            assert "Vous lisez ceci en urgence" in await page.inner_text("main")
        for address in ("edit", "report", "accept", "acknowledge", "patient", "accesses", "journal", "restrictions"):
            answer = await page.goto(f"/requests/{request_id}/{address}")
            assert answer is not None
            assert answer.status in (403, 404), address
        await _shoot(portal, system, pages)
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


async def _shoot(portal: Portal, system: System, addresses: list[str]) -> None:
    """Pictures of the pages, where somebody wants to look at them."""
    if SHOTS is None:
        return
    for width in (1366, 360):
        for language in ("fr", "en"):
            ok(await system.provider2.http.patch("/api/v1/me", json={"language": language}))
            async with portal.visit(system.provider2) as page:
                await page.set_viewport_size({"width": width, "height": 800})
                for number, address in enumerate(addresses):
                    await page.goto(address)
                    await page.screenshot(path=Path(SHOTS) / f"{number}-{width}-{language}.png", full_page=True)
    ok(await system.provider2.http.patch("/api/v1/me", json={"language": "fr"}))
