"""Photos stand in the order in which they were sent, or were put since, each under its caption; the same photo counts once."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from server import create_app
from tests.api.answers import problem
from tests.api.test_uploads import announce, send
from tests.clips import encoded, opened
from tests.journeys import PATIENT, assigned, draft, filled, ok, returned, signed, upload, written
from tests.portal.browsing import shown, visitor
from tests.system import System, photo


def stands(view: dict[str, Any]) -> list[str]:
    return [str(a["id"]) for a in view["attachments"]]


async def put_in_order(system: System, request_id: str, *ids: str, who: str = "requester") -> Any:
    return await system.people[who].http.put(
        f"/api/v1/requests/{request_id}/attachments/order", json={"ids": list(ids)}
    )


async def change(system: System, request_id: str, id_: str, **what: object) -> Any:
    return await system.requester.http.patch(f"/api/v1/requests/{request_id}/attachments/{id_}", json=what)


async def empty_draft(system: System) -> str:
    rules = system.services.offerings["teledermatology"]
    body = {"offering": "teledermatology", "patient": PATIENT, "answers": filled(rules.form)}
    return str(ok(await system.requester.post("/requests", body), 201)["id"])


async def test_photos_stand_in_the_order_in_which_their_uploads_began(system: System) -> None:
    """Whatever their ids are (those of a key are hashes), and whichever of them is whole first."""
    request_id = await empty_draft(system)
    who = system.requester
    pictures = [photo((200 + n, 100)) for n in range(6)]
    places = [(await announce(who, request_id, len(content))).headers["location"] for content in pictures[:3]]
    path = f"/requests/{request_id}/attachments"
    for content in pictures[3:]:
        ok(await who.post(path, files={"file": ("a.jpg", content, "image/jpeg")}, key=str(uuid4())), 201)
    for place, content in list(zip(places, pictures, strict=False))[::-1]:
        assert (await send(who, place, 0, content)).status_code == 204
    expected = list(range(200, 206))
    assert [a["width"] for a in (await who.view(request_id))["attachments"]] == expected
    assert [a["width"] for a in (await who.get(path)).json()] == expected


async def test_photos_are_put_in_order(system: System) -> None:
    request_id = await draft(system)
    one, two, three = stands(await system.requester.view(request_id))
    answer = await put_in_order(system, request_id, three, one, two)
    assert [a["id"] for a in answer.json()] == [three, one, two]
    ok(await put_in_order(system, request_id, two, three))  # the places of those that are named
    assert stands(await system.requester.view(request_id)) == [two, one, three]
    added = ok(await upload(system.requester, request_id, photo((400, 300))), 201)["id"]
    assert stands(await system.requester.view(request_id)) == [two, one, three, added]

    problem(await put_in_order(system, request_id, one, str(uuid4())), 422, "unknown_attachment")
    for ids in ([one, one], ["x"]):
        problem(await put_in_order(system, request_id, *ids), 422, "invalid_input")
    problem(await put_in_order(system, request_id, one, two, who="requester2"), 404, "not_found")
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    problem(await put_in_order(system, request_id, one, two), 409, "not_editable")
    assert stands(await system.dispatcher.view(request_id)) == [two, one, three, added]


async def test_two_who_put_in_order_at_once_lose_no_photo(system: System) -> None:
    request_id = await draft(system)
    ids = stands(await system.requester.view(request_id))
    orders = (ids[::-1], [ids[1], ids[2], ids[0]], ids)
    for answer in await asyncio.gather(*(put_in_order(system, request_id, *order) for order in orders)):
        ok(answer)
    assert sorted(stands(await system.requester.view(request_id))) == sorted(ids)


async def test_a_caption(system: System) -> None:
    request_id = await draft(system)
    one, two, *_ = stands(await system.requester.view(request_id))
    said = ok(await change(system, request_id, one, caption="  Avant-bras gauche\u00a0: vue d’ensemble "))
    assert (said["caption"], said["slot"]) == ("Avant-bras gauche\u00a0: vue d’ensemble", "photos")
    with_caption = {"file": ("a.jpg", photo((410, 300)), "image/jpeg")}
    path = f"/requests/{request_id}/attachments"
    added = ok(await system.requester.post(path, files=with_caption, data={"caption": "Dos"}), 201)
    assert added["caption"] == "Dos"
    for wrong in ("x" * 201, "deux\nlignes", "\u202eenvers", "\0", 5):
        answer = problem(await change(system, request_id, two, caption=wrong), 422, "invalid_input")
        assert answer["errors"][0]["field"] == "caption"
    problem(await system.requester.post(path, files=with_caption, data={"caption": "a\nb"}), 422, "invalid_input")
    assert ok(await change(system, request_id, one, caption=""))["caption"] == ""
    problem(await change(system, request_id, str(uuid4()), caption="Dos"), 404, "not_found")


async def test_what_was_submitted_keeps_its_order_and_captions(system: System) -> None:
    request_id = await draft(system)
    first = stands(await system.requester.view(request_id))
    ok(await change(system, request_id, first[0], caption="Bras", view="overview"))
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    told = {"reason": "incomplete_submission", "text": "Plus près."}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", told))

    ok(await put_in_order(system, request_id, *first[::-1]))
    said = ok(await change(system, request_id, first[0], caption="Bras droit"))
    assert said["view"] == "overview"
    ok(await change(system, request_id, first[0], view="close_up"))
    problem(await change(system, request_id, first[0], view="near"), 422, "invalid_input")
    mine, theirs = [await who.view(request_id) for who in (system.requester, system.provider)]
    assert (stands(mine), mine["attachments"][-1]["caption"]) == (first[::-1], "Bras droit")
    assert (stands(theirs), theirs["attachments"][0]["caption"]) == (first, "Bras")
    assert (mine["attachments"][-1]["view"], theirs["attachments"][0]["view"]) == ("close_up", "overview")
    listed = (await system.provider.get(f"/requests/{request_id}/attachments")).json()
    assert [(a["id"], a["caption"]) for a in listed] == [(a["id"], a["caption"]) for a in theirs["attachments"]]

    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    after = await system.provider.view(request_id)
    assert (stands(after), after["attachments"][-1]["caption"]) == (first[::-1], "Bras droit")
    assert after["form_changes"] == [
        {"part": "captions", "field": first[0], "before": "Bras", "after": "Bras droit"},
        {"part": "views", "field": first[0], "before": "overview", "after": "close_up"},
        {"part": "order", "field": "attachments", "before": first, "after": first[::-1]},
    ]
    one, two = [ok(await system.provider.get(f"/requests/{request_id}/forms/{n}")) for n in (1, 2)]
    assert (stands(one), one["attachments"][0]["caption"]) == (first, "Bras")
    assert stands(two) == first[::-1]
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    await written(system, request_id)
    await signed(system, request_id)
    [document] = (await system.provider.view(request_id))["documents"]
    content = ok(await system.provider.get(f"/requests/{request_id}/reports/{document['report_id']}/content"))
    assert [image["id"] for image in content["images"]] == first[::-1]
    assert content["images"][-1]["slot"] == "Photos – Vue rapprochée – Bras droit"


async def test_what_is_said_of_photos_that_go_with_an_answer_stays_as_it_was_sent(system: System) -> None:
    request_id = await assigned(system)
    path = f"/requests/{request_id}"
    ok(await system.provider.post(f"{path}/request-information", {"text": "De plus près?"}))
    three = [ok(await upload(system.requester, request_id, photo((400 + n, 300))), 201)["id"] for n in range(3)]
    near, plain, later = three
    told = {
        "text": "Voici.",
        "attachment_ids": [near, plain],
        "described": {near: {"caption": " Dos ", "view": "close_up"}},
    }
    for wrong in ({"caption": "a\nb"}, {"view": "far"}, {"colour": "red"}, "Dos"):
        answer = await system.requester.post(f"{path}/answer-information", {**told, "described": {near: wrong}})
        problem(answer, 422, "invalid_input")
    for unknown in (later, str(uuid4())):  # which does not go along
        answer = await system.requester.post(f"{path}/answer-information", {**told, "described": {unknown: {}}})
        problem(answer, 422, "unknown_attachment")
    for _ in range(2):
        ok(await system.requester.post(f"{path}/answer-information", told, key="the-answer"))
    added = {"text": "Encore une.", "attachment_ids": [later], "described": {later: {"view": "overview"}}}
    ok(await system.requester.post(f"{path}/add-information", added))
    expected = {near: ("Dos", "close_up"), plain: ("", ""), later: ("", "overview")}
    for who in (system.requester, system.provider):
        assert descriptions(await who.view(request_id), three) == expected

    told_why = {"reason": "incomplete_submission", "text": "Plus près."}
    ok(await system.provider.post(f"{path}/return-to-requester", told_why))
    ok(await change(system, request_id, near, caption="Ventre", view=""))
    assert descriptions(await system.requester.view(request_id), [near]) == {near: ("Ventre", "")}
    assert descriptions(await system.provider.view(request_id), three) == expected
    ok(await system.requester.post(f"{path}/resubmit"))
    assert descriptions(await system.provider.view(request_id), [near]) == {near: ("Ventre", "")}


def descriptions(view: dict[str, Any], ids: list[str]) -> dict[str, tuple[str, str]]:
    return {a["id"]: (a["caption"], a["view"]) for a in view["attachments"] if a["id"] in ids}


async def test_a_resubmission_with_nothing_but_another_order_is_a_change(system: System) -> None:
    request_id = await returned(system)
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    assert check["unchanged"] is True
    ok(await put_in_order(system, request_id, *stands(await system.requester.view(request_id))[::-1]))
    assert ok(await system.requester.get(f"/requests/{request_id}/check"))["unchanged"] is False


@pytest.mark.parametrize("again", ["the same file", "the same pixels"])
async def test_the_same_photo_twice_counts_once_and_is_advised_against(system: System, again: str) -> None:
    request_id = await empty_draft(system)
    content = photo((320, 240))
    first = ok(await upload(system.requester, request_id, content), 201)
    twin = content if again == "the same file" else encoded(opened(content), "PNG")
    same = ok(await upload(system.requester, request_id, twin), 201)
    ok(await upload(system.requester, request_id, photo((321, 240))), 201)
    view = await system.requester.view(request_id)
    assert [a["same_as"] for a in view["attachments"]] == [None, first["id"], None]
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    told = [(advice["attachment_id"], advice["code"]) for advice in check["advice"]]
    assert (same["id"], "repeated") in told
    assert [who for who, code in told if code == "repeated"] == [same["id"]]
    async with visitor(create_app(system.settings, system.of_api), system.requester) as http:
        text = shown(await http.get(f"/requests/{request_id}/edit"))
    assert "2 sur 3 requises" in text
    assert "Cette photo est là deux fois" in text
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
