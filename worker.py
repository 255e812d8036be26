"""The worker process: which workflows and which activities run here, and on which task queues."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

import logs
from activities.media import MediaActivities
from activities.notifications import NotificationActivities
from activities.records import RecordActivities
from activities.reports import ReportActivities
from documents.authority import Authority
from engine.client import connect
from engine.schedules import ensure_schedules
from engine.search_attributes import ensure_search_attributes
from media.kinds import NoFfmpegError
from media.videos import ffmpeg
from records.database import Database
from records.migrate import check_schema
from records.store import DocumentStore
from settings import Settings, get_settings
from workflows.digest import NoticeDigestWorkflow, SingleNoticeWorkflow
from workflows.media import PrepareVideoWorkflow
from workflows.schedules import schedules
from workflows.teleconsultation import TeleconsultationWorkflow
from workflows.visibility import SEARCH_ATTRIBUTES

GRACE = timedelta(seconds=30)
"""Time that activities get to finish when the worker is stopped."""

TAKEN_OVER_AFTER = timedelta(seconds=1)
"""How long a request waits for the worker that has it in memory before any other may go on with it.

Shorter than the API's patience (`command_timeout_seconds`), so that nobody waits because a worker was killed.
"""

TOLD_WITHIN = timedelta(seconds=0.2)
"""How soon the engine hears that a mail server has taken an e-mail, so that a worker that dies sends it no second time."""

log = structlog.get_logger(__name__)


def build_workers(
    client: Client, settings: Settings, database: Database, store: DocumentStore, authority: Authority
) -> tuple[Worker, Worker, Worker]:
    """Three workers of one process: requests with their records and reports; e-mails, which a slow relay must not hold up; and
    videos, one at a time, which must not hold up anything.
    """
    records = RecordActivities(database, mails_gather_for=timedelta(seconds=settings.mail_gather_seconds))
    reports = ReportActivities(database, store, authority)
    notifications = NotificationActivities(settings, database)
    videos = MediaActivities(database, store)
    requests = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[TeleconsultationWorkflow],
        activities=[records.record_event, records.note_refusal, records.note_failure, reports.finalize_report],
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=TAKEN_OVER_AFTER,
    )
    mail = Worker(
        client,
        task_queue=settings.mail_task_queue,
        workflows=[NoticeDigestWorkflow, SingleNoticeWorkflow],
        activities=[
            notifications.deliver_notices,
            notifications.send_notice,
            notifications.stranded_notices,
            notifications.due_digests,
            notifications.send_digest,
        ],
        max_heartbeat_throttle_interval=TOLD_WITHIN,
        max_task_queue_activities_per_second=settings.mails_per_second,
        graceful_shutdown_timeout=GRACE,
    )
    media = Worker(
        client,
        task_queue=settings.media_task_queue,
        workflows=[PrepareVideoWorkflow],
        activities=[videos.make_playable, videos.note_unplayable],
        max_concurrent_activities=1,
        graceful_shutdown_timeout=GRACE,
    )
    return requests, mail, media


def open_authority(settings: Settings) -> Authority:
    """The signers' keys. Raises SettingsError when they do not say what locks them."""
    if settings.authority_secret is None:
        raise ValueError(
            "RELAIS_AUTHORITY_SECRET is not set: choose a long random text and keep it as long as the keys"
        )
    return Authority.open(settings.authority_path, settings.authority_secret.get_secret_value().encode())


def _look_for_ffmpeg() -> None:
    try:
        log.info("videos are prepared here", program=ffmpeg())
    except NoFfmpegError:
        log.error("no ffmpeg: no video can be prepared; install ffmpeg, or the extra `embedded`")


async def main() -> None:
    """Work until SIGINT or SIGTERM."""
    settings = get_settings()
    logs.configure(settings)
    client = await connect(settings)
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    database = Database.from_settings(settings, application_name="relais-worker")
    async with database.session() as session:
        await check_schema(session)
    authority = await asyncio.to_thread(open_authority, settings)
    workers = build_workers(client, settings, database, DocumentStore.from_settings(settings), authority)
    _look_for_ffmpeg()
    await ensure_schedules(client, schedules(settings))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        for worker in workers:
            await stack.enter_async_context(worker)
        log.info("worker ready", task_queue=settings.task_queue, namespace=client.namespace)
        await stop.wait()
        log.info("worker stops")
