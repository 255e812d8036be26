"""Requests that are with a partner which was never asked for them: the upkeep asks.

See docs/decisions/asking-partners.md.
"""

from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from domain.asked_partners import is_with
from records import partner_outbox, requests, restrictions
from records.errors import NotFoundError
from use_cases.gate import Starting

log = structlog.get_logger(__name__)


async def ask_for_what_was_left(services: Starting) -> int:
    """Ask partners for what their clinics were given and they were not asked, unless it is shut to them; gives for how many.

    One that can't be read now is logged and left for the next time, and the others are asked for.
    """
    count = 0
    async with services.database.session() as session:
        left = await partner_outbox.left_unasked(session)
    for request_id, partner_id in left:
        try:
            count += await _ask(services, request_id, partner_id)
        except (*requests.UNREADABLE, SQLAlchemyError) as error:
            name = type(error).__name__
            log.error("a partner could not be asked for a request", request_id=str(request_id), error=name)
    return count


async def _ask(services: Starting, request_id: UUID, partner_id: UUID) -> bool:
    """Under the lock of the request, by what holds then."""
    async with services.database.session() as session:
        try:
            row = await requests.lock_request(session, request_id)
        except NotFoundError:
            return False
        if (request_id, partner_id) not in await partner_outbox.left_unasked(session, request_id):
            return False
        if row.holder_clinic_id is None or not is_with(requests.process_of(row), row.holder_clinic_id, partner_id):
            return False
        if await restrictions.shuts_out(session, request_id, partner_id):
            return False
        await partner_outbox.ask_now(session, row, partner_id, await requests.timeline(session, request_id))
        return True
