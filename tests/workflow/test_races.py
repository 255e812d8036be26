"""Commands that meet: whatever the order, each acts once or is refused with a reason, and the records agree with the process."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx

from domain.events import Event
from domain.lifecycle import rebuild
from domain.requests import Role, Status
from records.models import NoticeStatus
from tests.journeys import accepted, assigned, cancelled, closed, draft, ok, ok_list, pooled, reported, submitted
from tests.rounds import LONGER
from tests.system import PASSWORD, System
from tests.workflow.looks import names, notices, projected, quiet, recorded, refused, said_by, timeline

NOT_YET = "503 not_yet"
"""What stands behind a command that is still on its way may be told so, instead of why it is refused just now."""


def codes(answers: list[httpx.Response]) -> Counter[str]:
    """How often each answer came: the status, and the code of a problem. Who is told "not yet" is told when to ask again."""
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 503)
    return Counter(
        f"{answer.status_code} {answer.json()['code']}" if answer.is_error else str(answer.status_code)
        for answer in answers
    )


async def consistent(system: System, request_id: str) -> list[str]:
    """What must hold after any race; the story. The timeline has no gap, and alone makes the state that both sides have."""
    await recorded(system, request_id, len((await system.state(request_id)).commands_taken))
    await quiet(system, request_id)
    state = await system.state(request_id)
    assert await projected(system, request_id) == state
    events = await timeline(system, request_id)
    assert [event.version for event in events] == list(range(1, state.version + 1))
    assert [event.command_id for event in events] == list(state.commands_taken)
    assert [event.status for event in events[:-1]] == [event.status_before for event in events[1:]]
    planned = await notices(system, request_id)
    assert not [notice for notice in planned if notice.status is NoticeStatus.QUEUED]
    mails = Counter(taken.message_id for taken in system.post_office.taken)
    assert {mails[notice.message_id] for notice in planned} == {1}
    return [str(event.name) for event in events]


async def test_of_a_pool_exactly_one_gets_the_request(system: System) -> None:
    for _ in range(2 * LONGER):
        request_id = await pooled(system)
        path = f"/requests/{request_id}/accept"
        answers = await asyncio.gather(*(who.post(path) for who in (system.provider, system.provider2) * 2))
        assert set(codes(answers)) <= {"200", "409 already_accepted"}
        [winner] = {
            who.id
            for who, answer in zip((system.provider, system.provider2) * 2, answers, strict=True)
            if answer.status_code == 200
        }
        assert await consistent(system, request_id) == ["submitted", "assigned", "accepted"]
        assert str((await projected(system, request_id)).holder.id) == winner


async def test_twenty_mixed_commands_at_once(system: System) -> None:
    request_id = await pooled(system)
    path = f"/requests/{request_id}"
    near = {"clinic_id": str(system.clinics["near"].id)}
    answers = await asyncio.gather(
        *(who.post(f"{path}/accept") for who in (system.provider, system.provider2)),
        *(system.provider.post(f"{path}/request-information", {"text": f"Question {n} ?"}) for n in range(4)),
        *(
            system.dispatcher.post(f"{path}/assign", {"provider_id": who.id})
            for who in (system.provider, system.provider2)
        ),
        *(system.dispatcher.post(f"{path}/assign", near) for _ in range(2)),
        *(
            system.dispatcher.post(f"{path}/change-priority", {"priority": p, "reason": "Oui."})
            for p in ("asap", "urgent")
        ),
        *(system.provider.post(f"{path}/return-to-dispatch", {"comment": "Non."}) for _ in range(2)),
        *(system.provider.post(f"{path}/transfer", {"provider_id": system.provider2.id}) for _ in range(2)),
        *(system.requester.post(f"{path}/answer-information", {"text": "Oui."}) for _ in range(3)),
        system.requester.post(f"{path}/cancel", {"reason": "Non."}),
    )
    assert len(answers) == 20
    assert {answer.status_code for answer in answers} <= {200, 403, 409, 422, 503}
    assert {code for code in codes(answers) if code.startswith("503")} <= {NOT_YET}
    story = await consistent(system, request_id)
    assert len(story) - 2 == codes(answers)["200"]
    if "cancelled" in story:
        assert story[-1] == "cancelled"


async def test_forty_signals_and_updates_at_once(system: System) -> None:
    request_id = await pooled(system)
    handle = system.workflow(request_id)
    asked = [said_by(system.provider, Role.PROVIDER, text=f"Question {n} ?") for n in range(20)]
    answers = await asyncio.gather(
        *(handle.signal("request_information", command) for command in asked),
        *(handle.execute_update("request_information", command) for command in asked),
    )
    assert len(answers) == 40
    assert await consistent(system, request_id) == ["submitted", "assigned"] + ["information_requested"] * 20
    assert len((await projected(system, request_id)).questions) == 20


async def test_the_same_key_from_two_connections_acts_once(system: System) -> None:
    request_id = await accepted(system)
    path, body = f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}
    answers = await asyncio.gather(*(system.provider.post(path, body, key=f"{request_id}:key") for _ in range(6)))
    assert codes(answers) == {"200": 6}
    assert len({answer.json()["version"] for answer in answers}) == 1
    assert (await consistent(system, request_id))[3:] == ["information_requested"]


async def test_cancel_and_accept_at_once(system: System) -> None:
    """Either the accepted request is cancelled, or the cancelled one is not accepted any more."""
    for _ in range(2 * LONGER):
        request_id = await assigned(system)
        accept, cancel = await asyncio.gather(
            system.provider.post(f"/requests/{request_id}/accept"),
            system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Doublon."}),
        )
        assert cancel.status_code == 200
        assert codes([accept]) <= Counter(["200", "409 not_allowed_in_status"])
        story = await consistent(system, request_id)
        assert story[2:] == (["accepted", "cancelled"] if accept.status_code == 200 else ["cancelled"])
        assert (await system.workflow(request_id).result())["status"] == "cancelled"


async def test_a_draft_is_submitted_once(system: System) -> None:
    for key in (None, "the-same"):
        request_id = await draft(system)
        path = f"/requests/{request_id}/submit"
        answers = await asyncio.gather(
            *(system.requester.post(path, key=key and f"{request_id}:{key}") for _ in range(12))
        )
        if key:
            assert codes(answers) == {"200": 12}
        else:
            assert codes(answers)["200"] == 1
            assert set(codes(answers)) <= {"200", "409 submission_under_way", "409 not_allowed_in_status"}
        assert await consistent(system, request_id) == ["submitted"]


async def test_addenda_at_once_are_all_signed_or_refused(system: System) -> None:
    for journey in (closed, reported):
        request_id = await journey(system)
        before = await names(system, request_id)
        path = f"/requests/{request_id}/report/addenda"
        answers = await asyncio.gather(
            *(
                system.provider.post(path, {"text": f"Complément {n}", "password": PASSWORD}, key=f"{request_id}:{n}")
                for n in range(5)
            )
        )
        assert set(codes(answers)) <= {"200", "409 report_being_signed", NOT_YET}
        count = codes(answers)["200"]
        assert count >= 1
        story = (await consistent(system, request_id))[len(before) :]
        assert Counter(story) == {"addendum_signed": count, "addendum_issued": count}
        documents = ok_list(await system.provider.get(f"/requests/{request_id}/reports"))
        assert [d["kind"] for d in documents] == ["final"] + ["addendum"] * count
        assert len({d["report_id"] for d in documents}) == 1 + count
        repeated = await asyncio.gather(
            *(
                system.provider.post(path, {"text": f"Complément {n}", "password": PASSWORD}, key=f"{request_id}:{n}")
                for n, answer in enumerate(answers)
                if answer.status_code == 200
            )
        )
        assert codes(repeated) == {"200": count}
        assert len(await names(system, request_id)) == len(before) + 2 * count


async def test_addendum_and_acknowledgement_at_once(system: System) -> None:
    for _ in range(2 * LONGER):
        request_id = await reported(system)
        add, acknowledge = await asyncio.gather(
            system.provider.post(
                f"/requests/{request_id}/report/addenda", {"text": "Complément.", "password": PASSWORD}
            ),
            system.requester.post(f"/requests/{request_id}/acknowledge"),
        )
        assert codes([add]) == {"200": 1}
        assert set(codes([acknowledge])) <= {"200", "409 report_being_signed", NOT_YET}
        await consistent(system, request_id)
        if acknowledge.is_error:
            ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
        assert (await projected(system, request_id)).status is Status.CLOSED


async def test_a_command_to_what_is_over_is_refused_and_starts_nothing(system: System) -> None:
    request_id = await cancelled(system)
    first_run = (await system.workflow(request_id).describe()).run_id
    answers = await asyncio.gather(
        *(system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Encore."}) for _ in range(4)),
        *(
            system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id})
            for _ in range(4)
        ),
    )
    assert codes(answers) == {"409 not_allowed_in_status": 8}
    assert (await system.workflow(request_id).describe()).run_id == first_run
    assert {refusal.code for refusal in await refused(system, request_id)} == {"not_allowed_in_status"}


async def test_versions_guard_against_what_others_did(system: System) -> None:
    """Of several who saw the same version and say so, one acts."""
    request_id = await submitted(system)
    version = (await system.dispatcher.view(request_id))["version"]
    seen = {"If-Match": f'"{version}"'}
    answers = await asyncio.gather(
        *(
            system.dispatcher.post(
                f"/requests/{request_id}/assign", {"provider_id": who.id}, headers=seen, key=str(uuid4())
            )
            for who in (system.provider, system.provider2) * 2
        )
    )
    assert codes(answers) == {"200": 1, "412 version_conflict": 3}
    assert await consistent(system, request_id) == ["submitted", "assigned"]


async def test_the_timeline_alone_rebuilds_the_state(system: System) -> None:
    request_id = await reported(system)
    state = await projected(system, request_id)
    events = [
        Event.model_validate({name: getattr(row, name) for name in Event.model_fields if hasattr(row, name)})
        for row in await timeline(system, request_id)
    ]
    first = state.model_copy(
        update={
            "version": 0,
            "status": Status.DRAFT,
            "form": None,
            "deadlines": (),
            "documents": (),
            "commands_taken": (),
            "task": type(state.task)(),
        }
    )
    assert rebuild(first, events) == state
