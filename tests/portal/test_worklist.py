"""The start page: what waits, counts, filters, search, the order, and what it says to each role."""

import re
from dataclasses import replace

import pytest
from fastapi import FastAPI
from playwright.async_api import expect

from domain.requests import Role
from tests.journeys import PATIENT, accepted, asked_about, assigned, draft, ok, returned, submitted
from tests.portal.browsing import Portal, shown, text_of, visitor
from tests.system import System, add_person


async def number_of(system: System, request_id: str) -> str:
    return str((await system.requester.view(request_id))["number"])


async def test_each_role_begins_with_what_concerns_them(portal_app: FastAPI, system: System) -> None:
    waiting = await number_of(system, await submitted(system))
    held = await number_of(system, await accepted(system))
    own = await number_of(system, await draft(system))
    views = {}
    for name in ("requester", "dispatcher", "provider", "provider2", "administrator", "far_provider"):
        async with visitor(portal_app, system.people[name]) as http:
            views[name] = (await http.get("/worklist?sort=created&filter=1" + _mine(name))).text
    assert [name for name, page in views.items() if own in page] == ["requester"]
    assert [name for name, page in views.items() if waiting in page] == ["requester", "dispatcher", "administrator"]
    assert [name for name, page in views.items() if held in page] == ["requester", "provider", "administrator"]


def _mine(name: str) -> str:
    return "&mine=1" if name in ("dispatcher", "provider", "provider2", "far_provider") else ""


async def test_the_start_page_of_a_provider_shows_their_cases_only(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        page = (await http.get("/worklist")).text
        assert 'name="mine" value="1" checked' in page
        page = (await http.get("/worklist?filter=1")).text
        assert 'name="mine" value="1" checked' not in page
    async with visitor(portal_app, system.requester) as http:
        assert 'name="mine" value="1" checked' not in (await http.get("/worklist")).text


async def test_a_number_finds_its_request(portal_app: FastAPI, system: System) -> None:
    number, other = await number_of(system, await submitted(system)), await number_of(system, await submitted(system))
    async with visitor(portal_app, system.requester) as http:
        page = (await http.get("/worklist", params={"filter": "1", "status": "all", "q": number.lower()})).text
        assert number in page
        assert other not in page.replace(f'value="{other}"', "")


async def test_what_is_late_and_what_is_new_is_said_in_words(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    number = await number_of(system, request_id)
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/dispatch"))
    async with visitor(portal_app, system.dispatcher) as http:
        search = {"filter": "1", "q": number}
        text = shown(await http.get("/worklist", params=search))
        assert "En retard" in text.split(number, 1)[1]
        assert "Nouveau" in text.split(number, 1)[1]
        shown(await http.get(f"/requests/{request_id}"))
        assert "Nouveau" not in shown(await http.get("/worklist", params=search)).split(number, 1)[1]
        assert number in shown(await http.get("/worklist", params={**search, "overdue": "1"}))


async def test_strange_filters_do_no_harm(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        for query in (
            "status=nothing&sort=sideways&priority=stat&offering=none",
            "q=%00",
            "q=" + "x" * 500,
            "cursor=broken",
            "mine=maybe&overdue=2",
        ):
            answer = await http.get(f"/worklist?{query}")
            assert answer.status_code in (200, 404, 422), query
            assert "text/html" in answer.headers["content-type"]


async def test_pages_follow_each_other(portal_app: FastAPI, system: System) -> None:
    for _ in range(26):
        ok(await system.requester.post("/requests", {"offering": "wound_care"}), 201)
    async with visitor(portal_app, system.requester) as http:
        first = await http.get("/worklist?filter=1&status=draft&sort=created")
        assert first.text.count('class="row-link"') == 25
        following = first.text.split('href="')[-1]
        link = next(part for part in first.text.split('"') if "cursor=" in part).replace("&amp;", "&")
        second = await http.get(link)
        assert second.text.count('class="row-link"') >= 1, following
        rows = {part.split('"')[0] for part in first.text.split('id="row-')[1:]}
        assert not rows & {part.split('"')[0] for part in second.text.split('id="row-')[1:]}


async def test_english_for_those_who_read_english(portal_app: FastAPI, system: System) -> None:
    await assigned(system)
    ok(await system.provider.http.patch("/api/v1/me", json={"language": "en"}))
    try:
        async with visitor(portal_app, system.provider) as http:
            answer = await http.get("/worklist")
            assert '<html lang="en">' in answer.text
            assert "Awaiting acceptance" in shown(answer)
    finally:
        ok(await system.provider.http.patch("/api/v1/me", json={"language": "fr"}))


async def test_what_i_have_to_do_stands_first_whoever_holds_it(portal_app: FastAPI, system: System) -> None:
    reader = await add_person(system, "lister", system.clinics["near"], Role.REQUESTER)
    mine = replace(system, people={**system.people, "requester": reader})
    numbers = {}
    for name, journey in (("draft", draft), ("waiting", submitted), ("asked", accepted), ("returned", returned)):
        request_id = await journey(mine)
        numbers[name] = (await reader.view(request_id))["number"]
        if name == "asked":
            ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    async with visitor(portal_app, reader) as http:
        page = await http.get("/worklist")
        assert "<title>(2) Liste de travail" in page.text
        groups = {part.split('"')[0]: text_of(part) for part in page.text.split('<tbody id="group-')[1:]}
        assert list(groups) == ["to-do", "others", "drafts"]
        stands_in = {name: [group for group, text in groups.items() if numbers[name] in text] for name in numbers}
        assert stands_in == {"draft": ["drafts"], "waiting": ["others"], "asked": ["to-do"], "returned": ["to-do"]}
        for words in ("À faire par moi 2", "Répondre à la question", "Corriger et soumettre à nouveau"):
            assert words in groups["to-do"]
        only = (await http.get("/worklist?filter=1&todo=1")).text
        assert [name for name, number in numbers.items() if number in only] == ["asked", "returned"]
        flat = (await http.get("/worklist?filter=1&sort=created")).text
        assert '<tbody id="group-all">' in flat
        found = (await http.get("/worklist", params={"filter": "1", "q": "tremb jeanne"})).text
        assert all(number in found for number in numbers.values())


async def test_a_question_about_a_report_stands_first_though_its_request_is_closed(
    portal_app: FastAPI, system: System
) -> None:
    number = (await system.provider.view(await asked_about(system)))["number"]
    async with visitor(portal_app, system.provider) as http:
        page = (await http.get("/worklist")).text
        to_do = page.split('<tbody id="group-to-do">')[1].split("</tbody>")[0]
        assert number in to_do
        assert "Répondre\N{NO-BREAK SPACE}: rapport" in to_do
        counted = re.search(r"À faire par moi <b>(\d+)", to_do)
        title = re.search(r"<title>\((\d+)\)", page)
        assert counted
        assert title
        assert counted[1] == title[1]


@pytest.mark.parametrize("priority", ["asap", "urgent"])
async def test_how_soon_is_never_cut_off(portal: Portal, system: System, priority: str) -> None:
    """On a wide screen each request is one line, in which long words end in dots; how soon an answer is needed is not one."""
    request_id = await assigned(system, priority=priority)
    async with portal.visit(system.provider, size={"width": 1366, "height": 768}) as page:
        await page.goto("/worklist?filter=1&sort=created")
        row = page.locator(f"#row-{request_id}")
        badge, cell = row.locator(f".badge.priority-{priority}"), row.locator("th")
        await expect(badge).to_be_visible()
        right = "element => element.getBoundingClientRect().right"
        assert await badge.evaluate(right) <= await cell.evaluate(right)


async def test_a_line_says_who_asks_what(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    view = await system.requester.view(request_id)
    photo = f"/api/v1/requests/{request_id}/attachments/{view['attachments'][0]['id']}/thumbnail"
    async with visitor(portal_app, system.dispatcher) as http:
        page = (await http.get("/worklist", params={"filter": "1", "q": view["number"]})).text
        line = page.split(f'id="row-{request_id}"')[1].split("</tr>")[0]
        assert photo in line
        assert (await http.get(photo)).status_code == 200
    said = text_of(line)
    for words in ("Jeanne Tremblay", view["answers"]["question"], "Télédermatologie", "depuis : ", "Répartition"):
        assert words in said


async def test_fifteen_lines_stand_on_one_screen(portal: Portal, system: System) -> None:
    writer = await add_person(system, "writer", system.clinics["near"], Role.REQUESTER)
    for _ in range(16):
        ok(await writer.post("/requests", {"offering": "teledermatology", "patient": PATIENT}), 201)
    async with portal.visit(writer, size={"width": 1366, "height": 768}) as page:
        await page.goto("/worklist")
        rows = page.locator("tr[data-version]")
        await expect(rows).to_have_count(16)
        assert await rows.nth(14).evaluate("row => row.getBoundingClientRect().bottom") <= 768


async def test_what_changes_is_said_and_marked_and_what_is_chosen_stays_chosen(portal: Portal, system: System) -> None:
    first, second = await submitted(system), await submitted(system)
    async with portal.visit(system.dispatcher) as page:
        async with page.expect_response("**/events?*"):
            await page.goto("/worklist?filter=1&sort=created")
        box = page.locator(f"#row-{first} .pick input")
        await expect(page.locator("#assign")).to_be_hidden()
        await box.check()
        await expect(page.locator("#assign")).to_be_visible()
        body = {"text": "Elle saigne.", "worse": True}
        ok(await system.requester.post(f"/requests/{second}/add-information", body))
        await expect(page.locator("#news")).to_have_text("1 demande modifiée.")
        await expect(page.locator(f"#row-{second} .fresh")).to_have_text("Modifiée")
        await expect(box).to_be_checked()
        third = await submitted(system)
        await expect(page.locator("#news")).to_contain_text("1 nouvelle dans la liste")
        await expect(page.locator(f"#row-{third} .fresh")).to_have_text("Nouveau")
        await expect(page.locator(f"#row-{second} .fresh")).to_have_text("Modifiée")
        await expect(page.locator("[data-chosen]")).to_have_text("(1)")
        await page.locator("#assign").get_by_role("button", name="Provider2").click()
        await expect(page.locator("#notice.success")).to_be_visible()
    assert (await system.requester.view(first))["holder"]["person"]["id"] == system.provider2.id


async def test_days_are_typed_and_what_is_none_stays_and_is_told(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    number = (await system.requester.view(request_id))["number"]
    found = {"1 nov. 2026": True, "2026-11": True, "2999": False, "bientôt": True}
    async with visitor(portal_app, system.dispatcher) as http:
        for typed, is_found in found.items():
            page = await http.get("/worklist", params={"filter": 1, "q": number, "submitted_from": typed})
            assert (request_id in page.text) is is_found, typed
        assert "« bientôt » ne se lit pas comme une date" in shown(page)
        assert 'value="bientôt"' in page.text


async def test_a_filter_is_kept_under_a_name_and_the_order_from_visit_to_visit(
    portal_app: FastAPI, system: System
) -> None:
    reader = await add_person(system, "keeper", system.clinics["near"], Role.DISPATCHER)
    wanted = f"filter=1&status=accepted&overdue=1&holder={system.provider.id}&submitted_from=2026-01-02&sort=updated"
    async with visitor(portal_app, reader) as http:
        await http.get(f"/worklist?{wanted}")
        again = (await http.get("/worklist")).text
        assert '<option value="updated" selected>' in again
        page = (await http.get(f"/worklist/filters?{wanted}")).text
        address = re.findall(r'name="address" value="([^"]*)"', page)[0].replace("&amp;", "&")
        shown(await http.post("/worklist/filters", data={"address": address, "name": " "}), 422)
        answer = await http.post("/worklist/filters", data={"address": address, "name": "Chez Provider"})
        assert answer.headers["location"] == f"{address}&done=filter_kept"
        page = (await http.get("/worklist?filter=1&sort=due")).text
        link = re.findall(r'<a href="([^"]*)">Chez Provider</a>', page)[0].replace("&amp;", "&")
        assert link == address
        there = (await http.get(link)).text
        assert f'<option value="{system.provider.id}" selected>' in there
        assert 'name="overdue" value="1" checked' in there
        assert 'autocomplete="off" value="2026-01-02"' in there
        [kept] = (await reader.get("/me/filters")).json()
        assert kept["criteria"]["holder"] == system.provider.id
        answer = await http.post(f"/worklist/filters/{kept['id']}/remove")
        assert answer.headers["location"] == "/worklist/filters?done=filter_removed"
        ok(
            await reader.http.put(
                "/api/v1/me/filters", json={"name": "Deux", "criteria": {"status": ["closed", "reported"]}}
            )
        )
        page = (await http.get("/worklist")).text
        two = re.findall(r'<a href="([^"]*)">Deux</a>', page)[0].replace("&amp;", "&")
        shown(await http.get(two))
        assert "status=closed%2Creported" in two
