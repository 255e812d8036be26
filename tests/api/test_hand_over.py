"""A request that is with somebody who is away, ill or gone: who may take it from them, one or all, and where it goes."""

from typing import Any
from uuid import uuid4

import pytest

from domain.requests import Role
from records import people
from tests.api.answers import notices, picture, problem
from tests.api.test_absences import days
from tests.journeys import accepted, assigned, filled, ok, pooled, returned, signed, submitted, written
from tests.system import Clinician, System, add_person

REASON = {"reason": "La docteure est en congé de maladie."}


@pytest.fixture
async def gone(system: System) -> Clinician:
    """A provider of the near clinic with whom work gets stuck."""
    return await add_person(system, f"gone_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)


async def held_by(system: System, person: Clinician, *, is_accepted: bool = True) -> str:
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": person.id}))
    if is_accepted:
        ok(await person.post(f"/requests/{request_id}/accept"))
    return request_id


async def holder(system: System, request_id: str) -> tuple[str, str, str | None]:
    view = await system.requester.view(request_id)
    return view["status"], view["holder"]["kind"], (view["holder"]["person"] or {}).get("id")


async def clocks(system: System, request_id: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in (await system.dispatcher.view(request_id))["deadlines"]}


@pytest.mark.parametrize("who", ["dispatcher", "administrator"])
@pytest.mark.parametrize("is_accepted", [True, False])
async def test_it_goes_to_a_colleague_a_pool_or_dispatch(
    system: System, gone: Clinician, who: str, is_accepted: bool
) -> None:
    speaker, near = system.people[who], str(system.clinics["near"].id)
    for to, expected in (
        ({"provider_id": system.provider2.id}, ("awaiting_acceptance", "provider", system.provider2.id)),
        ({"clinic_id": near}, ("awaiting_acceptance", "pool", None)),
        ({"dispatch": True}, ("awaiting_dispatch", "dispatch", None)),
    ):
        request_id = await held_by(system, gone, is_accepted=is_accepted)
        receipt = ok(await speaker.post(f"/requests/{request_id}/reassign", {**to, **REASON}))
        assert receipt["status"] == expected[0]
        assert await holder(system, request_id) == expected
        last = (await system.dispatcher.get(f"/requests/{request_id}/timeline")).json()[-1]
        assert (last["name"], last["by"]["id"], last["details"]["reason"]) == (
            "reassigned",
            speaker.id,
            REASON["reason"],
        )


async def test_the_draft_the_question_and_the_promised_clock_go_along(system: System, gone: Clinician) -> None:
    request_id = await held_by(system, gone)
    answers = filled(system.services.offerings["teledermatology"].report)
    ok(await gone.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))
    promised = (await clocks(system, request_id))["report"]
    ok(await gone.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", {"provider_id": system.provider2.id, **REASON}))
    after = await clocks(system, request_id)
    assert set(after) == {"acceptance", "report", "information"}
    assert after["report"]["started_at"] == promised["started_at"]
    assert after["report"]["stopped"]
    view = await system.provider2.view(request_id)
    assert [question["state"] for question in view["questions"]] == ["open"]
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", {"text": "Depuis mai."}))
    ok(await system.provider2.post(f"/requests/{request_id}/accept"))
    report = (await clocks(system, request_id))["report"]
    assert (report["started_at"], report["stopped"]) == (promised["started_at"], False)
    draft = (await system.provider2.get(f"/requests/{request_id}/report")).json()
    assert draft["answers"] == answers
    problem(await gone.get(f"/requests/{request_id}/report"), 403, "not_the_holder")


async def test_who_had_it_can_do_nothing_more_and_who_has_it_can(system: System, gone: Clinician) -> None:
    request_id = await held_by(system, gone)
    ok(
        await system.administrator.post(
            f"/requests/{request_id}/reassign", {"provider_id": system.provider.id, **REASON}
        )
    )
    problem(await gone.post(f"/requests/{request_id}/return-to-dispatch", {"comment": "Non."}), 403, "not_the_holder")
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    await written(system, request_id)
    await signed(system, request_id)
    assert (await system.requester.view(request_id))["status"] == "reported"


async def test_everybody_concerned_is_told(system: System, gone: Clinician) -> None:
    request_id = await held_by(system, gone)
    ok(
        await system.administrator.post(
            f"/requests/{request_id}/reassign", {"provider_id": system.provider2.id, **REASON}
        )
    )
    told = (await notices(system, request_id, "reassigned")).keys()
    assert told == {gone.id, system.provider2.id, system.requester.id, system.dispatcher.id}


async def test_who_may_not(system: System, gone: Clinician) -> None:
    """Nobody but the dispatchers of the request and the administrators of the holder's clinic, and these only inside it."""
    request_id = await held_by(system, gone)
    before = await picture(system.requester, request_id)
    body = {"provider_id": system.provider2.id, **REASON}
    for name, status, code in (
        ("requester", 403, "role_not_allowed"),
        ("operator", 403, "role_not_allowed"),
        ("provider2", 404, "not_found"),
        ("far_dispatcher", 404, "not_found"),
        ("far_provider", 404, "not_found"),
    ):
        problem(await system.people[name].post(f"/requests/{request_id}/reassign", body), status, code)
    problem(await gone.post(f"/requests/{request_id}/reassign", body), 403, "role_not_allowed")
    outside = {"provider_id": system.people["far_provider"].id, **REASON}
    problem(await system.administrator.post(f"/requests/{request_id}/reassign", outside), 422, "not_a_colleague")
    problem(await system.dispatcher.post(f"/requests/{request_id}/reassign", outside), 422, "clinic_not_routed")
    same = {"provider_id": gone.id, **REASON}
    problem(await system.dispatcher.post(f"/requests/{request_id}/reassign", same), 409, "already_assigned")
    assert await picture(system.requester, request_id) == before


@pytest.mark.parametrize(
    "body",
    [
        REASON,
        {"dispatch": False, **REASON},
        {"dispatch": True, "clinic_id": str(uuid4()), **REASON},
        {"dispatch": True},
        {"dispatch": True, "reason": "   "},
    ],
)
async def test_one_place_and_a_reason(system: System, gone: Clinician, body: dict[str, Any]) -> None:
    request_id = await held_by(system, gone)
    problem(await system.dispatcher.post(f"/requests/{request_id}/reassign", body), 422, "invalid_input")


# Everything that somebody holds


async def test_all_that_somebody_holds_at_once(system: System, gone: Clinician) -> None:
    ids = [await held_by(system, gone, is_accepted=number % 2 == 0) for number in range(3)]
    other = await accepted(system)
    listed = (await system.dispatcher.get(f"/requests?holder={gone.id}")).json()["items"]
    assert {row["id"] for row in listed} == set(ids)
    body = {"request_ids": [*ids, other], "clinic_id": str(system.clinics["near"].id), **REASON}
    key = str(uuid4())
    answer = await system.administrator.post(f"/accounts/{gone.id}/hand-over", body, key=key)
    came = {each["request_id"]: (each["state"], each["code"]) for each in answer.json()}
    assert came == {**dict.fromkeys(ids, ("done", None)), other: ("refused", "version_conflict")}
    for request_id in ids:
        assert await holder(system, request_id) == ("awaiting_acceptance", "pool", None)
    assert await holder(system, other) == ("accepted", "provider", system.provider.id)
    assert (await system.dispatcher.get(f"/requests?holder={gone.id}")).json()["items"] == []
    # sent twice: what was done is done, and what a colleague has taken meanwhile stays theirs
    ok(await system.provider2.post(f"/requests/{ids[0]}/accept"))
    again = await system.administrator.post(f"/accounts/{gone.id}/hand-over", body, key=key)
    assert {each["request_id"]: (each["state"], each["code"]) for each in again.json()} == came
    assert await holder(system, ids[0]) == ("accepted", "provider", system.provider2.id)


async def test_one_hands_over_what_one_holds_oneself(system: System, gone: Clinician) -> None:
    first, second = await held_by(system, gone), await held_by(system, gone)
    to_colleague = {"request_ids": [first], "provider_id": system.provider2.id, **REASON}
    to_dispatch = {"request_ids": [second], "dispatch": True, **REASON}
    for body in (to_colleague, to_dispatch):
        [came] = (await gone.post(f"/accounts/{gone.id}/hand-over", body)).json()
        assert came["state"] == "done", came
    assert await holder(system, first) == ("awaiting_acceptance", "provider", system.provider2.id)
    assert await holder(system, second) == ("awaiting_dispatch", "dispatch", None)


async def test_what_somebody_left_behind_who_has_left(system: System, gone: Clinician) -> None:
    request_id = await held_by(system, gone)
    async with system.services.database.session() as session:
        account = await people.load_account(session, gone.account.id)
        assert account is not None
        account.active = False
    [row] = (await system.dispatcher.get(f"/requests?holder={gone.id}&holder_absent=true")).json()["items"]
    assert (row["id"], row["holder_absent"]) == (request_id, True)
    body = {"request_ids": [request_id], "provider_id": system.provider2.id, **REASON}
    [came] = (await system.administrator.post(f"/accounts/{gone.id}/hand-over", body)).json()
    assert came["state"] == "done"
    assert await holder(system, request_id) == ("awaiting_acceptance", "provider", system.provider2.id)


async def test_others_hand_over_nothing(system: System, gone: Clinician) -> None:
    request_id = await held_by(system, gone)
    before = await picture(system.requester, request_id)
    body = {"request_ids": [request_id], "dispatch": True, **REASON}
    for name in ("requester", "provider2", "operator", "far_provider", "far_requester"):
        problem(await system.people[name].post(f"/accounts/{gone.id}/hand-over", body), 403, "forbidden")
    [came] = (await system.people["far_dispatcher"].post(f"/accounts/{gone.id}/hand-over", body)).json()
    assert (came["state"], came["code"]) == ("refused", "not_found")
    assert await picture(system.requester, request_id) == before


# Who is away is named before, and nothing is sent to them by itself


async def test_the_answer_says_that_who_gets_it_is_away(system: System, gone: Clinician) -> None:
    ok(await gone.post("/me/absences", days(-1, 5)), 201)
    request_id = await submitted(system)
    path, body = f"/requests/{request_id}/assign", {"provider_id": gone.id}
    assert ok(await system.dispatcher.post(path, body))["holder_absence"] == days(-1, 5)
    body = {"provider_id": system.provider2.id, **REASON}
    assert ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", body))["holder_absence"] is None
    body = {"provider_id": gone.id, **REASON}
    assert ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", body))["holder_absence"] == days(-1, 5)
    mine = await accepted(system)
    transferred = ok(await system.provider.post(f"/requests/{mine}/transfer", {"provider_id": gone.id}))
    assert transferred["holder_absence"] == days(-1, 5)


@pytest.mark.parametrize("why", ["absent", "left"])
async def test_what_comes_back_to_somebody_who_is_away_goes_to_dispatch(
    system: System, gone: Clinician, why: str
) -> None:
    request_id = await held_by(system, gone, is_accepted=False)
    body = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await gone.post(f"/requests/{request_id}/return-to-requester", body))
    assert (await system.requester.view(request_id))["return_notice"]["provider_away"] is False
    if why == "absent":
        ok(await gone.post("/me/absences", days(0, 5)), 201)
    else:
        async with system.services.database.session() as session:
            account = await people.load_account(session, gone.account.id)
            assert account is not None
            account.active = False
    assert (await system.requester.view(request_id))["return_notice"]["provider_away"] is True
    receipt = ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    assert (receipt["status"], receipt["holder_absence"]) == ("awaiting_dispatch", None)
    assert await holder(system, request_id) == ("awaiting_dispatch", "dispatch", None)


async def test_what_comes_back_to_somebody_who_is_there_goes_to_them(system: System) -> None:
    request_id = await returned(system)
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    assert await holder(system, request_id) == ("awaiting_acceptance", "provider", system.provider.id)


async def test_the_pool_of_somebody_else_is_no_way_round(system: System) -> None:
    """What nobody holds in person is assigned, and handed on by the administrator of the pool's clinic as well."""
    request_id = await pooled(system)
    body = {"provider_id": system.provider2.id, **REASON}
    ok(await system.administrator.post(f"/requests/{request_id}/reassign", body))
    assert await holder(system, request_id) == ("awaiting_acceptance", "provider", system.provider2.id)
    waiting = await assigned(system)
    problem(await system.people["far_dispatcher"].post(f"/requests/{waiting}/reassign", body), 404, "not_found")


async def test_an_administrator_who_hands_to_dispatch_elsewhere_is_answered_the_same_twice(system: System) -> None:
    """Afterwards they see nothing more of it; the answer of the first time is theirs all the same."""
    request_id = await routed_far(system)
    person = await add_person(system, f"far_{uuid4().hex}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    path, body, key = f"/requests/{request_id}/reassign", {"dispatch": True, **REASON}, str(uuid4())
    receipt = ok(await person.post(path, body, key=key))
    problem(await person.get(f"/requests/{request_id}"), 404, "not_found")
    again = ok(await person.post(path, body, key=key))
    assert (again["command_id"], again["status"]) == (receipt["command_id"], "awaiting_dispatch")
    problem(await person.post(path, body), 404, "not_found")


async def routed_far(system: System, *, is_accepted: bool = True, **more: Any) -> str:
    """A request that the near clinic dispatches and a provider of the far clinic has, and has accepted."""
    near, far = system.clinics["near"], system.clinics["far"]
    async with system.services.database.session() as session:
        dispatching = await people.load_clinic(session, near.id)
        assert dispatching is not None
        dispatching.routes_to = [*dispatching.routes_to, far.id]
    request_id = await submitted(system, **more)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.far_provider.id}))
    if is_accepted:
        ok(await system.far_provider.post(f"/requests/{request_id}/accept"))
    async with system.services.database.session() as session:
        dispatching = await people.load_clinic(session, near.id)
        assert dispatching is not None
        dispatching.routes_to = [id_ for id_ in dispatching.routes_to if id_ != far.id]
    return request_id
