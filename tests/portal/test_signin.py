"""Signing in and out, the cookie, and pages for those who are not signed in."""

import httpx
from fastapi import FastAPI

from tests.portal.browsing import SAME_SITE, shown, visitor
from tests.system import PASSWORD, System, hasty


async def test_without_a_session_every_page_leads_to_sign_in_and_back(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app) as http:
        answer = await http.get("/worklist?status=all")
        assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/worklist%3Fstatus%3Dall")
        page = await http.get(answer.headers["location"])
        assert 'value="/worklist?status=all"' in page.text
        credentials = {"username": system.provider.account.username, "password": PASSWORD}
        answer = await http.post("/signin", data={**credentials, "next": "/worklist?status=all"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/worklist?status=all")
        session, device = answer.headers.get_list("set-cookie")
        assert ("HttpOnly" in session, "SameSite=lax" in session) == (True, True)
        assert ("HttpOnly" in device, "SameSite=strict" in device, "Max-Age=34560000" in device) == (True, True, True)
        shown(await http.get("/worklist"))
        known = http.cookies["relais-device"]
        await http.post("/signout")
        assert (await http.post("/signin", data=credentials)).status_code == 303
        assert http.cookies["relais-device"] == known, "the browser is known again"


async def test_over_tls_every_cookie_is_for_this_host_alone(portal_app: FastAPI, system: System) -> None:
    """The session, the device, and what is chosen on it: `__Host-`, which browsers take only with Secure and for one host."""
    with hasty(portal_app, public_url="https://relais.test"):
        transport = httpx.ASGITransport(portal_app)
        async with httpx.AsyncClient(transport=transport, base_url="https://relais.test", headers=SAME_SITE) as http:
            http.cookies.set("relais-language", "en", domain="relais.test", path="/")  # of before
            assert "Sign in" in shown(await http.get("/signin"))
            credentials = {"username": system.dispatcher.account.username, "password": PASSWORD}
            answers = [
                await http.post("/language", data={"language": "fr"}),
                await http.post("/signin", data=credentials),
                await http.post("/theme", data={"theme": "dark"}),
                await http.get("/worklist?sort=created"),
            ]
            assert "Worklist" not in shown(answers[-1])
            assert 'content="dark"' in answers[-1].text
            answers.append(await http.post("/signout"))
    cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    names = [cookie.partition("=")[0] for cookie in cookies]
    kept = ["__Host-relais-language", "__Host-relais", "__Host-relais-device", "__Host-relais-theme"]
    assert names == [*kept, "__Host-relais-sort", "__Host-relais", "__Host-relais-sign-on"]  # the last two end
    for cookie in cookies:
        parts = cookie.split("; ")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(parts), cookie
        assert {"SameSite=lax", "SameSite=strict"} & set(parts), cookie
        assert not any(part.startswith("Domain") for part in parts), cookie


async def test_sign_in_leads_to_no_other_site(portal_app: FastAPI, system: System) -> None:
    for elsewhere in ("https://elsewhere.invalid/", "//elsewhere.invalid/", "/\\elsewhere.invalid", "javascript:1"):
        async with visitor(portal_app) as http:
            credentials = {"username": system.provider.account.username, "password": PASSWORD, "next": elsewhere}
            answer = await http.post("/signin", data=credentials)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_wrong_password_says_so_and_keeps_the_name(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app) as http:
        wrong = {"username": "nobody-of-this-name", "password": "wrong"}
        answer = await http.post("/signin", data=wrong)
        text = shown(answer, 401)
        assert "Le nom d’utilisateur ou le mot de passe est" in text
        assert 'value="nobody-of-this-name"' in answer.text
        assert "set-cookie" not in answer.headers


async def test_sign_out_ends_the_session_in_the_records(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        cookie = http.cookies["relais"]
        answer = await http.post("/signout")
        assert (answer.status_code, answer.headers["clear-site-data"]) == (303, '"cache"')
        assert "Votre session est fermée" in shown(await http.get(answer.headers["location"]))
        http.cookies.set("relais", cookie)
        assert (await http.get("/worklist")).status_code == 303


async def test_a_page_of_another_site_changes_nothing(portal_app: FastAPI, system: System) -> None:
    """The browser adds the cookie by itself; where the call comes from decides."""
    async with visitor(portal_app, system.requester) as http:
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://elsewhere.invalid"},
            {},
        ):
            http.headers.pop("Sec-Fetch-Site", None)
            for address in ("/signout", "/api/v1/requests"):
                answer = await http.post(address, headers=headers, json={"offering": "teledermatology"})
                assert answer.status_code == 403, (headers, address)
        assert (await http.get("/worklist")).status_code == 200
        answer = await http.post("/signout", headers={"Origin": "http://relais.test"})
        assert answer.status_code == 303


async def test_pages_are_not_kept_and_take_nothing_from_elsewhere(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        answer = await http.get("/worklist")
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert policy.endswith("object-src 'none'; base-uri 'none'; frame-ancestors 'none'")
        assert "unsafe" not in policy
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        script = answer.text.split('src="/static/portal.js?')[1].split('"')[0]
        kept = await http.get(f"/static/portal.js?{script}")
        assert "immutable" in kept.headers["cache-control"]
        assert kept.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert (await http.get("/static/icon.svg")).headers["content-type"] == "image/svg+xml; charset=utf-8"


async def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    portal_app: FastAPI, system: System
) -> None:
    async with visitor(portal_app, system.requester) as http:
        for address in ("/nowhere", "/requests/nothing", "/requests/01a20528-2326-771d-b244-f33a25c63e64"):
            answer = await http.get(address)
            assert answer.status_code == 404, address
            assert "text/html" in answer.headers["content-type"]
        for address in ("/api/v1/nowhere", "/api/v1/requests/01a20528-2326-771d-b244-f33a25c63e64"):
            answer = await http.get(address)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        answer = await http.delete("/api/v1/requests")
        assert answer.status_code == 405
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_language_before_signing_in(portal_app: FastAPI) -> None:
    async with visitor(portal_app) as http:
        assert "Se connecter" in shown(await http.get("/signin"))
        assert "Sign in" in shown(await http.get("/signin", headers={"Accept-Language": "en-CA,en;q=0.8,fr;q=0.5"}))
        await http.post("/language", data={"language": "en", "next": "/signin"}, headers=SAME_SITE)
        answer = await http.get("/signin")
        assert "Sign in" in shown(answer)
        assert '<html lang="en">' in answer.text


async def test_a_form_that_cannot_be_read_is_said_to_be_one(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.requester) as http:
        headers = {"Content-Type": "multipart/form-data"}  # without the boundary that such a form needs
        answer = await http.post("/new", content=b"x", headers=headers)
        assert answer.status_code in (400, 422)
        assert "Rien de ce qui était enregistré n’est perdu." in shown(answer, answer.status_code)
        assert "Il n’y a rien ici" not in answer.text
