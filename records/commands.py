"""The ledger of commands: what people gave, and what became of each.

A command is written down in the transaction that checks it and freezes what it refers to, with the request's row locked, and only
then given to the engine: so it is never forgotten, and what it froze stays closed until its end is known. The end comes from the
workflow, with the event that the command made or with its refusal, in the transaction that writes that.

The ledger is also an outbox. A command whose giver died before the engine had it is `overdue`: give it again, through the gate.
That is always harmless, for a command acts once.
"""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, Uuid, bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain import lifecycle
from domain.commands import (
    PUBLIC_COMMAND,
    AddAddendum,
    FailSigning,
    IssueDocument,
    PublicCommand,
    Resubmit,
    SignReport,
    Submit,
)
from domain.events import Event
from domain.refusals import Refusal
from domain.requests import SYSTEM, EventName, Request
from records.models import FrozenReport, GivenCommand, RequestRecord, table_of
from records.requests import announce, lock_request, process_of
from records.sealed import to_write, unread
from records.straight import Straight

_COMMANDS = table_of(GivenCommand)

# Made once, as in `records.requests`.

_OF_CONCERN = (
    GivenCommand.request_id == bindparam("request_id", type_=Uuid()),
    or_(GivenCommand.command_id == bindparam("command_id", type_=Text()), GivenCommand.settled_at.is_(None)),
)
_ANY_STANDING = Straight(select(select(GivenCommand.number).where(*_OF_CONCERN).exists()))
_STANDING = select(GivenCommand).where(*_OF_CONCERN).order_by(GivenCommand.number)
_WRITTEN = Straight(insert(_COMMANDS))
_IT = update(_COMMANDS).where(
    _COMMANDS.c.request_id == bindparam("of_request"), _COMMANDS.c.command_id == bindparam("of_command")
)
_SETTLED = Straight(_IT)
_SETTLED_IF_OPEN = Straight(_IT.where(_COMMANDS.c.settled_at.is_(None)))

TAKEN_AWAY = "taken-away:"
"""With what the ids of the commands begin by which Relais takes requests from whom they are shut to; nobody else gave them."""

NOT_NEEDED = "not_needed"
"""The refusal of such a command that waited for the engine until nothing was to be taken away any more."""

SIGNING_FAILED = "signing_failed"
"""The refusal of a signature that was taken, and of which no document could be made."""


def is_of_relais(given: GivenCommand) -> bool:
    """Whether Relais takes a request away by it: it stands in the name of who restricted the request, and they gave none."""
    return given.command_id.startswith(TAKEN_AWAY)


async def systems_of(session: AsyncSession, request_id: uuid.UUID) -> dict[str, uuid.UUID]:
    """By the id of the command, the system by which it was given, of those that came by one."""
    query = select(GivenCommand.command_id, GivenCommand.system_id).where(
        GivenCommand.request_id == request_id, GivenCommand.system_id.is_not(None)
    )
    return {row.command_id: row.system_id for row in await session.execute(query)}


async def write_down(
    session: AsyncSession,
    row: RequestRecord,
    command: PublicCommand,
    *,
    account_id: uuid.UUID,
    now: datetime,
    replaces: GivenCommand | None = None,
    system_id: uuid.UUID | None = None,
) -> None:
    """Note that `command` is on its way, and close what it froze. `row` is locked. `system_id`: by which system it was given.

    The same id again, after a refusal, is a new command that `replaces` the old one.
    """
    if replaces is not None:
        await session.delete(replaces)
        await session.flush()  # so that the one with the same id is a new row, with a number of its own
    given = {
        "request_id": row.id,
        "command_id": command.id,
        "name": command.type,
        "account_id": account_id,
        "system_id": system_id,
        "command": command.model_dump(mode="json"),
        "given_at": now,
    }
    await _WRITTEN.run(session, await to_write(session, GivenCommand, given))
    if isinstance(command, Submit | Resubmit):
        row.submission_id, row.submission_since = command.id, now
        await announce(session, row)
    if isinstance(command, SignReport):
        row.signature_id = command.id
        await announce(session, row)


async def load_command(session: AsyncSession, request_id: uuid.UUID, command_id: str) -> GivenCommand | None:
    return await session.get(GivenCommand, (request_id, command_id), populate_existing=True)


async def find_given(session: AsyncSession, request_id: uuid.UUID, command_id: str) -> GivenCommand | None:
    """The same without what it says: for who asks whether it was given, by whom, and what became of it."""
    return await session.get(GivenCommand, (request_id, command_id), options=unread(GivenCommand))


@dataclass(frozen=True)
class Standing:
    """What the ledger says to a command that comes: the one that was given under its id before, and all that are on their way."""

    before: GivenCommand | None
    on_their_way: Sequence[GivenCommand]

    @property
    def is_being_signed(self) -> bool:
        """Whether a report or an addendum of the request is on its way."""
        signatures = [SignReport.model_fields["type"].default, AddAddendum.model_fields["type"].default]
        return any(given.name in signatures for given in self.on_their_way)


async def look_up(session: AsyncSession, request_id: uuid.UUID, command_id: str) -> Standing:
    """How a command with that id to that request stands."""
    which = {"request_id": request_id, "command_id": command_id}
    if not await _ANY_STANDING.value(session, which):
        return Standing(None, [])  # as nearly always
    found = list(await session.scalars(_STANDING, which))
    before = next((given for given in found if given.command_id == command_id), None)
    return Standing(before, [given for given in found if given.settled_at is None])


async def newest_of(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID) -> GivenCommand | None:
    """What this person gave last to that request, without what it says."""
    theirs = GivenCommand.account_id == account_id, ~GivenCommand.command_id.startswith(TAKEN_AWAY)
    query = select(GivenCommand).where(GivenCommand.request_id == request_id, *theirs)
    return await session.scalar(query.order_by(GivenCommand.number.desc()).limit(1).options(*unread(GivenCommand)))


async def on_their_way(session: AsyncSession, request_id: uuid.UUID) -> list[GivenCommand]:
    """The commands to that request of which nobody knows the end yet, in the order in which they were given."""
    query = select(GivenCommand).where(GivenCommand.request_id == request_id, GivenCommand.settled_at.is_(None))
    return list(await session.scalars(query.order_by(GivenCommand.number)))


async def overdue(session: AsyncSession, given_before: datetime, *, limit: int, after: int = 0) -> list[GivenCommand]:
    """A page of commands given before that time whose end is not known yet, the oldest first: to be given again, in this order.

    One that has `queued_at` lies in the engine as a Signal (unless its workflow was lost), and acts when a worker is back. What
    they say is not read: a command that does not open is in nobody's way but its own.
    """
    query = (
        select(GivenCommand)
        .where(GivenCommand.settled_at.is_(None), GivenCommand.given_at < given_before, GivenCommand.number > after)
        .options(*unread(GivenCommand))
    )
    return list(await session.scalars(query.order_by(GivenCommand.number).limit(limit)))


def command_in(given: GivenCommand) -> PublicCommand:
    """The command, as it was given."""
    return PUBLIC_COMMAND.validate_python(given.command)


async def expected_state(session: AsyncSession, row: RequestRecord, now: datetime) -> Request | None:
    """The state that the commands on their way will make of the one in the records, as far as one can tell.

    None when none is on its way. A command that won't be legal is passed over.
    """
    given = await on_their_way(session, row.id)
    request = process_of(row)
    for command in map(command_in, given):
        with suppress(Refusal):
            request = lifecycle.decide(request, command, now).request
    return request if given else None


def when_signed(request: Request, now: datetime) -> Request:
    """The state that the document of the signature that is on its way will make of `request`, if there is one."""
    with suppress(Refusal):
        return _signed(request, now)
    return request


def _signed(request: Request, now: datetime) -> Request:
    if request.signing is None:
        return request
    report_id = request.signing.report_id
    issued = IssueDocument(id=f"expected:{report_id}", actor=SYSTEM, report_id=report_id, pdf_sha256="0" * 64)
    return lifecycle.decide(request, issued, now).request


# What becomes of a command


async def note_queued(session: AsyncSession, request_id: uuid.UUID, command_id: str, now: datetime) -> None:
    """The engine has it, and its giver has been told that it acts later. Changes nothing when its end is known by now."""
    await session.execute(
        update(GivenCommand)
        .where(
            GivenCommand.request_id == request_id,
            GivenCommand.command_id == command_id,
            GivenCommand.settled_at.is_(None),
            GivenCommand.queued_at.is_(None),
        )
        .values(queued_at=now)
    )


async def settle_by_event(session: AsyncSession, row: RequestRecord, event: Event) -> None:
    """The command made this event, whatever was noted of it before. `row` is locked.

    A signature ends with its document, or when none could be made.
    """
    if event.name in (EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED):
        return
    command_id, refusal = event.command.id, None
    settled = _SETTLED
    if isinstance(event.command, IssueDocument | FailSigning):
        report = await session.get(FrozenReport, event.command.report_id)
        command_id = report.command_id if report else command_id
        refusal = SIGNING_FAILED if isinstance(event.command, FailSigning) else None
        settled = _SETTLED_IF_OPEN  # another's try to use its proof ends nothing
    end = {"settled_at": event.at, "event": event.name, "refusal": refusal, "version": event.version}
    await settled.run(session, {"of_request": event.request_id, "of_command": command_id, **end})
    _open(row, command_id)


async def settle_refused(
    session: AsyncSession, request_id: uuid.UUID, command_id: str, *, code: str, now: datetime, is_late: bool = False
) -> GivenCommand | None:
    """The command was refused in the end: what it had closed opens again.

    `is_late`: nobody waits for the answer any more, so its giver is to be told. None when it was not on its way, or was given
    once more since `now`.
    """
    given = await load_command(session, request_id, command_id)
    if given is None or given.settled_at is not None:
        return None
    row = await lock_request(session, request_id)
    await session.refresh(given)
    if given.settled_at is not None or given.given_at > now:
        return None
    if is_late:
        given.queued_at = given.queued_at or now
    given.settled_at, given.refusal, given.version, given.edits = now, code, row.version, row.edits
    _open(row, command_id)
    await announce(session, row)
    return given


async def withdraw(session: AsyncSession, request_id: uuid.UUID, command_id: str, given_at: datetime) -> None:
    """The engine never got the command, for sure: it is as if it had not been given, and what it had closed opens again.

    Changes nothing when it was given once more since `given_at`: then its end is what that try learns.
    """
    row = await lock_request(session, request_id)
    given = await load_command(session, request_id, command_id)
    if given is None or given.given_at != given_at:
        return
    await session.delete(given)
    _open(row, command_id)
    await announce(session, row)


def _open(row: RequestRecord, command_id: str) -> None:
    if row.submission_id == command_id:
        row.submission_id = row.submission_since = None
    if row.signature_id == command_id:
        row.signature_id = None
