"""Which offerings a provider serves: who says so, who comes first where somebody is chosen, and what warns of the others."""

from typing import Any
from uuid import uuid4

import pytest

from domain.requests import Role
from records.models import Clinic
from tests.api.answers import problem
from tests.journeys import accepted, ok, submitted
from tests.system import Clinician, System, add_person

DERMATOLOGY, WOUNDS = ["teledermatology"], ["wound_care"]
REASON = {"reason": "La docteure est en congé de maladie."}


@pytest.fixture
async def nurse(system: System) -> Clinician:
    """A provider of the near clinic who serves wound care only."""
    person = await add_person(system, f"nurse_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)
    ok(await say(system.administrator, person, WOUNDS))
    return person


async def say(who: Clinician, provider: Clinician, offerings: Any) -> Any:
    return await who.http.put(f"/api/v1/accounts/{provider.id}/offerings", json={"offerings": offerings})


async def served(who: Clinician, provider: Clinician) -> Any:
    return ok(await who.get(f"/accounts/{provider.id}/offerings"))["offerings"]


async def test_of_whom_nothing_is_said_serves_all(system: System, nurse: Clinician) -> None:
    assert await served(system.dispatcher, system.provider) is None
    assert await served(nurse, nurse) == WOUNDS
    assert ok(await say(system.administrator, nurse, ["wound_care", *DERMATOLOGY, "wound_care"])) == {
        "offerings": [*DERMATOLOGY, *WOUNDS]
    }
    ok(await say(system.administrator, nurse, None))
    assert await served(system.dispatcher, nurse) is None
    request_id = await submitted(system)
    receipt = ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": nurse.id}))
    assert receipt["offering_not_served"] is False


async def test_who_serves_the_offering_comes_first(system: System, nurse: Clinician) -> None:
    async def order(offering: str) -> list[str]:
        listed = (await system.dispatcher.get("/providers", params={"offering": offering})).json()
        return [person["id"] for person in listed]

    dermatologist = await add_person(system, f"skin_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)
    ok(await say(system.administrator, dermatologist, DERMATOLOGY))
    assert (await order("teledermatology"))[-1] == nurse.id
    assert (await order("wound_care"))[-1] == dermatologist.id
    listed = {person["id"]: person["offerings"] for person in (await system.dispatcher.get("/providers")).json()}
    assert (listed[nurse.id], listed[dermatologist.id], listed[system.provider.id]) == (WOUNDS, DERMATOLOGY, None)


async def test_the_answer_says_that_who_gets_it_does_not_serve_it(system: System, nurse: Clinician) -> None:
    request_id = await submitted(system)
    for command, to, expected in (
        ("assign", {"provider_id": nurse.id}, True),
        ("assign", {"provider_id": system.provider.id}, False),
        ("reassign", {"provider_id": nurse.id, **REASON}, True),
        ("reassign", {"clinic_id": str(system.clinics["near"].id), **REASON}, False),
        ("reassign", {"dispatch": True, **REASON}, False),
    ):
        receipt = ok(await system.dispatcher.post(f"/requests/{request_id}/{command}", to))
        assert receipt["offering_not_served"] is expected, (command, to)
    mine = await accepted(system)
    key, path, to = str(uuid4()), f"/requests/{mine}/transfer", {"provider_id": nurse.id}
    assert ok(await system.provider.post(path, to, key=key))["offering_not_served"] is True
    assert ok(await system.provider.post(path, to, key=key))["offering_not_served"] is True


async def test_a_pool_in_which_nobody_serves_it(system: System) -> None:
    near, far = system.clinics["near"], system.clinics["far"]
    alone = await add_person(system, f"alone_{uuid4().hex}", far, Role.CLINIC_ADMINISTRATOR, Role.PROVIDER)
    providers = [system.people["far_provider"], alone]
    for person in providers:
        ok(await say(alone, person, WOUNDS))
    async with system.services.database.session() as session:
        (await session.get_one(Clinic, near.id)).routes_to = [far.id]
    try:
        request_id = await submitted(system)
        path, to = f"/requests/{request_id}/assign", {"clinic_id": str(far.id)}
        assert ok(await system.dispatcher.post(path, to))["offering_not_served"] is True
        problem(await say(system.administrator, alone, DERMATOLOGY), 404, "not_found")
    finally:
        async with system.services.database.session() as session:
            (await session.get_one(Clinic, near.id)).routes_to = []
        for person in providers:
            ok(await say(alone, person, None))


async def test_who_may_say_it(system: System, nurse: Clinician) -> None:
    """By name: 404 for who may not know, 403 for who may only look."""
    for name, status in (
        ("administrator", 200),
        ("dispatcher", 403),
        ("provider", 403),
        ("requester", 403),
        ("operator", 403),
        ("far_dispatcher", 404),
        ("far_provider", 404),
    ):
        answer = await say(system.people[name], nurse, DERMATOLOGY)
        assert answer.status_code == status, (name, answer.text)
    problem(await say(nurse, nurse, DERMATOLOGY), 403, "forbidden")
    problem(await say(system.administrator, system.requester, DERMATOLOGY), 404, "not_found")
    problem(await say(system.administrator, system.people["far_provider"], DERMATOLOGY), 404, "not_found")


@pytest.mark.parametrize(
    ("offerings", "code"),
    [
        ([], "invalid_input"),
        ("wound_care", "invalid_input"),
        (["Wound Care"], "invalid_input"),
        ([None], "invalid_input"),
        (["telepathy"], "unknown_offering"),
    ],
)
async def test_what_can_not_be_said(system: System, nurse: Clinician, offerings: Any, code: str) -> None:
    problem(await say(system.administrator, nurse, offerings), 422, code)
    answer = await system.administrator.http.put(f"/api/v1/accounts/{nurse.id}/offerings", json={})
    problem(answer, 422, "invalid_input")
    assert await served(system.administrator, nurse) == WOUNDS
