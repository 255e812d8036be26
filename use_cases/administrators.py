"""Who administers accounts, and what is theirs to change: the administrators of a clinic its people, operators everybody.

| | sees | changes | gives and takes roles |
| --- | --- | --- | --- |
| clinic administrator | the people of the own clinic | them, but for operators | all but operator |
| operator | everybody | everybody | all |

What may not be seen is `not_found`. Whoever gives the command line is an operator: they have the machine.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import GIVEN_BY_CLINICS, GIVEN_BY_OPERATORS, is_administered_by_clinic
from domain.requests import Role
from records import people, restrictions
from records.account_events import Hand
from records.models import Account, Invitation, Side
from records.visibility import Viewer
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem


async def shut_to_each(session: AsyncSession, clinic_id: UUID) -> dict[Account, set[UUID]]:
    """To each active administrator of the clinic, the requests that restrictions shut to them."""
    found = await people.list_accounts(session, clinic_id=clinic_id, role=Role.CLINIC_ADMINISTRATOR)
    shut = await restrictions.shut_to_each(session, [one.id for one in found])
    return {one: shut[one.id] for one in found}


def who_sees(shut: Mapping[Account, set[UUID]], request_ids: Collection[UUID]) -> list[tuple[Account, set[UUID]]]:
    """Of those to whom requests are `shut`, who sees any of these requests, each with those."""
    return [(one, seen) for one, theirs in shut.items() if (seen := set(request_ids) - theirs)]


def seen_by_none(shut: Mapping[Account, set[UUID]]) -> set[UUID]:
    """The requests that are `shut` to all of them; none where there is nobody."""
    return set.intersection(*shut.values()) if shut else set()


@dataclass(frozen=True)
class Administrator:
    """Somebody who administers the accounts of one clinic; those of all clinics where `clinic_id` is None.

    `viewer`: as whom they look, where requests are named or counted; None for whoever is at the machine.
    """

    hand: Hand
    clinic_id: UUID | None
    viewer: Viewer | None

    @classmethod
    def of(cls, caller: Caller) -> Self:
        """The caller as an administrator. Raises Problem `forbidden` for everybody else."""
        if not caller.roles & {Role.CLINIC_ADMINISTRATOR, Role.OPERATOR}:
            raise Problem("forbidden")
        return cls(hand_of(caller), None if Role.OPERATOR in caller.roles else caller.clinic_id, caller.viewer)

    @classmethod
    def at_the_machine(cls) -> Self:
        """Who runs the command line."""
        return cls(Hand(None, Side.COMMAND_LINE), None, None)

    @property
    def is_operator(self) -> bool:
        """Whether all clinics are theirs."""
        return self.clinic_id is None

    def administers(self, clinic_id: UUID) -> bool:
        """Whether they are an administrator of that very clinic, whatever else they are."""
        viewer = self.viewer
        return viewer is not None and viewer.clinic_id == clinic_id and Role.CLINIC_ADMINISTRATOR in viewer.roles

    def check_sees(self, clinic_id: UUID) -> None:
        """Raise Problem `not_found` for another clinic than theirs."""
        if self.clinic_id not in (None, clinic_id):
            raise Problem("not_found")

    def may_change(self, about: Account | Invitation) -> bool:
        """Whether this account, or invitation, is theirs to change."""
        return self.is_operator or (about.clinic_id == self.clinic_id and is_administered_by_clinic(about.roles))

    def check_changes(self, about: Account | Invitation) -> None:
        """Raise Problem `not_found` for what they don't see, `operators_only` for what they only see."""
        self.check_sees(about.clinic_id)
        if not self.may_change(about):
            raise Problem("operators_only")

    def check_gives(self, roles: Collection[Role]) -> None:
        """Raise Problem `operators_only` for roles that are not theirs to give, `invalid_input` for one that nobody has."""
        if not GIVEN_BY_OPERATORS.issuperset(roles):
            raise Problem("invalid_input", [FieldFault("roles", "not_an_option")])
        if not self.is_operator and not GIVEN_BY_CLINICS.issuperset(roles):
            raise Problem("operators_only")


def hand_of(caller: Caller) -> Hand:
    """By whom and from where the caller does something, for what is written down of it."""
    return Hand(caller.id, caller.side, caller.address)
