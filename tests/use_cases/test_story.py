"""A request from its draft to its acceptance by use cases alone: what the next face builds on, with nothing of HTTP."""

import io
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import Status
from tests.journeys import PATIENT, filled
from tests.system import Clinician, System, photo
from use_cases import completeness, new_attachments
from use_cases.caller import Caller
from use_cases.commands import Call, came_before, carry_out
from use_cases.drafts import DraftChanges, NewDraft, change_draft, create_draft, remove_draft
from use_cases.new_attachments import SentFile
from use_cases.operations import end_deadline
from use_cases.orders import Accept, AssignBody, EndDeadline, ReasonBody, Submit
from use_cases.problems import Problem
from use_cases.requests import read_request

T = TypeVar("T")


async def attended(work: Coroutine[Any, Any, T]) -> T:
    """Nobody goes away here."""
    return await work


def caller(who: Clinician) -> Caller:
    return Caller(who.account, "token")


def call(who: Clinician, request_id: UUID, key: str | None = None, version: int | None = None) -> Call:
    return Call(caller(who), request_id, caller(who).command_id(key), version)


async def test_from_draft_to_acceptance(system: System) -> None:
    services, requester, offering = (
        system.services,
        caller(system.requester),
        system.services.offerings["teledermatology"],
    )
    draft = await create_draft(services, requester, NewDraft(offering="teledermatology"), uuid4().hex, "en")
    missing = await completeness.check(services, requester, draft.id)
    assert {"patient.given_name", "patient.family_name", "patient.birth_date"} <= {e.field for e in missing.errors}

    changes = DraftChanges.model_validate({"patient": PATIENT, "answers": filled(offering.form)})
    changed = await change_draft(services, requester, draft.id, changes, draft.version, "en")
    for slot in offering.attachments:
        for number in range(slot.minimum):
            place = await new_attachments.place_for(services, requester, draft.id, None)
            file = SentFile(io.BytesIO(photo((640 + number, 640))), "photo.jpg", slot.name)
            await new_attachments.add(services, requester, place, file, attended)
    assert (await completeness.check(services, requester, draft.id)).errors == ()

    submission = call(system.requester, draft.id, "submit")
    assert not await came_before(services, submission)
    submitted = await carry_out(services, submission, Submit())
    assert submitted.version > changed.version
    assert await came_before(services, submission)
    again = await carry_out(services, submission, Submit())
    assert (again.state, again.version) == ("done", submitted.version)

    if submitted.status is Status.AWAITING_DISPATCH:
        to = AssignBody(provider_id=system.provider.account.id)
        await carry_out(services, call(system.dispatcher, draft.id), to)
    accepted = await carry_out(services, call(system.provider, draft.id), Accept())
    assert accepted.status is Status.ACCEPTED
    view = await read_request(services, caller(system.provider), draft.id, "en")
    assert (view.status, view.access, view.allowed_commands) == (Status.ACCEPTED, "chart", accepted.allowed_commands)


async def test_what_cant_be_done_is_told_without_a_language(system: System) -> None:
    services, requester = system.services, caller(system.requester)
    draft = await create_draft(services, requester, NewDraft(offering="teledermatology"), None, "en")
    with pytest.raises(Problem) as problem:
        await carry_out(services, call(system.requester, draft.id), Submit())
    assert problem.value.code == "form_incomplete"
    assert ("patient.given_name", "required") in {(fault.field, fault.code) for fault in problem.value.errors}
    with pytest.raises(Problem) as problem:
        await carry_out(services, call(system.far_dispatcher, draft.id), Submit())
    assert problem.value.code == "not_found"
    with pytest.raises(Refusal) as refusal:
        await change_draft(services, requester, draft.id, DraftChanges(priority=Priority.STAT), None, "en")
    assert refusal.value.code is RefusalCode.STAT_REFUSED
    with pytest.raises(Refusal) as refusal:
        await change_draft(services, requester, draft.id, DraftChanges(), draft.version + 1, "en")
    assert refusal.value.code is RefusalCode.VERSION_CONFLICT
    with pytest.raises(Refusal) as refusal:
        await carry_out(services, call(system.requester, draft.id), ReasonBody(reason="Healed."))
    assert refusal.value.code is RefusalCode.NOT_ALLOWED_IN_STATUS
    with pytest.raises(Problem) as problem:
        await end_deadline(services, call(system.requester, draft.id), EndDeadline(name=DeadlineName.DISPATCH))
    assert problem.value.code == "forbidden"
    await remove_draft(services, requester, draft.id, draft.version)
    with pytest.raises(Problem) as problem:
        await read_request(services, requester, draft.id, "en")
    assert problem.value.code == "not_found"
