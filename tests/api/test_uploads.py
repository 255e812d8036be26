"""Resumable uploads: files in parts, connections that break, two at once, and what is refused."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import Request
from sqlalchemy import select, update

from api import uploads
from api.server import create_app
from confined import NoVerdictError
from media import examine as examining
from records.models import Upload
from records.uploads import parts_folder
from tests.api.answers import problem
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import accepted, ok, reported
from tests.journeys import upload as upload_whole
from tests.serving import served
from tests.system import Clinician, System, photo
from use_cases import new_attachments
from use_cases import uploads as receiving
from use_cases.places import PLACES

TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
async def draft_id(system: System) -> str:
    return str(ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"])


def described(**values: str) -> dict[str, str]:
    pairs = (f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())
    return {"Upload-Metadata": ",".join(pairs)}


async def announce(who: Clinician, request_id: str, length: int, **more: Any) -> httpx.Response:
    """POST: an upload of that many bytes."""
    key = more.pop("key", None)
    headers = {**TUS, "Upload-Length": str(length), **described(**{"filename": "grain.jpg", **more})}
    return await who.post(f"/requests/{request_id}/uploads", headers=headers, key=key)


async def begun(who: Clinician, request_id: str, length: int, **more: Any) -> str:
    """The address of a new upload."""
    answer = await announce(who, request_id, length, **more)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def send(who: Clinician, address: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    """PATCH: the bytes from that offset."""
    return await who.http.patch(address, content=content, headers={**PART, "Upload-Offset": str(offset), **headers})


async def told(who: Clinician, address: str) -> httpx.Response:
    """HEAD: how far it is."""
    return await who.http.head(address, headers=TUS)


async def offset(who: Clinician, address: str) -> int:
    return int((await told(who, address)).headers["upload-offset"])


def attachment(answer: httpx.Response) -> dict[str, Any]:
    """The attachment that the answer tells."""
    assert answer.status_code in (200, 204), answer.text
    view: dict[str, Any] = json.loads(answer.headers["relais-attachment"])
    return view


def parts_of(system: System, address: str) -> list[Path]:
    """The files that hold what came of an upload."""
    return sorted((system.settings.data_dir / "documents" / parts_folder(UUID(address[-36:]))).rglob("*"))


async def row_of(system: System, address: str) -> Upload | None:
    async with system.services.database.session() as session:
        return await session.scalar(select(Upload).where(Upload.id == UUID(address[-36:])))


async def test_what_is_spoken(system: System, draft_id: str) -> None:
    answer = await system.requester.http.options(f"/api/v1/requests/{draft_id}/uploads")
    assert answer.status_code == 204
    headers = answer.headers
    assert (headers["tus-resumable"], headers["tus-version"]) == ("1.0.0", "1.0.0")
    assert headers["tus-extension"] == "creation,termination,expiration"
    assert int(headers["tus-max-size"]) == system.settings.max_video_bytes


async def test_a_photo_in_parts(system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 10_000)  # nothing is waited for that can't come
    who, content = system.requester, photo((640, 480), "#904030")
    answer = await announce(who, draft_id, len(content), slot="photos", filename="Épaule « 1 ».jpg", purpose="form")
    assert (answer.status_code, answer.content, answer.headers["tus-resumable"]) == (201, b"", "1.0.0")
    address = answer.headers["location"]
    assert re.fullmatch(rf"/api/v1/requests/{draft_id}/uploads/[0-9a-f-]{{36}}", address)
    assert answer.headers["upload-expires"].endswith("GMT")

    first = await told(who, address)
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-store")
    assert (first.headers["upload-offset"], first.headers["upload-length"]) == ("0", str(len(content)))
    assert first.headers["upload-metadata"] == answer.request.headers["upload-metadata"]

    third = len(content) // 3
    for start, end in ((0, third), (third, 2 * third)):
        answer = await send(who, address, start, content[start:end])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(end))
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert "relais-attachment" not in answer.headers
        assert await offset(who, address) == end
    assert len(parts_of(system, address)) == 2

    view = attachment(await send(who, address, 2 * third, content[2 * third :]))
    assert (view["id"], view["slot"], view["filename"]) == (address[-36:], "photos", "Épaule « 1 ».jpg")
    assert (view["sha256"], view["width"]) == (hashlib.sha256(content).hexdigest(), 640)
    path = f"/requests/{draft_id}/attachments"
    assert view in (await who.get(path)).json()
    assert (await who.get(f"{path}/{view['id']}")).content == content
    assert parts_of(system, address) == []

    # The answer may get lost: the last part again, or HEAD, tell it once more.
    assert attachment(await send(who, address, len(content), b"")) == view
    assert attachment(await told(who, address)) == view
    assert len([1 for other in (await who.get(path)).json() if other["id"] == view["id"]]) == 1
    problem(await send(who, address, 2 * third, content[2 * third :]), 409, "offset_mismatch")

    # Removed from the form, it does not come back.
    assert (await who.http.delete(f"/api/v1{path}/{view['id']}")).status_code == 204
    assert (await told(who, address)).status_code == 404
    for more in (b"", b"more"):
        problem(await send(who, address, len(content), more), 404, "not_found")


async def test_more_bytes_than_one_part_holds(system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "PART_BYTES", 1_000)
    content = photo((800, 600))
    address = await begun(system.requester, draft_id, len(content))

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content) - 500, 700):
            yield content[start : min(start + 700, len(content) - 500)]

    answer = await system.requester.http.patch(address, content=in_pieces(), headers={**PART, "Upload-Offset": "0"})
    assert answer.headers["upload-offset"] == str(len(content) - 500)
    assert len(parts_of(system, address)) == -(-(len(content) - 500) // 1_400)
    view = attachment(await send(system.requester, address, len(content) - 500, content[-500:]))
    assert view["sha256"] == hashlib.sha256(content).hexdigest()


async def test_from_another_place_than_it_stands(system: System, draft_id: str) -> None:
    content = photo()
    address = await begun(system.requester, draft_id, len(content))
    ok_so_far = await send(system.requester, address, 0, content[:100])
    assert ok_so_far.headers["upload-offset"] == "100"
    for wrong in (0, 99, 101, len(content), 10**15):
        answer = await send(system.requester, address, wrong, content[wrong:])
        problem(answer, 409, "offset_mismatch")
        assert (answer.headers["upload-offset"], answer.headers["tus-resumable"]) == ("100", "1.0.0")
    problem(await send(system.requester, address, -1, b"x"), 422, "invalid_input")
    problem(await send(system.requester, address, 100, content[100:] + b"more"), 413, "too_large")
    assert await offset(system.requester, address) == 100
    attachment(await send(system.requester, address, 100, content[100:]))


async def test_a_connection_that_breaks_in_the_middle(
    system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrived before the break is there, and the upload goes on from it."""
    content = photo((1_200, 900))
    who = system.requester
    address = await begun(who, draft_id, len(content))
    arrived = _arrivals(monkeypatch)
    async with served(system.app) as server:
        url = httpx.URL(server)
        for start, end in ((0, 1_000), (1_000, 3_500)):
            _, writer = await asyncio.open_connection(url.host, url.port)
            head = {**PART, "Host": "relais", "Upload-Offset": str(start), "Content-Length": str(len(content) - start)}
            head["Authorization"] = who.http.headers["Authorization"]
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            writer.write(f"PATCH {address} HTTP/1.1\r\n{lines}\r\n".encode() + content[start:end])
            left = end - start
            while left:
                left -= await arrived.get()
            writer.close()  # long before Content-Length
            await writer.wait_closed()
            await eventually(partial(_stands_at, who, address, end))
        headers = {"Authorization": head["Authorization"]}
        async with httpx.AsyncClient(base_url=server, headers=headers, timeout=PATIENCE_SECONDS) as http:
            view = attachment(await send(Clinician(who.account, http), address, 3_500, content[3_500:]))
    assert view["sha256"] == hashlib.sha256(content).hexdigest()


def _arrivals(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[int]:
    """How many bytes the upload was handed, each time. What a server still buffers when a connection breaks is sent again."""
    arrived: asyncio.Queue[int] = asyncio.Queue()
    body = uploads._body

    async def heard(request: Request) -> AsyncIterator[bytes]:
        async for chunk in body(request):
            arrived.put_nowait(len(chunk))
            yield chunk

    monkeypatch.setattr(uploads, "_body", heard)
    return arrived


async def _stands_at(who: Clinician, address: str, expected: int) -> bool:
    return await offset(who, address) == expected


async def test_a_connection_that_falls_silent(system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.05)
    content = photo()
    address = await begun(system.requester, draft_id, len(content))

    async def silent() -> AsyncIterator[bytes]:
        yield content[:200]
        await asyncio.Event().wait()

    answer = await system.requester.http.patch(address, content=silent(), headers={**PART, "Upload-Offset": "0"})
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "200")
    attachment(await send(system.requester, address, 200, content[200:]))


async def test_two_at_once(system: System, draft_id: str) -> None:
    """Of two that send the same stretch, one wins; and what becomes of it is one file, not a mixture."""
    one, other = photo((500, 400), "#112233"), photo((500, 400), "#332211")
    length = min(len(one), len(other))
    who = system.requester
    address = await begun(who, draft_id, length)
    answers = await asyncio.gather(*(send(who, address, 0, content[: length // 2]) for content in (one, other) * 3))
    assert sorted(answer.status_code for answer in answers) == [204] + [409] * 5
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "offset_mismatch")
    (part,) = parts_of(system, address)
    kept = await system.services.store.get(f"uploads/{part.parent.name}/{part.name}")
    assert kept in (one[: length // 2], other[: length // 2])
    await who.http.delete(address, headers=TUS)


async def test_the_last_part_twice_at_once(system: System, draft_id: str) -> None:
    content, who = photo((300, 300), "#445566"), system.requester
    address = await begun(who, draft_id, len(content))
    await send(who, address, 0, content[:-50])
    answers = await asyncio.gather(*(send(who, address, len(content) - 50, content[-50:]) for _ in range(4)))
    taken = [answer for answer in answers if answer.status_code == 204]
    assert len(taken) == 1
    repeated = await asyncio.gather(*(send(who, address, len(content), b"") for _ in range(4)))
    assert {attachment(answer)["sha256"] for answer in [*taken, *repeated]} == {hashlib.sha256(content).hexdigest()}
    there = (await who.get(f"/requests/{draft_id}/attachments")).json()
    assert len([1 for view in there if view["id"] == address[-36:]]) == 1


async def test_a_whole_file_whose_process_died_is_kept_at_the_next_question(system: System, draft_id: str) -> None:
    content, who = photo((310, 310)), system.requester
    address = await begun(who, draft_id, len(content))
    await send(who, address, 0, content[:-50])
    upload = await row_of(system, address)
    assert upload is not None
    await receiving._add_part(system.services, upload, content[-50:])  # and no more
    assert attachment(await told(who, address))["sha256"] == hashlib.sha256(content).hexdigest()
    assert parts_of(system, address) == []


async def test_a_whole_file_is_copied_only_in_its_turn(
    system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, who, places = photo((310, 311)), system.requester, system.services.places
    address = await begun(who, draft_id, len(content))
    upload = await row_of(system, address)
    assert upload is not None
    await receiving._add_part(system.services, upload, content)
    copied: list[UUID] = []
    assemble = receiving._assemble

    async def counted(services: Any, upload: Upload, file: Any) -> None:
        copied.append(upload.id)
        await assemble(services, upload, file)

    monkeypatch.setattr(receiving, "_assemble", counted)
    async with AsyncExitStack() as held:
        for _ in range(PLACES):
            await held.enter_async_context(places.place_for(uuid4()))
        asking = [asyncio.create_task(told(who, address)) for _ in range(3)]
        await eventually(lambda: sum(map(len, places._waiting.values())) == 3)
        assert copied == []
    assert len({attachment(answer)["id"] for answer in await asyncio.gather(*asking)}) == 1
    assert copied


async def test_a_photo_outlives_what_ends_its_decoding(
    system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the machine is to blame, the answer is `busy`, and what came is still there for another try."""
    content, who = photo((310, 312)), system.requester
    address = await begun(who, draft_id, len(content))
    with monkeypatch.context() as patched:
        patched.setattr(examining._decoders, "run", ended)
        answer = await send(who, address, 0, content)
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        problem(await upload_whole(who, draft_id, content), 503, "busy")
    assert attachment(await told(who, address))["sha256"] == hashlib.sha256(content).hexdigest()


async def ended(*_: Any) -> None:
    raise NoVerdictError("the fork server was ended")


async def test_somebody_elses(system: System) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Une autre photo?"}))
    content = photo()
    address = await begun(system.requester, request_id, len(content))
    for who in (system.provider, system.dispatcher, system.requester2, system.far_requester):
        assert (await told(who, address)).status_code == 404
        problem(await send(who, address, 0, content), 404, "not_found")
        problem(await who.http.delete(address, headers=TUS), 404, "not_found")
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://relais.test")
    assert (await stranger.head(address, headers=TUS)).status_code == 401
    problem(
        await stranger.patch(address, content=b"x", headers={**PART, "Upload-Offset": "0"}), 401, "not_authenticated"
    )
    problem(await announce(system.provider, request_id, 10), 403, "forbidden")
    problem(await announce(system.far_requester, request_id, 10), 404, "not_found")
    elsewhere = address.replace(request_id, await accepted(system))
    assert (await told(system.requester, elsewhere)).status_code == 404
    attachment(await send(system.requester, address, 0, content))


async def test_while_nothing_can_be_added(system: System) -> None:
    problem(await announce(system.requester, await reported(system), 10), 409, "not_editable")
    request_id, content = await accepted(system), photo()
    address = await begun(system.requester, request_id, len(content))
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Le patient est guéri."}))
    problem(await send(system.requester, address, 0, content), 409, "not_editable")


HOSTILE = {
    "a program": (b"MZ\x90\x00" + bytes(2_000), 415, "unsupported_media"),
    "a page": (b"<!DOCTYPE html><html><script>alert(1)</script></html>", 415, "unsupported_media"),
    "half a photo": (photo()[:-400], 422, "truncated_media"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_file_that_is_refused(system: System, draft_id: str, name: str) -> None:
    """With the same words as in one piece, in the reader's language; and nothing of it stays."""
    content, status, code = HOSTILE[name]
    who = system.requester
    whole = problem(await upload_whole(who, draft_id, content), status, code)
    address = await begun(who, draft_id, len(content))
    await send(who, address, 0, content[:20])
    assert problem(await send(who, address, 20, content[20:]), status, code) == whole
    assert (await told(who, address)).status_code == 404
    assert parts_of(system, address) == []
    assert await row_of(system, address) is None

    address = await begun(who, draft_id, len(content))
    answer = await send(who, address, 0, content, **{"Accept-Language": "en"})
    assert answer.json()["detail"] in (
        "This kind of file can't be taken. Send a photo (JPEG, PNG, HEIC, WebP, AVIF, TIFF, GIF or BMP), "
        "a video (MP4, MOV, M4V or WebM) or a document (PDF or DICOM).",
        "The end of this file is missing: it was cut off on its way. Send it again from the device.",
    )


async def test_what_can_not_be_announced(system: System, draft_id: str) -> None:
    who, path = system.requester, f"/requests/{draft_id}/uploads"
    answer = problem(await announce(who, draft_id, 10**12), 413, "too_large")
    assert answer["limit_bytes"] == system.settings.max_video_bytes
    problem(await announce(who, draft_id, 0), 415, "unsupported_media")
    problem(await announce(who, draft_id, -1), 422, "invalid_input")
    answer = problem(await announce(who, draft_id, 10, slot="xrays"), 422, "unknown_slot")
    assert "photos" in answer["slots"]
    problem(await who.post(path, headers=TUS), 422, "invalid_input")
    for metadata in ("filename ???", "filename Zg==,filename Zg==", ",", "filename /w==", "é Zg==", "filename AA=="):
        headers = httpx.Headers({**TUS, "Upload-Length": "10", "Upload-Metadata": metadata}, encoding="latin-1")
        problem(await who.http.post(f"/api/v1{path}", headers=headers), 422, "invalid_input")
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        answer_ = await who.post(path, headers={"Upload-Length": "10", **version})
        problem(answer_, 412, "unsupported_tus_version")
        assert (answer_.headers["tus-version"], answer_.headers["tus-resumable"]) == ("1.0.0", "1.0.0")
    address = await begun(who, draft_id, 10)
    answer_ = await send(who, address, 0, b"x", **{"Content-Type": "image/jpeg"})
    problem(answer_, 415, "not_a_part_of_a_file")
    assert (await told(who, f"/api/v1{path}/{uuid4()}")).status_code == 404
    assert (await told(who, f"/api/v1{path}/nothing")).status_code == 422


async def test_every_refusal_says_the_protocol_and_hears_the_client_out(
    system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is refused before the route begins, and what the records answer: browsers listen when they have sent all."""
    who, heard = system.requester, []

    async def content() -> AsyncIterator[bytes]:
        for number in range(3):
            heard.append(number)
            yield bytes(1_000)

    async def away(*_: Any, **__: Any) -> Upload:
        raise ConnectionRefusedError

    address = await begun(who, draft_id, 3_000)
    nowhere = address.replace(address[-36:], "nothing")
    answer = await who.http.patch(nowhere, content=content(), headers={**PART, "Upload-Offset": "x"})
    assert {error["field"] for error in problem(answer, 422, "invalid_input")["errors"]} == {
        "upload_id",
        "Upload-Offset",
    }
    assert (answer.headers["tus-resumable"], heard) == ("1.0.0", [0, 1, 2])

    heard.clear()
    monkeypatch.setattr("records.uploads.load_upload", away)
    answer = await who.http.patch(address, content=content(), headers={**PART, "Upload-Offset": "0"})
    problem(answer, 503, "records_unreachable")
    assert (answer.headers["tus-resumable"], heard) == ("1.0.0", [0, 1, 2])


async def test_too_large(system: System, draft_id: str) -> None:
    """Too large for what it turns out to be, and too many bytes in one call."""
    small = system.settings.model_copy(update={"max_photo_bytes": 100_000, "max_video_bytes": 200_000})
    app = create_app(small, replace(system.of_api, settings=small))
    headers = {"Authorization": system.requester.http.headers["Authorization"]}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        who = Clinician(system.requester.account, http)
        content = photo() + bytes(150_000)
        address = await begun(who, draft_id, len(content))
        answer = problem(await send(who, address, 0, content), 413, "too_large")
        assert answer["limit_bytes"] == 100_000
        assert (await told(who, address)).status_code == 404
        problem(await announce(who, draft_id, 200_001), 413, "too_large")
        address = await begun(who, draft_id, 200_000)
        problem(await send(who, address, 0, b"x", **{"Content-Length": str(65 * 1024**2)}), 413, "too_large")
        assert await offset(who, address) == 0


async def test_one_key_begins_one_upload(system: System, draft_id: str) -> None:
    key = uuid4().hex
    addresses = {await begun(system.requester, draft_id, 500, key=key) for _ in range(3)}
    assert len(addresses) == 1
    assert await begun(system.requester, draft_id, 500, key=uuid4().hex) not in addresses
    problem(await announce(system.requester, draft_id, 501, key=key), 422, "idempotency_key_reused")
    problem(await announce(system.requester, draft_id, 500, filename="x.jpg", key=key), 422, "idempotency_key_reused")
    await system.requester.http.delete(addresses.pop(), headers=TUS)


async def test_an_upload_that_is_given_up(system: System, draft_id: str) -> None:
    content, who = photo(), system.requester
    address = await begun(who, draft_id, len(content))
    await send(who, address, 0, content[:100])
    answer = await who.http.delete(address, headers=TUS)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    assert (await told(who, address)).status_code == 404
    problem(await send(who, address, 100, content[100:]), 404, "not_found")
    problem(await who.http.delete(address, headers=TUS), 404, "not_found")
    assert parts_of(system, address) == []
    assert await row_of(system, address) is None


async def test_given_up_while_it_is_examined(system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attachment that it was just becoming goes, too."""
    content, who = photo((321, 123)), system.requester
    address = await begun(who, draft_id, len(content))
    keep = new_attachments.keep_examined

    async def given_up(*args: Any) -> Any:
        view = await keep(*args)
        assert (await who.http.delete(address, headers=TUS)).status_code == 204
        return view

    monkeypatch.setattr(receiving, "keep_examined", given_up)
    problem(await send(who, address, 0, content), 404, "not_found")
    there = (await who.get(f"/requests/{draft_id}/attachments")).json()
    assert address[-36:] not in [view["id"] for view in there]


async def test_what_nobody_continues_goes(system: System, draft_id: str) -> None:
    content, who = photo(), system.requester
    old, young = [await begun(who, draft_id, len(content)) for _ in range(2)]
    for address in (old, young):
        await send(who, address, 0, content[:100])
    upload = await row_of(system, old)
    assert upload is not None
    assert timedelta(hours=23) < upload.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    async with system.services.database.session() as session:
        expired = update(Upload).where(Upload.id == upload.id).values(expires_at=datetime.now(UTC))
        await session.execute(expired)
    assert (await told(who, old)).status_code == 404
    problem(await send(who, old, 100, content[100:]), 404, "not_found")
    assert parts_of(system, old)

    await begun(who, draft_id, 10)  # somebody else's upload takes the old ones away
    assert parts_of(system, old) == []
    assert await row_of(system, old) is None
    assert len(parts_of(system, young)) == 1
    attachment(await send(who, young, 100, content[100:]))
