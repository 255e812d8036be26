"""How answers travel: texts compressed, pictures and documents as they are, and HEAD wherever GET is."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.eventually import PATIENCE_SECONDS
from tests.journeys import reported
from tests.portal.browsing import SAME_SITE, Portal
from tests.system import PASSWORD, System

NEW_EACH_TIME = {"date", "set-cookie", "x-request-id", "traceparent"}
"""Headers."""


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    return await reported(system)


@pytest.fixture(scope="module")
async def places(system: System, request_id: str) -> dict[str, str]:
    """Addresses by what is there."""
    view = await system.provider.view(request_id)
    request = f"/api/v1/requests/{request_id}"
    report = (await system.provider.get(f"/requests/{request_id}/reports")).json()[0]
    return {
        "page": f"/requests/{request_id}",
        "worklist": "/worklist",
        "view": request,
        "list": "/api/v1/requests",
        "description": "/api/openapi.json",
        "styles": "/static/portal.css",
        "photo": f"{request}/attachments/{view['attachments'][0]['id']}",
        "thumbnail": f"{request}/attachments/{view['attachments'][0]['id']}/thumbnail",
        "document": f"{request}/reports/{report['report_id']}.pdf",
        "nothing": "/requests/nowhere",
        "not seen": "/api/v1/requests/01a217e1-091b-72b5-94fe-b8e83a4ea4b2",
    }


@pytest.fixture(scope="module")
async def http(portal: Portal, system: System) -> AsyncIterator[httpx.AsyncClient]:
    """The provider's program, which reads what comes as it is."""
    async with httpx.AsyncClient(base_url=portal.address, headers=SAME_SITE, timeout=PATIENCE_SECONDS) as http:
        await http.post("/signin", data={"username": system.provider.account.username, "password": PASSWORD})
        yield http


async def test_texts_are_compressed_and_pictures_are_not(http: httpx.AsyncClient, places: dict[str, str]) -> None:
    for name in ("page", "worklist", "view", "list", "description", "styles"):
        answer = await http.get(places[name])
        assert answer.headers["content-encoding"] == "gzip", name
        assert "Accept-Encoding" in answer.headers["vary"], name
        plain = await http.get(places[name], headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert int(answer.headers["content-length"]) < len(plain.content) / 2, name
    for name in ("photo", "thumbnail", "document"):
        answer = await http.get(places[name])
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers, name


async def test_head_says_what_get_would(http: httpx.AsyncClient, places: dict[str, str]) -> None:
    for name, place in places.items():
        if name == "styles":
            continue  # a file is compressed as it is read: HEAD does not know of it
        got, said = await http.get(place), await http.head(place)
        assert said.status_code == got.status_code, name
        assert said.content == b""
        of_get, of_head = (
            {k: v for k, v in answer.headers.items() if k not in NEW_EACH_TIME} for answer in (got, said)
        )
        assert of_head.keys() == of_get.keys(), name
        if name not in ("page", "worklist"):  # a form's key is new at each look, and compressed it has another length
            assert of_head == of_get, name


async def test_head_of_a_part_of_a_file(http: httpx.AsyncClient, places: dict[str, str]) -> None:
    got = await http.get(places["photo"], headers={"Range": "bytes=10-29"})
    said = await http.head(places["photo"], headers={"Range": "bytes=10-29"})
    assert said.status_code == got.status_code
    assert said.headers["content-length"] == got.headers["content-length"]


async def test_head_of_an_endless_stream_ends(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        said = await http.head("/events")
    assert said.status_code == 200
    assert said.headers["content-type"].startswith("text/event-stream")


async def test_what_only_takes_forms_has_no_head(http: httpx.AsyncClient, request_id: str) -> None:
    assert (await http.head(f"/api/v1/requests/{request_id}/accept")).status_code == 405
    assert (await http.head("/signout")).status_code == 405
    async with httpx.AsyncClient(base_url=http.base_url) as nobody:
        assert (await nobody.head(f"/api/v1/requests/{request_id}")).status_code == 401
        assert (await nobody.head("/worklist")).status_code == 303
