"""The register of incidents of confidentiality of a clinic, for its administrators: recorded, corrected, and what is still owed.

See `domain.incidents` for what is recorded and docs/decisions/registers.md for why it is so. Every change is a new version.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.calendar import day_of
from domain.incidents import MOST_LINKED, Duty, Incident, IncidentOnRecord, faults, owed, pressing
from domain.requests import Role
from records import audit, incidents, people
from records.models import IncidentRecord, IncidentVersion
from use_cases import policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.views import View

MOST_SHOWN = 500
"""So many incidents of a clinic the register shows, the newest."""


class OwedView(View):
    """What is still owed."""

    duty: Duty
    since: date = Field(description="From this day on it is owed.")
    fields: list[str] = Field(
        description="What to fill in once it is done; of a notice, its day, or why there is none."
    )


class LinkedRequest(View):
    """A request that an incident concerns: nothing of its chart."""

    id: UUID
    number: str


class IncidentLine(View):
    """An incident in the list."""

    id: UUID
    number: int = Field(description="In the register of the clinic.")
    version: int = Field(description="For If-Match.")
    incident: Incident | None = Field(description="What is in force of it; null where it does not open.")
    owed: list[OwedView]
    kept_until: date | None = Field(description="Until then the law asks that it is kept; Relais keeps it longer.")
    written_at: datetime | None = Field(description="When its newest version was written.")


class IncidentVersionView(View):
    """What somebody wrote of an incident."""

    version: int
    written_by: PersonView | None
    written_at: datetime
    incident: Incident


class IncidentView(IncidentLine):
    """An incident with all its versions, the newest first."""

    requests: list[LinkedRequest]
    versions: list[IncidentVersionView]


async def list_incidents(services: Services, caller: Caller) -> list[IncidentLine]:
    """The register of the caller's clinic: first what still owes something, the longest waiting of these first.

    Raises Problem `forbidden`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        return sorted_lines(await incidents.newest_of(session, caller.clinic_id, MOST_SHOWN))


def sorted_lines(found: Iterable[tuple[IncidentRecord, IncidentVersion | None]]) -> list[IncidentLine]:
    """The lines of the register in the order of `domain.incidents.pressing`; first of all what does not open."""
    lines = [_line(row, version) for row, version in found]
    return sorted(lines, key=lambda line: pressing(line.incident) if line.incident else (-1, 0))


async def read_incident(services: Services, caller: Caller, incident_id: UUID) -> IncidentView:
    """An incident of the caller's clinic, with all its versions. Raises Problem `forbidden` or `not_found`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        return await _view(session, await _own(session, caller, incident_id))


async def record_incident(services: Services, caller: Caller, wanted: Incident, key: str | None) -> IncidentView:
    """Record an incident. The same `key` records one.

    Raises Problem `forbidden`, `invalid_input` or `idempotency_key_reused`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    now, content = datetime.now(UTC), wanted.model_dump(mode="json")
    async with services.database.session() as session:
        await people.lock_clinic(session, caller.clinic_id)  # numbers have no gaps, and a key records one
        row = await incidents.find_recorded(session, caller.id, key) if key else None
        if row is None:
            await _check(session, caller, wanted, ())
            row = await incidents.record_incident(
                session, caller.clinic_id, content, written_by=caller.id, now=now, creation_key=key
            )
            audit.add(session, Act.CHANGE, by(caller), now, name="incident_recorded", object_id=row.id)
        elif (await incidents.versions_of(session, row.id))[-1].content != content:
            raise Problem("idempotency_key_reused")
        return await _view(session, row)


async def correct_incident(
    services: Services, caller: Caller, incident_id: UUID, wanted: Incident, expected_version: int | None
) -> IncidentView:
    """Write a new version; what says the same as the newest one is none.

    Raises Problem `forbidden`, `not_found`, `invalid_input`, or `incident_changed`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    now, content = datetime.now(UTC), wanted.model_dump(mode="json")
    async with services.database.session() as session:
        await people.lock_clinic(session, caller.clinic_id)  # one version after the other
        row = await _own(session, caller, incident_id)
        newest = (await incidents.versions_of(session, row.id))[0]
        if _read(newest).model_dump(mode="json") != content:
            if expected_version not in (None, newest.number):
                raise Problem("incident_changed")
            await _check(session, caller, wanted, _read(newest).request_ids)
            version = newest.number + 1
            await incidents.add_version(session, row.id, version, content, written_by=caller.id, now=now)
            audit.add(
                *(session, Act.CHANGE, by(caller), now), name="incident_changed", object_id=row.id, version=version
            )
        return await _view(session, row)


async def requests_numbered(services: Services, caller: Caller, numbers: Collection[str]) -> dict[str, UUID]:
    """The requests of these numbers with which the clinic had to do, `MOST_LINKED` at most.

    Raises Problem `forbidden` or `invalid_input`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    if len(numbers) > MOST_LINKED:
        raise Problem("invalid_input", [FieldFault("request_ids", "too_many", limit=MOST_LINKED)])
    async with services.database.session() as session:
        found = {number: await policy.numbered_of_clinic(session, caller, number) for number in numbers}
    known = {number: id_ for number, id_ in found.items() if id_ is not None}
    if len(known) < len(found):
        raise Problem("invalid_input", [FieldFault("request_ids", "unknown_request")])
    return known


async def _own(session: AsyncSession, caller: Caller, incident_id: UUID) -> IncidentRecord:
    row = await incidents.load_incident(session, caller.clinic_id, incident_id)
    if row is None:
        raise Problem("not_found")
    return row


async def _check(session: AsyncSession, caller: Caller, wanted: Incident, known: Sequence[UUID]) -> None:
    """Raise Problem `invalid_input` for what can't be so, and for a request with which the clinic never had to do.

    One that was named before may have been destroyed since.
    """
    found = [FieldFault(field, code) for field, code in faults(wanted, day_of(datetime.now(UTC)))]
    for request_id in set(wanted.request_ids) - set(known):
        try:
            await policy.request_of_clinic(session, caller, request_id)
        except Problem:
            found.append(FieldFault("request_ids", "unknown_request"))
    if found:
        raise Problem("invalid_input", found)


def _read(version: IncidentVersion) -> Incident:
    return IncidentOnRecord.model_validate(version.content)


def _line(row: IncidentRecord, version: IncidentVersion | None) -> IncidentLine:
    incident = _read(version) if version else None
    return IncidentLine(
        id=row.id,
        number=row.number,
        version=version.number if version else 0,
        incident=incident,
        owed=_owed(incident) if incident else [],
        kept_until=incident.kept_until if incident else None,
        written_at=version.written_at if version else None,
    )


def _owed(incident: Incident) -> list[OwedView]:
    return [OwedView(duty=one.duty, since=one.since, fields=list(one.fields)) for one in owed(incident)]


async def _view(session: AsyncSession, row: IncidentRecord) -> IncidentView:
    versions = await incidents.versions_of(session, row.id)
    names = await Names.load(session, [version.written_by for version in versions], [])
    line = _line(row, versions[0])
    linked = line.incident.request_ids if line.incident else ()
    numbers = await incidents.numbers_of(session, linked)
    return IncidentView(
        **dict(line),
        requests=[LinkedRequest(id=id_, number=number) for id_, number in _in_order(linked, numbers)],
        versions=[
            IncidentVersionView(
                version=version.number,
                written_by=names.person(version.written_by),
                written_at=version.written_at,
                incident=_read(version),
            )
            for version in versions
        ],
    )


def _in_order(ids: Sequence[UUID], numbers: Mapping[UUID, str]) -> list[tuple[UUID, str]]:
    return [(id_, numbers[id_]) for id_ in ids if id_ in numbers]
