"""What is over its time is listed, approved, destroyed and certified; every face says so, and nothing of it is left."""

import asyncio
import hashlib
import io
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from pypdf import PdfReader
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from domain.audit import Act
from domain.calendar import day_of
from domain.messages import MessageEvent
from domain.requests import Role, Source
from domain.retention import DESTROYED_AFTER, KeptBecause, ListState, RetentionPolicy
from domain.told_partners import MessageState
from domain.webhooks import DeliveryState, EndpointState, WebhookType
from engine.running import last_status
from records import destruction, emergencies, people, requests, restrictions
from records.database import Database
from records.errors import StoreError
from records.failures import note_failure, resolve_failure
from records.forms import patients_named
from records.ids import new_id
from records.models import (
    AccountLetter,
    Attachment,
    AuditEntry,
    Base,
    DestroyedRequest,
    FailedEffect,
    Mark,
    OfferedPool,
    PartnerMessage,
    PatientLetGo,
    PatientWord,
    PhoneLink,
    ReceivedRequest,
    RefusedCommand,
    ReportDraft,
    RequestParty,
    RequestRecord,
    RequestReference,
    RetentionEntry,
    RetentionHold,
    RetentionList,
    ToldMessage,
    Upload,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from records.partners import message_folder
from records.requests import load_request
from records.visibility import Viewer
from tests.api.answers import problem
from tests.api.test_fhir import call, outcome
from tests.api.test_hand_over import routed_far
from tests.eventually import eventually
from tests.journeys import assigned, cancelled, closed, draft, filled, ok, somebody_new
from tests.system import PASSWORD, System, add_person
from use_cases.certificates import certify
from use_cases.destruction import TooEarlyError, destroy_listed, over_time, write_lists
from use_cases.repair import repair
from use_cases.retention import HeldPatients, begin_destruction, why_kept
from workflows.contract import destruction_workflow_id, workflow_id

LONG_AGO = timedelta(days=11 * 366)
PDF = {"Content-Type": "application/pdf"}
STAYING = {table for tables in destruction.STAYS.values() for table in tables}


async def entered(system: System, request_id: str, ago: timedelta) -> None:
    """As if the last entry about the request had been that long ago."""
    async with system.services.database.session() as session:
        moment = datetime.now(UTC) - ago
        await session.execute(
            update(RequestRecord).where(RequestRecord.id == UUID(request_id)).values(updated_at=moment)
        )


async def over(system: System) -> str:
    """A request that ended without an answer, and was kept for long enough."""
    request_id = await cancelled(system)
    await entered(system, request_id, LONG_AGO)
    return request_id


async def answered(system: System) -> str:
    """A request whose report was read, and that was kept for long enough."""
    request_id = await closed(system)
    await entered(system, request_id, LONG_AGO)
    return request_id


async def listed(system: System) -> dict[str, Any]:
    """The list that waits in the near clinic, as its administrator sees it."""
    await write_lists(system.services)
    near = system.clinics["near"].id
    [waiting] = [
        one
        for one in ok(await system.administrator.get(f"/clinics/{near}/retention"))["lists"]
        if one["state"] == "waiting"
    ]
    return ok(await system.administrator.get(f"/retention/lists/{waiting['id']}"))


async def approved(system: System, seen: dict[str, Any], *, seconded_by: UUID | None = None) -> dict[str, Any]:
    """The list once it is approved, nobody has taken it back for days, and everything on it is done."""
    where = f"/retention/lists/{seen['id']}"
    ok(await system.administrator.post(f"{where}/approve", {"sha256": seen["sha256"]}), 202)
    if seconded_by is not None:
        async with system.services.database.session() as session:
            entries = update(RetentionEntry).where(RetentionEntry.list_id == UUID(seen["id"]))
            await session.execute(entries.values(seconded_by=seconded_by, seconded_at=datetime.now(UTC)))
    await days_later(system, seen["id"])

    async def is_done() -> bool:
        return bool(ok(await system.administrator.get(where))["state"] == ListState.DONE)

    await eventually(is_done)
    return ok(await system.administrator.get(where))


async def days_later(system: System, list_id: str) -> None:
    """As if the list had been approved some days ago."""
    async with system.services.database.session() as session:
        found = await session.get_one(RetentionList, UUID(list_id))
        found.approved_at = datetime.now(UTC) - DESTROYED_AFTER
    await begin_destruction(system.services, UUID(list_id))


async def with_everything(system: System, session: AsyncSession, request_id: UUID) -> None:
    """Rows in the tables in which the course of the request has left none."""
    row = await load_request(session, request_id)
    assert row is not None
    asks, clinic, now = row.requester_id, row.requester_clinic_id, datetime.now(UTC)
    attachment = await session.scalar(select(Attachment.id).where(Attachment.request_id == request_id).limit(1))
    own: dict[str, Any] = {"request_id": request_id}
    earlier = now - LONG_AGO  # what was restricted since the approval is kept
    shut = await restrictions.add(session, request_id, asks, None, reason="Fini.", set_by=asks, now=earlier)
    await restrictions.end(session, shut, reason="Fini.", ended_by=asks, now=earlier)
    viewer = Viewer(asks, clinic, frozenset({Role.REQUESTER}))
    opening = await emergencies.add(
        *(session, request_id, viewer, Role.REQUESTER),
        reason="Fini.",
        command_id=new_id(),
        told=0,
        begun_at=now,
        ends_at=now + timedelta(hours=4),
    )
    await emergencies.end(session, opening, ended_by=asks, now=now)
    message, endpoint, came = new_id(), new_id(), new_id()
    as_it_came = f"{message_folder(came)}/{new_id()}"
    await system.services.store.put_new(as_it_came, b"of a patient")
    session.add_all(
        [
            Mark(
                id=new_id(),
                attachment_id=attachment,
                account_id=asks,
                kind="arrow",
                drawn={},
                label="",
                created_at=now,
                removed_at=now,
            ),
            Upload(
                id=new_id(),
                **own,
                account_id=asks,
                slot="",
                filename="dos.jpg",
                description="",
                length=9,
                offset=0,
                parts=[],
                created_at=now,
                expires_at=now,
            ),
            PhoneLink(
                id=new_id(),
                **own,
                account_id=asks,
                slot="",
                made_by="",
                code_sha256=new_id().hex,
                made_at=now,
                ends_at=now,
            ),
            RefusedCommand(
                id=new_id(), **own, command_id="x", name="accept", code="stale", source=Source.UPDATE, at=now
            ),
            FailedEffect(
                effect_id=f"{request_id}:1:notify", **own, kind="notify", code="lost", at=now, resolved_at=now
            ),
            RequestReference(
                **own, system_id=asks, value="commande 12", hash=request_id.bytes, hashed_with=b"a key of a test"
            ),
            PartnerMessage(
                id=came,
                **own,
                partner_id=asks,
                message_id="m-1",
                received_at=now,
                content_sha256="x",
                object_key=as_it_came,
                refused=False,
                tries=1,
                answer={"of": "a patient"},
            ),
            ReceivedRequest(
                **own,
                partner_id=asks,
                content={
                    "identifier": {"system": "", "value": "commande 12"},
                    **dict.fromkeys(("author", "organization"), "of a patient"),
                    **{key: [] for key in ("missing", "lines", "elsewhere", "not_taken")},
                    "edits": 0,
                },
            ),
            ToldMessage(
                id=new_id(),
                **own,
                partner_id=asks,
                sequence=99,
                part=0,
                event=MessageEvent.UPDATE_PROCESS,
                version=99,
                at=now,
                state=MessageState.DELIVERED,
                next_attempt=now,
            ),
            RetentionHold(
                id=new_id(),
                **own,
                clinic_id=clinic,
                whole_patient=False,
                reason="Plainte",
                set_by=asks,
                set_at=now,
                lifted_by=asks,
                lifted_at=now,
            ),
            PatientLetGo(request_id=request_id, lifted_at=earlier),
            WebhookEndpoint(
                id=endpoint,
                clinic_id=clinic,
                url=f"https://{endpoint}.test",
                types=[],
                description="",
                state=EndpointState.DISABLED,
                sealed_secret="-",
                created_at=now,
            ),
        ]
    )
    await session.merge(ReportDraft(**own, answers={"a": "b"}, revision=9, updated_by=asks, updated_at=now))
    await session.merge(OfferedPool(**own, clinic_id=clinic))
    await session.flush()
    told = {"type": WebhookType.UPDATED, **own}
    session.add(WebhookMessage(id=message, **told, sequence=99, at=now, data={}))
    await session.flush()
    session.add_all(
        [
            WebhookDelivery(
                message_id=message, endpoint_id=endpoint, **told, state=DeliveryState.DELIVERED, next_attempt=now
            ),
            WebhookAttempt(id=new_id(), message_id=message, endpoint_id=endpoint, at=now, milliseconds=1),
        ]
    )


async def tables_that_hold(session: AsyncSession, *ids: str) -> set[str]:
    """Every table of which some row has one of these ids anywhere in it."""
    looks_like, found = {"looks_like": "|".join(ids)}, set()
    for name in Base.metadata.tables:
        query = text(f"SELECT EXISTS (SELECT FROM {name} AS t WHERE t::text ~ :looks_like)")  # noqa: S608
        if await session.scalar(query, looks_like):
            found.add(name)
    return found


def test_every_table_goes_or_stays_for_a_reason() -> None:
    goes = {table.__tablename__ for table in destruction.OF_REQUEST} | {"requests"}
    assert goes | STAYING == Base.metadata.tables.keys()
    assert not goes & STAYING
    naming = {table.name for table in Base.metadata.tables.values() if "request_id" in table.columns}
    of_audit = {"audit_entries", "access_findings", "access_verdicts"}
    assert naming - goes == {"request_changes", "retention_entries", "destroyed_requests", "communications", *of_audit}


async def test_what_is_over_its_time_is_destroyed_and_certified(system: System, face: FastAPI) -> None:
    request_id, other = await answered(system), await cancelled(system)
    near, requester, administrator = system.clinics["near"].id, system.requester, system.administrator
    before = await requester.view(request_id)
    [report] = (await requester.get(f"/requests/{request_id}/reports")).json()
    pdf = (await requester.get(f"/requests/{request_id}/reports/{report['report_id']}.pdf")).content
    attachments = [one["id"] for one in before["attachments"]]
    async with system.services.database.session() as session:
        await with_everything(system, session, UUID(request_id))
    after = ok(await administrator.get("/changes"))["after"]
    looked = await entries_of(system, request_id)

    seen = await listed(system)
    assert request_id in {one["request_id"] for one in seen["entries"]}
    assert other not in {one["request_id"] for one in seen["entries"]}
    where = f"/retention/lists/{seen['id']}"
    stranger = await add_person(system, "far_administrator", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    body = {"sha256": seen["sha256"]}
    problem(await stranger.get(where), 404, "not_found")
    problem(await stranger.post(f"{where}/approve", body), 404, "not_found")
    problem(await system.operator.post(f"{where}/approve", body), 403, "forbidden")
    problem(await requester.get(where), 403, "forbidden")
    problem(await administrator.post(f"{where}/approve", {"sha256": "0" * 64}), 412, "retention_list_changed")
    problem(await administrator.get(f"{where}/certificate"), 404, "not_found")
    await requester.view(request_id)  # nothing has happened yet

    done = await approved(system, seen, seconded_by=UUID(system.operator.id))  # its patient was let go
    entry = next(one for one in done["entries"] if one["request_id"] == request_id)
    assert (entry["outcome"], entry["kept_because"]) == ("destroyed", None)
    await _is_gone_on_every_face(system, face, request_id, report["report_id"], before["number"])
    await _is_gone_from_the_stores(system, request_id, report["report_id"], *attachments)
    await _no_key_comes_back(system, UUID(request_id))
    await _is_certified(system, where, request_id, pdf)
    assert request_id in {
        one["request_id"]
        for one in ok(await administrator.get("/changes", params={"after": after, "limit": 100}))["items"]
        if one["kind"] == "gone"
    }
    told = await entries_of(system, request_id)
    assert {entry.id for entry in looked} <= {entry.id for entry in told}
    [act] = [entry for entry in told if entry.kind is Act.DESTROYED]
    assert (str(act.account_id), str(act.object_id)) == (administrator.id, seen["id"])
    events = (await administrator.get(f"/clinics/{near}/events")).json()
    assert "retention_approved" in {event["kind"] for event in events}
    await requester.view(other)  # untouched


async def entries_of(system: System, request_id: str) -> list[AuditEntry]:
    async with system.services.database.session() as session:
        return list(await session.scalars(select(AuditEntry).where(AuditEntry.request_id == UUID(request_id))))


async def _is_gone_on_every_face(system: System, face: FastAPI, request_id: str, report_id: str, number: str) -> None:
    requester, whole = system.requester, f"/requests/{request_id}"
    for address in ("", "/timeline", "/reports", f"/reports/{report_id}.pdf", "/accesses", "/case.pdf"):
        told = problem(await requester.get(whole + address), 410, "request_destroyed")
        assert told["years"] == 10
    for kind, id_ in (("ServiceRequest", request_id), ("Patient", request_id), ("Binary", report_id)):
        outcome(await call(face, requester, f"/fhir/{kind}/{id_}"), 410, "deleted")
    problem(await requester.post(f"{whole}/ask-follow-up", {"text": "Encore?"}), 410, "request_destroyed")
    problem(await system.administrator.post(f"{whole}/holds", {"reason": "Plainte"}), 410, "request_destroyed")
    problem(await system.far_requester.get(whole), 404, "not_found")
    assert ok(await requester.get("/requests", params={"q": number}))["items"] == []
    fresh = await requester.view(await draft(system))
    assert fresh["number"] > number
    assert UUID(request_id) not in (await repair(system.services, dry_run=True)).taken_up


async def _is_gone_from_the_stores(system: System, *ids: str) -> None:
    async with system.services.database.session() as session:
        assert await tables_that_hold(session, *ids) <= STAYING
        gone = await destruction.find_destroyed(session, UUID(ids[0]))
    assert gone is not None
    made = {table.__tablename__ for table in destruction.OF_REQUEST if table not in (PatientWord, RequestParty)}
    assert gone.destroyed["rows"].keys() == made | {"requests"}
    folder = system.services.store.folder
    assert folder is not None
    owners = {ids[0], *map(str, gone.key_owners)}
    assert len(owners) == 3  # itself, an upload, and the message as it came
    assert not [path for path in folder.rglob("*") if path.is_file() and owners.intersection(path.parts)]


async def _no_key_comes_back(system: System, request_id: UUID) -> None:
    """A copy of a video that comes late, or a draft of the same id, gets no key: what it certifies stays true."""
    async with system.services.database.session() as session:
        gone = await destruction.find_destroyed(session, request_id)
        assert gone is not None
        assert gone.key_owners
        for owner in (request_id, *gone.key_owners):
            made = text("INSERT INTO data_keys (owner_id, sealed_key) VALUES (:owner, 'x') RETURNING owner_id")
            assert await session.scalar(made, {"owner": owner}) is None
        await session.rollback()


async def _is_certified(system: System, where: str, request_id: str, pdf: bytes) -> None:
    answer = await system.administrator.get(f"{where}/certificate")
    certificate = ok(answer)
    one = next(one for one in certificate["destroyed"] if one["request_id"] == request_id)
    assert {thing["kind"] for thing in one["things"]} == {"form", "report", "document", "attachment"}
    assert certificate["approved_by"]["id"] == system.administrator.id
    checked = await verified(system, pdf)
    assert checked["sha256"] in {thing["sha256"] for thing in one["things"] if thing["kind"] == "document"}
    assert (checked["valid"], checked["destroyed_on"]) == (
        True,
        str(day_of(datetime.fromisoformat(one["destroyed_at"]))),
    )
    paper = await system.administrator.get(f"{where}/certificate.pdf")
    sealed = await verified(system, paper.content)
    assert (sealed["valid"], sealed["signer_name"], sealed["destroyed_on"]) == (True, "Clinique du Fleuve", None)
    said = "".join("".join(page.extract_text() for page in PdfReader(io.BytesIO(paper.content)).pages).split())
    assert hashlib.sha256(answer.content).hexdigest() in said  # of what the API gives, to the byte
    assert one["number"] in said
    assert certificate["policies"] == [RetentionPolicy().model_dump()]


async def verified(system: System, pdf: bytes) -> dict[str, Any]:
    return ok(await system.requester.http.post("/api/v1/verifications", content=pdf, headers=PDF))


async def test_what_must_be_kept_is_kept_though_it_stands_on_the_list(system: System) -> None:
    """A hold that came since, an addendum that came since, one that is open again, and one that is not there any more."""
    administrator = system.administrator
    held, younger, gone = [await over(system) for _ in range(3)]
    asked = await answered(system)
    before = await listed(system)
    assert {held, younger, asked, gone} <= {one["request_id"] for one in before["entries"]}
    hold = ok(await administrator.post(f"/requests/{held}/holds", {"reason": "Plainte au syndic"}), 201)
    again = ok(await administrator.post(f"/requests/{held}/holds", {"reason": "Plainte au syndic"}), 201)
    assert again == hold
    assert next(
        one
        for one in ok(await administrator.get(f"/retention/lists/{before['id']}"))["entries"]
        if one["request_id"] == held
    )["held"]
    problem(await system.requester.post(f"/requests/{held}/holds", {"reason": "Non"}), 403, "forbidden")
    near = f"/clinics/{system.clinics['near'].id}/retention"
    for who, reason in ((administrator, "Plainte au syndic"), (system.operator, None)):
        assert [one["reason"] for one in ok(await who.get(near))["holds"] if one["id"] == hold["id"]] == [reason]
    await entered(system, younger, timedelta(days=9 * 365))
    ok(await system.requester.post(f"/requests/{asked}/ask-follow-up", {"text": "Encore?"}))
    await entered(system, asked, LONG_AGO)
    async with system.services.database.session() as session:
        row = await load_request(session, UUID(gone))
        assert row is not None
        now = datetime.now(UTC)
        await destruction.destroy(
            session, row, UUID(before["id"]), now, kept_until=now.date(), policy=RetentionPolicy()
        )
    done = await approved(system, before)
    kept = {one["request_id"]: one["kept_because"] for one in done["entries"] if one["outcome"] == "kept"}
    expected = {held: "held", younger: "younger", asked: "open", gone: "gone"}
    assert {id_: kept.get(id_) for id_ in expected} == expected
    certificate = ok(await administrator.get(f"/retention/lists/{before['id']}/certificate"))
    assert {one["request_id"] for one in certificate["kept"]} == set(kept)
    for request_id in (held, younger, asked):
        await system.requester.view(request_id)

    assert held not in {one["request_id"] for one in await waiting_entries(system)}
    assert (await administrator.http.delete(f"/api/v1/retention/holds/{hold['id']}")).status_code == 204
    assert held in {one["request_id"] for one in await waiting_entries(system)}
    about_all = {"reason": "Poursuite", "whole_patient": True}
    hold = ok(await administrator.post(f"/requests/{younger}/holds", about_all), 201)
    try:
        assert held not in {one["request_id"] for one in await waiting_entries(system)}  # it is about the same patient
    finally:
        await administrator.http.delete(f"/api/v1/retention/holds/{hold['id']}")


async def waiting_entries(system: System) -> list[dict[str, Any]]:
    await write_lists(system.services)
    near = system.clinics["near"].id
    lists = ok(await system.administrator.get(f"/clinics/{near}/retention"))["lists"]
    waiting = [one["id"] for one in lists if one["state"] == "waiting"]
    return [
        entry for id_ in waiting for entry in ok(await system.administrator.get(f"/retention/lists/{id_}"))["entries"]
    ]


async def test_the_clinic_that_answered_holds_what_it_does_not_see_any_more(system: System) -> None:
    """Nobody holds what is over, so its administrators see no chart; a complaint about their physician still keeps it."""
    request_id, provider, far = await routed_far(system), system.far_provider, system.clinics["far"]
    answers = filled(system.services.offerings["teledermatology"].report)
    ok(await provider.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))
    ok(await provider.post(f"/requests/{request_id}/report/sign", {"kind": "final", "password": PASSWORD}))
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    await entered(system, request_id, LONG_AGO)
    administrator = await add_person(system, "far_administrator", far, Role.CLINIC_ADMINISTRATOR)
    problem(await administrator.get(f"/requests/{request_id}"), 404, "not_found")
    hold = ok(await administrator.post(f"/requests/{request_id}/holds", {"reason": "Plainte au syndic"}), 201)
    assert request_id not in {one["request_id"] for one in await waiting_entries(system)}
    assert (await administrator.http.delete(f"/api/v1/retention/holds/{hold['id']}")).status_code == 204
    problem(await administrator.post(f"/requests/{await cancelled(system)}/holds", {"reason": "Non"}), 404, "not_found")
    problem(await administrator.post(f"/requests/{await draft(system)}/holds", {"reason": "Non"}), 404, "not_found")
    problem(
        await system.administrator.post(f"/requests/{await draft(system)}/holds", {"reason": "Non"}), 404, "not_found"
    )


async def test_what_another_request_follows_is_kept_until_that_one_is_gone(system: System) -> None:
    """Its reports are shown to whoever answers the later one; so it goes with no list before that one went."""
    first, alone = await answered(system), await over(system)
    later = await draft(system, earlier_id=first, patient=somebody_new())
    assert {first, alone} & {one["request_id"] for one in await waiting_entries(system)} == {alone}
    assert ok(await system.requester.get(f"/requests/{later}"))["earlier"]["id"] == first
    async with system.services.database.session() as session:
        row = await load_request(session, UUID(first))
        assert row is not None
        why = await why_kept(session, row, date.max, HeldPatients())
    assert why is KeptBecause.FOLLOWED
    assert (await system.requester.http.delete(f"/api/v1/requests/{later}")).status_code == 204
    assert first in {one["request_id"] for one in await waiting_entries(system)}


async def test_nothing_begins_to_follow_what_is_destroyed_in_this_moment(system: System) -> None:
    first = await answered(system)
    body = {"offering": "teledermatology", "earlier_id": first}
    async with system.services.database.session() as session:
        await requests.lock_to_destroy(session, UUID(first))
        begun = asyncio.create_task(system.requester.post("/requests", body))
        await eventually(partial(somebody_waits_for, system, session))
        await session.rollback()
    later = ok(await begun, 201)["id"]
    async with system.services.database.session() as session:
        assert await requests.later_requests(session, UUID(first)) == [UUID(later)]


async def somebody_waits_for(system: System, session: AsyncSession) -> bool:
    """Whether a transaction waits for what this session has locked."""
    holder = await session.scalar(text("SELECT pg_backend_pid()"))
    query = text("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE :holder = ANY(pg_blocking_pids(pid)))")
    async with system.services.database.session() as other:
        return bool(await other.scalar(query, {"holder": holder}))


async def test_the_day_of_birth_that_was_submitted_counts_whatever_was_typed_over_it(system: System) -> None:
    """A child's request comes back, another patient is typed over the child, and it is cancelled: the child's time counts."""
    child = {**somebody_new(), "birth_date": str(datetime.now(UTC).date() - timedelta(days=12 * 366))}
    request_id = await assigned(system, patient=child)
    back = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", back))
    patched = {"patient": {**somebody_new(), "birth_date": "1958-03-14"}}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json=patched))
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "La patiente a été vue ailleurs."}))
    await entered(system, request_id, LONG_AGO)
    assert request_id not in {one["request_id"] for one in await waiting_entries(system)}
    async with system.services.database.session() as session:
        row = await load_request(session, UUID(request_id))
        assert row is not None
        assert row.form["patient"]["birth_date"] == "1958-03-14"
        assert await why_kept(session, row, day_of(datetime.now(UTC)), HeldPatients()) is KeptBecause.YOUNGER
        named = await patients_named(session, row)
    assert [patient["birth_date"] for patient in named] == ["1958-03-14", child["birth_date"]]


async def test_what_failed_and_waits_for_a_person_keeps_its_request(system: System) -> None:
    request_id = await over(system)
    effect = f"{request_id}:9:finalize"
    async with system.services.database.session() as session:
        await note_failure(
            session, effect_id=effect, request_id=UUID(request_id), kind="finalize", code="lost", at=datetime.now(UTC)
        )
    assert request_id not in {one["request_id"] for one in await waiting_entries(system)}
    async with system.services.database.session() as session:
        await resolve_failure(session, effect, now=datetime.now(UTC))
    assert request_id in {one["request_id"] for one in await waiting_entries(system)}


async def test_a_worker_whose_clock_is_years_ahead_lists_nothing_more(system: System) -> None:
    young = await cancelled(system)
    in_thirty_years = datetime.now(UTC) + timedelta(days=30 * 366)
    found = await over_time(system.services.database, system.clinics["near"].id, in_thirty_years)
    assert young not in {str(entry.request_id) for entry in found}


async def test_a_worker_that_is_days_ahead_of_the_database_destroys_nothing_yet(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await over(system)
    seen = await listed_with(system, request_id)
    await approve_by_itself(system, seen["id"])

    async def two_days_ago(_session: AsyncSession) -> datetime:
        return datetime.now(UTC) - timedelta(days=2)

    with monkeypatch.context() as behind:
        behind.setattr("use_cases.destruction.moment_of_database", two_days_ago)
        with pytest.raises(TooEarlyError):
            await destroy_listed(system.services, UUID(seen["id"]))
    await system.requester.view(request_id)
    await destroy_listed(system.services, UUID(seen["id"]))
    await certify(system.services.database, system.authority, UUID(seen["id"]))


async def test_what_is_on_its_way_keeps_its_request(system: System) -> None:
    request_id = await over(system)
    today = day_of(datetime.now(UTC))
    without_document = {"signing": {"report_id": "one of which the document never came"}}
    async with system.services.database.session() as session:
        row = await load_request(session, UUID(request_id))
        assert row is not None
        with session.no_autoflush:
            assert isinstance(await why_kept(session, row, today, HeldPatients()), date)
            for name, value in {
                "submission_id": "a command",
                "signature_id": "a command",
                "follow_up_signer_id": new_id(),
                "process": without_document,
            }.items():
                before = getattr(row, name)
                setattr(row, name, value)
                assert await why_kept(session, row, today, HeldPatients()) is KeptBecause.OPEN, name
                setattr(row, name, before)
        await session.rollback()


async def test_a_clinic_with_which_something_is_wrong_keeps_no_other_from_its_list(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await over(system)
    asked: list[UUID] = []

    async def fails_first(database: Database, clinic_id: UUID, now: datetime) -> list[RetentionEntry]:
        asked.append(clinic_id)
        if clinic_id != system.clinics["near"].id:
            raise Died
        return await over_time(database, clinic_id, now)

    with monkeypatch.context() as wrong:
        wrong.setattr("use_cases.destruction.over_time", fails_first)
        with pytest.raises(Died):
            await write_lists(system.services)
    async with system.services.database.session() as session:
        assert set(asked) >= {clinic.id for clinic in await people.list_clinics(session)}
        waiting = RetentionList.state == ListState.WAITING, RetentionList.clinic_id == system.clinics["near"].id
        entries = select(RetentionEntry.request_id).join(RetentionList, RetentionList.id == RetentionEntry.list_id)
        assert UUID(request_id) in set(await session.scalars(entries.where(*waiting)))


async def test_looking_for_what_is_over_writes_nothing_and_locks_nobody(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the feed of changes and the tree of the audit would stand still for as long as it takes."""
    await over(system)
    written: list[object] = []
    asks = destruction.count_things

    async def looks(session: AsyncSession, request_id: UUID) -> int:
        written.append(await session.scalar(text("SELECT pg_current_xact_id_if_assigned()::text")))
        return await asks(session, request_id)

    monkeypatch.setattr(destruction, "count_things", looks)
    await write_lists(system.services)
    assert written
    assert set(written) == {None}


async def test_a_list_ends_where_its_certificate_would_grow_too_long(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {await over(system), await over(system)}
    monkeypatch.setattr("use_cases.destruction.MOST_THINGS", 1)
    near, now = system.clinics["near"].id, datetime.now(UTC)
    assert len(await over_time(system.services.database, near, now)) == 1  # however much is in that one
    monkeypatch.undo()
    assert both <= {str(entry.request_id) for entry in await over_time(system.services.database, near, now)}


async def test_a_look_at_a_list_opens_no_form_where_nobody_of_its_clinics_holds_a_patient(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await over(system)
    seen = await listed_with(system, request_id)
    async with system.services.database.session() as session:
        strangers = (await people.add_clinic(session, code=f"elsewhere-{new_id()}", name="Ailleurs")).id
        elsewhere = RetentionHold(
            id=new_id(),
            request_id=UUID(await cancelled(system)),
            clinic_id=strangers,
            whole_patient=True,
            reason="Poursuite",
            set_by=system.far_requester.account.id,
            set_at=datetime.now(UTC),
        )
        session.add(elsewhere)

    async def opens(*_args: object) -> None:
        raise AssertionError("a form was opened")

    try:
        with monkeypatch.context() as closed_forms:
            closed_forms.setattr("use_cases.retention.patients_of", opens)
            found = ok(await system.administrator.get(f"/retention/lists/{seen['id']}"))
    finally:
        async with system.services.database.session() as session:
            await session.delete(await session.get_one(RetentionHold, elsewhere.id))
    assert not next(one for one in found["entries"] if one["request_id"] == request_id)["held"]


async def test_a_policy_is_set_by_administrators_and_counts_for_all_who_had_to_do_with_it(system: System) -> None:
    near = f"/clinics/{system.clinics['near'].id}/retention"
    found = ok(await system.administrator.get(near))
    longer = {**found["policy"], "years": 30}
    put = partial(system.administrator.http.put, f"/api/v1{near}")
    problem(await put(json={**longer, "years": 9}), 422, "invalid_input")
    problem(await put(json=longer, headers={"If-Match": f'"{found["version"] + 1}"'}), 412, "clinic_changed")
    problem(await system.operator.http.put(f"/api/v1{near}", json=longer), 403, "forbidden")
    request_id = await over(system)
    try:
        assert ok(await put(json=longer))["policy"] == longer
        assert request_id not in {one["request_id"] for one in await waiting_entries(system)}
    finally:
        ok(await put(json=found["policy"]))


async def approve_by_itself(system: System, list_id: str) -> None:
    """As if it had been approved while the engine was away."""
    async with system.services.database.session() as session:
        found = await session.get_one(RetentionList, UUID(list_id))
        found.state, found.approved_at = ListState.APPROVED, datetime.now(UTC) - DESTROYED_AFTER
        found.approved_by = system.administrator.account.id


async def letters_to(system: System, kind: LetterKind) -> int:
    """How many such letters the administrator was written."""
    async with system.services.database.session() as session:
        written = AccountLetter.account_id == system.administrator.account.id, AccountLetter.kind == kind
        return await session.scalar(select(func.count()).where(*written)) or 0


async def test_an_approval_is_told_to_all_administrators_and_can_be_taken_back_for_days(system: System) -> None:
    request_id = await over(system)
    seen = await listed_with(system, request_id)
    where, body, list_id = f"/retention/lists/{seen['id']}", {"sha256": seen["sha256"]}, UUID(seen["id"])
    before = await letters_to(system, LetterKind.RETENTION_APPROVED)
    told = ok(await system.administrator.post(f"{where}/approve", body), 202)
    assert (
        datetime.fromisoformat(told["destroyed_from"]) - datetime.fromisoformat(told["approved_at"]) == DESTROYED_AFTER
    )
    ok(await system.administrator.post(f"{where}/approve", body), 202)
    assert await letters_to(system, LetterKind.RETENTION_APPROVED) == before + 1
    with pytest.raises(TooEarlyError):
        await destroy_listed(system.services, list_id)
    await certify(system.services.database, system.authority, list_id)
    await system.requester.view(request_id)

    near = system.clinics["near"]
    colleague = await add_person(system, "second_administrator", near, Role.CLINIC_ADMINISTRATOR)
    stranger = await add_person(system, "far_administrator", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    problem(await stranger.post(f"{where}/take-back"), 404, "not_found")
    problem(await system.operator.post(f"{where}/take-back"), 403, "forbidden")
    assert ok(await colleague.post(f"{where}/take-back"))["state"] == ListState.WAITING
    again = ok(await colleague.post(f"{where}/take-back"))
    assert (again["sha256"], again["approved_at"], again["destroyed_from"]) == (seen["sha256"], None, None)
    await destroy_listed(system.services, list_id)  # does nothing
    assert {one["outcome"] for one in ok(await colleague.get(where))["entries"]} == {None}

    async def has_ended() -> bool:
        status = await last_status(system.services.engine, destruction_workflow_id(list_id))
        return status is not None and status.name == "COMPLETED"

    await eventually(has_ended)
    events = {event["kind"] for event in (await colleague.get(f"/clinics/{near.id}/events")).json()}
    assert events >= {"retention_approved", "retention_taken_back"}

    done = await approved(system, again)
    assert next(one for one in done["entries"] if one["request_id"] == request_id)["outcome"] == "destroyed"
    problem(await colleague.post(f"{where}/take-back"), 409, "destruction_begun")


async def test_an_approval_is_taken_back_no_more_once_its_days_are_over(system: System) -> None:
    seen = await listed_with(system, await over(system))
    await approve_by_itself(system, seen["id"])
    where = f"/retention/lists/{seen['id']}"
    problem(await system.administrator.post(f"{where}/take-back"), 409, "destruction_begun")
    await destroy_listed(system.services, UUID(seen["id"]))
    await certify(system.services.database, system.authority, UUID(seen["id"]))
    assert ok(await system.administrator.get(where))["state"] == ListState.DONE


async def test_who_takes_back_gets_their_list_in_place_of_a_newer_one(system: System) -> None:
    first = await listed_with(system, await over(system))
    where = f"/retention/lists/{first['id']}"
    ok(await system.administrator.post(f"{where}/approve", {"sha256": first["sha256"]}), 202)
    second = await listed_with(system, await over(system))
    assert not {one["request_id"] for one in first["entries"]} & {one["request_id"] for one in second["entries"]}
    assert ok(await system.administrator.post(f"{where}/take-back"))["state"] == ListState.WAITING
    problem(await system.administrator.get(f"/retention/lists/{second['id']}"), 404, "not_found")
    await waiting_entries(system)  # the next one has all of them
    problem(await system.administrator.get(where), 404, "not_found")


async def test_a_list_is_told_to_all_administrators_once_a_month(system: System) -> None:
    await over(system)
    before = await letters_to(system, LetterKind.RETENTION_LISTED)
    async with system.services.database.session() as session:
        last_month = RetentionList.made_at - timedelta(days=31)
        await session.execute(update(RetentionList).values(made_at=last_month))
    await write_lists(system.services)
    await write_lists(system.services)  # as where another clinic's could not be written
    assert await letters_to(system, LetterKind.RETENTION_LISTED) == before + 1


async def test_a_policy_that_keeps_less_is_told_to_all_administrators(system: System) -> None:
    near = f"/clinics/{system.clinics['near'].id}"
    policy = ok(await system.administrator.get(f"{near}/retention"))["policy"]
    put = partial(system.administrator.http.put, f"/api/v1{near}/retention")
    before = await letters_to(system, LetterKind.RETENTION_SHORTENED)
    ok(await put(json={**policy, "years": policy["years"] + 20}))
    assert await letters_to(system, LetterKind.RETENTION_SHORTENED) == before
    ok(await put(json=policy))
    assert await letters_to(system, LetterKind.RETENTION_SHORTENED) == before + 1
    changes = [event["changes"] for event in (await system.administrator.get(f"{near}/events")).json()]
    assert {"retention_years": [str(policy["years"] + 20), str(policy["years"])]} in changes


class Died(Exception):  # noqa: N818 - what it is
    """The process has ended here."""


async def test_whoever_dies_on_the_way_leaves_nothing_half_done(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id, services = await over(system), system.services
    seen = await listed_with(system, request_id)
    list_id = UUID(seen["id"])
    await approve_by_itself(system, seen["id"])

    async def dies(*_args: object) -> None:
        raise Died

    async def does_nothing(_folder: str) -> None:
        pass

    with monkeypatch.context() as between_key_and_rows:
        between_key_and_rows.setattr(destruction, "_let_go", dies)
        with pytest.raises(Died):
            await destroy_listed(services, list_id)
    assert (await system.requester.view(request_id))["patient"]  # the key is there, too
    with monkeypatch.context() as before_the_files:
        before_the_files.setattr(services.store, "delete_folder", dies)
        with pytest.raises(Died):
            await destroy_listed(services, list_id)
    problem(await system.requester.get(f"/requests/{request_id}"), 410, "request_destroyed")
    await certify(services.database, system.authority, list_id)
    problem(await system.administrator.get(f"/retention/lists/{list_id}/certificate"), 404, "not_found")
    with monkeypatch.context() as files_stay:
        files_stay.setattr(services.store, "delete_folder", does_nothing)
        with pytest.raises(StoreError):
            await destroy_listed(services, list_id)
    await destroy_listed(services, list_id)
    await destroy_listed(services, list_id)
    await certify(services.database, system.authority, list_id)
    paper = (await system.administrator.get(f"/retention/lists/{list_id}/certificate.pdf")).content
    await certify(services.database, system.authority, list_id)
    assert (await system.administrator.get(f"/retention/lists/{list_id}/certificate.pdf")).content == paper
    assert len([one for one in await entries_of(system, request_id) if one.kind is Act.DESTROYED]) == 1


async def listed_with(system: System, request_id: str) -> dict[str, Any]:
    seen = await listed(system)
    assert request_id in {one["request_id"] for one in seen["entries"]}
    return seen


async def test_rows_of_charts_go_with_their_tombstone_alone(system: System) -> None:
    request_id = await closed(system)
    for table in ("events", "form_versions", "reports", "documents"):
        gone = text(f"DELETE FROM {table} WHERE request_id = :id")  # noqa: S608
        async with system.services.database.session() as session:
            await session.execute(text("SET LOCAL relais.destroying = 'on'"))
            with pytest.raises(DBAPIError, match="never change"):
                await session.execute(gone, {"id": UUID(request_id)})
            await session.rollback()


async def test_the_engine_forgets_what_was_destroyed(system: System) -> None:
    """It does so in its own time, half a minute after a run has ended: so the one that was destroyed first is looked at."""
    seen = await listed_with(system, await over(system))
    await approve_by_itself(system, seen["id"])
    await destroy_listed(system.services, UUID(seen["id"]))
    await certify(system.services.database, system.authority, UUID(seen["id"]))
    async with system.services.database.session() as session:
        settled = select(RetentionEntry.request_id).where(RetentionEntry.settled_at.is_not(None))
        gone = select(DestroyedRequest.request_id).where(DestroyedRequest.request_id.in_(settled))
        first = await session.scalar(gone.order_by(DestroyedRequest.destroyed_at).limit(1))
    assert first is not None

    async def is_forgotten() -> bool:
        return await last_status(system.services.engine, workflow_id(first)) is None

    await eventually(is_forgotten)
