"""At the wish of the person whom it is about a request is shut to somebody: for them it is not there, at no address."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, text

from domain.audit import Act
from domain.commands import PUBLIC_COMMANDS, ConfirmReading
from domain.requests import Actor, Role
from records import commands as ledger
from records import requests, restrictions
from records.models import AuditEntry, GivenCommand, Notice
from tests.api.answers import notices, problem
from tests.api.test_audit import OF_REQUEST, addresses
from tests.api.test_codec import coded, opened, ours, sealed_summary, token_of
from tests.api.test_commands import ROWS
from tests.api.test_completeness import address_of
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import accepted, assigned, draft, ok, pooled, reported, returned, signed, submitted, written
from tests.rounds import LONGER
from tests.system import Clinician, System, add_person
from use_cases.caller import Caller
from use_cases.news import check_may_follow, news
from use_cases.problems import Problem

NAME, SENTENCE = "Qvaxxilnd", "La plaie qvaxx démange depuis jeudi."
MARKED = re.compile("qvaxx", re.IGNORECASE)
PATIENT = {"given_name": "Ottoline", "family_name": NAME, "birth_date": "1932-06-08", "sex": "female"}
WHY = "Parenté zzqqwhy avec la personne."


@pytest.fixture(scope="module")
async def near(system: System) -> None:
    """More people of the near clinic, so that one may be shut out and another one is left."""
    clinic = system.clinics["near"]
    await add_person(system, "dispatcher2", clinic, Role.DISPATCHER)
    await add_person(system, "administrator2", clinic, Role.CLINIC_ADMINISTRATOR)
    await add_person(system, "everything", clinic, *(role for role in Role if role not in (Role.SYSTEM, Role.OPERATOR)))


async def restricted(system: System, request_id: str, *, reason: str = WHY, **whom: Any) -> dict[str, Any]:
    body = {**whom, "reason": reason}
    return ok(await system.administrator.post(f"/requests/{request_id}/restrictions", body), 201)


async def ended(system: System, request_id: str, restriction: Mapping[str, Any]) -> dict[str, Any]:
    path = f"/requests/{request_id}/restrictions/{restriction['id']}/end"
    return ok(await system.administrator.post(path, {"reason": "La personne ne le souhaite plus."}))


# Set and ended


@pytest.mark.usefixtures("near")
async def test_the_life_of_a_restriction(system: System) -> None:
    request_id = await reported(system)
    path = f"/requests/{request_id}/restrictions"
    assert ok(await system.administrator.get(path))["restrictions"] == []
    view = await restricted(system, request_id, account_id=system.provider.id)
    assert (view["person"]["id"], view["role"], view["reason"]) == (system.provider.id, None, WHY)
    again = await restricted(system, request_id, account_id=system.provider.id)
    assert again == view, "what is set is set once"
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    assert (await system.requester.view(request_id))["access"] == "chart"

    assert await ended(system, request_id, view) == await ended(system, request_id, view)
    assert ok(await system.administrator.get(path))["restrictions"] == []
    assert (await system.provider.view(request_id))["access"] == "chart"
    near = str(system.clinics["near"].id)
    role = await restricted(system, request_id, clinic_id=near, role="provider")
    assert (role["person"], role["clinic_id"], role["role"]) == (None, near, "provider")
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    async with system.services.database.session() as session:
        stored = [str(row) for row in await session.execute(text("SELECT * FROM request_restrictions"))]
        entries = await session.scalars(
            select(AuditEntry)
            .where(AuditEntry.request_id == UUID(request_id), AuditEntry.kind == Act.CHANGE)
            .order_by(AuditEntry.id)
        )
        names = [entry.name for entry in entries if str(entry.account_id) == system.administrator.id]
    assert "zzqqwhy" not in "".join(stored), "the reason is sealed"
    assert [name for name in names if name and name.startswith("restriction")] == [
        "restriction_set",
        "restriction_ended",
        "restriction_set",
    ]


@pytest.mark.usefixtures("near")
async def test_who_may_restrict(system: System) -> None:
    request_id = await reported(system)
    view = await restricted(system, request_id, account_id=system.provider2.id)
    body = {"account_id": system.provider.id, "reason": "Non."}
    for name, status, code in (
        *((name, 403, "forbidden") for name in ("requester", "dispatcher", "provider", "operator")),
        *((name, 404, "not_found") for name in ("far_requester", "far_provider", "provider2")),
    ):
        who = system.people[name]
        path = f"/requests/{request_id}/restrictions"
        problem(await who.get(path), status, code)
        problem(await who.post(path, body), status, code)
        problem(await who.post(f"{path}/{view['id']}/end", {"reason": "Non."}), status, code)
    other = await reported(system)
    path = f"/requests/{other}/restrictions/{view['id']}/end"
    problem(await system.administrator.post(path, {"reason": "Non."}), 404, "not_found")
    problem(await system.administrator.get(f"/requests/{await draft(system)}/restrictions"), 404, "not_found")


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    "body",
    [
        {"reason": "Rien."},
        {"account_id": "{provider}", "clinic_id": "{near}", "role": "provider", "reason": "Les deux."},
        {"clinic_id": "{near}", "reason": "Sans rôle."},
        {"account_id": "{provider}", "role": "provider", "reason": "Sans clinique."},
        {"clinic_id": "{near}", "role": "operator", "reason": "Ce rôle n'est pas d'une clinique."},
        {"account_id": "{provider}", "reason": "  "},
        {"account_id": "{provider}", "reason": "nul \x00"},
        {"account_id": "{nobody}", "reason": "Personne."},
        {"clinic_id": "{nobody}", "role": "provider", "reason": "Nulle part."},
    ],
)
async def test_what_is_no_restriction(system: System, body: dict[str, str]) -> None:
    request_id = await submitted(system)
    known = {"provider": system.provider.id, "near": str(system.clinics["near"].id), "nobody": str(uuid4())}
    filled = {name: value.format(**known) for name, value in body.items()}
    problem(await system.administrator.post(f"/requests/{request_id}/restrictions", filled), 422, "invalid_input")


@pytest.mark.usefixtures("near")
async def test_who_must_be_left(system: System) -> None:
    request_id, near = await submitted(system), str(system.clinics["near"].id)
    path = f"/requests/{request_id}/restrictions"
    whom = {"requester": "wrote_the_request", "administrator": "restricts_yourself"}
    for name, code in whom.items():
        body = {"account_id": system.people[name].id, "reason": WHY}
        problem(await system.administrator.post(path, body), 409, code)
    roles = {"clinic_administrator": "restricts_yourself", "dispatcher": "nobody_left"}
    for role, code in roles.items():
        body = {"clinic_id": near, "role": role, "reason": WHY}
        problem(await system.administrator.post(path, body), 409, code)
    for name in ("dispatcher2", "everything"):
        await restricted(system, request_id, account_id=system.people[name].id)
    body = {"account_id": system.dispatcher.id, "reason": WHY}
    problem(await system.administrator.post(path, body), 409, "nobody_left")
    assert len(ok(await system.administrator.get(path))["restrictions"]) == 2, "nothing is half done"
    await restricted(system, request_id, clinic_id=near, role="requester")
    assert (await system.requester.view(request_id))["access"] == "chart", "who wrote it is never shut out"


# Whoever has it loses it, and gets it no more


@pytest.mark.usefixtures("near")
async def test_whoever_holds_it_loses_it(system: System) -> None:
    request_id = await accepted(system)
    await restricted(system, request_id, account_id=system.provider.id)

    async def is_back() -> bool:
        return bool((await system.dispatcher.view(request_id))["status"] == "awaiting_dispatch")

    await eventually(is_back)
    problem(await system.provider.get(f"/requests/{request_id}"), 404, "not_found")
    told = await notices(system, request_id, "reassigned")
    assert system.dispatcher.id in told
    assert system.provider.id not in told
    last = (await system.dispatcher.get(f"/requests/{request_id}/timeline")).json()[-1]
    assert (last["name"], last["by"]) == ("reassigned", None)
    assert "parenté" not in str(last).lower(), "no reason is told"


@pytest.mark.usefixtures("near")
async def test_a_pool_in_which_nobody_is_left_loses_it(system: System) -> None:
    request_id, near = await pooled(system), str(system.clinics["near"].id)
    await restricted(system, request_id, account_id=system.provider.id)
    assert (await system.dispatcher.view(request_id))["status"] == "awaiting_acceptance", "colleagues are left"
    await restricted(system, request_id, clinic_id=near, role="provider")

    async def is_back() -> bool:
        return bool((await system.dispatcher.view(request_id))["status"] == "awaiting_dispatch")

    await eventually(is_back)


@pytest.mark.usefixtures("near")
async def test_nobody_gives_it_to_whom_it_is_shut(system: System) -> None:
    request_id, near = await submitted(system), str(system.clinics["near"].id)
    path = f"/requests/{request_id}"
    await restricted(system, request_id, account_id=system.provider.id)
    to_them = {"provider_id": system.provider.id}
    problem(await system.dispatcher.post(f"{path}/assign", to_them), 409, "restricted_for_them")
    chosen = {"requests": [{"id": request_id}], **to_them}
    (part,) = (await system.dispatcher.post("/assignments", chosen)).json()
    assert part["code"] == "restricted_for_them"
    ok(await system.dispatcher.post(f"{path}/assign", {"provider_id": system.provider2.id}))
    problem(await system.dispatcher.post(f"{path}/reassign", {**to_them, "reason": "Non."}), 409, "restricted_for_them")
    problem(await system.provider2.post(f"{path}/transfer", to_them), 409, "restricted_for_them")
    await restricted(system, request_id, account_id=system.everything.id)
    ok(await system.dispatcher.post(f"{path}/reassign", {"dispatch": True, "reason": "Retour."}))
    await restricted(system, request_id, account_id=system.provider2.id)
    problem(await system.dispatcher.post(f"{path}/assign", {"clinic_id": near}), 409, "restricted_for_them")


@pytest.mark.usefixtures("near")
async def test_what_goes_back_does_not_go_to_whom_it_is_shut(system: System) -> None:
    """Taken back, submitted again, asked about: by whom it was with before."""
    request_id = await assigned(system)
    path = f"/requests/{request_id}"
    ok(await system.dispatcher.post(f"{path}/assign", {"provider_id": system.provider2.id}))
    await restricted(system, request_id, account_id=system.provider.id)
    problem(await system.dispatcher.post(f"{path}/take-back"), 409, "restricted_for_them")

    request_id = await returned(system)
    await restricted(system, request_id, account_id=system.provider.id)
    receipt = ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    assert receipt["status"] == "awaiting_dispatch", "and not back with who returned it"

    request_id = await reported(system)
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    await restricted(system, request_id, account_id=system.provider.id)
    await restricted(system, request_id, clinic_id=str(system.clinics["near"].id), role="provider")
    asked = await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de jours?"})
    problem(asked, 409, "restricted_for_them")


# Nothing shows, at no address


@dataclass(frozen=True)
class Marked:
    """A request of the patient that was reported, and what its addresses name."""

    id: str
    number: str
    attachment: str
    report: str
    command: str


@pytest.fixture(scope="module")
async def marked(system: System, near: None) -> Marked:
    made = await draft(system)
    answers = dict((await system.requester.view(made))["answers"])
    rules = system.services.offerings["teledermatology"]
    answers |= {field.name: SENTENCE for field in rules.form if rules.question(field)}
    ok(await system.requester.http.patch(f"/api/v1/requests/{made}", json={"patient": PATIENT, "answers": answers}))
    path = f"/requests/{made}"
    ok(await system.requester.post(f"{path}/submit"))
    pool = {"clinic_id": str(system.clinics["near"].id)}
    ok(await system.everything.post(f"{path}/assign", pool))
    command = ok(await system.provider.post(f"{path}/accept", key=str(uuid4())))["command_id"]
    await written(system, made, findings=SENTENCE)
    await signed(system, made)
    view = await system.requester.view(made)
    attachment, report = view["attachments"][0]["id"], view["documents"][0]["report_id"]
    return Marked(made, view["number"], attachment, report, command)


def filled(path: str, marked: Marked, system: System) -> str:
    known = {
        "request_id": marked.id,
        "attachment_id": marked.attachment,
        "report_id": marked.report,
        "command_id": marked.command,
        "account_id": system.provider.id,
        "clinic_id": str(system.clinics["near"].id),
        "number": "1",
        "version": "1",
        "code": "teledermatology",
        "resource_id": _resource_at(path, marked, system),
    }
    more = {"/worklist": "?filter=1&sort=created", "/api/v1/requests": "?sort=created"}
    of_request = OF_REQUEST.get(path, "").format(marked.id)
    return re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], str(uuid4())), path) + more.get(path, of_request)


def _resource_at(path: str, marked: Marked, system: System) -> str:
    match path.removeprefix("/fhir/").partition("/")[0]:
        case "Task" | "QuestionnaireResponse":
            return f"{marked.id}.1"
        case "DocumentReference" | "DiagnosticReport" | "Provenance" | "Binary":
            return marked.report
        case "Practitioner" | "PractitionerRole":
            return system.provider.id
    return marked.id


def looked_at(face: FastAPI) -> Iterator[tuple[str, str]]:
    for name, path in addresses(face):
        if name != "events" and "openapi" not in path:  # that one stays open: it is listened to below
            yield name, path


def shows(answer: httpx.Response, path: str, marked: Marked) -> bool:
    """Whether an answer holds something of the request: its patient, its number, a file of its own.

    The register of communications keeps the number of what left the clinic.
    """
    if answer.status_code >= 300:
        return False
    kind = answer.headers.get("content-type", "")
    if kind.startswith(("application/pdf", "image/jpeg")):
        return "{request_id}" in path or "{attachment_id}" in path or "{resource_id}" in path
    names_it = marked.number in answer.text and "communications" not in path
    return MARKED.search(answer.text) is not None or names_it


async def look(face: FastAPI, who: Clinician, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(face), base_url="http://relais.test") as http:
        return await http.get(path, headers={"Authorization": who.http.headers["Authorization"]})


WHOM: Mapping[str, Mapping[str, str]] = {
    "provider": {"account_id": "{id}"},
    "provider2": {"clinic_id": "{near}", "role": "provider"},
    "dispatcher2": {"account_id": "{id}"},
    "administrator2": {"account_id": "{id}"},
    "operator": {"account_id": "{id}"},
    "everything": {"clinic_id": "{near}", "role": "provider"},
}
"""Who is shut out, and how: who wrote the report, was offered it, dispatches, administers, operates; and who is all of that."""


AT_EVERY_ADDRESS = ("provider", "everything")
"""Who asks, shut out, at the addresses too that showed them nothing before. The others do with `make whole`."""


@pytest.mark.parametrize("name", WHOM)
async def test_nothing_shows_at_any_address(system: System, face: FastAPI, marked: Marked, name: str) -> None:
    """And where an address names the request, the answer is what it would be of one that was never there.

    Four of the six ask only at the addresses that showed them something before (`AT_EVERY_ADDRESS`).
    """
    who, near = system.people[name], str(system.clinics["near"].id)
    whom = {key: value.format(id=who.id, near=near) for key, value in WHOM[name].items()}
    nowhere = Marked(str(uuid4()), "R", str(uuid4()), str(uuid4()), str(uuid4()))
    before, strangers = set(), {}
    for _, path in looked_at(face):
        if shows(await look(face, who, filled(path, marked, system)), path, marked):
            before.add(path)
    asked = {path for _, path in looked_at(face)} if name in AT_EVERY_ADDRESS or LONGER > 1 else before
    restriction = await restricted(system, marked.id, **whom)
    try:
        shown, differing = set(), []
        for path in sorted(asked):
            answer = await look(face, who, filled(path, marked, system))
            if shows(answer, path, marked):
                shown.add(path)
            if "{request_id}" in path or (path in before and "{" in path):
                stranger = await look(face, who, filled(path, nowhere, system))
                strangers[path] = stranger.status_code
                if answer.status_code != stranger.status_code:
                    differing.append((path, answer.status_code, stranger.status_code))
        assert shown == set()
        assert differing == []
        assert 404 in strangers.values()
    finally:
        await ended(system, marked.id, restriction)
    assert len(before) > (3 if name in ("operator", "provider2") else 20), "they saw it before"
    assert "/api/v1/requests/{request_id}" in before
    assert (await system.people[name].get(f"/requests/{marked.id}")).status_code == 200, "and again after it"


async def test_searches_lists_and_counts_leave_it_out(system: System, marked: Marked) -> None:
    who = system.provider
    asked = [
        *({"q": q} for q in (NAME, marked.number, "Ottoline")),
        *({"sort": sort} for sort in ("due", "-due", "priority", "updated", "created")),
        *({"status": status} for status in ("reported", "closed")),
        *({"todo": todo} for todo in ("true", "false")),
        {"holder": "me"},
        {"offering": "teledermatology"},
        {"clinic": str(system.clinics["near"].id)},
    ]

    async def listed(query: Mapping[str, str]) -> tuple[set[str], dict[str, int]]:
        found: set[str] = set()
        cursor: str | None = None
        counts: dict[str, int] = {}
        while cursor or not counts:
            page = ok(
                await who.get("/requests", params={**query, "limit": "200", **({"cursor": cursor} if cursor else {})})
            )
            found |= {row["id"] for row in page["items"]}
            counts = {"of": 0, **page["counts"]}
            cursor = page["next_cursor"]
        return found, counts

    before = [await listed(query) for query in asked]
    cases = [case["request"]["id"] for case in ok(await who.get("/me/past-cases"))["items"]]
    restriction = await restricted(system, marked.id, account_id=who.id)
    try:
        for query, (ids, counts) in zip(asked, before, strict=True):
            now, counted = await listed(query)
            assert now == ids - {marked.id}, query
            fewer = 1 if marked.id in ids or "status" in query else 0  # what a filter by status counts is of all
            assert sum(counts.values()) - sum(counted.values()) == fewer, query
        now_cases = [case["request"]["id"] for case in ok(await who.get("/me/past-cases"))["items"]]
        assert now_cases == [one for one in cases if one != marked.id]
    finally:
        await ended(system, marked.id, restriction)
    assert sum(marked.id in ids for ids, _ in before) > 5
    assert marked.id in cases


async def test_every_command_is_of_a_request_that_is_not_there(system: System, marked: Marked) -> None:
    bodies = {row.name: row.body for row in ROWS}
    restriction = await restricted(system, marked.id, account_id=system.everything.id)
    try:
        for command in PUBLIC_COMMANDS:
            path, body = address_of(command).replace("{name}", "report"), bodies.get(command)
            said = body(system) if callable(body) else body
            of_it, of_nothing = [
                await system.everything.http.post(path.replace("{request_id}", one), json=said)
                for one in (marked.id, str(uuid4()))
            ]
            assert of_it.status_code in (403, 404, 422), (command, of_it.text)
            assert of_it.json()["code"] == of_nothing.json()["code"], command
            assert marked.number not in of_it.text
        for address in ("holds", "restrictions", "attachments", "phone-link", "uploads", "journals"):
            of_it, of_nothing = [
                await system.everything.post(f"/requests/{one}/{address}", {"reason": WHY})
                for one in (marked.id, str(uuid4()))
            ]
            assert of_it.json()["code"] == of_nothing.json()["code"], address
    finally:
        await ended(system, marked.id, restriction)


async def test_what_they_gave_before_is_not_answered_again(system: System, marked: Marked) -> None:
    request_id, key = await assigned(system), str(uuid4())
    accepted_by = ok(await system.provider.post(f"/requests/{request_id}/accept", key=key))
    await restricted(system, request_id, account_id=system.provider.id)
    problem(await system.provider.post(f"/requests/{request_id}/accept", key=key), 404, "not_found")
    path = f"/requests/{request_id}/commands/{accepted_by['command_id']}"
    problem(await system.provider.get(path), 404, "not_found")


async def test_what_is_on_its_way_shows_nothing_either(system: System, marked: Marked) -> None:
    """Of a request about which something is under way, who will see it is told to wait; who is shut out is told as a stranger."""
    who, dispatcher = system.dispatcher2, system.dispatcher.account
    restriction = await restricted(system, marked.id, account_id=who.id)
    actor = Actor(id=dispatcher.id, role=Role.DISPATCHER, clinic_id=dispatcher.clinic_id)
    command = ConfirmReading(id=str(uuid4()), actor=actor)
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(marked.id))
        await ledger.write_down(session, row, command, account_id=dispatcher.id, now=datetime.now(UTC))
    try:
        problem(await who.get(f"/requests/{marked.id}"), 404, "not_found")
        problem(await who.post(f"/requests/{marked.id}/confirm-reading"), 404, "not_found")
        await ended(system, marked.id, await restricted(system, marked.id, account_id=system.provider.id))
    finally:
        async with system.services.database.session() as session:
            await session.execute(delete(GivenCommand).where(GivenCommand.command_id == command.id))
        await ended(system, marked.id, restriction)


@pytest.mark.usefixtures("near")
async def test_nobody_is_told_by_e_mail(system: System) -> None:
    request_id = await assigned(system)
    await restricted(system, request_id, account_id=system.dispatcher2.id)
    ok(await system.provider.post(f"/requests/{request_id}/return-to-dispatch", {"comment": "Hors de mon domaine."}))
    told = await notices(system, request_id, "returned_to_dispatch")
    assert system.dispatcher.id in told
    assert system.dispatcher2.id not in told
    async with system.services.database.session() as session:
        query = select(Notice).where(
            Notice.request_id == UUID(request_id), Notice.account_id == system.dispatcher2.account.id
        )
        later = [one.event for one in await session.scalars(query)]
    assert sorted(later) == ["assigned", "submitted"], "what was told before they were shut out"


@pytest.mark.usefixtures("near")
async def test_an_open_page_hears_of_it_and_then_nothing(system: System) -> None:
    """It asks for itself anew, and is not there any more. Nobody follows it from then on."""
    request_id, who = await assigned(system), system.dispatcher2
    caller = Caller(who.account, token_of(system, "dispatcher2"))
    async with aclosing(news(system.of_api, caller, UUID(request_id), None, silence_seconds=3_600)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        await restricted(system, request_id, account_id=who.id)
        assert await asyncio.wait_for(first, PATIENCE_SECONDS) is True
    problem(await who.get(f"/requests/{request_id}"), 404, "not_found")
    with pytest.raises(Problem, match="not_found"):
        await check_may_follow(system.of_api, caller, UUID(request_id))


async def test_what_the_engine_keeps_stays_sealed_for_an_operator(system: System, marked: Marked) -> None:
    kept = [await sealed_summary(system, one) for one in (marked.id, await assigned(system))]
    body = {"payloads": [coded(payload) for payload in kept]}
    async with ours(system, token_of(system, "operator")) as http:
        assert len(opened(await http.post("/codec/decode", json=body))) == 2
        restriction = await restricted(system, marked.id, account_id=system.operator.id)
        try:
            first, second = ok(await http.post("/codec/decode", json=body))["payloads"]
        finally:
            await ended(system, marked.id, restriction)
    assert first == body["payloads"][0]
    assert second != body["payloads"][1]


async def test_another_administrator_has_no_journal_of_it(system: System, marked: Marked) -> None:
    other = await accepted(system, patient=PATIENT)
    path = f"/requests/{marked.id}"
    before = ok(await system.administrator2.get(f"/requests/{other}/journal"))
    assert marked.id in {one["id"] for one in before["requests"]}
    restriction = await restricted(system, marked.id, account_id=system.administrator2.id)
    try:
        problem(await system.administrator2.get(f"{path}/journal"), 404, "not_found")
        now = ok(await system.administrator2.get(f"/requests/{other}/journal"))
        assert marked.id not in {one["id"] for one in now["requests"]}
        whole = ok(await system.administrator.get(f"/requests/{other}/journal"))
        assert marked.id in {one["id"] for one in whole["requests"]}
    finally:
        await ended(system, marked.id, restriction)


@pytest.mark.usefixtures("near")
async def test_a_system_that_acts_for_them_is_shut_out_as_well(system: System) -> None:
    """In fewer roles than they have: it is who they are that counts, not what the system may do for them."""
    request_id = await reported(system)
    await restricted(system, request_id, clinic_id=str(system.clinics["near"].id), role="provider")
    async with system.services.database.session() as session:
        account = system.everything.account
        roles = frozenset({Role.REQUESTER})
        assert await restrictions.is_shut_to(session, account.id, account.clinic_id, roles, UUID(request_id))
