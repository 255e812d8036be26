"""Other requests about the same patient: who may see them, the warning before a second one, and one that follows another."""

from typing import Any

from sqlalchemy import select

from domain.audit import Act
from records.models import AuditEntry
from tests.api.answers import problem
from tests.journeys import PATIENT, accepted, closed, draft, filled, ok, submitted
from tests.system import System


def somebody(number: int) -> dict[str, Any]:
    """A patient whom no other test knows."""
    return {**PATIENT, "given_name": "Zélie", "birth_date": f"1931-05-{number:02}", "health_insurance_number": ""}


async def found(system: System, who: str, request_id: str) -> list[str]:
    answer = await system.people[who].get(f"/requests/{request_id}/same-patient")
    assert answer.status_code == 200, answer.text
    return [line["id"] for line in answer.json()]


async def test_others_of_the_same_patient_for_who_may_see_their_chart(system: System) -> None:
    first = await accepted(system, patient=somebody(1))
    second = await submitted(system, patient={**somebody(1), "given_name": "ZÉLIE"})
    other = await submitted(system, patient=somebody(2))
    written = await draft(system, patient=somebody(1))
    assert await found(system, "requester", first) == [written, second]
    assert await found(system, "dispatcher", first) == [second]
    assert await found(system, "provider", first) == []
    assert other not in await found(system, "requester", second)
    problem(await system.people["provider2"].get(f"/requests/{first}/same-patient"), 404, "not_found")
    problem(await system.operator.get(f"/requests/{first}/same-patient"), 403, "forbidden")
    async with system.services.database.session() as session:
        query = select(AuditEntry.request_id).where(
            AuditEntry.account_id == system.dispatcher.account.id, AuditEntry.kind == Act.SEARCH
        )
        assert second in {str(id_) for id_ in await session.scalars(query)}


async def test_before_a_second_one_for_the_same_offering_is_submitted_it_is_said(system: System) -> None:
    first = await submitted(system, patient=somebody(3))
    number = (await system.requester.view(first))["number"]
    second = await draft(system, patient=somebody(3))
    elsewhere = await draft(system, "wound_care", patient=somebody(3))
    check = ok(await system.requester.get(f"/requests/{second}/check"))
    assert check["open_requests"] == [{"id": first, "number": number}]
    assert ok(await system.requester.get(f"/requests/{elsewhere}/check"))["open_requests"] == []
    ok(await system.requester.post(f"/requests/{first}/cancel", {"reason": "Guérie."}))
    assert ok(await system.requester.get(f"/requests/{second}/check"))["open_requests"] == []
    ok(await system.requester.post(f"/requests/{second}/submit"))


async def test_begun_from_another_the_form_is_copied_and_both_name_each_other(system: System) -> None:
    rules = system.services.offerings["teledermatology"]
    consent = {"given_by": "patient", "date": "2026-11-20"}
    first = await submitted(system, answers={**filled(rules.form), "consent": consent})
    before = await system.requester.view(first)
    assert before["answers"].pop("consent")
    body = {"offering": "teledermatology", "earlier_id": first, "copy_form": True}
    made = ok(await system.requester.post("/requests", body, key="from-this-one"), 201)
    assert (made["patient"], made["answers"], made["attachments"]) == (before["patient"], before["answers"], [])
    assert (made["earlier"]["id"], made["earlier"]["number"]) == (first, before["number"])
    again = ok(await system.requester.post("/requests", body, key="from-this-one"), 201)
    assert again["id"] == made["id"]
    assert [one["id"] for one in (await system.requester.view(first))["later"]] == [made["id"]]
    assert (await system.dispatcher.view(first))["later"] == []  # a draft is its requester's alone

    other = ok(await system.requester.post("/requests", {**body, "offering": "wound_care"}), 201)
    assert (other["patient"], other["answers"]) == (before["patient"], {})
    own = {**body, "patient": somebody(4), "answers": {}}
    assert ok(await system.requester.post("/requests", own), 201)["patient"]["given_name"] == "Zélie"


async def test_who_gets_the_new_one_learns_the_earlier_ones_number_and_no_more(system: System) -> None:
    first = await closed(system)
    number = (await system.requester.view(first))["number"]
    rules = system.services.offerings["teledermatology"]
    second = await draft(system, earlier_id=first, answers=filled(rules.form))
    ok(await system.requester.post(f"/requests/{second}/submit"))
    ok(await system.dispatcher.post(f"/requests/{second}/assign", {"provider_id": system.people["provider2"].id}))
    view = await system.people["provider2"].view(second)
    assert view["earlier"] == {"number": number, "id": None, "status": None, "created_at": None}
    assert [one["id"] for one in (await system.dispatcher.view(first))["later"]] == [second]


async def test_only_what_one_may_see_and_was_submitted_can_be_followed(system: System) -> None:
    theirs = await submitted(system)
    begun = {"offering": "teledermatology"}
    stranger = system.people["far_requester"]
    problem(await stranger.post("/requests", {**begun, "earlier_id": theirs}), 404, "not_found")
    own = await draft(system)
    problem(await system.requester.post("/requests", {**begun, "earlier_id": own}), 409, "earlier_is_draft")
