"""What is given out of the document store: compared with its SHA-256 before.

A file that is gone, or is another one, is never given out: who asked is told, and so are the operators (the log, the metric,
and the list of failures, once a day for each file).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import structlog
from prometheus_client import Counter

from domain.scans import Hold, ScanState
from records import attachments, failures
from records.errors import ContentDiffersError, NotFoundError
from records.models import Attachment
from records.store import DocumentStore
from use_cases.problems import Problem
from use_cases.services import Services

Fault = Literal["missing", "differs"]

FAULTS = Counter("relais_stored_files_faulty_total", "Stored files that were asked for and not given out", ["fault"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """A file of the document store, of `size` bytes: the one that was kept. `filename` is empty for what is only shown."""

    key: str
    size: int
    media_type: str
    filename: str
    _store: DocumentStore = field(repr=False)

    @property
    def tag(self) -> str:
        """What differs when the bytes do."""
        return self.key.rpartition("/")[2]

    def read(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Its bytes from `start` on, up to but without `end`, piece by piece."""
        return self._store.stream(self.key, start=start, end=end)


async def why_not(
    services: Services, attachment: Attachment, key: str, error: NotFoundError | ContentDiffersError
) -> Problem:
    """What is told to who asked for a file of an attachment that is gone, or is another one.

    Where it was taken out of the form meanwhile, or a virus was found in it, its files are gone by right, or their key is;
    else the operators are told.
    """
    async with services.database.session() as session:
        there = await attachments.load_attachment(session, attachment.request_id, attachment.id)
    if there is None:
        return Problem("not_found")
    if there.scan is ScanState.INFECTED:
        return Problem(Hold.INFECTED.value)
    what: Fault = "missing" if isinstance(error, NotFoundError) else "differs"
    return await fault(services, attachment.request_id, key, what)


async def fault(services: Services, request_id: UUID, key: str, what: Fault) -> Problem:
    """Tell the operators of a file that can't be given out; what is told to who asked for it."""
    now = datetime.now(UTC)
    log.error("a stored file is faulty", code=what, key=key, request_id=str(request_id))
    FAULTS.labels(what).inc()
    async with services.database.session() as session:
        await failures.note_failure(
            session,
            effect_id=f"{key.replace('/', ':')}:{what}:{now:%Y-%m-%d}",
            request_id=request_id,
            kind="stored_file",
            code=f"stored_file_{what}",
            at=now,
        )
    return Problem(f"stored_file_{what}")
