"""Nobody alone destroys what they have shut to the others: what is restricted within its clinic needs a second approval."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from domain.accounts import AccountEventKind, LetterKind
from domain.requests import Role
from domain.retention import DESTROYED_AFTER, ListState, RetentionPolicy
from records import account_events, destruction, patient_words, people, requests, restrictions, retention
from records.account_events import Hand
from records.database import Database
from records.ids import new_id
from records.models import (
    Account,
    AccountLetter,
    AuditEntry,
    FrozenForm,
    PatientLetGo,
    RetentionEntry,
    RetentionHold,
    RetentionList,
    Side,
)
from tests.api.answers import problem
from tests.api.test_retention import LONG_AGO, days_later, entered, listed, over, somebody_waits_for
from tests.eventually import eventually
from tests.journeys import cancelled, ok, somebody_new, submitted
from tests.system import Clinician, System, add_person, set_roles
from use_cases import destruction as destruction_rules
from use_cases import let_go as let_go_rules
from use_cases.by_hand import holds_of, lift_hold, retention_now, second_destruction
from use_cases.destruction import write_lists
from use_cases.problems import Problem

WHY = "Parenté avec la personne."
SEVERAL = ("administrator", "administrator2", "administrator3")


@pytest.fixture
async def own(system: System) -> System:
    return await a_clinic(system)


async def a_clinic(system: System) -> System:
    """A clinic of its own, with three administrators and an operator."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"eyes-{uuid4().hex[:8]}", name="Clinique des Regards")
    own = replace(system, people=dict(system.people), clinics={**system.clinics, "near": clinic})
    for name, role in (
        ("requester", Role.REQUESTER),
        ("dispatcher", Role.DISPATCHER),
        *((name, Role.CLINIC_ADMINISTRATOR) for name in SEVERAL),
        ("operator", Role.OPERATOR),
    ):
        await add_person(own, name, clinic, role)
    return own


async def shut(own: System, request_id: str, *names: str, **category: Any) -> list[dict[str, Any]]:
    """Shut by the first administrator to these people, or to a role."""
    whom = [{"account_id": own.people[name].id} for name in names] or [category]
    path = f"/requests/{request_id}/restrictions"
    return [ok(await own.administrator.post(path, {**one, "reason": WHY}), 201) for one in whom]


async def end(own: System, *set_: dict[str, Any]) -> None:
    for one in set_:
        path = f"/requests/{one['request_id']}/restrictions/{one['id']}/end"
        ok(await own.administrator.post(path, {"reason": "Fini."}))


async def approve(who: Clinician, list_id: str) -> dict[str, Any]:
    """Approve the list as that person sees it."""
    seen = ok(await who.get(f"/retention/lists/{list_id}"))
    return ok(await who.post(f"/retention/lists/{list_id}/approve", {"sha256": seen["sha256"]}), 202)


async def outcomes(own: System, list_id: str) -> dict[str, tuple[str | None, str | None]]:
    """What became of each request of the list, once its days are over."""
    await days_later(own, list_id)

    async def is_done() -> bool:
        return bool(ok(await own.administrator.get(f"/retention/lists/{list_id}"))["state"] == ListState.DONE)

    await eventually(is_done)
    entries = ok(await own.administrator.get(f"/retention/lists/{list_id}"))["entries"]
    return {one["request_id"]: (one["outcome"], one["kept_because"]) for one in entries}


async def letters(own: System, name: str) -> list[LetterKind]:
    async with own.services.database.session() as session:
        query = select(AccountLetter.kind).where(AccountLetter.account_id == own.people[name].account.id)
        return list(await session.scalars(query.order_by(AccountLetter.id)))


DESTROYED, KEPT = ("destroyed", None), ("kept", "restricted")


async def test_nobody_alone_destroys_what_they_have_shut_to_the_others(own: System) -> None:
    """Whenever it was shut to them since the approval, and by whatever words."""
    names = ("open", "before", "one", "after", "meanwhile", "role", "abroad", "opened")
    which = {name: await over(own) for name in names}
    await shut(own, which["before"], "administrator2", "administrator3")
    await shut(own, which["one"], "administrator2")
    await shut(own, which["role"], clinic_id=str(own.clinics["near"].id), role="provider")
    far = own.clinics["far"]
    async with own.services.database.session() as session:
        about: dict[str, Any] = {"reason": WHY, "set_by": own.administrator.account.id}
        earlier = datetime.now(UTC) - DESTROYED_AFTER - timedelta(days=1)
        abroad = (far.id, Role.CLINIC_ADMINISTRATOR)
        await restrictions.add(session, UUID(which["abroad"]), None, abroad, now=earlier, **about)
        once = await restrictions.add(
            session, UUID(which["opened"]), own.administrator2.account.id, None, now=earlier, **about
        )
        await restrictions.end(session, once, reason=WHY, ended_by=own.administrator.account.id, now=earlier)
    seen = await listed(own)
    needs = {one["request_id"] for one in seen["entries"] if one["needs_second"]}
    assert needs == {which[name] for name in ("before", "one", "role")}

    await approve(own.administrator, seen["id"])
    await shut(own, which["after"], "administrator2", "administrator3")
    await end(own, *await shut(own, which["meanwhile"], "administrator2", "administrator3"))
    await set_roles(own, own.administrator2, Role.CLINIC_ADMINISTRATOR, Role.PROVIDER)
    await set_roles(own, own.administrator2, Role.CLINIC_ADMINISTRATOR)
    await approve(own.administrator, seen["id"])  # who approves twice is still one person
    became = await outcomes(own, seen["id"])
    kept = dict.fromkeys(("before", "one", "after", "meanwhile", "role"), KEPT)
    assert became == {which[name]: kept.get(name, DESTROYED) for name in names}
    again = await listed(own)
    assert {one["request_id"] for one in again["entries"]} == {which[name] for name in kept}


async def test_two_administrators_destroy_what_is_restricted(own: System) -> None:
    """Who approves as well has seen it; what is shut to them they do not approve."""
    shared, theirs = await over(own), await over(own)
    await shut(own, shared, "administrator2")
    await shut(own, theirs, "administrator2", "administrator3")
    seen = await listed(own)
    where = f"/retention/lists/{seen['id']}"
    await approve(own.administrator, seen["id"])
    body = {"sha256": seen["sha256"]}
    problem(await own.people["administrator3"].post(f"{where}/approve", body), 412, "retention_list_changed")
    problem(await own.administrator2.post(f"{where}/approve", body), 404, "not_found")
    told = await approve(own.people["administrator3"], seen["id"])
    (entry,) = told["entries"]
    assert (entry["needs_second"], entry["seconded_by"]["id"]) == (False, own.people["administrator3"].id)
    assert await outcomes(own, seen["id"]) == {shared: DESTROYED, theirs: KEPT}
    certificate = ok(await own.administrator.get(f"{where}/certificate"))
    (destroyed,) = certificate["destroyed"]
    assert destroyed["seconded_by"]["id"] == own.people["administrator3"].id
    assert certificate["approved_by"]["id"] == own.administrator.id
    assert certificate["kept"] == [], "who is shut out of it reads the certificate as well"
    for name, status in (("administrator2", 200), ("administrator", 200)):
        assert (await own.people[name].get(f"{where}/certificate")).status_code == status
    events = (await own.administrator2.get(f"/clinics/{own.clinics['near'].id}/events")).json()
    assert [event["kind"] for event in events if "second" in event["kind"]] == []


async def test_an_approval_that_is_taken_back_takes_the_second_one_along(own: System) -> None:
    """Else who seconds one approval would be the only one in the next."""
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    third = own.people["administrator3"]
    await approve(own.administrator, seen["id"])
    await approve(third, seen["id"])
    ok(await own.administrator.post(f"/retention/lists/{seen['id']}/take-back"))
    await approve(third, seen["id"])
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}


async def test_what_the_version_before_left_of_an_approval_counts_for_nothing(own: System) -> None:
    """It takes an approval back without the second one."""
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    async with own.services.database.session() as session:
        entries = update(RetentionEntry).where(RetentionEntry.list_id == UUID(seen["id"]))
        third = own.people["administrator3"].account.id
        await session.execute(entries.values(seconded_by=third, seconded_at=datetime.now(UTC)))
    await approve(own.administrator, seen["id"])
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}


async def test_where_there_is_one_administrator_an_operator_approves_as_well(own: System) -> None:
    """On the command line, by name, who sees it and has not approved it."""
    request_id, other = await over(own), await over(own)
    number = (await own.requester.view(request_id))["number"]
    await shut(own, request_id, "administrator2", "administrator3", "dispatcher")
    await add_person(own, "operator2", own.clinics["near"], Role.OPERATOR)
    await shut(own, request_id, "operator2")
    seen = await listed(own)

    async def second(username: str, of: str | UUID = number) -> list[str]:
        return await second_destruction(own.settings, of, username=username)

    with pytest.raises(Problem, match="not_found"):  # nobody has approved it yet
        await second(own.operator.account.username)
    await approve(own.administrator, seen["id"])
    await set_roles(own, own.administrator, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)
    with pytest.raises(Problem, match="not_a_second_person"):
        await second(own.administrator.account.username)
    for name in ("administrator2", "operator2"):
        with pytest.raises(Problem, match="forbidden"):
            await second(own.people[name].account.username)
    with pytest.raises(Problem, match="needs_no_second"):
        await second(own.operator.account.username, (await own.requester.view(other))["number"])
    with pytest.raises(Problem, match="forbidden"):
        await second("nobody-at-all")
    with pytest.raises(Problem, match="not_found"):
        await second(own.operator.account.username, "TC-1999-000001")
    assert await second(own.operator.account.username) == [number]
    with pytest.raises(Problem, match="needs_no_second"):
        await second(own.operator.account.username)
    assert await outcomes(own, seen["id"]) == {request_id: DESTROYED, other: DESTROYED}
    async with own.services.database.session() as session:
        (entry,) = await session.scalars(
            select(AuditEntry).where(
                AuditEntry.name == "destruction_seconded", AuditEntry.object_id == UUID(seen["id"])
            )
        )
    assert (entry.account_id, entry.side, entry.request_id) == (
        own.operator.account.id,
        Side.COMMAND_LINE,
        UUID(request_id),
    )


async def test_an_operator_approves_a_whole_list_but_for_what_the_clinic_sees(own: System) -> None:
    first, second, shared = [await over(own) for _ in range(3)]
    for one in (first, second):
        await shut(own, one, "administrator2", "administrator3")
    await shut(own, shared, "administrator2")
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    username = own.operator.account.username
    number = (await own.requester.view(shared))["number"]
    with pytest.raises(Problem, match="forbidden"):
        await second_destruction(own.settings, number, username=username)
    told = await second_destruction(own.settings, UUID(seen["id"]), username=username)
    assert sorted(told) == sorted([(await own.requester.view(one))["number"] for one in (first, second)])
    assert await outcomes(own, seen["id"]) == {first: DESTROYED, second: DESTROYED, shared: KEPT}


# What a second approval is of


async def test_a_second_approval_is_of_what_was_restricted_by_then(own: System) -> None:
    """What is shut to others after it is approved by one person; and what was not restricted was not marked by it."""
    before, after, again = [await over(own) for _ in range(3)]
    await shut(own, before, "administrator2")
    await shut(own, again, "administrator2")
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    third = own.people["administrator3"]
    told = await approve(third, seen["id"])
    by = {one["request_id"]: one["seconded_by"] and one["seconded_by"]["id"] for one in told["entries"]}
    assert by == {before: third.id, again: third.id, after: None}
    await shut(own, after, "administrator2", "administrator3")
    await shut(own, again, "administrator3")
    entries = {
        one["request_id"]: one for one in ok(await own.administrator.get(f"/retention/lists/{seen['id']}"))["entries"]
    }
    assert {id_ for id_, one in entries.items() if one["needs_second"]} == {after, again}
    assert entries[again]["seconded_by"] is None
    assert await outcomes(own, seen["id"]) == {before: DESTROYED, after: KEPT, again: KEPT}


async def test_what_was_to_be_the_first_approval_is_not_taken_for_the_second(own: System) -> None:
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    third, path = own.people["administrator3"], f"/retention/lists/{seen['id']}/approve"
    waited = ok(await third.get(f"/retention/lists/{seen['id']}"))["sha256"]
    for _ in range(2):  # who has approved may say it again
        ok(await own.administrator.post(path, {"sha256": seen["sha256"]}), 202)
    problem(await third.post(path, {"sha256": waited}), 412, "retention_list_changed")
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}


async def test_nobody_approves_as_well_when_the_days_are_over(own: System) -> None:
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    third, where = own.people["administrator3"], f"/retention/lists/{seen['id']}"
    body = {"sha256": ok(await third.get(where))["sha256"]}
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}
    problem(await third.post(f"{where}/approve", body), 409, "destruction_begun")


async def test_a_second_person_is_none_that_the_first_has_made_of_somebody(own: System) -> None:
    """A new account, or one of which the approver changed the address since the list was made."""
    request_id = await over(own)
    await shut(own, request_id, "administrator2")
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    newcomer = await add_person(own, "administrator4", own.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    third, where = own.people["administrator3"], f"/retention/lists/{seen['id']}"
    async with own.services.database.session() as session:
        account = await session.get_one(Account, third.account.id)
        hand = Hand(own.administrator.account.id, Side.API)
        account_events.note(session, AccountEventKind.PASSWORD_HELP, account, hand, datetime.now(UTC))
    for who in (newcomer, third):
        body = {"sha256": ok(await who.get(where))["sha256"]}
        problem(await who.post(f"{where}/approve", body), 409, "not_a_second_person")
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}


async def test_what_nobody_seconds_is_in_the_way_of_nothing(own: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """However old it is: a list has room for so many, and first for what one person may destroy."""
    restricted, free = [await over(own) for _ in range(2)], await over(own)
    for one in restricted:
        await shut(own, one, "administrator2")
    monkeypatch.setattr("use_cases.destruction.MOST_AT_ONCE", 2)
    seen = await listed(own)
    ids = {one["request_id"] for one in seen["entries"]}
    assert free in ids
    assert len(ids) == 2


async def test_a_certificate_of_what_somebody_does_not_see_is_not_there_for_them(own: System) -> None:
    """Also what was kept for another reason is not named in it while it is restricted."""
    kept, held = await over(own), await over(own)
    for one in (kept, held):
        await shut(own, one, "administrator2")
    seen = await listed(own)
    ok(await own.administrator.post(f"/requests/{held}/holds", {"reason": WHY}), 201)
    await approve(own.administrator, seen["id"])
    assert await outcomes(own, seen["id"]) == {kept: KEPT, held: ("kept", "held")}
    where = f"/retention/lists/{seen['id']}"
    for end_of in ("certificate", "certificate.pdf"):
        problem(await own.administrator2.get(f"{where}/{end_of}"), 404, "not_found")
    assert ok(await own.administrator.get(f"{where}/certificate"))["kept"] == []


# Holds that operators lift


async def test_what_an_operator_let_go_needs_two(own: System) -> None:
    """Nobody of the clinic that asked lifts it; who held it is told, and one person alone does not destroy it."""
    request_id = await over(own)
    far = own.clinics["far"]
    holder = await add_person(own, "holder", far, Role.CLINIC_ADMINISTRATOR)
    elsewhere = await add_person(own, "operator3", far, Role.OPERATOR)
    hold_id, now = new_id(), datetime.now(UTC)
    async with own.services.database.session() as session:
        about = {"request_id": UUID(request_id), "clinic_id": far.id, "set_by": holder.account.id}
        session.add(RetentionHold(id=hold_id, whole_patient=False, reason=WHY, set_at=now, **about))
        category = (far.id, Role.CLINIC_ADMINISTRATOR)
        by = own.administrator.account.id
        await restrictions.add(session, UUID(request_id), None, category, reason=WHY, set_by=by, now=now)
    number = (await own.requester.view(request_id))["number"]
    with pytest.raises(Problem, match="forbidden"):  # belongs to the clinic that asked
        await lift_hold(own.settings, number, hold_id, username=own.operator.account.username)
    for _ in range(2):
        await lift_hold(own.settings, number, hold_id, username=elsewhere.account.username)
    assert await letters(own, "holder") == [LetterKind.HOLD_LIFTED]
    events = (await holder.get(f"/clinics/{far.id}/events")).json()
    assert [one["kind"] for one in events].count("hold_lifted") == 1
    assert number not in str(events)
    seen = await listed(own)
    assert [one["needs_second"] for one in seen["entries"]] == [True]
    await approve(own.administrator, seen["id"])
    assert await outcomes(own, seen["id"]) == {request_id: KEPT}
    again = await listed(own)
    await approve(own.administrator, again["id"])
    await approve(own.administrator2, again["id"])
    assert await outcomes(own, again["id"]) == {request_id: DESTROYED}


async def test_whom_an_operator_let_go_stays_so_without_the_request_that_bore_the_hold(own: System) -> None:
    """It is passed on to what is there of the same patient, and to nobody else's; and goes with that, in turn."""
    bearer, same = await over(own), await cancelled(own)
    another = await submitted(own, patient=somebody_new())
    ok(await own.requester.post(f"/requests/{another}/cancel", {"reason": "Vue ailleurs."}))
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    assert await outcomes(own, seen["id"]) == {bearer: DESTROYED}

    for one in (same, another):
        await entered(own, one, LONG_AGO)
    again = await listed(own)
    needs = {one["request_id"]: one["needs_second"] for one in again["entries"]}
    assert needs == {same: True, another: False}
    await approve(own.administrator, again["id"])
    assert await outcomes(own, again["id"]) == {same: KEPT, another: DESTROYED}
    last = await listed(own)
    await approve(own.administrator, last["id"])
    await approve(own.administrator2, last["id"])
    assert await outcomes(own, last["id"]) == {same: DESTROYED}
    async with own.services.database.session() as session:
        assert await session.get(PatientLetGo, UUID(same)) is None


async def let_go(own: System, request_id: str, operator: str) -> None:
    """A hold of the whole patient, which nobody of the clinic sees for a while, is lifted by that operator."""
    body = {"reason": WHY, "whole_patient": True}
    hold = ok(await own.administrator.post(f"/requests/{request_id}/holds", body), 201)
    about: dict[str, Any] = {"reason": WHY, "set_by": own.requester.account.id}
    category = (own.clinics["near"].id, Role.CLINIC_ADMINISTRATOR)
    async with own.services.database.session() as session:
        shut_to_all = await restrictions.add(
            session, UUID(request_id), None, category, now=datetime.now(UTC) - timedelta(days=9), **about
        )
    await lift_hold(own.settings, hold["number"], UUID(hold["id"]), username=operator)
    async with own.services.database.session() as session:
        ended = datetime.now(UTC) - timedelta(days=8)
        await restrictions.end(session, shut_to_all, reason=WHY, ended_by=own.requester.account.id, now=ended)


async def test_of_whom_is_let_go_while_the_others_are_looked_for_nothing_is_forgotten(
    own: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is tried again, with all that was let go by then."""
    bearer, same = await over(own), await cancelled(own)
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    seen = await listed(own)
    looks, tries = let_go_rules.look_for_heirs, [0]

    async def meanwhile(database: Database, request_id: UUID, known: Any) -> let_go_rules.Heirs:
        heirs = await looks(database, request_id, known)
        tries[0] += 1
        if tries[0] > 1:
            return heirs
        async with database.session() as session:
            lifted = update(RetentionHold).where(RetentionHold.request_id == request_id)
            await session.execute(lifted.values(lifted_at=RetentionHold.lifted_at + timedelta(milliseconds=1)))
        return heirs

    monkeypatch.setattr(destruction_rules, "look_for_heirs", meanwhile)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    assert await outcomes(own, seen["id"]) == {bearer: DESTROYED}
    assert tries == [2]
    async with own.services.database.session() as session:
        assert await session.get(PatientLetGo, UUID(same)) is not None


async def test_two_that_go_at_once_each_pass_on_to_who_stays(own: System) -> None:
    """What is being destroyed in that moment is waited for, and inherits nothing once it is gone."""
    gone, stays = await over(own), await cancelled(own)
    list_id, moment = UUID((await listed(own))["id"]), datetime.now(UTC)
    async with own.services.database.session() as session:
        row = await requests.lock_to_destroy(session, UUID(gone))
        passing = asyncio.create_task(pass_on(own, {UUID(gone): moment, UUID(stays): moment}))
        await eventually(partial(somebody_waits_for, own, session))
        policy = RetentionPolicy()
        await destruction.destroy(session, row, list_id, moment, kept_until=moment.date(), policy=policy)
        session.expunge(row)
        (await session.get_one(RetentionList, list_id)).state = ListState.DONE
    await passing
    async with own.services.database.session() as session:
        found = await retention.passed_on_to(session, [UUID(gone), UUID(stays)])
        assert found == {UUID(stays): moment}
        await retention.pass_on(session, {UUID(stays): moment - timedelta(days=1)})
        assert await retention.passed_on_to(session, [UUID(stays)]) == {UUID(stays): moment}, "the last one counts"


async def pass_on(own: System, let_go_at: dict[UUID, datetime]) -> None:
    async with own.services.database.session() as session:
        await retention.pass_on(session, let_go_at)


async def test_what_does_not_open_here_keeps_the_bearer_only_if_it_may_be_theirs(own: System) -> None:
    """A worker may lack a key of the ring for a while: what it can't open is noted at nobody's. What is surely another's is not
    opened at all.
    """
    bearer, same = await over(own), await cancelled(own)
    another = await submitted(own, patient=somebody_new())
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    async with does_not_open(own, same, another):
        assert await outcomes(own, seen["id"]) == {bearer: ("kept", "unreadable")}
    assert await noted(own, same, another) == set()
    async with does_not_open(own, another):
        again = await listed(own)
        await approve(own.administrator, again["id"])
        await approve(own.administrator2, again["id"])
        assert await outcomes(own, again["id"]) == {bearer: DESTROYED}
    assert await noted(own, same, another) == {same}


async def test_what_nobody_opens_any_more_may_be_theirs(own: System) -> None:
    """Its key is gone, and its words are those of the patient, or are gone as well."""
    bearer, same = await over(own), await cancelled(own)
    wordless, another = [await submitted(own, patient=somebody_new()) for _ in range(2)]
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    async with own.services.database.session() as session:
        await patient_words.forget_words(session, UUID(wordless))
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    async with does_not_open(own, same, wordless, another, gone=True):
        assert await outcomes(own, seen["id"]) == {bearer: DESTROYED}
    assert await noted(own, same, wordless, another) == {same, wordless}


async def test_whom_an_earlier_form_names_inherits_and_who_has_no_words_is_opened(own: System) -> None:
    """Words are kept of the form in force and of that which is written, and made anew for another ring."""
    bearer, same = await over(own), await cancelled(own)
    earlier, another = [await submitted(own, patient=somebody_new()) for _ in range(2)]
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    async with own.services.database.session() as session:
        for one in (same, another):
            await patient_words.forget_words(session, UUID(one))
        first = await session.get_one(FrozenForm, (UUID(earlier), 1))
        content = {
            **first.content,
            "patient": (await session.get_one(FrozenForm, (UUID(bearer), 1))).content["patient"],
        }
        about = {"request_id": UUID(earlier), "number": 2, "frozen_by": first.frozen_by, "command_id": str(uuid4())}
        session.add(FrozenForm(**about, content=content, sha256=first.sha256, frozen_at=datetime.now(UTC)))
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    assert await outcomes(own, seen["id"]) == {bearer: DESTROYED}
    assert await noted(own, same, earlier, another) == {same, earlier}


async def test_two_that_pass_on_to_each_other_never_wait_for_one_another(
    own: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bearer is locked after what has a smaller id: whoever has that locked may pass on to the bearer meanwhile."""
    same, bearer = await cancelled(own), await over(own)
    assert UUID(same) < UUID(bearer)
    elsewhere = await add_person(own, "operator3", own.clinics["far"], Role.OPERATOR)
    await let_go(own, bearer, elsewhere.account.username)
    seen = await listed(own)
    await approve(own.administrator, seen["id"])
    await approve(own.administrator2, seen["id"])
    looks, tries = let_go_rules.look_for_heirs, [0]

    async def counted(database: Database, request_id: UUID, known: Any) -> let_go_rules.Heirs:
        tries[0] += 1
        return await looks(database, request_id, known)

    monkeypatch.setattr(destruction_rules, "look_for_heirs", counted)
    async with own.services.database.session() as session:
        await requests.lock_to_destroy(session, UUID(same))
        await days_later(own, seen["id"])
        await eventually(partial(somebody_waits_for, own, session))
        await retention.pass_on(session, {UUID(bearer): datetime.now(UTC) - timedelta(days=30)})
    assert await outcomes(own, seen["id"]) == {bearer: DESTROYED}
    assert tries == [1], "nothing was tried again"
    assert await noted(own, same) == {same}


async def noted(own: System, *request_ids: str) -> set[str]:
    """Those of the requests at which it is noted that their patient was let go."""
    async with own.services.database.session() as session:
        return set(map(str, await retention.passed_on_to(session, list(map(UUID, request_ids)))))


@asynccontextmanager
async def does_not_open(own: System, *request_ids: str, gone: bool = False) -> AsyncIterator[None]:
    """As for a worker that does not know how their forms are sealed, or once their data keys are `gone`."""
    whose = {"ids": list(map(UUID, request_ids))}
    marked = text(
        "UPDATE requests SET form = jsonb_set(form, '{relais:sealed}', "
        "to_jsonb(:encoding || substr(form->>'relais:sealed', 2))) WHERE id = ANY(:ids)"
    )
    async with own.services.database.session() as session:
        kept = (await session.execute(text("SELECT * FROM data_keys WHERE owner_id = ANY(:ids)"), whose)).all()
        assert len(kept) == len(request_ids)
        if gone:
            await session.execute(text("DELETE FROM data_keys WHERE owner_id = ANY(:ids)"), whose)
        else:
            await session.execute(marked, {**whose, "encoding": "9"})
    yield
    async with own.services.database.session() as session:
        await session.execute(marked, {**whose, "encoding": "1"})
        for key in kept if gone else ():
            put_back = text("INSERT INTO data_keys (owner_id, sealed_key) VALUES (:owner_id, :sealed_key)")
            await session.execute(put_back, {"owner_id": key.owner_id, "sealed_key": key.sealed_key})


# E-mails


async def test_each_administrator_is_written_of_what_they_see(own: System) -> None:
    shared, theirs = await over(own), await over(own)
    await shut(own, theirs, "administrator2")
    await shut(own, shared, "administrator2")
    seen = await listed(own)
    assert await letters(own, "administrator2") == [], "all on it is shut to them"
    assert await letters(own, "administrator3") == [LetterKind.RETENTION_LISTED]
    await approve(own.administrator, seen["id"])
    assert await letters(own, "administrator2") == []
    assert await letters(own, "administrator3") == [LetterKind.RETENTION_LISTED, LetterKind.RETENTION_SECOND]
    assert await letters(own, "administrator") == [LetterKind.RETENTION_LISTED, LetterKind.RETENTION_APPROVED]


async def test_what_nobody_sees_is_told_to_nobody(own: System) -> None:
    """The only one who saw it is no administrator any more: the list waits, and no letter says so."""
    request_id = await over(own)
    await shut(own, request_id, "administrator2", "administrator3")
    await set_roles(own, own.administrator, Role.REQUESTER)
    near, told = own.clinics["near"], "what is over its time is shut to every administrator"
    with capture_logs() as logs:
        await write_lists(own.services)
    (line,) = [one for one in logs if one["event"] == told and one["clinic_id"] == str(near.id)]
    async with own.services.database.session() as session:
        (written,) = await session.scalars(select(RetentionList).where(RetentionList.clinic_id == near.id))
    assert (line["list_id"], line["count"]) == (str(written.id), 1)
    (shown,) = await retention_now(own.settings, near.code)
    assert (shown.over_time, shown.seen_by_none) == (1, 1)
    for name in SEVERAL:
        assert await letters(own, name) == []
        await set_roles(own, own.people[name], Role.REQUESTER)
    with capture_logs() as logs:  # a clinic without administrators
        await write_lists(own.services)
    assert [one for one in logs if one["event"] == told and one["clinic_id"] == str(near.id)] == []


async def test_holds_of_the_patient_are_named_where_they_were_set(own: System) -> None:
    request_id, other = await over(own), await over(own)
    body = {"reason": WHY, "whole_patient": True}
    hold = ok(await own.administrator.post(f"/requests/{request_id}/holds", body), 201)
    number = (await own.requester.view(other))["number"]
    (found,) = await holds_of(own.settings, number, username=own.operator.account.username)
    assert (str(found.id), found.number) == (hold["id"], hold["number"])
