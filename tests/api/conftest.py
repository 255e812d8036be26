"""Requests in every status, made once for all tests that only look at them or are refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from fastapi import FastAPI

from server import create_app
from tests.journeys import abandoned, accepted, assigned, closed, draft, ok, reported, returned
from tests.system import System


@dataclass(frozen=True)
class Shelf:
    """One request of `requester` per status, which `provider` has had in hands in each but the draft. Leave them as they are.

    `asked` is accepted, with one open question.
    """

    by_status: Mapping[str, str]
    asked: str


@pytest.fixture(scope="session")
def face(system: System) -> FastAPI:
    """The whole application, with every face."""
    return create_app(system.settings, system.of_api)


@pytest.fixture(scope="session")
async def shelf(system: System) -> Shelf:
    back_in_dispatch = await accepted(system)
    comment = {"comment": "Hors de mon domaine."}
    ok(await system.provider.post(f"/requests/{back_in_dispatch}/return-to-dispatch", comment))
    cancelled = await accepted(system)
    ok(await system.requester.post(f"/requests/{cancelled}/cancel", {"reason": "La patiente a été vue ailleurs."}))
    asked = await accepted(system)
    ok(await system.provider.post(f"/requests/{asked}/request-information", {"text": "Depuis quand?"}))
    return Shelf(
        by_status={
            "draft": await draft(system),
            "awaiting_dispatch": back_in_dispatch,
            "awaiting_acceptance": await assigned(system),
            "accepted": await accepted(system),
            "returned": await returned(system),
            "reported": await reported(system),
            "closed": await closed(system),
            "cancelled": cancelled,
            "abandoned": await abandoned(system),
        },
        asked=asked,
    )
