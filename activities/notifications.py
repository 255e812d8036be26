"""The activities that send e-mails: one notice to one person, or all the notices that a person gets grouped.

The records hold what is to be sent and what became of it. Every activity may come twice: what is sent is never sent again, and
should Relais die between the mail server's answer and the note of it, the second e-mail has the first one's Message-ID. Their
errors hold neither addresses nor texts.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import DUE_DIGESTS, SEND_DIGEST, SEND_NOTICE
from activities.delivery import NotTaken, Refused, deliver
from activities.heartbeat import alive
from activities.messages import AddressError, OutgoingNotice, compose_digest, compose_notice
from domain.lifecycle import question_id
from domain.notices import Importance, SendResult
from domain.offerings import DeadlineName
from domain.requests import EventName, Holder, Request
from records import notices, requests
from records.database import Database
from records.models import Account, EventRecord, Notice, NoticeStatus, RequestRecord
from settings import Settings

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 2.0


class NotificationActivities:
    """Sends e-mails for one database, through the mail server of the settings."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    @activity.defn(name=SEND_NOTICE)
    async def send_notice(self, notice_id: UUID) -> SendResult:
        """Send one notice, unless that was done, and write down what became of it.

        When the mail server refuses it for good, the request's dispatchers are to be told: the answer names their notices.
        Raises ApplicationError of the type ``mail_temporarily_refused`` when it is to be tried again.
        """
        async with self._database.session() as session:
            notice = await _load(session, notice_id)
            if notice.status is not NoticeStatus.QUEUED:
                return await _settled(session, notice)
            outgoing = await _outgoing(session, notice)
        try:
            async with alive():
                await deliver(compose_notice(outgoing, self._settings), self._settings)
        except NotTaken as problem:
            async with self._database.session() as session:
                await notices.note_attempt(session, notice_id, problem.code)
            raise self._try_again(problem.code) from None
        except (AddressError, Refused) as problem:
            code = problem.code if isinstance(problem, Refused) else "address_malformed"
            async with self._database.session() as session:
                await notices.mark_refused(session, notice_id, code)
                follow_up = await notices.plan_refused_address_notices(session, notice)
            log.warning("notice refused", notice_id=str(notice_id), code=code)
            return SendResult(status="refused", follow_up_notice_ids=tuple(follow_up))
        async with self._database.session() as session:
            await notices.mark_sent(session, notice_id, datetime.now(UTC))
        log.info("notice sent", notice_id=str(notice_id), event_name=notice.event)
        return SendResult(status="sent")

    @activity.defn(name=DUE_DIGESTS)
    async def due_digests(self) -> list[UUID]:
        """The accounts for which grouped notices wait."""
        async with self._database.session() as session:
            return await notices.accounts_awaiting_digest(session)

    @activity.defn(name=SEND_DIGEST)
    async def send_digest(self, account_id: UUID, slot: str) -> SendResult:
        """Send one person all the notices that wait for the digest of `slot`, in one e-mail.

        The same slot always means the same digest, with the same notices. Refusals and errors are those of `send_notice`; when
        it is refused for good, the dispatchers of each of its requests are to be told.
        """
        digest_id = uuid5(account_id, slot)
        async with self._database.session() as session:
            digest = await notices.claim_digest(session, account_id, digest_id)
            if digest is None:
                return SendResult(status="suppressed")
            waiting = [notice for notice in digest.notices if notice.status is NoticeStatus.GROUPED]
            if not waiting:
                return await _settled_together(session, digest.notices)
            reader = {"address": digest.account.email, "language": digest.account.language}
            outgoing = [(await _outgoing(session, notice)).model_copy(update=reader) for notice in waiting]
        now = datetime.now(UTC)
        try:
            message = compose_digest(outgoing, self._settings, account_id=account_id, sent_at=now)
            async with alive():
                await deliver(message, self._settings)
        except NotTaken as problem:
            raise self._try_again(problem.code) from None
        except (AddressError, Refused) as problem:
            code = problem.code if isinstance(problem, Refused) else "address_malformed"
            async with self._database.session() as session:
                await notices.mark_digest_refused(session, digest_id, code)
                follow_up = await _tell_dispatchers(session, waiting)
            log.warning("digest refused", digest_id=str(digest_id), code=code)
            return SendResult(status="refused", follow_up_notice_ids=follow_up)
        async with self._database.session() as session:
            await notices.mark_digested(session, digest_id, now)
        log.info("digest sent", digest_id=str(digest_id), notices=len(waiting))
        return SendResult(status="sent")

    def _try_again(self, code: str) -> ApplicationError:
        """The error that makes Temporal try again, after a pause that doubles up to the setting's limit."""
        tries = activity.info().attempt
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(tries - 1, 30), self._settings.mail_retry_max_seconds)
        log.warning("e-mail not taken for now", code=code, tries=tries, pause_seconds=pause)
        return ApplicationError(
            f"the mail server did not take the e-mail for now: {code}",
            type="mail_temporarily_refused",
            next_retry_delay=timedelta(seconds=pause),
        )


async def _load(session: AsyncSession, notice_id: UUID) -> Notice:
    notice = await notices.load_notice(session, notice_id)
    if notice is None:
        raise ApplicationError("the records hold no such notice", type="notice_unknown", non_retryable=True)
    return notice


async def _settled(session: AsyncSession, notice: Notice) -> SendResult:
    """The answer for a notice that is not to be sent (any more). Of a refused one, the dispatchers may still have to be told."""
    match notice.status:
        case NoticeStatus.SENT:
            return SendResult(status="already_sent")
        case NoticeStatus.REFUSED:
            follow_up = await notices.plan_refused_address_notices(session, notice)
            return SendResult(status="refused", follow_up_notice_ids=tuple(follow_up))
        case _:
            return SendResult(status="suppressed")


async def _settled_together(session: AsyncSession, of_digest: Sequence[Notice]) -> SendResult:
    if all(notice.status is NoticeStatus.SENT for notice in of_digest):
        return SendResult(status="already_sent")
    return SendResult(status="refused", follow_up_notice_ids=await _tell_dispatchers(session, of_digest))


async def _tell_dispatchers(session: AsyncSession, refused: Iterable[Notice]) -> tuple[UUID, ...]:
    """Plan one round of notices to the dispatchers of each request, about its newest refused notice."""
    newest = {notice.request_id: notice for notice in sorted(refused, key=lambda notice: notice.id)}
    planned = [await notices.plan_refused_address_notices(session, notice) for notice in newest.values()]
    return tuple(notice_id for ids in planned for notice_id in ids)


# What an e-mail must know of the request


async def _outgoing(session: AsyncSession, notice: Notice) -> OutgoingNotice:
    account = await session.get_one(Account, notice.account_id)
    event = await session.get_one(EventRecord, (notice.request_id, notice.version))
    row = await session.get_one(RequestRecord, notice.request_id)
    return outgoing_notice(notice, account, event, requests.process_of(row))


def outgoing_notice(notice: Notice, account: Account, event: EventRecord, request: Request) -> OutgoingNotice:
    """The notice as its e-mail will tell it, by the request's present state: nobody is asked to do what is done by now."""
    about_address = notice.event == notices.NOTICE_REFUSED
    still_to_do = about_address or _is_still_to_do(event, request)
    return OutgoingNotice.model_validate(
        {
            "notice_id": notice.id,
            "message_id": notice.message_id,
            "request_id": notice.request_id,
            "number": request.number,
            "event": notice.event,
            "recipient": notice.recipient,
            "importance": notice.importance if still_to_do else Importance.INFORMATION,
            "status": event.status,
            "due_at": _due_at(event, request) if still_to_do and not about_address else None,
            "created_at": notice.created_at,
            "address": notice.address,
            "display_name": f"{account.given_name} {account.family_name}",
            "language": notice.language,
        }
    )


_ABOUT_A_QUESTION = {EventName.INFORMATION_REQUESTED, EventName.INFORMATION_REMINDER, EventName.INFORMATION_EXPIRED}


def _is_still_to_do(event: EventRecord, request: Request) -> bool:
    """Whether what the event asks for still waits: its question is open, or the request still is where the event put it."""
    if event.name is EventName.ADDENDUM_ISSUED:
        return True
    if event.name in _ABOUT_A_QUESTION:
        asked = _question_id(event)
        return any(asked in (None, question.id) for question in request.questions)
    return (request.status, request.holder) == (event.status, Holder.model_validate(event.holder))


def _due_at(event: EventRecord, request: Request) -> datetime | None:
    if event.name is EventName.ADDENDUM_ISSUED:
        return None
    if event.name in _ABOUT_A_QUESTION:
        deadline = request.deadline(DeadlineName.INFORMATION, _question_id(event))
        return deadline.due_at if deadline else None
    return request.due_at


def _question_id(event: EventRecord) -> UUID | None:
    """The question that an event of information requests is about; None when its command named none."""
    if event.name is EventName.INFORMATION_REQUESTED:
        return question_id(event.request_id, event.command_id)
    named = event.command.get("question_id")
    return UUID(named) if named else None
