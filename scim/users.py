"""The people of a clinic, as the directory of its organization keeps them."""

import asyncio
import re
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from scim2_models import Context, PatchOp

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
from scim.discovery import base_of
from scim.resources import POLICY, User, as_said, as_user
from use_cases import provisioning
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.provisioning import PersonInDirectory
from web.rates import DIRECTORY
from web.services import ServicesOf

router = APIRouter(dependencies=[DIRECTORY])

MOST_TRIES = 5
"""So often is a PATCH that names no version worked out anew, when somebody else was faster."""

_GROUPS = re.compile(r"groups\b", re.IGNORECASE)
"""What is said of groups in a user: that changes nothing (RFC 7643, 4.1.2)."""


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
        user = User.model_validate(_plain(await body_of(request)), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
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
        return not_modified(person.version)
    return _one(request, person, Context.RESOURCE_QUERY_RESPONSE)


@router.put("/Users/{user_id}")
async def replace_user(
    user_id: str, request: Request, caller: DirectoryOf, services: ServicesOf, if_match: IfMatch = None
) -> ScimResponse:
    """Make of somebody what is said; what is left out goes, but for the language, the roles, and whether they may come in."""
    person = await provisioning.read_person(services, caller, id_in(user_id))
    before = as_user(person, base_of(request))
    sent = _plain(await body_of(request))
    keeps_roles = all(value is None for name, value in sent.items() if name.lower() == "roles")
    with POLICY:
        user = User.model_validate(sent, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
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
    """Change what is said, and leave the rest. Where somebody was faster, it is worked out anew, unless a version was named."""
    said, expected = _without_groups(await body_of(request)), _version(if_match)
    with POLICY:
        patch = PatchOp[User].model_validate(said, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
    for tries_left in reversed(range(MOST_TRIES if expected is None else 1)):
        try:
            person = await _patched(request, caller, services, id_in(user_id), patch, expected)
            break
        except Problem as problem:
            if problem.code != "account_changed" or not tries_left:
                raise
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


async def _patched(
    request: Request, caller: Caller, services: ServicesOf, user_id: UUID, patch: PatchOp[User], expected: int | None
) -> PersonInDirectory:
    """What is read, changed. Raises Problem `account_changed` where it is not what was expected, or another by then."""
    person = await provisioning.read_person(services, caller, user_id)
    if expected not in (None, person.version):
        raise Problem("account_changed")
    user = as_user(person, base_of(request))
    with POLICY:
        patch.patch(user)
    said = as_said(user)
    return await provisioning.replace_person(
        services, caller, person.id, said, person.version, keeps_roles=said.roles == person.said.roles
    )


def _plain(sent: dict[str, Any]) -> dict[str, Any]:
    """By names without the schema of users."""
    return {_name_in(name): value for name, value in sent.items()}


def _name_in(text: str) -> str:
    """A name or a path without the schema of users, which may stand before it."""
    own = f"{User.__schema__}:"
    return text[len(own) :] if text.lower().startswith(own.lower()) else text


def _without_groups(sent: dict[str, Any]) -> dict[str, Any]:
    """A PATCH without what it says of groups, unless it says nothing else: then that is refused."""
    name = next((one for one in sent if one.lower() == "operations"), "Operations")
    operations = sent.get(name)
    if not isinstance(operations, list):
        return sent
    kept = [one for one in map(_operation_without_groups, operations) if one is not None]
    return {**sent, name: kept} if kept else sent


def _operation_without_groups(operation: Any) -> Any:
    """The operation, as far as it speaks of something else; None where it does not."""
    if not isinstance(operation, dict):
        return operation
    said = {name.lower(): name for name in operation}
    path, value = operation.get(said.get("path", "path")), operation.get(said.get("value", "value"))
    if isinstance(path, str) and path:
        return None if _GROUPS.match(_name_in(path)) else operation
    if not isinstance(value, dict):
        return operation
    rest = {name: of_it for name, of_it in value.items() if _name_in(name).lower() != "groups"}
    if rest == value:
        return operation
    return {**operation, said["value"]: rest} if rest else None


def _one(request: Request, person: PersonInDirectory, context: Context, status: int = 200) -> ScimResponse:
    return one_of(request, as_user(person, base_of(request)), person.version, context, status)


def _version(header: str | None) -> int | None:
    """The version that a header names, as `version_in`; zero fits none."""
    named = version_in(header)
    return None if named is None else int(named) if named.isdecimal() else 0
