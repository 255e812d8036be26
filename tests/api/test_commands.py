"""Every row of the command table through HTTP: who may, when, where it leads; it acts once, and a refusal changes nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.commands import PUBLIC_COMMANDS
from domain.requests import Status
from tests.api.answers import in_the_records, let_lie, picture, problem
from tests.api.conftest import Shelf
from tests.journeys import (
    accepted,
    assigned,
    closed,
    draft,
    ok,
    ok_list,
    pooled,
    reported,
    returned,
    submitted,
    written,
)
from tests.system import PASSWORD, Clinician, System

PEOPLE = (
    *("requester", "requester2", "dispatcher", "provider", "provider2", "administrator", "operator"),
    *("far_requester", "far_dispatcher", "far_provider"),
)

Body = dict[str, Any] | None


@dataclass(frozen=True)
class Row:
    """One row of the table: the command, its address, in which status it leads where, and by whom it is given.

    `body` makes what is said; `other` is the same command saying something else, where it says anything.
    """

    name: str
    path: str
    by: tuple[str, ...]
    leads_to: dict[str, str]
    body: Callable[[System], Body] = lambda system: None
    other: Callable[[System], Body] | None = None
    holder: str = field(default="")


def person(name: str, **more: Any) -> Callable[[System], Body]:
    return lambda system: {"provider_id": system.people[name].id, **more}


SAME = {status: status for status in ("awaiting_dispatch", "awaiting_acceptance", "accepted")}
WITH_PROVIDER = ("awaiting_acceptance", "accepted")

ROWS = (
    Row("submit", "submit", ("requester",), {"draft": "awaiting_dispatch"}, holder="dispatch"),
    Row(
        "assign",
        "assign",
        ("dispatcher",),
        dict.fromkeys(("awaiting_dispatch", "awaiting_acceptance"), "awaiting_acceptance"),
        person("provider2", comment="Une collègue du quartier."),
        person("provider2", comment="Autre chose."),
        holder="provider2",
    ),
    Row(
        "reassign",
        "reassign",
        ("dispatcher", "administrator"),
        dict.fromkeys(WITH_PROVIDER, "awaiting_acceptance"),
        person("provider2", reason="La docteure est malade."),
        person("provider2", reason="La docteure est en congé."),
        holder="provider2",
    ),
    Row("accept", "accept", ("provider",), {"awaiting_acceptance": "accepted"}, holder="provider"),
    Row("take_back", "take-back", ("provider",), {"accepted": "awaiting_acceptance"}, holder="provider"),
    Row(
        "transfer",
        "transfer",
        ("provider",),
        dict.fromkeys(WITH_PROVIDER, "awaiting_acceptance"),
        person("provider2"),
        person("provider2", comment="Avec un mot de plus."),
        holder="provider2",
    ),
    Row(
        "request_information",
        "request-information",
        ("provider",),
        {status: status for status in WITH_PROVIDER},
        lambda system: {"text": "Depuis quand la lésion saigne-t-elle?"},
        lambda system: {"text": "Et la température?"},
        holder="provider",
    ),
    Row(
        "answer_information",
        "answer-information",
        ("requester",),
        SAME,
        lambda system: {"text": "Depuis trois semaines."},
        lambda system: {"text": "Depuis un an."},
    ),
    Row(
        "add_information",
        "add-information",
        ("requester",),
        SAME,
        lambda system: {"text": "La lésion saigne.", "worse": True},
        lambda system: {"text": "La lésion saigne."},
    ),
    Row("withdraw_information_request", "withdraw-information-request", ("provider",), SAME),
    Row(
        "return_to_requester",
        "return-to-requester",
        ("dispatcher", "provider"),
        dict.fromkeys(("awaiting_dispatch", "awaiting_acceptance"), "returned"),
        lambda system: {"reason": "incomplete_submission", "text": "Les photos sont floues."},
        lambda system: {"reason": "not_eligible", "text": "Les photos sont floues."},
        holder="requester",
    ),
    Row(
        "return_to_dispatch",
        "return-to-dispatch",
        ("provider",),
        dict.fromkeys(WITH_PROVIDER, "awaiting_dispatch"),
        lambda system: {"comment": "Plutôt un chirurgien."},
        lambda system: {"comment": "Plutôt une chirurgienne."},
        holder="dispatch",
    ),
    Row("resubmit", "resubmit", ("requester",), {"returned": "awaiting_acceptance"}, holder="provider"),
    Row("confirm_reading", "confirm-reading", ("requester", "dispatcher", "administrator"), {"reported": "reported"}),
    Row(
        "read_for_requester",
        "read-for-requester",
        ("requester2", "administrator"),
        {"reported": "reported"},
    ),
    Row(
        "cancel",
        "cancel",
        ("requester",),
        dict.fromkeys((*SAME, "returned"), "cancelled"),
        lambda system: {"reason": "Le patient est guéri."},
        lambda system: {"reason": "Le patient a déménagé."},
        holder="nobody",
    ),
    Row(
        "change_priority",
        "change-priority",
        ("dispatcher", "provider"),
        SAME,
        lambda system: {"priority": "urgent", "reason": "La lésion saigne."},
        lambda system: {"priority": "asap", "reason": "La lésion saigne."},
    ),
    Row(
        "sign_report",
        "report/sign",
        ("provider",),
        {"accepted": "reported"},
        lambda system: {"kind": "final", "password": PASSWORD},
        lambda system: {"kind": "preliminary", "password": PASSWORD},
        holder="requester",
    ),
    Row(
        "add_addendum",
        "report/addenda",
        ("provider",),
        {status: status for status in ("reported", "closed")},
        lambda system: {"text": "La culture est négative.", "password": PASSWORD},
        lambda system: {"text": "La culture est positive.", "password": PASSWORD},
    ),
    Row(
        "ask_follow_up",
        "ask-follow-up",
        ("requester",),
        {status: status for status in ("reported", "closed")},
        lambda system: {"text": "Combien de fois par jour?"},
        lambda system: {"text": "Combien de jours?"},
    ),
    Row(
        "withdraw_follow_up",
        "withdraw-follow-up",
        ("requester",),
        {status: status for status in ("reported", "closed")},
    ),
    Row(
        "answer_follow_up",
        "answer-follow-up",
        ("provider",),
        {status: status for status in ("reported", "closed")},
        lambda system: {"text": "Deux fois par jour."},
        lambda system: {"text": "Trois fois par jour."},
    ),
    Row(
        "acknowledge",
        "acknowledge",
        ("requester",),
        {"reported": "closed"},
        lambda system: {"outcome": {"visit_avoided": True}},
        lambda system: {"outcome": {"visit_avoided": False}},
        holder="nobody",
    ),
)
DEADLINES = {
    "awaiting_dispatch": ("dispatch", "awaiting_dispatch"),
    "awaiting_acceptance": ("acceptance", "awaiting_dispatch"),
    "accepted": ("report", "accepted"),
    "returned": ("resubmission", "abandoned"),
    "reported": ("acknowledgement", "closed"),
}
DEADLINE_ROWS = tuple(
    Row("deadline_reached", f"deadlines/{name}", ("operator",), {status: leads_to})
    for status, (name, leads_to) in DEADLINES.items()
)


def test_the_table_is_whole() -> None:
    assert {row.name for row in (*ROWS, *DEADLINE_ROWS)} == PUBLIC_COMMANDS.keys()


# Allowed


def may(row: Row, status: str, who: str) -> bool:
    """Whether this party may at this moment: a provider holds nothing that waits for dispatch, but may have asked."""
    return who != "provider" or status != "awaiting_dispatch" or row.name == "withdraw_information_request"


ALLOWED = [
    pytest.param(row, status, who, id=f"{row.path}-{status}-{who}")
    for row in (*ROWS, *DEADLINE_ROWS)
    for status in row.leads_to
    for who in row.by
    if may(row, status, who)
]


async def make_ready(system: System, row: Row, status: str) -> str:
    """A request of its own in that status, with what the command needs."""
    if row.name in ("answer_information", "withdraw_information_request"):
        request_id = await (assigned if status == "awaiting_acceptance" else accepted)(system)
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
        if status == "awaiting_dispatch":
            comment = {"comment": "Plutôt un chirurgien."}
            ok(await system.provider.post(f"/requests/{request_id}/return-to-dispatch", comment))
        return request_id
    if row.name == "confirm_reading":
        return await reported(system, urgent=True)
    makers = {
        **{"draft": draft, "awaiting_dispatch": submitted, "awaiting_acceptance": assigned, "accepted": accepted},
        **{"returned": returned, "reported": reported, "closed": closed},
    }
    request_id = str(await makers[status](system))
    if row.name == "sign_report":
        await written(system, request_id)
    if row.name == "read_for_requester":
        await let_lie(system, request_id, timedelta(days=3))
    if row.name in ("answer_follow_up", "withdraw_follow_up"):
        ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de fois?"}))
    return request_id


@pytest.mark.parametrize(("row", "status", "who"), ALLOWED)
async def test_allowed(system: System, row: Row, status: str, who: str) -> None:
    request_id = await make_ready(system, row, status)
    speaker, path, key = system.people[who], f"/requests/{request_id}/{row.path}", uuid4().hex
    before = await speaker.view(request_id)
    assert (before["status"], row.name in before["allowed_commands"]) == (status, True)

    stale = {"If-Match": f'"{before["version"] + 1}"'}
    problem(await speaker.post(path, row.body(system), headers=stale), 412, "version_conflict")
    garbage = {"If-Match": "demain"}
    problem(await speaker.post(path, row.body(system), headers=garbage), 422, "invalid_if_match")
    assert (await speaker.view(request_id))["version"] == before["version"]

    right = {"If-Match": f'"{before["version"]}"'}
    receipt = ok(await speaker.post(path, row.body(system), key=key, headers=right))
    after = await speaker.view(request_id)
    events = 2 if row.name in ("sign_report", "add_addendum") else 1
    assert receipt["state"] == "done"
    assert receipt["status"] == after["status"] == row.leads_to[status]
    assert receipt["version"] == after["version"] == before["version"] + events
    assert receipt["allowed_commands"] == after["allowed_commands"]
    if row.holder:
        holder = after["holder"]
        named = {clinician.id: name for name, clinician in system.people.items()}
        assert row.holder == (named[holder["person"]["id"]] if holder["person"] else holder["kind"])

    again = await speaker.post(path, row.body(system), key=key, headers=right)
    assert ok(again) == receipt
    assert again.headers["etag"] == f'"{receipt["version"]}"'
    await reuse_is_refused(system, row, speaker, request_id, key)
    timeline = ok_list(await speaker.get(f"/requests/{request_id}/timeline"))
    assert len(timeline) == after["version"]
    given = timeline[-events]
    assert (given["status_before"], given["by"]["id"], given["source"]) == (status, speaker.id, "update")
    assert timeline[-1]["status"] == row.leads_to[status]


async def reuse_is_refused(system: System, row: Row, who: Clinician, request_id: str, key: str) -> None:
    """The key of a command that acted is good for nothing else: no other body, no other command."""
    if row.other is not None:
        again = await who.post(f"/requests/{request_id}/{row.path}", row.other(system), key=key)
        problem(again, 422, "idempotency_key_reused")
    path, body = ("cancel", {"reason": "Erreur."}) if row.name != "cancel" else ("acknowledge", None)
    problem(await who.post(f"/requests/{request_id}/{path}", body, key=key), 422, "idempotency_key_reused")


# Refused


SEEN: dict[str, tuple[Any, ...]] = {}


async def as_it_was(system: System, request_id: str) -> tuple[Any, ...]:
    """What the records held of a request of the shelf when it was first looked at: no refusal since has changed anything."""
    if request_id not in SEEN:
        SEEN[request_id] = await in_the_records(system, request_id)
    return SEEN[request_id]


REFUSED = [
    pytest.param(row, status, who, id=f"{row.path}-{status}-{who}")
    for row in ROWS
    for status in Status
    for who in row.by
    if status not in row.leads_to
]


@pytest.mark.parametrize(("row", "status", "who"), REFUSED)
async def test_refused_in_other_statuses(system: System, shelf: Shelf, row: Row, status: str, who: str) -> None:
    request_id, speaker = shelf.by_status[status], system.people[who]
    path = f"/requests/{request_id}/{row.path}"
    before = await as_it_was(system, request_id)
    answer = await speaker.post(path, row.body(system))
    if (status == "draft" and who != "requester") or who == "requester2":
        problem(answer, 404, "not_found")
    elif row.name == "accept" and status == "accepted":
        problem(answer, 409, "already_accepted")
    elif row.name == "take_back" and status == "awaiting_acceptance":
        problem(answer, 409, "nothing_to_take_back")
    elif row.name == "read_for_requester" and (Status(status).is_open or status == "closed"):
        problem(answer, 409, "nothing_unread")
    elif row.name == "confirm_reading" and Status(status).is_open:
        problem(answer, 409, "nothing_to_confirm")
    else:
        problem(answer, 409, "not_allowed_in_status")
    assert await in_the_records(system, request_id) == before


@pytest.mark.parametrize("name", [*(name for name, _ in DEADLINES.values()), "information"])
@pytest.mark.parametrize("status", Status)
async def test_deadlines_that_do_not_run(system: System, shelf: Shelf, status: str, name: str) -> None:
    if DEADLINES.get(status, ("", ""))[0] == name:
        return
    request_id = shelf.by_status[status]
    before = await as_it_was(system, request_id)
    answer = await system.operator.post(f"/requests/{request_id}/deadlines/{name}")
    if status == "draft":
        problem(answer, 404, "not_found")
    else:
        problem(answer, 409, "deadline_not_armed" if status in DEADLINES else "not_allowed_in_status")
    assert await in_the_records(system, request_id) == before


@pytest.mark.parametrize("row", [*ROWS, *DEADLINE_ROWS], ids=lambda row: row.path)
async def test_refused_to_others(system: System, shelf: Shelf, row: Row) -> None:
    status = next(reversed(row.leads_to))
    questioned = row.name in ("answer_information", "withdraw_information_request")
    request_id = shelf.asked if questioned else shelf.by_status[status]
    before = await as_it_was(system, request_id)
    for name in (name for name in PEOPLE if name not in row.by):
        who = system.people[name]
        sees = (await who.get(f"/requests/{request_id}")).status_code == 200
        answer = await who.post(f"/requests/{request_id}/{row.path}", row.body(system))
        if sees and row.name == "take_back" and name == "dispatcher":  # who might have assigned it
            problem(answer, 409, "nothing_to_take_back")
        elif sees or row.name == "deadline_reached":
            assert (name, answer.status_code) == (name, 403)
            assert answer.json()["code"] in (
                *("role_not_allowed", "not_the_requester", "not_the_holder", "not_the_dispatcher", "not_the_signer"),
                *("not_the_administrator", "not_the_requesters_colleague", "forbidden"),
            )
        else:
            problem(answer, 404, "not_found")
    stranger = Clinician(system.provider.account, httpx.AsyncClient(transport=system.provider.http._transport))
    stranger.http.base_url = system.provider.http.base_url
    answer = await stranger.post(f"/requests/{request_id}/{row.path}", row.body(system))
    problem(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await in_the_records(system, request_id) == before


async def test_an_automatic_offering_goes_straight_to_the_pool(system: System) -> None:
    request_id = await submitted(system, "teleophthalmology")
    view = await system.provider2.view(request_id)
    assert (view["status"], view["holder"]["kind"]) == ("awaiting_acceptance", "pool")
    assert view["holder"]["clinic_id"] == str(system.clinics["near"].id)


async def test_of_a_pool_the_first_gets_it(system: System) -> None:
    request_id = await pooled(system)
    ok(await system.provider2.post(f"/requests/{request_id}/accept"))
    before = await picture(system.requester, request_id)
    problem(await system.provider.post(f"/requests/{request_id}/accept"), 409, "already_accepted")
    assert await picture(system.requester, request_id) == before


async def test_a_draft_that_is_removed_and_submitted_at_once(system: System) -> None:
    """One of both happens, and the other is refused in a clear way."""
    for _ in range(4):
        request_id = await draft(system)
        removed, submitted_ = await asyncio.gather(
            system.requester.http.delete(f"/api/v1/requests/{request_id}"),
            system.requester.post(f"/requests/{request_id}/submit"),
        )
        assert removed.status_code in (204, 409), removed.text
        assert submitted_.status_code in ((404,) if removed.status_code == 204 else (200,)), submitted_.text
