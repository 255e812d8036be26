"""An access token for a system that signs with its private key: OAuth 2 client credentials with a signed assertion.

As SMART Backend Services ask (RFC 6749, 4.4; RFC 7523, 2.2 and 3): signed by RS384 or ES384 with a key whose public half is
registered, for this address, good for five minutes at most, and shown once.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from joserfc import jws, jwt
from joserfc.errors import JoseError

from domain.audit import Act
from domain.service_accounts import ACCESS_TOKEN_LASTS, ASSERTION_LASTS_AT_MOST, CLOCKS_DIFFER, Scope, known_scopes
from domain.smart_scopes import KEEPS_SUBSCRIPTIONS, OPENED_BY, SENDS_MESSAGES, SmartScope
from records import audit, service_keys
from records.audit import By
from records.hidden import hidden
from records.models import ServiceKey, Side
from settings import Settings
from use_cases import guessing
from use_cases.guessing import Origin
from use_cases.public_keys import MAX_KID, key_of
from use_cases.service_callers import TOKEN_PREFIX
from use_cases.services import Services
from use_cases.sign_in import note_failed

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

MAX_ASSERTION = 8_000
MAX_JTI = 300


class OAuthError(Exception):
    """Why no token is given: a code of RFC 6749, 5.2, and a sentence for who builds the client."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class AccessToken:
    """A new access token. Its text is shown once."""

    text: str = field(repr=False)
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Endpoint:
    """An address at which tokens are given, and what of what is asked for an account with these scopes gets there.

    `granted` raises OAuthError `invalid_scope`.
    """

    path: str
    granted: Callable[[frozenset[Scope], str | None], tuple[str, ...]]

    def address(self, settings: Settings) -> str:
        """The address for which assertions must be made."""
        return settings.public_url.rstrip("/") + self.path


@dataclass(frozen=True)
class Asked:
    """What a system asks for: its signed assertion, and the scopes that it wants, or all that it has."""

    assertion: str = field(repr=False)
    scope: str | None


@dataclass(frozen=True)
class _Claim:
    """Who an assertion is said to be of, before anything of it is checked."""

    client_id: UUID
    kid: str
    algorithm: str


async def give_token(services: Services, asked: Asked, origin: Origin, endpoint: Endpoint) -> AccessToken:
    """A token for whoever signed the assertion for that address.

    Raises OAuthError; Problem `too_many_attempts` with the seconds to wait, after many that were wrong.
    """
    claim = _claimed(asked.assertion)
    counters = guessing.of_a_system(services.settings, claim.client_id, origin)
    await guessing.check(services.database, counters)
    await guessing.count(services.database, counters)
    try:
        token = await _token(services, asked, claim, endpoint, origin.address)
    except OAuthError as error:
        if error.error == "invalid_scope":  # who asks for too much has proved who they are
            await guessing.was_right(services.database, counters)
        await note_failed(services, None, origin, error.error)
        raise
    await guessing.was_right(services.database, counters)
    return token


async def _token(
    services: Services, asked: Asked, claim: _Claim, endpoint: Endpoint, address: str | None
) -> AccessToken:
    now = datetime.now(UTC)
    async with services.database.session() as session:
        known = await service_keys.key_to_check_with(session, claim.client_id, claim.kid, now)
        if known is None or known[1].algorithm != claim.algorithm:
            raise _refused("no such client, or no such key of it")
        found, key = known
        claims = _checked(asked.assertion, key, endpoint.address(services.settings), now)
        until = _moment(claims["exp"]) + CLOCKS_DIFFER
        if not await service_keys.is_shown_first(session, found.account.id, hidden(claims["jti"]), until):
            raise _refused("this assertion was used before (jti)")
        scopes = endpoint.granted(known_scopes(found.service.scopes), asked.scope)
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        await service_keys.add_token(
            session, sha256=hidden(text), key=key, scopes=scopes, now=now, expires_at=now + ACCESS_TOKEN_LASTS
        )
        key.last_used_at = found.account.last_used_at = now
        found.service.last_address = address
        audit.add(
            *(session, Act.SIGN_IN, By(found.account.id, Side.API, address, found.account.clinic_id), now), name="key"
        )
    return AccessToken(text, scopes)


def _claimed(assertion: str) -> _Claim:
    """Raises OAuthError `invalid_client` for what is no assertion of ours."""
    if not 0 < len(assertion) <= MAX_ASSERTION:
        raise _refused("the assertion is empty or too long")
    try:
        parsed = jws.extract_compact(assertion.encode())
        header, client_id = parsed.headers(), UUID(json.loads(parsed.payload)["iss"])
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused("the assertion is no signed JWT whose iss is a client") from None
    if header.get("typ", "JWT") != "JWT":
        raise _refused("typ must be JWT")
    if "jku" in header:
        raise _refused("jku names an address; keys are registered here instead")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid.isprintable() or len(kid) > MAX_KID:
        raise _refused("kid must name the key")
    return _Claim(client_id, kid, str(header.get("alg", "")))


def _checked(assertion: str, key: ServiceKey, address: str, now: datetime) -> dict[str, Any]:
    """What a system says by a signature that is right. Raises OAuthError `invalid_client`."""
    try:
        claims = jwt.decode(assertion, key_of(key.public_key), algorithms=[key.algorithm]).claims
    except (JoseError, ValueError, RecursionError):
        raise _refused("the signature is not right") from None
    client_id = str(key.account_id)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _refused("iss and sub must both be the client's id")
    if claims.get("aud") not in (address, [address]):
        raise _refused(f"aud must be {address}")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise _refused("jti is missing")
    if not now - CLOCKS_DIFFER < _moment(claims.get("exp")) <= now + ASSERTION_LASTS_AT_MOST + CLOCKS_DIFFER:
        raise _refused("exp must lie ahead, by five minutes at most")
    if any(name in claims and _moment(claims[name]) > now + CLOCKS_DIFFER for name in ("iat", "nbf")):
        raise _refused("iat and nbf must not lie ahead")
    return claims


def _moment(claim: object) -> datetime:
    """A NumericDate. Raises OAuthError `invalid_client` for what is none."""
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        raise _refused("a time is missing, or is no number")
    try:
        return datetime.fromtimestamp(claim, UTC)
    except (ValueError, OverflowError, OSError):
        raise _refused("a time is out of all range") from None


def _own_scopes(has: frozenset[Scope], asked: str | None) -> tuple[str, ...]:
    """The scopes that are asked for; all that the account has, where none is. Raises OAuthError `invalid_scope`."""
    if not asked:
        return tuple(scope.value for scope in Scope if scope in has)
    wanted = set(asked.split(" "))
    if not wanted <= {scope.value for scope in has}:
        raise OAuthError("invalid_scope", "the service account has not all of these scopes")
    return tuple(scope.value for scope in Scope if scope.value in wanted)


OF_THE_API = Endpoint("/api/v1/oauth/token", _own_scopes)
"""Where tokens for the API are given."""


def _smart_scopes(has: frozenset[Scope], asked: str | None) -> tuple[str, ...]:
    """The scopes of SMART that are asked for, as they are written; where none is, those of every type that the account opens.

    Raises OAuthError `invalid_scope`.
    """
    if not asked:
        reads = (f"system/{kind}.rs" for kind, opened_by in OPENED_BY.items() if has.intersection(opened_by))
        messages = [SENDS_MESSAGES] if Scope.MESSAGES_SEND in has else []
        return (*reads, *messages, *([KEEPS_SUBSCRIPTIONS] if Scope.SUBSCRIPTIONS_WRITE in has else []))
    wanted = dict.fromkeys(asked.split(" "))
    read = [SmartScope.read(text) for text in wanted]
    if not all(scope is not None and scope.is_had_by(has) for scope in read):
        raise OAuthError("invalid_scope", "the service account has not all of these scopes, or there is no such scope")
    return tuple(wanted)


OF_FHIR = Endpoint("/fhir/token", _smart_scopes)
"""Where SMART Backend Services get their tokens; these open FHIR's addresses and no other."""


def _refused(because: str) -> OAuthError:
    return OAuthError("invalid_client", because)
