"""Drafts that nobody goes on with: their writers are warned, and later they are removed."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from domain.requests import Status
from records.models import (
    Account,
    AccountLetter,
    Attachment,
    FrozenForm,
    LetterStatus,
    Mark,
    PhoneLink,
    RequestRecord,
    Upload,
)


async def take_to_warn(
    session: AsyncSession, untouched_since: datetime, now: datetime, *, again_after: timedelta, limit: int
) -> Sequence[uuid.UUID]:
    """Whose drafts lie since then without a warning, one for each draft; from now on these count as warned of.

    They are warned again where the e-mail did not arrive, no sooner than `again_after`. Who can't sign in is not written to.
    """
    warned_at = RequestRecord.draft_warned_at
    is_lost = and_(warned_at < now - again_after, ~_letter(LetterStatus.SENT, LetterStatus.QUEUED))
    not_warned = or_(warned_at.is_(None), _touched_since(warned_at), is_lost)
    found = (
        select(RequestRecord.id)
        .where(_lies(untouched_since), not_warned, _writer(Account.active))
        .order_by(RequestRecord.id)
        .limit(limit)
    )
    warned = (
        update(RequestRecord)
        .where(RequestRecord.id.in_(found.with_for_update(skip_locked=True)))
        .values(draft_warned_at=now)
        .returning(RequestRecord.requester_id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(warned)).all()


async def to_remove(
    session: AsyncSession,
    untouched_since: datetime,
    told_before: datetime,
    *,
    limit: int,
    after: uuid.UUID | None = None,
    only: uuid.UUID | None = None,
) -> Sequence[uuid.UUID]:
    """Drafts that lie since then, and of which their writers were told in time, or have left: nobody can go on with these.

    The next ones after that draft; or whether `only` this one is such.
    """
    was_told = and_(
        RequestRecord.draft_warned_at < told_before,
        ~_touched_since(RequestRecord.draft_warned_at),
        _letter(LetterStatus.SENT, sent_before=told_before),
    )
    may_go = or_(was_told, _writer(Account.left_at.is_not(None)))
    query = select(RequestRecord.id).where(_lies(untouched_since), may_go).order_by(RequestRecord.id).limit(limit)
    if after is not None:
        query = query.where(RequestRecord.id > after)
    if only is not None:
        query = query.where(RequestRecord.id == only)
    return (await session.scalars(query)).all()


def _lies(since: datetime) -> ColumnElement[bool]:
    """A draft that nobody has touched since then; not one of which a form was frozen once: that stays."""
    return and_(
        RequestRecord.status == Status.DRAFT,
        RequestRecord.submission_id.is_(None),
        ~_touched_since(since),
        ~exists().where(FrozenForm.request_id == RequestRecord.id),
    )


def _touched_since(moment: Any) -> ColumnElement[bool]:
    """Whether somebody did anything with the draft since then: its form, its photos, what is drawn on them, or a telephone.

    A file of which parts have come is on its way until it is given up.
    """
    own = RequestRecord.id
    marks = exists().where(Mark.attachment_id == Attachment.id, Attachment.request_id == own)
    return or_(
        RequestRecord.updated_at >= moment,
        and_(RequestRecord.draft_touched_at.is_not(None), RequestRecord.draft_touched_at >= moment),
        exists().where(Attachment.request_id == own, Attachment.uploaded_at >= moment),
        marks.where(or_(Mark.created_at >= moment, Mark.removed_at >= moment)),
        exists().where(Upload.request_id == own),
        exists().where(PhoneLink.request_id == own, PhoneLink.ends_at >= moment),
    )


def _letter(*statuses: LetterStatus, sent_before: datetime | None = None) -> ColumnElement[bool]:
    """Whether the warning, or one that came after it, is such a letter."""
    letter = exists().where(
        AccountLetter.account_id == RequestRecord.requester_id,
        AccountLetter.kind == LetterKind.DRAFTS_END,
        AccountLetter.created_at >= RequestRecord.draft_warned_at,
        AccountLetter.status.in_(statuses),
    )
    return letter if sent_before is None else letter.where(AccountLetter.sent_at < sent_before)


def _writer(such: ColumnElement[bool] | Any) -> ColumnElement[bool]:
    return exists().where(Account.id == RequestRecord.requester_id, such)
