"""What was written in earlier reports, for who writes the next one: of the request itself, and of the requests it follows."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from documents.content import Entry
from domain.audit import Act
from domain.requests import DocumentKind
from records import reports, requests, visibility
from records.models import RequestRecord
from records.sealed import NOT_OPENED, tell_not_opened
from translations import Language
from use_cases import policy
from use_cases.accesses import log_unless_just_seen
from use_cases.caller import Caller
from use_cases.documents import content_of
from use_cases.services import Services
from use_cases.views import View

MOST_REQUESTS = 5
"""So many requests back."""


class EarlierReport(View):
    """A signed report or addendum: what was written in it, without what was chosen or counted."""

    report_id: UUID
    request_number: str
    kind: DocumentKind
    signed_at: datetime
    language: Language
    texts: list[Entry]


async def earlier_reports(services: Services, caller: Caller, request_id: UUID) -> list[EarlierReport]:
    """Those that the caller may read, the newest first; the look at each is written down.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    found = []
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        async for request in _followed(session, caller, row):
            for document in reversed(await reports.documents_of(session, request.id)):
                frozen = await reports.load_frozen_report(session, document.report_id)
                if frozen is None:
                    continue
                content = content_of(frozen, document.signed_at)
                texts = [entry for entry in content.answer if not entry.brief]
                if texts:
                    await log_unless_just_seen(session, caller, request, Act.DOCUMENT, document.report_id)
                    found.append(
                        EarlierReport(
                            report_id=document.report_id,
                            request_number=request.number,
                            kind=document.kind,
                            signed_at=document.signed_at,
                            language=content.language,
                            texts=texts,
                        )
                    )
    return found


async def _followed(session: AsyncSession, caller: Caller, row: RequestRecord) -> AsyncIterator[RequestRecord]:
    """The request, and those that it follows, as far as the caller sees their charts; up to one that does not open."""
    request: RequestRecord | None = row
    for _ in range(MOST_REQUESTS):
        if request is None:
            return
        seen = request is row or await visibility.access(session, caller.viewer, request) == "chart"
        if seen and not requests.is_without_form(request):
            yield request
        earlier_id = request.earlier_id
        try:
            request = await requests.load_for_anybody(session, earlier_id) if earlier_id else None
        except NOT_OPENED as error:
            tell_not_opened("requests.form", str(earlier_id), error)
            return
