"""Notices: who is told of an event, planned with it in one transaction, and what became of each e-mail.

An e-mail is planned once, by the matrix of `domain.notices`. Its row then is the truth about it: the activity that sends it loads
the row, sends, and marks it.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import (
    ColumnElement,
    Interval,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.commands import (
    AnswerInformation,
    DeadlineReached,
    FailSigning,
    RequestInformation,
    WithdrawInformationRequest,
)
from domain.events import Event, question_id
from domain.notices import (
    FOR_WHO_MAY_ASK,
    MATRIX,
    NEVER_WAITS,
    UNREAD_REPORT,
    About,
    Importance,
    NoticeMode,
    Recipient,
    can_wait_for_the_digest,
    due_after,
    gathers_for,
    told_as,
)
from domain.requests import EventName, Holder, HolderKind, Person, Request, Role
from records.absences import is_away_provider
from records.asked_for import may_ask
from records.commands import TAKEN_AWAY
from records.ids import new_id
from records.lost_messages import Untold
from records.models import (
    Account,
    AccountKind,
    EventRecord,
    GivenCommand,
    Notice,
    NoticeStatus,
    RequestRecord,
    table_of,
)
from records.restrictions import is_shut_out, is_shut_to_account, shut_to, shuts_out
from records.straight import Straight

log = structlog.get_logger(__name__)

_NOTICES = table_of(Notice)

_ASKED = aliased(Account)
"""A requester, beside the accounts that are told."""

# Made once, as in `records.requests`.

_INSERTED = (
    insert(_NOTICES)
    .values(send_at=func.clock_timestamp() + bindparam("wait", type_=Interval()))
    .on_conflict_do_nothing()
)
_PLANNED = Straight(_INSERTED)
_IN_HAND = Straight(_INSERTED.values(taken_up_at=func.clock_timestamp()))
_MAILS = bindparam("mails", type_=ARRAY(Uuid()))
_MARKED = Straight(
    update(_NOTICES)
    .where(
        _NOTICES.c.status == NoticeStatus.QUEUED,
        or_(_NOTICES.c.id == any_(_MAILS), _NOTICES.c.told_with == any_(_MAILS)),
    )
    .values(attempts=_NOTICES.c.attempts + 1, taken_up_by=None, taken_up_at=None)
)

NOTICE_REFUSED, NOTICE_EXPIRED = "notice_refused", "notice_expired"
"""The events of notices that tell dispatchers of another one: its address can get no mail; nobody took it in time."""

UNDELIVERABLE = (NoticeStatus.REFUSED, NoticeStatus.EXPIRED, NoticeStatus.FAILED)
"""What became of notices that reached nobody."""

_IS_QUEUED, _IS_GROUPED = text("notices.status = 'queued'"), text("notices.status = 'grouped'")
_IS_UNDELIVERABLE = text("notices.status IN ('refused', 'expired', 'failed')")
"""Written out, because the partial indexes of these few among millions are found by their own words alone."""

STUCK = "stuck"
"""The event of a notice that tells that a request waits for nobody who can go on with it."""

_FOR_COVER = Notice.recipient == Recipient.REQUESTER_COVER
"""What somebody is told as an administrator, in a requester's place."""

_IS_SOMEBODY = Account.kind == AccountKind.PERSON
"""A partner's system that holds a request reads no e-mails: it hears of it by messages."""

COMMAND_REFUSED = "command_refused"
SUBMISSION_REFUSED = "submission_refused"
"""The events of a notice that tells somebody that what they gave, and were told to be queued, was refused in the end."""

MESSAGE_LOST = "message_lost"
"""The event of a notice that tells that a message between Relais and a partner's system did not arrive, or can't be done."""

LONGEST_LIST = 500


@dataclass(frozen=True)
class Told:
    """Somebody who is to be told, as which party, and what it means for them."""

    account: Account
    recipient: Recipient
    importance: Importance


@dataclass(frozen=True)
class PlannedNotice:
    """A notice that was just planned, and its reader. `due_at` is when they must have acted, where they must."""

    id: uuid.UUID
    told: Told
    status: NoticeStatus
    due_at: datetime | None

    @property
    def message_id(self) -> str:
        """The Message-ID of its e-mail."""
        return f"<{self.id}@relais>"


async def plan_notices(
    session: AsyncSession, event: Event, request: Request, gather: timedelta = timedelta(), *, at_once: bool = False
) -> list[PlannedNotice]:
    """Write the notices of a new event: one per person, none to the one who did it.

    They wait for `gather` at the longest, so that changes of a request that follow each other are told in one e-mail: what is
    planned while another notice of the same request still waits for the same person goes with it. With `at_once`
    those to send are in the hands of whoever records the event, and these are what it gives.
    """
    about = told_as(event.name, request)
    people = await _concerned(session, event, request, about)
    people.pop(event.command.actor.id or uuid.UUID(int=0), None)
    if event.name in TAKES_BACK:
        told = await _recall(session, event)
        people = {account_id: person for account_id, person in people.items() if account_id in told}
    due_at = due_after(about, request, question_of(event))
    acts = any(told.importance is Importance.ACTION for told in people.values())
    hurries = about in NEVER_WAITS
    wait = timedelta() if hurries else gathers_for(gather, due_at if acts else None, event.at)
    planned = await _insert(
        session,
        event.request_id,
        event.version,
        about,
        people.values(),
        due_at=due_at,
        in_time_for_the_digest=not hurries and can_wait_for_the_digest(due_at, event.at),
        wait=wait,
        by=_recorder(event.request_id, event.version) if at_once else None,
    )
    if gather and not hurries:
        await _tell_together(session, event.request_id, [notice.id for notice in planned])
    return [notice for notice in planned if notice.status is NoticeStatus.QUEUED] if at_once else []


TAKES_BACK = frozenset({EventName.TAKEN_BACK, EventName.INFORMATION_REQUEST_WITHDRAWN})


async def _recall(session: AsyncSession, event: Event) -> set[uuid.UUID]:
    """Stop the e-mails about what is taken back that have not gone; the accounts whose have, or are going: these must hear of it.

    What goes with one that is stopped goes by itself.
    """
    of_it = (
        EventRecord.version == event.version - 1
        if event.name is EventName.TAKEN_BACK
        else EventRecord.name == EventName.INFORMATION_REQUESTED
    )
    events = select(EventRecord.version, EventRecord.command_id).where(
        EventRecord.request_id == event.request_id, EventRecord.version < event.version, of_it
    )
    question = question_of(event)
    versions = [
        version
        for version, command_id in await session.execute(events)
        if question is None or question_id(event.request_id, command_id) == question
    ]
    of_those = and_(
        Notice.request_id == event.request_id,
        Notice.version.in_(versions),
        Notice.refused_notice_id.is_(None),
        Notice.command_id.is_(None),
    )
    waiting = or_(
        Notice.status == NoticeStatus.GROUPED,
        and_(Notice.status == NoticeStatus.QUEUED, Notice.taken_up_at.is_(None)),
    )
    stopped = update(Notice).where(of_those, waiting, Notice.digest_id.is_(None)).returning(Notice.id)
    ids = list(await session.scalars(stopped.values(status=NoticeStatus.SUPPRESSED)))
    await session.execute(update(Notice).where(Notice.told_with.in_(ids)).values(told_with=None))
    heard = select(Notice.account_id).where(of_those, Notice.status != NoticeStatus.SUPPRESSED)
    return set(await session.scalars(heard))


async def _concerned(session: AsyncSession, event: Event, request: Request, about: About) -> dict[uuid.UUID, Told]:
    """Everybody whom the matrix names for what is told. Of somebody who is several parties, what waits for them counts."""
    by_weight = sorted(MATRIX[about].items(), key=lambda entry: entry[1] is Importance.ACTION)  # the last one wins
    parties = [_party(recipient, event, request) for recipient, _ in by_weight]
    if not parties:
        return {}
    of_party = [party.label(f"is_party_{number}") for number, party in enumerate(parties)]
    query = select(Account, *of_party).where(
        or_(*parties), Account.active, _IS_SOMEBODY, ~is_shut_out(event.request_id)
    )
    found = (await session.execute(query)).all()
    members = {
        recipient: [account for account, *belongs in found if belongs[number]]
        for number, (recipient, _) in enumerate(by_weight)
    }
    if about in FOR_WHO_MAY_ASK:
        _leave_to_cover(members, event)
    return {
        account.id: Told(account, recipient, importance)
        for recipient, importance in by_weight
        for account in members[recipient]
    }


def _leave_to_cover(members: dict[Recipient, list[Account]], event: Event) -> None:
    """Who covers for the requester is told in their place. Where nobody does, they are told themselves if they come in: they know
    at least that somebody waits for them.
    """
    theirs = {Recipient.REQUESTER}
    if event.holder.kind is HolderKind.REQUESTER:
        theirs.add(Recipient.HOLDER)
    if members[Recipient.REQUESTER_COVER]:
        members.update((recipient, []) for recipient in theirs & members.keys())
    elif not any(members.get(recipient) for recipient in theirs):
        log.error(
            "nobody can be told of what a requester is to do", request_id=str(event.request_id), event_name=event.name
        )


def question_of(event: Event) -> uuid.UUID | None:
    """The question that an event of information requests is about; None when its command named none."""
    match event.command:
        case RequestInformation(id=command_id):
            return question_id(event.request_id, command_id)
        case AnswerInformation() | WithdrawInformationRequest() | DeadlineReached():
            return event.command.question_id
        case _:
            return None


async def queued_notices(session: AsyncSession, request_id: uuid.UUID, version: int) -> list[uuid.UUID]:
    """The ids of the event's notices that are to be sent, in the order of their accounts; without those that go with others."""
    query = (
        select(Notice.id)
        .where(
            Notice.request_id == request_id,
            Notice.version == version,
            Notice.status == NoticeStatus.QUEUED,
            Notice.refused_notice_id.is_(None),
            Notice.told_with.is_(None),
            Notice.command_id.is_(None),
        )
        .order_by(Notice.account_id)
    )
    return list(await session.scalars(query))


async def send_moment(session: AsyncSession, notice_ids: Collection[uuid.UUID]) -> datetime | None:
    """When the first of these may go; None when there are none."""
    return await session.scalar(select(func.min(Notice.send_at)).where(Notice.id.in_(notice_ids)))


# Sending one


IN_HAND_AT_MOST = timedelta(hours=1)
"""After that time whoever took a notice up is gone: another one may."""


async def take_up(session: AsyncSession, notice_id: uuid.UUID, by: str, now: datetime) -> Notice | None:
    """Put a notice that waits into the hands of the activity `by`, so that nobody else sends it; None when there is none.

    It is in those hands if its `taken_up_by` says so. Otherwise it is settled, goes with another one, or is in other hands. One
    to a person who has left, or to whom the request was shut meanwhile, is suppressed; so is what covers for a requester, to who
    is no administrator any more.
    """
    notice = await session.get(Notice, notice_id, with_for_update=True, populate_existing=True)
    if notice is None or notice.status is not NoticeStatus.QUEUED or notice.told_with is not None:
        return notice
    let_go = (
        None,
        by,
        _recorder(notice.request_id, notice.version),
    )  # who recorded the event has left the others' notices
    if notice.taken_up_by in let_go or notice.taken_up_at is None or notice.taken_up_at < now - IN_HAND_AT_MOST:
        account = await session.get_one(Account, notice.account_id, populate_existing=True)
        if not account.active or await shuts_out(session, notice.request_id, account.id):
            await _suppress(session, _of_one_mail(notice.id))
            await session.refresh(notice)
        elif await _is_still_to_go(session, notice, account):
            notice.taken_up_by, notice.taken_up_at = by, now
            await session.flush()
    return notice


async def _is_still_to_go(session: AsyncSession, notice: Notice, account: Account) -> bool:
    """Whether there is anything left to tell them there: not as an administrator, where they are none any more. What goes with a
    notice that is stopped goes by itself.
    """
    if _administers(account):
        return True
    await _suppress(session, and_(_of_one_mail(notice.id), _FOR_COVER))
    await session.refresh(notice)
    if notice.status is NoticeStatus.QUEUED:
        return True
    await session.execute(update(Notice).where(_of_one_mail(notice.id)).values(told_with=None))
    return False


def _administers(account: Account) -> bool:
    return Role.CLINIC_ADMINISTRATOR in account.roles


def _recorder(request_id: uuid.UUID, version: int) -> str:
    """By which name whoever records that event has its notices in hand, until the recording is over."""
    return f"{request_id}:{version}"


async def keep_in_hand(session: AsyncSession, notice_ids: Collection[uuid.UUID], by: str) -> None:
    """The activity `by` has recorded the event of these notices, and has not yet heard from the mail server about them."""
    await session.execute(update(Notice).where(_of_one_mail(*notice_ids)).values(taken_up_by=by))


async def _suppress(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Who has left, or must not see the request, gets no mail any more: what still waits for them ends."""
    await session.execute(update(Notice).where(which).values(status=NoticeStatus.SUPPRESSED))


async def told_together(session: AsyncSession, notice: Notice) -> list[Notice]:
    """The notice and those that go with it, oldest first."""
    query = select(Notice).where(_of_one_mail(notice.id)).order_by(Notice.version, Notice.id)
    return list(await session.scalars(query))


async def note_attempt(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """One more try has failed and others will follow. `code` says why, without the address."""
    await _mark(session, notice_id, last_error=code)


async def mark_sent(session: AsyncSession, notice_ids: Collection[uuid.UUID], now: datetime) -> None:
    """The mail server has taken these."""
    await _mark(session, *notice_ids, status=NoticeStatus.SENT, sent_at=now, last_error=None)


async def mark_refused(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """Its address can get no mail."""
    await _mark(session, notice_id, status=NoticeStatus.REFUSED, last_error=code)


async def mark_expired(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """No mail server took it in time. `code` is that of the last try."""
    await _mark(session, notice_id, status=NoticeStatus.EXPIRED, last_error=code)


async def plan_follow_up(session: AsyncSession, notice: Notice, event: str, now: datetime) -> list[uuid.UUID]:
    """Tell the request's dispatchers what became of `notice`: `event` is NOTICE_REFUSED or NOTICE_EXPIRED.

    Gives the ids of the notices to send now. A notice of this kind that reaches nobody causes none itself: that list ends here.
    While mail does not go at all, a dispatcher is told once a request, not once a notice.
    """
    if notice.refused_notice_id is not None:
        return []
    request = await session.get_one(RequestRecord, notice.request_id)
    dispatchers = _members(Holder.dispatch(request.dispatch_clinic_id))
    waiting = select(Notice.account_id).where(
        Notice.request_id == notice.request_id,
        Notice.event == NOTICE_EXPIRED,
        Notice.event == event,
        Notice.status == NoticeStatus.QUEUED,
    )
    people = [
        Told(account, Recipient.DISPATCHERS, Importance.ACTION)
        for account in await _told_of(session, notice.request_id, and_(dispatchers, Account.id.not_in(waiting)))
        if account.id != notice.account_id
    ]
    await _insert(
        session,
        notice.request_id,
        notice.version,
        event,
        people,
        in_time_for_the_digest=notice.event not in NEVER_WAITS and can_wait_for_the_digest(request.due_at, now),
        refused_notice_id=notice.id,
    )
    query = (
        select(Notice.id)
        .where(Notice.refused_notice_id == notice.id, Notice.status == NoticeStatus.QUEUED)
        .order_by(Notice.account_id)
    )
    return list(await session.scalars(query))


_PARTIES = {Role.REQUESTER: Recipient.REQUESTER, Role.PROVIDER: Recipient.HOLDER}


async def plan_refused_command_notices(session: AsyncSession, given: GivenCommand) -> list[uuid.UUID]:
    """Tell whoever gave a command that it was refused in the end, at once; the ids of the notices to send now.

    What Relais gave by itself nobody waits for: it is tried again (`records.shut_holders`).
    """
    if given.command_id.startswith(TAKEN_AWAY):
        return []
    account = await session.get_one(Account, given.account_id)
    party = _PARTIES.get(Role(given.command["actor"]["role"]), Recipient.DISPATCHERS)
    is_told = (
        account.active
        and account.kind is AccountKind.PERSON
        and not await shuts_out(session, given.request_id, account.id)
    )
    told = [Told(account, party, Importance.ACTION)] if is_told else []
    event = SUBMISSION_REFUSED if given.name in ("submit", "resubmit") else COMMAND_REFUSED
    await _insert(
        session,
        given.request_id,
        given.version or 0,
        event,
        told,
        in_time_for_the_digest=False,
        command_id=given.command_id,
    )
    query = select(Notice.id).where(
        Notice.request_id == given.request_id,
        Notice.command_id == given.command_id,
        Notice.status == NoticeStatus.QUEUED,
    )
    return list(await session.scalars(query))


async def plan_unread_report_notices(session: AsyncSession, row: RequestRecord) -> list[uuid.UUID]:
    """Tell others of the requester's clinic that a report of theirs lies unread; the ids of the notices to send now.

    Nobody is told twice of one report: the key says which, as no event does.
    """
    requester = Person(id=row.requester_id, clinic_id=row.requester_clinic_id)
    told = {
        account.id: Told(account, recipient, importance)
        for recipient, importance in MATRIX[UNREAD_REPORT].items()
        for account in await _told_of(session, row.id, _others_of(requester, _ROLES_OF_OTHERS[recipient]))
    }
    key = f"unread:{row.process_version}"
    await _insert(
        session,
        row.id,
        row.process_version,
        UNREAD_REPORT,
        told.values(),
        in_time_for_the_digest=True,
        command_id=key,
    )
    query = select(Notice.id).where(
        Notice.request_id == row.id, Notice.command_id == key, Notice.status == NoticeStatus.QUEUED
    )
    return list(await session.scalars(query))


async def plan_stuck_notices(session: AsyncSession, row: RequestRecord) -> list[uuid.UUID]:
    """Tell dispatchers, and administrators of the clinic that asked, that the request waits for nobody who can go on with it; the
    ids of the notices to send now. Of the same state nobody is told twice.
    """
    own = and_(Account.clinic_id == row.requester_clinic_id, Account.roles.contains([Role.CLINIC_ADMINISTRATOR.value]))
    parties = {
        Recipient.REQUESTER_CLINIC: own,
        Recipient.DISPATCHERS: _members(Holder.dispatch(row.dispatch_clinic_id)),
    }
    told = {
        account.id: Told(account, recipient, Importance.ACTION)
        for recipient, party in parties.items()
        for account in await _told_of(session, row.id, party)
    }
    key = f"{STUCK}:{row.status}:{row.waiting_since:%Y%m%d%H%M%S}:{row.follow_up_signer_id or '-'}"
    await _insert(
        *(session, row.id, row.process_version, STUCK, told.values()), in_time_for_the_digest=False, command_id=key
    )
    query = select(Notice.id).where(
        Notice.request_id == row.id, Notice.command_id == key, Notice.status == NoticeStatus.QUEUED
    )
    return list(await session.scalars(query))


Heard = tuple[uuid.UUID, uuid.UUID, Recipient]
"""Somebody who was told of lost messages of a partner, as which party."""


@dataclass(frozen=True)
class LostTold:
    """Who is told by now of what was lost of a request; the ids of the notices to send now."""

    heard: frozenset[Heard]
    notice_ids: tuple[uuid.UUID, ...]


async def plan_lost_message_notices(
    session: AsyncSession, untold: Untold, now: datetime, heard: Collection[Heard]
) -> LostTold:
    """Tell a request's dispatchers that a message was lost, and its requester where it concerns them.

    Who has `heard` in the same round of others of the same partner is not told once more: their e-mail leads to all of them.
    """
    row = untold.row
    of_whom = [(Recipient.DISPATCHERS, Importance.ACTION, _members(Holder.dispatch(row.dispatch_clinic_id)))]
    if untold.is_requesters:  # first: of somebody who is both, what waits for them counts
        of_whom.insert(0, (Recipient.REQUESTER, Importance.INFORMATION, Account.id == row.requester_id))
    people = {
        account.id: Told(account, recipient, importance)
        for recipient, importance, who in of_whom
        for account in await _told_of(session, row.id, who)
    }
    parties = {
        id_: frozenset((id_, partner_id, told.recipient) for partner_id in untold.partner_ids)
        for id_, told in people.items()
    }
    key = f"message:{min((*untold.sent, *untold.came))}:{now.isoformat()}"
    planned = await _insert(
        session,
        row.id,
        row.process_version,
        MESSAGE_LOST,
        [told for id_, told in people.items() if not parties[id_].issubset(heard)],
        in_time_for_the_digest=False,
        command_id=key,
    )
    queued = tuple(one.id for one in planned if one.status is NoticeStatus.QUEUED)
    return LostTold(frozenset(one for of_one in parties.values() for one in of_one), queued)


# What reached nobody


async def list_undeliverable(
    session: AsyncSession, clinic_id: uuid.UUID | None = None, *, without: Collection[uuid.UUID] = ()
) -> list[Notice]:
    """Notices that reached nobody, newest first, at most 500: to people of that clinic, or about requests that it dispatches;
    `without` those about some requests.
    """
    query = _concerning(clinic_id).where(_IS_UNDELIVERABLE, Notice.request_id.not_in(without))
    return list(await session.scalars(query.order_by(Notice.created_at.desc(), Notice.id).limit(LONGEST_LIST)))


async def queue_again(
    session: AsyncSession,
    notice_id: uuid.UUID,
    now: datetime,
    clinic_id: uuid.UUID | None = None,
    *,
    without: Collection[uuid.UUID] = (),
) -> tuple[Notice | None, bool]:
    """Let a notice that reached nobody wait to be sent again, to its person's present address.

    Gives it, or None when that clinic has no such notice or it is about a request that is left out, and whether it is queued
    anew: one that is on its way or sent, or to a person who has left, stays as it is. The row is locked until the end of the
    transaction.
    """
    query = _concerning(clinic_id).where(Notice.id == notice_id, Notice.request_id.not_in(without))
    notice = await session.scalar(query.with_for_update(of=Notice))
    if notice is None or notice.status not in UNDELIVERABLE:
        return notice, False
    account = await session.get_one(Account, notice.account_id)
    if not account.active or await shuts_out(session, notice.request_id, account.id):
        return notice, False
    notice.address, notice.language = account.email, account.language
    notice.status, notice.last_error, notice.send_at = NoticeStatus.QUEUED, None, now
    notice.told_with = notice.taken_up_by = notice.taken_up_at = None
    await session.flush()
    return notice, True


async def stranded(session: AsyncSession, now: datetime) -> list[uuid.UUID]:
    """Notices that were to go long ago and that nobody has in hand, at most 500: whoever was to send them may be lost."""
    query = (
        select(Notice.id)
        .where(
            Notice.status == NoticeStatus.QUEUED,
            Notice.told_with.is_(None),
            Notice.send_at < now - IN_HAND_AT_MOST,
            or_(Notice.taken_up_at.is_(None), Notice.taken_up_at < now - IN_HAND_AT_MOST),
        )
        .order_by(Notice.send_at)
    )
    return list(await session.scalars(query.limit(LONGEST_LIST)))


@dataclass(frozen=True)
class Waiting:
    """E-mails that wait to be taken, with what their last try said (None: not tried yet), and since when the oldest does."""

    code: str | None
    notices: int
    since: datetime


async def waiting_by_code(session: AsyncSession, *, without: Collection[uuid.UUID] = ()) -> list[Waiting]:
    """What waits for the mail server, by the reason, the longest wait first; `without` what is about some requests."""
    oldest = func.min(Notice.send_at)
    query = (
        select(Notice.last_error, func.count(), oldest)
        .where(_IS_QUEUED, Notice.told_with.is_(None), Notice.request_id.not_in(without))
        .group_by(Notice.last_error)
        .order_by(oldest)
    )
    return [Waiting(code, count, since) for code, count, since in await session.execute(query)]


async def count_unsent(session: AsyncSession, *, without: Collection[uuid.UUID] = ()) -> dict[NoticeStatus, int]:
    """How many notices there are in each status but those that are settled well; `without` those about some requests."""
    counts = dict.fromkeys((NoticeStatus.QUEUED, NoticeStatus.GROUPED, *UNDELIVERABLE), 0)
    for condition in (_IS_QUEUED, _IS_GROUPED, _IS_UNDELIVERABLE):
        counted = condition, Notice.request_id.not_in(without)
        query = select(Notice.status, func.count()).where(*counted).group_by(Notice.status)
        for status, count in await session.execute(query):
            counts[status] = count
    return counts


def _concerning(clinic_id: uuid.UUID | None) -> Select[Notice]:
    """Notices to people of that clinic, or about requests that it dispatches; all of them where it is None."""
    query = select(Notice)
    if clinic_id is None:
        return query
    return (
        query.join(Account, Account.id == Notice.account_id)
        .join(RequestRecord, RequestRecord.id == Notice.request_id)
        .where(or_(Account.clinic_id == clinic_id, RequestRecord.dispatch_clinic_id == clinic_id))
    )


# Digests: the notices of those who want them grouped


@dataclass(frozen=True)
class Digest:
    """What one grouped e-mail tells, oldest first. `account` is its reader as of now."""

    id: uuid.UUID
    account: Account
    notices: tuple[Notice, ...]


async def accounts_awaiting_digest(session: AsyncSession) -> list[uuid.UUID]:
    """The accounts for which grouped notices wait."""
    query = select(Notice.account_id).where(Notice.status == NoticeStatus.GROUPED).distinct()
    return list(await session.scalars(query.order_by(Notice.account_id)))


async def claim_digest(session: AsyncSession, account_id: uuid.UUID, digest_id: uuid.UUID) -> Digest | None:
    """Put the waiting notices of an account into the digest of that id; None when there are none.

    The same id gives the same digest again, so that a retry says the same. What an earlier digest claimed but never sent is
    taken over. What waits for a person who has left, is of a request that was shut to them meanwhile, or was for them as an
    administrator, which they are no more, is suppressed.
    """
    account = await session.get(Account, account_id, with_for_update={"key_share": True}, populate_existing=True)
    if account is None:
        return None
    waiting = and_(Notice.account_id == account_id, Notice.status == NoticeStatus.GROUPED)
    if not account.active:
        await _suppress(session, waiting)
        return None
    await _suppress(session, and_(waiting, Notice.request_id.in_(shut_to(account.id, account.clinic_id, frozenset()))))
    if not _administers(account):
        await _suppress(session, and_(waiting, _FOR_COVER))
    claimed = select(Notice).where(Notice.digest_id == digest_id, Notice.account_id == account_id).order_by(Notice.id)
    notices = list(await session.scalars(claimed))
    if not notices:
        await session.execute(update(Notice).where(waiting).values(digest_id=digest_id))
        notices = list(await session.scalars(claimed))
    return Digest(digest_id, account, tuple(notices)) if notices else None


async def mark_digested(session: AsyncSession, digest_id: uuid.UUID, now: datetime) -> None:
    """The mail server has taken the digest."""
    await session.execute(
        update(Notice)
        .where(Notice.digest_id == digest_id, Notice.status == NoticeStatus.GROUPED)
        .values(status=NoticeStatus.SENT, sent_at=now, attempts=Notice.attempts + 1, last_error=None)
    )


async def mark_digest_expired(session: AsyncSession, notice_ids: Collection[uuid.UUID], code: str) -> None:
    """No mail server took a digest with these notices in time."""
    await session.execute(
        update(Notice)
        .where(Notice.id.in_(notice_ids), Notice.status == NoticeStatus.GROUPED)
        .values(status=NoticeStatus.EXPIRED, attempts=Notice.attempts + 1, last_error=code)
    )


async def mark_digest_refused(session: AsyncSession, digest_id: uuid.UUID, code: str) -> None:
    """The mail server has refused the address of the digest for good."""
    await session.execute(
        update(Notice)
        .where(Notice.digest_id == digest_id, Notice.status == NoticeStatus.GROUPED)
        .values(status=NoticeStatus.REFUSED, attempts=Notice.attempts + 1, last_error=code)
    )


# Who is who


def _party(recipient: Recipient, event: Event, request: Request) -> ColumnElement[bool]:
    match recipient:
        case Recipient.REQUESTER:
            return Account.id == request.requester.id
        case Recipient.HOLDER:
            return _members(event.holder)
        case Recipient.PREVIOUS_HOLDER:
            return _members(event.holder_before)
        case Recipient.DISPATCHERS:
            return _members(Holder.dispatch(request.dispatch_clinic_id))
        case Recipient.REQUESTER_CLINIC | Recipient.REQUESTER_COLLEAGUES:
            return _others_of(request.requester, _ROLES_OF_OTHERS[recipient])
        case Recipient.REQUESTER_COVER:
            return _cover_of_requester(request.requester)
        case Recipient.SIGNER:
            report = request.final_report
            return Account.id == report.signer.id if report else false()
        case Recipient.SIGNER_COVER:
            return _cover_of(request.final_report.signer, event.request_id) if request.final_report else false()
        case Recipient.SIGNING_PROVIDER:
            command = event.command
            return Account.id == command.signer.id if isinstance(command, FailSigning) else false()


def _cover_of(signer: Person, request_id: uuid.UUID) -> ColumnElement[bool]:
    """The other providers of their clinic, while they are away, or the request is shut to them."""
    others = and_(_members(Holder.pool(signer.clinic_id)), Account.id != signer.id)
    return and_(others, or_(is_away_provider(signer.id), is_shut_to_account(signer.id, request_id)))


def _cover_of_requester(requester: Person) -> ColumnElement[bool]:
    """Who administers their clinic, they too, while they are no requester any more or do not come in."""
    is_able = exists().where(_ASKED.id == requester.id, may_ask(_ASKED))
    administers = Account.roles.contains([Role.CLINIC_ADMINISTRATOR.value])
    return and_(Account.clinic_id == requester.clinic_id, administers, ~is_able)


_ROLES_OF_OTHERS = {
    Recipient.REQUESTER_CLINIC: Role.CLINIC_ADMINISTRATOR,
    Recipient.REQUESTER_COLLEAGUES: Role.REQUESTER,
}


def _others_of(requester: Person, role: Role) -> ColumnElement[bool]:
    """Everybody else of their clinic who has that role."""
    return and_(
        Account.clinic_id == requester.clinic_id, Account.roles.contains([role.value]), Account.id != requester.id
    )


def _members(holder: Holder) -> ColumnElement[bool]:
    match holder.kind:
        case HolderKind.REQUESTER | HolderKind.PROVIDER:
            return Account.id == holder.id
        case HolderKind.POOL:
            return and_(Account.clinic_id == holder.clinic_id, Account.roles.contains([Role.PROVIDER.value]))
        case HolderKind.DISPATCH:
            return and_(Account.clinic_id == holder.clinic_id, Account.roles.contains([Role.DISPATCHER.value]))
        case HolderKind.NOBODY:
            return false()


async def _told_of(session: AsyncSession, request_id: uuid.UUID, who: ColumnElement[bool]) -> list[Account]:
    """Those of them who are active, and to whom the request is not shut."""
    return list(
        await session.scalars(select(Account).where(who, Account.active, _IS_SOMEBODY, ~is_shut_out(request_id)))
    )


def _first_status(told: Told, in_time_for_the_digest: bool) -> NoticeStatus:
    concerned = told.importance is Importance.ACTION or told.recipient is Recipient.HOLDER
    match told.account.notice_mode:
        case NoticeMode.AT_ONCE:
            return NoticeStatus.QUEUED
        case NoticeMode.GROUPED:
            return NoticeStatus.QUEUED if concerned and not in_time_for_the_digest else NoticeStatus.GROUPED
        case NoticeMode.ACTIONS_ONLY:
            return NoticeStatus.QUEUED if told.importance is Importance.ACTION else NoticeStatus.SUPPRESSED


async def _insert(
    session: AsyncSession,
    request_id: uuid.UUID,
    version: int,
    event: str,
    people: Iterable[Told],
    *,
    in_time_for_the_digest: bool,
    due_at: datetime | None = None,
    wait: timedelta = timedelta(),
    by: str | None = None,
    refused_notice_id: uuid.UUID | None = None,
    command_id: str | None = None,
) -> list[PlannedNotice]:
    planned = [PlannedNotice(new_id(), told, _first_status(told, in_time_for_the_digest), due_at) for told in people]
    rows = [
        {
            "id": notice.id,
            "request_id": request_id,
            "version": version,
            "event": event,
            "account_id": notice.told.account.id,
            "address": notice.told.account.email,
            "language": notice.told.account.language,
            "recipient": notice.told.recipient,
            "importance": notice.told.importance,
            "status": notice.status,
            "message_id": notice.message_id,
            "attempts": 0,
            "wait": wait,
            "taken_up_by": by,
            "refused_notice_id": refused_notice_id,
            "command_id": command_id,
        }
        for notice in planned
    ]
    await (_IN_HAND if by else _PLANNED).run_for_each(session, rows)
    return planned


async def _tell_together(session: AsyncSession, request_id: uuid.UUID, planned: Collection[uuid.UUID]) -> None:
    """Let each of the `planned` notices and the one that still waits for the same person go in one e-mail, the earlier's."""
    query = (
        select(Notice)
        .where(
            Notice.request_id == request_id,
            Notice.status == NoticeStatus.QUEUED,
            Notice.told_with.is_(None),
            Notice.taken_up_at.is_(None),
            Notice.refused_notice_id.is_(None),
            Notice.send_at > func.clock_timestamp(),
        )
        .order_by(Notice.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    waiting = list(await session.scalars(query))
    new = await session.scalars(select(Notice).where(Notice.id.in_(planned), Notice.status == NoticeStatus.QUEUED))
    for notice in new:
        there = next((w for w in waiting if w.account_id == notice.account_id and w.id not in planned), None)
        if there is not None:
            first, other = sorted((there, notice), key=lambda n: n.send_at)
            await session.execute(update(Notice).where(_of_one_mail(other.id)).values(told_with=first.id))


def _of_one_mail(*notice_ids: uuid.UUID) -> ColumnElement[bool]:
    """The notices that wait for the e-mails of those: themselves, and those that go with them."""
    return and_(Notice.status == NoticeStatus.QUEUED, or_(Notice.id.in_(notice_ids), Notice.told_with.in_(notice_ids)))


async def _mark(session: AsyncSession, *notice_ids: uuid.UUID, **values: object) -> None:
    """Write down what became of the e-mails of those notices, of all that go with them; nobody has them in hand any more."""
    await _MARKED.run(session, {"mails": notice_ids, **values})
