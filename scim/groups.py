"""The groups of a clinic, by which the directory of its organization gives roles."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from scim2_models import Context, InvalidValueException, UniquenessException

from domain.service_accounts import GROUP_NAMES
from scim.answers import ScimResponse
from scim.calls import (
    DirectoryOf,
    IfMatch,
    IfNoneMatch,
    body_of,
    check_filter,
    id_in,
    not_modified,
    one_of,
    page_of,
    version_in,
)
from scim.discovery import SCIMForbidden, base_of
from scim.membership import patched, replaced
from scim.resources import POLICY, Group, as_group, etag
from use_cases import directory_groups
from use_cases.caller import Caller
from web.rates import DIRECTORY
from web.services import ServicesOf

router = APIRouter(dependencies=[DIRECTORY])

_NAMES = ", ".join(GROUP_NAMES.values())


@router.get("/Groups")
async def list_groups(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The groups of the clinic: found, put in order, a page of them."""
    return await _found(request, caller, services, dict(request.query_params))


@router.post("/Groups/.search")
async def search_groups(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The same, for filters that should stand in no log."""
    return await _found(request, caller, services, await body_of(request))


@router.post("/Groups")
async def add_group(request: Request, _caller: DirectoryOf) -> ScimResponse:
    """There are these groups, and no others: the answer says which."""
    with POLICY:
        group = Group.model_validate(await body_of(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    if (group.display_name or "").strip().lower() in GROUP_NAMES.values():
        raise UniquenessException(detail="This group is there already: find it by displayName, and say its members.")
    raise InvalidValueException(detail=f"Groups are not made here. There are, by displayName: {_NAMES}.")


@router.get("/Groups/{group_id}")
async def get_group(
    group_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_none_match: IfNoneMatch = None
) -> Response:
    """One of them."""
    group = await directory_groups.read_group(services, caller, id_in(group_id))
    if if_none_match is not None and version_in(if_none_match) == group.version:
        return not_modified(group.version)
    return _one(request, group, Context.RESOURCE_QUERY_RESPONSE)


@router.put("/Groups/{group_id}")
async def replace_group(
    group_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Make its members those that are named; where none are spoken of, they stay."""
    before = await directory_groups.read_group(services, caller, id_in(group_id))
    wanted = await asyncio.to_thread(replaced, before, await body_of(request))
    group = await directory_groups.change_members(services, caller, before.id, wanted, version_in(if_match))
    return _one(request, group, Context.RESOURCE_REPLACEMENT_RESPONSE)


@router.patch("/Groups/{group_id}")
async def patch_group(
    group_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> Response:
    """Change its members by what is said. The answer names them only where parts of it are asked for."""
    before = await directory_groups.read_group(services, caller, id_in(group_id))
    wanted = await asyncio.to_thread(patched, before, await body_of(request))
    group = await directory_groups.change_members(services, caller, before.id, wanted, version_in(if_match))
    if {"attributes", "excludedAttributes"}.isdisjoint(request.query_params):
        return Response(status_code=204, headers={"ETag": etag(group.version)})
    return _one(request, group, Context.RESOURCE_PATCH_RESPONSE)


@router.delete("/Groups/{group_id}")
async def delete_group(group_id: str, caller: DirectoryOf, services: ServicesOf) -> Response:
    """A group stays: each belongs to a role."""
    await directory_groups.read_group(services, caller, id_in(group_id))
    raise SCIMForbidden(detail="The groups belong to the roles of Relais and stay: take the members out instead.")


async def _found(request: Request, caller: Caller, services: ServicesOf, wanted: dict[str, Any]) -> ScimResponse:
    wanted, base = check_filter(wanted), base_of(request)
    groups = await directory_groups.list_groups(services, caller)

    def page() -> dict[str, Any]:
        return page_of(wanted, [as_group(group, base) for group in groups], Group)

    return ScimResponse(await asyncio.to_thread(page))


def _one(request: Request, group: directory_groups.Group, context: Context) -> ScimResponse:
    return one_of(request, as_group(group, base_of(request)), group.version, context)
