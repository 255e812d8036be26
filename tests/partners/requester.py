"""The system of a requester, as a partner has one: it takes messages over real sockets, does each once, and keeps an eye on us.

It knows nothing of Relais but R4: what of a message it can't do, or what comes in an order in which a Task would go back, is
written into `wrong`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

from tests.webhooks.receiver import Call, read_call, served

Json = dict[str, Any]

STEPS = {
    None: {"requested", "received", "accepted", "in-progress", "rejected", "cancelled", "failed", "completed"},
    "requested": {"received", "accepted", "rejected", "cancelled"},
    "received": {"accepted", "rejected", "cancelled"},
    "accepted": {"in-progress", "completed", "cancelled", "failed"},
    "in-progress": {"completed", "failed"},
    "completed": set(),
    "failed": set(),
    "rejected": set(),
    "cancelled": set(),
}
"""R4's state machine of a Task; two steps may come as one, where both were taken at once."""


@dataclass
class Requester:
    """Takes messages and answers them with `code`, or with `status` and `body` as they stand; those that are about somebody with
    `chart_status`, where that is another one.
    """

    port: int = 0
    code: str = "ok"
    status: int = 200
    headers: str = ""
    body: bytes | None = None
    issue: str = "business-rule"
    chart_status: int = 200
    hangs_up: bool = False
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    calls: list[Call] = field(default_factory=list)
    tokens: list[Json] = field(default_factory=list)
    token: str = "token-1"
    token_status: int = 200
    token_lasts: int = 300
    done: dict[str, Json] = field(default_factory=dict)
    tasks: dict[str, Json] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    most_under_way: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir/$process-message"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    @property
    def messages(self) -> list[Json]:
        """Those that were done, in the order in which they first came."""
        return [self.done[id_] for id_ in self.order]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        call = await read_call(reader)
        answer: bytes | None = self._give_token(call) if "/token" in call.line else None
        if answer is None:
            self.calls.append(call)
            answer = await self._process(call)
        if answer is None:  # it hangs up
            return
        writer.write(answer)
        await writer.drain()

    def _give_token(self, call: Call) -> bytes:
        self.tokens.append({name: value[0] for name, value in parse_qs(call.body.decode()).items()})
        return _http(
            self.token_status, {"access_token": self.token, "token_type": "Bearer", "expires_in": self.token_lasts}
        )

    async def _process(self, call: Call) -> bytes | None:
        said = call.said
        request = number_of(said)
        self.under_way[request] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[request])
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        await self.may_answer.wait()
        self.under_way[request] -= 1
        if len(said["entry"]) > 1 and self.chart_status != 200:
            return _head(self.chart_status, self.headers, b"")
        if self.code == "ok" and self.status == 200 and self.body is None:
            self._do(said)
        if self.hangs_up:
            return None
        if self.body is not None or self.code == "":
            return _head(self.status, self.headers, self.body or b"") + (self.body or b"")
        answer = json.dumps(answer_to(said, self.code, self.issue)).encode()
        return _head(self.status, self.headers, answer) + answer

    def _do(self, said: Json) -> None:
        header = said["entry"][0]["resource"]
        id_ = header["id"]
        if id_ in self.done:
            if without_sending(self.done[id_]) != without_sending(said):
                self.wrong.append(f"{id_} says something else the second time")
            return
        self.done[id_] = said
        self.order.append(id_)
        for task in of_type(said, "Task"):
            self._step(task)

    def _step(self, task: Json) -> None:
        known = self.tasks.get(task["id"])
        before, after = known["status"] if known else None, task["status"]
        if known and after != before and after not in STEPS[before] and not _by_two(before, after):
            self.wrong.append(f"a Task went from {before} to {after}")
        if known and int(known["meta"]["versionId"]) > int(task["meta"]["versionId"]):
            self.wrong.append("an older version of a Task came after a newer one")
        if known and datetime.fromisoformat(known["lastModified"]) > datetime.fromisoformat(task["lastModified"]):
            self.wrong.append("a Task was changed last before it was changed")
        self.tasks[task["id"]] = task


def _by_two(before: str | None, after: str) -> bool:
    return any(after in STEPS[step] for step in STEPS[before])


def of_type(said: Json, kind: str) -> list[Json]:
    return [one["resource"] for one in said["entry"] if one["resource"]["resourceType"] == kind]


def number_of(said: Json) -> str:
    """Of which request it tells, by the references to it."""
    for one in (*of_type(said, "Task"), *of_type(said, "Communication")):
        return str(one["basedOn"][0]["reference"])
    return ""


def event_of(said: Json) -> str:
    return str(said["entry"][0]["resource"]["eventCoding"]["code"])


def without_sending(said: Json) -> Json:
    return {name: value for name, value in said.items() if name not in ("id", "timestamp")}


def answer_to(said: Json, code: str, issue: str) -> Json:
    """A message that answers another one."""
    header = said["entry"][0]["resource"]
    outcome = {
        "resourceType": "OperationOutcome",
        "id": str(uuid4()),
        "issue": [{"severity": "error", "code": issue, "details": {"text": "Secret de Tremblay"}}],
    }
    response = {"identifier": header["id"], "code": code}
    made = {
        "resourceType": "MessageHeader",
        "id": str(uuid4()),
        "eventCoding": header["eventCoding"],
        "source": {"endpoint": header["destination"][0]["endpoint"]},
        "response": {**response, **({"details": {"reference": f"urn:uuid:{outcome['id']}"}} if code != "ok" else {})},
    }
    resources = [made, *([outcome] if code != "ok" else [])]
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": "message",
        "timestamp": "2026-11-27T15:00:00Z",
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


def _http(status: int, said: Json) -> bytes:
    body = json.dumps(said).encode()
    return _head(status, "", body) + body


def _head(status: int, headers: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} Said\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()


@asynccontextmanager
async def open_requester() -> AsyncIterator[Requester]:
    """A requester's system that does as it should, until a test says otherwise."""
    requester = Requester()
    async with served(lambda reader, writer: requester.talk(reader, writer)) as port:
        requester.port = port
        yield requester


# What holds of every message


def faults_in(said: Json, request_id: UUID, base: str) -> list[str]:
    """What is wrong with a message by the rules that no validator has: of CA:eReC, and of what may lie in one of ours."""
    found, entries = [], said["entry"]
    header = entries[0]["resource"]
    urls = [one["fullUrl"] for one in entries]
    if said["type"] != "message" or header["resourceType"] != "MessageHeader" or set(said) - _OF_BUNDLE:
        found.append("no message")
    if len(set(urls)) != len(urls) or urls != [f"urn:uuid:{one['resource']['id']}" for one in entries]:
        found.append("full URLs")
    if datetime.fromisoformat(said["timestamp"]).tzinfo is None:
        found.append("no zone")
    if not header["focus"] or any(one["reference"] not in urls for one in header["focus"]):
        found.append("the focus leads nowhere")
    if "author" in header and header["author"]["reference"] not in urls:
        found.append("the author is not there")
    for reference in references_in(said):
        is_inside = reference.startswith("urn:uuid:")
        if (is_inside and reference not in urls) or (not is_inside and not reference.startswith(f"{base}/")):
            found.append(f"{reference} leads nowhere")
        if not is_inside and reference.split("/")[-2] in _OF_REQUEST and str(request_id) not in reference:
            found.append(f"{reference} is of another request")
    if of_type(said, "Patient") or of_type(said, "QuestionnaireResponse") or of_type(said, "ServiceRequest"):
        found.append("more than is to be told")
    return found


_OF_BUNDLE = {"resourceType", "id", "meta", "type", "timestamp", "entry"}
_OF_REQUEST = {"ServiceRequest", "Patient", "Task", "Communication", "QuestionnaireResponse"}


def references_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [one for part in value.values() for one in references_in(part)]
    return [one for part in value for one in references_in(part)] if isinstance(value, list) else []
