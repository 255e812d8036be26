"""What stands on a signed document: gathered from the records at the moment of signing, and frozen then."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from documents import content as printed
from domain.events import TOLD_LATER
from domain.offerings import FileKind, FormField, ServiceOffering, leads
from domain.photos import Description
from domain.requests import DocumentKind, EventName, Request
from records import attachments, forms, people, requests
from records.models import Account, Clinic, EventRecord, FrozenForm, RequestRecord
from translations import Language, gettext_for
from translations.words import PHOTO_VIEWS
from use_cases.answers import entries
from use_cases.attachments import attachments_sent, descriptions_sent
from use_cases.names import Names, full_name
from use_cases.patients import RecordedPatient


async def paper(
    session: AsyncSession,
    *,
    offering: ServiceOffering,
    row: RequestRecord,
    signer: Account,
    document_id: UUID,
    kind: DocumentKind,
    template: Iterable[FormField] | None,
    answers: Mapping[str, Any],
    language: Language,
    at: datetime,
    verified_at: str | None = None,
    with_missing: bool = False,
) -> printed.ReportContent:
    """The content of a document about the request as it stands in `row`, signed at that moment.

    `template` None stands for an addendum, whose one answer is `text`; `verified_at` is where its signature can be checked. With
    `with_missing`, a required field without an answer stands there, too, with an empty one.
    """
    process = requests.process_of(row)
    if process.form is None or row.submitted_at is None:
        raise ValueError("only a submitted request is answered")
    frozen = await forms.load_form(session, row.id, process.form.number)
    if frozen is None:
        raise ValueError("the submitted form is gone")
    accounts = await people.accounts_by_id(session, {row.requester_id, signer.id})
    clinics = await people.clinics_by_id(session, {row.requester_clinic_id, signer.clinic_id})
    events = await requests.timeline(session, row.id)
    return printed.ReportContent(
        language=language,
        kind=kind.value,
        document_id=document_id,
        earlier=_earlier(process, kind),
        request_number=row.number,
        priority=process.priority.value,
        offering_title=getattr(offering.title, language),
        asked_at=row.submitted_at,
        signed_at=at,
        clinic=_head(clinics[signer.clinic_id]),
        patient=patient_printed(RecordedPatient.model_validate(frozen.content["patient"]), language),
        requester=_practitioner(accounts[row.requester_id], clinics[row.requester_clinic_id]),
        signer=_practitioner(signer, clinics[signer.clinic_id]),
        question=entries(
            offering.form,
            frozen.content["answers"],
            language,
            leading=offering.question,
            recorded_by=full_name(accounts[row.requester_id]),
        ),
        exchange=await _exchange(session, events),
        answer=_addendum(answers, language)
        if template is None
        else entries(template, answers, language, leading=leads, with_missing=with_missing),
        images=await _images(session, frozen, events, offering, language),
        verified_at=verified_at,
    )


def patient_printed(patient: RecordedPatient, language: Language) -> printed.Patient:
    """The patient as papers name them; only in a draft there may be no name yet."""
    return printed.Patient(
        name=patient.full_name(language) or "–",
        mother_name=patient.mother_name or None,
        birth_date=patient.birth_date,
        health_insurance_number=patient.health_insurance_number or None,
        health_insurance_issuer=patient.health_insurance_issuer,
        sex=patient.sex,
    )


def slot_printed(slots: Mapping[str, str], slot: str, said: Description, language: Language) -> str:
    """What a photo was sent for, whether it is an overview or a close-up, and its caption, as far as it is said."""
    view = gettext_for(language)(PHOTO_VIEWS[said.view]) if said.view else ""
    return " – ".join(filter(None, (slots.get(slot, slot), view, said.caption)))


def slots_of(offering: ServiceOffering, language: Language) -> Mapping[str, str]:
    """What the offering asks photos and other files for, in words."""
    return {slot.name: getattr(slot.label, language) for slot in offering.attachments}


def _addendum(answers: Mapping[str, Any], language: Language) -> tuple[printed.Entry, ...]:
    return (printed.Entry(label=gettext_for(language)("Addendum"), value=answers["text"], leads=True),)


def _earlier(process: Request, kind: DocumentKind) -> printed.EarlierDocument | None:
    """An addendum names the final report; a final report the preliminary one before it, if any."""
    before = process.final_report if kind is DocumentKind.ADDENDUM else next(iter(reversed(process.documents)), None)
    if before is None:
        return None
    return printed.EarlierDocument(
        document_id=before.report_id, sha256=before.pdf_sha256, kind=before.kind.value, signed_at=before.signed_at
    )


def _head(clinic: Clinic) -> printed.Clinic:
    return printed.Clinic(name=clinic.name, address_lines=tuple(clinic.address_lines), phone=clinic.phone or None)


def _practitioner(account: Account, clinic: Clinic) -> printed.Practitioner:
    return printed.Practitioner(
        name=full_name(account),
        title=account.profession or None,
        clinic=clinic.name,
        licence_number=account.licence_number or None,
    )


async def _exchange(session: AsyncSession, events: Iterable[EventRecord]) -> tuple[printed.Message, ...]:
    said = [event for event in events if event.name in {EventName.INFORMATION_REQUESTED, *TOLD_LATER}]
    names = await Names.load(session, [event.actor_id for event in said], [])
    return tuple(
        printed.Message(
            author=person.name if (person := names.who(event.actor_id, event.command)) else "",
            at=event.at,
            text=event.command["text"],
        )
        for event in said
    )


async def _images(
    session: AsyncSession,
    form: FrozenForm,
    events: Collection[EventRecord],
    offering: ServiceOffering,
    language: Language,
) -> tuple[printed.Image, ...]:
    """The photos and videos of the form that was submitted, then those that came later, each once."""
    sent, said = attachments_sent(form, events), descriptions_sent(form, events)
    there = {
        str(found.id): found
        for found in await attachments.list_attachments(session, form.request_id, with_removed=True)
    }
    slots = slots_of(offering, language)
    return tuple(
        printed.Image(
            number=number,
            id=found.id,
            kind=cast(FileKind, found.kind),
            slot=slot_printed(
                slots, found.slot, said.get(str(found.id)) or attachments.description_of(found), language
            ),
            captured_at=found.captured_at,
            sha256=found.sha256,
        )
        for number, found in enumerate((there[id_] for id_ in dict.fromkeys(sent) if id_ in there), start=1)
    )
