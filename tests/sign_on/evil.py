"""Providers of the tests' own, which sign whatever they are told to: true tokens, and forged ones."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from records import people
from records import sign_on as linked
from sign_on.logout_tokens import EVENT
from sign_on.providers import Provider
from tests.system import Clinician, System

CLIENT = "relais"

Key = RSAKey | ECKey | OctKey

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
STRANGE = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
"""A key of somebody else's, under the name of the right one."""


def signed(claims: dict[str, Any], key: Key = RSA, algorithm: str = "RS256", **header: Any) -> str:
    """A token with these claims; header fields that are None are left out."""
    said = {"alg": algorithm, "kid": "rsa", "typ": "JWT", **header}
    return jwt.encode({name: value for name, value in said.items() if value is not None}, claims, key, [algorithm])


@dataclass
class EvilProvider:
    """One provider. `answers` is what the next exchange of a code gives, made from claims that would be right."""

    issuer: str
    answers: Callable[[dict[str, Any]], str] = signed
    subject: str = "somebody"
    asked: list[str] = field(default_factory=list)
    nonces: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    """What it says of itself besides, or instead."""
    given: dict[str, Any] = field(default_factory=dict)
    """What it gives for a code besides."""

    def code_for(self, nonce: str) -> str:
        """What the browser brings back, after somebody has signed in with that nonce."""
        code = secrets.token_urlsafe(8)
        self.nonces[code] = nonce
        return code

    def claims(self, **more: Any) -> dict[str, Any]:
        """What a right ID token would say."""
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "sid": f"session of {self.subject}",
            **more,
        }

    def logout(self, **more: Any) -> dict[str, Any]:
        """What a right logout token would say."""
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": secrets.token_urlsafe(8)}
        return {**said, "sub": self.subject, "events": {EVENT: {}}, **more}

    def app(self) -> FastAPI:
        """What it answers, but for its pages."""
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def about() -> dict[str, Any]:
            self.asked.append("about")
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/end",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                "authorization_response_iss_parameter_supported": True,
                **self.more,
            }

        @app.get("/keys")
        async def keys() -> dict[str, Any]:
            self.asked.append("keys")
            return dict(KeySet([RSA, EC]).as_dict(private=False))

        @app.post("/token")
        async def token(request: Request) -> JSONResponse:
            form = await request.form()
            nonce = self.nonces.pop(str(form["code"]), None)
            if nonce is None or not form.get("code_verifier"):
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(
                {"id_token": self.answers(self.claims(nonce=nonce)), "access_token": "unused", **self.given}
            )

        return app


class Evils(httpx.AsyncBaseTransport):
    """The network in which the providers of the tests are, by their host."""

    def __init__(self, providers: dict[str, EvilProvider]) -> None:
        self._by_host = {httpx.URL(one.issuer).host: httpx.ASGITransport(one.app()) for one in providers.values()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ConnectError where nobody is."""
        if request.url.host not in self._by_host:
            raise httpx.ConnectError("nobody is there", request=request)
        return await self._by_host[request.url.host].handle_async_request(request)


def as_known_here(code: str, issuer: str, secret_file: Any, clinics: dict[str, str], **more: Any) -> Provider:
    """That provider in our file of providers."""
    said = {"code": code, "issuer": issuer, "client_id": CLIENT, "client_secret_file": secret_file, "clinics": clinics}
    return Provider.model_validate({**said, "label": {"fr": f"Réseau {code}", "en": f"Network {code}"}, **more})


async def has_an_identity_alone(system: System, who: Clinician, issuer: str, subject: str) -> None:
    """From now on they have no password, and sign in as that."""
    async with system.services.database.session() as session:
        account = await people.lock_account(session, who.account.id)
        assert account is not None
        account.password_hash = people.no_password()
        await linked.link(session, account.id, issuer, subject, None, datetime.now(UTC))
