"""Other requests about the patient of a request: earlier ones, open ones, and what the caller is writing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.requests import Status
from records import same_patient as found
from records.access import Find, log_each
from records.models import Json, RequestRecord
from records.worklist import WorklistRow
from translations import Language
from use_cases import policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.requests import RequestSummary, patient_shown, summaries
from use_cases.services import Services
from use_cases.worklist import ONE_SEARCH


async def read_same_patient(
    services: Services, caller: Caller, request_id: UUID, language: Language
) -> list[RequestSummary]:
    """Other requests about probably the same patient whose chart the caller may see, the newest first; each find is written down.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        lines = await found.same_patient(session, caller.viewer, await patient_shown(session, row, caller), but=row.id)
        await log_finds(session, caller, lines)
        return await summaries(session, caller, lines, language)


async def open_for_same_patient(session: AsyncSession, caller: Caller, row: RequestRecord) -> list[WorklistRow]:
    """What is open already about the same patient and offering, as far as the caller may see it: before they submit another."""
    patient: Json = row.form["patient"]
    lines = await found.same_patient(session, caller.viewer, patient, but=row.id)
    return [line for line in lines if line.request.status.is_open and line.request.offering == row.offering]


async def log_finds(session: AsyncSession, caller: Caller, lines: Sequence[WorklistRow]) -> None:
    """Write down which requests the caller was shown as this patient's. Drafts are nobody else's business."""
    now = datetime.now(UTC)
    finds = [
        Find(line.request.id, policy.role_before(caller, line.request), line.request.process_version)
        for line in lines
        if line.request.status is not Status.DRAFT
    ]
    if finds:
        await log_each(session, by(caller), Act.SEARCH, finds, at=now, since=now - ONE_SEARCH)
