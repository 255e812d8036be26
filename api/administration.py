"""Making clinics and accounts from the command line: `relais add-clinic`, `relais add-account`."""

import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.exc import IntegrityError

from api.security import hash_password
from domain.addresses import AddressError, checked_address
from domain.model import COMPOSED, ONE_LINE
from domain.requests import Role
from records import people
from records.database import Database
from settings import Settings


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
    database = Database.from_settings(settings)
    try:
        async with database.session() as session:
            await people.add_clinic(
                session,
                code=code,
                name=_line(name),
                address_lines=[_line(part) for part in address],
                phone=_line(phone),
            )
    except IntegrityError:
        raise AdministrationError(f"There is a clinic with the code {code} already.") from None
    finally:
        await database.close()


async def add_route(settings: Settings, code: str, to: str) -> None:
    """Let the dispatchers of one clinic assign requests to another. Raises AdministrationError when one of them is missing."""
    database = Database.from_settings(settings)
    try:
        async with database.session() as session:
            clinic, other = await people.find_clinic(session, code), await people.find_clinic(session, to)
            if clinic is None or other is None:
                raise AdministrationError(f"There is no clinic with the code {to if clinic else code}.")
            clinic.routes_to = sorted({*clinic.routes_to, other.id})
    finally:
        await database.close()


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
    try:
        email = checked_address(email, reachable=not settings.embedded)
    except AddressError as error:
        raise AdministrationError(f"The e-mail address {email!r} can't be used: {error}") from None
    password = secrets.token_urlsafe(12)
    password_hash = await hash_password(password)
    database = Database.from_settings(settings)
    try:
        async with database.session() as session:
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
    finally:
        await database.close()
    return password
