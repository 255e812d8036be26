"""What a clinic's system calls a request by itself: each once, found by it, and nobody else's business."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from domain.audit import Act
from domain.requests import Role
from records.errors import ReferenceTakenError
from records.models import AuditEntry, RequestRecord, RequestReference
from records.patient_words import IN_SESSION, SearchKeys
from records.references import hash_anew, refer, referred_to
from server import create_app
from tests.api.answers import problem
from tests.api.test_service_accounts import Integration, connected
from tests.journeys import draft, ok, submitted
from tests.portal.browsing import shown, visitor
from tests.system import Clinician, System, add_person

WRITES = ("requests:read", "drafts:write")


async def ordering(system: System, *scopes: str) -> Integration:
    return await connected(system, *(scopes or WRITES), on_behalf_of=system.requester.account.username)


def order(reference: str | None = None, **more: Any) -> dict[str, Any]:
    return {"offering": "teledermatology", "reference": reference or f"ORD-{uuid4().hex}", **more}


async def found(who: Clinician | Integration, reference: str, **more: Any) -> list[str]:
    page = ok(await who.get("/requests", params={"reference": reference, **more}))
    return [line["id"] for line in page["items"]]


async def named(who: Clinician | Integration, request_id: str) -> list[str] | None:
    references = ok(await who.get(f"/requests/{request_id}"))["references"]
    return None if references is None else [one["reference"] for one in references]


async def test_a_request_has_its_reference_from_the_first_on(system: System) -> None:
    ours, other = await ordering(system), await ordering(system)
    body = order()
    reference = body["reference"]
    view = ok(await ours.post("/requests", body), 201)
    request_id = view["id"]
    assert [one["reference"] for one in view["references"]] == [reference]
    problem(await ours.post("/requests", body), 409, "reference_taken")
    assert await found(ours, f"  {reference} ") == [request_id]
    assert await found(ours, reference, status="closed") == []
    assert await found(ours, reference[:-1]) == []
    assert await found(other, reference) == [], "what one system calls a request says nothing to another"
    assert (await named(other, request_id), await named(system.requester, request_id)) == ([], [reference])
    theirs = ok(await other.post("/requests", body), 201)["id"]
    assert set(await found(system.requester, reference)) == {request_id, theirs}
    async with system.services.database.session() as session:
        kept = await session.execute(
            text("SELECT value, hash FROM request_references WHERE request_id = :id"), {"id": UUID(request_id)}
        )
        assert reference not in kept.one().value, "it is sealed"


async def test_it_is_given_and_taken_away_later(system: System) -> None:
    ours = await ordering(system)
    first, second = await submitted(system), await draft(system)
    reference = f"Dossier {uuid4().hex}"

    async def give(request_id: str, given: str) -> Any:
        return await ours.http.put(f"/api/v1/requests/{request_id}/reference", json={"reference": given})

    version = (await system.requester.view(first))["version"]
    assert [one["reference"] for one in ok(await give(first, reference))] == [reference]  # type: ignore[index]
    ok(await give(first, reference))
    assert (await system.requester.view(first))["version"] == version
    problem(await give(second, reference), 409, "reference_taken")
    ok(await give(first, f"{reference} b"))
    ok(await give(second, reference))
    assert (await found(ours, reference), await found(ours, f"{reference} b")) == ([second], [first])
    for _ in range(2):
        assert (await ours.http.delete(f"/api/v1/requests/{first}/reference")).status_code == 204
    assert await found(ours, f"{reference} b") == []
    assert (await ours.http.delete(f"/api/v1/requests/{second}")).status_code == 204
    assert await found(ours, reference) == []
    for wrong in ("", "  ", "a\nb", "a" * 101):
        problem(await give(first, wrong), 422, "invalid_input")
        problem(await ours.post("/requests", order() | {"reference": wrong}), 422, "invalid_input")


async def test_of_two_at_once_one_gets_it(system: System) -> None:
    ours, body = await ordering(system), order()
    answers = await asyncio.gather(*(ours.post("/requests", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert len(await found(ours, body["reference"])) == 1


async def test_to_whom_it_is_shown(system: System) -> None:
    """To people of the system's clinic who see the chart; to nobody of another clinic; and finding it is a look."""
    ours = await ordering(system)
    reference, request_id = f"ORD-{uuid4().hex}", await submitted(system)
    ok(await ours.http.put(f"/api/v1/requests/{request_id}/reference", json={"reference": reference}))
    assert await named(system.dispatcher, request_id) == [reference]
    assert await named(system.operator, request_id) is None
    for who, is_shown in ((system.dispatcher, True), (system.operator, False)):
        async with visitor(create_app(system.settings, system.of_api), who) as browser:
            assert (reference in shown(await browser.get(f"/requests/{request_id}"))) is is_shown
    assert await found(system.operator, reference) == [request_id]
    here = await add_person(system, f"here_{uuid4().hex}", system.clinics["near"], Role.DISPATCHER)
    there = await add_person(system, f"there_{uuid4().hex}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    assert (await found(here, reference), await found(there, reference)) == ([request_id], [])
    async with system.services.database.session() as session:
        looks = select(AuditEntry.request_id).where(
            AuditEntry.account_id == here.account.id, AuditEntry.kind == Act.SEARCH
        )
        assert list(await session.scalars(looks)) == [UUID(request_id)]


async def test_people_have_none_of_their_own(system: System) -> None:
    answer = await system.requester.post("/requests", order())
    assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "reference"
    request_id = await draft(system)
    put = await system.requester.http.put(f"/api/v1/requests/{request_id}/reference", json={"reference": "x"})
    problem(put, 403, "forbidden")
    ours = await connected(system, *WRITES)
    problem(await ours.post("/requests", order()), 422, "person_needed")
    theirs = await connected(system, *WRITES, on_behalf_of=system.requester2.account.username)
    put = await theirs.http.put(f"/api/v1/requests/{request_id}/reference", json={"reference": "x"})
    problem(put, 404, "not_found")


async def test_another_key_finds_it_and_hashes_it_anew(system: System) -> None:
    ours, body = await ordering(system), order()
    request_id = UUID(ok(await ours.post("/requests", body), 201)["id"])
    present: SearchKeys = system.services.database._sessions.kw["info"][IN_SESSION]
    both, new = SearchKeys((b"new", *present.keys)), SearchKeys((b"new",))
    async with system.services.database.session() as session:
        clinic_id, system_id = system.clinics["near"].id, UUID(ours.id)

        async def is_found() -> bool:
            return request_id in set(
                await session.scalars(referred_to(session, body["reference"], clinic_id, system_id))
            )

        session.info[IN_SESSION] = both
        assert await is_found()
        other = await session.scalar(select(RequestRecord.id).where(RequestRecord.id != request_id).limit(1))
        assert other is not None
        with pytest.raises(ReferenceTakenError):
            await refer(session, other, system_id, body["reference"])
        session.info[IN_SESSION] = new
        assert not await is_found()
        session.info[IN_SESSION] = both
        place: tuple[UUID, UUID] | None = (UUID(int=0), UUID(int=0))
        while place is not None:
            place = await hash_anew(session, place, 2)
        session.info[IN_SESSION] = new
        assert await is_found()
        await session.rollback()
    async with system.services.database.session() as session:
        assert len((await session.scalars(select(RequestReference.hashed_with).distinct())).all()) == 1
