"""The paper of a clinic's register: read, drawn and sealed in the name of the clinic by a worker, for it holds the keys."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from activities.contract import MadeRegister, RegisterOrder
from documents.authority import Authority
from documents.bounded import draw_case, draw_journal
from documents.case_content import CaseContent, Section
from documents.content import Entry
from documents.journal_content import JournalContent, Line
from records import people
from records.errors import NotFoundError
from records.models import Clinic
from records.store import register_key
from translations import Language, gettext_for
from translations.dates import day, moment
from translations.registers import DUTIES
from use_cases.communications import Asked
from use_cases.incident_texts import told
from use_cases.incidents import IncidentLine
from use_cases.parts import Parts
from use_cases.register_papers import CommunicationLine, communication_lines, incident_lines, numbers_in
from use_cases.sealed_papers import keep, never_made, sealed
from use_cases.verification import VERIFICATION_PAGE


async def make_register(parts: Parts, authority: Authority, order: RegisterOrder) -> MadeRegister:
    """Make the paper and store it; a second try leaves what the first has stored.

    Raises what the database and the store raise when they are away, NoVerdictError (`confined`), and an ApplicationError that is
    not tried again, `register_not_made`, where it can't be drawn or sealed.
    """
    make = _incidents if order.kind == "incidents" else _communications
    with never_made("register_not_made"):
        drawn = await make(parts, order)
        if drawn is None:
            return MadeRegister(lines=0, too_long=True)
        pdf, clinic, title, lines = drawn
        made = await sealed(parts.database, authority, pdf, clinic, reason=title, at=datetime.now(UTC))
    await keep(parts.store, register_key(order.clinic_id, order.id), made)
    return MadeRegister(lines=lines)


Drawn = tuple[bytes, Clinic, str, int]
"""What was drawn, for which clinic, what it is called, and how many lines it has."""


async def _incidents(parts: Parts, order: RegisterOrder) -> Drawn | None:
    read_at = datetime.now(UTC)
    async with parts.database.session() as session:
        clinic = await people.load_clinic(session, order.clinic_id)
        lines = await incident_lines(session, order.clinic_id)
        numbers = await numbers_in(session, lines or ())
    if clinic is None:
        raise NotFoundError("the clinic is gone")
    if lines is None:
        return None
    content = incidents_paper(clinic.name, clinic.address_lines, lines, numbers, order, read_at)
    return await draw_case(content, {}), clinic, content.title, len(lines)


async def _communications(parts: Parts, order: RegisterOrder) -> Drawn | None:
    read_at = datetime.now(UTC)
    async with parts.database.session() as session:
        clinic = await people.load_clinic(session, order.clinic_id)
        asked = Asked(order.since, order.until)
        lines = await communication_lines(session, order.clinic_id, asked, order.language)
    if clinic is None:
        raise NotFoundError("the clinic is gone")
    if lines is None:
        return None
    verified_at = parts.settings.public_url.rstrip("/") + VERIFICATION_PAGE
    content = communications_paper(clinic.name, clinic.address_lines, lines, order, verified_at, read_at)
    return await draw_journal(content), clinic, content.title, len(lines)


def incidents_paper(
    clinic: str,
    address_lines: Sequence[str],
    lines: Sequence[IncidentLine],
    numbers: dict[UUID, list[str]],
    order: RegisterOrder,
    read_at: datetime,
) -> CaseContent:
    """What stands on the paper of the register of incidents: a section for each."""
    language = order.language
    _ = gettext_for(language)
    title = _("Register of confidentiality incidents")
    return CaseContent(
        language=language,
        title=title,
        number=str(order.id),
        offering=clinic,
        notice=_(
            "What the register held at the moment that is named; what was written before a correction stays in Relais."
        ),
        made_at=read_at,
        running_head=[clinic, title],
        facts=[
            (_("Clinic"), [["", clinic], *(["", line] for line in address_lines if line)]),
            (_("Made"), [["", moment(read_at, language)]]),
            (_("Incidents"), [["", str(len(lines))]]),
        ],
        sections=tuple(_section(line, numbers.get(line.id, []), language) for line in lines),
        page_of=_("Page {page} of {pages}"),
    )


def _section(line: IncidentLine, numbers: Sequence[str], language: Language) -> Section:
    _ = gettext_for(language)
    title = _("Incident {number}").format(number=line.number)
    if line.incident is None:
        return Section(title=title, entries=(Entry(label=title, value=_("What was written does not open.")),))
    still = "; ".join(
        _("{duty}, since {day}").format(duty=_(DUTIES[one.duty]), day=day(one.since, language)) for one in line.owed
    )
    points = [*told(line.incident, numbers, language), (_("Still owed"), still)]
    return Section(title=title, entries=tuple(Entry(label=name, value=text) for name, text in points if text))


def communications_paper(
    clinic: str,
    address_lines: Sequence[str],
    lines: Sequence[CommunicationLine],
    order: RegisterOrder,
    verified_at: str,
    read_at: datetime,
) -> JournalContent:
    """What stands on the paper of the register of communications: a line for each."""
    language = order.language
    _ = gettext_for(language)
    title = _("Register of communications")
    return JournalContent(
        language=language,
        title=title,
        number=str(order.id),
        made_at=read_at,
        running_head=[clinic, ""],
        facts=[
            (_("Clinic"), [["", clinic], *(["", line] for line in address_lines if line)]),
            (
                _("Period"),
                [["", _days(order, language)], [_("Made"), moment(read_at, language, zone=True)]],
            ),
        ],
        said=(
            _(
                "Each line says when data about a patient left the clinic, to whom, which, and for what. Patients are named "
                "by the numbers of their requests alone."
            ),
            _("Anybody can check the seal of this document: {address}").format(address=verified_at),
        ),
        requests_title="",
        requests=(),
        lines_title=_("What left"),
        columns=(_("When"), _("To whom"), _("What, and for what"), _("Request")),
        lines=tuple(_lines(lines)),
        nothing=_("Nothing left in this period."),
        foot=_("{clinic} · Register {number}").format(clinic=clinic, number=order.id),
        page_of=_("Page {page} of {pages}"),
    )


def _lines(lines: Iterable[CommunicationLine]) -> Iterable[Line]:
    for one in lines:
        yield Line(
            when=one.when,
            who=(one.recipient,),
            what=tuple(filter(None, (one.nature, one.purpose, one.given_by))),
            request=one.number,
        )


def _days(order: RegisterOrder, language: Language) -> str:
    _ = gettext_for(language)
    since = day(order.since, language) if order.since else ""
    until = day(order.until, language) if order.until else ""
    if since and until:
        return _("From {since} to {until}, both included").format(since=since, until=until)
    if since:
        return _("From {since} on").format(since=since)
    return _("Until {until}, included").format(until=until) if until else _("From the beginning until now")
