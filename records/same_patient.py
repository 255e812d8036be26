"""Other requests about the same patient, among those whose chart somebody may see."""

import uuid
from collections.abc import Mapping

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.same_patient import is_same_patient, words_in_common
from records.models import RequestRecord
from records.patient_words import SearchKeys, keys_of
from records.search import with_patient
from records.visibility import Viewer, charts_of
from records.ways import only_asked
from records.worklist import WorklistRow, lines_of

MOST = 100
"""So many requests of one patient are shown."""


async def same_patient(
    session: AsyncSession, viewer: Viewer, patient: Mapping[str, object], *, but: uuid.UUID
) -> list[WorklistRow]:
    """The newest requests that are probably about this patient, without `but`, the newest first."""
    keys = keys_of(session)
    ways = [_has_all(words, viewer, keys) for words in words_in_common(patient)]
    if not ways or not keys.keys:
        return []
    query = (
        select(RequestRecord.id)
        .where(or_(*ways), RequestRecord.id != but, only_asked(charts_of(viewer)))
        .order_by(RequestRecord.created_at.desc(), RequestRecord.id.desc())
        .limit(MOST)
    )
    lines = await lines_of(session, viewer, (await session.scalars(query)).all())
    return [line for line in lines if line.patient is not None and is_same_patient(patient, line.patient)]


def _has_all(words: frozenset[str], viewer: Viewer, keys: SearchKeys) -> ColumnElement[bool]:
    return and_(*(RequestRecord.id.in_(with_patient(viewer, frozenset({word}), keys)) for word in sorted(words)))
