"""Who has no role yet meets a page that says so, and an administrator sees it and may correct the rest."""

from uuid import uuid4

from playwright.async_api import expect

from domain.requests import Role
from tests.journeys import ok
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, sign_in, too_wide
from tests.portal.test_story import press
from tests.system import System, add_person, set_roles


async def test_they_are_told_that_they_have_none(portal: Portal, system: System) -> None:
    person = await add_person(system, f"bare_{uuid4().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    await set_roles(system, person)
    async with portal.visit(person) as own, portal.visit(system.administrator) as boss:
        for language, said in (("en", "You have no role in Relais yet."), ("fr", "Vous n’avez pas encore de rôle")):
            ok(await person.http.patch("/api/v1/me", json={"language": language}))
            for size in (PHONE, WIDE):
                await own.set_viewport_size(size)
                await own.goto("/worklist")
                await expect(own.get_by_text(said)).to_be_visible()
                assert [*await barriers(own), *await too_wide(own)] == []
        await expect(own.get_by_role("link", name="Nouvelle demande")).to_have_count(0)
        await own.goto("/account")
        await expect(own.get_by_text("Pas encore de rôle")).to_be_visible()
        await boss.goto("/people")
        await expect(boss.locator("tr", has_text=person.account.username)).to_contain_text("Pas encore de rôle")
        await boss.goto(f"/people/{person.id}")
        await boss.locator("[name=given_name]").fill("Zoé")
        await press(boss, "Enregistrer")
        await expect(boss.get_by_text("Enregistré.").first).to_be_visible()
    assert ok(await system.administrator.get(f"/accounts/{person.id}"))["roles"] == []


async def test_the_page_leads_on_once_they_have_one(portal: Portal, system: System) -> None:
    person = await add_person(system, f"bare_{uuid4().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    await set_roles(system, person)
    async with portal.visit() as page:
        await sign_in(page, person)
        await expect(page.get_by_text("Vous n’avez pas encore de rôle")).to_be_visible()
        ok(await system.administrator.http.patch(f"/api/v1/accounts/{person.id}", json={"roles": ["requester"]}))
        await page.goto("/worklist")
        await expect(page.get_by_role("link", name="Nouvelle demande").first).to_be_visible()
