"""Texts from the field to the signed document: what is taken, what is kept, and what is printed of it."""

from io import BytesIO
from typing import Any

from pypdf import PdfReader

from domain.requests import DocumentKind
from tests.api.answers import problem
from tests.api.conftest import Shelf
from tests.journeys import PATIENT, accepted, draft, filled, ok, upload, written
from tests.system import PASSWORD, Clinician, System, photo

SPACED = "5\u202fmg\u2009puis 12\u202f500\u00a0UI\x0b10 jours\x0c11\x8512\u2028b\u2029fin"
PRINTED = "5 mg puis 12 500 UI 10 jours 11 12 b fin"
RARE = "\U0002a6b2"


async def printed(who: Clinician, request_id: str, report_id: str) -> list[str]:
    answer = await who.get(f"/requests/{request_id}/reports/{report_id}.pdf")
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(answer.content)).pages]


async def sign(system: System, request_id: str, kind: str = "final") -> Any:
    body = {"kind": kind, "password": PASSWORD}
    return await system.provider.post(f"/requests/{request_id}/report/sign", body)


def report(system: System, **more: Any) -> dict[str, Any]:
    return {"answers": {**filled(system.services.offerings["teledermatology"].report), **more}}


def patient(**more: str) -> dict[str, Any]:
    return {"patient": {**PATIENT, **more}}


async def test_names_that_nobody_can_see_are_refused(system: System) -> None:
    request_id = await draft(system)
    path = f"/api/v1/requests/{request_id}"
    for name in ("Jeanne\r\nTremblay", "\u202eennaeJ", "Jea\u200bnne", "Jea\x07nne", "Jeanne\u2028Tremblay"):
        body = problem(await system.requester.http.patch(path, json=patient(given_name=name)), 422, "invalid_input")
        (error,) = body["errors"]
        assert (error["field"], error["code"]) == ("patient.given_name", "not_one_line")
        assert "U+" in error["message"]
        assert "%" not in error["message"]
    ok(await system.requester.http.patch(path, json=patient(given_name="\u3164", family_name="")))
    refused = problem(await system.requester.post(f"/requests/{request_id}/submit"), 422, "form_incomplete")
    missing = [(e["field"], e["code"]) for e in refused["errors"]]
    assert missing == [("patient.given_name", "required"), ("patient.family_name", "required")]


async def test_what_is_kept_is_composed_and_what_is_shown(system: System) -> None:
    request_id = await draft(system)
    path = f"/api/v1/requests/{request_id}"
    answers = {**filled(system.services.offerings["teledermatology"].form), "question": f"Le\u0301sion: {SPACED}"}
    ok(await system.requester.http.patch(path, json={**patient(given_name="Zoe\u0308"), "answers": answers}))
    view = await system.requester.view(request_id)
    assert view["patient"]["given_name"] == "Zoë"
    assert view["answers"]["question"] == f"Lésion: {SPACED}"


async def test_reasons_and_questions_say_something(system: System, shelf: Shelf) -> None:
    path = f"/requests/{shelf.by_status['accepted']}/request-information"
    for text in ("\u200b", "\ufeff \u202e", "\u3164"):
        body = problem(await system.provider.post(path, {"text": text}), 422, "invalid_input")
        assert [(e["field"], e["code"]) for e in body["errors"]] == [("text", "required")]


async def test_every_text_is_printed_as_it_was_written(system: System) -> None:
    """Through the whole chain: names, form, question and answer, report, addendum; and the photos that it rests on."""
    form = {**filled(system.services.offerings["teledermatology"].form), "question": f"Q {SPACED}"}
    names = {"given_name": "ᐋᓗᒃ", "family_name": "ᐃᓄᒃ"}
    request_id = await accepted(system, answers=form, **patient(**names))
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": f"Q2 {SPACED}"}))
    added = ok(await upload(system.requester, request_id, photo((400, 300))), 201)
    body = {"text": f"A2 {SPACED}", "attachment_ids": [added["id"]]}
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", body))
    said = report(system, findings=f"F {SPACED}", diagnostic_impression=f"I {SPACED}", urgency_reassessment="emergency")
    ok(await system.provider.http.put(f"/api/v1/requests/{request_id}/report", json=said))
    final = ok(await sign(system, request_id))["document"]
    text = {"text": f"A {SPACED}", "password": PASSWORD}
    addendum = ok(await system.provider.post(f"/requests/{request_id}/report/addenda", text))["document"]

    pages = await printed(system.requester, request_id, final["report_id"])
    for mark in ("Q", "Q2", "A2", "F", "I"):
        assert f"{mark} {PRINTED}" in " ".join(pages)
    assert f"I {PRINTED}" in pages[0]
    assert "Urgence: diriger le patient sans délai" in pages[0]
    for page in pages:
        assert "ᐋᓗᒃ ᐃᓄᒃ" in page
        assert "14 mars 1958" in page
    view = await system.requester.view(request_id)
    content = ok(await system.requester.get(f"/requests/{request_id}/reports/{final['report_id']}/content"))
    assert [(i["number"], i["id"], i["sha256"]) for i in content["images"]] == [
        (number, attachment["id"], attachment["sha256"])
        for number, attachment in enumerate(view["attachments"], start=1)
    ]
    assert content["images"][-1]["id"] == added["id"]
    assert f"Photo {len(content['images'])} " in " ".join(pages)
    (page,) = await printed(system.requester, request_id, addendum["report_id"])
    assert f"A {PRINTED}" in page
    assert "Q2" not in page


async def test_what_can_not_be_printed_is_said_before_signing(system: System) -> None:
    request_id = await draft(system, **patient(family_name=f"Li{RARE}"))
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    assert check["errors"] == []
    assert [(a["field"], a["code"], a["characters"]) for a in check["text_advice"]] == [
        ("patient.family_name", "not_printable", f"{RARE} (U+2A6B2)")
    ]
    request_id = await accepted(system, **patient(family_name=f"Li{RARE}"))  # and it can be submitted all the same
    path = f"/requests/{request_id}/report"
    saved = ok(await system.provider.http.put(f"/api/v1{path}", json=report(system, findings=f"a{RARE}\ue000 🩺")))
    expected = [("findings", "not_printable")]
    assert [(e["field"], e["code"]) for e in saved["missing"]] == expected
    assert "U+2A6B2" in saved["missing"][0]["message"]
    body = problem(await sign(system, request_id), 422, "report_invalid")
    assert [(e["field"], e["code"]) for e in body["errors"]] == expected
    ok(await system.provider.http.put(f"/api/v1{path}", json=report(system, findings="Nævus 🩺")))
    final = ok(await sign(system, request_id))["document"]
    (page, *_) = await printed(system.requester, request_id, final["report_id"])
    assert "Li[U+2A6B2]" in page
    text = {"text": f"Voir {RARE}", "password": PASSWORD}
    body = problem(await system.provider.post(f"{path}/addenda", text), 422, "invalid_input")
    assert [(e["field"], e["code"]) for e in body["errors"]] == [("text", "not_printable")]


async def test_a_report_that_nobody_would_read_is_said_to_be_too_long(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    path = f"/requests/{request_id}/report"
    short = ok(await system.provider.get(path))
    assert (short["pages"], short["missing"]) == (1, [])
    long = report(system, findings="a\n" * 700, recommendations="mot " * 100)
    saved = ok(await system.provider.http.put(f"/api/v1{path}", json=long))
    assert saved["pages"] > saved["max_pages"]
    assert [(e["field"], e["code"]) for e in saved["missing"]] == [("findings", "too_many_pages")]
    assert str(saved["max_pages"]) in saved["missing"][0]["message"]
    problem(await sign(system, request_id, DocumentKind.PRELIMINARY), 422, "report_invalid")
