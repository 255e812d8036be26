"""Signing in and out, wrong passwords, and one's own settings."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from domain.notices import NoticeMode
from domain.requests import Role
from records.models import Account, Guesses, Token
from tests.api.answers import problem
from tests.journeys import ok
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases import passwords
from use_cases.guessing import FEW
from use_cases.sign_in import token_sha256


def anybody(system: System) -> httpx.AsyncClient:
    """A client that nobody has signed in."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://relais.test")


async def sign_in(system: System, username: Any, password: Any = PASSWORD) -> httpx.Response:
    async with anybody(system) as http:
        return await http.post("/api/v1/tokens", json={"username": username, "password": password})


async def newcomer(system: System, *roles: Role, **more: Any) -> Clinician:
    return await add_person(system, f"newcomer_{uuid4().hex}", system.clinics["near"], *roles, **more)


async def test_a_token_speaks_for_its_account_until_it_ends(system: System) -> None:
    name = system.requester.account.username
    answer = await sign_in(system, f" {name.upper()} ")
    token = ok(answer, 201)
    assert (token["token_type"], answer.headers["cache-control"]) == ("bearer", "no-store")
    life = datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)
    assert timedelta() < life <= timedelta(hours=system.settings.token_hours)
    async with anybody(system) as http:
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        me = ok(await http.get("/api/v1/me"))
        assert (me["id"], me["username"], me["roles"]) == (system.requester.id, name, ["requester"])
        assert (me["clinic"], me["language"]) == ("Clinique du Fleuve", "fr")
        assert (await http.delete("/api/v1/tokens/current")).status_code == 204
        problem(await http.get("/api/v1/me"), 401, "not_authenticated")
        problem(await http.delete("/api/v1/tokens/current"), 401, "not_authenticated")
    assert ok(await system.requester.get("/me"))["id"] == system.requester.id  # another token of the same account


async def test_an_expired_token_is_none(system: System) -> None:
    token = ok(await sign_in(system, system.requester2.account.username), 201)["access_token"]
    sha256 = token_sha256(token)
    async with system.services.database.session() as session:
        await session.execute(update(Token).where(Token.sha256 == sha256).values(expires_at=datetime.now(UTC)))
    async with anybody(system) as http:
        problem(await http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}), 401, "not_authenticated")


async def test_what_is_no_token(system: System) -> None:
    async with anybody(system) as http:
        for header in (None, "", "Bearer", "Bearer ", "Bearer nonsense", "Basic dTpw", "Bearer \xe9\xff", "bearer a b"):
            headers = httpx.Headers(None if header is None else [(b"authorization", header.encode("latin-1"))])
            answer = await http.get("/api/v1/requests", headers=headers)
            problem(answer, 401, "not_authenticated")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_account_that_is_not_active_is_nobody(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == who.account.id).values(active=False))
    problem(await who.get("/me"), 401, "not_authenticated")
    problem(await sign_in(system, who.account.username), 401, "wrong_credentials")


async def test_wrong_names_and_passwords_sound_the_same(system: System) -> None:
    wrong = problem(await sign_in(system, system.dispatcher.account.username, "x"), 401, "wrong_credentials")
    unknown = problem(await sign_in(system, f"nobody-{uuid4().hex}", "x"), 401, "wrong_credentials")
    assert wrong == unknown
    for odd in ("é" * 200, "' OR 1=1 --"):
        problem(await sign_in(system, odd), 401, "wrong_credentials")
    for username, password in (
        ("", "x"),
        ("nobody\x00", "x"),
        ("x" * 201, "x"),
        ("x", ""),
        ("x", "x" * 1001),
        (1, "x"),
        ("x", None),
    ):
        problem(await sign_in(system, username, password), 422, "invalid_input")


async def test_after_ten_wrong_passwords_even_the_right_one_waits(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    name = who.account.username
    for _ in range(FEW.most - 1):
        problem(await sign_in(system, name, "wrong"), 401, "wrong_credentials")
    ok(await sign_in(system, name), 201)  # and the wrong ones are forgotten
    for _ in range(FEW.most):
        problem(await sign_in(system, name.upper(), "wrong"), 401, "wrong_credentials")
    answer = await sign_in(system, name)
    told = problem(answer, 429, "too_many_attempts")
    assert 0 < int(answer.headers["retry-after"]) <= FEW.every.total_seconds()
    assert told["detail"].startswith("Trop de mots de passe incorrects. Réessayez dans ")
    ok(await who.get("/me"))  # who is signed in stays so
    async with system.services.database.session() as session:
        await session.execute(update(Guesses).values(empty_at=Guesses.empty_at - FEW.every))
    ok(await sign_in(system, name), 201)


async def test_people_choose_their_language_and_their_notices(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    wrong: tuple[Any, ...] = (
        {"language": "de"},
        {"notice_mode": "never"},
        {"roles": ["operator"]},
        {"language": 1},
        [],
    )
    for body in wrong:
        problem(await who.http.patch("/api/v1/me", json=body), 422, "invalid_input")
    assert ok(await who.http.patch("/api/v1/me", json={}))["language"] == "fr"
    changed = ok(await who.http.patch("/api/v1/me", json={"language": "en", "notice_mode": "grouped"}))
    assert (changed["language"], changed["notice_mode"]) == ("en", NoticeMode.GROUPED)
    assert ok(await who.get("/me")) == changed


async def test_the_language_of_answers(system: System) -> None:
    """By Accept-Language; else the account's; else French."""
    english = await newcomer(system, Role.REQUESTER, language="en")
    french = system.requester
    missing = f"/requests/{uuid4()}"

    async def detail(who: Clinician, accept: str | None) -> str:
        answer = await who.get(missing, headers={"Accept-Language": accept} if accept is not None else {})
        assert answer.status_code == 404
        return str(answer.json()["detail"])[:8]

    fr, en = "Il n’y a ", "There is"
    fr = fr[:8]
    assert [await detail(who, None) for who in (french, english)] == [fr, en]
    for accept, expected in {
        "en": en,
        "en-CA,fr;q=0.5": en,
        "fr;q=0.4, en;q=0.9": en,
        "EN-us": en,
        "fr-CA": fr,
        "en;q=0.1,fr": fr,
        "de": fr,
        "de, en;q=0.3": en,
        "*": fr,
        "en;q=0": fr,
        ",;;q=x,": fr,
    }.items():
        assert await detail(french, accept) == expected, accept
    assert ok(await english.post("/requests", {"offering": "teledermatology"}), 201)["status_label"] == "Draft"
    draft = await french.post("/requests", {"offering": "teledermatology"})
    assert ok(draft, 201)["status_label"] == "Brouillon"
    async with anybody(system) as http:
        assert (await http.get("/api/v1/me")).json()["detail"] == "Vous devez d’abord ouvrir une session."
        english_detail = (await http.get("/api/v1/me", headers={"Accept-Language": "en"})).json()["detail"]
        assert english_detail == "Sign in first."


# Another password


async def change(who: Clinician, current: Any, new: Any) -> httpx.Response:
    return await who.post("/me/password", {"current": current, "new": new})


async def test_another_password_ends_all_other_sign_ins(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    name, new = who.account.username, "quatre mots sans aucun lien"
    async with anybody(system) as elsewhere:
        token = ok(await sign_in(system, name), 201)["access_token"]
        elsewhere.headers["Authorization"] = f"Bearer {token}"
        assert (await elsewhere.get("/api/v1/me")).status_code == 200
        answer = await change(who, PASSWORD, new)
        assert (answer.status_code, answer.content) == (204, b"")
        problem(await elsewhere.get("/api/v1/me"), 401, "not_authenticated")
    ok(await who.get("/me"))  # the sign-in that changed it goes on
    problem(await sign_in(system, name), 401, "wrong_credentials")
    ok(await sign_in(system, name, new), 201)
    ok(await system.provider.get("/me"))
    problem(await change(who, PASSWORD, "encore un autre mot de passe"), 403, "wrong_current_password")


async def test_passwords_that_are_not_taken(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    name = who.account.username
    for new, code in (
        ("", "password_too_short"),
        ("elevenchars", "password_too_short"),
        ("x" + " " * 20, "password_too_short"),
        (name, "password_is_the_username"),
        (f" {name.upper()} ", "password_is_the_username"),
        ("Motdepasse2026!", "password_guessed"),
        (f"{name}2026!", "password_guessed"),
        (f"{who.account.email}7", "password_guessed"),
        (f"{system.clinics['near'].name}7", "password_guessed"),
        ("x" * 1001, "too_long"),
        (None, "not_a_text"),
        (123456789012, "not_a_text"),
    ):
        (error,) = problem(await change(who, PASSWORD, new), 422, "invalid_input")["errors"]
        assert (error["field"], error["code"]) == ("new", code), new
        assert error["message"]
        if code == "password_too_short":
            assert error["message"] == "Un mot de passe compte au moins 12 caractères."
        if code == "password_guessed":
            assert error["message"].startswith("Ce mot de passe se devine vite.")
    good = "quatre mots sans lien"
    bodies: tuple[Any, ...] = (None, [], {"new": good}, {"current": PASSWORD}, {"current": "", "new": good})
    for body in bodies:
        problem(await who.post("/me/password", body), 422, "invalid_input")
    surplus = {"current": PASSWORD, "new": good, "username": "x"}
    problem(await who.post("/me/password", surplus), 422, "invalid_input")
    async with anybody(system) as http:
        answer = await http.post("/api/v1/me/password", json={"current": PASSWORD, "new": good})
        problem(answer, 401, "not_authenticated")
    ok(await sign_in(system, name), 201)  # it is as it was
    assert (await change(who, PASSWORD, "éàùîçœ-æëôÉÀ")).status_code == 204  # twelve characters
    ok(await sign_in(system, name, "éàùîçœ-æëôÉÀ"), 201)


async def test_a_password_counts_as_it_was_typed_to_its_last_letter(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    name, new = who.account.username, " Quatre  mots, e\u0301crits LONGUEMENT; " * 4
    assert len(new) > 128
    assert (await change(who, PASSWORD, new)).status_code == 204
    for nearly in (new[:-1], new[:72], new.strip(), new.swapcase(), new.replace("e\u0301", "é")):
        problem(await sign_in(system, name, nearly), 401, "wrong_credentials")
    ok(await sign_in(system, name, new), 201)


async def test_guessing_at_the_present_password_ends_too(system: System) -> None:
    """For this sign-in; at the door nothing of it counts."""
    who = await newcomer(system, Role.PROVIDER)
    for _ in range(FEW.most):
        problem(await change(who, "wrong", "quatre mots sans aucun lien"), 403, "wrong_current_password")
    problem(await change(who, PASSWORD, "quatre mots sans aucun lien"), 429, "too_many_attempts")
    ok(await sign_in(system, who.account.username), 201)


@pytest.mark.parametrize("meanwhile", ["the password is changed", "the account is locked"])
async def test_a_sign_in_that_was_under_way_comes_too_late(
    system: System, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    who = await newcomer(system, Role.REQUESTER)
    real, is_right, goes_on = passwords.Lane.fits, asyncio.Event(), asyncio.Event()

    async def slow(lane: passwords.Lane, *of: Any) -> bool:
        fits = await real(lane, *of)
        if lane is system.services.passwords.sign_in:
            is_right.set()
            await goes_on.wait()
        return fits

    monkeypatch.setattr(passwords.Lane, "fits", slow)
    coming = asyncio.create_task(sign_in(system, who.account.username))
    await is_right.wait()
    if meanwhile == "the account is locked":
        ok(await system.administrator.post(f"/accounts/{who.id}/lock"))
    else:
        new = {"current": PASSWORD, "new": "quatre mots sans aucun lien"}
        assert (await who.post("/me/password", new)).status_code == 204
    goes_on.set()
    problem(await coming, 401, "wrong_credentials")


async def test_of_two_who_change_one_password_at_once_one_does(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    new = [{"current": PASSWORD, "new": f"quatre mots sans aucun lien {n}"} for n in range(2)]
    answers = await asyncio.gather(*[who.post("/me/password", one) for one in new])
    assert sorted(answer.status_code for answer in answers) == [204, 403]
    [done] = [one for one, answer in zip(new, answers, strict=True) if answer.status_code == 204]
    ok(await sign_in(system, who.account.username, done["new"]), 201)
