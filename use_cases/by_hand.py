"""The upkeep as an operator asks for it on the command line, rather than when its schedule comes; and what was refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from temporalio.client import Client

from activities.contract import RepairReport, SweepReport
from documents.audit_key import AuditKey
from domain.retention import RetentionPolicy
from engine.client import EngineConnection, EngineError
from records import people
from records.data_keys import check_ring
from records.database import Database
from records.models import RefusedCommand
from records.refusals import list_refusals
from records.requests import find_request
from records.schema import check_schema
from records.store import DocumentStore
from records.trouble import away_named
from settings import Settings
from use_cases import restrictions, retention
from use_cases.administrators import Administrator, seen_by_none, shut_to_each
from use_cases.audit_check import Known, Verdict, check
from use_cases.audit_tree import FOLDER as CHECKPOINTS
from use_cases.audit_tree import origin
from use_cases.destruction import over_time
from use_cases.repair import repair
from use_cases.restrictions import EndedRestriction, RequestRestrictions
from use_cases.retention import HoldOfClinic, ListView, read_retention
from use_cases.sweep import sweep

PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Parts:
    """What the repair works with."""

    settings: Settings
    database: Database
    engine: Client


@dataclass(frozen=True)
class Stores:
    """What the sweep works with."""

    database: Database
    store: DocumentStore


async def repair_now(settings: Settings, *, dry_run: bool) -> RepairReport:
    """One round of the repair. Raises EngineError or DatabaseAwayError when one does not answer, and SchemaError."""
    async with open_database(settings) as database, engine_client(settings) as client:
        return await repair(Parts(settings, database, client), dry_run=dry_run)


async def sweep_now(settings: Settings, *, older_than: timedelta, dry_run: bool) -> SweepReport:
    """One round of the sweep. Raises DatabaseAwayError, SchemaError, or EncryptionError for another key ring."""
    async with open_database(settings) as database:
        return await sweep(
            Stores(database, DocumentStore.from_settings(settings, database)), older_than=older_than, dry_run=dry_run
        )


async def check_audit(settings: Settings, files: Sequence[Path], *, since: int) -> Verdict:
    """Whether the audit is what it was, by the checkpoints in the records, in the document store, and in `files`.

    Raises DatabaseAwayError, SchemaError, StoreError, SettingsError, and OSError for a file that can't be read.
    """
    outside = {str(file): await asyncio.to_thread(file.read_text, "utf-8") for file in files}
    async with open_database(settings) as database:
        store = DocumentStore.from_settings(settings, database)
        async for keys in store.list_older(CHECKPOINTS, datetime.now(UTC), 1_000):
            for key in keys:
                outside[f"the document store, {key}"] = (await store.get(key)).decode(errors="replace")
        known = Known(origin(settings), AuditKey.from_settings(settings).public, outside)
        return await check(database, known, since=since)


@dataclass(frozen=True)
class RetentionOfClinic:
    """How a clinic keeps what is over, and how much of it is over its time now. `held` are numbers of requests; `seen_by_none`:
    how many of those that are over their time are shut to every administrator of the clinic.
    """

    code: str
    policy: RetentionPolicy
    over_time: int
    seen_by_none: int
    held: Sequence[str]
    lists: Sequence[ListView]


async def retention_now(settings: Settings, code: str | None = None) -> list[RetentionOfClinic]:
    """That of each clinic, or of the one with that code. Nothing is written down.

    Raises DatabaseAwayError, SchemaError, or EncryptionError for another key ring.
    """
    operator, now, found = Administrator.at_the_machine(), datetime.now(UTC), []
    async with open_database(settings) as database:
        async with database.session() as session:
            clinics = [clinic for clinic in await people.list_clinics(session) if code in (None, clinic.code)]
        for clinic in clinics:
            kept = await read_retention(database, operator, clinic.id)
            over = await over_time(database, clinic.id, now)
            held = [hold.number for hold in kept.holds]
            async with database.session() as session:
                unseen = seen_by_none(await shut_to_each(session, clinic.id)) & {entry.request_id for entry in over}
            found.append(RetentionOfClinic(clinic.code, kept.policy, len(over), len(unseen), held, kept.lists))
    return found


async def refused_commands(settings: Settings, number: str) -> list[RefusedCommand] | None:
    """What was refused of the request that people know under `number`, oldest first; None when there is no such request.

    Raises DatabaseAwayError, SchemaError, or EncryptionError for another key ring.
    """
    async with open_database(settings) as database, database.session() as session:
        request = await find_request(session, number)
        return await list_refusals(session, request.id) if request else None


async def restrictions_of(settings: Settings, number: str, *, username: str) -> RequestRestrictions:
    """To whom that request is shut, shown to an operator. Raises Problem, and as `refused_commands`."""
    async with open_database(settings) as database:
        return await restrictions.list_at_the_machine(database, number, username)


async def end_restriction(settings: Settings, number: str, restriction_id: UUID, *, reason: str, username: str) -> None:
    """End a restriction that nobody of its clinic can end, by an operator. Raises Problem, and as `refused_commands`."""
    why = EndedRestriction(reason=reason)
    async with open_database(settings) as database:
        await restrictions.end_at_the_machine(database, number, restriction_id, why, username)


async def holds_of(settings: Settings, number: str, *, username: str) -> list[HoldOfClinic]:
    """What keeps that request beyond its time, shown to an operator. Raises as `restrictions_of`."""
    async with open_database(settings) as database:
        return await retention.holds_at_the_machine(database, number, username)


async def lift_hold(settings: Settings, number: str, hold_id: UUID, *, username: str) -> None:
    """Lift a hold that nobody of its clinic can lift, by an operator. Raises as `restrictions_of`."""
    async with open_database(settings) as database:
        await retention.lift_at_the_machine(database, number, hold_id, username)


async def second_destruction(settings: Settings, which: str | UUID, *, username: str) -> list[str]:
    """Approve as well that a request of an approved list is destroyed, by its number, or all that stands on a list, by its id; by
    an operator. What was approved, by number. Raises as `restrictions_of`.
    """
    async with open_database(settings) as database:
        if isinstance(which, UUID):
            return await retention.second_list_at_the_machine(database, which, username)
        return await retention.second_at_the_machine(database, which, username)


@asynccontextmanager
async def engine_client(settings: Settings) -> AsyncIterator[Client]:
    """A client whose server answers. Raises EngineError when none does."""
    async with EngineConnection(settings) as engine:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                client = await engine.connected()
        except TimeoutError:
            raise EngineError(
                f"No Temporal server answers at {engine.address}: start it, or set TEMPORAL_ADDRESS."
            ) from None
        yield client


@asynccontextmanager
async def open_database(settings: Settings, application_name: str = "relais-upkeep") -> AsyncIterator[Database]:
    """The records, of this version and sealed with keys of the ring. Raises DatabaseAwayError, SchemaError or EncryptionError."""
    async with Database.opened(settings, application_name=application_name) as database:
        with away_named():
            async with database.session() as session:
                await check_schema(session)
                await check_ring(session)
        yield database
