"""Removing a draft: it is gone with all that belonged to it; what was ever submitted stays."""

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from records import forms
from records.errors import NotFoundError
from records.models import Attachment, Upload
from tests.api.answers import any_problem, picture, problem
from tests.api.conftest import Shelf
from tests.api.test_uploads import begun, send
from tests.journeys import draft, ok, upload
from tests.system import Clinician, System, photo


async def remove(who: Clinician, request_id: str, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await who.http.delete(f"/api/v1/requests/{request_id}", headers=names)


async def stored_keys(system: System, request_id: str) -> list[str]:
    async with system.services.database.session() as session:
        rows = await session.scalars(select(Attachment).where(Attachment.request_id == UUID(request_id)))
        begun = await session.scalars(select(Upload.parts).where(Upload.request_id == UUID(request_id)))
        return [key for row in rows for key in row.keys] + [key for parts in begun for key in parts]


async def test_a_draft_and_its_files_are_gone(system: System) -> None:
    kept, request_id = await draft(system), await draft(system)
    half = await begun(system.requester, request_id, 2_000)
    assert (await send(system.requester, half, 0, b"x" * 1_000)).status_code == 204
    keys = await stored_keys(system, request_id)
    assert len(keys) >= 3 * 2 + 1
    view = await system.requester.view(request_id)
    assert (await remove(system.requester, request_id)).status_code == 204
    for key in keys:
        with pytest.raises(NotFoundError):
            await system.services.store.get(key)
    for path in ("", "/timeline", "/attachments", f"/attachments/{view['attachments'][0]['id']}", "/forms"):
        problem(await system.requester.get(f"/requests/{request_id}{path}"), 404, "not_found")
    problem(await send(system.requester, half, 1_000, b"x" * 1_000), 404, "not_found")
    problem(await system.requester.post(f"/requests/{request_id}/submit"), 404, "not_found")
    problem(await remove(system.requester, request_id), 404, "not_found")
    problem(await upload(system.requester, request_id, photo()), 404, "not_found")
    assert ok(await system.requester.get("/requests", params={"q": view["number"]}))["items"] == []
    assert len((await system.requester.view(kept))["attachments"]) == 3
    for key in await stored_keys(system, kept):
        assert await system.services.store.get(key)


async def test_what_was_submitted_stays(system: System, shelf: Shelf) -> None:
    for status, request_id in shelf.by_status.items():
        if status != "draft":
            before = await picture(system.requester, request_id)
            problem(await remove(system.requester, request_id), 409, "not_a_draft")
            assert await picture(system.requester, request_id) == before


async def test_a_draft_whose_submission_may_be_on_its_way_stays(system: System) -> None:
    request_id = await draft(system)
    async with system.services.database.session() as session:
        frozen_by = system.requester.account.id
        await forms.freeze_form(session, UUID(request_id), command_id="x", frozen_by=frozen_by, now=datetime.now(UTC))
    problem(await remove(system.requester, request_id), 409, "not_a_draft")
    ok(await system.requester.post(f"/requests/{request_id}/submit"))


async def test_whose_it_is(system: System, shelf: Shelf) -> None:
    for name in ("requester2", "dispatcher", "provider", "administrator", "operator", "far_requester"):
        problem(await remove(system.people[name], shelf.by_status["draft"]), 404, "not_found")
    for name in ("dispatcher", "provider", "administrator", "operator"):
        problem(await remove(system.people[name], shelf.by_status["accepted"]), 403, "forbidden")
    problem(await remove(system.far_provider, shelf.by_status["accepted"]), 404, "not_found")
    assert (await system.requester.view(shelf.by_status["draft"]))["status"] == "draft"


async def test_the_version_that_was_read(system: System) -> None:
    request_id = await draft(system)
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))
    problem(await remove(system.requester, request_id, If_Match='"0"'), 412, "version_conflict")
    problem(await remove(system.requester, request_id, If_Match="x"), 422, "invalid_if_match")
    version = (await system.requester.view(request_id))["version"]
    assert (await remove(system.requester, request_id, If_Match=f'"{version}"')).status_code == 204


@pytest.mark.parametrize("bad", ["x", "0", "%00", "..%2f..", "a" * 400])
async def test_ids_that_are_none(system: System, bad: str) -> None:
    any_problem(await remove(system.requester, bad))
