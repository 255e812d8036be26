"""Who has no role, as a directory may make somebody, is let in and opens nothing: no address answers with anything of others."""

import re
from collections.abc import Iterable
from uuid import uuid4

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import ASGITransport

from domain.requests import Role
from server import create_app
from tests.api.answers import problem
from tests.journeys import PATIENT, ok, submitted
from tests.system import Clinician, System, add_person, set_roles

NOT_ASKED = {"/events", "/api/v1/events", "/api/openapi.json"}
"""Streams, which never end: what they tell of is asked for at other addresses; and the description, whose examples have names."""


async def without_roles(system: System) -> tuple[Clinician, list[str]]:
    """Somebody who had many roles in their clinic before they had none, with a draft of theirs and a request that they held."""
    roles = (Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER)
    person = await add_person(system, f"bare_{uuid4().hex[:8]}", system.clinics["near"], *roles)
    theirs = ok(await person.post("/requests", {"offering": "teledermatology", "patient": PATIENT}), 201)["id"]
    held = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{held}/assign", {"provider_id": person.id}))
    await set_roles(system, person)
    return person, [theirs, held]


def addresses(app: FastAPI, **ids: str) -> Iterable[str]:
    """Everything that is read, of the API, of FHIR and of the portal."""
    for one in iter_route_contexts(app.routes):
        if one.path and "GET" in (one.methods or ()) and one.path not in NOT_ASKED:
            yield re.sub(r"\{(\w+)(:\w+)?\}", lambda named: ids.get(named[1], str(uuid4())), one.path)


async def test_no_address_shows_them_anything_of_patients_or_colleagues(system: System) -> None:
    person, known = await without_roles(system)
    own, clinic = str(person.account.id), str(person.account.clinic_id)
    app = create_app(system.settings, system.of_api)  # with the portal
    assert len(list(addresses(app))) > 150
    wrong, signed_in = [], person.http.headers
    async with httpx.AsyncClient(
        transport=ASGITransport(app), base_url="http://relais.test", headers=signed_in
    ) as http:
        for request_id in known:
            for address in addresses(app, request_id=request_id, account_id=own, person_id=own, clinic_id=clinic):
                answer = await http.get(address)
                names = [PATIENT["family_name"], PATIENT["given_name"], system.provider.account.family_name]
                is_broken = answer.status_code >= 500 and address != "/readyz"  # that may be slow
                if is_broken or any(name in answer.text for name in names):
                    wrong.append(f"{address}: {answer.status_code}")
            problem(await person.get(f"/requests/{request_id}"), 404, "not_found")
        for colleague in (system.dispatcher.account.id, system.requester.account.id):
            for kind in ("Practitioner", "PractitionerRole"):
                for who, status in ((person, 404), (system.requester, 200)):
                    answer = await http.get(f"/fhir/{kind}/{colleague}", headers=who.http.headers)
                    assert answer.status_code == status, f"{kind}: {answer.text}"
    assert wrong == []
    assert ok(await person.get("/me"))["roles"] == []
    assert ok(await person.get("/requests"))["items"] == []
    problem(await person.post("/requests", {"offering": "teledermatology"}), 403, "forbidden")


async def test_an_administrator_corrects_them_without_giving_a_role(system: System) -> None:
    person, _ = await without_roles(system)
    changed = ok(await system.administrator.http.patch(f"/api/v1/accounts/{person.id}", json={"given_name": "Zoé"}))
    assert (changed["given_name"], changed["roles"]) == ("Zoé", [])
    problem(
        await system.administrator.http.patch(f"/api/v1/accounts/{person.id}", json={"roles": []}), 422, "invalid_input"
    )
