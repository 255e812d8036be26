"""What launches get that are forged, mixed up or broken: a page that says so, and nothing saved. And what a right one gets."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from sqlalchemy import func, select, update

from domain.audit import Act
from domain.requests import Role
from records import sign_on as linked
from records.hidden import hidden as sha256
from records.models import AuditEntry, Clinic, LinkedIdentity, RequestRecord, SignOnAttempt, Token
from server import create_app
from sign_on.providers import Providers
from sign_on.sign_on import SignOn
from tests.journeys import ok
from tests.portal.browsing import hidden, shown, visitor
from tests.sign_on.evil import STRANGE, signed
from tests.sign_on.evil import as_known_here as provider_known_here
from tests.sign_on.evil_records import JEANNE, EvilRecords, as_known_here, evil_records, portal_beside
from tests.sign_on.test_evil_providers import asked_in, by_secret, unsigned
from tests.system import PASSWORD, Clinician, System, add_person


@dataclass
class Scene:
    """A portal that a record system opens, and somebody who is linked with it."""

    app: FastAPI
    system: System
    records: EvilRecords
    who: Clinician

    async def begin(self, http: httpx.AsyncClient, **said: str) -> dict[str, str]:
        """Press the button in the record system; what it is asked then."""
        there = {"iss": self.records.fhir, "launch": "xyz-123", **said}
        answer = await http.get("/launch", params=there, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 303, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def back(self, asked: dict[str, str], **more: str) -> str:
        """The address at which the browser comes back."""
        said = {
            "state": asked["state"],
            "code": self.records.code_for(asked["nonce"]),
            "iss": self.records.issuer,
            **more,
        }
        return str(httpx.URL("/launch/records/return", params={name: value for name, value in said.items() if value}))

    async def come_back(self, http: httpx.AsyncClient) -> str:
        """A whole launch; gives the page to which it leads."""
        answer = await http.get(self.back(await self.begin(http)), headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def saved(self) -> tuple[int, ...]:
        """How much there is of what a launch could leave."""
        async with self.system.services.database.session() as session:
            tables = (RequestRecord.id, Token.id, LinkedIdentity.subject, SignOnAttempt.sha256)
            return tuple([await session.scalar(select(func.count(column))) or 0 for column in tables])


@pytest.fixture(scope="module")
async def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("records") / "secret"
    file.write_text("a secret\n")
    return file


@pytest.fixture
async def scene(system: System, secret: Path) -> AsyncIterator[Scene]:
    near = system.clinics["near"]
    who = await add_person(system, "launching", near, Role.REQUESTER)
    async with evil_records(subject=f"subject of {who.id}") as records, AsyncExitStack() as stack:
        async with system.services.database.session() as session:
            await linked.link(session, who.account.id, records.issuer, records.subject, None, datetime.now(UTC))
        app = await stack.enter_async_context(portal_beside(system, as_known_here(records, secret, near.code)))
        yield Scene(app, system, records, who)


async def html(_request: Request) -> Response:
    return HTMLResponse("<html><body>Sign in again</body></html>")


async def huge(_request: Request) -> Response:
    return JSONResponse({**JEANNE, "photo": [{"data": "A" * 5_000_000}]})


async def never(_request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


async def inside(_request: Request) -> Response:
    return RedirectResponse("http://169.254.169.254/latest/meta-data", 302)


def status(code: int) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return JSONResponse({"resourceType": "OperationOutcome"}, code)

    return answer


REFUSED: dict[str, dict[str, Any]] = {
    "an ID token of another issuer": {"answers": lambda claims: signed({**claims, "iss": "https://two.test"})},
    "an ID token for another launch": {"answers": lambda claims: signed({**claims, "nonce": "another"})},
    "an ID token for somebody else": {"answers": lambda claims: signed({**claims, "aud": "another"})},
    "an ID token that nobody signed": {"answers": lambda claims: unsigned(claims)},
    "an ID token signed with our secret": {"answers": lambda claims: by_secret(claims, b"a secret")},
    "an ID token signed by somebody else": {"answers": lambda claims: signed(claims, STRANGE)},
    "an ID token of long ago": {"answers": lambda claims: signed({**claims, "exp": claims["iat"] - 120})},
    "a patient that is no id": {"given": {"patient": "../Observation?patient=1"}},
    "a patient that is no text": {"given": {"patient": ["p-1"]}},
    "no access token": {"given": {"access_token": None}},
    "an access token with a line break": {"given": {"access_token": "a\r\nHost: b"}},
    "an access token of another kind": {"given": {"token_type": "mac"}},
    "the Patient of another id": {"patient": {**JEANNE, "id": "p-2"}},
    "no Patient at all": {"patient": {**JEANNE, "resourceType": "Person"}},
    "a FHIR server that lets nobody in": {"patient": status(401)},
    "a FHIR server that has no such patient": {"patient": status(404)},
}

AWAY: dict[str, dict[str, Any]] = {
    "a FHIR server that fails": {"patient": status(500)},
    "a FHIR server that says nothing of JSON": {"patient": html},
    "a FHIR server that says too much": {"patient": huge},
    "a FHIR server that never answers": {"patient": never},
    "a FHIR server that leads inside": {"patient": inside},
}


@pytest.mark.parametrize("forged", [*REFUSED, *AWAY])
async def test_a_launch_that_is_not_right_leaves_nothing(scene: Scene, forged: str) -> None:
    for name, value in {**REFUSED, **AWAY}[forged].items():
        setattr(scene.records, name, {**scene.records.given, **value} if name == "given" else value)
    async with visitor(scene.app) as http:
        asked = await scene.begin(http)
        before = await scene.saved()
        answer = await http.get(scene.back(asked))
        text = shown(answer, 401 if forged in REFUSED else 503)
        assert ("ne peut être accepté" if forged in REFUSED else "ne répond pas") in text
        assert "ce numéro" in text
        assert "relais=" not in str(answer.headers.get("set-cookie"))
    *rest, attempts = await scene.saved()
    assert (rest, attempts) == ([*before[:-1]], before[-1] - 1), (
        "what was begun is answered, and nothing else has changed"
    )


async def test_no_patient_open_is_said(scene: Scene) -> None:
    del scene.records.given["patient"]
    async with visitor(scene.app) as http:
        assert "quel patient est ouvert" in shown(await http.get(scene.back(await scene.begin(http))), 409)


async def test_an_answer_that_was_not_asked_for_is_not_taken(scene: Scene) -> None:
    async with visitor(scene.app) as http, visitor(scene.app) as other:
        asked = await scene.begin(http)
        theirs = await scene.begin(other)
        before = await scene.saved()
        for wrong in ({**asked, "state": "made up"}, {**asked, "state": theirs["state"]}):
            shown(await http.get(scene.back(wrong)), 401)
        assert await scene.saved() == before
        injected = await http.get(scene.back({**theirs, "state": asked["state"]}))
        assert "ne peut être accepté" in shown(injected, 401), "the code of another browser has another nonce"
        for said in ("https://two.test", ""):
            again = await scene.begin(http)
            assert "ne peut être accepté" in shown(await http.get(scene.back(again, iss=said)), 401)
        again = await scene.begin(http)
        assert "ne vous a pas laissé entrer" in shown(
            await http.get(scene.back(again, code="", error="access_denied")), 401
        )
        right = scene.back(await scene.begin(http))
        assert (await http.get(right)).status_code == 303
        assert "Recommencez" in shown(await http.get(right), 401), "once"


@pytest.mark.parametrize(
    "iss", ["https://unknown.test/fhir", "", "{fhir}/more", "{fhir}?a", "http://169.254.169.254", "x" * 10_000, "\0"]
)
async def test_who_is_not_known_is_not_called(scene: Scene, iss: str) -> None:
    before = await scene.saved()
    async with visitor(scene.app) as http:
        there = {"iss": iss.format(fhir=scene.records.fhir), "launch": "xyz"}
        assert "ne connaît pas" in shown(await http.get("/launch", params=there), 404)
        assert "n’a pas dit" in shown(await http.get("/launch", params={"iss": scene.records.fhir}), 422)
        shown(await http.get("/launch", params={"iss": scene.records.fhir, "launch": "a\nb"}), 422)
        assert (await http.get("/launch/nobody/return?state=x")).status_code == 404
    assert (scene.records.asked, await scene.saved()) == ([], before)


@pytest.mark.parametrize(
    "smart",
    [
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": None},
        {"issuer": "https://two.test"},
        {"authorization_endpoint": "http://elsewhere.test/auth"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_record_system_that_says_wrong_things_of_itself_is_not_gone_to(
    scene: Scene, smart: dict[str, Any]
) -> None:
    scene.records.smart = smart
    async with visitor(scene.app) as http:
        answer = await http.get("/launch", params={"iss": scene.records.fhir, "launch": "x"})
        assert "ne répond pas" in shown(answer, 503)


@pytest.mark.parametrize(
    "endpoint", ["https://169.254.169.254/token", "https://10.0.0.1/token", "https://[::1]:1/token"]
)
async def test_no_code_and_no_secret_goes_to_an_address_inside(scene: Scene, endpoint: str) -> None:
    scene.records.smart = {"token_endpoint": endpoint}
    async with visitor(scene.app) as http:
        assert "ne répond pas" in shown(await http.get(scene.back(await scene.begin(http))), 503)


async def test_a_right_launch_begins_a_session_by_a_press_and_shows_the_patient(scene: Scene) -> None:
    draft: Any = ok(await scene.who.post("/requests", {"offering": "teledermatology"}), 201)
    async with visitor(scene.app) as http, visitor(scene.app) as thief:
        asked = await scene.begin(http)
        assert {name: asked[name] for name in ("aud", "launch", "scope", "code_challenge_method")} == {
            "aud": scene.records.fhir,
            "launch": "xyz-123",
            "scope": "openid fhirUser launch patient/Patient.rs",
            "code_challenge_method": "S256",
        }
        back = await http.get(scene.back(asked))
        page = back.headers["location"]
        assert "relais=" not in str(back.headers.get("set-cookie"))
        assert scene.records.asked[-1] == "Patient/p-1 Bearer a-token"
        pressed = await http.get(page)
        assert "Continuer en tant que Dre Anne Launching" in shown(pressed)
        assert "Tremblay" not in pressed.text, "nobody is shown before who looks is known"
        assert "terminé" in shown(await thief.get(page), 410), "the address alone opens nothing"
        shown(await thief.post(f"{page}/begin"), 410)
        elsewhere = await http.post(f"{page}/begin", headers={"Sec-Fetch-Site": "cross-site"})
        assert elsewhere.status_code == 403, "no page of others presses"

        begun = await http.post(f"{page}/begin")
        assert (begun.status_code, begun.headers["location"]) == (303, f"{page}/patient")
        patient = await http.get(f"{page}/patient")
        text = shown(patient)
        for said in ("Jeanne Marie Tremblay", "TREJ 5853 1512", "CH-4711", "DME du Fleuve", "aucune demande"):
            assert said in text, said
        assert "Gagnon" not in text
        assert "OLD-1" not in text
        before = await scene.saved()
        form = {**hidden_key(patient), "offering": "teledermatology"}
        onwards = await http.post(f"{page}/patient", data=form)
        edit = await http.get(onwards.headers["location"])
        shown(edit)
        for name, value in (("given_name", "Jeanne Marie"), ("chart_number", "CH-4711"), ("birth_date", "1958-03-15")):
            assert re.search(rf'name="patient.{name}"[^>]* value="{value}"', edit.text), name
        assert 'name="patient.sex" value="female" checked' in edit.text
        assert await scene.saved() == before, "what was only looked at leaves nothing behind"

        typed = {**hidden(edit), **fields_of(edit), "patient.family_name": "Tremblay-Roy", "do": "save"}
        saved = await http.post(onwards.headers["location"], data=typed)
        assert saved.status_code == 303, saved.text
        request_id = onwards.headers["location"].split("/")[2]
        view: Any = ok(await scene.who.get(f"/requests/{request_id}"))
        known = {name: view["patient"][name] for name in ("family_name", "chart_number", "health_insurance_number")}
        assert known == {
            "family_name": "Tremblay-Roy",
            "chart_number": "CH-4711",
            "health_insurance_number": "TREJ 5853 1512",
        }
        again = shown(await http.get(f"{page}/patient"))
        assert view["number"] in again, "the draft is the patient's now"
        assert draft["number"] not in again
    async with scene.system.services.database.session() as session:
        mine = AuditEntry.account_id == scene.who.account.id
        names = select(AuditEntry.kind, AuditEntry.name).where(mine, AuditEntry.name.like("launch %"))
        assert set(await session.execute(names)) == {(Act.SIGN_IN, "launch records"), (Act.LIST, "launch records")}
        token = await session.scalar(select(Token).where(Token.idp_subject == scene.records.subject))
        assert token is not None
        assert token.sealed_id_token is None, "no token of the record system is kept"
        texts = str([row.said for row in await session.scalars(select(SignOnAttempt).where(SignOnAttempt.nonce == ""))])
        assert "a-token" not in texts
        assert "eyJ" not in texts


def hidden_key(page: httpx.Response) -> dict[str, str]:
    """The key of its form."""
    [key] = re.findall(r'name="key" value="([^"]*)"', page.text)
    return {"key": key}


def fields_of(page: httpx.Response) -> dict[str, str]:
    """What stands in the fields of the patient, and which offering it is."""
    lines = re.findall(r'<input[^>]*name="(patient\.[a-z_]+|offering|offering_version)"[^>]*value="([^"]*)"', page.text)
    chosen = re.findall(r'name="(patient\.sex|priority)" value="([^"]+)" checked', page.text)
    found = {
        name: unescape(value) for name, value in lines if name not in ("patient.sex", "patient.birth_date_unknown")
    }
    return {**found, **dict(chosen)}


async def test_who_is_signed_in_as_that_goes_on_without_a_press(scene: Scene) -> None:
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        assert (await http.get(page)).headers["location"] == f"{page}/patient"
        shown(await http.get(f"{page}/patient"))


async def test_requests_about_the_patient_are_those_that_one_may_see(scene: Scene) -> None:
    patient = {"given_name": "Jeanne", "family_name": "T.", "health_insurance_number": "TREJ58531512"}
    mine: Any = ok(await scene.who.post("/requests", {"offering": "teledermatology", "patient": patient}), 201)
    other = await add_person(scene.system, "elsewhere", scene.system.clinics["far"], Role.REQUESTER)
    hers: Any = ok(await other.post("/requests", {"offering": "teledermatology", "patient": patient}), 201)
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        await http.get(page)
        text = shown(await http.get(f"{page}/patient"))
        assert mine["number"] in text
        assert hers["number"] not in text


async def test_somebody_elses_session_is_named_and_ends_by_the_press_alone(scene: Scene) -> None:
    other = await add_person(scene.system, "colleague", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app, other) as http:
        page = await scene.come_back(http)
        text = shown(await http.get(page))
        assert "Dre Anne Colleague" in text
        assert "Continuer en tant que Dre Anne Launching" in text
        assert "terminé" in shown(await http.get(f"{page}/patient"), 410), "not for who is signed in"
        assert "Dre Anne Colleague" in shown(await http.get("/account"))
        assert (await http.post(f"{page}/begin")).status_code == 303
        assert "Dre Anne Launching" in shown(await http.get("/account"))
        await http.post("/signout")
        await http.post("/signin", data={"username": other.account.username, "password": PASSWORD})
        for address in (page, f"{page}/patient"):
            assert "terminé" in shown(await http.get(address), 410), "what was opened for one is no other's"
        assert 'value="CH-4711"' not in (await edit_with(http, page)).text


async def edit_with(http: httpx.AsyncClient, page: str) -> httpx.Response:
    """The form of a new request with that launch."""
    key = page.rsplit("/", 1)[-1]
    new = "00000000-0000-7000-8000-0000000000aa"
    return await http.get(f"/requests/{new}/edit", params={"offering": "teledermatology", "launch": key})


async def test_who_is_not_linked_signs_in_as_usual_and_says_that_it_is_they(scene: Scene) -> None:
    scene.records.subject = f"another than {scene.who.id}"
    who = await add_person(scene.system, "unlinked", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app) as http, visitor(scene.app) as later:
        page = await scene.come_back(http)
        strange = await http.get(page)
        assert "Connectez-vous" in shown(strange)
        assert f'href="/signin?next={page}"' in strange.text
        shown(await http.post(f"{page}/begin"), 403)
        signed_in = {"username": who.account.username, "password": PASSWORD, "next": page}
        assert (await http.post("/signin", data=signed_in)).headers["location"] == page
        assert "Est-ce vous" in shown(await http.get(page))
        shown(await http.get(f"{page}/patient"), 410)
        wrong = await http.post(f"{page}/go-on", data={"do": "link", "password": "x"})
        assert "pas votre mot de passe" in shown(wrong, 403)
        link = {"do": "link", "password": PASSWORD}
        asked = asked_in(await http.post(f"{page}/go-on", data=link))
        assert (asked["prompt"], asked["max_age"], asked["scope"]) == ("login", "0", "openid fhirUser")
        right, scene.records.subject = scene.records.subject, "a colleague"
        assert "quelqu’un d’autre" in shown(await http.get(scene.back(asked)), 403), "who has opened it signs in anew"
        scene.records.subject = right
        asked = asked_in(await http.post(f"{page}/go-on", data=link))
        async with visitor(scene.app, scene.who) as colleague:
            shown(await colleague.get(scene.back(asked)), 401)
        done = await http.get(scene.back(asked))
        assert (done.status_code, done.headers["location"]) == (303, page)
        assert (await http.get(page)).headers["location"] == f"{page}/patient"
        shown(await http.get(f"{page}/patient"))
        assert "DME du Fleuve" in shown(await http.get("/account"))

        page = await scene.come_back(later)
        assert "Continuer en tant que Dre Anne Unlinked" in shown(await later.get(page))
        assert (await later.post(f"{page}/begin")).status_code == 303
        removed = await http.post("/account/sign-on/records/unlink", data={"password": PASSWORD})
        assert removed.headers["location"] == "/account?done=unlinked"
        assert (await later.get("/account")).status_code == 303, "the session that came of it has ended"


async def test_who_is_not_linked_may_go_on_this_time_only(scene: Scene) -> None:
    scene.records.subject = f"a third than {scene.who.id}"
    who = await add_person(scene.system, "once", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app, who) as http:
        page = await scene.come_back(http)
        before = await scene.saved()
        assert (await http.post(f"{page}/go-on", data={"do": "go_on"})).status_code == 303
        assert await scene.saved() == before
        shown(await http.get(f"{page}/patient"))
        page = await scene.come_back(http)
        assert "Est-ce vous" in shown(await http.get(page)), "it asks each time"


async def test_who_is_known_there_as_somebody_else_does_not_go_on(scene: Scene) -> None:
    scene.records.subject = f"a stranger to {scene.who.id}"
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        for answer in (await http.get(page), await http.post(f"{page}/go-on", data={"do": "go_on"})):
            assert "quelqu’un d’autre" in shown(answer, 403)


async def test_it_opens_for_the_clinics_that_are_named_alone(scene: Scene) -> None:
    scene.records.subject = f"from far, not {scene.who.id}"
    far = await add_person(scene.system, "far_launch", scene.system.clinics["far"], Role.REQUESTER)
    async with visitor(scene.app, far) as http:
        page = await scene.come_back(http)
        assert "pour votre clinique" in shown(await http.get(page), 403)
        shown(await http.post(f"{page}/go-on", data={"do": "link", "password": PASSWORD}), 403)
    async with scene.system.services.database.session() as session:
        await linked.link(session, far.account.id, scene.records.issuer, scene.records.subject, None, datetime.now(UTC))
    async with visitor(scene.app) as http:
        page = await scene.come_back(http)
        shown(await http.get(page), 403)
        shown(await http.post(f"{page}/begin"), 403)


async def test_who_is_locked_does_not_come_in(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        page = await scene.come_back(http)
        shown(await http.get(page))
        ok(await scene.system.administrator.post(f"/accounts/{scene.who.id}/lock"))
        for answer in (await http.get(page), await http.post(f"{page}/begin")):
            shown(answer, 403)


async def test_what_is_over_is_said_and_a_form_that_was_begun_is_still_saved(scene: Scene) -> None:
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        await http.get(page)
        edit = await edit_with(http, page)
        async with scene.system.services.database.session() as session:
            await session.execute(update(SignOnAttempt).values(expires_at=datetime.now(UTC)))
        for address in (page, f"{page}/patient"):
            assert "terminé" in shown(await http.get(address), 410)
        again = await edit_with(http, page)
        assert "terminé" in shown(again, 410), "not as an empty form"
        typed = {**hidden(edit), **fields_of(edit), "do": "save"}
        assert (await http.post(str(edit.request.url), data=typed)).status_code == 303
        text = shown(await edit_with(http, page))
        assert "Enregistrer" in text
        assert 'value="CH-4711"' in (await edit_with(http, page)).text, "every word stood in the form"


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing but an id": ({}, "Sans nom"),
    "a name of one text": ({"name": [{"text": "Ada Lovelace"}]}, "Ada Lovelace"),
    "who has died": ({"name": [{"family": "Roy"}], "deceasedDateTime": "2026-11-01"}, "est décédé"),
    "a birth date that is none": ({"name": [{"family": "Roy"}], "birthDate": "1799-02-30"}, "1799-02-30"),
    "a birth date that is no text": ({"name": [{"family": "Roy"}], "birthDate": {"a": [1]}}, "Roy"),
    "a year alone": ({"birthDate": "1958"}, "1958"),
    "HTML for a name": ({"name": [{"family": "<script>x</script>"}]}, "<script>x</script>"),
    "characters that nobody sees": ({"name": [{"family": "Ro\u0000y\u202e", "given": [None, 7, "Al"]}]}, "Al Roy"),
    "everything of another type": (
        {"name": {"family": 1}, "identifier": "x", "gender": 5, "deceasedBoolean": "yes"},
        "Sans nom",
    ),
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_patient_is_shown_as_far_as_it_goes(scene: Scene, odd: str) -> None:
    says, expected = ODD[odd]
    scene.records.patient = {"resourceType": "Patient", "id": "p-1", **says}
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        await http.get(page)
        answer = await http.get(f"{page}/patient")
        assert "<script>x" not in answer.text
        assert expected in unescape(shown(answer)) or expected in unescape(answer.text)


async def test_a_launch_begins_one_session(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        page = await scene.come_back(http)
        kept = http.cookies["relais-sign-on"]
        assert (await http.post(f"{page}/begin")).status_code == 303
        assert "relais-sign-on" not in http.cookies, "who comes after is another browser to us"
        assert (await http.post(f"{page}/begin")).headers["location"] == f"{page}/patient", "pressed twice"
        await http.post("/signout")
        before = await scene.saved()
        for cookie in ("", kept):
            if cookie:
                http.cookies.set("relais-sign-on", cookie)
            for _ in range(2):
                answer = await http.post(f"{page}/begin")
                assert "terminé" in shown(answer, 410)
                assert "relais=" not in str(answer.headers.get("set-cookie"))
        assert await scene.saved() == before
    async with visitor(scene.app) as one, visitor(scene.app) as other:
        page = await scene.come_back(one)
        other.cookies.update(one.cookies)
        answers = await asyncio.gather(one.post(f"{page}/begin"), other.post(f"{page}/begin"))
        assert sorted(answer.status_code for answer in answers) == [303, 410]


async def test_who_signs_out_leaves_no_launch_to_who_comes_after(scene: Scene) -> None:
    colleague = await add_person(scene.system, "colleague_out", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app, colleague) as http:
        page = await scene.come_back(http)
        shown(await http.get(page))
        await http.post("/signout")
        assert "relais-sign-on" not in http.cookies
        shown(await http.post(f"{page}/begin"), 410)


async def test_a_launch_that_nobody_presses_is_over_soon(scene: Scene) -> None:
    async with visitor(scene.app) as http:
        page = await scene.come_back(http)
        place = select(SignOnAttempt.expires_at).where(SignOnAttempt.purpose == "launched")
        place = place.order_by(SignOnAttempt.expires_at.desc()).limit(1)
        async with scene.system.services.database.session() as session:
            until = await session.scalar(place.where(SignOnAttempt.account_id.is_(None)))
        assert until is not None
        assert until <= datetime.now(UTC) + timedelta(minutes=10)
        assert (await http.post(f"{page}/begin")).status_code == 303
        async with scene.system.services.database.session() as session:
            until = await session.scalar(place.where(SignOnAttempt.account_id == scene.who.account.id))
        assert until is not None
        assert until > datetime.now(UTC) + timedelta(hours=scene.system.settings.token_hours - 1)


@pytest.mark.parametrize("auth_time", [None, -120, "yesterday"])
async def test_who_did_not_sign_in_there_anew_is_not_linked(scene: Scene, auth_time: object) -> None:
    """A chart stands open in a colleague's session: their name would become the caller's own, for ever."""
    scene.records.subject = f"not anew {scene.who.id}"

    def answered(claims: dict[str, Any]) -> str:
        at = claims["iat"] + auth_time if isinstance(auth_time, int) else auth_time
        return signed({name: value for name, value in {**claims, "auth_time": at}.items() if value is not None})

    who = await add_person(scene.system, "not_anew", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app, who) as http:
        page = await scene.come_back(http)
        asked = asked_in(await http.post(f"{page}/go-on", data={"do": "link", "password": PASSWORD}))
        scene.records.answers = answered
        before = await scene.saved()
        assert "ne peut être accepté" in shown(await http.get(scene.back(asked)), 401)
        assert (await scene.saved())[2] == before[2]
        assert "Est-ce vous" in shown(await http.get(page))


async def portal_with(stack: AsyncExitStack, scene: Scene, secret: Path, **more: Any) -> FastAPI:
    """A portal that the record system opens, and where the clinic `near` signs in through a provider only."""
    near = scene.system.clinics["near"].code
    network = provider_known_here("network", "https://network.test", secret, {near: "required"})
    known = as_known_here(scene.records, secret, near, **more)
    sign_on = await stack.enter_async_context(SignOn(Providers([network], [known]), near=True))
    return create_app(scene.system.settings, replace(scene.system.of_api, sign_on=sign_on))


async def test_a_password_that_counts_no_more_links_nobody(scene: Scene, secret: Path) -> None:
    scene.records.subject = f"by a dead password {scene.who.id}"
    who = await add_person(scene.system, "dead_password", scene.system.clinics["near"], Role.REQUESTER)
    link = {"do": "link", "password": PASSWORD}
    async with AsyncExitStack() as stack, visitor(scene.app, who) as http:
        page = await scene.come_back(http)
        asked = asked_in(await http.post(f"{page}/go-on", data=link))
        app = await portal_with(stack, scene, secret, in_place_of_providers=True)
        async with visitor(app) as later:
            later.cookies.update(http.cookies)
            before = await scene.saved()
            assert "par votre organisation" in shown(await later.post(f"{page}/go-on", data=link), 403)
            assert "par votre organisation" in shown(await later.get(scene.back(asked)), 403), (
                "nor who had begun before"
            )
            assert (await scene.saved())[2] == before[2]


async def test_where_a_provider_is_required_a_launch_begins_no_session_unless_that_is_said(
    scene: Scene, secret: Path
) -> None:
    async with AsyncExitStack() as stack:
        for said in (False, True):
            app = await portal_with(stack, scene, secret, in_place_of_providers=said)
            async with visitor(app) as http:
                page = await scene.come_back(http)
                assert ("se connecter là-bas ne suffit pas" in shown(await http.get(page))) is not said
                before = await scene.saved()
                begun = await http.post(f"{page}/begin")
                expected = f"{page}/patient" if said else "/signin"
                assert (begun.status_code, begun.headers["location"]) == (303, expected)
                assert ((await scene.saved()) == before) is not said


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.CLINIC_ADMINISTRATOR, Role.PROVIDER])
async def test_who_keeps_accounts_or_signs_with_a_factor_signs_in_as_usual(scene: Scene, role: Role) -> None:
    clinic = scene.system.clinics["near"]
    scene.records.subject = f"{role} {scene.who.id}"
    who = await add_person(scene.system, f"as_{role}", clinic, Role.REQUESTER, role)
    async with scene.system.services.database.session() as session:
        await linked.link(session, who.account.id, scene.records.issuer, scene.records.subject, None, datetime.now(UTC))
        await session.execute(
            update(Clinic).where(Clinic.id == clinic.id).values(signing_needs_code=role is Role.PROVIDER)
        )
    try:
        async with visitor(scene.app) as http:
            page = await scene.come_back(http)
            text = shown(await http.get(page))
            assert "se connecter là-bas ne suffit pas" in text
            assert "Continuer en tant que" not in text
            before = await scene.saved()
            assert (await http.post(f"{page}/begin")).headers["location"] == "/signin"
            assert await scene.saved() == before
            signed_in = {"username": who.account.username, "password": PASSWORD, "next": page}
            assert (await http.post("/signin", data=signed_in)).headers["location"] == page
            assert (await http.get(page)).headers["location"] == f"{page}/patient", "then it goes on"
            scene.records.subject = f"another {scene.records.subject}"
        async with visitor(scene.app, who) as http:
            page = await scene.come_back(http)
            shown(await http.get(page), 403)
    finally:
        async with scene.system.services.database.session() as session:
            await session.execute(update(Clinic).where(Clinic.id == clinic.id).values(signing_needs_code=False))


async def test_who_may_not_come_in_by_a_launch_does_not_link(scene: Scene) -> None:
    scene.records.subject = f"administering {scene.who.id}"
    near = scene.system.clinics["near"]
    who = await add_person(scene.system, "administering", near, Role.REQUESTER, Role.CLINIC_ADMINISTRATOR)
    async with visitor(scene.app, who) as http:
        page = await scene.come_back(http)
        asks = shown(await http.get(page))
        assert "Est-ce vous" in asks
        assert "C’est moi : lier" not in asks
        shown(await http.post(f"{page}/go-on", data={"do": "link", "password": PASSWORD}), 403)
        assert (await http.post(f"{page}/go-on", data={"do": "go_on"})).status_code == 303


def addresses_in(page: httpx.Response) -> list[str]:
    """Where its forms go that make the draft: the form itself, its files, and the link for a telephone."""
    found = [unescape(one) for one in re.findall(r'action="(/requests/[^"]+\?[^"]+)"', page.text)]
    return sorted({one for one in found if re.search(r"/(edit|attachments|phone-link)\?", one)})


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "forgotten"])
async def test_a_form_in_another_tab_becomes_nobody_elses_draft(scene: Scene, is_kept: bool) -> None:
    other = await add_person(scene.system, f"other_tab_{is_kept}", scene.system.clinics["near"], Role.REQUESTER)
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        await http.get(page)
        begun = await http.post(f"{page}/patient", data={"offering": "teledermatology"})
        edit = await http.get(begun.headers["location"])
        form = {**hidden(edit), **fields_of(edit), "answers.question": "Mine alone?", "do": "save"}
        addresses = addresses_in(edit)
        assert len(addresses) == 3
        await http.post("/signin", data={"username": other.account.username, "password": PASSWORD})
        if not is_kept:
            async with scene.system.services.database.session() as session:
                await session.execute(update(SignOnAttempt).values(expires_at=datetime.now(UTC)))
        before = await scene.saved()
        file = {"file": ("a.jpg", b"not read", "image/jpeg")}
        by_script = {"X-Requested-With": "fetch"}
        keyless = {name: text for name, text in form.items() if name != "key"}
        for address in addresses:
            sent = {"files": file, "data": {"slot": "overview"}} if "/attachments" in address else {"data": keyless}
            for headers in ({}, by_script):
                answer = await http.post(address, headers=headers, **sent)
                assert (answer.status_code, answer.headers["location"][:7]) == (303, "/signin"), address
            if is_kept:
                bare = re.sub(r"&of=[0-9a-f]+", "", address)
                shown(await http.post(bare, **sent), 410)
        kept = await http.post(next(one for one in addresses if "/edit?" in one), data=form)
        assert kept.status_code == 401
        [unsent] = re.findall(r'name="unsent" value="([^"]+)"', kept.text)
        assert await scene.saved() == before
        again = {"username": scene.who.account.username, "password": PASSWORD, "unsent": unsent}
        onwards = await http.post("/signin", data=again)
        assert onwards.status_code == 307
        assert "Mine alone?" in shown(await http.post(onwards.headers["location"], data=again), 409)


async def test_a_file_makes_no_draft_without_the_patient_whose_launch_is_over(scene: Scene) -> None:
    async with visitor(scene.app, scene.who) as http:
        page = await scene.come_back(http)
        await http.get(page)
        begun = await http.post(f"{page}/patient", data={"offering": "teledermatology"})
        edit = await http.get(begun.headers["location"])
        async with scene.system.services.database.session() as session:
            await session.execute(update(SignOnAttempt).values(expires_at=datetime.now(UTC)))
        before = await scene.saved()
        to_save, *others = sorted(addresses_in(edit), key=lambda one: "/edit?" not in one)
        for address in others:
            assert "terminé" in shown(await http.post(address, data={"slot": "overview"}), 410)
        assert await scene.saved() == before
        form = {**hidden(edit), **fields_of(edit), "do": "save"}
        assert (await http.post(to_save, data=form)).status_code == 303, "the form itself has every word"
        [phone], slot = (
            [one for one in others if "/phone-link" in one],
            re.findall(r'name="slot" value="(\w+)"', edit.text)[0],
        )
        assert (await http.post(phone, data={"slot": slot})).status_code == 200
        request_id = begun.headers["location"].split("/")[2]
        view: Any = ok(await scene.who.get(f"/requests/{request_id}"))
        assert view["patient"]["chart_number"] == "CH-4711"


async def entries_of(scene: Scene, who: Clinician, kind: Act) -> list[AuditEntry]:
    """What the audit says that they did of that kind, the oldest first."""
    async with scene.system.services.database.session() as session:
        found = select(AuditEntry).where(AuditEntry.account_id == who.account.id, AuditEntry.kind == kind)
        return list(await session.scalars(found.order_by(AuditEntry.at)))


async def test_the_audit_says_who_went_on_as_whom_and_who_was_not_let_in(scene: Scene) -> None:
    scene.records.subject = f"for the audit {scene.who.id}"
    who = await add_person(scene.system, "audited", scene.system.clinics["near"], Role.REQUESTER)
    far = await add_person(scene.system, "audited_far", scene.system.clinics["far"], Role.REQUESTER)
    async with visitor(scene.app, who) as http:
        page = await scene.come_back(http)
        assert (await http.post(f"{page}/go-on", data={"do": "go_on"})).status_code == 303
    [entry] = [one for one in await entries_of(scene, who, Act.CHANGE) if one.name == "launch records"]
    assert entry.content is not None
    assert entry.content["identity_sha256"] == sha256(f"{scene.records.issuer}\n{scene.records.subject}")
    async with visitor(scene.app, far) as http:
        page = await scene.come_back(http)
        shown(await http.get(page), 403)
        shown(await http.post(f"{page}/go-on", data={"do": "go_on"}), 403)
    names = [one.name for one in await entries_of(scene, far, Act.SIGN_IN_FAILED)]
    assert names == ["launch_not_for_clinic"] * 2


async def test_launches_have_a_limit_of_their_own(scene: Scene, secret: Path) -> None:
    near = scene.system.clinics["near"].code
    settings = scene.system.settings.model_copy(update={"launches_per_minute": 2, "sign_ons_per_minute": 1})
    known = Providers((), [as_known_here(scene.records, secret, near)])
    async with SignOn(known, near=True) as sign_on:
        services = replace(scene.system.of_api, sign_on=sign_on, settings=settings)
        app = create_app(settings, services)
        there = {"iss": scene.records.fhir, "launch": "xyz"}
        async with visitor(app) as stranger, visitor(app, scene.who) as http:
            for one in (stranger, http):
                answers = [await one.get("/launch", params=there) for _ in range(3)]
                assert [answer.status_code for answer in answers] == [303, 303, 429], "each of them for themselves"
