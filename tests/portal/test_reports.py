"""The report's pages: writing, signing, adding, reading and verifying, with and without scripts."""

import re
from io import BytesIO
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import expect
from pypdf import PdfReader

from domain.commands import RenewRules
from domain.requests import SYSTEM, Role
from records import requests
from tests.api.answers import problem
from tests.eventually import eventually
from tests.journeys import accepted, ok, reported, signed, written
from tests.journeys import draft as unsubmitted
from tests.portal.browsing import Portal, hidden, shown, visitor
from tests.portal.page_forms import form_to
from tests.portal.test_drafts import begun
from tests.system import PASSWORD, System, add_person, hasty

WRITTEN = {
    "answers.findings": "Papule brune.\r\nBords nets.",
    "answers.diagnostic_impression": "Nævus banal.",
    "answers.recommendations": "Aucun suivi requis.",
}


def typed(offering: str = "teledermatology", revision: int = 0, **more: str) -> dict[str, str]:
    return {"offering": offering, "revision": str(revision), **WRITTEN, **more}


async def draft(system: System, request_id: str) -> dict[str, Any]:
    return ok(await system.provider.get(f"/requests/{request_id}/report"))


def signature(page: httpx.Response, **more: str) -> dict[str, str]:
    revision = re.search(r'name="revision" value="(\d+)"', page.text)
    assert revision
    return {**hidden(page), "revision": revision[1], "kind": "final", "password": PASSWORD, **more}


async def test_writing_without_scripts(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    page = f"/requests/{request_id}/report"
    async with visitor(portal_app, system.provider) as http:
        empty = await http.get(page)
        text = shown(empty)
        assert "Les champs marqués d’un * sont requis" in text
        assert "Réponse: question" in text
        assert f"/api/v1/requests/{request_id}/attachments/" in empty.text
        for do, goes_to in (
            ("save", f"{page}?done=saved"),
            ("preview", f"{page}?preview=ready&done=saved"),
            ("sign", f"{page}/sign"),
        ):
            revision = (await draft(system, request_id))["revision"]
            answer = await http.post(page, data=typed(revision=revision, do=do))
            assert (answer.status_code, answer.headers["location"]) == (303, goes_to)
        saved = await draft(system, request_id)
        assert saved["answers"]["findings"] == "Papule brune.\nBords nets."
        assert (saved["revision"], saved["missing"]) == (3, [])
        assert "Ouvrir l’aperçu" in shown(await http.get(f"{page}?preview=ready&done=saved"))


async def test_what_another_window_saved_is_not_overwritten_unseen(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    page = f"/requests/{request_id}/report"
    async with visitor(portal_app, system.provider) as http:
        await http.post(page, data={**typed(), "answers.findings": "Dans l’autre fenêtre."})
        again = await http.post(page, data={**typed(), "answers.findings": "Ici."})
        text = shown(again, 412)
        assert "enregistré dans une autre fenêtre" in text
        assert "Ici." in text
        assert (await draft(system, request_id))["answers"]["findings"] == "Dans l’autre fenêtre."
        fresh = re.search(r'name="revision" value="(\d+)"', again.text)
        assert fresh
        kept = await http.post(page, data={**typed(revision=int(fresh[1])), "answers.findings": "Ici."})
        assert kept.status_code == 303
        assert (await draft(system, request_id))["answers"]["findings"] == "Ici."


async def test_the_script_hears_what_became_of_a_save(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system, offering="teleophthalmology")
    page, headers = f"/requests/{request_id}/report", {"X-Requested-With": "fetch"}
    named = {"answers.diagnostic_impression": "Cataracte.", "answers.next_screening": "1,5"}
    async with visitor(portal_app, system.provider) as http:
        first = ok(
            await http.post(page, data={"offering": "teleophthalmology", "revision": "0", **named}, headers=headers)
        )
        assert (first["revision"], first["wrong"]) == (1, {})
        assert first["said"].startswith("Enregistré à ")
        assert (await draft(system, request_id))["answers"] == {
            "diagnostic_impression": "Cataracte.",
            "next_screening": 1.5,
        }
        assert 'value="1,5"' in (await http.get(page)).text
        bad = {"offering": "teleophthalmology", "revision": "1", **named, "answers.next_screening": "bientôt"}
        second = ok(await http.post(page, data=bad, headers=headers))
        stays = "Un nombre est attendu. Ce qui était enregistré le reste\N{NO-BREAK SPACE}: 1,5"
        assert second["wrong"] == {"answers.next_screening": stays}
        assert (await draft(system, request_id))["answers"] == {
            "diagnostic_impression": "Cataracte.",
            "next_screening": 1.5,
        }
        again = ok(await http.post(page, data=bad, headers=headers))  # its answer was lost
        assert (again["revision"], again["wrong"]) == (2, second["wrong"])
        late = {**bad, "answers.diagnostic_impression": "Glaucome."}
        overtaken = await http.post(page, data=late, headers=headers)
        assert (overtaken.status_code, overtaken.json()["revision"]) == (412, 2)
        without_script = await http.post(page, data={**bad, "revision": "2"})
        assert "Un nombre est attendu." in shown(without_script, 422)
        assert 'value="bientôt"' in without_script.text
    async with visitor(portal_app) as http:
        assert (await http.post(page, data=bad, headers=headers)).status_code == 303


async def test_only_who_holds_it_writes_and_signs(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    addresses = [f"/requests/{request_id}/{name}" for name in ("report", "report/sign", "report/preview.pdf")]
    for name, status in (("far_provider", 404), ("provider2", 404), ("requester", 403), ("dispatcher", 403)):
        async with visitor(portal_app, system.people[name]) as http:
            for address in addresses:
                assert (await http.get(address)).status_code == status, (name, address)
            assert (await http.post(addresses[0], data=typed())).status_code == status
            body = {"kind": "final", "password": PASSWORD, "revision": "0"}
            assert (await http.post(addresses[1], data=body)).status_code == status
    assert (await draft(system, request_id))["revision"] == 0


async def test_what_was_typed_stays_when_the_request_went_elsewhere(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": system.provider2.id}))
    async with visitor(portal_app, system.provider) as http:
        answer = await http.post(f"/requests/{request_id}/report", data=typed())
        text = shown(answer, answer.status_code)
        assert answer.status_code in (403, 409)
        assert "Papule brune." in text
        assert "ne peut plus être rédigé ici" in text


async def test_preview_shows_what_is_missing_and_is_not_signed(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http:
        answer = await http.get(f"/requests/{request_id}/report/preview.pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    by_api = await system.provider.get(f"/requests/{request_id}/report/preview.pdf?language=en&kind=preliminary")
    for pdf, marks in (
        (answer.content, ("NON SIGNÉ", "Non précisé", "À signer par", "Rapport final")),
        (by_api.content, ("NOT SIGNED", "Not given", "To be signed by", "Preliminary report")),
    ):
        reader = PdfReader(BytesIO(pdf))
        text = " ".join(" ".join(page.extract_text() for page in reader.pages).replace("\xa0", " ").split())
        assert [mark for mark in marks if mark not in text] == []
        assert not reader.attachments
    accesses = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    assert [entry["what"] for entry in accesses].count("report_draft") >= 2


async def test_signing_names_what_is_missing(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}/report/sign")
        assert "Il manque encore" in shown(page)
        assert f"/requests/{request_id}/report#field-answers.findings" in page.text
        assert 'name="password"' not in page.text
        body = {"kind": "final", "password": PASSWORD, "revision": "0"}
        assert "Le rapport n’est pas complet" in shown(
            await http.post(f"/requests/{request_id}/report/sign", data=body), 422
        )


async def test_what_can_not_be_printed_is_said_at_the_field(portal_app: FastAPI, system: System) -> None:
    """To the requester in the check list, who can submit all the same, and to the provider, who writes it in another way."""
    rare = "\U0002a6b2"
    patient = {"given_name": "Jeanne", "family_name": f"Li{rare}", "birth_date": "1958-03-14"}
    unsent = await unsubmitted(system, patient=patient)
    async with visitor(portal_app, system.requester) as http:
        text = shown(await http.get(f"/requests/{unsent}/edit"))
        assert "À vérifier (vous pouvez soumettre quand même) :" in text
        assert f"Le rapport signé ne peut pas imprimer ces signes : {rare} (U+2A6B2)" in text
    request_id = await accepted(system)
    page = f"/requests/{request_id}/report"
    said = f"Ces signes ne peuvent pas être imprimés sur le document signé : {rare} (U+2A6B2)"
    async with visitor(portal_app, system.provider) as http:
        await http.post(page, data={**typed(), "answers.findings": f"Signe {rare}"})
        assert said in shown(await http.get(page))
        before = await http.get(f"{page}/sign")
        assert said in shown(before)
        assert 'name="password"' not in before.text


async def test_signing_is_refused_in_sentences_and_done_once(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    address = f"/requests/{request_id}/report/sign"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(address)
        assert "Réponse: recommendations" in shown(page)
        for more, status, sentence in (
            ({"kind": ""}, 422, "Ce champ est requis."),
            ({"password": ""}, 422, "Ce champ est requis."),
            ({"password": "wrong"}, 403, "Le mot de passe est"),
        ):
            again = await http.post(address, data=signature(page, **more))
            assert sentence in shown(again, status)
            assert PASSWORD not in again.text
            assert 'value="final" checked' in again.text or more.get("kind") == ""
        await written(system, request_id)  # in another window
        overtaken = await http.post(address, data=signature(page))
        assert "modifié dans une autre fenêtre" in shown(overtaken, 412)
        body = signature(overtaken)
        for _ in range(2):
            answer = await http.post(address, data=body)
            assert (answer.status_code, answer.headers["location"]) == (
                303,
                f"/requests/{request_id}?done=sign_report",
            )
        text = shown(await http.get(answer.headers["location"]))
        assert "Le rapport est signé et transmis" in text
        assert "Documents signés" in text
        assert "SHA-256" in text
        assert shown(await http.get(address), 409)
    documents = (await system.provider.get(f"/requests/{request_id}/reports")).json()
    assert [document["kind"] for document in documents] == ["final"]


async def test_a_signature_after_news_asks_to_look_again(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    address = f"/requests/{request_id}/report/sign"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(address)
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
        again = await http.post(address, data=signature(page, kind="preliminary"))
        text = shown(again, 412)
        assert "Regardez-la de nouveau" in text
        assert "Votre question est encore ouverte" in text
        answer = await http.post(address, data=signature(again, kind="preliminary"))
        assert answer.headers["location"].endswith("?done=sign_report")
    async with visitor(portal_app, system.requester) as http:
        assert "un rapport final suivra" in shown(await http.get(f"/requests/{request_id}"))


async def test_a_document_that_takes_long_is_said_to_come(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    in_the_way = system.settings.data_dir / "documents" / "documents" / request_id
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.touch()
    address = f"/requests/{request_id}/report/sign"
    async with visitor(portal_app, system.provider) as http:
        body = signature(await http.get(address))
        with hasty(portal_app, document_timeout_seconds=0.5):
            answer = await http.post(address, data=body)
        assert answer.headers["location"] == f"/requests/{request_id}?done=signing"
        assert "Le document est en préparation" in shown(await http.get(answer.headers["location"]))
        in_the_way.unlink()
        done = await http.post(address, data=body)
        assert done.headers["location"] == f"/requests/{request_id}?done=sign_report"


async def test_the_api_signs_only_the_revision_that_was_reviewed(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    path = f"/requests/{request_id}/report/sign"
    for revision, status in ((0, 412), (2, 412), (1, 200)):
        body = {"kind": "final", "password": PASSWORD, "revision": revision}
        assert (await system.provider.post(path, body)).status_code == status


async def test_the_requester_reads_it_first_and_acknowledges(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(f"/requests/{request_id}")
        text = shown(page)
        assert text.index("Réponse: recommendations") < text.index("Réponse: question")
        assert f'href="/requests/{request_id}/acknowledge"' in page.text
        assert "Ajouter un addenda" not in text


async def test_an_addendum_stands_beside_the_report(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    address = f"/requests/{request_id}/addendum"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(address)
        assert "Le rapport final reste tel quel" in shown(page)
        text = "La culture\r\nest négative."
        wrong = await http.post(address, data={**hidden(page), "text": text, "password": "wrong"})
        assert "La culture" in shown(wrong, 403)
        assert "Ce champ est requis." in shown(await http.post(address, data={**hidden(wrong), "password": "x"}), 422)
        body = {**hidden(wrong), "text": text, "password": PASSWORD}
        for _ in range(2):
            answer = await http.post(address, data=body)
            assert answer.headers["location"] == f"/requests/{request_id}?done=add_addendum"
    async with visitor(portal_app, system.requester) as http:
        said = shown(await http.get(f"/requests/{request_id}"))
        assert "La culture est négative." in said
        assert "Réponse: recommendations" in said
        assert shown(await http.get(address), 409)
    documents = (await system.provider.get(f"/requests/{request_id}/reports")).json()
    assert [document["kind"] for document in documents] == ["final", "addendum"]


async def test_a_document_is_read_and_verified(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    document = (await system.requester.get(f"/requests/{request_id}/reports")).json()[0]
    address = f"/requests/{request_id}/documents/{document['report_id']}"
    async with visitor(portal_app, system.requester) as http:
        text = shown(await http.get(address))
        for words in ("La signature est valide", "Signé par Dre Anne Provider", document["sha256"], "recommendations"):
            assert words in text
        assert (await http.get(f"/requests/{request_id}/documents/{uuid4()}")).status_code == 404
        other = await reported(system)
        assert (await http.get(f"/requests/{other}/documents/{document['report_id']}")).status_code == 404
    for who, status in ((system.far_provider, 404), (system.operator, 403)):
        async with visitor(portal_app, who) as http:
            assert (await http.get(address)).status_code == status
        path = f"/requests/{request_id}/reports/{document['report_id']}"
        for part in ("verification", "content"):
            assert (await who.get(f"{path}/{part}")).status_code == status


async def test_the_api_gives_the_verdict(system: System) -> None:
    request_id = await reported(system)
    document = (await system.requester.get(f"/requests/{request_id}/reports")).json()[0]
    path = f"/requests/{request_id}/reports/{document['report_id']}"
    verdict = ok(await system.requester.get(f"{path}/verification"))
    assert (verdict["valid"], verdict["unchanged"], verdict["problems"]) == (True, True, [])
    assert verdict["sha256"] == document["sha256"]
    assert verdict["certificate"]["valid_from"] < verdict["stamped_at"] < verdict["checkable_until"]
    content = ok(await system.requester.get(f"{path}/content"))
    assert [entry["value"] for entry in content["answer"]][-1] == "Réponse: recommendations"
    (stored,) = (system.settings.data_dir / "documents").rglob(f"*{document['sha256']}*")
    intact = stored.read_bytes()
    try:
        changed = bytearray(intact)
        changed[len(intact) // 3] ^= 1
        stored.write_bytes(bytes(changed))
        verdict = ok(await system.requester.get(f"{path}/verification"))
        assert (verdict["valid"], verdict["unchanged"]) == (False, False)
        assert verdict["problems"]
    finally:
        stored.write_bytes(intact)


async def test_in_english(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    english = await add_person(system, "english_writer", system.clinics["near"], Role.PROVIDER, language="en")
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": english.id}))
    ok(await english.post(f"/requests/{request_id}/accept"))
    address = f"/requests/{request_id}/report"
    async with visitor(portal_app, english) as http:
        assert "Fields with * must be filled in before signing" in shown(await http.get(address))
        saved = await http.post(address, data=typed(), headers={"X-Requested-With": "fetch"})
        assert ok(saved)["said"].startswith("Saved at ")
        assert "The report as it will be sent" in shown(await http.get(f"{address}/sign"))


# With scripts, in a real browser


async def test_it_is_saved_as_it_is_typed(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}/report")
        findings = page.locator("[name='answers.findings']")
        await findings.fill("Papule.")
        await expect(page.locator("#saved")).to_have_text(re.compile("^Enregistré à "))
        assert (await draft(system, request_id))["answers"] == {"findings": "Papule."}

        await page.context.set_offline(True)
        await findings.fill("Papule brune.")
        await findings.blur()
        await expect(page.locator("#saved")).to_contain_text("la connexion est perdue")
        await page.context.set_offline(False)
        await expect(page.locator("#saved")).to_have_text(re.compile("^Enregistré à "))
        assert (await draft(system, request_id))["answers"] == {"findings": "Papule brune."}

        await findings.fill("Papule brune, bords nets.")
        await page.get_by_role("button", name="Continuer vers la signature").click()
        await page.wait_for_url("**/report/sign")
        await expect(page.locator("main")).to_contain_text("Papule brune, bords nets.")
        await page.locator("#missing a").first.click()
        await expect(page.locator("[name='answers.diagnostic_impression']")).to_be_focused()


async def test_two_windows(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as one:
        await one.goto(f"/requests/{request_id}/report")
        two = await one.context.new_page()
        await two.goto(f"/requests/{request_id}/report")
        for page, text in ((one, "Première."), (two, "Seconde.")):
            await page.locator("[name='answers.findings']").fill(text)
            await page.locator("[name='answers.findings']").blur()
            if page is one:
                await expect(one.locator("#saved")).to_contain_text("Enregistré à")
        await expect(two.locator("#overtaken")).to_be_visible()
        assert (await draft(system, request_id))["answers"] == {"findings": "Première."}
        await two.get_by_role("button", name="Garder celle-ci").click()
        await expect(two.locator("#saved")).to_contain_text("Enregistré à")
        assert (await draft(system, request_id))["answers"] == {"findings": "Seconde."}
        await one.locator("[name='answers.findings']").fill("Troisième.")
        await expect(one.locator("#overtaken")).to_be_visible()
        await one.get_by_role("button", name="Charger l’autre version").click()
        await expect(one.locator("[name='answers.findings']")).to_have_value("Seconde.")


async def test_the_preview_opens_with_what_was_just_typed(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}/report")
        await page.locator("[name='answers.findings']").fill("Macule.")
        is_preview = lambda response: response.url.endswith("/report/preview.pdf")  # noqa: E731
        async with page.expect_popup(), page.context.expect_event("response", is_preview) as answered:
            await page.get_by_role("button", name="Aperçu").click()
        preview = await answered.value  # a browser without a window of its own may save the PDF where others show it
        assert (preview.status, preview.headers["content-type"]) == (200, "application/pdf")
        assert (await draft(system, request_id))["answers"] == {"findings": "Macule."}


async def test_a_report_that_must_be_read_without_delay_stands_out_until_it_was_read(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await reported(system, urgent=True)
    for who in (system.requester, system.dispatcher, system.administrator, system.provider):
        async with visitor(portal_app, who) as http:
            page = await http.get(f"/requests/{request_id}")
            assert "Le rapport doit être lu sans délai." in shown(page)
            assert (f"/requests/{request_id}/confirm-reading" in page.text) == (who is not system.provider)
    async with visitor(portal_app, system.administrator) as http:
        answer = await http.post(f"/requests/{request_id}/confirm-reading", data={"key": "once"})
        assert answer.headers["location"] == f"/requests/{request_id}?done=confirm_reading"
        text = shown(await http.get(f"/requests/{request_id}"))
        assert "Le rapport doit être lu sans délai." not in text
        assert "Rapport lu, confirmé" in text


async def test_a_request_whose_urgent_report_is_unread_says_why_it_is_not_cancelled(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await accepted(system)
    await written(system, request_id, urgent=True)
    await signed(system, request_id, "preliminary")
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(f"/requests/{request_id}")
        assert "D’ici là, la demande ne peut pas être annulée." in shown(page)
        assert f"/requests/{request_id}/cancel" not in page.text
        first = "Il faut d’abord confirmer cette lecture."
        assert first in shown(await http.get(f"/requests/{request_id}/cancel"))
        refused = await http.post(f"/requests/{request_id}/cancel", data={"key": "once", "reason": "Vue ailleurs."})
        assert first in shown(refused, 409)
        assert "Vue ailleurs." in refused.text
        old = {"key": "an old page", "version": "1"}
        assert (await http.post(f"/requests/{request_id}/confirm-reading", data=old)).status_code == 412
        seen = form_to(page.text, f"/requests/{request_id}/confirm-reading").as_shown
        assert (await http.post(f"/requests/{request_id}/confirm-reading", data=seen)).status_code == 303
        assert f"/requests/{request_id}/cancel" in (await http.get(f"/requests/{request_id}")).text


async def test_who_finds_the_photos_insufficient_is_asked_to_ask_before_signing(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await accepted(system)
    page, asking = f"/requests/{request_id}/report", f"/requests/{request_id}/request-information?about=new-photos"
    async with visitor(portal_app, system.provider) as http:
        assert 'data-calls-for="new_photos"' in (await http.get(page)).text
        said = {**typed(do="ask_photos"), "answers.photo_quality": "insufficient"}
        answer = await http.post(page, data=said)
        assert answer.headers["location"] == asking
        assert (await draft(system, request_id))["calls_for"] == ["new_photos"]
        assert f'href="{asking}"' in (await http.get(f"{page}/sign")).text, "and so it is before signing"
        question = await http.get(asking)
        assert "Pourriez-vous en envoyer de nouvelles" in shown(question)
        answer = await http.post(asking.partition("?")[0], data={**hidden(question), "text": "De nouvelles photos?"})
        assert answer.status_code == 303
        assert f'href="{asking}"' in (await http.get(f"{page}/sign")).text
        await http.post(page, data={**said, "revision": "1", "answers.photo_quality": "limited", "do": "save"})
        assert asking not in (await http.get(f"{page}/sign")).text


async def test_the_advice_shows_with_the_choice(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}/report")
        button = page.get_by_role("button", name="Demander de nouvelles photos")
        await expect(button).to_be_hidden()
        await page.get_by_label("Qualité des photos").select_option("insufficient")
        await expect(button).to_be_visible()
        await page.get_by_label("Qualité des photos").select_option("limited")
        await expect(button).to_be_hidden()
        await page.get_by_label("Qualité des photos").select_option("insufficient")
        await button.click()
        await expect(page.get_by_label("Votre question")).to_have_value(
            re.compile("Pourriez-vous en envoyer de nouvelles")
        )
    assert (await draft(system, request_id))["calls_for"] == ["new_photos"], "and what was written is saved"


async def test_the_requester_is_led_to_new_photos_and_each_request_names_the_other(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await reported(system, photo_quality="insufficient")
    number = (await system.requester.view(request_id))["number"]
    async with visitor(portal_app, system.requester) as http:
        assert "Nouvelles photos requises" in shown(await http.get("/worklist"))
        page = await http.get(f"/requests/{request_id}")
        text = shown(page)
        assert text.index("Les photos n’ont pas suffi") < text.index("Rapport final")
        assert "Comment prendre de bonnes photos" in text
        assert "une vue rapprochée avec une règle" in text
        assert text.count("Recommencer avec de nouvelles photos") == 1
        assert "Commencer une demande à partir de celle-ci" not in text, "one first choice, not two"
        later = await begun(http, earlier_id=request_id, copy_form="true")
        text = shown(await http.get(f"/requests/{request_id}"))
        assert f"Vous avez commencé une demande qui fait suite à celle-ci : {await _number(system, later)}" in text
        assert number in shown(await http.get(f"/requests/{later}"))
    async with visitor(portal_app, system.provider) as http:
        text = shown(await http.get(f"/requests/{request_id}"))
        assert "Le rapport le dit, et la personne qui a fait la demande sait quoi faire ensuite." in text
        assert "Recommencer avec de nouvelles photos" not in text


async def _number(system: System, request_id: str) -> str:
    return str((await system.requester.view(request_id))["number"])


async def test_new_photos_are_added_while_the_report_is_preliminary(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id, photo_quality="insufficient")
    await signed(system, request_id, "preliminary")
    async with visitor(portal_app, system.requester) as http:
        text = shown(await http.get(f"/requests/{request_id}"))
        assert "Ajouter de nouvelles photos" in text
        assert "Recommencer avec de nouvelles photos" not in text


async def test_a_request_that_moves_to_newer_rules_waits_for_its_urgent_report_to_be_read(
    portal_app: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page tells that the deadline that would have closed it stands still, and goes on with the reading."""
    monkeypatch.setattr(requests, "CURRENT", 2)
    request_id = await reported(system, urgent=True)
    monkeypatch.undo()
    renewal = RenewRules(id="newer", actor=SYSTEM, rules=3, reason="Nouvelle version.")
    await system.workflow(request_id).signal(renewal.type, renewal)

    path = f"/requests/{request_id}"

    async def is_renewed() -> bool:
        timeline = (await system.requester.get(f"{path}/timeline")).json()
        return bool(timeline[-1]["name"] == "rules_renewed")

    await eventually(is_renewed)
    problem(await system.operator.post(f"{path}/deadlines/acknowledgement"), 409, "deadline_stopped")
    async with visitor(portal_app, system.requester) as http:
        assert "→ en pause" in shown(await http.get(path))
    ok(await system.dispatcher.post(f"{path}/confirm-reading"))
    ok(await system.operator.post(f"{path}/deadlines/acknowledgement"))
    view = await system.requester.view(request_id)
    assert (view["status"], view["unacknowledged"]) == ("closed", True)
