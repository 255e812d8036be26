"""A clinic in whose lists a restricted request stands everywhere: whoever is shut out finds it nowhere, and counts it nowhere."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from domain.access_review import Rule
from domain.messages import MessageEvent
from domain.requests import Role
from domain.retention import ListState, RetentionPolicy
from domain.told_partners import MessageState
from domain.webhooks import DeliveryState, WebhookType
from records import changes, destruction, people, requests, restrictions, retention
from records.ids import new_id
from records.models import (
    AccessFinding,
    AccessReview,
    Account,
    AuditEntry,
    FailedEffect,
    Notice,
    NoticeStatus,
    RetentionEntry,
    RetentionList,
    ToldMessage,
    WebhookDelivery,
    WebhookMessage,
)
from records.visibility import Viewer
from tests.api.answers import problem
from tests.api.test_changes import follow
from tests.api.test_codec import token_of
from tests.api.test_restrictions import MARKED, PATIENT, SENTENCE, look, looked_at
from tests.api.test_service_accounts import Integration, by_secret, connected
from tests.api.test_webhooks import made as made_webhook
from tests.eventually import PATIENCE_SECONDS
from tests.journeys import accepted, draft, ok, pooled, signed, submitted, written
from tests.system import Clinician, System, add_person
from use_cases.access_reviews import count_waiting
from use_cases.by_hand import holds_of, lift_hold
from use_cases.caller import Caller
from use_cases.news import news
from use_cases.problems import Problem
from use_cases.retention import digest_of

WHY = "Parenté avec la personne."


@dataclass(frozen=True)
class House:
    """A clinic of its own: of each request the id and the number, and of the lists in which they stand the ids.

    `marked` was reported, `held` is with the provider, `pool` with the providers; `later` follows `marked`, shut to nobody.
    """

    system: System
    marked: str
    held: str
    pool: str
    later: str
    numbers: Mapping[str, str]
    ids: Mapping[str, str]

    @property
    def restricted(self) -> tuple[str, ...]:
        return self.marked, self.held, self.pool


@pytest.fixture(scope="module")
async def house(system: System) -> House:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"house-{uuid4().hex[:8]}", name="Clinique des Portes")
    own = replace(system, people=dict(system.people), clinics={**system.clinics, "near": clinic})
    for name, role in (
        *((name, Role.REQUESTER) for name in ("requester",)),
        *((name, Role.DISPATCHER) for name in ("dispatcher", "dispatcher2")),
        *((name, Role.PROVIDER) for name in ("provider", "provider2")),
        *((name, Role.CLINIC_ADMINISTRATOR) for name in ("administrator", "administrator2")),
        ("operator", Role.OPERATOR),
    ):
        await add_person(own, name, clinic, role)
    answers = await _marked_answers(own)
    marked = await accepted(own, patient=PATIENT, answers=answers)
    await written(own, marked, findings=SENTENCE)
    await signed(own, marked)
    held = await accepted(own, patient=PATIENT, answers=answers)
    pool = await pooled(own)
    later = await submitted(own, earlier_id=marked)
    numbers = {id_: (await own.requester.view(id_))["number"] for id_ in (marked, held, pool, later)}
    return House(own, marked, held, pool, later, numbers, await _lists(own, marked, later, numbers))


async def _marked_answers(own: System) -> dict[str, Any]:
    answers = dict((await own.requester.view(await draft(own)))["answers"])
    rules = own.services.offerings["teledermatology"]
    return answers | {field.name: SENTENCE for field in rules.form if rules.question(field)}


async def _lists(own: System, marked: str, later: str, numbers: Mapping[str, str]) -> dict[str, str]:
    """Everything besides in which the marked request stands: as if each had come so far by itself."""
    clinic, now, request_id = own.clinics["near"], datetime.now(UTC), UUID(marked)
    hold = ok(await own.administrator.post(f"/requests/{marked}/holds", {"reason": SENTENCE}), 201)
    webhook = (await made_webhook(own.administrator))["webhook"]["id"]
    partner = (await connected(own, "messages:send")).id
    names = ("list", "review", "finding", "other_finding", "message", "told")
    made = {name: new_id() for name in names}
    async with own.services.database.session() as session:
        notice = (await session.scalars(select(Notice.id).where(Notice.request_id == request_id))).first()
        failed = {"status": NoticeStatus.EXPIRED, "last_error": "no_mail_server"}
        await session.execute(update(Notice).where(Notice.id == notice).values(**failed))
        kept = {"policy": RetentionPolicy().model_dump(), "made_at": now}
        session.add(RetentionList(id=made["list"], clinic_id=clinic.id, state=ListState.WAITING, **kept))
        session.add(
            AccessReview(
                id=made["review"], clinic_id=clinic.id, month=date(2026, 10, 1), made_at=now, accesses=9, left_out=0
            )
        )
        message = {
            "id": made["message"],
            "type": WebhookType.UPDATED,
            "request_id": request_id,
            "sequence": 0,
            "at": now,
        }
        session.add(WebhookMessage(**message, data={"number": numbers[marked]}))
        session.add(FailedEffect(effect_id=f"doors-{marked}", request_id=request_id, kind="told", code="doors", at=now))
        await session.flush()
        for id_ in (marked, later):
            about = {"list_id": made["list"], "request_id": UUID(id_), "number": numbers[id_]}
            session.add(
                RetentionEntry(**about, offering="teledermatology", last_entry_at=now, kept_until=date(2026, 1, 1))
            )
        for name, id_, rule in (
            ("finding", marked, Rule.KIN_OF_A_STRANGER),
            ("other_finding", later, Rule.NO_PARTICIPANT),
        ):
            acts = {"day": date(2026, 10, 2), "number": 1, "first_at": now, "last_at": now, "entries": []}
            who = {"review_id": made["review"], "account_id": own.provider2.account.id}
            session.add(AccessFinding(id=made[name], rule=rule, request_id=UUID(id_), **who, **acts))
        sent = {
            "message_id": made["message"],
            "endpoint_id": UUID(webhook),
            "request_id": request_id,
            "next_attempt": now,
        }
        session.add(WebhookDelivery(**sent, type=WebhookType.UPDATED, state=DeliveryState.FAILED))
        told = {"id": made["told"], "partner_id": UUID(partner), "request_id": request_id, "sequence": 1, "part": 9}
        event = next(iter(MessageEvent))
        session.add(ToldMessage(**told, event=event, version=1, at=now, state=MessageState.FAILED, next_attempt=now))
    said = {"finding_ids": [str(made["finding"])], "verdict": "to_follow_up", "note": SENTENCE}
    ok(await own.administrator.post(f"/access-reviews/{made['review']}/verdicts", said))
    ids = {"hold": hold["id"], "webhook": webhook, "partner": partner, "notice": str(notice)}
    return {**ids, **{name: str(id_) for name, id_ in made.items()}}


@asynccontextmanager
async def shut(house: House, *which: str, **whom: Any) -> AsyncIterator[None]:
    """For as long, these requests, or all that are marked, are shut to whom is named."""
    boss, ends = house.system.administrator, []
    for request_id in which or house.restricted:
        path = f"/requests/{request_id}/restrictions"
        made = ok(await boss.post(path, {**whom, "reason": WHY}), 201)
        ends.append(f"{path}/{made['id']}/end")
    try:
        yield
    finally:
        for path in ends:
            ok(await boss.post(path, {"reason": "Fini."}))


def address(path: str, house: House, request_id: str) -> str:
    own, ids = house.system, house.ids
    account = ids["partner"] if "service-accounts" in path or "/partner" in path else own.provider.id
    known = {
        "{request_id}": request_id,
        "{account_id}": account,
        "{clinic_id}": str(own.clinics["near"].id),
        "{list_id}": ids["list"],
        "{review_id}": ids["review"],
        "{finding_id}": ids["finding"],
        "{webhook_id}": ids["webhook"],
        "{message_id}": ids["message"],
        "{number}": "1",
        "{version}": "1",
        "{code}": "teledermatology",
        "{resource_id}": request_id,
    }
    for name, value in known.items():
        path = path.replace(name, value)
    while "{" in path:
        path = path.replace(path[path.index("{") : path.index("}") + 1], str(uuid4()))
    query = {"/worklist": "?filter=1&sort=created", "/api/v1/requests": "?sort=created"}
    return path + query.get(path, "")


async def seen(face: FastAPI, who: Clinician, house: House) -> set[str]:
    """The addresses at which somebody finds one of the restricted requests: its id, its number, or a word of it.

    The register of communications keeps the numbers of what left the clinic.
    """
    found = set()
    for _, path in looked_at(face):
        if "communications" in path:
            continue
        for request_id in (house.marked, house.later) if "{request_id}" in path or "{resource_id}" in path else ("",):
            asked = address(path, house, request_id)
            answer = await look(face, who, asked)
            if answer.status_code >= 300 or not answer.headers.get("content-type", "").startswith(
                ("text", "application")
            ):
                continue
            words = {*house.restricted, *(house.numbers[id_] for id_ in house.restricted)}
            if MARKED.search(answer.text) or any(word in answer.text for word in words):
                found.add(path if request_id != house.later else f"{path} of the later one")
    return found


WHOM: Mapping[str, Mapping[str, str]] = {
    "administrator2": {"account_id": "{id}"},
    "dispatcher2": {"account_id": "{id}"},
    "operator": {"account_id": "{id}"},
    "provider2": {"account_id": "{id}"},
}

BEFORE: Mapping[str, set[str]] = {
    "administrator2": {
        "/api/v1/retention/lists/{list_id}",
        "/api/v1/clinics/{clinic_id}/retention",
        "/api/v1/access-reviews/{review_id}",
        "/api/v1/access-reviews/{review_id}/findings/{finding_id}",
        "/api/v1/undeliverable",
        "/api/v1/webhooks/{webhook_id}/messages",
        "/api/v1/service-accounts/{account_id}/partner/messages",
        "/retention",
        "/undelivered",
        "/requests/{request_id} of the later one",
    },
    "dispatcher2": {"/api/v1/undeliverable", "/undelivered", "/requests/{request_id} of the later one"},
    "operator": {"/api/v1/failures", "/api/v1/undeliverable", "/undelivered"},
    "provider2": {"/worklist"},
}
"""Some of the addresses at which each found it: else it says nothing that they find it there no more."""


@pytest.mark.parametrize("name", WHOM)
async def test_it_is_found_in_no_list(face: FastAPI, house: House, name: str) -> None:
    who = house.system.people[name]
    before = await seen(face, who, house)
    assert BEFORE[name] - before == set()
    async with shut(house, **{key: value.format(id=who.id) for key, value in WHOM[name].items()}):
        assert await seen(face, who, house) == set()


async def test_it_is_counted_nowhere(house: House) -> None:
    """Loads, pools, what somebody holds, lists to approve, monthly accesses: fewer by what is shut, and the same to others."""
    own = house.system
    near = str(own.clinics["near"].id)

    async def counts(who: Clinician) -> dict[str, int]:
        clinics: Any = ok(await who.get("/clinics"))
        providers: Any = ok(await who.get("/providers"))
        mine = next(one for one in providers if one["id"] == own.provider.id)
        pool = next(one["pool_waiting"] for one in clinics if one["id"] == near)
        found = {"pool": pool, "in_progress": mine["in_progress"]}
        if Role.CLINIC_ADMINISTRATOR in who.account.roles:
            person = ok(await who.get(f"/accounts/{own.provider.id}"))
            retention_view = ok(await who.get(f"/clinics/{near}/retention"))
            review = ok(await who.get(f"/access-reviews/{house.ids['review']}"))
            found |= {"holds": person["holds"], "held": len(retention_view["holds"])}
            found |= {"listed": retention_view["lists"][0]["requests"], "findings": review["findings"]}
            found |= {"rules": sum(review["rules"].values()), "to_follow_up": review["to_follow_up"]}
        return found

    for name in ("administrator2", "dispatcher2"):
        who, other = own.people[name], own.people[name.removesuffix("2")]
        before, others = await counts(who), await counts(other)
        async with shut(house, account_id=who.id):
            assert await counts(who) == {key: number - 1 for key, number in before.items()}, name
            assert await counts(other) == others


# Retention


async def test_a_hold_is_lifted_by_nobody_to_whom_it_is_shut(house: House) -> None:
    own, path = house.system, f"/api/v1/retention/holds/{house.ids['hold']}"
    async with shut(house, house.marked, account_id=own.administrator2.id):
        problem(await own.administrator2.http.delete(path), 404, "not_found")
    holds = ok(await own.administrator.get(f"/clinics/{own.clinics['near'].id}/retention"))["holds"]
    assert house.ids["hold"] in {one["id"] for one in holds}


async def test_where_nobody_of_its_clinic_sees_a_hold_an_operator_lifts_it(house: House) -> None:
    """On the command line, by name, and only while none of the clinic's administrators can."""
    own, number = house.system, house.numbers[house.marked]
    new = {"reason": SENTENCE, "whole_patient": True}
    hold = UUID(ok(await own.administrator.post(f"/requests/{house.marked}/holds", new), 201)["id"])
    abroad = await add_person(own, f"operator_{uuid4().hex}", own.clinics["far"], Role.OPERATOR)
    operator, somebody = abroad.account.username, own.administrator.account.username

    async def lift(hold_id: UUID, username: str, of: str = number) -> None:
        await lift_hold(own.settings, of, hold_id, username=username)

    for hold_id, username, of, code in (
        (hold, operator, number, "forbidden"),  # its clinic lifts it itself
        (hold, somebody, number, "forbidden"),
        (hold, operator, "TC-1999-000001", "not_found"),
        (hold, operator, house.numbers[house.later], "not_found"),
        (uuid4(), operator, number, "not_found"),
    ):
        with pytest.raises(Problem, match=code):
            await lift(hold_id, username, of)
    async with AsyncExitStack() as shutting:
        await shutting.enter_async_context(shut(house, house.marked, account_id=own.administrator2.id))
        with pytest.raises(Problem, match="forbidden"):
            await lift(hold, operator)  # the other one still sees it
        await shutting.enter_async_context(_as_nobody(own, own.administrator))
        shown = await holds_of(own.settings, number, username=operator)
        assert hold in {one.id for one in shown}
        with pytest.raises(Problem, match="forbidden"):
            await lift(hold, own.operator.account.username)  # of the clinic that asked
        for _ in range(2):
            await lift(hold, operator)
        shown = await holds_of(own.settings, number, username=operator)
        assert hold not in {one.id for one in shown}
    for username, of, code in ((somebody, number, "forbidden"), (operator, "TC-1999-000001", "not_found")):
        with pytest.raises(Problem, match=code):
            await holds_of(own.settings, of, username=username)
    async with own.services.database.session() as session:
        by_operator = (
            AuditEntry.account_id == abroad.account.id,
            AuditEntry.side == "command_line",
            AuditEntry.request_id.is_not(None),
        )
        entries = list(await session.scalars(select(AuditEntry).where(*by_operator).order_by(AuditEntry.id)))
    assert [one.name for one in entries] == ["holds", "hold_lifted", "holds"]
    assert {(str(one.request_id), one.role) for one in entries} == {(house.marked, "operator")}


@asynccontextmanager
async def _as_nobody(own: System, who: Clinician) -> AsyncIterator[None]:
    """While that person is locked."""

    async def let_in(active: bool) -> None:
        async with own.services.database.session() as session:
            await session.execute(update(Account).where(Account.id == who.account.id).values(active=active))

    await let_in(False)
    try:
        yield
    finally:
        await let_in(True)


async def _a_list(house: House, *which: str) -> str:
    """In the place of the clinic's list that waits, one with these requests; the one before is there again afterwards."""
    own, list_id, now = house.system, new_id(), datetime.now(UTC)
    async with own.services.database.session() as session:
        waiting = RetentionList.clinic_id == own.clinics["near"].id, RetentionList.state == ListState.WAITING
        await session.execute(update(RetentionList).where(*waiting).values(state=ListState.DONE))
        kept = {"policy": RetentionPolicy().model_dump(), "made_at": now}
        session.add(RetentionList(id=list_id, clinic_id=own.clinics["near"].id, state=ListState.WAITING, **kept))
        await session.flush()
        for id_ in which:
            about = {"list_id": list_id, "request_id": UUID(id_), "number": house.numbers[id_]}
            session.add(
                RetentionEntry(**about, offering="teledermatology", last_entry_at=now, kept_until=date(2026, 1, 1))
            )
    return str(list_id)


async def test_an_approval_is_of_what_was_seen(house: House) -> None:
    """What is shut to who approves leaves the list: nobody has said that it may go."""
    own, list_id = house.system, await _a_list(house, house.marked, house.later)
    path = f"/retention/lists/{list_id}"
    whole = ok(await own.administrator.get(path))
    async with shut(house, house.marked, account_id=own.administrator2.id):
        part = ok(await own.administrator2.get(path))
        assert [one["request_id"] for one in part["entries"]] == [house.later]
        assert part["requests"] == 1
        unseen = {"sha256": whole["sha256"]}
        problem(await own.administrator2.post(f"{path}/approve", unseen), 412, "retention_list_changed")
        ok(await own.administrator2.post(f"{path}/approve", {"sha256": part["sha256"]}), 202)
        async with own.services.database.session() as session:
            left = await retention.entries_of(session, UUID(list_id))
        assert [str(one.request_id) for one in left] == [house.later]
        assert digest_of(left) == part["sha256"]
        ok(await own.administrator2.post(f"{path}/take-back"))


async def test_what_is_shown_while_it_is_approved_was_not_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restriction that ends between what the approval says and what it keeps."""
    own, list_id = house.system, await _a_list(house, house.marked, house.later)
    read = retention.entries_of
    async with AsyncExitStack() as shutting:
        await shutting.enter_async_context(shut(house, house.marked, account_id=own.administrator2.id))
        part = ok(await own.administrator2.get(f"/retention/lists/{list_id}"))

        async def read_then_opened(*given: Any, **more: Any) -> Any:
            found = await read(*given, **more)
            await shutting.aclose()
            return found

        monkeypatch.setattr(retention, "entries_of", read_then_opened)
        ok(await own.administrator2.post(f"/retention/lists/{list_id}/approve", {"sha256": part["sha256"]}), 202)
    async with own.services.database.session() as session:
        left = await read(session, UUID(list_id))
    assert [str(one.request_id) for one in left] == [house.later]
    ok(await own.administrator2.post(f"/retention/lists/{list_id}/take-back"))


async def test_a_list_with_nothing_to_see_on_it_is_not_there(house: House) -> None:
    own, list_id = house.system, await _a_list(house, house.marked)
    async with shut(house, house.marked, account_id=own.administrator2.id):
        problem(await own.administrator2.get(f"/retention/lists/{list_id}"), 404, "not_found")
        body = {"sha256": "0" * 64}
        problem(await own.administrator2.post(f"/retention/lists/{list_id}/approve", body), 404, "not_found")
        problem(await own.administrator2.post(f"/retention/lists/{list_id}/take-back"), 404, "not_found")
        lists = ok(await own.administrator2.get(f"/clinics/{own.clinics['near'].id}/retention"))["lists"]
        assert list_id not in {one["id"] for one in lists}
    ok(await own.administrator2.get(f"/retention/lists/{list_id}"))


# The accesses of a month


async def _a_month(house: House, month: date, *findings: tuple[str, Clinician]) -> tuple[str, list[str]]:
    own, review_id, now = house.system, new_id(), datetime.now(UTC)
    ids = []
    async with own.services.database.session() as session:
        clinic_id = own.clinics["near"].id
        session.add(AccessReview(id=review_id, clinic_id=clinic_id, month=month, made_at=now, accesses=5, left_out=0))
        await session.flush()
        for request_id, who in findings:
            ids.append(str(uuid4()))
            acts = {"day": month, "number": 1, "first_at": now, "last_at": now, "entries": []}
            about = {"rule": Rule.NO_PARTICIPANT, "account_id": who.account.id, "request_id": UUID(request_id)}
            session.add(AccessFinding(id=UUID(ids[-1]), review_id=review_id, **about, **acts))
    return f"/access-reviews/{review_id}", ids


def _verdict(*ids: str) -> dict[str, Any]:
    return {"finding_ids": ids, "verdict": "explained", "note": "Vu."}


async def test_a_finding_is_left_to_the_administrators_who_see_it(house: House) -> None:
    own = house.system
    path, (hidden, shown) = await _a_month(
        house, date(2026, 9, 1), (house.marked, own.provider2), (house.later, own.provider2)
    )
    async with shut(house, house.marked, account_id=own.administrator2.id):
        problem(await own.administrator2.get(f"{path}/findings/{hidden}"), 404, "not_found")
        problem(await own.administrator2.post(f"{path}/verdicts", _verdict(hidden)), 404, "not_found")
        mine = ok(await own.administrator2.post(f"{path}/verdicts", _verdict(shown)))
        assert (mine["findings"], mine["left"], mine["state"]) == (1, 0, "open")
        assert mine["waits_for_others"]
        body = {"version": mine["version"]}
        problem(await own.administrator2.post(f"{path}/sign-off", body), 409, "access_review_open")
        theirs = ok(await own.administrator.post(f"{path}/verdicts", _verdict(hidden)))
        assert (theirs["findings"], theirs["left"], theirs["waits_for_others"]) == (2, 0, False)
        mine = ok(await own.administrator2.get(path))
        assert (mine["state"], mine["waits_for_others"]) == ("to_sign_off", False)
        signed_off = ok(await own.administrator2.post(f"{path}/sign-off", {"version": mine["version"]}))
        assert signed_off["state"] == "signed_off"


async def test_whoever_alone_sees_a_finding_about_themselves_settles_it(house: House) -> None:
    """The others would have to, and do not see it: it would stand there for ever. Not who has shut it to them."""
    own = house.system
    path, (about_self,) = await _a_month(house, date(2026, 8, 1), (house.marked, own.administrator))
    problem(await own.administrator.post(f"{path}/verdicts", _verdict(about_self)), 403, "about_yourself")
    async with shut(house, house.marked, account_id=own.administrator2.id):
        assert ok(await own.administrator.get(f"{path}/findings/{about_self}"))["others_only"]
        problem(await own.administrator.post(f"{path}/verdicts", _verdict(about_self)), 403, "about_yourself")
    async with own.services.database.session() as session:
        whom, now = own.administrator2.account.id, datetime.now(UTC)
        somebody = own.requester.account.id
        kept = await restrictions.add(session, UUID(house.marked), whom, None, reason=WHY, set_by=somebody, now=now)
    try:
        assert not ok(await own.administrator.get(f"{path}/findings/{about_self}"))["others_only"]
        settled = ok(await own.administrator.post(f"{path}/verdicts", _verdict(about_self)))
        assert settled["page"][0]["verdicts"][-1]["about_self"]
    finally:
        end = f"/requests/{house.marked}/restrictions/{kept.id}/end"
        ok(await own.administrator.post(end, {"reason": "Fini."}))


async def test_a_month_goes_without_what_is_shut_to_all_administrators(house: House, system: System) -> None:
    """Of another clinic, whose administrators a restriction may shut out as a whole."""
    async with system.services.database.session() as session:
        far = await people.add_clinic(session, code=f"wing-{uuid4().hex[:8]}", name="Clinique voisine")
    apart = replace(system, people={}, clinics={})
    who = await add_person(apart, "other_boss", far, Role.CLINIC_ADMINISTRATOR)
    other = replace(house, system=replace(house.system, people={**house.system.people}, clinics={"near": far}))
    path, _ = await _a_month(other, date(2026, 9, 1), (house.marked, who))
    before = ok(await who.get(path))

    async def waiting() -> int:
        return await count_waiting(house.system.services, Caller(who.account, token_of(apart, "other_boss")))

    assert (before["findings"], before["state"]) == (1, "open")
    async with house.system.services.database.session() as session:
        own = await people.lock_clinic(session, house.system.clinics["near"].id)
        assert own is not None
        own.routes_to = [far.id]
    async with shut(house, house.marked, clinic_id=str(far.id), role="clinic_administrator"):
        now = ok(await who.get(path))
        assert (now["findings"], now["state"], now["waits_for_others"]) == (0, "to_sign_off", False)
        signed_off = ok(await who.post(f"{path}/sign-off", {"version": now["version"]}))
        assert (signed_off["state"], signed_off["sign_offs"][-1]["current"]) == ("signed_off", True)
        assert await waiting() == 0
    again = ok(await who.get(path))
    assert (again["state"], again["sign_offs"][-1]["current"]) == ("open", False)
    assert await waiting() == 1, "and they are told that it does"


# E-mails, links, streams


async def test_no_e_mail_about_it_is_sent_again(house: House) -> None:
    own, path = house.system, f"/undeliverable/{house.ids['notice']}/send-again"
    async with shut(house, house.marked, account_id=own.dispatcher2.id):
        problem(await own.dispatcher2.post(path), 404, "not_found")
    listed: Any = ok(await own.dispatcher2.get("/undeliverable"))
    assert house.ids["notice"] in {one["notice_id"] for one in listed}, "and it waits as it did"


async def test_an_open_page_hears_of_the_end_and_nothing_after_it(house: House) -> None:
    own, who = house.system, house.system.dispatcher2
    caller = Caller(who.account, token_of(own, "dispatcher2"))
    async with aclosing(news(own.of_api, caller, UUID(house.pool), None, silence_seconds=3_600)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        async with shut(house, house.pool, account_id=who.id):
            assert await asyncio.wait_for(first, PATIENCE_SECONDS) is True
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(heard), PATIENCE_SECONDS)


# Destroyed


async def test_its_end_is_told_to_nobody_to_whom_it_was_shut(house: House) -> None:
    own = house.system
    mine, theirs = [await connected(own, "requests:read", by=by) for by in (own.administrator2, own.administrator)]
    request_id = await submitted(own)
    ok(await own.requester.post(f"/requests/{request_id}/cancel", {"reason": "Vue ailleurs."}))
    near = own.clinics["near"]
    both = await add_person(own, f"both_{uuid4().hex[:6]}", near, Role.CLINIC_ADMINISTRATOR, Role.PROVIDER)
    for whom in ({"account_id": own.administrator2.id}, {"clinic_id": str(near.id), "role": "provider"}):
        ok(await own.administrator.post(f"/requests/{request_id}/restrictions", {**whom, "reason": WHY}), 201)
    async with own.services.database.session() as session:
        begun = await changes.begin(session)
    async with own.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        now, until, policy = datetime.now(UTC), date(2026, 1, 1), RetentionPolicy()
        await destruction.destroy(session, row, UUID(house.ids["list"]), now, kept_until=until, policy=policy)
    path = f"/requests/{request_id}"
    problem(await own.administrator.get(path), 410, "request_destroyed")
    problem(await own.administrator2.get(path), 404, "not_found")
    problem(await own.administrator2.get(f"{path}/journal"), 404, "not_found")

    async def told(who: Clinician, system_id: UUID | None = None) -> list[str]:
        roles = frozenset({Role.CLINIC_ADMINISTRATOR})
        viewer = Viewer(system_id or who.account.id, who.account.clinic_id, roles, system_id=system_id)
        async with own.services.database.session() as session:
            page = await changes.read(session, viewer, begun, 100)
        return [str(one.request_id) for one in page.items]

    assert request_id in await told(own.administrator)
    assert request_id not in await told(own.administrator2)
    assert request_id not in await told(both), "who looks as an administrator alone, and is a provider, too"
    problem(await both.get(path), 404, "not_found")
    assert request_id in await told(own.administrator, UUID(theirs.id))
    assert request_id not in await told(own.administrator2, UUID(mine.id)), "nor to a system by which they come in"
    problem(await mine.get(path), 404, "not_found")
    problem(await theirs.get(path), 410, "request_destroyed")


# Systems, and who can come in as one


async def test_a_system_does_not_read_on_for_who_is_shut_out(house: House) -> None:
    """Whoever has given out a living secret of it, or a key, can come in as that system."""
    own = house.system
    mine = await connected(own, "requests:read", by=own.administrator2)
    theirs = await connected(own, "requests:read", "drafts:write")
    by_theirs = by_secret(own, theirs.secret, on_behalf_of=own.requester.id)
    path = f"/requests/{house.marked}"
    assert [(await one.get(path)).status_code for one in (mine, theirs)] == [200, 200]
    async with shut(house, house.marked, account_id=own.administrator2.id):
        problem(await mine.get(path), 404, "not_found")
        listed = ok(await mine.get("/requests", params={"limit": "200"}))["items"]
        assert house.marked not in {one["id"] for one in listed}
        assert (await theirs.get(path)).status_code == 200
        secrets = f"/service-accounts/{theirs.id}/secrets"
        given = ok(await own.administrator2.post(secrets), 201)["secret"]
        problem(await Clinician(own.administrator.account, by_secret(own, given)).get(path), 404, "not_found")
        problem(await theirs.get(path), 404, "not_found")
        as_requester = await by_theirs.get(f"/api/v1{path}")
        problem(as_requester, 404, "not_found")
        newest = ok(await own.administrator.post(secrets, {"older_ends_in_hours": 0}), 201)["secret"]
        again = Clinician(own.administrator.account, by_secret(own, newest))
        assert (await again.get(path)).status_code == 200, "once the secret that they know has ended"


async def test_a_system_that_goes_blind_is_told_and_named(house: House) -> None:
    """Its feed says `gone` and `seen` as that of people; administrators of the clinic that asked read which systems it is."""
    own, path = house.system, f"/requests/{house.marked}/restrictions"
    name = f"blind_{uuid4().hex[:6]}"
    keeper = await add_person(own, name, own.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    mine, theirs = [await connected(own, "requests:read", by=by) for by in (keeper, own.administrator)]
    webhook = (await made_webhook(keeper))["webhook"]
    colleague = await add_person(own, f"colleague_{uuid4().hex[:6]}", own.clinics["near"], Role.REQUESTER)
    for_requester = Integration(mine.id, "", by_secret(own, mine.secret, on_behalf_of=own.requester.id))
    for_colleague = Integration(mine.id, "", by_secret(own, mine.secret, on_behalf_of=colleague.id))
    readers = {"mine": mine, "theirs": theirs, "for_requester": for_requester, "for_colleague": for_colleague}
    places = {reader: (await follow(own, who, "/api/v1/changes"))[1] for reader, who in readers.items()}

    async def told() -> dict[str, list[str]]:
        found = {}
        for reader, who in readers.items():
            items, places[reader] = await follow(own, who, places[reader])
            found[reader] = [one["kind"] for one in items if one["request_id"] == house.marked]
        return found

    body = {"account_id": keeper.id, "reason": WHY}
    view = ok(await own.administrator.post(path, body), 201)
    named = {(one["kind"], one["id"], one["name"]) for one in view["silenced"]}
    host = urlsplit(webhook["url"]).hostname
    shown = ok(await own.administrator.get(f"/service-accounts/{mine.id}"))
    assert named == {("service_account", mine.id, shown["name"]), ("webhook", webhook["id"], host)}
    (listed,) = ok(await own.administrator.get(path))["restrictions"]
    assert listed["silenced"] == view["silenced"]
    gone = {"mine": ["gone"], "theirs": [], "for_requester": ["gone"], "for_colleague": []}
    assert await told() == gone
    ok(await own.administrator.post(f"{path}/{view['id']}/end", {"reason": "Fini."}))
    assert await told() == {reader: ["seen"] if kinds else [] for reader, kinds in gone.items()}


async def test_a_system_that_is_locked_meanwhile_is_told_once_it_comes_in_again(house: House) -> None:
    own = house.system
    keeper = await add_person(own, f"blind_{uuid4().hex[:6]}", own.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    mine = await connected(own, "requests:read", by=keeper)
    _, place = await follow(own, mine, "/api/v1/changes")
    locked = update(Account).where(Account.id == UUID(mine.id))
    async with own.services.database.session() as session:
        await session.execute(locked.values(active=False))
    async with shut(house, house.marked, account_id=keeper.id):
        async with own.services.database.session() as session:
            await session.execute(locked.values(active=True))
        items, _ = await follow(own, mine, place)
    assert [one["kind"] for one in items if one["request_id"] == house.marked] == ["gone"]


async def test_a_system_that_two_are_shut_out_of_sees_when_the_last_ends(house: House) -> None:
    own = house.system
    keeper = await add_person(own, f"blind_{uuid4().hex[:6]}", own.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    mine = await connected(own, "requests:read", by=keeper)
    ok(await own.administrator2.post(f"/service-accounts/{mine.id}/secrets"), 201)
    _, place = await follow(own, mine, "/api/v1/changes")
    async with shut(house, house.marked, account_id=keeper.id):
        async with shut(house, house.marked, account_id=own.administrator2.id):
            pass
        items, place = await follow(own, mine, place)
        assert [one["kind"] for one in items if one["request_id"] == house.marked] == ["gone"]
    items, _ = await follow(own, mine, place)
    assert [one["kind"] for one in items if one["request_id"] == house.marked] == ["seen"]


async def test_systems_of_other_clinics_are_not_named(house: House, system: System) -> None:
    """Of what another clinic has connected the administrators of this one know nothing."""
    own, far = house.system, house.system.clinics["far"]
    keeper = await add_person(own, f"far_{uuid4().hex[:6]}", far, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)
    await connected(own, "requests:read", by=keeper)
    path = f"/requests/{house.marked}/restrictions"
    view = ok(await own.administrator.post(path, {"account_id": keeper.id, "reason": WHY}), 201)
    assert view["silenced"] == []
    ok(await own.administrator.post(f"{path}/{view['id']}/end", {"reason": "Fini."}))


async def test_a_system_does_not_read_on_for_who_is_shut_out_by_role(house: House) -> None:
    """Also in a role that is not the one in which they look after systems."""
    own, name = house.system, f"both_{uuid4().hex[:6]}"
    both = await add_person(own, name, own.clinics["near"], Role.CLINIC_ADMINISTRATOR, Role.PROVIDER)
    mine, theirs = [await connected(own, "requests:read", by=by) for by in (both, own.administrator)]
    path = f"/requests/{house.marked}"
    async with shut(house, house.marked, clinic_id=str(own.clinics["near"].id), role="provider"):
        problem(await mine.get(path), 404, "not_found")
        assert (await theirs.get(path)).status_code == 200
    assert (await mine.get(path)).status_code == 200


# Set and ended


async def test_another_reason_is_another_restriction(house: House) -> None:
    own, path = house.system, f"/requests/{house.pool}/restrictions"
    body = {"account_id": own.administrator2.id, "reason": WHY}
    first = ok(await own.administrator.post(path, body), 201)
    assert ok(await own.administrator.post(path, body), 201) == first
    second = ok(await own.administrator.post(path, {**body, "reason": "Une autre raison."}), 201)
    found = ok(await own.administrator.get(path))["restrictions"]
    assert [(one["id"], one["reason"]) for one in found] == [(second["id"], "Une autre raison."), (first["id"], WHY)]
    ok(await own.administrator.post(f"{path}/{first['id']}/end", {"reason": "Fini."}))
    problem(await own.administrator2.get(f"/requests/{house.pool}"), 404, "not_found")
    ok(await own.administrator.post(f"{path}/{second['id']}/end", {"reason": "Fini."}))
    assert (await own.administrator2.get(f"/requests/{house.pool}")).status_code == 200


async def test_operators_of_whatever_clinic_can_be_named(house: House, system: System) -> None:
    request_id = await submitted(house.system)
    body = {"account_id": system.operator.id, "reason": WHY}
    assert (await system.operator.get(f"/requests/{request_id}")).status_code == 200
    ok(await house.system.administrator.post(f"/requests/{request_id}/restrictions", body), 201)
    problem(await system.operator.get(f"/requests/{request_id}"), 404, "not_found")
