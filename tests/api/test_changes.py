"""The feed of changes by the API: a system of a clinic keeps a copy of what it sees, and a page of a list names the next one."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select, update

from domain.audit import Act
from domain.requests import Role
from records.models import AuditEntry, ChangeLog, RequestRecord
from tests.api.answers import problem
from tests.api.test_service_accounts import Integration, connected
from tests.journeys import assigned, draft, ok, reported
from tests.records.test_changes import nothing_under_way
from tests.system import Clinician, System, add_person, set_roles

THIN = {"kind", "request_id", "number", "sequence", "version", "event", "at", "access"}


def next_of(answer: httpx.Response) -> str:
    """The address of the next page, as a client finds it that knows RFC 8288 and nothing of ours."""
    return str(answer.links["next"]["url"])


async def follow(system: System, who: Clinician | Integration, address: str) -> tuple[list[dict[str, Any]], str]:
    """What is told from there to the present, and the address to go on from."""
    await nothing_under_way(system.services.database)
    told: list[dict[str, Any]] = []
    while True:
        answer = await who.http.get(address)
        page = ok(answer)
        told, address = [*told, *page["items"]], next_of(answer)
        if not page["more"]:
            return told, address


async def test_a_system_keeps_a_copy(system: System) -> None:
    recording = await connected(system, "requests:read")
    first = await recording.get("/changes", params={"limit": 2})
    assert ok(first)["items"] == []
    request_id = await reported(system)
    told, after = await follow(system, recording, next_of(first))
    mine = [one for one in told if one["request_id"] == request_id and one["kind"] == "event"]
    timeline = (await recording.get(f"/requests/{request_id}/timeline")).json()
    assert [(one["sequence"], one["event"], one["at"]) for one in mine] == [
        (one["version"], one["name"], one["at"]) for one in timeline
    ]
    view = ok(await recording.get(f"/requests/{request_id}"))
    assert mine[-1] == mine[-1] | {"number": view["number"], "version": view["version"], "access": "chart"}
    assert all(one.keys() == THIN for one in mine)
    assert (await recording.http.head(after)).headers["link"]
    async with system.services.database.session() as session:
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.account_id == UUID(recording.id), AuditEntry.kind == Act.LIST)
        )
        assert any(UUID(request_id) in (entry.shown or ()) for entry in entries)


async def test_for_a_person_a_system_follows_what_is_theirs(system: System) -> None:
    name = system.requester2.account.username
    preparing = await connected(system, "requests:read", "drafts:write", on_behalf_of=name)
    _, begun = await follow(system, preparing, "/api/v1/changes")
    await assigned(system)
    body = {"offering": "teledermatology"}
    request_id = ok(await preparing.post("/requests", body), 201)["id"]
    told, after = await follow(system, preparing, begun)
    assert [(one["kind"], one["request_id"]) for one in told] == [("begun", request_id)]
    assert (await preparing.http.delete(f"/api/v1/requests/{request_id}")).status_code == 204
    told, _ = await follow(system, preparing, after)
    assert told == [dict.fromkeys(THIN) | {"kind": "gone", "request_id": request_id}]


async def test_who_loses_a_role_is_told_what_is_gone(system: System) -> None:
    request_id = await assigned(system)
    who = await add_person(system, f"dispatcher_{uuid4().hex}", system.clinics["near"], Role.DISPATCHER)
    _, after = await follow(system, who, "/api/v1/changes?limit=50")
    await set_roles(system, who)
    told, _ = await follow(system, who, after)
    assert request_id in {one["request_id"] for one in told}
    assert {one["kind"] for one in told} == {"gone"}


async def test_a_place_that_is_none_or_is_not_kept(system: System) -> None:
    who = system.administrator
    answer = await who.get("/changes", params={"after": "nowhere"})
    assert problem(answer, 422, "invalid_input")["errors"][0] == {
        "field": "after",
        "code": "bad_cursor",
        "message": "Ce n’est pas un endroit de cette liste\N{NO-BREAK SPACE}: reprenez au début.",
    }
    after = ok(await who.get("/changes"))["after"]
    async with system.services.database.session() as session:
        await session.execute(update(ChangeLog).values(epoch=uuid4()))
    problem(await who.get("/changes", params={"after": after}), 410, "cursor_expired")


async def test_a_page_of_a_list_names_the_next_one(system: System) -> None:
    ids = {await draft(system) for _ in range(3)}
    address, found = "/api/v1/requests?status=draft&status=returned&sort=created&limit=2", list[str]()
    while not ids <= set(found):
        answer = await system.requester.http.get(address)
        found += [line["id"] for line in ok(answer)["items"]]
        if ids <= set(found):
            break
        address = next_of(answer)
        query = parse_qs(urlsplit(address).query)
        assert query == query | {"status": ["draft", "returned"], "sort": ["created"], "limit": ["2"]}
    assert len(found) == len(set(found))
    nobody = await add_person(system, f"provider_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)
    for last in ("/requests", "/me/past-cases"):
        assert "link" not in (await nobody.get(last)).headers


async def test_the_list_since_a_moment(system: System) -> None:
    before, later = await draft(system), await draft(system)
    moment = (await system.requester.view(later))["updated_at"]
    async with system.services.database.session() as session:
        long_ago = RequestRecord.updated_at - timedelta(hours=1)
        await session.execute(update(RequestRecord).where(RequestRecord.id == UUID(before)).values(updated_at=long_ago))
    answer = await system.requester.get("/requests", params={"updated_since": moment, "sort": "created", "limit": 200})
    ids = {line["id"] for line in ok(answer)["items"]}
    assert later in ids
    assert before not in ids
    problem(await system.requester.get("/requests", params={"updated_since": "2026-11-27"}), 422, "invalid_input")
