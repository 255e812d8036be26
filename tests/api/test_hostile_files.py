"""Files that are made to stop the clinic: each ends in bounded time with its own answer, and others go on at once."""

import asyncio
import io
import os
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from api.server import create_app
from confined import ForkServer
from media import containers, decoder
from media import examine as examining
from tests.api.answers import problem
from tests.clips import clip, encoded
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import draft, ok, upload
from tests.serving import served as over_a_socket
from tests.system import System, photo
from use_cases.places import PLACES

HASTY = replace(examining.LIMITS, cpu_seconds=1)
"""Less time than in service, so that the tests need not wait as long."""


def picture(kind: str, size: tuple[int, int], mode: str = "L", **more: Any) -> bytes:
    made = io.BytesIO()
    Image.new(mode, size, 90).save(made, kind, **more)
    return made.getvalue()


def repeated_scans(times: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG whose last scan comes again and again: a few bytes each, for which the whole picture is gone through."""
    whole = picture("JPEG", size, progressive=True)
    last = whole[whole.rfind(b"\xff\xda") : -2]
    return whole[:-2] + last * times + b"\xff\xd9"


def huge_progressive() -> bytes:
    """A small progressive JPEG in full colour, whose head says that it has 200 megapixels."""
    small = picture("JPEG", (64, 64), "RGB", progressive=True, subsampling=0)
    return small.replace(struct.pack(">BHH", 8, 64, 64), struct.pack(">BHH", 8, 12_240, 16_320), 1)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in (header, *chunks, (b"IEND", b"")))


def large_webp(width: int, height: int) -> bytes:
    """The head of a WebP that says it is as large as that, with a canvas of its own."""
    small = picture("WEBP", (16, 16), "RGB")[12:]
    canvas = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(small)) + b"WEBP" + canvas + small


def exif_in_circles() -> bytes:
    """EXIF data whose directories name themselves as their own parts and successors."""
    entries = struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">HHII", 0x8825, 4, 1, 8)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries + struct.pack(">I", 8)


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a scan 20,000 times": (lambda: repeated_scans(20_000, (3_000, 3_000)), "media_too_slow"),
    "a progressive picture of 600 million samples": (huge_progressive, "media_too_demanding"),
    "a PNG that swells": (lambda: png(60_000, 800, (b"IDAT", zlib.compress(bytes(48_000_800), 9))), ""),
    "a PNG of a line": (lambda: png(1, 120_000_000), "too_many_pixels"),
    "a WebP of a large canvas": (lambda: large_webp(16_383, 16_383), "too_many_pixels"),
    "a profile that swells": (
        lambda: png(
            64, 64, (b"iCCP", b"x\0\0" + zlib.compress(bytes(80_000_000), 9)), (b"IDAT", zlib.compress(bytes(65 * 64)))
        ),
        "",
    ),
    "EXIF in circles": (lambda: picture("JPEG", (64, 64), exif=exif_in_circles()), ""),
}
"""What is sent, and the code of the answer; empty where it may as well be taken."""


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ForkServer(decoder.__name__, HASTY)
    monkeypatch.setattr(examining, "_decoders", server)
    yield
    server.end()


@pytest.fixture(scope="module")
async def draft_id(system: System) -> str:
    return await draft(system)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_has_its_answer_and_others_go_on(system: System, draft_id: str, name: str) -> None:
    make, code = ATTACKS[name]
    content = await asyncio.to_thread(make)
    attack = asyncio.create_task(upload(system.requester, draft_id, content))
    meanwhile = ok(await upload(system.requester, draft_id, photo((300, 200))), 201)
    answer = await attack
    if code:
        assert problem(answer, 415 if code == "unsupported_media" else 422, code)["detail"]
    else:
        assert answer.status_code in (201, 422), answer.text
    ok(await upload(system.requester, draft_id, photo((301, 200))), 201)
    assert meanwhile["kind"] == "photo"


async def test_the_api_is_as_large_as_before(system: System, draft_id: str) -> None:
    """What a picture took while it was decoded was never ours."""
    content = await asyncio.to_thread(picture, "WEBP", (7_000, 7_000))
    ok(await upload(system.requester, draft_id, photo()), 201)
    before = memory()
    ok(await upload(system.requester, draft_id, content), 201)
    assert memory() - before < 64 * 1024**2


def memory() -> int:
    """Bytes of memory that this process has now."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("there is no /proc here")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_each_cause_has_its_sentence(system: System, draft_id: str) -> None:
    """In the reader's language, with the picture's size, the limit, and what is taken."""
    said: dict[str, str] = {}
    for language in ("fr", "en"):
        headers, path = {"Accept-Language": language}, f"/requests/{draft_id}/attachments"
        large = await system.requester.post(path, files={"file": ("a.png", png(60_000, 40_000))}, headers=headers)
        found = large.json()
        assert (large.status_code, found["code"]) == (422, "too_many_pixels")
        assert (found["width"], found["height"], found["limit_megapixels"]) == (60_000, 40_000, 52)
        said[language] = found["detail"]
        moving = await system.requester.post(path, files={"file": ("a.psd", b"8BPS" + bytes(50))}, headers=headers)
        assert (moving.status_code, moving.json()["code"]) == (415, "unsupported_media")
        kinds = moving.json()["detail"]
        assert all(kind in kinds for kind in ("JPEG", "PNG", "WebP", "HEIC", "MP4", "MOV", "WebM"))
    assert "60,000 × 40,000" in said["en"]
    assert "60\N{NO-BREAK SPACE}000 × 40\N{NO-BREAK SPACE}000" in said["fr"]
    assert "52 mégapixels" in said["fr"]


async def test_what_a_look_refuses_waits_for_no_place(system: System, draft_id: str) -> None:
    """While every place is held: a kind that is not taken, and more bytes than its kind may have."""
    path, small = f"/requests/{draft_id}/attachments", system.settings.model_copy(update={"max_photo_bytes": 50_000})
    app = create_app(small, replace(system.of_api, settings=small))
    headers = dict(system.requester.http.headers)
    async with (
        AsyncExitStack() as held,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers) as http,
    ):
        for _ in range(PLACES):
            await held.enter_async_context(system.services.places.place_for(uuid4()))
        moving = await system.requester.post(path, files={"file": ("a.psd", b"8BPS" + bytes(50))})
        problem(moving, 415, "unsupported_media")
        large = await http.post(f"/api/v1{path}", files={"file": ("a.jpg", photo() + bytes(50_000))})
        assert problem(large, 413, "too_large")["limit_bytes"] == 50_000


async def test_a_phone_photo_of_200_megapixels(system: System, draft_id: str) -> None:
    content = await asyncio.to_thread(picture, "JPEG", (16_320, 12_240))
    view = ok(await upload(system.requester, draft_id, content), 201)
    assert (view["width"], view["height"]) == (16_320, 12_240)
    full = await system.requester.get(f"/requests/{draft_id}/attachments/{view['id']}/full")
    assert Image.open(io.BytesIO(full.content)).size == (8_160, 6_120)


async def test_half_of_a_file(system: System, draft_id: str, tmp_path: Path) -> None:
    halves = [photo((800, 600)), encoded(Image.effect_noise((400, 300), 60), "PNG")]
    halves += [encoded(Image.effect_noise((400, 300), 60), kind) for kind in ("WEBP", "HEIF")]
    for content in halves:
        problem(await upload(system.requester, draft_id, content[: len(content) // 2]), 422, "truncated_media")
    video = await clip("film.mp4", folder=tmp_path)
    problem(await upload(system.requester, draft_id, video[: len(video) // 2], "videos"), 422, "truncated_media")


async def test_a_video_of_empty_boxes(system: System, draft_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its end is missing is looked for apart, and not for ever."""
    content = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"free") * 20_000
    monkeypatch.setattr(containers, "_boxes_are_cut_off", here)
    problem(
        await upload(system.requester, draft_id, content + struct.pack(">I4s", 1_000, b"free"), "videos"),
        422,
        "damaged_media",
    )


def here(*_: object) -> bool:
    raise AssertionError("it is looked at by this process")


@pytest.fixture
async def served(system: System) -> AsyncIterator[str]:
    """The address of the API on a real port."""
    async with over_a_socket(system.app) as address:
        yield address


@pytest.mark.parametrize("way", ["whole", "in parts"])
async def test_who_hangs_up_frees_the_place(system: System, draft_id: str, served: str, way: str) -> None:
    """The process that decodes the file ends with the connection, and nothing of the file is kept."""
    content = await asyncio.to_thread(repeated_scans, 20_000, (3_000, 3_000))
    there = ok(await system.requester.get(f"/requests/{draft_id}/attachments"))
    headers = dict(system.requester.http.headers)
    path = f"{served}/api/v1/requests/{draft_id}"
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as http:
        if way == "whole":
            sent = http.post(f"{path}/attachments", files={"file": ("a.jpg", content)})
        else:
            tus = {"Tus-Resumable": "1.0.0"}
            begun = await http.post(f"{path}/uploads", headers={**tus, "Upload-Length": str(len(content))})
            part = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
            sent = http.patch(f"{served}{begun.headers['location']}", headers=part, content=content)
        calling = asyncio.create_task(sent)
        await eventually(lambda: decoding() == 1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
    await eventually(lambda: decoding() == 0)
    assert ok(await system.requester.get(f"/requests/{draft_id}/attachments")) == there


def decoding() -> int:
    """How many files are decoded now: the children of the fork server."""
    server = examining._decoders._process
    listed = subprocess.run(["ps", "-A", "-o", "ppid="], capture_output=True, text=True, check=True).stdout.split()
    return listed.count(str(server.pid)) if server else 0
