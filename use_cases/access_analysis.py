"""The accesses of each month are analysed for the administrators of each clinic, who are reminded until somebody signs them off.

It reads by pages, each in a transaction of its own, and keeps what it found in one: made twice, it is as if it were made once.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from domain.access_review import (
    NOTHING_KNOWN,
    REMINDED_EVERY,
    Bond,
    Course,
    Person,
    Seen,
    bounds,
    ended_by_others,
    following,
    in_order,
    many_patients,
    month_before,
    opened_by_others,
)
from domain.accounts import LetterKind
from domain.requests import Role
from records import access_reviews, people
from records.account_letters import count_since, write_to
from records.database import Database
from records.models import Account, AccountKind
from use_cases.account_letters import send
from use_cases.administrators import seen_by_none, shut_to_each
from use_cases.parts import PartsWithEngine

PAGE = 2_000

log = structlog.get_logger(__name__)


async def analyse_and_remind(services: PartsWithEngine, now: datetime | None = None) -> int:
    """Analyse each month that is over, of each clinic, and remind of those that wait; gives how many months were analysed.

    A clinic with which something is wrong keeps no other from its review, and is tried again the next night: months that were
    missed are made then.
    """
    now = now or datetime.now(UTC)
    async with services.database.session() as session:
        clinic_ids = [clinic.id for clinic in await people.list_clinics(session)]
    made = 0
    for clinic_id in clinic_ids:
        try:
            made += await analyse_clinic(services.database, clinic_id, now)
            await send(services, await _remind(services.database, clinic_id, now))
        except Exception as error:
            wrong = "the accesses of a clinic could not be analysed"
            log.error(wrong, name=str(clinic_id), error=type(error).__name__)
    return made


async def analyse_clinic(database: Database, clinic_id: UUID, now: datetime) -> int:
    """Analyse the months of a clinic that are over: the last one, and those since the last review. Gives how many were made."""
    async with database.session() as session:
        zone = await people.zone_of(session, clinic_id)
        newest = await access_reviews.newest_month(session, clinic_id)
    last = month_before(now.astimezone(zone).date())
    month = following(newest) if newest else last
    made = 0
    while month <= last:
        made += await analyse(database, clinic_id, month, zone, now)
        month = following(month)
    return made


async def analyse(database: Database, clinic_id: UUID, month: date, zone: ZoneInfo, now: datetime) -> bool:
    """Analyse one month, given by its first day; False where nothing was done in it, or there is a review of it already."""
    since, until = bounds(month, zone)
    async with database.session() as session:
        by_others = opened_by_others(await access_reviews.opened_by_others(session, clinic_id, since, until), zone)
        by_others += ended_by_others(await access_reviews.ended_by_others(session, clinic_id, since, until), zone)
        if not by_others and not await access_reviews.was_used_in(session, clinic_id, since, until):
            return False
        accounts = await access_reviews.people_of(session, clinic_id)
    findings = [*by_others]
    days, accesses = [], 0
    for account in accounts:
        person = await _person(database, account, since)
        course = Course(person, zone)
        accesses += await _go_along(database, account, course, since, until)
        findings += course.findings()
        days.append((person, course.days()))
    kept, left_out = in_order([*findings, *many_patients(days)])
    async with database.session() as session:
        made = await access_reviews.keep_once(session, clinic_id, month, now, accesses, kept, left_out)
    if made:
        log.info("the accesses of a month were analysed", count=len(kept))
    return made


async def _person(database: Database, account: Account, since: datetime) -> Person:
    async with database.session() as session:
        last_use = await access_reviews.last_use_before(session, account.id, since)
    return Person(
        account_id=account.id,
        roles=frozenset(Role(role) for role in account.roles),
        is_system=account.kind is AccountKind.SERVICE,
        last_before=last_use or account.created_at,
    )


async def _go_along(database: Database, account: Account, course: Course, since: datetime, until: datetime) -> int:
    """Let the course take what somebody did; gives how much that was."""
    async with database.session() as session:
        first = await access_reviews.first_use(session, account.id, account.clinic_id, since, until)
    if first is not None:
        course.first_use(first)
    bonds: dict[UUID, Bond] = {}
    number, after = 0, None
    while True:
        async with database.session() as session:
            page = await access_reviews.acts_of(
                *(session, account.id, account.clinic_id, since, until), after=after, limit=PAGE
            )
            new = {act.request_id for act in page if act.request_id} - bonds.keys()
            found = await access_reviews.bonds_of(session, account, new) if new else {}
            bonds |= {id_: found.get(id_, NOTHING_KNOWN) for id_ in new}
        _take(course, page, bonds)
        number += len(page)
        if len(page) < PAGE:
            return number
        after = page[-1].id


def _take(course: Course, page: Sequence[Seen], bonds: dict[UUID, Bond]) -> None:
    for act in page:
        course.take(act, bonds[act.request_id] if act.request_id else NOTHING_KNOWN)


async def _remind(database: Database, clinic_id: UUID, now: datetime) -> list[UUID]:
    """E-mails to the administrators of a clinic where a month waits for them, each once a week at most."""
    async with database.session() as session:
        shut = await shut_to_each(session, clinic_id)
        if not await access_reviews.waiting_since(session, clinic_id, seen_by_none(shut)):
            return []
        kind, since = LetterKind.ACCESSES_TO_REVIEW, now - REMINDED_EVERY
        return [
            await write_to(session, kind, one, now)
            for one in shut
            if not await count_since(session, one.id, kind, since)
        ]
