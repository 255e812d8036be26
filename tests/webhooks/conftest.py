"""A database of their own for the tests of the sender: it takes up whatever is due in the whole of it."""

import base64
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from temporalio.client import Client

from domain.requests import Role
from domain.webhooks import CHOSEN, DeliveryState, WebhookType
from fhir.notifications import notification_to_send
from records.account_events import Hand
from records.database import Database
from records.models import Side, WebhookDelivery, WebhookEndpoint, WebhookMessage
from records.projection import record_event
from records.visibility import Viewer
from settings import Settings
from tests.conftest import MakeDatabase
from tests.records.scenes import Scene, Story
from tests.webhooks.receiver import Receiver
from use_cases import webhooks
from use_cases.administrators import Administrator
from use_cases.webhook_sender import Sender, calls_for
from use_cases.webhooks import NewWebhook


@dataclass
class Office:
    """What administrators work with, and a sender whose clock stands until somebody moves it."""

    settings: Settings
    database: Database
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(seconds=1))

    @property
    def engine(self) -> Client:
        raise AssertionError("nothing of webhooks needs the engine")

    def sender(self) -> Sender:
        calls = calls_for(self.settings)
        return Sender(
            self.settings, self.database, calls, notification_to_send, clock=lambda: self.now, chance=lambda: 0.5
        )

    async def send(self, later: timedelta = timedelta()) -> int:
        """Send what is due after that time has passed; how many calls were made."""
        self.now += later
        return await self.sender().send_due()

    async def endpoint(self, scene: Scene, who: str, receiver: Receiver, *types: WebhookType) -> tuple[UUID, str]:
        """An active endpoint of that administrator's clinic at the receiver: its id, and its secret."""
        by = administrator(scene, who)
        new = NewWebhook(url=receiver.url, event_types=list(types or CHOSEN))
        given = await webhooks.add_webhook(self, by, scene.accounts[who].clinic_id, new)
        self.catch_up()
        await self.send()
        view = await webhooks.read_webhook(self, by, given.webhook.id)
        assert view.state == "active"
        receiver.calls.clear()
        return view.id, given.secret

    async def record(self, story: Story, steps: slice = slice(None)) -> None:
        """What happened is in the records."""
        for event, request in story.steps[steps]:
            async with self.database.session() as session:
                await record_event(session, event, request)
        self.catch_up()

    def catch_up(self) -> None:
        """What was written just now, by the real clock, is due by this one too, however slow the machine is."""
        self.now = max(self.now, datetime.now(UTC) + timedelta(seconds=1))

    async def states(self, endpoint_id: UUID) -> list[DeliveryState]:
        """Of the messages for an endpoint, without tests, the oldest first."""
        query = (
            select(WebhookDelivery.state)
            .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.type != WebhookType.TEST)
            .order_by(WebhookDelivery.message_id)
        )
        async with self.database.session() as session:
            return list(await session.scalars(query))

    async def messages_of(self, request_id: UUID) -> list[WebhookMessage]:
        """What was written for whoever wants to hear of that request."""
        query = select(WebhookMessage).where(WebhookMessage.request_id == request_id).order_by(WebhookMessage.id)
        async with self.database.session() as session:
            return list(await session.scalars(query))


def administrator(scene: Scene, who: str) -> Administrator:
    account = scene.accounts[who]
    viewer = Viewer(account.id, account.clinic_id, frozenset(map(Role, account.roles)))
    return Administrator(Hand(account.id, Side.API), account.clinic_id, viewer)


@pytest.fixture(scope="module")
async def own_database(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Database]:
    database = Database(await make_database(migrated_template), application_name="relais tests of webhooks")
    yield database
    await database.close()


@pytest.fixture
async def office(own_database: Database) -> AsyncIterator[Office]:
    said: dict[str, Any] = {
        "database_url": own_database.url,
        "encryption_keys": f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "public_url": "https://relais.test",
        "webhooks_to_this_machine": True,
    }
    yield Office(Settings(**said), own_database)
    async with own_database.session() as session:
        await session.execute(delete(WebhookEndpoint))
