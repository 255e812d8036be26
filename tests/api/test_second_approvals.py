"""Nobody alone destroys what they have shut to the others: what is restricted within its clinic needs a second approval."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from domain.accounts import LetterKind
from domain.requests import Role
from domain.retention import DESTROYED_AFTER, ListState
from records import people, restrictions
from records.models import Account, AccountEvent, AccountLetter, Side
from tests.api.answers import problem
from tests.api.test_retention import days_later, listed, over
from tests.eventually import eventually
from tests.journeys import ok
from tests.system import Clinician, System, add_person
from use_cases.by_hand import second_destruction
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


async def set_roles(own: System, name: str, *roles: Role) -> None:
    async with own.services.database.session() as session:
        theirs = update(Account).where(Account.id == own.people[name].account.id).values(roles=list(roles))
        await session.execute(theirs)


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
    await set_roles(own, "administrator2", Role.CLINIC_ADMINISTRATOR, Role.PROVIDER)
    await set_roles(own, "administrator2", Role.CLINIC_ADMINISTRATOR)
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
    events = (await own.administrator.get(f"/clinics/{own.clinics['near'].id}/events")).json()
    assert "retention_seconded" in {event["kind"] for event in events}


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


async def test_where_there_is_one_administrator_an_operator_approves_as_well(own: System) -> None:
    """On the command line, by name, who sees it and has not approved it."""
    request_id, other = await over(own), await over(own)
    number = (await own.requester.view(request_id))["number"]
    await shut(own, request_id, "administrator2", "administrator3", "dispatcher")
    await add_person(own, "operator2", own.clinics["near"], Role.OPERATOR)
    await shut(own, request_id, "operator2")
    seen = await listed(own)

    async def second(username: str, of: str = number) -> None:
        await second_destruction(own.settings, of, username=username)

    with pytest.raises(Problem, match="not_found"):  # nobody has approved it yet
        await second(own.operator.account.username)
    await approve(own.administrator, seen["id"])
    await set_roles(own, "administrator", Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)
    for name in ("administrator", "administrator2", "operator2"):
        with pytest.raises(Problem, match="forbidden"):
            await second(own.people[name].account.username)
    with pytest.raises(Problem, match="forbidden"):
        await second("nobody-at-all")
    with pytest.raises(Problem, match="not_found"):
        await second(own.operator.account.username, "TC-1999-000001")
    for _ in range(2):
        await second(own.operator.account.username)
    assert await outcomes(own, seen["id"]) == {request_id: DESTROYED, other: DESTROYED}
    async with own.services.database.session() as session:
        query = select(AccountEvent).where(AccountEvent.clinic_id == own.clinics["near"].id)
        (event,) = [one for one in await session.scalars(query) if one.kind == "retention_seconded"]
    assert (event.actor_id, event.side) == (own.operator.account.id, Side.COMMAND_LINE)


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
    await set_roles(own, "administrator", Role.REQUESTER)
    await write_lists(own.services)
    for name in SEVERAL:
        assert await letters(own, name) == []
