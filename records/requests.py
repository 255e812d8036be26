"""Requests as rows: numbers, drafts and the edits of their form. What a workflow decides is written by `records.projection`."""

import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, false, func, inspect, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.calendar import day_of
from domain.commands import ANY_COMMAND, AnyCommand
from domain.model import is_storable
from domain.offerings import Terms
from domain.priority import Priority
from domain.requests import Holder, Person, Request, Status
from domain.rules import CURRENT, UnknownRulesError, rules_of
from records import data_keys
from records.acting import looking_for
from records.errors import KeyGoneError, NotEditableError, NotFoundError, StaleVersionError, SubmissionUnderWayError
from records.ids import new_id
from records.models import (
    Attachment,
    EventRecord,
    FrozenForm,
    Json,
    NumberCounter,
    PartnerMessage,
    PhoneLink,
    RequestRecord,
    Upload,
)
from records.patient_words import forget_words, keep_written
from records.people import calendar_of
from records.sealed import NOT_OPENED, unread
from records.straight import Straight

CHANNEL = "relais_request"
"""The channel on which a change of a request is told, as ``<request id>:<process version>``. See `records.feed`."""

RANKS = {Priority.STAT: 0, Priority.ASAP: 1, Priority.URGENT: 2, Priority.ROUTINE: 3}
"""The order of priorities in a worklist."""

UNREADABLE = (UnknownRulesError, ValidationError, *NOT_OPENED)
"""What a request or command of another Relais raises, or one that does not open: it is left out, and the others go on."""

_OPEN = [status for status in Status if status.is_open]

# What every command asks is a statement made once: to build it, and to find out what it is, costs as much as to send it.

_PROCESS = select(RequestRecord).where(RequestRecord.id == bindparam("request_id")).options(*unread(RequestRecord))
_LOCKED = (
    select(RequestRecord, data_keys.sealed_key_of(RequestRecord.id))
    .where(RequestRecord.id == bindparam("request_id"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_LOCKED_FOR_ALL = _LOCKED.with_for_update()
_LOCKED_IF_FREE = _LOCKED.with_for_update(key_share=True, skip_locked=True)
_PROCESS_LOCKED = _LOCKED.options(*unread(RequestRecord))
_PROCESS_LOCKED_IF_FREE = _LOCKED_IF_FREE.options(*unread(RequestRecord))
_TOLD = Straight(select(func.pg_notify(CHANNEL, bindparam("change"))))


async def create_draft(
    session: AsyncSession,
    *,
    requester: Person,
    dispatch_clinic_id: uuid.UUID,
    terms: Terms,
    priority: Priority,
    patient: Json,
    answers: Json,
    now: datetime,
    request_id: uuid.UUID | None = None,
    creation_key: str | None = None,
    earlier_id: uuid.UUID | None = None,
    system_id: uuid.UUID | None = None,
) -> RequestRecord:
    """A new draft with its number, under `request_id` if one was given out for it; `system_id` began it for the requester.

    The same `creation_key` of the same requester gives the same draft again.
    """
    if creation_key is not None:
        await _lock_creation(session, requester.id, creation_key)
        if made_before := await find_created(session, requester.id, creation_key):
            return made_before
    draft = Request(
        id=request_id or new_id(),
        number=await _next_number(session, now),
        holder=Holder.requester(requester),
        priority=priority,
        requester=requester,
        dispatch_clinic_id=dispatch_clinic_id,
        terms=terms,
        created_at=now,
        rules=CURRENT,
    )
    row = RequestRecord(
        id=draft.id,
        number=draft.number,
        created_at=now,
        created_by=requester.id,
        system_id=system_id,
        creation_key=creation_key,
        earlier_id=earlier_id,
        form={"patient": patient, "answers": answers},
        form_priority=priority,
        edits=0,
        requester_id=requester.id,
        requester_clinic_id=requester.clinic_id,
        dispatch_clinic_id=dispatch_clinic_id,
        waiting_since=now,
    )
    project(row, draft, now)
    session.add(row)
    await session.flush()
    await keep_written(session, row)
    return row


async def find_created(
    session: AsyncSession, requester_id: uuid.UUID, creation_key: str | None
) -> RequestRecord | None:
    """The request that was made under that key, if one was."""
    if creation_key is None:
        return None
    query = select(RequestRecord).where(
        RequestRecord.created_by == requester_id, RequestRecord.creation_key == creation_key
    )
    return await session.scalar(query)


async def versions_of(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The process versions of those requests that there are."""
    query = select(RequestRecord.id, RequestRecord.process_version).where(RequestRecord.id.in_(request_ids))
    return {row.id: row.process_version for row in await session.execute(query)}


async def edit_draft(
    session: AsyncSession,
    request_id: uuid.UUID,
    *,
    now: datetime,
    expected_version: int | None,
    patient: Json | None = None,
    answers: Json | None = None,
    priority: Priority | None = None,
) -> RequestRecord:
    """Replace those parts of the form that are given, while the request is a draft or returned.

    Raises NotFoundError, NotEditableError, SubmissionUnderWayError, or StaleVersionError when `expected_version` is not the
    visible version any more.
    """
    row = await lock_request(session, request_id)
    check_editable(row)
    if expected_version not in (None, row.version):
        raise StaleVersionError(row.version)
    row.form = {
        **row.form,
        "patient": row.form["patient"] if patient is None else patient,
        "answers": row.form["answers"] if answers is None else answers,
    }
    if priority is not None:
        row.form_priority = priority
        if row.status is Status.DRAFT:  # no workflow has it yet
            project(row, process_of(row).model_copy(update={"priority": priority}), now)
    row.edits += 1
    row.updated_at = max(row.updated_at, now)
    await session.flush()
    if patient is not None:
        await keep_written(session, row)
    return row


async def remove_draft(session: AsyncSession, request_id: uuid.UUID, *, expected_version: int | None) -> list[str]:
    """Remove a draft for good, with its attachments, its uploads and the messages by which it was begun.

    Returns the keys of stored objects that nothing needs any more.

    Raises NotFoundError, StaleVersionError when `expected_version` is not the visible version any more, SubmissionUnderWayError,
    or NotEditableError for what is no draft: also once a form was frozen, for what was frozen stays.
    """
    row = await lock_request(session, request_id)
    if row.status is Status.DRAFT:
        check_editable(row)
    if row.status is not Status.DRAFT or await session.scalar(
        select(exists().where(FrozenForm.request_id == request_id))
    ):
        raise NotEditableError
    if expected_version not in (None, row.version):
        raise StaleVersionError(row.version)
    removed = await session.scalars(delete(Attachment).where(Attachment.request_id == request_id).returning(Attachment))
    await session.execute(delete(PhoneLink).where(PhoneLink.request_id == request_id))
    ended, came = Upload.request_id == request_id, PartnerMessage.request_id == request_id
    begun = (await session.execute(select(Upload.id, Upload.parts).where(ended).with_for_update())).all()
    sent = select(PartnerMessage.id, PartnerMessage.object_key).where(came).with_for_update()
    messages = (await session.execute(sent)).all()
    await data_keys.destroy(session, request_id, *(id_ for id_, _ in begun), *(id_ for id_, _ in messages))
    await session.execute(delete(Upload).where(ended))
    await session.execute(delete(PartnerMessage).where(came))
    keys = [key for attachment in removed for key in attachment.keys] + [key for _, parts in begun for key in parts]
    keys += [key for _, key in messages]
    await forget_words(session, request_id)
    await session.delete(row)
    await session.flush()
    return keys


def check_editable(row: RequestRecord) -> None:
    """Raise SubmissionUnderWayError or NotEditableError when the form of `row`, which is locked, can't be changed now."""
    if row.status.is_with_requester and row.submission_id is not None:
        raise SubmissionUnderWayError
    if not row.is_editable:
        raise NotEditableError


async def renew_terms(session: AsyncSession, row: RequestRecord, terms: Terms) -> Request:
    """Give a draft, on its way to be submitted, today's rules, terms and calendar, and the priority that its form asks for."""
    calendar = await calendar_of(session, row.dispatch_clinic_id)
    terms = terms.on(calendar.frozen_at(datetime.now(UTC)))
    request = process_of(row).model_copy(update={"rules": CURRENT, "terms": terms, "priority": row.form_priority})
    if row.status is Status.DRAFT:
        project(row, request, row.updated_at)
        await session.flush()
    return request


async def numbers_of(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The numbers of these requests, as people read them."""
    query = select(RequestRecord.id, RequestRecord.number).where(RequestRecord.id.in_(request_ids))
    return {request_id: number for request_id, number in await session.execute(query)}  # noqa: C416


async def later_requests(session: AsyncSession, request_id: uuid.UUID) -> Sequence[uuid.UUID]:
    """The requests that follow this one by their ids, oldest first, drafts too."""
    query = select(RequestRecord.id).where(RequestRecord.earlier_id == request_id).order_by(RequestRecord.id)
    return (await session.scalars(query)).all()


async def load_request(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord | None:
    return await session.get(RequestRecord, request_id)


async def load_process(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord | None:
    """The same without its form: for who wants to know how the request stands, whoever they are."""
    return await session.scalar(_PROCESS, {"request_id": request_id})


async def load_for_anybody(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord | None:
    """The row, without its form where that does not open for whoever asks (`records.acting`): they may see the process alone."""
    try:
        return await load_request(session, request_id)
    except KeyGoneError:
        return await load_process(session, request_id)


def is_without_form(row: RequestRecord) -> bool:
    """Whether the row was loaded without its form."""
    return "form" in inspect(row).unloaded


@asynccontextmanager
async def in_its_eyes(session: AsyncSession, row: RequestRecord) -> AsyncIterator[None]:
    """While the block lasts, what is sealed of the request opens, also for a caller to whom it does not, and who is told of the
    process alone. As `looking_for`.
    """
    if not is_without_form(row):
        yield
        return
    async with looking_for(session, row.requester_clinic_id):
        yield


async def find_request(session: AsyncSession, number: str) -> RequestRecord | None:
    """The request that people know under `number`, in whatever case they wrote it."""
    return await session.scalar(select(RequestRecord).where(_has_number(number)))


async def id_of_number(session: AsyncSession, number: str) -> uuid.UUID | None:
    """The id of the request that people know under `number`, in whatever case they wrote it."""
    return await session.scalar(select(RequestRecord.id).where(_has_number(number)))


def _has_number(typed: str) -> ColumnElement[bool]:
    return RequestRecord.number == typed.strip().upper() if is_storable(typed) else false()


async def lock_request(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord:
    """The row as it is now, locked against other writers until the end of the transaction. Raises NotFoundError."""
    row = await _locked(session, _LOCKED, request_id)
    if row is None:
        raise NotFoundError
    return row


async def lock_to_destroy(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord:
    """The row, locked also against those who would write something that names it. Raises NotFoundError."""
    row = await _locked(session, _LOCKED_FOR_ALL, request_id)
    if row is None:
        raise NotFoundError
    return row


async def keep_while_named(session: AsyncSession, request_id: uuid.UUID) -> bool:
    """Let nobody destroy the request until the end of the transaction, which names it; False where it is not there any more."""
    query = select(RequestRecord.id).where(RequestRecord.id == request_id).with_for_update(read=True, key_share=True)
    return await session.scalar(query) is not None


async def lock_request_if_free(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord | None:
    """The row, locked as by `lock_request`; None, without waiting, while somebody else has it locked, or where there is none."""
    return await _locked(session, _LOCKED_IF_FREE, request_id)


async def _locked(
    session: AsyncSession, statement: Select[RequestRecord, str | None], request_id: uuid.UUID
) -> RequestRecord | None:
    """The row, and at hand for this transaction the key with which is sealed what it will write of the request."""
    found = (await session.execute(statement, {"request_id": request_id})).one_or_none()
    if found is None:
        return None
    row, sealed_key = found
    data_keys.keep_at_hand(session, request_id, sealed_key)
    return row


async def lock_for_anybody_if_free(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord | None:
    """The same, as `load_for_anybody` gives it."""
    try:
        return await lock_request_if_free(session, request_id)
    except KeyGoneError:
        return await _locked(session, _PROCESS_LOCKED_IF_FREE, request_id)


async def lock_for_anybody(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord:
    """The row locked, as `load_for_anybody` gives it. Raises NotFoundError."""
    try:
        return await lock_request(session, request_id)
    except KeyGoneError:
        row = await _locked(session, _PROCESS_LOCKED, request_id)
        if row is None:
            raise NotFoundError from None
        return row


async def lock_start(session: AsyncSession, request_id: uuid.UUID) -> None:
    """Let those who would start the request's workflow pass one after the other, each until the end of its transaction.

    It does not lock the row: the projection of a workflow that has just started goes on.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"start:{request_id}", 0))))


async def announce(session: AsyncSession, row: RequestRecord) -> None:
    """Tell open pages and those who wait that something of the request is new, at the end of the transaction."""
    await session.flush()
    await _TOLD.run(session, {"change": f"{row.id}:{row.process_version}"})


async def timeline(session: AsyncSession, request_id: uuid.UUID) -> list[EventRecord]:
    """Everything that happened to the request, oldest first."""
    query = select(EventRecord).where(EventRecord.request_id == request_id).order_by(EventRecord.version)
    return list(await session.scalars(query))


async def command_of_event(session: AsyncSession, request_id: uuid.UUID, command_id: str) -> AnyCommand | None:
    """The command with that id that acted on the request."""
    query = select(EventRecord.command).where(
        EventRecord.request_id == request_id, EventRecord.command_id == command_id
    )
    command = await session.scalar(query.limit(1))
    return ANY_COMMAND.validate_python(command) if command is not None else None


def process_of(row: RequestRecord) -> Request:
    """The state of the process as the workflow decided it last (of a draft: as the workflow will start with it).

    A draft lives under today's rules, whichever were today's when it was begun. Raises UnknownRulesError for a request of a newer
    Relais, which this code can't read.
    """
    rules = row.process.get("rules", 1)
    if row.status is Status.DRAFT:
        rules = max(rules, CURRENT)
    rules_of(rules)
    return Request.model_validate({**row.process, "rules": rules})


def needs_workflow() -> ColumnElement[bool]:
    """The requests that a workflow must look after, but for those that only wait for their document: `Request.needs_workflow`."""
    return or_(RequestRecord.status.in_(_OPEN), RequestRecord.follow_up_signer_id.is_not(None))


def project(row: RequestRecord, request: Request, at: datetime) -> None:
    """Write `request`, which something made so at that time, into the row's columns."""
    row.process = request.model_dump(mode="json")
    row.process_version = request.version
    row.status = request.status
    row.priority = request.priority
    row.priority_rank = RANKS[request.priority]
    row.offering = request.terms.offering
    row.holder_kind = request.holder.kind
    row.holder_id = request.holder.id
    row.holder_clinic_id = request.holder.clinic_id
    row.due_at = request.due_at
    row.overdue = bool(request.overdue)
    row.open_questions = len(request.questions)
    answers = request.final_report.signer if request.final_report and request.open_follow_up else None
    row.follow_up_signer_id = answers.id if answers else None
    row.follow_up_clinic_id = answers.clinic_id if answers else None
    row.updated_at = at


def as_expected(row: RequestRecord, request: Request) -> RequestRecord:
    """What the row will be when the request is in that state, as far as it says who may see it; it is in no session."""
    made = RequestRecord(
        id=row.id,
        requester_id=row.requester_id,
        requester_clinic_id=row.requester_clinic_id,
        dispatch_clinic_id=row.dispatch_clinic_id,
    )
    project(made, request, row.updated_at)
    return made


async def _lock_creation(session: AsyncSession, requester_id: uuid.UUID, creation_key: str) -> None:
    """Let two calls with the same key pass one after the other."""
    key = func.hashtextextended(f"{requester_id}:{creation_key}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def _next_number(session: AsyncSession, now: datetime) -> str:
    """The next number of the year, without gaps: drafts of one year are made one after the other."""
    year = day_of(now).year
    counted = insert(NumberCounter).values(year=year, last=1)
    counted = counted.on_conflict_do_update(index_elements=[NumberCounter.year], set_={"last": NumberCounter.last + 1})
    last = await session.scalar(counted.returning(NumberCounter.last))
    return f"TC-{year}-{last:06}"
