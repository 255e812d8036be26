"""The person's journal in the portal: from the list of who looked, or by a number, to the document; also without scripts."""

from playwright.async_api import expect

from tests.journeys import accepted, signed, somebody_new, written
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, overflow
from tests.system import System


async def of_somebody(system: System) -> str:
    """A reported request of a patient about whom nothing else is on file."""
    request_id = await accepted(system, patient=somebody_new())
    await written(system, request_id)
    await signed(system, request_id)
    return request_id


async def test_from_a_request_to_the_document(portal: Portal, system: System) -> None:
    request_id = await of_somebody(system)
    async with portal.visit(system.administrator) as page:
        await page.goto(f"/requests/{request_id}/accesses")
        await page.get_by_role("link", name="Journal des accès, pour la personne").click()
        await page.get_by_label("Premier jour").fill("2026-13-77")
        await page.get_by_role("button", name="Faire le journal").click()
        assert await page.get_by_label("Premier jour").input_value() == "2026-13-77"
        await page.get_by_label("Premier jour").fill("")
        await page.get_by_role("button", name="Faire le journal").click()
        document = page.get_by_role("link", name="Ouvrir le journal")
        await expect(document).to_be_visible()  # by itself, once it is made
        address = str(await document.get_attribute("href"))
        found = []
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            found += [f"{size['width']}: {barrier}" for barrier in await barriers(page)]
            found += [f"{size['width']}: too wide"] if await overflow(page) else []
        assert found == []
        answer = await page.request.get(address)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")


async def test_by_the_number_of_a_request_without_scripts(portal: Portal, system: System) -> None:
    request_id = await of_somebody(system)
    number = (await system.requester.view(request_id))["number"]
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/people")
        await page.get_by_role("link", name="Journal des accès").click()
        await page.get_by_label("Numéro de la demande").fill("TC-1999-000001")
        await page.get_by_role("button", name="Continuer").click()
        assert await page.get_by_label("Numéro de la demande").input_value() == "TC-1999-000001"
        await page.get_by_label("Numéro de la demande").fill(number.lower())
        await page.get_by_role("button", name="Continuer").click()
        assert number in await page.inner_text("main")
        assert await page.get_by_role("checkbox", name=number).is_disabled(), "it says who the person is"
        await page.get_by_role("button", name="Faire le journal").click()
        await expect(page.get_by_role("heading", name="Journal des accès")).to_be_visible()
        assert f"/requests/{request_id}/journals/" in page.url


async def test_others_have_no_such_page(portal: Portal, system: System) -> None:
    for who in (system.requester, system.operator):
        page = await portal.look(who)
        answer = await page.goto("/journals")
        assert answer is not None
        assert answer.status == 403
