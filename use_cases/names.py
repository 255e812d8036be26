"""The people and clinics that views name."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import HolderKind
from records import people
from records.models import Account, AccountKind, Clinic
from use_cases.views import View


class PersonView(View):
    """Somebody at a clinic."""

    id: UUID
    name: str = Field(examples=["Dre Amélie Roy"])
    profession: str = ""
    clinic_id: UUID
    clinic: str
    outside: bool = Field(
        False, description="Said at a partner, under the name that its message gives: nobody here has checked it."
    )


class HolderView(View):
    """Who must act next: a person, a clinic's pool of providers, its dispatchers, or nobody."""

    kind: HolderKind
    person: PersonView | None = None
    clinic_id: UUID | None = None
    clinic: str | None = None


class Names:
    """The people and clinics that a view names, loaded in two queries."""

    def __init__(self, accounts: dict[UUID, Account], clinics: dict[UUID, Clinic]) -> None:
        self._accounts = accounts
        self._clinics = clinics
        self._people: dict[UUID, PersonView] = {}  # each is named often: in every entry of a long history
        self._holders: dict[tuple[HolderKind, UUID | None, UUID | None], HolderView] = {}

    @classmethod
    async def load(
        cls, session: AsyncSession, people_ids: Iterable[UUID | None], clinic_ids: Iterable[UUID | None]
    ) -> "Names":
        """The names of those people, of their clinics, and of those clinics."""
        accounts = await people.accounts_by_id(session, {id_ for id_ in people_ids if id_})
        wanted = {id_ for id_ in clinic_ids if id_} | {account.clinic_id for account in accounts.values()}
        return cls(accounts, await people.clinics_by_id(session, wanted))

    def person(self, account_id: UUID | None) -> PersonView | None:
        """Somebody; None for Relais itself and for whom the records don't know."""
        account = self._accounts.get(account_id) if account_id else None
        if account is None:
            return None
        if account.id not in self._people:
            self._people[account.id] = person_view(account, self._clinics[account.clinic_id])
        return self._people[account.id]

    def who(self, account_id: UUID | None, command: Mapping[str, Any]) -> PersonView | None:
        """Who gave a command: of a partner's system that answers, the one whom its message names."""
        person, outside = self.person(account_id), command.get("outside")
        if person is None or outside is None or not self.is_system(account_id):
            return person
        name = outside.get("name") or outside.get("organization") or person.name
        clinic = outside.get("organization") or person.clinic
        return person.model_copy(update={"name": f"{name} ({clinic})", "profession": "", "outside": True})

    def is_system(self, account_id: UUID | None) -> bool:
        """Whether that is a clinic's system, and no person."""
        account = self._accounts.get(account_id) if account_id else None
        return account is not None and account.kind is AccountKind.SERVICE

    def clinic(self, clinic_id: UUID | None) -> str | None:
        """The name of a clinic."""
        clinic = self._clinics.get(clinic_id) if clinic_id else None
        return clinic.name if clinic else None

    def holder(self, kind: HolderKind, account_id: UUID | None, clinic_id: UUID | None) -> HolderView:
        """Who must act next."""
        known = (kind, account_id, clinic_id)
        if known not in self._holders:
            person, clinic = self.person(account_id), self.clinic(clinic_id)
            self._holders[known] = HolderView(kind=kind, person=person, clinic_id=clinic_id, clinic=clinic)
        return self._holders[known]


def full_name(account: Account) -> str:
    """Title, given name, family name."""
    return " ".join(part for part in (account.title, account.given_name, account.family_name) if part)


def person_view(account: Account, clinic: Clinic) -> PersonView:
    """A person with their clinic."""
    return PersonView(
        id=account.id,
        name=full_name(account),
        profession=account.profession,
        clinic_id=clinic.id,
        clinic=clinic.name,
    )
