"""One-time codes by the clock (TOTP, RFC 6238), and the recovery codes for who has lost what makes them.

A code is taken once, for one thing: sent again for the same, it is as good as the first time. Wrong ones count like wrong
passwords, and sooner ([decision](../docs/decisions/second-factor.md)).
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hmac import compare_digest
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy.ext.asyncio import AsyncSession

from domain.rates import Rate
from engine.client import key_ring
from key_ring import open_sealed, seal
from records import second_factors
from records.hidden import hidden
from records.models import Account, SecondFactor
from settings import Settings
from use_cases import guessing
from use_cases.guessing import Counter
from use_cases.problems import Problem
from use_cases.services import Services

ISSUER = "Relais"
DIGITS = 6
STEP_SECONDS = 30
STEPS_AROUND = 1
"""Clocks differ, and people type: the code before and the one after are taken as well."""
SECRET_BYTES = 20

RECOVERY_CODES = 10
RECOVERY_BYTES = 15

FEW_CODES = Rate(5, timedelta(minutes=5))
"""With the three codes that fit at a time, guessing all day long succeeds once in three years."""


class Method(StrEnum):
    """How somebody has proved who they are; kept with what they sign."""

    PASSWORD = "password"  # noqa: S105 - its name
    CODE = "password+totp"
    RECOVERY_CODE = "password+recovery_code"
    PASSKEY = "password+passkey"
    PROVIDER = "provider"


def of_a_stranger(account_id: UUID) -> tuple[Counter, ...]:
    """What counts wrong codes after the right password, from devices on which the account's owner has never signed in."""
    return (Counter(f"code: {account_id}", FEW_CODES, forgiven=True),)


def of_a_device(account_id: UUID, device_sha256: str) -> tuple[Counter, ...]:
    """The same for a device that they have used before."""
    return (Counter(f"code: device {device_sha256} {account_id}", FEW_CODES, forgiven=True),)


def of_a_session(token_sha256: str) -> tuple[Counter, ...]:
    """The same for who is signed in."""
    return (Counter(f"code: session {token_sha256}", FEW_CODES, forgiven=True),)


async def take(services: Services, account_id: UUID, code: str, used_for: str, counters: Sequence[Counter]) -> Method:
    """Take a code of that account's, or one of its recovery codes, for one thing.

    Raises Problem `wrong_code`, also for one that was taken before, or `too_many_attempts`.
    """
    await guessing.check(services.database, counters)
    await guessing.count(services.database, counters)
    async with services.database.session() as session:
        method = await _spend(session, services.settings, account_id, code, used_for)
    if method is None:
        raise Problem("wrong_code")
    await guessing.was_right(services.database, counters)
    return method


async def first_step(services: Services, factor: SecondFactor, code: str, counters: Sequence[Counter]) -> int:
    """The step of the first code of a new secret. Raises as `take` does."""
    await guessing.check(services.database, counters)
    await guessing.count(services.database, counters)
    step = _step_of(secret_in(services.settings, factor), _typed(code))
    if step is None:
        raise Problem("wrong_code")
    await guessing.was_right(services.database, counters)
    return step


async def _spend(
    session: AsyncSession, settings: Settings, account_id: UUID, code: str, used_for: str
) -> Method | None:
    typed = _typed(code)
    if len(typed) != DIGITS:
        hidden, now = hidden_recovery_code(code), datetime.now(UTC)
        spent = await second_factors.spend_recovery_code(session, account_id, hidden, used_for, now)
        return Method.RECOVERY_CODE if spent else None
    factor = await second_factors.load_factor(session, account_id)
    step = _step_of(secret_in(settings, factor), typed) if factor else None
    if step is None or not await second_factors.spend_step(session, account_id, step, used_for):
        return None
    return Method.CODE


def _step_of(secret: bytes, typed: str) -> int | None:
    """The step of the clock whose code that is, among those that are taken now."""
    now = int(datetime.now(UTC).timestamp()) // STEP_SECONDS
    steps = range(now - STEPS_AROUND, now + STEPS_AROUND + 1)
    return next((step for step in steps if compare_digest(code_of(secret, step), typed.encode())), None)


def code_of(secret: bytes, step: int) -> bytes:
    """The code of a secret at a step of the clock."""
    return _made_by(secret).generate(step * STEP_SECONDS)


def uri_of(account: Account, secret: bytes) -> str:
    """What an authenticator application reads from a QR code."""
    return _made_by(secret).get_provisioning_uri(account.username, ISSUER)


def _made_by(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - what all authenticator applications know, and RFC 6238


def sealed_secret(settings: Settings, account_id: UUID, secret: bytes) -> str:
    """A secret as the records keep it: sealed, bound to its account."""
    return seal(key_ring(settings), secret, place_of(account_id))


def secret_in(settings: Settings, factor: SecondFactor) -> bytes:
    """The secret. Raises EncryptionError when its key is not on the ring."""
    return open_sealed(key_ring(settings), factor.sealed_secret, place_of(factor.account_id))


def place_of(account_id: UUID) -> str:
    """To what a secret is bound."""
    return f"second factor of {account_id}"


def new_recovery_codes() -> list[str]:
    """24 letters and digits each, in groups of four: 120 bits, too many to try even for who has read the records."""
    made = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[n : n + 4] for n in range(0, len(code), 4)) for code in made]


def hidden_recovery_code(code: str) -> str:
    """How the records know a recovery code, however it was typed."""
    return hidden(_typed(code))


def _typed(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())
