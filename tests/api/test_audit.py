"""No answer shows a patient without an entry in the audit that names who read it, of which request, and how."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from domain.audit import Act
from portal.choices import CHOICES
from records.audit import hmac_of, leaf_of
from records.ids import new_id
from records.models import AuditEntry, Side
from server import create_app
from tests.journeys import draft, ok, returned, signed, submitted, written
from tests.portal.browsing import visitor
from tests.portal.page_forms import form_to
from tests.system import PASSWORD, Clinician, System
from tests.unit.test_routes import routes
from web.audit import NOT_WRITTEN

NAME, SENTENCE = "Zzyzxqvist", "Le point zzyzx démange depuis mardi."
MARKED = re.compile("zzyzx", re.IGNORECASE)
PATIENT = {"given_name": "Wilhelmina", "family_name": NAME, "birth_date": "1931-05-07", "sex": "female"}


NEWEST_FIRST = {
    "/worklist": "?filter=1&sort=created",
    "/api/v1/requests": "?sort=created",
}
"""How lists are asked whose first page shall have what was just made, whatever others have left there."""


OF_REQUEST = {
    "/fhir/Patient": "?_id={}",
    "/fhir/ServiceRequest": "?_id={}",
    **{f"/fhir/{kind}": "?patient={}" for kind in ("QuestionnaireResponse", "DocumentReference", "AuditEvent")},
}
"""How searches are asked for what belongs to one request."""


@dataclass(frozen=True)
class Marked:
    """Requests of the patient, as far as they have come, with what their addresses name."""

    writing: str
    accepted: str
    reported: str
    attachments: dict[str, str]
    report: str


@pytest.fixture(scope="module")
async def marked(system: System) -> Marked:
    async def begun(made: str) -> str:
        answers = dict((await system.requester.view(made))["answers"])
        rules = system.services.offerings["teledermatology"]
        answers |= {field.name: SENTENCE for field in rules.form if rules.question(field)}
        ok(await system.requester.http.patch(f"/api/v1/requests/{made}", json={"patient": PATIENT, "answers": answers}))
        return made

    async def taken() -> str:
        made = await begun(await draft(system))
        ok(await system.requester.post(f"/requests/{made}/submit"))
        ok(await system.dispatcher.post(f"/requests/{made}/assign", {"provider_id": system.provider.id}))
        ok(await system.provider.post(f"/requests/{made}/accept"))
        await written(system, made, findings=SENTENCE)
        return made

    writing, accepted, reported = await begun(await draft(system)), await taken(), await taken()
    await signed(system, reported)
    views = {made: await system.requester.view(made) for made in (writing, accepted, reported)}
    attachments = {made: view["attachments"][0]["id"] for made, view in views.items()}
    return Marked(writing, accepted, reported, attachments, views[reported]["documents"][0]["report_id"])


@pytest.fixture(scope="module")
def served(system: System) -> FastAPI:
    return create_app(system.settings, system.of_api)


def addresses(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every address that is read, by the name of its route; of the choices of a request, each."""
    for path, methods in app.openapi()["paths"].items():
        if "get" in methods:
            yield methods["get"]["operationId"], path
    for route in routes():
        if route.endpoint.__module__.startswith(("portal.", "fhir.")) and "GET" in (route.methods or ()):
            if route.path == "/requests/{request_id}/{address}":
                yield from (
                    (route.name, route.path.replace("{address}", choice.address)) for choice in CHOICES.values()
                )
            else:
                yield route.name, route.path


def filled(path: str, marked: Marked, system: System, request_id: str) -> str:
    known = {
        "request_id": request_id,
        "attachment_id": marked.attachments[request_id],
        "report_id": marked.report,
        "account_id": system.provider.id,
        "clinic_id": str(system.clinics["near"].id),
        "number": "1",
        "version": "1",
        "code": "teledermatology",
        "resource_id": resource_at(path, marked, system, request_id),
    }
    known_by_name = re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], str(uuid4())), path)
    return known_by_name + NEWEST_FIRST.get(path, OF_REQUEST.get(path, "").format(request_id))


def resource_at(path: str, marked: Marked, system: System, request_id: str) -> str:
    """The id of a resource of FHIR of that type."""
    match path.removeprefix("/fhir/").partition("/")[0]:
        case "Task" | "QuestionnaireResponse":
            return f"{request_id}.1"
        case "DocumentReference" | "DiagnosticReport" | "Provenance" | "Binary":
            return marked.report
        case "Practitioner" | "PractitionerRole":
            return system.provider.id
    return request_id


async def since(system: System, before: UUID) -> Sequence[AuditEntry]:
    async with system.services.database.session() as session:
        written = AuditEntry.id > before, AuditEntry.id < new_id()  # other tests make up what is of later today
        return (await session.scalars(select(AuditEntry).where(*written).order_by(AuditEntry.id))).all()


def shows(answer: httpx.Response) -> bool:
    """Whether an answer holds something of the patient; a document or a picture of the request does."""
    if answer.status_code >= 300:
        return False
    kind = answer.headers.get("content-type", "")
    return kind.startswith(("application/pdf", "image/jpeg")) or MARKED.search(answer.text) is not None


async def looked(system: System, app: FastAPI, who: Clinician, path: str) -> tuple[httpx.Response, UUID]:
    """What somebody is shown at an address, and an id that is older than all that is written down of it."""
    before = new_id()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais.test") as http:
        answer = await http.get(path, headers={"Authorization": who.http.headers["Authorization"]})
    return answer, before


def names(entry: AuditEntry, who: Clinician, request_id: str) -> bool:
    of_request = str(entry.request_id) == request_id or UUID(request_id) in (entry.shown or ())
    return str(entry.account_id) == who.id and of_request


async def is_one_look(system: System, who: Clinician, name: str, request_id: str) -> bool:
    """Whether the same person was there by the same route a moment ago, which is one look."""
    one = (AuditEntry.account_id == who.account.id, AuditEntry.request_id == UUID(request_id), AuditEntry.name == name)
    async with system.services.database.session() as session:
        return await session.scalar(select(AuditEntry.id).where(*one).limit(1)) is not None


async def test_whoever_is_shown_the_patient_is_written_down(system: System, served: FastAPI, marked: Marked) -> None:
    """Every address of the API, of FHIR and of the portal, for everybody to whom it may show one of the patient's requests."""
    all_of = {marked.writing, marked.accepted, marked.reported}
    looks = [
        *((system.requester, request_id) for request_id in (marked.writing, marked.reported)),
        *((system.provider, request_id) for request_id in (marked.accepted, marked.reported)),
        *((who, marked.reported) for who in (system.dispatcher, system.administrator)),
    ]
    once_each = list({who.id: (who, request_id) for who, request_id in looks}.values())
    shown, missing = set(), []
    for name, path in addresses(served):
        if name in NOT_WRITTEN or "openapi" in path:
            continue
        for who, request_id in looks if "{request_id}" in path else once_each:
            if path.endswith(".pdf") and path in shown:
                continue  # drawing one takes as long as thirty pages
            answer, before = await looked(system, served, who, filled(path, marked, system, request_id))
            if not shows(answer):
                continue
            shown.add(path)
            if answer.headers["content-type"].startswith("image/"):
                continue
            if any(names(entry, who, one) for entry in await since(system, before) for one in all_of):
                continue
            if not await is_one_look(system, who, name, request_id):
                missing.append(f"{path} for {who.account.family_name}")
    assert not missing, "\n".join(missing)
    assert {"/worklist", "/requests/{request_id}", "/api/v1/requests", "/api/v1/requests/{request_id}"} <= shown
    assert {"/fhir/Patient", "/fhir/Patient/{resource_id}", "/fhir/Binary/{resource_id}"} <= shown
    assert len(shown) > 30


async def test_what_is_found_or_written_is_written_down(system: System, served: FastAPI, marked: Marked) -> None:
    for path in (f"/api/v1/requests?q={NAME}", f"/worklist?filter=1&status=all&q={NAME}", "/me/past-cases"):
        answer, before = await looked(system, served, system.provider, path)
        if answer.status_code == 404:
            continue
        assert shows(answer)
        entries = await since(system, before)
        assert any(names(entry, system.provider, marked.reported) for entry in entries), path
    before = new_id()
    said = {"priority": "urgent"}
    answer = await system.requester.http.patch(f"/api/v1/requests/{marked.writing}", json=said)
    assert shows(answer)
    (entry,) = await since(system, before)
    assert (entry.kind, entry.name, str(entry.request_id)) == (Act.CHANGE, "change_draft", marked.writing)
    assert (str(entry.account_id), entry.side) == (system.requester.id, Side.API)
    assert names(entry, system.requester, marked.writing)


async def test_a_look_stands_for_no_change(system: System, served: FastAPI) -> None:
    """A page that saves itself shows what it has saved, in the same answer: that is a look, and a change."""
    request_id = await returned(system)
    async with visitor(served, system.requester) as http:
        address = f"/requests/{request_id}/edit"
        form = {**form_to((await http.get(address)).text, address).as_shown, "answers.question": SENTENCE}
        before = new_id()
        answer = await http.post(address, data=form, headers={"X-Requested-With": "fetch"})
        assert answer.status_code == 200, answer.text
    assert [(entry.kind, str(entry.request_id)) for entry in await since(system, before)] == [
        (Act.REQUEST, request_id),
        (Act.CHANGE, request_id),
    ]


async def test_an_entry_says_who_when_from_where_and_why(system: System, served: FastAPI) -> None:
    request_id = await submitted(system)
    before = new_id()
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    answer, _ = await looked(system, served, system.far_provider, f"/api/v1/requests/{request_id}")
    assert answer.status_code == 404
    given, refused = await since(system, before)
    assert (given.kind, given.name, given.purpose, given.role) == (Act.COMMAND, "assign", "TREAT", "dispatcher")
    assert given.clinic_id == system.clinics["near"].id
    assert (refused.kind, refused.name, str(refused.request_id)) == (Act.REFUSED, "get_request 404", request_id)
    for entry in (given, refused):
        assert entry.content is not None
        assert entry.content_key is not None
        assert entry.content["address"] == "127.0.0.1"
        assert entry.content_hmac == hmac_of(entry.content_key, entry.content)
        assert entry.leaf == leaf_of(entry)


async def test_who_comes_in_or_fails_to_and_goes_is_written_down(system: System) -> None:
    before = new_id()
    username = system.provider2.account.username
    for name, password in ((username, PASSWORD), (username, "wrong"), ("nobody at all", "wrong")):
        answer = await system.provider2.http.post("/api/v1/tokens", json={"username": name, "password": password})
        if answer.status_code == 201:
            token = answer.json()["access_token"]
    await system.provider2.http.delete("/api/v1/tokens/current", headers={"Authorization": f"Bearer {token}"})
    own = system.provider2.account.id
    assert [(entry.kind, entry.name, entry.account_id) for entry in await since(system, before)] == [
        (Act.SIGN_IN, "password", own),
        (Act.SIGN_IN_FAILED, "wrong_credentials", own),
        (Act.SIGN_IN_FAILED, "wrong_credentials", None),
        (Act.SIGN_OUT, None, own),
    ]


async def test_a_list_that_renews_itself_is_written_down_when_it_shows_more(
    system: System, served: FastAPI, marked: Marked
) -> None:
    headers = {"Authorization": system.dispatcher.http.headers["Authorization"]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://relais.test") as http:
        token = headers["Authorization"].removeprefix("Bearer ")
        http.cookies.set("relais", token)
        newest = f"/worklist{NEWEST_FIRST['/worklist']}"
        assert (await http.get(newest)).status_code == 200
        before = new_id()
        for _ in range(2):
            assert (await http.get(newest, headers={"hx-request": "true"})).status_code == 200
        assert [entry.kind for entry in await since(system, before)] == []
        request_id = await submitted(system)
        before = new_id()
        assert (await http.get(newest, headers={"hx-request": "true"})).status_code == 200
        (entry,) = await since(system, before)
    assert entry.kind is Act.LIST
    assert UUID(request_id) in (entry.shown or ())


def test_routes_of_which_nothing_is_written_are_there() -> None:
    assert set(NOT_WRITTEN) <= {route.name for route in routes()}
