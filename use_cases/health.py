"""Can work be done: what each part says, in words for those who keep Relais running. Nothing here names a person or a file."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Gauge
from sqlalchemy import text
from temporalio.service import RPCError

from engine.running import count_running, count_stuck
from records.store import DocumentStore
from settings import Settings
from use_cases import gate
from use_cases.services import Services
from workflows.contract import TELECONSULTATION

ANSWER_WITHIN_SECONDS = 4.0

FREE_BYTES = Gauge("relais_disk_free_bytes", "Room for files, by what they are for", ["place"])
STUCK = Gauge("relais_workflows_stuck", "Requests whose workflow task fails again and again")
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
    database, engine, documents, disk = await asyncio.gather(
        _within(_database(services)),
        _within(_engine(services)),
        _within(_documents(services.store)),
        _within(_disk(services.settings, services.store)),
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
    return Health(parts, (few,) if stuck and not all_fail else ())


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
