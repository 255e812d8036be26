"""Every permission, in one place. What you may not see answers 404, what you may not do 403. All is denied unless allowed here.

Who may see a request is decided by `records.visibility` (the same rule in SQL for worklists), and who may give which command by
the table of `domain.lifecycle`. This module asks both, and adds what concerns people alone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands, lifecycle
from domain.calendar import day_of
from domain.commands import BaseCommand
from domain.refusals import Refusal, RefusalCode
from domain.requests import Actor, HolderKind, Request, Role, Status
from domain.retention import RetentionPolicy
from domain.service_accounts import Scope
from records import attachments, destruction, emergencies, people, requests, visibility
from records import commands as ledger
from records.acting import act_from_here
from records.errors import AnswerUnderWayError, KeyGoneError, NotEditableError, NotFoundError, SubmissionUnderWayError
from records.models import Account, Clinic, RequestRecord
from records.visibility import Access
from use_cases.caller import Caller
from use_cases.problems import Problem

_ENGINE_ONLY = {(commands.Cancel, Role.OPERATOR)}
"""An operator cancels in the Temporal UI, where it is seen as what it is; the faces leave cancelling to the requester."""


_BY_SUBMITTERS = frozenset({Scope.REQUESTS_SUBMIT, Scope.MESSAGES_SEND})
_BY_PARTNERS = frozenset({Scope.MESSAGES_SEND})

_OPENED_TO_SYSTEMS: Mapping[type[BaseCommand], frozenset[Scope]] = {
    commands.Submit: _BY_SUBMITTERS,
    commands.Resubmit: _BY_SUBMITTERS,
    commands.AnswerInformation: _BY_PARTNERS,
    commands.AddInformation: _BY_PARTNERS,
    commands.AskFollowUp: _BY_PARTNERS,
    commands.Cancel: _BY_PARTNERS,
}
"""The commands that a clinic's system may give, for a person who may, and the scopes one of which it needs for it.

Those of partners are what a message of theirs says (`use_cases.partner_requests`); no address of the API gives them to systems.
"""


_PERFORMED = frozenset(
    {
        commands.Accept,
        commands.RequestInformation,
        commands.ReturnToRequester,
        commands.ReturnToDispatch,
        commands.SignReport,
        commands.AddAddendum,
        commands.AnswerFollowUp,
    }
)
"""What a partner's system says by messages that performs (`use_cases.partner_answers`), and nothing else while it does."""


async def request_to_see(session: AsyncSession, caller: Caller, request_id: UUID) -> tuple[RequestRecord, Access]:
    """The request, and how much of it the caller may see.

    Raises Problem `not_found` when that is nothing; `not_yet` when it will be more, by the commands that are on their way;
    `request_destroyed`.
    """
    row = await requests.load_for_anybody(session, request_id)
    if row is None:
        raise await not_there(session, caller, request_id)
    access = await _access_now(session, caller, row)
    if access is None:
        raise not_yet() if await _expected_access(session, caller, row) else Problem("not_found")
    if access == "chart" and requests.is_without_form(row):
        raise KeyGoneError(f"requests.form of {row.id}")
    return row, access


async def _access_now(session: AsyncSession, caller: Caller, row: RequestRecord) -> Access | None:
    """How much of it shows to the caller; what they have opened in an emergency as a whole, which the call notes."""
    access = await visibility.access(session, caller.viewer, row)
    if caller.in_emergency is None:
        return access
    opening = (
        None if access == "chart" else await emergencies.holding(session, caller.viewer, row.id, datetime.now(UTC))
    )
    caller.in_emergency.opening = opening
    return "chart" if opening else access


async def request_to_command(session: AsyncSession, caller: Caller, request_id: UUID, command_id: str) -> RequestRecord:
    """The request, locked, for a caller who may see it now, or will by what is on its way; or who has given this very command.

    Who handed it to where they see nothing more gets the answer of the first time. Raises Problem `not_found` or
    `request_destroyed`.
    """
    locked = await requests.lock_for_anybody_if_free(session, request_id)
    row = locked or await requests.load_for_anybody(session, request_id)
    if row is None:
        raise await not_there(session, caller, request_id)
    may = await visibility.access(session, caller.viewer, row) or await _expected_access(session, caller, row)
    if not may and not await _gave(session, caller, row, command_id):
        raise Problem("not_found")  # before waiting for the lock: that would tell a stranger that the request exists
    if requests.is_without_form(row):  # an operator, say: what they order is kept sealed with the rest of the request
        await act_from_here(session, row.requester_clinic_id)
    if locked:
        return locked
    try:
        return await requests.lock_for_anybody(session, request_id)
    except NotFoundError:  # a draft that was removed meanwhile
        raise await not_there(session, caller, request_id) from None


async def not_there(session: AsyncSession, caller: Caller, request_id: UUID) -> Problem:
    """The answer where there is no such request: to the clinics that had to do with one that was destroyed, that it was; not to
    whom it was shut.
    """
    gone = await destruction.find_destroyed(session, request_id, but=caller.viewer)
    if gone is None or (caller.clinic_id not in gone.clinic_ids and Role.OPERATOR not in caller.roles):
        return Problem("not_found")
    years = RetentionPolicy.model_validate(gone.destroyed["policy"]).years
    destroyed_on = day_of(gone.destroyed_at)
    return Problem("request_destroyed", destroyed_on=destroyed_on, years=years, retention_list=str(gone.list_id))


async def request_of_clinic(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, for an administrator of a clinic that ever had to do with it since it was submitted, whatever they see of it,
    unless a restriction shuts it to them.

    Raises Problem `not_found`, `request_destroyed`, or `forbidden` for who knows of it in another role.
    """
    if Role.CLINIC_ADMINISTRATOR not in caller.roles:
        await request_to_see(session, caller, request_id)
        raise Problem("forbidden")
    is_theirs = caller.clinic_id in await destruction.involved_clinics(session, request_id)
    row = await requests.load_request(session, request_id) if is_theirs else None
    if row is None or row.status is Status.DRAFT:
        raise await not_there(session, caller, request_id)
    if await visibility.is_shut_to(session, caller.viewer, row):
        raise Problem("not_found")
    return row


async def numbered_of_clinic(session: AsyncSession, caller: Caller, number: str) -> UUID | None:
    """The request that people know under that number, for an administrator of a clinic that ever had to do with it; else None."""
    request_id = await requests.id_of_number(session, number)
    if request_id is None:
        return None
    try:
        return (await request_of_clinic(session, caller, request_id)).id
    except Problem:
        return None


async def _gave(session: AsyncSession, caller: Caller, row: RequestRecord, command_id: str) -> bool:
    given = await ledger.find_given(session, row.id, command_id)
    is_theirs = given is not None and given.account_id == caller.id
    return is_theirs and not await visibility.is_shut_to(session, caller.viewer, row)


async def chart_to_see(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, for a caller who may see its chart.

    Raises Problem `not_found`; `forbidden` where only the process shows; `not_yet` when more will show in a moment.
    """
    row, access = await request_to_see(session, caller, request_id)
    if access != "chart":
        raise not_yet() if await _expected_access(session, caller, row) == "chart" else Problem("forbidden")
    return row


async def _expected_access(session: AsyncSession, caller: Caller, row: RequestRecord) -> Access | None:
    """How much of the request the caller will see by the commands that are on their way; None when none is, or nothing."""
    async with requests.in_its_eyes(session, row):  # another clinic's until those commands have acted
        expected = await ledger.expected_state(session, row, datetime.now(UTC))
    if expected is None:
        return None
    then, is_shut = requests.as_expected(row, expected), await visibility.is_shut_to(session, caller.viewer, row)
    return visibility.may_see(caller.viewer, then, participants=(), pools=(), holders=(), is_shut=is_shut)


async def own_form_to_edit(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request whose form and attachments the caller may change: their own, while a draft or returned.

    Raises Problem `not_found`, `forbidden`, `submission_under_way`, `not_editable`, or `not_yet` when it is being returned.
    """
    row, _ = await request_to_see(session, caller, request_id)
    if row.requester_id != caller.id:
        raise Problem("forbidden")
    try:
        requests.check_editable(row)
    except NotEditableError as error:
        expected = await ledger.expected_state(session, row, datetime.now(UTC))
        raise (
            not_yet() if expected and not row.submission_id and expected.status.is_with_requester else closed(error)
        ) from None
    return row


async def request_to_add_to(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request to which the caller may add attachments now: their own, until it is reported.

    Raises Problem `not_found`, `forbidden`, `submission_under_way`, `answer_under_way`, or `not_editable`.
    """
    row, _ = await request_to_see(session, caller, request_id)
    if row.requester_id != caller.id:
        raise Problem("forbidden")
    try:
        await attachments.check_open(session, row, datetime.now(UTC))
    except NotEditableError as error:
        raise closed(error) from None
    return row


def not_yet() -> Problem:
    """The answer to what will be possible when the commands that are on their way have arrived."""
    return Problem("not_yet")


def closed(error: NotEditableError) -> Problem:
    """The answer to a change of what is closed."""
    match error:
        case SubmissionUnderWayError():
            return Problem("submission_under_way")
        case AnswerUnderWayError():
            return Problem("answer_under_way")
        case _:
            return Problem("not_editable")


def actor_for(caller: Caller, command: type[BaseCommand], request: Request) -> Actor:
    """The caller in the role in which they may give this command to `request` as it is.

    Raises the Refusal of the rules when they may not: of somebody with several roles, the one of the first that gives it at all;
    and Problem `insufficient_scope` to a system.
    """
    must_be_open(caller, command)
    refused: Refusal | None = None
    for actor in _actors(caller):
        if actor.role not in lifecycle.roles_for(command) or (command, actor.role) in _ENGINE_ONLY:
            continue
        try:
            lifecycle.check_allowed(request, command, actor)
        except Refusal as refusal:
            refused = refused or refusal
        else:
            return actor
    raise refused or Refusal(RefusalCode.ROLE_NOT_ALLOWED, "none of the caller's roles gives this command")


def is_open(caller: Caller, command: type[BaseCommand]) -> bool:
    """Whether the caller is a person, or a system with the scope for this command."""
    if caller.system is None:
        return True
    if caller.performs:
        return command in _PERFORMED and Scope.MESSAGES_SEND in caller.system.scopes
    return not caller.system.scopes.isdisjoint(_OPENED_TO_SYSTEMS.get(command, ()))


def must_be_open(caller: Caller, command: type[BaseCommand]) -> None:
    """Raise Problem `insufficient_scope` unless it `is_open`."""
    if not is_open(caller, command):
        raise Problem("insufficient_scope")


def may_give(caller: Caller, command: type[BaseCommand], request: Request) -> bool:
    """Whether the caller may give this command to `request` as it is, in one of their roles."""
    try:
        actor_for(caller, command, request)
    except (Refusal, Problem):
        return False
    return True


def allowed_commands(
    caller: Caller, row: RequestRecord, request: Request, *, covers: bool = False, reads_for_requester: bool = False
) -> list[str]:
    """The commands that the caller may give now to `request` (its state in `row`), in the order of the table.

    What is on its way is not offered a second time where it is closed until its end is known. `covers`: they answer for a
    colleague who is away, see `records.visibility.covers`; `reads_for_requester`: they read for one who has not, see there.
    Who reads it in an emergency gives none.
    """
    if caller.opening is not None:
        return []
    hidden = {"submit", "resubmit"} if row.submission_id else {"sign_report"} if row.signature_id else set()
    if not lifecycle.may_still_ask(request, datetime.now(UTC)):
        hidden.add("ask_follow_up")
    if not lifecycle.may_still_take_back(request.undo, datetime.now(UTC)):
        hidden.add("take_back")
    if not covers and not any(lifecycle.is_signer(request, actor) for actor in _actors(caller)):
        hidden.add("answer_follow_up")
    if not reads_for_requester:
        hidden.add("read_for_requester")
    allowed = {
        name
        for actor in _actors(caller)
        for name in lifecycle.allowed_commands(request, actor)
        if (commands.PUBLIC_COMMANDS[name], actor.role) not in _ENGINE_ONLY
        and is_open(caller, commands.PUBLIC_COMMANDS[name])
    }
    return [name for name in commands.PUBLIC_COMMANDS if name in allowed - hidden]


def is_holder(caller: Caller, request: Request) -> bool:
    """Whether the request waits for the caller, by name or as one of a pool or of the dispatchers."""
    return any(request.holder.includes(actor) for actor in _actors(caller))


def must_have_role(caller: Caller, *roles: Role) -> None:
    """Raise Problem `forbidden` unless the caller has one of these roles."""
    if not caller.roles.intersection(roles):
        raise Problem("forbidden")


def may_route_to(dispatching: Clinic, clinic_id: UUID) -> bool:
    """Whether dispatchers of a clinic may assign requests to (the providers of) another."""
    return clinic_id == dispatching.id or clinic_id in dispatching.routes_to


def may_change_report(caller: Caller, row: RequestRecord, request: Request) -> bool:
    """Whether the caller may change the report's draft now: not while its signature is on its way."""
    return (
        caller.opening is None
        and may_write_report(caller, request)
        and row.signature_id is None
        and request.signing is None
    )


def may_write_report(caller: Caller, request: Request) -> bool:
    """Whether the caller is the one who writes the report: the provider who has accepted the request."""
    return request.status is Status.ACCEPTED and any(
        request.holder.includes(actor) for actor in _actors(caller) if request.holder.kind is HolderKind.PROVIDER
    )


def may_mark(caller: Caller, row: RequestRecord, request: Request) -> bool:
    """Whether the caller may draw on photos that they see: the requester and who gives the answer, until the request is over.

    Who gives the answer is the provider, or each of the pool, whom it is with; after the report, who signed it.
    """
    if row.status.is_final or caller.opening is not None:
        return False
    return row.requester_id == caller.id or any(
        actor.role is Role.PROVIDER and (request.holder.includes(actor) or lifecycle.is_signer(request, actor))
        for actor in _actors(caller)
    )


def must_be_marking(caller: Caller, row: RequestRecord, request: Request) -> None:
    """Raise Problem `marks_closed` when the request is over, `forbidden` unless the caller `may_mark`."""
    if row.status.is_final:
        raise Problem("marks_closed")
    if not may_mark(caller, row, request):
        raise Problem("forbidden")


def may_list_providers(caller: Caller, clinic: Clinic, own_clinic: Clinic) -> bool:
    """Whether the caller may see who the providers of `clinic` are: colleagues, and those to whom a dispatcher may route; who has
    no role, nobody.
    """
    if not caller.viewer.roles:
        return False
    if clinic.id == caller.clinic_id or Role.OPERATOR in caller.roles:
        return True
    return Role.DISPATCHER in caller.roles and may_route_to(own_clinic, clinic.id)


async def absences_to_see(session: AsyncSession, caller: Caller, account_id: UUID) -> Account:
    """Whose absences these are: one's own; for administrators and dispatchers, their clinic's. Raises Problem `not_found`."""
    account = await people.load_account(session, account_id)
    may_see = account is not None and (
        account.id == caller.id
        or (account.clinic_id == caller.clinic_id and caller.roles & {Role.CLINIC_ADMINISTRATOR, Role.DISPATCHER})
    )
    if account is None or not may_see:
        raise Problem("not_found")
    return account


async def absences_to_change(session: AsyncSession, caller: Caller, account_id: UUID) -> Account:
    """The same for who may change them: oneself and the clinic's administrators; a dispatcher only looks (`forbidden`)."""
    account = await absences_to_see(session, caller, account_id)
    if account.id != caller.id:
        must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    return account


async def draft_to_remove(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request that the caller may remove if it is a draft: their own. Raises Problem `not_found` or `forbidden`."""
    row, _ = await request_to_see(session, caller, request_id)
    if row.requester_id != caller.id:
        raise Problem("forbidden")
    return row


def _actors(caller: Caller) -> list[Actor]:
    return [Actor(id=caller.id, role=role, clinic_id=caller.clinic_id) for role in Role if role in caller.roles]


def role_before(caller: Caller, row: RequestRecord) -> Role:
    """In which role the caller looks at a request: its requester's if it is theirs, else the first that they have; in an
    emergency that in which they opened it.

    A system that acts for nobody looks as the clinic's administrators do.
    """
    if caller.opening is not None:
        return Role(caller.opening.role)
    if row.requester_id == caller.id:
        return Role.REQUESTER
    others = [role for role in Role if role in caller.viewer.roles and role is not Role.REQUESTER]
    return others[0] if others else Role.REQUESTER
