"""What the command line does with the records: clinics and their calendars, accounts, the rules of open requests."""

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.addresses import AddressError, checked_address
from domain.clinic_calendar import ClinicCalendar
from domain.model import COMPOSED, ONE_LINE
from domain.requests import Role
from records import people, renewals, second_factors
from records.database import Database
from records.models import Clinic
from records.offering_versions import known_codes
from settings import Settings
from use_cases.by_hand import engine_client
from use_cases.offering_files import load_offerings
from use_cases.passwords import hash_password
from use_cases.renewal import Asked, renew_calendar, renew_rules


class AdministrationError(Exception):
    """Something that the administrator can mend; the text says how."""


_LINE: TypeAdapter[str] = TypeAdapter(
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE]
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
            await people.add_clinic(
                session,
                code=code,
                name=_line(name),
                address_lines=[_line(part) for part in address],
                phone=_line(phone),
            )
    except IntegrityError:
        raise AdministrationError(f"There is a clinic with the code {code} already.") from None


async def add_route(settings: Settings, code: str, to: str) -> None:
    """Let the dispatchers of one clinic assign requests to another. Raises AdministrationError when one of them is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        clinic, other = await people.find_clinic(session, code), await people.find_clinic(session, to)
        if clinic is None or other is None:
            raise AdministrationError(f"There is no clinic with the code {to if clinic else code}.")
        clinic.routes_to = sorted({*clinic.routes_to, other.id})


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
        clinic.calendar = calendar.model_dump(mode="json")
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
            await people.add_account(
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
    except IntegrityError:
        raise AdministrationError(f"There is an account {username} already.") from None
    return password


async def set_email(settings: Settings, username: str, email: str) -> None:
    """Correct where an account's e-mails go; those that are sent again go there too.

    Raises AdministrationError for a name that no account has, or an address that won't do.
    """
    email = _address(settings, email)
    async with Database.opened(settings) as database, database.session() as session:
        account = await people.find_account(session, username)
        if account is None:
            raise AdministrationError(f"There is no account {username}.")
        account.email = email


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
        account.offerings = people.said_to_serve(offerings)


async def set_signing_needs_code(settings: Settings, code: str, needed: bool) -> None:
    """Say whether nobody signs at a clinic without a second factor. Raises AdministrationError when it is missing."""
    async with Database.opened(settings) as database, database.session() as session:
        (await _clinic(session, code)).signing_needs_code = needed


async def reset_second_factor(settings: Settings, username: str) -> None:
    """Remove somebody's second factor. Raises AdministrationError for a name that nobody has, or somebody without one."""
    async with Database.opened(settings) as database, database.session() as session:
        account = await people.find_account(session, username)
        if account is None or not await second_factors.remove(session, account.id):
            raise AdministrationError(f"There is no {username} with a second factor.")


def _address(settings: Settings, email: str) -> str:
    try:
        return checked_address(email, reachable=not settings.embedded)
    except AddressError as error:
        raise AdministrationError(f"The e-mail address {email!r} can't be used: {error}") from None
