"""Forms as they were submitted: frozen with their SHA-256 before the command that submits them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.forms import FormContent, FrozenAttachment, WholeForm, changes
from domain.requests import EventName, FormVersion
from records.attachments import description_of, list_attachments
from records.canonical import content_sha256
from records.errors import StaleVersionError
from records.models import Attachment, EventRecord, FrozenForm, RequestRecord
from records.requests import check_editable, lock_request, process_of
from records.sealed import in_clear


async def freeze_form(
    session: AsyncSession,
    request_id: uuid.UUID,
    *,
    command_id: str,
    frozen_by: uuid.UUID,
    now: datetime,
    expected_version: int | None = None,
) -> FormVersion:
    """Freeze the form as it stands, for the `submit` or `resubmit` of that id; the same content again is the same version.

    Raises NotFoundError, NotEditableError, SubmissionUnderWayError, or StaleVersionError when `expected_version` is not the
    visible version any more.
    """
    row = await lock_request(session, request_id)
    check_editable(row)
    if expected_version not in (None, row.version):
        raise StaleVersionError(row.version)
    content = await _content(session, row)
    query = select(FrozenForm).where(FrozenForm.request_id == request_id).order_by(FrozenForm.number.desc()).limit(1)
    latest = await session.scalar(query)
    sha256 = content_sha256(content)
    if latest is not None and (latest.command_id, latest.sha256) == (command_id, sha256):
        return FormVersion(number=latest.number, sha256=sha256)
    form = FormVersion(number=(latest.number if latest else 0) + 1, sha256=sha256)
    session.add(
        FrozenForm(
            request_id=request_id,
            number=form.number,
            content=content,
            sha256=form.sha256,
            frozen_at=now,
            frozen_by=frozen_by,
            command_id=command_id,
        )
    )
    await session.flush()
    return form


async def _content(session: AsyncSession, row: RequestRecord) -> FormContent:
    """What would be frozen of the form as it stands."""
    terms = process_of(row).terms
    return {
        "offering": terms.offering,
        "offering_version": terms.offering_version,
        "priority": row.form_priority.value,
        "patient": row.form["patient"],
        "answers": row.form["answers"],
        "attachments": [_frozen(attachment) for attachment in await list_attachments(session, row.id)],
        "ordered": True,
    }


def _frozen(attachment: Attachment) -> FrozenAttachment:
    frozen: FrozenAttachment = {
        "id": str(attachment.id),
        "slot": attachment.slot,
        "kind": attachment.kind,
        "sha256": attachment.sha256,
    }
    return cast(FrozenAttachment, frozen | description_of(attachment).model_dump())


async def is_unchanged(session: AsyncSession, row: RequestRecord) -> bool:
    """Whether the form says just what it said when it was submitted the last time."""
    submitted = await submitted_forms(session, row.id)
    return bool(submitted) and not changes(cast(WholeForm, submitted[-1].content), await _content(session, row))


async def load_form(session: AsyncSession, request_id: uuid.UUID, number: int) -> FrozenForm | None:
    return await session.get(FrozenForm, (request_id, number))


async def patients_named(session: AsyncSession, row: RequestRecord) -> list[Mapping[str, Any]]:
    """Whom the request is about, as its form says it now and as every version said it that was frozen: who goes on with a form
    may have named another patient, and have submitted that never.
    """
    frozen = await session.scalars(
        select(FrozenForm).where(FrozenForm.request_id == row.id).order_by(FrozenForm.number)
    )
    found: list[Mapping[str, Any]] = []
    for patient in (row.form["patient"], *(form.content["patient"] for form in frozen)):
        if patient not in found:
            found.append(patient)
    return found


async def submitted_forms(session: AsyncSession, request_id: uuid.UUID) -> list[FrozenForm]:
    """The forms with which the request was submitted and resubmitted, oldest first; not those whose command was refused."""
    query = (
        select(FrozenForm)
        .join(
            EventRecord,
            and_(
                EventRecord.request_id == FrozenForm.request_id,
                in_clear(EventRecord.command)["form"]["number"].as_integer() == FrozenForm.number,
                EventRecord.name.in_((EventName.SUBMITTED, EventName.RESUBMITTED)),
            ),
        )
        .where(FrozenForm.request_id == request_id)
        .order_by(FrozenForm.number)
    )
    return list(await session.scalars(query))
