"""Digests on the real engine: started by the schedule, each person's on its own, and what a refusal leads to."""

import base64
import dataclasses
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update
from temporalio.client import (
    Schedule,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleSpec,
    WorkflowHandle,
)
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.notifications import NotificationActivities
from domain.notices import DIGEST_HOURS, NoticeMode
from engine.schedules import ensure_schedules
from records.database import Database
from records.models import Notice, NoticeStatus
from settings import Settings
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.mail.post_office import PostOffice, open_post_office
from tests.mail.test_sending import plain, play
from tests.system import start_environment
from workflows.contract import NOTICE_DIGEST
from workflows.digest import GIVES_UP_AFTER, NoticeDigestWorkflow, SingleNoticeWorkflow
from workflows.schedules import schedules

GROUPED = {"provider": NoticeMode.GROUPED, "requester": NoticeMode.GROUPED}


@dataclass
class Mailroom:
    """A Temporal server, a worker for e-mails, a database of its own, and a post office."""

    environment: WorkflowEnvironment
    settings: Settings
    database: Database
    office: PostOffice

    async def start_digest(self) -> WorkflowHandle[Any, Any]:
        return await self.environment.client.start_workflow(
            NOTICE_DIGEST, id=f"digest-{uuid4()}", task_queue=self.settings.mail_task_queue
        )


@pytest.fixture(scope="module")
async def mailroom(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Mailroom]:
    database = Database(await make_database(migrated_template))
    async with open_post_office() as office:
        settings = office.settings(
            encryption_keys=f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            mail_retry_max_seconds=1800.0,
        )
        activities = NotificationActivities(settings, database)
        async with (
            await start_environment(settings) as environment,
            Worker(
                environment.client,
                task_queue=settings.mail_task_queue,
                workflows=[NoticeDigestWorkflow, SingleNoticeWorkflow],
                activities=[
                    activities.send_notice,
                    activities.stranded_notices,
                    activities.due_digests,
                    activities.send_digest,
                ],
            ),
        ):
            yield Mailroom(environment, settings, database, office)
    await database.close()


async def test_the_schedule_sends_digests(mailroom: Mailroom) -> None:
    client = mailroom.environment.client
    played = await play(mailroom.database, modes=GROUPED)
    await ensure_schedules(client, schedules(mailroom.settings))
    schedule = client.get_schedule_handle("notice-digest")
    await schedule.trigger()

    await eventually(lambda: all(mailroom.office.kept_for(played.address(name)) for name in GROUPED))
    for name in GROUPED:
        assert len(mailroom.office.kept_for(played.address(name))) == 1


async def test_a_schedule_that_is_there_is_updated_and_stays_paused(mailroom: Mailroom) -> None:
    client, wanted = mailroom.environment.client, schedules(mailroom.settings)["notice-digest"]
    name = f"digest-{uuid4()}"
    at_noon = dataclasses.replace(wanted, spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(12)])]))
    await ensure_schedules(client, {name: at_noon})
    handle = client.get_schedule_handle(name)

    async def present() -> Schedule:
        return (await handle.describe()).schedule

    async def is_paused() -> bool:
        return (await present()).state.paused

    async def has_the_hours() -> bool:
        return [hour.start for hour in (await present()).spec.calendars[0].hour] == list(DIGEST_HOURS)

    await handle.pause(note="maintenance")
    await eventually(is_paused)
    await ensure_schedules(client, {name: wanted})
    await eventually(has_the_hours)
    schedule = await present()
    assert (schedule.state.paused, schedule.state.note) == (True, "maintenance")
    assert schedule.spec.time_zone_name == "America/Toronto"
    assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP


async def test_one_that_is_not_taken_leaves_the_others_alone_and_is_taken_over(mailroom: Mailroom) -> None:
    played = await play(mailroom.database, modes=GROUPED)
    mailroom.office.at_recipient[played.address("provider")] = "451 4.3.2 Try again later"
    digest = await mailroom.start_digest()

    await eventually(lambda: bool(mailroom.office.kept_for(played.address("requester"))))
    await mailroom.environment.fast_forward(digest, GIVES_UP_AFTER)
    await digest.result()
    assert mailroom.office.kept_for(played.address("provider")) == []
    mailroom.office.calm_down()
    await (await mailroom.start_digest()).result()
    (message,) = mailroom.office.kept_for(played.address("provider"))
    assert "Attribuée à vous" in plain(message)
    assert len(mailroom.office.kept_for(played.address("requester"))) == 1


async def test_a_refused_digest_is_told_to_the_dispatchers(mailroom: Mailroom) -> None:
    played = await play(mailroom.database, modes=GROUPED)
    mailroom.office.at_recipient = {played.address(name): "550 5.1.1 No" for name in ("provider", "second_dispatcher")}
    await (await mailroom.start_digest()).result()
    await eventually(lambda: bool(mailroom.office.kept_for(played.address("dispatcher"))))
    (message,) = mailroom.office.kept_for(played.address("dispatcher"))
    assert "courriel non livré" in message["Subject"]
    assert (await played.notice(2, "provider")).status is NoticeStatus.REFUSED
    mailroom.office.calm_down()


async def test_a_notice_that_nobody_sends_any_more_is_taken_up(mailroom: Mailroom) -> None:
    played = await play(mailroom.database)
    row = await played.notice(2, "provider")
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    async with mailroom.database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(send_at=long_ago))
    await (await mailroom.start_digest()).result()
    await eventually(lambda: bool(mailroom.office.kept_for(played.address("provider"))))
    assert mailroom.office.kept_for(played.address("colleague")) == []  # it was to go just now


async def test_without_anything_to_tell_a_digest_ends(mailroom: Mailroom) -> None:
    def digests() -> int:
        return sum("avis groupés" in message["Subject"] for _, message in mailroom.office.kept)

    before = digests()
    await (await mailroom.start_digest()).result()
    assert digests() == before
