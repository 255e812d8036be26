"""The whole case as one PDF, in the reader's language: the form, the photos, what was said, what was signed, what happened.

For the patient's record at the clinic that asked. It holds what the reader's own page of the request shows, and no more; that it
was taken along is written in the access log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from documents.bounded import draw_case
from documents.case_content import CaseContent, Picture, Said, Section
from documents.content import Practitioner, ReportContent
from documents.overlay import overlay
from documents.page import image_name, known, patient_lines, practitioner_lines, running_head, time_of_capture
from domain.audit import Act
from domain.offerings import ServiceOffering
from domain.photos import UNDESCRIBED, Description
from domain.scans import Hold
from media.jpegs import size_of
from records import attachments, reports, unread_reports
from records.errors import ContentDiffersError, NotFoundError
from records.models import Attachment, RequestRecord
from records.store import digest_in
from translations import Language, gettext_for
from translations.dates import moment
from translations.problems import PROBLEMS
from translations.words import DOCUMENTS, PRIORITIES, RETURN_REASONS, ROLES
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.answers import entries, outcome_entries
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.documents import DocumentView, content_of
from use_cases.drawing import drawn
from use_cases.marks import MarkView, mark_words
from use_cases.names import PersonView, full_name
from use_cases.paper import patient_printed, slot_printed, slots_of
from use_cases.patients import RecordedPatient
from use_cases.problems import Problem
from use_cases.requests import RequestView, request_view
from use_cases.scans import Viewer, scan_rule
from use_cases.services import Services
from use_cases.stored_files import why_not
from use_cases.timeline import TimelineEntry, read_course, timeline_view


@dataclass(frozen=True)
class WholeCase:
    """The PDF, and a name for its file."""

    pdf: bytes
    filename: str


@dataclass(frozen=True)
class _Drawing:
    """What is drawn of an attachment, the `number`th: a photo, the first frame of a video, or a `page` of a document."""

    attachment: Attachment
    key: str
    number: int
    page: int | None = None


@dataclass(frozen=True)
class _Held:
    """An attachment of which nothing is shown, and why."""

    attachment: Attachment
    number: int
    hold: Hold


@dataclass(frozen=True)
class _Read:
    """What the records say of the request, as the reader may see it."""

    view: RequestView
    timeline: Sequence[TimelineEntry]
    offering: ServiceOffering
    reports: Sequence[tuple[DocumentView, ReportContent]]
    pictures: Sequence[_Drawing]
    held: Sequence[_Held]
    """What the reader does not get."""


async def whole_case(
    services: Services, caller: Caller, request_id: UUID, language: Language | None, attended: Attended
) -> WholeCase:
    """Everything of the request that the caller may see, in `language` or their own.

    Raises Problem `not_found`, `forbidden` or `not_yet`; `stored_file_missing` or `stored_file_differs` of a picture;
    `report_not_drawn`, or what `services.places` does.
    """
    language = language or caller.language
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        read = await _read(session, services, caller, row, language)
        await log_access(session, caller, row, Act.EXPORT)
        await unread_reports.note_reading(session, row, caller.actual_id)
    read, pictures = await _with_pictures(services, read)
    case = _content(read, pictures, caller, language, datetime.now(UTC))
    draw = partial(draw_case, case, pictures)
    return WholeCase(await attended(drawn(services, caller, "a whole case", draw)), f"{row.number}.pdf")


async def _read(
    session: AsyncSession, services: Services, caller: Caller, row: RequestRecord, language: Language
) -> _Read:
    course = await read_course(session, row)
    view = await request_view(session, caller, row, "chart", language, scan_rule(services.settings), course)
    contents = []
    for document in view.documents or ():
        frozen = await reports.load_frozen_report(session, document.report_id)
        if frozen is not None:
            contents.append((document, content_of(frozen, document.signed_at)))
    kept = {found.id: found for found in await attachments.list_attachments(session, row.id, with_removed=True)}
    viewer = Viewer.of(services.settings, caller)
    there = [(kept[shown.id], number) for number, shown in enumerate(view.attachments or (), 1)]
    holds = [(attachment, number, viewer.hold(attachment, picture=True)) for attachment, number in there]
    return _Read(
        view=view,
        timeline=timeline_view(course, "chart", language),
        offering=await services.versions.of(session, row),
        reports=contents,
        pictures=[one for attachment, number, hold in holds if not hold for one in _drawings_of(attachment, number)],
        held=[_Held(attachment, number, hold) for attachment, number, hold in holds if hold],
    )


def _drawings_of(attachment: Attachment, number: int) -> Iterator[_Drawing]:
    for page, key in enumerate(attachment.page_keys, 1):
        yield _Drawing(attachment, key, number, page)
    if not attachment.page_keys and attachment.preview_key is not None:
        yield _Drawing(attachment, attachment.preview_key, number)


async def _with_pictures(services: Services, read: _Read) -> tuple[_Read, Mapping[str, bytes]]:
    """What is drawn, with the pictures by the names of their files: without those in which a virus is found meanwhile."""
    found: list[tuple[_Drawing, bytes]] = []
    held: dict[UUID, _Held] = {}
    for drawing in read.pictures:
        try:
            found.append((drawing, await _picture(services, drawing)))
        except Problem as problem:
            if problem.code != Hold.INFECTED.value:
                raise
            held[drawing.attachment.id] = _Held(drawing.attachment, drawing.number, Hold.INFECTED)
    shown = [(drawing, picture) for drawing, picture in found if drawing.attachment.id not in held]
    read = replace(read, pictures=[drawing for drawing, _ in shown], held=[*read.held, *held.values()])
    return read, {f"{number}.jpg": picture for number, (_, picture) in enumerate(shown, 1)}


async def _picture(services: Services, drawing: _Drawing) -> bytes:
    """The copy that was made to be looked at, compared with its digest."""
    attachment, key = drawing.attachment, drawing.key
    try:
        picture = await services.store.get(key)
        if digest_in(key) not in (None, sha256(picture).hexdigest()):
            raise ContentDiffersError
    except (ContentDiffersError, NotFoundError) as error:
        raise await why_not(services, attachment, key, error) from None
    return picture


def _content(
    read: _Read, pictures: Mapping[str, bytes], caller: Caller, language: Language, at: datetime
) -> CaseContent:
    _ = gettext_for(language)
    view = read.view
    patient = patient_printed(RecordedPatient.model_validate(view.patient or {}), language)
    asked_by = Practitioner(name=view.requester.name, clinic=view.requester.clinic) if view.requester else None
    notice = _("Copy made by {name} on {moment}. The signed documents alone are proof.")
    return CaseContent(
        language=language,
        title=_("Case"),
        number=view.number,
        offering=getattr(read.offering.title, language),
        notice=notice.format(name=full_name(caller.account), moment=moment(at, language)),
        made_at=at,
        running_head=running_head(patient, language),
        facts=[
            (_("Patient"), patient_lines(patient, at, language)),
            (_("Requested by"), practitioner_lines(asked_by, language) if asked_by else []),
            (_("Request"), _request(view, language)),
        ],
        sections=tuple(section for section in _sections(read, pictures, language) if not section.is_empty),
        page_of=_("Page {page} of {pages}"),
    )


def _request(view: RequestView, language: Language) -> list[list[str]]:
    _ = gettext_for(language)
    return known(
        ("", view.status_label),
        (_("Priority"), _(PRIORITIES[view.priority])),
        (_("Asked on"), moment(view.submitted_at, language) if view.submitted_at else None),
    )


def _sections(read: _Read, pictures: Mapping[str, bytes], language: Language) -> Iterator[Section]:
    _ = gettext_for(language)
    view = read.view
    recorded_by = view.requester.name if view.requester else ""
    form = entries(read.offering.form, view.answers or {}, language, recorded_by=recorded_by)
    for document, report in read.reports:
        yield Section(
            title=_(DOCUMENTS[document.kind]),
            said=(Said(head=_line(document.signer, document.signed_at, language, f"SHA-256 {document.sha256}")),),
            entries=tuple(entry for entry in report.answer if entry.value),
        )
    yield Section(title=_("Form of the request"), entries=form)
    yield Section(
        title=_("Photos, videos and documents"),
        said=tuple(_said_of(held, language) for held in read.held),
        pictures=tuple(_pictures(read, pictures, language)),
    )
    yield Section(title=_("Questions and answers"), said=tuple(_exchange(view, language)))
    yield Section(title=_("Added by the requester"), said=tuple(_additions(view, language)))
    yield Section(title=_("Questions about the report"), said=tuple(_follow_ups(view, language)))
    yield Section(title=_("What the requester says of the answer"), entries=outcome_entries(view.outcome, language))
    yield Section(title=_("History"), said=tuple(_happened(entry, language) for entry in read.timeline))


def _line(by: PersonView | None, at: datetime, language: Language, *more: str) -> str:
    """« Dre Anne Roy, Clinique du Fleuve · 20 novembre 2026 à 13 h 05 »."""
    who = f"{by.name}, {by.clinic}" if by else ""
    return " · ".join(filter(None, (who, moment(at, language), *more)))


def _said_of(held: _Held, language: Language) -> Said:
    name = image_name(held.attachment.kind, held.number, language)
    return Said(head=name, text=gettext_for(language)(PROBLEMS[held.hold.value]))


def _pictures(read: _Read, pictures: Mapping[str, bytes], language: Language) -> Iterator[Picture]:
    _ = gettext_for(language)
    slots = slots_of(read.offering, language)
    said = {a.id: Description(caption=a.caption, view=a.view) for a in read.view.attachments or ()}
    for file, drawing in enumerate(read.pictures, 1):
        found = drawing.attachment
        slot = slot_printed(slots, found.slot, said.get(found.id, UNDESCRIBED), language)
        if found.kind == "video":
            slot = _("{slot}, its first picture").format(slot=slot)
        there = (found.id, drawing.page or 1)
        marks = [mark for mark in read.view.marks or () if (mark.attachment_id, mark.page) == there]
        yield Picture(
            file=f"{file}.jpg",
            name=image_name(found.kind, drawing.number, language),
            note=f"{slot}, {_what_is_known(drawing, language)}",
            marks=tuple(_line(mark.by, mark.at, language, mark_words(mark, language)) for mark in marks),
            overlay=_overlay(marks, size_of(pictures[f"{file}.jpg"])) if marks else "",
        )


def _overlay(marks: Sequence[MarkView], size: tuple[int, int]) -> str:
    return overlay([(mark.kind, mark.start, mark.end) for mark in marks], *size)


def _what_is_known(drawing: _Drawing, language: Language) -> str:
    """Which page it is of a document; of anything else when it was taken."""
    if drawing.page is None:
        return time_of_capture(drawing.attachment.captured_at, language)
    _ = gettext_for(language)
    return _("page {number} of {count}").format(number=drawing.page, count=len(drawing.attachment.page_keys))


def _exchange(view: RequestView, language: Language) -> Iterator[Said]:
    _ = gettext_for(language)
    for question in view.questions or ():
        state = _("withdrawn") if question.state == "withdrawn" else ""
        yield Said(head=_line(question.asked_by, question.asked_at, language, state), text=question.text)
        if question.answered_at:
            yield Said(head=_line(view.requester, question.answered_at, language), text=question.answer or "")


def _additions(view: RequestView, language: Language) -> Iterator[Said]:
    _ = gettext_for(language)
    for added in view.additions or ():
        worse = _("Getting worse") if added.worse else ""
        yield Said(head=_line(added.by, added.at, language, worse), text=added.text)


def _follow_ups(view: RequestView, language: Language) -> Iterator[Said]:
    _ = gettext_for(language)
    for asked in view.follow_ups or ():
        yield Said(head=_line(asked.asked_by, asked.asked_at, language), text=asked.text)
        if asked.answered_at:
            answer = asked.answer or _("Answered by an addendum to the report")
            yield Said(head=_line(asked.answered_by, asked.answered_at, language), text=answer)


def _who(entry: TimelineEntry, language: Language) -> str:
    _ = gettext_for(language)
    if entry.by is None:
        return ""
    if entry.system is not None:
        return _("%(system)s, for %(name)s") % {"system": entry.system.name, "name": entry.by.name}
    return f"{entry.by.name}, {_(ROLES[entry.role])}"


def _happened(entry: TimelineEntry, language: Language) -> Said:
    """What happened, who did it and in which role, to whom the request went, and what was said that no other section tells."""
    _ = gettext_for(language)
    who = _who(entry, language)
    held = entry.holder.person.name if entry.holder.person else entry.holder.clinic
    to = f"→ {held}" if entry.status != entry.status_before and held else ""
    reason = entry.details.get("reason")
    chosen = [_(RETURN_REASONS[reason])] if reason and reason in RETURN_REASONS else []
    return Said(
        head=" · ".join(filter(None, (moment(entry.at, language), entry.label, who, to))),
        text="\n".join((*chosen, *entry.words)),
    )
