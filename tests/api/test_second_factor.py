"""A second factor: set up, asked for at the sign-in and at the signature, each code good once, and what helps who has lost it."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from domain.requests import Role
from engine.client import key_ring
from key_ring import sealed_with
from records.models import Clinic, FrozenReport, PasskeyChallenge, SecondFactor
from settings import Settings
from tests.api.answers import problem
from tests.api.test_accounts import anybody, newcomer
from tests.api.test_guessing import report_of
from tests.eventually import eventually
from tests.journeys import ok
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases import passkey_answers, passkeys
from use_cases.caller import Caller
from use_cases.one_time_codes import FEW_CODES, STEP_SECONDS, code_of
from use_cases.passkeys import NewPasskey
from use_cases.problems import Problem
from use_cases.second_factor import seal_anew

AGAIN = {"password": PASSWORD}


async def sign_in(system: System, who: Clinician, **more: Any) -> httpx.Response:
    async with anybody(system) as http:
        return await http.post("/api/v1/tokens", json={"username": who.account.username, **AGAIN, **more})


class Telephone:
    """What makes somebody's codes."""

    def __init__(self, system: System, who: Clinician, secret: str) -> None:
        self._system, self._who = system, who
        self._secret = base64.b32decode(secret)

    def code(self, ahead: int = 0) -> str:
        step = int(datetime.now(UTC).timestamp()) // STEP_SECONDS + ahead
        return code_of(self._secret, step).decode()

    async def next_code(self) -> str:
        """A code that was not taken yet, as if all before were long ago."""
        async with self._system.services.database.session() as session:
            mine = SecondFactor.account_id == self._who.account.id
            await session.execute(update(SecondFactor).where(mine).values(last_step=0, spent_for=None))
        return self.code()


async def enrolled_person(system: System, *roles: Role) -> tuple[Clinician, Telephone, list[str]]:
    """Somebody with a second factor, and their recovery codes."""
    who = await newcomer(system, *roles)
    begun = ok(await who.post("/me/second-factor", AGAIN), 201)
    assert begun["uri"].startswith(f"otpauth://totp/Relais:{who.account.username}?")
    assert begun["secret"] in begun["uri"]
    telephone = Telephone(system, who, begun["secret"])
    ok(await sign_in(system, who), 201)  # it is not in force yet
    codes = ok(await who.post("/me/second-factor/confirm", {"code": telephone.code()}))["recovery_codes"]
    return who, telephone, codes


async def test_who_has_one_signs_in_with_a_code_that_is_good_once(system: System) -> None:
    who, telephone, _ = await enrolled_person(system, Role.REQUESTER)
    assert ok(await who.get("/me/second-factor"))["in_force"] is True
    problem(await sign_in(system, who), 403, "code_needed")
    problem(await sign_in(system, who, password="wrong", code=telephone.code(1)), 401, "wrong_credentials")
    problem(await sign_in(system, who, code=telephone.code()), 403, "wrong_code")  # it confirmed the set-up
    code = telephone.code(1)
    ok(await sign_in(system, who, code=f"{code[:3]} {code[3:]}"), 201)
    problem(await sign_in(system, who, code=code), 403, "wrong_code")
    problem(await who.post("/me/second-factor", AGAIN), 409, "second_factor_in_force")
    problem(await who.post("/me/second-factor/confirm", {"code": await telephone.next_code()}), 409, "not_begun")


async def test_a_report_is_signed_with_password_and_code_and_keeps_that_it_was(system: System) -> None:
    who, telephone, codes = await enrolled_person(system, Role.PROVIDER)
    signature = await report_of(system, who)
    body: dict[str, Any] = {"kind": "preliminary", **AGAIN}
    problem(await who.post(signature, body), 403, "code_needed")
    problem(await who.post(signature, {**body, "code": "000000", "password": "wrong"}), 403, "wrong_password")
    key, code = uuid4().hex, await telephone.next_code()
    signed = ok(await who.post(signature, {**body, "code": code}, key=key))
    assert ok(await who.post(signature, {**body, "code": code}, key=key)) == signed, "the same, sent again"
    problem(await who.post(signature, {**body, "kind": "final", "code": code}), 403, "wrong_code")
    last = ok(await who.post(signature, {**body, "kind": "final", "code": codes[0]}))
    async with system.services.database.session() as session:
        ids = [one["document"]["report_id"] for one in (signed, last)]
        found = await session.execute(
            select(FrozenReport.proof_method).where(FrozenReport.id.in_(ids)).order_by(FrozenReport.created_at)
        )
        assert list(found.scalars()) == ["password+totp", "password+recovery_code"]


async def test_recovery_codes_serve_once_until_there_are_others(system: System) -> None:
    who, telephone, codes = await enrolled_person(system, Role.REQUESTER)
    assert len(set(codes)) == 10
    assert {len(base64.b32decode(one.replace("-", ""))) * 8 for one in codes} == {120}
    ok(await sign_in(system, who, code=codes[0].lower().replace("-", " ")), 201)
    problem(await sign_in(system, who, code=codes[0]), 403, "wrong_code")
    assert ok(await who.get("/me/second-factor"))["recovery_codes_left"] == 9
    proofs = {**AGAIN, "code": await telephone.next_code()}
    others = ok(await who.post("/me/second-factor/recovery-codes", proofs))["recovery_codes"]
    assert not set(codes) & set(others)
    problem(await sign_in(system, who, code=codes[1]), 403, "wrong_code")
    ok(await sign_in(system, who, code=others[1]), 201)


async def test_wrong_codes_are_counted_apart_for_known_devices(system: System) -> None:
    who, telephone, codes = await enrolled_person(system, Role.REQUESTER)
    device = ok(await sign_in(system, who, code=codes[0]), 201)["device"]
    for _ in range(FEW_CODES.most):
        problem(await sign_in(system, who, code="000000"), 403, "wrong_code")
    refused = await sign_in(system, who, code=codes[1])
    problem(refused, 429, "too_many_attempts")
    assert 0 < int(refused.headers["retry-after"]) <= FEW_CODES.every.total_seconds()
    ok(await sign_in(system, who, code=codes[1], device=device), 201)
    ok(await who.post("/me/second-factor/recovery-codes", {**AGAIN, "code": await telephone.next_code()}))


async def test_it_is_removed_with_both_proofs(system: System) -> None:
    who, telephone, codes = await enrolled_person(system, Role.REQUESTER)
    problem(await who.post("/me/second-factor/remove", AGAIN), 422, "invalid_input")
    wrong = {"password": "wrong", "code": codes[0]}
    problem(await who.post("/me/second-factor/remove", wrong), 403, "wrong_current_password")
    problem(await who.post("/me/second-factor/remove", {**AGAIN, "code": "123"}), 403, "wrong_code")
    code = await telephone.next_code()
    assert (await who.post("/me/second-factor/remove", {**AGAIN, "code": code})).status_code == 204
    ok(await sign_in(system, who), 201)
    assert ok(await who.get("/me/second-factor")) == {
        "in_force": False,
        "since": None,
        "recovery_codes_left": 0,
        "passkeys": 0,
        "needed_to_sign": False,
    }
    problem(await who.post("/me/second-factor/confirm", {"code": code}), 409, "not_begun")


async def test_an_administrator_of_the_clinic_helps_who_has_lost_it(system: System) -> None:
    who, _, _ = await enrolled_person(system, Role.REQUESTER)
    path = f"/accounts/{who.id}"
    assert ok(await system.administrator.get(path))["second_factor"] is True
    problem(await system.requester.post(f"{path}/second-factor/reset"), 403, "forbidden")
    stranger = await add_person(system, f"far_{uuid4().hex}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    problem(await stranger.post(f"{path}/second-factor/reset"), 404, "not_found")
    for _ in range(2):  # a second time there is nothing to do
        assert ok(await system.administrator.post(f"{path}/second-factor/reset"))["second_factor"] is False
    problem(await who.get("/me"), 401, "not_authenticated")
    ok(await sign_in(system, who), 201)
    noted: Any = ok(await system.administrator.get(f"{path}/events"))
    assert [event["kind"] for event in noted] == ["second_factor_removed", "second_factor_set_up"]
    assert noted[0]["by"] != noted[1]["by"]


async def test_a_clinic_lets_nobody_sign_without(system: System) -> None:
    """Who only asks needs none."""
    who = await newcomer(system, Role.PROVIDER)
    signature = await report_of(system, who)
    near = Clinic.id == system.clinics["near"].id
    async with system.services.database.session() as session:
        await session.execute(update(Clinic).where(near).values(signing_needs_code=True))
    try:
        assert ok(await who.get("/me/second-factor"))["needed_to_sign"] is True
        assert ok(await system.requester.get("/me/second-factor"))["needed_to_sign"] is False
        body = {"kind": "final", **AGAIN}
        problem(await who.post(signature, body), 403, "second_factor_missing")
        secret = ok(await who.post("/me/second-factor", AGAIN), 201)["secret"]
        telephone = Telephone(system, who, secret)
        ok(await who.post("/me/second-factor/confirm", {"code": telephone.code()}))
        ok(await who.post(signature, {**body, "code": telephone.code(1)}))
    finally:
        async with system.services.database.session() as session:
            await session.execute(update(Clinic).where(near).values(signing_needs_code=False))


async def test_a_secret_is_sealed_anew_before_its_key_goes(system: System) -> None:
    who, telephone, _ = await enrolled_person(system, Role.REQUESTER)
    assert system.settings.encryption_keys is not None
    old = system.settings.encryption_keys.get_secret_value()
    new = f"new:{base64.b64encode(bytes(32)).decode()}"

    async def sealed() -> str:
        async with system.services.database.session() as session:
            return (await session.get_one(SecondFactor, who.account.id)).sealed_secret

    def with_keys(keys: str) -> Settings:
        return Settings.model_validate({**system.settings.model_dump(), "encryption_keys": keys})

    before = await sealed()
    assert await seal_anew(with_keys(f"{new},{old}")) >= 1
    assert sealed_with(await sealed()) == "new"
    assert await seal_anew(with_keys(f"{old},{new}")) >= 1
    assert sealed_with(await sealed()) == key_ring(system.settings).current
    assert await sealed() != before
    ok(await sign_in(system, who, code=await telephone.next_code()), 201)


@pytest.mark.parametrize("path", ["", "/confirm", "/recovery-codes", "/remove"])
async def test_nobody_else_may(system: System, path: str) -> None:
    async with anybody(system) as http:
        problem(await http.post(f"/api/v1/me/second-factor{path}", json={}), 401, "not_authenticated")


async def test_one_code_signs_one_report(system: System) -> None:
    """And a report that is signed may be sent again with the same key, with any proof."""
    who, telephone, codes = await enrolled_person(system, Role.PROVIDER)
    one, other = [await report_of(system, who) for _ in range(2)]
    for code, another in ((await telephone.next_code(), codes[1]), (codes[0], codes[2])):
        kind = "final" if code == codes[0] else "preliminary"
        body: dict[str, Any] = {"kind": kind, **AGAIN, "code": code}
        signed = ok(await who.post(one, body, key=f"{kind}-report"))
        problem(await who.post(other, body, key=f"{kind}-other"), 403, "wrong_code")
        problem(await who.post(other, body, key=f"{kind}-report"), 422, "idempotency_key_reused")
        for proof in (code, another):
            again = await who.post(one, {**body, "code": proof}, key=f"{kind}-report")
            assert ok(again) == signed, "the same, sent again"


async def test_a_new_factor_ends_the_sessions_that_began_without(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    other = ok(await sign_in(system, who), 201)["access_token"]
    begun = ok(await who.post("/me/second-factor", AGAIN), 201)
    ok(await who.post("/me/second-factor/confirm", {"code": Telephone(system, who, begun["secret"]).code()}))
    async with anybody(system) as http:
        there = await http.get("/api/v1/me", headers={"Authorization": f"Bearer {other}"})
    problem(there, 401, "not_authenticated")
    ok(await who.get("/me"))


async def test_nobody_does_without_their_own_by_administering(system: System) -> None:
    admin, _, _ = await enrolled_person(system, Role.CLINIC_ADMINISTRATOR)
    path = f"/accounts/{admin.id}/second-factor/reset"
    problem(await admin.post(path), 403, "not_for_oneself")
    assert ok(await admin.get("/me/second-factor"))["in_force"] is True
    assert ok(await system.administrator.post(path))["second_factor"] is False


async def test_a_passkey_comes_and_goes_with_the_factor(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    who, _, _ = await enrolled_person(system, Role.PROVIDER)
    other, _, _ = await enrolled_person(system, Role.PROVIDER)

    async def made_by(*_: object) -> passkey_answers.Made:
        return passkey_answers.Made(who.account.id.bytes, b"key", 0)

    async def refusal_of(owner: Clinician) -> str | None:
        try:
            await passkeys.add(system.services, Caller(owner.account, "token"), NewPasskey(name="Phone", passkey="{}"))
        except Problem as refused:
            return refused.code
        return None

    monkeypatch.setattr(passkey_answers, "made_by", made_by)
    assert await refusal_of(who) is None
    assert await refusal_of(other) == "wrong_passkey"  # there is one with this id
    await passkey_answers.options_to_answer(system.services, who.account.id, "anything")
    ok(await system.administrator.post(f"/accounts/{who.id}/second-factor/reset"))
    async with system.services.database.session() as session:
        of_whom = PasskeyChallenge.account_id == who.account.id
        assert await session.scalar(select(PasskeyChallenge.challenge).where(of_whom)) is None
    assert await refusal_of(who) == "not_begun"


async def test_whoever_has_a_factor_hears_when_it_changes(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """By e-mail; and whatever changes, all sessions but the one in which it was changed end."""
    who, telephone, codes = await enrolled_person(system, Role.PROVIDER)

    async def made_by(*_: object) -> passkey_answers.Made:
        return passkey_answers.Made(who.account.id.bytes, b"key", 0)

    async def elsewhere(code: str) -> str:
        """The token of another session."""
        return str(ok(await sign_in(system, who, code=code), 201)["access_token"])

    async def status_of(token: str) -> int:
        async with anybody(system) as http:
            return (await http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code

    monkeypatch.setattr(passkey_answers, "made_by", made_by)
    caller = Caller(who.account, who.http.headers["Authorization"].removeprefix("Bearer "))
    other = await elsewhere(codes[1])
    await passkeys.add(system.services, caller, NewPasskey(name="Phone", passkey="{}"))
    assert await status_of(other) == 401
    [mine] = await passkeys.list_own(system.services, caller)
    other = await elsewhere(codes[2])
    await passkeys.remove(system.services, caller, mine.id)
    assert await status_of(other) == 401
    other = await elsewhere(codes[3])
    await passkeys.remove(system.services, caller, mine.id)  # there is nothing to do
    assert await status_of(other) == 200
    ok(await who.post("/me/second-factor/recovery-codes", {**AGAIN, "code": codes[0]}))
    assert await status_of(other) == 401
    other = await elsewhere(await telephone.next_code())
    proofs = {**AGAIN, "code": await telephone.next_code()}
    assert (await who.post("/me/second-factor/remove", proofs)).status_code == 204
    assert (await status_of(other), (await who.get("/me")).status_code) == (401, 200)
    noted: Any = ok(await system.administrator.get(f"/accounts/{who.id}/events"))
    assert [event["kind"] for event in reversed(noted)] == [
        "second_factor_set_up",
        "passkey_added",
        "passkey_removed",
        "recovery_codes_renewed",
        "second_factor_removed",
    ]
    office = system.post_office
    await eventually(lambda: len(office.kept_for(who.account.email)) == 4)
    bodies = [letter.get_body(("plain",)) for letter in office.kept_for(who.account.email)]
    said = [str(body.get_content()) for body in bodies if body is not None]
    for words in (
        "Un second facteur a été activé",
        "clé d’accès a été ajoutée",
        "clé d’accès a été retirée",
        "a été retiré",
    ):
        assert any(words in text for text in said), words
    assert all("façon de vous connecter" in str(letter["Subject"]) for letter in office.kept_for(who.account.email))
