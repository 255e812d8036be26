"""The form of an offering as Questionnaire, in each of its versions, and each submission of it as QuestionnaireResponse."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.consents import PARTS, ConsentGiver
from domain.offerings import AttachmentSlot, FieldKind, FormField, Localized, ServiceOffering
from fhir.addresses import Server, offering_id, part_of, questionnaire_id
from fhir.elements import Attachment, Coding, Extension, Meta, some
from fhir.requests import meta_of, patient_of, request_of, role_of
from fhir.resources import (
    Answer,
    AnswerOption,
    Questionnaire,
    QuestionnaireItem,
    QuestionnaireResponse,
    ResponseItem,
)
from records.models import FrozenForm
from translations import gettext_for
from translations.words import CONSENT_GIVERS, CONSENT_PARTS
from use_cases.cases import Case

_EXTENSIONS = "http://hl7.org/fhir/StructureDefinition/"

_TYPES: Mapping[FieldKind, str] = {
    FieldKind.TEXT: "string",
    FieldKind.LONG_TEXT: "text",
    FieldKind.CHOICE: "choice",
    FieldKind.CHOICES: "choice",
    FieldKind.NUMBER: "decimal",
    FieldKind.DATE: "date",
    FieldKind.YES_NO: "boolean",
    FieldKind.CONSENT: "group",
}

_NESTED = (FieldKind.CONSENT,)


def canonical(code: str, version: int, server: Server) -> str:
    """The address by which a form is meant in one version, whoever serves it."""
    return f"{_url(code, server)}|{version}"


def _url(code: str, server: Server) -> str:
    return server.address("Questionnaire", offering_id(code))


def questionnaire(offering: ServiceOffering, server: Server, *, in_force: bool) -> Questionnaire:
    """The form, in the reader's language. An answer is known by the name of its field (`linkId`)."""
    told = server.language
    return Questionnaire(
        id=questionnaire_id(offering.code, offering.version),
        meta=Meta(version_id="1" if in_force else "2"),
        language=told,
        url=_url(offering.code, server),
        version=str(offering.version),
        name="".join(part.capitalize() for part in offering.code.replace("-", "_").split("_")),
        title=getattr(offering.title, told),
        status="active" if in_force else "retired",
        description=getattr(offering.description, told),
        code=(Coding(system=server.codes("offering"), code=offering.code, display=getattr(offering.title, told)),),
        item=(
            *(_item(field, server) for field in offering.form),
            *(_slot(slot, server) for slot in offering.attachments),
        ),
    )


def _item(field: FormField, server: Server) -> QuestionnaireItem:
    is_text = field.kind in (FieldKind.TEXT, FieldKind.LONG_TEXT)
    return QuestionnaireItem(
        link_id=field.name,
        extension=_limits(field),
        text=getattr(field.label, server.language),
        type=_TYPES[field.kind],
        required=field.required,
        repeats=True if field.kind is FieldKind.CHOICES else None,
        max_length=field.max_length if is_text else None,
        answer_option=_options(field, server) if field.options else None,
        item=some([*_help(field.name, field.help, server), *_parts_of_consent(field, server)]),
    )


def _limits(field: FormField) -> tuple[Extension, ...] | None:
    named = {"minValue": field.minimum, "maxValue": field.maximum}
    return some(
        Extension(url=_EXTENSIONS + name, value_decimal=limit) for name, limit in named.items() if limit is not None
    )


def _options(field: FormField, server: Server) -> tuple[AnswerOption, ...]:
    return tuple(
        AnswerOption(value_coding=_coding(option.value, getattr(option.label, server.language), field.name, server))
        for option in field.options
    )


def _coding(value: str, label: str | None, field: str, server: Server) -> Coding:
    return Coding(system=server.codes(field), code=value, display=label)


def _help(name: str, told: Localized | None, server: Server) -> Iterator[QuestionnaireItem]:
    if told is not None:
        yield QuestionnaireItem(link_id=f"{name}.help", text=getattr(told, server.language), type="display")


def _parts_of_consent(field: FormField, server: Server) -> Iterator[QuestionnaireItem]:
    """Who consents, their name where it is not the patient, and the day."""
    if field.kind is not FieldKind.CONSENT:
        return
    say = gettext_for(server.language)
    types = {"given_by": "choice", "name": "string", "date": "date"}
    givers = tuple(
        AnswerOption(value_coding=_coding(giver.value, say(CONSENT_GIVERS[giver]), "consent-given-by", server))
        for giver in ConsentGiver
    )
    for part in PARTS:
        yield QuestionnaireItem(
            link_id=f"{field.name}.{part}",
            text=say(CONSENT_PARTS[part]),
            type=types[part],
            required=field.required and part != "name",
            answer_option=givers if part == "given_by" else None,
        )


def _slot(slot: AttachmentSlot, server: Server) -> QuestionnaireItem:
    occurs = {"questionnaire-minOccurs": slot.minimum, "questionnaire-maxOccurs": slot.maximum}
    return QuestionnaireItem(
        link_id=f"attachments.{slot.name}",
        extension=some(Extension(url=_EXTENSIONS + name, value_integer=n) for name, n in occurs.items() if n),
        text=getattr(slot.label, server.language),
        type="attachment",
        required=slot.minimum > 0,
        repeats=True,
        item=some(_help(f"attachments.{slot.name}", slot.help, server)),
    )


def responses(case: Case, server: Server) -> Iterator[QuestionnaireResponse]:
    """Each submission, oldest first, with the answers as they were given then."""
    for form in case.forms:
        yield response(case, form, server)


def response(case: Case, form: FrozenForm, server: Server) -> QuestionnaireResponse:
    """One of them."""
    content = form.content
    return QuestionnaireResponse(
        id=part_of(case.id, form.number),
        meta=meta_of(case),
        language=server.language,
        based_on=(request_of(case, server),),
        questionnaire=canonical(content["offering"], content["offering_version"], server),
        subject=patient_of(case),
        authored=form.frozen_at,
        author=role_of(form.frozen_by),
        item=some([*_answers(case.offering, content["answers"], server), *_attachments(case, form, server)]),
    )


def _answers(offering: ServiceOffering, answers: Mapping[str, Any], server: Server) -> Iterator[ResponseItem]:
    for field in offering.form:
        given = answers.get(field.name)
        text = getattr(field.label, server.language)
        if field.kind is FieldKind.CONSENT:
            parts = some(_consent(field.name, given, server)) if isinstance(given, dict) else None
            if parts:
                yield ResponseItem(link_id=field.name, text=text, item=parts)
        elif made := some(_answer(field, one, server) for one in (given if isinstance(given, list) else [given])):
            yield ResponseItem(link_id=field.name, text=text, answer=made)


def _answer(field: FormField, given: Any, server: Server) -> Answer | None:
    """None for what says nothing."""
    if given in (None, ""):
        return None
    match field.kind:
        case FieldKind.CHOICE | FieldKind.CHOICES:
            label = next((option.label for option in field.options if option.value == given), None)
            told = getattr(label, server.language) if label else None
            return Answer(value_coding=_coding(str(given), told, field.name, server))
        case FieldKind.NUMBER:
            return Answer(value_decimal=given)
        case FieldKind.DATE:
            return Answer(value_date=str(given))
        case FieldKind.YES_NO:
            return Answer(value_boolean=bool(given))
    written = Answer(value_string=str(given))
    return written if written.value_string is not None else None


def _consent(name: str, given: Mapping[str, Any], server: Server) -> Iterator[ResponseItem]:
    say = gettext_for(server.language)
    for part in PARTS:
        said = given.get(part)
        if not said:
            continue
        if part == "given_by":
            label = say(CONSENT_GIVERS[ConsentGiver(said)])
            answer = Answer(value_coding=_coding(said, label, "consent-given-by", server))
        else:
            answer = Answer(value_date=said) if part == "date" else Answer(value_string=said)
        yield ResponseItem(link_id=f"{name}.{part}", text=say(CONSENT_PARTS[part]), answer=(answer,))


def _attachments(case: Case, form: FrozenForm, server: Server) -> Iterator[ResponseItem]:
    """The photos and videos, each by its address in the API, where it is shown to who may see it."""
    for slot in case.offering.attachments:
        sent = [one for one in form.content["attachments"] if one["slot"] == slot.name]
        answers = tuple(
            Answer(
                value_attachment=Attachment(
                    url=f"{server.api}/requests/{case.id}/attachments/{one['id']}", title=one.get("caption") or None
                )
            )
            for one in sent
        )
        if answers:
            label = getattr(slot.label, server.language)
            yield ResponseItem(link_id=f"attachments.{slot.name}", text=label, answer=answers)
