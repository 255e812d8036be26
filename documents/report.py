"""The report as a document: what is printed on it, and its drawing as a PDF.

`ReportContent` holds everything that the paper shows, `report.typ` draws it. The result is at the same time PDF/A-3a (to be
kept for decades) and PDF/UA-1 (readable by a screen reader), and carries its own content as an attached JSON file, so that a
machine never has to read it back from the page.

Drawing is deterministic: the same content gives the same bytes.
"""

import json
import re
import struct
import unicodedata
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import typst
from babel.dates import format_date, format_datetime
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from translations import Language, gettext_for, gettext_noop

FOLDER = Path(__file__).resolve().parent
TIME_ZONE = ZoneInfo("America/Toronto")
LOCALES: dict[Language, str] = {"fr": "fr_CA", "en": "en_CA"}
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

TITLES = {
    "preliminary": gettext_noop("Preliminary report"),
    "final": gettext_noop("Final report"),
    "addendum": gettext_noop("Addendum"),
}
PRIORITIES = {
    "asap": gettext_noop("As soon as possible"),
    "urgent": gettext_noop("Urgent"),
    "routine": gettext_noop("Routine"),
}
SEXES = {
    "female": gettext_noop("Female"),
    "male": gettext_noop("Male"),
    "other": gettext_noop("Other"),
    "unknown": gettext_noop("Unknown"),
}


class Printed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Clinic(Printed):
    """The head of the page: the clinic that answers."""

    name: str
    address_lines: tuple[str, ...] = ()
    phone: str | None = None


class Patient(Printed):
    """The patient; whatever is not known is left out of the page."""

    name: str = Field(min_length=1)
    birth_date: date | None = None
    health_insurance_number: str | None = None
    sex: Literal["female", "male", "other", "unknown"] | None = None


class Practitioner(Printed):
    """The requester or the signer, as the page names them. `title` is the profession, e.g. « Dermatologue »."""

    name: str = Field(min_length=1)
    title: str | None = None
    clinic: str | None = None
    licence_number: str | None = None


class Entry(Printed):
    """One question of a form and its answer, as text in the language of the report. Line breaks in `value` are kept."""

    label: str
    value: str


class Message(Printed):
    """One message of the exchange between provider and requester."""

    author: str
    at: AwareDatetime
    text: str


class EarlierDocument(Printed):
    """The signed document that this one follows. `sha256` is that of the whole signed file, in hexadecimal."""

    document_id: UUID
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ReportContent(Printed):
    """Everything that a report shows. An addendum always names the document that it adds to."""

    language: Language
    kind: Literal["preliminary", "final", "addendum"]
    document_id: UUID
    earlier: EarlierDocument | None = None

    request_number: str
    priority: Literal["asap", "urgent", "routine"]
    offering_title: str
    asked_at: AwareDatetime
    signed_at: AwareDatetime

    clinic: Clinic
    patient: Patient
    requester: Practitioner
    signer: Practitioner

    question: tuple[Entry, ...]
    exchange: tuple[Message, ...] = ()
    answer: tuple[Entry, ...]

    @model_validator(mode="after")
    def _addendum_names_what_it_adds_to(self) -> Self:
        if self.kind == "addendum" and self.earlier is None:
            raise ValueError("an addendum names the document that it adds to")
        return self


def render_report(report: ReportContent, *, preview: bool = False) -> bytes:
    """The report as PDF/A-3a and PDF/UA-1, ready to be signed.

    A preview shows the same page under a mark that it is not signed. It is no PDF/A and has nothing attached: it is to be looked
    at and thrown away.

    Takes some tens of milliseconds of processor time: call it in a thread. Signs that the fonts cannot draw (an emoji, a
    Chinese name) are printed as their code, e.g. ``[U+1F642]``; the attached JSON has them as they were written.
    """
    compiler = typst.Compiler(
        input=FOLDER / "report.typ",
        root=FOLDER,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={
            "page": json.dumps(_drawable(_page(report, preview=preview), report.language), ensure_ascii=False),
            "content": report.model_dump_json(indent=2),
        },
    )
    pdf = compiler.compile(
        format="pdf",
        pdf_standards=["ua-1"] if preview else ["a-3a", "ua-1"],
        timestamp=report.signed_at.astimezone(UTC).replace(microsecond=0),
    )
    # PDF/A wants an end-of-line after the last mark of the file before anything is appended, as the signature will be.
    return cast(bytes, pdf) + b"\n"


def _page(report: ReportContent, *, preview: bool) -> dict[str, Any]:
    """What `report.typ` draws: nothing but texts in the language of the report, in the order of the page."""
    _ = gettext_for(report.language)
    title = _(TITLES[report.kind])
    return {
        "language": report.language,
        "preview_mark": _("PREVIEW – NOT SIGNED") if preview else None,
        "preliminary": report.kind == "preliminary",
        "title": title,
        "offering": report.offering_title,
        "author": report.signer.name,
        "document_title": f"{title} – {report.request_number}",
        "running_head": " · ".join(filter(None, [report.patient.name, report.patient.health_insurance_number])),
        "clinic": report.clinic.model_dump(),
        "notice": _notice(report),
        "earlier_hash": f"SHA-256 {report.earlier.sha256}" if report.earlier else None,
        "facts": [
            [_("Patient"), _patient(report.patient, report.language)],
            [_("Requester"), _practitioner(report.requester, report.language)],
            [_("Request"), _request(report, preview=preview)],
        ],
        "question_title": _("Question"),
        "question": [entry.model_dump() for entry in report.question],
        "exchange_title": _("Questions and answers"),
        "exchange": [
            {"author": message.author, "at": _moment(message.at, report.language), "text": message.text}
            for message in report.exchange
        ],
        "answer_title": _("Answer"),
        "answer": [entry.model_dump() for entry in report.answer],
        "signature_title": _("To be signed by") if preview else _("Signed electronically by"),
        "signer": _practitioner(report.signer, report.language),
        "signature_time": _moment(report.signed_at, report.language, zone=True),
        "signature_statement": _(
            "The electronic signature is in the file itself: it proves who signed and that nothing changed since. "
            "A printed copy cannot prove it."
        ),
        "foot": _("Request {number} · Preview").format(number=report.request_number)
        if preview
        else _("Request {number} · Document {document}").format(
            number=report.request_number, document=report.document_id
        ),
        "page_of": _("Page {page} of {pages}"),
        "empty": _("Not given"),
        "attachment": _("The content of this report, for machines"),
    }


def _notice(report: ReportContent) -> list[str]:
    """What a reader must know before reading on: that the report is not final, and which document came before."""
    _ = gettext_for(report.language)
    lines = []
    if report.kind == "preliminary":
        lines.append(_("This report is preliminary. A final report will follow."))
    if report.earlier:
        sentence = {
            "preliminary": _("It follows document {document}."),
            "final": _("This report replaces the preliminary report {document}."),
            "addendum": _("This addendum completes the report {document}, which remains valid."),
        }[report.kind]
        lines.append(sentence.format(document=report.earlier.document_id))
    return lines


def _patient(patient: Patient, language: Language) -> list[list[str]]:
    _ = gettext_for(language)
    return _known(
        ("", patient.name),
        (_("Born on"), _day(patient.birth_date, language) if patient.birth_date else None),
        (_("Health insurance number"), patient.health_insurance_number),
        (_("Sex"), _(SEXES[patient.sex]) if patient.sex else None),
    )


def _practitioner(practitioner: Practitioner, language: Language) -> list[list[str]]:
    _ = gettext_for(language)
    return _known(
        ("", practitioner.name),
        ("", practitioner.title),
        (_("Licence"), practitioner.licence_number),
        ("", practitioner.clinic),
    )


def _request(report: ReportContent, *, preview: bool) -> list[list[str]]:
    _ = gettext_for(report.language)
    return _known(
        ("", report.request_number),
        (_("Priority"), _(PRIORITIES[report.priority])),
        (_("Asked on"), _moment(report.asked_at, report.language)),
        (_("Signed on"), None if preview else _moment(report.signed_at, report.language)),
    )


def _known(*lines: tuple[str, str | None]) -> list[list[str]]:
    return [[label, value] for label, value in lines if value]


def _day(day: date, language: Language) -> str:
    """« 1er novembre 2026 », “November 1, 2026”."""
    return format_date(day, _day_pattern(day, language), locale=LOCALES[language])


def _moment(at: datetime, language: Language, *, zone: bool = False) -> str:
    """« 22 novembre 2026 à 9 h 05 HNE », “November 22, 2026 at 09:05 EST”, in the time of the clinics."""
    local = at.astimezone(TIME_ZONE)
    hour = f"'à' H{NO_BREAK_SPACE}'h'{NO_BREAK_SPACE}mm" if language == "fr" else "'at' HH:mm"
    pattern = f"{_day_pattern(local, language)} {hour}{' z' if zone else ''}"
    return format_datetime(local, pattern, tzinfo=TIME_ZONE, locale=LOCALES[language])


def _day_pattern(day: date, language: Language) -> str:
    if language == "en":
        return "MMMM d, y"
    return "d'er' MMMM y" if day.day == 1 else "d MMMM y"


def _drawable(value: Any, language: Language) -> Any:
    """The same tree with every text made fit for the page."""
    match value:
        case str():
            return _drawable_text(value, language)
        case list() | tuple():
            return [_drawable(item, language) for item in value]
        case dict():
            return {key: _drawable(item, language) for key, item in value.items()}
    return value


def _drawable_text(text: str, language: Language) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4))
    if language == "fr":
        text = french_spaces(text)
    return "".join(character if character in _characters() else _stand_in(character) for character in text)


def french_spaces(text: str) -> str:
    """Makes the spaces that French wants before `: ; ! ?` and inside « » unbreakable.

    Only where there is a space already: the words of a clinician are never changed, and 10:30 or an address stays whole.
    """
    text = re.sub(r" (?=[:;!?»])", NO_BREAK_SPACE, text)
    return re.sub(r"(?<=«) ", NO_BREAK_SPACE, text)


def _stand_in(character: str) -> str:
    """What is printed for a character that the fonts do not have; the invisible ones (controls, joiners) leave nothing."""
    if character == "\n":
        return character
    if unicodedata.category(character) in {"Cc", "Cf"} or unicodedata.name(character, "").startswith(
        "VARIATION SELECTOR"
    ):
        return ""
    return f"[U+{ord(character):04X}]"


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER / "fonts"])


@cache
def _characters() -> frozenset[str]:
    """The characters that every font of the report can draw."""
    fonts = [_characters_of(path.read_bytes()) for path in sorted((FOLDER / "fonts").glob("*.ttf"))]
    common = frozenset.intersection(*fonts)
    return frozenset(character for character in common if character.isprintable() or character == NO_BREAK_SPACE)


def _characters_of(font: bytes) -> frozenset[str]:
    """Reads the character map of a TrueType font: its Unicode table of format 12 (OpenType specification, `cmap`)."""
    (tables,) = struct.unpack_from(">H", font, 4)
    directory = (struct.unpack_from(">4sIII", font, 12 + 16 * number) for number in range(tables))
    cmap = next(offset for tag, _, offset, _ in directory if tag == b"cmap")
    (maps,) = struct.unpack_from(">H", font, cmap + 2)
    subtables = [cmap + struct.unpack_from(">HHI", font, cmap + 4 + 8 * number)[2] for number in range(maps)]
    full = next(offset for offset in subtables if struct.unpack_from(">H", font, offset) == (12,))
    (groups,) = struct.unpack_from(">I", font, full + 12)
    return frozenset(
        chr(code)
        for number in range(groups)
        for first, last, _ in [struct.unpack_from(">III", font, full + 16 + 12 * number)]
        for code in range(first, last + 1)
    )
