"""Who somebody is, as an ID token says it: every check of OpenID Connect Core, 3.1.3.7, and those that it leaves to us."""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime

from joserfc.jwk import KeySet

from sign_on.providers import Client, StepUp
from sign_on.refused import RefusedError
from sign_on.tokens import LEEWAY_SECONDS, Claims, check_is_for_us, claims_of, header_of, moment, subject_of, text


@dataclass(frozen=True)
class Identity:
    """Somebody, as a provider knows them, and how and when they signed in there.

    `sid` names their session there. `acr` and `acrs` are how well they proved who they are, `amr` by which means; `email` is what
    the provider asserts, and nobody is found by it.
    """

    issuer: str
    subject: str
    token: str = field(repr=False)
    sid: str | None = None
    auth_time: datetime | None = None
    acr: str | None = None
    acrs: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()
    email: str | None = field(default=None, repr=False)


def identity_in(token: str, provider: Client, keys: KeySet, nonce: str, now: datetime) -> Identity:
    """Whom the token names, if it was made by the provider, for us, for this very sign-in. Raises RefusedError."""
    if str(header_of(token).get("typ", "JWT")).upper() != "JWT":
        raise RefusedError("type")
    claims = claims_of(token, provider, keys)
    check_is_for_us(claims, provider, now)
    said = claims.get("nonce")
    if not isinstance(said, str) or not said.isascii() or not hmac.compare_digest(said, nonce):
        raise RefusedError("nonce")
    if text(claims, "sub") is None:
        raise RefusedError("subject")
    subject = subject_of(claims, provider)
    if subject is None:
        raise RefusedError("subject")
    return Identity(
        issuer=provider.issuer,
        subject=subject,
        token=token,
        sid=text(claims, "sid"),
        auth_time=_auth_time(claims, now),
        acr=text(claims, "acr"),
        acrs=_texts(claims, "acrs"),
        amr=_texts(claims, "amr"),
        email=_email(claims),
    )


def check_is_recent(identity: Identity, max_age_seconds: int, now: datetime) -> None:
    """Raise RefusedError when they signed in there longer ago, or the provider does not say when.

    That it was asked for proves nothing: the parameter went through a browser.
    """
    if identity.auth_time is None:
        raise RefusedError("auth_time_missing")
    if (now - identity.auth_time).total_seconds() > max_age_seconds + LEEWAY_SECONDS:
        raise RefusedError("auth_time_too_old")


def check_is_stepped_up(identity: Identity, wanted: StepUp, now: datetime) -> None:
    """Raise RefusedError unless it proves what a signature asks for."""
    check_is_recent(identity, wanted.max_age_seconds, now)
    shown = identity.acrs if wanted.claim == "acrs" else (identity.acr,)
    if wanted.values and not set(wanted.values).intersection(shown):
        raise RefusedError("not_stepped_up")


def _auth_time(claims: Claims, now: datetime) -> datetime | None:
    if "auth_time" not in claims:
        return None
    at = moment(claims, "auth_time")
    if not 0 <= at - LEEWAY_SECONDS <= now.timestamp():
        raise RefusedError("auth_time_in_the_future")
    return datetime.fromtimestamp(at, UTC)


def _texts(claims: Claims, name: str) -> tuple[str, ...]:
    found = claims.get(name, [])
    if (
        not isinstance(found, list)
        or len(found) > 50
        or not all(isinstance(one, str) and len(one) <= 255 for one in found)
    ):
        raise RefusedError(f"{name}_is_no_list_of_texts")
    return tuple(found)


def _email(claims: Claims) -> str | None:
    found = claims.get("email")
    return found if isinstance(found, str) and len(found) <= 320 else None
