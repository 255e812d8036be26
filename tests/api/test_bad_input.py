"""Whatever is sent, the answer is a problem that says what is wrong, never a fault of ours; and nothing has changed."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.model import MAX_SHORT_TEXT
from tests.api.answers import any_problem, picture, problem
from tests.api.conftest import Shelf
from tests.eventually import PATIENCE_SECONDS
from tests.journeys import PATIENT, accepted, draft, filled, ok, submitted
from tests.serving import served
from tests.system import PASSWORD, Clinician, System
from web.limits import JSON_LIMIT

JSON = {"Content-Type": "application/json"}
ODD_VALUES = [None, True, 1, -1.5, 10**40, "", " ", "\x00", "x" * 9_000, [], {}, [[1]], {"a": {"b": 1}}]


async def send(who: Clinician, path: str, content: bytes | str, method: str = "POST", **headers: str) -> httpx.Response:
    """Send these very bytes."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await who.http.request(method, f"/api/v1{path}", content=content, headers={**JSON, **names})


def fields(answer: httpx.Response, code: str = "invalid_input") -> dict[str, str]:
    """Which fields are wrong, and how; each has a sentence too."""
    errors = problem(answer, 422, code)["errors"]
    assert all(error["message"] for error in errors)
    return {error["field"]: error["code"] for error in errors}


# What is no JSON, or not ours


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "nonsense",
        '{"offering": "teledermatology"',
        "[" * 100_000,
        '{"answers":' * 5_000,
        '{"offering": "teledermatology", "answers": {"a": ' + "[" * 400 + "]" * 400 + "}}",
        '{"offering": "teledermatology", "answers": {"weight": ' + "9" * 5_000 + "}}",
        b"\xff\xfe\x00",
        b'{"offering": "\xff"}',
        "null",
        "[]",
        '"teledermatology"',
        "12",
        "true",
    ],
    ids=lambda content: repr(content[:24]),
)
async def test_bodies_that_are_not_readable(system: System, shelf: Shelf, content: bytes | str) -> None:
    before = ok(await system.requester.get("/requests"))["counts"]
    body = any_problem(await send(system.requester, "/requests", content))
    assert (body["status"], body["code"]) in ((422, "malformed_json"), (422, "invalid_input"), (422, "form_invalid"))
    assigned = shelf.by_status["awaiting_acceptance"]
    any_problem(await send(system.dispatcher, f"/requests/{assigned}/assign", content))
    assert ok(await system.requester.get("/requests"))["counts"] == before


async def test_other_kinds_of_content(system: System) -> None:
    body = json.dumps({"offering": "teledermatology"})
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
        problem(await send(system.requester, "/requests", body, Content_Type=kind), 415, "not_json")
    request_id = await draft(system)
    path = f"/requests/{request_id}/attachments"
    for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain"):
        any_problem(await send(system.requester, path, body, Content_Type=kind))
    any_problem(await system.requester.post(path, data={"file": "not a file"}))
    any_problem(await system.requester.post(path, files={"other": b"x"}))
    assert len((await system.requester.get(path)).json()) == 3


async def test_ten_megabytes_of_text(system: System, shelf: Shelf) -> None:
    accepted_id = shelf.by_status["accepted"]
    before = await picture(system.requester, accepted_id)
    text = "é" * 5 * 1024**2
    for who, path, body in (
        (system.requester, "/requests", {"offering": "teledermatology", "answers": {"question": text}}),
        (system.provider, f"/requests/{accepted_id}/request-information", {"text": text}),
        (system.provider, f"/requests/{accepted_id}/report/sign", {"kind": "final", "password": text}),
    ):
        assert problem(await who.post(path, body), 413, "too_large")["limit_bytes"] == JSON_LIMIT

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b'{"text": "' + b"a" * 1024**2

    headers = {**JSON, "Authorization": system.provider.http.headers["Authorization"]}
    path = f"/api/v1/requests/{accepted_id}/request-information"
    problem(await system.provider.http.post(path, content=endless(), headers=headers), 413, "too_large")
    assert await picture(system.requester, accepted_id) == before


@pytest.mark.parametrize("bad", ["x", "0", "null", "..%2f..", "%00", "a" * 4_000, "{}", "é", "00000000-0000"])
async def test_ids_that_are_none(system: System, bad: str) -> None:
    for path in ("", "/timeline", "/attachments", "/report", "/reports"):
        any_problem(await system.requester.get(f"/requests/{bad}{path}"))
    any_problem(await system.requester.post(f"/requests/{bad}/submit"))
    any_problem(await system.requester.get(f"/requests/{uuid4()}/attachments/{bad}"))
    any_problem(await system.requester.get(f"/requests/{uuid4()}/reports/{bad}.pdf"))
    any_problem(await system.operator.post(f"/requests/{uuid4()}/deadlines/{bad}"))
    any_problem(await system.operator.post(f"/failures/{bad}/resolve"))
    any_problem(await system.requester.get(f"/offerings/{bad}"))


async def test_what_an_address_does_not_know_is_refused(system: System) -> None:
    """A parameter with a slip of the pen would else be passed over, and the answer taken for what was asked for."""
    for path in ("/requests?statuss=draft&status=draft", "/offerings?x=", "/me?statuss=1"):
        answer = await system.requester.get(path)
        name = "x" if "x=" in path else "statuss"
        assert fields(answer) == {name: "unknown_parameter"}
        assert answer.json()["errors"][0]["message"] == "Ce paramètre n’existe pas dans cette adresse."
    assert fields(await system.requester.post("/requests?dry_run=1", {"offering": "teledermatology"})) == {
        "dry_run": "unknown_parameter"
    }


async def test_methods_of_an_address(system: System) -> None:
    http = system.requester.http
    one = f"/api/v1/requests/{await draft(system)}"
    refused = await http.put(one)
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
    problem(await http.request("TRACE", one), 405, "method_not_allowed")
    told = await http.options(one)
    assert (told.status_code, told.content, told.headers["allow"]) == (204, b"", refused.headers["allow"])
    head, get = await http.head(one), await http.get(one)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", get.headers["etag"])
    assert (await http.head(f"{one}/submit")).headers["allow"] == "OPTIONS, POST"


async def test_what_does_not_exist(system: System) -> None:
    nowhere = f"/requests/{uuid4()}"
    problem(await system.requester.get(nowhere), 404, "not_found")
    problem(await system.requester.post(f"{nowhere}/accept"), 404, "not_found")
    problem(await system.requester.get("/nothing"), 404, "not_found")
    problem(await system.requester.get("/offerings/telepathy"), 404, "not_found")
    problem(await system.requester.get("/providers", params={"clinic": str(uuid4())}), 404, "not_found")
    problem(await system.requester.http.put("/api/v1/requests"), 405, "method_not_allowed")
    problem(await system.requester.http.delete(f"/api/v1{nowhere}"), 404, "not_found")
    problem(await system.requester.http.put(f"/api/v1{nowhere}"), 405, "method_not_allowed")


async def test_english_is_given_to_who_asks_for_it(system: System) -> None:
    headers = {"Accept-Language": "en-CA,en;q=0.9"}
    answer = await system.requester.post("/requests", {"offering": 1, "surprise": 2}, headers=headers)
    body = answer.json()
    assert body["detail"] == "Something in what was sent is not right."
    assert {e["field"]: e["message"] for e in body["errors"]} == {
        "offering": "A text is expected.",
        "surprise": "There is no such field.",
    }
    answer = await system.requester.post("/requests", {"offering": 1, "surprise": 2})
    assert {e["field"]: e["message"] for e in answer.json()["errors"]} == {
        "offering": "Un texte est attendu.",
        "surprise": "Ce champ n’existe pas.",
    }


async def test_headers_that_are_not_right(system: System, shelf: Shelf) -> None:
    path = f"/requests/{shelf.by_status['awaiting_acceptance']}/accept"
    before = await picture(system.requester, shelf.by_status["awaiting_acceptance"])
    for key in ("", " ", "with space", "x" * 121, "caf\xe9", "fhir:1"):
        answer = await system.provider.http.post(
            f"/api/v1{path}", headers=[(b"idempotency-key", key.encode("latin-1"))]
        )
        problem(answer, 422, "invalid_idempotency_key")
    for version in ("x", '"x"', "-1", '"1', "1.0", '"1", "2"', "9" * 40, "\xb2"):
        answer = await system.provider.http.post(f"/api/v1{path}", headers=[(b"if-match", version.encode("latin-1"))])
        problem(answer, 422, "invalid_if_match")
    for version in ("0", '"0"', 'W/"999999999"'):
        answer = await system.provider.post(path, headers={"If-Match": version})
        problem(answer, 412, "version_conflict")
    assert await picture(system.requester, shelf.by_status["awaiting_acceptance"]) == before


# Drafts


async def test_new_drafts_that_are_not_right(system: System) -> None:
    async def create(**body: Any) -> httpx.Response:
        return await system.requester.post("/requests", {"offering": "teledermatology", **body})

    before = ok(await system.requester.get("/requests"))["counts"]
    problem(await create(offering="telepathy"), 422, "unknown_offering")
    assert fields(await create(offering="UPPER")) == {"offering": "not_expected"}
    assert fields(await create(surprise=1)) == {"surprise": "unknown_field"}
    assert fields(await create(priority="soon")) == {"priority": "not_an_option"}
    problem(await create(priority="stat"), 422, "stat_refused")
    problem(await create(clinic=str(uuid4())), 422, "unknown_clinic")
    problem(await create(clinic=str(system.clinics["far"].id)), 422, "clinic_not_routed")
    assert fields(await create(clinic="near")) == {"clinic": "not_an_id"}
    assert ok(await system.requester.get("/requests"))["counts"] == before


@pytest.mark.parametrize(
    ("patient", "field", "code"),
    [
        ({"given_name": True}, "given_name", "not_a_text"),
        ({"given_name": "x" * 1_001}, "given_name", "too_long"),
        ({"family_name": "\x00"}, "family_name", "not_storable"),
        ({"sex": "yes"}, "sex", "not_an_option"),
        ({"nickname": "Jo"}, "nickname", "unknown_field"),
        ({"birth_date": True}, "birth_date", "not_a_partial_date"),
        ({"birth_date": 0}, "birth_date", "not_a_partial_date"),
        ({"birth_date": 10**30}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "14/03/1958"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "1958-02-30"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "+275760-09-13"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "9999-12-31"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": "0001-01-01"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": ["1958-03-14"]}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "1958-13"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "58"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "19580314"}, "birth_date", "not_a_partial_date"),
        ({"birth_date": ""}, "birth_date", "not_a_partial_date"),
        ({"birth_date": "1899"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": "1899-12"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": "2999"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": "2999-01"}, "birth_date", "not_a_birth_date"),
        ({"birth_date": "1958", "birth_date_unknown": True}, "birth_date_unknown", "birth_date_is_given"),
        ({"birth_date_unknown": "yes"}, "birth_date_unknown", "not_a_yes_or_no"),
        ({"health_insurance_issuer": "QC"}, "health_insurance_issuer", "not_an_option"),
        ({"mother_name": "two\nlines"}, "mother_name", "not_one_line"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_patients_that_are_not_right(system: System, patient: dict[str, Any], field: str, code: str) -> None:
    answer = await system.requester.post("/requests", {"offering": "teledermatology", "patient": patient})
    assert fields(answer) == {f"patient.{field}": code}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"question": True}, "not_a_text"),
        ({"question": 7}, "not_a_text"),
        ({"question": {"a": 1}}, "not_a_text"),
        ({"question": "x" * 4_001}, "too_long"),
        ({"question": "NUL: \x00"}, "not_storable"),
        ({"question": "half: \ud83d"}, "not_storable"),
        ({"duration": "yesterday"}, "not_an_option"),
        ({"duration": ["unknown"]}, "not_an_option"),
        ({"body_sites": "face"}, "not_a_list"),
        ({"body_sites": ["face", "nowhere"]}, "not_an_option"),
        ({"body_sites": [["face"]]}, "not_an_option"),
        ({"weight": True}, "not_a_number"),
        ({"weight": "12"}, "not_a_number"),
        ({"weight": 10**400}, "not_a_number"),
        ({"weight": 10**30}, "too_large"),
        ({"weight": -1}, "too_small"),
        ({"immunosuppression": 1}, "not_a_yes_or_no"),
        ({"immunosuppression": "true"}, "not_a_yes_or_no"),
        ({"surprise": "?"}, "unknown_field"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_answers_that_are_not_right(system: System, shelf: Shelf, answers: dict[str, Any], code: str) -> None:
    (name,) = answers
    body = json.dumps({"offering": "teledermatology", "answers": answers})
    assert fields(await send(system.requester, "/requests", body), "form_invalid") == {name: code}
    path = f"/requests/{shelf.by_status['draft']}"
    before = await system.requester.view(shelf.by_status["draft"])
    assert fields(await send(system.requester, path, json.dumps({"answers": answers}), "PATCH"), "form_invalid")
    assert await system.requester.view(shelf.by_status["draft"]) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "[1e999]"])
async def test_numbers_that_json_does_not_know(system: System, shelf: Shelf, number: str) -> None:
    body = f'{{"offering": "teledermatology", "answers": {{"largest_diameter": {number}}}}}'
    assert fields(await send(system.requester, "/requests", body)) == {"answers": "not_a_number"}
    path = f"/requests/{shelf.by_status['accepted']}/report"
    body = f'{{"answers": {{"findings": {number}}}}}'
    assert fields(await send(system.provider, path, body, "PUT")) == {"answers": "not_a_number"}


async def test_very_many_and_very_long_names(system: System) -> None:
    many = {f"field_{number}": "x" for number in range(201)}
    assert fields(await system.requester.post("/requests", {"offering": "teledermatology", "answers": many})) == {
        "answers": "too_many"
    }
    for name in ("x" * 101, "\ud800", "nul\x00"):
        answer = await send(
            system.requester, "/requests", json.dumps({"offering": "teledermatology", "answers": {name: 1}})
        )
        any_problem(answer)


async def test_a_submission_names_what_is_missing(system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    before = await system.requester.view(request_id)
    answer = await system.requester.post(f"/requests/{request_id}/submit")
    assert fields(answer, "form_incomplete") == {
        "patient.given_name": "required",
        "patient.family_name": "required",
        "patient.birth_date": "required",
        "question": "required",
        "body_sites": "required",
        "duration": "required",
        "photos": "too_few_attachments",
    }
    assert "Il en faut au moins 3." in [error["message"] for error in answer.json()["errors"]]
    answers = {**filled(system.services.offerings["teledermatology"].form), "question": "  "}
    ok(
        await system.requester.http.patch(
            f"/api/v1/requests/{request_id}", json={"patient": PATIENT, "answers": answers}
        )
    )
    answer = await system.requester.post(f"/requests/{request_id}/submit")
    assert fields(answer, "form_incomplete") == {"question": "required", "photos": "too_few_attachments"}
    after = await system.requester.view(request_id)
    assert (after["status"], after["version"]) == ("draft", before["version"] + 1)


# Commands

TEXTS = {
    "request-information": ("provider", "accepted", "text", {}),
    "answer-information": ("requester", "asked", "text", {}),
    "return-to-requester": ("provider", "awaiting_acceptance", "text", {"reason": "not_eligible"}),
    "return-to-dispatch": ("provider", "accepted", "comment", {}),
    "cancel": ("requester", "accepted", "reason", {}),
    "change-priority": ("provider", "accepted", "reason", {"priority": "urgent"}),
    "report/addenda": ("provider", "reported", "text", {"password": PASSWORD}),
}


@pytest.mark.parametrize("path", TEXTS)
async def test_the_text_of_a_command(system: System, shelf: Shelf, path: str) -> None:
    name, status, field, rest = TEXTS[path]
    who = system.people[name]
    request_id = shelf.asked if status == "asked" else shelf.by_status[status]
    before = await picture(system.requester, request_id)

    async def give(body: Any) -> httpx.Response:
        return await send(who, f"/requests/{request_id}/{path}", json.dumps(body))

    limit = 20_000 if path == "report/addenda" else MAX_SHORT_TEXT
    assert fields(await give(rest)) == {field: "required"}
    for text, code in (
        ("", "required"),
        (" \n\t ", "required"),
        ("x" * (limit + 1), "too_long"),
        ("NUL \x00", "not_storable"),
        ("half \udc00", "not_storable"),
        (True, "not_a_text"),
        (12, "not_a_text"),
        (None, "not_a_text"),
        (["x"], "not_a_text"),
        ({"fr": "x"}, "not_a_text"),
    ):
        assert fields(await give({**rest, field: text})) == {field: code}, text
    assert fields(await give({**rest, field: "x", "status": "closed"})) == {"status": "unknown_field"}
    assert await picture(system.requester, request_id) == before


async def test_the_longest_text_is_taken(system: System) -> None:
    request_id = await accepted(system)
    text = "é" * (MAX_SHORT_TEXT - 3) + "🩺x."
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": text}))
    (question,) = (await system.requester.view(request_id))["questions"]
    assert question["text"] == text


async def test_commands_that_are_not_right(system: System, shelf: Shelf) -> None:
    waiting, handled = shelf.by_status["awaiting_acceptance"], shelf.by_status["accepted"]
    returned, reported, asked = shelf.by_status["returned"], shelf.by_status["reported"], shelf.asked
    pictures = {id_: await picture(system.requester, id_) for id_ in (waiting, handled, returned, reported, asked)}
    dispatcher, provider, requester, operator = system.dispatcher, system.provider, system.requester, system.operator
    near, far = str(system.clinics["near"].id), str(system.clinics["far"].id)

    async def refused(who: Clinician, path: str, body: Any, status: int, code: str) -> None:
        problem(await who.post(f"/requests/{path}", body), status, code)

    both = {"provider_id": provider.id, "clinic_id": near}
    for body in ({}, both, {"provider_id": "x"}, {"provider_id": 12}, {"to": provider.id}):
        await refused(dispatcher, f"{waiting}/assign", body, 422, "invalid_input")
    await refused(dispatcher, f"{waiting}/assign", {"provider_id": provider.id}, 409, "already_assigned")
    await refused(dispatcher, f"{waiting}/assign", {"provider_id": str(uuid4())}, 422, "unknown_provider")
    await refused(dispatcher, f"{waiting}/assign", {"provider_id": requester.id}, 422, "unknown_provider")
    await refused(dispatcher, f"{waiting}/assign", {"provider_id": system.far_provider.id}, 422, "clinic_not_routed")
    await refused(dispatcher, f"{waiting}/assign", {"clinic_id": str(uuid4())}, 422, "unknown_clinic")
    await refused(dispatcher, f"{waiting}/assign", {"clinic_id": far}, 422, "clinic_not_routed")

    await refused(provider, f"{handled}/transfer", {"provider_id": provider.id}, 422, "transfer_to_self")
    await refused(provider, f"{handled}/transfer", {"provider_id": system.far_provider.id}, 422, "not_a_colleague")
    await refused(provider, f"{handled}/transfer", {"provider_id": dispatcher.id}, 422, "unknown_provider")
    await refused(provider, f"{handled}/transfer", {}, 422, "invalid_input")

    await refused(requester, f"{handled}/answer-information", {"text": "?"}, 409, "no_open_question")
    await refused(provider, f"{handled}/withdraw-information-request", None, 409, "no_open_question")
    other = {"text": "?", "question_id": str(uuid4())}
    await refused(requester, f"{asked}/answer-information", other, 422, "no_such_question")
    answer = await requester.post(f"/requests/{asked}/answer-information", {"text": "?", "attachment_ids": "x"})
    assert fields(answer) == {"attachment_ids": "not_a_list"}
    assert answer.json()["errors"][0]["message"] == "Une liste est attendue."
    many = {"text": "?", "attachment_ids": [str(uuid4())] * 51}
    await refused(requester, f"{asked}/answer-information", many, 422, "invalid_input")
    unknown = {"text": "?", "attachment_ids": [str(uuid4())]}
    await refused(requester, f"{asked}/answer-information", unknown, 422, "unknown_attachment")
    await refused(operator, f"{asked}/deadlines/report", None, 409, "deadline_stopped")
    await refused(operator, f"{asked}/deadlines/information", {"question_id": str(uuid4())}, 409, "deadline_not_armed")
    await refused(operator, f"{asked}/deadlines/lunch", None, 422, "invalid_input")

    await refused(
        provider, f"{handled}/change-priority", {"priority": "routine", "reason": "x"}, 409, "priority_unchanged"
    )
    await refused(provider, f"{handled}/change-priority", {"priority": "stat", "reason": "x"}, 422, "stat_refused")
    await refused(provider, f"{handled}/change-priority", {"priority": "now", "reason": "x"}, 422, "invalid_input")
    await refused(provider, f"{waiting}/return-to-requester", {"reason": "tired", "text": "x"}, 422, "invalid_input")

    for outcome in ("yes", {"advice_followed": True}, {"visit_avoided": "yes"}, {"visit_avoided": 1}, {"more": 1}):
        await refused(requester, f"{reported}/acknowledge", {"outcome": outcome}, 422, "invalid_input")
    await refused(requester, f"{reported}/acknowledge", {"outcome": {"comment": " "}}, 422, "invalid_input")

    for id_, before in pictures.items():
        assert await picture(requester, id_) == before


async def test_with_two_questions_one_must_be_named(system: System) -> None:
    request_id = await accepted(system)
    for text in ("Depuis quand?", "Quel traitement?"):
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": text}))
    for who, path, body in (
        (system.requester, "answer-information", {"text": "Un mois."}),
        (system.provider, "withdraw-information-request", {}),
    ):
        problem(await who.post(f"/requests/{request_id}/{path}", body), 422, "which_question")
    first, second = (await system.requester.view(request_id))["questions"]
    answer = {"question_id": second["id"], "text": "Aucun."}
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", answer))
    ok(await system.provider.post(f"/requests/{request_id}/withdraw-information-request", {}))
    questions = (await system.provider.view(request_id))["questions"]
    assert [question["state"] for question in questions] == ["withdrawn", "answered"]
    problem(await system.requester.post(f"/requests/{request_id}/answer-information", answer), 409, "no_open_question")
    assert first["id"] == questions[0]["id"]


async def test_an_emergency_is_sent_elsewhere(system: System) -> None:
    request_id = await draft(system)
    for method, path, body in (
        ("POST", "/requests", {"offering": "teledermatology", "priority": "stat"}),
        ("PATCH", f"/requests/{request_id}", {"priority": "stat"}),
    ):
        detail = problem(await send(system.requester, path, json.dumps(body), method), 422, "stat_refused")["detail"]
        assert "urgence" in detail
    assert (await system.requester.view(request_id))["priority"] == "routine"
    submitted_id = await submitted(system)
    body = {"priority": "stat", "reason": "Choc."}
    problem(await system.dispatcher.post(f"/requests/{submitted_id}/change-priority", body), 422, "stat_refused")


def forged(*parts: Any) -> str:
    """A cursor in the shape of ours."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "params",
    [
        {"status": "open"},
        {"holder": "you"},
        {"clinic": "x"},
        {"overdue": "perhaps"},
        {"priority": "soon"},
        {"q": "x" * 101},
        {"q": "\x00"},
        {"offering": "\x00"},
        {"sort": "random"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "1e3"},
        {"limit": "9" * 5_000},
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "A" * 1_001},
        {"cursor": "e30"},
        {"cursor": "bnVsbA"},
        {"cursor": "WyJkdWUiXQ"},
        {"cursor": "WyJkdWUiLCAieCIsICJ5Il0"},
        {"cursor": forged("due", "9999-12-31T23:59:59-14:00", str(UUID(int=0)))},
        {"cursor": forged("due", "0001-01-01T00:00:00+14:00", str(UUID(int=0)))},
        {"cursor": forged("created", "2026-01-01T00:00:00Z", str(UUID(int=0)))},
        {"cursor": forged("priority", 10**12, "2026-01-01T00:00:00Z", str(UUID(int=0))), "sort": "priority"},
    ],
    ids=lambda params: repr(params)[:50],
)
async def test_worklists_that_nobody_can_ask_for(system: System, params: dict[str, str]) -> None:
    problem(await system.requester.get("/requests", params=params), 422, "invalid_input")


async def test_odd_values_everywhere(system: System, shelf: Shelf) -> None:
    """Every field of every body, with a value of another kind: a problem or (rarely) taken, never a fault."""
    own = await accepted(system)
    bodies: dict[str, tuple[str, str, dict[str, Any]]] = {
        "/requests": (
            "POST",
            "requester",
            {"offering": "x", "clinic": "x", "priority": "x", "patient": {}, "answers": {}},
        ),
        f"/requests/{own}/transfer": ("POST", "provider", {"provider_id": "x", "comment": "x"}),
        f"/requests/{shelf.by_status['awaiting_acceptance']}/assign": (
            "POST",
            "dispatcher",
            {"provider_id": "x", "clinic_id": "x", "comment": "x"},
        ),
        f"/requests/{own}/report": ("PUT", "provider", {"answers": {"findings": 1}}),
        f"/requests/{own}/report/sign": (
            "POST",
            "provider",
            {"kind": "x", "password": "x", "language": "x"},
        ),
        "/tokens": ("POST", "requester", {"username": "x", "password": "x"}),
        "/me": ("PATCH", "requester2", {"language": "x", "notice_mode": "x"}),
    }
    for path, (method, name, body) in bodies.items():
        for field in body:
            for value in ODD_VALUES:
                sent = json.dumps({**body, field: value})
                answer = await send(system.people[name], path, sent, method)
                assert answer.status_code < 500, (path, field, value)
                if answer.status_code >= 400:
                    any_problem(answer)


async def test_each_call_has_a_name(system: System) -> None:
    """By which its answer, its problem and its log lines are found; what can't be such a name is not taken."""
    own, trace = str(uuid4()), "0af7651916cd43dd8448eb211c80319c"
    sent = {"X-Request-ID": own, "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    answer = await system.requester.get("/nothing", headers=sent)
    problem(answer, 404, "not_found")
    assert answer.json()["instance"] == f"urn:uuid:{own}"
    assert answer.headers["x-request-id"] == own
    assert answer.headers["traceparent"].startswith(f"00-{trace}-")
    assert answer.headers["traceparent"] != sent["traceparent"]
    assert answer.headers["traceparent"].endswith("-01")

    named = await system.requester.get("/nothing", headers={"X-Request-ID": "order-4711"})
    again = await system.requester.get("/nothing", headers={"X-Request-ID": "order-4711"})
    assert named.headers["x-request-id"] == "order-4711"
    assert named.json()["instance"] == again.json()["instance"] != f"urn:uuid:{own}"

    for odd in ({"X-Request-ID": "x" * 129, "traceparent": "00-0-0-0"}, {"X-Request-ID": "a b"}, {}):
        made = await system.requester.get("/me", headers=odd)
        assert str(UUID(made.headers["x-request-id"])) == made.headers["x-request-id"]
        assert len(made.headers["traceparent"]) == 55


async def said_to(address: str, sent: bytes) -> list[int]:
    """The statuses of all answers to these very bytes."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    answers = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", answers, re.MULTILINE)]


async def test_where_a_body_ends_is_never_in_doubt(system: System) -> None:
    """What one server takes for a body and another for the next call is how calls are smuggled past a proxy."""
    head = (
        b"POST /api/v1/tokens HTTP/1.1\r\nHost: relais.test\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    hidden = b"GET /healthz HTTP/1.1\r\nHost: relais.test\r\n\r\n"
    chunked = b"2\r\n{}\r\n0\r\n\r\n"
    async with served(system.app) as address:
        for fields, body, statuses in (
            (b"Content-Length: 2\r\n", b"{}", [422]),
            (b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % len(hidden), chunked, [422]),
            (b"Content-Length: 2\r\nContent-Length: 4\r\n", b"{}" + hidden, [400]),
            (b"Content-Length: +2\r\n", b"{}" + hidden, [400]),
            (b"Content-Length: 2, 4\r\n", b"{}" + hidden, [400]),
            (b"Transfer-Encoding: xchunked\r\n", chunked + hidden, [400]),
            (b"Transfer-Encoding: identity, chunked\r\n", chunked + hidden, [400]),
            (b"Transfer-Encoding : chunked\r\n", chunked + hidden, [400]),
            (b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"{}", [422]),
        ):
            assert await said_to(address, head + fields + b"\r\n" + body) == statuses, fields
