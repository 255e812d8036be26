"""Retention: policies, holds, lists of what is over its time, and their certificates."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ARRAY, ColumnElement, DateTime, all_, any_, delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from domain.retention import ListState, RetentionPolicy
from records.ids import as_array, new_id
from records.models import (
    Clinic,
    GivenCommand,
    PatientLetGo,
    RequestParty,
    RequestRecord,
    RetentionCertificate,
    RetentionEntry,
    RetentionHold,
    RetentionList,
    RetentionPaper,
    Side,
    table_of,
)
from records.patient_words import may_name
from records.sealed import NOT_OPENED, tell_not_opened, unread

_FINAL = [status for status in Status if status.is_final]


class Over(NamedTuple):
    """A request that is over, and when something was entered about it last."""

    id: uuid.UUID
    number: str
    offering: str
    last_entry_at: datetime


def policy_of(clinic: Clinic) -> RetentionPolicy:
    """What the clinic has set."""
    return RetentionPolicy.model_validate(clinic.retention)


async def policies_of(session: AsyncSession, clinic_ids: Collection[uuid.UUID]) -> list[RetentionPolicy]:
    """What these clinics have set."""
    found = await session.scalars(select(Clinic).where(Clinic.id.in_(clinic_ids)))
    return [policy_of(clinic) for clinic in found]


async def over_before(
    session: AsyncSession, clinic_id: uuid.UUID, before: datetime, *, after: Over | None, limit: int
) -> list[Over]:
    """Requests of the clinic that are over, and about which nothing was entered since `before`, the oldest first; a page."""
    columns = (RequestRecord.id, RequestRecord.number, RequestRecord.offering, RequestRecord.updated_at)
    query = (
        select(*columns)
        .where(RequestRecord.requester_clinic_id == clinic_id, RequestRecord.status.in_(_FINAL))
        .where(RequestRecord.follow_up_signer_id.is_(None), RequestRecord.updated_at < before)
        .order_by(RequestRecord.updated_at, RequestRecord.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            func.row(RequestRecord.updated_at, RequestRecord.id) > func.row(after.last_entry_at, after.id)
        )
    return [Over(*found) for found in await session.execute(query)]


async def has_commands_under_way(session: AsyncSession, request_id: uuid.UUID) -> bool:
    """Whether the end of a command about it is not known yet."""
    given = exists().where(GivenCommand.request_id == request_id, GivenCommand.settled_at.is_(None))
    return bool(await session.scalar(select(given)))


# Holds


async def holds_on(session: AsyncSession, request_id: uuid.UUID) -> Sequence[RetentionHold]:
    """What keeps this very request, without the reasons."""
    query = select(RetentionHold).where(RetentionHold.request_id == request_id, RetentionHold.lifted_at.is_(None))
    return (await session.scalars(query.options(*unread(RetentionHold)))).all()


async def held_among(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the requests that are held themselves."""
    query = select(RetentionHold.request_id).where(
        RetentionHold.request_id.in_(request_ids), RetentionHold.lifted_at.is_(None)
    )
    return set(await session.scalars(query))


async def reason_of(session: AsyncSession, hold_id: uuid.UUID) -> str | None:
    """Why it was set; None, and a line in the log, where that does not open."""
    try:
        return await session.scalar(select(RetentionHold.reason).where(RetentionHold.id == hold_id))
    except NOT_OPENED as error:
        tell_not_opened("retention_holds.reason", str(hold_id), error)
        return None


async def lock_hold(session: AsyncSession, hold_id: uuid.UUID) -> RetentionHold | None:
    """The hold, locked against others."""
    query = select(RetentionHold).where(RetentionHold.id == hold_id).options(*unread(RetentionHold))
    return await session.scalar(query.with_for_update())


async def lifted_at_machine(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, datetime]:
    """Those of the requests of which operators have lifted a hold on the command line, each with when they did so last."""
    query = select(RetentionHold.request_id, func.max(RetentionHold.lifted_at)).where(
        RetentionHold.request_id == any_(as_array(request_ids)), _AT_THE_MACHINE
    )
    found = await session.execute(query.group_by(RetentionHold.request_id))
    return {request_id: lifted_at for request_id, lifted_at in found if lifted_at is not None}


async def patients_let_go(
    session: AsyncSession, clinic_ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, Mapping[uuid.UUID, datetime]]:
    """By clinic, of these, the requests whose patients it held until operators lifted that on the command line, with when."""
    columns = RetentionHold.clinic_id, RetentionHold.request_id, func.max(RetentionHold.lifted_at)
    query = select(*columns).where(RetentionHold.whole_patient, _AT_THE_MACHINE)
    query = query.where(RetentionHold.clinic_id.in_(clinic_ids)).group_by(*columns[:2])
    found: dict[uuid.UUID, dict[uuid.UUID, datetime]] = {}
    for clinic_id, request_id, lifted_at in await session.execute(query):
        if lifted_at is not None:
            found.setdefault(clinic_id, {})[request_id] = lifted_at
    return found


async def patient_let_go_at(session: AsyncSession, request_id: uuid.UUID) -> Mapping[uuid.UUID, datetime]:
    """The clinics that held the patient of the request at this one, until operators lifted that; each with the last time."""
    query = select(RetentionHold.clinic_id, func.max(RetentionHold.lifted_at)).where(
        RetentionHold.request_id == request_id, RetentionHold.whole_patient, _AT_THE_MACHINE
    )
    found = await session.execute(query.group_by(RetentionHold.clinic_id))
    return {clinic_id: lifted_at for clinic_id, lifted_at in found if lifted_at is not None}


async def others_of_clinic(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    request_id: uuid.UUID,
    words: Collection[str],
    *,
    after: uuid.UUID | None,
    limit: int,
) -> Sequence[uuid.UUID]:
    """The requests but that one with which the clinic ever had to do, and whose patient may have one of these words
    (`records.patient_words.may_name`), in the order of their ids; a page. No drafts.
    """
    is_party = exists().where(RequestParty.clinic_id == clinic_id, RequestParty.request_id == RequestRecord.id)
    query = select(RequestRecord.id).where(is_party, RequestRecord.id != request_id, may_name(session, words))
    query = query.where(RequestRecord.status != Status.DRAFT).order_by(RequestRecord.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(RequestRecord.id > after))).all()


async def keep_while_noted(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> None:
    """Let nobody destroy these until the end of the transaction. One that is being destroyed is waited for, in order of ids."""
    if not request_ids:
        return
    query = select(RequestRecord.id).where(RequestRecord.id == any_(as_array(request_ids))).order_by(RequestRecord.id)
    await session.execute(query.with_for_update(read=True, key_share=True))


async def pass_on(session: AsyncSession, let_go: Mapping[uuid.UUID, datetime]) -> None:
    """Note at each of these requests, as far as it is still there, when its patient was let go; where one knows a later moment,
    that stays. One that is being destroyed is waited for, in the order of ids.
    """
    moments: ColumnElement[list[datetime]] = literal(list(let_go.values()), ARRAY(DateTime(timezone=True)))
    each = func.unnest(as_array(let_go), moments).table_valued("request_id", "lifted_at").render_derived()
    there = select(RequestRecord.id, each.c.lifted_at).join(each, RequestRecord.id == each.c.request_id)
    there = there.order_by(RequestRecord.id).with_for_update(read=True, key_share=True, of=RequestRecord)
    noted = insert(PatientLetGo).from_select(["request_id", "lifted_at"], there)
    newest = func.greatest(PatientLetGo.lifted_at, noted.excluded.lifted_at)
    await session.execute(noted.on_conflict_do_update(index_elements=["request_id"], set_={"lifted_at": newest}))


async def passed_on_to(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, datetime]:
    """Those of the requests to which that was passed on, each with when their patient was let go."""
    query = select(PatientLetGo.request_id, PatientLetGo.lifted_at)
    found = await session.execute(query.where(PatientLetGo.request_id == any_(as_array(request_ids))))
    return {request_id: lifted_at for request_id, lifted_at in found}  # noqa: C416


_AT_THE_MACHINE = RetentionHold.lifted_side == Side.COMMAND_LINE


async def holds_on_patients(
    session: AsyncSession, clinic_ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, Collection[uuid.UUID]]:
    """By clinic, of these, the requests whose patients it holds."""
    columns = RetentionHold.clinic_id, RetentionHold.request_id
    query = select(*columns).where(RetentionHold.whole_patient, RetentionHold.lifted_at.is_(None))
    found: dict[uuid.UUID, set[uuid.UUID]] = {}
    for clinic_id, request_id in await session.execute(query.where(RetentionHold.clinic_id.in_(clinic_ids))):
        found.setdefault(clinic_id, set()).add(request_id)
    return found


async def holds_of(
    session: AsyncSession, clinic_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Sequence[tuple[RetentionHold, str]]:
    """What a clinic holds now, each with the request's number, the newest first; `without` some requests. Not the reasons."""
    query = (
        select(RetentionHold, RequestRecord.number)
        .join(RequestRecord, RequestRecord.id == RetentionHold.request_id)
        .where(RetentionHold.clinic_id == clinic_id, RetentionHold.lifted_at.is_(None))
        .where(RetentionHold.request_id.not_in(without))
        .order_by(RetentionHold.id.desc())
        .options(*unread(RetentionHold))
    )
    return [(hold, number) for hold, number in await session.execute(query)]


# Lists


async def write_list(
    session: AsyncSession, clinic: Clinic, found: Sequence[RetentionEntry], now: datetime
) -> RetentionList | None:
    """Write the clinic's list anew, in place of one that still waits; None where nothing is over its time.

    What is being destroyed by another list is left out: somebody may have approved the one that waited a moment ago.
    """
    await drop_waiting(session, clinic.id)
    under_way = await being_destroyed(session, clinic.id)
    entries = [entry for entry in found if entry.request_id not in under_way]
    if not entries:
        return None
    made = RetentionList(
        id=new_id(), clinic_id=clinic.id, state=ListState.WAITING, policy=policy_of(clinic).model_dump(), made_at=now
    )
    session.add(made)
    await session.flush()
    for entry in entries:
        entry.list_id = made.id
        session.add(entry)
    await session.flush()
    return made


async def listed_since(session: AsyncSession, clinic_id: uuid.UUID, moment: datetime) -> bool:
    """Whether a list of the clinic was written since then that is still there."""
    query = select(RetentionList.id).where(RetentionList.clinic_id == clinic_id, RetentionList.made_at > moment)
    return bool(await session.scalar(select(query.exists())))


async def load_list(
    session: AsyncSession, list_id: uuid.UUID, *, locked: bool = False, shared: bool = False
) -> RetentionList | None:
    """The list; `locked` against others, or `shared` with others who only keep it as it is."""
    query = select(RetentionList).where(RetentionList.id == list_id)
    return await session.scalar(query.with_for_update(read=shared) if locked or shared else query)


async def has_begun(session: AsyncSession, list_id: uuid.UUID) -> bool:
    """Whether it is decided of any request of the list what becomes of it."""
    query = select(RetentionEntry).where(RetentionEntry.list_id == list_id, RetentionEntry.outcome.is_not(None))
    return bool(await session.scalar(select(query.exists())))


async def drop_waiting(session: AsyncSession, clinic_id: uuid.UUID) -> None:
    """Forget the list of the clinic that waits, if there is one."""
    waiting = RetentionList.clinic_id == clinic_id, RetentionList.state == ListState.WAITING
    await session.execute(delete(RetentionList).where(*waiting).execution_options(synchronize_session=False))


async def lists_of(session: AsyncSession, clinic_id: uuid.UUID, *, limit: int) -> Sequence[RetentionList]:
    """The lists of a clinic, the newest first."""
    query = select(RetentionList).where(RetentionList.clinic_id == clinic_id)
    return (await session.scalars(query.order_by(RetentionList.id.desc()).limit(limit))).all()


async def approved_lists(session: AsyncSession) -> Sequence[uuid.UUID]:
    """Lists that were approved and are not done."""
    query = select(RetentionList.id).where(RetentionList.state == ListState.APPROVED).order_by(RetentionList.id)
    return (await session.scalars(query)).all()


async def entries_of(
    session: AsyncSession, list_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Sequence[RetentionEntry]:
    """What stands on the list, `without` some requests, the oldest first."""
    query = select(RetentionEntry).where(RetentionEntry.list_id == list_id, RetentionEntry.request_id.not_in(without))
    return (await session.scalars(query.order_by(RetentionEntry.last_entry_at, RetentionEntry.request_id))).all()


async def keep_only(session: AsyncSession, list_id: uuid.UUID, request_ids: Collection[uuid.UUID]) -> None:
    """Take all but these requests off the list, which is locked and waits: they stand on the next one that is written."""
    gone = delete(RetentionEntry).where(RetentionEntry.list_id == list_id)
    gone = gone.where(RetentionEntry.request_id != all_(as_array(request_ids)))
    await session.execute(gone.execution_options(synchronize_session=False))


async def second(
    session: AsyncSession,
    list_id: uuid.UUID,
    request_ids: Collection[uuid.UUID],
    account_id: uuid.UUID,
    now: datetime,
) -> None:
    """Note on the list, which is locked and approved, who else approved that these requests are destroyed, in place of a second
    approval that counts no more.
    """
    these = RetentionEntry.request_id == any_(as_array(request_ids))
    noted = update(RetentionEntry).where(RetentionEntry.list_id == list_id, these, RetentionEntry.outcome.is_(None))
    noted = noted.values(seconded_by=account_id, seconded_at=now)
    await session.execute(noted.execution_options(synchronize_session=False))


async def second_no_more(session: AsyncSession, list_id: uuid.UUID) -> None:
    """Forget who else approved the list, which is locked and waits."""
    forgotten = update(RetentionEntry).where(RetentionEntry.list_id == list_id)
    forgotten = forgotten.values(seconded_by=None, seconded_at=None)
    await session.execute(forgotten.execution_options(synchronize_session=False))


async def lock_approved_with(session: AsyncSession, request_id: uuid.UUID) -> RetentionList | None:
    """The approved list, locked, on which that request stands, if nothing has become of it yet."""
    query = (
        select(RetentionList)
        .join(RetentionEntry, RetentionEntry.list_id == RetentionList.id)
        .where(RetentionList.state == ListState.APPROVED)
        .where(RetentionEntry.request_id == request_id, RetentionEntry.outcome.is_(None))
    )
    return await session.scalar(query.with_for_update(of=RetentionList).limit(1))


async def counts_of(
    session: AsyncSession, list_ids: Collection[uuid.UUID], without: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, int]:
    """How many requests stand on each of these lists, `without` some of them."""
    query = select(RetentionEntry.list_id, func.count()).where(
        RetentionEntry.list_id.in_(list_ids), RetentionEntry.request_id.not_in(without)
    )
    return {list_id: number for list_id, number in await session.execute(query.group_by(RetentionEntry.list_id))}  # noqa: C416


async def unsettled(session: AsyncSession, list_id: uuid.UUID) -> Sequence[uuid.UUID]:
    """The requests of the list about which something is still to be done."""
    query = select(RetentionEntry.request_id).where(
        RetentionEntry.list_id == list_id, RetentionEntry.settled_at.is_(None)
    )
    return (await session.scalars(query.order_by(RetentionEntry.last_entry_at, RetentionEntry.request_id))).all()


async def being_destroyed(session: AsyncSession, clinic_id: uuid.UUID) -> set[uuid.UUID]:
    """What stands on lists of the clinic that were approved, and is still to be done."""
    query = (
        select(RetentionEntry.request_id)
        .join(RetentionList, RetentionList.id == RetentionEntry.list_id)
        .where(RetentionList.clinic_id == clinic_id, RetentionList.state == ListState.APPROVED)
        .where(RetentionEntry.settled_at.is_(None))
    )
    return set(await session.scalars(query))


async def lock_entry(session: AsyncSession, list_id: uuid.UUID, request_id: uuid.UUID) -> RetentionEntry | None:
    """The entry, locked against others."""
    query = select(RetentionEntry).where(RetentionEntry.list_id == list_id, RetentionEntry.request_id == request_id)
    return await session.scalar(query.with_for_update())


async def keep_once(session: AsyncSession, made: RetentionCertificate | RetentionPaper) -> None:
    """Keep it, unless the list has one already: that one counts."""
    values = {column.key: getattr(made, column.key) for column in table_of(type(made)).columns}
    await session.execute(insert(type(made)).values(values).on_conflict_do_nothing())


async def load_certificate(session: AsyncSession, list_id: uuid.UUID) -> RetentionCertificate | None:
    """The certificate of the list, once it is there."""
    return await session.get(RetentionCertificate, list_id)


async def load_paper(session: AsyncSession, list_id: uuid.UUID) -> RetentionPaper | None:
    """The paper of the list's certificate, once it is there."""
    return await session.get(RetentionPaper, list_id)
