"""The way of a command: may its giver see the request and give the command, then it is written down, then its workflow has it.

What is wanted is an `Order` (`use_cases.orders`); `carry_out` sees it through. `giving` and `gate` know the engine.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Literal, TypedDict
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain import lifecycle
from domain.absences import Absence
from domain.audit import Act
from domain.calendar import day_of
from domain.model import Frozen
from domain.refusals import Refusal, RefusalCode
from domain.requests import Actor, HolderKind, Request, Source, Status
from records import absences, audit, people, refusals, requests
from records import commands as ledger
from records.models import GivenCommand, RequestRecord
from use_cases import gate, giving, policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View


@dataclass(frozen=True)
class Call:
    """Somebody gives a command: to which request, under which id, having seen which version of it.

    `seen_offering` is the version of the offering whose form they saw, where a page says so; `held_by` the person who had the
    request when they saw it, where only that counts. `as_received`: the form came as a message, and what it lacks nobody here can
    fill in; `told_by` is its author, as the message names them, for the audit. `outside` is who says it at a partner that
    answers.
    """

    caller: Caller
    request_id: UUID
    command_id: str
    expected_version: int | None = None
    seen_offering: int | None = None
    held_by: UUID | None = None
    as_received: bool = False
    told_by: str = ""
    outside: c.Outside | None = None


class CommandReceipt(View):
    """What became of a command. `queued` (202): it is durable and acts as soon as a worker is back."""

    request_id: UUID
    command_id: str
    state: Literal["done", "queued"]
    status: Status
    version: int
    allowed_commands: list[str]
    holder_absence: Absence | None = Field(
        None, description="The absence of the person to whom the command gave the request, where they are away today."
    )
    offering_not_served: bool = Field(
        False,
        description="Whether the provider to whom the command gave the request, or every provider of the clinic, does not "
        "serve its service offering, as far as the clinic has said. It stops nothing.",
    )


class Head(TypedDict):
    """What every command carries."""

    id: str
    actor: Actor
    sent_at: datetime
    expected_version: int | None
    outside: c.Outside | None


@dataclass(frozen=True)
class Moment:
    """When an order becomes a command: in the transaction that writes it down, with the request's row locked.

    `head` says who gives it. What the order looks up and freezes, it does in `session`.
    """

    services: Services
    session: AsyncSession
    call: Call
    row: RequestRecord
    request: Request
    """The request's state in the records."""
    head: Head


class Order(Frozen):
    """What somebody wants done, in their words; unless it says otherwise, they are the words of the command that it becomes."""

    command: ClassVar[type[c.PublicCommand]]
    hands_on: ClassVar[bool] = False
    """Whether it may give the request to somebody, who may be away."""
    freezes: ClassVar[bool] = False
    """Whether it freezes what is in the records: then it can't be given before what is on its way has arrived there."""

    async def made(self, at: Moment) -> c.PublicCommand:
        """The command. Raises Refusal or Problem when it can't be given; then nothing has changed."""
        return c.PUBLIC_COMMAND.validate_python({"type": self.command_name(), **at.head, **self.model_dump()})

    def repeats(self, before: c.AnyCommand) -> bool:
        """Whether that command was made of the same words."""
        return isinstance(before, self.command) and _says(before.model_dump(mode="json"), self.model_dump(mode="json"))

    @classmethod
    def command_name(cls) -> str:
        """The command's name."""
        name: str = cls.command.model_fields["type"].default
        return name


async def carry_out(services: Services, call: Call, order: Order) -> CommandReceipt:
    """The way of every command: may the caller see the request, may they give the command, then to the workflow, and back.

    One transaction, with the request's row locked, checks all this, freezes what the command refers to and writes it down: from
    then on its end can be looked up. The id makes a repetition harmless: it answers as the first time. A refusal is written down.

    Raises Refusal; Problem `not_found`, `idempotency_key_reused`, `not_yet`, `engine_unreachable`, and what the order raises.
    """
    try:
        async with services.database.session() as session:
            row = await policy.request_to_command(session, call.caller, call.request_id, call.command_id)
            request = requests.process_of(row)
            standing = await ledger.look_up(session, row.id, call.command_id)
            before = standing.before
            if _is_taken(call, request, before):
                await _must_be_the_same(session, call, before, order)
                return await _with_warnings(session, order, _receipt(call, row, request), row)
            if before is not None and before.settled_at is None:
                await _must_be_the_same(session, call, before, order)
                give = _once_more(services, request, before)
            else:
                give = await _write_down(services, session, call, row, request, order, standing)
    except Refusal as refusal:
        await _note_refusal(services, call, order, refusal)
        raise
    try:
        shown = await give()
    except gate.GateError as error:
        raise _problem_of(error) from error
    if shown is None:
        return _receipt(call, row, request, state="queued")
    receipt = _receipt(call, shown, requests.process_of(shown))
    async with services.database.statement() as session:
        return await _with_warnings(session, order, receipt, shown)


async def must_be_allowed(services: Services, call: Call, order: type[Order]) -> None:
    """What `carry_out` asks of who gives a command, before anything that is dear is done for it. Raises as it does."""
    try:
        async with services.database.session() as session:
            row = await policy.request_to_command(session, call.caller, call.request_id, call.command_id)
            request = requests.process_of(row)
            before = (await ledger.look_up(session, row.id, call.command_id)).before
            is_new = before is None or before.settled_at is not None
            if is_new and not _is_taken(call, request, before):
                await _place(session, call.caller, row, request, order)
    except Refusal as refusal:
        await _note_refusal(services, call, order, refusal)
        raise


async def came_before(services: Services, call: Call) -> bool:
    """Whether this very command was taken already, or is on its way: `carry_out` answers it as the first time."""
    async with services.database.session() as session:
        row = await requests.load_request(session, call.request_id)
        before = await ledger.load_command(session, call.request_id, call.command_id)
    is_on_its_way = before is not None and before.settled_at is None
    return is_on_its_way or (row is not None and _is_taken(call, requests.process_of(row), before))


async def see_through(services: Services, call: Call) -> CommandReceipt | None:
    """What became of the command that was given under this id, whatever it was: one that is on its way is given once more.

    None where none was given, or it was refused. Raises as `carry_out` does.
    """
    async with services.database.session() as session:
        row = await policy.request_to_command(session, call.caller, call.request_id, call.command_id)
        request = requests.process_of(row)
        before = (await ledger.look_up(session, row.id, call.command_id)).before
        if _is_taken(call, request, before):
            return _receipt(call, row, request)
        if before is None or before.settled_at is not None:
            return None
        give = _once_more(services, request, before)
    try:
        shown = await give()
    except gate.GateError as error:
        raise _problem_of(error) from error
    if shown is None:
        return _receipt(call, row, request, state="queued")
    return _receipt(call, shown, requests.process_of(shown))


_Give = Callable[[], Awaitable[RequestRecord | None]]
"""Gives a command that is written down to its workflow: the row that shows what came of it, or None when that comes later."""


def _is_taken(call: Call, request: Request, before: GivenCommand | None) -> bool:
    is_noted = before is not None and before.event is not None
    return is_noted or call.command_id in request.commands_taken


async def _must_be_the_same(session: AsyncSession, call: Call, before: GivenCommand | None, order: Order) -> None:
    """The id came before: it must have been for the same order. Raises Problem `idempotency_key_reused`."""
    command: c.AnyCommand | None
    if before is not None:
        command = ledger.command_in(before)
    else:
        command = await requests.command_of_event(session, call.request_id, call.command_id)
    if command is None or not order.repeats(command):
        raise Problem("idempotency_key_reused")


def _once_more(services: Services, request: Request, before: GivenCommand) -> _Give:
    """Give a command that is on its way once more."""
    before.given_at = datetime.now(UTC)  # from now on its end is what this try learns
    return partial(giving.repeat, services, request, before)


async def _write_down(
    services: Services,
    session: AsyncSession,
    call: Call,
    row: RequestRecord,
    request: Request,
    order: Order,
    standing: ledger.Standing,
) -> _Give:
    """Check a new order, freeze what its command refers to, and write it down. Raises Refusal or Problem."""
    actor, state = await _place(session, call.caller, row, request, order)
    is_behind = state is not request
    if is_behind and order.freezes:
        raise policy.not_yet()
    if call.expected_version not in (None, row.version):
        raise Refusal(RefusalCode.VERSION_CONFLICT, f"the request has version {row.version}")
    now = datetime.now(UTC)
    if call.held_by is not None:
        expected_state = await ledger.expected_state(session, row, now) or state
        if expected_state.holder.id != call.held_by:
            raise Refusal(RefusalCode.VERSION_CONFLICT, "somebody else has it, or will have it by what is on its way")
    expected = state.version if call.expected_version is not None else None
    head = Head(id=call.command_id, actor=actor, sent_at=now, expected_version=expected, outside=call.outside)
    command = await order.made(Moment(services, session, call, row, request, head))
    if not lifecycle.counts_while_signing(order.command) and standing.is_being_signed:
        raise policy.not_yet()  # it would be refused, for a document is being made then
    system_id = call.caller.system.account.id if call.caller.system else None
    await ledger.write_down(
        *(session, row, command), account_id=call.caller.id, now=now, replaces=standing.before, system_id=system_id
    )
    entry = audit.entry_of(
        *(Act.COMMAND, by(call.caller), now),
        name=order.command_name(),
        role=actor.role,
        request_id=row.id,
        version=row.process_version,
        content={"command_id": call.command_id, **({"author": call.told_by} if call.told_by else {})},
    )
    await audit.write(session, entry)
    start = requests.process_of(row) if row.status is Status.DRAFT else request  # a draft got the terms of today
    return partial(giving.give, services, start, command, given_at=now, is_behind=is_behind)


async def _place(
    session: AsyncSession, caller: Caller, row: RequestRecord, request: Request, order: Order | type[Order]
) -> tuple[Actor, Request]:
    """Who the caller is in this command, and the state in which it is legal: that of the records, or the one to be expected.

    A command that is legal only after others that are on their way stands behind them.
    """
    try:
        return policy.actor_for(caller, order.command, request), request
    except Refusal as refusal:
        expected = await ledger.expected_state(session, row, datetime.now(UTC))
        if expected is None:
            raise
        with suppress(Refusal):
            return policy.actor_for(caller, order.command, expected), expected
        signed = ledger.when_signed(expected, datetime.now(UTC))
        if refusal.code is not RefusalCode.REPORT_BEING_SIGNED and policy.may_give(caller, order.command, signed):
            raise policy.not_yet() from None  # it is signed, and its document takes its time
        raise refusal from None


def _says(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a command said before what is said now. A question that is not named now is the one that was open."""
    return all(
        _says(before.get(name) or {}, value) if isinstance(value, dict) else before.get(name) == value
        for name, value in now.items()
        if (name, value) != ("question_id", None)
    )


def _receipt(
    call: Call, row: RequestRecord, request: Request, state: Literal["done", "queued"] = "done"
) -> CommandReceipt:
    return CommandReceipt(
        request_id=row.id,
        command_id=call.command_id,
        state=state,
        status=request.status,
        version=row.version,
        allowed_commands=policy.allowed_commands(call.caller, row, request),
    )


async def _with_warnings(
    session: AsyncSession, order: Order, receipt: CommandReceipt, row: RequestRecord
) -> CommandReceipt:
    """The receipt with what is to be known of who has the request now; it may be that others should have it."""
    if not order.hands_on or row.holder_kind not in _PROVIDERS or row.holder_clinic_id is None:
        return receipt
    is_served = await people.is_served(session, row.offering, provider_id=row.holder_id, clinic_id=row.holder_clinic_id)
    found = None
    if row.holder_id is not None:
        presence = await absences.presence_of(session, [row.holder_id], on=day_of(datetime.now(UTC)))
        found = presence.get(row.holder_id)
    return receipt.model_copy(
        update={"holder_absence": found.now if found else None, "offering_not_served": not is_served}
    )


_PROVIDERS = frozenset({HolderKind.PROVIDER, HolderKind.POOL})


def _problem_of(error: gate.GateError) -> Problem:
    match error:
        case gate.EngineUnreachableError():
            return Problem("engine_unreachable")
        case gate.NotYetError():
            return policy.not_yet()
        case _:
            return Problem("internal_error")


async def _note_refusal(services: Services, call: Call, order: Order | type[Order], refusal: Refusal) -> None:
    async with services.database.session() as session:
        await refusals.note_refusal(
            session,
            request_id=call.request_id,
            command_id=call.command_id,
            name=order.command_name(),
            code=refusal.code,
            actor_id=call.caller.id,
            source=Source.UPDATE,
            at=datetime.now(UTC),
        )
