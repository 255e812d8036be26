"""What stands on a signed document: gathered from the records at the moment of signing, and frozen then."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import views
from api.patients import RecordedPatient
from documents import content as printed
from domain import texts
from domain.offerings import WRITTEN, FieldKind, FormField, ServiceOffering, leads
from domain.requests import DocumentKind, EventName, Request
from records import attachments, forms, people, requests
from records.models import Account, Clinic, FrozenForm, RequestRecord
from translations import Language, gettext_for
from translations.dates import NO_BREAK_SPACE, day
from translations.numbers import number


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
    """The content of a document as JSON: a `documents.content.ReportContent` without `signed_at`, which the workflow gives.

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
    patient = RecordedPatient.model_validate(frozen.content["patient"])
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
        question=entries(offering.form, frozen.content["answers"], language, leading=offering.question),
        exchange=await _exchange(session, row),
        answer=_addendum(answers, language)
        if template is None
        else entries(template, answers, language, leading=leads, with_missing=with_missing),
        images=await _images(session, row, frozen, offering, language),
    )
    return content.model_dump(mode="json", exclude={"signed_at"})


def entries(
    fields: Iterable[FormField],
    answers: Mapping[str, Any],
    language: Language,
    *,
    leading: Callable[[FormField], bool] = lambda _: False,
    with_missing: bool = False,
) -> tuple[printed.Entry, ...]:
    """The answers that were given, in the order of the form, as text in `language`; `with_missing` as for `paper`.

    `leading` tells which are read first. An answer to something that the form does not ask comes last, under its name: none is
    ever left out.
    """
    fields = tuple(fields)
    asked = {field.name for field in fields}
    return tuple(
        printed.Entry(
            label=getattr(field.label, language), value=text, leads=leading(field), brief=field.kind not in WRITTEN
        )
        for field in fields
        if (text := _text(field, answers.get(field.name), language)) or (with_missing and field.required)
    ) + tuple(
        printed.Entry(label=name, value=text)
        for name, answer in answers.items()
        if name not in asked and (text := _as_it_stands(answer, language))
    )


def _text(field: FormField, answer: Any, language: Language) -> str:
    """The answer in words; as it stands where it is none to this question."""
    try:
        return _in_words(field, answer, language)
    except (TypeError, ValueError, ArithmeticError):
        return _as_it_stands(answer, language)


def _as_it_stands(answer: Any, language: Language) -> str:
    """An answer whose question nobody knows."""
    _ = gettext_for(language)
    match answer:
        case None:
            return ""
        case bool():
            return _("Yes") if answer else _("No")
        case list():
            return ", ".join(_as_it_stands(value, language) for value in answer)
        case dict():
            return json.dumps(answer, ensure_ascii=False)
        case _:
            return str(answer).strip()


def _in_words(field: FormField, answer: Any, language: Language) -> str:
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
            unit = f"{NO_BREAK_SPACE}{getattr(field.unit, language)}" if field.unit else ""
            return number(answer, language) + unit
        case FieldKind.DATE:
            return day(date.fromisoformat(answer), language)
        case _:
            return str(answer).strip() if texts.says_something(str(answer)) else ""


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


async def _images(
    session: AsyncSession, row: RequestRecord, form: FrozenForm, offering: ServiceOffering, language: Language
) -> tuple[printed.Image, ...]:
    """The photos and videos of the form that was submitted, then those of the answers to questions, each once."""
    events = await requests.timeline(session, row.id)
    answered = [event for event in events if event.name is EventName.INFORMATION_ANSWERED]
    named = [part["id"] for part in form.content["attachments"]]
    named += [id_ for event in answered for id_ in event.command.get("attachment_ids") or ()]
    there = {str(found.id): found for found in await attachments.list_attachments(session, row.id, with_removed=True)}
    slots: dict[str, str] = {slot.name: getattr(slot.label, language) for slot in offering.attachments}
    return tuple(
        printed.Image(
            number=number,
            id=found.id,
            kind="video" if found.kind == "video" else "photo",
            slot=slots.get(found.slot, found.slot),
            captured_at=found.captured_at,
            sha256=found.sha256,
        )
        for number, found in enumerate((there[id_] for id_ in dict.fromkeys(named) if id_ in there), start=1)
    )
