"""The worklist: what is in it, its filters, counts, order and pages, for each who may see it."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from domain.requests import Role, Status
from records import people
from tests.api.answers import problem
from tests.journeys import PATIENT, draft, ok, submitted
from tests.system import Clinician, System, add_person


@dataclass(frozen=True)
class Desk:
    """A clinic of its own, so that nothing else is in its lists: people, and the requests of one requester by what they are."""

    system: System
    requester: Clinician
    dispatcher: Clinician
    provider: Clinician
    colleague: Clinician
    ids: dict[str, str]


@pytest.fixture(scope="module")
async def desk(system: System) -> Desk:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"desk-{uuid4().hex[:8]}", name="Clinique du Pupitre")
    names = {
        "desk_requester": Role.REQUESTER,
        "desk_dispatcher": Role.DISPATCHER,
        "desk_provider": Role.PROVIDER,
        "desk_colleague": Role.PROVIDER,
    }
    requester, dispatcher, provider, colleague = [
        await add_person(system, name, clinic, role) for name, role in names.items()
    ]
    ids: dict[str, str] = {}
    usual = system.people["requester"]
    system.people["requester"] = requester  # the journeys speak for whoever is called so
    try:
        for name in ("draft", "waiting", "late", "assigned", "pooled", "asked", "returned", "cancelled"):
            priority = {"waiting": "urgent", "late": "asap"}.get(name, "routine")
            make = draft if name == "draft" else submitted
            ids[name] = await make(system, priority=priority)
    finally:
        system.people["requester"] = usual
    for name in ("assigned", "asked", "returned"):
        ok(await dispatcher.post(f"/requests/{ids[name]}/assign", {"provider_id": provider.id}))
    ok(await dispatcher.post(f"/requests/{ids['pooled']}/assign", {"clinic_id": str(clinic.id)}))
    ok(await provider.post(f"/requests/{ids['asked']}/accept"))
    ok(await provider.post(f"/requests/{ids['asked']}/request-information", {"text": "Depuis quand?"}))
    reason = {"reason": "not_eligible", "text": "Ce n’est pas de la dermatologie."}
    ok(await provider.post(f"/requests/{ids['returned']}/return-to-requester", reason))
    ok(await requester.post(f"/requests/{ids['cancelled']}/cancel", {"reason": "Erreur."}))
    ok(await system.operator.post(f"/requests/{ids['late']}/deadlines/dispatch"))
    return Desk(system, requester, dispatcher, provider, colleague, ids)


async def names(desk: Desk, who: Clinician, **params: Any) -> list[str]:
    """The names of the requests in a list, in its order."""
    by_id = {id_: name for name, id_ in desk.ids.items()}
    page = ok(await who.get("/requests", params=params))
    return [by_id[row["id"]] for row in page["items"]]


async def test_what_is_in_it(desk: Desk) -> None:
    everything = set(desk.ids)
    assert set(await names(desk, desk.requester)) == everything
    assert set(await names(desk, desk.dispatcher)) == everything - {"draft"}
    assert set(await names(desk, desk.provider)) == {"assigned", "pooled", "asked", "returned"}
    assert set(await names(desk, desk.colleague)) == {"pooled"}
    elsewhere = ok(await desk.system.provider.get("/requests", params={"limit": 200}))["items"]
    assert not set(desk.ids.values()) & {row["id"] for row in elsewhere}


async def test_what_waits_for_me(desk: Desk) -> None:
    assert set(await names(desk, desk.requester, holder="me")) == {"draft", "returned"}
    assert set(await names(desk, desk.provider, holder="me")) == {"assigned", "pooled", "asked"}
    assert set(await names(desk, desk.colleague, holder="me")) == {"pooled"}
    assert set(await names(desk, desk.dispatcher, holder="me")) == {"waiting", "late"}


async def test_what_i_have_to_do(desk: Desk) -> None:
    for who, expected in (
        (desk.requester, {"asked": "answer", "returned": "resubmit"}),
        (desk.provider, {"assigned": "accept", "pooled": "accept"}),  # asked: the requester has to answer
        (desk.colleague, {"pooled": "accept"}),
        (desk.dispatcher, {"waiting": "dispatch", "late": "dispatch"}),
    ):
        assert set(await names(desk, who, todo="true")) == set(expected)
        by_id = {row["id"]: row["todo"] for row in ok(await who.get("/requests"))["items"]}
        assert {name: by_id[desk.ids[name]] for name in desk.ids if by_id.get(desk.ids[name])} == expected
        assert not set(await names(desk, who, todo="false")) & set(expected)
    assert (await desk.requester.view(desk.ids["asked"]))["todo"] == "answer"
    assert (await desk.provider.view(desk.ids["asked"]))["todo"] is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "awaiting_dispatch"}, {"waiting", "late"}),
        ({"status": ["accepted", "returned"]}, {"asked", "returned"}),
        ({"overdue": "true"}, {"late"}),
        ({"overdue": "false", "status": "awaiting_dispatch"}, {"waiting"}),
        ({"priority": "asap"}, {"late"}),
        ({"priority": "urgent"}, {"waiting"}),
        ({"offering": "wound_care"}, set()),
        ({"offering": "teledermatology", "status": "cancelled"}, {"cancelled"}),
        ({"clinic": "00000000-0000-0000-0000-000000000000"}, set()),
        ({"q": "%"}, set()),
        ({"q": "_______"}, set()),
        ({"q": "Trembley"}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",  # a set prints in another order in each process
)
async def test_filters(desk: Desk, params: dict[str, Any], expected: set[str]) -> None:
    assert set(await names(desk, desk.dispatcher, **params)) == expected
    page = ok(await desk.dispatcher.get("/requests", params=params))
    if "status" not in params:
        assert sum(page["counts"].values()) == len(expected)


async def test_counts_are_of_all_statuses_and_pages(desk: Desk) -> None:
    expected = {"awaiting_dispatch": 2, "awaiting_acceptance": 2, "accepted": 1, "returned": 1, "cancelled": 1}
    for params in ({}, {"status": "accepted"}, {"limit": 1}):
        page = ok(await desk.dispatcher.get("/requests", params=params))
        assert {status: count for status, count in page["counts"].items() if count} == expected
    of_the_requester = ok(await desk.requester.get("/requests"))["counts"]
    assert {status: count for status, count in of_the_requester.items() if count} == {**expected, "draft": 1}
    assert set(of_the_requester) <= set(Status)


async def test_search_by_number(desk: Desk) -> None:
    number = (await desk.requester.view(desk.ids["asked"]))["number"]
    for q in (number, number.lower(), f" {number} ", number[-6:], number[3:]):
        assert "asked" in await names(desk, desk.provider, q=q)
    assert await names(desk, desk.provider, q=number) == ["asked"]
    assert ok(await desk.system.far_provider.get("/requests", params={"q": number}))["items"] == []


async def test_search_by_patient_is_written_down(desk: Desk) -> None:
    def looks(entries: Any) -> list[tuple[str, str]]:
        return [(look["by"]["id"], look["role"]) for look in entries if look["what"] == "search"]

    path = f"/requests/{desk.ids['asked']}/accesses"
    for q in ("clinique du pupitre", (await desk.requester.view(desk.ids["asked"]))["number"]):
        assert "asked" in await names(desk, desk.provider, q=q)
    assert looks(ok(await desk.requester.get(path))) == []
    family, given = PATIENT["family_name"], PATIENT["given_name"]
    for q in (f"{family} {given}", family.upper()[:3], PATIENT["birth_date"]):
        assert set(await names(desk, desk.provider, q=q)) == {"assigned", "pooled", "asked", "returned"}
    assert looks(ok(await desk.requester.get(path))) == [(desk.provider.id, "provider")]
    assert await names(desk, desk.colleague, q=family) == ["pooled"]
    elsewhere = ok(await desk.system.operator.get("/requests", params={"q": family}))
    assert not set(desk.ids.values()) & {row["id"] for row in elsewhere["items"]}


async def test_a_line_says_what_one_needs(desk: Desk) -> None:
    number = (await desk.requester.view(desk.ids["asked"]))["number"]
    (line,) = ok(await desk.provider.get("/requests", params={"q": number}))["items"]
    assert (line["status"], line["status_label"], line["open_questions"]) == ("accepted", "En traitement", 1)
    assert (line["due_at"], line["overdue"]) == (None, False)  # the clock stands still while a question is open
    assert line["patient"] == PATIENT
    assert line["holder"]["person"]["id"] == desk.provider.id
    assert line["holder"]["clinic"] == "Clinique du Pupitre"
    assert line["requester"]["id"] == desk.requester.id


async def test_order(desk: Desk) -> None:
    async def page(sort: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ok(await desk.requester.get("/requests", params={"sort": sort}))["items"]
        return rows

    far_away = "9999"
    due = [row["due_at"] or far_away for row in await page("due")]
    assert due == sorted(due)
    assert [row["due_at"] or far_away for row in await page("-due")] == sorted(due, reverse=True)
    rank = {"asap": 1, "urgent": 2, "routine": 3}
    urgency = [(rank[row["priority"]], row["due_at"] or far_away) for row in await page("priority")]
    assert urgency == sorted(urgency)
    for sort, field in (("updated", "updated_at"), ("created", "created_at")):
        moments = [datetime.fromisoformat(row[field]) for row in await page(sort)]
        assert all(one >= other for one, other in pairwise(moments)), sort


@pytest.mark.parametrize("sort", ["due", "-due", "priority", "updated", "created"])
async def test_page_by_page(desk: Desk, sort: str) -> None:
    whole = await names(desk, desk.requester, sort=sort)
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"sort": sort, "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = ok(await desk.requester.get("/requests", params=params))
        found += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [desk.ids[name] for name in whole]
    first = ok(await desk.requester.get("/requests", params={"sort": sort, "limit": 3}))["next_cursor"]
    other = "created" if sort != "created" else "due"
    answer = await desk.requester.get("/requests", params={"sort": other, "cursor": first})
    problem(answer, 422, "invalid_input")
