"""The people of a clinic as the directory of their organization keeps them: made, changed, locked, ended by one of its systems.

A system with the scope `people:provision` sees and changes whom the clinic's administrators do, and less of them: it gives the
roles of `GIVEN_BY_DIRECTORIES`, opens again only what a directory has closed, and of administrators it only ends the access. It
lets nobody in: who is new asks for a link on the sign-in page, and who may sign needs the second code by voice.
([decision](../docs/decisions/directories.md))
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind, is_administered_by_clinic, may_sign
from domain.model import Frozen
from domain.requests import Role
from domain.service_accounts import GIVEN_BY_DIRECTORIES
from records import account_events, account_letters, load, one_time_links, passkeys, people, second_factors, sign_on
from records.account_events import Hand
from records.models import Account
from records.visibility import Viewer
from translations import Language, language_named
from use_cases.account_letters import send
from use_cases.administrators import Administrator
from use_cases.caller import Caller
from use_cases.people import (
    Changing,
    Name,
    PersonChange,
    changing,
    check_answers_itself,
    close,
    close_for_good,
    is_closed_by_a_person,
    open_again,
    take_over,
    usable_address,
    welcome,
)
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import MAX_USERNAME

MAX_EXTERNAL_ID = 200

_TOLD = {"given_name", "family_name", "title", "profession", "email", "language"}
"""What a directory says of somebody as administrators would."""


class DirectoryPerson(Frozen):
    """What a directory says of somebody. What is new of it is checked when it is taken over: what is there may be from before."""

    username: str
    external_id: str | None = None
    given_name: str
    family_name: str
    title: str = ""
    profession: str = ""
    email: str
    language: Language = "fr"
    roles: frozenset[Role]
    active: bool = True

    @property
    def full_name(self) -> str:
        """What somebody is called, with the title before."""
        return " ".join(part for part in (self.title, self.given_name, self.family_name) if part)


class _Said(PersonChange):
    """As administrators say it, but that a directory may leave somebody without a role."""

    roles: Annotated[list[Role], Field(max_length=10)] | None = None


class _Naming(Frozen):
    username: Annotated[Name, Field(max_length=MAX_USERNAME)]
    external_id: Annotated[Name, Field(max_length=MAX_EXTERNAL_ID)] | None


@dataclass(frozen=True)
class PersonInDirectory:
    """Somebody of the clinic, as directories see them. `version` grows with each change."""

    id: UUID
    said: DirectoryPerson
    clinic_id: UUID
    created_at: datetime
    version: int


async def list_people(services: Services, caller: Caller) -> list[PersonInDirectory]:
    """Everybody of the clinic whom a directory may know, by user name; who has left is not among them."""
    async with services.database.statement() as session:
        accounts = await people.list_accounts(session, clinic_id=caller.clinic_id, active=None)
    return [seen(account) for account in accounts if is_known(account)]


async def read_person(services: Services, caller: Caller, account_id: UUID) -> PersonInDirectory:
    """Somebody of the clinic. Raises Problem `not_found`."""
    async with services.database.statement() as session:
        account = await people.load_account(session, account_id)
    if account is None or account.clinic_id != caller.clinic_id or not is_known(account):
        raise Problem("not_found")
    return seen(account)


async def add_person(services: Services, caller: Caller, said: DirectoryPerson) -> PersonInDirectory:
    """An account for somebody, in which nobody can come yet; or their old one again, where they had left: who has the same
    `external_id` is the same person. Without `roles` they may do nothing until some are given.

    Raises Problem `username_taken`, `external_id_taken`, `clinic_has_partner`, `operators_only` for roles that directories do not
    give, or what is wrong with a field.
    """
    by = administrator_of(caller)
    _check_gives(said)
    told = PersonChange.model_validate(said.model_dump(include=_TOLD))
    said = said.model_copy(update={**told.said(), **_naming(said)})
    async with services.database.session() as session:
        known = await people.find_by_external_id(session, caller.clinic_id, said.external_id)
        if known is not None and (known.left_at is None or not await _is_for_directories_to_open(session, known)):
            raise Problem("external_id_taken")
    if known is not None:
        return await _changed(services, by, known.id, said, comes_back=True)
    email, now = usable_address(services.settings, said.email), datetime.now(UTC)
    async with services.database.session() as session:
        account = await _added(session, caller.clinic_id, said, email, now)
        account_events.note(session, AccountEventKind.PROVISIONED, account, by.hand, now)
        at = Changing(session, by, account, now, [])
        await welcome(at)
        person = seen(account)
    await send(services, at.letters)
    return person


async def replace_person(
    services: Services,
    caller: Caller,
    account_id: UUID,
    said: DirectoryPerson,
    expected_version: int | None,
    *,
    keeps_roles: bool = False,
) -> PersonInDirectory:
    """Make of somebody what the directory says. Whose access it ends is out first, whatever becomes of the rest; of an
    administrator it may do nothing else. Whom a person has locked stays so. With `keeps_roles`, nothing was said of roles.

    Raises Problem `not_found`, `account_changed`, `username_taken`, `external_id_taken`, `forbidden`, `last_administrator`,
    `still_holds_requests` when a provider is to be none any more, `clinic_has_partner`, `operators_only` for roles that
    directories do not give, or what is wrong with a field.
    """
    before, by = await read_person(services, caller, account_id), administrator_of(caller)
    if not said.active:
        before = await _ended(services, by, account_id, expected_version)
        expected_version = None if expected_version is None else before.version
    if not keeps_roles and before.said.roles != said.roles:
        _check_gives(said)
    return await _changed(services, by, account_id, said, expected_version, keeps_roles=keeps_roles)


async def end_person(services: Services, caller: Caller, account_id: UUID, expected_version: int | None) -> None:
    """Somebody has left: nobody comes in with the account any more, at once. What they hold is to be handed over.

    Raises Problem `not_found`, `account_changed` or `last_administrator`.
    """
    await read_person(services, caller, account_id)
    async with changing(services, administrator_of(caller), account_id) as at:
        _check_version(at, expected_version)
        await close_for_good(at, hands_over=True)
        await _tell_what_is_held(at)


async def _ended(
    services: Services, by: Administrator, account_id: UUID, expected_version: int | None
) -> PersonInDirectory:
    async with changing(services, by, account_id) as at:
        _check_version(at, expected_version)
        if at.account.active:
            await close(at)
            await _tell_what_is_held(at)
        await at.session.flush()
        return seen(at.account)


async def _changed(
    services: Services,
    by: Administrator,
    account_id: UUID,
    said: DirectoryPerson,
    expected_version: int | None = None,
    *,
    comes_back: bool = False,
    keeps_roles: bool = False,
) -> PersonInDirectory:
    try:
        async with changing(services, by, account_id) as at:
            _check_version(at, expected_version)
            if keeps_roles:  # as they are now: a group may have given one meanwhile
                said = said.model_copy(update={"roles": seen(at.account).said.roles})
            if comes_back and (at.account.left_at is None or at.account.external_id != said.external_id):
                raise Problem("external_id_taken")  # somebody was faster
            await take_over_said(services, at, said, hands_over=comes_back)
            if comes_back:
                at.account.left_at = None
            opens = said.active and not at.account.active
            opens = opens and await _is_for_directories_to_open(at.session, at.account)
            if opens:
                await open_again(at)
            if comes_back:
                await _start_anew(at)
            elif opens and at.account.last_used_at is None:
                await welcome(at)
            await at.session.flush()
            return seen(at.account)
    except IntegrityError as error:
        raise _taken(error) from None


async def take_over_said(services: Services, at: Changing, said: DirectoryPerson, *, hands_over: bool = False) -> None:
    """What is new of what was said. Who may sign now and could not before comes in anew. With `hands_over`, who holds requests
    may lose the role before these are handed over, as who is locked may: who comes again had left them.

    Raises Problem `forbidden` for what would change an administrator, and else as `replace_person` does.
    """
    if is_an_administrator(at.account):
        _check_only_ends(at.account, said)
        return
    account, signed = at.account, may_sign(at.account.roles)
    new = {name: value for name, value in said.model_dump(include=_TOLD).items() if value != getattr(account, name)}
    roles = {*said.roles, *map(Role, set(account.roles) - GIVEN_BY_DIRECTORIES)}
    if roles != set(account.roles):
        new["roles"] = sorted(roles)
    await take_over(services, at, _Said.model_validate(new), hands_over=hands_over or not said.active)
    if (people.username_as_kept(said.username), said.external_id) != (account.username, account.external_id):
        changed = {name: value for name, value in _naming(said).items() if getattr(account, name) != value}
        for name, value in changed.items():
            setattr(account, name, value)
        if changed:
            at.note(AccountEventKind.CHANGED, dict.fromkeys(changed))
    if may_sign(account.roles) and not signed:
        await _start_anew(at)


async def _start_anew(at: Changing) -> None:
    """By no way that led in before anybody comes in any more: who may sign needs the code by voice, and who comes again, a link.

    Otherwise whoever speaks for the directory could come in as somebody who may not sign, and then make them one who may.
    """
    at.account.password_hash = people.no_password()
    await second_factors.remove(at.session, at.account.id)
    await passkeys.remove_all(at.session, at.account.id)
    await sign_on.unlink_all(at.session, at.account.id)
    await one_time_links.end_resets_of(at.session, at.account.id, at.now)
    await people.revoke_tokens_of(at.session, at.account.id, at.now)
    await welcome(at)


async def _added(session: AsyncSession, clinic_id: UUID, said: DirectoryPerson, email: str, now: datetime) -> Account:
    if said.active:
        await check_answers_itself(session, clinic_id, said.roles)
    try:
        account = await people.add_account(
            session,
            clinic_id=clinic_id,
            username=said.username,
            password_hash=people.no_password(),
            roles=said.roles,
            given_name=said.given_name,
            family_name=said.family_name,
            title=said.title,
            profession=said.profession,
            email=email,
            language=said.language,
            now=now,
        )
        account.external_id, account.active = said.external_id, said.active
        await session.flush()
    except IntegrityError as error:
        raise _taken(error) from None
    return account


async def _tell_what_is_held(at: Changing) -> None:
    """Nobody looks at the answer that a directory gets: the clinic's administrators learn what is to be handed over, as far as it
    is not shut to them.
    """
    clinic_id, role = at.account.clinic_id, Role.CLINIC_ADMINISTRATOR
    for one in await people.list_accounts(at.session, clinic_id=clinic_id, role=role):
        viewer = Viewer(one.id, clinic_id, frozenset({role}))
        if not await load.held_by(at.session, at.account.id, viewer, limit=1):
            continue
        at.letters.append(await account_letters.write_to(at.session, LetterKind.HAND_OVER, one, at.now))


def administrator_of(caller: Caller) -> Administrator:
    """The system that speaks for the directory, as who administers the people of its clinic."""
    return Administrator(Hand(caller.actual_id, caller.side, caller.address), caller.clinic_id, caller.viewer)


def _check_gives(said: DirectoryPerson) -> None:
    if not said.roles <= GIVEN_BY_DIRECTORIES:
        raise Problem("operators_only")


def _naming(said: DirectoryPerson) -> dict[str, str | None]:
    """How somebody is called by name and by the directory, as it is kept. Raises ValidationError."""
    named = _Naming(username=said.username, external_id=said.external_id)
    return {"username": people.username_as_kept(named.username), "external_id": named.external_id}


def _taken(error: IntegrityError) -> Problem:
    return Problem("external_id_taken" if "uq_accounts_external_id" in str(error.orig) else "username_taken")


def _check_version(at: Changing, expected: int | None) -> None:
    if expected not in (None, at.account.version):
        raise Problem("account_changed")


def _check_only_ends(account: Account, said: DirectoryPerson) -> None:
    """Raise Problem `forbidden` for anything else: who could change an administrator would be one."""
    if said.active and said != seen(account).said:
        raise Problem("forbidden")


async def _is_for_directories_to_open(session: AsyncSession, account: Account) -> bool:
    """Whether none but a directory closed the account. What a person has closed, and administrators, a person opens."""
    return not is_an_administrator(account) and not await is_closed_by_a_person(session, account.id)


def is_an_administrator(account: Account) -> bool:
    """Whether it is somebody of whom a directory only ends the access."""
    return Role.CLINIC_ADMINISTRATOR in account.roles or not is_administered_by_clinic(account.roles)


def is_known(account: Account) -> bool:
    """Whether directories see this account of their clinic: who has left is not among them."""
    return account.left_at is None and is_administered_by_clinic(account.roles)


def seen(account: Account) -> PersonInDirectory:
    """The account as directories see it."""
    said = DirectoryPerson.model_construct(
        username=account.username,
        external_id=account.external_id,
        given_name=account.given_name,
        family_name=account.family_name,
        title=account.title,
        profession=account.profession,
        email=account.email,
        language=language_named(account.language),
        roles=GIVEN_BY_DIRECTORIES & {Role(role) for role in account.roles},
        active=account.active,
    )
    return PersonInDirectory(account.id, said, account.clinic_id, account.created_at, account.version)
