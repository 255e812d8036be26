"""Nothing waits for somebody to whom it is shut: however it came to them, Relais takes it from them, or others are told."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from domain.audit import Act
from domain.commands import Accept
from domain.requests import Actor, Role
from records import commands as ledger
from records import requests, restrictions, shut_holders
from records.models import AuditEntry, GivenCommand, Notice, RequestRecord
from tests.api.answers import problem
from tests.api.test_changes import follow
from tests.api.test_restrictions import restricted
from tests.eventually import eventually
from tests.journeys import accepted, asked_about, assigned, ok, pooled, reported, returned, submitted
from tests.system import Clinician, System, add_person
from tests.workflow.looks import said_by, signal
from tests.workflow.test_signals import FORM
from use_cases import giving
from use_cases.by_hand import end_restriction, restrictions_of
from use_cases.problems import Problem
from use_cases.repair import repair
from use_cases.shut_holders import take_away_all

WHY = "Parenté avec la personne."


@pytest.fixture(scope="module", autouse=True)
async def near(system: System) -> None:
    """More people of the near clinic, so that one may be shut out and another one is left."""
    clinic = system.clinics["near"]
    await add_person(system, "dispatcher2", clinic, Role.DISPATCHER)
    await add_person(system, "administrator2", clinic, Role.CLINIC_ADMINISTRATOR)
    await add_person(system, "writer", clinic, Role.REQUESTER, Role.CLINIC_ADMINISTRATOR)


async def newcomer(system: System, *roles: Role) -> Clinician:
    return await add_person(system, f"newcomer_{uuid4().hex}", system.clinics["near"], *roles)


async def shut(
    system: System, request_id: str, account: Clinician | None = None, category: tuple[UUID, Role] | None = None
) -> None:
    """A restriction alone, as if nothing could follow from it at that moment."""
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        account_id, by = account.account.id if account else None, system.administrator.account.id
        await restrictions.add(session, row.id, account_id, category, reason=WHY, set_by=by, now=datetime.now(UTC))


async def held_by(system: System, person: Clinician) -> str:
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": person.id}))
    ok(await person.post(f"/requests/{request_id}/accept"))
    return request_id


async def is_back(system: System, request_id: str) -> bool:
    return bool((await system.dispatcher.view(request_id))["status"] == "awaiting_dispatch")


async def comes_back(system: System, request_id: str) -> None:
    async def back() -> bool:
        return await is_back(system, request_id)

    await eventually(back)


async def stuck_notices(system: System, request_id: str) -> list[str]:
    async with system.services.database.session() as session:
        query = select(Notice.account_id).where(Notice.request_id == UUID(request_id), Notice.event == "stuck")
        return [str(id_) for id_ in await session.scalars(query)]


async def given_by_relais(system: System, request_id: str) -> list[GivenCommand]:
    async with system.services.database.session() as session:
        query = select(GivenCommand).where(GivenCommand.request_id == UUID(request_id))
        rows = await session.scalars(query.order_by(GivenCommand.number))
        return [row for row in rows if row.command_id.startswith(ledger.TAKEN_AWAY)]


# Every way into the hands of somebody who must not see it


def _to(person: Clinician) -> dict[str, str]:
    return {"id": person.id, "clinic_id": str(person.account.clinic_id)}


async def _assign(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    return "assign", said_by(system.dispatcher, Role.DISPATCHER, to=_to(system.provider))


async def _assign_to_pool(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    pool = {"clinic_id": str(system.clinics["near"].id)}
    return "assign", said_by(system.dispatcher, Role.DISPATCHER, to=pool)


async def _reassign(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    said = {"to": _to(system.provider), "reason": "Congé."}
    return "reassign", said_by(system.dispatcher, Role.DISPATCHER, **said)


async def _transfer(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider2.id}))
    return "transfer", said_by(system.provider2, Role.PROVIDER, to=_to(system.provider))


async def _accept(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    return "accept", said_by(system.provider, Role.PROVIDER)


async def _take_back(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider2.id}))
    return "take_back", said_by(system.dispatcher, Role.DISPATCHER)


async def _resubmit(system: System, request_id: str) -> tuple[str, dict[str, Any]]:
    return "resubmit", said_by(system.requester, Role.REQUESTER, form=FORM)


WAYS: Mapping[str, tuple[Any, Any]] = {
    "assigned": (submitted, _assign),
    "assigned to a pool": (submitted, _assign_to_pool),
    "reassigned": (None, _reassign),
    "transferred": (submitted, _transfer),
    "accepted": (pooled, _accept),
    "taken back": (assigned, _take_back),
    "submitted again": (returned, _resubmit),
}
"""How somebody comes to hold a request: by Signals, which no order looks at. Clocks give to dispatch and requesters alone."""


@pytest.mark.parametrize("way", WAYS)
async def test_by_whatever_way_it_came_it_is_taken_from_them(system: System, way: str) -> None:
    begin, command_of = WAYS[way]
    request_id = await (begin(system) if begin else held_by(system, system.provider2))
    name, command = await command_of(system, request_id)
    if way == "assigned to a pool":
        await shut(system, request_id, category=(system.clinics["near"].id, Role.PROVIDER))
    else:
        await shut(system, request_id, system.provider)
    before = await system.state(request_id)
    await signal(system, request_id, name, command)

    async def taken() -> bool:
        async with system.services.database.session() as session:
            row = await requests.load_process(session, UUID(request_id))
            return row is not None and row.process_version >= before.version + 2

    await eventually(taken)
    events = (await system.dispatcher.get(f"/requests/{request_id}/timeline")).json()
    assert (events[-1]["name"], events[-1]["by"]) == ("reassigned", None)
    assert await is_back(system, request_id)
    assert "restri" not in str(events[-1]).lower()


async def test_what_is_being_accepted_while_it_is_shut_is_taken_away_after_it(system: System) -> None:
    """The restriction is written at once; what follows from it follows when the command on its way has acted."""
    request_id = await pooled(system)
    who = system.provider.account
    command = Accept(id=str(uuid4()), actor=Actor(id=who.id, role=Role.PROVIDER, clinic_id=who.clinic_id))
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        await ledger.write_down(session, row, command, account_id=who.id, now=datetime.now(UTC))
    await restricted(system, request_id, account_id=system.provider.id)
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    await signal(system, request_id, "accept", command.model_dump(mode="json"))
    await comes_back(system, request_id)


# A second chance


async def test_the_same_again_takes_away_what_is_still_there(system: System) -> None:
    request_id = await accepted(system)
    await shut(system, request_id, system.provider)
    await restricted(system, request_id, account_id=system.provider.id)
    await comes_back(system, request_id)


async def test_what_was_refused_is_tried_again_by_the_repair(system: System) -> None:
    request_id = await accepted(system)
    await shut(system, request_id, system.provider)
    request = await system.state(request_id)
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        session.add(
            GivenCommand(
                request_id=row.id,
                command_id=f"{ledger.TAKEN_AWAY}{request.version}",
                name="reassign",
                account_id=system.administrator.account.id,
                command={},
                given_at=datetime.now(UTC),
                settled_at=datetime.now(UTC),
                refusal="internal_error",
            )
        )
    report = await repair(system.services)
    assert report.taken_away >= 1
    await comes_back(system, request_id)
    (again,) = await given_by_relais(system, request_id)
    assert (again.refusal, again.event) == (None, "reassigned")
    assert await written_of_relais(system, request_id) == [], "tried again, it is the same command"


async def test_what_waits_for_the_engine_takes_nothing_away_once_the_restriction_has_ended(system: System) -> None:
    """Whether it is needed is looked at again right before it is given; shut anew, it is given under the same id."""
    request_id = await accepted(system)
    await shut(system, request_id, system.provider)
    given = await _written_while_the_engine_is_away(system, request_id)
    path = f"/requests/{request_id}/restrictions"
    (restriction,) = ok(await system.administrator.get(path))["restrictions"]
    ok(await system.administrator.post(f"{path}/{restriction['id']}/end", {"reason": WHY}))
    for _ in range(2):
        await giving.give_again(system.services, given)
    (after,) = await given_by_relais(system, request_id)
    assert (after.command_id, after.refusal, after.event) == (given.command_id, "not_needed", None)
    view = await system.provider.view(request_id)
    assert (view["status"], view["holder"]["person"]["id"]) == ("accepted", system.provider.id)
    assert await notices_of_refusals(system, request_id) == []
    problem(await system.administrator.get(f"/requests/{request_id}/commands/{given.command_id}"), 404, "not_found")

    await restricted(system, request_id, account_id=system.provider.id)
    await comes_back(system, request_id)
    (again,) = await given_by_relais(system, request_id)
    assert (again.command_id, again.event) == (given.command_id, "reassigned")


async def test_what_waits_for_the_engine_is_taken_away_while_another_restriction_holds(system: System) -> None:
    request_id = await accepted(system)
    await shut(system, request_id, category=(system.clinics["near"].id, Role.PROVIDER))
    await shut(system, request_id, system.provider)
    given = await _written_while_the_engine_is_away(system, request_id)
    path = f"/requests/{request_id}/restrictions"
    newest = ok(await system.administrator.get(path))["restrictions"][0]
    ok(await system.administrator.post(f"{path}/{newest['id']}/end", {"reason": WHY}))
    await giving.give_again(system.services, given)
    await comes_back(system, request_id)


async def test_what_lies_in_the_engine_is_left_to_act(system: System) -> None:
    """A Signal can't be called back: what it did is told as it was."""
    request_id = await accepted(system)
    await shut(system, request_id, system.provider)
    given = await _written_while_the_engine_is_away(system, request_id)
    async with system.services.database.session() as session:
        await ledger.note_queued(session, UUID(request_id), given.command_id, datetime.now(UTC))
    path = f"/requests/{request_id}/restrictions"
    (restriction,) = ok(await system.administrator.get(path))["restrictions"]
    ok(await system.administrator.post(f"{path}/{restriction['id']}/end", {"reason": WHY}))
    await giving.give_again(system.services, given)
    await comes_back(system, request_id)


async def _written_while_the_engine_is_away(system: System, request_id: str) -> GivenCommand:
    """What is to take the request away, written down and not given yet."""
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        given = await shut_holders.take_away(session, row, datetime.now(UTC))
    assert given is not None
    return given


async def notices_of_refusals(system: System, request_id: str) -> list[UUID]:
    async with system.services.database.session() as session:
        query = select(Notice.id).where(Notice.request_id == UUID(request_id), Notice.event == "command_refused")
        return list(await session.scalars(query))


async def test_what_is_taken_away_stands_in_the_audit_once(system: System) -> None:
    request_id = await accepted(system)
    await shut(system, request_id, system.provider)
    await repair(system.services)
    await comes_back(system, request_id)
    assert await written_of_relais(system, request_id) == [("reassign", "system")]


async def written_of_relais(system: System, request_id: str) -> list[tuple[str | None, str | None]]:
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == UUID(request_id), AuditEntry.kind == Act.COMMAND)
        return [(one.name, one.side) for one in await session.scalars(query) if one.account_id is None]


async def test_one_that_cannot_be_read_holds_up_no_other(system: System) -> None:
    """Of a newer Relais, say: the repair goes on with those after it."""
    broken, other = await accepted(system), await accepted(system)
    await shut(system, broken, system.provider)
    await shut(system, other, system.provider)
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(broken))
        as_it_is = dict(row.process)
        row.process = {**as_it_is, "status": "of_another_relais"}
    try:
        await take_away_all(system.services, now=datetime.now(UTC) + timedelta(hours=2))
        await comes_back(system, other)
    finally:
        async with system.services.database.session() as session:
            (await requests.lock_request(session, UUID(broken))).process = as_it_is
    await repair(system.services)
    await comes_back(system, broken)


async def test_one_that_cannot_be_told_of_holds_up_no_other(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the database or the engine raises of it."""
    broken, other = await accepted(system), await accepted(system)
    await shut(system, broken, system.provider)
    await shut(system, other, system.provider)
    plan, tried = shut_holders.is_stuck, list[UUID]()

    async def is_stuck(session: Any, row: RequestRecord) -> bool:
        tried.append(row.id)
        if str(row.id) == broken:
            raise OperationalError("a statement", {}, Exception("the connection is gone"))
        return await plan(session, row)

    monkeypatch.setattr(shut_holders, "is_stuck", is_stuck)
    await take_away_all(system.services)
    assert {UUID(broken), UUID(other)} <= set(tried)


async def test_where_it_stays_others_are_told_once(system: System) -> None:
    """While a document is made nothing can be taken away; should that last, whoever can do something hears of it."""
    request_id = await accepted(system)
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        as_it_is = dict(row.process)
        signing = {
            **{"report_id": str(uuid4()), "kind": "preliminary", "content_sha256": "0" * 64},
            **{"signer": _to(system.provider), "signed_at": datetime.now(UTC).isoformat()},
        }
        row.process = {**as_it_is, "signing": signing}
    await restricted(system, request_id, account_id=system.provider.id)
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    await take_away_all(system.services)
    assert await given_by_relais(system, request_id) == []
    assert await stuck_notices(system, request_id) == []
    for _ in range(2):
        await take_away_all(system.services, now=datetime.now(UTC) + timedelta(hours=2))
    told_of_it = await stuck_notices(system, request_id)
    assert {system.dispatcher.id, system.administrator.id} <= {*told_of_it}
    assert system.provider.id not in told_of_it
    assert len(told_of_it) == len({*told_of_it}), "nobody is told twice"
    async with system.services.database.session() as session:
        (await requests.lock_request(session, UUID(request_id))).process = as_it_is
    await take_away_all(system.services)
    await comes_back(system, request_id)


# A role that comes later, and whoever leaves


async def test_who_gains_a_role_that_is_shut_keeps_nothing(system: System) -> None:
    who, near = await newcomer(system, Role.PROVIDER), str(system.clinics["near"].id)
    request_id, other = await held_by(system, who), await held_by(system, who)
    await restricted(system, request_id, clinic_id=near, role="requester")
    assert (await who.view(request_id))["access"] == "chart"
    _, after = await follow(system, who, "/api/v1/changes")
    path = f"/api/v1/accounts/{who.id}"
    change = {"roles": ["provider", "requester"]}
    ok(await system.administrator.http.patch(path, json=change))
    problem(await who.get(f"/requests/{request_id}"), 404, "not_found")
    await comes_back(system, request_id)
    items, after = await follow(system, who, after)
    told = [(one["kind"], one["request_id"]) for one in items]
    assert ("gone", request_id) in told
    assert ("gone", other) not in told
    assert (await who.view(other))["status"] == "accepted", "what is not shut stays"
    ok(await system.administrator.http.patch(path, json={"roles": ["provider"]}))
    items, _ = await follow(system, who, after)
    assert ("seen", request_id) in [(one["kind"], one["request_id"]) for one in items], "and again without the role"


async def test_who_leaves_leaves_nothing_with_themselves_that_others_must_not_see(system: System) -> None:
    """Whoever lets them go does not learn which requests they held that are shut to themself; these go back to dispatch."""
    for address in ("leave", "lock"):
        who = await newcomer(system, Role.PROVIDER)
        hidden = await held_by(system, who)
        await restricted(system, hidden, account_id=system.administrator2.id)
        path = f"/api/v1/accounts/{who.id}/{address}"
        answer = await system.administrator2.http.post(path, json={} if address == "leave" else None)
        assert hidden not in answer.text
        ok(answer)
        await comes_back(system, hidden)


async def test_what_is_handed_over_is_what_who_hands_over_sees(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    hidden, shown = await held_by(system, who), await held_by(system, who)
    await restricted(system, hidden, account_id=system.administrator2.id)
    path = f"/api/v1/accounts/{who.id}/leave"
    refused = problem(await system.administrator2.http.post(path, json={}), 409, "still_holds_requests")
    assert "1" in str(refused["detail"])
    going = {"hand_over": {"provider_id": system.provider2.id, "reason": "Départ."}}
    left = ok(await system.administrator2.http.post(path, json=going))
    assert [one["request_id"] for one in left["handed_over"]] == [shown]
    await comes_back(system, hidden)


# A question about a report


async def test_a_question_about_a_report_does_not_wait_for_a_signer_who_is_shut_out(system: System) -> None:
    request_id = await asked_about(system)
    problem(await system.provider2.post(f"/requests/{request_id}/answer-follow-up", {"text": "Oui."}), 404, "not_found")
    await restricted(system, request_id, account_id=system.provider.id)
    assert "answer_follow_up" in (await system.provider2.view(request_id))["allowed_commands"]
    listed = ok(await system.provider2.get("/requests", params={"todo": "true", "limit": "200"}))
    assert request_id in {row["id"] for row in listed["items"]}
    ok(await system.provider2.post(f"/requests/{request_id}/answer-follow-up", {"text": "Deux fois par jour."}))


async def test_a_question_may_be_asked_where_a_colleague_answers(system: System) -> None:
    request_id = await reported(system)
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    await restricted(system, request_id, account_id=system.provider.id)
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de jours ?"}))

    async def told_of_it() -> bool:
        async with system.services.database.session() as session:
            asked = Notice.request_id == UUID(request_id), Notice.event == "follow_up_asked"
            found = set(await session.scalars(select(Notice.account_id).where(*asked)))
        return system.provider2.account.id in found and system.provider.account.id not in found

    await eventually(told_of_it)


async def test_where_nobody_is_left_to_answer_others_are_told(system: System) -> None:
    request_id = await asked_about(system)
    await restricted(system, request_id, clinic_id=str(system.clinics["near"].id), role="provider")
    for _ in range(2):
        await take_away_all(system.services)
    assert {system.dispatcher.id, system.administrator.id} <= {*await stuck_notices(system, request_id)}
    assert system.provider2.id not in await stuck_notices(system, request_id)


# Much at once


async def test_who_is_locked_holds_up_nobody_with_what_they_held(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is written down, one that fails is left to the repair, and whoever locks them waits for the engine a moment only."""
    who = await newcomer(system, Role.PROVIDER)
    held = [await held_by(system, who) for _ in range(3)]
    for request_id in held:
        await shut(system, request_id, category=(system.clinics["near"].id, Role.CLINIC_ADMINISTRATOR))
    take_away, broken = shut_holders.take_away, held[0]

    async def fails_once(session: Any, row: RequestRecord, now: datetime, **more: Any) -> Any:
        if str(row.id) == broken:
            raise OperationalError("the connection was lost", None, Exception())
        return await take_away(session, row, now, **more)

    monkeypatch.setattr("records.shut_holders.take_away", fails_once)
    monkeypatch.setattr("use_cases.shut_holders.GIVES_FOR_SECONDS", 0.0)
    ok(await system.administrator.http.post(f"/api/v1/accounts/{who.id}/lock"))
    monkeypatch.undo()
    assert await given_by_relais(system, broken) == []
    for request_id in held[1:]:
        (waits,) = await given_by_relais(system, request_id)
        assert waits.settled_at is None
        async with system.services.database.session() as session:
            known = await ledger.load_command(session, UUID(request_id), waits.command_id)
            assert known is not None
            known.given_at -= timedelta(minutes=2)
    await repair(system.services)
    for request_id in held:
        await comes_back(system, request_id)


# Who may end it is left


async def test_all_administrators_of_the_own_clinic_are_not_shut_out(system: System) -> None:
    """Also by one of them who wrote it, and is never shut out: nobody else could end it."""
    writer, near = system.writer, str(system.clinics["near"].id)
    made = await submitted(system)
    async with system.services.database.session() as session:
        moved = update(RequestRecord).where(RequestRecord.id == UUID(made)).values(requester_id=writer.account.id)
        await session.execute(moved)
    body = {"clinic_id": near, "role": "clinic_administrator", "reason": WHY}
    problem(await writer.post(f"/requests/{made}/restrictions", body), 409, "restricts_yourself")
    assert ok(await writer.get(f"/requests/{made}/restrictions"))["restrictions"] == []


async def test_where_nobody_is_left_an_operator_ends_it_on_the_command_line(system: System) -> None:
    request_id = await submitted(system)
    restriction = await restricted(system, request_id, account_id=system.provider.id)
    number = (await system.requester.view(request_id))["number"]
    id_, operator = UUID(restriction["id"]), system.operator.account
    listed = await restrictions_of(system.settings, number.lower(), username=operator.username)
    assert [str(one.id) for one in listed.restrictions] == [restriction["id"]]
    for of, username, code in (
        ("TC-1999-000001", operator.username, "not_found"),
        (number, system.administrator.account.username, "forbidden"),
        (number, "nobody-at-all", "forbidden"),
    ):
        with pytest.raises(Problem, match=code):
            await restrictions_of(system.settings, of, username=username)

    async def end(restriction_id: UUID, username: str) -> None:
        await end_restriction(system.settings, number, restriction_id, reason="Partie.", username=username)

    for wrong, username, code in (
        (id_, system.administrator.account.username, "forbidden"),
        (id_, "nobody-at-all", "forbidden"),
        (uuid4(), operator.username, "not_found"),
    ):
        with pytest.raises(Problem, match=code):
            await end(wrong, username)
    for _ in range(2):
        await end(id_, operator.username)
    assert ok(await system.administrator.get(f"/requests/{request_id}/restrictions"))["restrictions"] == []
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == UUID(request_id), AuditEntry.side == "command_line")
        shown, entry = await session.scalars(query.order_by(AuditEntry.id))
    assert (shown.name, shown.kind, entry.name, entry.object_id) == (
        *("get_restrictions", Act.LOOK),
        *("restriction_ended", id_),
    )
    for one in (shown, entry):
        assert (one.account_id, one.role) == (operator.id, "operator")
