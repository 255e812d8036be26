"""The people of a clinic, as the directory of its organization keeps them."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from scim2_models import Context, PatchOp, ResponseParameters

from scim.answers import ScimResponse
from scim.calls import DirectoryOf, IfMatch, IfNoneMatch, body_of, check_filter, etag, id_in, page_of, version_in
from scim.discovery import base_of
from scim.resources import POLICY, User, as_said, as_user
from use_cases import provisioning
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.provisioning import PersonInDirectory
from web.rates import DIRECTORY
from web.services import ServicesOf

router = APIRouter(dependencies=[DIRECTORY])


@router.get("/Users")
async def list_users(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The people of the clinic: found, put in order, a page of them."""
    return await _found(request, caller, services, dict(request.query_params))


@router.post("/Users/.search")
async def search_users(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The same, for filters that should stand in no log."""
    return await _found(request, caller, services, await body_of(request))


@router.post("/Users")
async def add_user(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """Somebody new."""
    with POLICY:
        user = User.model_validate(await body_of(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    person = await provisioning.add_person(services, caller, as_said(user))
    answer = _one(request, person, Context.RESOURCE_CREATION_RESPONSE, 201)
    answer.headers["Location"] = f"{base_of(request)}Users/{person.id}"
    return answer


@router.get("/Users/{user_id}")
async def get_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_none_match: IfNoneMatch = None
) -> Response:
    """One of them."""
    person = await provisioning.read_person(services, caller, id_in(user_id))
    if if_none_match is not None and _version(if_none_match) == person.version:
        return Response(status_code=304, headers={"ETag": etag(person.version)})
    return _one(request, person, Context.RESOURCE_QUERY_RESPONSE)


@router.put("/Users/{user_id}")
async def replace_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Make of somebody what is said; what is left out goes, but for the language, the roles, and whether they may come in."""
    person = await provisioning.read_person(services, caller, id_in(user_id))
    before = as_user(person, base_of(request))
    with POLICY:
        user = User.model_validate(await body_of(request), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
        keeps_roles = "roles" not in user.model_fields_set
        user.replace(before)
    user.active = before.active if user.active is None else user.active
    user.preferred_language = user.preferred_language or before.preferred_language
    version = _version(if_match)
    person = await provisioning.replace_person(
        services, caller, person.id, as_said(user), version, keeps_roles=keeps_roles
    )
    return _one(request, person, Context.RESOURCE_REPLACEMENT_RESPONSE)


@router.patch("/Users/{user_id}")
async def patch_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Change what is said, and leave the rest."""
    person = await provisioning.read_person(services, caller, id_in(user_id))
    user = as_user(person, base_of(request))
    with POLICY:
        patch = PatchOp[User].model_validate(await body_of(request), scim_ctx=Context.RESOURCE_PATCH_REQUEST)
        patch.patch(user)
    if _version(if_match) not in (None, person.version):
        raise Problem("account_changed")
    # what it changes is what was read
    person = await provisioning.replace_person(services, caller, person.id, as_said(user), person.version)
    return _one(request, person, Context.RESOURCE_PATCH_RESPONSE)


@router.delete("/Users/{user_id}")
async def delete_user(user_id: str, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None) -> Response:
    """Somebody has left. The account stays, closed, for what its person did stays."""
    await provisioning.end_person(services, caller, id_in(user_id), _version(if_match))
    return Response(status_code=204)


async def _found(request: Request, caller: Caller, services: ServicesOf, wanted: dict[str, Any]) -> ScimResponse:
    wanted, base = check_filter(wanted), base_of(request)
    people = await provisioning.list_people(services, caller)

    def page() -> dict[str, Any]:
        return page_of(wanted, [as_user(person, base) for person in people], User)

    return ScimResponse(await asyncio.to_thread(page))


def _one(request: Request, person: PersonInDirectory, context: Context, status: int = 200) -> ScimResponse:
    wanted = ResponseParameters[User].model_validate(dict(request.query_params), scim_policy=POLICY)
    told = as_user(person, base_of(request)).model_dump(scim_ctx=context, response_parameters=wanted)
    return ScimResponse(told, status, {"ETag": etag(person.version)})


def _version(header: str | None) -> int | None:
    """The version that a header names, as `version_in`; zero fits none."""
    named = version_in(header)
    return None if named is None else int(named) if named.isdecimal() else 0
