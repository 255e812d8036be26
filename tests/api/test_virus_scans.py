"""Files are scanned by a real clamd: what is infected reaches nobody by any way, what waits reaches nobody but its sender, and
nothing is lost when scanner or worker die.
"""

import asyncio
import io
import signal
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from PIL import Image
from pypdf import PdfReader
from sqlalchemy import select, update

from domain.audit import Act
from domain.scans import ScanState
from outgoing.clamd import Clamd
from records.models import Attachment, AuditEntry
from settings import Settings
from tests.api.answers import problem, stored_files
from tests.api.partners import a_partner, row_of
from tests.api.test_uploads import attachment as told_attachment
from tests.api.test_uploads import begun, send
from tests.clips import clip
from tests.eventually import eventually
from tests.fhir.messages import new_request
from tests.journeys import accepted, assigned, draft, ok, somebody_new, upload
from tests.papers import paper
from tests.portal.browsing import shown, visitor
from tests.portal.test_phone_links import link_of, take
from tests.portal.test_phone_links import send as send_by_phone
from tests.scanner import EICAR, MARKER, Scanner, needs_clamd, running_scanner
from tests.system import Clinician, System, hasty, photo
from use_cases import health, scanning
from use_cases.services import Services
from worker import Parts

pytestmark = needs_clamd

NOWHERE = "tcp://127.0.0.1:1"
"""A scanner that never answers."""


@pytest.fixture(scope="module")
async def clamd() -> AsyncIterator[Scanner]:
    async with running_scanner() as scanner:
        yield scanner


@contextmanager
def with_scanner(system: System, face: FastAPI, url: str, **more: Any) -> Iterator[Services]:
    """The API, with every face, knows of a scanner there."""
    with hasty(system.app, clamd_url=url, **more), hasty(face, clamd_url=url, **more):
        yield face.state.services


@asynccontextmanager
async def scanned_by(system: System, url: str, **more: Any) -> AsyncIterator[None]:
    """As in a worker: files are scanned as they come."""
    services = system.services
    settings = services.settings.model_copy(update={"clamd_url": url, **more})
    parts = Parts(settings, services.database, services.store, services.engine)
    patience = timedelta(seconds=settings.clamd_timeout_seconds)
    async with scanning.Scanning(parts, Clamd(url, patience)):
        yield


async def row(system: System, attachment_id: str) -> Attachment:
    async with system.services.database.session() as session:
        found = await session.get(Attachment, UUID(attachment_id))
        assert found is not None
        return found


async def becomes(system: System, attachment_id: str, state: ScanState) -> Attachment:
    async def has_become() -> bool:
        return (await row(system, attachment_id)).scan is state

    await eventually(has_become)
    return await row(system, attachment_id)


async def shown_to(who: Clinician, request_id: str, attachment_id: str) -> dict[str, Any]:
    seen = (await who.view(request_id))["attachments"]
    return dict(next(one for one in seen if one["id"] == attachment_id))


# Infected files, each in its own way hidden in what is taken


def in_jpeg(bad: bytes) -> bytes:
    return photo((400, 300), "#775544") + bad


def in_png(bad: bytes) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (400, 300), "#557744").save(made, "PNG")
    return made.getvalue() + bad


def in_pdf(bad: bytes) -> bytes:
    return paper(2) + b"\n%" + bad + b"\n"


async def in_video(bad: bytes, folder: Path) -> bytes:
    return await clip("film.mp4", folder=folder) + struct.pack(">I", 8 + len(bad)) + b"free" + bad


@dataclass
class Ways:
    """The ways by which files come in: each gives the request and the attachment's id."""

    system: System
    face: FastAPI
    folder: Path

    async def by_api(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        sent = ok(await upload(self.system.requester, request_id, in_pdf(EICAR), "lab-results", "labo.pdf"), 201)
        return request_id, sent["id"]

    async def a_video(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        content = await in_video(MARKER, self.folder)
        sent = ok(await upload(self.system.requester, request_id, content, "videos", "film.mp4"), 201)
        return request_id, sent["id"]

    async def in_parts(self) -> tuple[str, str]:
        request_id, content = await draft(self.system, patient=somebody_new()), in_png(EICAR)
        address = await begun(self.system.requester, request_id, len(content), slot="photos")
        await send(self.system.requester, address, 0, content[:200])
        last = await send(self.system.requester, address, 200, content[200:])
        return request_id, told_attachment(last)["id"]

    async def by_a_form(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        before = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        files = {"file": ("photo.jpg", in_jpeg(EICAR), "image/jpeg")}
        async with visitor(self.face, self.system.requester) as page:
            fields = {"slot": "photos", "key": "k", "next": f"/requests/{request_id}/edit"}
            answer = await page.post(f"/requests/{request_id}/attachments", files=files, data=fields)
            assert answer.status_code == 303, answer.text
        after = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        return request_id, (after - before).pop()

    async def by_telephone(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        before = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        address = await link_of(self.system, request_id)
        async with visitor(self.face) as phone:
            line = shown(await send_by_phone(phone, await take(phone, address), in_jpeg(MARKER)))
        assert "Contrôle antivirus en cours" in line
        after = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        return request_id, (after - before).pop()

    async def added(self) -> tuple[str, str]:
        """After the submission, with what the requester adds."""
        request_id = await accepted(self.system, patient=somebody_new())
        sent = ok(await upload(self.system.requester, request_id, in_jpeg(EICAR), "photos"), 201)
        body = {"text": "Une autre photo.", "attachment_ids": [sent["id"]]}
        ok(await self.system.requester.post(f"/requests/{request_id}/add-information", body))
        return request_id, sent["id"]

    async def by_a_partner(self) -> tuple[str, str]:
        partner = await a_partner(self.system, self.face)
        found = await row_of(self.system, await partner.taken(new_request(photo=in_jpeg(EICAR))))
        view = await self.system.dispatcher.view(str(found.id))
        return str(found.id), view["attachments"][0]["id"]


WAYS = ("by_api", "a_video", "in_parts", "by_a_form", "by_telephone", "added", "by_a_partner")


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_infected_reaches_nobody_by_whatever_way_it_came(
    way: str, system: System, face: FastAPI, clamd: Scanner, tmp_path: Path
) -> None:
    with with_scanner(system, face, clamd.url):
        request_id, attachment_id = await getattr(Ways(system, face, tmp_path), way)()
        assert (await row(system, attachment_id)).scan is ScanState.PENDING
        assert await given_out(system, face, request_id, attachment_id) == []
        async with scanned_by(system, clamd.url):
            found = await becomes(system, attachment_id, ScanState.INFECTED)
        assert found.scan_engine is not None
        assert found.scan_engine.startswith("ClamAV ")
        assert found.scan_finding in ("Relais.Test.Eicar.UNOFFICIAL", "Relais.Test.Marker.UNOFFICIAL")
        assert await given_out(system, face, request_id, attachment_id) == []

    assert await given_out(system, face, request_id, attachment_id) == []  # nor where there is no scanner any more
    left = [path for path in stored_files(system, request_id) if attachment_id in path.as_posix()]
    assert left == []
    listed = (await system.operator.get("/failures")).json()
    assert [one["code"] for one in listed if one["effect_id"] == f"scan:{attachment_id}"] == ["virus_found"]
    async with system.services.database.session() as session:
        told = select(AuditEntry.name).where(AuditEntry.object_id == UUID(attachment_id), AuditEntry.kind == Act.CHANGE)
        assert "virus_found" in (await session.scalars(told)).all()


async def given_out(system: System, face: FastAPI, request_id: str, attachment_id: str) -> list[str]:
    """The addresses that give out something of the file to whoever may see the request: all that are there are asked."""
    found = []
    for name in ("requester", "dispatcher", "provider"):
        who = system.people[name]
        may_see = await who.get(f"/requests/{request_id}")
        if may_see.status_code != 200:
            continue
        there = may_see.json().get("attachments") or []
        holds = {one["held"] for one in there if one["id"] == attachment_id}
        others = sum(one["has_preview"] for one in there if one["id"] != attachment_id)
        waits = name == "requester" and "file_being_checked" in holds
        async with visitor(face, who) as page:
            for address in addresses(face, request_id, attachment_id):
                answer = await (who.http if address.startswith("/api/") else page).get(address)
                if gives(answer, request_id, attachment_id, others) and not (waits and is_picture(answer)):
                    found.append(f"{name}: {address} {answer.status_code}")
    return found


def is_picture(answer: httpx.Response) -> bool:
    """Or a page, or the whole case, with pictures."""
    is_file = "content-disposition" in answer.headers and not answer.request.url.path.endswith("/case.pdf")
    return not is_file and answer.headers["content-type"].startswith(("image/jpeg", "text/html", "application/pdf"))


def addresses(face: FastAPI, request_id: str, attachment_id: str) -> list[str]:
    """Every address about a request that can be read, those of a file first."""
    paths = {one.path for one in iter_route_contexts(face.routes) if one.path and "GET" in (one.methods or ())}
    filled = {
        path.replace("{request_id}", request_id).replace("{attachment_id}", attachment_id).replace("{number}", "1")
        for path in paths
        if "{request_id}" in path
    }
    made = [path for path in filled if "{" not in path]
    assert sum(attachment_id in path for path in made) >= 8
    assert len(made) > 20
    return sorted(made, key=lambda path: (attachment_id not in path, path))


def gives(answer: httpx.Response, request_id: str, attachment_id: str, others: int) -> bool:
    """Whether an answer gives something of the file out, or shows a picture of it; `others` have pictures besides."""
    if answer.status_code not in (200, 206):
        return False
    kind, path = answer.headers.get("content-type", ""), answer.request.url.path
    if kind.startswith("text/html"):
        return f'src="/api/v1/requests/{request_id}/attachments/{attachment_id}' in answer.text
    if path.endswith("/case.pdf"):
        return sum(len(page.images) for page in PdfReader(io.BytesIO(answer.content)).pages) > others
    return attachment_id in path and not kind.startswith("application/json")


async def test_what_waits_reaches_nobody_and_appears_by_itself(system: System, face: FastAPI, clamd: Scanner) -> None:
    with with_scanner(system, face, NOWHERE):
        async with scanned_by(system, NOWHERE):
            request_id = await draft(system, patient=somebody_new())
            sent = ok(await upload(system.requester, request_id, photo((500, 400)), "photos"), 201)
            assert (sent["scan"], sent["held"], sent["has_preview"]) == ("pending", "file_being_checked", True)
            ok(await system.requester.post(f"/requests/{request_id}/submit"))  # nobody waits for a scanner
            who = {"provider_id": system.provider.id}
            ok(await system.dispatcher.post(f"/requests/{request_id}/assign", who))
            ok(await system.provider.post(f"/requests/{request_id}/accept"))

            seen = await shown_to(system.provider, request_id, sent["id"])
            assert (seen["scan"], seen["held"], seen["has_preview"]) == ("pending", "file_being_checked", False)
            path = f"/requests/{request_id}/attachments/{sent['id']}"
            for rest in ("", "/full", "/preview", "/thumbnail"):
                answer = await system.provider.get(path + rest)
                assert problem(answer, 409, "file_being_checked")
                assert answer.headers["retry-after"] == "5"
            assert (await system.requester.get(f"{path}/preview")).status_code == 200  # the sender's own
            problem(await system.requester.get(path), 409, "file_being_checked")
            case = await system.provider.get(f"/requests/{request_id}/case.pdf")
            pages = PdfReader(io.BytesIO(case.content)).pages
            assert sum(len(page.images) for page in pages) == 0
            assert "antivirus" in " ".join(page.extract_text() for page in pages)
            async with visitor(face, system.provider) as page:
                told = shown(await page.get(f"/requests/{request_id}/media/{sent['id']}"))
                assert "Le fichier apparaîtra de lui-même" in told
                assert "Contrôle antivirus en cours" in shown(await page.get(f"/requests/{request_id}"))

    with with_scanner(system, face, clamd.url):
        async with scanned_by(system, clamd.url):
            for one in (await system.requester.view(request_id))["attachments"]:
                if one["scan"] == "pending":
                    await becomes(system, one["id"], ScanState.CLEAN)
        seen = await shown_to(system.provider, request_id, sent["id"])
        assert (seen["scan"], seen["held"], seen["has_preview"]) == ("clean", None, True)
        for rest in ("", "/full", "/preview", "/thumbnail"):
            assert (await system.provider.get(path + rest)).status_code == 200


async def test_its_sender_is_told_and_removes_it(system: System, face: FastAPI, clamd: Scanner, tmp_path: Path) -> None:
    with with_scanner(system, face, clamd.url):
        request_id, attachment_id = await Ways(system, face, tmp_path).by_api()
        async with scanned_by(system, clamd.url):
            await becomes(system, attachment_id, ScanState.INFECTED)
        answer = await system.requester.post(f"/requests/{request_id}/submit")
        faults = problem(answer, 422, "form_incomplete")["errors"]
        assert [(fault["field"], fault["code"]) for fault in faults] == [("lab-results", "infected_attachment")]
        async with visitor(face, system.requester) as page:
            told = shown(await page.get(f"/requests/{request_id}/edit"))
        assert "Virus trouvé" in told
        assert "Supprimez-le" in told
        path = f"/requests/{request_id}/attachments/{attachment_id}"
        assert (await system.requester.http.delete(f"/api/v1{path}")).status_code == 204
        ok(await system.requester.post(f"/requests/{request_id}/submit"))


async def test_the_scanner_dies_in_the_middle_and_comes_back(system: System, face: FastAPI, clamd: Scanner) -> None:
    with with_scanner(system, face, clamd.url):
        request_id = await draft(system, patient=somebody_new())
        async with scanned_by(system, clamd.url):
            sent = []
            for number in range(12):
                bad = MARKER if number % 3 == 0 else b""
                content = photo((300 + number, 200)) + bytes(2_000_000) + bad
                sent.append(ok(await upload(system.requester, request_id, content, "photos"), 201)["id"])
                if number == 5:
                    await clamd.kill()
            assert ScanState.PENDING in {(await row(system, one)).scan for one in sent}
            found = await health.look(face.state.services)
            assert found.is_ready
            assert any("does not answer" in warning for warning in found.warnings)
            await clamd.start()
            for number, one in enumerate(sent):
                await becomes(system, one, ScanState.CLEAN if number % 3 else ScanState.INFECTED)
        found = await health.look(face.state.services)
        assert not any("does not answer" in warning for warning in found.warnings)


HOLDS_FOR_EVER = """
import asyncio, sys
from datetime import timedelta
from outgoing.clamd import Clamd
from records.database import Database
from records.store import DocumentStore
from settings import Settings
from use_cases import scanning
from use_cases.by_hand import open_database

scanning.IN_HAND_FOR, scanning.KEEPS_EVERY = timedelta(seconds=2), timedelta(seconds=0.5)

async def main():
    settings = Settings()
    async with open_database(settings) as database:
        parts = scanning._Parts(settings, database, DocumentStore.from_settings(settings, database))
        async with scanning.Scanning(parts, Clamd(settings.clamd_url, timedelta(hours=1))):
            await asyncio.Event().wait()

asyncio.run(main())
"""
"""A worker whose scanner takes an hour for each file."""


@asynccontextmanager
async def slow_scanner() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Says its version, takes what comes, and never gives a verdict; the event tells that something came."""
    came = asyncio.Event()

    async def meets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readuntil(b"\0")
        if said == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.3/27831/Thu Nov 26 09:45:12 2026\0")
        else:
            came.set()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(meets, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        server.close()


async def test_a_worker_dies_in_the_middle(system: System, face: FastAPI, clamd: Scanner, tmp_path: Path) -> None:
    async with slow_scanner() as (slow, came):
        with with_scanner(system, face, slow):
            request_id = await draft(system, patient=somebody_new())
            sent = ok(await upload(system.requester, request_id, in_jpeg(MARKER), "photos"), 201)["id"]
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOLDS_FOR_EVER), env=environment_of(system.settings, slow)
        )
        try:
            await came.wait()
        finally:
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
    assert (await row(system, sent)).scan is ScanState.PENDING
    async with scanned_by(system, clamd.url):
        await becomes(system, sent, ScanState.INFECTED)


def environment_of(settings: Settings, url: str) -> dict[str, str]:
    assert settings.database_url is not None
    assert settings.encryption_keys is not None
    return {
        "RELAIS_DATABASE_URL": settings.database_url.get_secret_value(),
        "RELAIS_ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
        "RELAIS_DOCUMENT_STORE": settings.document_store or f"file://{settings.data_dir / 'documents'}",
        "RELAIS_DATA_DIR": str(settings.data_dir),
        "RELAIS_CLAMD_URL": url,
    }


async def test_a_slow_scanner_delays_no_command(system: System, face: FastAPI) -> None:
    async with slow_scanner() as (slow, came):
        with with_scanner(system, face, slow):
            async with scanned_by(system, slow):
                request_id = await draft(system, patient=somebody_new())
                sent = ok(await upload(system.requester, request_id, photo((510, 400)), "photos"), 201)["id"]
                await came.wait()
                ok(await system.requester.post(f"/requests/{request_id}/submit"))
                who = {"provider_id": system.provider.id}
                ok(await system.dispatcher.post(f"/requests/{request_id}/assign", who))
                ok(await system.provider.post(f"/requests/{request_id}/accept"))
                assert (await shown_to(system.provider, request_id, sent))["held"] == "file_being_checked"


async def test_what_is_too_large_is_never_called_clean(system: System, face: FastAPI, clamd: Scanner) -> None:
    content = photo((420, 300)) + bytes(100_000)
    with with_scanner(system, face, clamd.url):
        request_id = await draft(system, patient=somebody_new())
        sent = ok(await upload(system.requester, request_id, content, "photos"), 201)["id"]
        async with scanned_by(system, clamd.url, clamd_max_bytes=50_000):
            found = await becomes(system, sent, ScanState.NOT_SCANNED)
        assert found.scan_finding == "too_large"
        ok(await system.requester.post(f"/requests/{request_id}/submit"))
        path = f"/requests/{request_id}/attachments/{sent}"
        problem(await system.dispatcher.get(f"{path}/preview"), 409, "file_not_scanned")
        assert (await system.requester.get(f"{path}/preview")).status_code == 200
    with with_scanner(system, face, clamd.url, scan_required=False):
        assert (await system.dispatcher.get(f"{path}/preview")).status_code == 200


async def test_a_file_on_which_the_scanner_fails_again_and_again(system: System, face: FastAPI) -> None:
    async def meets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\0") == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.3\0")
        writer.close()

    server = await asyncio.start_server(meets, "127.0.0.1", 0)
    url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with with_scanner(system, face, url):
        request_id = await draft(system, patient=somebody_new())
        sent = ok(await upload(system.requester, request_id, photo((430, 300)), "photos"), 201)["id"]
        async with system.services.database.session() as session:
            tried = update(Attachment).where(Attachment.id == UUID(sent)).values(scan_tries=3)
            await session.execute(tried)
        async with scanned_by(system, url):
            found = await becomes(system, sent, ScanState.NOT_SCANNED)
    server.close()
    assert (found.scan_finding, found.scan_tries) == ("failed", 4)


async def test_an_operator_has_scanned_what_was_not(system: System, face: FastAPI, clamd: Scanner) -> None:
    request_id = await assigned(system, patient=somebody_new())
    ids = [one["id"] for one in (await system.requester.view(request_id))["attachments"]]
    assert {(await row(system, one)).scan for one in ids} == {ScanState.NOT_SCANNED}
    with with_scanner(system, face, clamd.url):
        path = f"/requests/{request_id}/attachments/{ids[0]}"
        problem(await system.provider.get(path), 409, "file_not_scanned")
    settings = system.settings.model_copy(update={"clamd_url": clamd.url})
    said: list[str] = []
    scanner: Clamd = scanning.scanner_of(settings) or pytest.fail("there is a scanner")
    done = await scanning.scan_files(settings, scanner, said.append, again=False)
    assert done.by_state[ScanState.CLEAN] >= len(ids)
    assert said
    again = await scanning.scan_files(settings, scanner, said.append, again=False)
    assert sum(again.by_state.values()) == 0
    with with_scanner(system, face, clamd.url):
        assert (await system.provider.get(path)).status_code == 200
