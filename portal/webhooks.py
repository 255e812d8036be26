"""Webhooks of a clinic, for its administrators: the list, a new one, one with what it was told, one message with its calls."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.subscriptions import SubscriptionStatus, Topic
from domain.webhooks import CHOSEN, DeliveryState, DisabledReason, EndpointState, WebhookType
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, done, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from use_cases import subscriptions, webhooks
from use_cases.administrators import Administrator
from use_cases.problems import Problem
from use_cases.webhooks import GivenWebhookSecret, NewWebhook, WebhookChange, WebhookView

router = APIRouter(include_in_schema=False)

TYPES: Mapping[WebhookType, str] = {
    WebhookType.SUBMITTED: _("A request is submitted"),
    WebhookType.ASSIGNED: _("A request is assigned"),
    WebhookType.ACCEPTED: _("A request is accepted"),
    WebhookType.TRANSFERRED: _("A request is transferred"),
    WebhookType.RETURNED: _("A request is returned"),
    WebhookType.RESUBMITTED: _("A request is submitted again"),
    WebhookType.INFORMATION_REQUESTED: _("Information is asked for"),
    WebhookType.INFORMATION_ANSWERED: _("Information is given"),
    WebhookType.OVERDUE: _("A request is late"),
    WebhookType.REPORTED: _("A report is issued"),
    WebhookType.ADDENDUM_ADDED: _("An addendum is issued"),
    WebhookType.ACKNOWLEDGED: _("A report is acknowledged"),
    WebhookType.CLOSED: _("A request is closed without that"),
    WebhookType.CANCELLED: _("A request is cancelled"),
    WebhookType.ABANDONED: _("A request is abandoned"),
    WebhookType.UPDATED: _("Anything else happens to a request"),
    WebhookType.DOCUMENT_READY: _("A signed document is ready"),
    WebhookType.ACCOUNT_LOCKED: _("An account is locked"),
    WebhookType.TEST: _("Test"),
    WebhookType.NOTIFICATION: _("An event"),
    WebhookType.HANDSHAKE: _("Handshake"),
    WebhookType.HEARTBEAT: _("Sign of life"),
}
"""What is told, as pages name it."""

STATES: Mapping[EndpointState, str] = {
    EndpointState.UNVERIFIED: _("Nobody has answered there yet"),
    EndpointState.ACTIVE: _("Messages go there"),
    EndpointState.DISABLED: _("Turned off"),
}

REASONS: Mapping[DisabledReason, str] = {
    DisabledReason.BY_HAND: _("Somebody has turned it off."),
    DisabledReason.GONE: _("It said that it is gone (410)."),
    DisabledReason.FAILING: _("Every call has failed for five days."),
    DisabledReason.NO_HANDSHAKE: _("It did not take the handshake."),
    DisabledReason.EVENT_LOST: _("It could not be told of one event."),
    DisabledReason.NOT_BEGUN_ANEW: _("Its system has left it in error for a month."),
    DisabledReason.BY_SYSTEM: _("Its system has turned it off."),
    DisabledReason.OVER: _("Its end has come."),
    DisabledReason.SYSTEM_ENDED: _("Its system may not come in any more, or not subscribe."),
}

TOPICS: Mapping[Topic, str] = {
    Topic.TASK_STATUS: _("The status of a request as a task (Task)"),
    Topic.REPORT_SIGNED: _("Signed reports (DiagnosticReport)"),
    Topic.COMMUNICATION: _("Questions, answers and returns (Communication)"),
}
"""What systems subscribe to, as pages name it."""

STATUSES: Mapping[SubscriptionStatus, str] = {
    SubscriptionStatus.REQUESTED: STATES[EndpointState.UNVERIFIED],
    SubscriptionStatus.ACTIVE: STATES[EndpointState.ACTIVE],
    SubscriptionStatus.ERROR: _("In error: its system must begin anew"),
    SubscriptionStatus.OFF: STATES[EndpointState.DISABLED],
}

DELIVERIES: Mapping[DeliveryState, str] = {
    DeliveryState.PENDING: _("On its way"),
    DeliveryState.DELIVERED: _("Delivered"),
    DeliveryState.FAILED: _("Failed"),
    DeliveryState.DROPPED: _("Not sent: the clinic does not see the request any more"),
}

ERRORS: Mapping[str, str] = {
    "timeout": _("It did not answer within 15 seconds."),
    "no_such_name": _("There is no such name."),
    "not_connected": _("Nobody takes calls there."),
    "tls": _("Its certificate is not valid, or TLS failed."),
    "broken_off": _("It broke the connection off."),
    "not_http": _("What it answered is not HTTP."),
    "address_not_public": _("Its address is inside a network."),
    "challenge_not_answered": _("It did not give the challenge back."),
}
"""Why a call had no answer, or not the one that was asked for."""

REPLAY_DAYS: Mapping[str, str] = {
    "1": _("of the last day"),
    "7": _("of the last week"),
    "30": _("of the last 30 days"),
}
"""Of how many days it is sent again what failed."""

_PLACES = {"webhook_url_taken": "url"}
_A_DAY = timedelta(days=1)


@router.get("/webhooks")
async def webhooks_page(visit: VisitOf) -> Response:
    """The webhooks of the clinic, and what its systems have subscribed to."""
    return await _all(visit)


async def _all(visit: Visit, error: Problem | Refusal | None = None) -> Response:
    by, clinic_id = Administrator.of(visit.caller), visit.caller.clinic_id
    return visit.page(
        "webhooks",
        because=error,
        there=await webhooks.list_webhooks(visit.services, by, clinic_id),
        subscribed=await subscriptions.list_of_clinic(visit.services, by, clinic_id),
        states=STATES,
        subscription_states=STATUSES,
        reasons=REASONS,
        topics=TOPICS,
        notice=summary(error, {}, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


@router.post("/webhooks/subscriptions/{subscription_id}/off")
async def turn_subscription_off(subscription_id: UUID, visit: VisitOf) -> Response:
    """Nothing goes there any more, and its system does not begin anew with it."""
    await visit.form()
    try:
        visit.check_is_sent()
        await subscriptions.turn_off(visit.services, Administrator.of(visit.caller), subscription_id)
    except NOT_TAKEN as error:
        return await _all(visit, as_problem(error))
    return visit.on_to("/webhooks", "subscription_off")


@router.get("/webhooks/new")
async def new_page(visit: VisitOf) -> Response:
    """What a new one is to be."""
    Administrator.of(visit.caller)
    return _new(visit)


@router.post("/webhooks/new")
async def make(visit: VisitOf) -> Response:
    """Make it, and show its secret, once; or say why not, with everything that was written still there."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        by = Administrator.of(visit.caller)
        new = NewWebhook.model_validate(_said(form))
        given = await webhooks.add_webhook(visit.services, by, visit.caller.clinic_id, new)
    except NOT_TAKEN as error:
        return _new(visit, form, as_problem(error))
    return _secret(visit, given)


@router.get("/webhooks/{webhook_id}")
async def webhook_page(webhook_id: UUID, visit: VisitOf) -> Response:
    """One of them, with everything that can be done about it, and what it was told."""
    return await _one(visit, webhook_id)


@router.post("/webhooks/{webhook_id}")
async def change(webhook_id: UUID, visit: VisitOf) -> Response:
    """Change where it is and what is told there."""
    form = await visit.form()

    async def do() -> None:
        by, version = Administrator.of(visit.caller), pages.number_in(form, "version")
        said = WebhookChange.model_validate(_said(form))
        await webhooks.change_webhook(visit.services, by, webhook_id, said, version)

    return await _done(visit, webhook_id, form, do, "webhook_saved")


@router.post("/webhooks/{webhook_id}/secrets")
async def rotate(webhook_id: UUID, visit: VisitOf) -> Response:
    """Another secret, shown once."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        given = await webhooks.rotate(visit.services, Administrator.of(visit.caller), webhook_id)
    except NOT_TAKEN as error:
        return await _one(visit, webhook_id, form, as_problem(error))
    return _secret(visit, given)


@router.post("/webhooks/{webhook_id}/test")
async def test(webhook_id: UUID, visit: VisitOf) -> Response:
    """Send a test."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    return await _done(visit, webhook_id, form, lambda: webhooks.test(visit.services, by, webhook_id), "webhook_tested")


@router.post("/webhooks/{webhook_id}/on")
async def turn_on(webhook_id: UUID, visit: VisitOf) -> Response:
    """A challenge goes there; once it is answered, messages do."""
    return await _turn(visit, webhook_id, True, "webhook_tested")


@router.post("/webhooks/{webhook_id}/off")
async def turn_off(webhook_id: UUID, visit: VisitOf) -> Response:
    """Nothing goes there any more."""
    return await _turn(visit, webhook_id, False, "webhook_off")


async def _turn(visit: Visit, webhook_id: UUID, on: bool, sentence: str) -> Response:
    form, by = await visit.form(), Administrator.of(visit.caller)
    change = WebhookChange(enabled=on)
    return await _done(
        visit,
        webhook_id,
        form,
        lambda: webhooks.change_webhook(visit.services, by, webhook_id, change, None),
        sentence,
    )


@router.post("/webhooks/{webhook_id}/remove")
async def remove(webhook_id: UUID, visit: VisitOf) -> Response:
    """Remove it, with the list of its messages."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        await webhooks.remove_webhook(visit.services, Administrator.of(visit.caller), webhook_id)
    except NOT_TAKEN as error:
        return await _one(visit, webhook_id, form, as_problem(error))
    return visit.on_to("/webhooks", "webhook_removed")


@router.post("/webhooks/{webhook_id}/replay")
async def replay(webhook_id: UUID, visit: VisitOf) -> Response:
    """Send all once more that has failed, of so many days."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    since = datetime.now(UTC) - days_in(form) * _A_DAY
    return await _done(
        visit,
        webhook_id,
        form,
        lambda: webhooks.replay_failed(visit.services, by, webhook_id, since),
        "webhook_replayed",
    )


@router.get("/webhooks/{webhook_id}/messages/{message_id}")
async def message_page(webhook_id: UUID, message_id: UUID, visit: VisitOf) -> Response:
    """One message, and its calls."""
    return await _message(visit, webhook_id, message_id)


@router.post("/webhooks/{webhook_id}/messages/{message_id}/replay")
async def replay_message(webhook_id: UUID, message_id: UUID, visit: VisitOf) -> Response:
    """Send it once more."""
    await visit.form()
    try:
        visit.check_is_sent()
        by = Administrator.of(visit.caller)
        await webhooks.replay_message(visit.services, by, webhook_id, message_id)
    except NOT_TAKEN as error:
        return await _message(visit, webhook_id, message_id, as_problem(error))
    return visit.on_to(f"/webhooks/{webhook_id}/messages/{message_id}", "webhook_replayed")


async def _done(
    visit: Visit, webhook_id: UUID, form: FormData, do: Callable[[], Awaitable[object]], sentence: str
) -> Response:
    return await done(visit, do, f"/webhooks/{webhook_id}", sentence, partial(_one, visit, webhook_id, form))


def _new(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language, _PLACES)
    return visit.page(
        "webhook_new",
        because=error,
        type_words=_type_words(),
        chosen_types=form.getlist("event_types") if form is not None else CHOSEN,
        form=pages.written(form) if form is not None else pages.written(url="", description=""),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _one(
    visit: Visit, webhook_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    webhook = await webhooks.read_webhook(visit.services, by, webhook_id)
    only_failed = visit.request.query_params.get("status") == DeliveryState.FAILED
    found = await webhooks.list_messages(
        visit.services,
        by,
        webhook_id,
        state=DeliveryState.FAILED if only_failed else None,
        before=pages.id_in(visit.request.query_params.get("before")),
    )
    is_written = form is not None and "description" in form
    wrong = fields_of(error, visit.language, _PLACES if is_written else None)
    return visit.page(
        "webhook",
        because=error,
        webhook=webhook,
        messages=found,
        only_failed=only_failed,
        states=STATES,
        reasons=REASONS,
        deliveries=DELIVERIES,
        replay_days=REPLAY_DAYS,
        all_types=TYPES,
        type_words=_type_words(),
        chosen_types=form.getlist("event_types") if form is not None and is_written else webhook.event_types,
        form=pages.written(form) if is_written else _as_written(webhook),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


async def _message(
    visit: Visit, webhook_id: UUID, message_id: UUID, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    return visit.page(
        "webhook_message",
        because=error,
        webhook=await webhooks.read_webhook(visit.services, by, webhook_id),
        message=await webhooks.read_message(visit.services, by, webhook_id, message_id),
        attempts=await webhooks.list_attempts(visit.services, by, webhook_id, message_id),
        deliveries=DELIVERIES,
        errors=ERRORS,
        all_types=TYPES,
        wrong=pages.written(),
        notice=summary(error, {}, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def _secret(visit: Visit, given: GivenWebhookSecret) -> Response:
    return visit.page("webhook_secret", webhook=given.webhook, secret=given.secret)


def days_in(form: FormData) -> int:
    """Of how many days it is to be sent again; of one, where the form says what nobody can choose."""
    text = str(form.get("days"))
    return int(text) if text in REPLAY_DAYS else 1


def _said(form: FormData) -> dict[str, Any]:
    """What the form says of a webhook."""
    texts = {name: str(form.get(name, "")) for name in ("url", "description")}
    return {**texts, "event_types": form.getlist("event_types")}


def _as_written(webhook: WebhookView) -> Mapping[str, str]:
    return pages.written(url=webhook.url, description=webhook.description)


def _type_words() -> dict[WebhookType, str]:
    return {type_: TYPES[type_] for type_ in CHOSEN}
