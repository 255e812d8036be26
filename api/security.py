"""Who calls: passwords, bearer tokens, and the account behind a call."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.services import Services, ServicesOf
from domain.requests import Role
from records import people
from records.models import Account
from records.visibility import Viewer
from settings import Settings
from translations import language_named

MAX_PASSWORD = 1_000
ATTEMPTS = 10
"""Wrong passwords in a row before a pause is asked for."""
PAUSE = timedelta(minutes=5)

_hasher = PasswordHasher()
_at_once = asyncio.Semaphore(2)
"""A hash takes 64 MiB and some 150 ms of processor time: two at a time at the most."""
_NOBODYS_HASH = _hasher.hash(secrets.token_urlsafe())


async def hash_password(password: str) -> str:
    """An Argon2id hash of `password`, made in a thread."""
    async with _at_once:
        return await asyncio.to_thread(_hasher.hash, password)


async def password_fits(services: Services, username: str, password_hash: str, password: str) -> bool:
    """Whether `password` is the one of `password_hash`, which belongs to that user name.

    Raises Problem `too_many_attempts` after `ATTEMPTS` wrong passwords in a row, until `PAUSE` has passed.
    """
    async with _at_once:
        now = datetime.now(UTC)
        async with services.database.session() as session:
            failed = await people.failed_logins(session, username)
        if failed is not None and failed.count >= ATTEMPTS and failed.last_at > now - PAUSE:
            raise Problem("too_many_attempts", headers={"Retry-After": str(int(PAUSE.total_seconds()))})
        fits = await asyncio.to_thread(_verify, password_hash, password)
        async with services.database.session() as session:
            if not fits:
                await people.note_failed_login(session, username, now, forget_after=PAUSE)
            elif failed is not None:
                await people.forgive_failed_logins(session, username)
    return fits


async def authenticate(services: Services, username: str, password: str) -> Account | None:
    """The active account with this name and password, or None. Takes as long for a name that does not exist.

    Raises Problem `too_many_attempts`, see `password_fits`.
    """
    async with services.database.session() as session:
        account = await people.find_account(session, username)
    if account is not None and not account.active:
        account = None
    fits = await password_fits(services, username, account.password_hash if account else _NOBODYS_HASH, password)
    return account if fits else None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password.encode())
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True)
class BearerToken:
    """A new token. `text` is shown once; the records keep only its SHA-256."""

    text: str
    expires_at: datetime


async def give_token(services: Services, account_id: UUID) -> BearerToken:
    """A new bearer token for an account."""
    now = datetime.now(UTC)
    token = BearerToken(secrets.token_urlsafe(32), now + timedelta(hours=services.settings.token_hours))
    async with services.database.session() as session:
        await people.add_token(
            session, token_sha256=token_sha256(token.text), account_id=account_id, now=now, expires_at=token.expires_at
        )
    return token


async def end_token(services: Services, text: str) -> None:
    """End a token; nothing happens when there is none such."""
    async with services.database.session() as session:
        await people.revoke_token(session, token_sha256(text), datetime.now(UTC))


def token_sha256(text: str) -> str:
    """How the records know a token."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Caller:
    """The person who calls, and the token by which they do."""

    account: Account
    token: str = field(repr=False)

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
    def viewer(self) -> Viewer:
        """The same person, as the records' rules of visibility know them."""
        return Viewer(account_id=self.id, clinic_id=self.clinic_id, roles=self.roles)


_bearer = HTTPBearer(auto_error=False, description="A token from `POST /api/v1/tokens`.")

_READING = {"GET", "HEAD", "OPTIONS"}


async def _caller(
    request: Request,
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    token = credentials.credentials if credentials else session_of(request, services.settings)
    if not token:
        raise Problem("not_authenticated")
    if credentials is None:
        check_same_site(request)
    account = await _account_of(services, token)
    if account is None:
        raise Problem("not_authenticated")
    request.state.language = language_named(account.language)
    return Caller(account, token)


async def account_of_session(request: Request, services: Services) -> Account | None:
    """Whose browser it is that calls; None when nobody is signed in there."""
    token = session_of(request, services.settings)
    return await _account_of(services, token) if token else None


async def holds(services: Services, caller: Caller) -> bool:
    """Whether the caller's token still speaks for them: for calls that last."""
    return await _account_of(services, caller.token) is not None


async def _account_of(services: Services, token: str) -> Account | None:
    async with services.database.session() as session:
        return await people.account_of_token(session, token_sha256(token), datetime.now(UTC))


def session_cookie(settings: Settings) -> str:
    """The name of the cookie that holds a browser's token. With TLS, ``__Host-`` binds it to this host."""
    return "__Host-relais" if settings.over_tls else "relais"


def session_of(request: Request, settings: Settings) -> str | None:
    """The token that a browser's cookie holds, if there is one."""
    return request.cookies.get(session_cookie(settings))


def check_same_site(request: Request) -> None:
    """Raise Problem `other_site` when a page of another site makes a browser send something that changes things.

    A browser adds the cookie by itself, so the cookie alone proves nothing. All current browsers say where a call comes from
    (Sec-Fetch-Site, in older ones Origin).
    """
    if request.method in _READING:
        return
    said = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    same = said == "same-origin" if said is not None else origin.partition("://")[2] == request.headers.get("host")
    if not same:
        raise Problem("other_site")


CallerOf = Annotated[Caller, Depends(_caller)]
"""The person who calls, as a parameter of a route, by a bearer token or a browser's cookie; without one the answer is 401."""
