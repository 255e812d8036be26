"""The certificate of a destruction: what was destroyed, when, by whose approval, under which policy; for machines and as a PDF.

The PDF is sealed as signed reports are, in the name of the clinic. It is made once everything on the list is settled.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reports import revocations
from documents.authority import Authority
from documents.bounded import draw_case, sign_report
from documents.case_content import CaseContent, Said, Section
from documents.content import Practitioner
from domain.calendar import day_of
from domain.retention import EntryOutcome, KeptBecause, ListState, RetentionPolicy
from records import destruction, people, retention
from records.database import Database
from records.models import Clinic, DestroyedRequest, RetentionCertificate, RetentionEntry, RetentionList
from translations import Language, gettext_for, language_named
from translations.dates import day, moment
from translations.words import KEPT_BECAUSE
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.names import PersonView, person_view
from use_cases.problems import Problem
from use_cases.retention import list_to_see
from use_cases.views import View


class DestroyedThing(View):
    """Something of a request that was destroyed, by its id and its digest."""

    kind: Literal["form", "report", "document", "attachment"]
    id: str = Field(description="Of a form, its number.")
    sha256: str


class CertifiedDestruction(View):
    """A request that was destroyed."""

    request_id: UUID
    number: str
    offering: str
    last_entry_at: datetime
    kept_until: date
    destroyed_at: datetime
    things: list[DestroyedThing]
    rows: dict[str, int] = Field(description="How many rows went, by table.")


class CertifiedAsKept(View):
    """A request that stood on the list and was kept."""

    request_id: UUID
    number: str
    because: KeptBecause


class Certificate(View):
    """What was destroyed of a list, and what was not."""

    list_id: UUID
    clinic: str
    policy: RetentionPolicy
    listed_at: datetime
    approved_by: PersonView
    approved_at: datetime
    completed_at: datetime
    destroyed: list[CertifiedDestruction]
    kept: list[CertifiedAsKept]


@dataclass(frozen=True)
class CertificatePdf:
    """A certificate as a sealed file."""

    pdf: bytes
    filename: str


@dataclass(frozen=True)
class _Read:
    certificate: Certificate
    clinic: Clinic
    language: Language


async def read_certificate(services: Starting, administrator: Administrator, list_id: UUID) -> Certificate:
    """What was destroyed of a list. Raises Problem `not_found`, also while not all is done."""
    return Certificate.model_validate((await _made(services, administrator, list_id)).content)


async def read_certificate_pdf(services: Starting, administrator: Administrator, list_id: UUID) -> CertificatePdf:
    """The same as a sealed file. Raises Problem `not_found`."""
    made = await _made(services, administrator, list_id)
    return CertificatePdf(made.pdf, f"destruction-{day_of(made.made_at)}.pdf")


async def _made(services: Starting, administrator: Administrator, list_id: UUID) -> RetentionCertificate:
    async with services.database.session() as session:
        await list_to_see(session, administrator, list_id)
        made = await retention.load_certificate(session, list_id)
    if made is None:
        raise Problem("not_found")
    return made


async def certify(database: Database, authority: Authority, list_id: UUID) -> None:
    """Make the certificate of a list on which everything is settled, once, and close the list.

    Raises ConfinedError (`confined`) when it can't be drawn or sealed, and what the database raises when it is away.
    """
    async with database.session() as session:
        found = await retention.load_list(session, list_id)
        if found is None or found.state is not ListState.APPROVED or await retention.unsettled(session, list_id):
            return
        read = await _read(session, found)
        revoked = await revocations(session, authority)
    drawn = await draw_case(_content(read), {})
    certificate, clinic = read.certificate, read.clinic
    title = gettext_for(read.language)("Certificate of destruction")
    signer = Practitioner(name=clinic.name, clinic=clinic.name)
    sealed = await sign_report(
        drawn, authority, clinic.id, signer, reason=title, at=certificate.completed_at, revoked=revoked
    )
    made = RetentionCertificate(
        list_id=list_id,
        content=certificate.model_dump(mode="json"),
        pdf=sealed.pdf,
        pdf_sha256=hashlib.sha256(sealed.pdf).hexdigest(),
        made_at=certificate.completed_at,
    )
    async with database.session() as session:
        closed = await retention.load_list(session, list_id, locked=True)
        if closed is not None and closed.state is ListState.APPROVED:
            await retention.keep_certificate(session, made)
            closed.state = ListState.DONE


async def _read(session: AsyncSession, found: RetentionList) -> _Read:
    clinic = await session.get_one(Clinic, found.clinic_id)
    entries = await retention.entries_of(session, found.id)
    tombstones = await destruction.tombstones_of(session, found.id)
    approver = await people.load_account(session, found.approved_by) if found.approved_by else None
    if approver is None or found.approved_at is None:
        raise LookupError("an approved list names who approved it")
    theirs = await session.get_one(Clinic, approver.clinic_id)
    certificate = Certificate(
        list_id=found.id,
        clinic=clinic.name,
        policy=RetentionPolicy.model_validate(found.policy),
        listed_at=found.made_at,
        approved_by=person_view(approver, theirs),
        approved_at=found.approved_at,
        completed_at=datetime.now(UTC),
        destroyed=[_destroyed(one, tombstones[one.request_id]) for one in _with(entries, EntryOutcome.DESTROYED)],
        kept=[
            CertifiedAsKept(request_id=one.request_id, number=one.number, because=one.kept_because)
            for one in _with(entries, EntryOutcome.KEPT)
            if one.kept_because is not None
        ],
    )
    return _Read(certificate, clinic, language_named(approver.language))


def _with(entries: Sequence[RetentionEntry], outcome: EntryOutcome) -> list[RetentionEntry]:
    return [entry for entry in entries if entry.outcome is outcome]


def _destroyed(entry: RetentionEntry, tombstone: DestroyedRequest) -> CertifiedDestruction:
    return CertifiedDestruction(
        request_id=entry.request_id,
        number=entry.number,
        offering=entry.offering,
        last_entry_at=entry.last_entry_at,
        kept_until=entry.kept_until,
        destroyed_at=tombstone.destroyed_at,
        things=[DestroyedThing.model_validate(thing) for thing in tombstone.destroyed["things"]],
        rows=tombstone.destroyed["rows"],
    )


# The paper


def _content(read: _Read) -> CaseContent:
    certificate, language = read.certificate, read.language
    _ = gettext_for(language)
    approved = certificate.approved_by
    return CaseContent(
        language=language,
        title=_("Certificate of destruction"),
        number=str(certificate.list_id),
        offering=certificate.clinic,
        notice=_(
            "Of each request named below, the data key, every record and every file were destroyed. "
            "What is left are the numbers and digests on this paper, and the audit."
        ),
        made_at=certificate.completed_at,
        running_head=[certificate.clinic, str(certificate.list_id)],
        facts=[
            (_("Clinic"), [["", certificate.clinic], *(["", line] for line in read.clinic.address_lines)]),
            (_("Approved by"), [["", approved.name], ["", moment(certificate.approved_at, language)]]),
            (_("Policy"), [["", sentence] for sentence in policy_sentences(certificate.policy, language)]),
        ],
        sections=tuple(section for section in _sections(certificate, language) if not section.is_empty),
        page_of=_("Page {page} of {pages}"),
    )


def policy_sentences(policy: RetentionPolicy, language: Language) -> list[str]:
    """How long requests are kept, in words."""
    _ = gettext_for(language)
    return [
        _("{years} years from the last entry").format(years=policy.years),
        _("Minors: at least until the age of {age}").format(age=policy.minors_until + policy.minors_years),
    ]


def _sections(certificate: Certificate, language: Language) -> Iterator[Section]:
    _ = gettext_for(language)
    yield Section(
        title=_("Destroyed requests"), said=tuple(_said_of_destroyed(one, language) for one in certificate.destroyed)
    )
    kept = (Said(head=one.number, text=_(KEPT_BECAUSE[one.because])) for one in certificate.kept)
    yield Section(title=_("Kept requests"), said=tuple(kept))


def _said_of_destroyed(one: CertifiedDestruction, language: Language) -> Said:
    _ = gettext_for(language)
    lines = [
        _("Last entry: {last}; kept until {until}").format(
            last=moment(one.last_entry_at, language), until=day(one.kept_until, language)
        ),
        str(one.request_id),
        *_things(one.things, language),
    ]
    head = _("{number} · destroyed on {moment}").format(number=one.number, moment=moment(one.destroyed_at, language))
    return Said(head=head, text="\n".join(lines))


def _things(things: Collection[DestroyedThing], language: Language) -> Iterator[str]:
    _ = gettext_for(language)
    words = {
        "form": _("Form {id}"),
        "report": _("Content of report {id}"),
        "document": _("Signed document {id}"),
        "attachment": _("File {id}"),
    }
    for thing in things:
        yield f"{words[thing.kind].format(id=thing.id)} · SHA-256 {thing.sha256}"
