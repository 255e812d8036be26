"""Partners in tests: systems that send requests as messages, and what they are answered."""

import json
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from records.models import RequestRecord
from tests.api.test_service_accounts import connected
from tests.fhir.messages import Json, find, header_of, new_request
from tests.journeys import ok
from tests.system import System

TYPE = {"Content-Type": "application/fhir+json"}


class Partner:
    """A system that sends messages, and the account by which it does."""

    def __init__(self, face: FastAPI, id_: str, secret: str) -> None:
        self.id = id_
        self.secret = secret
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(face),
            base_url="http://relais.test",
            headers={"Authorization": f"Bearer {secret}", **TYPE},
        )

    async def send(self, sent: Json | bytes, path: str = "/fhir/$process-message", **headers: str) -> httpx.Response:
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        return await self.http.post(path, content=body, headers=headers)

    async def taken(self, sent: Json) -> Json:
        """The Task of a message that must have been done."""
        answer = ok(await self.send(sent))
        assert response_of(answer)["code"] == "ok", answer
        return find(answer, "Task")


async def a_partner(system: System, face: FastAPI, *scopes: str, **terms: Any) -> Partner:
    """A new one of the near clinic, which has said how its messages are taken."""
    account = await connected(system, "messages:send", *scopes)
    made = Partner(face, account.id, account.secret)
    assert (await made.send(new_request())).status_code == 403  # nobody has said yet
    said = {"liaison_id": system.requester.id, "offerings": {"DERM-01": "teledermatology"}, **terms}
    path = f"/api/v1/service-accounts/{account.id}/partner"
    kept = ok(await system.administrator.http.put(path, json=said))
    assert ok(await system.administrator.http.get(path)) == kept
    return made


def response_of(answer: Json) -> Json:
    header = header_of(answer)
    assert header["resourceType"] == "MessageHeader"
    found: Json = header["response"]
    return found


def issues_of(answer: Json) -> list[tuple[str, str]]:
    outcome = answer if answer["resourceType"] == "OperationOutcome" else find(answer, "OperationOutcome")
    return [(issue["code"], *issue.get("expression", [""])[:1]) for issue in outcome["issue"]]


def refused(answer: Json, code: str) -> None:
    assert (response_of(answer)["code"], issues_of(answer)[0][0]) == ("fatal-error", code), answer
    assert response_of(answer)["details"]["reference"] in {one["fullUrl"] for one in answer["entry"]}


async def row_of(system: System, task: Json) -> RequestRecord:
    number = task["groupIdentifier"]["value"]
    async with system.services.database.session() as session:
        found = await session.scalar(select(RequestRecord).where(RequestRecord.number == number))
    assert found is not None
    return found


def number_in(sent: Json) -> str:
    value: str = find(sent, "ServiceRequest")["identifier"][0]["value"]
    return value
