"""The file of providers, what is believed of a token beyond its signature, and how often a provider is asked for its keys."""

import math
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from settings import PROJECT_ROOT
from sign_on.calls import MOST_BYTES, Calls
from sign_on.connection import FAILED_FOR_SECONDS, Answer, Connection, Secrets, _key_set
from sign_on.id_tokens import Identity, check_is_recent, check_is_stepped_up
from sign_on.logout_tokens import issuer_said_in
from sign_on.providers import Provider, ProvidersError, Rule, StepUp, load_providers
from sign_on.refused import AwayError, RefusedError
from sign_on.tokens import header_of, moment, subject_of
from tests.sign_on.evil import STRANGE, EvilProvider, Evils, as_known_here, signed

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ISSUER = "https://one.test"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "rsss-secret"
    file.write_text("a secret\n")
    return file


def provider(secret: Path, **more: Any) -> Provider:
    return as_known_here("one", ISSUER, secret, {"fleuve": "optional"}, **more)


def test_the_file_in_the_documents_can_be_read(secret: Path, tmp_path: Path) -> None:
    written = (PROJECT_ROOT / "docs/operations.md").read_text().split("```yaml\nproviders:", 1)[1].split("```", 1)[0]
    file = tmp_path / "sign-on.yaml"
    file.write_text(f"providers:{written}")
    found = load_providers(file)
    assert found.all["rsss"].client_secret is not None
    assert found.all["rsss"].client_secret.get_secret_value() == "a secret"
    assert found.all["rsss"].clinics == {"fleuve": Rule.REQUIRED, "erables": Rule.OPTIONAL}
    assert (found.are_required_by("fleuve"), found.are_required_by("erables")) == (True, False)
    assert [one.code for one in found.of_clinic("elsewhere")] == []


GOOD = """
  - code: one
    issuer: https://one.test
    client_id: relais
    client_secret_file: rsss-secret
    label: {fr: Un, en: One}
    clinics: {fleuve: optional}
"""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (GOOD.replace("https:", "http:"), "no https address"),
        (GOOD.replace("rsss-secret", "nowhere"), "nowhere"),
        (GOOD.replace("code: one", "code: One!"), "code"),
        (GOOD.replace("optional", "perhaps"), "clinics.fleuve"),
        (GOOD + "    algorithms: [HS256]\n", "algorithms"),
        (GOOD + "    subject: oid\n", "tenants"),
        (GOOD + "    private_key_file: rsss-secret\n", "either"),
        (GOOD.replace("client_secret_file", "private_key_file"), "no private RSA or EC key"),
        (GOOD + "    colour: blue\n", "colour"),
        (GOOD + GOOD, "the same code"),
        (GOOD + GOOD.replace("code: one", "code: two"), "the same issuer"),
        ("  - [", "sign-on.yaml"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(secret: Path, tmp_path: Path, wrong: str, said: str) -> None:
    file = tmp_path / "sign-on.yaml"
    file.write_text(f"providers:{wrong}")
    with pytest.raises(ProvidersError, match=said):
        load_providers(file)


RECORDS = """
record_systems:
  - code: records
    issuer: https://records.test
    fhir: https://records.test/fhir
    client_id: relais
    client_secret_file: rsss-secret
    label: {fr: Dossiers, en: Records}
    clinics: [fleuve]
"""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (RECORDS.replace("issuer: https://records.test", "issuer: https://one.test"), "the same issuer"),
        (RECORDS.replace("issuer: https://records.test", "issuer: https://one.test/"), "the same issuer"),
        (RECORDS.replace("code: records", "code: one"), "the same code"),
        *(
            (RECORDS + f"    inside: ['{network}']\n", "inside")
            for network in (
                *(
                    "0.0.0.0/0",
                    "127.0.0.0/8",
                    "127.0.0.1",
                    "169.254.169.254",
                    "168.63.129.16",
                    "10.0.0.0/3",
                    "255.255.255.255",
                ),
                *("::/0", "::1", "fe80::/64", "::ffff:10.0.0.0/104", "64:ff9b::a00:0/104", "fd00::/8"),
            )
        ),
    ],
)
def test_a_record_system_that_can_not_be_used_says_why(secret: Path, tmp_path: Path, wrong: str, said: str) -> None:
    file = tmp_path / "sign-on.yaml"
    for right in ("    inside: [10.20.0.0/16]\n", "    inside: ['fd12:3456::/32']\n", ""):
        file.write_text(f"providers:{GOOD}{RECORDS}{right}")
        assert load_providers(file).record_systems["records"].in_place_of_providers is False
    file.write_text(f"providers:{GOOD}{wrong}")
    with pytest.raises(ProvidersError, match=said):
        load_providers(file)


def test_in_entra_a_person_is_who_they_are_within_their_tenant(secret: Path) -> None:
    entra = provider(secret, subject="oid", tenants=["ours"])
    assert subject_of({"sub": "for this application", "oid": "person", "tid": "ours"}, entra) == "ours/person"
    assert subject_of({"sub": "for this application", "tid": "ours"}, entra) is None
    with pytest.raises(RefusedError, match="tenant"):
        subject_of({"oid": "person", "tid": "another"}, entra)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"auth_time": None}, "auth_time_missing"),
        ({"auth_time": NOW - timedelta(seconds=121)}, "auth_time_too_old"),
        ({"acr": "loa:1"}, "not_stepped_up"),
        ({"acr": None}, "not_stepped_up"),
        ({}, ""),
    ],
)
def test_what_was_asked_of_a_provider_is_looked_at_when_it_comes(said: dict[str, Any], reason: str) -> None:
    identity = Identity(**{"issuer": ISSUER, "subject": "s", "token": "t", "auth_time": NOW, "acr": "loa:2", **said})
    wanted = StepUp(values=("loa:2", "loa:3"), max_age_seconds=60)
    if not reason:
        check_is_stepped_up(identity, wanted, NOW)
        check_is_recent(identity, 0, NOW)
        return
    with pytest.raises(RefusedError, match=reason):
        check_is_stepped_up(identity, wanted, NOW)


def test_a_context_of_entra_is_looked_for_in_its_list() -> None:
    wanted = StepUp(claim="acrs", values=("c1",))
    identity = Identity(issuer=ISSUER, subject="s", token="t", auth_time=NOW, acr="c1", acrs=("c1", "c2"))
    check_is_stepped_up(identity, wanted, NOW)
    with pytest.raises(RefusedError, match="not_stepped_up"):
        check_is_stepped_up(Identity(issuer=ISSUER, subject="s", token="t", auth_time=NOW, acr="c1"), wanted, NOW)


async def test_made_up_keys_ask_the_provider_once_a_minute(secret: Path) -> None:
    evil, now = EvilProvider(ISSUER), [0.0]
    calls = Calls(Evils({"one": evil}))
    there = Connection(provider(secret), calls, clock=lambda: now[0])
    own = Secrets()

    async def came_back() -> Identity:
        return await there.identity_of(Answer(own.state, evil.code_for(own.nonce), None, ISSUER), own, "https://r.test")

    evil.answers = lambda claims: signed(claims, STRANGE, kid="made up")
    for at, asked in ((0.0, 1), (1.0, 1), (59.0, 1), (61.0, 2), (100.0, 2), (122.0, 3)):
        now[0] = at
        with pytest.raises(RefusedError, match="unknown_key"):
            await came_back()
        assert evil.asked.count("keys") == asked, at
    evil.answers = signed
    assert (await came_back()).subject == "somebody"
    assert (evil.asked.count("keys"), evil.asked.count("about")) == (3, 1)
    now[0] = 3_800.0
    await came_back()
    assert (evil.asked.count("keys"), evil.asked.count("about")) == (4, 2), "and after an hour in any case"
    await calls.close()


async def test_what_a_provider_says_of_itself_has_bounds(secret: Path) -> None:
    evil = EvilProvider("https://two.test")
    calls = Calls(Evils({"two": evil}))
    now = [0.0]
    known_here = as_known_here("two", "https://two.test", secret, {"fleuve": "optional"})
    there = Connection(known_here, calls, clock=lambda: now[0])
    evil.more = {"issuer": "https://another.test"}
    with pytest.raises(AwayError, match="issuer_of_discovery"):
        await there.address_to_ask(Secrets(), "https://r.test")
    with pytest.raises(AwayError, match="just_now"):
        await there.address_to_ask(Secrets(), "https://r.test")
    assert evil.asked.count("about") == 1, "nobody waits again for who has just failed"
    now[0] = FAILED_FOR_SECONDS
    evil.more = {"authorization_endpoint": "http://two.test/auth"}
    with pytest.raises(AwayError, match="no_authorization_endpoint"):
        await there.address_to_ask(Secrets(), "https://r.test")
    fresh = Connection(known_here, calls)
    evil.more = {"x": "y" * MOST_BYTES}
    with pytest.raises(AwayError, match="answer_too_large"):
        await fresh.address_to_ask(Secrets(), "https://r.test")
    await calls.close()


def test_a_key_that_cannot_be_used_closes_the_way_to_none_of_the_others() -> None:
    good = ECKey.generate_key("P-256", parameters={"kid": "good"}).as_dict(private=False)
    others: list[Any] = [
        {**good, "crv": "P-999", "kid": "a"},
        {**good, "x": "?", "kid": "b"},
        {"kty": "new"},
        {},
        None,
        "key",
    ]
    assert [key.kid for key in _key_set({"keys": [*others, good]}).keys] == ["good"]
    nothings: list[dict[str, Any]] = [{}, {"keys": None}, {"keys": []}, {"keys": [None]}]
    for nothing in nothings:
        with pytest.raises(AwayError, match="keys_malformed"):
            _key_set(nothing)


@pytest.mark.parametrize(
    "found", [math.nan, math.inf, pytest.param(10**400, id="a number of 400 digits"), -1, True, "1", None]
)
def test_a_moment_is_a_number_that_is_one(found: object) -> None:
    with pytest.raises(RefusedError, match="exp_is_no_number"):
        moment({"exp": found}, "exp")


def test_what_is_nested_without_end_is_refused() -> None:
    deep = urlsafe_b64encode(b'{"iss":' + b"[" * 1_500 + b"]" * 1_500 + b"}").rstrip(b"=").decode()
    head = urlsafe_b64encode(b'{"alg":"ES256","typ":"logout+jwt"}').rstrip(b"=").decode()
    assert issuer_said_in(f"{head}.{deep}.c2ln") is None
    with pytest.raises(RefusedError, match="token_malformed"):
        header_of(f"{deep}.{deep}.c2ln")
