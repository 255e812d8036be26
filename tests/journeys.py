"""How tests bring a request into each status: by the API, as people do."""

import io
from datetime import date, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from domain.offerings import FieldKind, FormField
from media.kinds import Media
from tests.system import PASSWORD, Clinician, System, photo
from use_cases.caller import Caller
from use_cases.new_attachments import SentFile, examined, keep_examined, kind_of, place_for

PATIENT = {
    "given_name": "Jeanne",
    "family_name": "Tremblay",
    "birth_date": "1958-03-14",
    "health_insurance_number": "TREJ 5853 1412",
    "sex": "female",
}


_PATIENTS = count()


def somebody_new() -> dict[str, str]:
    """A patient about whom nothing is open yet: of somebody about whom there is, a page asks before another is submitted."""
    born = date(1930, 1, 1) + timedelta(days=next(_PATIENTS))
    return {**PATIENT, "birth_date": str(born), "health_insurance_number": ""}


def filled(fields: tuple[FormField, ...]) -> dict[str, Any]:
    """An answer to every required field."""
    return {field.name: _answer(field) for field in fields if field.required}


def _answer(field: FormField) -> Any:
    match field.kind:
        case FieldKind.CHOICE:
            return field.options[0].value
        case FieldKind.CHOICES:
            return [field.options[0].value]
        case FieldKind.NUMBER:
            return field.minimum or 1
        case FieldKind.DATE:
            return "2026-11-01"
        case FieldKind.YES_NO:
            return True
        case FieldKind.CONSENT:
            return {"given_by": "patient", "date": "2026-11-01"}
        case _:
            return f"Réponse: {field.name}"


def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The body of an answer that must have succeeded."""
    assert answer.status_code == status, f"{answer.request.method} {answer.request.url.path}: {answer.text}"
    body: dict[str, Any] = answer.json()
    return body


def ok_list(answer: httpx.Response) -> list[dict[str, Any]]:
    """The same of an answer whose body is a list."""
    ok(answer)
    body: list[dict[str, Any]] = answer.json()
    return body


async def upload(
    who: Clinician, request_id: str, content: bytes, slot: str = "", name: str = "photo.jpg"
) -> httpx.Response:
    """Send one file as a browser would."""
    return await who.post(
        f"/requests/{request_id}/attachments", files={"file": (name, content, "image/jpeg")}, data={"slot": slot}
    )


async def draft(system: System, offering: str = "teledermatology", **more: Any) -> str:
    """A complete draft with its photos; its id."""
    rules = system.services.offerings[offering]
    body = {"offering": offering, "patient": PATIENT, "answers": filled(rules.form), **more}
    request_id = ok(await system.requester.post("/requests", body), 201)["id"]
    for slot in rules.attachments:
        for number in range(slot.minimum):
            await _with_photo(system, request_id, photo((320 + number, 240)), slot.name)
    return str(request_id)


async def _with_photo(system: System, request_id: str, content: bytes, slot: str) -> None:
    """The requester adds a photo, by the use case that keeps what was examined: the same photo is examined once in all tests."""
    file = SentFile(io.BytesIO(content), "photo.jpg", slot)
    if content not in _EXAMINED:
        _EXAMINED[content] = await examined(file.content, await kind_of(system.services, file.content))
    caller = Caller(system.requester.account, "token")
    place = await place_for(system.services, caller, UUID(request_id), None)
    await keep_examined(system.services, caller, place, file, _EXAMINED[content])


_EXAMINED: dict[bytes, Media] = {}


async def submitted(system: System, offering: str = "teledermatology", **more: Any) -> str:
    """A request in awaiting_dispatch (awaiting_acceptance where the offering dispatches automatically)."""
    request_id = await draft(system, offering, **more)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    return request_id


async def pooled(system: System) -> str:
    """A request that waits for the pool of the near clinic."""
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"clinic_id": str(system.clinics["near"].id)}))
    return request_id


async def assigned(system: System, **more: Any) -> str:
    """A request that waits for `provider`."""
    request_id = await submitted(system, **more)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    return request_id


async def accepted(system: System, **more: Any) -> str:
    """A request that `provider` has accepted."""
    request_id = await assigned(system, **more)
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    return request_id


async def returned(system: System, **more: Any) -> str:
    """A request that `provider` has returned to its requester."""
    request_id = await assigned(system, **more)
    body = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", body))
    return request_id


async def written(system: System, request_id: str, *, urgent: bool = False, **more: Any) -> None:
    """`provider` writes a complete report, which says that the patient must be sent without delay if it is `urgent`.

    `more` are answers to further fields.
    """
    offering = (await system.provider.view(request_id))["offering"]
    answers = {**filled(system.services.offerings[offering].report), **more}
    if urgent:
        answers["urgency_reassessment"] = "emergency"
    ok(await system.provider.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))


async def signed(system: System, request_id: str, kind: str = "final") -> dict[str, Any]:
    """`provider` signs the report; the receipt."""
    return ok(await system.provider.post(f"/requests/{request_id}/report/sign", {"kind": kind, "password": PASSWORD}))


async def reported(system: System, *, urgent: bool = False, **more: Any) -> str:
    """A request whose final report `provider` has signed."""
    request_id = await accepted(system)
    await written(system, request_id, urgent=urgent, **more)
    await signed(system, request_id)
    return request_id


async def asked_about(system: System) -> str:
    """A closed request about whose report the requester has asked something."""
    request_id = await closed(system)
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de fois par jour?"}))
    return request_id


async def closed(system: System) -> str:
    """A request whose requester has acknowledged the report."""
    request_id = await reported(system)
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    return request_id


async def cancelled(system: System) -> str:
    """A request that its requester has cancelled."""
    request_id = await submitted(system)
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "La patiente a été vue ailleurs."}))
    return request_id


async def abandoned(system: System) -> str:
    """A returned request whose requester never came back."""
    request_id = await returned(system)
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/resubmission"))
    return request_id


IN_STATUS = {
    "draft": draft,
    "awaiting_dispatch": submitted,
    "awaiting_acceptance": assigned,
    "accepted": accepted,
    "returned": returned,
    "reported": reported,
    "closed": closed,
    "cancelled": cancelled,
    "abandoned": abandoned,
}
"""Status to the journey that ends there."""
