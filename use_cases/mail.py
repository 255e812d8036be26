"""E-mails that reached nobody, with a way to send them again; and for operators, how mail stands."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from prometheus_client import Gauge
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from domain.notices import needs_an_operator
from domain.requests import Role
from records import notices, requests
from records.models import Notice, NoticeStatus
from records.visibility import all_shut_to
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.single_notice import send_by_itself
from use_cases.views import View

NOTICES = Gauge("relais_notices", "E-mails that are not sent (yet), by status", ["status"])
OLDEST = Gauge("relais_oldest_waiting_notice_seconds", "How long the oldest e-mail waits for the mail server")
REFUSED_US = Gauge(
    "relais_notices_refused_through_our_fault", "E-mails that wait because the relay refuses Relais itself"
)

log = structlog.get_logger(__name__)


class UndeliverableView(View):
    """An e-mail that reached nobody."""

    notice_id: UUID
    request_id: UUID
    number: str = Field(examples=["TC-2026-000123"])
    event: str
    recipient: PersonView | None
    status: Literal["refused", "expired", "failed"] = Field(
        description="`refused`: its address can get no mail. `expired`: no mail server took it in time, the address may be right."
    )
    code: str | None = Field(
        description="What the mail server said last, or what kept the e-mail from it.",
        examples=["recipient_smtp_550_5.1.1"],
    )
    created_at: datetime


class SentAgainView(View):
    """What became of the wish to send an e-mail again."""

    notice_id: UUID
    status: str = Field(
        description="`queued`: it goes now. `sent`: it was sent meanwhile. Otherwise its person has left, and it stays as it is.",
        examples=["queued"],
    )


class WaitingView(View):
    """E-mails that wait for the mail server for the same reason."""

    code: str | None = Field(
        description="What the last try said; none where there was no try.", examples=["recipient_smtp_550_5.7.1"]
    )
    needs_an_operator: bool = Field(description="It will not pass by itself: the relay refuses Relais, not an address.")
    notices: int
    since: datetime


class MailView(View):
    """How mail stands: what waits and why, what waits for a digest, and what reached nobody."""

    waiting: list[WaitingView]
    grouped: int
    undeliverable: int


async def list_undeliverable(services: Services, caller: Caller) -> list[UndeliverableView]:
    """For dispatchers and administrators of the clinic, and for operators: who was not told, and about which request."""
    clinic = _whose_list(caller)
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
        found = await notices.list_undeliverable(session, clinic, without=shut)
        names = await Names.load(session, [notice.account_id for notice in found], [])
        numbers = await requests.numbers_of(session, [notice.request_id for notice in found])
    return [
        UndeliverableView(
            notice_id=notice.id,
            request_id=notice.request_id,
            number=numbers[notice.request_id],
            event=notice.event,
            recipient=names.person(notice.account_id),
            status=notice.status.value,
            code=notice.last_error,
            created_at=notice.created_at,
        )
        for notice in found
    ]


async def send_again(services: Services, caller: Caller, notice_id: UUID) -> SentAgainView:
    """For those who see it on the list: it goes to the person's present address, unless it is on its way or sent.

    Raises Problem `forbidden`, `not_found`, or `engine_unreachable`; then nothing has changed. The row is locked until the engine
    has the workflow, so that it is never waiting with nobody to send it.
    """
    clinic = _whose_list(caller)
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
        notice, is_queued = await notices.queue_again(session, notice_id, datetime.now(UTC), clinic, without=shut)
        if notice is not None and is_queued:
            await _start(services, notice)
    if notice is None:
        raise Problem("not_found")
    return SentAgainView(notice_id=notice.id, status=notice.status)


async def _start(services: Services, notice: Notice) -> None:
    patience = timedelta(seconds=services.settings.command_timeout_seconds)
    try:  # the workflow that gave it up may still be ending
        await send_by_itself(services, notice.id, again=notice.attempts, patience=patience)
    except RPCError as error:
        log.warning("engine unreachable", status=error.status.name)
        raise Problem("engine_unreachable") from error


async def how_mail_stands(services: Services, caller: Caller) -> MailView:
    """For operators: what waits for the mail server and why, and how much reached nobody. Raises Problem `forbidden`."""
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
        waiting = await notices.waiting_by_code(session, without=shut)
        counts = await notices.count_unsent(session, without=shut)
    return MailView(
        waiting=[
            WaitingView(
                code=group.code,
                needs_an_operator=needs_an_operator(group.code or ""),
                notices=group.notices,
                since=group.since,
            )
            for group in waiting
        ],
        grouped=counts[NoticeStatus.GROUPED],
        undeliverable=sum(counts[status] for status in notices.UNDELIVERABLE),
    )


async def measure(services: Services) -> None:
    """Bring the gauges of mail up to date; while the records are away, they stay as they were."""
    try:
        async with services.database.session() as session:
            waiting = await notices.waiting_by_code(session)
            counts = await notices.count_unsent(session)
    except (SQLAlchemyError, OSError):
        return
    for status, count in counts.items():
        NOTICES.labels(status).set(count)
    oldest = min((group.since for group in waiting), default=None)
    OLDEST.set(max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0)
    REFUSED_US.set(sum(group.notices for group in waiting if needs_an_operator(group.code or "")))


def _whose_list(caller: Caller) -> UUID | None:
    """The clinic whose undelivered e-mails the caller sees; None for those of all clinics."""
    policy.must_have_role(caller, Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)
    return None if Role.OPERATOR in caller.roles else caller.clinic_id
