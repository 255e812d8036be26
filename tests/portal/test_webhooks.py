"""Webhooks in the portal: made, shown once, changed, turned off and on, and what became of a message; also without scripts."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from fastapi import FastAPI

from domain.service_accounts import Scope
from domain.subscriptions import SubscriptionStatus
from domain.webhooks import DeliveryState, Tried, Verdict
from records import service_accounts
from records.models import Side
from records.webhook_queue import Called, Taken, settle
from records.webhooks import list_messages, load
from tests.api.test_service_accounts import connected
from tests.journeys import ok
from tests.portal.browsing import Portal, overflow_and_barriers, visitor
from tests.system import System
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_subscriptions import wanted
from use_cases import subscriptions
from use_cases.caller import Caller
from use_cases.caller import System as CallingSystem


async def test_the_life_of_a_webhook(portal: Portal, system: System) -> None:
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        url = f"https://records.example.ca/{uuid4().hex}"
        await page.goto("/people")
        await page.get_by_role("link", name="Webhooks").first.click()
        await page.get_by_role("link", name="Ajouter un webhook").click()
        await page.get_by_label("Adresse").fill("http://10.0.0.1/")
        await page.get_by_label("Description").fill("Dossier Fleuve")
        await page.get_by_role("button", name="Ajouter le webhook").click()
        assert "L’adresse doit commencer par https." in await page.inner_text("main")
        assert await page.get_by_label("Description").input_value() == "Dossier Fleuve"
        await page.get_by_label("Adresse").fill(url)
        await page.get_by_label("Un compte est verrouillé").uncheck()
        await page.get_by_role("button", name="Ajouter le webhook").click()
        secret = await page.inner_text("p.secret")
        assert secret.startswith("whsec_")
        await page.get_by_role("link", name="C’est fait").click()
        shown = await page.inner_text("main")
        assert "Personne n’y a encore répondu" in shown
        assert "Essai" in shown
        assert secret not in await page.content()
        webhook_id = page.url.rpartition("/")[2]
        webhook = ok(await system.administrator.get(f"/webhooks/{webhook_id}"))
        assert (webhook["description"], "account.locked" in webhook["event_types"]) == ("Dossier Fleuve", False)

        await _fail(system, UUID(webhook_id))
        await page.reload()
        await page.get_by_role("link", name="Seulement ceux qui ont échoué").click()
        await page.get_by_role("link", name="Essai").click()
        shown = await page.inner_text("main")
        assert "Aucune réponse" in shown
        assert "Il n’a pas répondu en 15 secondes." in shown
        addresses = (f"/webhooks/{webhook_id}", page.url, "/webhooks")
        assert await overflow_and_barriers(portal, system.administrator, addresses) == []

        await page.goto(f"/webhooks/{webhook_id}")
        await page.get_by_role("button", name="Désactiver").click()
        assert "Quelqu’un l’a désactivé." in await page.inner_text("main")
        await page.get_by_role("button", name="Activer", exact=True).click()
        assert "Un essai est en route." in await page.inner_text("body")
        await page.get_by_role("button", name="Envoyer un essai").click()
        await page.get_by_role("button", name="Envoyer de nouveau").click()
        await page.get_by_role("button", name="Nouveau secret").click()
        assert (await page.inner_text("p.secret")) != secret
        await page.get_by_role("link", name="C’est fait").click()
        await page.get_by_role("button", name="Supprimer le webhook").click()
        assert "Le webhook est supprimé." in await page.inner_text("body")
        assert url not in await page.inner_text("main")


async def test_what_systems_have_subscribed_to_is_seen_and_turned_off(portal: Portal, system: System) -> None:
    name, url = f"Dossier {uuid4().hex[:6]}", f"https://records.example.ca/{uuid4().hex}"
    reader = await connected(system, "subscriptions:write", "requests:read", name=name)
    async with system.services.database.session() as session:
        found = await service_accounts.load(session, UUID(reader.id))
        assert found is not None
    scopes = frozenset({Scope.SUBSCRIPTIONS_WRITE, Scope.REQUESTS_READ})
    caller = Caller(found.account, "", Side.API, None, CallingSystem(found.account, scopes))
    new = replace(wanted(Receiver()), url=url, filters=("status=completed",), reason="Suivre les demandes")
    made = await subscriptions.create(system.services, caller, new)
    async with portal.visit(system.administrator, java_script_enabled=False) as page:
        await page.goto("/webhooks")
        card = page.locator("section.card", has=page.get_by_role("heading", name=name))
        shown = await card.inner_text()
        for said in (url, "Suivre les demandes", "status=completed", "Personne n’y a encore répondu"):
            assert said in shown
        assert await overflow_and_barriers(portal, system.administrator, ("/webhooks",)) == []
        await card.get_by_role("button", name="Désactiver").click()
        assert "L’abonnement est désactivé" in await page.inner_text("body")
        shown = await card.inner_text()
        assert "Quelqu’un l’a désactivé." in shown
        assert await card.get_by_role("button").count() == 0
    assert (await subscriptions.read(system.services, caller, made.id)).status is SubscriptionStatus.OFF


async def test_others_have_no_such_page(portal: Portal, system: System) -> None:
    page = await portal.look(system.requester)
    answer = await page.goto("/webhooks")
    assert answer is not None
    assert answer.status == 403


async def _fail(system: System, endpoint_id: UUID) -> None:
    """Its test was not answered."""
    async with system.services.database.session() as session:
        endpoint = await load(session, endpoint_id)
        [listed] = await list_messages(session, endpoint_id, state=None, before=None, limit=5)
        assert endpoint is not None
        called = Called(Tried(datetime.now(UTC), error="timeout"), 15_000)
        assert await settle(session, Taken(listed.message, endpoint, 0), called, Verdict(DeliveryState.FAILED))


async def test_days_that_nobody_can_choose_break_nothing(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.administrator) as http:
        answer = await http.post(f"/webhooks/{uuid4()}/replay", data={"days": "999999999"})
        assert answer.status_code == 404
