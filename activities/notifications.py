"""The activities that send e-mails: those of one event, one notice to one person, or all the notices that a person gets grouped.

The records hold what is to be sent and what became of it. Every activity may come twice, and what is sent is never sent again:
from the mail server's answer on, the activity tries to note it for as long as the records are away, and it keeps what was taken
in its heartbeat, so that its next try has only to note. Should Relais die in the moment between, the second e-mail has the
first one's Message-ID. Errors hold neither addresses nor texts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, cast
from uuid import UUID, uuid5

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import DELIVER, DUE_DIGESTS, SEND_DIGEST, SEND_NOTICE, STRANDED_NOTICES
from activities.delivery import DeliveryError, NotTaken, Refused, Relay
from activities.heartbeat import alive
from activities.messages import OutgoingNotice, compose_digest, compose_notice
from activities.try_again import try_again
from domain.addresses import AddressError
from domain.events import Event, question_id
from domain.notices import (
    ABOUT_A_FOLLOW_UP,
    ABOUT_A_QUESTION,
    ABOUT_AN_URGENT_REPORT,
    MATRIX,
    WITHOUT_A_DEADLINE,
    Delivered,
    Importance,
    SendResult,
    due_after,
    told_as,
)
from domain.requests import EventName, Holder, Request
from records import notices, requests
from records.database import Database
from records.models import Account, EventRecord, Notice, NoticeStatus, RequestRecord
from records.notices import PlannedNotice
from records.sealed import NOT_OPENED, tell_not_opened, unread
from settings import Settings
from translations import Language

log = structlog.get_logger(__name__)

PATIENCE_WITH_OURSELVES = 10
"""So many times as long are the pauses where the relay refuses Relais: who insists is refused for longer."""

SENT_AT_ONCE = 4
"""E-mails of one event that are sent beside each other, so that a slow recipient holds nobody up."""

NOTES_FOR = timedelta(minutes=10)
"""How long an activity tries to note what the mail server has taken, before Temporal tries again."""

LONGEST_PAUSE_OF_NOTES = 5.0

NOTED_WITHIN_SECONDS = 0.2
"""A note of what the mail server has taken that takes longer is told to the engine, for the next try."""

AT_ONCE_SECONDS = 3.0
"""How long who records an event waits for its e-mails, which go over to the mail task queue then."""

PATIENCE_SECONDS = 30.0
"""For so long after the mail server was slow, or did not take an e-mail, nobody waits for it."""

AT_THE_END_SECONDS = 5.0
"""How long a worker that ends waits for an answer of the mail server."""

Noted = TypeVar("Noted")


class NoticeUnknownError(LookupError):
    """The records hold no such notice."""


class Taken:
    """What the mail server has taken from this activity, in this try or in one before: its heartbeat says so."""

    def __init__(self) -> None:
        self._ids: list[str] = list(activity.info().heartbeat_details) if activity.in_activity() else []
        self._is_over = False

    def __contains__(self, mail_id: UUID) -> bool:
        return str(mail_id) in self._ids

    def add(self, mail_id: UUID) -> None:
        """Keep it, whatever comes next."""
        self._ids.append(str(mail_id))

    def tell(self) -> None:
        """Let the next try know."""
        if not self._is_over:
            activity.heartbeat(*self._ids)

    def end(self) -> None:
        """The activity is over: nobody hears its heartbeats any more."""
        self._is_over = True

    def __call__(self) -> Sequence[str]:
        return tuple(self._ids)

    @property
    def ids(self) -> list[UUID]:
        """Those that were taken."""
        return [UUID(mail_id) for mail_id in self._ids]


class NotificationActivities:
    """Sends e-mails for one database, through the mail server of the settings."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._pace = _Pace(settings.mails_per_second)
        self._relay = Relay(settings)
        self._notes_of_sent = _NotesOfSent(self._mark_sent)
        self._under_way: dict[UUID, asyncio.Task[SendResult]] = {}
        self._not_at_once_before = 0.0

    async def close(self) -> None:
        """See what is under way to its end, for some seconds, and take leave of the mail server."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=AT_THE_END_SECONDS)
        await self._relay.close()

    # At once

    @property
    def tells_at_once(self) -> bool:
        """Whether the mail server was quick lately: who records an event may wait for it."""
        return asyncio.get_running_loop().time() >= self._not_at_once_before

    async def tell_at_once(self, letters: Sequence[OutgoingNotice]) -> tuple[UUID, ...]:
        """Try to send these, which the activity that calls has in hand, without letting it wait for a mail server that is slow.

        Gives the ids of those that are left to `deliver_notices`: what was not taken, what still is under way, and the notices
        that tell dispatchers of a refusal. Raises what the database raises while it is away.
        """
        taken = Taken()
        trying = {
            letter.notice_id: self._under_way_to_its_end(
                letter.notice_id, self._see_off(letter.notice_id, [letter], taken)
            )
            for letter in letters
        }
        if not trying:
            return ()
        _, late = await asyncio.wait(trying.values(), timeout=AT_ONCE_SECONDS)
        taken.end()
        slow = [notice_id for notice_id, task in trying.items() if task in late]
        if slow:
            async with self._database.session() as session:
                await notices.keep_in_hand(session, slow, own_name())
        not_taken, settled = _sorted_out({one: task for one, task in trying.items() if task not in late})
        if slow or not_taken:
            self._not_at_once_before = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        return (*slow, *not_taken, *(follower for result in settled for follower in result.follow_up_notice_ids))

    async def note_taken(self) -> None:
        """Write down what the activity that calls has handed over in a try before."""
        if taken := Taken().ids:
            await self._mark_sent(taken)

    @activity.defn(name=DELIVER)
    async def deliver_notices(self, notice_ids: list[UUID]) -> Delivered:
        """Try once to send each of these notices, and write down what became of it. None holds up another.

        The answer names those that were not taken, for others to try again, and the notices that tell dispatchers of refusals.
        """
        taken, places = Taken(), asyncio.Semaphore(SENT_AT_ONCE)

        async def one(notice_id: UUID) -> SendResult | None:
            async with places:
                try:
                    return await self._to_its_end(notice_id, self._send(notice_id, taken))
                except NotTaken:
                    return None
                except NoticeUnknownError:
                    log.error("the records hold no such notice", notice_id=str(notice_id))
                    return SendResult(status="suppressed")

        async with alive(taken):
            results = await asyncio.gather(*map(one, notice_ids), return_exceptions=True)
        broken = [result for result in results if isinstance(result, BaseException)]
        if broken:
            raise broken[0]
        settled = [result for result in results if isinstance(result, SendResult)]
        return Delivered(
            waiting=tuple(one for one, result in zip(notice_ids, results, strict=True) if result is None),
            follow_up_notice_ids=tuple(follower for result in settled for follower in result.follow_up_notice_ids),
        )

    @activity.defn(name=SEND_NOTICE)
    async def send_notice(self, notice_id: UUID) -> SendResult:
        """Send one notice, unless that was done, and write down what became of it.

        When its address can get no mail, or when it has waited too long, the request's dispatchers are to be told: the answer
        names their notices. Raises ApplicationError of the type ``mail_temporarily_refused`` when it is to be tried again.
        """
        taken = Taken()
        try:
            async with alive(taken):
                return await self._to_its_end(notice_id, self._send(notice_id, taken))
        except NotTaken as problem:
            raise self._try_again(problem) from None
        except NoticeUnknownError:
            unknown = "the records hold no such notice"
            raise ApplicationError(unknown, type="notice_unknown", non_retryable=True) from None

    @activity.defn(name=STRANDED_NOTICES)
    async def stranded_notices(self) -> list[UUID]:
        """Notices that have waited for long: should nobody try to send them any more, somebody must."""
        async with self._database.session() as session:
            return await notices.stranded(session, datetime.now(UTC))

    @activity.defn(name=DUE_DIGESTS)
    async def due_digests(self) -> list[UUID]:
        """The accounts for which grouped notices wait."""
        async with self._database.session() as session:
            return await notices.accounts_awaiting_digest(session)

    @activity.defn(name=SEND_DIGEST)
    async def send_digest(self, account_id: UUID, slot: str) -> SendResult:
        """Send one person all the notices that wait for the digest of `slot`, in one e-mail.

        The same slot always means the same digest, with the same notices. Refusals and errors are those of `send_notice`; when
        it is refused for good, the dispatchers of each of its requests are to be told. What has waited too long is given up.
        """
        digest_id, taken = uuid5(account_id, slot), Taken()
        try:
            async with alive(taken):
                return await self._to_its_end(digest_id, self._send_digest(account_id, digest_id, taken))
        except NotTaken as problem:
            raise self._try_again(problem) from None

    async def _to_its_end(self, mail_id: UUID, sending: Coroutine[Any, Any, SendResult]) -> SendResult:
        """Send, whatever becomes of the activity meanwhile: an e-mail that the mail server may have must not be broken off."""
        return await asyncio.shield(self._under_way_to_its_end(mail_id, sending))

    def _under_way_to_its_end(
        self, mail_id: UUID, sending: Coroutine[Any, Any, SendResult]
    ) -> "asyncio.Task[SendResult]":
        """The sending of that e-mail, begun here unless it is under way.

        The engine may take a try for dead (it was away itself, say) and begin another one here: that one waits for the first.
        """
        under_way = self._under_way.get(mail_id)
        if under_way is None:
            under_way = self._under_way[mail_id] = asyncio.create_task(sending)
            under_way.add_done_callback(lambda task: self._forget(mail_id, task))
        else:
            sending.close()
        return under_way

    def _forget(self, mail_id: UUID, task: "asyncio.Task[SendResult]") -> None:
        del self._under_way[mail_id]
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; should nobody wait any more, its next try finds out

    # One notice

    async def _send(self, notice_id: UUID, taken: Taken) -> SendResult:
        """Send one notice with those that go with it. Raises NotTaken when it is to be tried again; that is noted then."""
        if notice_id in taken:
            return await self._note_sent(notice_id)
        async with self._database.session() as session:
            notice = await notices.take_up(session, notice_id, own_name(), datetime.now(UTC))
            if notice is None:
                raise NoticeUnknownError
            if notice.status is not NoticeStatus.QUEUED or notice.told_with is not None:
                return await _settled(session, notice)
            if notice.taken_up_by != own_name():
                raise NotTaken("in_other_hands")
        try:
            with _unforeseen_is_ours():
                async with self._database.session() as session:
                    together = await notices.told_together(session, notice)
                    outgoing = [await _outgoing(session, one) for one in together]
        except NotTaken as problem:
            return await self._note_not_taken(notice_id, problem)
        return await self._see_off(notice_id, outgoing, taken)

    async def _see_off(self, notice_id: UUID, outgoing: Sequence[OutgoingNotice], taken: Taken) -> SendResult:
        """Hand over the e-mail of a notice that is in hand, and note what became of it. Raises NotTaken."""
        try:
            with _unforeseen_is_ours():
                message = compose_notice(outgoing, self._settings)
                await self._pace.turn()
                await self._relay.deliver(message)
        except NotTaken as problem:
            return await self._note_not_taken(notice_id, problem)
        except (AddressError, Refused) as problem:
            return await self._note_refused(notice_id, _code_of(problem))
        taken.add(notice_id)
        with _told_soon(taken):
            return await self._note_sent(notice_id)

    async def _note_sent(self, notice_id: UUID) -> SendResult:
        await self._notes_of_sent.note(notice_id)
        log.info("notice sent", notice_id=str(notice_id))
        return SendResult(status="sent")

    async def _mark_sent(self, notice_ids: Collection[UUID]) -> None:
        now = datetime.now(UTC)
        await self._note(lambda session: notices.mark_sent(session, notice_ids, now), self._database.statement)

    async def _note_not_taken(self, notice_id: UUID, problem: NotTaken) -> SendResult:
        """One more try in vain: others will follow, or it has waited too long."""
        notice = await self._note(lambda session: session.get_one(Notice, notice_id))
        say = log.error if problem.ours and not notice.attempts else log.warning
        say("e-mail not taken for now", code=problem.code, fault="ours" if problem.ours else "passing")
        if not self._is_too_old(notice):
            await self._note(lambda session: notices.note_attempt(session, notice.id, problem.code))
            raise problem

        async def give_up(session: AsyncSession) -> list[UUID]:
            await notices.mark_expired(session, notice.id, problem.code)
            return await notices.plan_follow_up(session, notice, notices.NOTICE_EXPIRED, datetime.now(UTC))

        follow_up = await self._note(give_up)
        log.error("notice given up: no mail server took it in time", notice_id=str(notice.id), code=problem.code)
        return SendResult(status="expired", follow_up_notice_ids=tuple(follow_up))

    async def _note_refused(self, notice_id: UUID, code: str) -> SendResult:
        async def refuse(session: AsyncSession) -> list[UUID]:
            await notices.mark_refused(session, notice_id, code)
            notice = await session.get_one(Notice, notice_id)
            return await notices.plan_follow_up(session, notice, notices.NOTICE_REFUSED, datetime.now(UTC))

        follow_up = await self._note(refuse)
        log.warning("notice refused", notice_id=str(notice_id), code=code)
        return SendResult(status="refused", follow_up_notice_ids=tuple(follow_up))

    # A digest

    async def _send_digest(self, account_id: UUID, digest_id: UUID, taken: Taken) -> SendResult:
        """Send one digest. Raises NotTaken when it is to be tried again."""
        now = datetime.now(UTC)
        if digest_id in taken:
            return await self._note_digested(digest_id, now)
        async with self._database.session() as session:
            digest = await notices.claim_digest(session, account_id, digest_id)
            if digest is None:
                return SendResult(status="suppressed")
            waiting = [notice for notice in digest.notices if notice.status is NoticeStatus.GROUPED]
            if not waiting:
                return await _settled_together(session, digest.notices)
        reader = {"address": digest.account.email, "language": digest.account.language}
        try:
            with _unforeseen_is_ours():
                async with self._database.session() as session:
                    outgoing = [(await _outgoing(session, notice)).model_copy(update=reader) for notice in waiting]
                message = compose_digest(outgoing, self._settings, account_id=account_id, sent_at=now)
                await self._pace.turn()
                await self._relay.deliver(message)
        except NotTaken as problem:
            too_old = [notice for notice in waiting if self._is_too_old(notice)]
            if not too_old:
                raise
            return await self._give_up_together(too_old, problem.code)
        except (AddressError, Refused) as problem:
            return await self._refuse_together(digest_id, waiting, _code_of(problem))
        taken.add(digest_id)
        with _told_soon(taken):
            return await self._note_digested(digest_id, now)

    async def _note_digested(self, digest_id: UUID, now: datetime) -> SendResult:
        await self._note(lambda session: notices.mark_digested(session, digest_id, now))
        log.info("digest sent", digest_id=str(digest_id))
        return SendResult(status="sent")

    async def _refuse_together(self, digest_id: UUID, refused: Sequence[Notice], code: str) -> SendResult:
        async def refuse(session: AsyncSession) -> tuple[UUID, ...]:
            await notices.mark_digest_refused(session, digest_id, code)
            return await _tell_dispatchers(session, refused, notices.NOTICE_REFUSED)

        follow_up = await self._note(refuse)
        log.warning("digest refused", digest_id=str(digest_id), code=code)
        return SendResult(status="refused", follow_up_notice_ids=follow_up)

    async def _give_up_together(self, too_old: Sequence[Notice], code: str) -> SendResult:
        async def give_up(session: AsyncSession) -> tuple[UUID, ...]:
            await notices.mark_digest_expired(session, [notice.id for notice in too_old], code)
            return await _tell_dispatchers(session, too_old, notices.NOTICE_EXPIRED)

        follow_up = await self._note(give_up)
        log.error("notices of a digest given up: no mail server took them in time", count=len(too_old), code=code)
        return SendResult(status="expired", follow_up_notice_ids=follow_up)

    # What both have in common

    async def _note(
        self,
        write: Callable[[AsyncSession], Awaitable[Noted]],
        begin: Callable[[], AbstractAsyncContextManager[AsyncSession]] | None = None,
    ) -> Noted:
        """Write what became of an e-mail into the records; while they are away, try again, for some minutes."""
        begin = begin or self._database.session
        give_up_at, pause = datetime.now(UTC) + NOTES_FOR, 0.1
        while True:
            try:
                async with begin() as session:
                    return await write(session)
            except (SQLAlchemyError, OSError):
                if datetime.now(UTC) > give_up_at:
                    raise
                log.warning("the records can't be reached to note what became of an e-mail", pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_OF_NOTES)

    def _is_too_old(self, notice: Notice) -> bool:
        return datetime.now(UTC) - notice.send_at > timedelta(hours=self._settings.mail_gives_up_after_hours)

    def _try_again(self, problem: NotTaken) -> ApplicationError:
        """The error that makes Temporal try again, after a pause that doubles up to the setting's limit."""
        longest = self._settings.mail_retry_max_seconds
        if problem.ours:
            longest *= PATIENCE_WITH_OURSELVES
        return try_again(problem, longest)


class _NotesOfSent:
    """Writes down what was sent: while one note is being written, others come together for the next."""

    def __init__(self, write: Callable[[Collection[UUID]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: dict[UUID, asyncio.Future[None]] = {}
        self._writing: asyncio.Task[None] | None = None

    async def note(self, notice_id: UUID) -> None:
        """Until it is written. Raises what the database raises when it stays away."""
        noted = self._waiting.setdefault(notice_id, asyncio.get_running_loop().create_future())
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await noted

    async def _write_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, {}
            try:
                await self._write(together.keys())
            except BaseException as error:
                for noted in together.values():
                    if not noted.done():
                        noted.set_exception(error)
            else:
                for noted in together.values():
                    if not noted.done():
                        noted.set_result(None)


class _Pace:
    """Lets e-mails of this process go one after the other, not faster than the setting says."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval
        await asyncio.sleep(mine - now)


@contextmanager
def _told_soon(taken: Taken) -> Iterator[None]:
    """While the note of what was taken takes its time, the activity's next try must know."""
    soon = asyncio.get_running_loop().call_later(NOTED_WITHIN_SECONDS, taken.tell)
    try:
        yield
    except BaseException:
        taken.tell()
        raise
    finally:
        soon.cancel()


def _sorted_out(ended: Mapping[UUID, "asyncio.Task[SendResult]"]) -> tuple[list[UUID], list[SendResult]]:
    """The notices that were not taken, and the results of those that are settled. Raises what a note of them raised: the next
    try knows from the heartbeat what was taken."""
    not_taken: list[UUID] = []
    settled: list[SendResult] = []
    for notice_id, task in ended.items():
        try:
            settled.append(task.result())
        except NotTaken:
            not_taken.append(notice_id)
    return not_taken, settled


@contextmanager
def _unforeseen_is_ours() -> Iterator[None]:
    """An error that nobody foresaw is ours: the e-mail is tried again and given up in time, and operators see its kind.

    Errors of the records pass through: Temporal tries the whole activity again.
    """
    try:
        yield
    except (DeliveryError, AddressError, SQLAlchemyError, ConnectionError):
        raise
    except Exception as error:
        kind = type(error).__name__
        log.error("e-mail broke off", error=kind)
        raise NotTaken(f"fault_{kind}", ours=True) from None


def own_name() -> str:
    """By which the records know who has a notice in hand: the same for every try of one activity."""
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"


def _code_of(problem: AddressError | Refused) -> str:
    return problem.code if isinstance(problem, Refused) else "address_malformed"


_LOST: Mapping[NoticeStatus, tuple[Literal["refused", "expired"], str]] = {
    NoticeStatus.REFUSED: ("refused", notices.NOTICE_REFUSED),
    NoticeStatus.EXPIRED: ("expired", notices.NOTICE_EXPIRED),
}
"""What an activity answers of notices that reached nobody, and the event under which the dispatchers are told."""


async def _settled(session: AsyncSession, notice: Notice) -> SendResult:
    """The answer for a notice that is not to be sent (any more). Of a lost one, the dispatchers may still have to be told."""
    match notice.status:
        case NoticeStatus.SENT:
            return SendResult(status="already_sent")
        case NoticeStatus.REFUSED | NoticeStatus.EXPIRED:
            status, event = _LOST[notice.status]
            follow_up = await notices.plan_follow_up(session, notice, event, datetime.now(UTC))
            return SendResult(status=status, follow_up_notice_ids=tuple(follow_up))
        case _:
            return SendResult(status="suppressed")


async def _settled_together(session: AsyncSession, of_digest: Sequence[Notice]) -> SendResult:
    if all(notice.status is NoticeStatus.SENT for notice in of_digest):
        return SendResult(status="already_sent")
    follow_up: tuple[UUID, ...] = ()
    for status, (_, event) in _LOST.items():
        lost = [notice for notice in of_digest if notice.status is status]
        follow_up += await _tell_dispatchers(session, lost, event)
    return SendResult(status="refused", follow_up_notice_ids=follow_up)


async def _tell_dispatchers(session: AsyncSession, lost: Iterable[Notice], event: str) -> tuple[UUID, ...]:
    """Plan one round of notices to the dispatchers of each request, about its newest lost notice."""
    newest = {notice.request_id: notice for notice in sorted(lost, key=lambda notice: notice.id)}
    planned = [await notices.plan_follow_up(session, notice, event, datetime.now(UTC)) for notice in newest.values()]
    return tuple(notice_id for ids in planned for notice_id in ids)


# What an e-mail must know of the request


def letter_of(planned: PlannedNotice, event: Event, request: Request) -> OutgoingNotice:
    """A notice of `event` as its e-mail tells it, just when it has happened; `request` is the state after it."""
    told = planned.told
    return OutgoingNotice(
        notice_id=planned.id,
        message_id=planned.message_id,
        request_id=request.id,
        number=request.number,
        event=told_as(event.name, request),
        recipient=told.recipient,
        importance=told.importance,
        status=event.status,
        due_at=planned.due_at,
        created_at=event.at,
        address=told.account.email,
        display_name=f"{told.account.given_name} {told.account.family_name}",
        language=cast(Language, told.account.language),
    )


async def _outgoing(session: AsyncSession, notice: Notice) -> OutgoingNotice:
    account = await session.get_one(Account, notice.account_id)
    event = None
    if notice.event in MATRIX:
        try:
            event = await session.get(EventRecord, (notice.request_id, notice.version))
        except NOT_OPENED as error:  # told without what only it says: others are told of in the same e-mail
            tell_not_opened("events.command", str(notice.request_id), error)
    row = await session.get_one(RequestRecord, notice.request_id, options=unread(RequestRecord))
    return outgoing_notice(notice, account, event, requests.process_of(row))


def outgoing_notice(notice: Notice, account: Account, event: EventRecord | None, request: Request) -> OutgoingNotice:
    """The notice as its e-mail will tell it, by the request's present state: nobody is asked to do what is done by now.

    `event` is None where the notice is not about one of the request's: about another notice, or about a command that was refused;
    and where it does not open.
    """
    still_to_do = event is None or _is_still_to_do(notice.event, event, request)
    return OutgoingNotice.model_validate(
        {
            "notice_id": notice.id,
            "message_id": notice.message_id,
            "request_id": notice.request_id,
            "number": request.number,
            "event": notice.event,
            "recipient": notice.recipient,
            "importance": notice.importance if still_to_do else Importance.INFORMATION,
            "status": event.status if event else request.status,
            "due_at": due_after(notice.event, request, _question_id(event)) if event and still_to_do else None,
            "created_at": notice.created_at,
            "address": notice.address,
            "display_name": f"{account.given_name} {account.family_name}",
            "language": notice.language,
        }
    )


def _is_still_to_do(about: str, event: EventRecord, request: Request) -> bool:
    """Whether what a notice asks for still waits: a question is open, an urgent report unread, the request where it was put."""
    if about in ABOUT_AN_URGENT_REPORT:
        return request.unread is not None
    if event.name in WITHOUT_A_DEADLINE:
        return True
    if event.name in ABOUT_A_FOLLOW_UP:
        return request.open_follow_up is not None
    if event.name in ABOUT_A_QUESTION:
        asked = _question_id(event)
        return any(asked in (None, question.id) for question in request.questions)
    return (request.status, request.holder) == (event.status, Holder.model_validate(event.holder))


def _question_id(event: EventRecord) -> UUID | None:
    """The question that an event of information requests is about; None when its command named none."""
    if event.name is EventName.INFORMATION_REQUESTED:
        return question_id(event.request_id, event.command_id)
    named = event.command.get("question_id")
    return UUID(named) if named else None
