"""What is over its time is listed each month; what somebody has approved is destroyed, and certified.

Each step may be taken as often as needed, and whoever dies between two of them leaves the next for the next try.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from domain.audit import Act
from domain.requests import Role
from domain.retention import (
    MOST_AT_ONCE,
    MOST_THINGS,
    EntryOutcome,
    KeptBecause,
    ListState,
    RetentionPolicy,
    earliest_day,
)
from engine.forgetting import forget
from records import audit, data_keys, destruction, people, requests, retention
from records.account_letters import write_to
from records.audit import By
from records.database import Database, moment_of_database
from records.errors import NotFoundError, StoreError
from records.models import DestroyedRequest, RetentionEntry, RetentionList, Side
from records.retention import Over
from records.sealed import NOT_OPENED, tell_not_opened
from records.store import DocumentStore
from use_cases.account_letters import send
from use_cases.administrators import seen_by_none, shut_to_each, who_sees
from use_cases.each import all_of_them
from use_cases.let_go import Heirs, NotLookedForError, look_for_heirs, pass_on
from use_cases.parts import PartsWithEngine
from use_cases.retention import (
    HeldPatients,
    asks_for_second,
    begin_destruction,
    destroyed_from,
    needs_second,
    why_kept,
)
from workflows.contract import workflow_id

PAGE = 200

_A_YEAR, _A_DAY = timedelta(days=365), timedelta(days=1)
_NOTHING_IS_YOUNGER = datetime.max.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


# Lists


async def write_lists(services: PartsWithEngine, now: datetime | None = None) -> int:
    """Write down for each clinic which of its requests are over their time; gives how many stand there.

    A list that nobody has approved is written anew. A clinic with which something is wrong keeps no other from its list: what it
    raises is raised at the end, as is what the database raises when it is away.
    """
    now = now or datetime.now(UTC)
    async with services.database.session() as session:
        clinic_ids = [clinic.id for clinic in await people.list_clinics(session)]
    listed = 0
    with all_of_them("the list of a clinic could not be written") as each:
        for clinic_id in clinic_ids:
            with each(clinic_id):
                listed += await _write_list(services, clinic_id, now)
    return listed


async def _write_list(services: PartsWithEngine, clinic_id: UUID, now: datetime) -> int:
    """Write a clinic's list, and tell its administrators, once a day at most however often it is tried. What takes long only
    reads: a lock of the clinic, or a transaction that writes, is held by nobody meanwhile.
    """
    found = await over_time(services.database, clinic_id, now)
    letters: Sequence[UUID] = ()
    async with services.database.session() as session:
        clinic = await people.lock_clinic(session, clinic_id)
        told = await retention.listed_since(session, clinic_id, now - _A_DAY)
        written = await retention.write_list(session, clinic, found, now) if clinic else None
        if written is not None and not told:
            entries = await retention.entries_of(session, written.id)
            letters = await _tell_who_sees(session, written, {entry.request_id for entry in entries}, now)
    await send(services, letters)
    if written is not None:
        log.info("requests of a clinic are over their time", count=len(found))
    return len(found) if written else 0


async def _tell_who_sees(
    session: AsyncSession, written: RetentionList, request_ids: set[UUID], now: datetime
) -> list[UUID]:
    """The letters to the administrators who see anything of the list. What none of them sees nobody approves: the log says so."""
    shut = await shut_to_each(session, written.clinic_id)
    if unseen := request_ids & seen_by_none(shut):
        log.warning(
            "what is over its time is shut to every administrator",
            count=len(unseen),
            clinic_id=str(written.clinic_id),
            list_id=str(written.id),
        )
    told = who_sees(shut, request_ids)
    return [await write_to(session, LetterKind.RETENTION_LISTED, one, now) for one, _ in told]


async def over_time(database: Database, clinic_id: UUID, now: datetime) -> list[RetentionEntry]:
    """What may be destroyed of a clinic's requests, the oldest first: `MOST_AT_ONCE` at most, with `MOST_THINGS` in them. What
    nobody destroys alone comes last, as far as there is room: while nobody approves it as well, it is in the way of nothing else.

    These are entries of no list yet. Each page of requests is a transaction of its own.
    """
    last: Over | None = None
    held, found, of_two = HeldPatients(), _Room(), _Room()
    while True:
        async with database.session() as session:
            clinic = await people.load_clinic(session, clinic_id)
            if clinic is None:
                return found.entries
            today = await _today(session, now)
            under_way = await retention.being_destroyed(session, clinic_id)
            before = now - retention.policy_of(clinic).years * _A_YEAR
            page = await retention.over_before(session, clinic_id, before, after=last, limit=PAGE)
            asked = await asks_for_second(session, [over.id for over in page], clinic_id, now)
            for over in page:
                room = of_two if over.id in asked else found
                entry = None if over.id in under_way or room.is_full else await _entry(session, over, today, held)
                if entry is not None:
                    room.take(entry, await destruction.count_things(session, over.id))
                if found.is_full:
                    return found.entries
        if len(page) < PAGE:
            break
        last = page[-1]
    for entry in of_two.entries:
        found.take(entry, of_two.things[entry.request_id])
    return found.entries


class _Room:
    """What a list has room for; full once one is too many, in number or in what is in them. One alone always has room."""

    def __init__(self) -> None:
        self.entries = list[RetentionEntry]()
        self.things = dict[UUID, int]()
        self.is_full = False
        self._all_things = 0

    def take(self, entry: RetentionEntry, things: int) -> None:
        """Take it where there is room, and nothing more once there is none."""
        self.is_full = self.is_full or bool(self.entries and self._all_things + things > MOST_THINGS)
        if not self.is_full:
            self.entries.append(entry)
            self.things[entry.request_id] = things
            self._all_things += things
            self.is_full = len(self.entries) == MOST_AT_ONCE


async def _today(session: AsyncSession, now: datetime) -> date:
    """The day, on which this machine and that of the database must agree: one clock that is years ahead ends nobody's time."""
    return earliest_day(now, await moment_of_database(session))


async def _entry(session: AsyncSession, over: Over, today: date, held: HeldPatients) -> RetentionEntry | None:
    """Where the request may be destroyed today. What does not open is left out: nobody knows how long to keep it."""
    try:
        row = await requests.load_request(session, over.id)
        standing = await why_kept(session, row, today, held) if row else KeptBecause.GONE
    except NOT_OPENED as error:
        tell_not_opened("requests.form", str(over.id), error)
        return None
    if isinstance(standing, KeptBecause):
        return None
    return RetentionEntry(
        request_id=over.id,
        number=over.number,
        offering=over.offering,
        last_entry_at=over.last_entry_at,
        kept_until=standing,
    )


# Destruction


async def take_up(services: PartsWithEngine) -> None:
    """Begin what was approved while the engine was away."""
    async with services.database.session() as session:
        approved = await retention.approved_lists(session)
    for list_id in approved:
        await begin_destruction(services, list_id)


class TooEarlyError(Exception):
    """The list was approved so short a time ago that it may still be taken back, by this clock or by the database's."""


async def when_to_destroy(database: Database, list_id: UUID) -> datetime | None:
    """From when on what stands on the list is destroyed; None where it is not approved any more, or all is done."""
    async with database.session() as session:
        found = await retention.load_list(session, list_id)
    return destroyed_from(found) if found is not None and found.state is ListState.APPROVED else None


async def destroy_listed(services: PartsWithEngine, list_id: UUID) -> None:
    """Destroy what stands on an approved list and may go. Raises TooEarlyError.

    One with which something is wrong keeps nobody from the others: what it raises is raised when these are done. So are the
    errors of the database, the store and the engine when they are away.
    """
    async with services.database.session() as session:
        found = await retention.load_list(session, list_id)
        left = await retention.unsettled(session, list_id)
        now = min(datetime.now(UTC), await moment_of_database(session))
    if found is None or found.state is not ListState.APPROVED:
        return
    due = destroyed_from(found)
    if due is None or now < due:
        raise TooEarlyError
    with all_of_them("a request could not be destroyed") as each:
        for request_id in left:
            with each(request_id):
                await _destroy_one(services, list_id, request_id)


async def _destroy_one(services: PartsWithEngine, list_id: UUID, request_id: UUID) -> None:
    try:
        await _destroy_with(services, list_id, request_id, Heirs())
    except NotLookedForError as missing:
        heirs = await look_for_heirs(services.database, request_id, missing.let_go)
        await _destroy_with(services, list_id, request_id, heirs)


async def _destroy_with(services: PartsWithEngine, list_id: UUID, request_id: UUID, heirs: Heirs) -> None:
    """Destroy it if it may go, and do what is still to be done of that. Raises NotLookedForError."""
    async with services.database.session() as session:
        approved = await retention.load_list(session, list_id, shared=True)  # nobody takes it back meanwhile
        entry = await retention.lock_entry(session, list_id, request_id)
        is_approved = approved is not None and approved.state is ListState.APPROVED
        if approved is None or entry is None or entry.settled_at is not None or not is_approved:
            return
        if entry.outcome is None:
            because = await _destroy_if_it_may(session, approved, entry, heirs)
            entry.outcome = EntryOutcome.KEPT if because else EntryOutcome.DESTROYED
            entry.kept_because = because
            entry.settled_at = datetime.now(UTC) if because else None
        is_kept = entry.outcome is EntryOutcome.KEPT
        tombstone = None if is_kept else await destruction.find_destroyed(session, request_id)
    if tombstone is not None:
        await _destroy_late_keys(services.database, tombstone)
        await _remove_files(services.store, tombstone)
        await forget(services.engine, workflow_id(request_id))
        await _settle(services, list_id, request_id)
    log.info("a request of a list was settled", request_id=str(request_id), status="kept" if is_kept else "destroyed")


async def _destroy_if_it_may(
    session: AsyncSession, approved: RetentionList, entry: RetentionEntry, heirs: Heirs
) -> KeptBecause | None:
    """Destroy the request, and write that down in the name of who approved; or why it is kept. Raises NotLookedForError."""
    now = datetime.now(UTC)
    await retention.keep_while_noted(session, heirs.before(entry.request_id))
    try:
        row = await requests.lock_to_destroy(session, entry.request_id)
        standing = await why_kept(session, row, await _today(session, now), HeldPatients())
    except NotFoundError:
        return KeptBecause.GONE
    except NOT_OPENED as error:
        tell_not_opened("requests.form", str(entry.request_id), error)
        return KeptBecause.UNREADABLE
    if isinstance(standing, KeptBecause):
        return standing
    if await needs_second(session, approved, [entry]):
        return KeptBecause.RESTRICTED
    if not await pass_on(session, row.id, heirs):
        return KeptBecause.UNREADABLE
    clinic = await people.load_clinic(session, approved.clinic_id)
    applied = retention.policy_of(clinic) if clinic else RetentionPolicy()
    await destruction.destroy(session, row, entry.list_id, now, kept_until=standing, policy=applied)
    session.expunge(row)
    audit.add(
        session,
        Act.DESTROYED,
        By(approved.approved_by, Side.SYSTEM, clinic_id=approved.clinic_id),
        now,
        role=Role.CLINIC_ADMINISTRATOR,
        request_id=entry.request_id,
        object_id=entry.list_id,
    )
    return None


async def _destroy_late_keys(database: Database, tombstone: DestroyedRequest) -> None:
    """A key that somebody made anew in the moment of the destruction; later ones the database refuses."""
    async with database.session() as session:
        await data_keys.destroy(session, tombstone.request_id, *tombstone.key_owners)


async def _remove_files(store: DocumentStore, tombstone: DestroyedRequest) -> None:
    """Remove its files, whoever names them. Raises StoreError where some are still there."""
    for folder in destruction.folders_of(tombstone):
        await store.delete_folder(folder)
        async for _ in store.list_older(folder, _NOTHING_IS_YOUNGER, 1):
            raise StoreError(f"files of a destroyed request are still there: {folder}")


async def _settle(services: PartsWithEngine, list_id: UUID, request_id: UUID) -> None:
    async with services.database.session() as session:
        entry = await retention.lock_entry(session, list_id, request_id)
        if entry is not None and entry.settled_at is None:
            entry.settled_at = datetime.now(UTC)
