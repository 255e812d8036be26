"""The people of a clinic, as the directory of its organization keeps them."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from scim2_models import Context, ListResponse, PatchOp, ResponseParameters, SearchRequest
from scim2_models import InvalidFilterException as TooLong
from scim2_models import InvalidSyntaxException as NotUnderstood

from domain.service_accounts import Scope
from scim.answers import ScimResponse
from scim.discovery import base_of
from scim.resources import MOST_AT_ONCE, POLICY, User, as_said, as_user
from use_cases import provisioning
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.provisioning import PersonInDirectory
from web.rates import DIRECTORY
from web.services import ServicesOf
from web.session import opened_by

LONGEST_FILTER = 2_000
"""Each term is looked for in each person."""

router = APIRouter(dependencies=[DIRECTORY])

_VERSION = re.compile(r'^(?:W/)?"(\d{1,9})"$')


async def _directory(caller: Annotated[Caller, Depends(opened_by(Scope.PEOPLE_PROVISION))]) -> Caller:
    """The system that calls, for nobody. People have the portal and the API for this."""
    if caller.system is None or caller.acts_for is not None:
        raise Problem("forbidden")
    return caller


DirectoryOf = Annotated[Caller, Depends(_directory)]
IfMatch = Annotated[str | None, Header(alias="If-Match")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/Users")
async def list_users(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The people of the clinic: found, put in order, a page of them."""
    return await _found(request, caller, services, dict(request.query_params))


@router.post("/.search")
@router.post("/Users/.search")
async def search_users(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The same, for filters that should stand in no log."""
    return await _found(request, caller, services, await _body(request))


@router.post("/Users")
async def add_user(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """Somebody new."""
    with POLICY:
        user = User.model_validate(await _body(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    person = await provisioning.add_person(services, caller, as_said(user))
    answer = _one(request, person, Context.RESOURCE_CREATION_RESPONSE, 201)
    answer.headers["Location"] = f"{base_of(request)}Users/{person.id}"
    return answer


@router.get("/Users/{user_id}")
async def get_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_none_match: IfNoneMatch = None
) -> Response:
    """One of them."""
    person = await provisioning.read_person(services, caller, _id(user_id))
    if if_none_match is not None and _version(if_none_match) == person.version:
        return Response(status_code=304, headers={"ETag": _etag(person)})
    return _one(request, person, Context.RESOURCE_QUERY_RESPONSE)


@router.put("/Users/{user_id}")
async def replace_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Make of somebody what is said; what is left out goes, but for the language, and whether they may come in."""
    person = await provisioning.read_person(services, caller, _id(user_id))
    before = as_user(person, base_of(request))
    with POLICY:
        user = User.model_validate(await _body(request), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
        user.replace(before)
    user.active = before.active if user.active is None else user.active
    user.preferred_language = user.preferred_language or before.preferred_language
    version = _version(if_match)
    person = await provisioning.replace_person(services, caller, person.id, as_said(user), version)
    return _one(request, person, Context.RESOURCE_REPLACEMENT_RESPONSE)


@router.patch("/Users/{user_id}")
async def patch_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Change what is said, and leave the rest."""
    person = await provisioning.read_person(services, caller, _id(user_id))
    user = as_user(person, base_of(request))
    with POLICY:
        patch = PatchOp[User].model_validate(await _body(request), scim_ctx=Context.RESOURCE_PATCH_REQUEST)
        patch.patch(user)
    if _version(if_match) not in (None, person.version):
        raise Problem("account_changed")
    # what it changes is what was read
    person = await provisioning.replace_person(services, caller, person.id, as_said(user), person.version)
    return _one(request, person, Context.RESOURCE_PATCH_RESPONSE)


@router.delete("/Users/{user_id}")
async def delete_user(user_id: str, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None) -> Response:
    """Somebody has left. The account stays, closed, for what its person did stays."""
    await provisioning.end_person(services, caller, _id(user_id), _version(if_match))
    return Response(status_code=204)


async def _found(request: Request, caller: Caller, services: ServicesOf, wanted: Mapping[str, Any]) -> ScimResponse:
    if len(str(wanted.get("filter", ""))) > LONGEST_FILTER:
        raise TooLong
    people, base = await provisioning.list_people(services, caller), base_of(request)
    return ScimResponse(await asyncio.to_thread(_page, wanted, people, base))


def _page(wanted: Mapping[str, Any], people: Iterable[PersonInDirectory], base: str) -> dict[str, Any]:
    with POLICY:
        search = SearchRequest[User].model_validate(wanted, scim_ctx=Context.SEARCH_REQUEST)
        users = [as_user(person, base) for person in people]
        if search.filter is not None:
            users = [user for user in users if search.filter.match(user)]
        users = search.sort(users) if search.sort_by is not None else users
        start, count = (
            search.start_index_0 or 0,
            min(MOST_AT_ONCE if search.count is None else search.count, MOST_AT_ONCE),
        )
        page = users[start : start + count]
        listed = ListResponse[User](
            total_results=len(users), start_index=start + 1, items_per_page=len(page), resources=page
        )
        told: dict[str, Any] = listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search)
    return told


def _one(request: Request, person: PersonInDirectory, context: Context, status: int = 200) -> ScimResponse:
    wanted = ResponseParameters[User].model_validate(dict(request.query_params), scim_policy=POLICY)
    told = as_user(person, base_of(request)).model_dump(scim_ctx=context, response_parameters=wanted)
    return ScimResponse(told, status, {"ETag": _etag(person)})


async def _body(request: Request) -> dict[str, Any]:
    """What was sent. Raises SCIMException `invalidSyntax` for what is no JSON object."""
    try:
        sent = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise NotUnderstood from None
    if not isinstance(sent, dict):
        raise NotUnderstood
    return sent


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Problem("not_found") from None


def _etag(person: PersonInDirectory) -> str:
    return f'W/"{person.version}"'


def _version(header: str | None) -> int | None:
    """The version that a header names; None without one, or for any. What is no version of ours fits none."""
    if header is None or header.strip() == "*":
        return None
    named = _VERSION.match(header.strip())
    return int(named[1]) if named else 0
