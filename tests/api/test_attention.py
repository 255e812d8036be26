"""What a line of the worklist asks to be noticed: what is new to the reader, what is late, and since when it waits."""

from datetime import datetime, timedelta
from typing import Any

from tests.journeys import accepted, assigned, draft, ok, pooled, signed, submitted, written
from tests.system import System


async def line(system: System, name: str, request_id: str) -> dict[str, Any]:
    """The request's line in somebody's worklist."""
    newest = {"sort": "created", "limit": 200}
    (row,) = [
        row for row in ok(await system.people[name].get("/requests", params=newest))["items"] if row["id"] == request_id
    ]
    return dict(row)


async def is_new(system: System, request_id: str, *names: str) -> dict[str, bool]:
    return {name: (await line(system, name, request_id))["is_new"] for name in names}


async def opened(system: System, request_id: str, *names: str) -> None:
    for name in names:
        await system.people[name].view(request_id)


async def test_new_until_opened(system: System) -> None:
    request_id = await assigned(system)
    everybody = ("dispatcher", "provider", "administrator")
    assert await is_new(system, request_id, *everybody) == {
        "dispatcher": True,  # assigned it without a look; the submission was somebody else's
        "provider": True,
        "administrator": True,
    }
    assert (await system.provider.view(request_id))["is_new"]  # as it was before this look
    assert not (await system.provider.view(request_id))["is_new"]
    assert await is_new(system, request_id, "provider", "administrator") == {"provider": False, "administrator": True}
    await opened(system, request_id, *everybody)
    assert not any((await is_new(system, request_id, *everybody)).values())


async def test_ones_own_doing_is_not_new(system: System) -> None:
    request_id = await assigned(system)
    who = ("requester", "dispatcher", "provider")
    await opened(system, request_id, *who)
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    assert await is_new(system, request_id, "provider", "dispatcher") == {"provider": False, "dispatcher": True}
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    await opened(system, request_id, "requester")
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", {"text": "Un mois."}))
    assert await is_new(system, request_id, "provider") == {"provider": True}
    assert not (await system.requester.view(request_id))["is_new"]


async def test_ones_own_report_is_not_new_to_its_signer(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    await opened(system, request_id, "provider", "dispatcher")
    await signed(system, request_id, "preliminary")
    assert await is_new(system, request_id, "provider", "dispatcher") == {"provider": False, "dispatcher": True}
    await signed(system, request_id)
    assert await is_new(system, request_id, "provider") == {"provider": False}
    assert (await system.requester.view(request_id))["is_new"]
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    assert await is_new(system, request_id, "provider") == {"provider": True}


async def test_what_relais_does_is_new(system: System) -> None:
    request_id = await assigned(system)
    await opened(system, request_id, "provider", "dispatcher")
    await system.skip(request_id, timedelta(days=9))
    view = await system.dispatcher.view(request_id)
    assert (view["status"], view["is_new"]) == ("awaiting_dispatch", True)
    assert not (await line(system, "dispatcher", request_id))["is_new"]


async def test_other_looks_do_not_count(system: System) -> None:
    request_id = await assigned(system)
    await system.provider.get(f"/requests/{request_id}/timeline")
    ok(await system.provider.get("/requests"))
    assert await is_new(system, request_id, "provider") == {"provider": True}


async def test_a_draft_is_never_new(system: System) -> None:
    request_id = await draft(system)
    assert await is_new(system, request_id, "requester") == {"requester": False}
    view = await system.requester.view(request_id)
    assert (view["is_new"], view["holder_absent"], view["overdue_deadline"]) == (False, False, None)


async def test_which_deadline_is_over(system: System) -> None:
    request_id = await submitted(system)
    assert (await line(system, "dispatcher", request_id))["overdue_deadline"] is None
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/dispatch"))
    for row in (await line(system, "dispatcher", request_id), await system.operator.view(request_id)):
        assert (row["overdue"], row["overdue_deadline"]) == (True, "dispatch")
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    assert (await line(system, "provider", request_id))["overdue_deadline"] is None
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/information"))
    assert (await line(system, "provider", request_id))["overdue_deadline"] == "information"
    ok(await system.provider.post(f"/requests/{request_id}/withdraw-information-request"))
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/report"))
    assert (await line(system, "provider", request_id))["overdue_deadline"] == "report"


async def test_since_when_it_waits(system: System) -> None:
    async def since(request_id: str) -> datetime:
        row = await line(system, "requester", request_id)
        assert row["waiting_since"] == (await system.operator.view(request_id))["waiting_since"]
        return datetime.fromisoformat(row["waiting_since"])

    async def at(request_id: str, name: str) -> datetime:
        events = (await system.requester.get(f"/requests/{request_id}/timeline")).json()
        return max(datetime.fromisoformat(event["at"]) for event in events if event["name"] == name)

    request_id = await pooled(system)
    assert await since(request_id) == await at(request_id, "assigned")
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    accepted_at = await at(request_id, "accepted")
    assert await since(request_id) == accepted_at
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    assert await since(request_id) == accepted_at  # the provider holds it still
    ok(await system.provider.post(f"/requests/{request_id}/return-to-dispatch", {"comment": "Hors de mon domaine."}))
    assert await since(request_id) == await at(request_id, "returned_to_dispatch")
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Guérie."}))
    assert (await line(system, "requester", request_id))["waiting_since"] is None
    own = await system.requester.view(await draft(system))
    assert own["waiting_since"] == own["created_at"]
