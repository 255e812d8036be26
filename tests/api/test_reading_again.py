"""Reading what one has already: 304, and what counts as having it."""

import httpx

from tests.api.answers import problem
from tests.journeys import draft, ok
from tests.system import System


async def read(http: httpx.AsyncClient, path: str, known: str, **headers: str) -> httpx.Response:
    return await http.get(path, headers={"If-None-Match": known, **headers})


async def test_what_one_has_is_not_sent_again(system: System) -> None:
    http = system.requester.http
    path = f"/api/v1/requests/{await draft(system)}"
    whole = await http.get(path)
    tag = whole.headers["etag"]
    assert tag.startswith(f'"{ok(whole)["version"]}.')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await read(http, path, known)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag), known
        assert "content-type" not in same.headers
        assert same.headers["cache-control"] == "no-store"
        assert same.headers["x-request-id"]
    head = await http.head(path, headers={"If-None-Match": tag})
    assert (head.status_code, head.headers["etag"]) == (304, tag)
    for known in ('"other"', tag.strip('"'), ""):
        assert ok(await read(http, path, known)) == ok(whole)


async def test_what_differs_for_its_reader_is_something_else(system: System) -> None:
    """By who reads, and by a change that the version counts; the tag is taken for If-Match as well."""
    request_id = await draft(system)
    path, http = f"/api/v1/requests/{request_id}", system.requester.http
    tag = (await http.get(path)).headers["etag"]
    problem(await read(system.provider.http, path, tag), 404, "not_found")
    changed = await http.patch(path, json={"answers": {}, "priority": "urgent"}, headers={"If-Match": tag})
    assert ok(changed)["priority"] == "urgent"
    again = await read(http, path, tag)
    assert ok(again)["version"] == ok(changed)["version"]
    problem(await http.patch(path, json={"priority": "routine"}, headers={"If-Match": tag}), 412, "version_conflict")

    mine = (await http.get("/api/v1/me")).headers["etag"]
    assert (await read(http, "/api/v1/me", mine)).status_code == 304
    assert (await read(system.dispatcher.http, "/api/v1/me", mine)).status_code == 200


async def test_a_list_is_something_else_once_somebody_began_a_request(system: System) -> None:
    http = system.requester.http
    tag = (await http.get("/api/v1/requests?status=draft")).headers["etag"]
    assert (await read(http, "/api/v1/requests?status=draft", tag)).status_code == 304
    await draft(system)
    assert (await read(http, "/api/v1/requests?status=draft", tag)).status_code == 200
