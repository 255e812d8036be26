"""People over their whole life, in the portal: who runs a clinic needs no command line."""

import re
from dataclasses import replace
from uuid import uuid4

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from domain.requests import Role
from records import people
from tests.api.test_invitations import code_for, no_asks
from tests.api.test_people_of_clinics import newcomer
from tests.journeys import draft, ok, returned, submitted
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, hidden, shown, sign_in, too_wide, visitor
from tests.portal.test_story import done, press
from tests.system import Clinician, System, add_person

NEW = "quatre mots sans aucun lien"


async def fill(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        await page.locator(f"[name={name}]").fill(text)


async def test_a_doctor_is_invited_signs_a_report_and_loses_her_access_the_same_day(
    portal: Portal, system: System
) -> None:
    """By an administrator who has never seen Relais: everything is a page, and each leads to the next."""
    address, name = f"zoe-{uuid4().hex}@clinique.example.com", f"zoe.{uuid4().hex[:8]}"
    administrator = await add_person(system, "new_boss", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    request_id = await submitted(system)
    number = (await system.requester.view(request_id))["number"]
    async with (
        portal.visit() as boss,
        portal.visit(size=PHONE) as doctor,
        portal.visit(system.dispatcher) as dispatcher,
    ):
        await sign_in(boss, administrator)
        await press(boss, "Personnes")
        await press(boss, "Inviter quelqu’un")
        await fill(boss, title="Dre", given_name="Zoé", family_name="Kanapé", profession="Dermatologue", email=address)
        await boss.get_by_label("Fournisseur").check()
        await press(boss, "Envoyer l’invitation")
        voice = await boss.locator(".voice-code").inner_text()
        await press(boss, "C’est fait")
        await expect(boss.get_by_text("Pas encore acceptée")).to_be_visible()

        # The doctor follows the link on her phone, and is told the second code.
        await doctor.goto(f"/invitation/{await code_for(system, address)}")
        await expect(doctor.get_by_role("heading", name="Bienvenue, Zoé")).to_be_visible()
        await fill(doctor, voice_code=voice.lower(), username=name, password=NEW)
        await press(doctor, "Accepter et ouvrir une session")
        await done(doctor, "Bienvenue dans Relais")

        # She gets a request, answers it and signs.
        await dispatcher.goto(f"/requests/{request_id}/assign")
        await dispatcher.locator("label", has_text="Zoé Kanapé").locator("input[name=to]").check()
        await press(dispatcher, "Attribuer")
        await done(dispatcher, "La demande est attribuée")
        await doctor.get_by_role("link", name=number).first.click()
        await press(doctor, "Accepter")
        await done(doctor, "Vous avez accepté la demande")
        await doctor.get_by_role("link", name="Rédiger le rapport").click()
        for area in await doctor.locator("textarea[aria-required=true]").all():
            await area.fill("Nævus banal, aucun suivi requis.")
        await press(doctor, "Continuer vers la signature")
        await doctor.wait_for_url("**/report/sign*")
        await doctor.locator("input[name=kind][value=final]").check()
        await doctor.get_by_label("Mot de passe").fill(NEW)
        await press(doctor, "Signer et soumettre")
        await done(doctor, "Le rapport est signé")

        # The same day her access ends: her open page knows it by itself.
        await doctor.goto("/worklist")
        await boss.goto("/people")
        await boss.get_by_role("link", name="Dre Zoé Kanapé").last.click()
        await press(boss, "Cette personne part")
        await expect(boss.get_by_text("n’a aucune demande")).to_be_visible()
        await press(boss, "Mettre fin à l’accès maintenant")
        await done(boss, "ses sessions ont pris fin")
        for event in ("Invitation acceptée", "Accès terminé"):
            await expect(boss.get_by_text(event).first).to_be_visible()
        await expect(doctor).to_have_url(re.compile("/signin"))
        await fill(doctor, username=name, password=NEW)
        await doctor.press("#password", "Enter")
        await expect(doctor.locator("#notice")).to_contain_text("est incorrect")


async def test_who_takes_the_role_away_reads_what_stands_still(portal: Portal, system: System) -> None:
    """Before, on the page on which somebody leaves, and after; in both languages, at two widths."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"still-{uuid4().hex[:8]}", name="Clinique en plan")
    own = replace(system, people=dict(system.people), clinics={**system.clinics, "near": clinic})
    for name, role in (("requester", Role.REQUESTER), ("dispatcher", Role.DISPATCHER), ("provider", Role.PROVIDER)):
        await add_person(own, name, clinic, role)
    bosses = {
        language: await add_person(own, f"boss_{language}", clinic, Role.CLINIC_ADMINISTRATOR, language=language)
        for language in ("fr", "en")
    }
    await returned(own)
    await submitted(own)
    await draft(own)
    where = f"/people/{own.requester.id}"
    async with portal.visit(bosses["fr"]) as page:
        await page.goto(f"{where}/leave")
        await expect(page.get_by_text(re.compile(r"Demandes ouvertes\s: 2"))).to_be_visible()
        await page.goto(where)
        await expect(
            page.get_by_text(re.compile(r"ouvertes\s: 2 · à sa charge\s: 1 · brouillons\s: 1"))
        ).to_be_visible()
        await expect(page.get_by_text("reste en plan")).to_have_count(0)
        await press(page, "Verrouiller maintenant")
        await done(page, "verrouillé")
        await expect(page.get_by_text("reste en plan")).to_be_visible()
    for language, boss in bosses.items():
        page = await portal.look(boss)
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            await page.goto(where)
            await expect(page.get_by_text({"fr": "reste en plan", "en": "stands still"}[language])).to_be_visible()
            assert await barriers(page) == []
            assert await too_wide(page) == []


@pytest.mark.parametrize("signs", [True, False])
async def test_the_pages_of_links_have_no_barrier_and_tell_no_other_site(
    portal: Portal, portal_app: FastAPI, system: System, signs: bool
) -> None:
    role = Role.PROVIDER if signs else Role.REQUESTER
    wanted = {
        "given_name": "Zoé",
        "family_name": "Roy",
        "email": f"zoe-{uuid4().hex}@clinique.example.com",
        "language": "en" if signs else "fr",
        "roles": [role],
    }
    ok(await system.administrator.post("/invitations", wanted), 201)
    who = await newcomer(system, role)
    ok(await system.administrator.post(f"/accounts/{who.id}/password-help"))
    addresses = [
        f"/invitation/{await code_for(system, str(wanted['email']))}",
        f"/new-password/{await code_for(system, who.account.email)}",
    ]
    async with visitor(portal_app) as http:
        for address in addresses:
            answer = await http.get(address)
            assert answer.headers["referrer-policy"] == "strict-origin"
            assert answer.headers["cache-control"] == "no-store"
            assert ("Second code" in shown(answer)) is signs
            refused = await http.post(address, data={"password": "court", "username": "z", "voice_code": ""})
            assert 'href="#field-password"' in refused.text
            assert "court" not in shown(refused, 422)
            assert refused.headers["referrer-policy"] == "strict-origin"
            void = await http.get(f"{address}x")
            assert void.headers["referrer-policy"] == "no-referrer"
    page = await portal.look(None)
    for address in addresses:
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            await page.goto(address)
            assert await barriers(page) == []
            assert await too_wide(page) == []


async def test_a_forgotten_password_from_the_sign_in_page(portal: Portal, system: System) -> None:
    await no_asks(system)
    who = await newcomer(system, Role.REQUESTER)
    async with portal.visit() as page:
        await page.goto("/signin")
        await press(page, "Mot de passe oublié")
        await fill(page, username=who.account.email)
        await press(page, "Envoyer le lien")
        await done(page, "S’il existe un compte de ce nom")
        await page.goto(f"/new-password/{await code_for(system, who.account.email)}")
        await fill(page, password=NEW)
        await press(page, "Changer le mot de passe")
        await done(page, "Votre mot de passe est changé")
        await fill(page, username=who.account.username, password=NEW)
        await page.press("#password", "Enter")
        await page.wait_for_url("**/worklist*")


async def test_two_administrators_at_once_lose_nothing(portal_app: FastAPI, system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    path = f"/people/{who.id}"
    same = {"given_name": "Anne", "language": "fr", "email": who.account.email, "roles": "requester"}
    async with visitor(portal_app, system.administrator) as http:
        seen = hidden(await http.get(path))
        first = await http.post(path, data={**same, **seen, "family_name": "Gagnon"})
        assert first.headers["location"] == f"{path}?done=person_saved"
        late = await http.post(path, data={**same, **seen, "family_name": "Roy"})
        text = shown(late, 412)
        assert "Quelqu’un d’autre a changé ce compte" in text
        assert "Maintenant : Gagnon" in text
        assert 'value="Roy"' in late.text
        again = await http.post(path, data={**same, **hidden(late), "family_name": "Roy"})
        assert again.status_code == 303
    assert ok(await system.administrator.get(f"/accounts/{who.id}"))["family_name"] == "Roy"


async def test_the_pages_are_for_who_administers(portal_app: FastAPI, system: System) -> None:
    async with system.services.database.session() as session:
        far = await people.find_account(session, system.far_provider.account.username)
    assert far is not None

    async def answers(who: Clinician, *addresses: str) -> list[int]:
        async with visitor(portal_app, who) as http:
            return [(await http.get(address)).status_code for address in addresses]

    inside = f"/people/{system.provider.id}"
    everything = ["/people", "/people/invite", "/people/review", inside, f"{inside}/leave", f"/people/{far.id}"]
    assert await answers(system.requester, *everything) == [403] * 6
    assert await answers(system.administrator, *everything) == [200] * 5 + [404]
    assert await answers(system.operator, *everything) == [200] * 6


async def test_a_review_is_answered_on_its_page(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.administrator) as http:
        page = await http.get("/people/review")
        assert "Il n’y a aucun compte à revoir" in shown(page)
        who = await newcomer(system, Role.REQUESTER)
        answer = await http.post(f"/people/review/{who.id}", data={"do": "lock"})
        assert answer.headers["location"] == "/people/review?done=locked"
        refused = await http.post(f"/people/review/{who.id}", data={"do": "confirm"})
        assert "rouvrez-le d’abord" in shown(refused, 409)
        locked = shown(await http.get(f"/people/{who.id}"))
        assert re.search("Verrouillé .* Rouvrir", locked)


async def test_a_clinic_says_when_it_works(portal_app: FastAPI, system: System) -> None:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"hours-{uuid4().hex[:8]}", name="Clinique du Lac")
    admin = await newcomer(system, Role.CLINIC_ADMINISTRATOR, clinic=clinic)
    week = dict.fromkeys(("tue", "wed", "thu", "fri"), "08:00-12:00  13:00-17:00")
    form = {"name": "Clinique du Lac", "time_zone": "America/Toronto", "closing_days": "quebec_network", **week}
    async with visitor(portal_app, admin) as http:
        seen = hidden(await http.get("/clinic"))
        wrong = await http.post("/clinic", data={**form, **seen, "mon": "8h à 17h", "also_closed": "2 août"})
        text = shown(wrong, 422)
        assert "Les heures s’écrivent 08:00-12:00" in text
        assert 'href="#field-mon"' in wrong.text
        assert 'value="8h à 17h"' in wrong.text
        answer = await http.post("/clinic", data={**form, **seen, "mon": "", "also_closed": "2027-08-02\r\n2027-08-03"})
        assert answer.headers["location"] == "/clinic?done=clinic_saved"
        assert "Quand la clinique travaille" in shown(await http.get("/clinic"))
        late = await http.post("/clinic", data={**form, **seen, "mon": "08:00-12:00"})
        assert "Quelqu’un d’autre a changé la clinique" in shown(late, 412)
    calendar = ok(await admin.get(f"/clinics/{clinic.id}"))["calendar"]
    assert (calendar["week"][0], calendar["week"][1]) == ([], ["08:00-12:00", "13:00-17:00"])
    assert calendar["also_closed"] == ["2027-08-02", "2027-08-03"]
