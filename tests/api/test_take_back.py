"""What somebody did by mistake they take back at once: everything is as it was, and who had heard of it hears that too."""

from datetime import datetime, timedelta

from domain.notices import Importance, Recipient
from tests.api.answers import notices, problem
from tests.journeys import assigned, ok, pooled, submitted
from tests.system import System


async def test_accepted_and_taken_back(system: System) -> None:
    request_id = await pooled(system)
    path = f"/requests/{request_id}"
    problem(await system.provider.post(f"{path}/take-back"), 409, "nothing_to_take_back")
    before = await system.provider.view(request_id)
    ok(await system.provider.post(f"{path}/accept"))
    view = await system.provider.view(request_id)
    since = datetime.fromisoformat(view["take_back_until"]) - datetime.fromisoformat(view["updated_at"])
    assert since == timedelta(seconds=15)
    assert "take_back" in view["allowed_commands"]
    for name, status, code in (
        ("dispatcher", 409, "nothing_to_take_back"),
        ("requester", 403, "role_not_allowed"),
        ("far_provider", 404, "not_found"),
        ("provider2", 409, "nothing_to_take_back"),
    ):
        problem(await system.people[name].post(f"{path}/take-back"), status, code)

    receipt = ok(await system.provider.post(f"{path}/take-back"))
    after = await system.provider.view(request_id)
    as_before = ("status", "holder", "due_at", "deadlines", "overdue", "open_questions")
    assert [after[name] for name in as_before] == [before[name] for name in as_before]
    assert (after["take_back_until"], "take_back" in receipt["allowed_commands"]) == (None, False)
    assert [entry["name"] for entry in (await system.provider.get(f"{path}/timeline")).json()][-2:] == [
        "accepted",
        "taken_back",
    ]
    accepted, taken_back = (
        await notices(system, request_id, "accepted"),
        await notices(system, request_id, "taken_back"),
    )
    assert taken_back.keys() == accepted.keys() == {system.requester.id, system.dispatcher.id}
    problem(await system.provider.post(f"{path}/take-back"), 409, "nothing_to_take_back")
    ok(await system.provider2.post(f"{path}/accept"))


async def test_assigned_to_the_wrong_one_and_taken_back(system: System) -> None:
    request_id = await assigned(system)
    path = f"/requests/{request_id}"
    before = await system.dispatcher.view(request_id)
    ok(await system.dispatcher.post(f"{path}/assign", {"provider_id": system.provider2.id}))
    receipt = ok(await system.dispatcher.post(f"{path}/take-back"))
    after = await system.dispatcher.view(request_id)
    assert (receipt["status"], after["holder"], after["due_at"]) == (
        "awaiting_acceptance",
        before["holder"],
        before["due_at"],
    )
    told = await notices(system, request_id, "taken_back")
    parties = {account_id: (notice.recipient, notice.importance) for account_id, notice in told.items()}
    assert parties == {
        system.provider.id: (Recipient.HOLDER, Importance.ACTION),
        system.provider2.id: (Recipient.PREVIOUS_HOLDER, Importance.INFORMATION),
        system.requester.id: (Recipient.REQUESTER, Importance.INFORMATION),
    }
    ok(await system.provider.post(f"{path}/accept"))
    problem(await system.dispatcher.post(f"{path}/take-back"), 409, "nothing_to_take_back")


async def test_not_once_somebody_has_gone_on_or_later(system: System) -> None:
    request_id = await submitted(system)
    path = f"/requests/{request_id}"
    ok(await system.dispatcher.post(f"{path}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"{path}/request-information", {"text": "Depuis quand?"}))
    problem(await system.dispatcher.post(f"{path}/take-back"), 409, "nothing_to_take_back")
    ok(await system.provider.post(f"{path}/accept"))
    await system.skip(request_id, timedelta(seconds=16))
    problem(await system.provider.post(f"{path}/take-back"), 409, "too_late_to_take_back")
