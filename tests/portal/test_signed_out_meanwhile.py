"""A session that ended while somebody wrote: nothing is sent, nothing lost, and nobody else sees it."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from fastapi import FastAPI
from playwright.async_api import expect

from tests.journeys import accepted, draft, ok, somebody_new
from tests.portal.browsing import Portal, sign_in, text_of, visitor
from tests.portal.test_story import done
from tests.portal.typed_texts import FORMS, Stage
from tests.system import PASSWORD, Clinician, System
from use_cases.unsent import OPENS_FOR, UnsentForm, seal, unseal

WRITTEN = "Depuis quand saigne-t-elle? <b>Récidive</b>"
SHOWN = "Depuis quand saigne-t-elle? &lt;b&gt;Récidive&lt;/b&gt;"


def fields_of(page: httpx.Response, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes there."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page.text, re.DOTALL)
    assert form, f"no form goes to {action}"
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))


def credentials(who: Clinician) -> dict[str, str]:
    return {"username": who.account.username, "password": PASSWORD}


async def sent_too_late(app: FastAPI, who: Clinician, page: str, address: str, form: dict[str, str]) -> dict[str, str]:
    """Fill in the form of that page, sign out, and send it: the fields of the sign-in page that answers."""
    async with visitor(app, who) as http:
        filled = {**fields_of(await http.get(page), address), **form}
        await http.post("/signout")
        answer = await http.post(address, data=filled)
        assert answer.status_code == 401, address
        assert "Rien n’a été envoyé" in answer.text
        assert SHOWN not in answer.text
        assert WRITTEN not in answer.text
        assert PASSWORD not in answer.text
        return fields_of(answer, "/signin") | {"sent key": filled["key"]}


async def test_every_form_is_shown_again_to_who_wrote_it(portal_app: FastAPI, system: System) -> None:
    stage = await Stage.built(system)
    waiting = stage.ids["submitted"]

    async def versions() -> list[int]:
        return [(await system.requester.view(id_))["version"] for id_ in stage.ids.values()]

    forms = [
        (system.people[form.who], stage.page(form), stage.action(form), {form.prose: WRITTEN, **stage.rest(form)})
        for form in FORMS
    ]
    several = {"comment": WRITTEN, "to": f"provider:{system.provider.id}", "request": f"{waiting}/1"}
    before = await versions()
    for who, page, to, form in (
        *forms,
        (system.dispatcher, "/worklist?filter=1&sort=created", "/assignments", several),
    ):
        carried = await sent_too_late(portal_app, who, page, to, form)
        async with visitor(portal_app) as http:
            wrong = await http.post("/signin", data={**credentials(who), **carried, "password": "wrong"})
            assert fields_of(wrong, "/signin")["unsent"] == carried["unsent"], to
            signed_in = await http.post("/signin", data={**credentials(who), **carried})
            assert (signed_in.status_code, signed_in.headers["location"]) == (307, to)
            again = await http.post(to, data={**credentials(who), **carried})
            assert "Votre session avait pris fin : rien n’a été envoyé." in text_of(again.text), to
            assert SHOWN in again.text, to
            assert fields_of(again, to)["key"] == carried["sent key"], to
    assert await versions() == before
    assert ok(await system.provider.get(f"/requests/{stage.ids['accepted']}/report"))["revision"] == 0
    assert (await system.provider.get(f"/accounts/{system.provider.id}/absences")).json() == []


async def test_nobody_else_is_shown_or_sends_what_was_written(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    address = f"/requests/{request_id}/add-information"
    carried = await sent_too_late(portal_app, system.requester, address, address, {"text": WRITTEN})
    async with visitor(portal_app) as http:
        answer = await http.post("/signin", data={**credentials(system.requester2), **carried})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        answer = await http.post(address, data=carried)
        assert answer.status_code == 404
        assert SHOWN not in answer.text
    async with visitor(portal_app, system.provider) as http:
        page = f"/requests/{request_id}/request-information"
        filled = {**fields_of(await http.get(page), page), "text": WRITTEN}
    async with visitor(portal_app, system.dispatcher) as http:
        answer = await http.post(page, data=filled)  # the page of somebody else, who was signed in here before
        assert answer.status_code == 401
        assert SHOWN not in answer.text
    assert (await system.provider.view(request_id))["questions"] == []


async def test_a_page_of_another_site_puts_nothing_into_a_form(portal_app: FastAPI, system: System) -> None:
    form = {"key": f"{UUID(int=0).hex}{UUID(system.requester.id).hex}", "text": WRITTEN}
    async with visitor(portal_app) as http:
        address = f"/requests/{await accepted(system)}/add-information"
        answer = await http.post(address, data=form, headers={"Sec-Fetch-Site": "cross-site"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/signin")


async def test_a_sealed_form_opens_for_its_writer_and_not_for_long(system: System) -> None:
    now, form = datetime.now(UTC), UnsentForm("/here", [("text", "é"), ("ids", "1"), ("ids", "2")])
    sealed = await seal(system.services, system.requester.account.id, form, now)
    assert sealed
    mine, other = system.requester.account, system.requester2.account
    assert unseal(mine, sealed, now + OPENS_FOR) == form
    assert unseal(mine, sealed, now + OPENS_FOR + timedelta(seconds=1)) is None
    assert unseal(other, sealed, now) is None
    for broken in ("", "é", "AAAA", sealed[:-8], sealed[:40] + "AAAA" + sealed[44:]):
        assert unseal(mine, broken, now) is None
    assert await seal(system.services, UUID(int=1), form, now) is None


async def test_signed_out_before_a_question_is_sent_it_is_shown_again(portal: Portal, system: System) -> None:
    request_id = await accepted(system)
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{request_id}/request-information")
        await page.get_by_label("Votre question").fill(WRITTEN)
        await page.context.clear_cookies()
        await page.locator("form.card button.button").click()
        await page.fill("#username", system.provider.account.username)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await expect(page.locator("#notice")).to_contain_text("Votre session avait pris fin")
        await expect(page.get_by_label("Votre question")).to_have_value(WRITTEN)
        assert (await system.provider.view(request_id))["questions"] == []
        await page.locator("form.card button.button").click()
        await done(page, "Votre question est envoyée")
    assert [q["text"] for q in (await system.provider.view(request_id))["questions"]] == [WRITTEN]


async def test_what_is_shown_again_of_a_draft_saves_itself(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        there = await page.context.new_page()
        await page.context.set_offline(True)
        await page.fill("[name='answers.question']", WRITTEN)
        await page.context.clear_cookies()
        await page.context.set_offline(False)
        await expect(page.locator("[data-save-status]")).to_contain_text("votre session est fermée")
        await page.get_by_role("button", name="Soumettre la demande").click()
        await expect(page.locator("#password")).to_be_visible()
        await sign_in(there, system.requester2)
        await sign_in(there, system.requester)
        await page.fill("#username", system.requester.account.username)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await expect(page.locator("[name='answers.question']")).to_have_value(WRITTEN)
        await expect(page.locator("[data-save-status]")).to_contain_text("Enregistré à")
    view = await system.requester.view(request_id)
    assert (view["status"], view["answers"]["question"]) == ("draft", WRITTEN)
