"""The second factor of an account with a password: set up, asked for, done without.

See the [decision](../docs/decisions/second-factor.md).
"""

import base64
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from domain.model import Discreet
from domain.requests import Role
from engine.client import key_ring
from key_ring import sealed_anew
from records import account_events, account_letters, passkeys, people, second_factors
from records.database import Database
from records.models import SecondFactor
from settings import Settings
from use_cases import one_time_codes as codes
from use_cases import passkey_answers
from use_cases.account_letters import send
from use_cases.administrators import hand_of
from use_cases.caller import Caller
from use_cases.one_time_codes import Method
from use_cases.passwords import MAX_PASSWORD
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import MAX_CODE, proves_again, token_sha256
from use_cases.views import View

OPEN_FOR = timedelta(minutes=15)
"""So long after it was begun, a code must be shown."""


class FactorView(View):
    """One's own second factor."""

    in_force: bool
    since: datetime | None
    recovery_codes_left: int
    passkeys: int
    needed_to_sign: bool = Field(description="Whether one's clinic lets nobody sign without one.")


class Enrolment(View):
    """What an authenticator application needs. It is shown until a code was typed, and never again."""

    secret: str = Field(repr=False, description="In Base32.")
    uri: str = Field(repr=False, description="The same as an otpauth address, for a QR code.")


class RecoveryCodes(View):
    """Codes for who has lost their device. Each serves once. They are shown now, and never again."""

    recovery_codes: list[str] = Field(repr=False)


Code = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)]


class PasswordAgain(Discreet):
    """The password, again."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] = Field(
        repr=False, examples=["correct horse battery staple"]
    )


class ShownCode(Discreet):
    """A code."""

    model_config = ConfigDict(extra="forbid")

    code: Code = Field(repr=False, examples=["123456"])


class PasswordAndCode(PasswordAgain):
    """The password, again, and a code, or a recovery code."""

    code: Code = Field(repr=False, examples=["123456"])


async def own_factor(services: Services, caller: Caller, *, whoever: bool = False) -> FactorView:
    """Whether one has a second factor, and how many recovery codes are left; needed by who signs, or `whoever` it is."""
    async with services.database.session() as session:
        factor = await second_factors.load_factor(session, caller.id)
        left = await second_factors.recovery_codes_left(session, caller.id)
        added = await passkeys.count_passkeys(session, caller.id)
        clinic = await people.load_clinic(session, caller.clinic_id)
    since = factor.confirmed_at if factor else None
    needed = clinic is not None and clinic.signing_needs_code and (whoever or Role.PROVIDER in caller.roles)
    return FactorView(
        in_force=since is not None, since=since, recovery_codes_left=left, passkeys=added, needed_to_sign=needed
    )


async def begin(services: Services, caller: Caller, proof: PasswordAgain) -> Enrolment:
    """A new secret, for who gives their password again. It is in force once a code of it is shown (`confirm`).

    Raises Problem `wrong_current_password`, `second_factor_in_force`, and what `proves_again` does.
    """
    if not await proves_again(services, caller, proof.password):
        raise Problem("wrong_current_password")
    secret = secrets.token_bytes(codes.SECRET_BYTES)
    sealed = codes.sealed_secret(services.settings, caller.id, secret)
    async with services.database.session() as session:
        if not await second_factors.begin(session, caller.id, sealed, datetime.now(UTC)):
            raise Problem("second_factor_in_force")
    return _enrolment(caller, secret)


async def begun(services: Services, caller: Caller) -> Enrolment:
    """The secret of which a code must still be shown. Raises Problem `not_begun` when there is none, or not any more."""
    return _enrolment(caller, codes.secret_in(services.settings, await _begun(services, caller)))


async def confirm(services: Services, caller: Caller, shown: ShownCode) -> RecoveryCodes:
    """A code of the new secret: from now on one is asked for, and all other sessions end. Gives the recovery codes.

    Raises Problem `not_begun`, `wrong_code`, or `too_many_attempts`.
    """
    factor = await _begun(services, caller)
    step = await codes.first_step(services, factor, shown.code, codes.of_a_session(token_sha256(caller.token)))
    async with services.database.session() as session:
        now = datetime.now(UTC)
        if not await second_factors.confirm(session, caller.id, step, now):
            raise Problem("not_begun")
        await people.revoke_tokens_of(session, caller.id, now, but=token_sha256(caller.token))
        account_events.note(session, AccountEventKind.SECOND_FACTOR_SET_UP, caller.account, hand_of(caller), now)
        letter = await account_letters.write_to(session, LetterKind.SECOND_FACTOR_SET_UP, caller.account, now)
        made = await _new_recovery_codes(session, caller)
    await send(services, [letter])
    return made


async def renew_recovery_codes(services: Services, caller: Caller, proof: PasswordAndCode) -> RecoveryCodes:
    """Other recovery codes; those before serve no more, and all other sessions end.

    Raises Problem `wrong_current_password`, `wrong_code`, …
    """
    await prove_both(services, caller, proof)
    async with services.database.session() as session:
        hand, now = hand_of(caller), datetime.now(UTC)
        await people.revoke_tokens_of(session, caller.id, now, but=token_sha256(caller.token))
        account_events.note(session, AccountEventKind.RECOVERY_CODES_RENEWED, caller.account, hand, now)
        return await _new_recovery_codes(session, caller)


async def remove(services: Services, caller: Caller, proof: PasswordAndCode) -> None:
    """Do without, for who can still prove both; all other sessions end.

    Raises Problem `wrong_current_password`, `wrong_code`, …
    """
    await prove_both(services, caller, proof)
    async with services.database.session() as session:
        await second_factors.remove(session, caller.id)
        hand, now = hand_of(caller), datetime.now(UTC)
        await people.revoke_tokens_of(session, caller.id, now, but=token_sha256(caller.token))
        account_events.note(session, AccountEventKind.SECOND_FACTOR_REMOVED, caller.account, hand, now)
        letter = await account_letters.write_to(session, LetterKind.SECOND_FACTOR_REMOVED, caller.account, now)
    await send(services, [letter])


async def check_again(
    services: Services, caller: Caller, code: str | None, passkey: str | None, used_for: str, *, whoever: bool = False
) -> Method:
    """The code, or the passkey's answer, of who has just proved their password again, where they have a second factor.

    `used_for` names what is done with it. Gives how they have proved who they are. Raises Problem `code_needed`, `wrong_code`,
    `wrong_passkey`, `too_many_attempts`, or `second_factor_missing` where their clinic asks for one: of who
    signs, or of `whoever` it is.
    """
    factor = await own_factor(services, caller, whoever=whoever)
    if not factor.in_force:
        if factor.needed_to_sign:
            raise Problem("second_factor_missing")
        return Method.PASSWORD
    counters = codes.of_a_session(token_sha256(caller.token))
    if passkey:
        return await passkey_answers.take(services, caller.id, passkey, used_for, counters)
    if not code:
        raise Problem("code_needed")
    return await codes.take(services, caller.id, code, used_for, counters)


async def seal_anew(settings: Settings) -> int:
    """Seal with the first key of the ring what was sealed with another, before that one goes; gives how many."""
    ring = key_ring(settings)
    async with Database.opened(settings) as database, database.session() as session:
        factors = await second_factors.all_factors(session)
        for factor in factors:
            factor.sealed_secret = sealed_anew(ring, factor.sealed_secret, codes.place_of(factor.account_id))
        return sum(map(session.is_modified, factors))


async def prove_both(services: Services, caller: Caller, proof: PasswordAndCode) -> None:
    """Raise Problem `wrong_current_password` or `wrong_code` unless both are the caller's."""
    if not await proves_again(services, caller, proof.password):
        raise Problem("wrong_current_password")
    counters = codes.of_a_session(token_sha256(caller.token))
    await codes.take(services, caller.id, proof.code, uuid4().hex, counters)


async def _begun(services: Services, caller: Caller) -> SecondFactor:
    async with services.database.session() as session:
        factor = await second_factors.load_factor(session, caller.id)
    if factor is None or factor.confirmed_at or factor.created_at < datetime.now(UTC) - OPEN_FOR:
        raise Problem("not_begun")
    return factor


async def _new_recovery_codes(session: AsyncSession, caller: Caller) -> RecoveryCodes:
    made = codes.new_recovery_codes()
    await second_factors.replace_recovery_codes(session, caller.id, map(codes.hidden_recovery_code, made))
    return RecoveryCodes(recovery_codes=made)


def _enrolment(caller: Caller, secret: bytes) -> Enrolment:
    return Enrolment(secret=base64.b32encode(secret).decode(), uri=codes.uri_of(caller.account, secret))
