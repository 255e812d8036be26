"""Whom operators let go stays so: before a request is destroyed at which a clinic held its patient until operators lifted that,
it is passed on to what is there of the same patient (`records.retention.pass_on`). Nobody alone destroys that either.

The requests are gone along before the destruction, by pages that only read: nobody waits for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from records import retention
from records.database import Database
from use_cases.retention import HeldPatients, patients_of

PAGE = 200


@dataclass(frozen=True)
class Heirs:
    """Of one request, which clinics had held its patient there, and when operators let that go; and the others of the patient
    with which one of these clinics had to do, each with the last such moment.
    """

    let_go: Mapping[UUID, datetime] = field(default_factory=dict)
    requests: Mapping[UUID, datetime] = field(default_factory=dict)


class NotLookedForError(Exception):
    """Operators let the patient go, and the heirs that were looked for are not those of that."""

    def __init__(self, let_go: Mapping[UUID, datetime]) -> None:
        super().__init__("what is there of the same patient is to be looked for")
        self.let_go = let_go


async def pass_on(session: AsyncSession, request_id: UUID, heirs: Heirs) -> None:
    """Pass it on from that request, which is locked to be destroyed. Raises NotLookedForError."""
    let_go = await retention.patient_let_go_at(session, request_id)
    if let_go != heirs.let_go:
        raise NotLookedForError(let_go)
    await retention.pass_on(session, heirs.requests)


async def look_for_heirs(database: Database, request_id: UUID, let_go: Mapping[UUID, datetime]) -> Heirs:
    """What is there of the patient of that request. One that does not open may be theirs: it counts."""
    found, known = dict[UUID, datetime](), HeldPatients()
    for clinic_id, lifted_at in let_go.items():
        after: UUID | None = None
        while True:
            async with database.session() as session:
                page = await retention.others_of_clinic(session, clinic_id, request_id, after=after, limit=PAGE)
                for other in page:
                    patients = await patients_of(session, other)
                    if patients is None or await known.has_one_of(session, patients, {request_id}):
                        found[other] = max(lifted_at, found.get(other, lifted_at))
            if len(page) < PAGE:
                break
            after = page[-1]
    return Heirs(let_go, found)
