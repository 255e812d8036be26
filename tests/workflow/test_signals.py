"""Commands as Signals, sent by Temporal's own command line in plain JSON: what operators, schedulers and integrations do.

A Signal that is wrong in any way is written down as refused, and never keeps the next command from acting.
"""

import base64
import hashlib
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType

from domain.commands import PUBLIC_COMMANDS
from domain.events import question_id
from domain.offerings import DeadlineName
from domain.requests import HolderKind, Request, Role, Source, Status
from tests.eventually import eventually
from tests.journeys import accepted, assigned, closed, draft, ok, pooled, reported, returned, submitted, written
from tests.system import System
from tests.workflow.looks import (
    current_details,
    history,
    names,
    of_type,
    quiet,
    raw_signal,
    recorded,
    refused,
    said_by,
    signal,
    temporal,
    timeline,
)
from use_cases.by_hand import refused_commands

FORM = {"number": 2, "sha256": hashlib.sha256(b"form").hexdigest()}
OPERATOR = {"role": "operator"}


async def _given(system: System, request_id: str, name: str, command: dict[str, Any]) -> Request:
    """Send a Signal that is legal; the state that the records show in the end."""
    before = await system.state(request_id)
    await signal(system, request_id, name, command)
    state = await recorded(system, request_id, before.version + 1)
    event = (await timeline(system, request_id))[before.version]
    assert (event.command_id, event.source) == (command["id"], Source.SIGNAL)
    assert not [refusal for refusal in await refused(system, request_id) if refusal.source is Source.SIGNAL]
    return state


async def test_assign(system: System) -> None:
    request_id = await submitted(system)
    to = {"id": system.provider.id, "clinic_id": str(system.clinics["near"].id)}
    state = await _given(system, request_id, "assign", said_by(system.dispatcher, Role.DISPATCHER, to=to))
    assert (state.status, str(state.holder.id)) == (Status.AWAITING_ACCEPTANCE, system.provider.id)


async def test_accept(system: System) -> None:
    request_id = await pooled(system)
    state = await _given(system, request_id, "accept", said_by(system.provider, Role.PROVIDER))
    assert (state.status, str(state.holder.id)) == (Status.ACCEPTED, system.provider.id)


async def test_take_back(system: System) -> None:
    request_id = await pooled(system)
    await _given(system, request_id, "accept", said_by(system.provider, Role.PROVIDER))
    state = await _given(system, request_id, "take_back", said_by(system.provider, Role.PROVIDER))
    assert (state.status, state.holder.kind) == (Status.AWAITING_ACCEPTANCE, HolderKind.POOL)


async def test_transfer(system: System) -> None:
    request_id = await accepted(system)
    to = {"id": system.provider2.id, "clinic_id": str(system.clinics["near"].id)}
    state = await _given(system, request_id, "transfer", said_by(system.provider, Role.PROVIDER, to=to))
    assert (state.status, str(state.holder.id)) == (Status.AWAITING_ACCEPTANCE, system.provider2.id)


async def test_reassign(system: System) -> None:
    request_id = await accepted(system)
    command = said_by(system.administrator, Role.CLINIC_ADMINISTRATOR, to="dispatch", reason="En congé de maladie.")
    state = await _given(system, request_id, "reassign", command)
    assert (state.status, state.holder.kind) == (Status.AWAITING_DISPATCH, HolderKind.DISPATCH)


async def test_add_information(system: System) -> None:
    request_id = await accepted(system)
    command = said_by(system.requester, Role.REQUESTER, text="La lésion saigne.", worse=True)
    assert (await _given(system, request_id, "add_information", command)).worsened


async def test_confirm_reading(system: System) -> None:
    request_id = await reported(system, urgent=True)
    assert (await system.state(request_id)).deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT)
    state = await _given(system, request_id, "confirm_reading", said_by(system.dispatcher, Role.DISPATCHER))
    assert state.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT) is None


async def test_read_for_the_requester(system: System) -> None:
    """The request goes on to wait for its requester; only nobody is called any more."""
    request_id = await reported(system, urgent=True)
    said = said_by(system.people["requester2"], Role.REQUESTER)
    state = await _given(system, request_id, "read_for_requester", said)
    assert (state.status, state.unread) == (Status.REPORTED, None)


async def test_ask_and_answer_about_the_report(system: System) -> None:
    request_id = await reported(system)
    ask = said_by(system.requester, Role.REQUESTER, text="Combien de fois par jour ?")
    state = await _given(system, request_id, "ask_follow_up", ask)
    assert [asked.id for asked in state.follow_ups] == [question_id(UUID(request_id), ask["id"])]
    back = said_by(system.requester, Role.REQUESTER)
    assert not (await _given(system, request_id, "withdraw_follow_up", back)).follow_ups
    ask = said_by(system.requester, Role.REQUESTER, text="Et combien de jours ?")
    await _given(system, request_id, "ask_follow_up", ask)
    by_colleague = said_by(system.provider2, Role.PROVIDER, text="Deux fois.", signer_away=True)
    state = await _given(system, request_id, "answer_follow_up", by_colleague)
    assert state.open_follow_up is None


async def test_a_question_asked_answered_and_taken_back(system: System) -> None:
    request_id = await accepted(system)
    ask = said_by(system.provider, Role.PROVIDER, text="Depuis quand ?")
    state = await _given(system, request_id, "request_information", ask)
    assert [question.id for question in state.questions] == [question_id(UUID(request_id), ask["id"])]
    answer = said_by(system.requester, Role.REQUESTER, text="Trois semaines.")
    assert not (await _given(system, request_id, "answer_information", answer)).questions
    again = said_by(system.provider, Role.PROVIDER, text="Saigne-t-elle ?")
    assert (await _given(system, request_id, "request_information", again)).questions
    back = said_by(system.provider, Role.PROVIDER)
    assert not (await _given(system, request_id, "withdraw_information_request", back)).questions


async def test_return_to_requester_and_resubmit(system: System) -> None:
    request_id = await assigned(system)
    back = said_by(system.provider, Role.PROVIDER, reason="not_eligible", text="Hors du champ.")
    assert (await _given(system, request_id, "return_to_requester", back)).status is Status.RETURNED
    again = said_by(system.requester, Role.REQUESTER, form=FORM)
    assert (await _given(system, request_id, "resubmit", again)).status is Status.AWAITING_ACCEPTANCE


async def test_return_to_dispatch(system: System) -> None:
    request_id = await accepted(system)
    back = said_by(system.provider, Role.PROVIDER, comment="En vacances.")
    assert (await _given(system, request_id, "return_to_dispatch", back)).status is Status.AWAITING_DISPATCH


async def test_cancel_by_an_operator(system: System) -> None:
    request_id = await returned(system)
    command = {"id": str(uuid4()), "actor": OPERATOR, "reason": "Doublon."}
    assert (await _given(system, request_id, "cancel", command)).status is Status.CANCELLED


async def test_change_priority(system: System) -> None:
    request_id = await submitted(system)
    command = said_by(system.dispatcher, Role.DISPATCHER, priority="urgent", reason="Douleur.")
    assert (await _given(system, request_id, "change_priority", command)).priority == "urgent"


async def test_deadline_reached_by_a_scheduler(system: System) -> None:
    request_id = await assigned(system)
    command = {"id": "scheduler-2026-11-22", "actor": OPERATOR, "name": "acceptance"}
    assert (await _given(system, request_id, "deadline_reached", command)).status is Status.AWAITING_DISPATCH


async def test_acknowledge(system: System) -> None:
    request_id = await reported(system)
    command = said_by(system.requester, Role.REQUESTER, outcome={"advice_followed": "yes"})
    assert (await _given(system, request_id, "acknowledge", command)).status is Status.CLOSED


async def test_submit_is_refused_once_the_request_is_under_way(system: System) -> None:
    request_id = await submitted(system)
    command = said_by(system.requester, Role.REQUESTER, form=FORM, priority="routine")
    await _is_refused(system, request_id, "submit", "not_allowed_in_status", command)


@pytest.mark.parametrize("name", ["sign_report", "add_addendum"])
async def test_a_signature_without_proof_issues_no_document(system: System, name: str) -> None:
    request_id = await accepted(system) if name == "sign_report" else await reported(system)
    before = await system.state(request_id)
    command = said_by(system.provider, Role.PROVIDER, report_id=str(uuid4()), content_sha256="0" * 64)
    if name == "sign_report":
        command["kind"] = "final"
    await signal(system, request_id, name, command)
    after = await recorded(system, request_id, before.version + 2)
    assert (after.status, after.documents, after.signing) == (before.status, before.documents, None)
    events = (await timeline(system, request_id))[before.version :]
    assert [event.name for event in events][1:] == ["signing_failed"]
    assert events[-1].command["code"] == "report_not_frozen"
    await quiet(system, request_id)
    failures = (await system.operator.get("/failures")).json()
    assert [f["code"] for f in failures if f["request_id"] == request_id] == ["report_not_frozen"]


async def test_a_signature_with_the_proof_of_another_command_issues_no_document(system: System) -> None:
    """The frozen report that an honest signature left behind, taken for a second one."""
    request_id = await accepted(system)
    await written(system, request_id)
    body = {"kind": "preliminary", "password": "correct horse battery staple"}
    receipt = ok(await system.provider.post(f"/requests/{request_id}/report/sign", body))
    honest = (await timeline(system, request_id))[-2].command
    stolen = said_by(
        system.provider,
        Role.PROVIDER,
        kind="final",
        report_id=receipt["document"]["report_id"],
        content_sha256=honest["content_sha256"],
    )
    before = await system.state(request_id)
    await signal(system, request_id, "sign_report", stolen)
    after = await recorded(system, request_id, before.version + 2)
    assert (after.status, after.documents) == (Status.ACCEPTED, before.documents)
    assert (await timeline(system, request_id))[-1].command["code"] == "signature_not_proven"


# What is wrong is refused, and the next command acts


async def _is_refused(
    system: System, request_id: str, name: str, code: str, *inputs: Any, more: tuple[str, ...] = (), known_as: str = ""
) -> None:
    """The Signal changes nothing, is written down in all three places, and does not keep another command from acting."""
    before = await system.state(request_id)
    count = len(await refused(system, request_id))
    await signal(system, request_id, name, *inputs, more=more)
    await _is_written_down(system, request_id, known_as or name, code, before, count)


async def _is_written_down(
    system: System, request_id: str, name: str, code: str, before: Request, count: int = 0
) -> None:
    async def noted() -> bool:
        return len(await refused(system, request_id)) > count

    await eventually(noted)
    last = (await refused(system, request_id))[-1]
    assert (last.name, last.code, last.source) == (name, code, Source.SIGNAL)
    assert await system.state(request_id) == before
    assert f"- {name}: {code}" in await current_details(system, request_id)
    if before.status is Status.AWAITING_DISPATCH:
        priority = "urgent" if before.priority == "routine" else "routine"
        body = {"priority": priority, "reason": "La suite."}
        ok(await system.dispatcher.post(f"/requests/{request_id}/change-priority", body))


async def test_what_is_no_command_is_refused(system: System) -> None:
    request_id = await submitted(system)
    command = {"id": str(uuid4()), "actor": OPERATOR, "reason": "Doublon."}
    wrong: list[tuple[Any, ...]] = [
        (),  # no argument
        (command, command),  # two
        ('"cancel"',),  # a string
        ("[]",),
        ("null",),
        ("17",),
        ("{}",),
        ({**command, "reason": ""},),
        ({**command, "reason": 17},),
        ({**command, "colour": "red"},),
        ({**command, "id": "two words"},),
        ({**command, "actor": "somebody"},),
        ({**command, "actor": {"role": "king"}},),
        ({**command, "actor": {"role": "requester"}},),
        ({**command, "type": "accept"},),
        ({**command, "type": {}},),
        ({**command, "expected_version": "many"},),
        ({**command, "reason": "x" * 8001},),
    ]
    for inputs in wrong:
        await _is_refused(system, request_id, "cancel", "malformed", *inputs)
    assert await names(system, request_id) == ["submitted"] + ["priority_changed"] * len(wrong)


async def test_what_is_not_legal_is_refused_with_its_code(system: System) -> None:
    request_id = await submitted(system)
    provider = said_by(system.provider, Role.PROVIDER)
    await _is_refused(system, request_id, "accept", "not_allowed_in_status", provider)
    last = (await refused(system, request_id))[-1]
    assert (last.command_id, str(last.actor_id)) == (provider["id"], system.provider.id)
    as_patient = said_by(system.requester, Role.REQUESTER, priority="asap", reason="Vite.")
    await _is_refused(system, request_id, "change_priority", "role_not_allowed", as_patient)
    await _is_refused(
        system, request_id, "cancel", "not_the_requester", said_by(system.requester2, Role.REQUESTER, reason="Non.")
    )
    stale = said_by(system.requester, Role.REQUESTER, reason="Non.", expected_version=1)
    await _is_refused(system, request_id, "cancel", "version_conflict", stale)


async def test_operators_read_what_was_refused_on_the_command_line(system: System) -> None:
    request_id = await submitted(system)
    number = ok(await system.requester.get(f"/requests/{request_id}"))["number"]
    assert await refused_commands(system.settings, number.lower()) == []
    await _is_refused(
        system, request_id, "cancel", "role_not_allowed", said_by(system.provider, Role.PROVIDER, reason="-")
    )
    (found,) = await refused_commands(system.settings, number) or []
    assert (found.name, found.code, found.source) == ("cancel", "role_not_allowed", Source.SIGNAL)
    assert await refused_commands(system.settings, "TC-1999-000001") is None


@pytest.mark.parametrize("name", ["close", "issue_document", "fail_signing", "Accept", "run", "état"])
async def test_a_name_that_is_no_command_is_refused(system: System, name: str) -> None:
    request_id = await submitted(system)
    await _is_refused(system, request_id, name, "unknown_command", {"id": "1", "actor": OPERATOR})


async def test_bytes_and_broken_texts_are_refused(system: System) -> None:
    request_id = await submitted(system)
    binary = base64.b64encode(b"\x00\xff\xfe").decode()
    of_kind = ("--input-base64", "--input-meta")
    await _is_refused(system, request_id, "accept", "malformed", binary, more=(*of_kind, "encoding=binary/plain"))
    await _is_refused(system, request_id, "accept", "malformed", binary, more=(*of_kind, "encoding=of/another-world"))
    await _is_refused(
        system, request_id, "nothing", "unknown_command", binary, more=(*of_kind, "encoding=binary/plain")
    )
    for text in (b'{"id":', b'{"id": "\\ud800"}', b"[" * 5000, b"", b'{"id": 1e999}', b"\xff"):
        before, count = await system.state(request_id), len(await refused(system, request_id))
        await raw_signal(system, request_id, "accept", Payload(metadata={"encoding": b"json/plain"}, data=text))
        await _is_written_down(system, request_id, "accept", "malformed", before, count)


async def test_what_no_database_can_hold_is_refused_and_written_down_all_the_same(system: System) -> None:
    request_id = await submitted(system)
    await _is_refused(system, request_id, "accept", "malformed", {"id": "a\x00b", "actor": {"id": "\x00"}})
    before, count = await system.state(request_id), len(await refused(system, request_id))
    await raw_signal(system, request_id, "a\x00b\u202e" + "c" * 200)
    await _is_written_down(system, request_id, "a?b?" + "c" * 96, "unknown_command", before, count)
    await quiet(system, request_id)


async def test_what_is_sealed_for_another_request_is_refused(system: System) -> None:
    """A payload that was copied from another workflow's history, and one that is damaged."""
    one, other = await submitted(system), await submitted(system)
    command = said_by(system.requester, Role.REQUESTER, reason="Pour l’autre.")
    await system.workflow(other).signal("cancel", command)
    await recorded(system, other, 2)
    [sent] = of_type(await history(system, other), EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    [sealed] = sent.workflow_execution_signaled_event_attributes.input.payloads
    before = await system.state(one)
    await _send_as_it_is(system, one, "cancel", sealed)
    await _is_written_down(system, one, "cancel", "malformed", before)
    damaged = Payload.FromString(sealed.SerializeToString())
    damaged.metadata["relais-bound-to"] = f"request-{one}".encode()
    before = await system.state(one)
    await _send_as_it_is(system, one, "cancel", damaged)
    await _is_written_down(system, one, "cancel", "malformed", before, 1)


async def _send_as_it_is(system: System, request_id: str, name: str, payload: Payload) -> None:
    """By the command line, for a client of ours would seal it again."""
    meta = [part for key, value in payload.metadata.items() for part in ("--input-meta", f"{key}={value.decode()}")]
    data = base64.b64encode(payload.data).decode()
    await signal(system, request_id, name, data, more=("--input-base64", *meta))


async def test_the_same_command_by_signal_and_update_acts_once(system: System) -> None:
    request_id = await pooled(system)
    command = said_by(system.provider, Role.PROVIDER)
    await signal(system, request_id, "accept", command)
    await signal(system, request_id, "accept", command)
    handle = system.workflow(request_id)
    first = await handle.execute_update("accept", command, id="one")
    second = await handle.execute_update("accept", command, id="two")
    await signal(system, request_id, "accept", command)
    assert first == second
    await quiet(system, request_id)
    assert await names(system, request_id) == ["submitted", "assigned", "accepted"]
    assert not await refused(system, request_id)


async def test_ids_that_relais_gives_itself_can_not_be_taken(system: System) -> None:
    """Else the clock's own call would look like a repetition, and the deadline would never come."""
    request_id = await assigned(system)
    state = await system.state(request_id)
    [deadline] = state.deadlines
    for taken in (
        f"relais:clock:acceptance:-:{deadline.started_at.isoformat()}:0",
        f"relais:{request_id}:{state.version + 1}:finalize",
    ):
        command = said_by(system.provider, Role.PROVIDER, id=taken, text="Depuis quand ?")
        await _is_refused(system, request_id, "request_information", "malformed", command)


async def test_a_deadline_of_the_system_comes_no_sooner_by_a_signal(system: System) -> None:
    request_id = await assigned(system)
    command = {"id": str(uuid4()), "actor": {"role": "system"}, "name": "acceptance"}
    await _is_refused(system, request_id, "deadline_reached", "deadline_not_due", command)


async def test_a_flood_of_wrong_signals_leaves_the_request_working(system: System) -> None:
    request_id = await submitted(system)
    handle = system.workflow(request_id)
    for number in range(60):
        await handle.signal("accept", f"nonsense {number}")
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Assez."}))
    assert (await handle.result())["status"] == "cancelled"
    assert len([r for r in await refused(system, request_id) if r.code == "malformed"]) == 60


async def test_every_command_has_its_signal_here() -> None:
    """The tests of this file, by the commands that they give."""
    here = {"submit", "assign", "accept", "transfer", "request_information", "answer_information", "cancel"}
    here |= {"withdraw_information_request", "return_to_requester", "return_to_dispatch", "resubmit", "change_priority"}
    here |= {"reassign", "add_information", "confirm_reading", "ask_follow_up", "answer_follow_up"}
    here |= {"withdraw_follow_up", "read_for_requester", "take_back"}
    here |= {"sign_report", "add_addendum", "acknowledge", "deadline_reached"}
    assert here == set(PUBLIC_COMMANDS), "a command needs a test here that gives it as a Signal, and its name above"


async def test_a_signal_reaches_nobody_before_submission_and_after_the_end(system: System) -> None:
    """Temporal itself says so to the sender: nothing seems taken that is not."""
    over = await closed(system)
    await system.workflow(over).result()  # its last e-mails are sent
    for request_id in (await draft(system), over):
        with pytest.raises(AssertionError, match=r"not found|completed"):
            await signal(system, request_id, "accept", said_by(system.provider, Role.PROVIDER))


async def test_the_command_line_shows_where_a_request_stands(system: System) -> None:
    request_id = await pooled(system)
    listed = await temporal(
        system,
        "workflow",
        "list",
        "--query",
        f"RequestStatus='awaiting_acceptance' AND WorkflowId='request-{request_id}'",
    )
    assert f"request-{request_id}" in listed
