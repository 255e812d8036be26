"""What a list shows of the charts of its requests: the answers of the form, and the first photo.

Asked of the few requests of one page, after these were found.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, and_, case, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from records.models import Attachment, FrozenForm, Json, RequestRecord
from records.sealed import with_key_if_it_opens

_PHOTO = "photo"


@dataclass(frozen=True)
class Glimpse:
    """Of one request: the answers by field, to the offering in that version, and the id of the first photo of the form."""

    offering_version: int
    answers: Json
    first_photo_id: uuid.UUID | None


async def glimpses_of(
    session: AsyncSession, account_id: uuid.UUID, request_ids: Collection[uuid.UUID]
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
    query = (
        select(
            RequestRecord.id,
            terms["offering_version"].as_integer(),
            case(
                (as_it_stands, with_key_if_it_opens(RequestRecord.form)), else_=with_key_if_it_opens(FrozenForm.content)
            ),
            as_it_stands,
            case((as_it_stands, _first_photo_now()), else_=null()),
        )
        .outerjoin(FrozenForm, and_(FrozenForm.request_id == RequestRecord.id, FrozenForm.number == form_number))
        .where(RequestRecord.id.in_(request_ids))
    )
    return {
        id_: Glimpse(version, form["answers"] or {}, photo_now if is_now else _first_photo_of(form["attachments"]))
        for id_, version, form, is_now, photo_now in await session.execute(query)
        if form is not None
    }


def _first_photo_now() -> ScalarSelect[uuid.UUID]:
    return (
        select(Attachment.id)
        .where(Attachment.request_id == RequestRecord.id, Attachment.kind == _PHOTO, Attachment.removed_at.is_(None))
        .order_by(Attachment.position, Attachment.id)
        .limit(1)
        .scalar_subquery()
    )


def _first_photo_of(frozen: Iterable[Mapping[str, str]]) -> uuid.UUID | None:
    return next((uuid.UUID(attachment["id"]) for attachment in frozen if attachment["kind"] == _PHOTO), None)
