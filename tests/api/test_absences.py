"""When people are away: who may enter and see it, what makes no sense, and where it shows."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from domain.calendar import TIME_ZONE
from domain.requests import Role
from records import people
from tests.api.answers import any_problem, problem
from tests.journeys import assigned, ok, pooled, submitted
from tests.system import Clinician, System, add_person


def day(offset: int) -> str:
    """Today and so many days more, as the clinics count days."""
    return str(datetime.now(TIME_ZONE).date() + timedelta(days=offset))


def days(first: int, last: int, **more: Any) -> dict[str, Any]:
    return {"starts_on": day(first), "ends_on": day(last), **more}


@pytest.fixture
async def doctor(system: System) -> Clinician:
    """A provider of the near clinic whom nobody else counts on."""
    return await add_person(system, f"doctor_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)


async def test_ones_own(doctor: Clinician) -> None:
    assert (await doctor.get("/me/absences")).json() == []
    later = ok(await doctor.post("/me/absences", days(40, 50, note="  Congrès  ")), 201)
    today = ok(await doctor.post("/me/absences", days(-3, 0)), 201)
    assert (today["account_id"], today["starts_on"], today["ends_on"], today["note"]) == (
        doctor.id,
        day(-3),
        day(0),
        None,
    )
    assert later["note"] == "Congrès"
    assert (await doctor.get("/me/absences")).json() == [today, later]
    path = f"/api/v1/me/absences/{today['id']}"
    assert (await doctor.http.delete(path)).status_code == 204
    problem(await doctor.http.delete(path), 404, "not_found")
    assert (await doctor.get("/me/absences")).json() == [later]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (days(5, 4), 422, "absence_ends_before_start"),
        (days(0, 366), 422, "absence_too_long"),
        (days(-500, -1), 422, "absence_too_long"),
        (days(-1, -1), 422, "absence_in_the_past"),
        (days(-30, -1), 422, "absence_in_the_past"),
        (days(10, 12), 409, "absence_overlaps"),
        (days(5, 10), 409, "absence_overlaps"),
        (days(20, 20), 409, "absence_overlaps"),
        (days(1, 30), 409, "absence_overlaps"),
    ],
)
async def test_what_makes_no_sense(doctor: Clinician, body: dict[str, Any], status: int, code: str) -> None:
    there = ok(await doctor.post("/me/absences", days(10, 20)), 201)
    problem(await doctor.post("/me/absences", body), status, code)
    assert (await doctor.get("/me/absences")).json() == [there]


async def test_what_just_makes_sense(doctor: Clinician) -> None:
    for body in (days(10, 20), days(9, 9), days(21, 21 + 365), days(-300, 0)):
        ok(await doctor.post("/me/absences", body), 201)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"starts_on": None}, "starts_on", "not_a_date"),
        ({"starts_on": 0}, "starts_on", "not_a_date"),
        ({"starts_on": True}, "starts_on", "not_a_date"),
        ({"starts_on": "tomorrow"}, "starts_on", "not_a_date"),
        ({"ends_on": "2027-02-30"}, "ends_on", "not_a_date"),
        ({"ends_on": ["2027-02-03"]}, "ends_on", "not_a_date"),
        ({"note": "x" * 501}, "note", "too_long"),
        ({"note": "NUL \x00"}, "note", "not_storable"),
        ({"note": 7}, "note", "not_a_text"),
        ({"account_id": "x"}, "account_id", "unknown_field"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bad_input(doctor: Clinician, change: dict[str, Any], field: str, code: str) -> None:
    answer = await doctor.post("/me/absences", {**days(1, 2), **change})
    errors = problem(answer, 422, "invalid_input")["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [(field, code)]
    assert errors[0]["message"]


async def test_bad_addresses_and_bodies(doctor: Clinician) -> None:
    bodies: tuple[Any, ...] = (None, [], {}, {"starts_on": day(1)}, "x", days(1, 2, surprise=1))
    for body in bodies:
        any_problem(await doctor.post("/me/absences", body))
    for bad in ("x", "%00", "0" * 400):
        any_problem(await doctor.http.delete(f"/api/v1/me/absences/{bad}"))
        any_problem(await doctor.get(f"/accounts/{bad}/absences"))
        any_problem(await doctor.post(f"/accounts/{bad}/absences", days(1, 2)))
    problem(await doctor.http.delete(f"/api/v1/me/absences/{uuid4()}"), 404, "not_found")
    problem(await doctor.get(f"/accounts/{uuid4()}/absences"), 404, "not_found")
    for extreme in (("0001-01-01", "0001-01-02"), ("0001-01-01", "9999-12-31"), ("9999-12-31", "0001-01-01")):
        any_problem(await doctor.post("/me/absences", dict(zip(("starts_on", "ends_on"), extreme, strict=True))))
    assert (await doctor.get("/me/absences")).json() == []


async def test_who_may_see_and_change_those_of_others(system: System, doctor: Clinician) -> None:
    """By name: 404 for who may not know, 403 for who may only look."""
    near = system.clinics["near"]
    far_administrator = await add_person(
        system, f"far_admin_{uuid4().hex}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR
    )
    both = await add_person(system, f"both_{uuid4().hex}", near, Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR)
    there = ok(await doctor.post("/me/absences", days(1, 2)), 201)
    expected = {
        "administrator": (200, 201),
        "dispatcher": (200, 403),
        **dict.fromkeys(("provider", "provider2", "requester", "operator"), (404, 404)),
        **dict.fromkeys(("far_provider", "far_dispatcher", "far_requester"), (404, 404)),
    }
    known = {name: system.people[name] for name in expected}
    known.update(far_administrator=far_administrator, both=both, oneself=doctor)
    expected.update(far_administrator=(404, 404), both=(200, 201), oneself=(200, 201))
    path = f"/accounts/{doctor.id}/absences"
    for name, who in known.items():
        seen = await who.get(path)
        added = await who.post(path, days(10, 20))
        assert (seen.status_code, added.status_code) == expected[name], name
        if seen.status_code == 200:
            assert seen.json() == [there], name
        if added.status_code == 201:
            removed = await who.http.delete(f"/api/v1{path}/{added.json()['id']}")
            assert removed.status_code == 204, name
        else:
            code = "forbidden" if added.status_code == 403 else "not_found"
            problem(added, added.status_code, code)
            problem(await who.http.delete(f"/api/v1{path}/{there['id']}"), added.status_code, code)
    assert (await doctor.get("/me/absences")).json() == [there]


async def test_an_absence_belongs_to_its_account(system: System, doctor: Clinician) -> None:
    there = ok(await doctor.post("/me/absences", days(1, 2)), 201)
    elsewhere = f"/api/v1/accounts/{system.requester.id}/absences/{there['id']}"
    problem(await system.administrator.http.delete(elsewhere), 404, "not_found")
    problem(await system.administrator.http.delete(f"/api/v1/me/absences/{there['id']}"), 404, "not_found")
    entered = ok(await system.administrator.post(f"/accounts/{doctor.id}/absences", days(5, 6)), 201)
    assert (await doctor.http.delete(f"/api/v1/me/absences/{entered['id']}")).status_code == 204


async def test_the_same_key_is_the_same_absence(system: System, doctor: Clinician) -> None:
    key, body = uuid4().hex, days(1, 2, note="Congé")
    answers = await asyncio.gather(*(doctor.post("/me/absences", body, key=key) for _ in range(8)))
    (first,) = {ok(answer, 201)["id"] for answer in answers}
    assert [row["id"] for row in (await doctor.get("/me/absences")).json()] == [first]
    for other in (days(1, 3, note="Congé"), days(1, 2), days(30, 31)):
        problem(await doctor.post("/me/absences", other, key=key), 422, "idempotency_key_reused")
    problem(await doctor.post("/me/absences", body), 409, "absence_overlaps")
    theirs = f"/accounts/{doctor.id}/absences"  # the keys of two people never meet
    problem(await system.administrator.post(theirs, body, key=key), 409, "absence_overlaps")
    ok(await system.administrator.post(theirs, days(30, 31), key=key), 201)


async def test_at_the_same_time_none_overlap(doctor: Clinician) -> None:
    answers = await asyncio.gather(*(doctor.post("/me/absences", days(n, n + 3)) for n in range(8)))
    assert {answer.status_code for answer in answers} == {201, 409}
    found = (await doctor.get("/me/absences")).json()
    assert all(one["ends_on"] < other["starts_on"] for one, other in pairwise(found))


# Where it shows


async def provider_view(who: Clinician, provider: Clinician, **params: Any) -> dict[str, Any]:
    (found,) = [p for p in (await who.get("/providers", params=params)).json() if p["id"] == provider.id]
    return dict(found)


async def test_the_load_of_a_provider(system: System, doctor: Clinician) -> None:
    nothing = {"waiting": 0, "in_progress": 0, "overdue": 0, "absent": None, "next_absence": None}
    view = await provider_view(system.dispatcher, doctor)
    assert {**view, **nothing, "id": doctor.id, "clinic": "Clinique du Fleuve"} == view
    waiting, taken, late = [await submitted(system) for _ in range(3)]
    for request_id in (waiting, taken, late):
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": doctor.id}))
    for request_id in (taken, late):
        ok(await doctor.post(f"/requests/{request_id}/accept"))
    ok(await system.operator.post(f"/requests/{late}/deadlines/report"))
    view = await provider_view(system.provider, doctor)
    assert (view["waiting"], view["in_progress"], view["overdue"]) == (1, 2, 1)
    ok(await doctor.post(f"/requests/{late}/return-to-dispatch", {"comment": "Trop tard."}))
    ok(await doctor.post(f"/requests/{taken}/transfer", {"provider_id": system.provider2.id}))
    view = await provider_view(system.provider, doctor)
    assert (view["waiting"], view["in_progress"], view["overdue"]) == (1, 0, 0)
    ok(await system.requester.post(f"/requests/{waiting}/cancel", {"reason": "Guérie."}))
    assert await provider_view(system.provider, doctor) == {**view, **nothing}


async def test_absences_of_a_provider(system: System, doctor: Clinician) -> None:
    async def shown() -> tuple[Any, Any]:
        view = await provider_view(system.dispatcher, doctor)
        return view["absent"], view["next_absence"]

    ok(await doctor.post("/me/absences", days(31, 40)), 201)
    assert await shown() == (None, None)  # too far ahead
    ok(await doctor.post("/me/absences", days(30, 30, note="Privé")), 201)
    assert await shown() == (None, days(30, 30))
    ok(await doctor.post("/me/absences", days(5, 7)), 201)
    ok(await doctor.post("/me/absences", days(-2, 3)), 201)
    assert await shown() == (days(-2, 3), days(5, 7))
    (first, *_) = (await doctor.get("/me/absences")).json()
    ok_to_remove = await doctor.http.delete(f"/api/v1/me/absences/{first['id']}")
    assert ok_to_remove.status_code == 204
    assert await shown() == (None, days(5, 7))


async def test_what_waits_in_a_pool(system: System) -> None:
    near, far = str(system.clinics["near"].id), str(system.clinics["far"].id)

    async def waiting(who: Clinician) -> dict[str, int | None]:
        return {clinic["id"]: clinic["pool_waiting"] for clinic in (await who.get("/clinics")).json()}

    before = (await waiting(system.dispatcher))[near]
    assert before is not None
    request_id = await pooled(system)
    for name in ("dispatcher", "provider", "administrator"):
        assert await waiting(system.people[name]) == {near: before + 1}, name
    of_all = await waiting(system.operator)
    assert (of_all[near], of_all[far]) == (before + 1, 0)
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    assert await waiting(system.dispatcher) == {near: before}


async def test_what_waits_in_a_pool_is_for_who_may_list_its_providers(system: System) -> None:
    """A clinic to which one's own routes shows to all, its providers and their load to the dispatchers."""
    async with system.services.database.session() as session:
        there = await people.add_clinic(session, code=f"there-{uuid4().hex[:8]}", name="Là-bas")
        here = await people.add_clinic(session, code=f"here-{uuid4().hex[:8]}", name="Ici", routes_to=[there.id])
    requester = await add_person(system, f"here_{uuid4().hex}", here, Role.REQUESTER)
    dispatcher = await add_person(system, f"here_{uuid4().hex}", here, Role.DISPATCHER)
    for who, expected in ((requester, None), (dispatcher, 0)):
        shown = {clinic["id"]: clinic["pool_waiting"] for clinic in (await who.get("/clinics")).json()}
        assert shown == {str(here.id): 0, str(there.id): expected}
    problem(await requester.get("/providers", params={"clinic": str(there.id)}), 404, "not_found")
    assert (await dispatcher.get("/providers", params={"clinic": str(there.id)})).json() == []


async def test_requests_that_sit_with_somebody_away(system: System, doctor: Clinician) -> None:
    held, pool, other = await submitted(system), await pooled(system), await assigned(system)
    ok(await system.dispatcher.post(f"/requests/{held}/assign", {"provider_id": doctor.id}))

    async def with_absent(**params: Any) -> dict[str, bool]:
        newest = {"sort": "created", "limit": 200, **params}
        rows = ok(await system.dispatcher.get("/requests", params=newest))["items"]
        return {row["id"]: row["holder_absent"] for row in rows if row["id"] in (held, pool, other)}

    assert await with_absent() == {held: False, pool: False, other: False}
    ok(await doctor.post("/me/absences", days(1, 9)), 201)
    assert await with_absent(holder_absent=True) == {}
    away = ok(await doctor.post("/me/absences", days(0, 0)), 201)
    assert await with_absent() == {held: True, pool: False, other: False}
    assert await with_absent(holder_absent=True) == {held: True}
    assert await with_absent(holder_absent=False) == {pool: False, other: False}
    page = ok(await system.dispatcher.get("/requests", params={"holder_absent": True}))
    assert {row["holder_absent"] for row in page["items"]} == {True}
    assert sum(page["counts"].values()) == len(page["items"])
    assert (await system.dispatcher.view(held))["holder_absent"]
    problem(await system.dispatcher.get("/requests", params={"holder_absent": "perhaps"}), 422, "invalid_input")
    assert (await doctor.http.delete(f"/api/v1/me/absences/{away['id']}")).status_code == 204
    assert not (await system.dispatcher.view(held))["holder_absent"]
