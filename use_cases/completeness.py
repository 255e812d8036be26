"""What is missing to submit a form, and what is only worth a look."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.calendar import day_of
from domain.drafts import check_carried_over
from domain.health_insurance import HealthNumberWarning, Issuer, PatientSuggestion, issuer_of
from domain.offerings import FieldProblem, check_answers, check_attachments
from domain.photos import PhotoWarning
from domain.requests import Status
from domain.scans import ScanState
from records import attachments, forms
from records.drafts import is_withdrawn, open_form, outdated_answers
from records.models import RequestRecord
from records.offering_versions import OfferingVersions
from translations.problems import PRINTED_AS_CODES
from use_cases import policy
from use_cases.attachments import AttachmentView, attachment_views
from use_cases.caller import Caller
from use_cases.patients import RecordedPatient, check_patient
from use_cases.printable import check_printable, check_texts
from use_cases.problems import FieldFault, Problem, field_faults
from use_cases.same_patient import open_for_same_patient
from use_cases.scans import Viewer
from use_cases.services import Services


@dataclass(frozen=True)
class PhotoAdvice:
    """A photo is probably of no use; the words of `warning` are in `translations.problems.PHOTO_WARNINGS`."""

    photo: AttachmentView
    warning: PhotoWarning


@dataclass(frozen=True)
class Check:
    """What stands in the way of submitting a form (`errors`); what stops nothing (`advice`, and texts that can't be printed)."""

    errors: tuple[FieldFault, ...]
    advice: tuple[PhotoAdvice, ...] = ()
    text_advice: tuple[FieldFault, ...] = ()
    patient_advice: tuple[HealthNumberWarning, ...] = ()
    """What of the health-insurance number does not fit the rest."""
    issuer: Issuer | None = None
    """Who gave out that number, as is said or can be seen."""
    suggestions: tuple[PatientSuggestion, ...] = ()
    """What that number says of the patient and is not written down: for the writer to take, or not."""
    open_requests: tuple[tuple[UUID, str], ...] = ()
    """Id and number of what is open already about the same patient and offering, as far as its writer may see it."""
    unchanged: bool = False
    """Of a request that was returned: it would be submitted as it was the last time."""


async def check(services: Services, caller: Caller, request_id: UUID) -> Check:
    """What submitting the form as it is saved would refuse now, for its requester. Raises what `policy.own_form_to_edit` does."""
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        if is_withdrawn(services.versions, row):
            return Check(errors=(FieldFault("offering", "offering_withdrawn"),))
        missing = await _missing(session, services.versions, row)
        unprintable = await _unprintable(session, services.versions, row)
        there = await attachments.list_attachments(session, row.id)
        others = await open_for_same_patient(session, caller, row)
        unchanged = row.status is Status.RETURNED and await forms.is_unchanged(session, row)
    patient, viewer = RecordedPatient.model_validate(row.form["patient"]), Viewer.of(services.settings, caller)
    return Check(
        unchanged=unchanged,
        open_requests=tuple((line.request.id, line.request.number) for line in others),
        patient_advice=patient.health_number_warnings,
        issuer=issuer_of(patient.health_insurance_number, patient.health_insurance_issuer),
        suggestions=patient.suggestions(day_of(datetime.now(UTC))),
        errors=field_faults(missing),
        advice=tuple(
            PhotoAdvice(photo, found) for photo in attachment_views(there, viewer) for found in _warnings(photo)
        ),
        text_advice=tuple(
            FieldFault(found.field, "not_printable", PRINTED_AS_CODES, characters=found.characters)
            for found in unprintable
        ),
    )


def _warnings(photo: AttachmentView) -> Iterator[PhotoWarning]:
    yield from photo.warnings
    if photo.same_as:
        yield "repeated"


async def check_complete(session: AsyncSession, versions: OfferingVersions, row: RequestRecord) -> None:
    """Raise Problem `form_incomplete` when something is missing."""
    if missing := await _missing(session, versions, row):
        raise Problem("form_incomplete", field_faults(missing))


async def _missing(session: AsyncSession, versions: OfferingVersions, row: RequestRecord) -> tuple[FieldProblem, ...]:
    offering = await open_form(session, versions, row)
    there = await attachments.list_attachments(session, row.id)
    infected = dict.fromkeys(attachment.slot for attachment in there if attachment.scan is ScanState.INFECTED)
    counts = Counter(attachment.slot for attachment in there if attachment.scan is not ScanState.INFECTED)
    return (
        *check_patient(RecordedPatient.model_validate(row.form["patient"])),
        *check_answers(offering.form, row.form["answers"], complete=True, today=day_of(datetime.now(UTC))),
        *check_attachments(offering, counts),
        *(FieldProblem(field=slot, code="infected_attachment") for slot in infected),
        *check_carried_over(outdated_answers(row), offering, counts if row.status is Status.DRAFT else {}),
    )


async def _unprintable(
    session: AsyncSession, versions: OfferingVersions, row: RequestRecord
) -> tuple[FieldProblem, ...]:
    patient = RecordedPatient.model_validate(row.form["patient"])
    offering = await versions.of(session, row)
    names = {f"patient.{name}": text for name, text in patient.lines.items()}
    return (*check_texts(names), *check_printable(offering.form, row.form["answers"]))
