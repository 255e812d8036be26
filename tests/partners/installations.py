"""Two installations of Relais that ask each other over real HTTP: what each has of the other, and how their messages go."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.requests import Role
from fhir.told import heard, knock, message_to_send
from records import people
from records.models import Clinic, RequestRecord, ToldMessage
from records.partner_outbox import HELD_FOR
from tests.journeys import ok
from tests.system import Clinician, System, add_person
from use_cases.partner_sender import PartnerSender, Words, calls_for

SCOPE = "system/Bundle.c"


@dataclass
class House:
    """An installation, and the other one as it knows it: a clinic, its administrator, its liaison, and a system with terms."""

    system: System
    url: str
    clinic: Clinic
    boss: Clinician
    partner_id: str
    liaison_id: str
    later: timedelta = HELD_FOR

    def sender(self) -> PartnerSender:
        """The sender of a worker; its clock stands still, some time ahead."""
        services, now = self.system.services, datetime.now(UTC) + timedelta(seconds=1) + self.later
        return PartnerSender(
            self.system.settings,
            services.database,
            services.store,
            calls_for(self.system.settings),
            Words(message_to_send, heard, knock),
            clock=lambda: now,
            chance=lambda: 0.5,
        )

    async def send(self) -> int:
        return await self.sender().send_due()

    async def told(self, request_id: str) -> list[tuple[str, str]]:
        """What was, or is to be, said to the other one about a request, in its order: the event and what became of it."""
        query = select(ToldMessage).where(ToldMessage.request_id == UUID(request_id))
        async with self.system.services.database.session() as session:
            found = await session.scalars(query.order_by(ToldMessage.sequence, ToldMessage.part))
            return [(one.event.value, one.state.value) for one in found]

    async def begun_by_messages(self) -> list[RequestRecord]:
        query = select(RequestRecord).where(RequestRecord.system_id == UUID(self.partner_id))
        async with self.system.services.database.session() as session:
            return list(await session.scalars(query.order_by(RequestRecord.created_at)))


async def know(system: System, url: str, name: str) -> House:
    """A clinic that stands for the other installation, to which the near one may route, and its system."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"outside-{name}", name=f"Clinique {name}")
        near = await session.get_one(Clinic, system.clinics["near"].id)
        near.routes_to = [*near.routes_to, clinic.id]
    boss = await add_person(system, f"boss_{name}", clinic, Role.CLINIC_ADMINISTRATOR)
    liaison = await add_person(system, f"liaison_{name}", clinic, Role.REQUESTER)
    until = datetime.now(UTC).date() + timedelta(days=30)
    new = {"name": f"Relais {name}", "purpose": "Messages", "scopes": ["messages:send"], "expires_on": str(until)}
    given = ok(await boss.post("/service-accounts", new), 201)
    return House(system, url, clinic, boss, given["service_account"]["id"], liaison.id)


async def agree(here: House, there: House, **terms: Any) -> None:
    """`here` says where `there` hears messages, and `there` registers the key with which `here` signs."""
    path = f"/api/v1/service-accounts/{here.partner_id}/partner"
    said = {
        "liaison_id": here.liaison_id,
        "dispatch_clinic_id": str(here.clinic.id),
        **terms,
        "endpoint": {
            "url": f"{there.url}/fhir/$process-message",
            "authorization": "client_assertion",
            "token_url": f"{there.url}/fhir/token",
            "client_id": there.partner_id,
            "token_scope": SCOPE,
        },
    }
    kept = ok(await here.boss.http.put(path, json=said))
    key = kept["endpoint"]["public_key"]
    ok(await there.boss.post(f"/service-accounts/{there.partner_id}/keys", {"jwk": key}), 201)


async def all_said(*houses: House) -> None:
    """Until nobody has anything to say any more."""
    while sum([await one.send() for one in houses]):
        pass
