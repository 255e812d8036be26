"""What ID tokens and logout tokens have in common: who signed them, for whom, and when."""

import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from sign_on.providers import Client
from sign_on.refused import RefusedError

LEEWAY_SECONDS = 60
"""So much may the clocks of provider and Relais differ."""

LONGEST = 20_000
"""Characters of a token. Those with all of somebody's groups have some thousands."""

Claims = Mapping[str, Any]

_KEYS = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey}

LEAST_RSA_BITS = 2048

LATEST = 253_402_300_799
"""The last second of the year 9999, since 1970: what comes after is no date."""


def header_of(token: str) -> Mapping[str, Any]:
    """What a token says of itself, before anything of it is believed. Raises RefusedError."""
    if len(token) > LONGEST:
        raise RefusedError("token_too_long")
    try:
        return dict(jws.extract_compact(token.encode("ascii")).headers())
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise RefusedError("token_malformed") from None


def claims_of(token: str, provider: Client, keys: KeySet) -> Claims:
    """What the token says, once it is known that the provider has signed it. Raises RefusedError."""
    header = header_of(token)
    algorithm = header.get("alg")
    if algorithm not in provider.algorithms:
        raise RefusedError("algorithm")
    if header.get("crit") is not None:
        raise RefusedError("critical_header")
    key = key_for(keys, header)
    if key is None:
        raise RefusedError("unknown_key")
    if (
        not isinstance(key, _KEYS[algorithm])
        or key.get("alg", algorithm) != algorithm
        or key.get("use", "sig") != "sig"
    ):
        raise RefusedError("key_of_another_kind")
    if isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA_BITS:
        raise RefusedError("key_too_short")
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise RefusedError("signature") from None
    return claims


def key_for(keys: KeySet, header: Mapping[str, Any]) -> Any:
    """The key that the token names, or the only one where it names none; None when there is none such."""
    name = header.get("kid")
    if name is None:
        return keys.keys[0] if len(keys.keys) == 1 else None
    named = [key for key in keys.keys if key.get("kid") == name]
    return named[0] if len(named) == 1 else None


def check_is_for_us(claims: Claims, provider: Client, now: datetime) -> None:
    """Raise RefusedError unless this provider made it for this Relais, and it is valid now."""
    if claims.get("iss") != provider.issuer:
        raise RefusedError("issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or provider.client_id not in audiences:
        raise RefusedError("audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != provider.client_id:
        raise RefusedError("authorized_party")
    if moment(claims, "exp") + LEEWAY_SECONDS <= now.timestamp():
        raise RefusedError("expired")
    if moment(claims, "iat") - LEEWAY_SECONDS > now.timestamp():
        raise RefusedError("issued_in_the_future")
    if "nbf" in claims and moment(claims, "nbf") - LEEWAY_SECONDS > now.timestamp():
        raise RefusedError("not_yet_valid")


def moment(claims: Claims, name: str) -> float:
    """A moment in seconds since 1970. Raises RefusedError when it is not there, or no number."""
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= LATEST:  # NaN is neither
        raise RefusedError(f"{name}_is_no_number")
    return float(found)


def text(claims: Claims, name: str, most: int = 255) -> str | None:
    """A text, None where it is not there. Raises RefusedError for anything else."""
    found = claims.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not 0 < len(found) <= most or not found.isprintable():
        raise RefusedError(f"{name}_is_no_text")
    return found


def subject_of(claims: Claims, provider: Client) -> str | None:
    """By what the provider knows the person for ever; None where it does not say. Raises RefusedError for another tenant's."""
    if provider.subject == "sub":
        return text(claims, "sub")
    person, tenant = text(claims, "oid"), text(claims, "tid")
    if tenant is not None and tenant not in provider.tenants:
        raise RefusedError("tenant")
    return f"{tenant}/{person}" if person and tenant else None
