"""Who calls: a person with their roles and clinic, or a clinic's system, whatever the face by which they come."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4, uuid5

from domain.requests import Role
from domain.service_accounts import ACTS_AS, SEES_AS, Scope
from domain.smart_scopes import SmartScope
from records.models import Account, EmergencyOpening, Side
from records.visibility import Viewer
from translations import Language, language_named


@dataclass(frozen=True)
class System:
    """A clinic's system that calls, by its service account, and what that opens to it."""

    account: Account
    scopes: frozenset[Scope]
    smart_scopes: frozenset[SmartScope] = frozenset()
    """What a token for FHIR opens there, as far as the account still has what it takes."""


@dataclass(eq=False)
class InEmergency:
    """A call that reads also what was opened in an emergency; `opening` is by what it does, once that was looked up."""

    opening: EmergencyOpening | None = None


@dataclass(frozen=True)
class Caller:
    """The person who calls, the token by which they do, and from where: by which face, and from which address of the network.

    Where a clinic's `system` calls, `account` is the person for whom it does, or the system's own. It may do what a scope of its
    opens, which each address asks (`web.session`); and whatever is open, as that person in the roles of `ACTS_AS` alone, or with
    no role at all.

    `renews`: a page that they have open asks for itself anew, because of something that happened. `in_emergency`: the call reads
    one request, also where that was opened in an emergency; without it, nothing of that shows.
    `performs`: it is a partner's system that answers what its clinic was given, as a provider of it.
    """

    account: Account
    token: str = field(repr=False)
    side: Side = Side.API
    address: str | None = None
    system: System | None = None
    renews: bool = False
    in_emergency: InEmergency | None = None
    performs: bool = False

    def also_in_emergency(self) -> "Caller":
        """The same caller, to whom shows as well what they have opened in an emergency; to a system nothing does."""
        return self if self.system is not None else replace(self, in_emergency=InEmergency())

    @property
    def opening(self) -> EmergencyOpening | None:
        """By what they read the request, where they would not see it otherwise."""
        return self.in_emergency.opening if self.in_emergency else None

    def with_account(self, account: Account) -> "Caller":
        """The same caller after a change of the account."""
        return replace(self, account=account)

    def performing(self) -> "Caller":
        """A partner's system as it answers by itself what its clinic was given; whoever calls otherwise, unchanged."""
        return self if self.system is None else replace(self, account=self.system.account, performs=True)

    @property
    def id(self) -> UUID:
        """The account's id."""
        return self.account.id

    @property
    def clinic_id(self) -> UUID:
        """The clinic for which the person speaks."""
        return self.account.clinic_id

    @property
    def roles(self) -> frozenset[Role]:
        """What the person is at the clinic."""
        if self.performs:
            return frozenset({Role.PROVIDER})
        roles = frozenset(Role(role) for role in self.account.roles)
        return roles if self.system is None else roles & ACTS_AS

    @property
    def actual_id(self) -> UUID:
        """Who really calls: the system, where one does."""
        return self.id if self.system is None else self.system.account.id

    @property
    def acts_for(self) -> UUID | None:
        """The person for whom a system calls, if it does for one."""
        return None if self.actual_id == self.id else self.id

    @property
    def language(self) -> Language:
        """The language that the person has chosen."""
        return language_named(self.account.language)

    def command_id(self, key: str | None) -> str:
        """The id of a command that this person gives: from the person and the key, so that two people's keys never meet."""
        return str(uuid5(self.id, key)) if key else str(uuid4())

    @property
    def viewer(self) -> Viewer:
        """The same, as the records' rules of visibility know them."""
        is_nobody = self.system is not None and self.acts_for is None and not self.performs
        roles = SEES_AS if is_nobody else self.roles
        system_id = self.system.account.id if self.system is not None else None
        return Viewer(account_id=self.id, clinic_id=self.clinic_id, roles=roles, system_id=system_id)
