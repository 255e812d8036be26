"""The requester speaks unasked: who may when, who is told and sees it, what stands out, and the photos that go with it."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from domain.requests import Role
from records.models import NoticeStatus
from tests.api.answers import notices, picture, problem, who_wants_notices_grouped
from tests.journeys import accepted, assigned, ok, pooled, reported, returned, submitted, upload
from tests.system import Clinician, System, photo

MORE = {"text": "La lésion s’est mise à saigner."}


@pytest.fixture
async def grouped(system: System) -> Clinician:
    """A provider whose e-mails come three times a day."""
    return await who_wants_notices_grouped(system, Role.PROVIDER)


@pytest.mark.parametrize("begin", [submitted, pooled, assigned, accepted])
async def test_in_every_status_before_the_report(system: System, begin: Callable[[System], Awaitable[str]]) -> None:
    request_id = await begin(system)
    before = await system.requester.view(request_id)
    receipt = ok(await system.requester.post(f"/requests/{request_id}/add-information", MORE))
    after = await system.dispatcher.view(request_id)
    assert receipt["status"] == before["status"]
    assert (after["deadlines"], after["holder"]) == (before["deadlines"], before["holder"])
    [told] = after["additions"]
    assert (told["text"], told["worse"], told["by"]["id"]) == (MORE["text"], False, system.requester.id)
    assert not after["worsened"]


async def test_not_while_the_form_is_open_nor_after_the_report_and_by_nobody_else(system: System) -> None:
    for begin in (returned, reported):
        request_id = await begin(system)
        problem(
            await system.requester.post(f"/requests/{request_id}/add-information", MORE), 409, "not_allowed_in_status"
        )
    request_id = await accepted(system)
    before = await picture(system.requester, request_id)
    for name in ("dispatcher", "provider", "administrator"):
        answer = await system.people[name].post(f"/requests/{request_id}/add-information", MORE)
        problem(answer, 403, "role_not_allowed")
    for name in ("requester2", "far_requester"):
        problem(await system.people[name].post(f"/requests/{request_id}/add-information", MORE), 404, "not_found")
    assert await picture(system.requester, request_id) == before


async def test_it_is_new_to_who_has_not_opened_it(system: System) -> None:
    request_id = await accepted(system)
    await system.provider.view(request_id)
    ok(await system.requester.post(f"/requests/{request_id}/add-information", MORE))
    [row] = [
        r
        for r in (await system.provider.get("/requests?holder=me&limit=200&sort=created")).json()["items"]
        if r["id"] == request_id
    ]
    assert row["is_new"]
    assert [each["is_new"] for each in (await system.provider.view(request_id))["additions"]] == [True]
    assert [each["is_new"] for each in (await system.provider.view(request_id))["additions"]] == [False]


async def test_worse_stands_out_until_the_priority_is_changed(system: System, grouped: Clinician) -> None:
    """Whoever holds it hears at once, even who wants e-mails grouped, and so do the dispatchers."""
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": grouped.id}))
    assert (await notices(system, request_id, "assigned"))[grouped.id].status is NoticeStatus.GROUPED
    ok(await system.requester.post(f"/requests/{request_id}/add-information", {**MORE, "worse": True}))
    told = await notices(system, request_id, "worsening_reported")
    assert told.keys() == {grouped.id, system.dispatcher.id}
    assert told[grouped.id].status is not NoticeStatus.GROUPED
    listed = (await system.dispatcher.get(f"/requests?holder={grouped.id}")).json()["items"]
    assert [row["worsened"] for row in listed] == [True]
    view = await grouped.view(request_id)
    assert (view["worsened"], "change_priority" in view["allowed_commands"]) == (True, True)
    change = {"priority": "asap", "reason": "La lésion saigne."}
    ok(await grouped.post(f"/requests/{request_id}/change-priority", change))
    assert not (await grouped.view(request_id))["worsened"]


async def test_photos_go_along_and_no_others_see_what_does_not(system: System) -> None:
    request_id = await accepted(system)
    sent = ok(await upload(system.requester, request_id, photo((500, 300))), 201)["id"]
    kept = ok(await upload(system.requester, request_id, photo((501, 300))), 201)["id"]
    path = f"/requests/{request_id}/attachments/{sent}"
    problem(await system.provider.get(path), 404, "not_found")
    wrong = {**MORE, "attachment_ids": [str(uuid4())]}
    problem(await system.requester.post(f"/requests/{request_id}/add-information", wrong), 422, "unknown_attachment")
    ok(await system.requester.post(f"/requests/{request_id}/add-information", {**MORE, "attachment_ids": [sent]}))
    view = await system.provider.view(request_id)
    assert view["additions"][0]["attachment_ids"] == [sent]
    shown = {attachment["id"] for attachment in view["attachments"]}
    assert sent in shown
    assert kept not in shown
    assert (await system.provider.get(path)).status_code == 200
