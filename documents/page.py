"""Makes of a report's content the texts that stand on its pages, in its language and in their order (`report.typ` draws them).

It is laid out as a clinician's letter: page one says who the patient is, what the answer is and who signed it; what explains
it follows, then the images, what was asked and said, and the form. What leads the answer always begins on page one: where it
is too long for it, `report.typ` takes the longest of `lead` that fits, and the whole text follows.
"""

import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from documents.content import Entry, Image, Message, Patient, Practitioner, ReportContent
from documents.length import lines_of
from domain.calendar import day_of
from domain.priority import Priority
from domain.requests import DocumentKind
from translations import Language, gettext_for, gettext_noop
from translations.dates import age, birth, moment
from translations.words import DOCUMENTS, ISSUERS, PRIORITIES, SEXES

IMAGE_KINDS = {"photo": gettext_noop("Photo"), "video": gettext_noop("Video"), "document": gettext_noop("Document")}

LEAD_LENGTHS = tuple(round(3_600 * 0.85**step) for step in range(25))
"""How long, in characters, each text that leads may be on page one: from a page full down to a line or so."""

MOST_LINES_ON_PAGE_ONE = 60
"""More than any page one takes: what is estimated to be longer isn't tried."""

QUESTION_LENGTH = 700
MESSAGE_LENGTH = 700
MOST_MESSAGES = 12
"""What is printed of the question and of the exchange; all of it is in the attached data."""

HEAD_NAME_LENGTH = 60
CUT = "[…]"
_CHARACTERS_IN_LINE = 60


def page(report: ReportContent, *, preview: bool) -> dict[str, Any]:
    """What `report.typ` draws: nothing but texts, and what is empty where there is nothing to draw."""
    _ = gettext_for(report.language)
    title = _(DOCUMENTS[DocumentKind(report.kind)])
    return {
        "language": report.language,
        "preview_mark": _("PREVIEW – NOT SIGNED") if preview else None,
        "preliminary": report.kind == "preliminary",
        "title": title,
        "offering": report.offering_title,
        "author": report.signer.name,
        "document_title": f"{title} – {report.request_number}",
        "running_head": running_head(report.patient, report.language),
        "clinic": report.clinic.model_dump(),
        "notice": _notice(report),
        "facts": [
            [_("Patient"), patient_lines(report.patient, report.signed_at, report.language)],
            [_("Requested by"), practitioner_lines(report.requester, report.language)],
            [_("Request"), _request(report)],
        ],
        **_signature(report, preview=preview),
        **_answer(report),
        **_case(report),
        "foot": _("Request {number} · Preview").format(number=report.request_number)
        if preview
        else _("Request {number} · Document {document}").format(
            number=report.request_number, document=report.document_id
        ),
        "page_of": _("Page {page} of {pages}"),
        "empty": _("Not given"),
        "attachment": _("The content of this report, for machines"),
        "stand_ins_note": _(
            "A character that this document can't print is shown as its code, such as [U+1F642]. "
            "The text as it was written is in the attached data."
        ),
    }


def shortened(text: str, length: int) -> str:
    """`text` in about that many characters, cut between words and marked as cut; as it is where it is short enough."""
    lines = text.split("\n")
    most = max(2, length // _CHARACTERS_IN_LINE)
    held = "\n".join(lines[:most])
    if len(held) > length:
        held = _cut(held, length)
    return text if held == text else f"{held.rstrip()} {CUT}"


def _cut(text: str, length: int) -> str:
    """The words of `text` within that length; within a word only where there is no end of one."""
    end = max(text.rfind(space, length // 2, length) for space in " \n\t")
    if end < 0:
        end = length
        while end > 1 and unicodedata.category(text[end])[0] == "M":
            end -= 1
    return text[:end]


def _answer(report: ReportContent) -> dict[str, Any]:
    """What leads, as it is and ever shorter, then what explains it. Old content says of nothing that it leads: then all does."""
    _ = gettext_for(report.language)
    marked = any(entry.leads for entry in report.answer)
    leading = [entry for entry in report.answer if entry.leads or not marked]
    written = [entry for entry in leading if not entry.brief]
    tries = [[_lead(entry, length) for entry in written] for length in (_longest(written), *LEAD_LENGTHS)]
    fitting = [lead for lead in tries if sum(lines_of(text["value"]) for text in lead) <= MOST_LINES_ON_PAGE_ONE]
    return {
        "answer_title": _("Answer"),
        "briefs": _shown(entry for entry in leading if entry.brief),
        "whole": _shown(written),
        "lead": fitting or tries[-1:],
        "whole_title": _("The whole answer"),
        "details_title": _("Details"),
        "details": _shown(entry for entry in report.answer if entry not in leading),
        "cut_note": _("{cut} The whole text follows.").format(cut=CUT),
    }


def _longest(entries: Iterable[Entry]) -> int:
    """A length that leaves every text as it is."""
    return max((max(len(e.value), _CHARACTERS_IN_LINE * (e.value.count("\n") + 1)) for e in entries), default=1)


def _lead(entry: Entry, length: int) -> dict[str, Any]:
    text = shortened(entry.value, length)
    return {"label": entry.label, "value": text, "is_cut": text != entry.value}


def _case(report: ReportContent) -> dict[str, Any]:
    """What the answer is about: images, question, exchange, form. An addendum repeats none of it."""
    _ = gettext_for(report.language)
    is_addendum = report.kind == "addendum"
    questions = [entry for entry in report.question if entry.leads]
    asked = [entry.model_copy(update={"value": shortened(entry.value, QUESTION_LENGTH)}) for entry in questions]
    said = report.exchange[-MOST_MESSAGES:]
    exchange = [_message(message, report.language) for message in said]
    form = [entry for entry in report.question if not entry.leads or entry not in asked]
    is_cut = len(said) < len(report.exchange) or any(message["is_cut"] for message in exchange)
    return {
        "images_title": _("Photos and videos that this answer rests on"),
        "images": [] if is_addendum else [_image(image, report.language) for image in report.images],
        "question_title": _("Question"),
        "question": [] if is_addendum else _shown(asked),
        "exchange_title": _("Questions and answers"),
        "exchange": [] if is_addendum else exchange,
        "exchange_note": _("{cut} The exchange is shortened here; all of it is in the attached data.").format(cut=CUT)
        if is_cut
        else None,
        "form_title": _("Form of the request"),
        "form": [] if is_addendum else _shown(form),
    }


def _shown(entries: Iterable[Entry]) -> list[dict[str, str]]:
    return [{"label": entry.label, "value": entry.value} for entry in entries]


def _message(message: Message, language: Language) -> dict[str, Any]:
    text = shortened(message.text, MESSAGE_LENGTH)
    return {"author": message.author, "at": moment(message.at, language), "text": text, "is_cut": text != message.text}


def _image(image: Image, language: Language) -> list[str]:
    """What it is called, and what is known of it."""
    return [
        image_name(image.kind, image.number, language),
        f"{image.slot}, {time_of_capture(image.captured_at, language)}",
    ]


def image_name(kind: str, number: int, language: Language) -> str:
    """« Photo 2 »."""
    return f"{gettext_for(language)(IMAGE_KINDS[kind])} {number}"


def time_of_capture(at: datetime | None, language: Language) -> str:
    """« prise le 20 novembre 2026 à 13 h 05 », or that nobody knows."""
    _ = gettext_for(language)
    return _("taken on {moment}").format(moment=moment(at, language)) if at else _("time of capture unknown")


def running_head(patient: Patient, language: Language) -> list[str]:
    """Who the patient is, on every page that follows: the name, and what else tells them apart."""
    _ = gettext_for(language)
    born = _("birth: {day}").format(day=birth(patient.birth_date, language)) if patient.birth_date else None
    length = HEAD_NAME_LENGTH * len(patient.name) // _width(patient.name)
    name = patient.name if len(patient.name) <= length else f"{_cut(patient.name, length)}…"
    number = patient.health_insurance_number
    return [name, " · ".join(filter(None, [born, number and shortened(number, HEAD_NAME_LENGTH)]))]


def _width(name: str) -> int:
    """How wide it is, in letters of ours; those of syllabics and ideographs are twice as wide."""
    return sum(2 if unicodedata.category(letter) == "Lo" else 1 for letter in name)


def _signature(report: ReportContent, *, preview: bool) -> dict[str, Any]:
    _ = gettext_for(report.language)
    return {
        "signature_title": _("To be signed by") if preview else _("Signed electronically by"),
        "signer": practitioner_lines(report.signer, report.language),
        "signature_time": None if preview else moment(report.signed_at, report.language, zone=True),
        "signature_statement": None if preview else _statement(report),
    }


def _statement(report: ReportContent) -> str:
    """What the signature proves, and where anybody can check that."""
    _ = gettext_for(report.language)
    statement = _(
        "The electronic signature is in the file itself: it proves who signed and that nothing changed since. "
        "A printed copy cannot prove it."
    )
    if report.verified_at is None:
        return statement
    where = _("To check it: {address}").format(address=report.verified_at)
    return f"{statement} {where}"


def _notice(report: ReportContent) -> list[str]:
    """What a reader must know before reading on: that the report is not final, and which document came before."""
    _ = gettext_for(report.language)
    lines = []
    if report.kind == "preliminary":
        lines.append(_("This report is preliminary. A final report will follow."))
    if report.earlier:
        sentence, undated = {
            "preliminary": (
                _("The preliminary report of {moment} came before it."),
                _("It follows an earlier preliminary report."),
            ),
            "final": (
                _("The preliminary report of {moment} is replaced by this one."),
                _("This report replaces an earlier preliminary report."),
            ),
            "addendum": (
                _("This addendum completes the final report of {moment}, which remains valid."),
                _("This addendum completes the final report, which remains valid."),
            ),
        }[report.kind]
        at = report.earlier.signed_at
        lines.append(sentence.format(moment=moment(at, report.language)) if at else undated)
    return lines


def patient_lines(patient: Patient, at: datetime, language: Language) -> list[list[str]]:
    """What is known of the patient, each with its label, with the age at that moment; the name first."""
    _ = gettext_for(language)
    on = day_of(at)
    return known(
        ("", patient.name),
        (_("Mother"), patient.mother_name),
        (_("Birth"), _birth(patient.birth_date, on, language) if patient.birth_date else None),
        (_("Health insurance number"), patient.health_insurance_number),
        (_("Issuer"), _(ISSUERS[patient.health_insurance_issuer]) if patient.health_insurance_issuer else None),
        (_("Sex"), _(SEXES[patient.sex]) if patient.sex else None),
    )


def _birth(born: str, on: date, language: Language) -> str:
    """« 14 mars 1958 (68 ans) », with the age on that day."""
    return f"{birth(born, language)} ({age(born, language, on)})"


def practitioner_lines(practitioner: Practitioner, language: Language) -> list[list[str]]:
    """What is known of somebody who acts, each with its label; the name first."""
    _ = gettext_for(language)
    return known(
        ("", practitioner.name),
        ("", practitioner.title),
        (_("Licence"), practitioner.licence_number),
        ("", practitioner.clinic),
    )


def _request(report: ReportContent) -> list[list[str]]:
    _ = gettext_for(report.language)
    return known(
        ("", report.request_number),
        (_("Priority"), _(PRIORITIES[Priority(report.priority)])),
        (_("Asked on"), moment(report.asked_at, report.language)),
    )


def known(*lines: tuple[str, str | None]) -> list[list[str]]:
    """The lines that say something."""
    return [[label, value] for label, value in lines if value]
