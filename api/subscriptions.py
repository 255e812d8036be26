"""Subscriptions of a clinic's systems, for its administrators: what each is told, and where. Systems keep theirs by FHIR."""

from uuid import UUID

from fastapi import APIRouter

from use_cases import subscriptions
from use_cases.administrators import Administrator
from use_cases.subscriptions import SubscriptionView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/subscriptions", tags=["webhooks"])


@router.get("", summary="The Subscriptions of a clinic's systems")
async def list_subscriptions(
    caller: CallerOf, services: ServicesOf, clinic: UUID | None = None
) -> list[SubscriptionView]:
    """Systems make theirs by `POST /fhir/Subscription`, with the scope `subscriptions:write`. For administrators of the clinic,
    and for operators.
    """
    return await subscriptions.list_of_clinic(services, Administrator.of(caller), clinic or caller.clinic_id)


@router.post("/{subscription_id}/turn-off", summary="Turn a Subscription off")
async def turn_off_subscription(subscription_id: UUID, caller: CallerOf, services: ServicesOf) -> SubscriptionView:
    """Nothing goes there any more, and its system does not begin anew with it. So that it makes no other one, take the scope from
    it, or lock it.
    """
    return await subscriptions.turn_off(services, Administrator.of(caller), subscription_id)
