"""A clinic's system that calls: whose secret that is, what it may do, and for whom it acts."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from domain.service_accounts import Scope, known_scopes
from domain.smart_scopes import MESSAGES, SmartScope
from records import people, service_accounts, service_keys
from records.hidden import hidden
from records.models import Account, ServiceSecret, ServiceToken, Side
from records.service_accounts import Found
from use_cases.caller import Caller, System
from use_cases.problems import Problem
from use_cases.services import Services

SECRET_PREFIX = "relais_sk_"  # noqa: S105 - what every secret begins with
"""By it those who look for secrets in code and logs find ours, and the server which kind of token it has before it."""

TOKEN_PREFIX = "relais_at_"  # noqa: S105 - what every access token begins with

MAX_NAMED = 200


def is_of_a_system(token: str) -> bool:
    """Whether a bearer token is a system's, and no person's."""
    return token.startswith((SECRET_PREFIX, TOKEN_PREFIX))


async def caller_of(services: Services, token: str, address: str | None, on_behalf_of: str | None) -> Caller:
    """The system whose token that is, for the person named by id or user name where it acts for one.

    Raises Problem `not_authenticated`, or `unknown_person` for who does not ask for advice at the system's clinic.
    """
    now = datetime.now(UTC)
    async with services.database.statement() as session:
        found, by = await _found(session, token, now)
        person = await _person(session, found.account.clinic_id, on_behalf_of) if on_behalf_of is not None else None
    scopes = has = known_scopes(found.service.scopes)
    smart: frozenset[SmartScope] = frozenset()
    if isinstance(by, ServiceSecret):
        await _note_use(services, found, by, address, now)
    else:
        scopes &= known_scopes(by.scopes)
        read = map(SmartScope.read, by.scopes)
        smart = frozenset(scope for scope in read if scope is not None and scope.is_had_by(has))
        if any(scope.covers(MESSAGES, "c") for scope in smart):
            scopes |= {Scope.MESSAGES_SEND}  # what a message says is ordered by the same ways as in the API
    system = System(found.account, scopes, smart)
    return Caller(person or found.account, token, Side.API, address, system)


async def _found(session: AsyncSession, token: str, now: datetime) -> tuple[Found, ServiceSecret | ServiceToken]:
    """Whose token that is, and what of a key's it is good for. The use of a key is noted where it gets an access token."""
    known: tuple[Found, ServiceSecret | ServiceToken] | None
    if token.startswith(TOKEN_PREFIX):
        known = await service_keys.system_of_token(session, hidden(token), now)
    else:
        known = await service_accounts.system_of_secret(session, hidden(token), now)
    if known is None:
        raise Problem("not_authenticated")
    return known


async def _person(session: AsyncSession, clinic_id: UUID, named: str) -> Account:
    account = await _named(session, named) if 0 < len(named) <= MAX_NAMED else None
    is_asking = (
        account is not None and account.active and account.clinic_id == clinic_id and Role.REQUESTER in account.roles
    )
    if account is None or not is_asking:
        raise Problem("unknown_person")
    return account


async def _named(session: AsyncSession, named: str) -> Account | None:
    try:
        return await people.load_account(session, UUID(named))
    except ValueError:
        return await people.find_account(session, named) if named.isprintable() else None


async def _note_use(
    services: Services, found: Found, secret: ServiceSecret, address: str | None, now: datetime
) -> None:
    """Write down, now and then, that a system calls; what hinders that hinders nothing else."""
    if service_accounts.needs_a_note_of_use(found, secret, address, now):
        with suppress(SQLAlchemyError, OSError):
            async with services.database.session() as session:
                await service_accounts.note_use(session, found.account.id, secret.id, address, now)
