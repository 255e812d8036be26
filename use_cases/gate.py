"""The way of a command to its workflow, and honest answers about what became of it.

The records' row when the workflow took it and the records show it; nothing when it is durably queued because no worker answers; a
refusal as the rules gave it; an error of its own when the engine can't be reached. Never a row for something that may be lost.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypedDict
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain import lifecycle
from domain.commands import AddAddendum, AskFollowUp, PublicCommand, ReadForRequester, Submit
from domain.effects import AnyEffect, Deliver, Finalize
from domain.refusals import Refusal, RefusalCode
from domain.requests import EventName, Request
from engine.running import last_status
from records import requests
from records.database import Database
from records.feed import Watch
from records.models import RequestRecord
from records.notices import queued_notices
from settings import Settings
from use_cases.services import Services
from workflows.contract import MANNER, TELECONSULTATION, Receipt, Start, workflow_id

log = structlog.get_logger(__name__)

_starts = asyncio.Semaphore(4)
"""Each start keeps a connection to the database while the engine works. The others are for those who only want to read."""

_ENGINE_ANSWERS_WITHIN = timedelta(seconds=5)

_A_MOMENT_SECONDS = 1.0
"""So much longer than its own time-out a call may take."""

_OUR_FAULT = {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.OUT_OF_RANGE}
"""What the engine would answer again and again. Whatever else it says, UNKNOWN and NOT_FOUND among it, may be the last word of an
engine that goes away or the first of one that comes: to try again with the same key is right and harmless.
"""


class GateError(Exception):
    """A command did not get through, for no fault of its own."""


class EngineUnreachableError(GateError):
    """The engine does not answer, or not in time. Whether it took the command is not known; to give it again is harmless."""


class NotGivenError(EngineUnreachableError):
    """The engine does not answer, and for sure never heard of the command."""


class NotYetError(GateError):
    """The command stands behind others that the engine has not got yet: it was not given."""


class EngineFaultError(GateError):
    """The engine or the workflow refused the command in a way that a second try would not better; the cause is in the log."""


class Starting(Protocol):
    """What it takes to begin a workflow; all of it outlives the command."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def engine(self) -> Client: ...


class _Beginning(TypedDict):
    """How the workflow of a request begins."""

    arg: Start
    id: str
    task_queue: str
    id_conflict_policy: WorkflowIDConflictPolicy
    id_reuse_policy: WorkflowIDReusePolicy
    static_summary: str


async def give(
    services: Services, request: Request, command: PublicCommand, *, is_behind: bool = False, is_queued: bool = False
) -> RequestRecord | None:
    """Give `command` to the workflow of `request` (its state in the records); the records' row that shows what came of it.

    `is_behind`: it is legal only after others that are on their way, so it waits for a workflow that has these. `is_queued`: the
    engine has it already, should no worker answer again. None when it is queued: durable, but not carried out or not visible yet.
    Raises Refusal or GateError.
    """
    with services.feed.watch(request.id) as watch:
        receipt = await hand_over(services, request, command, is_behind=is_behind, is_queued=is_queued)
        return None if receipt is None else await _shown(services, receipt, watch)


async def hand_over(
    services: Starting, request: Request, command: PublicCommand, *, is_behind: bool = False, is_queued: bool = False
) -> Receipt | None:
    """`give` for who does not wait for the records: the workflow's answer, or None when the command is queued."""
    if not await is_reachable(services.engine, _engine_patience(services), retry=True):
        log.warning("engine not reachable; command not given", command=command.type, request_id=str(request.id))
        raise NotGivenError
    if is_behind:
        return await _give_behind(services, request, command, is_queued)
    if request.needs_workflow:
        return await _give_to_running(services, request, command, is_queued)
    return await _give_with_start(services, request, command, is_queued)


async def _shown(services: Services, receipt: Receipt, watch: Watch) -> RequestRecord | None:
    """The row as soon as it has the version of `receipt`.

    None when the records don't show it in time, or are away: the command is taken, and that is what must be answered.
    """
    with suppress(SQLAlchemyError, OSError):
        if await watch.reaches(receipt.version, services.settings.projection_timeout_seconds):
            return await _row_at(services, receipt)
    return None


async def _row_at(services: Services, receipt: Receipt) -> RequestRecord | None:
    async with services.database.statement() as session:
        row = await requests.load_process(session, receipt.request_id)
    return row if row is not None and row.process_version >= receipt.version else None


async def _give_to_running(
    services: Starting, request: Request, command: PublicCommand, is_queued: bool
) -> Receipt | None:
    """To the workflow of an open request. One that the engine has lost begins anew with the state in the records."""
    try:
        return await _update_or_signal(services, request, command, is_queued)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return await _give_with_start(services, request, command, is_queued)
        raise _engine_problem(error) from error


async def _give_behind(services: Starting, request: Request, command: PublicCommand, is_queued: bool) -> Receipt | None:
    """To the workflow that has the commands before it, or to none: a new one would not know them."""
    try:
        return await _update_or_signal(services, request, command, is_queued)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotYetError from None
        raise _engine_problem(error) from error


async def _update_or_signal(
    services: Starting, request: Request, command: PublicCommand, is_queued: bool
) -> Receipt | None:
    handle = services.engine.get_workflow_handle(workflow_id(request.id))
    patience = _patience(services)
    try:
        try:
            async with _no_longer_than(patience):
                receipt: Receipt = await handle.execute_update(
                    command.type, command, id=command.id, result_type=Receipt, rpc_timeout=patience
                )
        except (WorkflowUpdateRPCTimeoutOrCancelledError, RPCError) as error:
            if not _nobody_can_take_it(error):
                raise
            if not is_queued:
                _log_queued(request, command)
                await handle.signal(command.type, command, rpc_timeout=_engine_patience(services))
            return None
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from None
    return receipt


def _no_longer_than(patience: timedelta) -> asyncio.Timeout:
    """The server ends each wait for an update by itself after 20 seconds, and the client begins another: `rpc_timeout` is for
    each of them. What breaks off here is raised as WorkflowUpdateRPCTimeoutOrCancelledError as well.
    """
    return asyncio.timeout(patience.total_seconds() + _A_MOMENT_SECONDS)


def _nobody_can_take_it(error: Exception) -> bool:
    """Whether no worker answers, or every answer of the workers fails (their code or keys do not fit the workflow)."""
    if isinstance(error, RPCError):
        return error.status is RPCStatusCode.FAILED_PRECONDITION
    return True


async def _give_with_start(
    services: Starting, request: Request, command: PublicCommand, is_queued: bool
) -> Receipt | None:
    """Begin the workflow of a draft, take one up again that was over (an addendum, a question), or replace one that is lost.

    One at a time for each request, and by the newest state: a workflow that began with an old one would live a second life.
    """
    given, receipt = False, None
    try:
        async with _starts, services.database.session() as session:
            await requests.lock_start(session, request.id)
            newest = await requests.load_request(session, request.id)
            if newest is not None and newest.process_version > request.version:
                request = requests.process_of(newest)
            decision = lifecycle.decide(request, command, datetime.now(UTC))
            if decision.event is None:
                return Receipt(request_id=request.id, version=request.version, status=request.status)
            start = _start(services, request, command, await _unfinished(session, request))
            receipt = await _update_with_start(services, start, request, command, is_queued)
            given = True
    except (SQLAlchemyError, OSError):
        if not given:  # the end of the session, which only gives the lock back, undoes nothing
            raise
    return receipt


async def take_up(services: Starting, request_id: UUID, *, dry_run: bool = False) -> bool:
    """Begin anew the workflow that the engine has lost of a request that needs one; whether there was one to begin.

    One that runs is left alone, and so is a request in which nothing is left to do. Raises RPCError.
    """
    async with _starts, services.database.session() as session:
        await requests.lock_start(session, request_id)
        row = await requests.load_request(session, request_id)
        if row is None:
            return False
        request = requests.process_of(row)
        if (
            not request.needs_workflow
            or await last_status(services.engine, workflow_id(request.id)) is WorkflowExecutionStatus.RUNNING
        ):
            return False
        if not dry_run:
            start = _start(services, request, None, await _unfinished(session, request))
            await services.engine.start_workflow(TELECONSULTATION, **start, rpc_timeout=_patience(services))
        return True


async def _unfinished(session: AsyncSession, request: Request) -> tuple[AnyEffect, ...]:
    """What the workflow of `request` still had to do, by the records: of use when the engine has lost it."""
    effects: list[AnyEffect] = []
    for event in await requests.timeline(session, request.id):
        if unsent := await queued_notices(session, request.id, event.version):
            effects.append(Deliver.again(request.id, event.version, event.name, unsent, datetime.now(UTC)))
        signed = event.name in (EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED)
        if signed and request.signing and event.command["report_id"] == str(request.signing.report_id):
            effects.append(Finalize.again(request.id, event.version, event.command_id, request.signing))
    return tuple(effects)


async def _update_with_start(
    services: Starting, start: _Beginning, request: Request, command: PublicCommand, is_queued: bool
) -> Receipt | None:
    patience = _patience(services)
    try:
        try:
            async with _no_longer_than(patience):
                receipt: Receipt = await services.engine.execute_update_with_start_workflow(
                    command.type,
                    command,
                    id=command.id,
                    result_type=Receipt,
                    start_workflow_operation=WithStartWorkflowOperation(TELECONSULTATION, **start),
                    rpc_timeout=patience,
                )
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if not is_queued:
                _log_queued(request, command)
                await services.engine.start_workflow(
                    TELECONSULTATION,
                    **start,
                    start_signal=command.type,
                    start_signal_args=[command],
                    rpc_timeout=_engine_patience(services),
                )
            return None
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from None
    except RPCError as error:
        raise _engine_problem(error) from error
    return receipt


def _log_queued(request: Request, command: PublicCommand) -> None:
    """No worker answers: the command stays as a Signal, which is durable. The ledger of command ids makes both one."""
    log.warning("no worker answered; command queued", command=command.type, request_id=str(request.id))


def _start(
    services: Starting, request: Request, command: PublicCommand | None, outbox: tuple[AnyEffect, ...]
) -> _Beginning:
    return _Beginning(
        arg=Start(
            request=request,
            command=command if isinstance(command, Submit | AddAddendum | AskFollowUp | ReadForRequester) else None,
            mail_task_queue=services.settings.mail_task_queue,
            manner=MANNER,
            outbox=outbox,
        ),
        id=workflow_id(request.id),
        task_queue=services.settings.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=request.number,
    )


def _patience(services: Starting) -> timedelta:
    """How long a worker may take."""
    return timedelta(seconds=services.settings.command_timeout_seconds)


def _engine_patience(services: Starting) -> timedelta:
    """How long the engine itself may take, for what needs no worker."""
    return max(_patience(services), _ENGINE_ANSWERS_WITHIN)


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in set(RefusalCode):
        return Refusal(RefusalCode(cause.type), cause.message)
    log.error("an update failed in an unknown way", error=type(cause).__name__)
    return EngineFaultError()


def _engine_problem(error: RPCError) -> GateError:
    log.warning("engine unreachable", status=error.status.name)
    if error.status in _OUR_FAULT:
        return EngineFaultError()
    return EngineUnreachableError()


async def is_reachable(engine: Client, patience: timedelta = timedelta(seconds=2), *, retry: bool = False) -> bool:
    """Whether the Temporal server answers within that time; with `retry` not at the first passing fault of the connection."""
    try:
        return await engine.service_client.check_health(timeout=patience, retry=retry)
    except RPCError:
        return False
