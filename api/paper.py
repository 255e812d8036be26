"""What stands on a signed document: gathered from the records at the moment of signing, and frozen then."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from babel.dates import format_date
from babel.numbers import format_decimal
from sqlalchemy.ext.asyncio import AsyncSession

from api import views
from api.patients import Patient
from documents import report as printed
from domain.offerings import FieldKind, FormField, ServiceOffering
from domain.requests import DocumentKind, EventName, Request
from records import forms, people, requests
from records.models import Account, Clinic, RequestRecord
from translations import Language, gettext_for

_LOCALES: Mapping[Language, str] = {"fr": "fr_CA", "en": "en_CA"}


async def paper(
    session: AsyncSession,
    *,
    offering: ServiceOffering,
    row: RequestRecord,
    process: Request,
    signer: Account,
    document_id: UUID,
    kind: DocumentKind,
    template: Iterable[FormField] | None,
    answers: Mapping[str, Any],
    language: Language,
    with_missing: bool = False,
) -> dict[str, Any]:
    """The content of a document as JSON: a `documents.report.ReportContent` without `signed_at`, which the workflow gives.

    `template` None stands for an addendum, whose one answer is `text`. With `with_missing`, a required field without an answer
    stands there, too, with an empty one.
    """
    if process.form is None or row.submitted_at is None:
        raise ValueError("only a submitted request is answered")
    frozen = await forms.load_form(session, row.id, process.form.number)
    if frozen is None:
        raise ValueError("the submitted form is gone")
    accounts = await people.accounts_by_id(session, {row.requester_id, signer.id})
    clinics = await people.clinics_by_id(session, {row.requester_clinic_id, signer.clinic_id})
    patient = Patient.model_validate(frozen.content["patient"])
    content = printed.ReportContent(
        language=language,
        kind=kind.value,
        document_id=document_id,
        earlier=_earlier(process, kind),
        request_number=row.number,
        priority=process.priority.value,
        offering_title=getattr(offering.title, language),
        asked_at=row.submitted_at,
        signed_at=datetime.now(UTC),
        clinic=_head(clinics[signer.clinic_id]),
        patient=printed.Patient(
            name=patient.full_name,
            birth_date=patient.birth_date,
            health_insurance_number=patient.health_insurance_number or None,
            sex=patient.sex,
        ),
        requester=_practitioner(accounts[row.requester_id], clinics[row.requester_clinic_id]),
        signer=_practitioner(signer, clinics[signer.clinic_id]),
        question=entries(offering.form, frozen.content["answers"], language),
        exchange=await _exchange(session, row),
        answer=_addendum(answers, language)
        if template is None
        else entries(template, answers, language, with_missing=with_missing),
    )
    return content.model_dump(mode="json", exclude={"signed_at"})


def entries(
    fields: Iterable[FormField], answers: Mapping[str, Any], language: Language, *, with_missing: bool = False
) -> tuple[printed.Entry, ...]:
    """The answers that were given, in the order of the form, as text in `language`; `with_missing` as for `paper`."""
    return tuple(
        printed.Entry(label=getattr(field.label, language), value=text)
        for field in fields
        if (text := _text(field, answers.get(field.name), language)) or (with_missing and field.required)
    )


def _text(field: FormField, answer: Any, language: Language) -> str:
    _ = gettext_for(language)
    labels: dict[str, str] = {option.value: getattr(option.label, language) for option in field.options}
    match field.kind:
        case _ if answer is None or answer == []:
            return ""
        case FieldKind.CHOICE:
            return labels.get(answer, str(answer))
        case FieldKind.CHOICES:
            return ", ".join(labels.get(value, value) for value in answer)
        case FieldKind.YES_NO:
            return _("Yes") if answer else _("No")
        case FieldKind.NUMBER:
            unit = f"\N{NO-BREAK SPACE}{getattr(field.unit, language)}" if field.unit else ""
            return format_decimal(answer, locale=_LOCALES[language]) + unit
        case FieldKind.DATE:
            return format_date(date.fromisoformat(answer), "long", locale=_LOCALES[language])
        case _:
            return str(answer).strip()


def _addendum(answers: Mapping[str, Any], language: Language) -> tuple[printed.Entry, ...]:
    return (printed.Entry(label=gettext_for(language)("Addendum"), value=answers["text"]),)


def _earlier(process: Request, kind: DocumentKind) -> printed.EarlierDocument | None:
    """An addendum names the final report; a final report the preliminary one before it, if any."""
    before = process.final_report if kind is DocumentKind.ADDENDUM else next(iter(reversed(process.documents)), None)
    return printed.EarlierDocument(document_id=before.report_id, sha256=before.pdf_sha256) if before else None


def _head(clinic: Clinic) -> printed.Clinic:
    return printed.Clinic(name=clinic.name, address_lines=tuple(clinic.address_lines), phone=clinic.phone or None)


def _practitioner(account: Account, clinic: Clinic) -> printed.Practitioner:
    return printed.Practitioner(
        name=views.full_name(account),
        title=account.profession or None,
        clinic=clinic.name,
        licence_number=account.licence_number or None,
    )


async def _exchange(session: AsyncSession, row: RequestRecord) -> tuple[printed.Message, ...]:
    events = await requests.timeline(session, row.id)
    said = [e for e in events if e.name in (EventName.INFORMATION_REQUESTED, EventName.INFORMATION_ANSWERED)]
    names = await views.Names.load(session, [event.actor_id for event in said], [])
    return tuple(
        printed.Message(
            author=person.name if (person := names.person(event.actor_id)) else "",
            at=event.at,
            text=event.command["text"],
        )
        for event in said
    )
