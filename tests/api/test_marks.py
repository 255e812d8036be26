"""Marks on photos: who draws, who sees, who removes, and what a measure is worth."""

from typing import Any

import pytest
from PIL import Image

from tests.api.answers import problem
from tests.api.conftest import Shelf
from tests.clips import encoded
from tests.journeys import accepted, draft, ok, returned, upload
from tests.system import Clinician, System, photo

ARROW = {"kind": "arrow", "start": {"x": 0.1, "y": 0.2}, "end": {"x": 0.5, "y": 0.5}, "label": " Bord irrégulier "}
CIRCLE = {"kind": "circle", "start": {"x": 0.5, "y": 0.5}, "end": {"x": 0.6, "y": 0.5}}
RULER = {"start": {"x": 0.0, "y": 1.0}, "end": {"x": 0.25, "y": 1.0}, "length_mm": 10}
MEASURE = {"kind": "measure", "start": {"x": 0.5, "y": 0.0}, "end": {"x": 0.5, "y": 0.5}, "calibration": RULER}


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    return await accepted(system)


async def marks_of(who: Clinician, request_id: str, photo_id: str) -> Any:
    return ok(await who.get(f"/requests/{request_id}/attachments/{photo_id}/marks"))


async def first_photo(system: System, request_id: str) -> str:
    return str((await system.requester.view(request_id))["attachments"][0]["id"])


async def path_of(system: System, request_id: str) -> str:
    return f"/requests/{request_id}/attachments/{await first_photo(system, request_id)}/marks"


async def test_both_draw_everybody_sees_and_each_removes_their_own(system: System, request_id: str) -> None:
    path = await path_of(system, request_id)
    photo_id = path.split("/")[-2]
    before = (await system.requester.view(request_id))["version"]
    arrow = ok(await system.provider.post(path, ARROW), 201)
    circle = ok(await system.requester.post(path, CIRCLE), 201)
    assert (arrow["label"], arrow["kind"], arrow["start"]) == ("Bord irrégulier", "arrow", {"x": 0.1, "y": 0.2})
    assert (arrow["by"]["id"], arrow["removable"]) == (system.provider.id, True)
    assert (circle["label"], circle["length_mm"], circle["calibration"]) == ("", None, None)

    for name in ("requester", "provider", "dispatcher", "administrator"):
        who = system.people[name]
        seen = await marks_of(who, request_id, photo_id)
        assert [mark["id"] for mark in seen] == [arrow["id"], circle["id"]]
        assert [mark["removable"] for mark in seen] == [name == "provider", name == "requester"]
        view = await who.view(request_id)
        assert view["marks"] == seen
        assert view["may_mark"] is (name in ("requester", "provider"))
    assert (await system.requester.view(request_id))["version"] == before  # nothing of the request's course has changed

    for name, status, code in (("dispatcher", 403, "forbidden"), ("provider2", 404, "not_found")):
        problem(await system.people[name].post(path, ARROW), status, code)
    for name, status in (("requester", 403), ("dispatcher", 403), ("far_provider", 404)):
        answer = await system.people[name].http.delete(f"/api/v1{path}/{arrow['id']}")
        assert answer.status_code == status, name
    assert (await system.provider.http.delete(f"/api/v1{path}/{arrow['id']}")).status_code == 204
    problem(await system.provider.http.delete(f"/api/v1{path}/{arrow['id']}"), 404, "not_found")
    assert [mark["id"] for mark in await marks_of(system.provider, request_id, photo_id)] == [circle["id"]]


async def test_who_sees_no_photo_sees_no_mark(system: System, request_id: str) -> None:
    path = await path_of(system, request_id)
    problem(await system.far_provider.get(path), 404, "not_found")
    problem(await system.operator.get(path), 403, "forbidden")
    other = await accepted(system)
    photo_of_the_other = await first_photo(system, other)
    problem(
        await system.requester.get(f"/requests/{request_id}/attachments/{photo_of_the_other}/marks"), 404, "not_found"
    )
    mark = ok(await system.requester.post(await path_of(system, other), ARROW), 201)
    assert (await system.requester.http.delete(f"/api/v1{path}/{mark['id']}")).status_code == 404


async def test_a_photo_that_is_not_submitted_yet_is_marked_by_its_requester_alone(system: System) -> None:
    request_id = await returned(system)
    added = ok(await upload(system.requester, request_id, photo((400, 300))), 201)
    path = f"/requests/{request_id}/attachments/{added['id']}/marks"
    ok(await system.requester.post(path, ARROW), 201)
    problem(await system.provider.get(path), 404, "not_found")
    assert (await system.provider.view(request_id))["marks"] == []
    problem(await system.provider.post(await path_of(system, request_id), ARROW), 403, "forbidden")
    taken_out = await system.requester.http.delete(f"/api/v1/requests/{request_id}/attachments/{added['id']}")
    assert taken_out.status_code == 204  # with its marks
    assert (await system.requester.view(request_id))["marks"] == []


async def test_a_draft_is_removed_with_its_marks(system: System) -> None:
    request_id = await draft(system)
    ok(await system.requester.post(await path_of(system, request_id), ARROW), 201)
    assert (await system.requester.http.delete(f"/api/v1/requests/{request_id}")).status_code == 204


async def test_a_measure_is_worth_its_ruler(system: System, request_id: str) -> None:
    """The photo has 320 × 240 pixels: a quarter of its width is 80, half of its height 120."""
    measure = ok(await system.provider.post(await path_of(system, request_id), MEASURE), 201)
    assert measure["length_mm"] == 15.0
    assert measure["calibration"] == RULER


WRONG = {
    "outside": ({**ARROW, "end": {"x": 1.2, "y": 0.5}}, {"end.x": "too_large"}),
    "a text": ({**ARROW, "end": {"x": "0.2", "y": 0.5}}, {"end.x": "not_a_number"}),
    "kind": ({**ARROW, "kind": "square"}, {"kind": "not_an_option"}),
    "long": ({**ARROW, "label": "x" * 81}, {"label": "too_long"}),
    "lines": ({**ARROW, "label": "a\nb"}, {"label": "not_one_line"}),
    "nothing": ({**ARROW, "end": ARROW["start"]}, {"end": "same_place"}),
    "no ruler": ({**MEASURE, "calibration": None}, {"": "no_calibration"}),
    "a ruler": ({**ARROW, "calibration": RULER}, {"": "not_measured"}),
    "short ruler": (
        {**MEASURE, "calibration": {**RULER, "end": {"x": 0.01, "y": 1.0}}},
        {"calibration": "ruler_too_short"},
    ),
    "no length": (
        {**MEASURE, "calibration": {**RULER, "length_mm": 0}},
        {"calibration.length_mm": "too_small"},
    ),
    "unknown": ({**ARROW, "colour": "red"}, {"colour": "unknown_field"}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_no_mark_is_refused_in_both_languages(system: System, request_id: str, name: str) -> None:
    body, expected = WRONG[name]
    path = await path_of(system, request_id)
    said = []
    for language in ("fr", "en"):
        answer = await system.provider.post(path, body, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert {error["field"]: error["code"] for error in answer.json()["errors"]} == expected
        said += [error["message"] for error in answer.json()["errors"]]
    assert all(said), said
    assert len(set(said)) == 2, said


async def test_the_same_key_draws_once(system: System, request_id: str) -> None:
    path = await path_of(system, request_id)
    once, again = [ok(await system.provider.post(path, CIRCLE, key="the-one"), 201) for _ in range(2)]
    assert once == again
    problem(await system.provider.post(path, ARROW, key="the-one"), 422, "idempotency_key_reused")


async def test_until_the_request_is_over(system: System, shelf: Shelf) -> None:
    for status, code in (("closed", 409), ("cancelled", 409), ("reported", 201)):
        path = await path_of(system, shelf.by_status[status])
        answer = await system.provider.post(path, CIRCLE)
        assert answer.status_code == code, status
        if code == 409:
            assert answer.json()["code"] == "marks_closed"
        else:
            assert (await system.provider.http.delete(f"/api/v1{path}/{answer.json()['id']}")).status_code == 204


async def test_on_a_page_of_a_document_and_only_there(system: System) -> None:
    """The second page of the scan is twice as wide as the first: what is measured there is measured by its own size."""
    request_id = await draft(system)
    scan = encoded(
        Image.new("L", (400, 200), 255), "TIFF", save_all=True, append_images=[Image.new("L", (800, 200), 255)]
    )
    sent = ok(await upload(system.requester, request_id, scan, "letters", "lettre.tif"), 201)
    path = f"/requests/{request_id}/attachments/{sent['id']}/marks"
    ruler = {"start": {"x": 0.0, "y": 0.5}, "end": {"x": 0.5, "y": 0.5}, "length_mm": 40}
    line = {"kind": "measure", "start": {"x": 0.5, "y": 0.0}, "end": {"x": 0.5, "y": 1.0}, "calibration": ruler}
    lengths = [ok(await system.requester.post(path, {**line, "page": page}), 201)["length_mm"] for page in (1, 2)]
    assert lengths == [40.0, 20.0]
    assert [mark["page"] for mark in await marks_of(system.requester, request_id, sent["id"])] == [1, 2]
    answer = problem(await system.requester.post(path, {**line, "page": 3}), 422, "invalid_input")
    assert answer["errors"][0]["code"] == "no_such_page"
    case = await system.requester.get(f"/requests/{request_id}/case.pdf")
    assert case.status_code == 200


async def test_only_photos_and_only_so_many(system: System, request_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await path_of(system, request_id)
    there = len(await marks_of(system.provider, request_id, path.split("/")[-2]))
    monkeypatch.setattr("use_cases.marks.MOST_MARKS", there)
    problem(await system.provider.post(path, ARROW), 409, "too_many_marks")
