"""Keeping and destroying in the portal, without scripts: a hold, a list that is looked at twice, and what is left to see."""

from tests.api.test_retention import days_later, listed, over
from tests.api.test_second_approvals import a_clinic, approve, outcomes, shut
from tests.eventually import eventually
from tests.journeys import ok
from tests.portal.browsing import Portal, overflow_and_barriers
from tests.system import System


async def test_a_list_is_looked_at_twice_and_destroyed(portal: Portal, system: System) -> None:
    goes, stays = await over(system), await over(system)
    seen = await listed(system)
    numbers = {entry["request_id"]: entry["number"] for entry in seen["entries"]}
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/people")
        await page.get_by_role("link", name="Conservation et destruction").first.click()
        await page.get_by_label("Années depuis la dernière inscription").fill("9")
        await page.get_by_role("button", name="Enregistrer").click()
        assert await page.get_by_label("Années depuis la dernière inscription").input_value() == "9"
        assert await page.locator(".wrong-text").count()
        await page.goto(f"/retention/lists/{seen['id']}")
        await page.get_by_role("link", name=f"Suspendre la destruction {numbers[stays]}").click()
        await page.get_by_label("Motif").fill("Plainte au syndic")
        await page.get_by_role("button", name="Suspendre la destruction").click()
        shown = await page.inner_text("main")
        assert "Plainte au syndic" in shown
        assert numbers[stays] in shown

        addresses = (f"/retention/lists/{seen['id']}", f"/retention/lists/{seen['id']}/approve", "/retention")
        assert await overflow_and_barriers(portal, system.administrator, addresses) == []

        await page.goto(f"/retention/lists/{seen['id']}")
        await page.get_by_role("link", name="Revoir la liste et approuver").click()
        await page.get_by_role("button", name="Détruire définitivement").click()
        assert await page.locator("#error-looked").count() == 1  # nothing is destroyed by one press
        await page.get_by_label("J’ai examiné cette liste une seconde fois.").check()
        await page.get_by_role("button", name="Détruire définitivement").click()

        assert "Révocable jusqu’au" in await page.inner_text("main")
        await page.get_by_role("button", name="Retirer l’approbation").click()
        assert "L’approbation est retirée" in await page.inner_text("body")
        await page.get_by_role("link", name="Revoir la liste et approuver").click()
        await page.get_by_label("J’ai examiné cette liste une seconde fois.").check()
        await page.get_by_role("button", name="Détruire définitivement").click()
        await days_later(system, seen["id"])

        async def is_done() -> bool:
            await page.reload()
            return await page.get_by_role("link", name="Certificat de destruction").count() == 1

        await eventually(is_done)
        shown = await page.inner_text("main")
        assert "Sa destruction est suspendue." in shown
        data = await page.get_by_role("link", name="Les données du certificat").get_attribute("href")
        assert ok(await system.administrator.get((data or "").removeprefix("/api/v1")))["list_id"] == seen["id"]
        answer = await page.goto(f"/requests/{goes}")
        assert answer is not None
        assert answer.status == 410
        assert "Cette demande a été détruite le" in await page.inner_text("main")
        await page.goto("/retention")
        await page.get_by_label("Numéro de la demande").fill("TC-1900-000001")
        await page.get_by_role("button", name="Continuer").click()
        assert await page.locator("#error-number").count() == 1
        await page.get_by_label("Numéro de la demande").fill(numbers[stays].lower())
        await page.get_by_role("button", name="Continuer").click()
        assert numbers[stays] in await page.inner_text("main")
        assert await page.get_by_label("Motif").count() == 1
        await page.goto("/retention")
        await page.get_by_role("button", name=f"Lever la suspension {numbers[stays]}").click()
        assert "La suspension est levée." in await page.inner_text("body")


async def test_a_second_administrator_approves_what_is_restricted(portal: Portal, system: System) -> None:
    own = await a_clinic(system)
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    where = f"/retention/lists/{seen['id']}"
    for who, state in ((own.administrator, "waiting"), (own.people["administrator3"], "approved")):
        async with portal.visit(who, java_script_enabled=False) as page:
            await page.goto(where)
            shown = await page.inner_text("main")
            assert "autre personne de l’administration approuve aussi cette liste" in shown, state
            assert "Une seconde approbation est requise" in shown
        assert await overflow_and_barriers(portal, who, (where, f"{where}/approve")) == []
        if state == "waiting":
            await approve(who, seen["id"])
            page = await portal.look(who)
            await page.goto(where)
            assert await page.get_by_role("link", name="Revoir la liste").count() == 0, "who approved is one person"
            operator = await portal.look(own.operator)
            await operator.goto(where)
            assert f"relais second-approval --list {seen['id']}" in await operator.inner_text("main")
            assert await operator.get_by_role("link", name="Revoir la liste").count() == 0
    async with portal.visit(own.people["administrator3"], java_script_enabled=False) as page:
        await page.goto(where)
        await page.get_by_role("link", name="Revoir la liste et l’approuver aussi").click()
        assert "D’ici là, vous pouvez l’approuver aussi" in await page.inner_text("main")
        await page.get_by_label("J’ai examiné cette liste une seconde fois.").check()
        await page.get_by_role("button", name="Détruire définitivement").click()
        shown = await page.inner_text("main")
        assert "Destruction approuvée aussi par" in shown
        assert "Une seconde approbation est requise" not in shown
    assert await outcomes(own, seen["id"]) == {request_id: ("destroyed", None)}


async def test_others_have_no_such_page(portal: Portal, system: System) -> None:
    page = await portal.look(system.requester)
    answer = await page.goto("/retention")
    assert answer is not None
    assert answer.status == 403
