"""What goes on at a provider, whatever for: begun here, kept till the browser comes back, and answered once."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NoReturn
from uuid import UUID

import structlog

from records import sign_on as records
from records.hidden import hidden
from records.models import Account, SignOnAttempt
from sign_on.connection import DENIED, Connection, Secrets
from sign_on.providers import Client, StepUp
from sign_on.refused import AwayError, RefusedError
from use_cases.guessing import Origin
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import BearerToken

ANSWERED_WITHIN = timedelta(minutes=10)

RETURN_PATH = "/sign-on/{code}/return"
"""Where a provider sends browsers back to: one for each, so that no answer of one is taken for another's."""

log = structlog.get_logger(__name__)


class Purpose(StrEnum):
    """What becomes of who has signed in at a provider."""

    SIGN_IN = "sign_in"
    JOIN = "join"
    LINK = "link"
    LINK_BY_LETTER = "link_by_letter"
    SIGN = "sign"
    LAUNCH = "launch"  # at a record system, which has opened Relais
    LAUNCHED = "launched"  # and has said for whom, and with which patient


LINKING = (Purpose.JOIN, Purpose.LINK, Purpose.LINK_BY_LETTER)
"""Whoever sits before the computer of a clinic must not get the identity of a colleague who is still signed in there."""


@dataclass(frozen=True)
class Begun:
    """Where the browser goes on, at which provider, and what it keeps till it comes back."""

    provider: str
    address: str
    cookie: str = field(repr=False)


@dataclass(frozen=True)
class Arrived:
    """Somebody has come back: the page to go on to, a session where one begins, and a form that was sent too late."""

    address: str
    token: BearerToken | None = field(default=None, repr=False)
    unsent: str = field(default="", repr=False)


@dataclass(frozen=True)
class Browser:
    """The browser that comes back: what it kept, the session that it has, and from where it calls."""

    cookie: str = field(repr=False)
    token: str | None = field(repr=False)
    origin: Origin
    account: Account | None


async def begin(
    services: Services,
    provider: str,
    purpose: Purpose,
    cookie: str | None,
    said: Mapping[str, str],
    account_id: UUID | None = None,
    step_up: StepUp | None = None,
) -> Begun:
    """Write down what goes on at the provider. `said` is what goes along. Raises Problem `not_found` or `sign_on_away`."""
    connection, own = connection_of(services, provider), Secrets()
    try:
        address = await connection.address_to_ask(
            own, return_address(services, provider), step_up, anew=purpose in LINKING
        )
    except AwayError as error:
        away(provider, error)
    return await write_down(services, provider, purpose, cookie, own, address, said, account_id)


async def write_down(
    services: Services,
    provider: str,
    purpose: Purpose,
    cookie: str | None,
    own: Secrets,
    address: str,
    said: Mapping[str, str],
    account_id: UUID | None = None,
) -> Begun:
    """What goes on at that address, for the browser that has that cookie, or gets one."""
    cookie = cookie or secrets.token_urlsafe(32)
    async with services.database.session() as session:
        attempt = SignOnAttempt(
            sha256=_place(cookie, own.state),
            provider=provider,
            purpose=purpose,
            nonce=own.nonce,
            verifier=own.verifier,
            said={name: text.replace("\0", "") for name, text in said.items()},  # PostgreSQL keeps no NUL
            account_id=account_id,
            expires_at=datetime.now(UTC) + ANSWERED_WITHIN,
        )
        await records.add_attempt(session, attempt)
    return Begun(provider, address, cookie)


async def take(services: Services, provider: str, browser: Browser, state: str) -> SignOnAttempt:
    """What this browser had begun; from now on it is answered. Raises Problem `sign_on_expired`."""
    async with services.database.session() as session:
        attempt = await records.take_attempt(session, _place(browser.cookie, state), provider, datetime.now(UTC))
    if attempt is None:
        raise Problem("sign_on_expired")
    return attempt


def connection_of(services: Services, provider: str) -> Connection:
    """The provider of that code. Raises Problem `not_found`."""
    found = services.sign_on.connections.get(provider)
    if found is None:
        raise Problem("not_found")
    return found


def client_of(services: Services, code: str) -> Client:
    """The provider or the record system of that code. Raises Problem `not_found`."""
    known = services.sign_on.providers
    found = known.all.get(code) or known.record_systems.get(code)
    if found is None:
        raise Problem("not_found")
    return found


def return_address(services: Services, provider: str) -> str:
    """Where the provider sends browsers back to."""
    return services.settings.public_url.rstrip("/") + RETURN_PATH.format(code=provider)


def refused(
    provider: str, error: RefusedError, code: str = "sign_on_failed", back: str = "/", denied: str = "sign_on_denied"
) -> NoReturn:
    """Raise the Problem of that code; or the one `denied`, where the provider let nobody in. `back` is the page to go back to."""
    code = denied if error.reason in DENIED else code
    raise Problem(code, reference=_noted(provider, error.reason), back=back) from error


def away(provider: str, error: AwayError, back: str = "/", code: str = "sign_on_away") -> NoReturn:
    """Raise the Problem of that code."""
    raise Problem(code, reference=_noted(provider, error.reason), back=back) from error


def _place(cookie: str, state: str) -> str:
    return hidden(f"{cookie}\n{state}")


def _noted(provider: str, reason: str) -> str:
    """The number by which those who run Relais find in the log why it was not accepted."""
    reference = secrets.token_hex(4).upper()
    log.warning("a sign-in through a provider was not accepted", name=provider, code=reason, number=reference)
    return reference
