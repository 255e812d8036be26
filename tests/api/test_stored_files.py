"""What is given out of the document store is what was put there; what is not is said, and the operators hear of it."""

import asyncio
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest

from confined import NoVerdictError
from records import attachments, reports
from records.models import Attachment
from tests.api.answers import problem
from tests.clips import clip
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import draft, ok, reported, upload
from tests.serving import served
from tests.system import Clinician, System, photo
from use_cases.problems import Problem
from web.files import content_disposition


def place_of(system: System, key: str) -> Path:
    return system.settings.data_dir / "documents" / key


async def bytes_in_clear(system: System, file: Path) -> bytes:
    """What was stored, of which the file holds the sealed form."""
    return await system.services.store.get(file.relative_to(system.settings.data_dir / "documents").as_posix())


def fault(answer: httpx.Response, code: str) -> None:
    """The answer says that a file can't be given out, and gives nothing of it."""
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    told = answer.json()
    assert (told["code"], told["detail"]) == (code, Problem(code).told("fr"))


async def failures_of(system: System, request_id: str) -> list[str]:
    """The codes of what the operators' list says of the stored files of a request."""
    listed: Any = ok(await system.operator.get("/failures"))
    return [one["code"] for one in listed if one["request_id"] == request_id and one["kind"] == "stored_file"]


async def document_of(system: System, request_id: str) -> tuple[str, Path]:
    """The id of a request's signed document, and its file."""
    (view,) = (await system.provider.get(f"/requests/{request_id}/reports")).json()
    async with system.services.database.session() as session:
        document = await reports.find_document(session, UUID(view["report_id"]))
    assert document is not None
    return view["report_id"], place_of(system, document.object_key)


class Endless:
    """Work that only ends when it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, *_: object, **__: object) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


def let_down() -> Any:
    async def run(*_: object) -> None:
        raise NoVerdictError("the fork server was ended")

    return SimpleNamespace(run=run)


async def leaves(system: System, who: Clinician, address: str, work: Endless) -> None:
    """Somebody asks, and hangs up while the work is done: then it ends."""
    headers = who.http.headers
    async with served(system.app) as server, httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as http:
        asking = asyncio.create_task(http.get(f"{server}/api/v1{address}"))
        await work.begun.wait()
        asking.cancel()
        await asyncio.wait_for(work.ended.wait(), PATIENCE_SECONDS)


async def test_another_reports_bytes_are_not_served(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though they are signed as validly: the verdict names what is wrong, and the way back is a backup."""
    one, other = await asyncio.gather(reported(system), reported(system))
    report_id, file = await document_of(system, one)
    _, wrong = await document_of(system, other)
    right, printed = file.read_bytes(), await bytes_in_clear(system, file)
    path = f"/requests/{one}/reports/{report_id}"
    assert (await system.provider.get(f"{path}.pdf")).content == printed
    assert ok(await system.provider.get(f"{path}/verification"))["problems"] == []

    with monkeypatch.context() as patched:
        patched.setattr("documents.bounded._server", let_down())
        problem(await system.provider.get(f"{path}/verification"), 503, "busy")
        waiting = Endless()
        patched.setattr("use_cases.signing_roots.check_pdf", waiting)
        await leaves(system, system.provider, f"{path}/verification", waiting)

    file.write_bytes(wrong.read_bytes())  # sealed for another place: it does not open
    fault(await system.provider.get(f"{path}.pdf"), "stored_file_differs")
    verdict = ok(await system.provider.get(f"{path}/verification"))
    assert (verdict["valid"], verdict["unchanged"]) == (False, False)
    assert "differs_from_records" in verdict["problems"]
    assert verdict["sha256"] == sha256(file.read_bytes()).hexdigest()

    file.write_bytes(await bytes_in_clear(system, wrong))
    fault(await system.provider.get(f"{path}.pdf"), "stored_file_differs")
    verdict = ok(await system.provider.get(f"{path}/verification"))
    assert (verdict["valid"], verdict["unchanged"]) == (False, False)
    assert verdict["problems"] == ["differs_from_records"]
    assert await failures_of(system, one) == ["stored_file_differs"]

    file.unlink()
    fault(await system.provider.get(f"{path}.pdf"), "stored_file_missing")
    fault(await system.provider.get(f"{path}/verification"), "stored_file_missing")
    assert set(await failures_of(system, one)) == {"stored_file_differs", "stored_file_missing"}

    file.write_bytes(right)
    assert (await system.provider.get(f"{path}.pdf")).content == printed
    assert await failures_of(system, other) == []


async def attachment_row(system: System, request_id: str, attachment_id: str) -> Attachment:
    async with system.services.database.session() as session:
        row = await attachments.load_attachment(session, UUID(request_id), UUID(attachment_id))
    assert row is not None
    return row


async def test_photos_are_compared_too(system: System) -> None:
    """The original and each copy; a file of the same length is found out as well."""
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, photo()), 201)
    row = await attachment_row(system, request_id, view["id"])
    path = f"/requests/{request_id}/attachments/{view['id']}"
    for address, key in (
        (path, row.object_key),
        (f"{path}/preview", row.preview_key),
        (f"{path}/thumbnail", row.thumbnail_key),
        (f"{path}/full", row.full_key),
    ):
        assert key is not None
        file = place_of(system, key)
        right = file.read_bytes()
        assert (await system.requester.get(address)).content == await bytes_in_clear(system, file)
        file.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        fault(await system.requester.get(address), "stored_file_differs")
        fault(await system.requester.get(address, headers={"Range": "bytes=0-9"}), "stored_file_differs")
        file.unlink()
        fault(await system.requester.get(address), "stored_file_missing")
        file.write_bytes(right)
        assert (await system.requester.get(address)).content == await bytes_in_clear(system, file)
    assert len(await failures_of(system, request_id)) == 8


async def test_a_video_is_compared_once_for_many_parts(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await draft(system)
    content = await clip("film.mp4", folder=tmp_path)
    view = ok(await upload(system.requester, request_id, content, "videos"), 201)
    path = f"/requests/{request_id}/attachments/{view['id']}/video"

    async def is_ready() -> bool:
        return (await system.requester.get(path)).status_code == 200

    await eventually(is_ready)
    row = await attachment_row(system, request_id, view["id"])
    assert row.playable_key is not None
    file = place_of(system, row.playable_key)
    kept, whole = file.read_bytes(), await bytes_in_clear(system, file)
    read: list[str] = []
    hashed = system.of_api.store._sha256

    async def counted(key: str) -> str:
        read.append(key)
        return await hashed(key)

    monkeypatch.setattr(system.of_api.store, "_sha256", counted)
    for start in (0, 100, 2_000):
        part = await system.requester.get(path, headers={"Range": f"bytes={start}-{start + 99}"})
        assert (part.status_code, part.content) == (206, whole[start : start + 100])
    assert len(read) <= 1
    file.write_bytes(kept[::-1])
    fault(await system.requester.get(path, headers={"Range": "bytes=0-99"}), "stored_file_differs")
    file.write_bytes(kept)


async def test_nothing_is_compared_for_who_left(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, photo()), 201)
    comparing = Endless()
    monkeypatch.setattr(system.of_api.store, "_sha256", comparing)
    await leaves(system, system.requester, f"/requests/{request_id}/attachments/{view['id']}", comparing)


async def test_what_was_removed_is_no_fault(system: System) -> None:
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, photo()), 201)
    address = f"/requests/{request_id}/attachments/{view['id']}"
    assert (await system.requester.http.delete(f"/api/v1{address}")).status_code == 204
    problem(await system.requester.get(address), 404, "not_found")
    assert await failures_of(system, request_id) == []


@pytest.mark.parametrize("what", ["", "/preview", "/thumbnail", "/full"])
async def test_what_is_removed_while_it_is_being_given_out_is_not_there(
    system: System, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, photo()), 201)
    address = f"/requests/{request_id}/attachments/{view['id']}"
    compare = system.of_api.store.compare

    async def then_removed(key: str, sha256: str, *, again: bool = False) -> int:
        size = await compare(key, sha256, again=again)
        assert (await system.requester.http.delete(f"/api/v1{address}")).status_code == 204
        return size

    monkeypatch.setattr(system.of_api.store, "compare", then_removed)
    problem(await system.requester.get(f"{address}{what}"), 404, "not_found")
    assert await failures_of(system, request_id) == []


NAMES = {
    "Léon, œil gauche – 1er décembre.jpg": "Léon, œil gauche – 1er décembre.jpg",
    "plaie du pied.jpg": "plaie du pied.jpg",
    "e\u0301te\u0301.jpg": "été.jpg",
    'a"b;c\\d%e.jpg': "d%e.jpg",
    "写真.jpg": "写真.jpg",
    "ᐃᓄᒃ 🙂.jpg": "ᐃᓄᒃ 🙂.jpg",
}


@pytest.mark.parametrize("sent", NAMES)
async def test_a_file_keeps_its_name(system: System, sent: str) -> None:
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, photo(), name=sent), 201)
    assert view["filename"] == NAMES[sent]
    answer = await system.requester.get(f"/requests/{request_id}/attachments/{view['id']}")
    assert name_in(answer.headers["content-disposition"]) == NAMES[sent]


def test_names_in_headers() -> None:
    for name in (*NAMES.values(), "a\r\nX: 1", 'a"; filename="b.exe', "", "é", "100%.jpg", "x" * 200):
        header = content_disposition("attachment", name)
        assert header.isascii()
        assert header.isprintable()
        assert name_in(header) == (name or "file")


def name_in(header: str) -> str:
    """The name under which a browser saves a file, by RFC 6266."""
    kind, *parameters = header.split("; ")
    assert kind in ("inline", "attachment")
    found = dict(parameter.split("=", 1) for parameter in parameters)
    if full := found.get("filename*"):
        encoding, _, quoted = full.partition("''")
        assert encoding == "UTF-8"
        return unquote(quoted)
    return found["filename"].strip('"')
