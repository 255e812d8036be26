"""The register of confidentiality incidents: recorded, completed by versions, seen by the clinic's administrators alone."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from domain.audit import Act
from domain.calendar import day_of
from domain.requests import Role
from records import data_keys, incidents
from records.models import AuditEntry
from records.people import add_clinic
from tests.api.answers import problem
from tests.api.test_hand_over import routed_far
from tests.api.test_journals import text_of
from tests.eventually import eventually
from tests.journeys import ok, ok_list, submitted
from tests.system import Clinician, System, add_person

MARKED = "Secret-des-Érables"


@pytest.fixture
async def boss(system: System) -> Clinician:
    """An administrator of a clinic of which nobody else has anything."""
    return await of_a_new_clinic(system)


async def of_a_new_clinic(system: System) -> Clinician:
    """The administrator of a clinic that is there for one test."""
    async with system.services.database.session() as session:
        clinic = await add_clinic(session, code=f"own-{uuid4().hex[:8]}", name="Clinique du Registre")
    return await add_person(system, f"boss_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)


def said(**more: Any) -> dict[str, Any]:
    today = str(day_of(datetime.now(UTC)))
    return {"information": "Noms et numéros", "circumstances": f"{MARKED}, télécopieur", "aware_on": today, **more}


async def record(who: Clinician, **more: Any) -> dict[str, Any]:
    return ok(await who.post("/incidents", said(**more)), 201)


async def paper(who: Clinician, **body: Any) -> str:
    """The text of the sealed paper that somebody asks for, once it is there."""
    asked = ok(await who.post("/register-papers", {"language": "en", **body}), 202)
    address = f"/register-papers/{asked['id']}"

    async def is_made() -> bool:
        return bool(ok(await who.get(address))["state"] != "making")

    await eventually(is_made)
    assert ok(await who.get(address))["state"] == "ready"
    answer = await who.get(f"{address}.pdf")
    assert answer.status_code == 200
    return text_of(answer.content)


async def test_an_incident_is_recorded_completed_and_never_loses_a_version(system: System, boss: Clinician) -> None:
    first = await record(boss)
    assert (first["number"], first["version"]) == (1, 1)
    assert [one["duty"] for one in first["owed"]] == ["assess", "complete"]
    address = f"/incidents/{first['id']}"
    more = said(serious_risk=True, persons=3, persons_roughly=True, measures="Rappelé", risk_elements="Numéros")
    changed = await boss.http.put(f"/api/v1{address}", json=more, headers={"If-Match": '"1"'})
    assert [one["duty"] for one in ok(changed)["owed"]] == [
        *("tell_minister", "tell_commission", "tell_persons", "complete")
    ]
    again = await boss.http.put(f"/api/v1{address}", json=more, headers={"If-Match": '"1"'})
    assert ok(again)["version"] == 2, "the same once more is no new version"
    late = await boss.http.put(f"/api/v1{address}", json=said(), headers={"If-Match": '"1"'})
    problem(late, 412, "incident_changed")
    found = ok(await boss.get(address))
    assert [one["version"] for one in found["versions"]] == [2, 1]
    assert [one["incident"]["serious_risk"] for one in found["versions"]] == [True, None]
    assert {one["written_by"]["id"] for one in found["versions"]} == {boss.id}
    async with system.services.database.session() as session:
        entries = select(AuditEntry.name).where(
            AuditEntry.object_id == UUID(first["id"]), AuditEntry.kind == Act.CHANGE
        )
        names = (await session.scalars(entries)).all()
        assert [names.count(name) for name in ("incident_recorded", "incident_changed")] == [1, 1]


async def test_what_cannot_be_so_is_refused_field_by_field(system: System, boss: Clinician) -> None:
    elsewhere = await submitted(system)
    wrong = said(aware_on="2999-01-01", happened_until="2026-01-01", request_ids=[elsewhere, str(uuid4())])
    errors = problem(await boss.post("/incidents", wrong), 422, "invalid_input")["errors"]
    assert {(one["field"], one["code"]) for one in errors} == {
        *(("aware_on", "in_the_future"), ("happened_from", "required"), ("request_ids", "unknown_request")),
    }
    problem(await boss.post("/incidents", {"information": " ", "circumstances": "x"}), 422, "invalid_input")
    assert ok_list(await boss.get("/incidents")) == []


async def test_the_same_key_records_one(boss: Clinician) -> None:
    key = uuid4().hex
    one, other = [ok(await boss.post("/incidents", said(), key=key), 201) for _ in range(2)]
    assert one["id"] == other["id"]
    assert len(ok_list(await boss.get("/incidents"))) == 1


async def test_what_owes_something_stands_first(boss: Clinician) -> None:
    done = {"serious_risk": False, "risk_elements": "Noms", "happened_from": "2026", "persons": 1, "measures": "Rien"}
    finished = await record(boss, **done, aware_on="2026-01-02")
    recent = await record(boss)
    old = await record(boss, aware_on="2026-01-02")
    assert [one["id"] for one in ok_list(await boss.get("/incidents"))] == [old["id"], recent["id"], finished["id"]]
    assert [one["number"] for one in (finished, recent, old)] == [1, 2, 3]


async def test_nobody_else_sees_or_writes_it(system: System, boss: Clinician) -> None:
    there = await record(boss)
    address = f"/incidents/{there['id']}"
    for who in (system.administrator,):
        problem(await who.get(address), 404, "not_found")
        problem(await who.http.put(f"/api/v1{address}", json=said()), 404, "not_found")
        problem(await who.get(f"{address}/drafts/notice"), 404, "not_found")
        assert there["id"] not in {one["id"] for one in ok_list(await who.get("/incidents"))}
        assert MARKED not in (await who.get("/incidents.csv")).text
    for who in (system.requester, system.dispatcher, system.provider, system.operator):
        problem(await who.get("/incidents"), 403, "forbidden")
        problem(await who.get(address), 403, "forbidden")
        problem(await who.post("/incidents", said()), 403, "forbidden")
        problem(await who.get("/incidents.csv"), 403, "forbidden")
        problem(await who.post("/register-papers", {"kind": "incidents"}), 403, "forbidden")


async def test_it_is_sealed_and_frozen(system: System, boss: Clinician) -> None:
    there = await record(boss)
    async with system.services.database.session() as session:
        kept = await session.scalar(
            text("SELECT content::text FROM incident_versions WHERE incident_id = :id"), {"id": there["id"]}
        )
    assert MARKED not in kept
    for change in ("UPDATE incident_versions SET number = 9", "DELETE FROM incident_versions", "DELETE FROM incidents"):
        with pytest.raises(DBAPIError, match="never change"):
            async with system.services.database.session() as session:
                await session.execute(text(change))


async def test_requests_are_named_by_who_had_to_do_with_them(system: System) -> None:
    request_id = await routed_far(system)
    number = (await system.requester.view(request_id))["number"]
    far = await add_person(system, f"far_{uuid4().hex[:6]}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    there = await record(far, request_ids=[request_id])
    assert there["requests"] == [{"id": request_id, "number": number}]


async def test_the_texts_to_send_have_the_points_of_the_regulation(boss: Clinician) -> None:
    there = await record(boss, serious_risk=True, cause="Mauvais numéro", persons=12, contact="Ève Roy, 418 555-0199")
    english = {"Accept-Language": "en"}
    notice = (await boss.get(f"/incidents/{there['id']}/drafts/notice", headers=english)).text
    for place in range(1, 11):
        assert f"\n{place}. " in notice
    assert MARKED in notice
    assert "Mauvais numéro" in notice
    assert "Ève Roy, 418 555-0199" in notice
    assert "Persons concerned: 12" in notice
    assert "[…]" in notice
    letter = (await boss.get(f"/incidents/{there['id']}/drafts/letter")).text
    assert MARKED in letter
    assert "Clinique du Registre" in letter
    assert "Mauvais numéro" not in letter


async def test_as_a_table_and_as_a_sealed_paper(boss: Clinician) -> None:
    await record(boss, cause="=HYPERLINK(1)", serious_risk=True)
    await record(boss, aware_on="2026-02-03")
    answer = await boss.get("/incidents.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1
    assert "'=HYPERLINK(1)" in rows[1] + rows[2]
    told = await paper(boss, kind="incidents")
    assert "Register of confidentiality incidents" in told
    assert MARKED in told
    assert "Notify the Minister" in told


async def test_a_paper_of_another_clinic_is_not_there(system: System, boss: Clinician) -> None:
    asked = ok(await boss.post("/register-papers", {"kind": "incidents"}), 202)
    for address in (f"/register-papers/{asked['id']}", f"/register-papers/{asked['id']}.pdf"):
        problem(await system.administrator.get(address), 404, "not_found")


async def test_an_incident_that_does_not_open_is_told_as_a_line(system: System, boss: Clinician) -> None:
    lost, kept = await record(boss), await record(boss)
    async with system.services.database.session() as session:
        await data_keys.destroy(session, UUID(lost["id"]))
    found = ok_list(await boss.get("/incidents"))
    assert [(one["id"], one["incident"] is None) for one in found] == [(lost["id"], True), (kept["id"], False)]
    told = await paper(boss, kind="incidents")
    assert "What was written does not open." in told
    assert MARKED in told
    for not_opened in ({"1"}, {"1", "2"}):
        answer = await boss.get("/incidents.csv", headers={"Accept-Language": "en"})
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert {row[0] for row in rows if row[1] == "What was written does not open."} == not_opened
        assert (len(rows), len({len(row) for row in rows})) == (3, 1)
        async with system.services.database.session() as session:
            await data_keys.destroy(session, UUID(kept["id"]))


async def test_a_file_has_all_incidents_or_says_that_these_are_too_many(
    boss: Clinician, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await record(boss)
    monkeypatch.setattr("use_cases.incidents.MOST_SHOWN", 1)
    assert len(ok_list(await boss.get("/incidents"))) == 1
    rows = list(csv.reader(io.StringIO((await boss.get("/incidents.csv")).content.decode("utf-8-sig"))))
    assert len(rows) == 3
    monkeypatch.setattr("use_cases.register_papers.MOST_LINES", 1)
    problem(await boss.get("/incidents.csv"), 422, "register_too_long")


async def test_what_is_on_record_is_read_by_the_rules_of_its_time(system: System, boss: Clinician) -> None:
    there, now = await record(boss), datetime.now(UTC)
    old = {**said(), "information": "\u200b", "cause": "E\u0301ve", "persons": -1}
    async with system.services.database.session() as session:
        await incidents.add_version(session, UUID(there["id"]), 2, old, written_by=boss.account.id, now=now)
    found = ok(await boss.get(f"/incidents/{there['id']}"))["incident"]
    assert (found["information"], found["cause"], found["persons"]) == ("\u200b", "E\u0301ve", -1)
