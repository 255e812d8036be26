"""Questions about a report: asked also when the request is closed, answered by who signed it, or for them while they are away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.notices import Importance, Recipient
from tests.api.answers import notices, problem
from tests.api.test_absences import days
from tests.journeys import closed, ok, reported
from tests.system import PASSWORD, Clinician, System

QUESTION, ANSWER = {"text": "Combien de fois par jour?"}, {"text": "Deux fois par jour."}


@asynccontextmanager
async def away(who: Clinician) -> AsyncIterator[None]:
    """They are away for as long as the block lasts."""
    absence = ok(await who.post("/me/absences", days(0, 3)), 201)
    try:
        yield
    finally:
        await who.http.delete(f"/api/v1/me/absences/{absence['id']}")


@pytest.mark.parametrize("begin", [reported, closed])
async def test_asked_and_answered_by_who_signed(system: System, begin: Callable[[System], Awaitable[str]]) -> None:
    request_id = await begin(system)
    before = await system.requester.view(request_id)
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", QUESTION))
    asked = await system.requester.view(request_id)
    assert (asked["status"], asked["holder"], asked["documents"]) == tuple(
        before[name] for name in ("status", "holder", "documents")
    )
    (question,) = asked["follow_ups"]
    assert (question["text"], question["state"], question["answer"]) == (QUESTION["text"], "open", None)
    assert "follow_up" in {deadline["name"] for deadline in asked["deadlines"]}
    problem(await system.requester.post(f"/requests/{request_id}/ask-follow-up", QUESTION), 409, "follow_up_open")

    told = await notices(system, request_id, "follow_up_asked")
    assert told.keys() == {system.provider.id, system.dispatcher.id}
    assert told[system.provider.id].importance is Importance.ACTION
    assert (await system.provider.view(request_id))["todo"] == "answer_follow_up"
    listed = (await system.provider.get("/requests?todo=true&limit=200&sort=created")).json()["items"]
    assert request_id in {line["id"] for line in listed}

    ok(await system.provider.post(f"/requests/{request_id}/answer-follow-up", ANSWER))
    (question,) = (await system.requester.view(request_id))["follow_ups"]
    assert (question["answer"], question["state"]) == (ANSWER["text"], "answered")
    assert question["answered_by"]["id"] == system.provider.id
    assert (await notices(system, request_id, "follow_up_answered")).keys() == {system.requester.id}
    after = await system.requester.view(request_id)
    assert (after["due_at"], after["deadlines"]) == (before["due_at"], before["deadlines"])
    assert (await system.provider.view(request_id))["todo"] is None


async def test_a_closed_request_lives_again_until_it_is_answered(system: System) -> None:
    """Its clock calls, and its workflow ends with the answer."""
    request_id = await closed(system)
    await system.workflow(request_id).result()
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", QUESTION))
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/follow_up"))
    view = await system.dispatcher.view(request_id)
    assert (view["status"], view["overdue"], view["overdue_deadline"]) == ("closed", True, "follow_up")
    told = await notices(system, request_id, "follow_up_overdue")
    assert told.keys() == {system.provider.id, system.dispatcher.id}
    ok(await system.provider.post(f"/requests/{request_id}/answer-follow-up", ANSWER))
    receipt = await system.workflow(request_id).result()
    assert receipt["status"] == "closed"
    view = await system.dispatcher.view(request_id)
    assert (view["overdue"], view["deadlines"], view["due_at"]) == (False, [], None)
    late = await system.operator.post(f"/requests/{request_id}/deadlines/follow_up")
    problem(late, 409, "not_allowed_in_status")


async def test_a_colleague_sees_it_and_answers_only_while_the_signer_is_away(system: System) -> None:
    request_id = await closed(system)
    path = f"/requests/{request_id}"
    colleague, stranger = system.people["provider2"], system.people["far_provider"]
    ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
    problem(await colleague.get(path), 404, "not_found")

    async with away(system.provider):
        view = await colleague.view(request_id)
        assert (view["access"], view["todo"], view["allowed_commands"]) == (
            "chart",
            "answer_follow_up",
            ["answer_follow_up"],
        )
        listed = (await colleague.get("/requests?todo=true&limit=200&sort=created")).json()["items"]
        assert request_id in {line["id"] for line in listed}
        problem(await stranger.get(path), 404, "not_found")
        problem(await stranger.post(f"{path}/answer-follow-up", ANSWER), 404, "not_found")
        ok(await system.operator.post(f"{path}/deadlines/follow_up"))
        told = await notices(system, request_id, "follow_up_overdue")
        assert (told[colleague.id].recipient, told[colleague.id].importance) == (
            Recipient.SIGNER_COVER,
            Importance.ACTION,
        )
        assert stranger.id not in told
    problem(await colleague.post(f"{path}/answer-follow-up", ANSWER), 404, "not_found")

    async with away(system.provider):
        ok(await colleague.post(f"{path}/answer-follow-up", ANSWER))
    (question,) = (await system.requester.view(request_id))["follow_ups"]
    assert question["answered_by"]["id"] == colleague.id
    told = await notices(system, request_id, "follow_up_answered")
    assert (told[system.provider.id].recipient, told[system.provider.id].importance) == (
        Recipient.SIGNER,
        Importance.INFORMATION,
    )
    assert (await colleague.view(request_id))["access"] == "chart"  # they had a part in it

    ok(await system.requester.post(f"{path}/ask-follow-up", {"text": "Et pendant combien de jours?"}))
    assert "answer_follow_up" not in (await colleague.view(request_id))["allowed_commands"]
    problem(await colleague.post(f"{path}/answer-follow-up", ANSWER), 409, "signer_is_there")


async def test_colleagues_are_told_when_it_is_asked_while_the_signer_is_away(system: System) -> None:
    request_id = await reported(system)
    async with away(system.provider):
        ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", QUESTION))
    told = await notices(system, request_id, "follow_up_asked")
    assert {system.provider.id, system.people["provider2"].id, system.dispatcher.id} <= told.keys()
    assert told[system.provider.id].recipient is Recipient.SIGNER
    assert told[system.people["provider2"].id].recipient is Recipient.SIGNER_COVER


@pytest.mark.parametrize("begin", [reported, closed])
async def test_an_addendum_answers(system: System, begin: Callable[[System], Awaitable[str]]) -> None:
    request_id = await begin(system)
    path = f"/requests/{request_id}"
    ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
    (question,) = (await system.provider.view(request_id))["follow_ups"]
    body: dict[str, Any] = {"text": "Deux fois par jour, dix jours.", "password": PASSWORD}
    ok(await system.provider.post(f"{path}/report/addenda", body))
    assert (await system.provider.view(request_id))["follow_ups"][0]["state"] == "open"
    receipt = ok(await system.provider.post(f"{path}/report/addenda", {**body, "follow_up_id": question["id"]}))
    (question,) = (await system.requester.view(request_id))["follow_ups"]
    assert (question["state"], question["answer"], question["report_id"]) == (
        "answered",
        None,
        receipt["document"]["report_id"],
    )
    again = await system.provider.post(f"{path}/report/addenda", {**body, "follow_up_id": question["id"]})
    problem(again, 409, "no_open_follow_up")


async def test_two_questions_and_no_more(system: System) -> None:
    request_id = await reported(system)
    path = f"/requests/{request_id}"
    for _ in range(2):
        ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
        ok(await system.provider.post(f"{path}/answer-follow-up", ANSWER))
    assert "ask_follow_up" not in (await system.requester.view(request_id))["allowed_commands"]
    problem(await system.requester.post(f"{path}/ask-follow-up", QUESTION), 409, "too_many_follow_ups")


@pytest.mark.parametrize("begin", [reported, closed])
async def test_who_asked_takes_it_back_and_it_does_not_count(
    system: System, begin: Callable[[System], Awaitable[str]]
) -> None:
    request_id = await begin(system)
    path = f"/requests/{request_id}"
    before = await system.requester.view(request_id)
    for _ in range(3):
        ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
        for name, status in (("provider", 403), ("dispatcher", 403), ("requester2", 404)):
            answer = await system.people[name].post(f"{path}/withdraw-follow-up")
            problem(answer, status, "not_found" if status == 404 else "role_not_allowed")
        receipt = ok(await system.requester.post(f"{path}/withdraw-follow-up"))
        assert "ask_follow_up" in receipt["allowed_commands"]
    after = await system.requester.view(request_id)
    assert [asked["state"] for asked in after["follow_ups"]] == ["withdrawn"] * 3
    assert (after["status"], after["deadlines"], after["due_at"]) == tuple(
        before[name] for name in ("status", "deadlines", "due_at")
    )
    told = await notices(system, request_id, "follow_up_withdrawn")
    assert told.keys() == {system.provider.id, system.dispatcher.id}
    assert {notice.importance for notice in told.values()} == {Importance.INFORMATION}
    problem(await system.provider.post(f"{path}/answer-follow-up", ANSWER), 409, "no_open_follow_up")
    problem(await system.requester.post(f"{path}/withdraw-follow-up"), 409, "no_open_follow_up")
    assert (await system.provider.view(request_id))["todo"] is None
    if before["status"] == "closed":
        assert (await system.workflow(request_id).result())["status"] == "closed"


async def test_what_is_answered_stays_and_another_question_is_not_taken_for_it(system: System) -> None:
    request_id = await reported(system)
    path = f"/requests/{request_id}"
    ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
    ok(await system.provider.post(f"{path}/answer-follow-up", ANSWER))
    ok(await system.requester.post(f"{path}/ask-follow-up", QUESTION))
    first, second = (await system.requester.view(request_id))["follow_ups"]
    answer = await system.requester.post(f"{path}/withdraw-follow-up", {"follow_up_id": first["id"]})
    problem(answer, 409, "no_open_follow_up")
    ok(await system.requester.post(f"{path}/withdraw-follow-up", {"follow_up_id": second["id"]}))
    view = await system.requester.view(request_id)
    assert [asked["state"] for asked in view["follow_ups"]] == ["answered", "withdrawn"]
    assert "ask_follow_up" in view["allowed_commands"]
