"""What an offering's file becomes never changes the requests that were made with it."""

import re
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from cli import print_offerings
from records import drafts, requests
from records.models import RequestRecord
from tests.api.answers import problem
from tests.api.test_report import pdf, words
from tests.journeys import PATIENT, ok, ok_list, signed, upload
from tests.offerings import BURNS, OfferingFile, offering_file, started
from tests.portal.browsing import shown, text_of, visitor
from tests.system import PASSWORD, System, photo
from use_cases.offering_files import OfferingError
from use_cases.offerings import look_at_offerings

ANSWERS = {"question": "Greffe?", "allergies": "Pénicilline", "depth": "second", "dose": 5}


async def begun(system: System, code: str, answers: dict[str, Any] = ANSWERS) -> str:
    body = {"offering": code, "patient": PATIENT, "answers": answers}
    return str(ok(await system.requester.post("/requests", body), 201)["id"])


async def assigned(system: System, code: str) -> str:
    request_id = await begun(system, code)
    ok(await upload(system.requester, request_id, photo(), "photos"), 201)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    return request_id


def change_all(file: OfferingFile) -> None:
    """Rename or remove whatever a request can hold an answer, a photo or a text to."""
    file.change(
        ("version: 1", "version: 2"),
        ("name: allergies", "name: known_allergies"),
        ("Allergies connues", "Réactions"),
        ("value: second", "value: deep"),
        ('fr: "mg"', 'fr: "g"'),
        ("name: photos", "name: views"),
        ("Photos de la brûlure", "Vues"),
        ("name: findings", "name: opinion"),
        ('fr: "Observations"', 'fr: "Opinion"'),
        ('fr: "Brûlures"', 'fr: "Brûlures et engelures"'),
    )


async def report_of(system: System, request_id: str, answers: dict[str, Any]) -> dict[str, Any]:
    """The request accepted, its report written and signed; the receipt."""
    path = f"/api/v1/requests/{request_id}/report"
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    ok(await system.provider.http.put(path, json={"answers": answers}))
    assert (await system.provider.http.get(f"{path}/preview.pdf")).status_code == 200
    return await signed(system, request_id)


async def page(system: System, name: str, path: str) -> str:
    async with visitor(system.app, system.people[name]) as http:
        return shown(await http.get(path))


async def test_a_request_keeps_the_words_of_its_version(system: System, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await assigned(before, file.code)
        old = await page(before, "provider", f"/requests/{request_id}")
    change_all(file)
    async with started(system, tmp_path) as after:
        new = await page(after, "provider", f"/requests/{request_id}")
        for text in ("Allergies connues Pénicilline", "Deuxième degré", "5 mg", "Photos de la brûlure (1)"):
            assert text in old
            assert text in new
        assert "engelures" not in new
        view = await after.provider.view(request_id)
        assert view["offering_version"] == 1
        content = ok(await after.provider.get(f"/offerings/{file.code}/versions/1"))
        assert [field["name"] for field in content["form"]] == list(ANSWERS)
        assert ok(await after.provider.get(f"/offerings/{file.code}"))["version"] == 2
        problem(await after.provider.get(f"/offerings/{file.code}/versions/3"), 404, "not_found")
        receipt = await report_of(after, request_id, {"findings": "Brûlure profonde."})
        printed = words(await pdf(after.provider, request_id, receipt["document"]["report_id"]))
        for text in ("Brûlures", "Allergies connues", "Pénicilline", "Deuxième degré", "5 mg", "Observations"):
            assert text in printed.replace("\N{NO-BREAK SPACE}", " ")
        assert "engelures" not in printed


async def test_without_its_file_an_offering_serves_its_requests_to_their_end(system: System, tmp_path: Path) -> None:
    file, other = offering_file(tmp_path), offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        asked = await assigned(before, file.code)
        returned = await assigned(before, file.code)
    file.path.unlink()
    async with started(system, tmp_path) as after:
        body = {"offering": file.code, "patient": PATIENT}
        problem(await after.requester.post("/requests", body), 422, "unknown_offering")
        assert [offering["code"] for offering in ok_list(await after.requester.get("/offerings"))] == [other.code]
        problem(await after.requester.get(f"/offerings/{file.code}"), 404, "not_found")
        reason = {"reason": "incomplete_submission", "text": "Une photo de plus."}
        ok(await after.provider.post(f"/requests/{returned}/return-to-requester", reason))
        answers = {**ANSWERS, "allergies": "Aucune"}
        changes = {"answers": answers}
        ok(await after.requester.http.patch(f"/api/v1/requests/{returned}", json=changes))
        ok(await upload(after.requester, returned, photo((400, 300)), "photos"), 201)
        ok(await after.requester.post(f"/requests/{returned}/resubmit"))
        changed = await page(after, "provider", f"/requests/{returned}")
        assert re.search(r"Allergies connues Avant\W+Pénicilline\W+Maintenant\W+Aucune", changed)

        ok(await after.provider.post(f"/requests/{asked}/request-information", {"text": "Depuis quand?"}))
        added = ok(await upload(after.requester, asked, photo((500, 300))), 201)
        answer = {"text": "Hier.", "attachment_ids": [added["id"]]}
        ok(await after.requester.post(f"/requests/{asked}/answer-information", answer))
        receipt = await report_of(after, asked, {"findings": "Brûlure profonde."})
        assert "Allergies connues" in words(await pdf(after.provider, asked, receipt["document"]["report_id"]))
        more = {"text": "La culture est négative.", "password": PASSWORD}
        ok(await after.provider.post(f"/requests/{asked}/report/addenda", more))
        ok(await after.requester.post(f"/requests/{asked}/acknowledge"))
        assert "Brûlures" in await page(after, "provider", "/worklist?status=all")


async def patch(system: System, request_id: str, **changes: Any) -> dict[str, Any]:
    return ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json=changes))


def waiting(view: dict[str, Any]) -> dict[str, Any]:
    """What waits beside a draft's form, given to version 1."""
    assert {one["offering_version"] for one in view["outdated_answers"]} <= {1}
    return {one["field"]: one["answer"] for one in view["outdated_answers"]}


WAITING = {"allergies": "Pénicilline", "depth": "second", "dose": 5}


async def test_a_draft_moves_to_the_version_in_force_and_loses_nothing(system: System, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await begun(before, file.code)
        photo_id = ok(await upload(before.requester, request_id, photo(), "photos"), 201)["id"]
        old = await before.requester.view(request_id)
    change_all(file)
    async with started(system, tmp_path) as after:
        path = f"/requests/{request_id}"
        view = await after.requester.view(request_id)
        assert (view["offering_version"], view["version"]) == (2, old["version"])
        assert view["answers"] == {"question": "Greffe?"}
        assert waiting(view) == WAITING
        view = await patch(after, request_id, answers={"question": "Greffe?", "known_allergies": "Pénicilline"})
        assert waiting(view) == WAITING
        left = {("outdated_answer", field) for field in WAITING} | {("slot_gone", "photos")}
        errors = ok(await after.requester.get(f"{path}/check"))["errors"]
        assert {(error["code"], error["field"]) for error in errors} == left
        told = problem(await after.requester.post(f"{path}/submit"), 422, "form_incomplete")
        assert {(error["code"], error["field"]) for error in told["errors"]} == left
        page_ = await page(after, "requester", f"{path}/edit")
        for text in ("Allergies connues Pénicilline", "Deuxième degré", "5 mg", "Photos de la brûlure"):
            assert text in page_
        view = await patch(after, request_id, drop_outdated=["allergies", "depth"])
        assert waiting(view) == {"dose": 5}
        answers = {"question": "Greffe?", "known_allergies": "Pénicilline", "dose": 0.005}
        await patch(after, request_id, answers=answers, drop_outdated=["dose"])
        problem(await move(after, request_id, photo_id, "photos"), 422, "unknown_slot")
        assert ok(await move(after, request_id, photo_id, "views"))["slot"] == "views"
        ok(await after.requester.post(f"{path}/submit"))
        ok(await after.dispatcher.post(f"{path}/assign", {"provider_id": after.provider.id}))
        assert (await after.provider.view(request_id))["offering_version"] == 2
        assert "Réactions Pénicilline" in await page(after, "provider", path)
        await report_of(after, request_id, {"opinion": "Aucune greffe."})


async def move(system: System, request_id: str, photo_id: str, slot: str) -> Any:
    return await system.requester.http.patch(
        f"/api/v1/requests/{request_id}/attachments/{photo_id}", json={"slot": slot}
    )


async def test_who_read_the_form_before_it_changed_loses_nothing(system: System, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await begun(before, file.code)
    change_all(file)
    async with started(system, tmp_path) as after:
        view = await patch(after, request_id, answers={**ANSWERS, "dose": 7})
        assert view["answers"] == {"question": "Greffe?"}
        assert waiting(view) == {**WAITING, "dose": 7}
        view = await patch(after, request_id, answers={"question": "Suture?", "dose": 8}, offering_version=1)
        assert view["answers"] == {"question": "Suture?"}
        assert waiting(view) == {"dose": 8}
        path = f"/api/v1/requests/{request_id}"
        for changes, code in (
            ({"answers": ANSWERS}, "form_invalid"),  # the draft has moved by now
            ({"answers": ANSWERS, "offering_version": 2}, "form_invalid"),
            ({"answers": ANSWERS, "offering_version": 3}, "unknown_offering_version"),
            ({"answers": {"dose": "much"}, "offering_version": 1}, "form_invalid"),
        ):
            problem(await after.requester.http.patch(path, json=changes), 422, code)
        assert (await after.requester.view(request_id))["version"] == view["version"]
    file.change(("version: 2", "version: 3"), ('fr: "g"', 'fr: "kg"'))
    async with started(system, tmp_path) as later:
        assert waiting(await later.requester.view(request_id)) == {"dose": 8}
    file.change(("version: 3", "version: 1"))
    file.path.write_text(BURNS.format(code=file.code))
    async with started(system, tmp_path) as undone:
        view = await undone.requester.view(request_id)
        assert view["answers"] == {"question": "Suture?", "dose": 8}
        assert view["outdated_answers"] == []


async def test_a_form_that_changed_is_not_submitted_unseen(system: System, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id, other = await begun(before, file.code), await begun(before, file.code)
        for made in (request_id, other):
            ok(await upload(before.requester, made, photo(), "photos"), 201)
        version = (await before.requester.view(request_id))["version"]
    file.change(("version: 1", "version: 2"), ("Allergies connues", "Aucune allergie"))
    async with started(system, tmp_path) as after:
        path, seen = f"/requests/{request_id}/submit", {"If-Match": f'"{version}"'}
        for _ in range(2):  # nothing has moved until somebody looks
            problem(await after.requester.post(path, headers=seen), 412, "version_conflict")
        view = await after.requester.view(request_id)
        assert (view["offering_version"], view["version"]) == (2, version)
        ok(await after.requester.post(path, headers=seen))
        ok(await after.requester.post(f"/requests/{other}/submit"))  # does not say what it has seen


async def test_a_page_from_before_the_form_changed_is_shown_again_before_it_is_sent(
    system: System, tmp_path: Path
) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before, visitor(before.app, before.requester) as http:
        request_id = await begun(before, file.code)
        ok(await upload(before.requester, request_id, photo(), "photos"), 201)
        path = f"/requests/{request_id}/edit"
        form = fields_of(await http.get(path)) | {"answers.allergies": "Latex", "do": "submit"}
    file.change(("version: 1", "version: 2"), ("Allergies connues", "Aucune allergie"))
    async with started(system, tmp_path) as after, visitor(after.app, after.requester) as http:
        answer = await http.post(path, data=form)
        assert "Aucune allergie" in shown(answer, 412)
        again = fields_of(answer)
        assert (again["offering_version"], again["answers.allergies"]) == ("2", "Latex")
        assert (await after.requester.view(request_id))["status"] == "draft"
        assert (await http.post(path, data=again | {"do": "submit"})).status_code == 303
        assert (await after.requester.view(request_id))["status"] != "draft"


async def test_a_draft_that_is_asked_for_again_after_its_offering_changed(system: System, tmp_path: Path) -> None:
    file, other = offering_file(tmp_path), offering_file(tmp_path)
    body = {"offering": file.code, "patient": PATIENT, "answers": ANSWERS}
    async with started(system, tmp_path) as before:
        made = ok(await before.requester.post("/requests", body, key=file.code), 201)
    change_all(file)
    async with started(system, tmp_path) as after:
        await after.requester.view(made["id"])
        assert ok(await after.requester.post("/requests", body, key=file.code), 201)["id"] == made["id"]
        more = {**body, "offering": other.code}
        problem(await after.requester.post("/requests", more, key=file.code), 422, "idempotency_key_reused")


async def test_a_draft_of_an_offering_without_a_file_can_be_read_and_not_submitted(
    system: System, tmp_path: Path
) -> None:
    file = offering_file(tmp_path)
    offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await begun(before, file.code)
    text = file.path.read_text()
    file.path.unlink()
    path = f"/requests/{request_id}"
    async with started(system, tmp_path) as after:
        view = await patch(after, request_id, answers={**ANSWERS, "allergies": "Aucune"})
        assert view["answers"]["allergies"] == "Aucune"
        problem(await after.requester.post(f"{path}/submit"), 409, "offering_withdrawn")
        errors = ok(await after.requester.get(f"{path}/check"))["errors"]
        assert [(error["code"], error["field"]) for error in errors] == [("offering_withdrawn", "offering")]
        async with visitor(after.app, after.requester) as http:
            answer = await http.get(f"{path}/edit")
            assert "ne prend plus de nouvelles demandes" in shown(answer)
            assert 'value="Aucune"' in answer.text
            assert 'value="submit"' not in answer.text
    file.path.write_text(text)
    async with started(system, tmp_path) as again:
        ok(await again.requester.post(f"{path}/submit"))


async def test_a_page_that_was_open_when_the_form_changed_saves_all(system: System, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await begun(before, file.code)
        path = f"/requests/{request_id}/edit"
        async with visitor(before.app, before.requester) as http:
            form = fields_of(await http.get(path))
    change_all(file)
    async with started(system, tmp_path) as after, visitor(after.app, after.requester) as http:
        form |= {"answers.question": "Suture?", "answers.allergies": "Latex", "do": "save"}
        told = (await http.post(path, data=form, headers={"X-Requested-With": "fetch"})).json()
        assert told["wrong"] == {}
        assert "Le formulaire a changé" in told["said"]
        assert "Allergies connues" in text_of(told["check"])
        view = await after.requester.view(request_id)
        assert (view["answers"], waiting(view)) == ({"question": "Suture?"}, {**WAITING, "allergies": "Latex"})

        form |= {"version": str(view["version"]), "answers.dose": "8", "do": "submit"}
        answer = await http.post(path, data=form)
        text = shown(answer, 422)
        assert "Allergies connues Latex" in text
        assert "8 mg" in text
        assert 'name="answers.known_allergies"' in answer.text

        form = fields_of(answer) | {"answers.known_allergies": "Latex", "drop": "allergies"}
        assert (await http.post(path, data=form)).status_code == 303
        view = await after.requester.view(request_id)
        assert view["answers"] == {"question": "Suture?", "known_allergies": "Latex"}
        assert waiting(view) == {"depth": "second", "dose": 8}


async def test_a_page_from_before_that_another_tab_overtook_keeps_what_is_written(
    system: System, tmp_path: Path
) -> None:
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        request_id = await begun(before, file.code)
        path = f"/requests/{request_id}/edit"
        async with visitor(before.app, before.requester) as http:
            form = fields_of(await http.get(path)) | {"answers.allergies": "Latex", "do": "save"}
    change_all(file)
    async with started(system, tmp_path) as after, visitor(after.app, after.requester) as http:
        await patch(after, request_id, answers={"question": "Greffe?", "known_allergies": "Iode"}, offering_version=2)
        answer = await http.post(path, data=form)
        assert "Latex" in shown(answer, 412)
        again = fields_of(answer)
        assert (again["offering_version"], again["answers.allergies"]) == ("1", "Latex")
        assert (await http.post(path, data=again)).status_code == 303
        assert waiting(await after.requester.view(request_id))["allergies"] == "Latex"


def fields_of(answer: Any) -> dict[str, str]:
    """What the form of a request's draft would send as it stands in the page."""
    html = answer.text.partition('<form id="draft"')[2].partition("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", html):
        name, value = (re.search(rf'\s{part}="([^"]*)"', tag) for part in ("name", "value"))
        if name and value and ("checked" in tag or not re.search(r'type="(radio|checkbox)"', tag)):
            found[name[1]] = unescape(value[1])
    for name_, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', html):
        found[name_] = unescape(text)
    for name_, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', html, re.DOTALL):
        if chosen := re.search(r'value="([^"]*)" selected', options):
            found[name_] = unescape(chosen[1])
    return found


async def test_requests_of_a_version_that_nobody_kept(system: System, tmp_path: Path) -> None:
    """A data folder of a Relais that kept no versions, opened after the offering's file had changed."""
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        drafted, asked = await begun(before, file.code), await assigned(before, file.code)
        reason = {"reason": "incomplete_submission", "text": "Une photo de plus."}
        ok(await before.provider.post(f"/requests/{asked}/return-to-requester", reason))
        for request_id in (drafted, asked):
            async with before.services.database.session() as session:
                row = await requests.lock_request(session, UUID(request_id))
                row.process = {**row.process, "terms": {**row.process["terms"], "offering_version": 77}}
                row.form = {**row.form, "answers": {**row.form["answers"], "smoker": True}}
        assert (await before.requester.view(drafted))["outdated_answers"] == [
            {"field": "smoker", "answer": True, "offering_version": 77}
        ]
        view = await before.requester.view(asked)
        assert (view["offering_version"], view["answers"]) == (77, ANSWERS)
        assert [one["field"] for one in view["outdated_answers"]] == ["smoker"]
        assert "smoker Oui" in await page(before, "requester", f"/requests/{asked}/edit")
        assert "Allergies connues Pénicilline" in await page(before, "provider", f"/requests/{asked}")
        view = await patch(before, asked, answers={**ANSWERS, "dose": 6}, drop_outdated=["smoker"])
        assert (view["answers"]["dose"], view["outdated_answers"]) == (6, [])
        ok(await before.requester.post(f"/requests/{asked}/resubmit"))


async def test_what_is_written_while_a_form_is_opened_is_kept(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a returned request whose version nobody kept: an edit between reading the row and locking it."""
    file = offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        asked = await assigned(before, file.code)
        reason = {"reason": "incomplete_submission", "text": "Une photo de plus."}
        ok(await before.provider.post(f"/requests/{asked}/return-to-requester", reason))
        async with before.services.database.session() as session:
            row = await requests.lock_request(session, UUID(asked))
            row.process = {**row.process, "terms": {**row.process["terms"], "offering_version": 77}}
            row.form = {**row.form, "answers": {**row.form["answers"], "smoker": True}}

        async def edited_first(session: AsyncSession, request_id: UUID) -> RequestRecord:
            async with before.services.database.session() as other:
                row = await requests.lock_request(other, request_id)
                row.form = {**row.form, "answers": {**row.form["answers"], "dose": 9}}
            return await requests.lock_request(session, request_id)

        with monkeypatch.context() as patched:
            patched.setattr(drafts, "lock_request", edited_first)
            await before.requester.view(asked)
        view = await before.requester.view(asked)
        assert view["answers"] == {**ANSWERS, "dose": 9}
        assert [one["field"] for one in view["outdated_answers"]] == ["smoker"]


async def test_the_list_of_versions_and_what_uses_them(system: System, tmp_path: Path) -> None:
    file, gone = offering_file(tmp_path), offering_file(tmp_path)
    async with started(system, tmp_path) as before:
        await begun(before, file.code)
        await assigned(before, file.code)
        cancelled = await assigned(before, gone.code)
        ok(await before.requester.post(f"/requests/{cancelled}/cancel", {"reason": "Guérie."}))
    change_all(file)
    gone.path.unlink()
    async with started(system, tmp_path) as after:
        await begun(after, file.code, {"question": "Greffe?"})
    lines = await listed(system, tmp_path)
    assert [line.split() for line in lines if line.startswith(file.code)] == [
        [file.code, "1", ANY, ANY, "1", "1", "0"],
        [file.code, "2", "yes", ANY, ANY, "1", "0", "0"],
    ]
    assert [line.split()[-3:] for line in lines if line.startswith(f"{gone.code} ") and " 1 " in line] == [
        ["0", "0", "1"]
    ]
    assert f"{gone.code} has no file any more: it takes no new requests." in lines
    file.change(("Réactions", "Allergies"))
    with pytest.raises(OfferingError, match=r"line 12: form.known_allergies.label.fr.*raise `version`"):
        await listed(system, tmp_path)


async def listed(system: System, folder: Path) -> list[str]:
    out = StringIO()
    settings = system.settings.model_copy(update={"offerings_dir": folder})
    try:
        print_offerings(await look_at_offerings(settings), folder, Console(file=out, width=200))
    finally:
        lines = out.getvalue().splitlines()
    return lines
