"""The accesses of a month: what real acts lead to, who says what of it, and who signs it off."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from domain.access_review import Bond, Rule, following
from domain.accounts import LetterKind
from domain.audit import Act
from domain.calendar import TIME_ZONE, day_of
from domain.requests import Role
from domain.retention import ListState, RetentionPolicy
from records import access_reviews, audit, destruction, people
from records.audit import By
from records.canonical import canonical_json
from records.database import Database
from records.models import (
    AccessReview,
    Account,
    AccountLetter,
    AuditEntry,
    Clinic,
    RequestParty,
    RequestRecord,
    RetentionList,
)
from tests.api.answers import let_lie, problem
from tests.journeys import cancelled, ok, reported, submitted
from tests.system import Clinician, System, add_person
from use_cases.access_analysis import analyse_and_remind, analyse_clinic
from use_cases.access_reviews import digest_of
from use_cases.unread_reports import tell_clinics


@dataclass
class Small:
    """A clinic of its own, with somebody who asks, and two who administer it."""

    clinic: Clinic
    requester: Clinician
    administrator: Clinician
    colleague: Clinician


@pytest.fixture
async def small(system: System) -> Small:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"small-{uuid4().hex[:8]}", name="Clinique des Accès")
    mark = uuid4().hex[:8]
    return Small(
        clinic,
        await add_person(system, f"asks_{mark}", clinic, Role.REQUESTER),
        await add_person(system, f"administers_{mark}", clinic, Role.CLINIC_ADMINISTRATOR),
        await add_person(system, f"helps_{mark}", clinic, Role.CLINIC_ADMINISTRATOR),
    )


def next_month() -> datetime:
    """When the month of what is done now is over."""
    return datetime.combine(following(day_of(datetime.now(UTC)).replace(day=1)), datetime.min.time(), UTC) + timedelta(
        hours=12
    )


def by_day(now: datetime) -> datetime:
    """That moment, or the noon of its day where it lies in the night, which is a matter of a rule."""
    return now if 7 <= now.hour < 21 else now.replace(hour=12)


async def acted(
    system: System, who: Clinician, kind: Act, *, at: datetime | None = None, name: str | None = None, **more: Any
) -> None:
    """As if somebody had done that, at that time; else by day, where the clinic is."""
    at = at or by_day(datetime.now(TIME_ZONE))
    async with system.services.database.session() as session:
        by = By(who.account.id, None, "192.0.2.7", who.account.clinic_id)
        entry = audit.add(session, kind, by, at, name=name, **more)
        entry.id = UUID(int=audit.first_id_of(at).int | (7 << 76) | (2 << 62) | uuid4().int & ((1 << 62) - 1))
        entry.leaf = audit.leaf_of(entry)


async def looked(system: System, who: Clinician, request_id: str, **more: Any) -> None:
    await acted(
        system, who, Act.REQUEST, request_id=UUID(request_id), role=Role(who.account.roles[0]), version=1, **more
    )


async def had_to_do_with(system: System, small: Small, request_id: str) -> None:
    """As if the clinic had had a part in the request."""
    async with system.services.database.session() as session:
        ids = {"clinic_id": small.clinic.id, "party_id": small.clinic.id}
        session.add(RequestParty(request_id=UUID(request_id), **ids))


async def analysed(system: System, small: Small) -> dict[str, Any]:
    """The review of this month, as an administrator sees it when it is over."""
    assert await analyse_clinic(system.services.database, small.clinic.id, next_month()) == 1
    [listed] = await months(small.administrator)
    return ok(await small.administrator.get(f"/access-reviews/{listed['id']}"))


async def months(who: Clinician) -> list[dict[str, Any]]:
    found: Any = ok(await who.get("/access-reviews"))
    return list(found)


def rules_in(review: dict[str, Any]) -> dict[str, str]:
    """Who is listed, by rule."""
    return {one["rule"]: one["person"]["id"] for one in review["page"]}


async def said(
    who: Clinician, review: dict[str, Any], *rules: Rule, verdict: str = "explained", note: str = "Vu"
) -> Any:
    """The same of all findings by these rules; of all where none is named."""
    ids = [one["id"] for one in review["page"] if not rules or one["rule"] in rules]
    body = {"finding_ids": ids, "verdict": verdict, "note": note}
    return await who.post(f"/access-reviews/{review['id']}/verdicts", body)


async def signed_off(who: Clinician, review: dict[str, Any]) -> Any:
    now = ok(await who.get(f"/access-reviews/{review['id']}"))
    return await who.post(f"/access-reviews/{review['id']}/sign-off", {"version": now["version"]})


async def test_what_somebody_did_is_listed_judged_and_signed_off(system: System, small: Small) -> None:
    request_id = await submitted(system)
    await had_to_do_with(system, small, request_id)
    await looked(system, small.requester, request_id)
    for _ in range(5):
        await acted(system, small.requester, Act.SIGN_IN_FAILED, name="wrong_password")
    review = await analysed(system, small)
    assert rules_in(review) == {"no_participant": small.requester.id, "failed_tries": small.requester.id}
    assert (review["state"], review["left"], review["accesses"]) == ("open", 2, 6)
    [one] = [finding for finding in review["page"] if finding["rule"] == "no_participant"]
    assert one["request_id"] == request_id
    whole = ok(await small.administrator.get(f"/access-reviews/{review['id']}/findings/{one['id']}"))
    assert [(entry["what"], entry["request_id"]) for entry in whole["entries"]] == [("request", request_id)]
    problem(await signed_off(small.administrator, review), 409, "access_review_open")

    ok(await said(small.administrator, review, Rule.NO_PARTICIPANT, note="Remplacement de la Dre Roy"))
    ok(await said(small.administrator, review, Rule.NO_PARTICIPANT, note="Remplacement de la Dre Roy"))  # once
    after = ok(await said(small.colleague, review, Rule.FAILED_TRIES, verdict="to_follow_up", note="À vérifier"))
    assert (after["state"], after["version"], after["to_follow_up"]) == ("to_sign_off", 2, 1)
    problem(
        await small.administrator.post(f"/access-reviews/{review['id']}/sign-off", {"version": 1}),
        412,
        "access_review_changed",
    )
    done = ok(await signed_off(small.administrator, review))
    again = ok(await signed_off(small.colleague, review))
    assert (done["state"], len(again["sign_offs"])) == ("signed_off", 1)
    assert again["sign_offs"][0]["signed_by"]["id"] == small.administrator.id

    changed = ok(await said(small.colleague, review, Rule.FAILED_TRIES, note="Un clavier anglais"))
    assert (changed["state"], changed["to_follow_up"], changed["sign_offs"][0]["current"]) == ("to_sign_off", 0, False)
    [tries] = [finding for finding in changed["page"] if finding["rule"] == "failed_tries"]
    assert [verdict["note"] for verdict in tries["verdicts"]] == ["À vérifier", "Un clavier anglais"]
    last = ok(await signed_off(small.colleague, review))
    assert [one["signed_by"]["id"] for one in last["sign_offs"]] == [small.administrator.id, small.colleague.id]
    assert last["sign_offs"][0]["sha256"] != last["sign_offs"][1]["sha256"]
    events: Any = ok(await small.administrator.get(f"/clinics/{small.clinic.id}/events"))
    assert "accesses_signed_off" in {event["kind"] for event in events}


async def test_a_request_with_which_the_clinic_has_nothing_to_do_is_judged_and_not_named(
    system: System, small: Small
) -> None:
    request_id = await submitted(system)
    number = (await system.requester.view(request_id))["number"]
    await looked(system, small.requester, request_id)
    review = await analysed(system, small)
    [one] = review["page"]
    whole = await small.administrator.get(f"/access-reviews/{review['id']}/findings/{one['id']}")
    for answer in (str(review), whole.text):
        assert request_id not in answer
        assert number not in answer
    assert (one["rule"], one["elsewhere"], one["request_id"]) == ("no_participant", True, None)
    ok(await said(small.administrator, review, note="Ouverte pour un dépannage"))
    done = ok(await signed_off(small.colleague, review))
    assert (done["state"], done["page"][0]["verdicts"][0]["note"]) == ("signed_off", "Ouverte pour un dépannage")


async def test_what_was_signed_off_is_made_up_again_from_the_rows(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system))
    for _ in range(5):
        await acted(system, small.requester, Act.SIGN_IN_FAILED, name="wrong_password")
    review = await analysed(system, small)
    ok(await said(small.administrator, review))
    done = ok(await signed_off(small.colleague, review))
    async with system.services.database.session() as session:
        rows = (
            await session.execute(
                text(
                    "SELECT f.*, v.number AS verdict_number, v.verdict, v.given_by FROM access_findings AS f "
                    "JOIN access_verdicts AS v ON v.finding_id = f.id WHERE f.review_id = :id ORDER BY f.id"
                ),
                {"id": review["id"]},
            )
        ).all()
    told = {
        "review": review["id"],
        "month": review["month"],
        "accesses": 6,
        "left_out": 0,
        "findings": [
            [
                *(str(row.id), str(row.account_id), None if row.request_id else row.rule, str(row.day)),
                *(row.request_id and str(row.request_id), row.number, [str(one) for one in row.entries]),
                *(row.first_at.astimezone(UTC).isoformat(), row.last_at.astimezone(UTC).isoformat()),
                *(row.verdict_number, row.verdict, str(row.given_by)),
            ]
            for row in rows
        ],
    }
    assert len(rows) == 2
    assert done["sign_offs"][0]["sha256"] == sha256(canonical_json(told)).hexdigest()


async def test_the_same_when_made_twice(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system))
    review = await analysed(system, small)
    assert await analyse_clinic(system.services.database, small.clinic.id, next_month()) == 0
    assert len(await months(small.administrator)) == 1
    async with system.services.database.session() as session:
        found = await access_reviews.findings_of(session, UUID(review["id"]))
        month = await session.scalar(select(AccessReview.month).where(AccessReview.id == UUID(review["id"])))
        assert month is not None
        assert not await access_reviews.keep_once(session, small.clinic.id, month, datetime.now(UTC), 1, [], 0)
    assert [one.id for one in found] == [UUID(one["id"]) for one in review["page"]]


async def test_a_month_in_which_nothing_was_done_needs_nobody(system: System) -> None:
    async with system.services.database.session() as session:
        empty = await people.add_clinic(session, code=f"empty-{uuid4().hex[:8]}", name="Clinique vide")
    assert await analyse_clinic(system.services.database, empty.id, next_month()) == 0


async def test_months_that_were_missed_are_made_later(system: System, small: Small) -> None:
    this = day_of(datetime.now(UTC)).replace(day=1)
    before = datetime.combine(this - timedelta(days=40), datetime.min.time(), UTC) + timedelta(hours=18)
    await looked(system, small.requester, await submitted(system), at=before)
    await looked(system, small.requester, await submitted(system))
    assert await analyse_clinic(system.services.database, small.clinic.id, before + timedelta(days=31)) == 1
    assert await analyse_clinic(system.services.database, small.clinic.id, next_month()) >= 1
    listed = [date.fromisoformat(one["month"]) for one in await months(small.administrator)]
    assert listed == [this, (before.date()).replace(day=1)]


async def test_nobody_judges_themselves_where_there_is_another(system: System, small: Small) -> None:
    await looked(system, small.administrator, await submitted(system))
    review = await analysed(system, small)
    assert review["page"][0]["others_only"]
    problem(await said(small.administrator, review), 403, "about_yourself")
    ok(await said(small.colleague, review, note="Plainte à traiter"))
    done = ok(await signed_off(small.administrator, review))
    assert (done["state"], done["sign_offs"][0]["about_self"]) == ("signed_off", 0)


async def test_where_there_is_nobody_else_it_is_said(system: System, small: Small) -> None:
    await looked(system, small.administrator, await submitted(system))
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id == small.colleague.account.id).values(active=False))
    review = await analysed(system, small)
    assert not review["page"][0]["others_only"]
    judged = ok(await said(small.administrator, review))
    assert judged["page"][0]["verdicts"][0]["about_self"]
    done = ok(await signed_off(small.administrator, review))
    assert done["sign_offs"][0]["about_self"] == 1


async def test_names_are_compared_by_their_hashes_and_then_by_the_form(system: System, small: Small) -> None:
    family = f"Zz{''.join(chr(ord('a') + int(digit, 16)) for digit in uuid4().hex[:12])}"
    async with system.services.database.session() as session:
        mine = update(Account).where(Account.id == system.requester2.account.id)
        before = (system.requester2.account.given_name, system.requester2.account.family_name)
        await session.execute(mine.values(given_name="Luc", family_name=f"Roy-{family}"))
    try:
        kin, own = [
            await submitted(
                system,
                patient={"given_name": given, "family_name": family, "birth_date": "1931-05-07", "sex": "male"},
            )
            for given in ("Jean", "Luc")
        ]
        other = await submitted(
            system,
            patient={"given_name": family, "family_name": f"{family}ov", "birth_date": "1931-05-07", "sex": "male"},
        )
        async with system.services.database.session() as session:
            account = await session.get_one(Account, system.requester2.account.id)
            ids = [UUID(one) for one in (kin, own, other)]
            bonds = await access_reviews.bonds_of(session, account, [*ids, uuid4()])
    finally:
        async with system.services.database.session() as session:
            await session.execute(mine.values(given_name=before[0], family_name=before[1]))
    assert bonds.keys() == set(ids)  # one that is gone is missing
    assert [bonds[one].kin for one in ids] == [Rule.SAME_FAMILY_NAME, Rule.OWN_RECORD, None]


async def test_who_had_to_do_with_a_request_is_no_stranger(system: System) -> None:
    request_id = UUID(await submitted(system))
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    async with system.services.database.session() as session:
        theirs = {
            name: (await access_reviews.bonds_of(session, system.people[name].account, [request_id]))[
                request_id
            ].is_theirs
            for name in ("requester", "requester2", "dispatcher", "provider", "provider2", "administrator", "operator")
        }
    assert theirs == {
        "requester": True,
        "requester2": False,
        "dispatcher": True,
        "provider": True,
        "provider2": False,
        "administrator": False,
        "operator": False,
    }


async def bond(system: System, name: str, request_id: str) -> Bond:
    account, id_ = system.people[name].account, UUID(request_id)
    async with system.services.database.session() as session:
        return (await access_reviews.bonds_of(session, account, [id_]))[id_]


async def test_whom_relais_has_sent_there_is_no_stranger(system: System) -> None:
    """Colleagues of who has not read a report are told of it, and providers cover for who has signed."""
    request_id = await reported(system)
    assert not (await bond(system, "requester2", request_id)).is_theirs
    await let_lie(system, request_id, timedelta(days=3))
    await tell_clinics(system.services)
    assert (await bond(system, "requester2", request_id)).is_theirs
    assert not (await bond(system, "provider2", request_id)).is_theirs
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de fois?"}))
    assert (await bond(system, "provider2", request_id)).is_theirs
    assert not (await bond(system, "far_provider", request_id)).is_theirs


async def test_of_what_is_gone_when_it_is_analysed_nothing_is_said(system: System, small: Small) -> None:
    await looked(system, small.requester, str(uuid4()))
    review = await analysed(system, small)
    assert (review["accesses"], review["page"]) == (1, [])


async def test_only_administrators_of_the_clinic_see_it(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system))
    review = await analysed(system, small)
    finding = review["page"][0]["id"]
    verdict = {"finding_ids": [finding], "verdict": "explained", "note": "Vu"}
    here = f"/access-reviews/{review['id']}"
    for who, status, code in (
        (system.administrator, 404, "not_found"),
        (small.requester, 403, "forbidden"),
        (system.operator, 403, "forbidden"),
    ):
        problem(await who.get(here), status, code)
        problem(await who.get(f"{here}/findings/{finding}"), status, code)
        problem(await who.post(f"{here}/verdicts", verdict), status, code)
        problem(await who.post(f"{here}/sign-off", {"version": 0}), status, code)
    problem(await small.requester.get("/access-reviews"), 403, "forbidden")
    assert review["id"] not in {one["id"] for one in await months(system.administrator)}
    unknown = {**verdict, "finding_ids": [finding, str(uuid4())]}
    problem(await small.administrator.post(f"{here}/verdicts", unknown), 404, "not_found")
    problem(await small.administrator.post(f"{here}/verdicts", {**verdict, "note": " "}), 422, "invalid_input")
    assert ok(await small.administrator.get(here))["version"] == 0


async def test_pages_of_findings_and_those_of_one_rule(system: System, small: Small, monkeypatch: Any) -> None:
    for _ in range(3):
        await looked(system, small.requester, await submitted(system))
    for _ in range(5):
        await acted(system, small.requester, Act.SIGN_IN_FAILED, name="wrong_password")
    monkeypatch.setattr("use_cases.access_reviews.FINDINGS_SHOWN", 2)
    review = await analysed(system, small)
    here = f"/access-reviews/{review['id']}"
    rest = ok(await small.administrator.get(f"{here}?after={review['next']}"))
    assert (len(review["page"]), len(rest["page"]), rest["next"]) == (2, 2, None)
    assert [one["rule"] for one in [*review["page"], *rest["page"]]] == ["no_participant"] * 3 + ["failed_tries"]
    assert review["rules"] == {"no_participant": 3, "failed_tries": 1}
    tries = ok(await small.administrator.get(f"{here}?rule=failed_tries"))
    assert [one["rule"] for one in tries["page"]] == ["failed_tries"]
    ok(await said(small.administrator, review))
    left = ok(await small.administrator.get(f"{here}?only_open=true"))
    assert {one["id"] for one in left["page"]} == {one["id"] for one in rest["page"]}


async def letters(system: System, who: Clinician) -> int:
    kind = AccountLetter.kind == LetterKind.ACCESSES_TO_REVIEW
    query = select(func.count()).where(AccountLetter.account_id == who.account.id, kind)
    async with system.services.database.session() as session:
        return await session.scalar(query) or 0


async def test_a_month_that_nobody_signed_off_is_reminded_once_a_week(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system))
    last_month = datetime.now(UTC)
    assert await analyse_clinic(system.services.database, small.clinic.id, next_month()) == 1
    for _ in range(2):
        await analyse_and_remind(system.services, last_month)
    assert [await letters(system, who) for who in (small.administrator, small.requester)] == [1, 0]
    await analyse_and_remind(system.services, last_month + timedelta(days=8))
    assert await letters(system, small.administrator) == 2
    [listed] = await months(small.administrator)
    review = ok(await small.administrator.get(f"/access-reviews/{listed['id']}"))
    ok(await said(small.administrator, review))
    ok(await signed_off(small.administrator, review))
    await analyse_and_remind(system.services, last_month + timedelta(days=16))
    assert await letters(system, small.administrator) == 2


async def test_a_clinic_with_which_something_is_wrong_keeps_no_other_from_its_review(
    system: System, small: Small, monkeypatch: Any
) -> None:
    await looked(system, small.requester, await submitted(system))
    real, failed = analyse_clinic, set[UUID]()

    async def fails_first(database: Database, clinic_id: UUID, now: datetime) -> int:
        if clinic_id != small.clinic.id:
            failed.add(clinic_id)
            raise RuntimeError("something is wrong with that clinic")
        return await real(database, clinic_id, now)

    monkeypatch.setattr("use_cases.access_analysis.analyse_clinic", fails_first)
    assert await analyse_and_remind(system.services, next_month()) == 1
    assert failed
    assert len(await months(small.administrator)) == 1


async def destroyed(system: System, request_id: str) -> None:
    """As a list of retention destroys it."""
    now = datetime.now(UTC)
    async with system.services.database.session() as session:
        row = await session.get_one(RequestRecord, UUID(request_id))
        kept = RetentionList(
            id=uuid4(), clinic_id=row.requester_clinic_id, state=ListState.DONE, policy={}, made_at=now
        )
        session.add(kept)
        await session.flush()
        await destruction.destroy(session, row, kept.id, now, kept_until=now.date(), policy=RetentionPolicy())


async def test_a_destruction_takes_the_reason_and_the_note_and_leaves_what_was_signed(
    system: System, small: Small
) -> None:
    """The key of the request is gone then: its older note does not open any more, a new one does."""
    request_id = await cancelled(system)
    await had_to_do_with(system, small, request_id)
    await looked(system, small.requester, request_id)
    await looked(system, small.administrator, await submitted(system))
    review = await analysed(system, small)
    ok(await said(small.colleague, review, note="Avant"))
    signed = ok(await signed_off(small.colleague, review))
    await destroyed(system, request_id)

    here = f"/access-reviews/{review['id']}"
    after = ok(await small.administrator.get(here))
    assert after["rules"] == {"no_participant": 1, "looked_at_destroyed": 1}
    assert after["sign_offs"] == signed["sign_offs"]
    line = after["page"][-1]
    assert (line["rule"], line["request_id"], line["request_number"]) == ("looked_at_destroyed", request_id, None)
    assert (line["elsewhere"], [one["note"] for one in line["verdicts"]]) == (False, [None])
    async with system.services.database.session() as session:
        row = await session.get_one(AccessReview, UUID(review["id"]))
        findings = await access_reviews.findings_of(session, row.id)
        last = await access_reviews.last_verdicts(session, row.id)
    assert digest_of(row, findings, last) == after["sign_offs"][0]["sha256"]

    body = {"finding_ids": [line["id"]], "verdict": "explained", "note": "Après"}
    again = ok(await small.colleague.post(f"{here}/verdicts", body))
    assert [one["note"] for one in again["page"][-1]["verdicts"]] == [None, "Après"]
    async with system.services.database.session() as session:
        kept = await access_reviews.verdicts_on(session, [UUID(line["id"])])
        keys = await session.scalar(text("SELECT count(*) FROM data_keys WHERE owner_id = :id"), {"id": request_id})
    assert [one.request_id for one in kept[UUID(line["id"])]] == [UUID(request_id), None]
    assert keys == 0


async def test_nothing_but_a_destruction_takes_the_reason_of_a_line(system: System, small: Small) -> None:
    request_id = await submitted(system)
    await looked(system, small.requester, request_id)
    review = await analysed(system, small)
    changes = {"id": review["page"][0]["id"]}
    for mode, change in (
        ("off", "rule = 'looked_at_destroyed'"),
        ("on", "rule = 'looked_at_destroyed'"),  # it is not destroyed
        ("on", "number = 7"),
    ):
        async with system.services.database.session() as session:
            await session.execute(text(f"SET LOCAL relais.destroying = '{mode}'"))
            with pytest.raises(DBAPIError, match="never change"):
                await session.execute(text(f"UPDATE access_findings SET {change} WHERE id = :id"), changes)  # noqa: S608
            await session.rollback()


async def test_what_is_said_is_in_the_audit(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system))
    review = await analysed(system, small)
    ok(await said(small.administrator, review))
    async with system.services.database.session() as session:
        query = select(AuditEntry.name).where(
            AuditEntry.account_id == small.administrator.account.id, AuditEntry.object_id == UUID(review["id"])
        )
        names = set(await session.scalars(query))
    assert names >= {"get_access_review", "accesses_settled"}
