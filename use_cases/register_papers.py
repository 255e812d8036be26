"""The registers of a clinic as files, for its administrators: a table for a spreadsheet, and a sealed paper made by a worker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.contract import MadeRegister, RegisterOrder
from domain.audit import Act
from domain.model import Discreet
from domain.requests import Role
from records import audit, incidents, people
from records.errors import NotFoundError
from records.ids import new_id
from records.store import register_key
from translations import Language, gettext_for
from translations.dates import day, moment
from translations.registers import DUTIES
from use_cases import papers_under_way, policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.communications import Asked, check_days, every_communication, every_entry
from use_cases.incident_texts import told
from use_cases.incidents import IncidentLine, sorted_lines
from use_cases.patients import WrittenDate
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.tables import as_csv
from use_cases.views import View
from workflows.contract import REGISTER, register_workflow_id

MOST_LINES = 5_000
"""So many lines one file of a register has at most."""

MOST_STEPS = 100
"""So many stretches of the audit communications are looked for in (`records.communications.STEP`): two million entries."""


class Register(StrEnum):
    """Which register."""

    INCIDENTS = "incidents"
    COMMUNICATIONS = "communications"


class PaperState(StrEnum):
    """How far a paper is."""

    MAKING = "making"
    READY = "ready"
    TOO_LONG = "too_long"  # ask for fewer days
    FAILED = "failed"  # ask for another


class PaperBody(Discreet):
    """Which register is to be a paper, of which days."""

    model_config = ConfigDict(extra="forbid")

    kind: Register = Field(description="Which register.", examples=["incidents"])
    since: WrittenDate | None = Field(
        None, description="The first day, of communications; from the beginning if empty.", examples=["2026-01-01"]
    )
    until: WrittenDate | None = Field(None, description="The last day; until now if empty.", examples=["2026-12-31"])
    language: Language | None = Field(None, description="Of the paper; your own if empty.")


class PaperView(View):
    """A paper that was asked for. Its file is there once it is `ready`, for seven days."""

    id: UUID
    state: PaperState
    lines: int | None = Field(description="How many lines it has, as long as that is known.")


async def ask_for_paper(services: Services, caller: Caller, body: PaperBody) -> PaperView:
    """Have the paper made; that it was asked for is written down.

    Raises Problem `forbidden`, `invalid_input` or `engine_unreachable`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    check_days(Asked(body.since, body.until))
    now, paper_id = datetime.now(UTC), new_id()
    async with services.database.session() as session:
        name = f"register_of_{body.kind.value}_asked"
        audit.add(session, Act.CHANGE, by(caller), now, name=name, object_id=paper_id)
    order = RegisterOrder(
        id=paper_id,
        clinic_id=caller.clinic_id,
        asked_by=caller.id,
        kind=body.kind.value,
        since=body.since,
        until=body.until,
        language=body.language or caller.language,
    )
    workflow_id = register_workflow_id(caller.clinic_id, paper_id)
    await papers_under_way.begin(services, REGISTER, order, workflow_id, what="a paper of a register")
    return PaperView(id=paper_id, state=PaperState.MAKING, lines=None)


async def read_paper(services: Services, caller: Caller, paper_id: UUID) -> PaperView:
    """How far a paper is that somebody of the caller's clinic has asked for.

    Raises Problem `forbidden`, `not_found` or `engine_unreachable`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    # both the workflow and the file are found under the clinic's own name alone
    workflow_id, key = register_workflow_id(caller.clinic_id, paper_id), register_key(caller.clinic_id, paper_id)
    progress = await papers_under_way.progress_of(services, workflow_id, key, MadeRegister)
    if progress.state == "unknown":
        raise Problem("not_found")
    return PaperView(id=paper_id, state=PaperState(progress.state), lines=progress.lines)


async def take_paper(services: Services, caller: Caller, paper_id: UUID) -> bytes:
    """The sealed file. Raises Problem `forbidden`, or `not_found` while it is not there."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    try:
        return await services.store.get(register_key(caller.clinic_id, paper_id))
    except NotFoundError:
        raise Problem("not_found") from None


# As tables


async def incidents_as_csv(services: Services, caller: Caller, language: Language) -> bytes:
    """The register of incidents; one that does not open is a line that says so.

    Raises Problem `forbidden` or `register_too_long`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        lines = await incident_lines(session, caller.clinic_id)
        numbers = await numbers_in(session, lines or ())
    if lines is None:
        raise Problem("register_too_long")
    _ = gettext_for(language)
    points = {line.id: told(line.incident, numbers[line.id], language) for line in lines if line.incident}
    names = [name for name, _text in next(iter(points.values()), ())] or [_("What the register says")]
    columns = (_("Number"), *names, _("Still owed"), _("To be kept until"))
    not_opened = (_("What was written does not open."), *("" for _name in names[1:]))
    rows = (
        (
            str(line.number),
            *((text for _name, text in points[line.id]) if line.id in points else not_opened),
            "; ".join(_(DUTIES[one.duty]) for one in line.owed),
            str(line.kept_until or ""),
        )
        for line in lines
    )
    return as_csv(columns, rows)


async def incident_lines(session: AsyncSession, clinic_id: UUID) -> list[IncidentLine] | None:
    """What the register of incidents of a clinic holds, whole; None where that is more than one file holds."""
    found = await incidents.newest_of(session, clinic_id, MOST_LINES + 1)
    return sorted_lines(found) if len(found) <= MOST_LINES else None


async def numbers_in(session: AsyncSession, lines: Sequence[IncidentLine]) -> dict[UUID, list[str]]:
    """By incident, the numbers of the requests that it concerns."""
    linked = {line.id: line.incident.request_ids if line.incident else () for line in lines}
    known = await incidents.numbers_of(session, {id_ for ids in linked.values() for id_ in ids})
    return {id_: [known[one] for one in ids if one in known] for id_, ids in linked.items()}


async def communications_as_csv(services: Services, caller: Caller, asked: Asked, language: Language) -> bytes:
    """The register of communications of these days: what left by Relais, and what was entered by hand, the newest first.

    Raises Problem `forbidden`, `invalid_input` or `register_too_long`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    check_days(asked)
    async with services.database.session() as session:
        lines = await communication_lines(session, caller.clinic_id, asked, language)
    if lines is None:
        raise Problem("register_too_long")
    _ = gettext_for(language)
    columns = (_("When"), _("Given by"), _("Recipient"), _("What left"), _("For what, and why"), _("Request"))
    return as_csv(
        columns, ((one.when, one.given_by, one.recipient, one.nature, one.purpose, one.number) for one in lines)
    )


class CommunicationLine(View):
    """A line of the register of communications, in words."""

    order: datetime
    when: str
    given_by: str
    recipient: str
    nature: str
    purpose: str
    number: str


async def communication_lines(
    session: AsyncSession, clinic_id: UUID, asked: Asked, language: Language
) -> list[CommunicationLine] | None:
    """All lines of these days, the newest first; None where there are more than one file holds."""
    found = await every_communication(session, clinic_id, asked, language, most=MOST_LINES, most_steps=MOST_STEPS)
    by_hand = await every_entry(session, clinic_id, asked, most=MOST_LINES, most_steps=MOST_STEPS)
    if found is None or by_hand is None or len(found) + len(by_hand) > MOST_LINES:
        return None
    _ = gettext_for(language)
    zone = await people.zone_of(session, clinic_id)
    lines = [
        CommunicationLine(
            order=one.at,
            when=moment(one.at, language, zone=True, where=zone),
            given_by=one.given_by or "",
            recipient=one.recipient,
            nature=one.nature,
            purpose=one.purpose,
            number=one.number,
        )
        for one in found
    ]
    entered = [
        CommunicationLine(
            order=datetime.combine(one.given_on, datetime.max.time(), UTC),
            when=day(one.given_on, language),
            given_by=_("Entered by hand by {name}").format(name=one.written_by.name if one.written_by else ""),
            recipient=one.entry.recipient if one.entry else "",
            nature=one.entry.nature if one.entry else _("What was written does not open."),
            purpose=one.entry.purpose if one.entry else "",
            number=one.number or "",
        )
        for one in by_hand
    ]
    return sorted([*lines, *entered], key=lambda line: line.order, reverse=True)
