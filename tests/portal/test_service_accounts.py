"""The systems of a clinic, in the portal: who runs a clinic lets one in, looks after it and locks it without a command line."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from fastapi import FastAPI
from joserfc.jwk import ECKey
from playwright.async_api import expect

from domain.calendar import day_of
from domain.requests import Role
from tests.journeys import draft, ok
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, hidden, shown, too_wide, visitor
from tests.portal.test_story import press
from tests.portal.typed_texts import not_known
from tests.system import System, add_person


def by_secret(app: FastAPI, secret: str, for_whom: str = "") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {secret}"} | ({"Relais-On-Behalf-Of": for_whom} if for_whom else {})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers)


async def test_a_system_is_let_in_and_locked_out_by_pages_alone(
    portal: Portal, portal_app: FastAPI, system: System
) -> None:
    boss = await add_person(system, "integrating_boss", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    name = f"Dossier {uuid4().hex[:6]}"
    page = await portal.look(boss)
    found: list[str] = []

    async def looked_at() -> None:
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            found.extend([*await barriers(page), *await too_wide(page)])
        await page.set_viewport_size(WIDE)

    await page.goto("/people")
    await press(page, "Systèmes de la clinique")
    await press(page, "Donner accès à un système")
    await page.fill("[name=name]", name)
    await press(page, "Créer le compte de service")
    await expect(page.locator(".wrong-text")).to_have_count(1)
    await looked_at()
    await page.fill("[name=purpose]", "Les rapports dans nos dossiers")
    await page.get_by_label("Lire les offres de service").check()
    await press(page, "Créer le compte de service")
    await expect(page.get_by_role("heading", name="Nouveau secret")).to_be_visible()
    secret = (await page.inner_text(".secret")).strip()
    await looked_at()
    async with by_secret(portal_app, secret) as http:
        assert (await http.get("/api/v1/offerings")).status_code == 200
        assert (await http.get("/worklist")).status_code == 403  # no page is for a system
    await press(page, "C’est fait")
    await page.select_option("[name=older]", "0")
    await press(page, "Nouveau secret")
    await expect(page.get_by_role("heading", name="Nouveau secret")).to_be_visible()
    newer = (await page.inner_text(".secret")).strip()
    await press(page, "C’est fait")
    await expect(page.get_by_role("heading", name="Secrets")).to_be_visible()
    await looked_at()
    async with by_secret(portal_app, secret) as http:
        assert (await http.get("/api/v1/offerings")).status_code == 401
    async with by_secret(portal_app, newer) as http:
        assert (await http.get("/api/v1/offerings")).status_code == 200
        await press(page, "Verrouiller maintenant")
        await expect(page.get_by_text("L’accès du système est fermé")).to_be_visible()
        assert (await http.get("/api/v1/offerings")).status_code == 401
    assert newer not in await page.content()
    text = await page.inner_text("main")
    assert [kind for kind in ("Compte de service créé", "Nouveau secret", "Verrouillé") if kind not in text] == []
    assert found == []


async def test_the_pages_are_for_who_administers_and_say_what_is_wrong(portal_app: FastAPI, system: System) -> None:
    body = {
        "name": f"Dossier {uuid4().hex[:6]}",
        "purpose": "Essai",
        "scopes": ["requests:read"],
        "expires_on": str(day_of(datetime.now(UTC)) + timedelta(days=20)),
    }
    given = ok(await system.administrator.post("/service-accounts", body), 201)
    address = f"/service-accounts/{given['service_account']['id']}"
    for who, statuses in ((system.requester, (403, 403, 403)), (system.administrator, (200, 200, 200))):
        async with visitor(portal_app, who) as http:
            answers = [await http.get(path) for path in ("/service-accounts", "/service-accounts/new", address)]
            assert tuple(answer.status_code for answer in answers) == statuses
    async with visitor(portal_app, system.administrator) as http:
        seen = await http.get(address)
        assert not_known(seen.text) == []
        assert re.search(r"Se termine bientôt", shown(seen))
        form = {**body, **hidden(seen), "expires_on": "demain", "purpose": "Autre chose"}
        wrong = await http.post(address, data=form)
        assert 'href="#field-expires_on"' in wrong.text
        assert "Autre chose" in wrong.text
        shown(wrong, 422)
        saved = await http.post(address, data={**form, "expires_on": body["expires_on"]})
        assert saved.headers["location"] == f"{address}?done=system_saved"
        late = await http.post(address, data={**form, "expires_on": body["expires_on"], "purpose": "Trop tard"})
        assert "Quelqu’un d’autre a changé ce compte" in shown(late, 412)
        taken = await http.post("/service-accounts/new", data={**form, "expires_on": body["expires_on"]})
        assert "porte ce nom" in shown(taken, 409)


async def test_a_key_is_registered_and_ended_on_the_page(portal_app: FastAPI, system: System) -> None:
    last = str(day_of(datetime.now(UTC)) + timedelta(days=20))
    new = {"name": f"Dossier {uuid4().hex[:6]}", "purpose": "Essai", "scopes": [], "expires_on": last}
    given = ok(await system.administrator.post("/service-accounts", new), 201)
    address = f"/service-accounts/{given['service_account']['id']}"
    key = ECKey.generate_key("P-384", private=True)
    async with visitor(portal_app, system.administrator) as http:
        seen = await http.get(address)
        assert "http://relais.test/api/v1/oauth/token" in shown(seen)
        for pasted, said in (
            ("pas une clé", "Une clé publique est attendue"),
            (json.dumps({**key.as_dict(private=True), "kid": "2027-a"}), "C’est une clé privée"),
        ):
            wrong = await http.post(f"{address}/keys", data={**hidden(seen), "jwk": pasted})
            assert said in shown(wrong, 422)
            assert 'href="#field-jwk"' in wrong.text
        public = json.dumps({**key.as_dict(private=False), "kid": "2027-a"})
        done = await http.post(f"{address}/keys", data={**hidden(seen), "jwk": public})
        assert done.headers["location"] == f"{address}?done=key_added"
        there = await http.get(address)
        assert re.search(r"2027-a ES384 .* jamais utilisé", shown(there))
        assert "Clé inscrite" in shown(there)
        [ending] = re.findall(rf'action="({address}/keys/[0-9a-f-]+/end)"', there.text)
        await http.post(ending, data=hidden(there))
        assert "Fin d’une clé" in shown(await http.get(address))


async def test_the_history_and_the_list_of_looks_name_system_and_person(portal_app: FastAPI, system: System) -> None:
    name = f"Dossier {uuid4().hex[:6]}"
    scopes = ["requests:submit", "requests:read"]
    last = str(day_of(datetime.now(UTC)) + timedelta(days=20))
    new = {"name": name, "purpose": "Essai", "scopes": scopes, "expires_on": last}
    secret = ok(await system.administrator.post("/service-accounts", new), 201)["secret"]
    request_id = await draft(system)
    async with by_secret(portal_app, secret, system.requester.id) as http:
        ok(await http.post(f"/api/v1/requests/{request_id}/submit"))
        ok(await http.get(f"/api/v1/requests/{request_id}"))
    person = (await system.requester.view(request_id))["requester"]["name"]
    async with visitor(portal_app, system.requester) as http:
        assert f"{name}, pour {person}" in shown(await http.get(f"/requests/{request_id}"))
        looks = shown(await http.get(f"/requests/{request_id}/accesses"))
        assert f"{name} pour {person} · Clinique du Fleuve Système de la clinique" in looks
