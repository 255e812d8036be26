"""The stories whose histories are kept here. `python -m tests.histories.record` plays them on the real system and stores them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.calendar import Calendar
from domain.clinic_calendar import ClinicCalendar, week_of
from domain.commands import RenewRules
from domain.offerings import Terms
from domain.requests import SYSTEM, Role
from records import requests
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.histories import FOLDER, KEYS
from tests.journeys import accepted, assigned, closed, ok, pooled, reported, returned, signed, submitted, written
from tests.mail.post_office import open_post_office
from tests.system import PASSWORD, System, run_system
from tests.workflow.branch import branch, workers
from tests.workflow.looks import names, now, quiet, raw_signal, refused, said_by, signal, skip_to
from workflows.contract import workflow_id


@pytest.fixture(scope="module")
async def stage(
    make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A system with the key that is kept with the histories, and a server that soon finds a history long."""
    url, folder = await make_database(migrated_template), tmp_path_factory.mktemp("stage")
    short = {"limit.historyCount.suggestContinueAsNew": 200}
    async with (
        open_post_office() as office,
        run_system(url, folder, office, encryption_keys=KEYS, server_limits=short) as system,
    ):
        yield system


async def keep(system: System, request_id: str, name: str) -> None:
    """Store the history of every run of the request, oldest first, as `name-1.json`, `name-2.json`, …"""
    await quiet(system, request_id)
    engine, identity = system.services.engine, workflow_id(UUID(request_id))
    query = f"WorkflowId = '{identity}'"
    current = (await system.workflow(request_id).describe()).run_id

    async def is_listed() -> bool:
        return current in [run.run_id async for run in engine.list_workflows(query)]

    await eventually(is_listed)
    runs = sorted([run async for run in engine.list_workflows(query)], key=lambda run: run.start_time)
    for number, run in enumerate(runs, 1):
        handle = engine.get_workflow_handle(identity, run_id=run.run_id)
        history = (await handle.fetch_history()).to_json_dict()
        (FOLDER / f"{name}-{number}.json").write_text(json.dumps(history, separators=(",", ":")))


async def play_taken_back(stage: System) -> None:
    """The wrong provider is chosen, and the wrong row accepted; both are taken back at once."""
    request_id = await submitted(stage)
    path = f"/requests/{request_id}"
    ok(await stage.dispatcher.post(f"{path}/assign", {"provider_id": stage.provider2.id}))
    ok(await stage.dispatcher.post(f"{path}/take-back"))
    ok(await stage.dispatcher.post(f"{path}/assign", {"provider_id": stage.provider.id}))
    ok(await stage.provider.post(f"{path}/accept"))
    ok(await stage.provider.post(f"{path}/take-back"))
    ok(await stage.requester.post(f"{path}/cancel", {"reason": "La patiente a été vue ailleurs."}))
    await keep(stage, request_id, "taken_back")


async def play_from_draft_to_acknowledgement_by_many_ways(stage: System) -> None:
    request_id = await pooled(stage)
    path = f"/requests/{request_id}"
    ask = {"text": "Depuis quand ?"}
    ok(await stage.provider.post(f"{path}/request-information", ask))
    ok(await stage.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}))
    ok(await stage.provider.post(f"{path}/accept"))
    ok(await stage.provider.post(f"{path}/transfer", {"provider_id": stage.provider2.id}))
    ok(await stage.provider2.post(f"{path}/return-to-dispatch", {"comment": "En vacances."}))
    ok(await stage.dispatcher.post(f"{path}/change-priority", {"priority": "urgent", "reason": "Douleur."}))
    ok(await stage.dispatcher.post(f"{path}/assign", {"provider_id": stage.provider.id}))
    back = {"reason": "incomplete_submission", "text": "Photos floues."}
    ok(await stage.provider.post(f"{path}/return-to-requester", back))
    ok(await stage.requester.post(f"{path}/resubmit"))
    ok(await stage.provider.post(f"{path}/accept"))
    ok(await stage.provider.post(f"{path}/request-information", ask))
    ok(await stage.provider.post(f"{path}/withdraw-information-request"))
    await written(stage, request_id)
    await signed(stage, request_id, "preliminary")
    await signed(stage, request_id)
    ok(await stage.requester.post(f"{path}/acknowledge", {"outcome": {"advice_followed": "yes"}}))
    await keep(stage, request_id, "many_ways")


async def play_every_clock(stage: System) -> None:
    request_id = await assigned(stage, priority="asap")
    path = f"/requests/{request_id}"
    await _later(stage, request_id, timedelta(hours=7))  # acceptance and dispatch
    ok(await stage.dispatcher.post(f"{path}/assign", {"provider_id": stage.provider.id}))
    ok(await stage.provider.post(f"{path}/accept"))
    await _later(stage, request_id, timedelta(days=1.1))
    ok(await stage.provider.post(f"{path}/request-information", {"text": "Depuis quand ?"}))
    await _later(stage, request_id, timedelta(days=2.1))
    ok(await stage.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}))
    ok(await stage.provider.post(f"{path}/return-to-dispatch", {"comment": "Non."}))
    back = {"reason": "not_eligible", "text": "Non."}
    ok(await stage.dispatcher.post(f"{path}/return-to-requester", back))
    await _later(stage, request_id, timedelta(days=31))
    assert (await stage.workflow(request_id).result())["status"] == "abandoned"
    await keep(stage, request_id, "every_clock")


async def _later(system: System, request_id: str, time: timedelta) -> None:
    moment = await now(system, request_id) + time
    await skip_to(system, request_id, moment)

    async def called() -> bool:
        upcoming = (await system.state(request_id)).next_deadline
        return upcoming is None or upcoming[0] > moment

    await eventually(called)
    await quiet(system, request_id)


async def play_signals_refused(stage: System) -> None:
    request_id = await submitted(stage)
    operator = {"role": "operator"}
    await signal(stage, request_id, "accept", said_by(stage.provider, Role.PROVIDER))
    await signal(stage, request_id, "accept", '"nonsense"')
    await signal(stage, request_id, "accept")
    await signal(stage, request_id, "approve", {"id": "1"})
    await raw_signal(stage, request_id, "accept")
    await signal(stage, request_id, "deadline_reached", {"id": "s1", "actor": operator, "name": "dispatch"})
    await signal(stage, request_id, "cancel", {"id": str(uuid4()), "actor": operator, "reason": "Doublon."})
    await stage.workflow(request_id).result()
    assert len(await refused(stage, request_id)) == 5
    await keep(stage, request_id, "signals_refused")


async def play_cancelled_in_the_temporal_ui(stage: System) -> None:
    request_id = await returned(stage)
    await stage.workflow(request_id).cancel(reason="Ouverte par erreur.")
    assert (await stage.workflow(request_id).result())["status"] == "cancelled"
    await keep(stage, request_id, "cancelled_in_ui")
    in_vain = await reported(stage)
    await stage.workflow(in_vain).cancel(reason="Trop tard.")
    await eventually(lambda: _is_refused(stage, in_vain))
    ok(await stage.requester.post(f"/requests/{in_vain}/acknowledge"))
    await stage.workflow(in_vain).result()
    await keep(stage, in_vain, "cancelled_in_vain")


async def _is_refused(system: System, request_id: str) -> bool:
    return bool(await refused(system, request_id))


async def play_addendum_after_the_end(stage: System) -> None:
    request_id = await closed(stage)
    body = {"text": "Complément.", "password": PASSWORD}
    ok(await stage.provider.post(f"/requests/{request_id}/report/addenda", body))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "addendum")


async def play_signing_failed_and_mail_refused(stage: System) -> None:
    stage.post_office.at_recipient[stage.requester.account.email] = "550 No such person"
    request_id = await accepted(stage)
    command = said_by(stage.provider, Role.PROVIDER, kind="final", report_id=str(uuid4()), content_sha256="0" * 64)
    await signal(stage, request_id, "sign_report", command)

    async def has_failed() -> bool:
        return (await names(stage, request_id))[-1] == "signing_failed"

    await eventually(has_failed)
    await keep(stage, request_id, "signing_failed")
    stage.post_office.calm_down()


async def play_lost_and_taken_up_again(stage: System) -> None:
    request_id = await accepted(stage)
    await quiet(stage, request_id)
    await stage.workflow(request_id).terminate("lost")
    ok(await stage.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
    await keep(stage, request_id, "lost")


async def play_continued_as_new(stage: System) -> None:
    request_id = await accepted(stage)
    handle = stage.workflow(request_id)
    first = (await handle.describe()).run_id
    path = f"/requests/{request_id}/request-information"
    while (await handle.describe()).run_id == first:
        answers = await asyncio.gather(*(stage.provider.post(path, {"text": f"Question {n} ?"}) for n in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        await quiet(stage, request_id)
    ok(await stage.requester.post(f"/requests/{request_id}/cancel", {"reason": "Assez."}))
    await handle.result()
    await keep(stage, request_id, "continued")


async def play_mail_gathered_and_handed_on(stage: System) -> None:
    """E-mails of an event wait for each other; one address is refused, and one e-mail is not taken at first."""
    async with branch(stage, mail_gather_seconds=2.0) as gathering, workers(gathering):
        office = stage.post_office
        office.at_recipient[stage.provider.account.email] = "550 5.1.1 No such person"
        office.at_recipient[stage.requester.account.email] = "450 4.2.1 Later"
        request_id = await assigned(gathering)
        await quiet(gathering, request_id)
        office.calm_down()
        ok(await gathering.provider.post(f"/requests/{request_id}/accept"))
        ok(await gathering.requester.post(f"/requests/{request_id}/cancel", {"reason": "Vue ailleurs."}))
        await gathering.workflow(request_id).result()
        await keep(gathering, request_id, "mail_gathered")


async def play_handed_on_and_read_without_delay(stage: System) -> None:
    """Handed on while a question is open, the promised clock with it; it gets worse; an urgent report is read at last."""
    request_id = await accepted(stage)
    path, reason = f"/requests/{request_id}", {"reason": "En congé de maladie."}
    ok(await stage.provider.post(f"{path}/request-information", {"text": "Depuis quand ?"}))
    ok(await stage.administrator.post(f"{path}/reassign", {"dispatch": True, **reason}))
    ok(await stage.dispatcher.post(f"{path}/assign", {"provider_id": stage.provider2.id}))
    ok(await stage.dispatcher.post(f"{path}/reassign", {"clinic_id": str(stage.clinics["near"].id), **reason}))
    ok(await stage.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}))
    ok(await stage.requester.post(f"{path}/add-information", {"text": "La lésion saigne.", "worse": True}))
    ok(await stage.provider.post(f"{path}/accept"))
    ok(await stage.provider.post(f"{path}/change-priority", {"priority": "asap", "reason": "Elle saigne."}))
    await written(stage, request_id, urgent=True)
    await signed(stage, request_id, "preliminary")
    await _later(stage, request_id, timedelta(hours=6))
    ok(await stage.administrator.post(f"{path}/confirm-reading"))
    ok(await stage.requester.post(f"{path}/cancel", {"reason": "Hospitalisée."}))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "handed_on")


async def play_taken_back_and_waited_for(stage: System) -> None:
    """An urgent report that nobody reads at first: what would end the request waits; then a question that is taken back."""
    request_id = await accepted(stage)
    path = f"/requests/{request_id}"
    await written(stage, request_id, urgent=True)
    await signed(stage, request_id)
    await _later(stage, request_id, timedelta(hours=6))
    ok(await stage.dispatcher.post(f"{path}/confirm-reading"))
    ok(await stage.requester.post(f"{path}/acknowledge"))
    await stage.workflow(request_id).result()
    ok(await stage.requester.post(f"{path}/ask-follow-up", {"text": "Combien de fois par jour?"}))
    ok(await stage.requester.post(f"{path}/withdraw-follow-up"))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "waited_for")


async def play_cancelled_unread(stage: System) -> None:
    """An urgent report that nobody has read: neither its requester nor the Temporal UI cancels the request, until it is."""
    request_id = await accepted(stage)
    path, reason = f"/requests/{request_id}", {"reason": "Vue ailleurs."}
    await written(stage, request_id, urgent=True)
    await signed(stage, request_id, "preliminary")
    assert (await stage.requester.post(f"{path}/cancel", reason)).json()["code"] == "urgent_report_unread"
    await stage.workflow(request_id).cancel(reason="Ouverte par erreur.")
    await eventually(lambda: _is_refused(stage, request_id))
    await _later(stage, request_id, timedelta(hours=6))
    ok(await stage.dispatcher.post(f"{path}/confirm-reading"))
    ok(await stage.requester.post(f"{path}/cancel", reason))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "cancelled_unread")


async def play_rules_renewed(stage: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitted under the first rules, moved to the second while a question is open, ended under them."""
    monkeypatch.setattr(requests, "CURRENT", 1)
    monkeypatch.setattr(Terms, "on", lambda self, _calendar: self)
    request_id = await accepted(stage)
    path = f"/requests/{request_id}"
    ok(await stage.provider.post(f"{path}/request-information", {"text": "Depuis quand ?"}))
    await quiet(stage, request_id)
    monkeypatch.undo()
    calendar = ClinicCalendar().frozen_at(await now(stage, request_id))
    renewal = RenewRules(id="rules-2", actor=SYSTEM, rules=2, calendar=calendar, reason="Nouvelle version.")
    await stage.workflow(request_id).signal(renewal.type, renewal)

    async def is_renewed() -> bool:
        return (await names(stage, request_id))[-1] == "rules_renewed"

    await eventually(is_renewed)
    ok(await stage.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}))
    ok(await stage.provider.post(f"{path}/return-to-dispatch", {"comment": "En vacances."}))
    ok(await stage.requester.post(f"{path}/cancel", {"reason": "Vue ailleurs."}))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "renewed")


async def play_clocks_in_office_hours(stage: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second rules, an offering whose clocks pass only while the clinic works."""
    office = ClinicCalendar(week=week_of(["mon-fri 08:00-12:00 13:00-17:00"]))
    plain = Terms.on

    def in_office_hours(terms: Terms, calendar: Calendar) -> Terms:
        frozen = office.frozen_at(datetime.now(UTC))
        return plain(terms.model_copy(update={"service_hours": "clinic"}), frozen)

    monkeypatch.setattr(Terms, "on", in_office_hours)
    request_id = await assigned(stage, priority="asap")
    await _later(stage, request_id, timedelta(days=6))  # acceptance and dispatch
    ok(await stage.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": stage.provider.id}))
    ok(await stage.provider.post(f"/requests/{request_id}/accept"))
    await _later(stage, request_id, timedelta(days=4))
    ok(await stage.requester.post(f"/requests/{request_id}/cancel", {"reason": "Vue ailleurs."}))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "office_hours")


async def play_signed_apart(stage: System) -> None:
    """Documents that are made on the task queue for them: preliminary report, final report."""
    request_id = await accepted(stage)
    await written(stage, request_id)
    await signed(stage, request_id, "preliminary")
    await signed(stage, request_id)
    ok(await stage.requester.post(f"/requests/{request_id}/acknowledge"))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "signed_apart")


async def play_asked_about(stage: System) -> None:
    """Asked about the report, acknowledged meanwhile, answered late; asked again when it is over, answered by an addendum."""
    request_id = await reported(stage)
    path = f"/requests/{request_id}"
    ok(await stage.requester.post(f"{path}/ask-follow-up", {"text": "Combien de fois par jour?"}))
    ok(await stage.requester.post(f"{path}/acknowledge"))
    await _later(stage, request_id, timedelta(days=9))
    ok(await stage.provider.post(f"{path}/answer-follow-up", {"text": "Deux fois."}))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "asked_about")
    ok(await stage.requester.post(f"{path}/ask-follow-up", {"text": "Et pendant combien de jours?"}))
    (_, question) = (await stage.provider.view(request_id))["follow_ups"]
    body = {"text": "Dix jours.", "password": PASSWORD, "follow_up_id": question["id"]}
    ok(await stage.provider.post(f"{path}/report/addenda", body))
    await stage.workflow(request_id).result()
    await keep(stage, request_id, "asked_about")
