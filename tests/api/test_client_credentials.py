"""Access tokens for systems that sign with a key of their own, as SMART Backend Services ask; and what is forged."""

import asyncio
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import update

from records.models import ServiceAccount, ServiceToken
from tests.api.answers import problem
from tests.api.test_service_accounts import Integration, by_secret, connected
from tests.journeys import ok
from tests.system import System
from use_cases import guessing
from use_cases.client_credentials import ASSERTION_TYPE
from use_cases.guessing import Origin
from use_cases.sweep import sweep

ADDRESS = "http://relais.test/api/v1/oauth/token"
SCOPES = ("catalogue:read", "requests:read")

Key = RSAKey | ECKey


@dataclass
class Client:
    """A system that signs: its service account, its key, and how it asks for a token."""

    account: Integration
    key: Key
    kid: str

    @property
    def algorithm(self) -> str:
        return "RS384" if isinstance(self.key, RSAKey) else "ES384"

    def claims(self, **more: Any) -> dict[str, Any]:
        whole = {
            **{"iss": self.account.id, "sub": self.account.id, "aud": ADDRESS},
            **{"exp": int(time.time()) + 240, "jti": uuid4().hex},
            **more,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def header(self, **more: Any) -> dict[str, Any]:
        whole = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **more}
        return {name: value for name, value in whole.items() if value is not None}

    def assertion(self, **more: Any) -> str:
        return jwt.encode(self.header(), self.claims(**more), self.key, algorithms=[self.algorithm])

    async def ask(self, assertion: str | None = None, **more: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            **more,
        }
        return await self.account.http.post("/api/v1/oauth/token", data=form)


def public(key: Key, kid: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid}


async def signing(system: System, key: Key, *scopes: str) -> Client:
    """A new system with that key."""
    account = await connected(system, *(scopes or SCOPES))
    kid = uuid4().hex
    ok(await system.administrator.post(f"/service-accounts/{account.id}/keys", {"jwk": public(key, kid)}), 201)
    account.http = httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://relais.test")
    return Client(account, key, kid)


def refused(answer: httpx.Response, status: int, error: str) -> None:
    """An error of RFC 6749, 5.2, and nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"error", "error_description"}
    assert answer.json()["error"] == error, answer.text


async def status_with(system: System, token: str, path: str = "/api/v1/offerings") -> int:
    async with by_secret(system, token) as http:
        return (await http.get(path)).status_code


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, private=True)


@pytest.fixture(scope="module")
def curve() -> ECKey:
    return ECKey.generate_key("P-384", private=True)


async def test_who_signs_gets_a_token_for_five_minutes(system: System, rsa: RSAKey, curve: ECKey) -> None:
    for key in (rsa, curve):
        client = await signing(system, key)
        given = await client.ask()
        body = ok(given)
        assert given.headers["cache-control"] == "no-store"
        assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 300, " ".join(SCOPES))
        assert body["access_token"].startswith("relais_at_")
        assert await status_with(system, body["access_token"]) == 200
        kept = ok(await system.administrator.get(f"/service-accounts/{client.account.id}"))
        assert kept["keys"][0]["last_used_at"] == kept["last_used_at"] is not None
        assert kept["last_address"] == "127.0.0.1"
        async with system.services.database.session() as session:
            of_client = ServiceToken.account_id == UUID(client.account.id)
            await session.execute(update(ServiceToken).where(of_client).values(expires_at=ServiceToken.created_at))
        assert await status_with(system, body["access_token"]) == 401
        await sweep(system.services)


async def test_a_token_has_the_scopes_that_were_asked_for_and_no_other(system: System, curve: ECKey) -> None:
    client = await signing(system, curve)
    one = ok(await client.ask(scope="catalogue:read"))
    assert one["scope"] == "catalogue:read"
    assert await status_with(system, one["access_token"]) == 200
    assert await status_with(system, one["access_token"], "/api/v1/requests") == 403
    for scope in ("documents:read", "catalogue:read documents:read", "system/*.cruds", " "):
        refused(await client.ask(scope=scope), 400, "invalid_scope")
    both = ok(await client.ask())
    path = f"/api/v1/service-accounts/{client.account.id}"
    ok(await system.administrator.http.patch(path, json={"scopes": ["catalogue:read"]}))
    assert await status_with(system, both["access_token"], "/api/v1/requests") == 403  # what is taken is gone at once


async def test_a_lock_the_end_of_the_key_and_the_last_day_end_its_tokens(system: System, curve: ECKey) -> None:
    client = await signing(system, curve)
    token = ok(await client.ask())["access_token"]
    path = f"/service-accounts/{client.account.id}"
    ok(await system.administrator.post(f"{path}/lock"))
    assert await status_with(system, token) == 401
    refused(await client.ask(), 401, "invalid_client")
    ok(await system.administrator.post(f"{path}/reopen"))
    assert await status_with(system, token) == 200
    [key] = ok(await system.administrator.get(path))["keys"]
    ended = ok(await system.administrator.http.delete(f"/api/v1{path}/keys/{key['id']}"))
    assert ended["keys"] == []
    assert await status_with(system, token) == 401
    refused(await client.ask(), 401, "invalid_client")
    assert await status_with(system, client.account.secret) == 200
    kept: Any = ok(await system.administrator.get(f"{path}/events"))
    assert [event["kind"] for event in kept][:2] == ["key_ended", "reopened"]
    over = await signing(system, curve)
    async with system.services.database.session() as session:
        of_client = ServiceAccount.account_id == UUID(over.account.id)
        await session.execute(update(ServiceAccount).where(of_client).values(expires_at=datetime.now(UTC)))
    refused(await over.ask(), 401, "invalid_client")


async def test_an_assertion_serves_once_also_of_many_at_once(system: System, curve: ECKey) -> None:
    client = await signing(system, curve)
    assertion = client.assertion()
    answers = await asyncio.gather(*(client.ask(assertion) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    ok(await client.ask())
    other = await signing(system, curve)
    jti = uuid4().hex
    for who in (client, other):
        ok(await who.ask(who.assertion(jti=jti)))  # each has jtis of its own


def now(ahead: float = 0) -> int:
    return int(time.time() + ahead)


def nested() -> str:
    head = urlsafe_b64encode(b'{"alg":"ES384","kid":"a"}').rstrip(b"=").decode()
    deep = urlsafe_b64encode(b'{"iss":' + b"[" * 1_500 + b"]" * 1_500 + b"}").rstrip(b"=").decode()
    return f"{head}.{deep}.c2ln"


FORGED: dict[str, Callable[[Client, ECKey], str]] = {
    "nothing": lambda c, _: "",
    "no JWT": lambda c, _: "relais_sk_nothing",
    "three parts of nothing": lambda c, _: "a.b.c",
    "too long": lambda c, _: c.assertion(more="x" * 9_000),
    "unsigned": lambda c, _: unsigned(c),
    "signed with the public key as a secret": lambda c, _: with_public_key(c),
    "another algorithm": lambda c, _: jwt.encode(
        c.header(alg="RS384"), c.claims(), RSAKey.generate_key(2048), algorithms=["RS384"]
    ),
    "the key of somebody else": lambda c, other: jwt.encode(c.header(), c.claims(), other, algorithms=["ES384"]),
    "a kid that is not known": lambda c, _: jwt.encode(c.header(kid="other"), c.claims(), c.key, algorithms=["ES384"]),
    "a kid that no database keeps": lambda c, _: jwt.encode(
        c.header(kid="a\0b"), c.claims(), c.key, algorithms=["ES384"]
    ),
    "a kid that is no text": lambda c, _: jwt.encode(c.header(kid="\ud800"), c.claims(), c.key, algorithms=["ES384"]),
    "nested without end": lambda c, _: nested(),
    "no kid": lambda c, _: jwt.encode(c.header(kid=None), c.claims(), c.key, algorithms=["ES384"]),
    "a logout token's type": lambda c, _: jwt.encode(
        c.header(typ="logout+jwt"), c.claims(), c.key, algorithms=["ES384"]
    ),
    "jku": lambda c, _: jwt.encode(
        c.header(jku="https://example.com/jwks.json"), c.claims(), c.key, algorithms=["ES384"]
    ),
    "changed afterwards": lambda c, _: changed(c.assertion()),
    "iss of nobody": lambda c, _: c.assertion(iss=str(uuid4())),
    "iss that is no id": lambda c, _: c.assertion(iss="https://example.com"),
    "no iss": lambda c, _: c.assertion(iss=None),
    "another sub": lambda c, _: c.assertion(sub=str(uuid4())),
    "no sub": lambda c, _: c.assertion(sub=None),
    "aud of the issuer": lambda c, _: c.assertion(aud="http://relais.test"),
    "aud with a slash": lambda c, _: c.assertion(aud=f"{ADDRESS}/"),
    "two aud": lambda c, _: c.assertion(aud=[ADDRESS, "https://example.com/token"]),
    "no aud": lambda c, _: c.assertion(aud=None),
    "over": lambda c, _: c.assertion(exp=now(-60)),
    "an hour ahead": lambda c, _: c.assertion(exp=now(3_600)),
    "six minutes ahead": lambda c, _: c.assertion(exp=now(360)),
    "exp as a text": lambda c, _: c.assertion(exp=str(now(60))),
    "exp as true": lambda c, _: c.assertion(exp=True),
    "exp out of all range": lambda c, _: c.assertion(exp=10**30),
    "no exp": lambda c, _: c.assertion(exp=None),
    "no jti": lambda c, _: c.assertion(jti=None),
    "an empty jti": lambda c, _: c.assertion(jti=""),
    "jti as a number": lambda c, _: c.assertion(jti=7),
    "made tomorrow": lambda c, _: c.assertion(iat=now(86_400)),
    "not before tomorrow": lambda c, _: c.assertion(nbf=now(86_400)),
}


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def unsigned(client: Client) -> str:
    _, body, _ = client.assertion().split(".")
    return f"{encoded(json.dumps(client.header(alg='none')).encode())}.{body}."


def with_public_key(client: Client) -> str:
    """As a checker would take it that lets the header choose what kind of key it has."""
    head = encoded(json.dumps(client.header(alg="HS384")).encode())
    said = f"{head}.{encoded(json.dumps(client.claims()).encode())}"
    return f"{said}.{encoded(hmac.digest(client.key.as_pem(private=False), said.encode(), 'sha384'))}"


def changed(assertion: str) -> str:
    head, body, signature = assertion.split(".")
    return f"{head}.{body[:-4]}{'AAAA' if body[-4:] != 'AAAA' else 'BBBB'}.{signature}"


async def test_no_forged_assertion_gets_a_token(system: System, curve: ECKey) -> None:
    client, other = await signing(system, curve), ECKey.generate_key("P-384", private=True)
    for name, forged in FORGED.items():
        answer = await client.ask(forged(client, other) or " ")
        assert answer.status_code == 401, name
        refused(answer, 401, "invalid_client")
        ok(await client.ask())  # who has the key is not kept out
    ok(await client.ask(client.assertion(aud=[ADDRESS], iat=now(), nbf=now(-5))))
    ok(await client.ask(jwt.encode(client.header(typ=None), client.claims(), client.key, algorithms=["ES384"])))


async def test_errors_are_those_of_oauth(system: System, curve: ECKey) -> None:
    client = await signing(system, curve)
    post = client.account.http.post
    good = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
    refused(await post("/api/v1/oauth/token", json=good), 400, "invalid_request")
    refused(await post("/api/v1/oauth/token", data={}), 400, "invalid_request")
    refused(await client.ask(grant_type="password"), 400, "unsupported_grant_type")
    refused(await client.ask(grant_type="authorization_code"), 400, "unsupported_grant_type")
    refused(await client.ask(client_assertion_type="urn:other"), 400, "invalid_request")
    refused(await post("/api/v1/oauth/token", data=good), 400, "invalid_request")
    twice = {**good, "client_assertion": [client.assertion(), client.assertion()]}
    refused(await post("/api/v1/oauth/token", data=twice), 400, "invalid_request")
    assert (await client.account.http.get("/api/v1/oauth/token")).status_code == 405


async def test_who_guesses_is_slowed_down_and_nobody_else_is(system: System, curve: ECKey) -> None:
    client, other = await signing(system, curve), await signing(system, curve)
    stranger = ECKey.generate_key("P-384", private=True)
    statuses = []
    for _ in range(12):
        forged = jwt.encode(client.header(), client.claims(), stranger, algorithms=["ES384"])
        answer = await client.ask(forged)
        statuses.append(answer.status_code)
    assert statuses == [401] * 10 + [429] * 2
    refused(answer, 429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    ok(await other.ask())
    elsewhere = httpx.ASGITransport(system.app, client=("203.0.113.7", 1))
    client.account.http = httpx.AsyncClient(transport=elsewhere, base_url="http://relais.test")
    ok(await client.ask())  # who is said to have signed is not slowed down at their own address
    for _ in range(12):
        refused(await other.ask(scope="documents:read"), 400, "invalid_scope")  # wrong, and no guess


def test_what_systems_sign_counts_apart_from_passwords(system: System) -> None:
    """A system that is badly set up slows no sign-in of the people behind the same address."""
    somewhere, client_id = Origin("203.0.113.7"), uuid4()
    people = guessing.of_a_stranger(system.settings, str(client_id), somewhere)
    systems = guessing.of_a_system(system.settings, client_id, somewhere)
    assert not {counter.what for counter in people} & {counter.what for counter in systems}


async def test_which_keys_are_taken(system: System, rsa: RSAKey, curve: ECKey) -> None:
    account = await connected(system)
    path = f"/service-accounts/{account.id}/keys"

    async def registered(jwk: Any) -> httpx.Response:
        return await system.administrator.post(path, {"jwk": jwk})

    for jwk, code in (
        ({}, "not_a_public_key"),
        ({**curve.as_dict(private=True), "kid": "a"}, "private_key"),
        ({**rsa.as_dict(private=True), "kid": "a"}, "private_key"),
        (curve.as_dict(private=False), "not_a_public_key"),
        ({**public(curve, "a"), "kid": "x" * 201}, "not_a_public_key"),
        ({**public(curve, "a"), "x": "AAAA"}, "not_a_public_key"),
        ({**public(curve, "a"), "alg": "ES256"}, "not_a_public_key"),
        ({**public(curve, "a"), "use": "enc"}, "not_a_public_key"),
        (public(ECKey.generate_key("P-256"), "a"), "not_a_public_key"),
        (public(RSAKey.generate_key(1024), "a"), "not_a_public_key"),
        ({**public(curve, "a"), "kty": ["EC"]}, "not_a_public_key"),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, "private_key"),
        ({"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"}, "not_a_public_key"),
    ):
        body = problem(await registered(jwk), 422, "invalid_input")
        assert [(error["field"], error["code"]) for error in body["errors"]] == [("jwk", code)]
    view = ok(await registered(public(curve, "a")), 201)
    assert ok(await registered({**public(curve, "a"), "use": "sig"}), 201)["version"] == view["version"]
    problem(await registered(public(rsa, "a")), 409, "key_taken")
    for kid in "bcde":
        view = ok(await registered(public(rsa, kid)), 201)
    assert {(key["kid"], key["algorithm"]) for key in view["keys"]} == {
        ("a", "ES384"),
        *((kid, "RS384") for kid in "bcde"),
    }
    problem(await registered(public(rsa, "f")), 409, "too_many_keys")
    ended = next(key for key in view["keys"] if key["kid"] == "a")
    ok(await system.administrator.http.delete(f"/api/v1{path}/{ended['id']}"))
    problem(
        await registered(public(curve, "a")), 409, "key_taken"
    )  # what was signed with it stays told from what comes
