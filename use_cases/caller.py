"""Who calls: a person with their roles and clinic, whatever the face by which they come."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4, uuid5

from domain.requests import Role
from records.models import Account, Side
from records.visibility import Viewer
from translations import Language, language_named


@dataclass(frozen=True)
class Caller:
    """The person who calls, the token by which they do, and from where: by which face, and from which address of the network."""

    account: Account
    token: str = field(repr=False)
    side: Side = Side.API
    address: str | None = None

    def with_account(self, account: Account) -> "Caller":
        """The same caller after a change of the account."""
        return replace(self, account=account)

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
        return frozenset(Role(role) for role in self.account.roles)

    @property
    def language(self) -> Language:
        """The language that the person has chosen."""
        return language_named(self.account.language)

    def command_id(self, key: str | None) -> str:
        """The id of a command that this person gives: from the person and the key, so that two people's keys never meet."""
        return str(uuid5(self.id, key)) if key else str(uuid4())

    @property
    def viewer(self) -> Viewer:
        """The same person, as the records' rules of visibility know them."""
        return Viewer(account_id=self.id, clinic_id=self.clinic_id, roles=self.roles)
