"""Documents that go with a request: for their sender as they came, for others page by page and as a PDF, made anew."""

import io
from dataclasses import replace

import httpx
import pypdfium2 as pdfium
from PIL import Image

from api.server import create_app
from tests.api.answers import problem, stored_files
from tests.clips import encoded
from tests.journeys import draft, ok, upload
from tests.papers import AUTHOR, SCRIPT, paper, scan
from tests.radiographs import SECRETS, radiograph
from tests.system import System, photo


async def test_a_document_from_its_sender_to_the_specialist(system: System) -> None:
    request_id = await draft(system)
    content = paper(2, active=True)
    sent = ok(await upload(system.requester, request_id, content, "lab-results", "résultats.pdf"), 201)
    assert (sent["kind"], sent["media_type"], sent["pages"]) == ("document", "application/pdf", 2)
    assert (sent["slot"], sent["warnings"], sent["captured_at"]) == ("lab-results", [], None)
    scanned = ok(await upload(system.requester, request_id, scan(3), "letters", "lettre.tif"), 201)
    assert (scanned["kind"], scanned["pages"]) == ("document", 3)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))

    path = f"/requests/{request_id}/attachments/{sent['id']}"
    assert (await system.requester.get(path)).content == content
    reader = system.dispatcher
    seen = next(a for a in (await reader.view(request_id))["attachments"] if a["id"] == sent["id"])
    assert (seen["kind"], seen["pages"], seen["sha256"]) == ("document", 2, sent["sha256"])
    copies = [await reader.get(f"{path}{rest}") for rest in ("", "/preview", "/thumbnail", "/pages/1", "/pages/2")]
    for copy in copies:
        assert copy.status_code == 200
        assert copy.headers["x-content-type-options"] == "nosniff"
        assert not [word for word in (AUTHOR, SCRIPT, "JavaScript", "example.org") if word.encode() in copy.content]
    whole, *pictures = copies
    assert whole.headers["content-type"] == "application/pdf"
    assert whole.headers["content-disposition"].startswith("attachment")
    assert len(pdfium.PdfDocument(whole.content)) == 2
    for picture in pictures:
        assert picture.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(picture.content)).format == "JPEG"
    for rest in ("/pages/3", "/full", "/video"):
        problem(await reader.get(f"{path}{rest}"), 404, "not_found")
    problem(await reader.get(f"{path}/pages/0"), 422, "invalid_input")
    problem(await system.far_provider.get(f"{path}/pages/1"), 404, "not_found")
    frozen = ok(await reader.get(f"/requests/{request_id}/forms/1"))["attachments"]
    assert [a["kind"] for a in frozen].count("document") == 2
    looks = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    assert any(look["what"] == "attachment" for look in looks)


async def test_a_radiograph_without_what_its_file_says_of_the_patient(system: System) -> None:
    request_id = await draft(system)
    content = radiograph(size=(600, 400))
    sent = ok(await upload(system.requester, request_id, content, "imaging", "IM000001"), 201)
    assert (sent["kind"], sent["media_type"], sent["pages"]) == ("document", "application/dicom", 1)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    path = f"/requests/{request_id}/attachments/{sent['id']}"
    assert (await system.requester.get(path)).content == content
    for rest in ("", "/preview", "/thumbnail", "/pages/1"):
        copy = await system.dispatcher.get(f"{path}{rest}")
        assert copy.status_code == 200
        assert not [word for word in SECRETS if word.encode() in copy.content]


async def test_where_a_document_fits(system: System) -> None:
    request_id = await draft(system)
    content = paper()
    refused = problem(await upload(system.requester, request_id, content, "photos"), 422, "slot_of_another_kind")
    assert "lab-results" in refused["slots"]
    assert "photos" not in refused["slots"]
    first = ok(await upload(system.requester, request_id, content), 201)
    assert first["slot"] == "lab-results"
    page = ok(await upload(system.requester, request_id, photo((800, 900)), "letters"), 201)
    assert page["kind"] == "photo", "a photographed page goes with documents as well"
    moved = await system.requester.http.patch(
        f"/api/v1/requests/{request_id}/attachments/{first['id']}", json={"slot": "imaging", "caption": "TDM du thorax"}
    )
    assert (ok(moved)["slot"], moved.json()["caption"]) == ("imaging", "TDM du thorax")


async def test_what_is_removed_of_a_document_leaves_nothing(system: System) -> None:
    request_id = await draft(system)
    before = stored_files(system, request_id)
    sent = ok(await upload(system.requester, request_id, paper(3), "letters"), 201)
    assert len(stored_files(system, request_id)) == len(before) + 7  # original, three copies, three pages
    path = f"/api/v1/requests/{request_id}/attachments/{sent['id']}"
    assert (await system.requester.http.delete(path)).status_code == 204
    assert stored_files(system, request_id) == before


async def test_a_document_that_is_too_large_or_too_long_is_told_the_limit(system: System) -> None:
    request_id = await draft(system)
    told = problem(await upload(system.requester, request_id, paper(31), "letters"), 422, "document_too_long")
    assert (told["pages"], told["limit_pages"]) == (31, 30)
    assert "31" in told["detail"]
    settings = system.settings.model_copy(update={"max_document_bytes": 500})
    app = create_app(settings, replace(system.of_api, settings=settings))
    headers = {"Authorization": system.requester.http.headers["Authorization"]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais.test") as http:
        path = f"/api/v1/requests/{request_id}/attachments"
        files = {"file": ("lettre.pdf", paper())}
        answer = problem(await http.post(path, files=files, headers=headers), 413, "too_large")
        assert answer["limit_bytes"] == 500


async def test_kinds_of_photos_that_were_refused_before(system: System) -> None:
    request_id = await draft(system)
    picture = Image.effect_noise((700, 650), 60).convert("RGB")
    for kind, media_type in (("AVIF", "image/avif"), ("TIFF", "image/tiff"), ("WEBP", "image/webp")):
        sent = ok(await upload(system.requester, request_id, encoded(picture, kind), "photos"), 201)
        assert (sent["kind"], sent["media_type"], sent["width"]) == ("photo", media_type, 700)
    short = encoded(picture, quality=90)
    sent = ok(await upload(system.requester, request_id, short[: -len(short) // 25], "photos"), 201)
    assert sent["warnings"] == ["incomplete"]
