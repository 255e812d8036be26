"""What people see of a virus check: that it is under way, that something was found, that it could not be done."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from fastapi import FastAPI
from playwright.async_api import expect

from domain.scans import ScanState, WhyNotScanned
from records import scans
from records.models import Attachment
from records.scans import Verdict
from tests.journeys import accepted, draft, ok, somebody_new, upload
from tests.papers import paper
from tests.portal.browsing import Portal, overflow_and_barriers, shown, visitor
from tests.system import System, hasty, photo
from use_cases import scanning
from worker import Parts

CLAMD = {"clamd_url": "tcp://127.0.0.1:1"}
"""Nobody answers there: what the scanner says, these tests say."""

STATES = (ScanState.PENDING, ScanState.INFECTED, ScanState.NOT_SCANNED, ScanState.CLEAN)


async def said(system: System, attachment_id: str, state: ScanState) -> None:
    """A scanner has said that of a file."""
    async with system.services.database.session() as session:
        attachment = await session.get(Attachment, UUID(attachment_id))
        assert attachment is not None
    if state is ScanState.PENDING:
        return
    services = system.services
    parts = Parts(services.settings, services.database, services.store, services.engine)
    finding = {ScanState.INFECTED: "Relais.Test", ScanState.NOT_SCANNED: "too_large"}.get(state)
    await scanning.settle(parts, attachment, Verdict(state, datetime.now(UTC), "ClamAV 1.4.3", finding))


async def with_one_of_each(system: System, request_id: str) -> dict[ScanState, str]:
    """A request with four more photos, each in another state; their ids."""
    made = {}
    for number, state in enumerate(STATES):
        sent = ok(await upload(system.requester, request_id, photo((900 + number, 700), "#a06040"), "photos"), 201)
        await said(system, sent["id"], state)
        made[state] = sent["id"]
    return made


@pytest.fixture
async def of_others(system: System, portal_app: FastAPI) -> tuple[str, dict[ScanState, str]]:
    """A request that the provider has accepted, to which the requester has added one photo of each."""
    request_id = await accepted(system, patient=somebody_new())
    with hasty(system.app, **CLAMD):
        made = await with_one_of_each(system, request_id)
        body = {"text": "Quatre autres photos.", "attachment_ids": list(made.values())}
        ok(await system.requester.post(f"/requests/{request_id}/add-information", body))
    return request_id, made


async def test_others_see_what_is_with_a_file_and_no_picture(
    portal: Portal, portal_app: FastAPI, system: System, of_others: tuple[str, dict[ScanState, str]]
) -> None:
    request_id, made = of_others
    words = {
        ScanState.PENDING: ("Contrôle antivirus en cours", "apparaîtra de lui-même"),
        ScanState.INFECTED: ("Virus trouvé", "Demandez-en un autre"),
        ScanState.NOT_SCANNED: ("Sans contrôle antivirus", "Demandez-en un plus petit"),
        ScanState.CLEAN: ("Rien n’a été trouvé.", "Télécharger"),
    }
    with hasty(portal_app, **CLAMD, scan_required=True):
        async with visitor(portal_app, system.provider) as page:
            answer = await page.get(f"/requests/{request_id}")
            for state, id_ in made.items():
                assert (f"/{id_}/thumbnail" in answer.text) is (state is ScanState.CLEAN)
                assert (f'data-tile="{id_}"' in answer.text) is (state is ScanState.CLEAN)
                told = shown(await page.get(f"/requests/{request_id}/media/{id_}"))
                for part in words[state]:
                    assert part in told, (state, part)
                if state is not ScanState.CLEAN:
                    assert words[state][0] in shown(answer)
                    assert "Télécharger" not in told
        addresses = [f"/requests/{request_id}", *(f"/requests/{request_id}/media/{id_}" for id_ in made.values())]
        assert await overflow_and_barriers(portal, system.provider, addresses) == []


async def test_a_page_that_is_open_shows_the_file_when_it_is_clean(
    portal: Portal, portal_app: FastAPI, system: System, of_others: tuple[str, dict[ScanState, str]]
) -> None:
    request_id, made = of_others
    waits = made[ScanState.PENDING]
    with hasty(portal_app, **CLAMD):
        async with portal.visit(system.provider) as page:
            await page.goto(f"/requests/{request_id}/media/{waits}")
            await expect(page.get_by_role("status").filter(has_text="Contrôle antivirus")).to_be_visible()
            await said_at_last(system, waits)
            await expect(page.locator(f'img[src$="{waits}/preview"]')).to_be_visible()
            await expect(page.get_by_text("Rien n’a été trouvé.")).to_be_visible()


SAID = {
    None: ("n’est pas encore fait", "was not checked for viruses yet"),
    "too_large": ("Ce fichier est trop volumineux", "This file is too large"),
    "failed": ("n’a pas pu être fait", "could not be checked"),
    "unreadable": ("n’a pas pu être fait", "could not be checked"),
}
"""Why nothing is known of a file, and what pages say of it."""


async def test_who_is_told_to_send_a_smaller_file_has_sent_a_large_one(portal_app: FastAPI, system: System) -> None:
    assert {why for why in SAID if why} == {why.value for why in WhyNotScanned}
    request_id = await accepted(system, patient=somebody_new())
    sent = (await system.requester.view(request_id))["attachments"][0]["id"]
    services = system.services
    parts = Parts(services.settings, services.database, services.store, services.engine)
    with hasty(portal_app, **CLAMD, scan_required=True):
        for why, (french, english) in SAID.items():
            async with services.database.session() as session:
                attachment = await session.get(Attachment, UUID(sent))
                assert attachment is not None
            if why is not None:
                verdict = Verdict(ScanState.NOT_SCANNED, datetime.now(UTC), "ClamAV 1.4.3", why)
                await scanning.settle(parts, attachment, verdict)
            view = await system.provider.view(request_id)
            assert view["attachments"][0]["why_not_scanned"] == why
            for who in (system.requester, system.provider):
                for language, words in (("fr", french), ("en", english)):
                    ok(await who.http.patch("/api/v1/me", json={"language": language}))
                    async with visitor(portal_app, who) as page:
                        told = shown(await page.get(f"/requests/{request_id}/media/{sent}"))
                    assert words in told, (why, language)
                    asks = "plus petit" in told or "smaller" in told
                    assert asks is (why == "too_large"), (why, language)
                ok(await who.http.patch("/api/v1/me", json={"language": "fr"}))


async def said_at_last(system: System, attachment_id: str) -> None:
    async with system.services.database.session() as session:
        attachment = await session.get(Attachment, UUID(attachment_id))
        assert attachment is not None
        assert await scans.note(session, attachment, Verdict(ScanState.CLEAN, datetime.now(UTC), "ClamAV 1.4.3")) == []


async def test_its_sender_sees_the_picture_while_it_waits_and_what_to_do_when_it_is_infected(
    portal: Portal, portal_app: FastAPI, system: System
) -> None:
    with hasty(portal_app, **CLAMD), hasty(system.app, **CLAMD):
        request_id = await draft(system, patient=somebody_new())
        made = await with_one_of_each(system, request_id)
        lab = ok(await upload(system.requester, request_id, paper(1), "lab-results", "labo.pdf"), 201)["id"]
        async with visitor(portal_app, system.requester) as page:
            answer = await page.get(f"/requests/{request_id}/edit")
        told = shown(answer)
        assert "vous n’avez rien à faire" in told
        assert "Supprimez-le et envoyez-en un autre" in told
        assert "Envoyez-en un plus petit" in told
        assert "Un virus a été trouvé dans un fichier : supprimez-le pour envoyer la demande." in told
        for id_ in (*made.values(), lab):
            assert (f"/{id_}/thumbnail" in answer.text) is (id_ != made[ScanState.INFECTED])
        assert await overflow_and_barriers(portal, system.requester, [f"/requests/{request_id}/edit"]) == []

        infected = made[ScanState.INFECTED]
        async with portal.visit(system.requester) as page:
            await page.goto(f"/requests/{request_id}/edit")
            tile = page.locator(f"#tile-{infected}")
            await expect(tile.get_by_text("Virus trouvé", exact=True)).to_be_visible()
            await said(system, made[ScanState.PENDING], ScanState.CLEAN)
            waited = page.locator(f"#scan-{made[ScanState.PENDING]}")
            await expect(waited).to_be_empty()
            await tile.get_by_role("button", name="Supprimer").click()
            await expect(tile).to_have_count(0)


async def test_who_has_no_scanner_is_told_nothing(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system, patient=somebody_new())
    view = await system.provider.view(request_id)
    assert {(one["scan"], one["held"]) for one in view["attachments"]} == {("not_scanned", None)}
    async with visitor(portal_app, system.provider) as page:
        for address in (f"/requests/{request_id}", f"/requests/{request_id}/media/{view['attachments'][0]['id']}"):
            assert "virus" not in shown(await page.get(address)).lower()


async def test_what_the_scanner_said_is_told_in_english_too(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    with hasty(portal_app, **CLAMD), hasty(system.app, **CLAMD):
        made = await with_one_of_each(system, request_id)
        ok(await system.requester.http.patch("/api/v1/me", json={"language": "en"}))
        try:
            async with visitor(portal_app, system.requester) as page:
                told = shown(await page.get(f"/requests/{request_id}/media/{made[ScanState.INFECTED]}"))
        finally:
            ok(await system.requester.http.patch("/api/v1/me", json={"language": "fr"}))
    assert "Virus found" in told
    assert "Remove it, and send another one" in told
