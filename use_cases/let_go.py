"""Whom operators let go stays so: before a request is destroyed at which a clinic held its patient until operators lifted that,
it is passed on to what is there of the same patient (`records.retention.pass_on`). Nobody alone destroys that either.

The requests are gone along before the destruction, by pages that only read: nobody waits for it. Those are opened of which the
words of patients do not say that they are somebody else's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.same_patient import is_same_patient, words_in_common
from records import forms, requests, retention
from records.database import Database
from records.errors import KeyGoneError
from records.sealed import NOT_OPENED, tell_not_opened

Patients = Sequence[Mapping[str, Any]]

PAGE = 200


@dataclass(frozen=True)
class Heirs:
    """Of one request, which clinics had held its patient there, and when operators let that go; and the others of the patient
    with which one of these clinics had to do, each with the last such moment. None where nobody here can tell which these are.
    """

    let_go: Mapping[UUID, datetime] = field(default_factory=dict)
    requests: Mapping[UUID, datetime] | None = field(default_factory=dict)

    def before(self, request_id: UUID) -> list[UUID]:
        """Those with a smaller id. They are locked before that one: two that pass on to each other never wait for one another."""
        return [id_ for id_ in self.requests or () if id_ < request_id]


class NotLookedForError(Exception):
    """Operators let the patient go, and the heirs that were looked for are not those of that."""

    def __init__(self, let_go: Mapping[UUID, datetime]) -> None:
        super().__init__("what is there of the same patient is to be looked for")
        self.let_go = let_go


async def pass_on(session: AsyncSession, request_id: UUID, heirs: Heirs) -> bool:
    """Pass it on from that request, which is locked to be destroyed; False where nobody can tell to which, and it must stay.
    Raises NotLookedForError.
    """
    let_go = await retention.patient_let_go_at(session, request_id)
    if let_go != heirs.let_go:
        raise NotLookedForError(let_go)
    if heirs.requests:
        await retention.pass_on(session, heirs.requests)
    return heirs.requests is not None


async def look_for_heirs(database: Database, request_id: UUID, let_go: Mapping[UUID, datetime]) -> Heirs:
    """What is there of the patient of that request. One that nobody opens any more, as its key was destroyed, may be theirs and
    counts; while one does not open that has its key, nobody can tell: this worker may lack a key of the ring.
    """
    found = dict[UUID, datetime]()
    try:
        async with database.session() as session:
            patients = await _patients_of(session, request_id)
        for clinic_id, lifted_at in let_go.items():
            for other in await _theirs(database, clinic_id, request_id, patients):
                found[other] = max(lifted_at, found.get(other, lifted_at))
    except NOT_OPENED:
        return Heirs(let_go, None)
    return Heirs(let_go, found)


async def _theirs(database: Database, clinic_id: UUID, request_id: UUID, patients: Patients) -> list[UUID]:
    """The others with which the clinic had to do that may be about one of the patients. Raises EncryptionError."""
    words = {way[0] for patient in patients for way in words_in_common(patient)}
    found: list[UUID] = []
    after: UUID | None = None
    while True:
        async with database.session() as session:
            page = await retention.others_of_clinic(session, clinic_id, request_id, words, after=after, limit=PAGE)
            found += [other for other in page if await _may_be_about(session, other, patients)]
        if len(page) < PAGE:
            return found
        after = page[-1]


async def _may_be_about(session: AsyncSession, request_id: UUID, patients: Patients) -> bool:
    """Whether the request is probably about one of them; also where nobody opens it any more. Raises EncryptionError."""
    try:
        theirs = await _patients_of(session, request_id)
    except KeyGoneError:
        return True
    return any(is_same_patient(one, other) for one in patients for other in theirs)


async def _patients_of(session: AsyncSession, request_id: UUID) -> Patients:
    """Whom the request is about; nobody where it is not there. Raises EncryptionError or KeyGoneError, and tells of it."""
    try:
        row = await requests.load_request(session, request_id)
        return await forms.patients_named(session, row) if row else []
    except NOT_OPENED as error:
        tell_not_opened("requests.form", str(request_id), error)
        raise
