"""Service accounts of a clinic's systems, for its administrators and for operators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.parameters import ExpectedVersion, tell_next
from domain.told_partners import MessageState
from use_cases import partner_endpoints, partners, service_accounts, service_keys
from use_cases.administrators import Administrator
from use_cases.partner_endpoints import ToldMessagePage, ToldMessageView
from use_cases.partners import PartnerTerms, PartnerView
from use_cases.people import PersonEvent
from use_cases.service_accounts import (
    GivenSecret,
    NewServiceAccount,
    Rotation,
    ServiceAccountChange,
    ServiceAccountView,
)
from use_cases.service_keys import NewKey
from use_cases.webhooks import Replayed, ReplaySince
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/service-accounts", tags=["service accounts"])


@router.get("", summary="The systems of a clinic")
async def list_service_accounts(
    caller: CallerOf, services: ServicesOf, clinic: UUID | None = None
) -> list[ServiceAccountView]:
    """The service accounts of a clinic (the caller's own when none is named), also those that are locked or have expired."""
    by = Administrator.of(caller)
    return await service_accounts.list_service_accounts(services, by, clinic or caller.clinic_id)


@router.post("", status_code=201, summary="Make a service account")
async def add_service_account(new: NewServiceAccount, caller: CallerOf, services: ServicesOf) -> GivenSecret:
    """For administrators of the clinic, and for operators. The answer holds its first secret, once.

    The system sends it as ``Authorization: Bearer …``. It may do what its scopes open and nothing else, at its clinic only, until
    its last day. If the answer is lost, get another secret (`/secrets`); the name of a clinic's system is there once.
    """
    by = Administrator.of(caller)
    return await service_accounts.add_service_account(services, by, new.clinic_id or caller.clinic_id, new)


@router.get("/{account_id}", summary="A service account")
async def get_service_account(
    account_id: UUID, caller: CallerOf, services: ServicesOf, response: Response
) -> ServiceAccountView:
    """With its last use, and the secrets that have not ended. The ETag is for `If-Match`."""
    view = await service_accounts.read_service_account(services, Administrator.of(caller), account_id)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.patch("/{account_id}", summary="Change a service account")
async def change_service_account(
    account_id: UUID,
    change: ServiceAccountChange,
    caller: CallerOf,
    services: ServicesOf,
    version: ExpectedVersion,
) -> ServiceAccountView:
    """Name, purpose, scopes and last day. All of it counts at once."""
    by = Administrator.of(caller)
    return await service_accounts.change_service_account(services, by, account_id, change, version)


@router.post("/{account_id}/secrets", status_code=201, summary="Get another secret")
async def rotate_secret(
    account_id: UUID, caller: CallerOf, services: ServicesOf, rotation: Rotation | None = None
) -> GivenSecret:
    """The answer holds it, once. The one before goes on for a week, or as long as is said; two live at once at most."""
    by = Administrator.of(caller)
    return await service_accounts.rotate(services, by, account_id, rotation or Rotation())


@router.delete("/{account_id}/secrets/{secret_id}", summary="End a secret")
async def end_secret(account_id: UUID, secret_id: UUID, caller: CallerOf, services: ServicesOf) -> ServiceAccountView:
    """Nobody comes in by it any more, at once."""
    return await service_accounts.end_secret(services, Administrator.of(caller), account_id, secret_id)


@router.post("/{account_id}/keys", status_code=201, summary="Register a public key")
async def add_key(account_id: UUID, new: NewKey, caller: CallerOf, services: ServicesOf) -> ServiceAccountView:
    """For systems that sign who they are, as SMART Backend Services do, at `POST /oauth/token`; five live at once at most."""
    return await service_keys.add_key(services, Administrator.of(caller), account_id, new)


@router.delete("/{account_id}/keys/{key_id}", summary="End a public key")
async def end_key(account_id: UUID, key_id: UUID, caller: CallerOf, services: ServicesOf) -> ServiceAccountView:
    """Nobody comes in by it any more, nor by a token that it brought, at once. Its `kid` is not taken again."""
    return await service_keys.end_key(services, Administrator.of(caller), account_id, key_id)


@router.get("/{account_id}/partner", summary="How messages of a system are taken")
async def get_partner(account_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> PartnerView:
    """Of a system that sends requests as FHIR messages (`messages:send`); 404 where nobody has said.

    The ETag is for `If-Match`.
    """
    view = await partners.read_partner(services, Administrator.of(caller), account_id)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.put("/{account_id}/partner", summary="Say how messages of a system are taken")
async def keep_partner(
    account_id: UUID, terms: PartnerTerms, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> PartnerView:
    """For a system with the scope `messages:send`: for whom it asks, who dispatches, and which offering each service is; and
    where it is told by messages what becomes of its requests (`endpoint`).

    Until this is said, its messages are refused. It counts for the next message. The same a second time changes nothing.
    """
    return await partners.keep_partner(services, Administrator.of(caller), account_id, terms, version)


@router.post("/{account_id}/partner/turn-on", summary="Let messages go to a partner again")
async def turn_partner_on(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PartnerView:
    """Its terms stay as they are. Until somebody there has answered a message, those of one request alone are tried."""
    return await partners.turn_endpoint(services, Administrator.of(caller), account_id, on=True)


@router.post("/{account_id}/partner/turn-off", summary="Let nothing go to a partner any more")
async def turn_partner_off(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PartnerView:
    """Its terms stay as they are. What waits, and what happens meanwhile, has failed, and can be sent later."""
    return await partners.turn_endpoint(services, Administrator.of(caller), account_id, on=False)


@router.get("/{account_id}/partner/messages", summary="What a partner was told")
async def list_told_messages(
    request: Request,
    response: Response,
    account_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    status: MessageState | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = partner_endpoints.MESSAGES_SHOWN,
) -> ToldMessagePage:
    """The newest first, with what became of each. What they said is not kept: it was made of the request."""
    by = Administrator.of(caller)
    page = await partner_endpoints.list_messages(services, by, account_id, state=status, before=before, limit=limit)
    tell_next(request, response, before=page.next)
    return page


@router.post(
    "/{account_id}/partner/messages/{message_id}/replay", status_code=202, summary="Send a message to a partner again"
)
async def replay_told_message(
    account_id: UUID, message_id: UUID, caller: CallerOf, services: ServicesOf
) -> ToldMessageView:
    """Under the same `MessageHeader.id`, with all its tries. What failed of its request goes with it, in its order."""
    return await partner_endpoints.replay_message(services, Administrator.of(caller), account_id, message_id)


@router.post("/{account_id}/partner/replay", status_code=202, summary="Send again what did not reach a partner")
async def replay_told_messages(
    account_id: UUID, replay: ReplaySince, caller: CallerOf, services: ServicesOf
) -> Replayed:
    """What happened since then, under the same ids."""
    return await partner_endpoints.replay_since(services, Administrator.of(caller), account_id, replay.since)


@router.post("/{account_id}/lock", summary="Lock a service account at once")
async def lock_service_account(account_id: UUID, caller: CallerOf, services: ServicesOf) -> ServiceAccountView:
    """The system does not come in any more, by no secret, in every process."""
    return await service_accounts.lock(services, Administrator.of(caller), account_id)


@router.post("/{account_id}/reopen", summary="Open a service account again")
async def reopen_service_account(account_id: UUID, caller: CallerOf, services: ServicesOf) -> ServiceAccountView:
    """By the secrets that have not ended, until its last day."""
    return await service_accounts.reopen(services, Administrator.of(caller), account_id)


@router.get("/{account_id}/events", summary="What was done about a service account")
async def list_service_account_events(account_id: UUID, caller: CallerOf, services: ServicesOf) -> list[PersonEvent]:
    """By whom, when, from where, and what changed, the newest first; at most the last hundred."""
    return await service_accounts.list_events(services, Administrator.of(caller), account_id)
