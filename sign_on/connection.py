"""One server that says who somebody is: where it is asked what, its keys, and the exchange of a code.

As a provider through which people sign in it is here, as a record system in `sign_on.launches`.
"""

import asyncio
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet

from sign_on.id_tokens import Identity, identity_in
from sign_on.logout_tokens import Logout, logout_in
from sign_on.providers import Client, Provider, StepUp, check_address
from sign_on.refused import AwayError, RefusedError
from sign_on.tokens import header_of, key_for

KEPT_SECONDS = 3_600.0
"""So long what a provider says of itself is believed without asking again."""

KEYS_ASKED_EVERY_SECONDS = 60.0
"""Whoever sends tokens with made-up keys does not make us ask the provider more often."""

FAILED_FOR_SECONDS = 5.0
"""For so long nobody waits for a provider that has just not answered: whoever sends made-up tokens makes us ask no more often."""

DENIED = ("access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required")
"""What a provider sends back when the person did not sign in there, or was not let in."""

AWAY = ("temporarily_unavailable", "server_error")
"""What a provider sends back when it is its own fault."""


@dataclass(frozen=True)
class Secrets:
    """What makes one sign-in different from every other: it is kept here until the answer comes."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)


@dataclass(frozen=True)
class Answer:
    """What came back through the browser."""

    state: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    error: str | None = None
    issuer: str | None = None


class Asks(Protocol):
    """How a server is called (`sign_on.calls`, `sign_on.walled`). Raises AwayError."""

    async def get(self, address: str) -> dict[str, Any]: ...

    async def post(
        self, address: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]: ...


ClientT = TypeVar("ClientT", bound=Client)


class Server(Generic[ClientT]):
    """One server as this process knows it. `clock` gives seconds."""

    def __init__(
        self, provider: ClientT, calls: Asks, *, near: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.provider = provider
        self._calls = calls
        self._near = near
        self._clock = clock
        self._asking = asyncio.Lock()
        self._about_failed_at = self._keys_asked_at = -KEPT_SECONDS
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def _discovered(self) -> dict[str, Any]:
        """What it says of itself. Raises AwayError."""
        raise NotImplementedError

    def _asked(self, own: Secrets, redirect: str) -> dict[str, str]:
        """What every question after who somebody is says."""
        return {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self.provider.scopes),
            "state": own.state,
            "nonce": own.nonce,
            "code_challenge": urlsafe_b64encode(sha256(own.verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    async def _given(self, answer: Answer, own: Secrets, redirect: str) -> tuple[Identity, dict[str, Any]]:
        """Who has signed in there, by the answer to what was asked with these secrets, and all that came with it.

        Raises RefusedError or AwayError.
        """
        about = await self._about()
        if answer.issuer is None and about.get("authorization_response_iss_parameter_supported") is True:
            raise RefusedError("issuer_of_answer_missing")
        if answer.issuer not in (None, self.provider.issuer):
            raise RefusedError("issuer_of_answer")
        if answer.error is not None:
            if answer.error in AWAY:
                raise AwayError(answer.error)
            raise RefusedError(answer.error if answer.error in DENIED else "error_of_provider")
        if not answer.code:
            raise RefusedError("no_code")
        found = await self._exchange(answer.code, own.verifier, redirect)
        token = found["id_token"]
        keys = await self._keys_for(token)
        return identity_in(token, self.provider, keys, own.nonce, datetime.now(UTC)), found

    async def _exchange(self, code: str, verifier: str, redirect: str) -> dict[str, Any]:
        """What is given for a code, with an ID token in it."""
        endpoint = await self._endpoint("token_endpoint")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        basic = None
        if secret := self.provider.client_secret:
            basic = quote(self.provider.client_id, safe=""), quote(secret.get_secret_value(), safe="")
        else:
            form |= {"client_id": self.provider.client_id, **self._assertion(endpoint)}
        status, found = await self._calls.post(endpoint, form, basic)
        if status != 200 or not isinstance(found.get("id_token"), str):
            error = found.get("error")
            raise RefusedError(f"exchange_{error}" if error in ("invalid_grant", "invalid_client") else "exchange")
        return found

    def _assertion(self, endpoint: str) -> dict[str, str]:
        """Who we are, signed (private_key_jwt, RFC 7523)."""
        key, now = self.provider.private_key, int(time.time())
        if key is None:
            raise RefusedError("no_key")
        algorithm = self.provider.signs_with
        header = {"alg": algorithm, **({"kid": self.provider.private_key_id} if self.provider.private_key_id else {})}
        us = self.provider.client_id
        claims = {"iss": us, "sub": us, "aud": endpoint, "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(16)}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, claims, key, algorithms=[algorithm]),
        }

    async def _endpoint(self, name: str) -> str:
        address = (await self._about()).get(name)
        try:
            if not isinstance(address, str):
                raise ValueError(name)
            check_address(address, near=self._near)
        except ValueError:
            raise AwayError(f"no_{name}") from None
        return address

    async def _about(self) -> dict[str, Any]:
        """What the server says of itself, as far as it was asked within the hour."""
        if self._metadata is not None and self._clock() - self._metadata[0] <= KEPT_SECONDS:
            return self._metadata[1]
        async with self._asking:
            if self._metadata is not None and self._clock() - self._metadata[0] <= KEPT_SECONDS:
                return self._metadata[1]  # another has asked meanwhile
            if self._clock() - self._about_failed_at < FAILED_FOR_SECONDS:
                raise AwayError("did_not_answer_just_now")
            try:
                found = await self._discovered()
            except AwayError:
                self._about_failed_at = self._clock()
                raise
            self._metadata = self._clock(), found
            return found

    async def _keys_for(self, token: str) -> KeySet:
        """The provider's keys; asked for again when none is that of the token, but not more often than once a minute."""
        header = header_of(token)
        address = await self._endpoint("jwks_uri")
        if (known := self._known_keys(header)) is not None:
            return known
        async with self._asking:
            if (known := self._known_keys(header)) is not None:
                return known  # another has asked meanwhile
            since = self._clock() - self._keys_asked_at
            if self._keys is not None and self._are_fresh(self._keys):
                if since < KEYS_ASKED_EVERY_SECONDS:
                    return self._keys[1]  # none of them fits, and the token is refused for that
            elif since < FAILED_FOR_SECONDS:
                raise AwayError("keys_did_not_come_just_now")
            self._keys_asked_at = self._clock()
            self._keys = self._clock(), _key_set(await self._calls.get(address))
            return self._keys[1]

    def _known_keys(self, header: Mapping[str, Any]) -> KeySet | None:
        """The keys that are believed, if the token's is among them."""
        if self._keys is None or not self._are_fresh(self._keys) or key_for(self._keys[1], header) is None:
            return None
        return self._keys[1]

    def _are_fresh(self, keys: tuple[float, KeySet]) -> bool:
        return self._clock() - keys[0] < KEPT_SECONDS

    async def _openid(self) -> dict[str, Any]:
        """What it says of itself by OpenID Connect Discovery. Raises AwayError."""
        found = await self._calls.get(f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.provider.issuer:
            raise AwayError("issuer_of_discovery")
        return found


class Connection(Server[Provider]):
    """One provider as this process knows it."""

    async def address_to_ask(
        self, own: Secrets, redirect: str, step_up: StepUp | None = None, *, anew: bool = False
    ) -> str:
        """Where the browser goes to sign in, `anew` also when somebody is signed in there. With `step_up`, the person is to prove
        that it is they. Raises AwayError.
        """
        asked = {
            **self._asked(own, redirect),
            "response_mode": "query",
            **_ages(self.provider.sign_in_max_age_seconds if step_up is None else step_up.max_age_seconds),
            **_claims(step_up),
            **({"prompt": "login"} if anew else {}),
        }
        return with_query(await self._endpoint("authorization_endpoint"), asked)

    async def address_to_sign_out(self, id_token: str | None, redirect: str) -> str | None:
        """Where the browser goes to sign out there, too; None where the provider offers no such thing. Raises AwayError."""
        if not self.provider.signs_out_there or not (await self._about()).get("end_session_endpoint"):
            return None
        hint = {"id_token_hint": id_token} if id_token else {}
        asked = {**hint, "client_id": self.provider.client_id, "post_logout_redirect_uri": redirect}
        return with_query(await self._endpoint("end_session_endpoint"), asked)

    async def identity_of(self, answer: Answer, own: Secrets, redirect: str) -> Identity:
        """Who has signed in there, by the answer to what was asked with these secrets. Raises RefusedError or AwayError."""
        return (await self._given(answer, own, redirect))[0]

    async def logout_by(self, token: str) -> Logout:
        """Whose session ended there. Raises RefusedError or AwayError."""
        return logout_in(token, self.provider, await self._keys_for(token), datetime.now(UTC))

    async def _discovered(self) -> dict[str, Any]:
        return await self._openid()


def _key_set(found: Mapping[str, Any]) -> KeySet:
    """The keys that can be used; one of a kind that is not known here closes the way to none of the others. Raises AwayError."""
    said, keys = found.get("keys"), []
    for one in said if isinstance(said, list) else ():
        with suppress(JoseError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
            keys.append(JWKRegistry.import_key(dict(one)))
    if not keys:
        raise AwayError("keys_malformed")
    return KeySet(keys)


def _ages(max_age_seconds: int | None) -> dict[str, str]:
    return {} if max_age_seconds is None else {"max_age": str(max_age_seconds)}


def _claims(step_up: StepUp | None) -> dict[str, str]:
    """As an essential claim: with `acr_values`, which is voluntary, providers do nothing."""
    if step_up is None or not step_up.values:
        return {}
    several = {"values": list(step_up.values)} if len(step_up.values) > 1 else {"value": step_up.values[0]}
    return {"claims": json.dumps({"id_token": {step_up.claim: {"essential": True, **several}}})}


def with_query(endpoint: str, asked: Mapping[str, str]) -> str:
    """The address that asks this there."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"
