"""An office from which partners are told of requests, without a worker: stories are recorded, and sent when somebody says so."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from domain.events import Event
from domain.requests import Request, Role
from domain.service_accounts import Scope
from domain.webhooks import WITH_DOCUMENT
from fhir.told import heard, knock, message_to_send
from records import partners, requests, service_accounts
from records.account_events import Hand
from records.database import Database
from records.ids import new_id
from records.models import (
    Account,
    FrozenReport,
    Partner,
    PartnerEndpoint,
    RequestRecord,
    Side,
    StoredDocument,
    ToldMessage,
)
from records.projection import record_event
from records.store import DocumentStore
from records.visibility import Viewer
from settings import Settings
from tests.partners.requester import Requester
from tests.records.scenes import SHA, Scene, Story, make_draft, set_scene
from use_cases import partner_endpoints
from use_cases.administrators import Administrator
from use_cases.partner_endpoints import EndpointTerms
from use_cases.partner_sender import PartnerSender, Words, calls_for

BASE = "https://relais.test/fhir"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@dataclass
class Office:
    """What administrators work with, and a sender whose clock stands until somebody moves it."""

    settings: Settings
    database: Database
    store: DocumentStore
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(seconds=1))

    @property
    def engine(self) -> Client:
        raise AssertionError("nothing of this needs the engine")

    def sender(self, settings: Settings | None = None) -> PartnerSender:
        calls = calls_for(settings or self.settings)
        words = Words(message_to_send, heard, knock)
        clock, chance = (lambda: self.now), (lambda: 0.5)
        return PartnerSender(self.settings, self.database, self.store, calls, words, clock=clock, chance=chance)

    async def send(self, later: timedelta = timedelta()) -> int:
        """Send what is due after that time has passed; how many were taken up."""
        self.now += later
        return await self.sender().send_due()

    async def record(self, story: Story, steps: slice = slice(None)) -> None:
        """What happened is in the records, with the documents that were issued."""
        for event, request in story.steps[steps]:
            async with self.database.session() as session:
                if event.name in WITH_DOCUMENT:
                    await self._keep_document(session, event, request)
                await record_event(session, event, request)
        self.now = max(self.now, datetime.now(UTC) + timedelta(seconds=1))

    async def _keep_document(self, session: AsyncSession, event: Event, request: Request) -> None:
        signed = request.documents[-1]
        pdf = b"%PDF " + signed.report_id.bytes
        digest = sha256(pdf).hexdigest()
        key = f"requests/{event.request_id}/documents/{digest}"
        await self.store.put_new(key, pdf)
        of_both = {"request_id": event.request_id, "kind": signed.kind, "signer_id": signed.signer.id}
        frozen = FrozenReport(
            id=signed.report_id,
            content={},
            content_sha256=SHA,
            command_id=f"sign {signed.report_id}",
            proof_at=event.at,
            proof_method="password",
            proof_evidence=None,
            created_at=event.at,
            **of_both,
        )
        session.add(frozen)
        await session.flush()
        document = StoredDocument(
            report_id=signed.report_id,
            number=len(request.documents),
            pdf_sha256=digest,
            object_key=key,
            size_bytes=len(pdf),
            signed_at=event.at,
            issued_at=event.at,
            **of_both,
        )
        session.add(document)
        await session.flush()

    async def told(self, request_id: UUID) -> list[ToldMessage]:
        """What stands in the outbox about that request, in the order of its events."""
        query = select(ToldMessage).where(ToldMessage.request_id == request_id)
        async with self.database.session() as session:
            return list(await session.scalars(query.order_by(ToldMessage.sequence, ToldMessage.part)))

    async def states(self, request_id: UUID) -> list[str]:
        return [one.state.value for one in await self.told(request_id)]

    async def endpoint(self, partner_id: UUID) -> PartnerEndpoint:
        async with self.database.session() as session:
            return await session.get_one(PartnerEndpoint, partner_id)


@dataclass
class Told:
    """A partner of the scene's home clinic, and a request that its system has sent."""

    office: Office
    scene: Scene
    partner_id: UUID
    draft: Request

    def administrator(self, who: str = "home_administrator") -> Administrator:
        account = self.scene.accounts[who]
        viewer = Viewer(account.id, account.clinic_id, frozenset(map(Role, account.roles)))
        return Administrator(Hand(account.id, Side.API), account.clinic_id, viewer)

    async def keep(self, terms: EndpointTerms | None) -> None:
        async with self.office.database.session() as session:
            await partner_endpoints.keep(
                session, self.office.settings, self.partner_id, terms, datetime.now(UTC), by=None
            )

    async def another(self, **changes: Any) -> Request:
        """One more request of the partner."""
        async with self.office.database.session() as session:
            return requests.process_of(await request_of(session, self.scene, self.partner_id, **changes))


async def request_of(session: AsyncSession, scene: Scene, partner_id: UUID, **changes: Any) -> RequestRecord:
    row = await make_draft(session, scene)
    row.system_id, row.creation_key = partner_id, f"fhir:{partner_id}:{new_id()}"
    for name, value in changes.items():
        setattr(row, name, value)
    content = {"identifier": {"system": "https://dossier.test/orders", "value": f"ORD-{row.number}"}}
    await session.flush()
    await partners.note_received(session, row.id, partner_id, content)
    return row


async def a_partner(office: Office, requester: Requester | None, **terms: Any) -> Told:
    """One that is told at `requester`; nowhere where there is none."""
    now = datetime.now(UTC)
    async with office.database.session() as session:
        scene = await set_scene(session)
        system = await service_accounts.add(
            session,
            clinic_id=scene.home.id,
            name="Dossier",
            purpose="",
            scopes=[Scope.MESSAGES_SEND],
            language="fr",
            expires_at=now + timedelta(days=90),
            now=now,
        )
        known = Partner(
            account_id=system.account.id,
            liaison_id=scene.accounts["requester"].id,
            dispatch_clinic_id=scene.home.id,
            event_system="https://ehealthontario.ca/fhir/CodeSystem/message-event-code",
            language="fr",
            default_offering=None,
            offerings={},
            licence_systems=[],
            performs=False,
        )
        await partners.keep(session, known)
        draft = requests.process_of(await request_of(session, scene, system.account.id))
    told = Told(office, scene, system.account.id, draft)
    if requester is not None:
        await told.keep(at(requester, **terms))
    return told


def at(requester: Requester, **terms: Any) -> EndpointTerms:
    """Terms by which the partner is told there, by signed messages where nothing else is said."""
    said = {"authorization": "signature", "secret": SIGNING, **terms}
    return EndpointTerms(**{"url": requester.url, **said})


async def change_account(office: Office, account_id: UUID, **values: Any) -> None:
    async with office.database.session() as session:
        account = await session.get_one(Account, account_id)
        for name, value in values.items():
            setattr(account, name, value)
