"""Searches of FHIR: page by page nothing is missing or twice, what is asked for comes, and numbers stay out of addresses."""

import base64
import json
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from fastapi import FastAPI

from domain.requests import Request
from records import cases, requests
from records.models import RequestRecord
from records.sealed import NOT_OPENED
from settings import PROJECT_ROOT
from tests.api.conftest import Shelf
from tests.api.test_fhir import BASE, call, found, outcome
from tests.journeys import PATIENT, accepted, ok, reported, submitted
from tests.system import Clinician, System

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def pages(face: FastAPI, who: Clinician, search: str, *, most: int = 200) -> list[list[dict[str, Any]]]:
    """Every page from here on, by the addresses that the server gives."""
    gone_along = []
    path: str | None = f"/fhir/{search}"
    while path is not None:
        bundle = ok(await call(face, who, path))
        gone_along.append([entry["resource"] for entry in bundle.get("entry", [])])
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{BASE}/")
        path = links.get("next")
        assert len(gone_along) <= most
    return gone_along


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated"])
@pytest.mark.parametrize("count", [1, 3, 100])
async def test_pages_have_everything_once_in_the_order_of_its_change(
    system: System, face: FastAPI, shelf: Shelf, sort: str, count: int
) -> None:
    """Also where a page ends within a request: one of them has two Tasks."""
    ids = ",".join(f"{id_}.{number}" for id_ in shelf.by_status.values() for number in (1, 2))
    along = await pages(face, system.administrator, f"Task?_count={count}&_sort={sort}&_id={ids}")
    assert all(len(page) <= count for page in along)
    tasks = [task for page in along for task in page]
    names = [task["id"] for task in tasks]
    assert len(names) == len(set(names)) == len(shelf.by_status)  # a draft has none, what was returned to dispatch two
    changed = [datetime.fromisoformat(task["meta"]["lastUpdated"]) for task in tasks]
    assert changed == sorted(changed, reverse=sort.startswith("-"))


async def test_whoever_goes_on_from_the_last_change_sees_what_changed(system: System, face: FastAPI) -> None:
    """Along the list of the clinic, without any other filter: as a record system does that polls."""

    async def state_of(request_id: str) -> tuple[str, str]:
        (task,) = await found(face, system.administrator, f"Task?based-on={request_id}")
        return task["status"], task["meta"]["lastUpdated"]

    async def changed(after: str, until: str) -> list[str]:
        """Which of the two changed in that time, in which order: what others have left may go on, or have a time of its own."""
        query = urlencode([("_lastUpdated", f"gt{after}"), ("_lastUpdated", f"le{until}"), ("_count", "1")])
        tasks = [task for page in await pages(face, system.administrator, f"Task?{query}") for task in page]
        ids = [task["basedOn"][0]["reference"].removeprefix("ServiceRequest/") for task in tasks]
        return [id_ for id_ in ids if id_ in (first, second)]

    first = await accepted(system)
    _, seen = await state_of(first)
    second = await accepted(system)
    _, then = await state_of(second)
    assert await changed(seen, then) == [second]
    ok(await system.provider.post(f"/requests/{first}/request-information", {"text": "Où?"}))
    status, now = await state_of(first)
    assert status == "in-progress"
    assert await changed(seen, now) == [second, first]
    (task,) = await found(face, system.administrator, f"Task?based-on={first}")
    at = datetime.fromisoformat(task["meta"]["lastUpdated"])
    day = at.astimezone().date()
    for within, is_found in (
        (f"ge{at.isoformat()}", True),
        (f"le{at.isoformat()}", True),
        (at.isoformat(), True),
        (f"lt{at.isoformat()}", False),
        (f"gt{at.isoformat()}", False),
        (f"sa{at - timedelta(microseconds=1)}".replace(" ", "T", 1), True),
        (f"ge{day - timedelta(days=1)}", True),
        (f"le{day - timedelta(days=2)}", False),
    ):
        query = urlencode({"_lastUpdated": within, "based-on": first})
        assert bool(await found(face, system.administrator, f"Task?{query}")) is is_found, within


async def test_what_is_asked_for_is_what_comes(system: System, face: FastAPI, shelf: Shelf) -> None:
    request_id = shelf.by_status["awaiting_dispatch"]
    number = (await system.requester.view(request_id))["number"]

    async def ids(search: str) -> list[str]:
        return [one["id"] for one in await found(face, system.administrator, search)]

    both = [f"{request_id}.1", f"{request_id}.2"]
    for by in (
        f"based-on:identifier={number}",
        f"based-on:identifier=|{number.lower()}",
        f"based-on:identifier={BASE}/identifiers/request-number|{number}",
        f"based-on={BASE}/ServiceRequest/{request_id}",
        f"patient=Patient/{request_id}&based-on={request_id}",
        f"_id={both[0]},{both[1]}",
    ):
        assert await ids(f"Task?{by}") == both, by
    assert await ids(f"Task?based-on={request_id}&status=requested") == both[1:]
    assert await ids(f"Task?based-on={request_id}&status=requested,cancelled") == both
    assert await ids(f"Task?status=cancelled&patient={request_id}") == both[:1]
    assert await ids(f"ServiceRequest?identifier={number}&status=active") == [request_id]
    assert await ids(f"ServiceRequest?identifier={number}&status=completed,revoked") == []
    for by in (
        f"based-on:identifier=https://elsewhere.test|{number}",
        f"based-on=Task/{both[0]}",
        f"based-on={request_id}&patient={uuid4()}",
        "patient=nobody",
        "_id=x.y.z",
        f"_id={request_id}",
        "based-on:identifier=TC-1999-000001",
        "status=none-of-these",
    ):
        assert await ids(f"Task?{by}") == [], by


@pytest.mark.parametrize(
    "query",
    [
        "_lastUpdated=gt2026-11-27T10:00:00",  # without a zone
        "_lastUpdated=ne2026-11-27",
        "_lastUpdated=tomorrow",
        "_lastUpdated=9999-12-31",
        "_count=0",
        "_count=many",
        "_count=1&_count=2",
        "_sort=status",
        "_cursor=",
        "_cursor=WyJ4Il0",
        "_cursor=bnVsbA",
    ],
)
async def test_what_can_not_be_read_is_refused(system: System, face: FastAPI, query: str) -> None:
    outcome(await call(face, system.administrator, f"/fhir/Task?{query}"), 400, "invalid")


async def test_what_is_not_known_is_refused_unless_it_may_be_passed_over(
    system: System, face: FastAPI, shelf: Shelf
) -> None:
    path = f"/fhir/Task?based-on={shelf.asked}&owner=x&_summary=true"
    for prefer in ({}, {"Prefer": "handling=strict"}):
        answer = await call(face, system.administrator, path, headers=prefer)
        assert "owner" in outcome(answer, 400, "not-supported")
        assert answer.json()["issue"][0]["expression"] == ["http.owner"]
    bundle = ok(await call(face, system.administrator, path, headers={"Prefer": "respond-async, handling=lenient"}))
    assert len(bundle["entry"]) == 1
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE}/Task?based-on={shelf.asked}"}]


async def test_a_patient_is_looked_for_by_number_outside_of_any_address(system: System, face: FastAPI) -> None:
    number = f"ZYXW{uuid4().int % 10**8:08}"
    request_id = await submitted(system, patient={**PATIENT, "health_insurance_number": number})
    system_of = "https://fhir.infoway-inforoute.ca/NamingSystem/ca-qc-patient-healthcare-id"

    async def looked(value: str, who: Clinician = system.dispatcher, **more: str) -> list[str]:
        body = urlencode({"identifier": value, **more})
        answer = await call(face, who, "/fhir/Patient/_search", "POST", content=body, headers=FORM)
        assert number not in str([link["url"] for link in ok(answer)["link"]])
        return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]

    parted = f"{number[:4]}-{number[4:8]}-{number[8:]}"
    for value in (number, f"{system_of}|{number}", f"{number[:4]} {number[4:8]} {number[8:]}".lower(), parted):
        assert await looked(value) == [request_id], value
    assert await looked(f"https://elsewhere.test|{number}") == []
    assert await looked(number[:-1]) == []  # a part of one is nobody's number
    assert await looked(number, system.far_dispatcher) == []
    (patient,) = await found(face, system.dispatcher, f"Patient?_id={request_id}")
    assert patient["identifier"][0]["value"] == number
    for path, method in (
        (f"/fhir/Patient?identifier={number}", "GET"),
        (f"/fhir/Patient?identifier:exact={number}", "GET"),
        (f"/fhir/Patient/_search?identifier={number}", "POST"),
    ):
        answer = await call(face, system.dispatcher, path, method, headers=FORM if method == "POST" else {})
        assert number not in outcome(answer, 400, "security")
    by_post = await call(
        face, system.dispatcher, "/fhir/Task/_search", "POST", content=f"based-on={request_id}", headers=FORM
    )
    assert len(ok(by_post)["entry"]) == 1
    other = await call(face, system.dispatcher, "/fhir/Task/_search", "POST", json={"based-on": request_id})
    outcome(other, 415, "not-supported")


async def test_the_calls_of_the_page_for_integrators_work(system: System, face: FastAPI) -> None:
    page = (PROJECT_ROOT / "docs" / "integrators.md").read_text()
    calls = re.findall(r"^GET (/fhir/[^\s{]+)$", page, re.MULTILINE)  # of one Subscription its own tests ask
    assert len(calls) == 2
    for path in calls:
        assert ok(await call(face, system.administrator, path))["type"] == "searchset"


async def test_what_does_not_open_hides_no_other(
    system: System, face: FastAPI, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, *others = (shelf.by_status[status] for status in ("reported", "closed", "abandoned"))
    ids = ",".join(f"{one}.1" for one in (shut, *others))
    whole = cases.events_of

    async def events_of(session: Any, ids: Any) -> Any:
        if any(str(id_) == shut for id_ in ids):
            raise NOT_OPENED[0]
        return await whole(session, ids)

    monkeypatch.setattr(cases, "events_of", events_of)
    for count in (1, 100):  # also where it is all that would stand on a page
        along = await pages(face, system.administrator, f"Task?_id={ids}&_count={count}")
        assert {task["id"] for page in along for task in page} == {f"{other}.1" for other in others}


async def test_a_document_is_there_once_it_is_issued(
    system: System, face: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept a moment before, or for longer where the engine is away; the page stands meanwhile."""
    request_id = await reported(system)
    whole = requests.process_of

    def before(row: RequestRecord) -> Request:
        process = whole(row)
        return process.model_copy(update={"documents": ()}) if str(row.id) == request_id else process

    assert len(await found(face, system.administrator, f"DocumentReference?patient={request_id}")) == 1
    monkeypatch.setattr(requests, "process_of", before)
    for kind in ("DocumentReference", "DiagnosticReport", "Provenance"):
        assert await found(face, system.administrator, f"{kind}?patient={request_id}") == []


async def test_what_is_said_oddly_is_refused_and_never_passed_over(system: System, face: FastAPI, shelf: Shelf) -> None:
    lenient = {"Prefer": "handling=lenient"}
    for query in ("Patient?_id:not=a", "Task?status:not=completed", "Task?patient.name=a"):
        outcome(await call(face, system.administrator, f"/fhir/{query}", headers=lenient), 400, "not-supported")
    untold = await call(face, system.administrator, "/fhir/Task/_search", "POST", content=f"based-on={shelf.asked}")
    outcome(untold, 415, "not-supported")
    assert ok(await call(face, system.administrator, f"/fhir/Task/_search?based-on={shelf.asked}", "POST"))["entry"]
    far = base64.urlsafe_b64encode(json.dumps(["0001-01-01T00:00:00+14:00", str(uuid4()), None]).encode()).decode()
    many = ",".join("1" * 201)
    for query in (
        "ServiceRequest?identifier=%00",
        "Task?based-on:identifier=a%00b",
        f"Task?_cursor={far}",
        f"Task?_id={many}",
        f"Task?based-on:identifier={many}",
    ):
        outcome(await call(face, system.administrator, f"/fhir/{query}"), 400, "invalid")
    (document,) = await found(face, system.administrator, f"DocumentReference?patient={shelf.by_status['reported']}")
    for path in (
        "Questionnaire/a%00b.1",
        f"Binary/urn:uuid:{document['id']}",
        f"Binary/{document['id'].upper()}",
        f"Practitioner/urn:uuid:{system.provider.id}",
    ):
        outcome(await call(face, system.administrator, f"/fhir/{path}"), 404, "not-found")


async def test_a_status_may_name_its_system(system: System, face: FastAPI, shelf: Shelf) -> None:
    asked = f"Task?based-on={shelf.by_status['closed']}&status="
    assert len(await found(face, system.administrator, f"{asked}http://hl7.org/fhir/task-status|completed")) == 1
    assert await found(face, system.administrator, f"{asked}http://elsewhere.test|completed") == []


async def test_the_far_end_of_a_search_ends_it(system: System, face: FastAPI) -> None:
    request_id = await submitted(system)
    (task,) = await found(face, system.administrator, f"Task?based-on={request_id}")
    at = quote(task["meta"]["lastUpdated"])
    for query in (f"ge{at}&_lastUpdated=le{at}", f"ge{at}&_lastUpdated=le{at}&_sort=-_lastUpdated"):
        along = await found(face, system.administrator, f"Task?_lastUpdated={query}")
        assert [one["id"] for one in along] == [task["id"]]
