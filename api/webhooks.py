"""Webhooks: where a clinic wants to hear of events, for its administrators and for operators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.parameters import ExpectedVersion, tell_next
from domain.webhooks import DeliveryState
from use_cases import webhooks
from use_cases.administrators import Administrator
from use_cases.webhooks import (
    AttemptView,
    DeliveryPage,
    DeliveryView,
    GivenWebhookSecret,
    NewWebhook,
    Replayed,
    ReplaySince,
    WebhookChange,
    WebhookView,
)
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.get("", summary="The webhooks of a clinic")
async def list_webhooks(caller: CallerOf, services: ServicesOf, clinic: UUID | None = None) -> list[WebhookView]:
    """Those of the caller's own clinic when none is named, also those that are turned off."""
    by = Administrator.of(caller)
    return await webhooks.list_webhooks(services, by, clinic or caller.clinic_id)


@router.post("", status_code=201, summary="Make a webhook")
async def add_webhook(new: NewWebhook, caller: CallerOf, services: ServicesOf) -> GivenWebhookSecret:
    """For administrators of the clinic, and for operators. The answer holds its secret, once.

    A test goes to the address at once. When whoever is there answers it with its challenge (``{"challenge": …}``), the webhook is
    active. If the answer is lost, get another secret (`/rotate`); an address is there once for each clinic.
    """
    by = Administrator.of(caller)
    return await webhooks.add_webhook(services, by, new.clinic_id or caller.clinic_id, new)


@router.get("/{webhook_id}", summary="A webhook")
async def get_webhook(webhook_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> WebhookView:
    """With its state. The ETag is for `If-Match`."""
    view = await webhooks.read_webhook(services, Administrator.of(caller), webhook_id)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.patch("/{webhook_id}", summary="Change a webhook")
async def change_webhook(
    webhook_id: UUID, change: WebhookChange, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> WebhookView:
    """Address, event types, description, and whether it is enabled. Another address answers a challenge first."""
    return await webhooks.change_webhook(services, Administrator.of(caller), webhook_id, change, version)


@router.delete("/{webhook_id}", status_code=204, summary="Remove a webhook")
async def remove_webhook(webhook_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """With the list of its messages. To keep that, disable it."""
    await webhooks.remove_webhook(services, Administrator.of(caller), webhook_id)


@router.post("/{webhook_id}/rotate", status_code=201, summary="Get another secret")
async def rotate_webhook_secret(webhook_id: UUID, caller: CallerOf, services: ServicesOf) -> GivenWebhookSecret:
    """The answer holds it, once. For 24 hours each call is signed with both, in one header."""
    return await webhooks.rotate(services, Administrator.of(caller), webhook_id)


@router.post("/{webhook_id}/test", status_code=202, summary="Test a webhook")
async def test_webhook(webhook_id: UUID, caller: CallerOf, services: ServicesOf) -> DeliveryView:
    """A test with a new challenge is on its way. It is tried once; what became of it shows among the messages."""
    return await webhooks.test(services, Administrator.of(caller), webhook_id)


@router.get("/{webhook_id}/messages", summary="What a webhook was told")
async def list_webhook_messages(
    request: Request,
    response: Response,
    webhook_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    status: DeliveryState | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = webhooks.MESSAGES_SHOWN,
) -> DeliveryPage:
    """The newest first, with what became of each."""
    by = Administrator.of(caller)
    page = await webhooks.list_messages(services, by, webhook_id, state=status, before=before, limit=limit)
    tell_next(request, response, before=page.next)
    return page


@router.get("/{webhook_id}/messages/{message_id}/attempts", summary="The calls for a message")
async def list_webhook_attempts(
    webhook_id: UUID, message_id: UUID, caller: CallerOf, services: ServicesOf
) -> list[AttemptView]:
    """The newest first, of the last thirty days."""
    return await webhooks.list_attempts(services, Administrator.of(caller), webhook_id, message_id)


@router.post("/{webhook_id}/messages/{message_id}/replay", status_code=202, summary="Send a message once more")
async def replay_webhook_message(
    webhook_id: UUID, message_id: UUID, caller: CallerOf, services: ServicesOf
) -> DeliveryView:
    """Under the same `webhook-id`, with all its tries; for thirty days."""
    return await webhooks.replay_message(services, Administrator.of(caller), webhook_id, message_id)


@router.post("/{webhook_id}/replay", status_code=202, summary="Send all once more that has failed")
async def replay_webhook_messages(
    webhook_id: UUID, replay: ReplaySince, caller: CallerOf, services: ServicesOf
) -> Replayed:
    """What happened since then, under the same ids."""
    return await webhooks.replay_failed(services, Administrator.of(caller), webhook_id, replay.since)
