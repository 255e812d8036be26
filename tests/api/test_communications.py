"""The register of communications: what left a clinic, to whom and for what; of nobody else's clinic, and of no patient's name."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.calendar import day_of
from domain.communications import SIGNING, flow
from domain.requests import Role
from records import audit, communications, data_keys
from records.models import Account, AuditEntry, Clinic, DestroyedRequest, RequestRecord, RetentionList
from records.people import add_clinic
from tests.api.answers import problem
from tests.api.test_hand_over import routed_far
from tests.api.test_incidents import of_a_new_clinic, paper
from tests.api.test_journals import journal, somebody
from tests.api.test_retention import LONG_AGO, approved, listed
from tests.api.test_retention import entered as grown_old
from tests.api.test_service_accounts import connected
from tests.journeys import filled, ok
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases.communications import flow_of

NEAR, FAR = "Clinique du Fleuve", "Clinique des Érables"


@pytest.fixture
async def far_boss(system: System) -> Clinician:
    return await add_person(system, f"far_boss_{uuid4().hex[:6]}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)


@pytest.fixture
async def boss(system: System) -> Clinician:
    """An administrator of a clinic of which nobody else has anything."""
    return await of_a_new_clinic(system)


async def answered_far(system: System, patient: dict[str, str] | None = None) -> str:
    """A request of the near clinic whose report somebody of the far clinic has signed."""
    request_id = await routed_far(system, patient=patient or somebody())
    far = system.far_provider
    offering = (await far.view(request_id))["offering"]
    answers = filled(system.services.offerings[offering].report)
    ok(await far.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))
    ok(await far.post(f"/requests/{request_id}/report/sign", {"kind": "final", "password": PASSWORD}))
    return request_id


async def register(who: Clinician, **asked: Any) -> list[dict[str, Any]]:
    """All pages, the newest first, in English."""
    found: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    while True:
        page = ok(await who.get("/communications", params={**asked, **before}, headers={"Accept-Language": "en"}))
        found += page["items"]
        if page["next"] is None:
            return found
        before = {"before": page["next"]}


def lines(found: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    return {(one["nature"], one["recipient"], one["given_by"]) for one in found}


async def test_each_clinic_has_what_left_it_and_nothing_else(system: System, far_boss: Clinician) -> None:
    patient = somebody()
    request_id = await answered_far(system, patient)
    report = (await system.requester.view(request_id))["documents"][0]["report_id"]
    for path in ("", "/timeline", "/case.pdf"):
        assert (await system.far_provider.get(f"/requests/{request_id}{path}")).status_code == 200
    for who in (system.requester, system.far_provider):
        assert (await who.get(f"/requests/{request_id}/reports/{report}.pdf")).status_code == 200
    assert (await system.requester.get(f"/requests/{request_id}/case.pdf")).status_code == 200
    provider = f"Dre Anne Far Provider, Dermatologue, {FAR}"
    own = "Dre Anne Requester, Dermatologue"

    near = await register(system.administrator, request_id=request_id)
    assert lines(near) == {
        ("Opening of the request", provider, None),
        ("Opening of the history of the request", provider, None),
        ("The whole file of the request, taken along as a document", provider, None),
        (
            "The whole file of the request, taken along as a document",
            "Not known to Relais: copied to be taken along",
            own,
        ),
    }
    assert {one["request_id"] for one in near} == {request_id}
    far = await register(far_boss, request_id=request_id)
    assert lines(far) == {("Signed report", NEAR, "Dre Anne Far Provider, Dermatologue")}
    assert {one["purpose"] for one in far} == {"Care: teleconsultation"}

    for found in (near, far, await register(system.administrator), await register(far_boss)):
        assert patient["family_name"] not in json.dumps(found), "patients are named by numbers alone"
        assert str(patient["birth_date"]) not in json.dumps(found)
    assert "Requester" not in json.dumps(far), "who asked there is not told to the clinic that answered"


async def test_a_clinic_without_a_part_has_none_of_it(system: System) -> None:
    request_id = await answered_far(system)
    third = await add_person(system, f"third_{uuid4().hex[:6]}", await a_clinic(system), Role.CLINIC_ADMINISTRATOR)
    assert await register(third) == []
    assert await register(third, request_id=request_id) == []
    number = (await system.requester.view(request_id))["number"]
    assert number not in (await third.get("/communications.csv")).text


async def a_clinic(system: System) -> Clinic:
    async with system.services.database.session() as session:
        return await add_clinic(session, code=f"third-{uuid4().hex[:8]}", name="Clinique tierce")


async def test_systems_and_journals_stand_in_it(system: System, far_boss: Clinician) -> None:
    request_id = await answered_far(system)
    ours = await connected(system, "requests:read", name=f"Dossier {uuid4().hex[:6]}")
    theirs = await connected(system, "requests:read", by=far_boss, name=f"Autre {uuid4().hex[:6]}")
    assert (await ours.http.get(f"/api/v1/requests/{request_id}")).status_code == 200
    async with system.services.database.session() as session:  # as where theirs has read it
        by = audit.By(UUID(theirs.id), None, clinic_id=system.clinics["far"].id)
        audit.add(session, Act.REQUEST, by, datetime.now(UTC), role=Role.PROVIDER, request_id=UUID(request_id))
    made = await journal(far_boss, request_id)
    assert made.pdf
    far = lines(await register(far_boss, request_id=request_id))
    assert ("Journal of accesses", "The person concerned", "Dre Anne " + title_of(far_boss)) in {
        (nature, recipient, (given_by or "").split(",")[0]) for nature, recipient, given_by in far
    }
    near = await register(system.administrator, request_id=request_id)
    assert not [one for one in near if "Dossier" in one["recipient"]], "a system of one's own is nobody outside"
    assert [one for one in near if "Computer system “Autre " in one["recipient"] and FAR in one["recipient"]]


def title_of(who: Clinician) -> str:
    return who.account.family_name


async def test_what_is_sent_by_relais_itself_comes_in_by_its_kind(system: System) -> None:
    """A message to a system of another clinic, as an entry of whatever sends it."""
    request_id = await answered_far(system)
    async with system.services.database.session() as session:
        by = audit.By(None, None, clinic_id=system.clinics["far"].id)
        audit.add(session, Act.EXPORT, by, datetime.now(UTC), name="told_partner", request_id=UUID(request_id))
    near = await register(system.administrator, request_id=request_id)
    assert FAR in {one["recipient"] for one in near}


async def test_every_row_of_the_query_is_judged_by_the_rule(system: System, far_boss: Clinician) -> None:
    """The query finds all that the rule names, of every entry there is: nothing is lost between the two."""
    request_id = await answered_far(system)
    report = (await system.requester.view(request_id))["documents"][0]["report_id"]
    for who in (system.requester, system.far_provider):
        assert (await who.get(f"/requests/{request_id}/reports/{report}.pdf")).status_code == 200
    assert (await journal(far_boss, request_id)).pdf
    async with system.services.database.session() as session:
        newest = audit.first_id_of(datetime.now(UTC) + timedelta(days=1))
        for clinic_id in (system.clinics["near"].id, system.clinics["far"].id):
            found: list[communications.Told] = []
            before: UUID | None = newest
            while before is not None:
                part, before = await communications.step(session, clinic_id, None, before, limit=500)
                found += part
            kept = {one.id for one in found if (left := flow_of(one)) and left.of == clinic_id}
            assert kept
            assert kept == await named_by_the_rule(session, clinic_id)


async def named_by_the_rule(session: AsyncSession, clinic_id: UUID) -> set[UUID]:
    """The ids of all entries that are communications of the clinic, found one by one, without the query."""
    clinics = {one.id: one.clinic_id for one in await session.scalars(select(Account))}
    there = select(RequestRecord.id, RequestRecord.requester_clinic_id)
    gone = select(DestroyedRequest.request_id, RetentionList.clinic_id)
    gone = gone.join(RetentionList, RetentionList.id == DestroyedRequest.list_id)
    asked = {row[0]: row[1] for query in (there, gone) for row in await session.execute(query)}
    signed: set[tuple[UUID, UUID | None]] = set()
    found: set[UUID] = set()
    for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.id)):
        if entry.request_id is None or entry.request_id not in asked:
            continue
        by = entry.clinic_id or (clinics[entry.account_id] if entry.account_id else None)
        is_own = entry.kind is Act.DOCUMENT and (entry.request_id, by) in signed
        what = entry.kind, entry.name, entry.role
        left = flow(*what, asked=asked[entry.request_id], by=by, written_by=by if is_own else None)
        if left and left.of == clinic_id:
            found.add(entry.id)
        if entry.kind is Act.COMMAND and entry.name in SIGNING:
            signed.add((entry.request_id, by))
    return found


async def test_it_says_the_same_of_a_request_that_was_destroyed(system: System, far_boss: Clinician) -> None:
    request_id = await answered_far(system)
    report = (await system.requester.view(request_id))["documents"][0]["report_id"]
    for who in (system.requester, system.far_provider):
        assert (await who.get(f"/requests/{request_id}/reports/{report}.pdf")).status_code == 200
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    before = [await register(who, request_id=request_id) for who in (system.administrator, far_boss)]
    assert all(before)
    assert "a signed document" not in {one["nature"].casefold() for one in before[0]}, "whoever signed it reads its own"
    await grown_old(system, request_id, LONG_AGO)
    await approved(system, await listed(system))
    problem(await system.requester.get(f"/requests/{request_id}"), 410, "request_destroyed")
    assert [await register(who, request_id=request_id) for who in (system.administrator, far_boss)] == before


async def test_days_recipients_and_pages(system: System, far_boss: Clinician, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await answered_far(system)
    today = day_of(datetime.now(UTC))
    whole = await register(system.administrator)
    assert len(whole) == len({one["id"] for one in whole})
    monkeypatch.setattr("use_cases.communications.PAGE", 2)
    monkeypatch.setattr("use_cases.communications.FOUND_AT_ONCE", 3)
    monkeypatch.setattr("records.communications.STEP", 7)
    assert [one["id"] for one in await register(system.administrator)] == [one["id"] for one in whole]
    monkeypatch.undo()
    before = await register(system.administrator, until=str(today - timedelta(days=1)))  # what other tests made up
    assert request_id not in {one["request_id"] for one in before}
    of_today = await register(system.administrator, since=str(today), until=str(today))
    assert [one["id"] for one in [*of_today, *before]] == [one["id"] for one in whole]
    some = await register(system.administrator, recipient="des erables", request_id=request_id)
    assert some
    assert all(FAR in one["recipient"] for one in some)
    assert await register(system.administrator, recipient="personne ainsi") == []
    problem(
        await system.administrator.get("/communications", params={"since": "2026-02-02", "until": "2026-02-01"}),
        422,
        "invalid_input",
    )


async def test_entries_by_hand_are_added_and_replaced_never_changed(system: System, far_boss: Clinician) -> None:
    request_id = await answered_far(system)
    today = str(day_of(datetime.now(UTC)))
    new = {
        "given_on": today,
        "nature": "Copie papier du rapport",
        "recipient": "=La personne",
        "purpose": "Demande de la personne",
        "request_id": request_id,
    }
    key = uuid4().hex
    one = ok(await far_boss.post("/communications/by-hand", new, key=key), 201)
    assert ok(await far_boss.post("/communications/by-hand", new, key=key), 201)["id"] == one["id"]
    better = {**new, "recipient": "Sa mère"}
    address = f"/communications/by-hand?replaces={one['id']}"
    other = ok(await far_boss.post(address, better), 201)
    problem(await far_boss.post(address, better), 409, "communication_replaced")
    there = ok(await far_boss.get("/communications/by-hand", params={"request_id": request_id}))["items"]
    assert [each["id"] for each in there] == [other["id"]]
    assert ok(await far_boss.get(f"/communications/by-hand/{one['id']}"))["entry"]["recipient"] == "=La personne"
    problem(await far_boss.post("/communications/by-hand", {**new, "given_on": "2999-01-01"}), 422, "invalid_input")
    problem(await far_boss.post("/communications/by-hand", {**new, "request_id": str(uuid4())}), 422, "invalid_input")
    for path in (f"/communications/by-hand/{other['id']}",):
        problem(await system.administrator.get(path), 404, "not_found")
    problem(await system.administrator.post(f"/communications/by-hand?replaces={other['id']}", new), 404, "not_found")
    near = ok(await system.administrator.get("/communications/by-hand"))["items"]
    assert other["id"] not in {each["id"] for each in near}
    async with system.services.database.session() as session:
        kept = await session.scalar(
            text("SELECT content::text FROM communications WHERE id = :id"), {"id": other["id"]}
        )
        assert "Sa mère" not in kept
    with pytest.raises(DBAPIError, match="never change"):
        async with system.services.database.session() as session:
            await session.execute(text("DELETE FROM communications"))


async def test_as_a_table_and_as_a_sealed_paper(system: System, far_boss: Clinician) -> None:
    patient = somebody()
    request_id = await answered_far(system, patient)
    number = (await system.requester.view(request_id))["number"]
    today = str(day_of(datetime.now(UTC)))
    new = {"given_on": today, "nature": "+Copie", "recipient": "Un notaire", "purpose": "Mandat"}
    ok(await far_boss.post("/communications/by-hand", new), 201)
    answer = await far_boss.get("/communications.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row for row in rows if "'+Copie" in row and "Un notaire" in row]
    assert [row for row in rows if row[-1] == number and NEAR in row]
    told = await paper(far_boss, kind="communications", since=today, until=today)
    assert number in told
    assert NEAR in told
    assert "Un notaire" in told
    assert patient["family_name"] not in told
    assert patient["family_name"] not in answer.text


async def test_too_much_for_one_file_is_said(
    system: System, far_boss: Clinician, monkeypatch: pytest.MonkeyPatch
) -> None:
    await answered_far(system)
    await answered_far(system)
    monkeypatch.setattr("use_cases.register_papers.MOST_LINES", 1)
    problem(await far_boss.get("/communications.csv"), 422, "register_too_long")


async def test_others_have_no_register(system: System) -> None:
    for who in (system.requester, system.dispatcher, system.provider, system.operator):
        for path in ("/communications", "/communications.csv", "/communications/by-hand"):
            problem(await who.get(path), 403, "forbidden")


async def test_entries_by_hand_are_told_whole_or_not_at_all(boss: Clinician, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is missing because there are many: neither behind words of who got it, nor in a file."""
    today = str(day_of(datetime.now(UTC)))
    made = []
    for number in range(5):
        new = {"given_on": today, "nature": "Copie", "recipient": f"Notaire {number}", "purpose": "Mandat"}
        made.append(ok(await boss.post("/communications/by-hand", new), 201)["id"])
    monkeypatch.setattr("use_cases.communications.BY_HAND_AT_ONCE", 2)
    pages = []
    before: dict[str, str] = {}
    while True:
        page = ok(await boss.get("/communications/by-hand", params={"recipient": "notaire 0", **before}))
        pages.append([one["id"] for one in page["items"]])
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert pages == [[], [], made[:1]]
    assert len(rows_of(await boss.get("/communications.csv"))) == 6
    assert len(rows_of(await boss.get("/communications.csv", params={"recipient": "notaire 0"}))) == 2
    monkeypatch.setattr("use_cases.register_papers.MOST_LINES", 4)
    problem(await boss.get("/communications.csv"), 422, "register_too_long")


async def test_what_does_not_open_is_told_as_a_line(system: System, boss: Clinician) -> None:
    today = str(day_of(datetime.now(UTC)))
    new = {"given_on": today, "nature": "Copie", "recipient": "Un notaire", "purpose": "Mandat"}
    lost, kept = [ok(await boss.post("/communications/by-hand", new), 201)["id"] for _ in range(2)]
    async with system.services.database.session() as session:
        await data_keys.destroy(session, UUID(lost))
    found = ok(await boss.get("/communications/by-hand"))["items"]
    assert [(one["id"], one["entry"] is None, one["given_on"]) for one in found] == [
        *((kept, False, today), (lost, True, today)),
    ]
    assert ok(await boss.get(f"/communications/by-hand/{lost}"))["entry"] is None
    answer = await boss.get("/communications.csv", headers={"Accept-Language": "en"})
    assert sorted(row[3] for row in rows_of(answer)[1:]) == ["Copie", "What was written does not open."]
    assert "What was written does not open." in await paper(boss, kind="communications")
    other = ok(await boss.post(f"/communications/by-hand?replaces={lost}", new), 201)
    assert {one["id"] for one in ok(await boss.get("/communications/by-hand"))["items"]} == {kept, other["id"]}


def rows_of(answer: httpx.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def test_what_is_on_record_is_read_by_the_rules_of_its_time(system: System, boss: Clinician) -> None:
    now = datetime.now(UTC)
    async with system.services.database.session() as session:
        await communications.enter(
            session,
            boss.account.clinic_id,
            {"nature": "\u200b", "recipient": "E\u0301ve", "purpose": "Mandat"},
            given_on=day_of(now),
            request_id=None,
            replaces=None,
            written_by=boss.account.id,
            now=now,
            creation_key=None,
        )
    [found] = ok(await boss.get("/communications/by-hand"))["items"]
    assert (found["entry"]["nature"], found["entry"]["recipient"]) == ("\u200b", "E\u0301ve")
