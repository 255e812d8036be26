"""FHIR: every resource is sound and tells what happened; what they refer to is there; documents are the very bytes."""

import base64
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from domain.smart_scopes import OPENED_BY, SUBSCRIPTIONS
from tests.api.conftest import Shelf
from tests.fhir.checker import faults_of
from tests.journeys import accepted, draft, ok, signed, submitted, written
from tests.system import PASSWORD, Clinician, System

BASE = "http://relais.test/fhir"


async def call(face: FastAPI, who: Clinician | None, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    known = {"Authorization": who.http.headers["Authorization"]} if who else {}
    headers = {**known, **more.pop("headers", {})}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(face), base_url="http://relais.test") as http:
        return await http.request(method, path, headers=headers, **more)


async def read(face: FastAPI, who: Clinician, path: str, **more: Any) -> dict[str, Any]:
    answer = await call(face, who, f"/fhir/{path}", **more)
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    return ok(answer)


async def found(face: FastAPI, who: Clinician, search: str) -> list[dict[str, Any]]:
    bundle = await read(face, who, search)
    assert {entry["fullUrl"] for entry in bundle.get("entry", [])} == {
        f"{BASE}/{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle.get("entry", [])
    }
    return [entry["resource"] for entry in bundle.get("entry", [])]


def outcome(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of an answer that must be this OperationOutcome."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    body = answer.json()
    assert (body["resourceType"], {issue["code"] for issue in body["issue"]}) == ("OperationOutcome", {code})
    said: str = body["issue"][0]["details"]["text"]
    assert said
    return said


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for part in value.values():
            yield from references_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from references_in(part)


OF_ONE = {
    "Task": "based-on",
    "ServiceRequest": "_id",
    "Patient": "_id",
    "QuestionnaireResponse": "based-on",
    "Communication": "based-on",
    "DocumentReference": "related",
    "DiagnosticReport": "based-on",
    "Provenance": "patient",
}
"""By what the resources of one request are found."""


async def all_of(face: FastAPI, who: Clinician, request_id: str) -> list[dict[str, Any]]:
    return [one for kind, by in OF_ONE.items() for one in await found(face, who, f"{kind}?{by}={request_id}")]


@pytest.fixture(scope="module")
async def long_story(system: System) -> str:
    """A request with all that can be told of one: returned, asked, answered, handed on, answered twice, added to, asked about."""
    made = await submitted(system)
    to_provider = {"provider_id": system.provider.id}
    ok(await system.dispatcher.post(f"/requests/{made}/assign", to_provider))
    back = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await system.provider.post(f"/requests/{made}/return-to-requester", back))
    ok(await system.requester.post(f"/requests/{made}/resubmit"))
    ok(await system.provider.post(f"/requests/{made}/accept"))
    ok(
        await system.provider.post(
            f"/requests/{made}/transfer", {"provider_id": system.provider2.id, "comment": "Merci"}
        )
    )
    ok(await system.provider2.post(f"/requests/{made}/transfer", {"provider_id": system.provider.id, "comment": "Non"}))
    ok(await system.provider.post(f"/requests/{made}/accept"))
    ok(await system.provider.post(f"/requests/{made}/request-information", {"text": "Depuis quand?\x0b"}))
    question = (await system.requester.view(made))["questions"][0]["id"]
    answer = {"question_id": question, "text": "Depuis mardi.", "attachment_ids": []}
    ok(await system.requester.post(f"/requests/{made}/answer-information", answer))
    ok(
        await system.requester.post(
            f"/requests/{made}/add-information", {"text": "Elle a de la fièvre.", "worse": True}
        )
    )
    await written(system, made, urgency_reassessment="visit-2-weeks")
    await signed(system, made, "preliminary")
    await written(system, made, urgency_reassessment="visit-2-weeks")
    await signed(system, made)
    ok(await system.requester.post(f"/requests/{made}/ask-follow-up", {"text": "Combien de fois par jour?"}))
    ok(await system.provider.post(f"/requests/{made}/answer-follow-up", {"text": "Deux fois."}))
    addendum = {"text": "Voir aussi le dos.", "password": PASSWORD}
    ok(await system.provider.post(f"/requests/{made}/report/addenda", addendum))
    return made


async def test_every_resource_is_sound_and_refers_to_what_is_there(
    system: System, face: FastAPI, shelf: Shelf, long_story: str
) -> None:
    """In every status, as somebody of the clinic and its systems see them: by R4's definitions, and nothing leads nowhere."""
    requests = [*(id_ for status, id_ in shelf.by_status.items() if status != "draft"), shelf.asked, long_story]
    resources = [one for request_id in requests for one in await all_of(face, system.administrator, request_id)]
    documents = {f"Binary/{one['id']}" for one in resources if one["resourceType"] == "DocumentReference"}
    known = {f"{one['resourceType']}/{one['id']}" for one in resources}
    as_resource = {"Accept": "application/fhir+json"}
    for _ in range(2):  # what is led to leads on once: from a role to a person
        led_to = documents.union(*(references_in(one) for one in resources)) - known
        resources += [await read(face, system.administrator, one, headers=as_resource) for one in sorted(led_to)]
        known |= led_to
    resources += await found(face, system.administrator, "HealthcareService")
    resources += await found(face, system.administrator, "Questionnaire")
    resources += await found(face, system.administrator, f"AuditEvent?patient={long_story}&_count=100")
    kinds = {one["resourceType"] for one in resources}
    assert kinds == set(OPENED_BY)
    bundles = [
        await read(face, system.administrator, "Task?_count=1"),
        await read(face, system.administrator, "Patient?_id=x"),
    ]
    refused = [
        (await call(face, system.administrator, f"/fhir/{path}")).json() for path in ("Task/x", "Task?a=1", "Foo")
    ]
    resources += [*bundles, *refused, ok(await call(face, None, "/fhir/metadata"))]
    wrong = {
        f"{one['resourceType']}/{one.get('id', '')}": faults
        for one, faults in zip(resources, await faults_of(resources), strict=True)
        if faults
    }
    assert wrong == {}


TASKS = {
    "awaiting_dispatch": [("cancelled", "returned-to-dispatch"), ("requested", "awaiting-dispatch")],
    "awaiting_acceptance": [("received", "assigned")],
    "accepted": [("accepted", "accepted")],
    "returned": [("rejected", "returned-incomplete")],
    "reported": [("completed", "completed-with-advice")],
    "closed": [("completed", "completed-with-advice")],
    "cancelled": [("cancelled", "cancelled-by-requester")],
    "abandoned": [("rejected", "abandoned")],
}
"""What the Tasks of a request say, by its status."""


async def test_a_request_is_as_many_tasks_as_it_was_given_away(
    system: System, face: FastAPI, shelf: Shelf, long_story: str
) -> None:
    def told(tasks: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return [(task["status"], task["businessStatus"]["coding"][0]["code"]) for task in tasks]

    for status, expected in TASKS.items():
        request_id = shelf.by_status[status]
        tasks = await found(face, system.administrator, f"Task?based-on={request_id}")
        assert told(tasks) == expected, status
        assert [task["id"] for task in tasks] == [f"{request_id}.{n}" for n in range(1, len(tasks) + 1)]
    asked = await found(face, system.administrator, f"Task?based-on=ServiceRequest/{shelf.asked}")
    assert told(asked) == [("in-progress", "awaiting-information")]
    tasks = await found(face, system.requester, f"Task?based-on={long_story}")
    assert told(tasks) == [
        ("rejected", "returned-incomplete"),
        ("cancelled", "handed-on"),
        ("cancelled", "handed-on"),
        ("completed", "patient-needs-to-be-seen"),
    ]
    owners = [task["owner"]["reference"] for task in tasks]
    holders = [system.provider, system.provider, system.provider2, system.provider]
    assert owners == [f"PractitionerRole/{holder.id}" for holder in holders]
    assert tasks[0]["statusReason"]["text"] == "Les photos sont floues."
    assert tasks[-1]["extension"][0]["valueBoolean"] is True
    assert [len(task.get("output", [])) for task in tasks] == [0, 0, 0, 3]
    (request,) = await found(face, system.requester, f"ServiceRequest?_id={long_story}")
    assert (request["status"], request["priority"]) == ("completed", "routine")


async def test_what_was_said_is_there_with_who_said_it_to_whom(system: System, face: FastAPI, long_story: str) -> None:
    said = await found(face, system.requester, f"Communication?based-on={long_story}")
    requester, provider = (f"PractitionerRole/{who.id}" for who in (system.requester, system.provider))
    assert [
        (one["category"][0]["coding"][0]["code"], one["payload"][0]["contentString"], one["sender"]["reference"])
        for one in said
    ] == [
        ("return-reason", "Les photos sont floues.", provider),
        ("question", "Depuis quand?", provider),
        ("answer", "Depuis mardi.", requester),
        ("worsening", "Elle a de la fièvre.", requester),
        ("follow-up-question", "Combien de fois par jour?", requester),
        ("follow-up-answer", "Deux fois.", provider),
    ]
    other = {requester: provider, provider: requester}
    assert [one["recipient"][0]["reference"] for one in said] == [other[one["sender"]["reference"]] for one in said]
    answers = {one["id"]: one["inResponseTo"][0]["reference"] for one in said if "inResponseTo" in one}
    assert answers == {said[at]["id"]: f"Communication/{said[at - 1]['id']}" for at in (2, 5)}
    assert [one["about"][0]["reference"].rpartition(".")[2] for one in said] == ["1", "4", "4", "4", "4", "4"]
    english = await read(face, system.requester, f"Communication/{said[0]['id']}", headers={"Accept-Language": "en"})
    assert english["category"][0]["text"] == "Why the request was returned"


async def test_the_form_and_its_answers_fit_each_other(system: System, face: FastAPI, long_story: str) -> None:
    first, second = await found(face, system.requester, f"QuestionnaireResponse?patient=Patient/{long_story}")
    assert (first["id"], second["id"]) == (f"{long_story}.1", f"{long_story}.2")
    url, _, version = first["questionnaire"].partition("|")
    (form,) = [
        one for one in await found(face, system.requester, f"Questionnaire?url={url}") if one["version"] == version
    ]
    again = await read(face, system.requester, f"Questionnaire/teledermatology.{version}")
    assert again == form

    def names(items: list[dict[str, Any]]) -> set[str]:
        return {item["linkId"] for item in items} | {name for item in items for name in names(item.get("item", []))}

    asked = {item["linkId"]: item for item in form["item"]}
    assert names(first["item"]) <= names(form["item"])
    assert {name for name, item in asked.items() if item.get("required")} <= names(first["item"])
    for item in first["item"]:
        if asked[item["linkId"]]["type"] == "choice":
            offered = [option["valueCoding"] for option in asked[item["linkId"]]["answerOption"]]
            assert all(answer["valueCoding"] in offered for answer in item["answer"])
    photos = next(item for item in first["item"] if item["linkId"].startswith("attachments."))
    shown = await call(face, system.requester, photos["answer"][0]["valueAttachment"]["url"])
    assert shown.headers["content-type"].startswith("image/")


async def test_the_signed_documents_are_the_very_bytes(system: System, face: FastAPI, long_story: str) -> None:
    preliminary, final, addendum = await found(face, system.requester, f"DocumentReference?patient={long_story}")
    assert [one["status"] for one in (preliminary, final, addendum)] == ["superseded", "current", "current"]
    assert final["relatesTo"][0] == {
        "code": "replaces",
        "target": {"reference": f"DocumentReference/{preliminary['id']}"},
    }
    assert addendum["relatesTo"][0] == {"code": "appends", "target": {"reference": f"DocumentReference/{final['id']}"}}
    reports = await found(face, system.requester, f"DiagnosticReport?based-on={long_story}")
    assert [one["status"] for one in reports] == ["preliminary", "final", "appended"]
    (signed_by,) = await found(face, system.requester, f"Provenance?target=DocumentReference/{final['id']}")
    assert signed_by["signature"][0]["who"]["reference"] == f"PractitionerRole/{system.provider.id}"
    attachment = final["content"][0]["attachment"]
    bytes_ = await call(face, system.requester, attachment["url"])
    same = await system.requester.get(f"/requests/{long_story}/reports/{final['id']}.pdf")
    assert (bytes_.content, len(bytes_.content)) == (same.content, attachment["size"])
    assert bytes_.headers["content-type"] == "application/pdf"
    known = await call(face, system.requester, attachment["url"], headers={"If-None-Match": bytes_.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    held = await read(face, system.requester, f"Binary/{final['id']}?_format=json")
    assert base64.b64decode(held["data"]) == same.content
    assert held["securityContext"]["reference"] == f"ServiceRequest/{long_story}"


async def test_who_has_a_version_is_not_sent_it_again(system: System, face: FastAPI) -> None:
    request_id = await accepted(system)
    path = f"/fhir/Task/{request_id}.1"
    first = await call(face, system.administrator, path)
    assert re.fullmatch(r'W/"\d+"', first.headers["etag"])
    assert first.headers["etag"] == f'W/"{first.json()["meta"]["versionId"]}"'
    assert first.headers["last-modified"].endswith("GMT")
    known = {"If-None-Match": first.headers["etag"]}
    assert (await call(face, system.administrator, path, headers=known)).status_code == 304
    head = await call(face, system.administrator, path, "HEAD")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Où?"}))
    changed = await call(face, system.administrator, path, headers=known)
    assert (changed.status_code, changed.json()["status"]) == (200, "in-progress")
    before, after = (datetime.fromisoformat(one.json()["meta"]["lastUpdated"]) for one in (first, changed))
    assert after > before


async def test_answers_come_in_fhirs_format_or_not_at_all(system: System, face: FastAPI, shelf: Shelf) -> None:
    path = f"/fhir/Patient/{shelf.by_status['accepted']}"
    for said, kind in (
        ({"Accept": "application/json"}, "application/json; charset=utf-8"),
        ({"Accept": "application/fhir+json; fhirVersion=4.0"}, "application/fhir+json; charset=utf-8"),
        ({"Accept": "text/html, */*;q=0.1"}, "application/fhir+json; charset=utf-8"),
    ):
        assert (await call(face, system.provider, path, headers=said)).headers["content-type"] == kind
    named = await call(
        face, system.provider, f"{path}?_format=application/fhir%2Bjson", headers={"Accept": "text/html"}
    )
    assert named.status_code == 200
    for said, query in (({"Accept": "application/fhir+xml"}, ""), ({}, "?_format=xml")):
        outcome(await call(face, system.provider, path + query, headers=said), 406, "not-supported")
    outcome(await call(face, system.provider, path, "DELETE"), 405, "not-supported")
    outcome(await call(face, system.provider, "/fhir/Observation"), 404, "not-found")
    outcome(await call(face, None, path), 401, "login")
    french = outcome(await call(face, system.provider, f"{path}?name=x"), 400, "not-supported")
    assert french == "Il n’y a pas ici de paramètre de recherche «\u00a0name\u00a0»."


async def test_a_draft_is_given_to_nobody(system: System, face: FastAPI) -> None:
    request_id = await draft(system)
    for path in (f"ServiceRequest/{request_id}", f"Patient/{request_id}", f"Task/{request_id}.1"):
        outcome(await call(face, system.requester, f"/fhir/{path}"), 404, "not-found")
    assert await all_of(face, system.requester, request_id) == []


async def test_anybody_learns_what_the_server_does(system: System, face: FastAPI) -> None:
    told = ok(await call(face, None, "/fhir/metadata"))
    (rest,) = told["rest"]
    assert {one["type"] for one in rest["resource"]} == {*OPENED_BY, SUBSCRIPTIONS}
    for one in rest["resource"]:
        if one["type"] == SUBSCRIPTIONS:  # of systems alone: tests/api/test_subscriptions.py
            continue
        searched = {"code": "search-type"} in one["interaction"]
        answer = await call(face, system.administrator, f"/fhir/{one['type']}")
        needs_more = one["type"] == "AuditEvent"  # of which request
        assert answer.status_code == (400 if needs_more else 200 if searched else 404), one["type"]
        for parameter in one.get("searchParam", []):
            if (one["type"], parameter["name"]) != ("Patient", "identifier"):
                value = "2026-11-01" if parameter["type"] == "date" else "x"
                of = "&patient=x" if needs_more else ""
                await read(face, system.administrator, f"{one['type']}?{parameter['name']}={value}{of}")
    smart = ok(await call(face, None, "/fhir/.well-known/smart-configuration"))
    assert smart["token_endpoint"] == f"{BASE}/token"
    assert smart["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert rest["security"]["extension"][0]["extension"][0]["valueUri"] == smart["token_endpoint"]
