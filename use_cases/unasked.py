"""Requests that are with a partner which was never asked for them: the upkeep asks.

See docs/decisions/asking-partners.md.
"""

from uuid import UUID

from domain.asked_partners import is_with
from records import partner_outbox, requests, restrictions, service_accounts
from records.errors import NotFoundError
from use_cases.each import all_of_them
from use_cases.gate import Starting


async def ask_for_what_was_left(services: Starting) -> int:
    """Ask partners for what their clinics were given and they were not asked, unless it is shut to them; gives for how many.

    One that fails is left for the next time, and the others are asked for; the last failure is raised then.
    """
    count = 0
    async with services.database.session() as session:
        left = await partner_outbox.left_unasked(session)
    with all_of_them("a partner could not be asked for a request") as each:
        for request_id, partner_id in left:
            with each(request_id):
                count += await _ask(services, request_id, partner_id)
    return count


async def _ask(services: Starting, request_id: UUID, partner_id: UUID) -> bool:
    """Under the lock of the request, by what holds then."""
    async with services.database.session() as session:
        try:
            row = await requests.lock_request(session, request_id)
        except NotFoundError:
            return False
        if (request_id, partner_id) not in await partner_outbox.left_unasked(session):
            return False
        system = await service_accounts.load(session, partner_id)
        process = requests.process_of(row)
        if system is None or not is_with(process, system.account.clinic_id, partner_id):
            return False
        if await restrictions.shuts_out(session, request_id, partner_id):
            return False
        await partner_outbox.ask_now(session, row, partner_id, await requests.timeline(session, request_id))
        return True
