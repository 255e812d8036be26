"""The tree of the audit grows while a worker lives, and each minute what it is by then is signed and kept elsewhere, too.

Whoever rules the database could write everything anew, tree and all, but not the checkpoints outside
([decision](../docs/decisions/audit.md)).
"""

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from documents.audit_key import AuditKey
from domain.signed_notes import Checkpoint, signed
from records import audit_tree
from records.database import Database
from records.errors import StoreError
from records.store import DocumentStore
from records.trouble import DATABASE_ERRORS
from settings import Settings

EVERY = timedelta(seconds=1)
CHECKPOINT_EVERY = timedelta(minutes=1)

FOLDER = "checkpoints"
"""Where checkpoints lie in the document store."""

log = structlog.get_logger(__name__)


class Parts(Protocol):
    """What keeps the tree."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def store(self) -> DocumentStore: ...


def origin(settings: Settings) -> str:
    """The name of this installation's audit."""
    return f"{urlsplit(settings.public_url).netloc or 'relais'}/audit"


def checkpoint_key(size: int) -> str:
    """Where the checkpoint of that size lies in the document store: names sort by their size."""
    return f"{FOLDER}/{size:020}"


async def keep(parts: Parts) -> None:
    """Let the tree grow, and make checkpoints, until cancelled. What hinders that is logged, and tried again."""
    everything, checkpoint_at = True, datetime.now(UTC)
    key = AuditKey.from_settings(parts.settings)
    while True:
        try:
            everything = not await grow(parts, everything=everything) and everything
            if datetime.now(UTC) >= checkpoint_at:
                await make_checkpoint(parts, key)
                checkpoint_at = datetime.now(UTC) + CHECKPOINT_EVERY
        except (*DATABASE_ERRORS, StoreError, OSError) as error:
            log.warning("the audit's tree can't grow now", error=type(error).__name__)
        except Exception as error:  # such as that somebody has changed how far it has come; it is tried again
            log.error("the audit's tree can't grow: see relais audit verify", error=type(error).__name__)
        await asyncio.sleep(EVERY.total_seconds())


async def grow(parts: Parts, *, everything: bool = False) -> bool:
    """Give what was committed its place. Whether that is all; not so while another process does it."""
    while True:
        async with parts.database.session() as session:
            taken = await audit_tree.take(session, everything=everything)
        if taken is None:
            return False
        if taken < audit_tree.MOST_AT_ONCE:
            return True


async def make_checkpoint(parts: Parts, key: AuditKey) -> str | None:
    """Sign what the tree is now, and keep it in the records, the document store, and the folder of the settings.

    None where the newest checkpoint says it already. Raises StoreError or OSError when it can't be kept outside.
    """
    async with parts.database.session() as session:
        await audit_tree.wait_for_lock(session)
        head = await audit_tree.read_head(session)
        if head.size <= await audit_tree.newest_checkpoint(session):
            return None
        note = signed(Checkpoint(origin(parts.settings), head.size, head.root), key.public, key.sign)
        await audit_tree.keep_checkpoint(session, head.size, note, datetime.now(UTC))
    await parts.store.put_new(checkpoint_key(head.size), note.encode())
    if parts.settings.audit_checkpoints_dir is not None:
        await asyncio.to_thread(_keep_in, parts.settings.audit_checkpoints_dir, head.size, note)
    return note


def _keep_in(folder: Path, size: int, note: str) -> None:
    """A file that nobody writes again; what is there already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (folder / f"{size:020}").open("x", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
