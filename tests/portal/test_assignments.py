"""Requests chosen in the worklist and assigned with one press, without scripts."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import expect

from domain.requests import Role
from tests.api.test_absences import days
from tests.journeys import ok, submitted
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, overflow, shown, visitor
from tests.system import System, add_person

LIST = "/worklist?filter=1&status=active&sort=created"


def box_of(page: str, request_id: str) -> str:
    """What the box of that line sends."""
    found = re.search(rf'name="request" value="({request_id}/\d+)"', page)
    assert found, "no box"
    return found[1]


def hidden_of(page: str) -> dict[str, str]:
    form = page.split('action="/assignments"')[1].split("</form>")[0]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


def hidden_fields(page: str, form_id: str) -> dict[str, list[str]]:
    """Everything that the form of this id sends."""
    fields: dict[str, list[str]] = {}
    form = page.split(f'<form id="{form_id}"')[1].split("</form>")[0]
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(unescape(value))
    return fields


async def test_several_go_with_one_press(portal_app: FastAPI, system: System) -> None:
    ids = [await submitted(system) for _ in range(2)]
    async with visitor(portal_app, system.dispatcher) as http:
        page = (await http.get(LIST)).text
        form = {
            **hidden_of(page),
            "request": [box_of(page, id_) for id_ in ids],
            "to": f"provider:{system.provider.id}",
        }
        answer = await http.post("/assignments", data=form)
        assert answer.headers["location"].startswith(f"{LIST}&done=assigned_several&of=")
        assert "attribué" in shown(await http.get(answer.headers["location"]))
        assert (await http.post("/assignments", data=form)).headers["location"] == answer.headers["location"]
    for request_id in ids:
        assert (await system.requester.view(request_id))["holder"]["person"]["id"] == system.provider.id


async def test_what_was_refused_is_said_and_stays_chosen(portal_app: FastAPI, system: System) -> None:
    good, stale = await submitted(system), await submitted(system)
    async with visitor(portal_app, system.dispatcher) as http:
        page = (await http.get(LIST)).text
        form = {**hidden_of(page), "request": [box_of(page, id_) for id_ in (good, stale)]}
        ok(await system.requester.post(f"/requests/{stale}/add-information", {"text": "Elle saigne."}))
        answer = await http.post("/assignments", data={**form, "to": f"provider:{system.provider.id}"})
        text = shown(answer)
        assert "Tout n’a pas pu être attribué" in text
        done = answer.text.split('id="done"')[1].split("</section>")[0]
        assert good in done
        assert stale not in done
        assert "changé" in answer.text.split(stale)[2]
        assert f'value="provider:{system.provider.id}" checked' in answer.text
        again = {
            **hidden_of(answer.text),
            "request": box_of(answer.text, stale),
            "to": f"provider:{system.provider.id}",
        }
        assert (await http.post("/assignments", data=again)).status_code == 303
    assert (await system.requester.view(stale))["holder"]["person"]["id"] == system.provider.id


async def test_what_was_just_assigned_is_taken_back_from_the_list(portal_app: FastAPI, system: System) -> None:
    """All at once above the list, for a row may be out of sight; or one in its row. One that has changed since is left alone."""
    first, second, changed = [await submitted(system) for _ in range(3)]
    async with visitor(portal_app, system.dispatcher) as http:

        async def assign(*ids: str) -> httpx.Response:
            page = (await http.get(LIST)).text
            chosen = {"request": [box_of(page, id_) for id_ in ids], "to": f"provider:{system.provider.id}"}
            answer = await http.post("/assignments", data={**hidden_of(page), **chosen})
            return await http.get(answer.headers["location"])

        page = (await assign(first, second, changed)).text
        above, in_row = hidden_fields(page, "take-back-what-was-done"), hidden_fields(page, f"take-back-{first}-2")
        assert set(above["request"]) == {f"{id_}/2" for id_ in (first, second, changed)}
        assert in_row["request"] == [f"{first}/2"]
        listed = await system.dispatcher.get("/requests?sort=created&limit=3")
        assert all(row["take_back_until"] for row in listed.json()["items"])
        listed = await system.provider.get("/requests?sort=created&limit=3")
        assert not any(row["take_back_until"] for row in listed.json()["items"]), "only whoever did it takes it back"

        answer = await http.post("/assignments/take-back", data=in_row)
        assert answer.headers["location"] == f"{LIST}&done=take_back"
        assert f"take-back-{first}" not in (await http.get(answer.headers["location"])).text
        ok(await system.provider.post(f"/requests/{changed}/accept"))
        answer = await http.post("/assignments/take-back", data=above)
        number = (await system.requester.view(changed))["number"]
        assert f"{number} : " in shown(answer, 409)
        shown(await http.post("/assignments/take-back", data={**in_row, "request": []}), 422)
        assert (await http.get("/assignments/take-back")).headers["location"] == "/worklist"
    for request_id, status in ((first, "awaiting_dispatch"), (second, "awaiting_dispatch"), (changed, "accepted")):
        assert (await system.requester.view(request_id))["status"] == status


async def test_who_is_away_or_does_not_serve_it_is_said_before(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    nurse = await add_person(system, "ward_nurse", system.clinics["near"], Role.PROVIDER)
    path = f"/api/v1/accounts/{nurse.id}/offerings"

    async def press(http: httpx.AsyncClient, page: str) -> httpx.Response:
        form = {**hidden_of(page), "request": box_of(page, request_id), "to": f"provider:{nurse.id}"}
        return await http.post("/assignments", data=form)

    async with visitor(portal_app, system.dispatcher) as http:
        page = (await http.get(LIST)).text
        ok(await system.administrator.http.put(path, json={"offerings": ["wound_care"]}))
        assert "ne répond pas à toutes" in shown(await press(http, page))
        ok(await system.administrator.http.put(path, json={"offerings": None}))
        ok(await nurse.post("/me/absences", days(-1, 5)), 201)
        warned = await press(http, page)
        assert "La personne choisie est absente" in shown(warned)
        assert (await system.requester.view(request_id))["holder"]["kind"] == "dispatch"
        assert (await press(http, warned.text)).status_code == 303
    assert (await system.requester.view(request_id))["holder"]["person"]["id"] == nurse.id


async def test_what_makes_no_sense(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    async with visitor(portal_app, system.dispatcher) as http:
        one = {"request": f"{request_id}/1"}
        assert "Choisissez une personne" in shown(await http.post("/assignments", data=one), 422)
        for form in (
            {"to": f"provider:{system.provider.id}"},
            {"request": "x/y", "to": "clinic:z"},
            {"to": "dispatch"},
        ):
            shown(await http.post("/assignments", data=form), 422)
        elsewhere = {**one, "to": f"provider:{system.provider.id}", "back": "//evil.example/worklist"}
        answer = await http.post("/assignments", data=elsewhere)
        assert answer.headers["location"].startswith("/worklist?")
        assert (await http.get("/assignments")).headers["location"] == "/worklist"
    for name in ("provider", "requester", "administrator"):
        async with visitor(portal_app, system.people[name]) as http:
            assert 'class="pick"' not in (await http.get(LIST)).text
            assert (await http.post("/assignments", data=one)).status_code == 403


async def test_what_is_seen_while_one_chooses_has_no_barrier(portal: Portal, system: System) -> None:
    request_id = await submitted(system)
    away = await add_person(system, "traveller", system.clinics["near"], Role.PROVIDER)
    ok(await away.post("/me/absences", days(-1, 5)), 201)
    in_one_word = await add_person(system, "a" * 40, system.clinics["near"], Role.PROVIDER)
    held = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{held}/assign", {"provider_id": in_one_word.id}))
    page = await portal.look(system.dispatcher)
    for size in (WIDE, PHONE):
        await page.set_viewport_size(size)
        await page.goto(LIST)
        await page.locator(f"#row-{request_id} .pick input").press("Space")
        assert await barriers(page) == []
        assert await overflow(page) == 0
        await page.locator("#assign").get_by_role("button", name="Traveller").press("Enter")
        await page.wait_for_url("**/assignments")
        assert await barriers(page) == []
        assert await overflow(page) == 0


async def menu_of(http: httpx.AsyncClient, request_id: str) -> str:
    """The menu of that request's row, as it comes when it is opened."""
    row = (await http.get(LIST)).text.split(f'id="assign-{request_id}"')[1].split("</details>")[0]
    assert f'href="/requests/{request_id}/assign"' in row
    address = re.search(r'data-menu="([^"]+)"', row)
    assert address
    return (await http.get(address[1], params={"back": LIST})).text


async def test_one_goes_from_its_row_with_one_press(portal_app: FastAPI, system: System) -> None:
    """Who serves it comes first, with load; who does not, or is away, is said to be so, and asked about before it is sent."""
    request_id, untouched = await submitted(system), await submitted(system)
    nurse = await add_person(system, "row_nurse", system.clinics["near"], Role.PROVIDER)
    path = f"/api/v1/accounts/{nurse.id}/offerings"
    ok(await system.administrator.http.put(path, json={"offerings": ["wound_care"]}))
    async with visitor(portal_app, system.dispatcher) as http:
        menu = await menu_of(http, request_id)
        near = menu.split("</fieldset>")[0]
        assert near.index(system.provider.id) < near.index(nurse.id)
        assert near.split(nurse.id)[1].count("N’y répond pas") == 1
        assert "à accepter" in near
        form = {**hidden_of(menu), "to": f"provider:{nurse.id}"}
        assert form["request"] == f"{request_id}/1"
        assert "ne répond pas à toutes" in shown(await http.post("/assignments", data=form))
        form["to"] = f"provider:{system.provider.id}"
        assert (
            (await http.post("/assignments", data=form)).headers["location"].startswith(f"{LIST}&done=assigned_several")
        )
        menu = await menu_of(http, request_id)
        assert f'value="{request_id}/2"' in menu, "what nobody has accepted yet can still go to somebody else"
        form = {**hidden_of(menu), "to": f"clinic:{system.clinics['near'].id}"}
        assert (await http.post("/assignments", data=form)).status_code == 303
    assert (await system.requester.view(request_id))["holder"]["kind"] == "pool"
    assert (await system.requester.view(untouched))["status"] == "awaiting_dispatch"
    async with visitor(portal_app, system.administrator) as http:
        assert "assign-one" not in (await http.get("/worklist?filter=1&status=active")).text
        assert (await http.get(f"/assignments/menu/{request_id}")).status_code == 403
    async with visitor(portal_app, system.people["far_dispatcher"]) as http:
        assert (await http.get(f"/assignments/menu/{request_id}")).status_code == 404


async def test_the_menu_of_a_row_by_keyboard_stays_open_when_the_list_renews_itself(
    portal: Portal, system: System
) -> None:
    request_id = await submitted(system)
    async with portal.visit(system.dispatcher) as page:
        await page.goto(LIST)
        menu = page.locator(f"#assign-{request_id}")
        pool = menu.get_by_role("button", name=re.compile("Fournisseuses et fournisseurs")).first
        await menu.locator("summary").press("Enter")
        await expect(pool).to_be_visible()
        ok(await system.requester.post(f"/requests/{request_id}/add-information", {"text": "Elle saigne."}))
        await expect(menu.locator(f'[value="{request_id}/2"]')).to_have_count(1)
        await expect(pool).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(pool).to_be_hidden()
        await expect(menu.locator("summary")).to_be_focused()
        await page.keyboard.press("Enter")
        await pool.press("Enter")
        await expect(page.locator("#notice")).to_contain_text("attribué")  # the address loses what was done, at once
    assert (await system.requester.view(request_id))["holder"]["kind"] == "pool"


@pytest.mark.parametrize("size", [WIDE, PHONE])
async def test_an_open_menu_has_no_barrier_and_fits(portal: Portal, system: System, size: Any) -> None:
    request_id = await submitted(system)
    async with portal.visit(system.dispatcher) as page:
        await page.set_viewport_size(size)
        await page.goto(LIST)
        await page.locator(f"#assign-{request_id} summary").click()
        await expect(page.locator(f"#assign-{request_id}").get_by_role("button").first).to_be_visible()
        assert await barriers(page) == []
        assert await overflow(page) == 0
