"""With the first wall taken down, the database still opens nothing for a clinic that has nothing to do with a request."""

import secrets

import httpx
import pytest

from domain.requests import Role
from records import people, visibility
from tests.journeys import PATIENT, draft, ok, reported, submitted, upload
from tests.system import Clinician, System, add_person, photo

PATHS = ("", "/timeline", "/attachments", "/reports", "/accesses", "/case.pdf", "/journal")
NAME = PATIENT["family_name"]


@pytest.fixture
async def stranger(system: System) -> Clinician:
    """Somebody of a clinic that no request has ever named."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"apart-{secrets.token_hex(4)}", name="Clinique à part")
    who = await add_person(system, "stranger", clinic, Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER)
    who.http._transport = httpx.ASGITransport(system.app, raise_app_exceptions=False)
    return who


async def test_no_chart_is_opened_for_another_clinic(
    system: System, stranger: Clinician, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await reported(system)
    [shown] = ok(await system.requester.get(f"/requests/{request_id}"))["documents"]
    paths = [f"/requests/{request_id}{path}" for path in PATHS] + [
        f"/requests/{request_id}/reports/{shown['report_id']}.pdf"
    ]
    opened = {path: (await system.requester.get(path)).content for path in paths}
    assert NAME.encode() in opened[paths[0]]

    async def everything(*_: object, **__: object) -> str:
        return "chart"

    monkeypatch.setattr(visibility, "access", everything)
    for path in paths:
        answer = await stranger.get(path)
        assert NAME not in answer.text, path
        assert answer.content != opened[path] or answer.status_code >= 400, path
    assert (await stranger.get(paths[0])).status_code == 500


async def test_no_photo_is_opened_for_another_clinic(
    system: System, stranger: Clinician, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await draft(system)
    attachment = ok(await upload(system.requester, request_id, photo()), 201)["id"]
    path = f"/requests/{request_id}/attachments/{attachment}/preview"
    assert (await system.requester.get(path)).status_code == 200

    async def everything(*_: object, **__: object) -> str:
        return "chart"

    monkeypatch.setattr(visibility, "access", everything)
    answer = await stranger.get(path)
    assert answer.status_code >= 400
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_an_operator_of_a_clinic_apart_sees_the_process_and_acts(system: System) -> None:
    """What they see, and what they order, is of requests with which their clinic has nothing to do."""
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"apart-{secrets.token_hex(4)}", name="Clinique à part")
    operator = await add_person(system, "operator_apart", clinic, Role.OPERATOR)
    request_id = await submitted(system)
    assert (await operator.view(request_id))["access"] == "process"
    timeline = (await operator.get(f"/requests/{request_id}/timeline")).json()
    assert [entry["name"] for entry in timeline] == ["submitted"]
    assert timeline[0]["details"] == {}
    receipt = ok(await operator.post(f"/requests/{request_id}/deadlines/dispatch"))
    given = ok(await operator.get(f"/requests/{request_id}/commands/{receipt['command_id']}"))
    assert given["state"] == "done"
    assert (await operator.view(request_id))["access"] == "process"
    assert NAME not in (await operator.get(f"/requests/{request_id}/timeline")).text
