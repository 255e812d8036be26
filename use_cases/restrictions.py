"""Restrictions: at the wish of the person whom a request is about, it is shut to somebody, or to everybody of a clinic in a role.

Administrators of the clinic that asked set them and end them. On which paths they hold stands in docs/decisions/restrictions.md.
"""

from datetime import UTC, datetime
from typing import Literal, Self, get_args
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.model import Frozen, Said
from domain.requests import Role, Status
from records import audit, destruction, people, requests, restrictions, shut_holders, visibility
from records.audit import By
from records.database import Database
from records.models import Account, AccountKind, RequestRecord, RequestRestriction, Side, WebhookEndpoint
from records.visibility import Viewer
from translations.problems import FIELD_PROBLEMS
from use_cases import known_people, policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.requests import RequestView
from use_cases.services import Services
from use_cases.shut_holders import give
from use_cases.views import View

ClinicRole = Literal[Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER, Role.CLINIC_ADMINISTRATOR]
"""A role in which everybody of a clinic may be shut out."""


class NewRestriction(Frozen):
    """To whom a request is to be shut: an account, or everybody of a clinic in a role; and why."""

    account_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    clinic_id: UUID | None = None
    role: ClinicRole | None = Field(None, description="With `clinic_id`: everybody who has this role there.")
    reason: Said = Field(examples=["La personne connaît cette infirmière."])

    @model_validator(mode="after")
    def _somebody_or_a_category(self) -> Self:
        category = (self.clinic_id is not None, self.role is not None)
        if category not in ((True, True), (False, False)) or (self.account_id is None) != category[0]:
            raise PydanticCustomError("account_or_role", FIELD_PROBLEMS["account_or_role"])
        return self


class EndedRestriction(Frozen):
    """Why a restriction does not hold any more."""

    reason: Said = Field(examples=["La personne ne le souhaite plus."])


class SilencedView(View):
    """A system of a clinic, or one of its webhooks."""

    kind: Literal["service_account", "webhook"]
    id: UUID
    name: str = Field(description="Of a webhook: the host of its address.")


class RestrictionView(View):
    """A restriction that holds. Either `person` is named, or `role` at `clinic`."""

    id: UUID
    request_id: UUID
    person: PersonView | None
    clinic_id: UUID | None
    clinic: str | None
    role: Role | None
    reason: str | None = Field(description="Null where it does not open.")
    set_by: PersonView | None
    set_at: datetime
    silenced: list[SilencedView] = Field(
        description="Systems and webhooks of the clinic that asked to which it is shut as well, as somebody who is shut out can "
        "come in by them: until somebody else has given out a new secret or key, or said the address anew."
    )


class RequestRestrictions(View):
    """The restrictions of a request that hold, the newest first."""

    request_id: UUID
    number: str
    restrictions: list[RestrictionView]


class CategoryView(View):
    """Everybody of a clinic in a role."""

    clinic_id: UUID
    clinic: str
    role: Role


class Whom(View):
    """To whom a request can be shut, as a page offers it: who acted on it, and the people and roles of the clinics around it."""

    acted: list[PersonView]
    others: list[PersonView]
    categories: list[CategoryView]


async def read_restrictions(services: Services, caller: Caller, request_id: UUID) -> RequestRestrictions:
    """The restrictions of a request. Raises Problem `not_found`, `not_yet`, or `forbidden`."""
    async with services.database.session() as session:
        row = await _to_administer(session, caller, request_id)
        return await _all_of(session, row)


async def is_restricted(services: Services, caller: Caller, view: RequestView) -> bool | None:
    """Whether a request that the caller sees is restricted, for administrators of the clinic that asked for it; else None, also
    where they read it in an emergency.
    """
    if Role.CLINIC_ADMINISTRATOR not in caller.roles or view.status is Status.DRAFT or view.emergency is not None:
        return None
    async with services.database.session() as session:
        row = await requests.load_process(session, view.id)
        if row is None or row.requester_clinic_id != caller.clinic_id:
            return None
        return bool(await restrictions.holding(session, row.id))


async def whom_to_restrict(services: Services, caller: Caller, request_id: UUID) -> Whom:
    """Who is offered. Raises as `read_restrictions`."""
    async with services.database.session() as session:
        row = await _to_administer(session, caller, request_id)
        own = await people.load_clinic(session, caller.clinic_id)
        around = {
            *await destruction.involved_clinics(session, row.id),
            *(own.routes_to if own else ()),
            caller.clinic_id,
        }
        clinics = await people.clinics_by_id(session, around)
        acted = await restrictions.acted_on(session, row)
        known = {one.id for one in acted} | {row.requester_id, caller.id}
        others = [
            one
            for one in await restrictions.people_of(session, around)
            if one.id not in known
            and (
                one.clinic_id == caller.clinic_id or not set(one.roles).isdisjoint({*known_people.SHOWN, Role.OPERATOR})
            )
        ]
        names = await Names.load(session, [one.id for one in (*acted, *others)], [])
        return Whom(
            acted=[person for one in acted if one.id != caller.id and (person := names.person(one.id))],
            others=[person for one in others if (person := names.person(one.id))],
            categories=[
                CategoryView(clinic_id=clinic.id, clinic=clinic.name, role=role)
                for clinic in sorted(clinics.values(), key=lambda clinic: clinic.name)
                for role in get_args(ClinicRole)
                if role is not Role.CLINIC_ADMINISTRATOR or clinic.id != caller.clinic_id
            ],
        )


async def restrict(services: Services, caller: Caller, request_id: UUID, new: NewRestriction) -> RestrictionView:
    """Shut the request to whom is named, from now on and on every path. Should they hold it, the same transaction takes it away.

    Where that can't be done yet, as a document is being made, or something else moves it first, it follows
    (`use_cases.shut_holders`). The same a second time is the restriction that there is, and takes away what is still there; with
    another reason it is one more, and each has its own end.

    Raises Problem `not_found`, `not_yet`, `forbidden`, `invalid_input` for whom the clinic does not know, `wrote_the_request`,
    `restricts_yourself`, also for all administrators of the own clinic, or `nobody_left` where none of those who dispatch it
    would see it.
    """
    async with services.database.session() as session:
        row = await _locked(session, caller, request_id)
        await _must_be_known(session, caller, row, new)
        found, now = await _there_already(session, row, new), datetime.now(UTC)
        if found is None:
            could_dispatch = await _can_be_dispatched(session, row)
            saw = await _who_sees(session, row, new)
            found = await restrictions.add(
                *(session, row.id, new.account_id, _category(new)), reason=new.reason, set_by=caller.id, now=now
            )
            await _must_leave_somebody(session, caller, row, could_dispatch=could_dispatch)
            await restrictions.tell(session, row, saw, now, is_gone=True)
            _note(session, by(caller), Role.CLINIC_ADMINISTRATOR, found, "restriction_set", now)
            await requests.announce(session, row)
        given = await shut_holders.take_away(session, row, now)
        view = await _view(session, row, found)
    if given is not None:
        await give(services, given)
    return view


async def end_restriction(
    services: Services, caller: Caller, request_id: UUID, restriction_id: UUID, why: EndedRestriction
) -> RequestRestrictions:
    """The restriction does not hold any more; a second time changes nothing. Those that are left.

    Raises Problem `not_found` or `forbidden`.
    """
    async with services.database.session() as session:
        row = await _locked(session, caller, request_id)
        found = await restrictions.load(session, row.id, restriction_id)
        if found is None:
            raise Problem("not_found")
        await _end(session, row, found, why, by(caller))
        return await _all_of(session, row)


async def _end(
    session: AsyncSession, row: RequestRecord, found: RequestRestriction, why: EndedRestriction, who: By
) -> None:
    """End it, unless that was done. The row is locked."""
    if who.account_id is None or found.id not in {one.id for one in await restrictions.holding(session, row.id)}:
        return
    now = datetime.now(UTC)
    await restrictions.end(session, found, reason=why.reason, ended_by=who.account_id, now=now)
    await restrictions.tell(session, row, await _who_sees(session, row, found), now, is_gone=False)
    role = Role.OPERATOR if who.side is Side.COMMAND_LINE else Role.CLINIC_ADMINISTRATOR
    _note(session, who, role, found, "restriction_ended", now)
    await requests.announce(session, row)


# On the command line, where nobody of the clinic that asked is left who could


async def list_at_the_machine(database: Database, number: str, username: str) -> RequestRestrictions:
    """The restrictions of the request that people know under that number, for the operator of that username, to whom it is not
    shut; the audit says that they were shown. Raises Problem `not_found`, or `forbidden` for somebody else.
    """
    async with database.session() as session:
        row, account = await named_at_the_machine(session, number, username)
        now, name = datetime.now(UTC), "get_restrictions"
        audit.add(session, Act.LOOK, by_operator(account), now, name=name, role=Role.OPERATOR, request_id=row.id)
        return await _all_of(session, row)


async def end_at_the_machine(
    database: Database, number: str, restriction_id: UUID, why: EndedRestriction, username: str
) -> None:
    """The same as `end_restriction`, by the operator of that username, to whom the request is not shut.

    Raises Problem `not_found`, or `forbidden` for somebody else.
    """
    async with database.session() as session:
        row = await requests.find_request(session, number)
        if row is None:
            raise Problem("not_found")
        row = await requests.lock_request(session, row.id)
        account = await _operator_at_the_machine(session, row, username)
        found = await restrictions.load(session, row.id, restriction_id)
        if found is None:
            raise Problem("not_found")
        await _end(session, row, found, why, by_operator(account))


async def named_at_the_machine(session: AsyncSession, number: str, username: str) -> tuple[RequestRecord, Account]:
    """The request of that number, and the operator of that username, to whom it is not shut.

    Raises Problem `not_found`, or `forbidden` for everybody else.
    """
    row = await requests.find_request(session, number)
    if row is None:
        raise Problem("not_found")
    return row, await _operator_at_the_machine(session, row, username)


async def _operator_at_the_machine(session: AsyncSession, row: RequestRecord, username: str) -> Account:
    """The operator of that username, to whom the request is not shut. Raises Problem `forbidden` for everybody else."""
    account = await operator_named(session, username)
    if await restrictions.shuts_out(session, row.id, account.id):
        raise Problem("forbidden")
    return account


async def operator_named(session: AsyncSession, username: str) -> Account:
    """The operator of that username. Raises Problem `forbidden` for everybody else."""
    account = await people.find_account(session, username)
    if account is None or not account.active or Role.OPERATOR not in account.roles:
        raise Problem("forbidden")
    return account


def by_operator(account: Account) -> By:
    """The operator on the command line, as the audit names who acts."""
    return By(account.id, Side.COMMAND_LINE, clinic_id=account.clinic_id)


# Who may, and whom


async def _to_administer(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, for an administrator of the clinic that asked for it. Raises Problem `not_found`, `not_yet` or `forbidden`."""
    row, _access = await policy.request_to_see(session, caller, request_id)
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    if row.requester_clinic_id != caller.clinic_id or row.status is Status.DRAFT:
        raise Problem("forbidden")
    return row


async def _locked(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The same, with its row locked: what becomes of it is decided after what was decided before."""
    await _to_administer(session, caller, request_id)
    await requests.lock_request(session, request_id)
    return await _to_administer(session, caller, request_id)


async def _must_be_known(session: AsyncSession, caller: Caller, row: RequestRecord, new: NewRestriction) -> None:
    """Raises Problem `invalid_input`, `wrote_the_request` or `restricts_yourself`."""
    if new.account_id == row.requester_id:
        raise Problem("wrote_the_request")
    if new.account_id is not None:
        account = await people.load_account(session, new.account_id)
        if account is None or not await _is_known(session, caller, account):
            raise Problem("invalid_input", [FieldFault("account_id", "not_an_option")])
        return
    if (new.clinic_id, new.role) == (caller.clinic_id, Role.CLINIC_ADMINISTRATOR):
        raise Problem(
            "restricts_yourself"
        )  # also where they wrote it, and would be left as the only one who could end it
    clinic = await people.load_clinic(session, new.clinic_id) if new.clinic_id else None
    if clinic is None or not (clinic.id == caller.clinic_id or await known_people.is_known(session, caller, clinic)):
        raise Problem("invalid_input", [FieldFault("clinic_id", "not_an_option")])


async def _is_known(session: AsyncSession, caller: Caller, account: Account) -> bool:
    if account.kind is AccountKind.SERVICE:
        return False  # who acts for nobody looks as the clinic's administrators do
    if Role.OPERATOR in account.roles:
        return True  # of whatever clinic: operators see the processes of all, and open what the engine keeps
    clinic = await people.load_clinic(session, account.clinic_id)
    is_own = account.clinic_id == caller.clinic_id
    return clinic is not None and (is_own or await known_people.is_shown(session, caller, account, clinic))


async def _there_already(session: AsyncSession, row: RequestRecord, new: NewRestriction) -> RequestRestriction | None:
    wanted = (new.account_id, new.clinic_id, new.role)
    for one in await restrictions.holding(session, row.id):
        same = (one.account_id, one.clinic_id, one.role) == wanted
        if same and await restrictions.reason_of(session, one.id) == new.reason:
            return one
    return None


# What follows


async def _can_be_dispatched(session: AsyncSession, row: RequestRecord) -> bool:
    return await restrictions.is_open_to_one(session, row.id, row.dispatch_clinic_id, Role.DISPATCHER)


async def _must_leave_somebody(
    session: AsyncSession, caller: Caller, row: RequestRecord, *, could_dispatch: bool
) -> None:
    """Raises Problem `restricts_yourself` or `nobody_left`."""
    if await restrictions.shuts_out(session, row.id, caller.id):
        raise Problem("restricts_yourself")
    is_held = await restrictions.is_shut_to_holder(session, row.id, requests.process_of(row).holder)
    is_to_be_dispatched = not row.status.is_final and (could_dispatch or is_held)
    if is_to_be_dispatched and not await _can_be_dispatched(session, row):
        raise Problem("nobody_left")


def _category(named: NewRestriction | RequestRestriction) -> tuple[UUID, Role] | None:
    return (named.clinic_id, Role(named.role)) if named.clinic_id and named.role else None


async def _who_sees(
    session: AsyncSession, row: RequestRecord, restriction: NewRestriction | RequestRestriction
) -> list[UUID]:
    """Those whom it names, and the systems by which they can come in, that see the request just now: they are told when that
    changes.
    """
    whom = restriction.account_id, _category(restriction)
    named = [one for one in await restrictions.accounts_named(session, *whom) if one.id != row.requester_id]
    systems, _webhooks = await restrictions.kept_by(session, row, *whom)
    return [id_ for id_, one in {one.id: one for one in (*named, *systems)}.items() if await _sees(session, row, one)]


async def _sees(session: AsyncSession, row: RequestRecord, account: Account) -> bool:
    is_system = account.kind is AccountKind.SERVICE
    roles = frozenset({Role.CLINIC_ADMINISTRATOR}) if is_system else frozenset(map(Role, account.roles))
    viewer = Viewer(account.id, account.clinic_id, roles, system_id=account.id if is_system else None)
    return await visibility.access(session, viewer, row) is not None


def _note(
    session: AsyncSession, who: By, role: Role, restriction: RequestRestriction, name: str, now: datetime
) -> None:
    audit.add(
        *(session, Act.CHANGE, who, now),
        name=name,
        role=role,
        request_id=restriction.request_id,
        object_id=restriction.id,
    )


# What is shown


async def _all_of(session: AsyncSession, row: RequestRecord) -> RequestRestrictions:
    holding = await restrictions.holding(session, row.id)
    return RequestRestrictions(
        request_id=row.id, number=row.number, restrictions=[await _view(session, row, one) for one in holding]
    )


async def _view(session: AsyncSession, row: RequestRecord, restriction: RequestRestriction) -> RestrictionView:
    names = await Names.load(session, [restriction.account_id, restriction.set_by], [restriction.clinic_id])
    return RestrictionView(
        id=restriction.id,
        request_id=restriction.request_id,
        person=names.person(restriction.account_id),
        clinic_id=restriction.clinic_id,
        clinic=names.clinic(restriction.clinic_id),
        role=restriction.role,
        reason=await restrictions.reason_of(session, restriction.id),
        set_by=names.person(restriction.set_by),
        set_at=restriction.set_at,
        silenced=await _silenced(session, row, restriction),
    )


async def _silenced(session: AsyncSession, row: RequestRecord, restriction: RequestRestriction) -> list[SilencedView]:
    """Those of the clinic that asked: of what others have connected its administrators know nothing."""
    systems, webhooks = await restrictions.kept_by(session, row, restriction.account_id, _category(restriction))
    named = [
        SilencedView(kind="service_account", id=one.id, name=one.given_name)
        for one in systems
        if one.active and _is_ours(row, one)
    ]
    hosts = [(one.id, urlsplit(one.url).hostname or "") for one in webhooks if _is_ours(row, one)]
    return [*named, *(SilencedView(kind="webhook", id=id_, name=host) for id_, host in hosts)]


def _is_ours(row: RequestRecord, kept: Account | WebhookEndpoint) -> bool:
    return kept.clinic_id == row.requester_clinic_id
