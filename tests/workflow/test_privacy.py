"""What Temporal itself can read of a request: who must act and until when, and nothing about the patient or what people write."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowUpdateFailedError

from domain.requests import Role
from engine.client import key_ring
from engine.encryption import ENCODING
from key_ring import KeyRing
from tests.eventually import eventually
from tests.journeys import PATIENT, accepted, assigned, draft, ok, pooled, reported, signed, submitted, upload, written
from tests.system import PASSWORD, System, photo
from tests.workflow.branch import branch, impatient, with_keys, workers
from tests.workflow.looks import (
    current_details,
    history,
    names,
    of_type,
    quiet,
    recorded,
    refused,
    said_by,
)

MARK = "zq7-Framboise"
"""Stands in every text that people write in these tests; nothing that Temporal shows may hold it."""


async def _everything_that_people_write(system: System) -> str:
    """A request with a text at every place where there can be one."""
    patient = {**PATIENT, "family_name": MARK, "given_name": MARK}
    answers = {
        field.name: f"{MARK} {field.name}"
        for field in system.services.offerings["teledermatology"].form
        if field.kind in ("text", "long_text")
    }
    request_id = await draft(system, patient=patient)
    path = f"/requests/{request_id}"
    present = (await system.requester.view(request_id))["answers"]
    ok(await system.requester.http.patch(f"/api/v1{path}", json={"answers": {**present, **answers}}))
    ok(await system.requester.post(f"{path}/submit"))
    note = {"provider_id": system.provider.id, "comment": MARK}
    ok(await system.dispatcher.post(f"{path}/assign", note))
    ok(await system.provider.post(f"{path}/request-information", {"text": MARK}))
    ok(await upload(system.requester, request_id, photo((300, 300)), name=f"{MARK}.jpg"), 201)
    ok(await system.requester.post(f"{path}/answer-information", {"text": MARK}))
    ok(await system.dispatcher.post(f"{path}/change-priority", {"priority": "urgent", "reason": MARK}))
    ok(await system.provider.post(f"{path}/return-to-requester", {"reason": "not_eligible", "text": MARK}))
    ok(await system.requester.post(f"{path}/resubmit"))
    ok(await system.provider.post(f"{path}/return-to-dispatch", {"comment": MARK}))
    ok(await system.dispatcher.post(f"{path}/assign", note))
    ok(await system.provider.post(f"{path}/transfer", {"provider_id": system.provider2.id, "comment": MARK}))
    ok(await system.provider2.post(f"{path}/transfer", {"provider_id": system.provider.id, "comment": MARK}))
    ok(await system.provider.post(f"{path}/accept"))
    await system.workflow(request_id).signal("cancel", said_by(system.requester2, Role.REQUESTER, reason=MARK))
    with pytest.raises(WorkflowUpdateFailedError):
        await system.workflow(request_id).execute_update(
            "cancel", said_by(system.requester2, Role.REQUESTER, reason=MARK)
        )
    await written(system, request_id)
    await signed(system, request_id)
    ok(await system.requester.post(f"{path}/acknowledge", {"outcome": {"comment": MARK}}))
    await system.workflow(request_id).result()
    ok(await system.provider.post(f"{path}/report/addenda", {"text": MARK, "password": PASSWORD}))
    return request_id


async def test_everything_in_the_history_is_sealed(system: System) -> None:
    request_id = await _everything_that_people_write(system)
    account = system.provider.account
    secrets = [MARK, *PATIENT.values(), account.email, account.family_name, system.clinics["near"].name]
    count = 0
    for run in await _runs(system, request_id):
        stored = await _stored_history(system, request_id, run)
        for secret in secrets:
            assert secret.encode() not in stored.SerializeToString()
        for payload, place in _payloads(stored):
            count += 1
            assert payload.metadata["encoding"] == ENCODING, place
            assert payload.metadata["relais-bound-to"] == f"request-{request_id}".encode(), place
    assert count > 100


async def test_what_the_temporal_ui_shows_in_clear_names_nobody(system: System) -> None:
    request_id = await _everything_that_people_write(system)
    description = await system.workflow(request_id).describe()
    shown = await current_details(system, request_id)
    shown += str(description.raw_description.workflow_execution_info.search_attributes)
    for secret in (MARK, *PATIENT.values(), system.provider.account.family_name, system.provider.account.email):
        assert secret not in shown


def _payloads(message: Message, place: str = "") -> Iterator[tuple[Payload, str]]:
    """Every payload inside a message, with the names of the fields that lead there. Search attributes are open by design."""
    if isinstance(message, Payload):
        yield message, place
        return
    if isinstance(message, SearchAttributes):
        return
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        here = f"{place}.{field.name}".removeprefix("events.").removeprefix(".")
        if isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(item, Message):
                    yield from _payloads(item, f"{here}.{key}")
        elif field.is_repeated:
            for item in value:
                yield from _payloads(item, here)
        else:
            yield from _payloads(value, here)


async def _runs(system: System, request_id: str) -> list[str]:
    query = f"WorkflowId = 'request-{request_id}'"

    async def both_listed() -> bool:
        return len([w async for w in system.services.engine.list_workflows(query)]) == 2

    await eventually(both_listed)
    return [w.run_id async for w in system.services.engine.list_workflows(query)]


async def _stored_history(system: System, request_id: str, run_id: str) -> Any:
    """The history of one run as the server has it, by the bare service."""
    execution = WorkflowExecution(workflow_id=f"request-{request_id}", run_id=run_id)
    answer = await system.services.engine.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(namespace="default", execution=execution, maximum_page_size=10_000)
    )
    assert not answer.next_page_token
    return answer.history


# What operators see


async def test_operators_see_after_each_step_where_a_request_stands(system: System) -> None:
    request_id = await pooled(system)
    near = system.clinics["near"].id
    path = f"/requests/{request_id}"
    await _seen(system, request_id, "awaiting_acceptance", f"pool:{near}", due=True)
    ok(await system.provider.post(f"{path}/accept"))
    await _seen(system, request_id, "accepted", f"provider:{system.provider.id}", due=True)
    ok(await system.provider.post(f"{path}/request-information", {"text": "Depuis quand ?"}))
    details = await _seen(system, request_id, "accepted", f"provider:{system.provider.id}", due=False)
    assert "stands still: a question is open" in details
    ok(await system.operator.post(f"{path}/deadlines/information"))
    await _seen(system, request_id, "accepted", f"provider:{system.provider.id}", due=False, overdue=True)
    ok(await system.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}))
    await _seen(system, request_id, "accepted", f"provider:{system.provider.id}", due=True)
    ok(await system.provider.post(f"{path}/return-to-dispatch", {"comment": "Non."}))
    await _seen(system, request_id, "awaiting_dispatch", f"dispatch:{near}", due=True)
    ok(await system.dispatcher.post(f"{path}/change-priority", {"priority": "asap", "reason": "Douleur."}))
    await _seen(system, request_id, "awaiting_dispatch", f"dispatch:{near}", due=True, priority="asap")
    back = {"reason": "not_eligible", "text": "Non."}
    ok(await system.dispatcher.post(f"{path}/return-to-requester", back))
    await _seen(system, request_id, "returned", f"requester:{system.requester.id}", due=True, priority="asap")
    ok(await system.requester.post(f"{path}/cancel", {"reason": "Non."}))
    details = await _seen(system, request_id, "cancelled", "nobody", due=False, priority="asap")
    assert "none: nobody has to act any more" in details


async def _seen(
    system: System,
    request_id: str,
    status: str,
    holder: str,
    *,
    due: bool,
    overdue: bool = False,
    priority: str = "routine",
) -> str:
    """The search attributes and current details are so, and a list by status finds the request; the details."""
    await quiet(system, request_id)
    state = await system.state(request_id)
    described = await system.workflow(request_id).describe()
    assert {name: values[0] for name, values in described.search_attributes.items() if name.startswith("Request")} == {
        "RequestStatus": status,
        "RequestNumber": state.number,
        "RequestClinic": str(system.clinics["near"].id),
        "RequestHolder": holder,
        "RequestOffering": "teledermatology",
        "RequestPriority": priority,
        "RequestOverdue": overdue,
        **({"RequestDue": state.due_at} if due else {}),
    }
    details = await current_details(system, request_id)
    assert details.startswith(f"### {state.number}: {status}")
    assert f"**held by** {holder}" in details
    assert ("**overdue**" in details) is overdue

    async def is_listed() -> bool:
        query = f"RequestStatus = '{status}' AND RequestNumber = '{state.number}'"
        return [w.id async for w in system.services.engine.list_workflows(query)] == [f"request-{request_id}"]

    await eventually(is_listed)
    return details


# Keys


async def test_keys_change_while_requests_are_under_way(system: System) -> None:
    """First the new key is added behind the old one, then it goes in front; worker and API change at different times."""
    old, new = dict(key_ring(system.settings).keys), {"new": bytes(range(32))}
    async with branch(system, ring=KeyRing(old | new)) as before:
        queues = {name: getattr(before.settings, name) for name in ("task_queue", "mail_task_queue")}
        async with workers(before, ring=KeyRing(old | new)):
            request_id = await accepted(before)
        ask, path = {"text": "Depuis quand ?"}, f"/requests/{request_id}/request-information"
        async with workers(before, ring=KeyRing(new | old)):
            assert (await before.provider.post(path, ask)).status_code in (200, 202)
            async with branch(system, ring=KeyRing(new | old), **queues) as after:
                assert (await after.provider.post(path, ask)).status_code in (200, 202)
                await recorded(after, request_id, 5)
                await quiet(after, request_id)
                assert len((await after.state(request_id)).questions) == 2
    keys = [payload.metadata["relais-key-id"] async for payload in _sealed(after, request_id)]
    assert set(keys) == {b"test", b"new"}
    assert (keys[0], keys[-1]) == (b"test", b"new")


async def _sealed(system: System, request_id: str) -> Any:
    for event in await history(system, request_id):
        for payload, _ in _payloads(event):
            if payload.metadata["encoding"] == ENCODING:
                yield payload


async def test_a_worker_without_the_key_fails_its_tasks_aloud_and_goes_on_when_the_key_is_there(system: System) -> None:
    lacking = KeyRing({"other": bytes(range(32))})
    async with branch(system) as other, impatient(other) as hasty:
        async with workers(other):
            request_id = await assigned(other)
            await quiet(other, request_id)
        async with workers(other, ring=lacking):
            answer = await hasty.provider.post(f"/requests/{request_id}/accept", key="accept")
            assert answer.status_code == 202
            await eventually(lambda: _has_failed_tasks(other, request_id))
            await eventually(lambda: _has_failed_often(other, request_id))
            question = {"text": "Depuis quand ?"}
            again = await hasty.provider.post(f"/requests/{request_id}/request-information", question, key="question")
            assert again.status_code == 202, "the server refuses updates of a workflow whose tasks fail"
        [failure, *_] = of_type(await history(other, request_id), EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
        shown = str(failure.workflow_task_failed_event_attributes)
        assert MARK not in shown
        async with workers(other):
            await recorded(other, request_id, 4)
            await quiet(other, request_id)
        assert await names(other, request_id) == ["submitted", "assigned", "accepted", "information_requested"]
        assert not await refused(other, request_id)


async def _has_failed_tasks(system: System, request_id: str) -> bool:
    return bool(of_type(await history(system, request_id), EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED))


async def _has_failed_often(system: System, request_id: str) -> bool:
    """So often that the server takes no more updates."""
    described = await system.workflow(request_id).describe()
    return described.raw_description.pending_workflow_task.attempt >= 3


async def test_a_client_without_the_key_reads_nothing(system: System) -> None:
    request_id = await submitted(system)
    stranger = with_keys(system, KeyRing({"other": bytes(range(32))}))
    with pytest.raises(Exception, match="no key 'test'"):
        await stranger.get_workflow_handle(f"request-{request_id}").query("state")
    bare = await Client.connect(system.services.engine.service_client.config.target_host)
    with pytest.raises(Exception, match="relais-aes256gcm"):
        await bare.get_workflow_handle(f"request-{request_id}").query("state")


async def test_reports_of_two_requests_at_once_stay_apart(system: System) -> None:
    one, other = await asyncio.gather(reported(system), reported(system))
    for request_id in (one, other):
        async for payload in _sealed(system, request_id):
            assert payload.metadata["relais-bound-to"] == f"request-{request_id}".encode()
