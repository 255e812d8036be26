"""Access is restricted in the portal, without scripts: from its own page, and what is typed stays when it is refused."""

from playwright.async_api import expect

from tests.journeys import accepted, ok, reported
from tests.portal.browsing import Portal, overflow_and_barriers
from tests.system import System

WHY = "La personne connaît ce médecin."


async def test_access_is_restricted_and_given_back(portal: Portal, system: System) -> None:
    request_id = await reported(system)
    number = (await system.requester.view(request_id))["number"]
    address = f"/requests/{request_id}/restrictions"
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto(f"/requests/{request_id}")
        assert "Accès restreint" not in await page.inner_text("main")
        await page.get_by_role("link", name="Restreindre l’accès").click()
        await page.get_by_label("Motif").fill(WHY)
        await page.get_by_role("button", name="Fermer").click()
        assert await page.get_by_label("Motif").input_value() == WHY, "nobody was chosen, and nothing is lost"
        assert await page.locator("#error-whom").count() == 1
        assert await page.locator(f"option[value='{system.requester.id}']").count() == 0, "who wrote it is not offered"
        await page.get_by_label("Personne ou rôle à exclure").select_option(system.provider.id)
        await page.get_by_role("button", name="Fermer").click()
        shown = await page.inner_text("main")
        assert WHY in shown
        assert "ne voit plus la demande" in shown
        assert await overflow_and_barriers(portal, system.administrator, [address]) == []

        await page.goto(f"/requests/{request_id}")
        await page.get_by_role("link", name="Accès restreint à la demande de la personne").click()
        await page.get_by_role("link", name="Lever la restriction").click()
        end = page.url
        await page.get_by_label("Motif").fill("  ")
        await page.get_by_role("button", name="Lever la restriction").click()
        assert await page.locator("#error-reason").count() == 1
        assert await overflow_and_barriers(portal, system.administrator, [end]) == []
        async with portal.visit(system.provider, java_script_enabled=False) as theirs:
            answer = await theirs.goto(f"/requests/{request_id}")
            assert answer is not None
            assert answer.status == 404
            await theirs.goto("/worklist?filter=1&status=all&sort=created")
            assert number not in await theirs.inner_text("main")
        await page.goto(end)
        await page.get_by_label("Motif").fill("Elle ne le souhaite plus.")
        await page.get_by_role("button", name="Lever la restriction").click()
        assert "La restriction est levée." in await page.inner_text("main")
    assert ok(await system.administrator.get(address))["restrictions"] == []
    assert (await system.provider.view(request_id))["access"] == "chart"


async def test_an_open_page_leaves_as_a_whole(portal: Portal, system: System) -> None:
    """Also its title, and the head of its sheets of paper, which nobody sees on the screen."""
    for page_of in ("", "/report"):
        request_id = await accepted(system)
        view = await system.requester.view(request_id)
        whom = {"account_id": system.provider.id, "reason": WHY}
        async with portal.visit(system.provider) as page:
            await page.goto(f"/requests/{request_id}{page_of}")
            assert view["patient"]["family_name"] in await page.content()
            ok(await system.administrator.post(f"/requests/{request_id}/restrictions", whom), 201)
            await expect(page.get_by_role("heading", level=1)).to_contain_text("Il n’y a rien ici")
            left = await page.content()
            assert view["number"] not in left
            assert view["patient"]["family_name"] not in left


async def test_only_its_administrators_are_told(portal: Portal, system: System) -> None:
    request_id = await reported(system)
    whom = {"account_id": system.provider2.id, "reason": WHY}
    ok(await system.administrator.post(f"/requests/{request_id}/restrictions", whom), 201)
    for who in (system.requester, system.dispatcher, system.provider):
        async with portal.visit(who, java_script_enabled=False) as page:
            await page.goto(f"/requests/{request_id}")
            shown = await page.inner_text("main")
            assert "restreint" not in shown.lower()
            assert WHY not in shown
