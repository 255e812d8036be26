"""Looking for people and groups at once."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from scim.answers import ScimResponse
from scim.calls import DirectoryOf, body_of, check_filter, page_of
from scim.discovery import base_of
from scim.resources import Group, User, as_group, as_user
from use_cases import provisioning
from use_cases.directory_groups import groups_of
from web.rates import DIRECTORY
from web.services import ServicesOf

router = APIRouter(dependencies=[DIRECTORY])


@router.post("/.search")
async def search_all(request: Request, caller: DirectoryOf, services: ServicesOf) -> ScimResponse:
    """The people of the clinic, then its groups: found, put in order, a page of them."""
    wanted, base = check_filter(await body_of(request)), base_of(request)
    people = await provisioning.list_people(services, caller)

    def page() -> dict[str, Any]:
        groups = [as_group(group, base) for group in groups_of(caller, people)]
        return page_of(wanted, [*(as_user(person, base) for person in people), *groups], User | Group)

    return ScimResponse(await asyncio.to_thread(page))
