"""The portal under attack: forms written by hand, other people's pages, other sites, texts that nothing can store."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

import portal
from domain.requests import Role
from portal import sent_too_late
from portal.server import PAGES
from records.people import add_clinic
from tests.journeys import accepted, draft, ok, reported, submitted, written
from tests.portal.browsing import hidden, shown, visitor
from tests.rounds import LONGER
from tests.system import PASSWORD, Clinician, System, add_person, photo
from use_cases.patients import Patient

UNSTORABLE = "a\0b"

NASTY = (
    "\0",
    UNSTORABLE,
    "9" * 5_000,
    "-1",
    "1e400",
    "NaN",
    "\N{ARABIC-INDIC DIGIT THREE}" * 3,
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "{{ 7*7 }}",
    "\r\nSet-Cookie: a=b",
    "x" * 20_000,
)
"""What nobody types."""

OFTEN = (
    *(
        "key",
        "version",
        "revision",
        "offering",
        "clinic",
        "clinic_id",
        "provider_id",
        "priority",
        "do",
        "next",
        "to",
        "slot",
    ),
    *(
        "reason",
        "text",
        "comment",
        "question",
        "question_id",
        "attachment_ids",
        "kind",
        "note",
        "starts_on",
        "ends_on",
        "hours",
    ),
    *(
        "language",
        "notice_mode",
        "current",
        "new",
        "username",
        "outcome",
        "signature",
        "scope",
        "visit_avoided",
        "number",
    ),
    *("patient.birth_date", "patient.sex", "patient.family_name"),
    *("answers.question", "answers.body_sites", "answers.largest_diameter", "answers.findings"),
)
"""Fields that many forms have, or that hold much."""

REFUSED = (401, 403, 404, 410)
"""Answers to people for whom there is nothing there, whatever they send."""


REFUSED_AT_ONCE = (401, 403)
"""Where the address names nothing, 404 is said of what was sent."""

ENDS_SESSIONS = ("/signout", "/lock", "/account/sessions/end-others")
"""Addresses that would end sessions of people whom all tests share."""


def addresses(method: str) -> list[str]:
    """The pattern of every address of the portal that takes this method."""
    found = [route for page in PAGES for route in page.router.routes if isinstance(route, APIRoute)]
    return sorted({route.path for route in found if method in (route.methods or ())})


async def administrator_of_a_clinic_of_their_own(system: System) -> Clinician:
    """Who may change everything of a clinic in which nobody else is."""
    async with system.services.database.session() as session:
        clinic = await add_clinic(session, code=f"nasty-{uuid4().hex[:8]}", name="Clinique des Essais")
    return await add_person(system, "administrator_elsewhere", clinic, Role.CLINIC_ADMINISTRATOR)


def as_sent(names: list[str], turn: int) -> dict[str, str]:
    """Something of all of it, in each field something else; but of what is long: of so many fields, that is no form any more."""
    short = [nasty for nasty in NASTY if len(nasty) < 1_000]
    return {name: short[(turn + place) % len(short)] for place, name in enumerate(names)}


def address_of(pattern: str, **ids: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: ids.get(name[1], str(uuid4())), pattern)


def names_read() -> set[str]:
    """Every word in the portal that may be the name of a field, and the fields of forms that are data.

    But the one that holds a whole form: where it says nothing, nothing else is read.
    """
    constants = {
        node.value
        for page in Path(portal.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(page.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    of_offerings = {f"answers.{name}" for name in ("question", "body_sites", "largest_diameter", "findings")}
    of_patients = {f"patient.{name}" for name in Patient.model_fields}
    found = {name for name in constants if re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", name)} | of_offerings | of_patients
    return found - {sent_too_late.FIELD}


async def test_no_page_changes_anything_for_another_site(portal_app: FastAPI, system: System) -> None:
    """Every form of the portal, whatever it is: the cookie alone is never enough."""
    assert len(addresses("POST")) > 15
    async with visitor(portal_app, system.requester) as http:
        for pattern in addresses("POST"):
            for site in ("cross-site", "same-site", "none"):
                answer = await http.post(address_of(pattern, address="cancel"), headers={"Sec-Fetch-Site": site})
                assert answer.status_code in (403, 404, 422), (pattern, answer.status_code)
                assert answer.status_code == 403 or pattern == "/language", pattern
                assert "set-cookie" not in answer.headers


async def test_every_form_survives_what_nobody_types(portal_app: FastAPI, system: System) -> None:
    """Each meets all of it at once, from everybody; and pieces by themselves, from the first whom it does not turn away.

    Of the pieces what no database keeps and a sixth of the others, of the next form others; all of them with `make pages`.
    """
    administrator = await administrator_of_a_clinic_of_their_own(system)
    request_id = await accepted(system)
    await written(system, request_id)
    draft_id = await draft(system)
    names = sorted(names_read())
    assert len(names) > 300
    patterns = [p for p in addresses("POST") if p not in (*ENDS_SESSIONS, "/language") and "delete" not in p]
    choices = [
        "accept",
        "request-information",
        "transfer",
        "return-to-requester",
        "assign",
        "change-priority",
        "cancel",
    ]
    of_requests = [p for p in patterns if "{request_id}" in p and "{address}" not in p]
    targets = [
        *(address_of(p, request_id=id_) for p in of_requests for id_ in (request_id, draft_id)),
        *(address_of(p) for p in patterns if "{request_id}" not in p),
        *(f"/requests/{request_id}/{choice}" for choice in choices),
    ]
    failed: list[tuple[object, ...]] = []
    tried_by: dict[str, str] = {}
    named = re.compile(r"[0-9a-f]{8}-")
    async with AsyncExitStack() as browsers:
        people = (system.provider, system.requester, system.dispatcher, administrator)
        visits = [await browsers.enter_async_context(visitor(portal_app, who)) for who in people]
        for turn, address in enumerate(targets):
            alone = NASTY if LONGER > 1 else (UNSTORABLE, *NASTY[turn % 6 :: 6])
            for number, http in enumerate(visits):
                forms = [as_sent(names, number)]
                while forms:
                    form = forms.pop()
                    if address.endswith(("/edit", "/report", "/new")):
                        form["offering"] = "teledermatology"
                    answer = await http.post(address, data=form)
                    if answer.status_code >= 500:
                        failed.append((address, form["text"][:12], answer.status_code))
                    elif "text/html" in answer.headers.get("content-type", ""):
                        assert "<script>alert" not in answer.text
                        assert '" onmouseover="' not in answer.text
                    if answer.status_code == 303 and "password" in address and address != "/forgotten-password":
                        failed.append((address, "password changed"))
                    is_away = answer.status_code in (REFUSED if named.search(address) else REFUSED_AT_ONCE)
                    if not is_away and address not in tried_by:
                        tried_by[address] = people[number].account.username
                        forms = [dict.fromkeys(OFTEN if len(nasty) > 1_000 else names, nasty) for nasty in alone]
    for who in people:
        await forget_what_is_kept(who)
    assert len(tried_by) > len(targets) / 3  # the others are of what is not there
    assert failed == []


async def forget_what_is_kept(who: Clinician) -> None:
    """Filters and texts of their own: other tests look at the same people."""
    for kind in ("filters", "snippets"):
        kept: Any = ok(await who.get(f"/me/{kind}"))
        for one in kept:
            if one["name"] in NASTY:
                assert (await who.http.delete(f"/api/v1/me/{kind}/{one['id']}")).status_code == 204


@pytest.mark.parametrize("charset", ["utf-7", "raw_unicode_escape", "punycode", "undefined", "a\\0b", "idna"])
async def test_forms_come_in_utf_8_or_not_at_all(portal_app: FastAPI, system: System, charset: str) -> None:
    """Other codecs of Python give halves of characters, fail in ways of their own, or take minutes."""
    body = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--b--\r\n'
    nasty = {"utf-7": b"+2AA-", "raw_unicode_escape": b"\\ud800"}.get(charset, b"\xff-a99999999")
    async with visitor(portal_app, system.requester) as http:
        for address, name in (("/signin", b"username"), ("/new", b"key"), ("/account/absences", b"note")):
            headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
            content = body % (name, nasty)
            if address == "/signin":
                content = content.removesuffix(b"--b--\r\n") + body % (b"password", b"secret")
            answer = await http.post(address, content=content, headers=headers)
            assert answer.status_code == 415, (address, answer.status_code)


async def test_forms_that_are_not_forms(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        for kind, content in (
            ("multipart/form-data", b"--b"),
            ("multipart/form-data; boundary=b", b"--c\r\n\r\n"),
            ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
            ("application/x-www-form-urlencoded", b"a=%ff%fe&b=%ed%a0%80&%00=1"),
            ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(2_000))),
            ("application/json", b'{"offering": 1}'),
            ("", b"\xff\xff"),
        ):
            for address in ("/signin", "/new", "/account", "/account/password"):
                answer = await http.post(address, content=content, headers={"Content-Type": kind})
                assert answer.status_code < 500, (kind, content[:30], address, answer.status_code)


async def test_a_file_where_a_text_is_expected(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    names = ("username", "password", "offering", "key", "version", "language", "current", "new", "note", "text", "slot")
    async with visitor(portal_app, system.requester) as http:
        for pattern in addresses("POST"):
            if pattern in ENDS_SESSIONS or "delete" in pattern:
                continue
            address = address_of(pattern, request_id=request_id, address="cancel")
            answer = await http.post(address, files=[(name, ("f.txt", b"x")) for name in names])
            assert answer.status_code < 500, (address, answer.status_code)


async def test_addresses_that_nobody_types(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    queries = ("%00", "%ed%a0%80", "%ff", "9" * 5_000, "%0d%0aSet-Cookie:%20a=b", "%3Cscript%3E", "%E2%80%AE")
    pages = (
        *("/worklist", "/signin", "/help", "/providers", "/account", "/new", "/events"),
        *(
            f"/requests/{request_id}{part}"
            for part in ("", "/edit", "/edit/files", "/edit/check", "/answer", "/cancel")
        ),
    )
    names = (
        "q",
        "status",
        "sort",
        "cursor",
        "offering",
        "priority",
        "mine",
        "next",
        "done",
        "language",
        "slot",
        "question",
    )
    async with visitor(portal_app, system.requester) as http:
        for page in pages:
            for query in queries:
                if page == "/events":
                    answer = await http.get(f"/events?request={query}")
                else:
                    answer = await http.get(f"{page}?" + "&".join(f"{name}={query}" for name in names))
                assert answer.status_code < 500, (page, query[:20])
                assert "set-cookie" not in answer.headers
        for path in (
            "/static/%00",
            "/static/..%2f..%2fsettings.py",
            "/static/%ff",
            "/requests/%00",
            "/%00",
            "//x.invalid/",
        ):
            answer = await http.get(f"http://relais.test{path}")
            assert answer.status_code in (404, 405), path
            assert "location" not in answer.headers


async def ids_of(system: System, request_id: str) -> dict[str, str]:
    """What the addresses of the request's pages are made with: itself, its first photo, its first document."""
    view = await system.requester.view(request_id)
    return {
        "request_id": request_id,
        "attachment_id": view["attachments"][0]["id"],
        "report_id": view["documents"][0]["report_id"],
    }


async def test_what_others_may_not_see(portal_app: FastAPI, system: System) -> None:
    """Every page about a request, for people who have nothing to do with it; and of a draft, for everybody else."""
    request_id = await reported(system)
    ids = await ids_of(system, request_id)
    draft_id = await draft(system)
    patterns = [pattern for pattern in addresses("GET") if "{request_id}" in pattern]
    for who in (system.far_requester, system.far_dispatcher, system.far_provider, system.requester2):
        async with visitor(portal_app, who) as http:
            for pattern in patterns:
                answer = await http.get(
                    address_of(pattern, **ids, address="cancel") + ("?slot=lesion" if "files" in pattern else "")
                )
                assert answer.status_code in (403, 404, 422), (who.account.username, pattern, answer.status_code)
                assert "Tremblay" not in answer.text
    for who in (system.provider, system.dispatcher, system.administrator, system.operator, system.requester2):
        async with visitor(portal_app, who) as http:
            for pattern in patterns:
                answer = await http.get(address_of(pattern, request_id=draft_id, address="cancel") + "?slot=x")
                assert answer.status_code == 404, (who.account.username, pattern, answer.status_code)


async def test_who_sees_only_the_process_reads_nothing_of_the_patient(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    ids = await ids_of(system, request_id)
    patterns = [pattern for pattern in addresses("GET") if "{request_id}" in pattern]
    async with visitor(portal_app, system.operator) as http:
        for pattern in patterns:
            for address in ("cancel", "assign", "transfer"):
                answer = await http.get(address_of(pattern, **ids, address=address) + "?slot=lesion")
                assert answer.status_code < 500, pattern
                for secret in ("Tremblay", "Jeanne", "1958", "mars 1958"):
                    assert secret not in answer.text, (pattern, secret)


async def test_requests_of_others_tell_nothing_live(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    async with visitor(portal_app, system.far_provider) as http:
        assert (await http.get(f"/events?request={request_id}")).status_code == 404
        assert (await http.get(f"/events?request={uuid4()}")).status_code == 404


@asynccontextmanager
async def stream(
    app: FastAPI, http: httpx.AsyncClient, query: str = ""
) -> AsyncIterator["asyncio.Queue[bytes | None]"]:
    """The pieces of the stream of events, as they come; None at its end."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    gone = asyncio.Event()
    cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    scope = {
        **{
            "type": "http",
            "method": "GET",
            "path": "/events",
            "raw_path": b"/events",
            "root_path": "",
            "scheme": "http",
        },
        **{"query_string": query.encode(), "http_version": "1.1", "server": ("relais.test", 80), "client": ("::1", 1)},
        "headers": [(b"host", b"relais.test"), (b"cookie", cookies.encode())],
    }

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if body := message.get("body"):
            pieces.put_nowait(body)

    async def run() -> None:
        await app(scope, receive, send)
        pieces.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        assert (await pieces.get() or b"").startswith(b"retry")
        yield pieces
    finally:
        gone.set()
        await task


async def test_a_stream_ends_with_its_session(portal_app: FastAPI, system: System) -> None:
    """Who has signed out hears nothing more, not even that something happened."""
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http, stream(portal_app, http) as pieces:
        await http.post("/signout")
        answer = await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"})
        assert answer.status_code == 200, answer.text
        while (piece := await pieces.get()) is not None:
            assert piece.startswith(b"event: changed"), "the stream lives on"
        assert (await http.get("/events")).status_code == 303


async def test_a_huge_form_is_refused_with_a_word(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        form = {**hidden(await http.get(f"/requests/{request_id}/edit")), "answers.question": "x" * 2_000_000}
        answer = await http.post(f"/requests/{request_id}/edit", data=form)
        assert answer.status_code == 413


async def test_an_error_of_ours_tells_nothing_and_is_as_closed_as_any_page(
    portal_app: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Jeanne Tremblay")

    monkeypatch.setattr("portal.worklist.read_worklist", broken)
    monkeypatch.setattr("records.worklist.worklist", broken)
    async with visitor(portal_app, system.provider) as http:
        transport = httpx.ASGITransport(portal_app, raise_app_exceptions=False)
        monkeypatch.setattr("api.problems.log", Mock())
        async with httpx.AsyncClient(transport=transport, base_url="http://relais.test", cookies=http.cookies) as plain:
            for address in ("/worklist", "/api/v1/requests"):
                answer = await plain.get(address)
                assert answer.status_code == 500
                assert "Tremblay" not in answer.text
                for header in ("content-security-policy", "x-content-type-options", "cache-control", "referrer-policy"):
                    assert header in answer.headers, (address, header)


async def test_wrong_passwords_are_counted_wherever_they_are_given(portal_app: FastAPI, system: System) -> None:
    """At a signature and at the change of the password for the session, at the door for the device; it says when to try again."""
    person = await add_person(system, "guessed", system.clinics["near"], Role.PROVIDER)
    name = person.account.username
    async with visitor(portal_app, person) as http, visitor(portal_app) as stranger:
        change = {"current": "a guess", "new": "quatre mots sans aucun lien"}
        here = {"username": name, "password": "a guess", "next": "/worklist?status=all"}
        for browser, address, form, kept in (
            (http, "/account/password", change, ""),
            (http, "/signin", here, 'value="/worklist?status=all"'),
            (stranger, "/signin", here, f'value="{name}"'),
        ):
            wrong = 403 if form is change else 401
            answers = [await browser.post(address, data=form) for _ in range(12)]
            assert [answer.status_code for answer in answers] == [wrong] * 10 + [429] * 2
            assert 0 < int(answers[-1].headers["retry-after"]) <= 30
            assert "Trop de mots de passe incorrects. Réessayez dans" in shown(answers[-1], 429)
            assert kept in answers[-1].text
            assert "set-cookie" not in answers[-1].headers
    await system.people.pop("guessed").http.aclose()


async def test_names_of_files_and_people_are_only_text(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    name = '"><img src=x onerror=alert(1)> hx-get=/signout .jpg'
    async with visitor(portal_app, system.requester) as http:
        page = hidden(await http.get(f"/requests/{request_id}/edit"))
        answer = await http.post(
            f"/requests/{request_id}/attachments",
            data={**page, "slot": "", "next": "https://elsewhere.invalid/"},
            files={"file": (name, photo())},
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/requests/{request_id}/edit")
        text = (await http.get(f"/requests/{request_id}/edit")).text
        assert "<img src=x" not in text
        view = await system.requester.view(request_id)
        for attachment in view["attachments"]:
            got = await http.get(f"/api/v1/requests/{request_id}/attachments/{attachment['id']}")
            assert got.headers["content-disposition"].startswith("attachment;")
            named = r"attachment; filename=\"[A-Za-z0-9 ._()-]+\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+)?"
            assert re.fullmatch(named, got.headers["content-disposition"])
            assert got.headers["x-content-type-options"] == "nosniff"
    shown(answer, 303)


async def test_signing_in_again_ends_the_session_before(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        before = http.cookies["relais"]
        credentials = {"username": system.requester.account.username, "password": PASSWORD}
        assert (await http.post("/signin", data=credentials)).status_code == 303
        after = http.cookies["relais"]
        assert after != before
        http.cookies.clear()
        for token, status in ((before, 303), (after, 200)):
            assert (await http.get("/worklist", headers={"Cookie": f"relais={token}"})).status_code == status
