"""What the command line does with the records: clinics and their calendars, accounts, the rules of open requests."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from domain.addresses import AddressError, checked_address
from domain.clinic_calendar import ClinicCalendar
from domain.model import COMPOSED, DISCREET, ONE_LINE
from domain.requests import Role
from engine.client import EngineConnection
from records import account_events, account_letters, partners, people, renewals, second_factors
from records.database import Database
from records.models import Account, Clinic
from records.offering_versions import known_codes
from settings import Settings
from use_cases import forgotten_passwords, invitations, service_accounts, service_keys
from use_cases import people as on_file
from use_cases.administrators import Administrator
from use_cases.by_hand import Parts, engine_client
from use_cases.clinics import change_noted, note_added
from use_cases.emergencies import tell_open_pages
from use_cases.invitations import InvitationSent, NewInvitation
from use_cases.offering_files import load_offerings
from use_cases.passwords import hash_password
from use_cases.people import PersonChange, PersonOnFile
from use_cases.problems import Problem, input_faults
from use_cases.public_keys import pasted
from use_cases.renewal import Asked, renew_calendar, renew_rules
from use_cases.service_accounts import GivenSecret, NewServiceAccount, Rotation, ServiceAccountView
from use_cases.service_keys import NewKey

Read = TypeVar("Read", bound=BaseModel)

ENGINE_PATIENCE = timedelta(seconds=5)
"""How long a command waits for an engine that is away, before e-mails are left to the repair."""


class AdministrationError(Exception):
    """Something that the administrator can mend; the text says how."""


_LINE: TypeAdapter[str] = TypeAdapter(
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE],
    config=DISCREET,
)


def _line(text: str) -> str:
    """A name or address as it is kept: composed, one line. Raises AdministrationError for what nobody can see."""
    try:
        return _LINE.validate_python(text)
    except ValidationError as error:
        raise AdministrationError(f"{text!a}: {error.errors()[0]['msg']}.") from None


async def add_clinic(settings: Settings, code: str, name: str, address: Collection[str], phone: str) -> None:
    """A new clinic. Raises AdministrationError when the code is taken."""
    try:
        async with Database.opened(settings) as database, database.session() as session:
            clinic = await people.add_clinic(
                session,
                code=code,
                name=_line(name),
                address_lines=[_line(part) for part in address],
                phone=_line(phone),
            )
            note_added(session, Administrator.at_the_machine(), clinic)
    except IntegrityError:
        raise AdministrationError(f"There is a clinic with the code {code} already.") from None


async def add_route(settings: Settings, code: str, to: str) -> None:
    """Let the dispatchers of one clinic assign requests to another. Raises AdministrationError when one of them is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        clinic, other = await people.find_clinic(session, code), await people.find_clinic(session, to)
        if clinic is None or other is None:
            raise AdministrationError(f"There is no clinic with the code {to if clinic else code}.")
        routes = sorted({*clinic.routes_to, other.id})
        if routes != clinic.routes_to:
            change_noted(session, Administrator.at_the_machine(), clinic, {"routes_to": routes})


async def show_calendar(settings: Settings, code: str) -> ClinicCalendar:
    """When a clinic works. Raises AdministrationError when it is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        return ClinicCalendar.model_validate((await _clinic(session, code)).calendar)


async def set_calendar(settings: Settings, code: str, changes: Mapping[str, Any]) -> ClinicCalendar:
    """Change when a clinic works, for requests to come. Raises AdministrationError for a clinic or a calendar that won't do."""
    async with Database.opened(settings) as database, database.session() as session:
        clinic = await _clinic(session, code)
        try:
            calendar = ClinicCalendar.model_validate({**clinic.calendar, **changes})
        except ValidationError as error:
            raise AdministrationError(_said(error)) from None
        kept = calendar.model_dump(mode="json")
        if kept != clinic.calendar:
            change_noted(session, Administrator.at_the_machine(), clinic, {"calendar": kept})
    return calendar


async def requests_by_rules(settings: Settings) -> Mapping[int, tuple[int, int]]:
    """Version of the rules to the numbers of open and of ended requests under it."""
    async with Database.opened(settings) as database, database.session() as session:
        return await renewals.count_by_rules(session)


async def renew(
    settings: Settings, code: str | None, *, per_second: float, reason: str, say: Callable[[Asked], None]
) -> Asked:
    """Ask open requests to live under the current rules; those of the clinic `code`, by its present calendar."""
    how: Any = {"per_second": per_second, "reason": reason, "say": say}
    async with (
        Database.opened(settings, application_name="relais-renew") as database,
        engine_client(settings) as engine,
    ):
        if code is None:
            return await renew_rules(engine, database, **how)
        async with database.session() as session:
            clinic_id = (await _clinic(session, code)).id
        return await renew_calendar(engine, database, clinic_id, **how)


async def _clinic(session: AsyncSession, code: str) -> Clinic:
    clinic = await people.find_clinic(session, code)
    if clinic is None:
        raise AdministrationError(f"There is no clinic with the code {code}.")
    return clinic


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"The calendar can't be set: {where}: {first['msg'].removeprefix('Value error, ')}."


async def add_account(
    settings: Settings,
    username: str,
    *,
    clinic: str,
    roles: Collection[Role],
    given_name: str,
    family_name: str,
    email: str,
    title: str,
    profession: str,
    licence_number: str,
    language: str,
) -> str:
    """A new account; its first password, which is shown once.

    Raises AdministrationError for a name, a clinic or an e-mail address that won't do. Addresses that can reach nobody are for
    the embedded mode alone.
    """
    email = _address(settings, email)
    password = secrets.token_urlsafe(12)
    password_hash = await hash_password(password)
    try:
        async with Database.opened(settings) as database, database.session() as session:
            found = await people.find_clinic(session, clinic)
            if found is None:
                raise AdministrationError(
                    f"There is no clinic with the code {clinic}: make it with `relais add-clinic`."
                )
            if Role.PROVIDER in roles and await partners.performs_from_now_on(session, found.id):
                raise AdministrationError(f"A partner's system answers for the clinic {clinic}: it has no providers.")
            account = await people.add_account(
                session,
                clinic_id=found.id,
                username=_line(username),
                password_hash=password_hash,
                roles=roles,
                given_name=_line(given_name),
                family_name=_line(family_name),
                email=email,
                title=_line(title),
                profession=_line(profession),
                licence_number=_line(licence_number),
                language=language,
                now=datetime.now(UTC),
            )
            told = {"email": [None, email], "roles": [[], account.roles]}
            _note(session, AccountEventKind.ADDED, account, told)
    except IntegrityError:
        raise AdministrationError(f"There is an account {username} already.") from None
    return password


async def set_email(settings: Settings, username: str, email: str) -> None:
    """Correct where an account's e-mails go; those that are sent again go there too. Both addresses are told.

    Raises AdministrationError for a name that no account has, or an address that won't do.
    """
    await change_account(settings, username, PersonChange(email=_address(settings, email)))


async def set_offerings(settings: Settings, username: str, offerings: Collection[str] | None) -> None:
    """Say which service offerings a provider serves, by code; None for all.

    Raises AdministrationError for a name that no provider has, or a code that no offering ever had.
    """
    async with Database.opened(settings) as database, database.session() as session:
        account = await people.find_account(session, username)
        if account is None or Role.PROVIDER not in account.roles:
            raise AdministrationError(f"There is no provider {username}.")
        known = await known_codes(session) | load_offerings(settings.offerings_dir).keys()
        if unknown := sorted(set(offerings or ()) - known):
            raise AdministrationError(
                f"There is no service offering {unknown[0]}; there are {', '.join(sorted(known))}."
            )
        served = people.said_to_serve(offerings)
        if account.offerings != served:
            account.offerings, account.version = served, account.version + 1
            _note(session, AccountEventKind.CHANGED, account, {"offerings": None})


# People over their whole life


async def list_people(settings: Settings, clinic: str) -> list[PersonOnFile]:
    """Everybody of the clinic of that code. Raises AdministrationError when there is none."""
    async with _at_the_machine(settings) as parts:
        async with parts.database.session() as session:
            clinic_id = (await _clinic(session, clinic)).id
        return await on_file.list_people(parts, Administrator.at_the_machine(), clinic_id)


async def change_account(settings: Settings, username: str, change: PersonChange) -> PersonOnFile:
    """Change what is known of somebody, and what they may do. Raises AdministrationError."""
    async with _account_of(settings, username, sends=True) as (parts, by, account_id):
        return await on_file.change_person(parts, by, account_id, change, None)


async def lock_account(settings: Settings, username: str) -> PersonOnFile:
    """Nobody comes in with that account any more, at once. Raises AdministrationError."""
    async with _account_of(settings, username, sends=True) as (parts, by, account_id):
        return await on_file.lock(parts, by, account_id)


async def reopen_account(settings: Settings, username: str) -> PersonOnFile:
    """Somebody may come in again. Raises AdministrationError."""
    async with _account_of(settings, username) as (parts, by, account_id):
        return await on_file.reopen(parts, by, account_id)


async def let_go(settings: Settings, username: str) -> PersonOnFile:
    """Somebody has left, who holds nothing. Raises AdministrationError."""
    async with _account_of(settings, username, sends=True) as (parts, by, account_id):
        await on_file.let_go(parts, by, account_id)
        return await on_file.read_person(parts, by, account_id)


async def help_with_password(settings: Settings, username: str) -> str | None:
    """Send somebody a link to a new password; the second code for it, for who may sign. Raises AdministrationError."""
    async with _account_of(settings, username, sends=True) as (parts, by, account_id):
        return (await forgotten_passwords.help_with_password(parts, by, account_id)).voice_code


async def invite(settings: Settings, clinic: str, fields: Mapping[str, object]) -> InvitationSent:
    """Invite somebody to the clinic of that code. Raises AdministrationError for what won't do."""
    new = _read(NewInvitation, fields)
    async with _at_the_machine(settings, sends=True) as parts:
        async with parts.database.session() as session:
            clinic_id = (await _clinic(session, clinic)).id
        return await invitations.invite(parts, Administrator.at_the_machine(), clinic_id, new, None)


# The systems of a clinic


async def list_service_accounts(settings: Settings, clinic: str) -> list[ServiceAccountView]:
    """Those of the clinic of that code. Raises AdministrationError when there is none."""
    async with _at_the_machine(settings) as parts:
        by, clinic_id = Administrator.at_the_machine(), await _clinic_id(parts, clinic)
        return await service_accounts.list_service_accounts(parts, by, clinic_id)


async def add_service_account(settings: Settings, clinic: str, fields: Mapping[str, object]) -> GivenSecret:
    """A new one at the clinic of that code, with its first secret. Raises AdministrationError for what won't do."""
    new = _read(NewServiceAccount, fields)
    async with _at_the_machine(settings) as parts:
        by, clinic_id = Administrator.at_the_machine(), await _clinic_id(parts, clinic)
        return await service_accounts.add_service_account(parts, by, clinic_id, new)


async def rotate_secret(settings: Settings, clinic: str, name: str, older_ends_in_hours: int) -> GivenSecret:
    """Another secret; the one before goes on for so long. Raises AdministrationError."""
    rotation = Rotation(older_ends_in_hours=older_ends_in_hours)
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        return await service_accounts.rotate(parts, by, account_id, rotation)


async def end_secret(settings: Settings, clinic: str, name: str, ending: str) -> ServiceAccountView:
    """End the secret with those last characters, at once. Raises AdministrationError."""
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        there = (await service_accounts.read_service_account(parts, by, account_id)).secrets
        found = next((secret for secret in there if secret.ending == ending), None)
        if found is None:
            raise AdministrationError(f"{name} has no secret that ends in {ending}.")
        return await service_accounts.end_secret(parts, by, account_id, found.id)


async def add_key(settings: Settings, clinic: str, name: str, jwk: str) -> ServiceAccountView:
    """Register a public key, a JWK as JSON. Raises AdministrationError."""
    new = NewKey(jwk=pasted(jwk))
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        return await service_keys.add_key(parts, by, account_id, new)


async def end_key(settings: Settings, clinic: str, name: str, kid: str) -> ServiceAccountView:
    """End the key of that name, at once. Raises AdministrationError."""
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        there = (await service_accounts.read_service_account(parts, by, account_id)).keys
        found = next((key for key in there if key.kid == kid), None)
        if found is None:
            raise AdministrationError(f"{name} has no key {kid}.")
        return await service_keys.end_key(parts, by, account_id, found.id)


async def lock_service_account(settings: Settings, clinic: str, name: str) -> ServiceAccountView:
    """The system does not come in any more, at once. Raises AdministrationError."""
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        return await service_accounts.lock(parts, by, account_id)


async def reopen_service_account(settings: Settings, clinic: str, name: str) -> ServiceAccountView:
    """The system may come in again. Raises AdministrationError."""
    async with _system_of(settings, clinic, name) as (parts, by, account_id):
        return await service_accounts.reopen(parts, by, account_id)


@asynccontextmanager
async def _system_of(settings: Settings, clinic: str, name: str) -> AsyncIterator[tuple[Parts, Administrator, UUID]]:
    async with _at_the_machine(settings) as parts:
        by = Administrator.at_the_machine()
        there = await service_accounts.list_service_accounts(parts, by, await _clinic_id(parts, clinic))
        found = next((system for system in there if system.name.casefold() == name.casefold()), None)
        if found is None:
            raise AdministrationError(f"There is no service account {name} at {clinic}.")
        yield parts, by, found.id


async def _clinic_id(parts: Parts, code: str) -> UUID:
    async with parts.database.session() as session:
        return (await _clinic(session, code)).id


@asynccontextmanager
async def _at_the_machine(settings: Settings, *, sends: bool = False) -> AsyncIterator[Parts]:
    """What is needed to do something about accounts, also while the engine is away: what `sends` e-mails waits for it a moment,
    then they are left to the repair."""
    async with (
        Database.opened(settings, application_name="relais-accounts") as database,
        EngineConnection(settings, gives_up_after=ENGINE_PATIENCE) as engine,
    ):
        if sends:
            with suppress(TimeoutError):
                async with asyncio.timeout(ENGINE_PATIENCE.total_seconds()):
                    await engine.connected()
        try:
            yield Parts(settings, database, engine.client)
        except Problem as problem:
            raise AdministrationError(_told(problem)) from None


@asynccontextmanager
async def _account_of(
    settings: Settings, username: str, *, sends: bool = False
) -> AsyncIterator[tuple[Parts, Administrator, UUID]]:
    async with _at_the_machine(settings, sends=sends) as parts:
        async with parts.database.session() as session:
            account = await people.find_account(session, username)
        if account is None:
            raise AdministrationError(f"There is no account {username}.")
        yield parts, Administrator.at_the_machine(), account.id


def _read(kind: type[Read], fields: Mapping[str, object]) -> Read:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise AdministrationError(_told(Problem("invalid_input", input_faults(error)))) from None


def _told(problem: Problem) -> str:
    faults = [f"{fault.field}: {fault.told('en')}" for fault in problem.errors]
    return " ".join([problem.told("en"), *faults])


def _note(
    session: AsyncSession, kind: AccountEventKind, account: Account, changes: Mapping[str, object] | None = None
) -> None:
    account_events.note(session, kind, account, Administrator.at_the_machine().hand, datetime.now(UTC), changes)


async def set_signing_needs_code(settings: Settings, code: str, needed: bool) -> None:
    """Say whether nobody signs at a clinic without a second factor. Raises AdministrationError when it is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        clinic = await _clinic(session, code)
        if clinic.signing_needs_code != needed:
            change_noted(session, Administrator.at_the_machine(), clinic, {"signing_needs_code": needed})


async def turn_emergency_off(settings: Settings, code: str) -> None:
    """End access in an emergency for a clinic, with what is open by it. Raises AdministrationError when the clinic is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        clinic = await _clinic(session, code)
        if clinic.emergency:
            change_noted(session, Administrator.at_the_machine(), clinic, {"emergency": False})
            await tell_open_pages(session, clinic.id)


async def reset_second_factor(settings: Settings, username: str) -> None:
    """Remove somebody's second factor, and end their sessions; the repair sends them the e-mail that says so.

    Raises AdministrationError for a name that nobody has, or somebody without one.
    """
    async with Database.opened(settings) as database, database.session() as session:
        account = await people.find_account(session, username)
        if account is None or not await second_factors.remove(session, account.id):
            raise AdministrationError(f"There is no {username} with a second factor.")
        now = datetime.now(UTC)
        await people.revoke_tokens_of(session, account.id, now)
        _note(session, AccountEventKind.SECOND_FACTOR_REMOVED, account)
        await account_letters.write_to(session, LetterKind.SECOND_FACTOR_RESET, account, now)


def _address(settings: Settings, email: str) -> str:
    try:
        return checked_address(email, reachable=not settings.embedded)
    except AddressError as error:
        raise AdministrationError(f"The e-mail address {email!r} can't be used: {error}") from None
