"""A report that says “the photos were not sufficient”: whoever writes it can ask instead, and its requester learns what to do."""

from typing import Any

import httpx
import pytest

from domain.notices import Importance
from domain.requests import DocumentKind
from tests.api.answers import notices
from tests.journeys import accepted, draft, ok, reported, signed, somebody_new, written
from tests.system import Clinician, System

POOR: dict[str, Any] = {"photo_quality": "insufficient"}


async def _line(who: Clinician, request_id: str) -> dict[str, object]:
    number = (await who.view(request_id))["number"]
    [line] = ok(await who.get(f"/requests?q={number}"))["items"]
    return dict(line)


async def test_its_requester_is_told_so_and_it_stands_in_the_list_until_they_acknowledge(system: System) -> None:
    request_id = await reported(system, **POOR)
    assert await notices(system, request_id, "final_report_issued") == {}
    found = await notices(system, request_id, "new_photos")
    assert found.keys() == {system.requester.id, system.dispatcher.id}
    assert found[system.requester.id].importance is Importance.ACTION
    view = await system.requester.view(request_id)
    assert (view["report_calls_for"], view["awaits_new_photos"]) == (["new_photos"], True)
    assert (await _line(system.requester, request_id))["awaits_new_photos"]
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    view = await system.requester.view(request_id)
    assert (view["report_calls_for"], view["awaits_new_photos"]) == (["new_photos"], False)
    assert not (await _line(system.requester, request_id))["awaits_new_photos"]


async def test_a_request_that_follows_takes_it_out_of_the_list_once_it_is_submitted(system: System) -> None:
    request_id = await reported(system, **POOR)
    later = await draft(system, earlier_id=request_id, patient=somebody_new())
    assert (await system.requester.view(request_id))["awaits_new_photos"]
    ok(await system.requester.post(f"/requests/{later}/submit"))
    view = await system.requester.view(request_id)
    assert (view["awaits_new_photos"], [other["id"] for other in view["later"]]) == (False, [later])
    assert (await system.requester.view(later))["earlier"]["id"] == request_id


async def test_a_preliminary_report_says_so_until_the_final_one_is_there(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id, **POOR)
    await signed(system, request_id, "preliminary")
    assert system.requester.id in await notices(system, request_id, "new_photos")
    view = await system.requester.view(request_id)
    assert (view["report_calls_for"], view["awaits_new_photos"]) == (["new_photos"], False)
    await written(system, request_id)
    await signed(system, request_id)
    view = await system.requester.view(request_id)
    assert (view["report_calls_for"], view["awaits_new_photos"]) == ([], False)
    assert system.requester.id in await notices(system, request_id, "final_report_issued")


async def test_without_delay_comes_first_and_both_are_said(system: System) -> None:
    request_id = await reported(system, urgent=True, **POOR)
    assert system.requester.id in await notices(system, request_id, "urgent_report")
    assert await notices(system, request_id, "new_photos") == {}
    view = await system.requester.view(request_id)
    assert view["report_calls_for"] == ["reading_without_delay", "new_photos"]
    assert view["awaits_new_photos"]


@pytest.mark.parametrize("kind", [DocumentKind.PRELIMINARY, DocumentKind.FINAL])
async def test_another_report_calls_for_nothing(system: System, kind: DocumentKind) -> None:
    request_id = await accepted(system)
    await written(system, request_id, photo_quality="limited")
    await signed(system, request_id, kind)
    view = await system.requester.view(request_id)
    assert (view["report_calls_for"], view["awaits_new_photos"]) == ([], False)
    assert await notices(system, request_id, "new_photos") == {}


async def test_whoever_writes_it_learns_what_the_draft_calls_for(system: System) -> None:
    request_id = await accepted(system)

    async def saved(**answers: str) -> httpx.Response:
        return await system.provider.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers})

    assert ok(await saved(photo_quality="good"))["calls_for"] == []
    draft = ok(await saved(photo_quality="insufficient", urgency_reassessment="emergency"))
    assert draft["calls_for"] == ["new_photos", "reading_without_delay"]
    asked = [option.get("calls_for") for field in draft["fields"] for option in field["options"]]
    assert {call for call in asked if call} == {"new_photos", "reading_without_delay"}
