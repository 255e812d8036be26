"""What the engine keeps sealed is opened for operators, on the pages of the Temporal UI, and each time it is written down."""

import base64
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from temporalio.api.common.v1 import Payload

from api.codec import ui_origin
from domain.audit import Act, Purpose
from records.models import AuditEntry
from settings import Settings
from tests.api.answers import problem
from tests.api.conftest import Shelf
from tests.api.test_operations import client
from tests.api.test_service_accounts import connected
from tests.journeys import ok, submitted
from tests.system import System
from web.session import session_cookie

UI = "https://temporal.clinique.example"


def ours(system: System, token: str | None = None, **settings: Any) -> httpx.AsyncClient:
    """A browser, or with a token the command line, of an installation that says where its Temporal UI is."""
    http = client(system.services, "192.0.2.7", **{"temporal_ui_url": f"{UI}/ui", **settings})
    if token is not None:
        http.headers["Authorization"] = f"Bearer {token}"
    return http


def token_of(system: System, name: str) -> str:
    header: str = getattr(system, name).http.headers["Authorization"]
    return header.removeprefix("Bearer ")


async def sealed_summary(system: System, request_id: str) -> Payload:
    description = await system.workflow(request_id).describe()
    return description.raw_description.execution_config.user_metadata.summary


def coded(payload: Payload) -> dict[str, Any]:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


def opened(answer: httpx.Response) -> list[Any]:
    return [json.loads(base64.b64decode(payload["data"])) for payload in ok(answer)["payloads"]]


async def looks(system: System, request_id: str) -> list[AuditEntry]:
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == UUID(request_id), AuditEntry.kind == Act.ENGINE)
        return list(await session.scalars(query))


async def test_before_the_machine_itself_nobody_is_asked(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["accepted"]
    number = (await system.requester.view(request_id))["number"]
    sealed = await sealed_summary(system, request_id)
    assert number.encode() not in sealed.SerializeToString()
    body = {"payloads": [coded(sealed)]}
    async with client(system.services, embedded=True) as http:
        origin = {"Origin": "http://127.0.0.1:8233"}
        answer = await http.post("/codec/decode", json=body, headers=origin)
        assert opened(answer) == [number]
        assert answer.headers["access-control-allow-origin"] == origin["Origin"]
        stranger = await http.post("/codec/decode", json=body, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
        body["payloads"][0]["data"] = base64.b64encode(b"x" * 60).decode()
        assert ok(await http.post("/codec/decode", json=body)) == body  # what is damaged stays sealed
        foreign = {**body["payloads"][0]["metadata"], "relais-key-id": base64.b64encode(b"lost").decode()}
        lost = {"payloads": [{**body["payloads"][0], "metadata": foreign}]}
        problem(await http.post("/codec/decode", json=lost), 422, "invalid_input")
        body["payloads"][0]["data"] = "not base64!"
        problem(await http.post("/codec/decode", json=body), 422, "invalid_input")
    for elsewhere in ("192.0.2.7", "::ffff:192.0.2.7"):
        async with client(system.services, elsewhere, embedded=True) as http:
            problem(await http.post("/codec/decode", json=body), 404, "not_found")


async def test_an_operators_browser_is_answered_on_the_pages_of_the_ui(system: System) -> None:
    one, other = await submitted(system), await submitted(system)
    numbers = [(await system.requester.view(request_id))["number"] for request_id in (one, other)]
    body = {"payloads": [coded(await sealed_summary(system, request_id)) for request_id in (one, other)]}
    on_the_ui = {"Origin": UI, "Sec-Fetch-Site": "same-site", "X-Namespace": "default"}
    async with ours(system) as http:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
        allowed = await http.options("/codec/decode", headers={**on_the_ui, **asked})
        assert allowed.headers["access-control-allow-origin"] == UI
        assert allowed.headers["access-control-allow-credentials"] == "true"
        problem(await http.post("/codec/decode", json=body, headers=on_the_ui), 401, "not_authenticated")
        http.cookies.set(session_cookie(system.settings), token_of(system, "operator"))
        for _ in range(2):
            answer = await http.post("/codec/decode", json=body, headers=on_the_ui)
            assert opened(answer) == numbers
            assert answer.headers["access-control-allow-origin"] == UI
        for elsewhere in ({"Origin": "https://evil.example"}, {"Origin": f"{UI}.evil.example"}, {"Origin": "null"}, {}):
            refused = await http.post("/codec/decode", json=body, headers={**elsewhere, "Sec-Fetch-Site": "cross-site"})
            problem(refused, 403, "other_site")
            assert "access-control-allow-origin" not in refused.headers
        preflight = await http.options("/codec/decode", headers={"Origin": "https://evil.example", **asked})
        assert "access-control-allow-origin" not in preflight.headers
        else_asked = await http.get("/api/v1/me", headers=on_the_ui)  # its pages read nothing else
        assert "access-control-allow-origin" not in else_asked.headers
    for request_id in (one, other):
        (look,) = await looks(system, request_id)
        assert (look.account_id, look.purpose) == (system.operator.account.id, Purpose.OPERATION)
    told = ok(await system.administrator.get(f"/requests/{one}/accesses"))
    assert "engine" in str(told)


async def test_the_command_line_is_answered_by_a_token(system: System, shelf: Shelf) -> None:
    sealed = await sealed_summary(system, shelf.by_status["accepted"])
    number = (await system.requester.view(shelf.by_status["accepted"]))["number"]
    plain = {
        "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
        "data": base64.b64encode(b"1").decode(),
    }
    body = {"payloads": [coded(sealed), plain]}
    async with ours(system, token_of(system, "operator"), temporal_ui_url="") as http:
        assert opened(await http.post("/codec/decode", json=body)) == [number, 1]
        problem(await http.post("/codec/encode", json=body), 404, "not_found")


@pytest.mark.parametrize("name", ["requester", "dispatcher", "provider", "administrator", "far_requester"])
async def test_nobody_but_operators(system: System, shelf: Shelf, name: str) -> None:
    request_id = shelf.by_status["accepted"]
    body = {"payloads": [coded(await sealed_summary(system, request_id))]}
    before = len(await looks(system, request_id))
    async with ours(system, token_of(system, name)) as http:
        problem(await http.post("/codec/decode", json=body), 403, "forbidden")
    async with ours(system, (await connected(system, "requests:read")).secret) as http:
        problem(await http.post("/codec/decode", json=body), 403, "forbidden")
    assert len(await looks(system, request_id)) == before


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("", ""),
        ("https://Temporal.clinique.example/ui", "https://temporal.clinique.example"),
        ("https://temporal.clinique.example:443", "https://temporal.clinique.example"),
        ("http://someone:secret@localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8233", "http://[::1]:8233"),
    ],
)
def test_the_origin_is_written_as_browsers_write_it(address: str, origin: str) -> None:
    assert ui_origin(Settings(temporal_ui_url=address)) == origin
