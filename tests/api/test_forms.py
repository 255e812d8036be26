"""The form as it was submitted, version by version: what changed, and why the request had come back."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from records import forms
from tests.api.answers import any_problem, problem
from tests.api.conftest import Shelf
from tests.journeys import PATIENT, ok, returned, signed, upload, written
from tests.system import System, photo


async def test_what_changed_in_a_resubmission(system: System) -> None:
    request_id = await returned(system)
    path = f"/requests/{request_id}"
    before = await system.provider.view(request_id)
    assert before["form_changes"] == []
    first, *_ = before["attachments"]
    added = ok(await upload(system.requester, request_id, photo((400, 300))), 201)
    assert (await system.requester.http.delete(f"/api/v1{path}/attachments/{first['id']}")).status_code == 204
    patient = {**PATIENT, "family_name": "Gagnon"}
    answers = {**before["answers"], "medication": "Aucune."}
    body = {"patient": patient, "answers": answers, "priority": "urgent"}
    ok(await system.requester.http.patch(f"/api/v1{path}", json=body))
    for who in (system.requester, system.provider):
        assert (await who.view(request_id))["form_changes"] == []  # an edit is no submission
        assert [form["number"] for form in (await who.get(f"{path}/forms")).json()] == [1]
    ok(await system.requester.post(f"{path}/resubmit"))

    expected = [
        {"part": "priority", "field": "priority", "before": "routine", "after": "urgent"},
        {"part": "patient", "field": "family_name", "before": "Tremblay", "after": "Gagnon"},
        {"part": "answers", "field": "medication", "before": None, "after": "Aucune."},
        {"part": "attachments", "field": added["id"], "before": None, "after": added["slot"]},
        {"part": "attachments", "field": first["id"], "before": first["slot"], "after": None},
    ]
    for name in ("requester", "provider", "dispatcher", "administrator"):
        assert (await system.people[name].view(request_id))["form_changes"] == expected, name
    assert (await system.operator.view(request_id))["form_changes"] is None

    versions = (await system.provider.get(f"{path}/forms")).json()
    assert [(form["number"], form["submitted_by"]["id"]) for form in versions] == [
        (1, system.requester.id),
        (2, system.requester.id),
    ]
    one, two = [ok(await system.provider.get(f"{path}/forms/{number}")) for number in (1, 2)]
    assert {**one, **versions[0]} == one
    assert {**two, **versions[1]} == two
    assert (one["patient"], one["priority"], one["changes"]) == (PATIENT, "routine", [])
    assert (two["patient"], two["answers"], two["priority"]) == (patient, answers, "urgent")
    assert two["changes"] == expected
    assert first["id"] in {a["id"] for a in one["attachments"]}
    assert {a["id"] for a in two["attachments"]} == {
        a["id"] for a in (await system.requester.view(request_id))["attachments"]
    }
    looks = (await system.requester.get(f"{path}/accesses")).json()
    assert [look["what"] for look in looks if look["by"]["id"] == system.provider.id][:3] == ["request"] * 3


async def test_a_submission_that_never_was_is_no_version(system: System) -> None:
    """A form is frozen before its command, which may be refused."""
    request_id = await returned(system)
    async with system.services.database.session() as session:
        await forms.freeze_form(
            session,
            UUID(request_id),
            command_id="refused",
            frozen_by=system.requester.account.id,
            now=datetime.now(UTC),
        )
    assert len((await system.requester.get(f"/requests/{request_id}/forms")).json()) == 1
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    (change,) = (await system.provider.view(request_id))["form_changes"]
    assert (change["field"], change["before"], change["after"]) == ("priority", "routine", "urgent")
    versions = (await system.requester.get(f"/requests/{request_id}/forms")).json()
    assert [form["number"] for form in versions] == [1, 3]
    assert ok(await system.requester.get(f"/requests/{request_id}/forms/3"))["changes"] == [change]
    problem(await system.requester.get(f"/requests/{request_id}/forms/2"), 404, "not_found")


async def test_who_may_see_them(system: System, shelf: Shelf) -> None:
    assert (await system.requester.get(f"/requests/{shelf.by_status['draft']}/forms")).json() == []
    for path in ("/forms", "/forms/1"):
        for name in ("requester", "provider", "dispatcher", "administrator"):
            assert (await system.people[name].get(f"/requests/{shelf.by_status['returned']}{path}")).status_code == 200
        problem(await system.operator.get(f"/requests/{shelf.by_status['returned']}{path}"), 403, "forbidden")
        for name in ("requester2", "provider2", "far_provider", "far_dispatcher", "far_requester"):
            answer = await system.people[name].get(f"/requests/{shelf.by_status['returned']}{path}")
            problem(answer, 404, "not_found")
        problem(await system.provider.get(f"/requests/{shelf.by_status['draft']}{path}"), 404, "not_found")
    problem(await system.requester.get(f"/requests/{shelf.by_status['draft']}/forms/1"), 404, "not_found")
    problem(await system.requester.get(f"/requests/{shelf.by_status['returned']}/forms/2"), 404, "not_found")


@pytest.mark.parametrize("bad", ["0", "-1", "x", "1.5", "99999999999999999999", "%00"])
async def test_numbers_that_are_none(system: System, shelf: Shelf, bad: str) -> None:
    any_problem(await system.requester.get(f"/requests/{shelf.by_status['returned']}/forms/{bad}"))


async def test_why_it_was_returned(system: System, shelf: Shelf) -> None:
    request_id = await returned(system)
    expected = {"reason": "incomplete_submission", "text": "Les photos sont floues."}

    async def notice(name: str) -> dict[str, object] | None:
        found: dict[str, object] | None = (await system.people[name].view(request_id))["return_notice"]
        return found

    for name in ("requester", "provider", "dispatcher"):
        seen = await notice(name)
        assert seen is not None
        assert {**seen, **expected} == seen
        assert (seen["by"] or {})["id"] == system.provider.id  # type: ignore[index]
        assert seen["at"] is not None
    assert await notice("operator") is None
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    assert await notice("requester") is not None  # until a report answers
    again = {"reason": "not_eligible", "text": "Ce n’est pas de la dermatologie."}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", again))
    seen = await notice("requester")
    assert seen is not None
    assert (seen["reason"], seen["text"]) == ("not_eligible", again["text"])
    for status in ("awaiting_acceptance", "accepted", "reported", "closed", "draft"):
        assert (await system.requester.view(shelf.by_status[status]))["return_notice"] is None, status


async def test_a_report_ends_the_notice(system: System) -> None:
    request_id = await returned(system)
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    await written(system, request_id)
    await signed(system, request_id)
    assert (await system.requester.view(request_id))["return_notice"] is None
