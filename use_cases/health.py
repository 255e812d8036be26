"""Can work be done: what each part says, in words for those who keep Relais running. Nothing here names a person or a file."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import Gauge
from sqlalchemy import text
from temporalio.service import RPCError

from engine.running import count_running, count_stuck
from outgoing.clamd import ScannerAwayError, database_made_at
from records import scans
from records.store import DocumentStore
from settings import Settings
from use_cases import gate
from use_cases.scanning import scanner_of
from use_cases.services import Services
from workflows.contract import TELECONSULTATION

ANSWER_WITHIN_SECONDS = 4.0

DATABASE_IS_OLD_AFTER = timedelta(days=7)
"""Of the virus scanner: new ones come out each day."""

WAITS_LONG_AFTER = timedelta(minutes=10)
"""Of a file that is to be scanned: no worker has it in hand, or its scans fail."""

FREE_BYTES = Gauge("relais_disk_free_bytes", "Room for files, by what they are for", ["place"])
STUCK = Gauge("relais_workflows_stuck", "Requests whose workflow task fails again and again")
WAITING = Gauge("relais_scans_waiting", "Files that wait for the virus scanner")
OLDEST = Gauge("relais_oldest_waiting_scan_seconds", "How long the oldest of them waits")
INFECTED = Gauge("relais_files_infected", "Files in which a virus was found")
DATABASE_AGE = Gauge("relais_scanner_database_age_seconds", "How old the virus scanner's database is")
PART = Gauge("relais_part_ready", "1 when the part answers and can work", ["part"])


@dataclass(frozen=True)
class Health:
    """What was found: the parts, in order, each with why work can't be done with it, or None where it can; and `warnings`."""

    parts: Mapping[str, str | None]
    warnings: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return not any(self.parts.values())


async def look(services: Services) -> Health:
    """Ask every part, all at once, each for some seconds at most."""
    database, engine, documents, disk, scanner = await asyncio.gather(
        _within(_database(services)),
        _within(_engine(services)),
        _within(_documents(services.store)),
        _within(_disk(services.settings, services.store)),
        _within(_scanner(services)),
    )
    stuck, open_ = (0, 0) if engine else await _stuck(services)
    few = f"{stuck} of {open_} open requests can't go on: their workflow task fails again and again"
    all_fail = stuck > 0 and 2 * stuck >= open_
    parts = {
        "database": database,
        "engine": engine,
        "documents": documents,
        "disk": disk,
        "workflows": few if all_fail else None,
    }
    for name, reason in parts.items():
        PART.labels(name).set(reason is None)
    return Health(
        parts, tuple(filter(None, (few if stuck and not all_fail else None, scanner and f"virus scanner: {scanner}")))
    )


async def _within(check: Awaitable[str | None]) -> str | None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await check
    except Exception as error:
        return f"does not answer ({type(error).__name__})"


async def _database(services: Services) -> str | None:
    if services.database.closed_because is not None:
        return services.database.closed_because
    async with services.database.session() as session:
        await session.execute(text("SELECT 1"))
    return None


async def _engine(services: Services) -> str | None:
    return None if await gate.is_reachable(services.engine) else "does not answer"


async def _documents(store: DocumentStore) -> str | None:
    await store.check()
    return None


async def _scanner(services: Services) -> str | None:
    """What is to be seen to about the virus scanner, where there is one. Work goes on without it: what comes waits."""
    if (scanner := scanner_of(services.settings)) is None:
        return None
    async with services.database.session() as session:
        stands = await scans.standing(session)
    now = datetime.now(UTC)
    WAITING.set(stands.waiting)
    OLDEST.set((now - stands.since).total_seconds() if stands.since else 0)
    INFECTED.set(stands.infected)
    PART.labels("scanner").set(0)
    try:
        version = await scanner.version()
    except ScannerAwayError:
        return f"does not answer; files that wait for it: {stands.waiting}"
    PART.labels("scanner").set(1)
    told = _of_queue(stands, now), _of_database(database_made_at(version), now)
    return "; ".join(filter(None, told)) or None


def _of_queue(stands: scans.Standing, now: datetime) -> str | None:
    waits = now - stands.since if stands.since else timedelta()
    if waits <= WAITS_LONG_AFTER:
        return None
    minutes = int(waits.total_seconds() // 60)
    return f"files that wait for it: {stands.waiting}, the oldest for {minutes} minutes"


def _of_database(made_at: datetime | None, now: datetime) -> str | None:
    if made_at is None:
        return "does not say how old its database is"
    DATABASE_AGE.set((now - made_at).total_seconds())
    return f"its database is {(now - made_at).days} days old" if now - made_at > DATABASE_IS_OLD_AFTER else None


async def _disk(settings: Settings, store: DocumentStore) -> str | None:
    """Whether there is room where files are kept on this machine; a bucket has no end."""
    places = {"data": settings.data_dir, "temporary files": Path(tempfile.gettempdir())}
    if store.folder is not None:
        places["documents"] = store.folder
    free = {
        place: room for place, path in places.items() if (room := await asyncio.to_thread(free_bytes, path)) is not None
    }
    for place, room in free.items():
        FREE_BYTES.labels(place).set(room)
    short = [
        f"{room // 1024**2} MiB left for {place}"
        for place, room in free.items()
        if room < settings.least_free_mb * 1024**2
    ]
    return f"{', '.join(short)} (at least {settings.least_free_mb} MiB are wanted)" if short else None


def free_bytes(path: Path) -> int | None:
    """Room on the disk of that folder; none, too, when no further file can be named there. None when there is no such folder."""
    try:
        found = os.statvfs(path)
    except FileNotFoundError:
        return None
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


async def _stuck(services: Services) -> tuple[int, int]:
    """How many requests can't go on, and how many are open. A server that can't tell has none."""
    try:
        stuck = await count_stuck(services.engine, TELECONSULTATION)
        open_ = await count_running(services.engine, TELECONSULTATION) if stuck else 0
    except RPCError:
        return 0, 0
    STUCK.set(stuck)
    return stuck, open_
