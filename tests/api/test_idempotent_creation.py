"""The same Idempotency-Key begins one request, however often and however fast it is sent."""

import asyncio
from typing import Any
from uuid import uuid4

from tests.api.answers import problem
from tests.journeys import PATIENT, draft, ok, upload
from tests.system import System, photo


async def counted(system: System) -> int:
    counts: dict[str, int] = ok(await system.requester.get("/requests"))["counts"]
    return sum(counts.values())


async def test_the_same_key_is_the_same_draft(system: System) -> None:
    key, before = uuid4().hex, await counted(system)
    body: dict[str, Any] = {"offering": "teledermatology", "patient": PATIENT, "answers": {"weight": 12.50}}
    first = ok(await system.requester.post("/requests", body, key=key), 201)
    assert ok(await system.requester.post("/requests", body, key=key), 201) == first
    assert await counted(system) == before + 1
    another = ok(await system.requester.post("/requests", body, key=uuid4().hex), 201)
    nobodys = ok(await system.requester.post("/requests", body), 201)
    assert len({first["number"], another["number"], nobodys["number"]}) == 3


async def test_at_the_same_time(system: System) -> None:
    key, before = uuid4().hex, await counted(system)
    body = {"offering": "teledermatology", "patient": PATIENT}
    answers = await asyncio.gather(*(system.requester.post("/requests", body, key=key) for _ in range(12)))
    assert len({ok(answer, 201)["id"] for answer in answers}) == 1
    assert await counted(system) == before + 1


async def test_for_something_else_the_key_is_refused(system: System) -> None:
    key = uuid4().hex
    body: dict[str, Any] = {"offering": "teledermatology", "patient": PATIENT}
    request_id = ok(await system.requester.post("/requests", body, key=key), 201)["id"]
    before = await counted(system)
    for other in (
        {"offering": "wound_care"},
        {"patient": {**PATIENT, "family_name": "Gagnon"}},
        {"answers": {"question": "Autre chose?"}},
        {"priority": "urgent"},
    ):
        problem(await system.requester.post("/requests", {**body, **other}, key=key), 422, "idempotency_key_reused")
    assert await counted(system) == before
    edited = ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))
    assert ok(await system.requester.post("/requests", body, key=key), 201) == edited  # as it stands by now


async def test_also_when_one_cannot_see_any_more_what_was_asked_for(system: System) -> None:
    key, body = uuid4().hex, {"offering": "teledermatology", "patient": PATIENT}
    request_id = ok(await system.requester.post("/requests", body, key=key), 201)["id"]
    edited = {"patient": {**PATIENT, "family_name": "Gagnon"}}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json=edited))
    problem(await system.requester.post("/requests", {**body, **edited}, key=key), 422, "idempotency_key_reused")
    in_another_order = dict(reversed(body.items()))
    assert ok(await system.requester.post("/requests", in_another_order, key=key), 201)["id"] == request_id


async def test_a_key_is_good_for_one_address(system: System) -> None:
    who, key = system.requester, uuid4().hex
    request_id, other = await draft(system), await draft(system)
    answer = {"text": "Depuis deux semaines.", "question_id": str(uuid4())}
    problem(await who.post(f"/requests/{request_id}/answer-information", answer, key=key), 409, "not_allowed_in_status")
    ok(await who.post(f"/requests/{request_id}/submit", key=key))
    for address in (f"/requests/{other}/submit", f"/requests/{request_id}/cancel"):
        problem(await who.post(address, {"reason": "Vue ailleurs."}, key=key), 422, "idempotency_key_reused")
    problem(await who.post("/requests", {"offering": "teledermatology"}, key=key), 422, "idempotency_key_reused")
    assert (await who.view(other))["status"] == "draft"
    assert ok(await who.post(f"/requests/{request_id}/submit", key=key))["state"] == "done"


async def test_what_failed_leaves_its_key_free(system: System) -> None:
    key, body = uuid4().hex, {"offering": "teledermatology"}
    problem(await system.requester.post("/requests", {**body, "offering": "nothing"}, key=key), 422, "unknown_offering")
    problem(await system.requester.post("/requests", {**body, "unknown": 1}, key=key), 422, "invalid_input")
    ok(await system.requester.post("/requests", body, key=key), 201)


async def test_two_peoples_keys_never_meet(system: System) -> None:
    key, body = uuid4().hex, {"offering": "teledermatology"}
    one = ok(await system.requester.post("/requests", body, key=key), 201)
    other = ok(await system.requester2.post("/requests", body, key=key), 201)
    assert one["id"] != other["id"]


async def test_numbers_follow_each_other(system: System) -> None:
    answers = await asyncio.gather(
        *(system.requester.post("/requests", {"offering": "teledermatology"}) for _ in range(12))
    )
    numbers = sorted(int(ok(answer, 201)["number"].split("-")[2]) for answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 12))


async def test_commands_at_the_same_time_act_once(system: System) -> None:
    """Twenty times the same submission, by the same key; then twenty more with keys of their own."""
    request_id = await draft(system)
    path, key = f"/requests/{request_id}/submit", uuid4().hex
    answers = await asyncio.gather(*(system.requester.post(path, key=key) for _ in range(20)))
    assert {(ok(answer)["status"], answer.json()["version"]) for answer in answers} == {("awaiting_dispatch", 1)}
    answers = await asyncio.gather(*(system.requester.post(path, key=uuid4().hex) for _ in range(20)))
    for answer in answers:
        problem(answer, 409, "not_allowed_in_status")
    timeline = (await system.requester.get(f"/requests/{request_id}/timeline")).json()
    assert [event["name"] for event in timeline] == ["submitted"]


async def test_the_same_upload_is_the_same_attachment(system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    path, key = f"/requests/{request_id}/attachments", uuid4().hex

    async def send(content: bytes) -> Any:
        return await system.requester.post(path, files={"file": ("photo.jpg", content, "image/jpeg")}, key=key)

    answers = await asyncio.gather(*(send(photo()) for _ in range(5)))
    (first,) = {ok(answer, 201)["id"] for answer in answers}
    assert ok(await send(photo()), 201)["id"] == first
    problem(await send(photo((9, 9))), 422, "idempotency_key_reused")
    ok(await upload(system.requester, request_id, photo()), 201)  # without a key it is another one
    assert len((await system.requester.get(path)).json()) == 2
