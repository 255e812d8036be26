"""What people may not see answers 404, what they may not do 403; and what nobody has submitted yet, nobody else sees."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from records import requests
from tests.api.answers import problem
from tests.api.conftest import Shelf
from tests.eventually import eventually
from tests.journeys import PATIENT, accepted, draft, ok, pooled, reported, returned, submitted, upload
from tests.system import PASSWORD, Clinician, System, photo

CHART = ("patient", "answers", "questions", "attachments", "documents")
OF_THE_CHART = ("/attachments", "/reports", "/accesses")
EVERYBODY = (
    *("requester", "requester2", "dispatcher", "provider", "provider2", "administrator", "operator"),
    *("far_requester", "far_dispatcher", "far_provider"),
)


async def sights(system: System, request_id: str) -> dict[str, str | None]:
    """How much everybody sees, held against all that must agree with it: the view, the worklist, the timeline, the files."""
    return {name: await sight(system.people[name], request_id) for name in EVERYBODY}


async def sight(who: Clinician, request_id: str) -> str | None:
    answer = await who.get(f"/requests/{request_id}")
    for path in ("/timeline", *OF_THE_CHART):
        part = await who.get(f"/requests/{request_id}{path}")
        if answer.status_code == 404:
            problem(part, 404, "not_found")
        elif answer.json()["access"] == "process" and path != "/timeline":
            problem(part, 403, "forbidden")
    if answer.status_code == 404:
        problem(answer, 404, "not_found")
        return None
    view = ok(answer)
    timeline: list[dict[str, Any]] = (await who.get(f"/requests/{request_id}/timeline")).json()
    if view["access"] == "process":
        assert [view[name] for name in CHART] == [None] * len(CHART)
        assert not any(entry["details"] for entry in timeline)
    else:
        assert None not in [view[name] for name in CHART]
    listed = ok(await who.get("/requests", params={"q": view["number"]}))["items"]
    operates = "operator" in who.account.roles
    assert [row["id"] for row in listed] == ([request_id] if view["access"] == "chart" or operates else [])
    assert [row["patient"] for row in listed] == ([view["patient"]] if listed else [])
    return str(view["access"])


AT_THE_CLINIC = {"requester": "chart", "dispatcher": "chart", "administrator": "chart", "operator": "process"}
NOBODY: dict[str, str | None] = dict.fromkeys(EVERYBODY)


async def test_a_draft_is_its_requesters_alone(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["draft"]
    assert await sights(system, request_id) == {**NOBODY, "requester": "chart"}
    problem(await system.provider.http.patch(f"/api/v1/requests/{request_id}", json={"answers": {}}), 404, "not_found")
    problem(await upload(system.requester2, request_id, photo()), 404, "not_found")


async def test_before_anybody_is_asked(system: System) -> None:
    assert await sights(system, await submitted(system)) == {**NOBODY, **AT_THE_CLINIC}


async def test_the_pool_sees_all_until_somebody_accepts(system: System) -> None:
    request_id = await pooled(system)
    assert await sights(system, request_id) == {**NOBODY, **AT_THE_CLINIC, "provider": "chart", "provider2": "chart"}
    ok(await system.provider2.post(f"/requests/{request_id}/accept"))
    assert await sights(system, request_id) == {**NOBODY, **AT_THE_CLINIC, "provider": "process", "provider2": "chart"}
    problem(await system.provider.post(f"/requests/{request_id}/accept"), 409, "already_accepted")
    problem(await system.provider.get(f"/requests/{request_id}/report"), 403, "forbidden")


async def test_who_was_assigned_and_never_acted_keeps_no_chart(system: System) -> None:
    request_id = await submitted(system)
    for provider in (system.provider, system.provider2):
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": provider.id}))
    assert await sights(system, request_id) == {**NOBODY, **AT_THE_CLINIC, "provider": "process", "provider2": "chart"}
    problem(await system.provider.post(f"/requests/{request_id}/accept"), 403, "not_the_holder")


async def test_a_colleague_without_part_in_it_sees_nothing(system: System, shelf: Shelf) -> None:
    expected = {**NOBODY, **AT_THE_CLINIC, "provider": "chart"}
    for status in ("awaiting_acceptance", "accepted", "returned", "reported", "closed", "cancelled", "abandoned"):
        assert await sights(system, shelf.by_status[status]) == expected, status


async def test_no_stranger_waits_for_somebody_elses_change(system: System) -> None:
    """To wait would tell them that the request exists; who may see it waits, and then is answered."""
    request_id = await submitted(system)
    blocks = text("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))")
    async with system.services.database.session() as session:
        await requests.lock_request(session, UUID(request_id))
        problem(await system.far_provider.post(f"/requests/{request_id}/accept"), 404, "not_found")
        given = asyncio.create_task(system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Guérie."}))

        async def is_waiting() -> bool:
            return bool(await session.scalar(blocks))

        await eventually(is_waiting)
    ok(await given)


async def test_who_acted_still_sees_it_after_a_transfer(system: System) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": system.provider2.id}))
    assert await sights(system, request_id) == {**NOBODY, **AT_THE_CLINIC, "provider": "chart", "provider2": "chart"}
    problem(await system.provider.get(f"/requests/{request_id}/report"), 409, "not_allowed_in_status")
    ok(await system.provider2.post(f"/requests/{request_id}/accept"))
    problem(await system.provider.get(f"/requests/{request_id}/report"), 403, "not_the_holder")
    problem(await system.requester.get(f"/requests/{request_id}/report"), 403, "not_the_holder")
    problem(await system.far_provider.get(f"/requests/{request_id}/report"), 404, "not_found")


async def test_unsubmitted_edits_are_the_requesters_alone(system: System) -> None:
    request_id = await returned(system)
    path = f"/api/v1/requests/{request_id}"
    before = {name: await system.people[name].view(request_id) for name in ("dispatcher", "provider", "administrator")}
    first, *_ = before["provider"]["attachments"]
    added = ok(await upload(system.requester, request_id, photo((400, 300))), 201)
    assert (await system.requester.http.delete(f"{path}/attachments/{first['id']}")).status_code == 204
    secret = {"given_name": "Autre", "family_name": "Personne", "birth_date": "1971-02-03"}
    changes = {"patient": secret, "answers": {"question": "Ceci n’est pas soumis."}, "priority": "urgent"}
    own = ok(await system.requester.http.patch(path, json=changes))
    assert (own["patient"]["family_name"], own["priority"]) == ("Personne", "urgent")
    assert {a["id"] for a in own["attachments"]} != {a["id"] for a in before["provider"]["attachments"]}

    for name, old in before.items():
        who = system.people[name]
        view = await who.view(request_id)
        for part in ("patient", "answers", "attachments", "priority"):
            assert view[part] == old[part], (name, part)
        (line,) = ok(await who.get("/requests", params={"q": old["number"]}))["items"]
        assert (line["patient"], line["priority"]) == (old["patient"], old["priority"])
        assert (await who.get(f"/requests/{request_id}/attachments")).json() == old["attachments"]
        for part in ("", "/preview"):
            problem(await who.get(f"/requests/{request_id}/attachments/{added['id']}{part}"), 404, "not_found")
            seen = await who.get(f"/requests/{request_id}/attachments/{first['id']}{part}")
            assert seen.status_code == 200
    (line,) = ok(await system.requester.get("/requests", params={"q": own["number"]}))["items"]
    assert (line["patient"]["family_name"], line["priority"]) == ("Personne", "urgent")
    for part in ("", "/preview"):
        problem(await system.requester.get(f"/requests/{request_id}/attachments/{first['id']}{part}"), 404, "not_found")

    complete = {**PATIENT, "family_name": "Gagnon"}
    ok(await system.requester.http.patch(path, json={"patient": complete, "answers": before["provider"]["answers"]}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    view = await system.provider.view(request_id)
    assert (view["patient"]["family_name"], view["priority"]) == ("Gagnon", "urgent")
    ids = {a["id"] for a in view["attachments"]}
    assert (added["id"] in ids, first["id"] in ids) == (True, False)
    problem(await system.provider.get(f"/requests/{request_id}/attachments/{first['id']}"), 404, "not_found")


async def test_a_photo_for_an_answer_shows_with_the_answer(system: System, shelf: Shelf) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Une vue de plus près?"}))
    named = ok(await upload(system.requester, request_id, photo((500, 300))), 201)
    kept_back = ok(await upload(system.requester, request_id, photo((501, 300))), 201)
    path = f"/requests/{request_id}/attachments/{named['id']}"
    problem(await system.provider.get(path), 404, "not_found")
    elsewhere = (await system.requester.view(shelf.by_status["accepted"]))["attachments"][0]["id"]
    answer = {"text": "Voici.", "attachment_ids": [elsewhere]}
    problem(
        await system.requester.post(f"/requests/{request_id}/answer-information", answer), 422, "unknown_attachment"
    )
    answer["attachment_ids"] = [named["id"]]
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", answer))
    assert (await system.provider.get(path)).status_code == 200
    view = await system.provider.view(request_id)
    (question,) = view["questions"]
    assert (question["state"], question["answer"], question["attachment_ids"]) == ("answered", "Voici.", [named["id"]])
    assert kept_back["id"] not in {a["id"] for a in view["attachments"]}
    problem(await system.provider.get(f"/requests/{request_id}/attachments/{kept_back['id']}"), 404, "not_found")


async def test_files_belong_to_their_request(system: System, shelf: Shelf) -> None:
    """An id that is right with an address that is not finds nothing."""
    one, other = shelf.by_status["reported"], shelf.by_status["closed"]
    view = await system.provider.view(one)
    attachment, document = view["attachments"][0]["id"], view["documents"][0]["report_id"]
    problem(await system.provider.get(f"/requests/{other}/attachments/{attachment}"), 404, "not_found")
    problem(await system.provider.get(f"/requests/{other}/reports/{document}.pdf"), 404, "not_found")
    for name in ("operator", "far_provider", "provider2"):
        answer = await system.people[name].get(f"/requests/{one}/reports/{document}.pdf")
        assert answer.status_code == (403 if name == "operator" else 404)
        answer = await system.people[name].get(f"/requests/{one}/attachments/{attachment}/preview")
        assert answer.status_code == (403 if name == "operator" else 404)


async def test_only_the_requester_changes_the_form(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["returned"]
    attachment = (await system.requester.view(request_id))["attachments"][0]["id"]
    for name in ("dispatcher", "provider", "administrator", "operator"):
        who = system.people[name]
        problem(await who.http.patch(f"/api/v1/requests/{request_id}", json={"answers": {}}), 403, "forbidden")
        problem(await upload(who, request_id, photo()), 403, "forbidden")
        removed = await who.http.delete(f"/api/v1/requests/{request_id}/attachments/{attachment}")
        problem(removed, 403, "forbidden")
    for status in ("awaiting_dispatch", "accepted", "reported", "closed", "cancelled"):
        path = f"/api/v1/requests/{shelf.by_status[status]}"
        problem(await system.requester.http.patch(path, json={"answers": {}}), 409, "not_editable")
        if status in ("reported", "closed", "cancelled"):
            problem(await upload(system.requester, shelf.by_status[status], photo()), 409, "not_editable")


@pytest.mark.parametrize("name", ["requester2", "dispatcher", "provider", "administrator", "operator"])
async def test_only_requesters_begin_requests(system: System, name: str) -> None:
    answer = await system.people[name].post("/requests", {"offering": "teledermatology"})
    if name == "requester2":
        view = ok(answer, 201)
        assert answer.headers["location"] == f"/api/v1/requests/{view['id']}"
        assert answer.headers["etag"] == f'"{view["version"]}"'
    else:
        problem(answer, 403, "forbidden")


async def test_who_looked_is_written_down(system: System) -> None:
    request_id = await reported(system)
    attachment = (await system.provider.view(request_id))["attachments"][0]["id"]
    document = (await system.requester.view(request_id))["documents"][0]["report_id"]
    await system.dispatcher.get(f"/requests/{request_id}/timeline")
    await system.provider.get(f"/requests/{request_id}/attachments/{attachment}")
    await system.provider.get(f"/requests/{request_id}/attachments/{attachment}/preview")
    await system.requester.get(f"/requests/{request_id}/reports/{document}.pdf")
    looks = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    found = [(look["by"]["id"], look["what"], look["object_id"], look["role"]) for look in reversed(looks)]
    assert found[-6:] == [
        (system.provider.id, "request", None, "provider"),
        (system.requester.id, "request", None, "requester"),
        (system.dispatcher.id, "timeline", None, "dispatcher"),
        (system.provider.id, "attachment", attachment, "provider"),
        (system.provider.id, "preview", attachment, "provider"),
        (system.requester.id, "document", document, "requester"),
    ]
    assert (await system.administrator.get(f"/requests/{request_id}/accesses")).json() == looks
    problem(await system.provider.get(f"/requests/{request_id}/accesses"), 403, "forbidden")
    problem(await system.provider2.get(f"/requests/{request_id}/accesses"), 404, "not_found")


async def test_an_addendum_is_the_signers(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["closed"]
    body = {"text": "En plus.", "password": PASSWORD}
    problem(await system.requester.post(f"/requests/{request_id}/report/addenda", body), 403, "role_not_allowed")
    problem(await system.provider2.post(f"/requests/{request_id}/report/addenda", body), 404, "not_found")


async def test_the_catalogue_shows_colleagues_and_where_one_routes(system: System) -> None:
    near, far = system.clinics["near"], system.clinics["far"]

    async def clinics(who: Clinician) -> set[str]:
        return {clinic["id"] for clinic in (await who.get("/clinics")).json()}

    assert await clinics(system.dispatcher) == {str(near.id)}
    assert {str(near.id), str(far.id)} <= await clinics(system.operator)
    colleagues = {person["id"] for person in (await system.provider.get("/providers")).json()}
    assert {system.provider.id, system.provider2.id} <= colleagues
    assert not {system.far_provider.id, system.requester.id} & colleagues
    problem(await system.dispatcher.get("/providers", params={"clinic": str(far.id)}), 404, "not_found")
    request_id = await draft(system)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    for body in ({"provider_id": system.far_provider.id}, {"clinic_id": str(far.id)}):
        problem(await system.dispatcher.post(f"/requests/{request_id}/assign", body), 422, "clinic_not_routed")
