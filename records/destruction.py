"""The end of a request: what of it is destroyed, in which order, and what stays. See docs/decisions/retention.md.

All of it is one transaction. Files are not part of it: without the data key nobody opens them, and `use_cases.destruction`
removes them next.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Select, any_, delete, func, or_, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from domain.retention import RetentionPolicy
from records import access_reviews, data_keys, partners, restrictions, uploads
from records.ids import as_array
from records.models import (
    Account,
    Attachment,
    Base,
    DestroyedRequest,
    EmergencyEnd,
    EmergencyOpening,
    EventRecord,
    FailedEffect,
    FrozenForm,
    FrozenReport,
    GivenCommand,
    Json,
    Mark,
    Notice,
    OfferedPool,
    Participant,
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
    RequestRestriction,
    RestrictionEnd,
    RetentionHold,
    StoredDocument,
    ToldMessage,
    Upload,
    WebhookAttempt,
    WebhookDelivery,
    WebhookMessage,
)
from records.visibility import Viewer

OF_REQUEST: Sequence[type[Base]] = (
    *(WebhookAttempt, WebhookDelivery, WebhookMessage, Notice),
    *(StoredDocument, FrozenReport, ReportDraft, Mark, Attachment, Upload, PhoneLink),
    *(GivenCommand, RefusedCommand, FailedEffect, EventRecord, FrozenForm),
    *(PartnerMessage, ReceivedRequest, ToldMessage),
    *(RequestReference, PatientWord, RequestParty, OfferedPool, Participant, RetentionHold, PatientLetGo),
    *(RestrictionEnd, RequestRestriction, EmergencyEnd, EmergencyOpening),
)
"""What goes with a request, in an order in which nothing is left without what it refers to; the request itself goes last."""

KEYS_OF_THEIR_OWN: Mapping[type[Base], Callable[[uuid.UUID], str]] = {
    Upload: uploads.parts_folder,
    PartnerMessage: partners.message_folder,
}
"""Those of them of which each row has a data key of its own, by its id; and the folder in the store for the files of one."""

STAYS: Mapping[str, tuple[str, ...]] = {
    "who did what and when, by ids: the audit outlives what it tells of": (
        *("audit_entries", "audit_leaves", "audit_checkpoints", "audit_heads"),
    ),
    "reviews of accesses, by ids; why a look at the request is listed is forgotten, and the key of the notes about it goes": (
        *("access_reviews", "access_findings", "access_verdicts", "access_sign_offs"),
    ),
    "that it was destroyed: numbers, ids, digests and dates": (
        *("retention_lists", "retention_entries", "destroyed_requests", "retention_certificates"),
        *("retention_papers",),
    ),
    "the registers of clinics, which outlive what they tell of: a request stands there by its id": (
        *("incidents", "incident_versions", "communications"),
    ),
    "ids and times of changes, forgotten after thirty days; the end of the request is told there": (
        *("request_changes", "change_logs"),
    ),
    "the keys themselves: that of the request goes first, by its owner": ("data_keys",),
    "for minutes or days, and removed by the nightly sweep: sealed for a session, or keyed hashes": (
        *("signing_tickets", "used_keys"),
    ),
    "numbers that name nobody": ("number_counters", "weekly_counts"),
    "the clinics, their people and systems, and how these come in": (
        *("clinics", "accounts", "account_events", "account_letters", "absences", "invitations", "password_resets"),
        *("forgotten_password_asks", "tokens", "linked_identities", "sign_on_attempts", "taken_logouts", "guesses"),
        *("known_devices", "second_factors", "recovery_codes", "passkeys", "passkey_challenges", "failed_logins"),
        *("service_accounts", "service_secrets", "service_keys", "service_tokens", "service_assertions"),
        *(
            "webhook_endpoints",
            "subscriptions",
            "signing_roots",
            "signing_certificates",
            "stamping_roots",
            "partners",
            "partner_endpoints",
        ),
    ),
    "what people keep for themselves: texts, and filters, in which they may have typed a name": (
        *("saved_filters", "snippets"),
    ),
    "what is offered": ("offering_versions",),
}
"""Every other table, by the reason why a destruction leaves it alone."""


async def destroy(
    session: AsyncSession,
    row: RequestRecord,
    list_id: uuid.UUID,
    now: datetime,
    *,
    kept_until: date,
    policy: RetentionPolicy,
) -> DestroyedRequest:
    """Destroy the request for good, and leave its tombstone. It is locked to be destroyed, and none follows it; it was to be kept
    until that day, and the clinic that destroys it has that policy. Its files are still there.
    """
    clinics = await involved_clinics(session, row.id)
    documents = await _pairs(session, select(StoredDocument.report_id, StoredDocument.pdf_sha256), row.id)
    owners = [
        id_
        for table in KEYS_OF_THEIR_OWN
        for id_ in await session.scalars(select(cast(Any, table).id).where(_belongs(table, row.id)))
    ]
    things = await _things(session, row.id, documents)
    tombstone = DestroyedRequest(
        request_id=row.id,
        number=row.number,
        clinic_ids=clinics,
        list_id=list_id,
        destroyed_at=now,
        destroyed={
            "things": things,
            "rows": await _counts(session, row.id),
            "kept_until": str(kept_until),
            "policy": policy.model_dump(),
            **await _shut_out_of(session, row),
        },
        document_ids=[id_ for id_, _ in documents],
        document_digests=[digest for _, digest in documents],
        key_owners=owners,
    )
    session.add(tombstone)
    await session.flush()
    await data_keys.destroy(session, row.id, *owners)
    await session.execute(text("SET LOCAL relais.destroying = 'on'"))
    await _let_go(session, row.id)
    await access_reviews.forget_why(session, row.id)
    for table in OF_REQUEST:
        await session.execute(_deletion(table, row.id))
    await session.execute(delete(RequestRecord).where(RequestRecord.id == row.id))
    await session.execute(text("SET LOCAL relais.destroying = 'off'"))
    for clinic_id in clinics:
        await _tell(session, row.id, clinic_id, now)
    return tombstone


async def _shut_out_of(session: AsyncSession, row: RequestRecord) -> Json:
    """To whom it was shut until then, and who wrote it all the same: those must not learn by its end that it was there."""
    shut = [
        {"account_id": str(one.account_id)}
        if one.account_id
        else {"clinic_id": str(one.clinic_id), "role": str(one.role)}
        for one in await restrictions.holding(session, row.id)
    ]
    return {"shut_to": shut, "requester_id": str(row.requester_id)} if shut else {}


async def were_shut_to(session: AsyncSession, viewer: Viewer, request_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Of these requests, those that are destroyed and were shut to who looks, until they were.

    As while they were there, whatever else the account is counts as well: who looks in fewer roles than they have learns no more.
    """
    if not request_ids:
        return set()
    query = select(DestroyedRequest).where(
        DestroyedRequest.request_id == any_(as_array(request_ids)),
        DestroyedRequest.destroyed.has_key("shut_to"),
    )
    restricted = (await session.scalars(query)).all()
    if not restricted:
        return set()
    account = await session.get(Account, viewer.account_id)
    viewers = [replace(viewer, roles=viewer.roles | set(map(Role, account.roles if account else ())))]
    if viewer.system_id is not None:
        viewers += map(Viewer.of, await restrictions.keepers_of(session, viewer.system_id))
    return {one.request_id for one in restricted if any(_was_shut_to(looks, one.destroyed) for looks in viewers)}


def _was_shut_to(viewer: Viewer, destroyed: Json) -> bool:
    if destroyed.get("requester_id") == str(viewer.account_id):
        return False
    whom = [{"account_id": str(viewer.account_id)}]
    whom += [{"clinic_id": str(viewer.clinic_id), "role": role.value} for role in viewer.roles]
    return any(one in whom for one in destroyed["shut_to"])


def folders_of(tombstone: DestroyedRequest) -> list[str]:
    """Where files of the request may lie in the document store, whoever names them."""
    apart = [folder_of(owner) for owner in tombstone.key_owners for folder_of in KEYS_OF_THEIR_OWN.values()]
    return [*(f"{kind}/{tombstone.request_id}" for kind in ("attachments", "documents", "journals")), *apart]


async def find_destroyed(
    session: AsyncSession, request_id: uuid.UUID, *, but: Viewer | None = None
) -> DestroyedRequest | None:
    """What is left of the request, if it was destroyed; nothing where it was shut to that viewer."""
    if but is not None and await were_shut_to(session, but, [request_id]):
        return None
    return await session.get(DestroyedRequest, request_id)


async def number_of(session: AsyncSession, request_id: uuid.UUID) -> str | None:
    """The number of the request, also where it was destroyed."""
    there = select(RequestRecord.number).where(RequestRecord.id == request_id)
    gone = select(DestroyedRequest.number).where(DestroyedRequest.request_id == request_id)
    return await session.scalar(union_all(there, gone))


async def tombstones_of(session: AsyncSession, list_id: uuid.UUID) -> dict[uuid.UUID, DestroyedRequest]:
    """What is left of the requests that were destroyed by a list."""
    found = await session.scalars(select(DestroyedRequest).where(DestroyedRequest.list_id == list_id))
    return {one.request_id: one for one in found}


async def find_destroyed_document(
    session: AsyncSession, *, sha256: str | None = None, report_id: uuid.UUID | None = None
) -> DestroyedRequest | None:
    """What is left of the request that had a signed document with this digest, or with this id."""
    wanted = [DestroyedRequest.document_digests.contains([sha256])] if sha256 else []
    wanted += [DestroyedRequest.document_ids.contains([report_id])] if report_id else []
    return await session.scalar(select(DestroyedRequest).where(or_(*wanted)).limit(1)) if wanted else None


async def involved_clinics(session: AsyncSession, request_id: uuid.UUID) -> list[uuid.UUID]:
    """The clinics that ever had to do with the request."""
    return (await involved_with(session, [request_id])).get(request_id, [])


async def involved_with(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[uuid.UUID]]:
    """The same of many, by request."""
    query = (
        select(RequestParty.request_id, RequestParty.clinic_id)
        .distinct()
        .where(RequestParty.request_id.in_(request_ids), RequestParty.clinic_id != uuid.UUID(int=0))
        .order_by(RequestParty.clinic_id)
    )
    found: dict[uuid.UUID, list[uuid.UUID]] = {}
    for request_id, clinic_id in await session.execute(query):
        found.setdefault(request_id, []).append(clinic_id)
    return found


async def count_things(session: AsyncSession, request_id: uuid.UUID) -> int:
    """How many things its certificate would name."""
    counts = [
        select(func.count()).select_from(table).where(_belongs(table, request_id)).scalar_subquery()
        for table in (FrozenForm, FrozenReport, StoredDocument, Attachment)
    ]
    return int(sum((await session.execute(select(*counts))).one()))


async def _things(
    session: AsyncSession, request_id: uuid.UUID, documents: Sequence[tuple[uuid.UUID, str]]
) -> list[Json]:
    """What it had that has a digest; nothing of it need open."""
    forms = await _pairs(session, select(FrozenForm.number, FrozenForm.sha256), request_id)
    reports = await _pairs(session, select(FrozenReport.id, FrozenReport.content_sha256), request_id)
    files = await _pairs(session, select(Attachment.id, Attachment.sha256), request_id)
    kinds = {"form": forms, "report": reports, "document": documents, "attachment": files}
    return [{"kind": kind, "id": str(id_), "sha256": digest} for kind, found in kinds.items() for id_, digest in found]


async def _pairs(session: AsyncSession, query: Select[Any, str], request_id: uuid.UUID) -> list[tuple[Any, str]]:
    table = query.column_descriptions[0]["entity"]
    found = await session.execute(query.where(table.request_id == request_id))
    return sorted((id_, digest) for id_, digest in found)


async def _counts(session: AsyncSession, request_id: uuid.UUID) -> dict[str, int]:
    """How many rows of each table go, but those of the searches, which say nothing by themselves."""
    counts: Counter[str] = Counter(requests=1)
    for table in OF_REQUEST:
        if table not in (PatientWord, RequestParty):
            query = select(func.count()).select_from(table).where(_belongs(table, request_id))
            counts[table.__tablename__] = await session.scalar(query) or 0
    return {name: number for name, number in sorted(counts.items()) if number}


async def _let_go(session: AsyncSession, request_id: uuid.UUID) -> None:
    """What stays and refers to it does so no more: e-mails that were told with one of its own."""
    quietly = {"synchronize_session": False}
    own = select(Notice.id).where(Notice.request_id == request_id)
    for column in (Notice.told_with, Notice.refused_notice_id):
        told = update(Notice).where(column.in_(own), Notice.request_id != request_id).values({column: None})
        await session.execute(told.execution_options(**quietly))


def _deletion(table: type[Base], request_id: uuid.UUID) -> Any:
    return delete(table).where(_belongs(table, request_id)).execution_options(synchronize_session=False)


def _belongs(table: type[Base], request_id: uuid.UUID) -> Any:
    kind = cast(Any, table)
    if table is Mark:
        return Mark.attachment_id.in_(select(Attachment.id).where(Attachment.request_id == request_id))
    if table is WebhookAttempt:
        return WebhookAttempt.message_id.in_(select(WebhookMessage.id).where(WebhookMessage.request_id == request_id))
    return kind.request_id == request_id


async def _tell(session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID, now: datetime) -> None:
    """Note for the feed of changes that the clinic does not see it any more."""
    told = text("SELECT note_change('gone', :request_id, NULL, NULL, NULL, :at, :clinic_id, NULL, NULL)")
    await session.execute(told, {"request_id": request_id, "at": now, "clinic_id": clinic_id})
