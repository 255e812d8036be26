"""How people prove who they are: passwords and bearer tokens."""

import asyncio
import hashlib
import os
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from records import people
from records.models import Account
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services

T = TypeVar("T")

MAX_USERNAME = 200
MAX_PASSWORD = 1_000
ATTEMPTS = 10
"""Wrong passwords in a row before a pause is asked for."""
PAUSE = timedelta(minutes=5)

_hasher = PasswordHasher()
AT_ONCE = 2
"""A hash takes 64 MiB and some 150 ms of processor time."""
_NICER = 5
_places = asyncio.Semaphore(AT_ONCE)


def _be_nice() -> None:
    """Commands come first: who signs in can wait a little. Only Linux has threads that are nicer than their process."""
    if sys.platform == "linux":
        os.nice(_NICER)


_threads = ThreadPoolExecutor(AT_ONCE, "passwords", _be_nice)


@cache
def _nobodys_hash() -> str:
    """What the password of a user name that nobody has is compared with, so that both take the same time."""
    return _hasher.hash(secrets.token_urlsafe())


async def hash_password(password: str) -> str:
    """An Argon2id hash of `password`, made in a thread."""
    async with _places:
        return await _in_a_thread(_hasher.hash, password)


async def password_fits(services: Services, username: str, password_hash: str, password: str) -> bool:
    """Whether `password` is the one of `password_hash`, which belongs to that user name.

    Raises Problem `too_many_attempts` after `ATTEMPTS` wrong passwords in a row, until `PAUSE` has passed.
    """
    async with _places:
        now = datetime.now(UTC)
        async with services.database.session() as session:
            failed = await people.failed_logins(session, username)
        if failed is not None and failed.count >= ATTEMPTS and failed.last_at > now - PAUSE:
            raise Problem("too_many_attempts")
        fits = await _in_a_thread(_verify, password_hash, password)
        async with services.database.session() as session:
            if not fits:
                await people.note_failed_login(session, username, now, forget_after=PAUSE)
            elif failed is not None:
                await people.forgive_failed_logins(session, username)
    return fits


async def _in_a_thread(work: Callable[..., T], *arguments: str) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)


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


async def sign_in(services: Services, username: str, password: str, *, instead_of: str | None = None) -> BearerToken:
    """A token for who knows the password of an active account. It takes as long for a name that does not exist.

    The token `instead_of`, whoever's it is, ends when the new one begins. Raises Problem `wrong_credentials`, or
    `too_many_attempts` as `password_fits` does.
    """
    fits = 0 < len(username) <= MAX_USERNAME and 0 < len(password) <= MAX_PASSWORD and "\0" not in username
    account = await _authenticated(services, username, password) if fits else None
    if account is None:
        raise Problem("wrong_credentials")
    return await _new_token(services, account.id, instead_of)


async def _authenticated(services: Services, username: str, password: str) -> Account | None:
    async with services.database.session() as session:
        account = await people.find_account(session, username)
    if account is not None and not account.active:
        account = None
    nobodys = await _in_a_thread(_nobodys_hash)
    fits = await password_fits(services, username, account.password_hash if account else nobodys, password)
    return account if fits else None


async def _new_token(services: Services, account_id: UUID, instead_of: str | None) -> BearerToken:
    now = datetime.now(UTC)
    token = BearerToken(secrets.token_urlsafe(32), now + timedelta(hours=services.settings.token_hours))
    async with services.database.session() as session:
        if instead_of is not None:
            await people.revoke_token(session, token_sha256(instead_of), now)
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


async def holds(services: Services, caller: Caller) -> bool:
    """Whether the caller's token still speaks for them: for calls that last."""
    return await account_of(services, caller.token) is not None


async def account_of(services: Services, token: str) -> Account | None:
    """The account for which a token speaks now; None for one that is not known, or ended."""
    async with services.database.statement() as session:
        return await people.account_of_token(session, token_sha256(token), datetime.now(UTC))
