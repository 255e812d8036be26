"""The groups of a clinic by which a directory gives roles: one for each role of `GIVEN_BY_DIRECTORIES`, made and named by Relais.

Nothing is kept of a group: its members are who has the role, and who joins or leaves one gets or loses it as if the directory had
said so of the person (`use_cases.provisioning`): the same checks, letters, and entries under the name of the system.
([decision](../docs/decisions/directories.md))
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid5

from domain.requests import Role
from domain.service_accounts import GROUP_NAMES
from records import people
from records.models import Account
from use_cases.caller import Caller
from use_cases.people import Changing, changing_several
from use_cases.problems import FieldFault, Problem
from use_cases.provisioning import (
    PersonInDirectory,
    administrator_of,
    is_an_administrator,
    is_known,
    list_people,
    seen,
    take_over_said,
)
from use_cases.services import Services

MOST_MEMBERS = 200
"""So many people at most join or leave a group in one call: as long as it takes, other changes of the clinic's accounts wait."""


@dataclass(frozen=True)
class Member:
    """Somebody who has the role."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Group:
    """Who has a role. `version` is another whenever these are others, or are called otherwise."""

    id: UUID
    role: Role
    name: str
    members: tuple[Member, ...]

    @property
    def member_ids(self) -> frozenset[UUID]:
        """Whose ids these are."""
        return frozenset(one.id for one in self.members)

    @property
    def version(self) -> str:
        """Sixteen hexadecimal digits."""
        return sha256("\0".join(f"{one.id} {one.name}" for one in self.members).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class MembersSaid:
    """Who joins a group and who leaves it. `left_out` are members whom a whole list did not name."""

    joins: frozenset[UUID] = frozenset()
    leaves: frozenset[UUID] = frozenset()
    left_out: frozenset[UUID] = frozenset()

    @property
    def ids(self) -> frozenset[UUID]:
        """Everybody of whom something is said."""
        return self.joins | self.leaves | self.left_out


@dataclass(eq=False)
class NotTaken(Exception):  # noqa: N818 - as Problem
    """Nothing was changed, for these could not be: by user name, each with why."""

    refused: Sequence[tuple[str, Problem]]


def group_id(clinic_id: UUID, role: Role) -> UUID:
    """The id of a group: the same for ever."""
    return uuid5(clinic_id, f"group/{role.value}")


def groups_of(caller: Caller, found: Iterable[PersonInDirectory]) -> list[Group]:
    """The groups of the caller's clinic, of whose people these are."""
    everybody = list(found)
    return [_group(caller.clinic_id, role, everybody) for role in GROUP_NAMES]


async def list_groups(services: Services, caller: Caller) -> list[Group]:
    """The groups of the clinic, in the order of their roles."""
    return groups_of(caller, await list_people(services, caller))


async def read_group(services: Services, caller: Caller, wanted: UUID) -> Group:
    """One of them. Raises Problem `not_found`."""
    role = _role_of(caller, wanted)
    return _group(caller.clinic_id, role, await list_people(services, caller))


async def change_members(
    services: Services, caller: Caller, wanted: UUID, said: MembersSaid, expected_version: str | None = None
) -> Group:
    """Give the role to who joins, and take it from who leaves: all of it, or nothing. What is so already stays as it is.

    Of administrators nothing is changed: one whom a whole list leaves out stays, one who is named is refused.
    Raises Problem `not_found`, `account_changed` for another version than was expected, `invalid_input` for who is nobody of the
    clinic or for more than `MOST_MEMBERS`; and NotTaken, as `provisioning.replace_person` would refuse.
    """
    role, by = _role_of(caller, wanted), administrator_of(caller)
    if len(said.ids) > MOST_MEMBERS:
        raise Problem("invalid_input", [FieldFault("members", "too_many", limit=MOST_MEMBERS)])
    async with changing_several(services, by, caller.clinic_id, said.ids) as (session, found):
        accounts = await people.list_accounts(session, clinic_id=caller.clinic_id, active=None)
        if (
            expected_version is not None
            and expected_version != _group(caller.clinic_id, role, _known(accounts)).version
        ):
            raise Problem("account_changed")
        _check_are_people(said.joins, found)
        refused = [(at.account.username, why) for at in found if (why := await _take(services, at, role, said))]
        if refused:
            raise NotTaken(refused)
        await session.flush()
        return _group(caller.clinic_id, role, _known(accounts))


async def _take(services: Services, at: Changing, role: Role, said: MembersSaid) -> Problem | None:
    """Give or take the role, as far as it is not so; why that can't be, if it can't."""
    account, joins = at.account, at.account.id in said.joins
    if joins == (role in account.roles) or not is_known(account):
        return None
    if is_an_administrator(account):
        return None if account.id in said.left_out else Problem("forbidden")
    person = seen(account).said
    roles = person.roles | {role} if joins else person.roles - {role}
    try:
        await take_over_said(services, at, person.model_copy(update={"roles": roles}))
    except Problem as why:
        return why
    return None


def _check_are_people(ids: Iterable[UUID], found: Iterable[Changing]) -> None:
    there = {at.account.id for at in found if is_known(at.account)}
    strangers = [one for one in ids if one not in there]
    if strangers:
        raise Problem("invalid_input", [FieldFault(f'members[value eq "{one}"]', "not_an_option") for one in strangers])


def _role_of(caller: Caller, wanted: UUID) -> Role:
    for role in GROUP_NAMES:
        if group_id(caller.clinic_id, role) == wanted:
            return role
    raise Problem("not_found")


def _known(accounts: Iterable[Account]) -> list[PersonInDirectory]:
    return [seen(account) for account in accounts if is_known(account)]


def _group(clinic_id: UUID, role: Role, found: Iterable[PersonInDirectory]) -> Group:
    members = (Member(one.id, one.said.full_name) for one in found if role in one.said.roles)
    return Group(group_id(clinic_id, role), role, GROUP_NAMES[role], tuple(members))
