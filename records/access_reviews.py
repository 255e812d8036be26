"""Reviews of accesses: what the analysis reads of the audit, and what is kept of it."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncSession

from domain.access_review import NO_USE, WATCHED, Bond, Finding, Rule, Seen, Verdict, family_words, kin
from domain.access_year import Category
from domain.audit import SHOWING, Act, EmergencyStep, Purpose
from domain.requests import HolderKind, Role
from domain.search import LONGEST_BEGINNING
from records import journals
from records.audit import first_id_of
from records.ids import new_id
from records.models import (
    AccessFinding,
    AccessReview,
    AccessSignOff,
    AccessVerdict,
    Account,
    AuditEntry,
    DestroyedRequest,
    EmergencyEnd,
    EmergencyOpening,
    EventRecord,
    Notice,
    OfferedPool,
    Participant,
    PatientWord,
    RequestParty,
    RequestRecord,
    table_of,
)
from records.patient_words import keys_of
from records.sealed import unread, with_key_if_it_opens

_MARGIN = timedelta(hours=1)
"""By so much the time of an entry may differ from that in its id."""

_CHUNK = 1_000


# What the analysis reads


async def people_of(session: AsyncSession, clinic_id: uuid.UUID) -> Sequence[Account]:
    """Everybody who ever had an account there, the systems too."""
    query = select(Account).where(Account.clinic_id == clinic_id).order_by(Account.id)
    return (await session.scalars(query)).all()


async def was_used_in(session: AsyncSession, clinic_id: uuid.UUID, since: datetime, until: datetime) -> bool:
    """Whether anything was done for the clinic from `since` to before `until`."""
    theirs = select(Account.id).where(Account.clinic_id == clinic_id)
    query = select(AuditEntry.id).where(
        AuditEntry.account_id.in_(theirs), AuditEntry.clinic_id == clinic_id, *_within(since, until)
    )
    return bool(await session.scalar(select(query.exists())))


async def acts_of(
    session: AsyncSession,
    account_id: uuid.UUID,
    clinic_id: uuid.UUID,
    since: datetime,
    until: datetime,
    *,
    after: uuid.UUID | None,
    limit: int,
) -> list[Seen]:
    """What somebody did for the clinic that a rule looks at, in the order of the entries; a page."""
    query = _acts(account_id, clinic_id, since, until).where(AuditEntry.kind.in_(WATCHED)).limit(limit)
    if after is not None:
        query = query.where(AuditEntry.id > after)
    return [Seen(*found) for found in await session.execute(query)]


async def first_use(
    session: AsyncSession, account_id: uuid.UUID, clinic_id: uuid.UUID, since: datetime, until: datetime
) -> Seen | None:
    """The first use that somebody made of their account in that time."""
    query = _acts(account_id, clinic_id, since, until).where(AuditEntry.kind.not_in(NO_USE)).limit(1)
    found = (await session.execute(query)).first()
    return Seen(*found) if found else None


async def last_use_before(session: AsyncSession, account_id: uuid.UUID, moment: datetime) -> datetime | None:
    """When somebody last used their account before that moment, as far as the audit knows."""
    query = (
        select(AuditEntry.at)
        .where(AuditEntry.account_id == account_id, AuditEntry.id < first_id_of(moment + _MARGIN))
        .where(AuditEntry.at < moment, AuditEntry.kind.not_in(NO_USE))
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
    return await session.scalar(query)


async def count_accesses(
    session: AsyncSession, account_id: uuid.UUID, clinic_id: uuid.UUID, since: datetime, until: datetime
) -> list[tuple[Category, int]]:
    """How often something of a request was shown to somebody who spoke for the clinic, from `since` to before `until`."""
    query = (
        select(AuditEntry.role, AuditEntry.kind, func.count())
        .where(AuditEntry.account_id == account_id, AuditEntry.clinic_id == clinic_id, *_within(since, until))
        .where(AuditEntry.kind.in_(SHOWING), or_(AuditEntry.request_id.is_not(None), AuditEntry.shown.is_not(None)))
        .group_by(AuditEntry.role, AuditEntry.kind)
    )
    return [(Category(role, kind), number) for role, kind, number in await session.execute(query)]


def _acts(
    account_id: uuid.UUID, clinic_id: uuid.UUID, since: datetime, until: datetime
) -> Select[uuid.UUID, datetime, Act, str | None, uuid.UUID | None, Purpose | None]:
    named = AuditEntry.name, AuditEntry.request_id, AuditEntry.purpose
    columns = AuditEntry.id, AuditEntry.at, AuditEntry.kind, *named
    query = select(*columns).where(AuditEntry.account_id == account_id, AuditEntry.clinic_id == clinic_id)
    return query.where(*_within(since, until)).order_by(AuditEntry.id)


def _within(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    """By the ids as well, which an index is ordered by."""
    ids = AuditEntry.id >= first_id_of(since - _MARGIN), AuditEntry.id < first_id_of(until + _MARGIN)
    return (*ids, AuditEntry.at >= since, AuditEntry.at < until)


async def opened_by_others(
    session: AsyncSession, clinic_id: uuid.UUID, since: datetime, until: datetime
) -> list[tuple[uuid.UUID, Seen]]:
    """What people of other clinics opened in an emergency of what this one asked for, by account, in the order of the entries."""
    act = AuditEntry.id, AuditEntry.at, AuditEntry.kind, AuditEntry.name
    query = (
        select(EmergencyOpening.account_id, *act, AuditEntry.request_id)
        .select_from(EmergencyOpening)
        .join(RequestRecord, RequestRecord.id == EmergencyOpening.request_id)
        .join(AuditEntry, and_(AuditEntry.request_id == RequestRecord.id, AuditEntry.object_id == EmergencyOpening.id))
        .where(EmergencyOpening.begun_at >= since, EmergencyOpening.begun_at < until)
        .where(RequestRecord.requester_clinic_id == clinic_id, EmergencyOpening.clinic_id != clinic_id)
        .where(AuditEntry.kind == Act.EMERGENCY, AuditEntry.name == EmergencyStep.OPENED)
        .order_by(AuditEntry.id)
    )
    found = await session.execute(query)
    return [(who, Seen(id_, at, kind, name, request_id)) for who, id_, at, kind, name, request_id in found]


async def ended_by_others(
    session: AsyncSession, clinic_id: uuid.UUID, since: datetime, until: datetime
) -> list[tuple[uuid.UUID, Seen]]:
    """What people of other clinics ended, by account, of what people of this one, or of what it asked for, others had opened in
    an emergency; in the order of the entries.
    """
    act = AuditEntry.id, AuditEntry.at, AuditEntry.kind, AuditEntry.name
    of_end = AuditEntry.object_id == EmergencyOpening.id, AuditEntry.account_id == EmergencyEnd.ended_by
    query = (
        select(EmergencyEnd.ended_by, *act, AuditEntry.request_id, AuditEntry.purpose)
        .select_from(EmergencyEnd)
        .join(EmergencyOpening, EmergencyOpening.id == EmergencyEnd.opening_id)
        .join(RequestRecord, RequestRecord.id == EmergencyOpening.request_id)
        .join(AuditEntry, and_(AuditEntry.request_id == RequestRecord.id, *of_end))
        .where(EmergencyEnd.ended_at >= since, EmergencyEnd.ended_at < until)
        .where(EmergencyEnd.ended_by != EmergencyOpening.account_id)
        .where(or_(EmergencyOpening.clinic_id == clinic_id, RequestRecord.requester_clinic_id == clinic_id))
        .where(AuditEntry.kind == Act.EMERGENCY, AuditEntry.name == EmergencyStep.ENDED)
        .where(AuditEntry.clinic_id != clinic_id)
        .order_by(AuditEntry.id)
    )
    found = await session.execute(query)
    return [(who, Seen(id_, at, kind, name, of, purpose)) for who, id_, at, kind, name, of, purpose in found]


async def bonds_of(
    session: AsyncSession, account: Account, request_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Bond]:
    """What somebody had to do with each of these requests, and when it ended. Those that are gone are missing."""
    query = select(RequestRecord.id, _is_theirs(account), RequestRecord.ended_at)
    found = (await session.execute(query.where(RequestRecord.id.in_(request_ids)))).all()
    bearing = await _bearing_a_name_of(session, account, request_ids)
    return {id_: Bond(bool(theirs), ended_at, bearing.get(id_)) for id_, theirs, ended_at in found}


def _is_theirs(account: Account) -> ColumnElement[bool]:
    """They acted on it, asked for it, or it was with them by name, with their pool, or with their clinic to dispatch; or Relais
    has sent them there: by a notice, or for a colleague of theirs who has signed.
    """
    acted = exists().where(Participant.request_id == RequestRecord.id, Participant.account_id == account.id)
    held = exists().where(
        EventRecord.request_id == RequestRecord.id,
        EventRecord.holder["kind"].astext == HolderKind.PROVIDER,
        cast(EventRecord.holder["id"].astext, Uuid) == account.id,
    )
    told = exists().where(Notice.request_id == RequestRecord.id, Notice.account_id == account.id)
    ways = [RequestRecord.requester_id == account.id, acted, held, told]
    if Role.PROVIDER in account.roles:
        ways.append(RequestRecord.follow_up_clinic_id == account.clinic_id)  # they cover for who has signed
        ways.append(
            exists().where(OfferedPool.request_id == RequestRecord.id, OfferedPool.clinic_id == account.clinic_id)
        )
    if Role.DISPATCHER in account.roles:
        ways.append(RequestRecord.dispatch_clinic_id == account.clinic_id)
    return or_(*ways)


async def _bearing_a_name_of(
    session: AsyncSession, account: Account, request_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Rule]:
    """Those of the requests whose patient has a name in common with somebody.

    The keyed hashes of words say which may; only their forms are opened then. One that does not open is left out.
    """
    words = {f"name:{word[:LONGEST_BEGINNING]}" for word in family_words(account.family_name)}
    query = select(PatientWord.request_id).where(
        PatientWord.clinic_id == account.clinic_id,
        PatientWord.hash.in_(keys_of(session).looked_for(words)),
        PatientWord.request_id.in_(request_ids),
    )
    rows = await journals.rows_of(session, set(await session.scalars(query)))
    forms = await journals.forms_of(session, rows)
    found = {
        row.id: kin(account.given_name, account.family_name, forms[row.id][-1].content["patient"])
        for row in rows
        if forms[row.id]
    }
    return {id_: rule for id_, rule in found.items() if rule is not None}


# What is kept


async def newest_month(session: AsyncSession, clinic_id: uuid.UUID) -> date | None:
    """The last month of the clinic of which there is a review."""
    return await session.scalar(select(func.max(AccessReview.month)).where(AccessReview.clinic_id == clinic_id))


async def keep_once(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    month: date,
    now: datetime,
    accesses: int,
    findings: Iterable[Finding],
    left_out: int,
) -> bool:
    """Keep what was found of a month; False where another one was faster, and that counts."""
    review_id = new_id()
    values = {"id": review_id, "clinic_id": clinic_id, "month": month, "made_at": now}
    made = insert_or_not(AccessReview).values({**values, "accesses": accesses, "left_out": left_out})
    if await session.scalar(made.on_conflict_do_nothing().returning(AccessReview.id)) is None:
        return False
    rows = [
        {
            "id": uuid.uuid4(),  # in no order, as that would tell the rule of a line that has lost its own
            "review_id": review_id,
            "rule": one.rule,
            "account_id": one.account_id,
            "request_id": one.request_id,
            "day": one.day,
            "number": one.sample.number,
            "first_at": one.sample.first_at,
            "last_at": one.sample.last_at,
            "entries": one.sample.entries,
        }
        for one in findings
    ]
    for start in range(0, len(rows), _CHUNK):
        await session.execute(insert(table_of(AccessFinding)), rows[start : start + _CHUNK])
    return True


async def reviews_of(session: AsyncSession, clinic_id: uuid.UUID, *, limit: int) -> Sequence[AccessReview]:
    """The reviews of a clinic, the newest month first."""
    query = select(AccessReview).where(AccessReview.clinic_id == clinic_id)
    return (await session.scalars(query.order_by(AccessReview.month.desc()).limit(limit))).all()


async def load_review(session: AsyncSession, review_id: uuid.UUID) -> AccessReview | None:
    """The review."""
    return await session.get(AccessReview, review_id)


_PLACE = (
    case({rule: number for number, rule in enumerate(Rule)}, value=AccessFinding.rule),
    AccessFinding.day,
    AccessFinding.id,
)
"""Where a finding stands among those of its month."""


class Counts(NamedTuple):
    """Of a review: its findings, those with a verdict, all verdicts, and how many there were when it was last signed off."""

    findings: int
    settled: int
    verdicts: int
    signed: int | None


async def counts_of(
    session: AsyncSession, review_ids: Collection[uuid.UUID], without: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, Counts]:
    """How far each of these reviews is; findings `without` those about some requests, verdicts of all."""
    of = AccessReview.id
    counted = and_(AccessFinding.review_id == of, _is_not_about(without))
    findings = select(func.count()).select_from(AccessFinding).where(counted)
    said = AccessVerdict.review_id == of
    has_verdict = exists().where(AccessVerdict.finding_id == AccessFinding.id)
    settled = select(func.count()).select_from(AccessFinding).where(counted, has_verdict)
    verdicts = select(func.count()).select_from(AccessVerdict).where(said)
    signed = select(func.max(AccessSignOff.verdicts)).where(AccessSignOff.review_id == of)
    columns = [one.scalar_subquery() for one in (findings, settled, verdicts, signed)]
    query = select(of, *columns).where(of.in_(review_ids))
    return {id_: Counts(*numbers) for id_, *numbers in await session.execute(query)}


async def findings_of(
    session: AsyncSession,
    review_id: uuid.UUID,
    *,
    rule: Rule | None = None,
    only_open: bool = False,
    after: uuid.UUID | None = None,
    limit: int | None = None,
    without: Collection[uuid.UUID] = (),
) -> Sequence[AccessFinding]:
    """The findings of a review, the gravest first: of one rule, or only those without a verdict; those after one of them;
    `without` those about some requests.
    """
    query = select(AccessFinding).where(AccessFinding.review_id == review_id, _is_not_about(without))
    query = query.order_by(*_PLACE).limit(limit)
    if rule is not None:
        query = query.where(AccessFinding.rule == rule)
    if only_open:
        query = query.where(not_(exists().where(AccessVerdict.finding_id == AccessFinding.id)))
    if after is not None:
        place = select(*_PLACE).where(AccessFinding.id == after, AccessFinding.review_id == review_id)
        found = (await session.execute(place)).first()
        query = query.where(tuple_(*_PLACE) > tuple(found)) if found else query
    return (await session.scalars(query)).all()


async def rules_of(session: AsyncSession, review_id: uuid.UUID, without: Collection[uuid.UUID] = ()) -> dict[Rule, int]:
    """How many findings there are by each rule, `without` those about some requests."""
    query = select(AccessFinding.rule, func.count()).where(AccessFinding.review_id == review_id, _is_not_about(without))
    return {Rule(rule): number for rule, number in await session.execute(query.group_by(AccessFinding.rule))}


def _is_not_about(request_ids: Collection[uuid.UUID]) -> ColumnElement[bool]:
    return or_(AccessFinding.request_id.is_(None), AccessFinding.request_id.not_in(request_ids))


async def to_follow_up(
    session: AsyncSession, clinic_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, int]:
    """By review of the clinic, how many findings are still to be followed up, by their last verdict; `without` those about some
    requests.
    """
    last = _last_verdicts().where(AccessReview.clinic_id == clinic_id).subquery()
    query = (
        select(last.c.review_id, func.count())
        .join(AccessFinding, AccessFinding.id == last.c.finding_id)
        .where(last.c.verdict == Verdict.TO_FOLLOW_UP, _is_not_about(without))
        .group_by(last.c.review_id)
    )
    return {review_id: number for review_id, number in await session.execute(query)}  # noqa: C416


def _last_verdicts() -> Select[uuid.UUID, uuid.UUID, int, Verdict]:
    columns = AccessVerdict.finding_id, AccessVerdict.review_id, AccessVerdict.number, AccessVerdict.verdict
    return (
        select(*columns)
        .ext(distinct_on(AccessVerdict.finding_id))
        .join(AccessReview, AccessReview.id == AccessVerdict.review_id)
        .order_by(AccessVerdict.finding_id, AccessVerdict.number.desc())
    )


async def verdicts_on(
    session: AsyncSession, finding_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, list[AccessVerdict]]:
    """All that was said of these findings, the first first, without the notes."""
    query = select(AccessVerdict).where(AccessVerdict.finding_id.in_(finding_ids))
    query = query.order_by(AccessVerdict.finding_id, AccessVerdict.number).options(*unread(AccessVerdict))
    found: dict[uuid.UUID, list[AccessVerdict]] = {}
    for one in await session.scalars(query):
        found.setdefault(one.finding_id, []).append(one)
    return found


async def last_verdicts(session: AsyncSession, review_id: uuid.UUID) -> dict[uuid.UUID, AccessVerdict]:
    """By finding of the review what was said of it last, without the notes."""
    query = select(AccessVerdict).where(AccessVerdict.review_id == review_id)
    query = query.ext(distinct_on(AccessVerdict.finding_id))
    query = query.order_by(AccessVerdict.finding_id, AccessVerdict.number.desc()).options(*unread(AccessVerdict))
    return {one.finding_id: one for one in await session.scalars(query)}


async def notes_of(
    session: AsyncSession, verdicts: Sequence[AccessVerdict]
) -> Mapping[tuple[uuid.UUID, int], str | None]:
    """What was written with these verdicts; None where the request is destroyed, and with it what opens the note."""
    ids = [(one.finding_id, one.number) for one in verdicts]
    is_there = exists().where(RequestRecord.id == AccessVerdict.request_id)
    query = select(AccessVerdict.finding_id, AccessVerdict.number, with_key_if_it_opens(AccessVerdict.note))
    query = query.where(tuple_(AccessVerdict.finding_id, AccessVerdict.number).in_(ids))
    query = query.where(or_(AccessVerdict.request_id.is_(None), is_there))
    opened = {(id_, number): note["said"] for id_, number, note in await session.execute(query) if note}
    return {id_: opened.get(id_) for id_ in ids}


async def sign_offs_of(session: AsyncSession, review_id: uuid.UUID) -> Sequence[AccessSignOff]:
    """Who signed a month off, the first first."""
    query = select(AccessSignOff).where(AccessSignOff.review_id == review_id)
    return (await session.scalars(query.order_by(AccessSignOff.number))).all()


async def entries_named(session: AsyncSession, ids: Collection[uuid.UUID]) -> Sequence[AuditEntry]:
    """These entries of the audit, in their order."""
    query = select(AuditEntry).where(AuditEntry.id.in_(ids)).order_by(AuditEntry.id)
    return (await session.scalars(query)).all()


async def known_to(session: AsyncSession, clinic_id: uuid.UUID, request_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the requests with which the clinic ever had to do, destroyed ones too: it may be told which they are."""
    own = select(RequestParty.request_id).where(
        RequestParty.clinic_id == clinic_id, RequestParty.request_id.in_(request_ids)
    )
    gone = select(DestroyedRequest.request_id).where(
        DestroyedRequest.clinic_ids.contains([clinic_id]), DestroyedRequest.request_id.in_(request_ids)
    )
    return set(await session.scalars(own.union(gone)))


async def forget_why(session: AsyncSession, request_id: uuid.UUID) -> None:
    """Of what is being destroyed it is not kept which rule led to it, as that may be a likeness of names."""
    lines = update(AccessFinding).where(AccessFinding.request_id == request_id)
    await session.execute(lines.values(rule=Rule.DESTROYED).execution_options(synchronize_session=False))


async def numbers_of(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The numbers of these requests; those that are gone are missing."""
    query = select(RequestRecord.id, RequestRecord.number).where(RequestRecord.id.in_(request_ids))
    return {id_: number for id_, number in await session.execute(query)}  # noqa: C416


async def waiting_since(
    session: AsyncSession, clinic_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Sequence[AccessReview]:
    """The clinic's reviews that are not signed off as they are now, or have a finding of which nothing was said, `without` those
    about some requests; the oldest first.
    """
    of = AccessReview.id
    verdicts = select(func.count()).select_from(AccessVerdict).where(AccessVerdict.review_id == of)
    signed = select(func.max(AccessSignOff.verdicts)).where(AccessSignOff.review_id == of)
    differ = signed.scalar_subquery().is_distinct_from(verdicts.scalar_subquery())
    is_said = exists().where(AccessVerdict.finding_id == AccessFinding.id)
    is_left = exists().where(AccessFinding.review_id == of, _is_not_about(without), ~is_said)
    query = select(AccessReview).where(AccessReview.clinic_id == clinic_id, or_(differ, is_left))
    return (await session.scalars(query.order_by(AccessReview.month))).all()
