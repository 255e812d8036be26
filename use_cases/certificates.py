"""The certificate of a destruction: what was destroyed, when, by whose approval, under which policy; for machines and as a PDF.

It is written down once everything on the list is settled, before anything is drawn: no drawing that fails takes the proof away.
The paper has a line for each request and the SHA-256 of the whole, so that it stays short whatever was in them. It is sealed as
signed reports are, in the name of the clinic.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from documents.authority import Authority
from documents.bounded import draw_case
from documents.case_content import CaseContent, Said, Section
from domain.calendar import day_of
from domain.retention import EntryOutcome, KeptBecause, ListState, RetentionPolicy
from records import destruction, people, restrictions, retention
from records.canonical import canonical_json, content_sha256
from records.database import Database
from records.models import (
    Clinic,
    DestroyedRequest,
    RetentionCertificate,
    RetentionEntry,
    RetentionList,
    RetentionPaper,
)
from translations import Language, gettext_for, language_named
from translations.dates import moment
from translations.words import KEPT_BECAUSE
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.names import Names, PersonView, person_view
from use_cases.problems import Problem
from use_cases.retention import list_to_see, shown_of
from use_cases.sealed_papers import sealed
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
    kept_until: date = Field(description="As it was found out in the moment in which it was destroyed.")
    destroyed_at: datetime
    seconded_by: PersonView | None = Field(None, description="Who else approved it, where anybody did.")
    seconded_at: datetime | None = None
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
    policies: list[RetentionPolicy] = Field(
        description="The clinic's: those that were in force when something was destroyed, else the one of the list."
    )
    listed_at: datetime
    approved_by: PersonView
    approved_at: datetime
    completed_at: datetime
    destroyed: list[CertifiedDestruction]
    kept: list[CertifiedAsKept] = Field(
        description="Without what is restricted: the list shows that to those who see it, the certificate to all."
    )


@dataclass(frozen=True)
class CertificatePdf:
    """A certificate as a sealed file."""

    pdf: bytes
    filename: str


async def read_certificate(services: Starting, administrator: Administrator, list_id: UUID) -> bytes:
    """What was destroyed of a list: the `Certificate` as canonical JSON, whose SHA-256 stands on the paper.

    Raises Problem `not_found`, also while not all is done, and where nothing of the list is for them to see.
    """
    async with services.database.session() as session:
        await _check_sees(session, administrator, list_id)
        made = await retention.load_certificate(session, list_id)
    if made is None:
        raise Problem("not_found")
    return canonical_json(made.content)


async def read_certificate_pdf(services: Starting, administrator: Administrator, list_id: UUID) -> CertificatePdf:
    """The same on paper, as a sealed file. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await _check_sees(session, administrator, list_id)
        made = await retention.load_paper(session, list_id)
    if made is None:
        raise Problem("not_found")
    return CertificatePdf(made.pdf, f"destruction-{day_of(made.made_at)}.pdf")


async def _check_sees(session: AsyncSession, administrator: Administrator, list_id: UUID) -> None:
    await list_to_see(session, administrator, list_id)
    await shown_of(session, administrator.viewer, list_id)


async def certify(database: Database, authority: Authority, list_id: UUID) -> None:
    """Make the certificate of a list on which everything is settled, once, then its paper, and close the list.

    Raises ConfinedError (`confined`) when the paper can't be drawn or sealed, and what the database raises when it is away.
    """
    async with database.session() as session:
        found = await retention.load_list(session, list_id)
        if found is None or found.state is not ListState.APPROVED or await retention.unsettled(session, list_id):
            return
        written = (await _certificate(session, found)).model_dump(mode="json")
        sha256, now = content_sha256(written), datetime.now(UTC)
        kept = RetentionCertificate(list_id=list_id, content=written, sha256=sha256, made_at=now)
        await retention.keep_once(session, kept)
    paper = await _paper(database, authority, list_id)
    async with database.session() as session:
        closed = await retention.load_list(session, list_id, locked=True)
        if closed is not None and closed.state is ListState.APPROVED:
            await retention.keep_once(session, paper)
            closed.state = ListState.DONE


async def _paper(database: Database, authority: Authority, list_id: UUID) -> RetentionPaper:
    """The paper of the certificate that is there."""
    async with database.session() as session:
        made = await session.get_one(RetentionCertificate, list_id)
        found = await session.get_one(RetentionList, list_id)
        clinic = await session.get_one(Clinic, found.clinic_id)
        approver = await people.load_account(session, found.approved_by) if found.approved_by else None
    certificate, language = (
        Certificate.model_validate(made.content),
        language_named(approver.language if approver else ""),
    )
    drawn = await draw_case(paper_of(certificate, made.sha256, clinic.address_lines, language), {})
    title = gettext_for(language)("Certificate of destruction")
    pdf = await sealed(database, authority, drawn, clinic, reason=title, at=made.made_at)
    return RetentionPaper(list_id=list_id, pdf=pdf, pdf_sha256=hashlib.sha256(pdf).hexdigest(), made_at=made.made_at)


async def _certificate(session: AsyncSession, found: RetentionList) -> Certificate:
    clinic = await session.get_one(Clinic, found.clinic_id)
    entries = await retention.entries_of(session, found.id)
    tombstones = await destruction.tombstones_of(session, found.id)
    approver = await people.load_account(session, found.approved_by) if found.approved_by else None
    if approver is None or found.approved_at is None:
        raise LookupError("an approved list names who approved it")
    theirs = await session.get_one(Clinic, approver.clinic_id)
    names = await Names.load(session, [entry.seconded_by for entry in entries], [])
    kept = _with(entries, EntryOutcome.KEPT)
    shut = await restrictions.shut_since(session, [one.request_id for one in kept], found.approved_at)
    destroyed = [(one, tombstones[one.request_id]) for one in _with(entries, EntryOutcome.DESTROYED)]
    policies = [RetentionPolicy.model_validate(tombstone.destroyed["policy"]) for _, tombstone in destroyed]
    return Certificate(
        list_id=found.id,
        clinic=clinic.name,
        policies=list(dict.fromkeys(policies)) or [RetentionPolicy.model_validate(found.policy)],
        listed_at=found.made_at,
        approved_by=person_view(approver, theirs),
        approved_at=found.approved_at,
        completed_at=datetime.now(UTC),
        destroyed=[_destroyed(entry, tombstone, names.person(entry.seconded_by)) for entry, tombstone in destroyed],
        kept=[
            CertifiedAsKept(request_id=one.request_id, number=one.number, because=one.kept_because)
            for one in kept
            if one.kept_because is not None
            and one.kept_because is not KeptBecause.RESTRICTED
            and one.request_id not in shut
        ],
    )


def _with(entries: Sequence[RetentionEntry], outcome: EntryOutcome) -> list[RetentionEntry]:
    return [entry for entry in entries if entry.outcome is outcome]


def _destroyed(
    entry: RetentionEntry, tombstone: DestroyedRequest, seconded_by: PersonView | None
) -> CertifiedDestruction:
    return CertifiedDestruction(
        request_id=entry.request_id,
        number=entry.number,
        offering=entry.offering,
        last_entry_at=entry.last_entry_at,
        kept_until=date.fromisoformat(tombstone.destroyed["kept_until"]),
        destroyed_at=tombstone.destroyed_at,
        seconded_by=seconded_by,
        seconded_at=entry.seconded_at,
        things=[DestroyedThing.model_validate(thing) for thing in tombstone.destroyed["things"]],
        rows=tombstone.destroyed["rows"],
    )


# The paper


def paper_of(certificate: Certificate, sha256: str, address_lines: Sequence[str], language: Language) -> CaseContent:
    """What stands on the paper of the certificate, of which the canonical JSON has that SHA-256."""
    _ = gettext_for(language)
    approved = certificate.approved_by
    policies = [sentence for policy in certificate.policies for sentence in policy_sentences(policy, language)]
    return CaseContent(
        language=language,
        title=_("Certificate of destruction"),
        number=str(certificate.list_id),
        offering=certificate.clinic,
        notice=_(
            "Of each request named below, the data key, every record and every file were destroyed. "
            "What is left are their numbers, what the certificate says of them as data, and the audit."
        ),
        made_at=certificate.completed_at,
        running_head=[certificate.clinic, str(certificate.list_id)],
        facts=[
            (_("Clinic"), [["", certificate.clinic], *(["", line] for line in address_lines)]),
            (_("Approved by"), [["", approved.name], ["", moment(certificate.approved_at, language)]]),
            (_("Policy"), [["", sentence] for sentence in policies]),
            (_("SHA-256 of the certificate as data"), [["", sha256]]),
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
    line = _("{number} · destroyed on {moment} · forms, reports and files: {count}")
    destroyed = (
        Said(
            head=line.format(number=one.number, moment=moment(one.destroyed_at, language), count=len(one.things)),
            text=_("Destruction also approved by {name}").format(name=one.seconded_by.name) if one.seconded_by else "",
        )
        for one in certificate.destroyed
    )
    yield Section(title=_("Destroyed requests"), said=tuple(destroyed))
    kept = (Said(head=one.number, text=_(KEPT_BECAUSE[one.because])) for one in certificate.kept)
    yield Section(title=_("Kept requests"), said=tuple(kept))
