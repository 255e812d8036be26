"""That a session ended at a provider, as a logout token says it (OpenID Connect Back-Channel Logout 1.0, 2.6)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from joserfc import jws
from joserfc.jwk import KeySet

from sign_on.providers import Provider
from sign_on.refused import RefusedError
from sign_on.tokens import LEEWAY_SECONDS, check_is_for_us, claims_of, header_of, moment, subject_of, text

EVENT = "http://schemas.openid.net/event/backchannel-logout"

MOST_AGE = timedelta(minutes=2)


@dataclass(frozen=True)
class Logout:
    """Whose session ended: that of `sid`, or without one all of `subject`. `id` is good once, until `expires_at`."""

    issuer: str
    id: str
    subject: str | None
    sid: str | None
    expires_at: datetime


def logout_in(token: str, provider: Provider, keys: KeySet, now: datetime) -> Logout:
    """What the token ends. Raises RefusedError.

    It must have the type of its own and no nonce: else an ID token, which passes through a browser, would do for one.
    """
    if str(header_of(token).get("typ", "")).lower() != "logout+jwt":
        raise RefusedError("type")
    claims = claims_of(token, provider, keys)
    check_is_for_us(claims, provider, now)
    if moment(claims, "iat") < (now - MOST_AGE).timestamp():
        raise RefusedError("too_old")
    if "nonce" in claims:
        raise RefusedError("nonce")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise RefusedError("event")
    token_id, sid, subject = text(claims, "jti"), text(claims, "sid"), subject_of(claims, provider)
    if token_id is None:
        raise RefusedError("id")
    if sid is None and subject is None:
        raise RefusedError("nobody")
    lives_until = now + MOST_AGE + timedelta(seconds=2 * LEEWAY_SECONDS)  # older ones are refused for their age
    return Logout(provider.issuer, token_id, subject, sid, lives_until.astimezone(UTC))


def issuer_said_in(token: str) -> str | None:
    """Which issuer the token says it is of: to find the keys by which to check it, and nothing else."""
    header_of(token)
    try:
        said = json.loads(jws.extract_compact(token.encode("ascii")).payload)
    except (ValueError, RecursionError):
        return None
    found = said.get("iss") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
