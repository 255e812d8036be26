"""Marks on photos and pages of documents: arrows, circles and measured lines in a layer of their own, with who drew it and when.

What was sent is never changed. Whoever sees it sees its marks; the requester and the provider add theirs until the request is
over.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID, uuid5

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.marks import (
    LEAST_LINE,
    LEAST_RULER,
    Calibration,
    MarkKind,
    Point,
    length_in_pixels,
    measured_mm,
)
from domain.model import COMPOSED, ONE_LINE, Frozen
from media.jpegs import size_of
from media.kinds import MAX_PAGES
from records import marks, requests
from records.errors import ContentDiffersError, NotFoundError
from records.ids import new_id
from records.models import Attachment, Mark, RequestRecord
from translations import Language, gettext_for
from translations import gettext_noop as _
from translations.numbers import number
from translations.problems import FIELD_PROBLEMS
from translations.typography import COLON, NO_BREAK_SPACE
from use_cases import policy
from use_cases.accesses import log_unless_opened
from use_cases.attachments import visible_attachments
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.stored_files import why_not
from use_cases.views import View

MOST_MARKS = 100
"""So many a photo, or a document, can have."""

MAX_LABEL = 80
"""Characters of what is written at a mark."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_LABEL), COMPOSED, ONE_LINE]

Page = Annotated[int, Field(ge=1, le=MAX_PAGES, strict=True)]


class NewMark(Frozen):
    """What somebody draws on a photo, or on a page of a document."""

    kind: MarkKind
    page: Page = Field(1, description="Of a document, counted from 1; a photo has one.")
    start: Point
    end: Point
    label: Label = Field("", description="A few words that stand at it, in one line.", examples=["Bord irrégulier"])
    calibration: Calibration | None = Field(
        None,
        description="Of a measure, and only of one: a line along a ruler in the picture. The length follows from it.",
    )

    @model_validator(mode="after")
    def _measured_by_a_ruler(self) -> Self:
        if self.kind is MarkKind.MEASURE and self.calibration is None:
            raise PydanticCustomError("no_calibration", FIELD_PROBLEMS["no_calibration"])
        if self.kind is not MarkKind.MEASURE and self.calibration is not None:
            raise PydanticCustomError("not_measured", FIELD_PROBLEMS["not_measured"])
        return self


class MarkView(View):
    """What somebody drew on a photo, or on a page of a document."""

    id: UUID
    attachment_id: UUID
    page: int
    kind: MarkKind
    start: Point
    end: Point
    label: str
    length_mm: float | None = Field(
        description="Of a measure, in millimetres to a tenth, if all of the line lies as far away as the ruler.",
        examples=[12.0],
    )
    calibration: Calibration | None = Field(description="Of a measure: by which line along a ruler it was measured.")
    by: PersonView | None
    at: datetime
    removable: bool = Field(description="The caller drew it and may remove it now.")


_KINDS: Mapping[MarkKind, str] = {
    MarkKind.ARROW: _("Arrow"),
    MarkKind.CIRCLE: _("Circle"),
    MarkKind.MEASURE: _("Measured line"),
}


def mark_words(mark: MarkView, language: Language) -> str:
    """« Flèche : bord irrégulier », “12 mm”."""
    if mark.length_mm is None:
        what = gettext_for(language)(_KINDS[mark.kind])
    else:
        what = f"{number(mark.length_mm, language)}{NO_BREAK_SPACE}mm"
    return f"{what}{COLON[language]} {mark.label}" if mark.label else what


async def list_marks(services: Services, caller: Caller, request_id: UUID, attachment_id: UUID) -> list[MarkView]:
    """The marks on a photo or document, oldest first. Raises Problem `not_found`, `forbidden` or `not_yet`."""
    async with services.database.session() as session:
        row, _there = await _seen(session, caller, request_id, attachment_id)
        await log_unless_opened(session, caller, row, attachment_id)
        return await marks_on(session, caller, row, [attachment_id])


async def marks_on(
    session: AsyncSession, caller: Caller, row: RequestRecord, attachment_ids: Collection[UUID]
) -> list[MarkView]:
    """The marks on these photos and documents of the request, which the caller may see, oldest first."""
    found = await marks.list_marks(session, attachment_ids)
    names = await Names.load(session, [mark.account_id for mark in found], [])
    may_mark = bool(found) and policy.may_mark(caller, row, requests.process_of(row))
    return [_view(mark, caller, names, may_mark=may_mark) for mark in found]


async def add_mark(
    services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, wanted: NewMark, key: str | None
) -> MarkView:
    """Draw on a photo, or on a page of a document. The same `key` draws once.

    Raises Problem `not_found`, `forbidden` or `not_yet`; `marks_closed` when the request is over, `not_a_photo` for a video,
    `invalid_input`, `too_many_marks` or `idempotency_key_reused`; `stored_file_missing`, `stored_file_differs` or
    `file_infected` of a page.
    """
    async with services.database.session() as session:
        _row, there = await _seen(session, caller, request_id, attachment_id)
    size = await _size(services, there, wanted.page)
    async with services.database.session() as session:
        await _seen(session, caller, request_id, attachment_id)
        row = await _to_mark(session, caller, request_id)
        length = _length(wanted, size)
        mark_id = uuid5(attachment_id, f"{caller.id}:{key}") if key else new_id()
        mark = await marks.load_mark(session, attachment_id, mark_id)
        if mark is None:
            if await marks.count_marks(session, attachment_id) >= MOST_MARKS:
                raise Problem("too_many_marks", limit=MOST_MARKS)
            mark = await marks.add_mark(
                session,
                mark_id=mark_id,
                attachment_id=attachment_id,
                page=wanted.page,
                account_id=caller.id,
                kind=wanted.kind,
                drawn=_drawn(wanted),
                label=wanted.label,
                length_mm=length,
                now=datetime.now(UTC),
            )
            await requests.announce(session, row)
        elif (mark.kind, mark.page, mark.drawn, mark.label) != (
            wanted.kind,
            wanted.page,
            _drawn(wanted),
            wanted.label,
        ):
            raise Problem("idempotency_key_reused")
        return _view(mark, caller, await Names.load(session, [caller.id], []), may_mark=True)


async def remove_mark(services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, mark_id: UUID) -> None:
    """Take away what one has drawn oneself.

    Raises as `add_mark` does, and Problem `not_found` when it is not there any more, `forbidden` when somebody else drew it.
    """
    async with services.database.session() as session:
        await _seen(session, caller, request_id, attachment_id)
        row = await _to_mark(session, caller, request_id)
        mark = await marks.load_mark(session, attachment_id, mark_id)
        if mark is None or mark.removed_at is not None:
            raise Problem("not_found")
        if mark.account_id != caller.id:
            raise Problem("forbidden")
        await marks.remove_mark(session, mark, now=datetime.now(UTC))
        await requests.announce(session, row)


async def _seen(
    session: AsyncSession, caller: Caller, request_id: UUID, attachment_id: UUID
) -> tuple[RequestRecord, Attachment]:
    row = await policy.chart_to_see(session, caller, request_id)
    return row, _one_of(await visible_attachments(session, row, caller), attachment_id)


def _one_of(visible: Iterable[Attachment], attachment_id: UUID) -> Attachment:
    there = next((a for a in visible if a.id == attachment_id), None)
    if there is None:
        raise Problem("not_found")
    return there


async def _to_mark(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, locked, if the caller may draw now on what it shows them."""
    try:
        row = await requests.lock_request(session, request_id)
    except NotFoundError:  # a draft that was removed meanwhile
        raise Problem("not_found") from None
    policy.must_be_marking(caller, row, requests.process_of(row))
    return row


async def _size(services: Services, there: Attachment, page: int) -> tuple[int, int]:
    """Of the picture that is drawn on, in its pixels. Not within a session: the document store may need one.

    Raises Problem `not_a_photo`, `invalid_input` where it has no such page, or what `stored_files.why_not` gives.
    """
    if there.kind == "video":
        raise Problem("not_a_photo")
    if page > max(1, len(there.page_keys)):
        raise Problem("invalid_input", [FieldFault("page", "no_such_page")])
    if not there.page_keys:
        return there.width or 1, there.height or 1
    key = there.page_keys[page - 1]
    try:
        return size_of(await services.store.get(key))
    except (ContentDiffersError, NotFoundError) as error:
        raise await why_not(services, there, key, error) from None


def _length(wanted: NewMark, size: tuple[int, int]) -> float | None:
    """How long a measure is on a picture of that size. Raises Problem `invalid_input` for a line or a ruler that is too short."""
    if length_in_pixels(wanted.start, wanted.end, *size) < LEAST_LINE:
        raise Problem("invalid_input", [FieldFault("end", "same_place")])
    ruler = wanted.calibration
    if ruler is None:
        return None
    if length_in_pixels(ruler.start, ruler.end, *size) < LEAST_RULER:
        raise Problem("invalid_input", [FieldFault("calibration", "ruler_too_short")])
    return measured_mm(wanted.start, wanted.end, ruler, *size)


def _drawn(wanted: NewMark) -> dict[str, object]:
    return wanted.model_dump(mode="json", include={"start", "end", "calibration"})


def _view(mark: Mark, caller: Caller, names: Names, *, may_mark: bool) -> MarkView:
    return MarkView(
        id=mark.id,
        attachment_id=mark.attachment_id,
        page=mark.page,
        kind=MarkKind(mark.kind),
        label=mark.label,
        length_mm=mark.length_mm,
        by=names.person(mark.account_id),
        at=mark.created_at,
        removable=may_mark and mark.account_id == caller.id,
        **mark.drawn,
    )
