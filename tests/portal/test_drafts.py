"""The requester's form by plain HTTP, as a browser without scripts sends it, and as draft.js does."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from tests.eventually import eventually
from tests.journeys import PATIENT, draft, ok, returned, somebody_new, submitted, upload
from tests.portal.browsing import Portal, hidden, shown, text_of, visitor
from tests.portal.page_forms import form_to, forms_of
from tests.system import PASSWORD, System, photo

SCRIPT = {"X-Requested-With": "fetch"}

COMPLETE = {
    "offering": "teledermatology",
    "priority": "routine",
    **{f"patient.{name}": value for name, value in PATIENT.items()},
    "answers.question": "Est-ce un mélanome?",
    "answers.body_sites": ["back", "neck"],
    "answers.duration": "over-1-year",
}


async def new_form(http: httpx.AsyncClient, offering: str = "teledermatology", **more: str) -> str:
    """The address of the form of a new request, as the page of the offerings leads there."""
    sent = {**hidden_key(await http.get("/new")), "offering": offering, **more}
    answer = await http.post("/new", data=sent)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def begun(http: httpx.AsyncClient, offering: str = "teledermatology", **more: str) -> str:
    """The id of a draft that was begun on the page."""
    address = await new_form(http, offering, **more)
    answer = await http.post(address, data=form_to((await http.get(address)).text, address).as_shown)
    edit = re.fullmatch(r"(/requests/([0-9a-f-]{36})/edit)\?done=saved", answer.headers["location"])
    assert edit
    assert address.startswith(f"{edit[1]}?")
    return edit[2]


def hidden_key(page: httpx.Response) -> dict[str, str]:
    return {"key": re.search(r'name="key" value="([^"]*)"', page.text)[1]}  # type: ignore[index]


async def typed(http: httpx.AsyncClient, request_id: str, **more: Any) -> dict[str, Any]:
    """What the form sends when it is complete but for its photos."""
    return {**COMPLETE, **hidden(await http.get(f"/requests/{request_id}/edit")), **more}


async def test_every_offering_can_be_begun_and_says_what_it_asks(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        text = shown(await http.get("/new"))
        assert "au moins 3" in text
        assert "Pas pour les urgences" in text
        for code, offering in system.services.offerings.items():
            assert offering.title.fr in text
            request_id = await begun(http, code)
            page = await http.get(f"/requests/{request_id}/edit")
            for field in offering.form:
                assert f'id="field-answers.{field.name}"' in page.text, field.name
            assert "stat" not in re.findall(r'name="priority" value="(\w+)"', page.text)


async def test_a_new_form_that_is_only_looked_at_leaves_no_draft(portal_app: FastAPI, system: System) -> None:
    async def drafts() -> set[str]:
        page = ok(await system.requester.get("/requests", params={"status": "draft", "limit": 200, "sort": "created"}))
        return {line["id"] for line in page["items"]}

    before, earlier = await drafts(), await submitted(system)
    async with visitor(portal_app, system.requester) as http:
        for more in ({}, {"earlier_id": earlier, "copy_form": "true"}):
            address = await new_form(http, **more)
            for _ in range(2):
                page = await http.get(address)
                assert "Soumettre la demande" in shown(page)
                assert "TC-" not in shown(page)
            assert await drafts() == before
        form = form_to(page.text, address).as_shown
        assert form["answers.question"]
        written = {**form, "answers.question": "Et maintenant?"}
        answers = await asyncio.gather(*(http.post(address, data=written, headers=SCRIPT) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        (request_id,) = await drafts() - before
        assert address.startswith(f"/requests/{request_id}/edit?")
        view = await system.requester.view(request_id)
        assert (view["answers"]["question"], view["earlier"]["id"]) == ("Et maintenant?", earlier)
        assert view["number"] in shown(await http.get(address))
    async with visitor(portal_app, system.requester2) as http:
        assert (await http.get(address)).status_code == 404
        assert (await http.post(address, data=written)).status_code in (401, 404)
    async with visitor(portal_app, system.provider) as http:
        assert (await http.get(address.replace(request_id, str(uuid4())))).status_code == 403


async def test_a_photo_alone_makes_the_draft(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        address = await new_form(http)
        form = next(
            f for f in forms_of((await http.get(address)).text) if f.action.split("?")[0].endswith("/attachments")
        )
        answer = await http.post(form.action, data=form.as_shown, files={"file": ("a.jpg", photo(), "image/jpeg")})
        assert answer.status_code == 303, answer.text
        view = await system.requester.view(address.split("/")[2])
        assert len(view["attachments"]) == 1


async def test_what_is_written_into_a_new_form_too_late_is_shown_again(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        address = await new_form(http)
        form = form_to((await http.get(address)).text, address).as_shown
        await http.post("/signout")
        late = await http.post(address, data={**form, "answers.question": "Trop tard?", "do": "save"})
        assert late.status_code == 401
        who = {"username": system.requester.account.username, "password": PASSWORD}
        carried = {**form_to(late.text, "/signin").as_shown, **who}
        answer = await http.post("/signin", data=carried)
        assert (answer.status_code, answer.headers["location"]) == (307, address)
        assert "Trop tard?" in (await http.post(address, data=carried)).text


async def test_only_requesters_begin_and_what_is_wrong_is_said(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        assert (await http.get("/new")).status_code == 403
    async with visitor(portal_app, system.requester) as http:
        assert "offre de service" in shown(await http.post("/new", data={"key": "k", "offering": "astrology"}), 422)


async def test_the_form_is_saved_as_it_is_and_shown_again(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        request_id = await begun(http)
        more = {"answers.largest_diameter": "1 234,5", "answers.immunosuppression": "no", "do": "save"}
        answer = await http.post(f"/requests/{request_id}/edit", data=await typed(http, request_id, **more))
        assert answer.headers["location"] == f"/requests/{request_id}/edit?done=saved"
        view = await system.requester.view(request_id)
        assert view["patient"] == PATIENT
        assert view["answers"] == {
            "question": "Est-ce un mélanome?",
            "body_sites": ["back", "neck"],
            "duration": "over-1-year",
            "largest_diameter": 1234.5,
            "immunosuppression": False,
        }
        page = await http.get(f"/requests/{request_id}/edit")
        for there in ('value="1234,5"', 'value="Tremblay"', 'value="back" checked', 'value="over-1-year" checked'):
            assert there in page.text


async def test_a_number_that_two_readers_would_read_differently_is_not_guessed(
    portal_app: FastAPI, system: System
) -> None:
    for language, text, stored in (("fr", "1,200", 1.2), ("en", "1,200", None), ("en", "1.2", 1.2), ("en", "7", 7)):
        ok(await system.requester.http.patch("/api/v1/me", json={"language": language}))
        async with visitor(portal_app, system.requester) as http:
            request_id = await begun(http)
            form = await typed(http, request_id, **{"answers.largest_diameter": text})
            await http.post(f"/requests/{request_id}/edit", data=form)
            view = await system.requester.view(request_id)
            assert view["answers"].get("largest_diameter") == stored, (language, text)
    ok(await system.requester.http.patch("/api/v1/me", json={"language": "fr"}))


async def test_what_cannot_be_stored_stays_in_its_field_and_the_rest_is_saved(
    portal_app: FastAPI, system: System
) -> None:
    wrong = {"patient.birth_date": "2999-01-01", "answers.weight": "12a"}
    async with visitor(portal_app, system.requester) as http:
        request_id = await begun(http)
        form = await typed(http, request_id, **wrong, do="submit")
        page = await http.post(f"/requests/{request_id}/edit", data=form)
        text = shown(page, 422)
        assert "Poids (enfant) : Un nombre est attendu." in text
        assert 'href="#field-answers.weight"' in page.text
        assert 'id="error-patient.birth_date"' in page.text
        assert 'value="12a"' in page.text
        view = await system.requester.view(request_id)
        assert view["status"] == "draft"
        assert view["patient"]["family_name"] == "Tremblay"
        assert view["patient"]["birth_date"] is None
        assert "weight" not in view["answers"]
        told = (await http.post(f"/requests/{request_id}/edit", data=form | hidden(page), headers=SCRIPT)).json()
        assert set(told["wrong"]) == set(wrong)


async def test_what_is_missing_is_listed_with_its_place(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        request_id = await begun(http)
        page = await http.get(f"/requests/{request_id}/edit")
        for place in ("field-patient.given_name", "field-answers.question", "slot-photos"):
            assert f'href="#{place}"' in page.text
            assert f'id="{place}"' in page.text
        form = {**hidden(page), "offering": "teledermatology", "do": "submit"}
        assert "Photos : Il en faut au moins 3." in shown(
            await http.post(f"/requests/{request_id}/edit", data=form), 422
        )
        form = await typed(http, request_id)
        told = (await http.post(f"/requests/{request_id}/edit", data=form, headers=SCRIPT)).json()
        assert 'href="#slot-photos"' in told["check"]
        assert "field-answers.question" not in told["check"]
        ok(await upload(system.requester, request_id, photo(), "photos"), 201)
        check = await http.get(f"/requests/{request_id}/edit/check")
        assert re.search(r'href="#tile-[0-9a-f-]{36}">Photos</a>\xa0: Cette photo est petite', check.text)


async def test_the_check_of_the_api_is_what_submit_refuses(system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "wound_care"}), 201)["id"]
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    refused = await system.requester.post(f"/requests/{request_id}/submit")
    assert refused.json()["errors"] == check["errors"] != []
    assert check["advice"] == []
    assert (await system.provider.get(f"/requests/{request_id}/check")).status_code == 404
    complete = await draft(system)
    assert ok(await system.requester.get(f"/requests/{complete}/check"))["errors"] == []


async def test_submitting_twice_submits_once(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        form = {**await typed(http, request_id, do="submit"), **of_patient(somebody_new())}
        first, second = [await http.post(f"/requests/{request_id}/edit", data=form) for _ in range(2)]
        assert first.headers["location"] == second.headers["location"] == f"/requests/{request_id}?done=submitted"
        view = await system.requester.view(request_id)
        assert (view["status"], view["answers"]["question"]) == ("awaiting_dispatch", "Est-ce un mélanome?")
        assert len(ok(await system.requester.get(f"/requests/{request_id}/timeline"))) == 1
        answer = await http.get(f"/requests/{request_id}/edit")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/requests/{request_id}")


async def test_another_tab_is_not_overwritten_unasked(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        request_id = await begun(http)
        here, there = await typed(http, request_id), await typed(http, request_id, **{"patient.given_name": "Marie"})
        address = f"/requests/{request_id}/edit"
        ok(await http.post(address, data=there, headers=SCRIPT))
        ok(await http.post(address, data=there, headers=SCRIPT))  # the same again, its answer was lost: no conflict
        answer = await http.post(address, data=here, headers=SCRIPT)
        assert answer.status_code == 412
        assert "Marie" in answer.json()["conflict"]
        page = await http.post(address, data={**here, "do": "save"})
        assert "Garder ce qui est écrit ici" in shown(page, 412)
        assert (await system.requester.view(request_id))["patient"]["given_name"] == "Marie"
        again = await http.post(address, data={**here, **hidden(page), "do": "save"})
        assert again.status_code == 303
        assert (await system.requester.view(request_id))["patient"]["given_name"] == "Jeanne"


async def test_plain_uploads_keep_what_can_be_kept_and_name_the_rest(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        request_id = await begun(http)
        address = f"/requests/{request_id}/attachments"
        form = {"key": "one", "slot": "photos", "next": f"/requests/{request_id}/edit#slot-photos"}
        files = [("file", (f"{n}.jpg", photo((320 + n, 240)), "image/jpeg")) for n in range(3)]
        for _ in range(2):  # sent twice, kept once
            answer = await http.post(address, data=form, files=files)
            assert answer.headers["location"] == f"/requests/{request_id}/edit?done=uploaded#slot-photos"
        page = await http.post(address, data=form, files=[("file", ("notes.txt", b"hello", "text/plain"))])
        assert "notes.txt : Ce type de fichier" in shown(page, 415)
        assert "Choisissez d’abord un fichier" in shown(await http.post(address, data=form), 422)
        there = (await system.requester.view(request_id))["attachments"]
        assert len(there) == 3
        remove = f"{address}/{there[0]['id']}/remove"
        for _ in range(2):
            assert (await http.post(remove, data={"next": "https://elsewhere.invalid/"})).headers[
                "location"
            ] == f"/requests/{request_id}/edit?done=removed"
        assert len((await system.requester.view(request_id))["attachments"]) == 2


async def test_a_returned_request_is_changed_and_submitted_again(portal_app: FastAPI, system: System) -> None:
    request_id = await returned(system)
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(f"/requests/{request_id}/edit")
        text = shown(page)
        assert "Les photos sont floues." in text
        assert f"retournera à Dre Anne {system.provider.account.family_name}" in text
        form = await typed(http, request_id, do="resubmit", priority="urgent")
        for _ in range(2):
            answer = await http.post(f"/requests/{request_id}/edit", data=form)
            assert answer.headers["location"] == f"/requests/{request_id}?done=resubmitted"
    async with visitor(portal_app, system.provider) as http:
        text = shown(await http.get(f"/requests/{request_id}"))
        assert "Modifié depuis le retour de la demande" in text
        assert "Maintenant : Est-ce un mélanome?" in text


async def test_a_returned_request_that_is_not_changed_is_submitted_again_after_a_question(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await returned(system)
    path = f"/requests/{request_id}/check"
    assert (await system.requester.get(path)).json()["unchanged"]
    async with visitor(portal_app, system.requester) as http:
        edit = f"/requests/{request_id}/edit"
        page = await http.get(edit)
        view = await system.requester.view(request_id)
        same = {
            "priority": view["priority"],
            "offering": view["offering"],
            "offering_version": view["offering_version"],
        }
        same |= {f"patient.{name}": value for name, value in view["patient"].items()}
        same |= {f"answers.{name}": value for name, value in view["answers"].items()}
        answer = await http.post(edit, data={**same, **hidden(page), "do": "resubmit"})
        assert "Rien n’a changé depuis la dernière soumission." in shown(answer)
        assert (await system.requester.view(request_id))["status"] == "returned"
        answer = await http.post(edit, data={**same, **hidden(answer), "do": "resubmit", "all_the_same": "yes"})
        assert answer.headers["location"] == f"/requests/{request_id}?done=resubmitted"
    assert (await system.requester.view(request_id))["status"] == "awaiting_acceptance"


async def test_a_request_whose_photos_have_changed_has_changed(system: System) -> None:
    request_id = await returned(system)
    path = f"/requests/{request_id}/check"
    ok(await upload(system.requester, request_id, photo((640, 480)), "photos"), 201)
    assert not (await system.requester.get(path)).json()["unchanged"]


async def test_a_number_that_does_not_fit_is_advice_and_stops_nothing(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, patient={**PATIENT, "health_insurance_number": "ROYM 5803 1412"})
    check = (await system.requester.get(f"/requests/{request_id}/check")).json()
    assert [advice["code"] for advice in check["patient_advice"]] == ["health_number_name", "health_number_sex"]
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(f"/requests/{request_id}/edit")
        assert "Le numéro indique un autre sexe." in shown(page)
        place = re.search(r'href="#(field-patient[^"]*number)"', page.text)
        assert place
        assert f'id="{place[1]}"' in page.text
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    assert (await system.requester.get(f"/requests/{await draft(system)}/check")).json()["patient_advice"] == []


def of_patient(patient: dict[str, Any]) -> dict[str, str]:
    """The fields of the page in which the patient stands."""
    return {f"patient.{name}": value or "" for name, value in patient.items()}


async def test_a_button_fills_in_what_the_number_says(portal_app: FastAPI, system: System) -> None:
    patient = {**PATIENT, "birth_date": "1958", "sex": None}
    request_id = await draft(system, patient=patient)
    edit = f"/requests/{request_id}/edit"
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(edit)
        assert "Remplir d’après le numéro : naissance le 14 mars 1958, sexe : féminin" in shown(page)
        button = re.search(r'name="take" value="([^"]+)"', page.text)
        assert button
        by_script = await typed(http, request_id, **of_patient(patient))
        told = (await http.post(edit, data=by_script, headers={"X-Requested-With": "fetch"})).json()
        assert button[0] in told["suggestions"]
        sent = {**of_patient({**patient, "given_name": "Jeanne-Mance"}), "take": button[1]}
        assert (await http.post(edit, data=await typed(http, request_id, **sent))).status_code == 303
        assert 'name="take"' not in (await http.get(edit)).text
    view = await system.requester.view(request_id)
    assert view["patient"] == {**PATIENT, "given_name": "Jeanne-Mance"}


async def test_a_birth_date_as_people_write_it(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    edit = f"/requests/{request_id}/edit"
    dates = {
        "1958": "1958",
        "1958-3": "1958-03",
        "1958/03/14": "1958-03-14",
        "19580314": "1958-03-14",
        " 1958 3 4 ": "1958-03-04",
        "14 mars 1958": "1958-03-14",
    }
    async with visitor(portal_app, system.requester) as http:
        for written, kept in dates.items():
            sent = {**of_patient({**PATIENT, "birth_date": written}), "do": "save"}
            assert (await http.post(edit, data=await typed(http, request_id, **sent))).status_code == 303
            assert (await system.requester.view(request_id))["patient"]["birth_date"] == kept
        unknown = {**of_patient({**PATIENT, "birth_date": ""}), "patient.birth_date_unknown": "yes", "do": "save"}
        assert (await http.post(edit, data=await typed(http, request_id, **unknown))).status_code == 303
        assert re.search(r'name="patient.birth_date_unknown" value="yes" checked', (await http.get(edit)).text)
        both = {**unknown, "patient.birth_date": "1958"}
        text = shown(await http.post(edit, data=await typed(http, request_id, **both)), 422)
        assert "Une date de naissance est donnée." in text
        assert "reste: yes" not in text


async def test_consent_is_noted_with_who_and_when(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, "teleophthalmology", answers={})
    edit = f"/requests/{request_id}/edit"
    parent = {
        "answers.consent.given_by": "parent",
        "answers.consent.name": "Marie Roy",
        "answers.consent.date": "2026-11-20",
    }
    more = {"offering": "teleophthalmology", "offering_version": "3", **of_patient(PATIENT), "do": "save"}
    async with visitor(portal_app, system.requester) as http:
        assert (await http.post(edit, data={**hidden(await http.get(edit)), **more, **parent})).status_code == 303
        page = await http.get(edit)
        for value in ('value="parent" checked', 'value="Marie Roy"', 'value="2026-11-20"'):
            assert value in page.text
        wrong = {**more, **parent, "answers.consent.date": "2999-01-01"}
        page = await http.post(edit, data={**hidden(page), **wrong})
        assert "Ce qui était enregistré le reste : 2026-11-20" in shown(page, 422)
        assert 'href="#field-answers.consent.date"' in page.text
        assert 'id="error-answers.consent.date"' in page.text
        nameless = {**more, **parent, "answers.consent.name": ""}
        assert (await http.post(edit, data={**hidden(page), **nameless})).status_code == 303
        page = await http.get(edit)
        missing = text_of(page.text[page.text.index('id="check"') :])
        assert "Nom de la personne qui a consenti" in missing
        assert "Date du consentement" not in missing
    ok(await system.requester.get(f"/requests/{request_id}"))


@pytest.mark.parametrize("who", ["requester2", "provider", "far_requester"])
async def test_a_draft_is_nobody_elses(portal_app: FastAPI, system: System, who: str) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.people[who]) as http:
        for address in ("edit", "edit/check", "edit/files?slot=photos", "delete"):
            assert (await http.get(f"/requests/{request_id}/{address}")).status_code == 404, address
        for address in ("edit", "attachments"):
            answer = await http.post(f"/requests/{request_id}/{address}", data={**COMPLETE, "do": "submit"})
            assert answer.status_code == 404, address
        assert (await http.post(f"/requests/{request_id}/delete")).headers["location"] == "/worklist"
    assert (await system.requester.view(request_id))["status"] == "draft"


async def test_who_sees_a_request_does_not_edit_it(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    async with visitor(portal_app, system.dispatcher) as http:
        assert (await http.get(f"/requests/{request_id}/edit")).status_code == 403
        assert (await http.post(f"/requests/{request_id}/edit", data=COMPLETE)).status_code == 403


async def test_a_draft_is_deleted_after_a_second_word(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        assert "supprimés définitivement" in shown(await http.get(f"/requests/{request_id}/delete"))
        for said in ("?done=deleted", ""):  # the second time it is gone already
            answer = await http.post(f"/requests/{request_id}/delete")
            assert answer.headers["location"] == f"/worklist{said}"
        assert (await http.get(f"/requests/{request_id}/edit")).status_code == 404
        sent = await submitted(system)
        assert (await http.post(f"/requests/{sent}/delete")).status_code == 409


async def test_in_english(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    ok(await system.requester.http.patch("/api/v1/me", json={"language": "en"}))
    async with visitor(portal_app, system.requester) as http:
        assert "Nothing is missing. The request can be submitted." in shown(
            await http.get(f"/requests/{request_id}/edit")
        )
        assert "What do you need advice about?" in shown(await http.get("/new"))
    ok(await system.requester.http.patch("/api/v1/me", json={"language": "fr"}))


async def edited(page: Page, request_id: str) -> None:
    await page.goto(f"/requests/{request_id}/edit")


async def test_the_page_saves_itself_and_says_what_it_could_not_save(portal: Portal, system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    async with portal.visit(system.requester) as page:
        await edited(page, request_id)
        await page.fill('[name="patient.given_name"]', "Jeanne")
        await page.fill('[name="answers.weight"]', "12a")
        await expect(page.locator("[data-save-status]")).to_contain_text("sauf : Poids (enfant)")
        await expect(page.locator('[id="error-answers.weight"]')).to_have_text("Un nombre est attendu.")
        await expect(page.locator("#check")).not_to_contain_text("Prénom")
        await page.fill('[name="answers.weight"]', "12,5")
        await expect(page.locator("[data-save-status]")).to_have_text(re.compile(r"^Enregistré à .*\.$"))
        await expect(page.locator(".wrong-text")).to_have_count(0)
        view = await system.requester.view(request_id)
        assert (view["patient"]["given_name"], view["answers"]) == ("Jeanne", {"weight": 12.5})
        await page.context.set_offline(True)
        await page.fill('[name="patient.given_name"]', "Jeanne-Mance")
        await expect(page.locator("[data-save-status]")).to_contain_text("aucune connexion")
        await page.context.set_offline(False)
        await expect(page.locator("[data-save-status]")).to_contain_text("Enregistré à")
        await page.fill('[name="patient.family_name"]', "Tremblay")  # and away at once
        await page.goto("/worklist")
        await eventually(lambda: has_family_name(system, request_id, "Tremblay"))
        await edited(page, request_id)
        await expect(page.locator('[name="patient.given_name"]')).to_have_value("Jeanne-Mance")


async def has_family_name(system: System, request_id: str, name: str) -> bool:
    return bool((await system.requester.view(request_id))["patient"]["family_name"] == name)


async def test_photos_come_and_go_while_somebody_types(portal: Portal, system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    files = [
        {"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": photo((640 + n, 640), f"#{n}08040")} for n in (1, 2)
    ]
    async with portal.visit(system.requester) as page:
        await edited(page, request_id)
        await page.set_input_files("#slot-photos input[type=file]", files)  # type: ignore[arg-type]
        await page.fill('[name="answers.question"]', "Faut-il une biopsie?")
        await expect(page.locator("#files-photos .gallery li")).to_have_count(2)
        await page.click("#files-photos li:first-child [data-remove] button")
        await expect(page.locator("#files-photos .gallery li")).to_have_count(1)
        await expect(page.locator("#files-photos .count")).to_contain_text("1 sur 3")
        await expect(page.locator('[name="answers.question"]')).to_have_value("Faut-il une biopsie?")
        await expect(page.locator("#check")).to_contain_text("Cette photo semble floue")


async def test_a_list_that_comes_late_brings_no_removed_photo_back(portal: Portal, system: System) -> None:
    """The list was asked for when a photo had come, and arrives after the one that a removal asked for."""
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    first, second = (
        {"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": photo((650 + n, 640), f"#{n}08040")} for n in (1, 2)
    )
    asked, may_arrive = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        asked.set()
        await may_arrive.wait()
        await route.fulfill(response=answer)

    async with portal.visit(system.requester) as page:
        await edited(page, request_id)
        tiles = page.locator("#files-photos .gallery li")
        await page.set_input_files("#slot-photos input[type=file]", [first])  # type: ignore[arg-type]
        await expect(tiles).to_have_count(1)
        await page.route("**/edit/files*", late, times=1)
        await page.set_input_files("#slot-photos input[type=file]", [second])  # type: ignore[arg-type]
        await asked.wait()
        removed = await tiles.first.inner_html()
        await page.click("#files-photos li:first-child [data-remove] button")
        await expect(tiles.first).not_to_have_js_property("innerHTML", removed)
        await expect(tiles).to_have_count(1)
        async with page.expect_event("requestfinished", lambda request: "/edit/files" in request.url):
            may_arrive.set()
        await page.evaluate("fetch('/healthz').then((answer) => answer.text())")  # what came before is read by then
        await expect(tiles).to_have_count(1)


@pytest.mark.usefixtures("only_in_chromium")
async def test_the_list_says_what_is_there_whatever_got_lost_on_the_way(portal: Portal, system: System) -> None:
    """The answer to a removal does not arrive, and the list that is asked for then fails once."""
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    file = {"name": "1.jpg", "mimeType": "image/jpeg", "buffer": photo((660, 640), "#308040")}

    async def removed_but_not_said(route: Route) -> None:
        await route.fetch(max_redirects=0)
        await route.abort()

    async with portal.visit(system.requester) as page:
        await edited(page, request_id)
        await page.set_input_files("#slot-photos input[type=file]", [file])  # type: ignore[arg-type]
        await expect(page.locator("#files-photos .gallery li")).to_have_count(1)
        await page.route("**/remove", removed_but_not_said, times=1)
        await page.route("**/edit/files*", lambda route: route.abort(), times=1)
        await page.click("#files-photos [data-remove] button")
        await expect(page.locator("#files-photos .gallery li")).to_have_count(0)
        assert (await system.requester.view(request_id))["attachments"] == []


async def test_two_tabs_and_a_choice(portal: Portal, system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    async with portal.visit(system.requester) as here:
        there = await here.context.new_page()
        await edited(here, request_id)
        await edited(there, request_id)
        await there.fill('[name="patient.given_name"]', "Marie")
        await expect(there.locator("[data-save-status]")).to_contain_text("Enregistré à")
        await here.fill('[name="patient.given_name"]', "Louise")
        await expect(here.locator("#conflict")).to_contain_text("Marie")
        assert (await system.requester.view(request_id))["patient"]["given_name"] == "Marie"
        await here.click("[data-keep]")
        await expect(here.locator("[data-save-status]")).to_contain_text("Enregistré à")
        assert (await system.requester.view(request_id))["patient"]["given_name"] == "Louise"


async def test_a_file_that_is_too_large_is_refused_by_a_page(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        limit = max(system.settings.max_photo_bytes, system.settings.max_video_bytes) + 64 * 1024
        headers = {"Content-Length": str(limit + 1), "Content-Type": "multipart/form-data; boundary=x"}
        answer = await http.post(f"/requests/{request_id}/attachments", content=b"--x", headers=headers)
        assert "L’envoi est trop volumineux : le maximum est de" in shown(answer, 413)


async def test_before_a_second_request_about_a_patient_is_submitted_the_page_asks(
    portal_app: FastAPI, system: System
) -> None:
    patient = somebody_new()
    first = (await system.requester.view(await submitted(system, patient=patient)))["number"]
    request_id = await draft(system, patient=patient)
    edit = f"/requests/{request_id}/edit"
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(edit)
        assert f"une demande est déjà ouverte, {first}" in shown(page)
        form = {**COMPLETE, **{f"patient.{name}": value for name, value in patient.items()}, **hidden(page)}
        answer = await http.post(edit, data={**form, "do": "submit"})
        assert f"Une demande est déjà ouverte pour ce patient : {first}" in shown(answer)
        assert (await system.requester.view(request_id))["status"] == "draft"
        answer = await http.post(edit, data={**form, **hidden(answer), "do": "submit", "all_the_same": "yes"})
        assert answer.headers["location"] == f"/requests/{request_id}?done=submitted"
    assert (await system.requester.view(request_id))["status"] == "awaiting_dispatch"


async def test_a_request_is_begun_from_another_one(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    view = await system.requester.view(request_id)
    async with visitor(portal_app, system.requester) as http:
        page = (await http.get(f"/requests/{request_id}")).text
        form = page.split('<form method="post" action="/new">')[1].split("</form>")[0]
        sent = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', form))
        begun_id = await begun(http, **sent)
        begun_view = await system.requester.view(begun_id)
        assert (begun_view["patient"], begun_view["answers"]) == (view["patient"], view["answers"])
        assert f"Fait suite à {view['number']}" in shown(await http.get(f"/requests/{begun_id}"))
        assert f"Suivie de {begun_view['number']}" in shown(await http.get(f"/requests/{request_id}"))
        others = shown(await http.get(f"/requests/{request_id}/patient"))
        assert begun_view["number"] in others
