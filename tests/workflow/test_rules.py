"""Requests under way and a change of the rules: each keeps its version until it is asked to move, at a quiet moment, visibly."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain import rules
from domain.clinic_calendar import ClinicCalendar
from domain.commands import Submit
from domain.events import Event
from domain.lifecycle import rebuild
from domain.priority import Priority
from domain.requests import Actor, FormVersion, Request, Role, Source
from domain.rules import CURRENT
from records import people, renewals, requests
from records.models import RequestRecord
from tests.eventually import eventually
from tests.journeys import accepted, draft, ok, submitted
from tests.system import System
from tests.workflow.looks import (
    current_details,
    names,
    projected,
    quiet,
    refused,
    signal,
    timeline,
)
from use_cases.renewal import Asked, renew_calendar, renew_rules
from workflows.contract import TELECONSULTATION, Start, workflow_id


@pytest.fixture
def before_the_upgrade(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Requests are submitted as the version before did, until `undo`."""
    monkeypatch.setattr(requests, "CURRENT", 1)
    monkeypatch.setattr("domain.offerings.Terms.on", lambda self, calendar: self)
    return monkeypatch


def _quietly(_asked: Asked) -> None: ...


async def _renew_all(system: System) -> Asked:
    services = system.services
    return await renew_rules(
        services.engine, services.database, per_second=500, reason="Nouvelle version.", say=_quietly
    )


async def _renewed(system: System, request_id: str) -> None:
    """Wait until the records show the request under the current rules."""

    async def is_there() -> bool:
        return (await projected(system, request_id)).rules == CURRENT

    await eventually(is_there)


async def test_an_open_request_moves_to_the_current_rules_when_it_is_asked(
    system: System, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    request_id = await accepted(system)
    await quiet(system, request_id)
    before_the_upgrade.undo()
    was = await projected(system, request_id)
    first_run = (await system.workflow(request_id).describe()).run_id
    assert (was.rules, was.terms.calendar) == (1, None)
    async with system.services.database.session() as session:
        assert (await renewals.count_by_rules(session))[1][0] >= 1

    assert (await _renew_all(system)).asked >= 1
    await _renewed(system, request_id)
    await quiet(system, request_id)

    event = (await timeline(system, request_id))[-1]
    assert (event.name, event.source, event.actor_role) == ("rules_renewed", Source.ENGINE, Role.SYSTEM)
    assert (event.command["rules_before"], event.command["rules"]) == (1, CURRENT)
    assert (event.command["reason"], event.command["clocks"]) == ("Nouvelle version.", [])
    became = await projected(system, request_id)
    assert became == await system.state(request_id)
    assert became.deadlines == was.deadlines, "what was promised stays promised"
    assert became.terms.calendar == ClinicCalendar().frozen_at(datetime.now(UTC)).whole_days()
    assert (await system.workflow(request_id).describe()).run_id != first_run
    assert f"**rules** {CURRENT}" in await current_details(system, request_id)
    assert await _rebuilt(system, request_id) == became

    again = await names(system, request_id)
    await _renew_all(system)
    view: Any = ok(await system.provider.get(f"/requests/{request_id}/timeline"))
    assert view[-1]["details"]["rules_before"] == 1
    assert await names(system, request_id) == again, "asked again, nothing happens again"


async def _rebuilt(system: System, request_id: str) -> Request:
    """The state by the events in the records alone, beginning as a draft of the first version."""
    rows = await timeline(system, request_id)
    columns = set(Event.model_fields)
    events = [Event.model_validate({name: getattr(row, name) for name in columns}) for row in rows]
    became = await projected(system, request_id)
    beginning = Request(
        id=became.id,
        number=became.number,
        holder=events[0].holder_before,
        requester=became.requester,
        dispatch_clinic_id=became.dispatch_clinic_id,
        terms=became.terms.model_copy(update={"calendar": None}),
        created_at=became.created_at,
    )
    return rebuild(beginning, events)


async def test_the_new_clocks_pass_by_the_new_calendar(system: System, before_the_upgrade: pytest.MonkeyPatch) -> None:
    request_id = await accepted(system)
    before_the_upgrade.undo()
    await _renew_all(system)
    await _renewed(system, request_id)
    ok(await system.provider.post(f"/requests/{request_id}/return-to-dispatch", {"comment": "Non."}))
    [clock] = (await projected(system, request_id)).deadlines
    assert clock.calendar == (await projected(system, request_id)).terms.calendar


async def test_commands_and_a_renewal_at_the_same_time(system: System, before_the_upgrade: pytest.MonkeyPatch) -> None:
    """Whatever comes while the run ends and the next begins is taken, once."""
    ids = [await accepted(system) for _ in range(4)]
    before_the_upgrade.undo()

    async def ask(request_id: str, number: int) -> int:
        path = f"/requests/{request_id}/request-information"
        return (await system.provider.post(path, {"text": f"Question {number} ?"})).status_code

    asks = [ask(request_id, number) for request_id in ids for number in range(5)]
    statuses, _ = await asyncio.gather(asyncio.gather(*asks), _renew_all(system))
    assert set(statuses) <= {200, 202}
    for request_id in ids:
        await _renewed(system, request_id)
        await quiet(system, request_id)
        happened = await names(system, request_id)
        assert happened.count("information_requested") == 5
        assert happened.count("rules_renewed") == 1


async def test_a_clinics_new_calendar_moves_open_requests_only_when_it_is_asked(system: System) -> None:
    request_id = await submitted(system)
    await quiet(system, request_id)
    was = await projected(system, request_id)
    due = was.due_at
    assert due is not None
    days = [(due + timedelta(days=number)).date().isoformat() for number in range(-1, 3)]
    clinic_id, services = was.dispatch_clinic_id, system.services
    await _set_calendar(system, clinic_id, {"also_closed": days})
    try:
        assert (await projected(system, request_id)) == was
        await renew_calendar(
            services.engine, services.database, clinic_id, per_second=500, reason="Fermé.", say=_quietly
        )

        async def has_moved() -> bool:
            return (await names(system, request_id))[-1] == "rules_renewed"

        await eventually(has_moved)
    finally:
        await _set_calendar(system, clinic_id, {})
    became = await projected(system, request_id)
    [moved] = (await timeline(system, request_id))[-1].command["clocks"]
    assert moved["name"] == "dispatch"
    assert datetime.fromisoformat(moved["due_before"]) == due
    assert datetime.fromisoformat(moved["due_after"]) == became.due_at
    assert became.due_at is not None
    assert became.due_at.date().isoformat() not in days
    assert became.due_at > due


async def _set_calendar(system: System, clinic_id: Any, calendar: dict[str, Any]) -> None:
    async with system.services.database.session() as session:
        clinic = await people.load_clinic(session, clinic_id)
        assert clinic is not None
        clinic.calendar = calendar


async def test_a_renewal_to_rules_that_nobody_has_is_refused_and_written_down(system: System) -> None:
    request_id = await submitted(system)
    asked = {"id": "rules-99", "actor": {"role": "system"}, "rules": 99, "reason": "Demain."}
    await signal(system, request_id, "renew_rules", asked)

    async def is_refused() -> bool:
        return bool(await refused(system, request_id))

    await eventually(is_refused)
    [refusal] = await refused(system, request_id)
    assert (refusal.name, refusal.code, refusal.command_id) == ("renew_rules", "rules_unknown", "rules-99")
    assert (await projected(system, request_id)).rules == CURRENT


async def test_a_worker_that_is_older_than_the_rules_decides_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks fail until a worker comes that knows them; the API says that it can't, and nothing is lost."""
    new = CURRENT + 1
    monkeypatch.setitem(rules.RULES, new, replace(rules.RULES[CURRENT], version=new))
    monkeypatch.setattr(requests, "CURRENT", new)
    request_id = await draft(system)
    async with system.services.database.session() as session:
        row = await session.get(RequestRecord, request_id)
        assert row is not None
        row.process = {**row.process, "rules": new}
    monkeypatch.undo()
    answer = await system.requester.get(f"/requests/{request_id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "newer_rules")
    assert answer.headers["Retry-After"]


async def test_a_submission_that_the_rules_refuse_at_the_start_ends_its_workflow(system: System) -> None:
    """By the rules of the worker, which may be other ones than the API's: the refusal is noted, and the draft stays one."""
    request_id = await draft(system)
    state = await projected(system, request_id)
    command = Submit(
        id=str(uuid4()),
        actor=Actor(role=Role.REQUESTER, id=state.requester.id, clinic_id=state.requester.clinic_id),
        form=FormVersion(number=1, sha256="0" * 64),
        priority=Priority.STAT,
    )
    receipt = await system.services.engine.execute_workflow(
        TELECONSULTATION,
        Start(request=state, command=command, mail_task_queue=system.services.settings.mail_task_queue),
        id=workflow_id(state.id),
        task_queue=system.services.settings.task_queue,
    )
    assert receipt["status"] == "draft"
    [refusal] = await refused(system, request_id)
    assert (refusal.name, refusal.code, refusal.command_id) == ("submit", "stat_refused", command.id)
