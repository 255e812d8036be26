"""The demonstration data of the one-command mode: three clinics, their people, and accounts to sign in with.

Who they are stands in ``demonstration_data/clinics.yaml``. Passwords are made at random for each data folder and kept in its
``demo-accounts.json``. What the people asked each other is in `demonstration_requests`.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import yaml
from pydantic import ConfigDict, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence
from domain.calendar import day_of
from domain.model import DISCREET, Discreet
from domain.notices import NoticeMode
from domain.requests import Role
from embedded.demo_accounts import DATA, DemoAccount, demo_accounts, write_demo_accounts
from embedded.errors import StartError
from records import absences, people
from records.database import Database
from records.models import Account, Clinic
from settings import get_settings
from use_cases.passwords import hash_password


class DemoAbsence(Discreet):
    """Days away, counted from the day on which the account is made (0)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int
    last: int
    note: str = ""

    def days(self, today: date) -> Absence:
        """The same on the calendar."""
        return Absence(starts_on=today + timedelta(days=self.first), ends_on=today + timedelta(days=self.last))


class DemoPerson(Discreet):
    """Somebody in ``clinics.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str
    role: Role
    title: str = ""
    given_name: str
    family_name: str
    profession: str = ""
    licence: str = ""
    language: str = "fr"
    notices: NoticeMode = NoticeMode.AT_ONCE
    away: tuple[DemoAbsence, ...] = ()
    offerings: tuple[str, ...] | None = None

    def email(self, clinic_code: str) -> str:
        """An address that can reach nobody (RFC 2606), e.g. ``amelie.gagnon@fleuve.invalid``."""
        local = unicodedata.normalize("NFKD", f"{self.given_name}.{self.family_name}".lower())
        return f"{local.encode('ascii', 'ignore').decode()}@{clinic_code}.invalid"


class DemoClinic(Discreet):
    """A clinic in ``clinics.yaml``. `routes_to` are codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    name: str
    address: tuple[str, ...]
    phone: str
    routes_to: tuple[str, ...] = ()
    people: tuple[DemoPerson, ...]


_CLINICS = TypeAdapter(tuple[DemoClinic, ...], config=DISCREET)


async def seed() -> None:
    """Makes what is missing of the clinics and accounts, and writes ``demo-accounts.json``. Doing it again changes nothing.

    Raises StartError when there is no database.
    """
    settings = get_settings()
    if settings.database_url is None:
        raise StartError("There is no database to put demonstration data into: start everything with `relais up`.")
    known = {account.username: account.password for account in demo_accounts(settings.data_dir)}
    demonstration = await asyncio.to_thread(_read_clinics)
    async with Database.opened(settings, application_name="relais-seed") as database:
        async with database.session() as session:
            there = {account.username for account in await people.list_accounts(session, active=None)}
        usernames = [person.username for clinic in demonstration for person in clinic.people]
        passwords = {username: known.get(username) or secrets.token_urlsafe(9) for username in usernames}
        without = [username for username in usernames if username not in there or username not in known]
        hashes = dict(
            zip(without, await asyncio.gather(*(hash_password(passwords[name]) for name in without)), strict=True)
        )
        async with database.session() as session:
            new = [clinic for clinic in demonstration if await people.find_clinic(session, clinic.code) is None]
            clinics = {clinic.code: await _clinic(session, clinic) for clinic in demonstration}
            for clinic in new:  # the routes of the others may have been changed since
                clinics[clinic.code].routes_to = [clinics[code].id for code in clinic.routes_to]
            accounts = [
                await _account(session, person, clinics[clinic.code], passwords, hashes)
                for clinic in demonstration
                for person in clinic.people
            ]
            # Before the commit: a crash between both leaves passwords without accounts, which the next start makes.
            await asyncio.to_thread(write_demo_accounts, settings.data_dir, accounts)


def _read_clinics() -> tuple[DemoClinic, ...]:
    return _CLINICS.validate_python(yaml.safe_load((DATA / "clinics.yaml").read_text()))


async def _clinic(session: AsyncSession, clinic: DemoClinic) -> Clinic:
    return await people.find_clinic(session, clinic.code) or await people.add_clinic(
        session, code=clinic.code, name=clinic.name, address_lines=clinic.address, phone=clinic.phone
    )


async def _account(
    session: AsyncSession, person: DemoPerson, clinic: Clinic, passwords: Mapping[str, str], hashes: Mapping[str, str]
) -> DemoAccount:
    """The account of that person: found, or made. When nobody knew its password any more, it gets the new one."""
    account = await people.find_account(session, person.username)
    if account is None:
        account = await _add_account(session, person, clinic, hashes[person.username])
    elif person.username in hashes:
        account.password_hash = hashes[person.username]
    return DemoAccount(
        username=account.username,
        password=passwords[person.username],
        role=person.role,
        clinic=clinic.name,
        clinic_id=clinic.id,
        account_id=account.id,
        name=" ".join(part for part in (account.title, account.given_name, account.family_name) if part),
        email=account.email,
        language=account.language,
    )


async def _add_account(session: AsyncSession, person: DemoPerson, clinic: Clinic, password_hash: str) -> Account:
    now = datetime.now(UTC)
    account = await people.add_account(
        session,
        clinic_id=clinic.id,
        username=person.username,
        password_hash=password_hash,
        roles=[person.role],
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email(clinic.code),
        now=now,
        title=person.title,
        profession=person.profession,
        licence_number=person.licence,
        language=person.language,
        notice_mode=person.notices,
        offerings=person.offerings,
    )
    for absence in person.away:
        await absences.add_absence(
            session,
            account.id,
            absence.days(day_of(now)),
            note=absence.note or None,
            created_by=account.id,
            now=now,
        )
    return account
