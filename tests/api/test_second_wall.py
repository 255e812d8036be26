"""With the first wall taken down, the database still opens nothing for a clinic that has nothing to do with a request."""

import secrets

import pytest

from domain.requests import Role
from records import visibility
from tests.journeys import PATIENT, accepted
from tests.system import Clinician, System, add_person

PATHS = (
    "",
    "/timeline",
    "/questions",
    "/attachments",
    "/reports",
    "/accesses",
    "/information-requests",
    "/messages",
    "/case",
)


@pytest.fixture
async def stranger(system: System) -> Clinician:
    """Somebody of a clinic that no request has ever named."""
    async with system.services.database.session() as session:
        from records import people

        clinic = await people.add_clinic(session, code=f"apart-{secrets.token_hex(4)}", name="Clinique à part")
    return await add_person(system, "stranger", clinic, Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER)


async def test_no_chart_is_opened_for_another_clinic(
    system: System, stranger: Clinician, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await accepted(system)
    seen = {path: (await system.provider.get(f"/requests/{request_id}{path}")) for path in PATHS}
    assert any(PATIENT["family_name"] in answer.text for answer in seen.values())

    async def everything(*_: object, **__: object) -> str:
        return "chart"

    monkeypatch.setattr(visibility, "access", everything)
    for path, before in seen.items():
        answer = await stranger.get(f"/requests/{request_id}{path}")
        assert PATIENT["family_name"] not in answer.text, path
        if before.status_code == 200 and path == "":
            assert answer.status_code >= 400
