"""What the tests of the API ask of its answers, and of what they leave."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import func, select

from api.docs import DESCRIPTION_FILE
from api.problems import MEDIA_TYPE, ProblemDetails
from domain.requests import Request, Role
from domain.unread_reports import unread_from
from records.models import EventRecord, Notice, RequestRecord
from tests.system import Clinician, System, add_person
from translations import gettext_for
from translations.problems import PROBLEMS
from translations.words import REFUSALS
from use_cases.problems import Problem
from use_cases.services import Services
from web.metrics import create_metrics_app

ENGLISH: dict[str, str] = {
    **PROBLEMS,
    **{code.value: sentence for code, sentence in REFUSALS.items()},
}
"""Every code to its sentence."""


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an answer that must be this problem: problem+json with its code, and a sentence in French.

    Without the name of the call, by which each differs from all others.
    """
    said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
    assert answer.status_code == status, said
    body = _problem(answer)
    assert body["code"] == code, said
    return body


def any_problem(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer that must be some problem that is not ours: its members, and its code's sentence in French."""
    said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
    assert 400 <= answer.status_code < 500, said
    return _problem(answer)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json", said
    body: dict[str, Any] = answer.json()
    assert UUID(body.pop("instance").removeprefix("urn:uuid:"))  # each call has its own
    assert body["status"] == answer.status_code, said
    assert body["type"]
    assert body["title"]
    assert body["detail"] == _sentence(body), said
    described = _described(answer.request)
    assert described is None or body["code"] in described, f"the description does not have it: {said}"
    return body


def _described(request: httpx.Request) -> set[str] | None:
    """The codes of errors that the description has for such a call; none where it has no such operation."""
    path, method = request.url.path, request.method.lower().replace("head", "get")
    found = [methods for pattern, methods in _operations() if pattern.fullmatch(path)]
    if not found or method not in found[0]:
        return None
    answers = found[0][method]["responses"].values()
    return {code for answer in answers for code in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ())}


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """The operations by what their addresses look like; first those with the fewest places for something."""
    paths = json.loads(DESCRIPTION_FILE.read_text())["paths"]
    return [
        (re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path)))), paths[path])
        for path in sorted(paths, key=lambda path: path.count("{"))
    ]


def _sentence(body: dict[str, Any]) -> str:
    """The code's sentence in French, with the numbers and days that the problem's members name."""
    if body["code"] not in PROBLEMS:
        return gettext_for("fr")(ENGLISH[body["code"]])
    members = {name: value for name, value in body.items() if name not in ProblemDetails.model_fields}
    members |= {name: date.fromisoformat(day) for name, day in members.items() if name.endswith("_on")}
    return Problem(body["code"], **members).told("fr")


async def picture(who: Clinician, request_id: str) -> tuple[Any, ...]:
    """What must stay as it is when a command is refused: status, holder, version, deadlines, the timeline's length."""
    view = await who.view(request_id)
    timeline = (await who.get(f"/requests/{request_id}/timeline")).json()
    return view["status"], view["version"], view["holder"], view["deadlines"], len(timeline)


async def in_the_records(system: System, request_id: str) -> tuple[Any, ...]:
    """All of this as the records hold it, without a view of it being made: for what is asked after each of many refusals."""
    async with system.services.database.session() as session:
        row = await session.get_one(RequestRecord, UUID(request_id))
        events = select(func.count()).where(EventRecord.request_id == row.id)
        return row.status, row.process_version, row.process, await session.scalar(events)


async def notices(system: System, request_id: str, about: str) -> dict[str, Notice]:
    """Who is told of that, by the id of their account."""
    async with system.services.database.session() as session:
        query = select(Notice).where(Notice.request_id == UUID(request_id), Notice.event == about)
        return {str(notice.account_id): notice for notice in await session.scalars(query)}


async def metrics_of(services: Services) -> str:
    """What Prometheus is told."""
    app = create_metrics_app(services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://metrics.test") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    return answer.text


async def let_lie(system: System, request_id: str, time: timedelta) -> None:
    """Nobody has read the newest report for so long, and nobody was told of it."""
    async with system.services.database.session() as session:
        row = await session.get_one(RequestRecord, UUID(request_id))
        unread = unread_from(Request.model_validate(row.process), datetime.now(UTC) - time)
        row.unread_colleagues_from, row.unread_clinic_from = unread.colleagues_from, unread.clinic_from
        row.unread_told_at = None


async def who_wants_notices_grouped(system: System, role: Role) -> Clinician:
    """Somebody new of the near clinic whose e-mails come three times a day."""
    person = await add_person(system, f"grouped_{uuid4().hex}", system.clinics["near"], role)
    answer = await person.http.patch("/api/v1/me", json={"notice_mode": "grouped"})
    assert answer.status_code == 200, answer.text
    return person


def stored_files(system: System, request_id: str) -> set[Path]:
    """All files of the store, but not what videos of other requests become meanwhile, nor what is being written of them."""
    files = {path for path in (system.settings.data_dir / "documents").rglob("*") if path.is_file()}
    whole = {path for path in files if ".incoming" not in path.parts}
    return {path for path in whole if request_id in path.parts or "-playable-" not in path.name}
