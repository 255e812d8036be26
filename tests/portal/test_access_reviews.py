"""The accesses of a month in the portal, without scripts: lines are judged, and the month is signed off."""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from domain.access_review import Rule
from domain.audit import Act
from records.models import Account
from tests.api.test_access_reviews import Small, acted, analysed, looked, small
from tests.api.test_access_years import ZONE
from tests.journeys import ok, submitted
from tests.portal.browsing import Portal, overflow_and_barriers
from tests.system import System

__all__ = ["small"]


async def test_a_month_is_judged_and_signed_off(portal: Portal, system: System, small: Small) -> None:
    for _ in range(2):
        await looked(system, small.requester, await submitted(system))
    await looked(system, small.administrator, await submitted(system))
    review = await analysed(system, small)
    assert review["rules"] == {Rule.NO_PARTICIPANT: 3}
    here = f"/access-reviews/{review['id']}"
    async with portal.visit(small.administrator, java_script_enabled=False) as page:
        await page.goto("/people")
        await page.get_by_role("link", name="Mois d’accès à signer").click()
        await page.locator(f'a[href="{here}"]').click()
        assert "Sans aucun lien avec la demande" in await page.inner_text("main")
        assert "Vous êtes en cause" in await page.inner_text("main")
        assert await page.get_by_role("checkbox").count() == 2
        await page.get_by_label("Note", exact=False).fill("Remplacement de la Dre Roy")
        await page.get_by_role("button", name="Enregistrer le jugement").click()
        assert await page.locator(".wrong-text").count()
        assert await page.get_by_label("Note", exact=False).input_value() == "Remplacement de la Dre Roy"
        for box in await page.get_by_role("checkbox").all():
            await box.check()
        await page.get_by_label("Expliqué").check()
        await page.get_by_role("button", name="Enregistrer le jugement").click()
        assert (await page.inner_text("main")).count("Remplacement de la Dre Roy") == 2
        await page.get_by_role("link", name="Sans jugement").click()
        assert await page.get_by_role("checkbox").count() == 0  # one is left, for the other administrator
        assert await page.get_by_role("button", name="Signer le mois").count() == 0

    async with portal.visit(small.colleague, java_script_enabled=False) as page:
        await page.goto(f"{here}?open=1")
        await page.get_by_role("checkbox").check()
        await page.get_by_label("À suivre").check()
        await page.get_by_label("Note", exact=False).fill("Je lui en parle")
        await page.get_by_role("button", name="Enregistrer le jugement").click()
        finding = next(one["id"] for one in review["page"] if one["person"]["id"] == small.administrator.id)
        addresses = ("/access-reviews", here, f"{here}/findings/{finding}", "/people")
        assert await overflow_and_barriers(portal, small.colleague, addresses) == []
        await page.goto(here)
        await page.get_by_role("button", name="Signer le mois").click()
        assert "Le mois est signé à votre nom" in await page.inner_text("body")
        assert small.colleague.account.family_name in await page.inner_text("main")
        await page.goto("/people")
        assert await page.get_by_role("link", name="Mois d’accès à signer").count() == 0
        await page.goto(f"{here}/findings/{finding}")
        assert "Ouverture de la demande" in await page.inner_text("main")
    assert ok(await small.administrator.get(here))["state"] == "signed_off"


async def test_others_have_no_such_page(portal: Portal, system: System) -> None:
    page = await portal.look(system.requester)
    answer = await page.goto("/access-reviews")
    assert answer is not None
    assert answer.status == 403


async def test_acts_of_no_request_have_words_too(portal: Portal, system: System, small: Small) -> None:
    for _ in range(5):
        await acted(system, small.requester, Act.SIGN_IN_FAILED, name="wrong_password")
    async with system.services.database.session() as session:
        long_ago = datetime.now(UTC) - timedelta(days=200)
        mine = update(Account).where(Account.id == small.colleague.account.id).values(created_at=long_ago)
        await session.execute(mine)
    await acted(system, small.colleague, Act.SIGN_IN)
    review = await analysed(system, small)
    pages = {one["rule"]: f"/access-reviews/{review['id']}/findings/{one['id']}" for one in review["page"]}
    async with portal.visit(small.administrator, java_script_enabled=False) as page:
        await page.goto(pages["failed_tries"])
        assert (await page.inner_text("main")).count("Ouverture de session manquée") == 5
        await page.goto(pages["after_silence"])
        assert "Premier usage du compte" in await page.inner_text("main")


async def test_the_year_is_read_and_taken_along(portal: Portal, system: System, small: Small) -> None:
    await looked(system, small.administrator, await submitted(system))
    async with portal.visit(small.colleague, java_script_enabled=False) as page:
        await page.goto("/access-reviews")
        year = datetime.now(ZONE).year
        await page.get_by_role("link", name=str(year), exact=True).click()
        assert "L’année n’est pas terminée" in await page.inner_text("main")
        assert re.search(r"À rapporter\s?: 1$", await page.inner_text("main"), re.MULTILINE)
        assert "Ouverture de la demande" in await page.inner_text("table")
        async with page.expect_download() as taken:
            await page.get_by_role("link", name="En tableau (CSV)").click()
        assert (await taken.value).suggested_filename == f"accesses-{year}.csv"
        await page.get_by_role("link", name=f"← {year - 1}").click()
        assert "Rien d’une demande n’a été montré" in await page.inner_text("main")
        addresses = [f"/access-years/{one}" for one in (year, year - 1)]
        assert await overflow_and_barriers(portal, small.colleague, addresses) == []
