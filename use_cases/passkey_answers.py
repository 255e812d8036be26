"""What a passkey (WebAuthn) answers to a challenge of ours: made for one thing, taken once, and checked.

Unlike a code, an answer is bound to the address of Relais, so that no false page can ask for it, and to the one thing for which
its challenge was given. See the [decision](../docs/decisions/second-factor.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from urllib.parse import urlsplit
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    UserVerificationRequirement,
)

from records import passkeys
from records.models import Account
from settings import Settings
from use_cases import guessing
from use_cases.guessing import Counter
from use_cases.one_time_codes import ISSUER, Method
from use_cases.problems import Problem
from use_cases.services import Services

MAX_ANSWER = 20_000
ANSWERED_WITHIN = timedelta(minutes=5)

NOT_AN_ANSWER = (WebAuthnException, ValueError, KeyError, TypeError)
"""What is raised for an answer that is none, whatever is wrong with it."""

_REGISTER = "register"


@dataclass(frozen=True)
class Made:
    """A passkey that was just made, as the records keep it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


async def options_to_make(services: Services, account: Account) -> str:
    """What a browser needs to make a passkey, as JSON. It must know its owner, by a finger, a face or a number."""
    async with services.database.session() as session:
        there = await passkeys.list_passkeys(session, account.id)
    options = generate_registration_options(
        rp_id=_host(services.settings),
        rp_name=ISSUER,
        user_id=account.id.bytes,
        user_name=account.username,
        user_display_name=" ".join(part for part in (account.given_name, account.family_name) if part),
        challenge=await _challenge(services, account.id, _REGISTER),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in there],
        authenticator_selection=AuthenticatorSelectionCriteria(user_verification=UserVerificationRequirement.REQUIRED),
    )
    return options_to_json(options)


async def made_by(services: Services, account_id: UUID, answer: str) -> Made:
    """The passkey that a browser has made. Raises Problem `wrong_passkey`."""
    try:
        credential = parse_registration_credential_json(answer)
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
        await _take_challenge(services, account_id, challenge, _REGISTER)
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_host(services.settings),
            expected_origin=_origin(services.settings),
            require_user_verification=True,
        )
    except NOT_AN_ANSWER:
        raise Problem("wrong_passkey") from None
    return Made(made.credential_id, made.credential_public_key, made.sign_count)


async def options_to_answer(services: Services, account_id: UUID, used_for: str) -> str:
    """What a browser needs to have one of that person's passkeys answer, as JSON. Raises Problem `no_passkey`."""
    async with services.database.session() as session:
        there = await passkeys.list_passkeys(session, account_id)
    if not there:
        raise Problem("no_passkey")
    options = generate_authentication_options(
        rp_id=_host(services.settings),
        challenge=await _challenge(services, account_id, used_for),
        allow_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in there],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


async def take(services: Services, account_id: UUID, answer: str, used_for: str, counters: Sequence[Counter]) -> Method:
    """Take the answer of one of that person's passkeys, for one thing. Raises Problem `wrong_passkey`, `too_many_attempts`."""
    await guessing.check(services.database, counters)
    await guessing.count(services.database, counters)
    try:
        await _check(services, account_id, answer, used_for)
    except NOT_AN_ANSWER:
        raise Problem("wrong_passkey") from None
    await guessing.was_right(services.database, counters)
    return Method.PASSKEY


async def _check(services: Services, account_id: UUID, answer: str, used_for: str) -> None:
    credential = parse_authentication_credential_json(answer)
    challenge = parse_client_data_json(credential.response.client_data_json).challenge
    await _take_challenge(services, account_id, challenge, used_for)
    async with services.database.session() as session:
        passkey = await passkeys.load_passkey(session, account_id, credential.raw_id)
        if passkey is None:
            raise Problem("wrong_passkey")
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_host(services.settings),
            expected_origin=_origin(services.settings),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        await passkeys.note_use(session, passkey, verified.new_sign_count, datetime.now(UTC))


async def _challenge(services: Services, account_id: UUID, used_for: str) -> bytes:
    challenge, now = token_bytes(32), datetime.now(UTC)
    async with services.database.session() as session:
        await passkeys.give_challenge(session, account_id, challenge, used_for, now, now + ANSWERED_WITHIN)
    return challenge


async def _take_challenge(services: Services, account_id: UUID, challenge: bytes, used_for: str) -> None:
    async with services.database.session() as session:
        is_ours = await passkeys.take_challenge(session, account_id, challenge, used_for, datetime.now(UTC))
    if not is_ours:
        raise Problem("wrong_passkey")


def _host(settings: Settings) -> str:
    return urlsplit(settings.public_url).hostname or ""


def _origin(settings: Settings) -> str:
    address = urlsplit(settings.public_url)
    return f"{address.scheme}://{address.netloc}"
