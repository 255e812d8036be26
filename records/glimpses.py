"""What a list shows of the charts of its requests: the answers of the form, and the first photo that its reader gets.

Asked of the few requests of one page, after these were found.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, and_, case, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from domain.scans import ScanRule, ScanState
from records.models import Attachment, FrozenForm, Json, RequestRecord
from records.sealed import with_key_if_it_opens

_PHOTO = "photo"


@dataclass(frozen=True)
class Glimpse:
    """Of one request: the answers by field, to the offering in that version, and the id of the first photo of the form.

    Of the photos that a virus scan keeps back from the reader there is none.
    """

    offering_version: int
    answers: Json
    first_photo_id: uuid.UUID | None


async def glimpses_of(
    session: AsyncSession, account_id: uuid.UUID, rule: ScanRule, request_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Glimpse]:
    """By request, with the form as it was submitted; for its requester who edits it (`account_id`), as it stands.

    A request whose form does not open is left out.
    """
    terms, form_number = RequestRecord.process["terms"], RequestRecord.process["form"]["number"].as_integer()
    is_edited = and_(
        RequestRecord.requester_id == account_id,
        RequestRecord.status.in_([status for status in Status if status.is_with_requester]),
    )
    as_it_stands = or_(is_edited, FrozenForm.request_id.is_(None))
    is_held = _is_held(account_id, rule)
    query = (
        select(
            RequestRecord.id,
            terms["offering_version"].as_integer(),
            case(
                (as_it_stands, with_key_if_it_opens(RequestRecord.form)), else_=with_key_if_it_opens(FrozenForm.content)
            ),
            as_it_stands,
            case((as_it_stands, _first_photo_now(is_held)), else_=null()),
            case((as_it_stands, null()), else_=_photos_held(is_held)),
        )
        .outerjoin(FrozenForm, and_(FrozenForm.request_id == RequestRecord.id, FrozenForm.number == form_number))
        .where(RequestRecord.id.in_(request_ids))
    )
    return {
        id_: Glimpse(
            version, form["answers"] or {}, photo_now if is_now else _first_photo_of(form["attachments"], held or ())
        )
        for id_, version, form, is_now, photo_now, held in await session.execute(query)
        if form is not None
    }


def _is_held(account_id: uuid.UUID, rule: ScanRule) -> ColumnElement[bool]:
    """Whether that account does not get the pictures of an attachment."""

    def held(*, shows_sender: bool) -> list[ScanState]:
        return [state for state in ScanState if rule.hold(state, shows_sender=shows_sender)]

    return case(
        (Attachment.uploaded_by == account_id, Attachment.scan.in_(held(shows_sender=True))),
        else_=Attachment.scan.in_(held(shows_sender=False)),
    )


def _photos_held(is_held: ColumnElement[bool]) -> ScalarSelect[list[uuid.UUID]]:
    return (
        select(func.array_agg(Attachment.id))
        .where(Attachment.request_id == RequestRecord.id, Attachment.kind == _PHOTO, is_held)
        .scalar_subquery()
    )


def _first_photo_now(is_held: ColumnElement[bool]) -> ScalarSelect[uuid.UUID]:
    is_there = and_(
        Attachment.request_id == RequestRecord.id, Attachment.kind == _PHOTO, Attachment.removed_at.is_(None)
    )
    return (
        select(Attachment.id)
        .where(is_there, ~is_held)
        .order_by(Attachment.position, Attachment.id)
        .limit(1)
        .scalar_subquery()
    )


def _first_photo_of(frozen: Iterable[Mapping[str, str]], held: Collection[uuid.UUID]) -> uuid.UUID | None:
    photos = (uuid.UUID(attachment["id"]) for attachment in frozen if attachment["kind"] == _PHOTO)
    return next((id_ for id_ in photos if id_ not in held), None)
