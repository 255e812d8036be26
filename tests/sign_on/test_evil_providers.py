"""What forged tokens, swapped answers and strangers' browsers get from the sign-in through a provider: nothing."""

import hmac
import json
import math
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jws
from sqlalchemy import func, select, update

from domain.requests import Role
from records import sign_on as records
from records.models import SignOnAttempt, Token
from server import create_app
from sign_on.logout_tokens import EVENT
from sign_on.providers import Providers
from sign_on.sign_on import SignOn
from tests.api.test_guessing import report_of
from tests.api.test_invitations import code_for
from tests.api.test_second_factor import Telephone
from tests.eventually import eventually
from tests.journeys import ok
from tests.portal.browsing import hidden, shown, visitor
from tests.sign_on.evil import (
    CLIENT,
    EC,
    RSA,
    STRANGE,
    EvilProvider,
    Evils,
    as_known_here,
    has_an_identity_alone,
    signed,
)
from tests.system import PASSWORD, Clinician, System, add_person


@dataclass
class Scene:
    """A portal with two providers, and somebody who is linked with the first."""

    app: FastAPI
    system: System
    providers: dict[str, EvilProvider]
    who: Clinician

    async def sessions(self) -> int:
        """How many sessions of theirs live."""
        async with self.system.services.database.session() as session:
            mine = Token.account_id == self.who.account.id, Token.revoked_at.is_(None), Token.idp_issuer.is_not(None)
            return await session.scalar(select(func.count()).where(*mine)) or 0

    async def begin(self, http: httpx.AsyncClient, provider: str = "one") -> dict[str, str]:
        """Begin to sign in; what the provider was asked."""
        answer = await http.get(f"/sign-on/{provider}?next=/account")
        assert answer.status_code == 303, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def back(self, asked: dict[str, str], provider: str = "one", **more: str) -> str:
        """The address at which the browser comes back."""
        one = self.providers[provider]
        said = {"state": asked["state"], "code": one.code_for(asked["nonce"]), "iss": one.issuer, **more}
        return str(httpx.URL(f"/sign-on/{provider}/return", params={k: v for k, v in said.items() if v}))


@pytest.fixture(scope="module")
async def scene(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    secret = tmp_path_factory.mktemp("providers") / "secret"
    secret.write_text("a secret\n")
    evils = {"one": EvilProvider("https://one.test"), "two": EvilProvider("https://two.test")}
    clinic = system.clinics["near"].code
    more: dict[str, Any] = {"step_up": {"values": ["loa:2"]}}
    clinics = {clinic: "optional"}
    known = Providers(as_known_here(code, one.issuer, secret, clinics, **more) for code, one in evils.items())
    who = await add_person(system, "linked", system.clinics["near"])
    async with system.services.database.session() as session:
        await records.link(session, who.account.id, "https://one.test", "somebody", None, datetime.now(UTC))
    async with SignOn(
        known, transport=Evils(evils), clock=lambda: 0.0
    ) as sign_on:  # no minute passes, however slow the machine
        app = create_app(system.settings, replace(system.of_api, sign_on=sign_on))
        yield Scene(app, system, evils, who)


@pytest.fixture(autouse=True)
def honest(scene: Scene) -> None:
    """Each test begins with providers that tell the truth."""
    for one in scene.providers.values():
        one.answers = signed


async def test_the_truth_begins_a_session(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        asked = await scene.begin(http)
        assert asked["code_challenge_method"] == "S256"
        answer = await http.get(scene.back(asked))
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        page = await http.get("/account")
        assert "Dre Anne Linked" in shown(page)
        again = await http.get(scene.back(asked))
        assert "dans un autre navigateur" in shown(again, 401), "a state is good once"
        left = await http.post("/signout")
        assert "https://one.test/end?id_token_hint=" in left.text


async def test_another_algorithm_of_ours_does_as_well(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        scene.providers["one"].answers = lambda claims: signed(claims, EC, "ES256", kid="ec")
        assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303


NOW = time.time

FORGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "not signed": lambda claims: unsigned(claims),
    "signed with the public key as a secret": lambda claims: by_secret(claims, RSA.as_pem(private=False)),
    "signed with our own secret": lambda claims: by_secret(claims, b"a secret"),
    "signed by somebody else": lambda claims: signed(claims, STRANGE),
    "with a key that nobody knows": lambda claims: signed(claims, STRANGE, kid="another"),
    "with a key of another kind": lambda claims: signed(claims, EC, "ES256", kid="rsa"),
    "by an algorithm that is not ours": lambda claims: signed(claims, RSA, "RS512"),
    "changed after it was signed": lambda claims: tampered(signed(claims)),
    "a logout token": lambda claims: signed(claims, typ="logout+jwt"),
    "of another issuer": lambda claims: signed({**claims, "iss": "https://two.test"}),
    "of an issuer with a slash": lambda claims: signed({**claims, "iss": f"{claims['iss']}/"}),
    "for somebody else": lambda claims: signed({**claims, "aud": "another"}),
    "for several, of whom no one is named": lambda claims: signed({**claims, "aud": [CLIENT, "another"]}),
    "for several, of whom another is named": lambda claims: signed(
        {**claims, "aud": [CLIENT, "another"], "azp": "another"}
    ),
    "with another nonce": lambda claims: signed({**claims, "nonce": "another"}),
    "without a nonce": lambda claims: signed({name: value for name, value in claims.items() if name != "nonce"}),
    "expired": lambda claims: signed({**claims, "exp": int(NOW()) - 61}),
    "that never expires": lambda claims: signed({name: value for name, value in claims.items() if name != "exp"}),
    "of the future": lambda claims: signed({**claims, "iat": int(NOW()) + 120}),
    "not valid yet": lambda claims: signed({**claims, "nbf": int(NOW()) + 120}),
    "whose time is a text": lambda claims: signed({**claims, "auth_time": str(int(NOW()))}),
    "of who signed in in the future": lambda claims: signed({**claims, "auth_time": int(NOW()) + 120}),
    "of nobody": lambda claims: signed({**claims, "sub": ""}),
    "of a number": lambda claims: signed({**claims, "sub": 7}),
    "that ends at no number": lambda claims: signed({**claims, "exp": math.nan}),
    "that ends after all time": lambda claims: signed({**claims, "exp": 10**400}),
    "whose nonce is no text that there is": lambda claims: jws.serialize_compact(
        {"alg": "RS256", "kid": "rsa"}, json.dumps({**claims, "nonce": "\ud800"}).encode(), RSA, ["RS256"]
    ),
    "that is nested without end": lambda claims: nested(),
    "that is no token": lambda claims: "a.b.c",
}


def by_secret(claims: dict[str, Any], secret: bytes) -> str:
    """HS256, as it is made by who does not ask what the secret is."""
    _, payload, _ = signed(claims).split(".")
    header = urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode()
    said = f"{header}.{payload}"
    seal = hmac.digest(secret, said.encode(), "sha256")
    return f"{said}.{urlsafe_b64encode(seal).rstrip(b'=').decode()}"


def nested() -> str:
    """A token whose header nobody can read to its end."""
    deep = urlsafe_b64encode(b'{"alg":' + b"[" * 5_000 + b"]" * 5_000 + b"}").rstrip(b"=").decode()
    return f"{deep}.{deep}.c2ln"


def unsigned(claims: dict[str, Any]) -> str:
    _header, payload, _ = signed(claims).split(".")
    return f"eyJhbGciOiJub25lIn0.{payload}."


def tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    said = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    other = signed({**said, "sub": "somebody else"}).split(".")[1]
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize("forged", FORGED)
async def test_a_forged_id_token_begins_no_session(scene: Scene, forged: str) -> None:
    before = await scene.sessions()
    scene.providers["one"].answers = FORGED[forged]
    async with visitor(scene.app) as http:
        answer = await http.get(scene.back(await scene.begin(http)))
        text = shown(answer, 401)
        assert "ne peut être acceptée" in text
        assert "relais=" not in str(answer.headers.get("set-cookie"))
    assert await scene.sessions() == before
    assert scene.providers["one"].asked.count("keys") == 1, "whoever makes keys up does not make us ask for more"


async def test_an_answer_of_another_provider_is_not_taken(scene: Scene) -> None:
    """Mix-up: what was begun with one provider comes back as if from another, or with its name."""
    before = await scene.sessions()
    async with visitor(scene.app) as http:
        asked = await scene.begin(http, "two")
        assert (await http.get(scene.back(asked, "one"))).status_code == 401
        asked = await scene.begin(http, "one")
        for said in ("https://two.test", ""):
            answer = await http.get(scene.back(asked, iss=said))
            assert "ne peut être acceptée" in shown(answer, 401)
            asked = await scene.begin(http, "one")
    assert await scene.sessions() == before


async def test_an_answer_in_another_browser_is_not_taken(scene: Scene) -> None:
    """A code of an attacker's own sign-in, put into somebody else's browser; and the other way round."""
    before = await scene.sessions()
    async with visitor(scene.app) as attacker, visitor(scene.app) as victim:
        asked = await scene.begin(attacker)
        assert (await victim.get(scene.back(asked))).status_code == 401
        own = await scene.begin(victim)
        stolen = {**own, "state": asked["state"]}
        assert (await victim.get(scene.back(stolen))).status_code == 401
        code_of_another = {**asked, "state": own["state"]}
        answer = await victim.get(scene.back(code_of_another))
        assert "ne peut être acceptée" in shown(answer, 401), "its nonce is another's"
    assert await scene.sessions() == before


async def test_who_is_not_linked_stays_outside_whatever_their_address(scene: Scene) -> None:
    scene.providers["one"].answers = lambda claims: signed(
        {**claims, "sub": "a stranger", "email": scene.who.account.email, "email_verified": True}
    )
    async with visitor(scene.app) as http:
        answer = await http.get(scene.back(await scene.begin(http)))
        assert "ne vous connaît pas encore" in shown(answer, 403)


async def test_another_sites_page_begins_no_session_without_a_press(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        sent = await http.get("/sign-on/one?next=/account%3Fa%3D1", headers={"Sec-Fetch-Site": "cross-site"})
        assert "Un autre site vous envoie ici." in shown(sent)
        assert "refresh" not in sent.text
        assert "relais-sign-on" not in sent.headers.get("set-cookie", "")
        [press] = re.findall(r'class="button" href="([^"]+)"', sent.text)
        answer = await http.get(unescape(press), headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303
        asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        there = await http.get(scene.back(asked), headers={"Sec-Fetch-Site": "cross-site"})
        assert there.headers["location"] == "/account?a=1"
        assert (await http.get("/sign-on/nobody", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 404


async def test_errors_of_a_provider_are_pages(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        for error, status, words in (
            ("access_denied", 401, "ne vous a pas laissé entrer"),
            ("temporarily_unavailable", 503, "ne répond pas"),
            ("<script>", 401, "ne peut être acceptée"),
        ):
            asked = await scene.begin(http)
            text = shown(await http.get(scene.back(asked, code="", error=error)), status)
            assert words in text
            assert "ce numéro" in text
        english = await http.get("/sign-on/one/return", headers={"Accept-Language": "en"})
        assert "Begin again" in shown(english, 401)
        assert (await http.get("/sign-on/nobody")).status_code == 404


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


OUT: dict[str, Any] = {"typ": "logout+jwt"}

FORGED_LOGOUTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "with a nonce": lambda said: signed({**said, "nonce": "one"}, **OUT),
    "that is an ID token": lambda said: signed(said),
    "not signed": lambda said: unsigned(said),
    "signed by somebody else": lambda said: signed(said, STRANGE, **OUT),
    "of a provider that is none": lambda said: signed({**said, "iss": "https://three.test"}, **OUT),
    "for somebody else": lambda said: signed({**said, "aud": "another"}, **OUT),
    "too old": lambda said: signed({**said, "iat": said["iat"] - 200}, **OUT),
    "of the future": lambda said: signed({**said, "iat": said["iat"] + 200}, **OUT),
    "expired": lambda said: signed({**said, "exp": said["iat"] - 100}, **OUT),
    "without an id": lambda said: signed(without(said, "jti"), **OUT),
    "without an event": lambda said: signed(without(said, "events"), **OUT),
    "whose event is a text": lambda said: signed({**said, "events": {EVENT: "yes"}}, **OUT),
    "whose events are a text": lambda said: signed({**said, "events": EVENT}, **OUT),
    "of nobody": lambda said: signed(without(said, "sub"), **OUT),
    "that is nested without end": lambda said: nested(),
    "that is nothing": lambda said: "",
}


@pytest.mark.parametrize("forged", FORGED_LOGOUTS)
async def test_a_forged_logout_token_ends_nothing(scene: Scene, forged: str) -> None:
    token = FORGED_LOGOUTS[forged](scene.providers["one"].logout())
    async with visitor(scene.app) as http, visitor(scene.app) as provider:
        assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303
        del provider.headers["Sec-Fetch-Site"]
        answer = await provider.post("/oidc/backchannel-logout", data={"logout_token": token})
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
        assert (await http.get("/account")).status_code == 200


@pytest.mark.parametrize("by", ["sid", "sub"])
async def test_a_true_logout_token_ends_the_sessions_once(scene: Scene, by: str) -> None:
    one = scene.providers["one"]
    said = one.logout(sid=f"session of {one.subject}") if by == "sid" else one.logout()
    token = signed(without(said, "sub") if by == "sid" else said, **OUT)
    other_process = create_app(scene.system.settings, scene.app.state.services)
    async with visitor(scene.app) as http, visitor(scene.app) as provider, visitor(other_process) as elsewhere:
        assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303
        elsewhere.cookies = http.cookies
        assert (await elsewhere.get("/account")).status_code == 200
        answer = await provider.post("/oidc/backchannel-logout", data={"logout_token": token})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert (await elsewhere.get("/account")).status_code == 303, "signed out"
        assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303
        again = await provider.post("/oidc/backchannel-logout", data={"logout_token": token})
        assert again.status_code == 400
        assert (await http.get("/account")).status_code == 200, "what began since lives"


async def test_a_logout_of_a_person_ends_their_sessions_of_which_nobody_said_which(scene: Scene) -> None:
    one = scene.providers["one"]
    one.answers = lambda claims: signed(without(claims, "sid"))
    token = signed(one.logout(sid="a session that is another"), **OUT)
    async with visitor(scene.app) as http, visitor(scene.app) as provider:
        assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303
        assert (await provider.post("/oidc/backchannel-logout", data={"logout_token": token})).status_code == 200
        assert (await http.get("/account")).status_code == 303, "signed out"


async def test_what_strangers_begin_is_kept_for_ten_minutes(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        asked_in(
            await http.post("/sign-on/one", data={"next": "/account", "unsent": "a\0b"})
        )  # with a NUL, which is let go
        async with scene.system.services.database.session() as session:
            await session.execute(update(SignOnAttempt).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        await scene.begin(http)
        async with scene.system.services.database.session() as session:
            assert await session.scalar(select(func.count()).select_from(SignOnAttempt)) == 1


async def test_a_link_of_an_e_mail_asks_who_has_a_second_factor_for_it(scene: Scene) -> None:
    """Else the mailbox alone would get rid of it; and the provider is asked who it is now, not who was there before."""
    system = scene.system
    who = await add_person(system, "has_a_factor", system.clinics["near"], Role.REQUESTER)
    begun = ok(await who.post("/me/second-factor", {"password": PASSWORD}), 201)
    telephone = Telephone(system, who, begun["secret"])
    ok(await who.post("/me/second-factor/confirm", {"code": telephone.code()}))
    await eventually(lambda: len(system.post_office.kept_for(who.account.email)) == 1)  # that it is set up
    ok(await system.administrator.post(f"/accounts/{who.id}/password-help"))
    code = await code_for(system, who.account.email, 2)
    async with visitor(scene.app) as http:
        page = await http.post(f"/new-password/{code}/sign-on/one")
        assert "code de votre application" in shown(page, 403)
        assert 'name="code"' in page.text
        shown(await http.post(f"/new-password/{code}/sign-on/one", data={"code": "000000"}), 403)
        right = {"code": await telephone.next_code()}
        asked = asked_in(await http.post(f"/new-password/{code}/sign-on/one", data=right))
        assert asked["prompt"] == "login"
        assert "prompt" not in await scene.begin(http), "who only signs in may be there already"


FORGED_CONFIRMATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "of somebody else": lambda claims: {**claims, "sub": "a colleague"},
    "without a time": lambda claims: without(claims, "auth_time"),
    "of an hour ago": lambda claims: {**claims, "auth_time": claims["iat"] - 3_600},
    "whose time is a text": lambda claims: {**claims, "auth_time": str(claims["iat"])},
    "of the future": lambda claims: {**claims, "auth_time": claims["iat"] + 600},
    "that proves less": lambda claims: {**claims, "acr": "loa:1"},
    "that proves nothing": lambda claims: without(claims, "acr"),
    "that says it in another claim": lambda claims: {**without(claims, "acr"), "acrs": ["loa:2"]},
    "whose list is a text": lambda claims: {**claims, "acrs": "loa:2"},
    "for another act": lambda claims: {**claims, "nonce": "another"},
}


async def test_a_forged_confirmation_signs_nothing(scene: Scene) -> None:
    who = await add_person(scene.system, "alone", scene.system.clinics["near"], Role.PROVIDER)
    page, one = await report_of(scene.system, who), scene.providers["one"]
    await has_an_identity_alone(scene.system, who, one.issuer, "alone")
    found = {}
    one.subject = "alone"
    try:
        async with visitor(scene.app) as http:
            assert (await http.get(scene.back(await scene.begin(http)))).status_code == 303
            for name, forge in {**FORGED_CONFIRMATIONS, "the truth": lambda claims: claims}.items():
                one.answers = lambda claims, forge=forge: signed(forge({**claims, "acr": "loa:2"}))  # type: ignore[misc]
                form = {**hidden(await http.get(page)), "kind": "final", "revision": "1"}
                asked = asked_in(await http.post(f"{page}/confirm", data=form))
                back = await http.get(scene.back(asked))
                found[name] = back.status_code, (await http.post(page, data=form)).status_code
    finally:
        one.subject = "somebody"
    assert found.pop("the truth") == (303, 303)
    assert {(status in (401, 403), signed) for status, signed in found.values()} == {(True, 403)}, found


def asked_in(page: httpx.Response) -> dict[str, str]:
    """What the provider is asked, by the page that goes on to it."""
    address = re.search(r'0;url=([^"]+)"', page.text)
    assert address, page.text
    return {name: values[0] for name, values in parse_qs(urlsplit(unescape(address[1])).query).items()}
