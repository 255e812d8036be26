"""Tokens by which partners know that it is Relais who calls: asked for by a client's secret, or by something signed (OAuth 2.0
client_credentials; RFC 7523 and SMART Backend Services), and kept until they end.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from domain.told_partners import Authorization
from outgoing.calls import Answer, Calls
from records.models import PartnerEndpoint
from settings import Settings
from use_cases.partner_endpoints import kept_secret

ASSERTION_LASTS = timedelta(minutes=4)
"""SMART allows five; their clock may be behind ours."""

LASTS_UNLESS_SAID = 60.0
LASTS_AT_MOST = 3_600.0
BEFORE_ITS_END = 20.0
"""Seconds: a token is used for so long, and no more when it ends so soon."""

LONGEST_TOKEN = 16_384
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NoTokenError(Exception):
    """The partner has given none."""


@dataclass(frozen=True)
class _Kept:
    version: UUID
    token: str = field(repr=False)
    ends: float


class Tokens:
    """The tokens of one sender, by partner. `clock` counts seconds."""

    def __init__(self, settings: Settings, calls: Calls, clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._calls = calls
        self._clock = clock
        self._kept: dict[UUID, _Kept] = {}

    async def token_of(self, endpoint: PartnerEndpoint) -> str:
        """One that is good now. Raises NoTokenError, CallError."""
        kept = self._kept.get(endpoint.account_id)
        if kept is not None and kept.version == endpoint.version and self._clock() < kept.ends:
            return kept.token
        url = endpoint.token_url or ""
        asked = {"grant_type": "client_credentials", **self._asked(endpoint, url)}
        if endpoint.token_scope:
            asked["scope"] = endpoint.token_scope
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        token, lasts = _given(await self._calls.post(url, urlencode(asked).encode(), headers))
        self._kept[endpoint.account_id] = _Kept(endpoint.version, token, self._clock() + lasts - BEFORE_ITS_END)
        return token

    def forget(self, endpoint: PartnerEndpoint) -> None:
        """It is not believed any more."""
        self._kept.pop(endpoint.account_id, None)

    def _asked(self, endpoint: PartnerEndpoint, url: str) -> Mapping[str, str]:
        client, secret = endpoint.client_id or "", kept_secret(self._settings, endpoint)
        if endpoint.authorization is Authorization.CLIENT_SECRET:
            return {"client_id": client, "client_secret": secret}
        key = ECKey.import_key(json.loads(secret))
        now = datetime.now(UTC)
        claims: dict[str, Any] = {
            "iss": client,
            "sub": client,
            "aud": url,
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LASTS).timestamp()),
            "jti": str(uuid4()),
        }
        header = {"alg": "ES384", "typ": "JWT", "kid": key.thumbprint()}
        signed = jwt.encode(header, claims, key, algorithms=["ES384"])
        return {"client_id": client, "client_assertion_type": ASSERTION, "client_assertion": signed}


def _given(answer: Answer) -> tuple[str, float]:
    """The token, and how many seconds it lasts. Raises NoTokenError."""
    try:
        said = json.loads(answer.start)
    except (ValueError, RecursionError):
        raise NoTokenError from None
    token = said.get("access_token") if isinstance(said, dict) else None
    if answer.status != 200 or not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
        raise NoTokenError
    if not token.isascii() or not token.isprintable() or " " in token:
        raise NoTokenError  # it goes into a header
    if str(said.get("token_type", "bearer")).casefold() != "bearer":
        raise NoTokenError
    lasts = said.get("expires_in")
    is_number = isinstance(lasts, int | float) and not isinstance(lasts, bool) and lasts > 0
    return token, float(min(lasts, LASTS_AT_MOST)) if is_number else LASTS_UNLESS_SAID
