"""What becomes of a command that is written down: it is given to its workflow, and what the workflow can't note is noted."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import lifecycle
from domain.commands import PublicCommand
from domain.refusals import Refusal
from domain.requests import Request, Source
from records import commands, notices, refusals, requests, shut_holders
from records.errors import NotFoundError
from records.models import GivenCommand, RequestRecord
from use_cases import gate
from use_cases.gate import EngineFaultError, NotGivenError, NotYetError, Starting
from use_cases.services import Services
from use_cases.single_notice import send_by_itself

log = structlog.get_logger(__name__)

ENGINE_FAULT = "internal_error"
"""The refusal of a command that the engine does not take, however often it is given."""


async def give(
    services: Services, request: Request, command: PublicCommand, *, given_at: datetime, is_behind: bool = False
) -> RequestRecord | None:
    """Give a command that was just written down, as `gate.give` does, and note its end where that is known now.

    Taken: the projection notes it. Refused: what it had closed opens again. For sure not given: it is as if it had never been.
    Else nobody knows, and it stays on its way until it is given again. Raises Refusal or GateError.
    """
    try:
        return await _give(services, request, command, is_behind=is_behind)
    except Refusal as refusal:
        if is_behind and await _is_behind(services, request.id, command):
            await _withdraw(services, request.id, command, given_at)
            raise NotYetError from None
        await _note_refusal(services, request.id, command, refusal.code)
        raise
    except (NotGivenError, NotYetError, EngineFaultError):
        await _withdraw(services, request.id, command, given_at)
        raise


async def repeat(services: Services, request: Request, given: GivenCommand) -> RequestRecord | None:
    """Give a command that is on its way once more, for its giver who asks again; `request` is its state in the records.

    Raises Refusal, or GateError: then it is as much on its way as before.
    """
    command = commands.command_in(given)
    is_behind, is_queued = _refusal_of(request, command) is not None, given.queued_at is not None
    try:
        return await _give(services, request, command, is_behind=is_behind, is_queued=is_queued)
    except Refusal as refusal:
        await _note_refusal(services, request.id, command, refusal.code)
        raise


async def give_again(services: Starting, given: GivenCommand) -> None:
    """Give an overdue command again (`records.commands.overdue`), and tell its giver by e-mail when it is refused in the end.

    Those of one request come in their order. What is over by now is left alone. Raises GateError when the engine does not answer.
    """
    async with services.database.session() as session:
        row = await requests.load_request(session, given.request_id)
        if row is None:
            return
        await requests.lock_request(session, row.id)
        known = await commands.load_command(session, given.request_id, given.command_id)
        if known is None or known.settled_at is not None or await _is_over(session, row, known):
            return
        known.given_at = datetime.now(UTC)
    request, command = requests.process_of(row), commands.command_in(known)
    refusal = _refusal_of(request, command)
    code: str | None = None
    try:
        receipt = await gate.hand_over(
            services, request, command, is_behind=refusal is not None, is_queued=known.queued_at is not None
        )
        if receipt is None:
            await _note_queued(services, request.id, command.id)
    except Refusal as refused:
        code = refused.code
    except EngineFaultError:
        code = ENGINE_FAULT
    except NotYetError:  # no workflow has it, and by the records it is not legal
        code = refusal.code if refusal else ENGINE_FAULT
    if code is not None:
        log.warning("an overdue command was refused", command=command.type, request_id=str(request.id), code=code)
        for notice_id in await _note_refusal(services, request.id, command, code, tell=True):
            await send_by_itself(services, notice_id)


async def _is_over(session: AsyncSession, row: RequestRecord, known: GivenCommand) -> bool:
    """Whether it takes the request, whose row is locked, away from somebody who may see it by now: then that is its end.

    What lies in the engine by then acts all the same.
    """
    if known.queued_at is not None or not commands.is_of_relais(known):
        return False
    if await shut_holders.is_still_needed(session, row):
        return False
    code, now = commands.NOT_NEEDED, datetime.now(UTC)
    await commands.settle_refused(session, row.id, known.command_id, code=code, now=now)
    return True


async def _give(
    services: Services, request: Request, command: PublicCommand, *, is_behind: bool, is_queued: bool = False
) -> RequestRecord | None:
    shown = await gate.give(services, request, command, is_behind=is_behind, is_queued=is_queued)
    if shown is None:
        await _note_queued(services, request.id, command.id)
    return shown


async def _is_behind(services: Starting, request_id: UUID, command: PublicCommand) -> bool:
    """Whether one that was given before it is still on its way: a workflow that has not got that one refuses too early."""
    async with services.database.session() as session:
        given = await commands.on_their_way(session, request_id)
    return bool(given) and given[0].command_id != command.id


async def _withdraw(services: Starting, request_id: UUID, command: PublicCommand, given_at: datetime) -> None:
    with suppress(SQLAlchemyError, OSError, NotFoundError):  # else it stays on its way, which is as true
        async with services.database.session() as session:
            await commands.withdraw(session, request_id, command.id, given_at)


async def _note_queued(services: Starting, request_id: UUID, command_id: str) -> None:
    with suppress(SQLAlchemyError, OSError):  # what it says is only that its giver knows
        async with services.database.session() as session:
            await commands.note_queued(session, request_id, command_id, datetime.now(UTC))


def _refusal_of(request: Request, command: PublicCommand) -> Refusal | None:
    try:
        lifecycle.decide(request, command, datetime.now(UTC))
    except Refusal as refusal:
        return refusal
    return None


async def _note_refusal(
    services: Starting, request_id: UUID, command: PublicCommand, code: str, *, tell: bool = False
) -> list[UUID]:
    """Write the refusal down and open what the command had closed; the notices to send, where its giver is to be told so."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        await refusals.note_refusal(
            session,
            request_id=request_id,
            command_id=command.id,
            name=command.type,
            code=code,
            actor_id=command.actor.id,
            source=Source.UPDATE,
            at=now,
        )
        settled = await commands.settle_refused(session, request_id, command.id, code=code, now=now, is_late=tell)
        return await notices.plan_refused_command_notices(session, settled) if tell and settled else []
