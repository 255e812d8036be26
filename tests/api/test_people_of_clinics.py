"""The people of a clinic: who may see and change whom, what ends at once, and what is kept of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from api.server import create_app
from domain.requests import Role
from records import people
from records.database import Database
from records.feed import ProjectionFeed
from records.models import Account, Clinic
from tests.api.answers import problem
from tests.eventually import eventually
from tests.journeys import accepted, assigned, ok
from tests.system import PASSWORD, Clinician, System, add_person
from use_cases.caller import Caller
from use_cases.news import news
from use_cases.services import Services


async def newcomer(system: System, *roles: Role, clinic: Clinic | None = None, **more: Any) -> Clinician:
    return await add_person(system, f"somebody_{uuid4().hex[:8]}", clinic or system.clinics["near"], *roles, **more)


@pytest.fixture
async def small(system: System) -> Clinic:
    """A clinic of its own, with nobody yet."""
    async with system.services.database.session() as session:
        return await people.add_clinic(session, code=f"small-{uuid4().hex[:8]}", name="Petite clinique")


def invitation(**more: Any) -> dict[str, Any]:
    return {
        "given_name": "Zoé",
        "family_name": "Roy",
        "email": f"zoe-{uuid4().hex}@clinique.example.com",
        "roles": ["requester"],
        **more,
    }


async def events(by: Clinician, about: Clinician) -> list[dict[str, Any]]:
    """What was done about somebody, the newest first."""
    found: Any = ok(await by.get(f"/accounts/{about.id}/events"))
    return list(found)


# Who may do what


OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "/accounts?clinic={clinic}", None),
    ("GET", "/accounts?clinic={clinic}&review=true", None),
    ("GET", "/accounts/{account}", None),
    ("GET", "/accounts/{account}/events", None),
    ("PATCH", "/accounts/{account}", {"profession": "Dermatologue"}),
    ("POST", "/accounts/{account}/confirm", None),
    ("POST", "/accounts/{account}/password-help", None),
    ("POST", "/accounts/{account}/second-factor/reset", None),
    ("GET", "/accounts/{account}/identities", None),
    ("POST", "/accounts/{account}/lock", None),
    ("POST", "/accounts/{account}/reopen", None),
    ("POST", "/accounts/{account}/leave", {}),
    ("POST", "/accounts/{account}/reopen", None),
    ("GET", "/invitations?clinic={clinic}", None),
    ("POST", "/invitations", invitation(clinic_id="{clinic}")),
    ("POST", "/invitations/{invitation}/send-again", None),
    ("POST", "/invitations/{invitation}/revoke", None),
]


async def test_administrators_reach_their_own_clinic_and_operators_every_one(system: System, small: Clinic) -> None:
    inside = await newcomer(system, Role.CLINIC_ADMINISTRATOR, clinic=small)
    target = await newcomer(system, Role.REQUESTER, clinic=small)
    ids = {"clinic": str(small.id), "account": target.id}
    expected = {
        "requester": 403,
        "dispatcher": 403,
        "provider": 403,
        "administrator": 404,
        "operator": None,
        "inside": None,
        "nobody": 401,
    }
    found: dict[tuple[str, str, str], int] = {}
    for who, status in expected.items():
        ids["invitation"] = ok(await inside.post("/invitations", invitation()), 201)["invitation"]["id"]
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(system.app), base_url="http://relais.test"
        ) as nobody:
            http = nobody if who == "nobody" else inside.http if who == "inside" else system.people[who].http
            for method, path, body in OPERATIONS:
                filled = {**body, "clinic_id": ids["clinic"]} if body and "clinic_id" in body else body
                answer = await http.request(method, f"/api/v1{path.format(**ids)}", json=filled)
                wrong = answer.status_code != status if status else answer.status_code not in (200, 201)
                if wrong:
                    found[who, method, path] = answer.status_code
    assert found == {}
    assert (await target.get("/me")).status_code == 401  # opened again, but every session had ended


async def test_nobody_becomes_an_operator_by_an_administrator(system: System) -> None:
    admin, target = system.administrator, await newcomer(system, Role.REQUESTER)
    up = {"roles": ["requester", "operator"]}
    problem(await admin.http.patch(f"/api/v1/accounts/{target.id}", json=up), 403, "operators_only")
    problem(await admin.http.patch(f"/api/v1/accounts/{admin.id}", json=up), 403, "operators_only")
    problem(await admin.post("/invitations", invitation(roles=["operator"])), 403, "operators_only")
    problem(await admin.http.patch(f"/api/v1/accounts/{target.id}", json={"roles": ["system"]}), 422, "invalid_input")
    boss = await newcomer(system, Role.OPERATOR, Role.REQUESTER)
    assert ok(await admin.get(f"/accounts/{boss.id}"))["may_change"] is False
    for method, path, body in (
        ("PATCH", "", {"email": "taken@clinique.example.com"}),
        ("POST", "/lock", None),
        ("POST", "/leave", {}),
        ("POST", "/password-help", None),
        ("POST", "/confirm", None),
    ):
        answer = await admin.http.request(method, f"/api/v1/accounts/{boss.id}{path}", json=body)
        problem(answer, 403, "operators_only")
    assert ok(await boss.get("/me"))["email"] == boss.account.email
    lifted = ok(await system.operator.http.patch(f"/api/v1/accounts/{target.id}", json=up))
    assert lifted["roles"] == ["operator", "requester"]


async def test_a_clinic_keeps_an_administrator(system: System, small: Clinic) -> None:
    one, other = [await newcomer(system, Role.CLINIC_ADMINISTRATOR, clinic=small) for _ in range(2)]
    answers = await asyncio.gather(one.post(f"/accounts/{other.id}/lock"), other.post(f"/accounts/{one.id}/lock"))
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409])
    left = one if answers[0].status_code == 200 else other
    for method, path, body in (
        ("POST", "/lock", None),
        ("POST", "/leave", {}),
        ("PATCH", "", {"roles": ["requester"]}),
    ):
        answer = await left.http.request(method, f"/api/v1/accounts/{left.id}{path}", json=body)
        problem(answer, 409, "last_administrator")
    assert ok(await system.operator.post(f"/accounts/{left.id}/lock"))["state"] == "locked"


# At once


async def test_a_lock_ends_everything_at_once_in_every_process(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    request_id = await assigned(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", {"provider_id": who.id, "reason": "Congé."}))
    ok(await who.post(f"/requests/{request_id}/accept"))
    token = who.http.headers["Authorization"].removeprefix("Bearer ")
    elsewhere = Database.from_settings(system.settings)
    async with ProjectionFeed(elsewhere) as feed:
        services = Services(
            settings=system.settings,
            database=elsewhere,
            feed=feed,
            store=system.services.store,
            engine=system.services.engine,
            offerings=system.services.offerings,
        )
        there = httpx.ASGITransport(create_app(system.settings, services))
        async with httpx.AsyncClient(transport=there, base_url="http://relais.test", headers=who.http.headers) as http:
            assert ok(await http.get("/api/v1/me"))["id"] == who.id
            streams = [
                asyncio.create_task(_ends(news(one, Caller(who.account, token), None, None, 3_600)))
                for one in (system.services, services)
            ]
            await eventually(lambda: len(feed._subscribers) == 1)
            locked = ok(await system.administrator.post(f"/accounts/{who.id}/lock"))
            assert (locked["state"], locked["holds"]) == ("locked", 1)
            problem(await http.get("/api/v1/me"), 401, "not_authenticated")
            await asyncio.gather(*streams)  # no silence passed: they were told
        signing = {"kind": "final", "password": PASSWORD}
        problem(await who.post(f"/requests/{request_id}/report/sign", signing), 401, "not_authenticated")
    await elsewhere.close()
    credentials = {"username": who.account.username, "password": PASSWORD}
    problem(await who.http.post("/api/v1/tokens", json=credentials), 401, "wrong_credentials")
    assert ok(await system.administrator.post(f"/accounts/{who.id}/lock"))["version"] == locked["version"]
    ok(await system.administrator.post(f"/accounts/{who.id}/reopen"))
    problem(await who.get("/me"), 401, "not_authenticated")  # what had ended stays so
    ok(await who.http.post("/api/v1/tokens", json=credentials), 201)
    assert [event["kind"] for event in await events(system.administrator, who)] == ["reopened", "locked"]


async def _ends(heard: Any) -> None:
    async for _ in heard:
        pass


async def test_other_roles_count_at_once_and_open_pages_ask_again(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)
    token = who.http.headers["Authorization"].removeprefix("Bearer ")
    before = len(system.services.feed._subscribers)
    stream = asyncio.create_task(_ends(news(system.services, Caller(who.account, token), None, None, 3_600)))
    await eventually(lambda: len(system.services.feed._subscribers) > before)
    problem(await who.get("/undeliverable"), 403, "forbidden")
    ok(await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json={"roles": ["dispatcher"]}))
    await stream
    assert (await who.get("/undeliverable")).status_code == 200


# What somebody holds


async def test_who_holds_requests_leaves_when_they_are_handed_over(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    request_id = await accepted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", {"provider_id": who.id, "reason": "Congé."}))
    admin, path = system.administrator, f"/api/v1/accounts/{who.id}"
    refused = problem(await admin.http.post(f"{path}/leave", json={}), 409, "still_holds_requests")
    assert refused["count"] == 1
    problem(await admin.http.patch(path, json={"roles": ["requester"]}), 409, "still_holds_requests")
    assert ok(await who.get("/me"))["roles"] == ["provider"]
    going = {"hand_over": {"dispatch": True, "reason": "Elle quitte la clinique."}}
    problem(await system.operator.http.post(f"{path}/leave", json=going), 403, "forbidden")
    left = ok(await admin.http.post(f"{path}/leave", json=going))
    assert [receipt["state"] for receipt in left["handed_over"]] == ["done"]
    assert (left["person"]["state"], left["person"]["holds"]) == ("left", 0)
    assert (await system.dispatcher.view(request_id))["status"] == "awaiting_dispatch"
    problem(await who.get("/me"), 401, "not_authenticated")
    assert ok(await admin.http.post(f"{path}/leave", json=going))["handed_over"] == []


# Changing


async def test_a_change_is_kept_with_both_ends_and_told_to_both_addresses(system: System) -> None:
    who, admin = await newcomer(system, Role.REQUESTER), system.administrator
    path, new = f"/api/v1/accounts/{who.id}", f"new-{uuid4().hex}@clinique.example.com"
    read = await admin.http.get(path)
    change = {"family_name": "Roy-Gagnon", "email": f" {new.upper()} ", "roles": ["provider", "requester", "provider"]}
    changed = ok(await admin.http.patch(path, json=change, headers={"If-Match": read.headers["etag"]}))
    usual = f"{new.upper().partition('@')[0]}@clinique.example.com"
    assert (changed["email"], changed["roles"]) == (usual, ["provider", "requester"])
    assert changed["version"] == 2
    again = await admin.http.patch(path, json=change, headers={"If-Match": read.headers["etag"]})
    assert ok(again)["version"] == 2  # it is so already
    other = {"family_name": "Gagnon"}
    problem(
        await admin.http.patch(path, json=other, headers={"If-Match": read.headers["etag"]}), 412, "account_changed"
    )
    [event] = await events(admin, who)
    assert event["changes"] == {
        "family_name": None,
        "email": [who.account.email, usual],
        "roles": [["requester"], ["provider", "requester"]],
    }
    by = ok(await admin.get("/me"))["name"]
    assert (event["kind"], event["by"], event["side"], event["address"]) == ("changed", by, "api", "127.0.0.1")
    for address in (who.account.email, usual):
        await eventually(lambda address=address: len(system.post_office.kept_for(address)) == 1)  # type: ignore[misc]
        [letter] = system.post_office.kept_for(address)
        assert who.account.username in str(letter.get_body(("plain",)))


async def test_what_can_not_be_said_of_somebody(system: System) -> None:
    who = await newcomer(system, Role.PROVIDER)
    for change, field, code in (
        ({"email": "not an address"}, "email", "not_an_address"),
        ({"email": "zoe@clinic.invalid"}, "email", "not_an_address"),
        ({"given_name": " "}, "given_name", "required"),
        ({"family_name": "a\nb"}, "family_name", "not_one_line"),
        ({"roles": []}, "roles", "required"),
        ({"language": "de"}, "language", "not_expected"),
        ({"username": "x"}, "username", "unknown_field"),
    ):
        answer = await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json=change)
        (error,) = problem(answer, 422, "invalid_input")["errors"]
        assert (error["field"], error["code"]) == (field, code)
    unknown = {"offerings": ["telepathy"]}
    answer = await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json=unknown)
    problem(answer, 422, "unknown_offering")
    served = await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json={"offerings": ["wound_care"]})
    assert ok(served)["offerings"] == ["wound_care"]
    everything = await system.administrator.http.patch(f"/api/v1/accounts/{who.id}", json={"offerings": None})
    assert ok(everything)["offerings"] is None


# Last use, and the yearly review


async def test_the_last_use_is_noted_now_and_then(system: System) -> None:
    who = await newcomer(system, Role.REQUESTER)

    async def last() -> datetime:
        ok(await who.get("/me"))
        return datetime.fromisoformat(ok(await system.administrator.get(f"/accounts/{who.id}"))["last_used_at"])

    first = await last()
    assert await last() == first
    async with system.services.database.session() as session:
        old = datetime.now(UTC) - timedelta(minutes=11)
        await session.execute(update(Account).where(Account.id == who.account.id).values(last_used_at=old))
    assert await last() > first


async def test_accounts_are_looked_at_each_year_and_when_nobody_uses_them(system: System, small: Clinic) -> None:
    admin = await newcomer(system, Role.CLINIC_ADMINISTRATOR, clinic=small)
    old, unused, fresh = [await newcomer(system, Role.REQUESTER, clinic=small) for _ in range(3)]
    now = datetime.now(UTC)
    async with system.services.database.session() as session:
        for who, days, used in ((old, 400, 1), (unused, 200, 95), (fresh, 200, 60)):
            values = {"created_at": now - timedelta(days=days), "last_used_at": now - timedelta(days=used)}
            await session.execute(update(Account).where(Account.id == who.account.id).values(values))

    async def due() -> dict[str, str]:
        found: Any = ok(await admin.get("/accounts?review=true"))
        return {person["id"]: person["review"] for person in found}

    assert await due() == {old.id: "not_reviewed", unused.id: "not_used"}
    confirmed = ok(await admin.post(f"/accounts/{old.id}/confirm"))
    assert confirmed["review"] is None
    assert ok(await admin.post(f"/accounts/{old.id}/confirm"))["version"] == confirmed["version"]
    ok(await admin.post(f"/accounts/{unused.id}/lock"))
    assert await due() == {}
    problem(await admin.post(f"/accounts/{unused.id}/confirm"), 409, "account_not_active")
    assert [event["kind"] for event in await events(admin, old)] == ["reviewed"]


# The clinic itself


async def test_a_clinic_is_changed_by_its_administrators_and_routed_by_operators(system: System, small: Clinic) -> None:
    admin, path = await newcomer(system, Role.CLINIC_ADMINISTRATOR, clinic=small), f"/api/v1/clinics/{small.id}"
    for who, status in ((system.administrator, 404), (system.provider, 403)):
        for method, where, body in (("GET", "", None), ("PATCH", "", {"phone": "1"}), ("GET", "/events", None)):
            assert (await who.http.request(method, f"{path}{where}", json=body)).status_code == status
    seen = await admin.http.get(path)
    week = [["08:00-12:00", "13:00-17:00"]] * 4 + [["09:00-12:00"], [], []]
    change = {"name": "Clinique du Lac", "calendar": {"week": week, "also_closed": ["2027-08-02"]}}
    changed = ok(await admin.http.patch(path, json=change, headers={"If-Match": seen.headers["etag"]}))
    assert (changed["name"], changed["version"]) == ("Clinique du Lac", 2)
    assert (changed["calendar"]["week"], changed["calendar"]["closing_days"]) == (week, "quebec_network")
    more = ok(await admin.http.patch(path, json={"calendar": {"closing_days": "none"}}))["calendar"]
    assert (more["week"], more["also_closed"], more["closing_days"]) == (week, ["2027-08-02"], "none")
    assert ok(await admin.http.patch(path, json=change))["version"] == 3  # it is so already
    late = {"phone": "418 555-0199"}
    problem(await admin.http.patch(path, json=late, headers={"If-Match": seen.headers["etag"]}), 412, "clinic_changed")
    near = {"routes_to": [str(system.clinics["near"].id)]}
    problem(await admin.http.patch(path, json=near), 403, "routes_by_operators")
    problem(await system.operator.http.patch(path, json={"routes_to": [str(uuid4())]}), 422, "unknown_clinic")
    assert ok(await system.operator.http.patch(path, json=near))["routes_to"] == near["routes_to"]
    told: Any = ok(await admin.http.get(f"{path}/events"))
    assert [list(event["changes"]) for event in told] == [["routes_to"], ["calendar"], ["name", "calendar"]]


async def test_hours_that_no_clinic_has_are_told_in_words(system: System, small: Clinic) -> None:
    for calendar, field, code in (
        ({"week": [["8h-12h"], [], [], [], [], [], []]}, "calendar.week.0.0", "not_hours"),
        ({"week": [["12:00-08:00"], [], [], [], [], [], []]}, "calendar.week.0.0", "not_hours"),
        ({"week": [["08:00-12:00", "11:00-13:00"], [], [], [], [], [], []]}, "calendar.week", "hours_in_disorder"),
        ({"week": [[]] * 7}, "calendar.week", "never_open"),
        ({"time_zone": "Mars/Olympus"}, "calendar.time_zone", "no_time_zone"),
        ({"also_closed": ["2027-08-02"], "open_after_all": ["2027-08-02"]}, "calendar", "closed_and_open"),
    ):
        answer = await system.operator.http.patch(f"/api/v1/clinics/{small.id}", json={"calendar": calendar})
        error, *_ = problem(answer, 422, "invalid_input")["errors"]
        assert (error["field"], error["code"]) == (field, code)


async def test_operators_make_clinics(system: System) -> None:
    new = {"code": f"neuve-{uuid4().hex[:8]}", "name": "Clinique neuve"}
    problem(await system.administrator.post("/clinics", new), 403, "forbidden")
    made = ok(await system.operator.post("/clinics", new), 201)
    problem(await system.operator.post("/clinics", new), 409, "clinic_code_taken")
    boss = invitation(roles=["clinic_administrator"], clinic_id=made["id"])
    assert ok(await system.operator.post("/invitations", boss), 201)["invitation"]["clinic_id"] == made["id"]


# Nobody alone


async def test_nobody_lets_themself_sign(system: System) -> None:
    admin = await newcomer(system, Role.CLINIC_ADMINISTRATOR)
    path = f"/api/v1/accounts/{admin.id}"
    signing: Any
    for signing in ({"roles": ["clinic_administrator", "provider"]}, {"licence_number": "778"}):
        problem(await admin.http.patch(path, json=signing), 403, "not_for_oneself")
        ok(await system.administrator.http.patch(path, json=signing))
    same: Any = {"roles": ["provider", "clinic_administrator"], "licence_number": "778", "title": "Dre"}
    assert ok(await admin.http.patch(path, json=same))["name"].startswith("Dre ")
    assert ok(await admin.http.patch(path, json={"roles": ["clinic_administrator"]}))["roles"] == [
        "clinic_administrator"
    ]


@pytest.mark.parametrize("way", ["lock", "leave"])
async def test_whom_somebody_invited_who_is_gone_is_invited_no_more(system: System, way: str) -> None:
    admin = await newcomer(system, Role.CLINIC_ADMINISTRATOR)
    sent = [ok(await admin.post("/invitations", invitation()), 201)["invitation"]["id"] for _ in range(2)]
    ok(await admin.post(f"/invitations/{sent[0]}/revoke"))
    other = ok(await system.administrator.post("/invitations", invitation()), 201)["invitation"]["id"]
    ok(await system.administrator.post(f"/accounts/{admin.id}/{way}", {} if way == "leave" else None))
    listed = {one["id"]: one["state"] for one in (await system.administrator.get("/invitations")).json()}
    assert [listed[id_] for id_ in (*sent, other)] == ["revoked", "revoked", "open"]


async def test_who_leaves_again_hands_over_again_and_only_to_who_can_take_it(system: System) -> None:
    who, colleague = await newcomer(system, Role.PROVIDER), await newcomer(system, Role.PROVIDER)
    asks, gone = await newcomer(system, Role.REQUESTER), await newcomer(system, Role.PROVIDER)
    ok(await system.administrator.post(f"/accounts/{gone.id}/lock"))
    request_id = await accepted(system)
    given = {"provider_id": who.id, "reason": "Congé."}
    ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", given))
    admin, path = system.administrator, f"/api/v1/accounts/{who.id}"
    for nobody in (who.id, asks.id, gone.id, str(uuid4())):
        going = {"hand_over": {"provider_id": nobody, "reason": "Elle quitte."}}
        problem(await admin.http.post(f"{path}/leave", json=going), 422, "unknown_provider")
    assert ok(await who.get("/me"))["id"] == who.id
    going = {"hand_over": {"provider_id": colleague.id, "reason": "Elle quitte."}}
    for _ in range(2):
        left = ok(await admin.http.post(f"{path}/leave", json=going))
        assert [one["state"] for one in left["handed_over"]] == ["done"]
        assert left["person"]["holds"] == 0
        ok(await admin.http.post(f"{path}/reopen"))
        ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", given))
