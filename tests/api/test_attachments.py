"""Photos and videos: what is taken and what is not, what is shown of it, and how it comes back."""

import asyncio
import hashlib
import io
import random
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from api.server import create_app
from media.examine import examine
from media.kinds import MediaError
from media.photos import PREVIEW_EDGE
from tests.api.answers import any_problem, problem, stored_files
from tests.journeys import ok, upload
from tests.media import of_each_set
from tests.papers import paper
from tests.radiographs import radiograph
from tests.rounds import LONGER
from tests.system import System, photo


@pytest.fixture(scope="module")
async def draft_id(system: System) -> str:
    return str(ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"])


def encoded(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **more: Any) -> bytes:
    made = io.BytesIO()
    Image.new(mode, size).save(made, kind, **more)
    return made.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is as large as that, and holds (almost) nothing."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
NOT_TAKEN = {
    "photo.jpg": b"MZ\x90\x00" + bytes(200),
    "photo.jpeg": b"\x7fELF\x02\x01\x01" + bytes(200),
    "photo.png": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "drawing.png": SVG,
    "xml.png": b'<?xml version="1.0"?>' + SVG,
    "archive.heic": b"PK\x03\x04" + bytes(60),
    "script.jpg": b"#!/bin/sh\nrm -rf /\n",
    "drawing.xcf": b"gimp xcf v011\0" + bytes(60),
    "photoshop.psd": b"8BPS\0\1" + bytes(60),
    "letter.pdf": b"{\\rtf1 Bonjour}",
    "text.jpg": b"Bonjour",
    "empty.jpg": b"",
    "zeros.jpg": bytes(10_000),
}
REFUSED = {
    "head of a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "truncated_media"),
    "too many pages": (paper(31), "document_too_long"),
    "several frames": (radiograph(bytes(9_600), NumberOfFrames=2), "several_frames"),
    "not known": (radiograph(PhotometricInterpretation="HSV"), "unknown_encoding"),
    "truncated": (photo()[:-400], "truncated_media"),
    "head only": (photo()[:40], "truncated_media"),
    "magic only": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "truncated_media"),
    "bomb": (png_of(60_000, 60_000), "too_many_pixels"),
    "large": (png_of(10_000, 10_000), "too_many_pixels"),
    "long": (png_of(1, 70_000), "too_many_pixels"),
    "no pixels": (png_of(0, 0), "damaged_media"),
    "short": (png_of(1_000, 1_000), "damaged_media"),
    "webp": (encoded("WEBP")[:-10], "truncated_media"),
    "heic": (encoded("HEIF")[:-60], "truncated_media"),
}
"""Photos that are refused, and the code that says why."""


@pytest.mark.parametrize("name", NOT_TAKEN)
async def test_what_is_neither_photo_nor_video(system: System, draft_id: str, name: str) -> None:
    before = stored_files(system, draft_id)
    answer = problem(await upload(system.requester, draft_id, NOT_TAKEN[name], name=name), 415, "unsupported_media")
    assert "image/jpeg" in answer["accepted"]
    assert stored_files(system, draft_id) == before


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_good(system: System, draft_id: str, name: str) -> None:
    before = stored_files(system, draft_id)
    content, code = REFUSED[name]
    problem(await upload(system.requester, draft_id, content), 422, code)
    assert stored_files(system, draft_id) == before


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_files_changed_by_chance_are_taken_or_refused() -> None:
    chance = random.Random(3)  # noqa: S311
    whole = [photo(), encoded("PNG"), encoded("WEBP"), encoded("HEIF"), encoded("JPEG", exif=_turned())]
    outcomes: set[str] = set()
    for _ in range(100 * LONGER):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 3, 9))):
            place = chance.randrange(len(content))
            content[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        try:
            outcomes.add((await examine(io.BytesIO(content))).kind)
        except MediaError as error:
            outcomes.add(type(error).__name__)
    assert outcomes > {"photo", "DamagedMediaError", "TruncatedMediaError", "UnsupportedMediaError"}


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Camera of Jeanne Tremblay"
    return exif


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("WEBP", "RGB"),
    ],
)
async def test_photos_of_every_mode(kind: str, mode: str) -> None:
    found = await examine(io.BytesIO(encoded(kind, mode=mode)))
    assert (found.kind, found.width, found.height) == ("photo", 64, 48)
    assert found.preview is not None
    assert Image.open(io.BytesIO(found.preview)).size == (64, 48)


async def test_a_preview_is_upright_small_and_says_nothing(system: System, draft_id: str) -> None:
    original = encoded("JPEG", (4_000, 2_000), exif=_turned()) + b"<script>alert(1)</script>"
    view = ok(await upload(system.requester, draft_id, original, name="../../Ma photo <b>\u202e.jpg"), 201)
    assert (view["kind"], view["media_type"], view["slot"]) == ("photo", "image/jpeg", "photos")
    assert (view["width"], view["height"], view["has_preview"]) == (2_000, 4_000, True)
    assert (view["size_bytes"], view["sha256"]) == (len(original), hashlib.sha256(original).hexdigest())
    assert view["filename"] == "Ma photo <b>.jpg"

    path = f"/requests/{draft_id}/attachments/{view['id']}"
    preview = await system.requester.get(f"{path}/preview")
    assert preview.headers["content-type"] == "image/jpeg"
    assert b"Tremblay" not in preview.content
    assert b"script" not in preview.content
    shown = Image.open(io.BytesIO(preview.content))
    assert (shown.size, dict(shown.getexif())) == ((600, 1_200), {})

    answer = await system.requester.get(path)
    assert answer.content == original
    named = "attachment; filename=\"Ma photo _b_.jpg\"; filename*=UTF-8''Ma%20photo%20%3Cb%3E.jpg"
    assert answer.headers["content-disposition"] == named
    for given in (answer, preview):
        assert given.headers["x-content-type-options"] == "nosniff"
        assert given.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'unsafe-inline'; sandbox; "
        )
    assert answer.headers["cache-control"] == "private, no-store"
    assert preview.headers["cache-control"] == "private, max-age=3600, immutable"
    assert preview.headers["vary"] == "Authorization, Cookie"


async def test_a_part_of_a_file(system: System, draft_id: str) -> None:
    content = photo((640, 480))
    view = ok(await upload(system.requester, draft_id, content), 201)
    path, size = f"/requests/{draft_id}/attachments/{view['id']}", len(content)
    for wanted, expected in {
        "bytes=0-0": content[:1],
        "bytes=10-19": content[10:20],
        f"bytes={size - 5}-": content[-5:],
        "bytes=-7": content[-7:],
        f"bytes=3-{size * 2}": content[3:],
    }.items():
        answer = await system.requester.get(path, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (206, expected), wanted
        start = content.index(expected)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
    for wanted in ("bytes=0-", f"bytes=0-{size - 1}", "bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=x-"):
        answer = await system.requester.get(path, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200, content), wanted
    for wanted in (f"bytes={size}-", "bytes=9-3", "bytes=-0", "bytes=999999999999999999-"):
        answer = await system.requester.get(path, headers={"Range": wanted})
        problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{size}"


async def test_slots(system: System, draft_id: str) -> None:
    for slot in ("videos", "nothing", "x" * 500, "\x00"):
        answer = any_problem(await upload(system.requester, draft_id, photo(), slot=slot))
        expected = "slot_of_another_kind" if slot == "videos" else "unknown_slot"
        assert answer["code"] in (expected, "invalid_input")
    assert ok(await upload(system.requester, draft_id, photo(), slot="photos"), 201)["slot"] == "photos"


async def test_what_is_removed_is_gone(system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    before = stored_files(system, request_id)
    view = ok(await upload(system.requester, request_id, photo()), 201)
    assert len(stored_files(system, request_id) - before) == 4
    path = f"/api/v1/requests/{request_id}/attachments/{view['id']}"
    assert (await system.requester.http.delete(path)).status_code == 204
    problem(await system.requester.http.delete(path), 404, "not_found")
    problem(await system.requester.http.get(path), 404, "not_found")
    problem(await system.requester.http.get(f"{path}/preview"), 404, "not_found")
    assert stored_files(system, request_id) == before


async def test_too_large_a_file(system: System, draft_id: str) -> None:
    """Over the limit of photos, and over what is read of a body at all: neither leaves anything behind."""
    small = system.settings.model_copy(update={"max_photo_bytes": 100_000, "max_video_bytes": 200_000})
    app = create_app(small, replace(system.of_api, settings=small))
    before = stored_files(system, draft_id)
    path = f"/api/v1/requests/{draft_id}/attachments"
    headers = {"Authorization": system.requester.http.headers["Authorization"]}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        for size, limit in ((150_000, 100_000), (400_000, None)):
            content = photo() + bytes(size)
            answer = problem(await http.post(path, files={"file": ("photo.jpg", content)}), 413, "too_large")
            assert limit in (None, answer["limit_bytes"])

        async def endless() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
            for _ in range(40):
                yield bytes(10_000)

        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        problem(await http.post(path, content=endless(), headers=kind), 413, "too_large")
        ok(await http.post(path, files={"file": ("photo.jpg", photo())}), 201)
    assert len(stored_files(system, draft_id) - before) == 4


async def test_one_key_for_several_files_at_once_takes_one(system: System) -> None:
    request_id = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    key = uuid4().hex
    path = f"/requests/{request_id}/attachments"
    files = [{"file": ("photo.jpg", photo((100 + n, 100)))} for n in range(4)]
    answers = await asyncio.gather(*(system.requester.post(path, files=file, key=key) for file in files))
    taken = [answer for answer in answers if answer.status_code == 201]
    assert len(taken) == 1
    for answer in answers:
        if answer not in taken:
            problem(answer, 422, "idempotency_key_reused")
    assert len((await system.requester.get(path)).json()) == 1


@of_each_set
@pytest.mark.parametrize(
    ("name", "media_type", "size"),
    [
        ("DSCN0010.jpg", "image/jpeg", (640, 480)),
        ("landscape_6.jpg", "image/jpeg", (600, 450)),
        ("portrait_3.jpg", "image/jpeg", (450, 600)),
        ("portrait_8.jpg", "image/jpeg", (450, 600)),
        ("image01137.jpg", "image/jpeg", None),
        ("IMG_5195.HEIC", "image/heic", None),
        ("with-gps.mp4", "video/mp4", None),
        ("with-gps.mov", "video/quicktime", None),
    ],
)
async def test_photos_and_videos_as_phones_make_them(
    system: System, draft_id: str, media: Path, name: str, media_type: str, size: tuple[int, int] | None
) -> None:
    content = (media / name).read_bytes()
    view = ok(await upload(system.requester, draft_id, content, name=name), 201)
    assert (view["media_type"], view["sha256"]) == (media_type, hashlib.sha256(content).hexdigest())
    path = f"/requests/{draft_id}/attachments/{view['id']}"
    preview = await system.requester.get(f"{path}/preview")
    shown = Image.open(io.BytesIO(preview.content))
    assert (shown.format, dict(shown.getexif()), shown.info.get("icc_profile")) == ("JPEG", {}, None)
    assert max(shown.size) <= PREVIEW_EDGE
    assert size in (None, (view["width"], view["height"]))
    assert (await system.requester.get(path)).content == content
