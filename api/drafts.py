"""Drafts: a request before its submission, and its form while it is returned."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.parameters import ExpectedVersion, IdempotencyKey, ReaderLanguage
from use_cases import drafts, references
from use_cases.drafts import DraftChanges, NewDraft
from use_cases.references import GivenReference, ReferenceView
from use_cases.requests import RequestView
from web.services import ServicesOf
from web.session import DraftWriter

router = APIRouter(tags=["requests"])


@router.post("/requests", status_code=201, summary="Create a draft")
async def create_draft(
    draft: NewDraft,
    caller: DraftWriter,
    services: ServicesOf,
    key: IdempotencyKey,
    language: ReaderLanguage,
    response: Response,
) -> RequestView:
    """Begin a request. It gets its number now; nobody but its requester sees it until it is submitted."""
    view = await drafts.create_draft(services, caller, draft, key, language)
    response.headers["Location"] = f"/api/v1/requests/{view.id}"
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.patch("/requests/{request_id}", summary="Change the form of a draft or of a returned request")
async def change_draft(
    request_id: UUID,
    changes: DraftChanges,
    caller: DraftWriter,
    services: ServicesOf,
    expected_version: ExpectedVersion,
    language: ReaderLanguage,
    response: Response,
) -> RequestView:
    """Save the form as it stands; it need not be complete. With If-Match, an edit that somebody else overtook answers 412."""
    view = await drafts.change_draft(services, caller, request_id, changes, expected_version, language)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.put("/requests/{request_id}/reference", summary="Say what one's own system calls a request")
async def give_reference(
    request_id: UUID, given: GivenReference, caller: DraftWriter, services: ServicesOf
) -> list[ReferenceView]:
    """For systems: an order's number, or a chart's. The system finds the request by it (`GET /requests?reference=…`).

    A system calls one request so: where it calls another one so, the answer is 409 `reference_taken`. The request's version stays
    as it is. Shown to this system and to people of its clinic, and in no webhook.
    """
    return list(await references.refer(services, caller, request_id, given.reference))


@router.delete(
    "/requests/{request_id}/reference", status_code=204, summary="Take away what one's own system calls a request"
)
async def remove_reference(request_id: UUID, caller: DraftWriter, services: ServicesOf) -> None:
    """For systems: from now on, the system may call another request so."""
    await references.refer(services, caller, request_id, None)


@router.delete("/requests/{request_id}", status_code=204, summary="Remove a draft")
async def remove_draft(
    request_id: UUID, caller: DraftWriter, services: ServicesOf, expected_version: ExpectedVersion
) -> None:
    """Remove a draft of one's own, with its photos and videos, for good. What was ever submitted is cancelled instead."""
    await drafts.remove_draft(services, caller, request_id, expected_version)
