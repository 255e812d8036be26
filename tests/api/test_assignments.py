"""Several requests assigned at once: each is a command of its own, and answered for itself."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.answers import problem
from tests.api.test_absences import days
from tests.api.test_served_offerings import WOUNDS, nurse, say
from tests.journeys import accepted, ok, submitted
from tests.system import Clinician, System

__all__ = ["nurse"]


async def assign(who: Clinician, requests: list[Any], key: str | None = None, **to: Any) -> dict[str, tuple[str, Any]]:
    """What became of each request: its state and code."""
    answer = await who.post("/assignments", {"requests": requests, **to}, key=key)
    assert answer.status_code == 200, answer.text
    return {each["request_id"]: (each["state"], each["code"]) for each in answer.json()}


async def holder(system: System, request_id: str) -> tuple[str, str | None]:
    found = (await system.requester.view(request_id))["holder"]
    return found["kind"], (found["person"] or {}).get("id")


async def test_each_goes_where_it_can_and_says_why_not(system: System) -> None:
    first, second, taken = await submitted(system), await submitted(system), await accepted(system)
    unknown, stale = str(uuid4()), await submitted(system)
    seen = (await system.dispatcher.view(stale))["version"]
    ok(await system.requester.post(f"/requests/{stale}/add-information", {"text": "Elle saigne."}))
    requests = [{"id": first}, {"id": taken}, {"id": unknown}, {"id": second}, {"id": stale, "version": seen}]
    key = str(uuid4())
    came = await assign(system.dispatcher, requests, key, provider_id=system.provider2.id, comment="Merci.")
    assert came == {
        first: ("done", None),
        taken: ("refused", "not_allowed_in_status"),
        unknown: ("refused", "not_found"),
        second: ("done", None),
        stale: ("refused", "version_conflict"),
    }
    for request_id in (first, second):
        assert await holder(system, request_id) == ("provider", system.provider2.id)
        timeline = (await system.provider2.get(f"/requests/{request_id}/timeline")).json()
        assert timeline[-1]["details"]["comment"] == "Merci."
    assert await holder(system, stale) == ("dispatch", None)
    # sent twice: what was done is done, and what was given elsewhere meanwhile stays there
    ok(await system.dispatcher.post(f"/requests/{first}/assign", {"provider_id": system.provider.id}))
    again = await assign(system.dispatcher, requests, key, provider_id=system.provider2.id, comment="Merci.")
    assert again == came
    assert await holder(system, first) == ("provider", system.provider.id)
    other = {"requests": [{"id": second}], "provider_id": system.provider.id}
    problem(await system.dispatcher.post("/assignments", other, key=key), 422, "idempotency_key_reused")


async def test_a_pool_gets_several(system: System) -> None:
    ids = [await submitted(system) for _ in range(2)]
    came = await assign(system.dispatcher, [{"id": id_} for id_ in ids], clinic_id=str(system.clinics["near"].id))
    assert came == dict.fromkeys(ids, ("done", None))
    assert [await holder(system, id_) for id_ in ids] == [("pool", None)] * 2


async def test_who_gets_it_is_away_or_does_not_serve_it(system: System, nurse: Clinician) -> None:
    ok(await nurse.post("/me/absences", days(-1, 5)), 201)
    skin, wound = await submitted(system), await submitted(system, "wound_care")
    body = {"requests": [{"id": skin}, {"id": wound}], "provider_id": nurse.id}
    came = (await system.dispatcher.post("/assignments", body)).json()
    assert [each["holder_absence"] for each in came] == [days(-1, 5)] * 2
    assert [each["offering_not_served"] for each in came] == [True, False]


async def test_others_assign_nothing(system: System) -> None:
    request_id = await submitted(system)
    body = {"requests": [{"id": request_id}], "provider_id": system.provider.id}
    for name in ("requester", "provider", "administrator", "operator"):
        problem(await system.people[name].post("/assignments", body), 403, "forbidden")
    came = await assign(system.far_dispatcher, [{"id": request_id}], provider_id=system.people["far_provider"].id)
    assert came == {request_id: ("refused", "not_found")}
    assert await holder(system, request_id) == ("dispatch", None)


@pytest.mark.parametrize(
    "body",
    [
        {"requests": []},
        {"requests": [{"id": "x"}]},
        {"requests": [{"id": str(uuid4()), "version": "x"}]},
        {"requests": [{"id": str(uuid4())}] * 201},
        {"requests": [{"id": str(uuid4())}], "clinic_id": str(uuid4())},
        {"requests": [{"id": str(uuid4())}], "dispatch": True},
        {},
    ],
)
async def test_what_can_not_be_read(system: System, body: dict[str, Any]) -> None:
    problem(
        await system.dispatcher.post("/assignments", {"provider_id": system.provider.id, **body}), 422, "invalid_input"
    )
    problem(await system.dispatcher.post("/assignments", {"requests": [{"id": str(uuid4())}]}), 422, "invalid_input")


async def test_an_unknown_provider_is_refused_for_each(system: System) -> None:
    request_id = await submitted(system)
    came = await assign(system.dispatcher, [{"id": request_id}], provider_id=str(uuid4()))
    assert came == {request_id: ("refused", "unknown_provider")}
    ok(await say(system.administrator, system.provider2, WOUNDS))
    ok(await say(system.administrator, system.provider2, None))
