"""Files are scanned for viruses: in the worker, one after the other as they come, or all that are there, for an operator.

The row of a file is the queue (`records.scans`): nothing waits in memory alone. A scanner that is away costs time and nothing
else: what comes meanwhile is pending, and is taken up when it is back. Whoever gives a command never waits for a scan. What it
means for those who want to see a file is in `use_cases.scans`; why it is so, in docs/decisions/virus-scanning.md.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.scans import MOST_TRIES, ScanState, WhyNotScanned, pause_after
from outgoing.clamd import Clamd, ScanFailedError, ScannerAwayError, TooLargeForScannerError
from records import audit, failures, scans
from records.audit import By
from records.database import Database
from records.errors import ContentDiffersError, NotFoundError, StoreError
from records.models import Attachment, Side
from records.scans import Verdict
from records.sealed import NOT_OPENED
from records.store import DocumentStore
from settings import Settings
from use_cases.by_hand import open_database
from use_cases.parts import Parts

AT_ONCE = 4
"""Files that a worker has with the scanner at the same time: clamd works on a dozen."""

LOOKS_EVERY_SECONDS = 1.0

KEEPS_EVERY = timedelta(seconds=5)
"""How often a worker says that it has what it has in hand."""

IN_HAND_FOR = timedelta(seconds=20)
"""So long after the last of these, another one takes it: the first has died."""

PAGE = 200

_NOT_SCANNED = "not_scanned_"
"""With this the codes begin of failures to scan; the reason follows."""

log = structlog.get_logger(__name__)


def scanner_of(settings: Settings) -> Clamd | None:
    """The scanner of this installation; None where it has none."""
    if settings.clamd_url is None:
        return None
    return Clamd(settings.clamd_url, timedelta(seconds=settings.clamd_timeout_seconds))


class Scanning:
    """Use it as ``async with Scanning(parts, scanner):``; at the end, what is in hand is let go, for others or a later start."""

    def __init__(self, parts: Parts, scanner: Clamd) -> None:
        self._parts = parts
        self._scanner = scanner
        self._in_hand: dict[UUID, asyncio.Task[None]] = {}
        self._kept_at = datetime.min.replace(tzinfo=UTC)
        self._is_away = False
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="virus scans")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is None:
            return
        left = [self._running, *self._in_hand.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self) -> None:
        """Scan for ever, whatever happens to the database or the scanner."""
        is_well = True
        while True:
            try:
                await self._keep()
                if await self._is_there():
                    await self._take()
                is_well = True
            except Exception as error:
                if is_well:  # once for each time that the records are away
                    log.warning("files can't be scanned now", error=type(error).__name__)
                is_well = False
            if len(self._in_hand) < AT_ONCE:
                await asyncio.sleep(LOOKS_EVERY_SECONDS)
            else:
                await asyncio.wait(
                    self._in_hand.values(), timeout=LOOKS_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )

    async def _is_there(self) -> bool:
        """Whether there is a scanner, as far as is known; where there was none, it is asked."""
        if self._is_away:
            try:
                await self._scanner.version()
            except ScannerAwayError:
                return False
            self._is_away = False
            log.info("the virus scanner is back")
        return True

    async def _keep(self) -> None:
        now = datetime.now(UTC)
        if self._in_hand and now - self._kept_at >= KEEPS_EVERY:
            async with self._parts.database.session() as session:
                await scans.keep(session, list(self._in_hand), now + IN_HAND_FOR)
            self._kept_at = now

    async def _take(self) -> None:
        """Take up what is due, as far as there is room."""
        now, room = datetime.now(UTC), AT_ONCE - len(self._in_hand)
        if room <= 0:
            return
        async with self._parts.database.session() as session:
            taken = await scans.take(session, now, now + IN_HAND_FOR, room)
        for attachment in taken:
            if attachment.id not in self._in_hand:  # else we came too late to say that we have it, and have it still
                task = asyncio.create_task(self._scan(attachment), name="virus scan")
                self._in_hand[attachment.id] = task
                task.add_done_callback(partial(self._leave, attachment.id))

    def _leave(self, id_: UUID, task: asyncio.Task[None]) -> None:
        if self._in_hand.get(id_) is task:
            del self._in_hand[id_]

    async def _scan(self, attachment: Attachment) -> None:
        """One file. Whatever hinders it, the file's turn comes again."""
        try:
            await self._try(attachment)
        except asyncio.CancelledError:
            await self._let_go(attachment, timedelta(), failed=False)
            raise
        except Exception as error:
            log.error("a file can't be scanned now", attachment_id=str(attachment.id), error=type(error).__name__)

    async def _try(self, attachment: Attachment) -> None:
        try:
            verdict = await verdict_on(self._parts, self._scanner, attachment)
            await _to_its_end(settle(self._parts, attachment, verdict))
        except ScannerAwayError as error:
            if not self._is_away:
                log.warning("the virus scanner does not answer; files wait for it", error=str(error))
            self._is_away = True
            await self._let_go(attachment, timedelta(), failed=False)
        except ScanFailedError as error:
            log.warning("a virus scan failed", attachment_id=str(attachment.id), error=str(error))
            await self._let_go(attachment, pause_after(attachment.scan_tries + 1), failed=True)

    async def _let_go(self, attachment: Attachment, pause: timedelta, *, failed: bool) -> None:
        async with self._parts.database.session() as session:
            await scans.let_go(session, attachment.id, datetime.now(UTC) + pause, failed=failed)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Also where this task is cancelled meanwhile: a file whose verdict stands is destroyed before the worker ends."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def verdict_on(parts: Parts, scanner: Clamd, attachment: Attachment) -> Verdict:
    """What the scanner says of the file as it was sent: it goes there from the store, opened on its way, piece by piece.

    Raises ScannerAwayError, and ScanFailedError where it is to be tried again.
    """
    engine = await scanner.version()  # before: what is larger than a connection holds is not sent into the void
    if attachment.size_bytes > parts.settings.clamd_max_bytes:
        return _not_scanned(WhyNotScanned.TOO_LARGE, engine)
    try:
        found = await scanner.scan(
            parts.store.stream_compared(attachment.object_key, attachment.size_bytes, attachment.sha256)
        )
    except TooLargeForScannerError:
        return _not_scanned(WhyNotScanned.TOO_LARGE, engine)
    except ScanFailedError:
        if attachment.scan_tries + 1 >= MOST_TRIES:
            return _not_scanned(WhyNotScanned.FAILED, engine)
        raise
    except (NotFoundError, ContentDiffersError, *NOT_OPENED):
        return _not_scanned(WhyNotScanned.UNREADABLE, engine)
    if found is None:
        return Verdict(ScanState.CLEAN, datetime.now(UTC), engine)
    return Verdict(ScanState.INFECTED, datetime.now(UTC), engine, found)


def _not_scanned(why: WhyNotScanned, engine: str) -> Verdict:
    return Verdict(ScanState.NOT_SCANNED, datetime.now(UTC), engine, why.value)


async def settle(parts: Parts, attachment: Attachment, verdict: Verdict) -> None:
    """Write down what became of it. An infected file is destroyed, with all that was made of it, and the operators are told.

    A process that dies in between leaves what no record names, which the sweep removes.
    """
    try:
        async with parts.database.session() as session:
            unused = await scans.note(session, attachment, verdict)
            if unused is None:
                return
            if verdict.state is not ScanState.NOT_SCANNED:
                await _resolve(session, attachment, verdict)
            if verdict.state is not ScanState.CLEAN:
                await _tell(session, attachment, verdict)
    except NotFoundError:  # the request is gone, and its files with it
        return
    for key in unused:
        try:
            await parts.store.delete([key])
        except StoreError as error:
            log.error("an infected file is not destroyed yet", attachment_id=str(attachment.id), error=str(error))


async def _tell(session: AsyncSession, attachment: Attachment, verdict: Verdict) -> None:
    """Tell the operators, and the audit, of a file that was not found clean."""
    code = f"{_NOT_SCANNED}{verdict.finding}"
    if verdict.state is ScanState.INFECTED:
        code, request_id, by = "virus_found", attachment.request_id, By(None, Side.SYSTEM)
        audit.add(
            session, Act.CHANGE, by, verdict.at, name="virus_found", request_id=request_id, object_id=attachment.id
        )
    await failures.note_failure(
        session,
        effect_id=_effect_id(attachment, code),
        request_id=attachment.request_id,
        kind="virus_scan",
        code=code,
        at=verdict.at,
    )
    log.error(
        "a file was not found clean",
        attachment_id=str(attachment.id),
        request_id=str(attachment.request_id),
        size_bytes=attachment.size_bytes,
        code=code,
        error=verdict.finding,
    )


async def _resolve(session: AsyncSession, attachment: Attachment, verdict: Verdict) -> None:
    """What could not be scanned before, and was now, is off the list of failures."""
    if attachment.scan_finding is not None:
        for why in WhyNotScanned:
            effect_id = _effect_id(attachment, f"{_NOT_SCANNED}{why.value}")
            await failures.resolve_failure(session, effect_id, now=verdict.at)


def _effect_id(attachment: Attachment, code: str) -> str:
    return f"scan:{attachment.id}:{code}"


# For operators


@dataclass
class Scanned:
    """What came of a round over what was not scanned."""

    by_state: Counter[ScanState] = field(default_factory=Counter)
    failed: int = 0

    @property
    def all_could_be(self) -> bool:
        """Whether the scanner has said of each whether it is clean."""
        return not self.failed and not self.by_state[ScanState.NOT_SCANNED]


@dataclass(frozen=True)
class _Parts:
    settings: Settings
    database: Database
    store: DocumentStore


async def scan_files(settings: Settings, scanner: Clamd, say: Callable[[str], None], *, again: bool) -> Scanned:
    """Scan all files that nobody has scanned; with `again`, also those of which the scanner could say nothing.

    Stopped and asked for again, it goes on. Raises ScannerAwayError when the scanner goes away, DatabaseAwayError, SchemaError,
    or EncryptionError for another key ring.
    """
    done, after = Scanned(), None
    async with open_database(settings, "relais-scans") as database:
        parts = _Parts(settings, database, DocumentStore.from_settings(settings, database))
        while True:
            async with database.session() as session:
                page = await scans.not_scanned(session, after=after, limit=PAGE, again=again)
            if not page:
                return done
            after = page[-1].id
            for attachment in page:
                await _scan_now(parts, scanner, attachment, done)
            say(f"{sum(done.by_state.values())} files scanned")


async def _scan_now(parts: Parts, scanner: Clamd, attachment: Attachment, done: Scanned) -> None:
    try:
        verdict = await verdict_on(parts, scanner, attachment)
    except ScanFailedError as error:
        log.warning("a virus scan failed", attachment_id=str(attachment.id), error=str(error))
        done.failed += 1
        return
    await settle(parts, attachment, verdict)
    done.by_state[verdict.state] += 1
