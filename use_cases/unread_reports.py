"""Reports that lie unread: others of their requester's clinic are told, once."""

from datetime import UTC, datetime
from uuid import UUID

from activities.contract import UnreadReport
from records import notices, unread_reports
from use_cases.gate import Starting
from use_cases.single_notice import send_by_itself

PAGE = 100


async def tell_clinics(services: Starting) -> UnreadReport:
    """Plan an e-mail to each who sees such a report by now, and have them sent; gives of how many requests.

    A request is marked in the transaction that plans its e-mails, so nobody is told twice; those that are planned and not sent
    when this breaks off are sent by the repair. Raises what the database or the engine raises when it is away.
    """
    told = 0
    while True:
        async with services.database.session() as session:
            page = await unread_reports.list_untold(session, PAGE)
        for request_id in page:
            for notice_id in await _plan(services, request_id):
                await send_by_itself(services, notice_id)
        told += len(page)
        if len(page) < PAGE:
            return UnreadReport(requests=told)


async def _plan(services: Starting, request_id: UUID) -> list[UUID]:
    async with services.database.session() as session:
        row = await unread_reports.lock_untold(session, request_id, datetime.now(UTC))
        return await notices.plan_unread_report_notices(session, row) if row else []
