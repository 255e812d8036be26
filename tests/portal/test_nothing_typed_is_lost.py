"""Whatever somebody has typed stays: in its field where it can't be taken, and in the records where it was saved before."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Dialog, expect

from tests.journeys import accepted, draft, ok
from tests.portal.browsing import Portal, hidden, shown, visitor
from tests.portal.page_forms import form_to
from tests.portal.test_story import picture
from tests.portal.typed_texts import FORMS, Stage
from tests.system import System

SCRIPT = {"X-Requested-With": "fetch"}


async def typed(http: httpx.AsyncClient, system: System, request_id: str, **more: str) -> dict[str, Any]:
    """What the form sends of a draft as it is saved, but for `more`."""
    page = await http.get(f"/requests/{request_id}/edit")
    view = await system.requester.view(request_id)
    names = ("priority", "offering", "offering_version")
    saved = {f"patient.{name}": value or "" for name, value in view["patient"].items()}
    words = {True: "yes", False: "no"}
    answers = view["answers"].items()
    saved |= {f"answers.{name}": words[value] if isinstance(value, bool) else value for name, value in answers}
    return {**{name: view[name] for name in names}, **saved, **hidden(page), **more}


async def test_what_cannot_be_read_erases_nothing_that_was_saved(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, "wound_care")
    before = await system.requester.view(request_id)
    async with visitor(portal_app, system.requester) as http:
        edit = f"/requests/{request_id}/edit"
        answers = {**before["answers"], "last_surgery_on": "2026-02-03"}
        ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"answers": answers}))
        for birth_date, surgery in (("31/02/1958", "?"), ("2999-01-01", "2026-13-45")):
            wrong = {"patient.birth_date": birth_date, "answers.last_surgery_on": surgery, "patient.given_name": "Léa"}
            page = await http.post(edit, data=await typed(http, system, request_id, **wrong, do="save"))
            text = shown(page, 422)
            assert f"Ce qui était enregistré le reste : {before['patient']['birth_date']}" in text
            assert "Ce qui était enregistré le reste : 2026-02-03" in text
            assert f'value="{birth_date}"' in page.text
            view = await system.requester.view(request_id)
            assert view["patient"] == {**before["patient"], "given_name": "Léa"}
            assert view["answers"]["last_surgery_on"] == "2026-02-03"
            sent = await typed(http, system, request_id, **wrong)
            told = (await http.post(edit, data=sent, headers=SCRIPT)).json()
            assert set(told["wrong"]) == {"patient.birth_date", "answers.last_surgery_on"}
            assert "2026-02-03" in told["wrong"]["answers.last_surgery_on"]


async def test_a_report_keeps_what_was_saved_where_more_can_not_be(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    address = f"/requests/{request_id}/report"
    limit = {f["name"]: f for f in ok(await system.provider.get(address))["fields"]}["findings"]["max_length"]
    form = {"offering": "teledermatology", "revision": "0", "answers.findings": "Papule."}
    async with visitor(portal_app, system.provider) as http:
        assert (await http.post(address, data=form)).status_code == 303
        long = {**form, "revision": "1", "answers.findings": "x" * (limit + 998), "answers.recommendations": "Aucune."}
        page = await http.post(address, data=long)
        text = shown(page, 422)
        assert f"au plus {limit} caractères, 998 de trop. Ce qui était enregistré le reste : Papule." in text
        assert "Tout n’est pas enregistré" in text
        assert "x" * (limit + 998) in page.text
        saved = ok(await system.provider.get(address))
        assert (saved["answers"]["findings"], saved["answers"]["recommendations"]) == ("Papule.", "Aucune.")
        told = (await http.post(address, data={**long, "revision": "2"}, headers=SCRIPT)).json()
        assert "998 de trop" in told["wrong"]["answers.findings"]
        assert told["said"].startswith("Tout n’est pas enregistré.")


async def test_a_text_that_is_too_long_is_kept_whole_and_told_by_how_much(portal_app: FastAPI, system: System) -> None:
    """Of every form; a draft and a report save what they can: above."""
    stage = await Stage.built(system)
    for form in FORMS:
        if form.saves_itself or not form.counted:
            continue
        async with visitor(portal_app, system.people[form.who]) as http:
            page, to = await http.get(stage.page(form)), stage.action(form)
            assert "maxlength" not in page.text, to
            count = re.search(rf'id="count-{form.prose}" data-count="(\d+)"', page.text)
            assert count, to
            text = "é" * (int(count[1]) + 17)
            sent = {**form_to(page.text, to).as_shown, **stage.rest(form), form.prose: text}
            answer = await http.post(to, data=sent)
            assert f"au plus {count[1]} caractères, 17 de trop." in shown(answer, 422), to
            assert text in answer.text, to


async def test_no_field_of_a_form_cuts_what_is_typed(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, "wound_care")
    async with visitor(portal_app) as http:
        assert "maxlength" not in (await http.get("/signin")).text
    async with visitor(portal_app, system.requester) as http:
        for address in (f"/requests/{request_id}/edit", "/account", "/new", "/worklist"):
            assert "maxlength" not in (await http.get(address)).text, address
        found = await http.get("/worklist", params={"filter": "1", "q": "lésion " * 20})
        assert "Seuls les 100 premiers caractères ont été recherchés." in shown(found)


async def test_a_paste_longer_than_its_field_is_kept_whole_and_counted(portal: Portal, system: System) -> None:
    request_id = await draft(system)
    question, status = "[name='answers.question']", "[data-save-status]"
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        count = page.locator("[id='count-answers.question']")
        await expect(count).to_be_hidden()
        await page.fill(question, "Est-ce un mélanome? Oui ou non.")
        await expect(page.locator(status)).to_have_text(re.compile(r"^Enregistré à .*\.$"))
        await page.locator(question).fill("")
        await page.locator(question).focus()
        await page.keyboard.insert_text("a" * 4_998)
        await expect(page.locator(question)).to_have_value("a" * 4_998)
        await expect(count).to_have_text("Caractères de trop : 998")
        await expect(page.locator(status)).to_contain_text("Tout n’est pas enregistré.")
        await expect(page.locator("[id='error-answers.question']")).to_contain_text("998 de trop. Ce qui était")
        view = await system.requester.view(request_id)
        assert view["answers"]["question"] == "Est-ce un mélanome? Oui ou non."
        await page.locator(question).fill("a" * 4_000)
        await expect(page.locator(status)).to_have_text(re.compile(r"^Enregistré à .*\.$"))
        await expect(count).to_have_text("Caractères restants : 0")
        assert (await system.requester.view(request_id))["answers"]["question"] == "a" * 4_000


async def test_a_new_form_left_by_back_leaves_no_draft_and_a_photo_begins_one(portal: Portal, system: System) -> None:
    async def drafts() -> set[str]:
        page = ok(await system.requester2.get("/requests", params={"status": "draft", "limit": 200}))
        return {line["id"] for line in page["items"]}

    before = await drafts()
    async with portal.visit(system.requester2) as page:
        await page.goto("/new")
        await page.get_by_role("region", name="Télédermatologie").get_by_role("button").click()
        await page.wait_for_url("**/edit?*")
        await expect(page.get_by_role("link", name="Supprimer ce brouillon")).to_be_hidden()
        await page.reload()
        await page.go_back()
        await page.wait_for_url("**/new")
        assert await drafts() == before
        await page.go_forward()
        await page.wait_for_url("**/edit?*")
        file = page.locator("#slot-photos input[type=file]")
        await file.set_input_files([picture(1)])
        await expect(page.locator("#slot-photos img")).to_have_count(1)
        await expect(page.get_by_role("link", name="Supprimer ce brouillon")).to_be_visible()
        await page.reload()
        await expect(page.locator("#slot-photos img")).to_have_count(1)
        (request_id,) = await drafts() - before
        assert request_id in page.url


async def test_a_day_that_is_half_typed_erases_nothing(portal: Portal, system: System) -> None:
    request_id = await draft(system, "wound_care")
    before = "2026-02-03"
    answers = {**(await system.requester.view(request_id))["answers"], "last_surgery_on": before}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"answers": answers}))
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        field = page.locator("[name='answers.last_surgery_on']")
        await field.press("End")
        await field.press("Backspace")
        await expect(page.locator("[id='error-answers.last_surgery_on']")).to_contain_text(before)
        await expect(page.locator("[data-save-status]")).to_contain_text("Tout n’est pas enregistré.")
        assert (await system.requester.view(request_id))["answers"]["last_surgery_on"] == before
        await field.fill("28 févr. 2026")
        await expect(page.locator("[data-save-status]")).to_contain_text("Enregistré")
        assert (await system.requester.view(request_id))["answers"]["last_surgery_on"] == "2026-02-28"
        button = page.locator(".typed-day:has([name='answers.last_surgery_on']) [data-calendar]")
        await expect(button).to_have_accessible_name(re.compile(r"^Calendrier\s: "))
        await button.press("Enter")
        await page.locator(".calendar").evaluate(
            "c => { c.value = '2026-03-01'; c.dispatchEvent(new Event('change')); }"
        )
        await expect(field).to_have_value("2026-03-01")


@pytest.mark.usefixtures("only_in_chromium")
async def test_a_page_with_words_that_were_not_sent_is_not_left_by_a_slip(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    async with portal.visit(system.provider) as page:
        page.on("dialog", stay)
        await page.goto(f"/requests/{request_id}/return-to-dispatch")
        comment = page.get_by_label("Commentaire pour l’équipe de répartition")
        await comment.press_sequentially("Hors de mon domaine.")
        await page.locator("a.back").click()
        await expect(comment).to_have_value("Hors de mon domaine.")
        assert asked == ["beforeunload"]
        await page.locator("form.card button.button").click()
        await expect(page.locator("#notice")).to_be_visible()
        assert asked == ["beforeunload"]
