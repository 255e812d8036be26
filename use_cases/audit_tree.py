"""The tree of the audit grows while a worker lives, and each minute what it is by then is signed and kept elsewhere, too.

Whoever rules the database could write everything anew, tree and all, but not the checkpoints outside
([decision](../docs/decisions/audit.md)).
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from documents.audit_key import AuditKey
from domain.signed_notes import Checkpoint, signed
from records import audit_tree
from records.database import Database
from records.errors import StoreError
from records.trouble import DATABASE_ERRORS
from settings import Settings
from use_cases.parts import Parts

EVERY = timedelta(seconds=1)
CHECKPOINT_EVERY = timedelta(minutes=1)

FOLDER = "checkpoints"
"""Where checkpoints lie in the document store."""

log = structlog.get_logger(__name__)


def origin(settings: Settings) -> str:
    """The name of this installation's audit."""
    return f"{urlsplit(settings.public_url).netloc or 'relais'}/audit"


def checkpoint_key(size: int) -> str:
    """Where the checkpoint of that size lies in the document store: names sort by their size."""
    return f"{FOLDER}/{size:020}"


async def keep(parts: Parts) -> None:
    """Let the tree grow, and make checkpoints, until cancelled. What hinders that is logged, and tried again."""
    growth, checkpoint_at = Growth(parts.database), datetime.now(UTC)
    key = AuditKey.from_settings(parts.settings)
    while True:
        try:
            is_whole = await growth.go_on()
            if is_whole and datetime.now(UTC) >= checkpoint_at:
                await make_checkpoint(parts, key)
                checkpoint_at = datetime.now(UTC) + CHECKPOINT_EVERY
        except (*DATABASE_ERRORS, StoreError, OSError) as error:
            log.warning("the audit's tree can't grow now", error=type(error).__name__)
        except Exception as error:  # such as that somebody has changed how far it has come; it is tried again
            log.error("the audit's tree can't grow: see relais audit verify", error=type(error).__name__)
        await asyncio.sleep(EVERY.total_seconds())


class Growth:
    """Gives entries their places: first, in one pass, all that have none, then what comes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._passing: audit_tree.Pass | None = None
        self._has_passed = False

    async def go_on(self) -> bool:
        """Give places to all that was committed. Whether that is all; not so while another process does it."""
        while not self._has_passed:
            async with self._database.session() as session:
                now = self._passing or await audit_tree.begin_pass(session)
                further = await audit_tree.take_missing(session, now)
            if further == now:
                return False
            self._passing, self._has_passed = further, further is None
        while True:
            async with self._database.session() as session:
                taken = await audit_tree.take(session)
            if taken is None:
                return False
            if taken < audit_tree.MOST_AT_ONCE:
                return True


async def make_checkpoint(parts: Parts, key: AuditKey) -> str | None:
    """Sign what the tree is now, and keep it in the records, the document store, and the folder of the settings.

    None where the newest checkpoint says it already: then it is looked after that this one is kept everywhere. Raises StoreError
    or OSError when it can't be kept outside.
    """
    async with parts.database.session() as session:
        await audit_tree.wait_for_lock(session)
        head = await audit_tree.read_head(session)
        kept = await audit_tree.last_checkpoint(session)
        is_new = head.size > (kept.size if kept else 0)
        if is_new:
            note = signed(Checkpoint(origin(parts.settings), head.size, head.root), key.public, key.sign)
            kept = await audit_tree.keep_checkpoint(session, head.size, note, datetime.now(UTC))
    if kept is None:
        return None
    await parts.store.put_new(checkpoint_key(kept.size), kept.note.encode())
    if parts.settings.audit_checkpoints_dir is not None:
        await asyncio.to_thread(_keep_in, parts.settings.audit_checkpoints_dir, kept.size, kept.note)
    return kept.note if is_new else None


def _keep_in(folder: Path, size: int, note: str) -> None:
    """A file that nobody writes again; what is there already stays. It has its name only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    place, coming = folder / f"{size:020}", folder / f".{size:020}"
    if place.exists():
        return
    with coming.open("w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    coming.replace(place)
