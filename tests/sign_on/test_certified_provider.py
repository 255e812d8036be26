"""Whole stories with a provider that others wrote: joining, linking, signing in, and the end of a session on both sides."""

import itertools
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from playwright.async_api import Page, async_playwright
from sqlalchemy import select, update

from domain.requests import Role
from records.models import FrozenReport, SigningTicket, Token
from server import create_app
from sign_on.providers import Providers, load_providers
from sign_on.sign_on import SignOn
from tests.api.answers import problem
from tests.api.test_emergencies import turned
from tests.api.test_guessing import report_of
from tests.api.test_invitations import code_for
from tests.api.test_people_of_clinics import invitation
from tests.api.test_second_factor import Telephone
from tests.eventually import eventually
from tests.journeys import ok, ok_list, submitted
from tests.portal import browsers
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, hidden, shown, too_wide
from tests.portal.typed_texts import not_known
from tests.serving import address_of, free_port, listen, served
from tests.sign_on.certified import CLIENT, SECRET, STEPPED_UP, Browser, browser, certified_provider
from tests.sign_on.evil import has_an_identity_alone
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases.ways_in import unknown_clinics


@dataclass
class Scene:
    """Relais on a port, beside a provider: optional for the clinic `near`, required in `far`."""

    system: System
    address: str
    issuer: str
    administrator: Clinician

    async def letters(self, address: str, nth: int) -> str:
        """What the nth e-mail to that address says."""
        office = self.system.post_office
        await eventually(lambda: len(office.kept_for(address)) >= nth)
        body = office.kept_for(address)[nth - 1].get_body(("plain",))
        return str(body.get_content()) if body else ""


@pytest.fixture(scope="module")
async def scene(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("providers")
    (folder / "secret").write_text(SECRET)
    listening = listen()
    address = address_of(listening)
    async with certified_provider(address) as issuer:
        providers = load_providers(written(folder, issuer, system), near=True)
        async with SignOn(providers, near=True) as sign_on:
            settings = system.settings.model_copy(update={"public_url": address})
            app = create_app(settings, replace(system.of_api, settings=settings, sign_on=sign_on))
            async with served(app, listening):
                far = system.clinics["far"]
                administrator = await add_person(system, "far_administrator", far, Role.CLINIC_ADMINISTRATOR)
                yield Scene(system, address, issuer, administrator)


def written(folder: Path, issuer: str, system: System) -> Path:
    """The file of providers, as somebody who runs Relais writes it."""
    file = folder / "sign-on.yaml"
    file.write_text(
        f"""
providers:
  - code: network
    issuer: {issuer}
    client_id: {CLIENT}
    client_secret_file: {folder}/secret
    label: {{fr: Réseau de la santé, en: Health network}}
    clinics:
      {system.clinics["near"].code}: optional
      {system.clinics["far"].code}: required
    step_up: {{claim: acr, values: ["{STEPPED_UP}"], max_age_seconds: 60}}
"""
    )
    return file


async def sign_in(it: Browser, login: str, **more: str) -> httpx.Response:
    """By the button of the sign-in page."""
    answer = await it.relais.get("/sign-on/network?next=/account")
    return await it.relais.get(await it.sign_in_there(answer.headers["location"], login, **more))


def onwards(answer: httpx.Response) -> str:
    """Where the page leads that goes on to the provider."""
    shown(answer)
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    assert found, answer.text
    return unescape(found[1])


async def test_somebody_joins_through_their_organization_and_leaves_it_everywhere(scene: Scene) -> None:
    wanted = invitation(roles=["provider"])
    sent = ok(await scene.administrator.post("/invitations", wanted), 201)
    code, login = await code_for(scene.system, wanted["email"]), f"roy-{uuid4().hex[:8]}"
    async with browser(scene.address) as it, browser(scene.address) as other:
        page = await it.relais.get(f"/invitation/{code}")
        assert "Accepter avec Réseau de la santé" in shown(page)
        assert 'name="password"' not in page.text, "this clinic has no passwords"
        form = {"username": f"zoe.{login}", "voice_code": "AAAAAA"}
        by_password = await it.relais.post(f"/invitation/{code}", data={**form, "password": "quatre mots sans lien"})
        assert "n’utilise pas de mots de passe" in shown(by_password, 403)
        join = f"/invitation/{code}/sign-on/network"
        assert "second code" in shown(await it.relais.post(join, data=form), 403).lower()
        form["voice_code"] = sent["voice_code"]
        taken = {**form, "username": scene.system.requester.account.username}
        shown(await it.relais.post(join, data=taken), 409)
        address = onwards(await it.relais.post(join, data=form))
        denied = await it.relais.get(await it.sign_in_there(address))
        assert "ne vous a pas laissé entrer" in shown(denied, 401)
        address = onwards(await it.relais.post(join, data=form))
        joined = await it.relais.get(await it.sign_in_there(address, login))
        assert (joined.status_code, joined.headers["location"]) == (303, "/worklist?done=joined")
        account = await it.relais.get("/account")
        assert f"{login}@network.invalid" in shown(account)
        assert 'action="/account/password"' not in account.text
        assert "a été liée" in await scene.letters(wanted["email"], 2)
        assert "a été liée" in await scene.letters(f"{login}@network.invalid", 1)
        shown(await it.relais.get(f"/invitation/{code}"), 404)

        stranger = await sign_in(other, "somebody-else")
        assert "ne vous connaît pas encore" in shown(stranger, 403)
        other.provider.cookies = it.provider.cookies
        assert (await sign_in(other, "")).status_code == 303, "who is signed in there is asked nothing"
        shown(await other.relais.get("/account"))

        left = await it.relais.post("/signout")
        back = await it.sign_in_there(onwards(left))
        assert back == f"{scene.address}/sign-on/signed-out"
        assert (await it.relais.get(back)).headers["location"] == "/signin?done=signed_out"
        gone = await other.relais.get("/account")
        assert gone.status_code == 303, "the provider told it, and every session that came of it ended"

    people: Any = ok(await scene.administrator.get("/accounts"))
    [joined_as] = [person["id"] for person in people if person["email"] == wanted["email"]]
    events: Any = ok(await scene.administrator.get(f"/accounts/{joined_as}/events"))
    assert [(one["kind"], one["changes"]) for one in events] == [
        ("identity_linked", {"provider": [None, "network"]}),
        ("joined", {}),
    ]


async def test_who_has_a_second_factor_links_with_it_only(scene: Scene) -> None:
    """Else a password alone would get rid of it: who comes in through a provider is asked for none of ours."""
    who = await add_person(scene.system, "linking", scene.system.clinics["near"], Role.REQUESTER)
    async with browser(scene.address) as it:
        begun = ok(await who.post("/me/second-factor", {"password": PASSWORD}), 201)
        telephone = Telephone(scene.system, who, begun["secret"])
        ok(await who.post("/me/second-factor/confirm", {"code": telephone.code()}))
        asked = await it.relais.post("/signin", data={"username": who.account.username, "password": PASSWORD})
        signed_in = {"proof": asked.text.split('name="proof" value="')[1].split('"')[0], "code": telephone.code(1)}
        assert (await it.relais.post("/signin/code", data=signed_in)).status_code == 303
        path, proof = "/account/sign-on/network", {"password": PASSWORD}
        assert 'name="code"' in (await it.relais.get("/account")).text
        shown(await it.relais.post(path, data=proof), 403)
        shown(await it.relais.post(path, data={**proof, "code": "000000"}), 403)
        assert onwards(await it.relais.post(path, data={**proof, "code": await telephone.next_code()}))


async def test_somebody_with_a_password_links_and_unlinks(scene: Scene) -> None:
    who = await add_person(scene.system, "linking", scene.system.clinics["near"], Role.REQUESTER)
    login = f"linking-{uuid4().hex[:8]}"
    async with browser(scene.address) as it, browser(scene.address) as other:
        await it.relais.post("/signin", data={"username": who.account.username, "password": PASSWORD})
        page = await it.relais.get("/account")
        assert "Lier Réseau de la santé" in shown(page)
        path = "/account/sign-on/network"
        assert "pas votre mot de passe actuel" in shown(await it.relais.post(path, data={"password": "x"}), 403)
        address = onwards(await it.relais.post(path, data={"password": PASSWORD}))
        back = await it.sign_in_there(address, login)
        assert (await other.relais.get(back)).status_code == 401, (
            "nobody brings their own identity into another's browser"
        )
        linked = await it.relais.get(back)
        assert linked.headers["location"] == "/account?done=linked"
        assert "a été liée" in await scene.letters(who.account.email, 1)
        await it.relais.post("/signout")

        assert (await sign_in(it, login)).status_code == 303
        assert "Retirer Réseau de la santé" in shown(await it.relais.get("/account"))
        await other.relais.post("/signin", data={"username": who.account.username, "password": PASSWORD})
        done = await other.relais.post(f"{path}/unlink", data={"password": PASSWORD})
        assert done.headers["location"] == "/account?done=unlinked"
        assert (await it.relais.get("/account")).status_code == 303, "the session that came of it has ended"
        assert "a été retirée" in await scene.letters(f"{login}@network.invalid", 2)
        shown(await sign_in(it, login), 403)


async def test_an_administrator_removes_the_identity_of_somebody(scene: Scene) -> None:
    """Of people of their own clinic, at once, and not their own: that one is removed with one's password."""
    administrator = await add_person(
        scene.system, "near_admin", scene.system.clinics["near"], Role.CLINIC_ADMINISTRATOR
    )
    who = await add_person(scene.system, "robbed", scene.system.clinics["near"], Role.REQUESTER)
    login, removal = f"robbed-{uuid4().hex[:8]}", f"/accounts/{who.id}/identities/network/remove"
    async with browser(scene.address) as it, browser(scene.address) as desk, browser(scene.address) as api:
        for one, person in ((it, who), (desk, administrator)):
            await one.relais.post("/signin", data={"username": person.account.username, "password": PASSWORD})
        address = onwards(await it.relais.post("/account/sign-on/network", data={"password": PASSWORD}))
        await it.relais.get(await it.sign_in_there(address, login))
        await it.relais.post("/signout")
        assert (await sign_in(it, login)).status_code == 303

        page = shown(await desk.relais.get(f"/people/{who.id}"))
        assert f"Réseau de la santé ({login}@network.invalid)" in page
        for person, status, code in ((scene.administrator, 404, "not_found"), (who, 403, "forbidden")):
            asked = await api.relais.post(f"/api/v1{removal}", headers=dict(person.http.headers))
            problem(asked, status, code)
            seen = await api.relais.get(f"/api/v1/accounts/{who.id}/identities", headers=dict(person.http.headers))
            problem(seen, status, code)
        own = f"/api/v1/accounts/{administrator.id}/identities/network/remove"
        problem(await api.relais.post(own, headers=dict(administrator.http.headers)), 403, "not_for_oneself")
        assert (await it.relais.get("/account")).status_code == 200, "nothing has happened yet"

        done = await desk.relais.post(f"/people/{who.id}/identities/network/remove")
        assert done.headers["location"] == f"/people/{who.id}?done=identity_removed"
        assert "Réseau de la santé" not in shown(await desk.relais.get(f"/people/{who.id}"))
        assert (await it.relais.get("/account")).status_code == 303, "the session that came of it has ended"
        shown(await sign_in(it, login), 403)
        assert "a été retirée" in await scene.letters(f"{login}@network.invalid", 2)
        assert "a été retirée" in await scene.letters(who.account.email, 2)
        again = await api.relais.post(f"/api/v1{removal}", headers=dict(administrator.http.headers))
        assert again.status_code == 200
        events: Any = ok(await administrator.get(f"/accounts/{who.id}/events"))
        assert [one["kind"] for one in events] == ["identity_unlinked", "identity_linked"], "twice is once"


async def test_a_mistyped_clinic_is_told(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    file = written(tmp_path, scene.issuer, scene.system)
    file.write_text(file.read_text().replace("    step_up:", "      mistyped: optional\n    step_up:"))
    async with SignOn(load_providers(file, near=True), near=True) as sign_on:
        assert await unknown_clinics(replace(scene.system.services, sign_on=sign_on)) == {"network": ["mistyped"]}


async def test_where_an_organization_is_required_its_people_come_by_it(scene: Scene) -> None:
    """Who had a password before gets a link by e-mail, and operators keep theirs."""
    who = await add_person(scene.system, "moved", scene.system.clinics["far"], Role.REQUESTER)
    operator = await add_person(scene.system, "far_operator", scene.system.clinics["far"], Role.OPERATOR)
    login = f"moved-{uuid4().hex[:8]}"
    async with browser(scene.address) as it:
        credentials = {"username": who.account.username, "password": PASSWORD}
        assert "par votre organisation" in shown(await it.relais.post("/signin", data=credentials), 403)
        problem(await it.relais.post("/api/v1/tokens", json=credentials), 403, "sign_on_required")
        credentials["username"] = operator.account.username
        ok(await it.relais.post("/api/v1/tokens", json=credentials), 201)
        ok(await scene.administrator.post(f"/accounts/{who.id}/password-help"))
        code = await code_for(scene.system, who.account.email)
        page = await it.relais.get(f"/new-password/{code}")
        assert "Dorénavant par Réseau de la santé" in shown(page)
        assert 'name="password"' not in page.text
        address = onwards(await it.relais.post(f"/new-password/{code}/sign-on/network"))
        linked = await it.relais.get(await it.sign_in_there(address, login))
        assert linked.headers["location"] == "/signin?done=linked"
        shown(await it.relais.get(f"/new-password/{code}"), 404)
        assert (await who.get("/me")).status_code == 401, "what was open before has ended"
        assert (await sign_in(it, login)).headers["location"] == "/account"


async def test_without_the_provider_others_still_sign_in(scene: Scene, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "secret").write_text(SECRET)
    providers: Providers = load_providers(written(tmp_path, nobody, scene.system), near=True)
    async with SignOn(providers, near=True) as sign_on:
        app = create_app(scene.system.settings, replace(scene.system.of_api, sign_on=sign_on))
        transport = httpx.ASGITransport(app)
        async with browser("http://relais.test", transport=transport) as it:
            assert "ne répond pas" in shown(await it.relais.get("/sign-on/network"), 503)
            name = scene.system.requester.account.username
            answer = await it.relais.post("/signin", data={"username": name, "password": PASSWORD})
            assert answer.status_code == 303


async def test_its_pages_have_no_barrier(scene: Scene) -> None:
    who = await add_person(scene.system, "looking", scene.system.clinics["near"], Role.PROVIDER)
    wanted = [invitation(roles=["requester"]), invitation(roles=["requester"])]
    for administrator, one in zip((scene.administrator, scene.system.administrator), wanted, strict=True):
        ok(await administrator.post("/invitations", one), 201)
    required, optional = [await code_for(scene.system, one["email"]) for one in wanted]
    strangers = ("/signin", f"/invitation/{required}", f"/invitation/{optional}", "/sign-on/network/return?state=x")
    found = []
    async with async_playwright() as play, browser(scene.address) as it:
        chromium = await browsers.launch_chromium(play)
        portal = Portal(scene.address, chromium)
        try:
            found += await faults(await portal.look(None), strangers)
            page = await portal.look(who)
            found += await faults(page, ["/account"])
            alone = await signer(scene, it, "looking_alone")
            token = it.relais.cookies["relais"]
            await page.context.add_cookies([{"name": "relais", "value": token, "url": scene.address}])
            back = await alone.confirm(it)
            found += await faults(page, [alone.page, back.headers["location"], "/account"])
        finally:
            await chromium.close()
    assert found == []


async def faults(page: Page, addresses: Sequence[str]) -> list[str]:
    """What is wrong with these pages, on a large screen and on a phone."""
    found = []
    for address, size in itertools.product(addresses, (WIDE, PHONE)):
        await page.set_viewport_size(size)
        await page.emulate_media(color_scheme="light" if size == WIDE else "dark", reduced_motion="reduce")
        await page.goto(address)
        typed = [f"not in the table of typed texts: {form}" for form in not_known(await page.content())]
        found += [f"{address}: {fault}" for fault in (*await barriers(page), *await too_wide(page), *typed)]
    return found


@dataclass
class Signer:
    """A provider of answers who has no password, signed in through the organization, with a report to sign."""

    who: Clinician
    login: str
    page: str

    async def confirm(
        self, it: Browser, login: str | None = None, acr: str = STEPPED_UP, **more: str
    ) -> httpx.Response:
        """Press the button and prove it there, as `login`; gives the answer to the browser that comes back."""
        form = {**hidden(await it.relais.get(self.page)), "kind": "final", "revision": "1", **more}
        address = onwards(await it.relais.post(f"{self.page}/confirm", data=form))
        assert "max_age=60" in address
        assert "essential" in address
        back = await it.sign_in_there(address, self.login if login is None else login, acr)
        return await it.relais.get(back)


async def signer(scene: Scene, it: Browser, name: str) -> Signer:
    """Somebody new, who has accepted a request and written its report, and is signed in."""
    who = await add_person(scene.system, name, scene.system.clinics["near"], Role.PROVIDER)
    login, page = f"{name}-{uuid4().hex[:8]}", await report_of(scene.system, who)
    await has_an_identity_alone(scene.system, who, scene.issuer, login)
    assert (await sign_in(it, login)).status_code == 303
    return Signer(who, login, page)


async def test_who_has_no_password_signs_by_what_the_organization_confirms(scene: Scene) -> None:
    async with browser(scene.address) as it, browser(scene.address) as colleague:
        one, other = await signer(scene, it, "signing"), await signer(scene, colleague, "colleague")
        second = await report_of(scene.system, one.who)
        page = await it.relais.get(one.page)
        assert "Confirmer auprès de mon organisation" in shown(page)
        assert 'name="password"' not in page.text
        form = {**hidden(page), "kind": "final", "revision": "1"}
        assert "Confirmez auprès" in shown(await it.relais.post(one.page, data=form), 403), "not without a confirmation"

        by_another = await one.confirm(it, other.login)
        shown(by_another, 401)  # the provider has ended the session of who was signed in there, and so it ended here
        it.provider.cookies.clear()  # the colleague leaves
        assert (await sign_in(it, one.login)).status_code == 303
        back = await one.confirm(it)
        assert back.headers["location"].startswith(f"{one.page}?confirmed=")
        confirmed = await it.relais.get(back.headers["location"])
        assert "a confirmé que c’est bien vous" in shown(confirmed)
        form = {**hidden(confirmed), "kind": "final", "revision": "1"}

        on_another = {**hidden(await it.relais.get(second)), "key": form["key"]}
        shown(await it.relais.post(second, data={**form, **on_another}), 403)
        by_the_colleague = await colleague.relais.post(one.page, data=form)
        assert by_the_colleague.status_code == 401, "the form is another's"
        shown(await it.relais.post(one.page, data={**form, "kind": "preliminary"}), 403)
        back = await one.confirm(it)
        confirmed = await it.relais.get(back.headers["location"])
        form = {**hidden(confirmed), "kind": "final", "revision": "1"}
        await run_out(scene.system, one.who)
        assert "trois minutes" in shown(await it.relais.post(one.page, data=form), 403)
        back = await one.confirm(it)
        form = {**hidden(await it.relais.get(back.headers["location"])), "kind": "final", "revision": "1"}
        assert (await it.relais.post(one.page, data=form)).status_code == 303

        view = await one.who.view(request_of(one.page))
        async with scene.system.services.database.session() as session:
            kept = await session.get(FrozenReport, UUID(view["documents"][0]["report_id"]))
        assert kept is not None
        assert kept.proof_evidence is not None
        said = {name: kept.proof_evidence[name] for name in ("issuer", "subject", "acr")}
        assert kept.proof_method == "provider"
        assert said == {"issuer": scene.issuer, "subject": one.login, "acr": STEPPED_UP}

        addendum = f"/requests/{request_of(one.page)}/addendum"
        one.page = addendum
        back = await one.confirm(it, text="La culture est négative.")
        confirmed = await it.relais.get(back.headers["location"])
        assert "La culture est négative." in shown(confirmed), "what was written is there again"
        form = {**hidden(confirmed), "text": "La culture est positive."}
        shown(await it.relais.post(addendum, data=form), 403)
        back = await one.confirm(it, text="La culture est négative.")
        form = {**hidden(await it.relais.get(back.headers["location"])), "text": "La culture est négative."}
        assert (await it.relais.post(addendum, data=form)).status_code == 303


async def test_who_has_no_password_opens_in_an_emergency_what_the_organization_confirmed(scene: Scene) -> None:
    """That number, for that reason, once."""
    system = scene.system
    number, other = [(await system.requester.view(await submitted(system)))["number"] for _ in range(2)]
    await turned(system, "near", on=True)
    async with browser(scene.address) as it:
        who = await add_person(system, "emergency", scene.system.clinics["near"], Role.PROVIDER)
        login, said = f"emergency-{uuid4().hex[:8]}", {"number": number, "reason": "Inconsciente à l’urgence."}
        await has_an_identity_alone(system, who, scene.issuer, login)
        assert (await sign_in(it, login)).status_code == 303

        async def confirmed(**more: str) -> dict[str, str]:
            """The form with which the browser comes back."""
            form = {**key_in(await it.relais.get("/emergency")), **said, **more}
            address = onwards(await it.relais.post("/emergency/confirm", data=form))
            back = await it.relais.get(await it.sign_in_there(address, login, STEPPED_UP))
            assert back.headers["location"].startswith("/emergency?confirmed=")
            page = await it.relais.get(back.headers["location"])
            assert "a confirmé que c’est bien vous" in shown(page)
            assert f'value="{number}"' in page.text, "what was written is there again"
            return {**key_in(page), **said}

        page = await it.relais.get("/emergency")
        assert 'name="password"' not in page.text
        not_confirmed = {**key_in(page), **said}
        shown(await it.relais.post("/emergency", data=not_confirmed), 403)
        form = await confirmed()
        shown(await it.relais.post("/emergency", data={**form, "number": other}), 403)
        shown(await it.relais.post("/emergency", data={**form, "reason": "Autre."}), 403)
        shown(await it.relais.post("/emergency", data={**form, "key": not_confirmed["key"]}), 403)
        for _ in range(2):
            answer = await it.relais.post("/emergency", data=form)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (
                303,
                f"/requests/{await only(who)}",
            )
        [opening] = ok_list(await who.get("/emergency-openings"))
        ok(await who.post(f"/emergency-openings/{opening['id']}/end"))
        answer = await it.relais.post("/emergency", data=form)
        assert answer.headers["location"].startswith("/emergency?"), "it opens nothing anew"
        [opening] = ok_list(await who.get("/emergency-openings"))
        assert opening["state"] == "ended"
        form = await confirmed()
        await run_out(system, who)
        shown(await it.relais.post("/emergency", data=form), 403)
    await turned(system, "near", on=False)


def key_in(page: httpx.Response) -> dict[str, str]:
    """The hidden field of the form, whose request has no version yet."""
    found = re.search(r'action="/emergency">\s*<input type="hidden" name="key" value="([^"]+)"', page.text)
    assert found, page.text
    return {"key": found[1]}


async def only(who: Clinician) -> str:
    """The one request that they have opened."""
    [opening] = ok_list(await who.get("/emergency-openings"))
    return str(opening["request_id"])


def request_of(page: str) -> str:
    """The id in the address."""
    return page.split("/")[2]


async def run_out(system: System, who: Clinician) -> None:
    """Four minutes later, for all that was confirmed."""
    async with system.services.database.session() as session:
        mine = select(Token.sha256).where(Token.account_id == who.account.id)
        late = update(SigningTicket).where(SigningTicket.token_sha256.in_(mine))
        await session.execute(late.values(expires_at=SigningTicket.expires_at - timedelta(minutes=4)))
