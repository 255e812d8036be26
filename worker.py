"""The worker process: which workflows and which activities run here, and on which task queues."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

import logs
import memory
from activities.account_letters import AccountLetterActivities
from activities.journals import JournalActivities
from activities.media import MediaActivities
from activities.notifications import NotificationActivities
from activities.records import RecordActivities
from activities.registers import RegisterActivities
from activities.reports import ReportActivities
from activities.retention import RetentionActivities
from activities.upkeep import UpkeepActivities
from documents.authority import Authority
from documents.bounded import get_ready
from engine.client import EngineConnection
from engine.sandbox import Sandbox
from engine.schedules import ensure_schedules
from engine.search_attributes import ensure_search_attributes
from fhir.notifications import notification_to_send
from fhir.told import heard, knock, message_to_send
from media.kinds import NoFfmpegError
from media.videos import ffmpeg
from records.database import Database
from records.store import DocumentStore
from settings import Settings, get_settings
from sign_of_life import SignOfLife
from use_cases import audit_tree, destruction, shut_holders, signing_keys
from use_cases.certificates import certify
from use_cases.forgotten_passwords import make_resets
from use_cases.journal_paper import make_journal
from use_cases.nightly import each_night
from use_cases.partner_sender import PartnerSender, Words
from use_cases.partner_sender import calls_for as messages_for
from use_cases.register_paper import make_register
from use_cases.repair import repair
from use_cases.scanning import Scanning, scanner_of
from use_cases.signing_roots import authority_to_sign_with
from use_cases.unread_reports import tell_clinics
from use_cases.webhook_sender import Sender, calls_for
from waiting import until_there
from workflows.account_letters import AccountLetterWorkflow, ForgottenPasswordWorkflow
from workflows.contract import signing_task_queue
from workflows.digest import NoticeDigestWorkflow, SingleNoticeWorkflow
from workflows.journals import JournalWorkflow
from workflows.media import PrepareVideoWorkflow
from workflows.registers import RegisterWorkflow
from workflows.retention import DestructionWorkflow, RetentionListsWorkflow
from workflows.schedules import schedules
from workflows.teleconsultation import TeleconsultationWorkflow
from workflows.upkeep import RepairWorkflow, SweepWorkflow, UnreadReportsWorkflow
from workflows.visibility import SEARCH_ATTRIBUTES

GRACE = timedelta(seconds=30)
"""Time that activities get to finish when the worker is stopped."""

TAKEN_OVER_AFTER = timedelta(seconds=1)
"""How long a request waits for the worker that has it in memory before any other may go on with it.

Shorter than the API's patience (`command_timeout_seconds`), so that nobody waits because a worker was killed.
"""

TOLD_WITHIN = timedelta(seconds=0.2)
"""How soon the engine hears that a mail server has taken an e-mail, so that a worker that dies sends it no second time."""

PREPARE_WITHIN_SECONDS = 30.0
"""How long the search attributes and schedules may take before they are tried anew."""

BUILD_ID = "relais"
"""What the engine is told of the code that runs here. Nothing is routed by it (which way a run goes, its `manner` says), and the
default is a hash of every module: half a second of a processor at each start, and more under tests.
"""

MAILS_AT_ONCE = 500
"""Many may wait for a relay that does not answer, each for minutes: whoever comes then must not wait for them."""

DOCUMENTS_TAKEN_PER_PLACE = 2
"""While one document is made, the next is read already, and the one before stored."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What the use cases work with that run here."""

    settings: Settings
    database: Database
    store: DocumentStore
    engine: Client


class Workers(NamedTuple):
    """Four of one process. None of the last three may hold up a command."""

    requests: Worker
    """Requests with their records."""

    documents: Worker
    """What is signed and sealed: it takes a processor, and needs the keys."""

    mail: Worker
    """E-mails, which a slow relay holds up."""

    media: Worker
    """Videos, one at a time."""


def build_workers(
    client: Client,
    settings: Settings,
    database: Database,
    store: DocumentStore,
    authority: Callable[[], Authority],
    notifications: NotificationActivities | None = None,
) -> Workers:
    """All of one process. `authority` gives the one that signs here, or raises KeysAwayError."""
    notifications = notifications or NotificationActivities(settings, database)
    gather = timedelta(seconds=settings.mail_gather_seconds)
    at_once = settings.documents_at_once or max(1, processors() - 1)
    reports = ReportActivities(database, store, authority, at_once)
    videos = MediaActivities(database, store)
    parts = Parts(settings, database, store, client)
    records = RecordActivities(
        database, notifications, mails_gather_for=gather, give=lambda given: shut_holders.give(parts, given)
    )
    account_letters = AccountLetterActivities(settings, database, lambda typed: make_resets(parts, typed))

    upkeep = UpkeepActivities(lambda: repair(parts), lambda: each_night(parts, authority), lambda: tell_clinics(parts))
    retention = RetentionActivities(
        lambda: destruction.write_lists(parts),
        lambda list_id: destruction.when_to_destroy(database, list_id),
        lambda list_id: destruction.destroy_listed(parts, list_id),
        lambda list_id: certify(database, authority(), list_id),
    )
    journals = JournalActivities(lambda order: make_journal(parts, authority(), order))
    registers = RegisterActivities(lambda order: make_register(parts, authority(), order))
    requests = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[
            *(TeleconsultationWorkflow, RepairWorkflow, SweepWorkflow, UnreadReportsWorkflow),
            *(RetentionListsWorkflow, DestructionWorkflow, JournalWorkflow, RegisterWorkflow),
        ],
        activities=[
            *(records.record_event, records.note_refusal, records.note_failure),
            *(upkeep.repair, upkeep.sweep, upkeep.tell_unread_reports),
            *(retention.list_over_time, retention.when_to_destroy, retention.destroy_listed, retention.certify),
            reports.finalize_report,  # of runs that began before documents had a task queue of their own
        ],
        workflow_runner=Sandbox(),
        graceful_shutdown_timeout=GRACE,
        build_id=BUILD_ID,
        sticky_queue_schedule_to_start_timeout=TAKEN_OVER_AFTER,
    )
    signing = Worker(
        client,
        task_queue=signing_task_queue(settings.task_queue),
        activities=[reports.finalize_report, journals.make_journal, registers.make_register],
        max_concurrent_activities=DOCUMENTS_TAKEN_PER_PLACE * at_once,
        graceful_shutdown_timeout=GRACE,
        build_id=BUILD_ID,
    )
    mail = Worker(
        client,
        task_queue=settings.mail_task_queue,
        workflows=[NoticeDigestWorkflow, SingleNoticeWorkflow, AccountLetterWorkflow, ForgottenPasswordWorkflow],
        activities=[
            notifications.deliver_notices,
            notifications.send_notice,
            notifications.stranded_notices,
            notifications.due_digests,
            notifications.send_digest,
            account_letters.send_account_letter,
            account_letters.make_password_resets,
        ],
        max_concurrent_activities=MAILS_AT_ONCE,
        max_heartbeat_throttle_interval=TOLD_WITHIN,
        max_task_queue_activities_per_second=settings.mails_per_second,
        workflow_runner=Sandbox(),
        graceful_shutdown_timeout=GRACE,
        build_id=BUILD_ID,
    )
    media = Worker(
        client,
        task_queue=settings.media_task_queue,
        workflows=[PrepareVideoWorkflow],
        activities=[videos.make_playable, videos.note_unplayable],
        max_concurrent_activities=1,
        workflow_runner=Sandbox(),
        graceful_shutdown_timeout=GRACE,
        build_id=BUILD_ID,
    )
    return Workers(requests, signing, mail, media)


def webhook_sender(settings: Settings, database: Database) -> Sender:
    """What tells clinics' systems of events: by webhooks, and by FHIR's notifications."""
    return Sender(settings, database, calls_for(settings), notification_to_send)


def partner_sender(settings: Settings, database: Database, store: DocumentStore) -> PartnerSender:
    """What tells partners of their requests, in FHIR's words."""
    return PartnerSender(settings, database, store, messages_for(settings), Words(message_to_send, heard, knock))


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _look_for_ffmpeg() -> None:
    try:
        log.info("videos are prepared here", program=ffmpeg())
    except NoFfmpegError:
        log.error("no ffmpeg: no video can be prepared; install ffmpeg, or the extra `embedded`")


async def main() -> None:
    """Work until SIGINT or SIGTERM, as soon as the database and the engine are there.

    Raises what says plainly which setting, key or schema is not right.
    """
    settings = get_settings()
    logs.configure(settings)
    database = Database.from_settings(settings, application_name="relais-worker")
    store = DocumentStore.from_settings(settings, database)
    _look_for_ffmpeg()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        engine = await stack.enter_async_context(EngineConnection(settings))
        life = await stack.enter_async_context(SignOfLife(settings.worker_life_file))
        working = asyncio.create_task(_work(settings, database, store, engine, life))
        stop = asyncio.create_task(_asked_to_stop())
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not working.done():
            working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _asked_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()


async def _work(
    settings: Settings,
    database: Database,
    store: DocumentStore,
    engine: EngineConnection,
    life: SignOfLife,
) -> None:
    """Wait for what the work needs, then work until cancelled."""
    await asyncio.gather(database.open(), engine.connected())
    client = engine.client
    keys = signing_keys.KeysToCome(lambda: authority_to_sign_with(settings, database), life)
    await until_there(
        "namespace", lambda: _prepare(client, settings), away=(RPCError,), within_seconds=PREPARE_WITHIN_SECONDS
    )
    notifications = NotificationActivities(settings, database)
    async with AsyncExitStack() as stack:
        stack.callback(keys.give_up)
        await keys.at_once()
        stack.push_async_callback(notifications.close)
        workers = build_workers(client, settings, database, store, keys.authority, notifications)
        for worker in (workers.requests, workers.mail, workers.media):
            await stack.enter_async_context(worker)
        await stack.enter_async_context(webhook_sender(settings, database))
        parts = Parts(settings, database, store, client)
        await stack.enter_async_context(partner_sender(settings, database, store))
        if (scanner := scanner_of(settings)) is not None:
            await stack.enter_async_context(Scanning(parts, scanner))
        tree = asyncio.create_task(audit_tree.keep(parts), name="tree of the audit")
        stack.callback(tree.cancel)
        memory.settle()
        life.ready = True
        log.info("worker ready", task_queue=settings.task_queue, namespace=client.namespace)
        try:
            authority = await keys.come()
            await stack.enter_async_context(workers.documents)
            await get_ready()
            await signing_keys.watch(authority, life)
            await asyncio.Event().wait()
        finally:
            log.info("worker stops")


async def _prepare(client: Client, settings: Settings) -> None:
    """What the namespace must have; a namespace that is still to be made answers NOT_FOUND. Raises SearchAttributeError."""
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    await ensure_schedules(client, schedules(settings))
