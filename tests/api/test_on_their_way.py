"""What is on its way: nothing is lost between frozen and submitted, and what stands behind waits its turn.

The worker is away, so that this moment lasts. Each race is run in both orders; what was answered 2xx before the freeze is in what
arrives, what was refused is not, and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
import pytest
from sqlalchemy import select, update

from api.uploads import ATTACHMENT_HEADER
from domain.requests import Role
from engine.client import EngineConnection
from records import attachments, commands, reports
from records.errors import SubmissionUnderWayError
from records.models import Account, FrozenForm
from tests.api.answers import problem
from tests.api.test_uploads import begun, send
from tests.away import Away, away_from, never_given
from tests.eventually import eventually
from tests.journeys import accepted, assigned, draft, ok, returned, submitted, upload, written
from tests.rounds import LONGER
from tests.system import PASSWORD, Clinician, System, photo
from tests.workflow.looks import names, recorded, said_by
from use_cases import gate, giving, uploads
from use_cases.caller import Caller
from use_cases.problems import Problem

ROUNDS = 2 * LONGER
"""In each order."""
AT_ONCE = 6

Found = dict[str, Any]


@pytest.fixture(scope="module")
async def away(system: System) -> AsyncIterator[Away]:
    async with away_from(system) as away:
        yield away


def code(answer: httpx.Response) -> str:
    """The status, and of a problem its code."""
    return f"{answer.status_code} {answer.json()['code']}" if answer.is_error else str(answer.status_code)


async def in_both_orders(
    first: Awaitable[httpx.Response], second: Awaitable[httpx.Response], number: int
) -> tuple[httpx.Response, httpx.Response]:
    """Both at once; which is asked for first alternates."""
    if number % 2:
        return await asyncio.gather(first, second)
    late, early = await asyncio.gather(second, first)
    return early, late


async def rounds(play: Callable[[int], Awaitable[None]]) -> None:
    """Every round of a race, as often as asked for in each order; a few at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await play(number)

    await asyncio.gather(*(one(number) for number in range(2 * ROUNDS)))


async def edit(who: Clinician, request_id: str, body: Found, version: int | None = None) -> httpx.Response:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return await who.http.patch(f"/api/v1/requests/{request_id}", json=body, headers=headers)


async def remove(who: Clinician, request_id: str, attachment_id: str) -> httpx.Response:
    return await who.http.delete(f"/api/v1/requests/{request_id}/attachments/{attachment_id}")


async def frozen(system: System, request_id: str) -> Found | None:
    """What the newest frozen form says."""
    async with system.services.database.session() as session:
        newest = select(FrozenForm).where(FrozenForm.request_id == UUID(request_id)).order_by(FrozenForm.number.desc())
        found = await session.scalar(newest.limit(1))
    return dict(found.content) if found else None


async def withdraw(system: System, request_id: str, receipt: Found) -> None:
    """As if that command had never been given."""
    async with system.services.database.session() as session:
        given = await commands.load_command(session, UUID(request_id), receipt["command_id"])
        assert given is not None
        await commands.withdraw(session, given.request_id, given.command_id, given.given_at)


# Races


async def test_an_edit_beside_a_submission_is_in_it_or_refused(away: Away) -> None:
    system = away.system

    async def play(number: int) -> None:
        request_id = await draft(system)
        view = await system.requester.view(request_id)
        edited = {**view["answers"], "question": "Allergie à la pénicilline."}
        saved, sent = await in_both_orders(
            edit(system.requester, request_id, {"answers": edited}, view["version"]),
            system.requester.post(f"/requests/{request_id}/submit", headers={"If-Match": f'"{view["version"]}"'}),
            number,
        )
        content = await frozen(system, request_id)
        if saved.status_code == 200:
            assert (code(sent), content) == ("412 version_conflict", None)
        else:
            assert (code(saved), code(sent)) == ("409 submission_under_way", "202")
            assert content is not None
            assert content["answers"] == view["answers"]

    await rounds(play)


async def test_files_beside_a_submission_are_in_it_or_refused(away: Away) -> None:
    system = away.system

    async def play(number: int) -> None:
        request_id = await draft(system)
        there = {attachment["id"] for attachment in (await system.requester.view(request_id))["attachments"]}
        one = sorted(there)[0]
        uploading = asyncio.create_task(upload(system.requester, request_id, photo((400 + number, 300))))
        removed, sent = await in_both_orders(
            remove(system.requester, request_id, one), system.requester.post(f"/requests/{request_id}/submit"), number
        )
        added = await uploading
        assert {code(added), code(removed)} <= {"201", "204", "409 submission_under_way"}
        kept = there - ({one} if removed.is_success else set()) | ({added.json()["id"]} if added.is_success else set())
        assert {a["id"] for a in (await system.requester.view(request_id))["attachments"]} == kept
        content = await frozen(system, request_id)
        if sent.status_code == 202:
            assert content is not None
            assert {attachment["id"] for attachment in content["attachments"]} == kept
        else:
            assert (code(sent), content) == ("422 form_incomplete", None)

    await rounds(play)


async def test_a_draft_is_removed_or_submitted(away: Away) -> None:
    system = away.system

    async def play(number: int) -> None:
        request_id = await draft(system)
        gone, sent = await in_both_orders(
            system.requester.http.delete(f"/api/v1/requests/{request_id}"),
            system.requester.post(f"/requests/{request_id}/submit"),
            number,
        )
        assert (code(gone), code(sent)) in [("204", "404 not_found"), ("409 submission_under_way", "202")]

    await rounds(play)


async def test_two_submissions_at_once_are_one(away: Away) -> None:
    system = away.system

    async def play(number: int) -> None:
        path = f"/requests/{await draft(system)}/submit"
        answers = await in_both_orders(system.requester.post(path), system.requester.post(path), number)
        assert sorted(map(code, answers)) == ["202", "409 submission_under_way"]

    await rounds(play)


async def test_a_report_saved_beside_its_signature_is_in_it_or_refused(away: Away) -> None:
    system = away.system
    async with away.worker():
        ids = [await accepted(system) for _ in range(3)]
        for request_id in ids:
            await written(system, request_id)
    turns = {request_id: asyncio.Lock() for request_id in ids}

    async def play(number: int) -> None:
        request_id = ids[number % len(ids)]
        path = f"/api/v1/requests/{request_id}/report"
        async with turns[request_id]:
            before = ok(await system.provider.http.get(path))["answers"]
            said = {**before, "recommendations": f"Conduite numéro {number}."}
            saved, sent = await in_both_orders(
                system.provider.http.put(path, json={"answers": said}),
                system.provider.post(
                    f"/requests/{request_id}/report/sign", {"kind": "preliminary", "password": PASSWORD}
                ),
                number,
            )
            assert (code(saved), code(sent)) in [("200", "202"), ("409 report_being_signed", "202")]
            kept = ok(await system.provider.http.get(path))["answers"]
            assert kept == (said if saved.is_success else before)
            report_id = uuid5(UUID(request_id), sent.json()["command_id"])
            async with system.services.database.session() as session:
                signed = await reports.load_frozen_report(session, report_id)
            assert signed is not None
            assert kept["recommendations"] in [entry["value"] for entry in signed.content["answer"]]
            await withdraw(system, request_id, sent.json())

    await rounds(play)


async def test_a_file_beside_an_answer(away: Away) -> None:
    """A file that comes before the answer is left can be seen; one that comes after it would go with nothing, and is refused."""
    system = away.system
    async with away.worker():
        ids = [await assigned(system) for _ in range(3)]
        for request_id in ids:
            ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
    turns = {request_id: asyncio.Lock() for request_id in ids}

    async def play(number: int) -> None:
        request_id = ids[number % len(ids)]
        async with turns[request_id]:
            before = {a["id"] for a in (await system.requester.view(request_id))["attachments"]}
            added, sent = await in_both_orders(
                upload(system.requester, request_id, photo((400 + number, 300))),
                system.requester.post(f"/requests/{request_id}/answer-information", {"text": "Trois semaines."}),
                number,
            )
            assert (code(added), code(sent)) in [("201", "202"), ("409 answer_under_way", "202")]
            there = {a["id"] for a in (await system.requester.view(request_id))["attachments"]}
            assert there - before == ({added.json()["id"]} if added.is_success else set())
            await withdraw(system, request_id, sent.json())

    await rounds(play)


# While a submission is on its way


async def test_a_queued_submission_closes_the_form_and_arrives_as_it_was(away: Away) -> None:
    system, who = away.system, away.system.requester
    request_id = await draft(system)
    before = await who.view(request_id)
    part = await begun(who, request_id, 10)
    sent = await who.post(f"/requests/{request_id}/submit", key=f"{request_id}:submit")
    receipt = ok(sent, 202)
    assert "submit" not in receipt["allowed_commands"]
    for answer in (
        await edit(who, request_id, {"answers": {"question": "Allergie à la pénicilline."}}),
        await edit(who, request_id, {"priority": "urgent"}, before["version"]),
        await upload(who, request_id, photo((400, 300))),
        await send(who, part, 0, b"0123456789"),
        await remove(who, request_id, before["attachments"][0]["id"]),
        await who.http.delete(f"/api/v1/requests/{request_id}"),
        await who.post(f"/requests/{request_id}/submit"),
    ):
        problem(answer, 409, "submission_under_way")
    one = UUID(before["attachments"][0]["id"])
    async with system.services.database.session() as session:
        with pytest.raises(SubmissionUnderWayError):
            await attachments.change_attachment(session, UUID(request_id), one, now=datetime.now(UTC), slot="overview")
    view = await who.view(request_id)
    assert view["submission_under_way"]["command_id"] == receipt["command_id"]
    assert (view["editable"], view["allowed_commands"], view["status"]) == (False, [], "draft")
    assert {**view, "submission_under_way": None, "editable": True, "allowed_commands": ["submit"]} == before
    location = sent.headers["location"]
    assert ok(await who.http.get(location))["state"] == "queued"
    problem(await system.requester2.http.get(location), 404, "not_found")
    problem(await who.http.get(f"{location}0"), 404, "not_found")
    again = await who.post(f"/requests/{request_id}/submit", key=f"{request_id}:submit")
    assert (again.status_code, again.json()) == (202, receipt)
    problem(
        await who.post(f"/requests/{request_id}/cancel", {"reason": "Non."}, key=f"{request_id}:submit"),
        422,
        "idempotency_key_reused",
    )
    async with away.worker():
        end = await away.settled(who, location)
    assert (end["state"], end["event"], end["version"]) == ("done", "submitted", 1)
    seen = await system.dispatcher.view(request_id)
    assert (seen["answers"], seen["attachments"]) == (before["answers"], before["attachments"])
    assert seen["submission_under_way"] is None
    assert await names(system, request_id) == ["submitted"]


async def test_what_stands_behind_waits_its_turn(away: Away) -> None:
    """Nobody is told 404 or 409 of a state that is about to be: it is queued as well, or answered "not yet"."""
    system = away.system
    request_id = await draft(system)
    path = f"/requests/{request_id}"
    ok(await system.requester.post(f"{path}/submit"), 202)
    problem(await system.dispatcher.get(path), 503, "not_yet")
    problem(await system.far_dispatcher.get(path), 404, "not_found")
    ok(await system.dispatcher.post(f"{path}/assign", {"provider_id": system.provider.id}), 202)
    waiting = await system.provider.get(path)
    problem(waiting, 503, "not_yet")
    assert waiting.headers["retry-after"]
    problem(await system.provider2.get(path), 404, "not_found")
    problem(await system.provider2.post(f"{path}/accept"), 404, "not_found")
    ok(await system.provider.post(f"{path}/accept"), 202)
    problem(await system.provider.http.put(f"/api/v1{path}/report", json={"answers": {}}), 503, "not_yet")
    ok(await system.provider.post(f"{path}/request-information", {"text": "Depuis quand ?"}), 202)
    problem(await upload(system.requester, request_id, photo((400, 300))), 409, "submission_under_way")
    ok(await system.requester.post(f"{path}/answer-information", {"text": "Trois semaines."}), 202)
    async with away.worker():

        async def all_happened() -> bool:
            return len(await names(system, request_id)) == 5

        await eventually(all_happened)
    assert await names(system, request_id) == [
        "submitted",
        "assigned",
        "accepted",
        "information_requested",
        "information_answered",
    ]
    ok(await system.provider.http.put(f"/api/v1{path}/report", json={"answers": {}}))
    problem(await system.requester.post(f"{path}/answer-information", {"text": "Encore."}), 409, "no_open_question")


async def test_a_form_that_is_on_its_way_back_waits_and_files_need_not(away: Away) -> None:
    system = away.system
    async with away.worker():
        request_id = await assigned(system)
    body = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", body), 202)
    problem(await edit(system.requester, request_id, {"priority": "urgent"}), 503, "not_yet")
    problem(await system.requester.post(f"/requests/{request_id}/resubmit"), 503, "not_yet")
    ok(await upload(system.requester, request_id, photo((400, 300))), 201)


async def test_a_submission_that_is_cancelled_behind_is_cancelled(away: Away) -> None:
    system = away.system
    request_id = await draft(system)
    ok(await system.requester.post(f"/requests/{request_id}/submit"), 202)
    end = await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Doublon."})
    ok(end, 202)
    async with away.worker():
        assert (await away.settled(system.requester, end.headers["location"]))["state"] == "done"
    assert await names(system, request_id) == ["submitted", "cancelled"]


async def test_a_submission_that_is_refused_opens_the_form_and_its_person_is_told(away: Away) -> None:
    """Before it came another (forged) resubmission of the same version, and another return."""
    system, who = away.system, away.system.requester
    async with away.worker():
        request_id = await returned(system)
    handle = system.workflow(request_id)
    forged = said_by(who, Role.REQUESTER, form={"number": 2, "sha256": "0" * 64})
    await handle.signal("resubmit", forged)
    back = said_by(system.provider, Role.PROVIDER, reason="incomplete_submission", text="Encore floues.")
    await handle.signal("return_to_requester", back)
    told_before = len(system.post_office.kept_for(who.account.email))
    sent = await who.post(f"/requests/{request_id}/resubmit")
    ok(sent, 202)
    problem(await edit(who, request_id, {"priority": "urgent"}), 409, "submission_under_way")
    async with away.worker():
        end = await away.settled(who, sent.headers["location"])
        assert (end["state"], end["code"], end["event"]) == ("refused", "form_not_newer", None)
        assert end["detail"]

        async def told() -> bool:
            mails = system.post_office.kept_for(who.account.email)[told_before:]
            return any("non soumise" in str(mail["Subject"]) for mail in mails)

        await eventually(told)
        await recorded(system, request_id, 5)  # a refusal waits for no record of what was before it
    view = await who.view(request_id)
    assert (view["editable"], view["submission_under_way"]) == (True, None)
    assert view["refused_command"]["code"] == "form_not_newer"
    assert "resubmit" in view["allowed_commands"]
    assert (await system.provider.view(request_id))["refused_command"] is None
    changed = ok(await edit(who, request_id, {"priority": "urgent"}, view["version"]))
    assert changed["refused_command"] is None
    async with away.worker():
        ok(await who.post(f"/requests/{request_id}/resubmit"))
    assert (await system.provider.view(request_id))["priority"] == "urgent"


async def test_a_command_that_the_engine_never_got_leaves_everything_as_it_was(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, who = away.system, away.system.requester
    request_id, key = await draft(system), uuid4().hex
    path = f"/requests/{request_id}/submit"
    running = system.app.state.services
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    async with EngineConnection(system.settings) as nobody:
        system.app.state.services = replace(running, engine=nobody.client)
        try:
            answer = await who.post(path, key=key)
        finally:
            system.app.state.services = running
    problem(answer, 503, "engine_unreachable")
    problem(
        await who.get(f"/requests/{request_id}/commands/{Caller(who.account, '').command_id(key)}"), 404, "not_found"
    )
    answers = {**(await who.view(request_id))["answers"], "question": "Allergie à la pénicilline."}
    ok(await edit(who, request_id, {"answers": answers}))
    async with away.worker():
        ok(await who.post(path, key=key))
    assert (await system.dispatcher.view(request_id))["answers"] == answers
    assert len((await who.get(f"/requests/{request_id}/forms")).json()) == 1


async def test_what_was_given_once_more_meanwhile_is_not_taken_back(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try finds that the engine never got it, when its repetition has been queued: once, however often it comes."""
    system, who = away.system, away.system.requester
    request_id, key = await draft(system), uuid4().hex
    path = f"/requests/{request_id}/submit"

    async def is_overtaken(*_: Any, **__: Any) -> None:
        monkeypatch.undo()
        ok(await who.post(path, key=key), 202)
        raise gate.NotGivenError

    monkeypatch.setattr(gate, "give", is_overtaken)
    problem(await who.post(path, key=key), 503, "engine_unreachable")
    problem(await edit(who, request_id, {"priority": "urgent"}), 409, "submission_under_way")
    ok(await who.post(path, key=key), 202)
    history = await system.workflow(request_id).fetch_history()
    signals = [found for found in history.events if found.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) == 1


async def test_what_stands_behind_one_that_was_not_given_waits(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    system = away.system

    async with away.worker():
        request_id = await submitted(system)
        path = f"/requests/{request_id}"
        to = {"provider_id": system.provider.id}
        await never_given(monkeypatch, system.dispatcher.post(f"{path}/assign", to))
        problem(await system.provider.post(f"{path}/accept"), 503, "not_yet")
    async with system.services.database.session() as session:
        assert [given.name for given in await commands.on_their_way(session, UUID(request_id))] == ["assign"]


async def test_a_file_that_is_whole_while_the_form_is_closed_can_be_kept_later(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form was closed after the last part had been let in; then the submission comes to nothing."""
    system, who = away.system, away.system.requester
    request_id, content = await draft(system), photo((400, 300))
    part = await begun(who, request_id, len(content))

    async def is_closed(*_: Any, **__: Any) -> None:
        raise Problem("submission_under_way")

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "keep_examined", is_closed)
        problem(await send(who, part, 0, content), 409, "submission_under_way")
    kept = await send(who, part, len(content), b"")
    assert kept.is_success, kept.text
    assert ATTACHMENT_HEADER in kept.headers


async def test_a_command_of_which_nobody_knows_is_given_again(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine broke off while it was asked: the command stays on its way until it is given again, and acts once."""
    system, who = away.system, away.system.requester
    request_id = await draft(system)

    await never_given(monkeypatch, who.post(f"/requests/{request_id}/submit"))
    problem(await edit(who, request_id, {"priority": "urgent"}), 409, "submission_under_way")
    later = datetime.now(UTC) + timedelta(seconds=1)
    async with away.worker():
        async with system.services.database.session() as session:
            overdue = await commands.overdue(session, later, limit=1000)
            [given] = [found for found in overdue if str(found.request_id) == request_id]
        await giving.give_again(system.app.state.services, given)
        await giving.give_again(system.app.state.services, given)
    assert await names(system, request_id) == ["submitted"]
    async with system.services.database.session() as session:
        assert not await commands.on_their_way(session, UUID(request_id))


async def test_an_overdue_command_that_is_refused_is_told(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    system, who = away.system, away.system.provider2

    async with away.worker():
        request_id = await submitted(system)
        clinic = {"clinic_id": str(system.clinics["near"].id)}
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", clinic))
        await never_given(monkeypatch, who.post(f"/requests/{request_id}/accept"))
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        async with system.services.database.session() as session:
            [given] = await commands.on_their_way(session, UUID(request_id))
        await giving.give_again(system.app.state.services, given)

        def told() -> bool:
            return any("non effectué" in str(m["Subject"]) for m in system.post_office.kept_for(who.account.email))

        await eventually(told)
    end = ok(await who.get(f"/requests/{request_id}/commands/{given.command_id}"))
    assert (end["state"], end["code"]) == ("refused", "already_accepted")
    async with system.services.database.session() as session:
        told_of = await commands.load_command(session, given.request_id, given.command_id)
    assert told_of is not None
    assert told_of.queued_at is not None  # so the page shows it, too


# While a signature is on its way


async def test_a_queued_signature_closes_the_report(away: Away) -> None:
    system, who = away.system, away.system.provider
    async with away.worker():
        request_id = await accepted(system)
        await written(system, request_id)
    path = f"/requests/{request_id}"
    sent = await who.post(f"{path}/report/sign", {"kind": "final", "password": PASSWORD})
    ok(sent, 202)
    problem(await who.http.put(f"/api/v1{path}/report", json={"answers": {}}), 409, "report_being_signed")
    other = await who.post(f"{path}/report/sign", {"kind": "final", "password": PASSWORD})
    problem(other, 409, "report_being_signed")
    view = await who.view(request_id)
    assert (view["report_editable"], view["signature_under_way"]) == (False, True)
    assert "sign_report" not in view["allowed_commands"]
    problem(await system.requester.post(f"{path}/acknowledge"), 503, "not_yet")
    addendum = {"text": "Culture négative.", "password": PASSWORD}
    problem(await who.post(f"{path}/report/addenda", addendum), 503, "not_yet")
    problem(await system.requester.post(f"{path}/cancel", {"reason": "Doublon."}), 503, "not_yet")
    problem(await who.post(f"{path}/transfer", {"provider_id": system.provider2.id}), 503, "not_yet")
    async with away.worker():
        end = await away.settled(who, sent.headers["location"])
    assert (end["state"], end["event"]) == ("done", "final_report_issued")
    assert (await who.view(request_id))["signature_under_way"] is False
    ok(await who.post(f"{path}/report/addenda", addendum), 202)
    problem(await who.post(f"{path}/report/addenda", addendum), 503, "not_yet")
    problem(await system.requester.post(f"{path}/acknowledge"), 503, "not_yet")


async def test_a_preliminary_report_opens_again_with_what_was_signed(away: Away) -> None:
    system, who = away.system, away.system.provider
    async with away.worker():
        request_id = await accepted(system)
        await written(system, request_id)
        before = ok(await who.get(f"/requests/{request_id}/report"))
        body = {"kind": "preliminary", "password": PASSWORD}
        ok(await who.post(f"/requests/{request_id}/report/sign", body))
        assert ok(await who.get(f"/requests/{request_id}/report")) == before
        ok(await who.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": before["answers"]}))


async def test_a_signature_that_fails_opens_the_report_again(away: Away) -> None:
    """The signer's account is closed while the signature is queued, and opened again when it has failed."""
    system, who = away.system, away.system.provider2
    async with away.worker():
        request_id = await submitted(system)
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": who.id}))
        ok(await who.post(f"/requests/{request_id}/accept"))
        answers = ok(await who.get(f"/requests/{request_id}/report"))["fields"]
        said = {field["name"]: "Conduite." for field in answers if field["kind"] in ("text", "long_text")}
        ok(await who.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": said}))
    body = {"kind": "final", "password": PASSWORD}
    sent = await who.post(f"/requests/{request_id}/report/sign", body)
    ok(sent, 202)
    await _be_active(system, who, False)
    async with away.worker():

        async def failed() -> bool:
            return (await names(system, request_id))[-1] == "signing_failed"

        await eventually(failed)
        await _be_active(system, who, True)
        end = await away.settled(who, sent.headers["location"])
        assert (end["state"], end["code"]) == ("refused", "signing_failed")
        assert (await who.view(request_id))["report_editable"] is True
        ok(await who.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": said}))
        ok(await who.post(f"/requests/{request_id}/report/sign", body))


async def _be_active(system: System, who: Clinician, active: bool) -> None:
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == who.account.id).values(active=active))
