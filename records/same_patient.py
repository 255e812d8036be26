"""Other requests about the same patient, among those whose chart somebody may see."""

import uuid
from collections.abc import Mapping

from sqlalchemy import and_, true
from sqlalchemy.ext.asyncio import AsyncSession

from domain.same_patient import is_same_patient, words_in_common
from records.models import RequestRecord
from records.search import find_patient, sift
from records.visibility import Viewer, charts_of
from records.ways import Order, Sieve, only_asked
from records.worklist import WorklistRow, lines_of

MOST = 100
"""So many requests of one patient are shown."""


async def same_patient(
    session: AsyncSession, viewer: Viewer, patient: Mapping[str, object], *, but: uuid.UUID | None = None
) -> list[WorklistRow]:
    """The newest requests that are probably about this patient, without `but`, the newest first."""
    finds = find_patient(session, viewer, words_in_common(patient))
    others = RequestRecord.id != but if but is not None else true()
    sieve = Sieve(condition=and_(others, only_asked(charts_of(viewer))))
    found = await sift(session, finds, sieve, Order("creation", descending=True), None, MOST)
    lines = await lines_of(session, viewer, found.first)
    return [line for line in lines if line.patient is not None and is_same_patient(patient, line.patient)]
