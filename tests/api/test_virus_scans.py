"""Files are scanned by a real clamd: what is infected reaches nobody by any way, what waits reaches nobody but its sender, and
nothing is lost when scanner or worker die.
"""

import asyncio
import io
import signal
import struct
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from domain.scans import MOST_TRIES, ScanState, WhyNotScanned
from outgoing.clamd import Clamd
from records.errors import StoreError
from records.models import Attachment, AuditEntry
from records.scans import Verdict
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
from tests.rounds import LONGER
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
    """The ways by which files come in, each with that in it: it gives the request and the attachment's id."""

    system: System
    face: FastAPI
    folder: Path
    hidden: bytes

    async def by_api(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        sent = ok(await upload(self.system.requester, request_id, in_pdf(self.hidden), "lab-results", "labo.pdf"), 201)
        return request_id, sent["id"]

    async def a_video(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        content = await in_video(self.hidden, self.folder)
        sent = ok(await upload(self.system.requester, request_id, content, "videos", "film.mp4"), 201)
        return request_id, sent["id"]

    async def in_parts(self) -> tuple[str, str]:
        request_id, content = await draft(self.system, patient=somebody_new()), in_png(self.hidden)
        address = await begun(self.system.requester, request_id, len(content), slot="photos")
        await send(self.system.requester, address, 0, content[:200])
        last = await send(self.system.requester, address, 200, content[200:])
        return request_id, told_attachment(last)["id"]

    async def by_a_form(self) -> tuple[str, str]:
        request_id = await draft(self.system, patient=somebody_new())
        before = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        files = {"file": ("photo.jpg", in_jpeg(self.hidden), "image/jpeg")}
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
            line = shown(await send_by_phone(phone, await take(phone, address), in_jpeg(self.hidden)))
        assert "Contrôle antivirus en cours" in line
        after = {one["id"] for one in (await self.system.requester.view(request_id))["attachments"]}
        return request_id, (after - before).pop()

    async def added(self) -> tuple[str, str]:
        """After the submission, with what the requester adds."""
        request_id = await accepted(self.system, patient=somebody_new())
        sent = ok(await upload(self.system.requester, request_id, in_jpeg(self.hidden), "photos"), 201)
        body = {"text": "Une autre photo.", "attachment_ids": [sent["id"]]}
        ok(await self.system.requester.post(f"/requests/{request_id}/add-information", body))
        return request_id, sent["id"]

    async def by_a_partner(self) -> tuple[str, str]:
        partner = await a_partner(self.system, self.face)
        found = await row_of(self.system, await partner.taken(new_request(photo=in_jpeg(self.hidden))))
        view = await self.system.dispatcher.view(str(found.id))
        return str(found.id), view["attachments"][0]["id"]

    async def accepted(self, way: str) -> tuple[str, str]:
        """By that way, into a request that the provider has accepted since: everybody who may see it does."""
        request_id, attachment_id = await getattr(self, way)()
        answer = await self.system.requester.view(request_id)
        if answer["status"] == "draft":
            ok(await self.system.requester.post(f"/requests/{request_id}/submit"))
        if answer["status"] != "accepted":
            who = {"provider_id": self.system.provider.id}
            ok(await self.system.dispatcher.post(f"/requests/{request_id}/assign", who))
            ok(await self.system.provider.post(f"/requests/{request_id}/accept"))
        return request_id, attachment_id


WAYS = ("by_api", "a_video", "in_parts", "by_a_form", "by_telephone", "added", "by_a_partner")

EVERYWHERE = WAYS if LONGER > 1 else ("by_api",)
"""The ways after which every address about the request is asked (`make whole`: all of them); after the others those of the file,
and those that show pictures of several. By which way a file came, the records do not keep, so that no address can ask for it.
"""

WITH_PICTURES = ("/requests/{request_id}", "/requests/{request_id}/edit", "/api/v1/requests/{request_id}/case.pdf")

NOBODY: dict[str, tuple[str, ...]] = {"requester": (), "dispatcher": (), "provider": ()}
"""What is given out of a request that all of them may see, where nobody gets anything of a file."""


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_clean_reaches_everybody_who_may_see_it_by_whatever_way_it_came(
    way: str, system: System, face: FastAPI, clamd: Scanner, tmp_path: Path
) -> None:
    """Else the next test would be content with nothing."""
    with with_scanner(system, face, clamd.url):
        request_id, attachment_id = await Ways(system, face, tmp_path, b"").accepted(way)
        assert await given_out(system, face, request_id, attachment_id, way) == NOBODY
        async with scanned_by(system, clamd.url):
            await becomes(system, attachment_id, ScanState.CLEAN)
        found = await given_out(system, face, request_id, attachment_id, way)
    assert found.keys() == NOBODY.keys()
    for name, there in found.items():
        path = f"/api/v1/requests/{request_id}/attachments/{attachment_id}"
        assert {f"{path}/preview", f"{path}/thumbnail"} <= set(there), (name, there)
        assert len(there) > 3, (name, there)


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_infected_reaches_nobody_by_whatever_way_it_came(
    way: str, system: System, face: FastAPI, clamd: Scanner, tmp_path: Path
) -> None:
    hidden = MARKER if way in ("a_video", "by_telephone") else EICAR
    with with_scanner(system, face, clamd.url):
        request_id, attachment_id = await Ways(system, face, tmp_path, hidden).accepted(way)
        assert (await row(system, attachment_id)).scan is ScanState.PENDING  # which the test before has looked at
        async with scanned_by(system, clamd.url):
            found = await becomes(system, attachment_id, ScanState.INFECTED)
        assert found.scan_engine is not None
        assert found.scan_engine.startswith("ClamAV ")
        assert found.scan_finding in ("Relais.Test.Eicar.UNOFFICIAL", "Relais.Test.Marker.UNOFFICIAL")
        assert await given_out(system, face, request_id, attachment_id, way) == NOBODY

    assert (
        await given_out(system, face, request_id, attachment_id, way) == NOBODY
    )  # nor where there is no scanner any more
    left = [path for path in stored_files(system, request_id) if attachment_id in path.as_posix()]
    assert left == []
    assert await failures_of(system, attachment_id) == ["virus_found"]
    async with system.services.database.session() as session:
        told = select(AuditEntry.name).where(AuditEntry.object_id == UUID(attachment_id), AuditEntry.kind == Act.CHANGE)
        assert "virus_found" in (await session.scalars(told)).all()


async def failures_of(system: System, attachment_id: str) -> list[str]:
    """The codes of what the operators' list says of scans of a file."""
    listed = (await system.operator.get("/failures")).json()
    return [one["code"] for one in listed if one["effect_id"].startswith(f"scan:{attachment_id}:")]


async def given_out(
    system: System, face: FastAPI, request_id: str, attachment_id: str, way: str
) -> dict[str, tuple[str, ...]]:
    """By who may see the request, the addresses that give out something of the file, of those that are asked after that way."""
    found = {}
    for name in ("requester", "dispatcher", "provider"):
        who = system.people[name]
        may_see = await who.get(f"/requests/{request_id}")
        if may_see.status_code != 200:
            continue
        there = may_see.json().get("attachments") or []
        holds = {one["held"] for one in there if one["id"] == attachment_id}
        others = sum(one["has_preview"] for one in there if one["id"] != attachment_id)
        waits = name == "requester" and "file_being_checked" in holds
        given = []
        async with visitor(face, who) as page:
            for address in addresses(face, request_id, attachment_id, everywhere=way in EVERYWHERE):
                answer = await (who.http if address.startswith("/api/") else page).get(address)
                if gives(answer, request_id, attachment_id, others) and not (waits and is_picture(answer)):
                    given.append(address)
        found[name] = tuple(given)
    return found


def is_picture(answer: httpx.Response) -> bool:
    """Or a page, or the whole case, with pictures."""
    is_file = "content-disposition" in answer.headers and not answer.request.url.path.endswith("/case.pdf")
    return not is_file and answer.headers["content-type"].startswith(("image/jpeg", "text/html", "application/pdf"))


def addresses(face: FastAPI, request_id: str, attachment_id: str, *, everywhere: bool) -> list[str]:
    """The addresses about a request that can be read, those of a file first."""
    paths = {one.path for one in iter_route_contexts(face.routes) if one.path and "GET" in (one.methods or ())}
    filled = {
        path.replace("{request_id}", request_id).replace("{attachment_id}", attachment_id).replace("{number}", "1")
        for path in paths
        if "{attachment_id}" in path or path in WITH_PICTURES or (everywhere and "{request_id}" in path)
    }
    made = [path for path in filled if "{" not in path]
    assert sum(attachment_id in path for path in made) >= 8
    assert len(made) > 20 or not everywhere
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
        request_id, attachment_id = await Ways(system, face, tmp_path, EICAR).by_api()
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
            await eventually(came.is_set)
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
                await eventually(came.is_set)
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
            tried = update(Attachment).where(Attachment.id == UUID(sent)).values(scan_tries=MOST_TRIES - 1)
            await session.execute(tried)
        async with scanned_by(system, url):
            found = await becomes(system, sent, ScanState.NOT_SCANNED)
    server.close()
    assert (found.scan_finding, found.scan_tries) == ("failed", 0)  # counted anew when it is tried again
    assert await failures_of(system, sent) == ["not_scanned_failed"]


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


# What comes between


async def says(system: System, attachment_id: str, state: ScanState, finding: str | None = None) -> None:
    """A scanner says that of a file, and what follows is done."""
    services = system.services
    parts = Parts(services.settings, services.database, services.store, services.engine)
    verdict = Verdict(state, datetime.now(UTC), "ClamAV 1.4.3", finding)
    await scanning.settle(parts, await row(system, attachment_id), verdict)


async def one_that_waits(system: System, face: FastAPI, content: bytes, slot: str = "photos") -> tuple[str, str]:
    """An accepted request to which a file was added that nobody has scanned; the ids of both."""
    request_id = await accepted(system, patient=somebody_new())
    with with_scanner(system, face, NOWHERE):
        sent = ok(await upload(system.requester, request_id, content, slot), 201)["id"]
        body = {"text": "Voici.", "attachment_ids": [sent]}
        ok(await system.requester.post(f"/requests/{request_id}/add-information", body))
    return request_id, sent


async def test_a_scan_that_fails_for_a_minute_is_tried_for_longer(system: System, face: FastAPI) -> None:
    async def meets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\0") == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.3\0")
        writer.close()

    _, sent = await one_that_waits(system, face, photo((431, 300)))
    async with system.services.database.session() as session:
        await session.execute(update(Attachment).where(Attachment.id == UUID(sent)).values(scan_tries=7))

    async def has_failed() -> bool:
        return (await row(system, sent)).scan_tries == 8

    server = await asyncio.start_server(meets, "127.0.0.1", 0)
    async with server, scanned_by(system, f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"):
        await eventually(has_failed)
    found = await row(system, sent)
    assert found.scan is ScanState.PENDING
    assert found.scan_due_at is not None
    assert found.scan_due_at > datetime.now(UTC) + timedelta(seconds=60)
    await says(system, sent, ScanState.CLEAN)


async def test_a_later_verdict_takes_what_was_not_scanned_off_the_list(system: System, face: FastAPI) -> None:
    for verdict, then in ((ScanState.CLEAN, []), (ScanState.INFECTED, ["virus_found"])):
        _, sent = await one_that_waits(system, face, photo((432, 300)))
        for why in WhyNotScanned:
            await says(system, sent, ScanState.NOT_SCANNED, why.value)
        told = [f"not_scanned_{why.value}" for why in WhyNotScanned]
        assert sorted(await failures_of(system, sent)) == sorted(told)
        await says(system, sent, verdict, "Relais.Test" if verdict is ScanState.INFECTED else None)
        assert await failures_of(system, sent) == then


async def test_a_verdict_while_a_file_is_given_out_raises_no_alarm(
    system: System, face: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its pictures, of the whole case, and of a page that is drawn on: whoever looked before reads what is destroyed now."""
    store = system.of_api.store

    async def of_a_picture() -> None:
        request_id, sent = await one_that_waits(system, face, photo((433, 300)))
        compare = store.compare

        async def too_late(key: str, sha256: str | None, *, again: bool = True) -> int:
            await says(system, sent, ScanState.INFECTED, "Relais.Test")
            return await compare(key, sha256, again=again)

        with monkeypatch.context() as patched:
            patched.setattr(store, "compare", too_late)
            answer = await system.provider.get(f"/requests/{request_id}/attachments/{sent}/preview")
        problem(answer, 410, "file_infected")
        assert await alarms(request_id) == []

    async def of_the_case() -> None:
        request_id, sent = await one_that_waits(system, face, photo((434, 300)))
        get = store.get

        async def too_late(key: str) -> bytes:
            if sent in key:
                await says(system, sent, ScanState.INFECTED, "Relais.Test")
            return await get(key)

        with monkeypatch.context() as patched:
            patched.setattr(store, "get", too_late)
            answer = await system.provider.get(f"/requests/{request_id}/case.pdf")
        pages = PdfReader(io.BytesIO(answer.content)).pages
        others = len((await system.provider.view(request_id))["attachments"]) - 1
        assert sum(len(page.images) for page in pages) == others > 0
        assert "Un virus a été trouvé" in " ".join(" ".join(page.extract_text() for page in pages).split())
        assert await alarms(request_id) == []

    async def of_a_page() -> None:
        request_id, sent = await one_that_waits(system, face, paper(1), "lab-results")
        get = store.get

        async def too_late(key: str) -> bytes:
            await says(system, sent, ScanState.INFECTED, "Relais.Test")
            return await get(key)

        arrow = {"kind": "arrow", "start": {"x": 0.1, "y": 0.2}, "end": {"x": 0.5, "y": 0.5}}
        with monkeypatch.context() as patched:
            patched.setattr(store, "get", too_late)
            answer = await system.provider.post(f"/requests/{request_id}/attachments/{sent}/marks", arrow)
        problem(answer, 410, "file_infected")
        assert await alarms(request_id) == []

    async def alarms(request_id: str) -> list[str]:
        listed = (await system.operator.get("/failures")).json()
        return [one["code"] for one in listed if one["request_id"] == request_id and one["kind"] == "stored_file"]

    await of_a_picture()
    await of_the_case()
    await of_a_page()


async def test_the_worklist_shows_the_first_photo_that_its_reader_gets(system: System, face: FastAPI) -> None:
    with with_scanner(system, face, NOWHERE):
        request_id = await draft(system, patient=somebody_new())
        photos = [
            one["id"] for one in (await system.requester.view(request_id))["attachments"] if one["kind"] == "photo"
        ]
        assert len(photos) > 1
        first, second = photos[:2]
        number = (await system.requester.view(request_id))["number"]

        async def seen_by(who: Clinician) -> str | None:
            page = ok(await who.get("/requests", params={"q": number}))
            photo_id: str | None = next(one["first_photo_id"] for one in page["items"] if one["id"] == request_id)
            return photo_id

        for one in photos[2:]:
            await says(system, one, ScanState.CLEAN)
        assert await seen_by(system.requester) == first  # the sender sees what waits
        ok(await system.requester.post(f"/requests/{request_id}/submit"))
        assert await seen_by(system.requester) == first
        assert await seen_by(system.dispatcher) == (photos[2] if len(photos) > 2 else None)
        await says(system, second, ScanState.CLEAN)
        assert await seen_by(system.dispatcher) == second
        await says(system, first, ScanState.INFECTED, "Relais.Test")
        assert await seen_by(system.requester) == second
        problem(
            await system.requester.get(f"/requests/{request_id}/attachments/{first}/thumbnail"), 410, "file_infected"
        )
    assert await seen_by(system.dispatcher) == second  # also where there is no scanner any more


async def test_what_is_not_what_was_sent_is_not_called_clean(system: System, face: FastAPI, clamd: Scanner) -> None:
    store = system.services.store
    for content in (photo((435, 301)), photo((435, 300))[:-1]):
        _, sent = await one_that_waits(system, face, photo((435, 300)))
        found = await row(system, sent)
        await store.delete([found.object_key])
        await store.put_new(found.object_key, content)
        async with scanned_by(system, clamd.url):
            found = await becomes(system, sent, ScanState.NOT_SCANNED)
        assert found.scan_finding == "unreadable"


async def test_of_an_infected_file_is_destroyed_what_can_be(
    system: System, face: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id, sent = await one_that_waits(system, face, photo((436, 300)))
    found = await row(system, sent)
    delete = system.services.store.delete

    async def fails_at_first(keys: Iterable[str]) -> None:
        if found.object_key in (wanted := list(keys)):
            raise StoreError("PermissionError")
        await delete(wanted)

    monkeypatch.setattr(system.services.store, "delete", fails_at_first)
    await says(system, sent, ScanState.INFECTED, "Relais.Test")
    (left,) = [path for path in stored_files(system, request_id) if sent in path.as_posix()]
    assert left.as_posix().endswith(found.object_key)
    assert "an infected file is not destroyed yet" in capsys.readouterr().out


async def test_a_worker_that_stops_destroys_first_what_it_found_infected(
    system: System, face: FastAPI, clamd: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, goes_on = asyncio.Event(), asyncio.Event()
    delete = system.services.store.delete

    async def waits(keys: Iterable[str]) -> None:
        begins.set()
        await goes_on.wait()
        await delete(keys)

    monkeypatch.setattr(system.services.store, "delete", waits)
    request_id, sent = await one_that_waits(system, face, in_jpeg(MARKER))
    async with AsyncExitStack() as worker:
        await worker.enter_async_context(scanned_by(system, clamd.url))
        await eventually(begins.is_set)
        asyncio.get_running_loop().call_later(0, goes_on.set)  # when it has been told to stop
    assert [path for path in stored_files(system, request_id) if sent in path.as_posix()] == []


async def test_the_health_tells_what_has_waited_for_long(system: System, face: FastAPI, clamd: Scanner) -> None:
    _, sent = await one_that_waits(system, face, photo((437, 300)))
    with with_scanner(system, face, clamd.url):
        at = datetime.now(UTC) - timedelta(minutes=12)
        async with system.services.database.session() as session:
            await session.execute(update(Attachment).where(Attachment.id == UUID(sent)).values(uploaded_at=at))
        (warning,) = [one for one in (await health.look(face.state.services)).warnings if "scanner" in one]
        assert warning.startswith("virus scanner: files that wait for it: ")
        assert "the oldest for 12 minutes" in warning
        await says(system, sent, ScanState.CLEAN)
        assert not any("the oldest" in one for one in (await health.look(face.state.services)).warnings)


async def test_who_said_too_late_that_it_has_a_file_has_it_once(system: System, face: FastAPI) -> None:
    _, sent = await one_that_waits(system, face, photo((438, 300)))

    async def put_off() -> bool:
        due = (await row(system, sent)).scan_due_at
        return due is not None and due > datetime.now(UTC)

    async with slow_scanner() as (slow, came), scanned_by(system, slow):
        await eventually(came.is_set)
        for _ in range(2):
            async with system.services.database.session() as session:
                past = datetime.now(UTC) - timedelta(minutes=1)
                await session.execute(update(Attachment).where(Attachment.id == UUID(sent)).values(scan_due_at=past))
            await eventually(put_off)
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "virus scan" and not task.done()]
        assert len(tasks) == 1
    await says(system, sent, ScanState.CLEAN)
