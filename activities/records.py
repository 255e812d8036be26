"""Activities that write to the records: what happened, what was refused, what failed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio import activity

from activities.contract import NOTE_FAILURE, NOTE_REFUSAL, RECORD_EVENT, Planned
from activities.notifications import NotificationActivities, letter_of
from domain.effects import NoteFailure, NoteRefusal, Record, kind_of
from domain.requests import Source
from records import commands, failures, notices, projection, refusals
from records.database import Database
from records.models import GivenCommand

log = structlog.get_logger(__name__)


class RecordActivities:
    """Writes to one database. Every activity may come twice, late, or at the same time as itself."""

    def __init__(
        self,
        database: Database,
        notifications: NotificationActivities,
        *,
        mails_gather_for: timedelta = timedelta(),
        give: Callable[[GivenCommand], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._mails_gather_for = mails_gather_for
        self._give = give

    @activity.defn(name=RECORD_EVENT)
    async def record_event(self, effect: Record) -> Planned:
        """Record an event, bring the projection up to it, plan its notices, and send those that wait for nothing.

        The answer names those that are left to send, and how long they wait. A mail server that does not take them quickly is not
        waited for. A request that came to somebody who must not see it is taken from them in the same transaction; should the
        command not be given now, the repair gives it.
        """
        await self._notifications.note_taken()
        event, at_once = effect.event, self._notifications.tells_at_once
        async with self._database.session() as session:
            recorded = await projection.record_event(session, event, effect.request, self._mails_gather_for, at_once)
        log.info(
            "event recorded",
            request_id=str(event.request_id),
            number=effect.request.number,
            version=event.version,
            event_name=event.name,
            status=event.status,
            source=event.source,
        )
        letters = [letter_of(notice, event, effect.request) for notice in recorded.in_hand]
        left = (*recorded.waiting, *await self._notifications.tell_at_once(letters))
        if recorded.taken_away is not None and self._give is not None:
            await self._give(recorded.taken_away)
        wait = max(timedelta(), recorded.send_at - datetime.now(UTC)) if recorded.send_at else timedelta()
        return Planned(notice_ids=left, wait=wait)

    @activity.defn(name=NOTE_REFUSAL)
    async def note_refusal(self, effect: NoteRefusal) -> list[UUID]:
        """Write down a Signal that was refused; the ids of the notices that tell it to whom it was said to be queued."""
        refused = effect.refused
        async with self._database.session() as session:
            await refusals.note_refusal(
                session,
                request_id=effect.request_id,
                command_id=refused.command_id or effect.id,
                name=refused.name,
                code=refused.code,
                actor_id=refused.actor_id,
                source=Source.SIGNAL,
                at=refused.at,
            )
            if refused.command_id is None:
                return []
            given = await commands.settle_refused(
                session, effect.request_id, refused.command_id, code=refused.code, now=refused.at, is_late=True
            )
            return await notices.plan_refused_command_notices(session, given) if given else []

    @activity.defn(name=NOTE_FAILURE)
    async def note_failure(self, effect: NoteFailure) -> None:
        """Put an effect that failed for good on the list that people see."""
        failure = effect.failure
        log.error("effect failed for good", effect_id=failure.effect_id, code=failure.code)
        async with self._database.session() as session:
            await failures.note_failure(
                session,
                effect_id=failure.effect_id,
                request_id=effect.request_id,
                kind=kind_of(failure.effect_id),
                code=failure.code,
                at=failure.at,
            )
